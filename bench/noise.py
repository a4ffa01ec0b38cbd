"""Two model folders under each kind of noise: `python -m bench.noise --ours A --reference B`.

Accuracy and mean gate on a split of a posts folder, for clean posts and for each kind at one level.
Noise is drawn from the post's id, so both models see the same.
"""

import json
from pathlib import Path

from bench import arguments
from covla.errors import CovlaError
from covla.evaluation.evaluate import judge
from covla.posts.corruptions import IMAGE_KINDS, TEXT_KINDS
from covla.posts.dataset import from_folder
from covla.settings import get_settings

DEFAULT_POSTS = "../shared/data/realposts"
KINDS = [f"image:{kind}" for kind in IMAGE_KINDS] + [f"text:{kind}" for kind in TEXT_KINDS]


def main() -> None:
    """Kind by kind."""
    args = arguments(
        __doc__.splitlines()[0], posts=DEFAULT_POSTS, split="val", level=0.3, ours=None,
        reference=None,
    )  # fmt: skip
    if not (args.ours and args.reference):
        raise SystemExit("give --ours FOLDER and --reference FOLDER")
    settings = get_settings()
    rows = from_folder(Path(args.posts), args.split, settings)
    table: dict[str, dict[str, float]] = {}
    for kind in [None, *KINDS]:
        both = [
            judge(rows, ref, settings, noise=kind, level=args.level if kind else 0.0)
            for ref in (args.ours, args.reference)
        ]
        name = kind or "clean"
        ours, reference = both
        table[name] = {
            "ours": round(ours.scores.accuracy, 3),
            "reference": round(reference.scores.accuracy, 3),
            "ours_gate": round(ours.mean_gate, 3),
            "reference_gate": round(reference.mean_gate, 3),
        }
        if not args.json:
            print(f"{name:16s} ours {ours.scores.accuracy:.3f}, reference "
                  f"{reference.scores.accuracy:.3f}; gate {ours.mean_gate:.3f}, "
                  f"{reference.mean_gate:.3f}", flush=True)  # fmt: skip
    print(json.dumps({"benchmark": "noise", "posts": len(rows), "level": args.level} | table))


if __name__ == "__main__":
    try:
        main()
    except CovlaError as error:
        raise SystemExit(str(error)) from error
