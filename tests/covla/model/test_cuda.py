"""The torch path on a GPU: compiled, in CUDA graphs. Skipped where torch finds none.

Needs torch, transformers and timm alone, so it runs on a GPU machine without the rest of the
project's packages: `pytest --noconftest tests/covla/model/test_cuda.py`.
"""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from covla.model.configuration import CovlaConfig
from covla.model.context import Context, Layout
from covla.model.encoders import Encoded, Encoders
from covla.model.head import HeadRunner
from covla.model.hf import CovlaModel
from covla.model.runtime.backend import Backend
from covla.model.runtime.torch import TorchNetwork
from covla.model.towers import tiny
from covla.training.tiny import tiny_towers

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")

TEXTS = ["a b c", "b", "a c b a " * 5, "", "c c", "a b c a b"] * 7
RAGGED: dict[str, Any] = {"ragged": (0, 1), "pads": (0, 0), "ragged_output": True}


@dataclass
class Item:
    text: str
    image: np.ndarray[Any, Any] | None


@pytest.fixture(scope="module")
def ids() -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, 99, (1, n)) for n in (3, 1, 20, 9, 16, 17, 3) * 8]
    return [(row, np.ones_like(row)) for row in rows]


@pytest.fixture(scope="module")
def items() -> list[Item]:
    rng = np.random.default_rng(0)
    return [
        Item(text, rng.integers(0, 255, (90, 60, 3), dtype=np.uint8) if i % 3 else None)
        for i, text in enumerate(TEXTS)
    ]


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    return Encoders(*tiny_towers(TEXTS, 0), device="cuda")


def _far(said: Any, truth: Any) -> float:
    return float(np.linalg.norm(said - truth) / max(float(np.linalg.norm(truth)), 1e-9))


@pytest.mark.parametrize(("compiled", "graphs"), [(False, True), (True, False), (True, True)])
def test_the_numbers_are_the_cpus(
    ids: list[tuple[Any, ...]], *, compiled: bool, graphs: bool
) -> None:
    tower = tiny(100).text
    truth = TorchNetwork(tower, **RAGGED).run(ids)
    fast = TorchNetwork(tower, device="cuda", compiled=compiled, graphs=graphs, **RAGGED)
    for _ in range(2):  # the second time from graphs that were captured
        for (a,), (b,) in zip(truth, fast.run(ids), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)


def test_no_row_sees_its_neighbours(ids: list[tuple[Any, ...]]) -> None:
    network = TorchNetwork(tiny(100).text, device="cuda", **RAGGED)
    forth, back = network.run(ids), network.run(ids[::-1])[::-1]
    for row, (a,), (b,) in zip(ids, forth, back, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, network.run([row])[0][0])


def test_by_default_a_gpu_runs_torch_in_f32_as_a_cpu_does(
    encoders: Encoders, items: list[Item]
) -> None:
    assert (encoders.device, encoders.backend) == ("cuda", Backend("torch"))
    truth = Encoders(*tiny_towers(TEXTS, 0), device="cpu", backend="torch").encode(items)
    for a, b in zip(truth, encoders.encode(items), strict=True):
        for of_cpu, of_gpu in ((a.tokens, b.tokens), (a.regions, b.regions)):
            assert (of_cpu is None) == (of_gpu is None)
            if of_cpu is not None:
                assert _far(of_gpu, of_cpu) < 1e-4


def test_bf16_is_near_and_not_equal(encoders: Encoders, items: list[Item]) -> None:
    short = Encoders(*tiny_towers(TEXTS, 0), device="cuda", backend=Backend("torch", "bf16"))
    pairs = zip(encoders.encode(items), short.encode(items), strict=True)
    distances = [_far(b.regions, a.regions) for a, b in pairs if a.regions is not None]
    assert 0 < max(distances) < 0.05


def test_threads_take_turns(encoders: Encoders, items: list[Item]) -> None:
    """A graph's outputs are overwritten by its next run: none may be read after that."""
    truth = encoders.encode(items)
    said: dict[int, list[Encoded]] = {}

    def work(name: int) -> None:
        said[name] = encoders.encode(items)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answers in said.values():
        for a, b in zip(truth, answers, strict=True):
            if a.regions is not None:
                np.testing.assert_array_equal(a.regions, b.regions)
            if a.tokens is not None:
                np.testing.assert_array_equal(a.tokens, b.tokens)


def test_the_head_answers_as_on_a_cpu(encoders: Encoders, items: list[Item]) -> None:
    config = CovlaConfig(
        text_width=encoders.text_width, image_width=encoders.image_width, regions=9,
        labels=["x", "y", "z"], width=16,
    )  # fmt: skip
    torch.manual_seed(0)
    model = CovlaModel(config)
    layout = Layout.of(config)
    nothing = Context(
        np.zeros((layout.nodes, layout.width), np.float32), np.zeros(layout.nodes, np.bool_)
    )
    encoded = encoders.encode(items)
    contexts = [nothing] * len(encoded)
    truth = HeadRunner.of(model, device="cpu", backend=Backend("torch")).run(encoded, contexts)
    said = HeadRunner.of(model, device="cuda").run(encoded, contexts)
    for a, b in zip(truth, said, strict=True):
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-4)
        assert abs(a.gate - b.gate) < 1e-4
