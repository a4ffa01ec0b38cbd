"""What the web pages of the stack share: how they are started, and whether they answer."""

import os
import sys
from pathlib import Path

import httpx

from covla.settings import Settings


def answers(url: str) -> bool:
    """Whether a GET of this URL ends with 200 within two seconds."""
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def environment(settings: Settings) -> dict[str, str]:
    """For a child: our settings, our programs first on the PATH."""
    kept = settings.environment()
    bin_folder = str(Path(sys.executable).parent)
    kept["PATH"] = os.pathsep.join([bin_folder, kept.get("PATH", os.defpath)])
    return kept
