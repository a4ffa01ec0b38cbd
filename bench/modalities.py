"""Accuracy on synthetic posts: CoVLA against the better single modality, same encoders and posts.

`python -m bench.modalities --json`. All three are trained by the code of `covla train` and scored
on other posts by the serving code. The numbers say that fusion works; nothing of real posts.
"""

import json
import statistics
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench import arguments, report
from covla.evaluation.evaluate import judge
from covla.posts.splits import grouped, hold_out
from covla.posts.synthetic import generate
from covla.posts.taxonomy import load_taxonomy
from covla.posts.training_post import TrainingPost
from covla.settings import get_settings
from covla.training.config import Plan
from covla.training.recipe import Recipe
from covla.training.run import train
from covla.training.teachers.resolve import NO_TEACHER

START, END = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 8, tzinfo=UTC)


def posts(count: int, seed: int) -> list[TrainingPost]:
    """Labelled synthetic posts."""
    made = generate(count, seed, START, END)
    rows = [TrainingPost(item.post, item.label, pair_type=item.pair_type) for item, _ in made]
    return hold_out(grouped(rows, get_settings()), 0.2)


def main() -> None:
    """Train and score the three, seed by seed in turns."""
    args = arguments("Accuracy on synthetic posts", seeds=3, posts=800, judged=400)
    settings, taxonomy = get_settings(), load_taxonomy()
    plain = Recipe(pretrain_epochs=0, noisy_copies=0)
    plans = {
        "covla": Plan(),
        "text": Plan(arch="text", teacher=NO_TEACHER, recipe=plain),
        "image": Plan(arch="image", teacher=NO_TEACHER, recipe=plain),
    }
    accuracy: dict[str, list[float]] = {name: [] for name in plans}
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(args.seeds):
            learned, judged = posts(args.posts, 100 + seed), posts(args.judged, 200 + seed)
            for name, plan in plans.items():
                out = Path(scratch) / f"{name}-{seed}"
                seeded = replace(plan, recipe=replace(plan.recipe, seed=seed))
                train(learned, seeded, out, taxonomy, settings)
                accuracy[name].append(judge(judged, str(out), settings).scores.accuracy)
    better = max(("text", "image"), key=lambda name: statistics.mean(accuracy[name]))
    report(
        "modalities",
        accuracy["covla"],
        accuracy[better],
        unit="accuracy",
        notes=json.dumps({"reference": better, "accuracy": accuracy, "seeds": args.seeds}),
        quiet=args.json,
    )


if __name__ == "__main__":
    main()
