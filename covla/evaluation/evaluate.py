"""Score a model on labelled posts through the Predictor, which is how it serves."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from covla.errors import CovlaError, PostError
from covla.metrics import scores
from covla.posts.corruptions import IMAGE_KINDS, TEXT_KINDS
from covla.posts.seen import unseen
from covla.posts.training_post import TrainingPost
from covla.registry.registry import Registry
from covla.settings import Settings

CHUNK = 64


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
) -> dict[str, Any]:
    """accuracy, macro_f1, weighted_f1, ece, per_label, per_pair_type, n, mean gate, how many posts
    could not be used (they count as wrong nowhere, and are named in `failed`), and how many share
    their content with what the model trained on (`repeats_of_training`; they do count).

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
    said, truth, kinds, gates, failed = [], [], [], [], 0
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
            said.append(list(answer.probabilities.values()))
            truth.append(index[str(row.label)])
            kinds.append(row.pair_type)
            gates.append(answer.gate)
    if not said:
        raise CovlaError(f"no post to score that has {modality}")
    found = asdict(scores(np.array(said), np.array(truth), predictor.labels, kinds))
    return found | {
        "mean_gate": float(np.mean(gates)),
        "failed": failed,
        "repeats_of_training": len(rows) - len(fresh),
        "model_version": predictor.version,
        "modality": modality,
        "noise": noise,
        "level": level,
    }


def _only(item: Any, modality: str) -> Any:
    if modality == "text":
        return replace(item, image=None, image_bytes=None, image_hash="", image_quality={})
    if modality == "image":
        return replace(item, text="", text_hash="", text_quality={}, hashtags=[], lang="und")
    return item
