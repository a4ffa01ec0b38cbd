"""Networks on ONNX Runtime, run one post a thread."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime

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
