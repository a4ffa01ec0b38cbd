from dataclasses import replace

import torch

from covla.posts.preprocessing import PreparedPost
from covla.posts.training_post import TrainingPost
from covla.settings import Settings
from covla.training.augmentation import with_copies
from covla.training.dataset import PreparedDataset
from tests.covla.posts.test_corrupted_post import prepared_posts


def prepped(items: list[PreparedPost], held: int = 0) -> PreparedDataset:
    posts = [
        TrainingPost(item.post, "home", "holdout" if i < held else "train")
        for i, item in enumerate(items)
    ]
    return PreparedDataset(posts, items, torch.zeros(len(items), dtype=torch.long), 0)


def both_sides(settings: Settings) -> list[PreparedPost]:
    return [p for p in prepared_posts(40, settings) if p.text and p.image is not None][:20]


def test_every_post_that_trains_has_one_copy_with_each_side_noisy(
    offline_settings: Settings,
) -> None:
    items = both_sides(offline_settings)
    data = with_copies(prepped(items, held=5), 2)
    assert data.origin == [i for i in range(5, 20) for _ in range(2)]
    for i, (text, image) in enumerate(zip(data.copies[::2], data.copies[1::2], strict=True), 5):
        assert text.image_hash == items[i].image_hash
        assert image.text_hash == items[i].text_hash
        assert image.image_hash != items[i].image_hash
    changed = [c.text_hash != items[i].text_hash for i, c in enumerate(data.copies[::2], 5)]
    assert sum(changed) > 10
    again = with_copies(prepped(items, held=5), 2).copies
    assert [(c.text, c.image_hash) for c in again] == [(c.text, c.image_hash) for c in data.copies]


def test_held_out_posts_have_copies_after_those_that_train_and_train_nothing(
    offline_settings: Settings,
) -> None:
    items = both_sides(offline_settings)
    plain, more = (with_copies(prepped(items, held=5), 2, held_out=yes) for yes in (False, True))
    assert more.origin == plain.origin + [i for i in range(5) for _ in range(2)]
    assert more.all_rows().trains == plain.all_rows().trains


def test_copies_are_posts_with_their_posts_label_that_no_teacher_learns_from(
    offline_settings: Settings,
) -> None:
    data = with_copies(prepped(both_sides(offline_settings)), 1)
    rows = data.all_rows()
    assert len(rows.posts) == 40
    assert rows.labels.tolist() == [0] * 40
    assert not rows.copies
    assert (data.teacher_labels >= 0).sum() == 20
    assert with_copies(prepped([]), 2).copies == []


def test_a_post_of_one_side_is_never_given_another_posts(offline_settings: Settings) -> None:
    items = [replace(p, image=None, image_hash="") for p in both_sides(offline_settings)]
    data = with_copies(prepped(items), 12)
    texts = {item.text for item in items}
    for copy, i in zip(data.copies, data.origin, strict=True):
        assert copy.image is None
        assert copy.text == items[i].text or copy.text not in texts
