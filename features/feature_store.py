"""The Feast store of a state folder: made from settings, applied once, kept open."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from string import Template

import yaml
from filelock import FileLock

from covla.settings import Settings
from features.definitions import definitions
from features.feast_api import FeatureStore, RepoConfig
from features.lake import Lake

TEMPLATE = Path(__file__).with_name("feature_store.yaml")
TIMEOUTS = "socket_connect_timeout=1,socket_timeout=5"  # seconds


def repo_config(settings: Settings, folder: Path) -> RepoConfig:
    """feature_store.yaml, filled from settings; registry and SQLite file lie in `folder`."""
    if settings.online_store == "redis":
        online: dict[str, str | int] = {
            "type": "features.online_store.RedisOnlineStore",
            "connection_string": f"{settings.redis_url.removeprefix('redis://')},{TIMEOUTS}",
        }
    else:
        online = {
            "type": "features.online_store.SqliteOnlineStore",
            "path": str(folder / "online.db"),
        }
    online |= {
        "earliest_time": settings.earliest_time.isoformat(),
        "future_minutes": settings.future_minutes,
    }
    filled = Template(TEMPLATE.read_text()).substitute(
        registry=json.dumps(str(folder / "registry.db")), online=json.dumps(online)
    )
    return RepoConfig(**yaml.safe_load(filled), repo_path=folder)


def apply(
    settings: Settings, folder: Path, *, sources: Mapping[str, str] | None = None
) -> FeatureStore:
    """Write the definitions to the registry in `folder` and return the store; `sources` as
    `definitions` takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    Lake(settings).create()
    store = FeatureStore(config=repo_config(settings, folder))
    with warnings.catch_warnings():
        # On-demand views are called experimental, and slow offline, where ours is not used.
        warnings.simplefilter("ignore", RuntimeWarning)
        store.apply(definitions(settings, sources=sources))
    return store


@lru_cache(maxsize=4)
def feature_store(settings: Settings) -> FeatureStore:
    """The long-lived store of this process; opening one and reading its registry takes longer
    than a read from it (feast#3442). Definitions are applied when they changed.
    """
    folder = settings.state.absolute() / "feast"
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / "applied"
    wanted = _digest(settings, folder)
    with FileLock(folder / ".apply.lock"):
        files = [mark, folder / "registry.db"]
        if settings.online_store == "sqlite":
            files.append(folder / "online.db")
        if all(file.is_file() for file in files) and mark.read_text() == wanted:
            Lake(settings).create()
            return FeatureStore(config=repo_config(settings, folder))
        store = apply(settings, folder)
        mark.write_text(wanted)
        return store


def _digest(settings: Settings, folder: Path) -> str:
    """Changes whenever an applied registry would."""
    sources = [TEMPLATE, *(Path(__file__).with_name(f"{n}.py") for n in ("definitions", "tables"))]
    total = hashlib.sha256()
    for source in sources:
        total.update(source.read_bytes())
    config = repo_config(settings, folder).model_dump(mode="json")
    total.update(json.dumps([config, str(settings.lake)], default=str, sort_keys=True).encode())
    total.update(str(settings.train_window_hours).encode())
    return total.hexdigest()
