"""A model folder: visible only when complete. A manifest of SHA-256 sums is written last and
verified before anything is loaded; weights are safetensors, never pickle."""

import hashlib
from pathlib import Path

import orjson

from covla.errors import CovlaError
from covla.files import file_sum, read_object, write_bytes_aside

MANIFEST = "manifest.json"
_ALLOWED = frozenset(
    {".json", ".safetensors", ".txt", ".parquet", ".xml", ".bin", ".onnx", ".jinja", ".html"}
)


def _sums(folder: Path) -> dict[str, str]:
    sums = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            sums[name] = file_sum(path)
    return sums


def write_manifest(folder: Path, *, allowed: frozenset[str] = _ALLOWED) -> str:
    """Write the manifest, last. Returns the digest of the whole folder.

    Args:
        allowed: suffixes of files; the default are those of a model.

    Raises:
        CovlaError: the folder holds a kind of file that no model needs.
    """
    sums = _sums(folder)
    odd = [name for name in sums if Path(name).suffix not in allowed]
    if odd:
        raise CovlaError(f"{folder.name} may not hold {', '.join(odd)}")
    content = orjson.dumps({"files": sums}, option=orjson.OPT_INDENT_2)
    write_bytes_aside(folder / MANIFEST, content)
    return digest(folder)


def digest(folder: Path) -> str:
    """SHA-256 (hex) of the manifest: the identity of a model version."""
    try:
        return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError:
        raise CovlaError(
            f"{folder} is no complete model folder: it has no {MANIFEST}",
            hint="Train one with `covla train --out FOLDER`",
        ) from None


def verify(folder: Path) -> str:
    """Hold every file against the manifest. Returns the folder's digest.

    Raises:
        CovlaError: no manifest, or a file is missing, changed or extra; it names the file.
    """
    found = digest(folder)
    listed = read_object(folder / MANIFEST).get("files")
    if not isinstance(listed, dict):
        raise CovlaError(f"{folder / MANIFEST} does not list the files")
    there = _sums(folder)
    for name in sorted(listed.keys() | there.keys()):
        if listed.get(name) != there.get(name):
            what = "missing" if name not in there else "extra" if name not in listed else "changed"
            raise CovlaError(
                f"{folder / name} is {what}: the folder does not match its manifest",
                hint="Fetch or train this version again; it was not loaded",
            )
    return found


def folder_size(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
