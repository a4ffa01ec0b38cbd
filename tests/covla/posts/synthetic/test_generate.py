"""Synthetic posts: repeatable, balanced, readable, and drift that changes one thing alone."""

import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from covla.errors import CovlaError
from covla.posts.folder import read_folder, write_folder
from covla.posts.synthetic import generate, iter_posts, with_splits
from covla.posts.taxonomy import load_taxonomy

START = datetime(2026, 5, 1, tzinfo=UTC)
END = START + timedelta(days=1)


@pytest.fixture(scope="module")
def posts():
    return generate(220, 1, START, END)


def test_the_same_seed_gives_the_same_posts_and_another_seed_others():
    assert generate(30, 4, START, END) == generate(30, 4, START, END)
    one, two = generate(30, 4, START, END), generate(30, 5, START, END)
    assert not {i.post.post_id for i, _ in one} & {i.post.post_id for i, _ in two}
    assert [i.post.text for i, _ in one] != [i.post.text for i, _ in two]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 6))
def test_a_post_depends_on_seed_and_place_not_on_how_many_are_made(seed, few, more):
    def content(n):
        made = iter_posts(n, seed, START, END)
        return [(i.post.model_copy(update={"created_at": START}), i.label, p) for i, p in made]

    shorter, longer = sorted((content(few), content(few + more)), key=len)
    assert longer[: len(shorter)] == shorter


def test_times_are_even_in_the_window_and_ids_unique(posts):
    times = [item.post.created_at for item, _ in posts]
    assert times[0] == START
    assert times[-1] < END
    steps = {b - a for a, b in pairwise(times)}
    assert max(steps) - min(steps) < timedelta(milliseconds=1)
    assert len({item.post.post_id for item, _ in posts}) == 220
    assert all(item.post.post_id.startswith("syn-1-") for item, _ in posts)


def test_labels_are_balanced_over_the_whole_taxonomy(posts):
    assert Counter(i.label for i, _ in posts) == dict.fromkeys(load_taxonomy().names, 20)
    two = Counter(i.label for i, _ in generate(20, 1, START, END, labels=["home", "shop"]))
    assert two == {"home": 10, "shop": 10}


def test_every_picture_is_a_readable_jpeg_and_every_post_says_what_it_has(posts):
    for item, picture in posts:
        assert (picture is None) == (item.post.image is None) == (item.pair_type == "text_only")
        assert (item.post.text == "") == (item.pair_type == "image_only")
        assert not set("[]{}") & set(item.post.text)
        if picture is not None:
            image = Image.open(io.BytesIO(picture))
            image.load()
            assert (image.format, image.size, image.mode) == ("JPEG", (224, 224), "RGB")


def test_each_modality_tells_in_about_72_percent_and_one_always_does():
    made = generate(500, 9, START, END, labels=["home", "beach_coast"])
    kinds = Counter(item.pair_type for item, _ in made)
    text = kinds["both"] + kinds["text_tells"] + kinds["text_only"] + kinds["conflict_image"]
    image = kinds["both"] + kinds["image_tells"] + kinds["image_only"] + kinds["conflict_text"]
    assert text + image - kinds["both"] == 500
    # 3.5 standard deviations of a share of 500
    assert text / 500 == pytest.approx(0.71, abs=0.07)
    assert image / 500 == pytest.approx(0.71, abs=0.07)
    assert 3 <= kinds["text_only"] <= 30
    assert 3 <= kinds["image_only"] <= 30


def test_the_conflict_rate_is_obeyed():
    def kinds(rate):
        made = generate(150, 2, START, END, conflict=rate)
        return [str(item.pair_type) for item, _ in made]

    never, half, always = kinds(0), kinds(0.5), kinds(1)
    vague = sum(kind in {"text_tells", "image_tells"} for kind in never)
    assert not any(kind.startswith("conflict") for kind in never)
    assert sum(kind.startswith("conflict") for kind in always) == vague
    assert sum(kind.startswith("conflict") for kind in half) / vague == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("drift", ["image", "text"])
def test_drift_changes_one_modality_and_nothing_else(posts, drift):
    drifted = generate(220, 1, START, END, drift=drift)
    changed = Counter()
    for (old, before), (new, after) in zip(posts, drifted, strict=True):
        assert (new.label, new.pair_type) == (old.label, old.pair_type)
        assert new.post.post_id == old.post.post_id
        assert new.post.created_at == old.post.created_at
        changed["text"] += new.post.text != old.post.text
        changed["image"] += before != after
    told = sum(i.pair_type not in {"image_tells", "image_only"} for i, _ in posts)
    pictures = sum(picture is not None for _, picture in posts)
    expected = told if drift == "text" else pictures
    assert changed == {"text": 0, "image": 0} | {drift: expected}


def test_slang_is_consistent_and_each_word_belongs_to_one_label(posts):
    drifted = generate(220, 1, START, END, drift="text")
    seen: dict[str, set[str | None]] = {}
    for (old, _), (new, _) in zip(posts, drifted, strict=True):
        if old.pair_type in {"both", "text_tells", "text_only"}:
            for word in set(new.post.text.lower().split()) - set(old.post.text.lower().split()):
                seen.setdefault(word.strip("#.,!"), set()).add(old.label)
    assert len(seen) >= 11
    assert all(len(labels) == 1 for labels in seen.values())


def test_pictures_of_two_places_differ_more_than_two_of_one_place(posts):
    small: dict[str | None, list[np.ndarray]] = {}
    for item, picture in posts:
        if picture is not None and item.pair_type in {"both", "image_tells", "image_only"}:
            view = Image.open(io.BytesIO(picture)).resize((8, 8))
            small.setdefault(item.label, []).append(np.asarray(view, dtype=float))
    means = {label: np.mean(views, axis=0) for label, views in small.items()}
    nearest = [
        min(means, key=lambda name, view=view: float(np.abs(means[name] - view).mean())) == label
        for label, views in small.items()
        for view in views
    ]
    assert np.mean(nearest) > 0.5  # even the mean colours of 8 x 8 fields tell: chance is 0.09


def test_a_folder_of_them_reads_back_as_it_was(tmp_path, posts):
    items = with_splits(posts, unlabelled=0.4)
    write_folder(tmp_path, items)
    assert list(read_folder(tmp_path)) == [item for item, _ in items]
    splits = Counter(item.split for item, _ in items)
    assert splits["unlabelled"] / 220 == pytest.approx(0.4, abs=0.1)
    assert splits["train"] > splits["val"] > 0 < splits["test"]
    assert all((i.label is None) == (i.split == "unlabelled") for i, _ in items)
    assert items == with_splits(posts[::-1], unlabelled=0.4)[::-1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"labels": ["home", "moon"]}, "moon"),
        ({"labels": []}, "a label"),
        ({"conflict": 1.5}, "conflict"),
        ({"end": START}, "start < end"),
    ],
)
def test_wrong_use_is_named(arguments, named):
    with pytest.raises(CovlaError, match=named):
        generate(**({"n": 3, "seed": 0, "start": START, "end": END} | arguments))
