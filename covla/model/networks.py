"""Where the converted networks of a model folder are: in the folder, or in the cache.

Training writes them into the folder, under its manifest, so that what serves on a CPU needs no
torch. A folder that was made before has none; it is converted once, into the cache, by whichever
process first needs it. Reduced precisions lie beside them: see `covla.model.runtime.backend`.
"""

import hashlib
import logging
import shutil
from pathlib import Path

from covla.files import file_sum, folder_aside, read_object
from covla.model.runtime.backend import ABOUT, FORMAT, NETWORKS
from covla.model.runtime.device import require_torch
from covla.model.weights_file import head_digest, towers_digest

F32 = f"{NETWORKS}/f32"
PARTS = ("text", "image", "head", "explain")

log = logging.getLogger(__name__)


def f32_networks(folder: Path, cache: Path) -> Path:
    """The folder of a model's networks in f32 for OpenVINO: PART.xml and PART.bin for each of
    `PARTS`. Those that a model folder carries are used as the gate judged them.

    Raises:
        CovlaError: there are none, and torch, which would make them, is not installed; or the
            folder's weights do not fit its configuration.
    """
    if carries_networks(folder):
        return folder / F32
    kept = _kept(folder, cache)
    if _whole(kept):
        return kept
    require_torch(f"the networks of {folder}")
    from filelock import FileLock

    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(kept.with_suffix(".lock")):
        if not _whole(kept):  # nobody else was first
            _convert(folder, kept)
    return kept


def _convert(folder: Path, kept: Path) -> None:
    from covla.model.folder_weights import write_networks

    log.warning(
        "converting the networks of %s once, into %s; `covla convert` writes a folder that carries "
        "them",
        folder,
        kept,
    )
    if kept.exists():
        log.warning("%s is damaged and made again", kept)
        shutil.rmtree(kept)
    with folder_aside(kept) as draft:
        write_networks(folder, draft)
    for old in kept.parent.glob(f"{kept.name.rpartition('-')[0]}-*"):
        if old.is_dir() and old != kept:
            shutil.rmtree(old, ignore_errors=True)  # of another version of this code


def _kept(folder: Path, cache: Path) -> Path:
    """Equal weights and configurations share their networks."""
    from covla.model.runtime.openvino import code

    total = hashlib.sha256((folder / "config.json").read_bytes())
    total.update(f"{towers_digest(folder)} {head_digest(folder)}".encode())
    return cache / "openvino" / f"{total.hexdigest()[:16]}-{code()}"


def _format(networks: Path) -> object:
    return read_object(networks / ABOUT).get("format") if (networks / ABOUT).exists() else None


def _whole(networks: Path) -> bool:
    """Whether every file of a folder in the cache is as it was written: no manifest covers it."""
    if _format(networks) != FORMAT:
        return False
    try:
        sums = read_object(networks / ABOUT)["files"]
        return bool(sums) and all(file_sum(networks / name) == of for name, of in sums.items())
    except (OSError, KeyError, AttributeError, TypeError):
        return False


def carries_networks(folder: Path) -> bool:
    """Whether a model folder has networks that this version of the code reads."""
    return _format(folder / F32) == FORMAT
