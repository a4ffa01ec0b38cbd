"""Rows in parallel processes, one torch thread each; every result is a file, so nothing is lost."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from covla.arrays import Array
from covla.evaluation.study.inputs import Inputs
from covla.evaluation.study.variants import SharedConfig, Variant
from covla.parent_process import end_with_parent


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread meanwhile: as many threads, as many sums in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Inline(Executor):
    """Runs a task where it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


_INPUTS: list[tuple[Inputs, SharedConfig]] = []


def _start(inputs: Inputs, common: SharedConfig) -> None:
    torch.set_num_threads(1)
    _INPUTS[:] = [(inputs, common)]
    end_with_parent()  # a study that was killed leaves nobody behind who trains on


def _work(row: Variant, seed: int, vectors: Array | None, path: Path) -> None:
    from covla.evaluation.study.fit_variant import fit_row

    inputs, common = _INPUTS[0]
    fit_row(row, common, seed, inputs, vectors).save(path)


@contextmanager
def pool(
    jobs: int, inputs: Inputs, common: SharedConfig
) -> Iterator[Callable[[Variant, int, Array | None, Path], "Future[None]"]]:
    """A function (row, seed, teacher vectors, path) that has the row fitted and saved at `path`.

    With one job it runs at once, in this process. When the block is left by an error, what has
    not begun is dropped.
    """
    executor: Executor
    if jobs == 1:
        executor = _Inline()
        _INPUTS[:] = [(inputs, common)]
    else:
        executor = ProcessPoolExecutor(
            jobs, multiprocessing.get_context("spawn"), _start, (inputs, common)
        )
    try:
        with one_thread():
            yield lambda *task: executor.submit(_work, *task)
    finally:
        executor.shutdown(cancel_futures=True)
        _INPUTS.clear()
