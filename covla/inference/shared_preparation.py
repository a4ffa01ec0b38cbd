"""Who prepares posts in this process: threads, or I/O workers, for all model versions."""

import threading
from weakref import WeakValueDictionary

from covla.inference.io_workers import IoWorkers
from covla.inference.preparation import Threads
from covla.model.runtime.device import pick_device
from covla.model.runtime.network import cores
from covla.settings import Settings

_MOST = 16  # of those that a GPU gets by itself

_sharing = threading.Lock()
_shared: WeakValueDictionary[Settings, Threads | IoWorkers] = WeakValueDictionary()


def shared_preparation(settings: Settings) -> Threads | IoWorkers:
    """Versions of one process share it: more of them do not make more processes.

    Raises:
        ServiceUnavailable: the processes cannot be started.
    """
    with _sharing:
        found = _shared.get(settings)
        if found is None:
            workers = io_workers(settings)
            found = IoWorkers(settings, workers) if workers else Threads(settings)
            _shared[settings] = found
        return found


def io_workers(settings: Settings) -> int:
    """How many I/O workers prepare posts; 0: threads do.

    By itself a GPU gets one for each core but one, and a CPU none: there the networks leave no
    core to them (ADR 35).
    """
    if settings.io_workers is not None:
        return settings.io_workers
    return 0 if pick_device(settings.device) == "cpu" else min(max(cores() - 1, 1), _MOST)
