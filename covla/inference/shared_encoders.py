"""The towers of model folders in this process: versions with equal towers share one set."""

import hashlib
import threading
from pathlib import Path
from weakref import WeakValueDictionary

from covla.model.encoders import Encoders
from covla.model.head import folder_encoders
from covla.model.runtime.backend import NETWORKS, Backend, tower_files
from covla.model.weights_file import towers_digest
from covla.settings import Settings

_sharing = threading.Lock()
_shared: WeakValueDictionary[tuple[str, Path], Encoders] = WeakValueDictionary()


def shared_encoders(folder: Path, backend: Backend, settings: Settings) -> Encoders:
    """The towers of a model folder. Versions of one process with equal towers share them."""
    key = (_towers_digest(folder, backend), settings.cache)
    with _sharing:
        encoders = _shared.get(key)
        if encoders is None:
            encoders = _shared[key] = folder_encoders(folder, settings, backend)
        return encoders


def _towers_digest(folder: Path, backend: Backend) -> str:
    total = hashlib.sha256((folder / "tokenizer.json").read_bytes())
    total.update(f"{backend} {towers_digest(folder)}".encode())
    if backend.in_folder:
        for path in tower_files(folder / NETWORKS, backend):
            total.update(path.read_bytes())
    return total.hexdigest()
