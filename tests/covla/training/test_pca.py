from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from covla.model.projection import Projection
from covla.training.dataset import PreparedDataset
from covla.training.pca import Reduction

WIDE, KEPT = 12, 4


def posts(n: int = 8, seed: int = 0) -> tuple[Any, PreparedDataset]:
    """Features and posts; the last two are held out, post 1 has no image."""
    torch.manual_seed(seed)
    features = [(torch.randn(3, 5).half(), torch.randn(7, WIDE).half()) for _ in range(n)]
    features[1] = features[1][0], None  # type: ignore[assignment]
    items = [
        SimpleNamespace(image_hash="" if i == 1 else f"{seed}.{i}", text_hash=str(i))
        for i in range(n)
    ]
    rows = [SimpleNamespace(split="train" if i < n - 2 else "holdout") for i in range(n)]
    return features, PreparedDataset(rows, items, torch.zeros(n, dtype=torch.long), 0)  # type: ignore[arg-type]


def new() -> Projection:
    return Projection(WIDE, 5, components=KEPT)


def test_models_of_the_same_posts_share_components_and_reduced_regions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, data = posts()
    shared, first, second = Reduction(), new(), new()
    shared.fit(first, features, data)
    found = shared(first, features, data.prepared)
    calls: list[str] = []
    for name in ("fit", "reduce"):
        monkeypatch.setattr(Projection, name, _counted(name, calls, getattr(Projection, name)))
    shared.fit(second, features, data)
    again = shared(second, features, data.prepared)
    assert not calls
    assert torch.equal(first.basis, second.basis)
    assert torch.equal(first.mean, second.mean)
    for (tokens, regions), (same, reduced), (_, whole) in zip(found, again, features, strict=True):
        assert torch.equal(tokens, same)
        assert (regions is None) == (reduced is None) == (whole is None)
        if regions is not None and whole is not None:
            assert regions.shape == (7, KEPT)
            torch.testing.assert_close(regions, first.reduce(whole.float()).half())


def _counted(name: str, calls: list[str], real: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Projection, given: Any) -> Any:
        calls.append(name)
        return real(self, given)

    return call


def test_other_posts_have_components_of_their_own() -> None:
    shared, first, second = Reduction(), new(), new()
    shared.fit(first, *posts())
    others, data = posts(seed=1)
    shared.fit(second, others, data)
    alone = new()
    Reduction().fit(alone, others, data)
    assert not torch.equal(first.basis, second.basis)
    assert torch.equal(second.basis, alone.basis)
    # The same image under other components is reduced again.
    same = others[:1], data.prepared[:1]
    assert not torch.equal(shared(first, *same)[0][1], shared(second, *same)[0][1])  # type: ignore[arg-type]


def test_held_out_posts_have_no_part_in_the_components() -> None:
    features, data = posts()
    one, other = new(), new()
    Reduction().fit(one, features, data)
    moved = [*features[:-2], *((t, v + 5) for t, v in features[-2:])]
    Reduction().fit(other, moved, data)
    assert torch.equal(one.basis, other.basis)


def test_without_components_or_pictures_features_stay_as_they_are() -> None:
    features, data = posts()
    plain = Projection(WIDE, 5)
    Reduction().fit(plain, features, data)
    assert Reduction()(plain, features, data.prepared) is features
    untouched = new()
    Reduction().fit(untouched, [(tokens, None) for tokens, _ in features], data)
    assert torch.equal(untouched.basis, torch.eye(WIDE)[:, :KEPT])
