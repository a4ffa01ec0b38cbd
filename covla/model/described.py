"""Towers that are known by what was written down of them, and loaded only where that is needed.

Where their networks are converted already, no process has to load their weights, nor the libraries
that build them.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covla.files import write_bytes_aside

if TYPE_CHECKING:
    from covla.model.towers import Towers


@dataclass(frozen=True)
class Described:
    """weights: their `weights_id`. spec: see `Towers`. load: gives them."""

    weights: str
    text_width: int
    image_width: int
    spec: dict[str, Any]
    load: "Callable[[], Towers]"

    @classmethod
    def of(cls, towers: "Towers") -> "Described":
        """Towers at hand."""
        from covla.model.towers import weights_id

        return cls(
            weights_id(towers),
            towers.text.width,
            towers.image.width,
            towers.spec,
            lambda: towers,
        )


def describe_base(folder: Path) -> Described:
    """The towers of preset `base`, as `folder` remembers them; the first time they are loaded.

    What is remembered is of one version of each package that they are made of.
    """
    from covla.model import towers

    load = cache(lambda: towers.load_towers("base")[0])
    key = hashlib.sha256(towers.base_versions().encode()).hexdigest()[:16]
    path = folder / f"base-{key}.json"
    try:
        values = json.loads(path.read_bytes())
        return Described(
            values["weights"], values["text_width"], values["image_width"], values["spec"], load
        )
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        found = Described.of(load())
    known = {name: getattr(found, name) for name in ("weights", "text_width", "image_width")}
    write_bytes_aside(path, json.dumps(known | {"spec": found.spec}).encode())
    return found
