"""How far an exported model's answers lie from those of the f32 model it was made from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from covla.arrays import Array
from covla.errors import CovlaError, PostError
from covla.inference.cache import EncodedCache
from covla.inference.latency import time_models
from covla.inference.predictor import Predictor
from covla.metrics import scores
from covla.posts.hashtag_prior import HashtagPrior
from covla.posts.preprocessing import PreparedPost
from covla.posts.training_post import TrainingPost

CHUNK = 32


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Two models on the same posts. Logits are those before the temperature, their differences
    over posts and labels. `exported`, `original` and `per_label` are there when some posts are
    labelled; accuracy per label is its recall."""

    posts: int
    failed: int
    logit_difference: dict[str, float]
    equal_labels: float
    ms_per_post: dict[str, float]
    times_faster: float
    labelled: int
    exported: dict[str, float] | None = None
    original: dict[str, float] | None = None
    per_label: dict[str, dict[str, int | float]] | None = None
    source: Mapping[str, str | int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as parity.json holds it: what there is."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def compare(
    exported: Predictor,
    original: Predictor,
    rows: Sequence[TrainingPost],
    *,
    progress: Callable[[int], None] = lambda done: None,
    source: Mapping[str, str | int] | None = None,
) -> Parity:
    """Both models on the same posts, which are from `source`; timed in turns, through `predict`.

    Raises:
        CovlaError: no post can be used, or a label that the model does not know.
    """
    logits: tuple[list[Array], list[Array]] = ([], [])
    kept: list[TrainingPost] = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        ready = [original.prepare(row.post) for row in part]
        good = [(r, p) for r, p in zip(part, ready, strict=True) if not isinstance(p, PostError)]
        kept += [row for row, _ in good]
        items, priors = [item for _, item in good], [row.priors for row, _ in good]
        logits[0].extend(_logits(exported, items, priors))
        logits[1].extend(_logits(original, items, priors))
        progress(len(part))
    if not kept:
        raise CovlaError("no post to compare the two models on", hint="Give other --posts")
    candidate, baseline = np.stack(logits[0]), np.stack(logits[1])
    difference = np.abs(candidate - baseline)
    posts = [row.post for row in kept[:CHUNK]]
    ms = time_models([exported, original], posts)
    return Parity(
        posts=len(kept),
        failed=len(rows) - len(kept),
        logit_difference={"max": float(difference.max()), "mean": float(difference.mean())},
        equal_labels=float((candidate.argmax(1) == baseline.argmax(1)).mean()),
        ms_per_post={"exported": ms[0], "original": ms[1]},
        times_faster=ms[1] / ms[0],
        source=source,
        **_labelled(exported, kept, candidate, baseline),
    )


def _logits(
    model: Predictor, prepared: Sequence[PreparedPost], priors: Sequence[Mapping[str, HashtagPrior]]
) -> list[Array]:
    encoded = model.encode(prepared, EncodedCache())
    outputs = model.head.run(encoded, model.contexts(prepared, priors))
    temperature = model.head.config.softmax_temperature
    return [output.logits * temperature for output in outputs]


def _labelled(
    model: Predictor, rows: Sequence[TrainingPost], candidate: Array, baseline: Array
) -> dict[str, Any]:
    unknown = sorted({row.label for row in rows if row.label} - set(model.labels))
    if unknown:
        raise CovlaError(f"the model does not know the labels {', '.join(unknown)}")
    where = [i for i, row in enumerate(rows) if row.label]
    if not where:
        return {"labelled": 0}
    labels = np.array([model.labels.index(str(rows[i].label)) for i in where])
    temperature = model.head.config.softmax_temperature
    new, old = (
        scores(softmax(logits[where] / temperature, axis=1), labels, model.labels)
        for logits in (candidate, baseline)
    )
    return {
        "labelled": len(where),
        **{
            side: {key: getattr(score, key) for key in ("accuracy", "macro_f1", "ece")}
            for side, score in (("exported", new), ("original", old))
        },
        "per_label": {
            name: {
                "n": new.per_label[name].n,
                "exported": new.per_label[name].recall,
                "original": old.per_label[name].recall,
            }
            for name in model.labels
            if any(rows[i].label == name for i in where)
        },
    }


def text(parity: Parity, title: str) -> str:
    """The report as a person reads it."""
    lines = [
        title,
        f"{parity.posts} posts, {parity.labelled} of them labelled, {parity.failed} failed",
        f"logit difference    max {parity.logit_difference['max']:.4f}, "
        f"mean {parity.logit_difference['mean']:.5f}",
        f"equal labels        {parity.equal_labels:.4f}",
        f"ms per post         {parity.ms_per_post['exported']:.2f}, "
        f"original {parity.ms_per_post['original']:.2f} "
        f"({parity.times_faster:.2f} times as fast on the machine of the export)",
    ]
    if parity.exported and parity.original and parity.per_label:
        lines += ["", f"{'':<24}{'n':>6}{'exported':>10}{'original':>10}"]
        for key in ("accuracy", "macro_f1", "ece"):
            new, old = parity.exported[key], parity.original[key]
            lines.append(f"{key:<24}{parity.labelled:>6}{new:>10.4f}{old:>10.4f}")
        lines += ["", "accuracy per label"]
        for name, row in parity.per_label.items():
            lines.append(f"{name:<24}{row['n']:>6}{row['exported']:>10.4f}{row['original']:>10.4f}")
    return "\n".join(lines) + "\n"
