import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import torch

from covla.errors import CovlaError
from covla.evaluation.study.posts import StudyPosts, read_posts, with_share, with_unlabelled
from covla.posts.taxonomy import load_taxonomy
from covla.settings import Settings
from covla.training.dataset import PreparedDataset

Change = Callable[[dict[str, object]], None]


@pytest.fixture
def changed(posts_folder: Path, tmp_path: Path) -> Callable[[Change], Path]:
    """The folder with every line of posts.jsonl passed through a function."""

    def make(change: Change) -> Path:
        source = (posts_folder / "posts.jsonl").read_bytes()
        lines = [orjson.loads(line) for line in source.splitlines()]
        for line in lines:
            change(line)
        shutil.copytree(posts_folder / "images", tmp_path / "images")
        (tmp_path / "posts.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)))
        return tmp_path

    return make


def read(folder: Path, split: str = "val") -> StudyPosts:
    return read_posts(folder, split, load_taxonomy(), Settings(state=folder), unlabelled=None)


def test_judged_posts_neither_train_nor_calibrate(posts_folder: Path) -> None:
    posts = read(posts_folder)
    judged = {row.post_id for row in posts.judged}
    assert len(judged) == 24
    assert not judged & {row.post_id for row in posts.train}
    held = [row for row in posts.train if row.split == "holdout"]
    assert 0 < len(held) < 12  # about a tenth of the 48 of split train
    assert sum(row.label is None for row in posts.train) == 20
    assert read(posts_folder).digest == posts.digest


def test_val_calibrates_where_another_split_is_judged(
    posts_folder: Path, changed: Callable[[Change], Path]
) -> None:
    seen = iter(range(1000))

    def to_test(line: dict[str, object]) -> None:
        if line["split"] == "val" and next(seen) % 2:
            line["split"] = "test"

    posts = read(changed(to_test), "test")
    assert len(posts.judged) == 12
    assert sum(row.split == "holdout" for row in posts.train) == 12
    assert sum(row.split == "train" and row.label is not None for row in posts.train) == 48


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_split_that_cannot_be_judged_is_refused(posts_folder: Path, split: str) -> None:
    with pytest.raises(CovlaError, match="learn from split train|no labelled post of split 'dev'"):
        read(posts_folder, split)


def test_a_label_that_one_split_lacks_is_named(changed: Callable[[Change], Path]) -> None:
    def drop(line: dict[str, object]) -> None:
        if line["split"] == "val" and line["label"] == "school":
            line["label"] = "home"

    with pytest.raises(CovlaError, match="'school' is in split 'train' and not in split 'val'"):
        read(changed(drop))


def test_a_label_outside_the_taxonomy_is_named(changed: Callable[[Change], Path]) -> None:
    def spoil(line: dict[str, object]) -> None:
        if line["split"] == "val":
            line["label"] = "spaceship"

    with pytest.raises(CovlaError, match="label: 'spaceship' is not one of"):
        read(changed(spoil))


def test_a_share_of_the_labels_is_stratified_nested_and_seeded(posts_folder: Path) -> None:
    posts = read(posts_folder).train
    taxonomy = load_taxonomy()
    labels = torch.tensor([-1 if r.label is None else taxonomy.index[r.label] for r in posts])
    data = PreparedDataset(posts, [None] * len(posts), labels, 0)  # type: ignore[list-item]
    before = Counter(data.teacher_labels.tolist())
    half, few = with_share(data, 0.5, 0), with_share(data, 0.1, 0)
    for part, share in ((half, 0.5), (few, 0.1)):
        found = Counter(part.teacher_labels.tolist())
        for label in {*before} - {-1}:
            assert found[label] == max(1, round(share * before[label]))
        assert [row.label is None for row in part.posts] == (part.labels < 0).tolist()
        held = ~part.train_mask
        assert torch.equal(part.labels[held], data.labels[held])
    assert ((few.labels < 0) | (half.labels == few.labels)).all()
    assert not torch.equal(with_share(data, 0.5, 1).labels, half.labels)
    assert with_share(data, 1.0, 0) is data


def test_rows_learn_from_the_first_unlabelled_posts_and_their_copies(posts_folder: Path) -> None:
    posts = read(posts_folder).train
    labels = torch.tensor([-1 if r.label is None else 0 for r in posts])
    known, n = int((labels >= 0).sum()), len(posts)
    nothing = [None] * n
    data = PreparedDataset(posts, nothing, labels, 0, list(nothing), list(range(n)))  # type: ignore[arg-type]
    part = with_unlabelled(data, 3)
    assert [row.post_id for row in part.posts] == [row.post_id for row in posts[: known + 3]]
    assert part.origin == list(range(known + 3))
    assert len(part.copies) == len(part.labels) == known + 3
    assert with_unlabelled(data, None) is data
    assert with_unlabelled(data, n) is data
