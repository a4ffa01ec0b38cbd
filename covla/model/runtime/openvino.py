"""Networks on OpenVINO: kept in a folder or the cache, run one post a request."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openvino as ov

from covla.errors import CovlaError
from covla.files import write_aside
from covla.model.runtime.device import require_torch
from covla.model.runtime.network import Arrays

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

# One for the process, never freed: with its CPU plugin goes the stack for signals that this gave to
# the thread that first needed it, and where another thread frees it, the next signal ends the
# process (SigAltStackSetup; https://github.com/openvinotoolkit/openvino/pull/11894).
_CORE = ov.Core()


def has_bf16() -> bool:
    """Whether this CPU multiplies bf16 matrices (AVX-512 BF16 or AMX)."""
    return "BF16" in _CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _nothing(request: ov.InferRequest, position: int) -> None:
    """A callback that holds nothing."""


class OpenVinoNetwork:
    """As many requests at a time as there are cores, each one post without padding."""

    def __init__(self, network: ov.Model, *, bf16: bool = False) -> None:
        """`bf16` asks for bf16 products; a CPU without them runs f32, and the log says so."""
        if bf16 and not has_bf16():
            log.warning("this CPU has no bf16 matrix instructions: a bf16 model runs in f32")
            bf16 = False
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        }
        compiled = _CORE.compile_model(network, "CPU", settings)
        self._outputs = len(compiled.outputs)
        self._ragged = network.is_dynamic()
        self._queue = ov.AsyncInferQueue(compiled)

    def run(self, items: Iterable[Arrays]) -> list[Arrays]:
        """See `Network`."""
        results: dict[int, Arrays] = {}
        outputs = range(self._outputs)

        def keep(request: ov.InferRequest, position: int) -> None:
            results[position] = tuple(request.get_output_tensor(i).data.copy() for i in outputs)

        numbered: Iterable[tuple[int, Arrays]] = enumerate(items)
        if self._ragged:
            # A request that meets the shape of the one before it is faster: 0.5 ms for a MiniLM.
            numbered = sorted(numbered, key=lambda pair: pair[1][0].shape)
        self._queue.set_callback(keep)
        try:
            for position, arrays in numbered:
                self._queue.start_async(dict(enumerate(arrays)), position)
        finally:
            self._queue.wait_all()
            # The queue holds what the callback does, where Python's garbage collector sees nothing.
            self._queue.set_callback(_nothing)
        return [results[position] for position in range(len(results))]


def converted(
    module: "Callable[[], nn.Module]", example: Arrays, ragged: Sequence[int], path: Path | None
) -> ov.Model:
    """The network from the cache; otherwise it is converted, and kept there for the next time.

    Raises:
        CovlaError: it is not there, and torch is not installed.
    """
    if path is not None:
        path = path.with_stem(f"{path.stem}-{code()}")
    if path is not None and path.exists():
        try:
            return _CORE.read_model(path)
        except RuntimeError as error:
            log.warning("%s is damaged and made again: %s", path, str(error).splitlines()[0])
    require_torch("a converted network")
    from covla.model.runtime.conversion import convert

    network = convert(module(), example, ragged)
    if path is not None:
        save(network, path)
        for old in path.parent.glob(f"{path.stem.removesuffix(code())}*"):
            if old.stem != path.stem:
                old.unlink(missing_ok=True)  # of another version of this code
        # What every later process reads: the one at hand can differ from it in last digits.
        network = _CORE.read_model(path)
    return network


@lru_cache(maxsize=1)
def code() -> str:
    """Hash of what a network is made with, OpenVINO and all of covla.model: after an upgrade,
    nothing old is found in the cache. Torch is not part of it, as what reads has none."""
    total = hashlib.sha256(ov.get_version().encode())
    for source in sorted(Path(__file__).parents[1].rglob("*.py")):
        total.update(source.read_bytes())
    return total.hexdigest()[:8]


def read(path: Path) -> ov.Model:
    """A network in a model folder.

    Raises:
        CovlaError: it is not there, or cannot be read.
    """
    try:
        return _CORE.read_model(path)
    except RuntimeError as error:
        raise CovlaError(f"{path} is no OpenVINO network: {str(error).splitlines()[0]}") from error


def save(network: ov.Model, path: Path) -> None:
    """Written aside and renamed, weights first, so that a reader never sees half a network."""
    with write_aside(path, ".xml") as draft:
        ov.save_model(network, draft, compress_to_fp16=False)
        draft.with_suffix(".bin").replace(path.with_suffix(".bin"))
