"""Fits a model's label nodes to the training posts: once to those with a label, then to all."""

import hashlib

import torch
from torch import Tensor

from covla.model.label_nodes import LabelNodes, signed_sqrt, squared_distance
from covla.training.kernel_ridge import best_scale, fit_kernel_ridge

# Models of a study that differ elsewhere have the same nodes, and fitting them is half of the work.
KEPT = 2
_LATELY: dict[str, tuple[dict[str, Tensor], Tensor]] = {}


@torch.no_grad()
def fit_label_nodes(
    nodes: LabelNodes,
    text: Tensor,
    image: Tensor,
    labels: Tensor,
    support: Tensor,
    origin: Tensor | None = None,
    groups: Tensor | None = None,
) -> Tensor:
    """Fit in place; the logits of every row, n x 3 x C, of a post of `support` and of its noisy
    copies as if it and its repeats had been left out: else the model would learn to believe nodes
    that know the answer.

    Posts of `support` without a label get the one that nodes of the labelled posts give them, as
    probabilities (self-training, Scudder 1965): with few labels they are most of the posts.

    Args:
        text, image: n x d_T of length 1 and n x d_V, pooled; zeros where missing.
        labels: n, -1 for none. support: m indices of posts that train.
        origin: n, the row that a row is a copy of, its own for posts; None when there are no
            copies.
        groups: n numbers, the group by content; None when no post repeats another.
    """
    origin = torch.arange(len(labels)) if origin is None else origin
    groups = torch.arange(len(labels)) if groups is None else groups
    given = hashlib.sha256(str(nodes.weights.shape).encode())
    for tensor in (text, image, labels, support, origin, groups):
        given.update(tensor.contiguous().numpy().tobytes())
    key = given.hexdigest()
    if key not in _LATELY:
        logits = _fit_twice(nodes, text, signed_sqrt(image), labels, support, origin, groups)
        while len(_LATELY) >= KEPT:
            del _LATELY[next(iter(_LATELY))]
        _LATELY[key] = {name: each.clone() for name, each in nodes.named_buffers()}, logits
    buffers, logits = _LATELY[key]
    for name, buffer in nodes.named_buffers():
        buffer.copy_(buffers[name])
    return logits.clone()


def _fit_twice(
    nodes: LabelNodes,
    text: Tensor,
    image: Tensor,
    labels: Tensor,
    support: Tensor,
    origin: Tensor,
    groups: Tensor,
) -> Tensor:
    own = labels[support]
    labelled = torch.nonzero(own >= 0).flatten()
    if len(labelled) == len(support):
        return _fit(nodes, text, image, labels, support, origin, groups, None)
    # The first fit is asked about the support alone.
    every = torch.arange(len(support))
    among = groups[support]
    product = _fit(nodes, text[support], image[support], own, labelled, every, among, None).sum(1)
    scale = best_scale(product[labelled], own[labelled])[1]
    guesses = torch.zeros(len(labels), product.shape[1])
    guesses[support] = (scale * product).softmax(-1)
    return _fit(nodes, text, image, labels, support, origin, groups, guesses)


def _fit(
    nodes: LabelNodes,
    text: Tensor,
    image: Tensor,
    labels: Tensor,
    support: Tensor,
    origin: Tensor,
    groups: Tensor,
    guesses: Tensor | None,
) -> Tensor:
    """One fit. guesses: n x C probabilities, used where `support` has no label."""
    classes, m = nodes.weights.shape[-1], len(support)
    for buffer in (nodes.text, nodes.image, nodes.weights):
        buffer.zero_()
    nodes.text[:m], nodes.image[:m] = text[support], image[support]
    sides = [text.double(), image.double()]
    there = [side.abs().sum(1) > 0 for side in sides]
    there.append(there[0] & there[1])
    near = [squared_distance(side, side[support]) for side in sides]
    near.append((near[0] + near[1]) / 2)
    found = torch.zeros(len(labels), len(near), classes)
    for k, has in enumerate(there):
        usable = torch.nonzero(has[support]).flatten()
        rows, distance = support[usable], near[k][:, usable]
        if len(set(labels[rows].tolist()) - {-1}) < 2:
            continue  # no weights
        if guesses is None:
            ridge = fit_kernel_ridge(distance[rows], labels[rows], classes, groups=groups[rows])
        else:
            width = float(nodes.inverse_width[k])  # of the first fit
            ridge = fit_kernel_ridge(
                distance[rows], labels[rows], classes, guesses[rows], width, groups[rows]
            )
        nodes.weights[k, usable] = ridge.weights.float()
        nodes.inverse_width[k], nodes.scale[k] = ridge.inverse_width, ridge.scale
        scores = ridge.scores(distance)
        place = torch.full((len(labels),), -1)
        place[rows] = torch.arange(len(rows))
        own = torch.nonzero(place[origin] >= 0).flatten()
        scores[own] = ridge.scores_without(distance[own], place[origin[own]])
        logits = (ridge.scale * scores).log_softmax(-1).float()
        found[:, k] = (logits - logits.mean(-1, keepdim=True)) * has[:, None]
    return found
