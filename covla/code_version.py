"""Which code this is."""

import subprocess
from functools import lru_cache
from pathlib import Path

from covla import __version__


@lru_cache(maxsize=1)
def code_version() -> str:
    """The package's version, with the commit after a plus sign where it runs from a git checkout,
    and `-dirty` where files were changed since."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():  # a folder, or a file in a worktree
        return __version__
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        found = subprocess.run(
            [*command, "--exclude=*"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git
        return __version__
    return f"{__version__}+{found.stdout.strip()}" if found.returncode == 0 else __version__
