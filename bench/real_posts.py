"""Accuracy on the development posts: CoVLA against a concat head on the same frozen features.

`python -m bench.real_posts --posts DIR --seeds 5 --json`. Both are trained by `covla train` on
split train (a concat head without teacher and stage 1, as it is usually built) and scored on split
val by the serving code; encoded posts are cached, so the first run takes longer. `seconds` is a
whole `covla train` of CoVLA, encoding and teacher included when nothing is cached.
"""

import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from bench import arguments, report
from covla.labels import load_taxonomy
from covla.settings import get_settings
from covla.training.data import from_folder
from covla.training.judge import judge, labelled_posts
from covla.training.plan import Plan
from covla.training.run import train
from covla.training.trainer import Recipe

DEFAULT_POSTS = "../shared/data/realposts"


def main() -> None:
    """Train and score both, seed by seed in turns."""
    args = arguments(
        "Accuracy on real posts", posts=DEFAULT_POSTS, seeds=5, unlabelled=1000, split="val"
    )
    settings, folder, taxonomy = get_settings(), Path(args.posts), load_taxonomy()
    rows = from_folder(folder, "train", settings, unlabelled=args.unlabelled)
    judged = labelled_posts(folder, None, args.split, settings)
    plans = {
        "covla": Plan(),
        "concat": Plan(arch="concat", teacher="none", recipe=Recipe(pretrain_epochs=0)),
    }
    accuracy: dict[str, list[float]] = {name: [] for name in plans}
    f1: dict[str, list[float]] = {name: [] for name in plans}
    took = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(args.seeds):
            for name, plan in plans.items():
                out = Path(scratch) / f"{name}-{seed}"
                seeded = replace(plan, recipe=replace(plan.recipe, seed=seed))
                done = train(rows, seeded, out, taxonomy, settings)
                found = judge(judged, str(out), settings)
                accuracy[name].append(found["accuracy"])
                f1[name].append(found["macro_f1"])
                if name == "covla":
                    took.append(done["seconds"])
    deviation = {k: round(statistics.pstdev(v), 4) for k, v in accuracy.items()}
    about = {
        "macro_f1": {name: round(statistics.mean(values), 4) for name, values in f1.items()},
        "seeds": args.seeds,
        "std": deviation,
        "n": len(judged),
        "train_seconds": took,
    }
    report(
        "real_posts",
        accuracy["covla"],
        accuracy["concat"],
        unit="accuracy",
        notes=json.dumps(about),
        quiet=args.json,
    )


if __name__ == "__main__":
    main()
