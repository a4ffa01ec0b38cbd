"""Corruptions: repeatable per post, growing with the level, never touching their input."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.errors import CovlaError
from covla.posts.corruptions import IMAGE_KINDS, LEVELS, TEXT_KINDS, corrupt_image, corrupt_text

TEXT = "Back at my favourite corner table with Anna, two flat whites and a long chat #coffee #love"


def picture(seed: int = 0, shape: tuple[int, int] = (64, 96)) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, shape[::-1]), dtype=np.uint8)


def same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return (a is None and b is None) or np.array_equal(a, b)  # type: ignore[arg-type]


@given(st.text(), st.sampled_from(TEXT_KINDS), st.integers(), st.text())
def test_level_0_returns_the_text_unchanged(text, kind, seed, post_id):
    assert corrupt_text(text, kind, 0, seed, post_id=post_id) == text


@pytest.mark.parametrize("kind", IMAGE_KINDS)
def test_level_0_returns_the_image_unchanged(kind):
    assert np.array_equal(corrupt_image(picture(), kind, 0, 1, post_id="p"), picture())


@given(
    st.lists(st.text(min_size=1), min_size=2, max_size=8, unique=True),
    st.sampled_from(TEXT_KINDS),
    st.floats(0, 1),
)
def test_a_posts_text_noise_does_not_depend_on_the_order_of_calls(ids, kind, level):
    def run(order):
        return {i: corrupt_text(TEXT, kind, level, 7, post_id=i, other="another") for i in order}

    assert run(ids) == run(reversed(ids))


@pytest.mark.parametrize("kind", IMAGE_KINDS)
def test_a_posts_image_noise_does_not_depend_on_the_order_of_calls(kind):
    ids = [f"p{i}" for i in range(6)]

    def run(order):
        return {
            i: corrupt_image(picture(), kind, 0.3, 7, post_id=i, other=picture(1)) for i in order
        }

    first, second = run(ids), run(reversed(ids))
    assert all(same(first[i], second[i]) for i in ids)


@pytest.mark.parametrize("kind", ["gaussian", "blur", "jpeg", "occlusion"])
def test_more_level_means_more_damage_to_the_image(kind):
    clean, before = picture(), picture().copy()
    damage = []
    for level in LEVELS:
        noisy = corrupt_image(clean, kind, level, 3, post_id="p")
        assert noisy is not None
        assert noisy.shape == clean.shape
        assert noisy.dtype == np.uint8
        damage.append(float(np.abs(noisy.astype(float) - clean).mean()))
    assert damage == sorted(damage)
    assert damage[0] == 0 < damage[1] < damage[-1]
    assert np.array_equal(clean, before)


@pytest.mark.parametrize("level", LEVELS[1:])
def test_occlusion_covers_the_named_share(level):
    clean = np.zeros((200, 300, 3), dtype=np.uint8)
    for i in range(20):
        noisy = corrupt_image(clean, "occlusion", level, 0, post_id=f"p{i}")
        assert (noisy == 127).mean() == pytest.approx(level, abs=0.01)


@pytest.mark.parametrize("kind", ["other", "missing"])
@pytest.mark.parametrize("level", LEVELS[1:])
def test_replacing_kinds_hit_the_named_share_of_posts_and_nest(kind, level):
    def hit(share):
        ids = range(2000)
        return {
            i for i in ids if corrupt_text(TEXT, kind, share, 5, post_id=f"p{i}", other="x") != TEXT
        }

    assert len(hit(level)) / 2000 == pytest.approx(level, abs=0.04)
    assert hit(level) <= hit(min(1.0, level + 0.2))


def test_swapping_keeps_the_letters_and_dropping_keeps_the_order():
    swapped = corrupt_text(TEXT, "swap", 0.3, 1, post_id="p")
    assert swapped != TEXT
    assert sorted(swapped) == sorted(TEXT)
    kept = corrupt_text(TEXT, "drop", 0.3, 1, post_id="p").split()
    words = iter(TEXT.split())
    assert 0 < len(kept) < len(TEXT.split())
    assert all(word in words for word in kept)
    assert corrupt_text(TEXT, "drop", 1, 1, post_id="p") == "Back"
    tags = corrupt_text(TEXT, "hashtags", 0.5, 1, post_id="p")
    assert tags.count("#") > TEXT.count("#")
    assert tags.startswith("Back at my favourite corner table")


def test_another_seed_or_post_gives_other_noise():
    noise = [
        corrupt_text(TEXT, "swap", 0.3, s, post_id=p) for s, p in ((1, "a"), (2, "a"), (1, "b"))
    ]
    assert len(set(noise)) == 3


@pytest.mark.parametrize(
    ("kind", "level", "message"),
    [
        ("rot13", 0.1, "kind"),
        ("swap", 1.5, "level"),
        ("swap", -0.1, "level"),
        ("other", 1, "other"),
    ],
)
def test_wrong_use_is_named(kind, level, message):
    with pytest.raises(CovlaError, match=message):
        corrupt_text(TEXT, kind, level, 0, post_id="p")


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4)])
def test_what_is_no_rgb_image_is_refused(shape):
    with pytest.raises(CovlaError, match="H x W x 3"):
        corrupt_image(np.zeros(shape, dtype=np.uint8), "blur", 0.1, 0, post_id="p")


def test_a_missing_image_is_none_and_tiny_images_survive():
    assert corrupt_image(picture(), "missing", 1, 0, post_id="p") is None
    dot = np.full((1, 1, 3), 9, dtype=np.uint8)
    for kind in ("gaussian", "blur", "jpeg", "occlusion"):
        assert corrupt_image(dot, kind, 0.5, 0, post_id="p").shape == (1, 1, 3)
