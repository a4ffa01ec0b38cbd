"""Networks that are in the cache run without their towers."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covla.model import towers as module
from covla.model.described import Described, describe_base
from covla.model.encoders import Encoders
from covla.model.towers import Towers
from covla.training.tiny import tiny_towers

TEXTS = ["a b c", "b", "a c b a"]


@dataclass
class Item:
    text: str
    image: np.ndarray[Any, Any] | None


def _never() -> Towers:
    raise AssertionError("the towers were loaded")


def test_what_is_cached_runs_without_the_towers(tmp_path: Path) -> None:
    towers, tokenizer = tiny_towers(TEXTS, 0)
    known = replace(Described.of(towers), load=_never)
    rng = np.random.default_rng(0)
    items = [Item(text, rng.integers(0, 255, (90, 60, 3), dtype=np.uint8)) for text in TEXTS]
    with pytest.raises(AssertionError, match="were loaded"):
        Encoders(known, tokenizer, cache=tmp_path, device="cpu").encode(items)
    loaded = Encoders(towers, tokenizer, cache=tmp_path, device="cpu")
    cached = Encoders(known, tokenizer, cache=tmp_path, device="cpu")
    assert cached.id == loaded.id
    for a, b in zip(loaded.encode(items), cached.encode(items), strict=True):
        assert a.tokens is not None
        assert a.regions is not None
        np.testing.assert_array_equal(a.tokens, b.tokens)
        np.testing.assert_array_equal(a.regions, b.regions)


def test_a_side_that_no_post_has_is_not_converted(tmp_path: Path) -> None:
    encoders = Encoders(*tiny_towers(TEXTS, 0), cache=tmp_path, device="cpu")
    encoders.encode([Item(text, None) for text in TEXTS])
    assert [path.name.split("-")[1] for path in tmp_path.rglob("*.xml")] == ["text"]


def test_base_is_loaded_once_and_again_after_an_upgrade_or_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    towers, tokenizer = tiny_towers(TEXTS, 0)
    loads = []

    def load(preset: str) -> tuple[Towers, Any]:
        loads.append(preset)
        return towers, tokenizer

    monkeypatch.setattr(module, "load_towers", load)
    first, second = describe_base(tmp_path), describe_base(tmp_path)
    assert loads == ["base"]
    assert replace(first, load=_never) == replace(second, load=_never)
    assert second.load() is towers
    (path,) = tmp_path.iterdir()
    path.write_text("{")
    assert describe_base(tmp_path).weights == first.weights
    monkeypatch.setattr(module, "base_versions", lambda: "newer")
    describe_base(tmp_path)
    assert len(loads) == 4
