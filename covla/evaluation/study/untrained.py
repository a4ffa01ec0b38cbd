"""Rows that the trainer does not fit: nearest label description, label nodes alone, the teacher."""

import time

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
from covla.model.pooling import pool_posts
from covla.posts.preprocessing import PreparedPost
from covla.posts.taxonomy import Taxonomy
from covla.settings import Settings
from covla.training.dataset import PreparedDataset
from covla.training.kernel_ridge import anchors_of
from covla.training.label_nodes import fit_label_nodes
from covla.training.temperature import fit_temperature

# Cosines lie close together: this brings them to where the temperature's grid looks.
SCALE = 20.0


class _Description:
    image = None

    def __init__(self, text: str) -> None:
        self.text = text


def _temperature(inputs: Inputs, logits: Array) -> float:
    """Fitted on the holdout, whose logits these are."""
    held = _held(inputs.train)
    return fit_temperature(torch.from_numpy(logits), inputs.train.labels[held]) if held else 1.0


def _held(data: PreparedDataset) -> list[int]:
    rows: list[int] = torch.nonzero(~data.train_mask & (data.labels >= 0)).flatten().tolist()
    return rows


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

    data = inputs.train
    outcome = _without_gate(ask(inputs.judged.prepared))
    outcome.temperature = _temperature(inputs, ask([data.prepared[i] for i in _held(data)]))
    _add_noise(outcome, inputs, [ask(items) for items in inputs.noisy.values()])
    outcome.cpu_seconds = time.process_time() - started
    return outcome


def ensemble_teacher(inputs: Inputs, teaching: StudyTeacher, seed: int) -> RunResult:
    """What the ensemble says of the judged posts."""
    started = time.process_time()
    said = teaching.says(inputs.train, seed)
    outcome = _without_gate(said[len(inputs.train.posts) :])
    outcome.temperature = _temperature(inputs, said[_held(inputs.train)])
    outcome.cpu_seconds = time.process_time() - started
    return outcome


def label_nodes_alone(inputs: Inputs, seed: int) -> RunResult:
    """The product of what CoVLA's label nodes say, without the rest of CoVLA."""
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
    said = fit_label_nodes(nodes, text, image, labels, support, groups=groups).sum(1).numpy()
    clean, *noisy = np.split(said[len(data.posts) :], 1 + len(inputs.noisy))
    outcome = _without_gate(clean)
    outcome.temperature = _temperature(inputs, said[_held(data)])
    _add_noise(outcome, inputs, noisy)
    outcome.cpu_seconds = time.process_time() - started
    return outcome


def _add_noise(outcome: RunResult, inputs: Inputs, logits: list[Array]) -> None:
    if logits:
        outcome.conditions = list(inputs.noisy)
        outcome.noisy_logits = np.stack(logits)
        outcome.noisy_gate = np.full(outcome.noisy_logits.shape[:2], np.nan, np.float32)


def _without_gate(logits: Array) -> RunResult:
    return RunResult(logits, np.full(len(logits), np.nan, np.float32), 1.0, 0, 0.0)
