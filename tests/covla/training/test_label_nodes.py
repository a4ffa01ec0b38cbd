import pytest
import torch
from torch.nn import functional as F

from covla.model.configuration import CovlaConfig
from covla.model.label_nodes import LabelNodes
from covla.training import label_nodes
from covla.training.label_nodes import fit_label_nodes


def fitted() -> tuple[LabelNodes, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Nodes made of 60 of 90 posts whose text and image both tell the label; the last 5 posts have
    no text, post 0 has no image."""
    torch.manual_seed(0)
    labels = torch.arange(90) % 3
    text = F.normalize(torch.randn(90, 6) + 3 * F.one_hot(labels, 6), dim=-1)
    image = torch.randn(90, 8) + 3 * F.one_hot(labels, 8)
    text[-5:], image[0] = 0, 0
    taught = torch.where(torch.arange(90) < 60, labels, -1)
    config = CovlaConfig(text_width=6, image_width=8, labels=list("abc"), width=4, support=60)
    nodes = LabelNodes(config)
    said = fit_label_nodes(nodes, text, image, taught, torch.arange(60))
    return nodes, said, text, image


def test_a_model_says_of_a_new_post_what_fitting_said() -> None:
    nodes, said, text, image = fitted()
    there = text[60:].abs().sum(1) > 0
    answers = nodes(
        text[60:, None], there[:, None], image[60:, None], torch.ones(30, dtype=torch.bool)
    )
    torch.testing.assert_close(answers, said[60:], rtol=1e-3, atol=1e-4)


def test_new_posts_are_known_and_a_missing_side_is_silent() -> None:
    _, said, _, _ = fitted()
    truth = torch.arange(90) % 3
    assert (said[60:85].sum(1).argmax(1) == truth[60:85]).float().mean() > 0.9
    assert not said[-5:, 0].any()
    assert not said[-5:, 2].any()
    assert said[-5:, 1].abs().sum() > 0
    assert not said[0, 1].any()


def test_a_post_is_not_told_its_own_label() -> None:
    torch.manual_seed(1)
    labels = torch.randint(0, 3, (200,))
    config = CovlaConfig(text_width=6, image_width=8, labels=list("abc"), width=4, support=200)
    text = F.normalize(torch.randn(200, 6), dim=-1)
    nodes = LabelNodes(config)
    said = fit_label_nodes(nodes, text, torch.randn(200, 8), labels, torch.arange(200))
    assert (said.sum(1).argmax(1) == labels).float().mean() < 0.45


def test_a_noisy_copy_is_not_told_the_label_of_its_post() -> None:
    torch.manual_seed(1)
    labels = torch.randint(0, 3, (200,))
    config = CovlaConfig(text_width=6, image_width=8, labels=list("abc"), width=4, support=200)
    text = F.normalize(torch.randn(200, 6), dim=-1)
    image = torch.randn(200, 8)
    copies = image + 0.01 * torch.randn(200, 8)
    given = torch.cat([text, text]), torch.cat([image, copies])
    taught = torch.cat([labels, torch.full((200,), -1)])
    origin = torch.arange(200).repeat(2)
    told = fit_label_nodes(LabelNodes(config), *given, taught, torch.arange(200))
    assert (told[200:].sum(1).argmax(1) == labels).float().mean() > 0.6
    said = fit_label_nodes(LabelNodes(config), *given, taught, torch.arange(200), origin)
    assert (said[200:].sum(1).argmax(1) == labels).float().mean() < 0.45
    torch.testing.assert_close(said[:200], told[:200])


def test_the_same_posts_are_fitted_once_and_other_labels_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, said, text, image = fitted()
    calls = []
    monkeypatch.setattr(label_nodes, "_fit", lambda *given: calls.append(given))
    again, same, *_ = fitted()
    assert not calls
    assert torch.equal(said, same)
    for name, buffer in again.named_buffers():
        assert torch.equal(buffer, dict(first.named_buffers())[name])
    said.zero_()  # what a caller does with its answer is its own matter
    assert fitted()[1].any()
    monkeypatch.undo()
    taught = torch.where(torch.arange(90) < 60, (torch.arange(90) + 1) % 3, -1)
    other = fit_label_nodes(again, text, image, taught, torch.arange(60))
    assert not torch.equal(other, same)


def test_with_few_labels_posts_without_one_bring_more() -> None:
    torch.manual_seed(3)
    labels = torch.arange(330) % 3
    text = F.normalize(torch.randn(330, 12) + 2 * F.one_hot(labels, 12), dim=-1)
    image = torch.randn(330, 12) + 2 * F.one_hot(labels, 12)
    taught = torch.where(torch.arange(330) < 9, labels, -1)
    right = []
    for support in (torch.arange(9), torch.arange(230)):
        config = CovlaConfig(
            text_width=12, image_width=12, labels=list("abc"), width=4, support=len(support)
        )
        said = fit_label_nodes(LabelNodes(config), text, image, taught, support)
        right.append(float((said[230:].sum(1).argmax(1) == labels[230:]).float().mean()))
    assert right[1] > right[0] + 0.02
