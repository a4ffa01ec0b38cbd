"""API keys of the REST service, in `STATE/keys.json`: who may ask for what, and how often.

A key is `covla_ID_SECRET`. The file has its SHA-256 only: a secret of 256 random bits cannot be
guessed from its hash, so the slow hash that a password needs would only slow requests down.
"""

import fcntl
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import orjson

from covla.errors import CovlaError
from covla.files import read_dataclass, write_aside
from covla.settings import Settings

Scope = Literal["predict", "explain", "feedback"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class ApiKey:
    """One key, without its secret."""

    id: str  # 8 hex digits
    name: str
    sha256: str  # of the whole key, hex
    scopes: tuple[Scope, ...]
    per_minute: int | None  # requests; None: no limit
    created_at: datetime
    revoked_at: datetime | None = None

    def matches(self, key: str) -> bool:
        """Whether `key` is this one. It takes the same time wherever the two differ."""
        return hmac.compare_digest(self.sha256.encode(), _sha256(key).encode())


@dataclass(frozen=True)
class _File:
    keys: tuple[ApiKey, ...]
    schema_version: Literal[1] = 1


def keys_file(settings: Settings) -> Path:
    """Where the keys are; only its owner can read it."""
    return settings.state.absolute() / "keys.json"


def load_keys(settings: Settings) -> tuple[ApiKey, ...]:
    """Every key, revoked ones too, in the order in which they were made.

    Raises:
        CovlaError: the file cannot be read; it names it.
    """
    path = keys_file(settings)
    return read_dataclass(_File, path).keys if path.exists() else ()


def add_key(
    settings: Settings, name: str, scopes: Sequence[Scope], per_minute: int | None = None
) -> tuple[ApiKey, str]:
    """Make a key.

    Args:
        settings: the state folder.
        name: for people; no other key that is in use has it.
        scopes: what it may ask for.
        per_minute: requests that a process of the server answers in a minute; None: any number.

    Returns:
        What is kept, and the key itself, which is kept nowhere.

    Raises:
        CovlaError: the name cannot be used or is taken, or the file cannot be read.
        OSError: the file cannot be written.
    """
    if not _NAME.fullmatch(name) or _ID.fullmatch(name):
        raise CovlaError(
            f"{name!r} cannot be a key's name",
            hint="Give letters, digits, '.', '_' and '-', up to 64, and not 8 hex digits",
        )
    with _locked(settings):
        keys = load_keys(settings)
        if any(key.name == name and key.revoked_at is None for key in keys):
            raise CovlaError(
                f"there is a key {name!r} already",
                hint=f"Give another name, or end it with `covla keys revoke {name}`",
            )
        taken = {key.id for key in keys}
        while (key_id := secrets.token_hex(4)) in taken:
            pass
        secret = f"covla_{key_id}_{secrets.token_urlsafe(32)}"
        unique = tuple(dict.fromkeys(scopes))
        made = ApiKey(key_id, name, _sha256(secret), unique, per_minute, datetime.now(UTC))
        _write(settings, (*keys, made))
    return made, secret


def revoke_key(settings: Settings, name_or_id: str) -> ApiKey:
    """End a key. It stays in the file, so that its use is answered as that of a revoked one.

    Raises:
        CovlaError: no key in use has this name or id, or the file cannot be read.
        OSError: the file cannot be written.
    """
    unknown = CovlaError(
        f"no key {name_or_id!r} is in use", hint="`covla keys list` shows those that are there"
    )
    if not load_keys(settings):
        raise unknown
    with _locked(settings):
        keys = load_keys(settings)
        for at, key in enumerate(keys):
            if name_or_id in {key.name, key.id} and key.revoked_at is None:
                revoked = replace(key, revoked_at=datetime.now(UTC))
                _write(settings, (*keys[:at], revoked, *keys[at + 1 :]))
                return revoked
    raise unknown


def id_of(key: str) -> str:
    """The id in a key as a client sends it; empty where it has not the form of one."""
    parts = key.split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == "covla" else ""


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _write(settings: Settings, keys: tuple[ApiKey, ...]) -> None:
    with write_aside(keys_file(settings)) as draft:
        draft.touch(mode=0o600)  # before there is anything in it
        draft.write_bytes(orjson.dumps(_File(keys), option=orjson.OPT_INDENT_2))


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Two processes that add a key at a time: one after the other. The kernel frees it."""
    folder = settings.state.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".keys.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
