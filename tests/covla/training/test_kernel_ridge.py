import torch
from torch.nn import functional as F

from covla.training.kernel_ridge import SCALES, anchors_of, best_scale, fit_kernel_ridge


def points(n: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    labels = torch.arange(n) % 3
    return torch.randn(n, 4, dtype=torch.float64) + 2 * F.one_hot(labels, 4), labels


def test_left_out_is_what_a_fit_without_that_post_says_of_it_and_of_its_copy() -> None:
    rows, labels = points()
    copies = rows + 0.3 * torch.randn_like(rows)
    distance = torch.cdist(rows, rows) ** 2
    ridge = fit_kernel_ridge(distance, labels, 3)
    kernel = torch.exp(-ridge.inverse_width * distance)
    # The ridge that was chosen follows from its own equation: (K + ridge I) weights = target.
    target = F.one_hot(labels, 3).double() - 1 / 3
    lam = ((target - kernel @ ridge.weights) / ridge.weights).median()
    places = torch.arange(len(rows))
    own = ridge.scores_without(distance, places)
    of_copies = torch.cdist(copies, rows) ** 2
    copied = ridge.scores_without(of_copies, places)
    for i in (0, 7, 39):
        rest = torch.arange(len(rows)) != i
        inner = kernel[rest][:, rest] + lam * torch.eye(len(rows) - 1, dtype=torch.float64)
        weights = torch.linalg.solve(inner, target[rest])
        torch.testing.assert_close(kernel[i, rest] @ weights, own[i], rtol=1e-6, atol=1e-8)
        near = torch.exp(-ridge.inverse_width * of_copies[i, rest])
        torch.testing.assert_close(near @ weights, copied[i], rtol=1e-6, atol=1e-8)


def test_posts_that_share_content_are_left_out_together() -> None:
    rows, labels = points()
    labels = torch.randint(0, 3, (40,), generator=torch.Generator().manual_seed(4))
    rows[1], rows[2] = rows[0], rows[0] + 0.01  # copies, and so are two others
    rows[9] = rows[8]
    labels[1] = labels[2] = labels[0]
    groups = torch.arange(40)
    groups[[1, 2]], groups[9] = 0, 8
    distance = torch.cdist(rows, rows) ** 2
    ridge = fit_kernel_ridge(distance, labels, 3, groups=groups)
    kernel = torch.exp(-ridge.inverse_width * distance)
    target = F.one_hot(labels, 3).double() - 1 / 3
    lam = ((target - kernel @ ridge.weights) / ridge.weights).median()
    said = ridge.scores_without(distance, torch.arange(40))
    for i in (0, 1, 2, 8, 9, 20):
        rest = groups != groups[i]
        inner = kernel[rest][:, rest] + lam * torch.eye(int(rest.sum()), dtype=torch.float64)
        weights = torch.linalg.solve(inner, target[rest])
        torch.testing.assert_close(kernel[i, rest] @ weights, said[i], rtol=1e-6, atol=1e-8)


def test_copies_do_not_tell_each_other_their_random_labels() -> None:
    torch.manual_seed(1)
    rows = torch.randn(150, 8, dtype=torch.float64).repeat(2, 1)
    labels, groups = torch.randint(0, 3, (150,)).repeat(2), torch.arange(150).repeat(2)
    distance = torch.cdist(rows, rows) ** 2
    right = {}
    for name, given in (("alone", None), ("together", groups)):
        ridge = fit_kernel_ridge(distance, labels, 3, groups=given)
        said = ridge.scores_without(distance, torch.arange(300))
        right[name] = float((said.argmax(1) == labels).double().mean())
    assert right["alone"] > 0.9
    assert right["together"] < 0.45


def test_random_labels_cannot_be_known_when_left_out() -> None:
    torch.manual_seed(1)
    rows = torch.randn(300, 8, dtype=torch.float64)
    labels = torch.randint(0, 3, (300,))
    distance = torch.cdist(rows, rows) ** 2
    ridge = fit_kernel_ridge(distance, labels, 3)
    said = ridge.scores_without(distance, torch.arange(len(rows)))
    assert (said.argmax(1) == labels).double().mean() < 0.45


def test_a_scale_that_is_too_sure_of_wrong_answers_is_not_chosen() -> None:
    rows, labels = points()
    scores = torch.randn(len(rows), 3, dtype=torch.float64)
    assert best_scale(scores, labels)[1] == SCALES[0]
    assert best_scale(F.one_hot(labels, 3).double(), labels)[1] == SCALES[-1]


def test_support_is_every_usable_post_up_to_a_number() -> None:
    usable = torch.tensor([True, False, True, True])
    assert anchors_of(usable, 0).tolist() == [0, 2, 3]
    many = torch.ones(5000, dtype=torch.bool)
    assert len(set(anchors_of(many, 0).tolist())) == 4000
    assert anchors_of(many, 0).tolist() != anchors_of(many, 1).tolist()
