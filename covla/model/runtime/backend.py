"""What runs the networks of a model, and at which precision.

A model folder without `engine.json` runs in f32: on OpenVINO on a CPU, on torch on a GPU. An
exported one (`covla export`) says both, and is a version of its own. Nothing is imported here but
what is used: the torch path runs where there is no OpenVINO.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from covla.errors import CovlaError
from covla.files import read_object
from covla.model.runtime.device import require_torch
from covla.model.runtime.network import Arrays, Network

if TYPE_CHECKING:
    from torch import nn

FILE = "engine.json"
NETWORKS = "networks"  # the folder of a model's networks
ABOUT = "about.json"  # beside those in f32: their format and sums
FORMAT = 1  # one higher where the networks' inputs or outputs become others
PRECISIONS = {
    "openvino": ("f32", "bf16", "int8"),
    "onnx": ("f32", "int8"),
    "torch": ("f32", "bf16"),
}


@dataclass(frozen=True)
class Backend:
    """`name` is openvino, onnx or torch; `precision` that of the towers: the head, which is small
    and decides, is always f32 (ADR 11).

    Raises:
        CovlaError: the two do not go together.
    """

    name: str = "openvino"
    precision: str = "f32"

    def __post_init__(self) -> None:
        if self.name not in PRECISIONS:
            raise CovlaError(f"engine: {self.name!r} is not one of {', '.join(PRECISIONS)}")
        allowed = PRECISIONS[self.name]
        if self.precision not in allowed:
            raise CovlaError(
                f"precision: {self.name} runs {', '.join(allowed)} here, not {self.precision!r}"
            )

    @property
    def mark(self) -> str:
        """Told apart from f32 in the identity of encoders: empty for f32, whatever the backend."""
        return "" if self.precision == "f32" else f"-{self.name}-{self.precision}"

    @property
    def in_folder(self) -> bool:
        """Whether the networks are files of the model folder; else they are made from weights."""
        return self.name == "onnx" or self.precision == "int8"

    @classmethod
    def default(cls, device: str) -> "Backend":
        """The backend of a folder that names none, on `device` ("cpu" or "cuda")."""
        return cls("torch" if device == "cuda" else "openvino")

    @classmethod
    def of(cls, folder: Path, device: str) -> "Backend":
        """The backend of a model folder.

        Raises:
            CovlaError: its engine.json says nothing that can be run.
        """
        path = folder / FILE
        if not path.exists():
            return cls.default(device)
        try:
            values = read_object(path)
            return cls(values["engine"], values["precision"])
        except (KeyError, TypeError) as error:
            raise CovlaError(f"{path} does not say engine and precision: {error!r}") from error

    def as_dict(self) -> dict[str, str]:
        """Plain data, for JSON."""
        values = asdict(self)
        return {"engine": values["name"], "precision": values["precision"]}


def tower_files(networks: Path, backend: Backend) -> list[Path]:
    """The files of an exported model's towers: those that differ where their answers do.

    Raises:
        CovlaError: one is missing.
    """
    endings = (".onnx",) if backend.name == "onnx" else (".xml", ".bin")
    files = [networks / f"{part}{ending}" for part in ("text", "image") for ending in endings]
    for path in files:
        if not path.is_file():
            raise CovlaError(f"{path} is missing", hint="Export the model again: `covla export`")
    return files


def open_network(
    module: "Callable[[], nn.Module] | None",
    backend: Backend,
    *,
    example: Arrays,
    ragged: Sequence[int] = (),
    pads: Sequence[int] = (),
    ragged_output: bool = False,
    device: str = "cpu",
    file: Path | None = None,
    cached: Path | None = None,
) -> Network:
    """A network that is ready to run.

    Args:
        module: gives its weights, in torch; asked only where a network has to be made of them.
            None where `file` has them.
        backend: what runs it.
        example: one item, to trace with; every text in it is longer than one token.
        ragged: which inputs have a second axis of any length, such as tokens.
        pads: what those are filled up with where items run in batches.
        ragged_output: whether the first output has that axis too.
        device: for torch.
        file: a network that was converted before; `.xml` or `.onnx`.
        cached: where the converted network is kept, and found the next time.

    Raises:
        CovlaError: `file` cannot be read, or a network is to be made and torch is not installed.
    """
    if backend.name == "torch":
        require_torch("a network of torch")
        from covla.model.runtime.torch import TorchNetwork

        assert module is not None
        return TorchNetwork(
            module(),
            ragged=ragged,
            pads=pads,
            ragged_output=ragged_output,
            device=device,
            precision=backend.precision,
        )
    if backend.name == "onnx":
        from covla.model.runtime.onnx import OnnxNetwork

        assert file is not None
        return OnnxNetwork(file)
    from covla.model.runtime.openvino import OpenVinoNetwork, converted, read

    if file is not None:
        network = read(file)
    else:
        assert module is not None
        network = converted(module, example, ragged, cached)
    return OpenVinoNetwork(network, bf16=backend.precision == "bf16")
