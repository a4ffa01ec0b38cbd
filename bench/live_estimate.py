"""How far the accuracy that probabilities promise lies from the accuracy that labels give.

A model predicts the held-out posts of a folder, clean and with noise in the text or the image of
every post. Ours is the largest distance in points between `monitoring.estimate.estimated_accuracy`
and the measured accuracy over these conditions; the reference are the 3 points that it should stay
below. In the notes are the version's `sharpness` and `deviation`, the standard error of the
measured accuracy.

    python -m bench.live_estimate --json --model FOLDER --posts FOLDER
"""

from pathlib import Path

import numpy as np

from bench import arguments, report
from covla.errors import PostError
from covla.files import read_object
from covla.inference.cache import EncodedCache
from covla.inference.predictor import Predictor
from covla.metrics import proportion
from covla.posts.corrupted_post import corrupt_all
from covla.posts.dataset import folder_split
from covla.registry.registry import Registry
from covla.settings import get_settings
from monitoring.estimate import estimated_accuracy, sharpened

LEVELS = (0.1, 0.2, 0.3)
CONDITIONS = [("clean", 0.0)] + [(side, level) for side in ("text", "image") for level in LEVELS]
LIMIT = 3.0  # points


def main() -> None:
    """Print one result line."""
    args = arguments("Estimated against measured accuracy", model="champion", posts="", split="val")
    settings = get_settings()
    predictor = Predictor.load(args.model, settings)
    _, folder = Registry(settings).resolve(args.model)
    sharpness = read_object(folder / "metrics.json").get("sharpness", 1.0)
    posts = [row for row in folder_split(Path(args.posts), args.split, settings) if row.label]
    prepared = [predictor.prepare(row.post) for row in posts]
    pairs = [
        (item, row)
        for item, row in zip(prepared, posts, strict=True)
        if not isinstance(item, PostError)
    ]
    items, rows = [item for item, _ in pairs], [row for _, row in pairs]
    y_true = [row.label for row in rows]
    cache, each, distances = EncodedCache(), {}, []
    for side, level in CONDITIONS:
        noisy = items if side == "clean" else corrupt_all(items, side, level, 0)
        encoded = predictor.encode(noisy, cache)
        answers = predictor.answer(noisy, encoded, [row.priors for row in rows])
        matrix = np.array([list(answer.probabilities.values()) for answer in answers])
        hits = sum(a.label == label for a, label in zip(answers, y_true, strict=True))
        measured, estimate = (
            proportion(hits, len(rows)),
            estimated_accuracy(sharpened(matrix, sharpness)),
        )
        distances.append(100 * abs(estimate.value - measured.value))
        each[f"{side} {level:.0%}"] = {
            "measured": round(measured.value, 4),
            "estimated": round(estimate.value, 4),
            "deviation": round((measured.value * (1 - measured.value) / len(rows)) ** 0.5, 4),
        }
    if not args.json:
        for name, row in each.items():
            print(name, row)
    report(
        "live_estimate",
        [max(distances)],
        [LIMIT],
        unit="points",
        notes=f"{len(rows)} posts, sharpness {sharpness:.2f}; {each}",
        quiet=args.json,
    )


if __name__ == "__main__":
    main()
