"""Networks on torch: batches of fixed shapes, bf16, torch.compile and CUDA graphs on a GPU.

The same code runs on a CPU, where the tests are. Needs torch alone.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from covla.arrays import FloatArray
from covla.errors import DeviceFailed
from covla.model.runtime.network import Arrays

LENGTHS = (16, 32, 64, 128, 256, 512)
BATCH = 32


def bucket(length: int) -> int:
    """The fixed length that a text of `length` tokens is filled up to: follows from it alone."""
    return next((limit for limit in LENGTHS if length <= limit), length)


def autocast(device: str, precision: str) -> AbstractContextManager[object]:
    """bf16 products where `precision` asks for them. Without autocast's cache of cast weights:
    a CUDA graph must not point into it."""
    if precision == "f32":
        return nullcontext()
    return torch.autocast(device, dtype=torch.bfloat16, cache_enabled=False)


class Captured:
    """A module as one CUDA graph per shape of its inputs, captured at the first call with it.

    What it returns is overwritten by the next call with the same shapes.
    """

    def __init__(self, module: Callable[..., Any], precision: str) -> None:
        self._module = module
        self._precision = precision
        self._graphs: dict[
            tuple[torch.Size, ...], tuple[torch.cuda.CUDAGraph, list[Tensor], Sequence[Tensor]]
        ] = {}

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        key = tuple(tensor.shape for tensor in inputs)
        if key not in self._graphs:
            self._graphs[key] = self._capture(inputs)
        graph, places, outputs = self._graphs[key]
        for place, tensor in zip(places, inputs, strict=True):
            place.copy_(tensor, non_blocking=True)
        graph.replay()
        return outputs

    def _capture(
        self, inputs: Sequence[Tensor]
    ) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Sequence[Tensor]]:
        places = [tensor.cuda() if not tensor.is_cuda else tensor.clone() for tensor in inputs]
        # A side stream, and a few runs before: compilation and library set-up are not captured.
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side), autocast("cuda", self._precision):
            for _ in range(3):
                self._module(*places)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile.
        with (
            torch.cuda.graph(graph, capture_error_mode="thread_local"),
            autocast("cuda", self._precision),
        ):
            outputs = _tensors(self._module(*places))
        return graph, places, outputs


class TorchNetwork:
    """A module that runs batches: always `batch` rows, each text filled up to its own bucket.

    So a row meets the same shapes, and the same kernels, whatever its neighbours are. On a GPU it
    is compiled and captured as CUDA graphs; on a CPU rows run one at a time, without padding,
    unless `batch` says otherwise.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        ragged: Sequence[int] = (),
        pads: Sequence[int] = (),
        ragged_output: bool = False,
        device: str = "cpu",
        precision: str = "f32",
        batch: int | None = None,
        compiled: bool | None = None,
        graphs: bool | None = None,
    ) -> None:
        """See `backend.open_network`; None for what `device` is best run with."""
        on_gpu = device == "cuda"
        self.device, self.precision = device, precision
        self.batch = batch if batch is not None else (BATCH if on_gpu else 1)
        self.compiled = on_gpu if compiled is None else compiled
        self.graphs = on_gpu if graphs is None else graphs
        self._pads = dict(zip(ragged, pads, strict=True))
        self._ragged_output = ragged_output
        if on_gpu and precision == "f32":
            # By default convolutions round their inputs to 10 bits (TF32): no f32 of the CPU's.
            torch.backends.cudnn.allow_tf32 = False
        module = module.eval().to(device)
        run: Callable[..., Any] = module
        if self.compiled:
            run = torch.compile(module, dynamic=False)
        self._run = Captured(run, precision) if self.graphs else run

    def run(self, items: Iterable[Arrays]) -> list[Arrays]:
        """See `Network`."""
        held = list(items)
        groups: dict[int, list[int]] = {}
        for position, arrays in enumerate(held):
            groups.setdefault(self._length(arrays), []).append(position)
        results: dict[int, Arrays] = {}
        for length, members in groups.items():
            for start in range(0, len(members), self.batch):
                part = members[start : start + self.batch]
                outputs = self.forward(self.stack([held[i] for i in part], length))
                for row, position in enumerate(part):
                    results[position] = self._unpad(outputs, row, held[position])
        return [results[position] for position in range(len(held))]

    def _length(self, arrays: Arrays) -> int:
        if not self._pads:
            return 0
        length = arrays[next(iter(self._pads))].shape[1]
        return length if self.batch == 1 else bucket(length)

    def stack(self, items: Sequence[Arrays], length: int) -> list[Tensor]:
        """Items of batch 1 as tensors of `batch` rows; rows beyond the items repeat the last."""
        stacked = []
        for position, first in enumerate(items[0]):
            shape = list(first.shape[1:])
            if position in self._pads:
                shape[0] = length
            rows = np.full((self.batch, *shape), self._pads.get(position, 0), dtype=first.dtype)
            for row in range(self.batch):
                array = items[min(row, len(items) - 1)][position][0]
                if position in self._pads:
                    rows[row, : len(array)] = array
                else:
                    rows[row] = array
            stacked.append(torch.from_numpy(rows))
        return stacked

    def forward(self, inputs: Sequence[Tensor]) -> list[FloatArray]:
        """One batch through the module and back, as float32.

        Raises:
            DeviceFailed: the GPU does not work in this process any more.
            MemoryError: the GPU has none left.
        """
        try:
            if self.device == "cuda":
                inputs = [tensor.pin_memory().to("cuda", non_blocking=True) for tensor in inputs]
            return [tensor.float().cpu().numpy() for tensor in self.launch(inputs)]
        except torch.OutOfMemoryError as error:
            raise MemoryError(f"the GPU is out of memory: {error}") from error
        except torch.AcceleratorError as error:  # CUDA's: the context of the process is lost
            first = str(error).partition("\n")[0]
            raise DeviceFailed(
                f"the GPU failed: {first}", hint="Start this process anew"
            ) from error

    def launch(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """One batch that is on the device already; what is returned stays there, and is
        overwritten by the next batch of the same shapes where CUDA graphs run."""
        with torch.inference_mode(), self._casting():
            return _tensors(self._run(*inputs))

    def _casting(self) -> AbstractContextManager[object]:
        return nullcontext() if self.graphs else autocast(self.device, self.precision)

    def _unpad(self, outputs: Sequence[FloatArray], row: int, arrays: Arrays) -> Arrays:
        found = [output[row : row + 1] for output in outputs]
        if self._ragged_output:
            found[0] = found[0][:, : arrays[next(iter(self._pads))].shape[1]]
        return tuple(array.copy() for array in found)


def _tensors(outputs: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return (outputs,) if isinstance(outputs, Tensor) else outputs
