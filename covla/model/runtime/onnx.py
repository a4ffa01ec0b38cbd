"""Networks on ONNX Runtime: written from torch, run one post a thread."""

import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime
import torch
from torch import nn

from covla.errors import CovlaError
from covla.model.runtime.network import Arrays, cores


class OnnxNetwork:
    """As many posts at a time as there are cores, each on one thread, without padding."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            CovlaError: there is no network that can be run.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own errors share no base class
            reason = str(error).splitlines()[0]
            raise CovlaError(f"{path} is no ONNX network that runs here: {reason}") from error
        self._names = [value.name for value in self._session.get_inputs()]
        self._pool = ThreadPoolExecutor(cores(), thread_name_prefix="covla-onnx")

    def run(self, items: Iterable[Arrays]) -> list[Arrays]:
        """See `Network`."""
        return list(self._pool.map(self._one, items))

    def _one(self, arrays: Arrays) -> Arrays:
        # An input that no output depends on is dropped when the network is written.
        inputs = {f"i{position}": array for position, array in enumerate(arrays)}
        return tuple(self._session.run(None, {name: inputs[name] for name in self._names}))


def write(module: nn.Module, example: Arrays, ragged: Sequence[int], path: Path) -> None:
    """A torch module as an ONNX file of batch 1; see `covla.model.runtime.backend.open_network`.

    Torch's older exporter is used: the newer one (torch 2.15) writes a MiniLM whose answers are
    wrong for every length but the traced one.
    """
    names = [f"i{position}" for position in range(len(example))]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of branches on shapes, and of the newer exporter
        torch.onnx.export(
            module,
            tuple(torch.from_numpy(array) for array in example),
            str(path),
            input_names=names,
            dynamic_axes={names[i]: {1: "T"} for i in ragged},
            opset_version=18,
            dynamo=False,
        )
