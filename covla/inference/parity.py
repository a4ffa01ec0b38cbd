"""How far an exported model's answers lie from those of the f32 model it was made from."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.special import softmax

from covla.arrays import Array
from covla.errors import CovlaError, PostError
from covla.inference.cache import EncodedCache
from covla.inference.latency import time_models
from covla.inference.predictor import Predictor
from covla.metrics import scores
from covla.posts.preprocessing import PreparedPost
from covla.posts.training_post import TrainingPost

CHUNK = 32


def compare(
    exported: Predictor,
    original: Predictor,
    rows: Sequence[TrainingPost],
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Both models on the same posts.

    Returns:
        posts, failed, labelled; logit_difference (max and mean over posts and labels, of logits
        before the temperature), equal_labels (share), times_faster (in turns, through `predict`);
        and of the labelled posts, `exported` and `original` with accuracy, macro_f1 and ece, and
        per_label with n and the accuracy (recall) of both.

    Raises:
        CovlaError: no post can be used, or a label that the model does not know.
    """
    said: tuple[list[Array], list[Array]] = ([], [])
    kept: list[TrainingPost] = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        ready = [original.prepare(row.post) for row in part]
        good = [(r, p) for r, p in zip(part, ready, strict=True) if not isinstance(p, PostError)]
        kept += [row for row, _ in good]
        items, priors = [item for _, item in good], [row.priors for row, _ in good]
        said[0].extend(_logits(exported, items, priors))
        said[1].extend(_logits(original, items, priors))
        progress(len(part))
    if not kept:
        raise CovlaError("no post to compare the two models on", hint="Give other --posts")
    ours, theirs = np.stack(said[0]), np.stack(said[1])
    apart = np.abs(ours - theirs)
    posts = [row.post for row in kept[:CHUNK]]
    ms = time_models([exported, original], posts)
    return {
        "posts": len(kept),
        "failed": len(rows) - len(kept),
        "logit_difference": {"max": float(apart.max()), "mean": float(apart.mean())},
        "equal_labels": float((ours.argmax(1) == theirs.argmax(1)).mean()),
        "ms_per_post": {"exported": ms[0], "original": ms[1]},
        "times_faster": ms[1] / ms[0],
        **_labelled(exported, kept, ours, theirs),
    }


def _logits(
    model: Predictor, prepared: Sequence[PreparedPost], priors: Sequence[Any]
) -> list[Array]:
    encoded = model.encode(prepared, EncodedCache())
    outputs = model.head.run(encoded, model.contexts(prepared, priors))
    temperature = model.head.config.softmax_temperature
    return [output.logits * temperature for output in outputs]


def _labelled(
    model: Predictor, rows: Sequence[TrainingPost], ours: Array, theirs: Array
) -> dict[str, Any]:
    unknown = sorted({row.label for row in rows if row.label} - set(model.labels))
    if unknown:
        raise CovlaError(f"the model does not know the labels {', '.join(unknown)}")
    where = [i for i, row in enumerate(rows) if row.label]
    if not where:
        return {"labelled": 0}
    truth = np.array([model.labels.index(str(rows[i].label)) for i in where])
    temperature = model.head.config.softmax_temperature
    found = [
        asdict(scores(softmax(logits[where] / temperature, axis=1), truth, model.labels))
        for logits in (ours, theirs)
    ]
    new, old = found
    return {
        "labelled": len(where),
        **{
            side: {key: score[key] for key in ("accuracy", "macro_f1", "ece")}
            for side, score in (("exported", new), ("original", old))
        },
        "per_label": {
            name: {
                "n": new["per_label"][name]["n"],
                "exported": _recall(new, name),
                "original": _recall(old, name),
            }
            for name in model.labels
            if any(rows[i].label == name for i in where)
        },
    }


def _recall(score: dict[str, Any], name: str) -> float:
    return float(score["per_label"][name]["recall"])


def text(found: dict[str, Any], title: str) -> str:
    """The report as a person reads it."""
    lines = [
        title,
        f"{found['posts']} posts, {found['labelled']} of them labelled, {found['failed']} failed",
        f"logit difference    max {found['logit_difference']['max']:.4f}, "
        f"mean {found['logit_difference']['mean']:.5f}",
        f"equal labels        {found['equal_labels']:.4f}",
        f"ms per post         {found['ms_per_post']['exported']:.2f}, "
        f"original {found['ms_per_post']['original']:.2f} "
        f"({found['times_faster']:.2f} times as fast on the machine of the export)",
    ]
    if found["labelled"]:
        lines += ["", f"{'':<24}{'n':>6}{'exported':>10}{'original':>10}"]
        for key in ("accuracy", "macro_f1", "ece"):
            new, old = found["exported"][key], found["original"][key]
            lines.append(f"{key:<24}{found['labelled']:>6}{new:>10.4f}{old:>10.4f}")
        lines += ["", "accuracy per label"]
        for name, row in found["per_label"].items():
            lines.append(f"{name:<24}{row['n']:>6}{row['exported']:>10.4f}{row['original']:>10.4f}")
    return "\n".join(lines) + "\n"
