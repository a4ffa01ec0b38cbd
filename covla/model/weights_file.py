"""What the weights of a model folder are called, by hash, without torch."""

import hashlib
from pathlib import Path

from safetensors import SafetensorError, safe_open

from covla.errors import CovlaError

FILE = "model.safetensors"
TOWERS = "towers."  # what their names begin with


def towers_digest(folder: Path) -> str:
    """SHA-256 (hex) of the towers' weights and names; its start is the `weights_id` of them.

    Raises:
        CovlaError: the file cannot be read.
    """
    return _digest(folder / FILE, towers=True)


def head_digest(folder: Path) -> str:
    """The same of all weights that are not the towers'."""
    return _digest(folder / FILE, towers=False)


def _digest(path: Path, *, towers: bool) -> str:
    total = hashlib.sha256()
    try:
        with safe_open(path, framework="numpy") as file:
            for name in sorted(n for n in file.keys() if n.startswith(TOWERS) == towers):  # noqa: SIM118
                total.update(name.removeprefix(TOWERS).encode())
                total.update(file.get_tensor(name).reshape(-1).data)
    except (OSError, SafetensorError) as error:
        raise CovlaError(f"{path} cannot be read: {error}") from error
    return total.hexdigest()
