"""Fits a model's label nodes to the labelled training posts."""

import torch
from torch import Tensor

from covla.model.label_nodes import LabelNodes, roots, squared_distance
from covla.training.kernel_ridge import fit_kernel_ridge


@torch.no_grad()
def fit_label_nodes(
    nodes: LabelNodes, text: Tensor, image: Tensor, labels: Tensor, support: Tensor
) -> Tensor:
    """Fit in place; what the nodes say of every post, n x 3 x C, of a post of `support` as if it
    had been left out: else the model would learn to believe nodes that know the answer.

    Args:
        text, image: n x d_T of length 1 and n x d_V, pooled; zeros where missing.
        labels: n. support: m indices of labelled posts that train.
    """
    image = roots(image)
    classes = nodes.weights.shape[-1]
    nodes.text.copy_(text[support])
    nodes.image.copy_(image[support])
    sides = [text.double(), image.double()]
    there = [side.abs().sum(1) > 0 for side in sides]
    there.append(there[0] & there[1])
    near = [squared_distance(side, side[support]) for side in sides]
    near.append((near[0] + near[1]) / 2)
    said = torch.zeros(len(labels), len(near), classes)
    for k, (distance, known) in enumerate(zip(near, there, strict=True)):
        usable = torch.nonzero(known[support]).flatten()
        rows = support[usable]
        if len(set(labels[rows].tolist())) < 2:
            continue  # it says nothing: no weights
        ridge = fit_kernel_ridge(distance[rows][:, usable], labels[rows], classes)
        nodes.weights[k, usable] = ridge.weights.float()
        nodes.inverse_width[k], nodes.scale[k] = ridge.inverse_width, ridge.scale
        scores = torch.exp(-ridge.inverse_width * distance[:, usable]) @ ridge.weights
        scores[rows] = ridge.left_out
        logits = (ridge.scale * scores).log_softmax(-1).float()
        said[:, k] = (logits - logits.mean(-1, keepdim=True)) * known[:, None]
    return said
