"""Which folder can hold the state, as every part that works in it has to take its name, and what
the address of a database in it is."""

import unicodedata
from pathlib import Path
from urllib.parse import quote


def usable_folder(value: Path) -> Path:
    """The folder, its `~` replaced.

    Raises:
        ValueError: a part of this system cannot work in a folder of that name.
    """
    try:
        value = value.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{str(value)!r}: {error}") from None
    name = str(value.absolute())
    # DuckDB reads a backslash in a pattern as an escape, Airflow replaces $NAME, Evidently
    # expands a star and writes to what stands before two colons.
    controls = (c for c in name if unicodedata.category(c) in {"Cc", "Cs"})
    parts = (*controls, "\\", "$", "*", "::")
    unusable = next((part for part in parts if part in name), None)
    if unusable is not None:
        raise ValueError(f"{name!r} has {unusable!r} in it, which not every part can work with")
    return value


def sqlite_uri(path: Path) -> str:
    """The address that SQLAlchemy has for a SQLite file at an absolute path."""
    plain = str(path)
    if not {"%", "?"} & set(plain):
        return f"sqlite:///{plain}"
    # SQLAlchemy takes %20 for a blank, and what follows a question mark for options. MLflow makes
    # the folder of the address as it is written: with its slashes quoted too, that is the root.
    return f"sqlite:////{quote(plain.removeprefix('/'), safe='')}"
