"""What is there to run networks on: a GPU that torch can use, and torch itself."""

from importlib.util import find_spec
from pathlib import Path

from covla.errors import CovlaError

# What a machine with a GPU that torch can use has: NVIDIA's driver, that of WSL, or AMD's.
_GPU_FILES = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg", "/dev/kfd")
_CONVERT = (
    "Run `covla convert MODEL --out FOLDER` where `covla[train]` is installed, and promote that "
    "folder; or install `covla[train]` here"
)


def pick_device(wanted: str) -> str:
    """ "cpu" or "cuda"; "auto" takes a GPU where there is one.

    Torch is imported only where a driver's files say that there may be a GPU, or for "cuda": what
    serves on a CPU runs without it (ADR 32).

    Raises:
        CovlaError: "cuda", and there is none.
    """
    if wanted == "cpu" or (wanted != "cuda" and not _may_have_gpu()):
        return "cpu"
    installed = find_spec("torch") is not None
    if installed:
        import torch

        if torch.cuda.is_available():
            return "cuda"
    if wanted == "cuda":
        what = "torch finds no GPU here" if installed else "torch is not installed"
        raise CovlaError(
            f"COVLA_DEVICE is cuda, and {what}",
            hint="Set COVLA_DEVICE=cpu, or auto to take a GPU where there is one",
        )
    return "cpu"


def _may_have_gpu() -> bool:
    return any(Path(name).exists() for name in _GPU_FILES)


def require_torch(what: str, hint: str = _CONVERT) -> None:
    """Called before torch is imported to make `what`; `hint` is for an older model folder.

    Raises:
        CovlaError: torch is not installed.
    """
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise CovlaError(f"{what} cannot be made here: torch is not installed", hint=hint)
