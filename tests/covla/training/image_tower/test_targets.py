"""What the image tower is asked to say of each post."""

import numpy as np
import torch

from covla.arrays import FloatArray
from covla.posts.preprocessing import PreparedPost
from covla.posts.training_post import TrainingPost
from covla.training.dataset import PreparedDataset
from covla.training.image_tower.targets import targets
from tests.features.posts import make_post

NAMES = ("home", "shop")


def dataset(labels: list[int], held: int = 0) -> PreparedDataset:
    """Posts of these labels (-1: none), the last `held` of which do not train."""
    posts = [
        TrainingPost(
            make_post(i, post_id=f"p-{i}"),
            None if label < 0 else NAMES[label],
            "train" if i < len(labels) - held else "val",
        )
        for i, label in enumerate(labels)
    ]
    prepared: list[PreparedPost] = []  # is not looked at
    return PreparedDataset(posts, prepared, torch.tensor(labels), 0)


def speaking(labels: list[int]) -> FloatArray:
    """Vectors of a teacher that is nearly always right, also of posts without a label."""
    draw = np.random.default_rng(0)
    centres = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return np.asarray(centres[labels] + draw.normal(0, 0.1, (len(labels), 3)), np.float32)


def test_label_and_teacher_each_have_their_share() -> None:
    truth = [0, 1] * 20
    known = [*truth[:30], *[-1] * 10]
    given = targets(dataset(known), speaking(truth), 2, seed=0, label=0.5)
    assert given.shape == (40, 2)
    torch.testing.assert_close(given.sum(1), torch.ones(40))
    assert given.argmax(1).tolist() == truth
    teacher = targets(dataset(known), speaking(truth), 2, seed=0, label=0.0)
    torch.testing.assert_close(given[30:], teacher[30:])
    hard = torch.nn.functional.one_hot(torch.tensor(truth[:30]), 2)
    torch.testing.assert_close(given[:30], 0.5 * hard + 0.5 * teacher[:30])


def test_a_wrong_label_is_not_repeated_by_the_teacher() -> None:
    truth = [0, 1] * 20
    mislabelled = [1, *truth[1:]]
    soft = targets(dataset(mislabelled), speaking(truth), 2, seed=0, label=0.0)
    assert soft[0].argmax() == 0


def test_where_nobody_says_anything_there_is_nothing_to_learn() -> None:
    vectors = speaking([0, 1] * 20)
    vectors[[0, 39]] = np.nan
    given = targets(dataset([0, 1] * 15 + [-1] * 10), vectors, 2, seed=0, label=0.5)
    assert given[0].tolist() == [1.0, 0.0]  # its label alone
    assert given[39].isnan().all()
    assert not given[:39].isnan().any()
    alone = targets(dataset([0, 1, -1]), None, 2, seed=0, label=0.5)
    assert alone[:2].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert alone[2].isnan().all()


def test_the_label_of_a_held_out_post_is_not_told() -> None:
    truth = [0, 1] * 20
    told = targets(dataset(truth, held=4), speaking(truth), 2, seed=0, label=1.0)
    other = targets(dataset([*truth[:36], 1, 0, 1, 0], held=4), speaking(truth), 2, 0, 1.0)
    torch.testing.assert_close(told, other)


def test_one_label_alone_teaches_by_itself() -> None:
    given = targets(dataset([0] * 10 + [-1] * 5), speaking([0] * 15), 2, seed=0, label=0.5)
    assert given[0].tolist() == [1.0, 0.0]
    assert given[10:].isnan().all()
