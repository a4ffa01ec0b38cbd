"""Score a model on labelled posts through the Predictor, which is how it serves."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from covla.errors import CovlaError, PostError
from covla.metrics import Scores, scores
from covla.posts.corruptions import IMAGE_KINDS, TEXT_KINDS
from covla.posts.preprocessing import PreparedPost
from covla.posts.seen import unseen
from covla.posts.training_post import TrainingPost
from covla.registry.registry import Registry
from covla.settings import Settings

CHUNK = 64


@dataclass(frozen=True)
class Evaluation:
    """`scores` as covla.metrics has them; how many posts could not be used (`failed`: they count
    as wrong nowhere), and how many share their content with what the model trained on
    (`repeats_of_training`: they do count)."""

    scores: Scores
    mean_gate: float
    failed: int
    repeats_of_training: int
    model_version: str
    modality: str
    noise: str | None
    level: float

    def as_dict(self) -> dict[str, Any]:
        """One level of plain data, as `covla evaluate` prints it."""
        return asdict(self.scores) | {k: v for k, v in asdict(self).items() if k != "scores"}


def _noise(name: str | None, level: float) -> tuple[str, str]:
    """`text:swap` to its side and kind."""
    if name is None:
        if level:
            raise CovlaError("level: noise needs a kind", hint="Give --noise text:swap, say")
        return "", ""
    side, _, kind = name.partition(":")
    kinds = {"text": TEXT_KINDS, "image": IMAGE_KINDS}.get(side, ())
    if kind not in kinds:
        every = [f"text:{k}" for k in TEXT_KINDS] + [f"image:{k}" for k in IMAGE_KINDS]
        raise CovlaError(f"noise: {name!r} is not one of {', '.join(every)}")
    return side, kind


def judge(
    rows: list[TrainingPost],
    ref: str,
    settings: Settings,
    *,
    modality: str = "both",
    noise: str | None = None,
    level: float = 0.0,
    seed: int = 0,
) -> Evaluation:
    """accuracy, macro_f1, weighted_f1, ece, per_label, per_pair_type and n, with the mean gate.

    Args:
        ref: champion, challenger, previous, a version, or a model folder.
        modality: "both", or the only side that the model is shown; posts without it are left out.
        noise: `text:KIND` or `image:KIND`, at `level` in 0..1, drawn from `seed` and post id.

    Raises:
        CovlaError: no such model, a label it does not know, or no post with that modality.
    """
    from covla.inference.predictor import Predictor
    from covla.posts.corrupted_post import corrupt_all

    side, kind = _noise(noise, level)
    predictor = Predictor.load(ref, settings)
    index = {name: i for i, name in enumerate(predictor.labels)}
    for row in rows:
        if row.label not in index:
            raise CovlaError(
                f"post {row.post_id}: label {row.label!r} is not one of the model's",
                hint="Evaluate on posts of the taxonomy that it was trained on",
            )
    fresh, _ = unseen(rows, [Registry(settings).resolve(ref)[1]], settings)
    probabilities, labels, kinds, gates, failed = [], [], [], [], 0
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        ready = [predictor.prepare(row.post) for row in part]
        good = [(r, p) for r, p in zip(part, ready, strict=True) if not isinstance(p, PostError)]
        failed += len(part) - len(good)
        if side:
            noisy = corrupt_all([p for _, p in good], side, level, seed, kind)
            good = [(r, item) for (r, _), item in zip(good, noisy, strict=True)]
        shown = [(r, _only(p, modality)) for r, p in good]
        kept = [(r, p) for r, p in shown if p.text or p.image is not None]
        if not kept:
            continue
        prepared = [p for _, p in kept]
        priors = [r.priors for r, _ in kept]
        answers = predictor.answer(prepared, predictor.encode(prepared), priors)
        for (row, _), answer in zip(kept, answers, strict=True):
            probabilities.append(list(answer.probabilities.values()))
            labels.append(index[str(row.label)])
            kinds.append(row.pair_type)
            gates.append(answer.gate)
    if not probabilities:
        raise CovlaError(f"no post to score that has {modality}")
    return Evaluation(
        scores(np.array(probabilities), np.array(labels), predictor.labels, kinds),
        float(np.mean(gates)), failed, len(rows) - len(fresh), predictor.version,
        modality, noise, level,
    )  # fmt: skip


def _only(item: PreparedPost, modality: str) -> PreparedPost:
    if modality == "text":
        return replace(item, image=None, image_bytes=None, image_hash="", image_quality={})
    if modality == "image":
        return replace(item, text="", text_hash="", text_quality={}, hashtags=[], lang="und")
    return item
