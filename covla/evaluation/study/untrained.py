"""Rows that the trainer does not fit: nearest label description, label nodes alone, the teacher."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from covla.arrays import Array
from covla.evaluation.study.inputs import Inputs
from covla.evaluation.study.run_result import RunResult
from covla.evaluation.study.study_teacher import StudyTeacher
from covla.inference.text_image_similarity import Agreement
from covla.model.configuration import CovlaConfig
from covla.model.encoders import Encoders
from covla.model.label_nodes import LabelNodes
from covla.model.pooling_torch import pool_posts
from covla.posts.preprocessing import PreparedPost
from covla.posts.taxonomy import Taxonomy
from covla.settings import Settings
from covla.training.kernel_ridge import anchors_of
from covla.training.label_nodes import fit_label_nodes
from covla.training.temperature import fit_temperature

# Cosines lie close together: this brings them to where the temperature's grid looks.
SCALE = 20.0


@dataclass
class _Description:
    text: str
    image: None = None


def zero_shot(
    inputs: Inputs, encoders: Encoders, taxonomy: Taxonomy, settings: Settings
) -> RunResult:
    """Sum of the cosines of a post's text and of its image to each label's description.

    The image comes into the text space by its ImageNet classes (ConSE, see
    covla.inference.text_image_similarity); nothing is trained. A modality that is missing
    adds nothing.
    """
    started = time.process_time()
    agreement = Agreement.load(settings)
    encoded = encoders.encode([_Description(label.description) for label in taxonomy.labels])
    labels = np.stack([row.text_embedding for row in encoded if row.text_embedding is not None])
    widths = (encoders.text_width, encoders.image_width)

    def ask(items: list[PreparedPost]) -> Array:
        text, image = (side.double().numpy() for side in pool_posts(inputs.features(items), widths))
        there = np.array([[bool(item.text_hash), bool(item.image_hash)] for item in items])
        lifted = agreement.lift(image)
        both: Array = SCALE * (text * there[:, :1] + lifted * there[:, 1:]) @ labels.T
        return both.astype(np.float32)

    held = ask([inputs.train.prepared[i] for i in inputs.train.holdout])
    noisy = [ask(items) for items in inputs.noisy.values()]
    return _result(inputs, ask(inputs.judged.prepared), held, noisy, started)


def ensemble_teacher(inputs: Inputs, teaching: StudyTeacher, seed: int) -> RunResult:
    """The ensemble itself, on the evaluated posts."""
    started = time.process_time()
    logits = teaching.logits(inputs.train, seed)
    clean, held = logits[len(inputs.train.posts) :], logits[inputs.train.holdout]
    return _result(inputs, clean, held, [], started)


def label_nodes_alone(inputs: Inputs, seed: int) -> RunResult:
    """The product of CoVLA's label nodes, without the rest of CoVLA."""
    started = time.process_time()
    data, shape = inputs.usual, inputs.shape
    support = anchors_of(data.teacher_labels >= 0, seed, data.train_mask & (data.labels < 0))
    config = CovlaConfig(
        text_width=shape.text_width, image_width=shape.image_width,
        labels=inputs.taxonomy.names, support=len(support),
    )  # fmt: skip
    parts = [data.prepared, inputs.judged.prepared, *inputs.noisy.values()]
    widths = shape.text_width, shape.image_width
    # Pooled part by part: the features of all would fill the memory.
    text, image = (
        torch.cat(side)
        for side in zip(*(pool_posts(inputs.features(part), widths) for part in parts), strict=True)
    )
    labels = torch.full((len(text),), -1)
    labels[: len(data.posts)] = data.teacher_labels
    # Only the groups of what it is fitted to matter; no other row is in one of them.
    groups = torch.cat([data.groups, torch.arange(len(data.posts), len(text))])
    nodes = LabelNodes(config)
    logits = fit_label_nodes(nodes, text, image, labels, support, groups=groups).sum(1).numpy()
    clean, *noisy = np.split(logits[len(data.posts) :], 1 + len(inputs.noisy))
    return _result(inputs, clean, logits[data.holdout], noisy, started)


def _result(
    inputs: Inputs, clean: Array, held: Array, noisy: list[Array], started: float
) -> RunResult:
    """Of logits: of the evaluated posts, of the holdout, which fit the temperature, and of each
    condition."""
    labels = inputs.train.labels[inputs.train.holdout]
    temperature = fit_temperature(torch.from_numpy(held), labels) if len(held) else 1.0
    gate = np.full(len(clean), np.nan, np.float32)
    result = RunResult(clean, gate, temperature, 0, time.process_time() - started)
    if noisy:
        result.conditions = list(inputs.noisy)
        result.noisy_logits = np.stack(noisy)
        result.noisy_gate = np.full(result.noisy_logits.shape[:2], np.nan, np.float32)
    return result
