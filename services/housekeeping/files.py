"""Files that are old, and how they go: counted, and removed so that half of nothing is left."""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_GONE = ".gone"


@dataclass(frozen=True)
class Freed:
    """What was removed, or would be."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Freed") -> "Freed":
        return Freed(self.files + other.files, self.bytes + other.bytes)


def files_of(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Regular files of a folder, at any depth; what a symbolic link leads to is not ours."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            try:
                about = path.lstat()
            except FileNotFoundError:
                continue  # its writer has renamed it
            if not path.is_symlink():
                yield path, about


def last_used(about: os.stat_result) -> float:
    """When a file was last read or written, in seconds since 1970. Where a file system keeps no
    times of reading, when it was written."""
    return max(about.st_atime, about.st_mtime)


def remove_files(found: Iterable[tuple[Path, os.stat_result]], *, dry_run: bool) -> Freed:
    """Remove files."""
    freed = Freed()
    for path, about in found:
        if not dry_run:
            path.unlink(missing_ok=True)
        freed += Freed(1, about.st_size)
    return freed


def remove_folder(folder: Path, *, dry_run: bool) -> Freed:
    """Remove a folder: renamed first, so that no reader sees a part of it."""
    freed = sum((Freed(1, about.st_size) for _, about in files_of(folder)), Freed())
    if not dry_run:
        if folder.suffix != _GONE:
            folder = folder.rename(folder.with_name(f".{folder.name}{_GONE}"))
        shutil.rmtree(folder)
    return freed


def half_removed(folder: Path) -> list[Path]:
    """Folders in it that `remove_folder` was killed over."""
    return sorted(folder.glob(f".*{_GONE}"))
