"""How well frozen features can do under noise that a learner knows beforehand.

`python -m bench.noise_ceiling --posts DIR --json`. Label nodes are fitted to the training posts
with the very noise, kind and level, that the judged posts have; the reference are nodes of clean
posts. No model is told so much: where even these lose much, the towers' features have lost it, and
a head behind them cannot bring it back. Accuracy on the judged split; a figure each for text, image
and both together, and for their product.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import arguments, report
from covla.evaluation.study.posts import read_posts
from covla.model.configuration import CovlaConfig
from covla.model.encoders import Encoders
from covla.model.label_nodes import LabelNodes
from covla.model.pooling_torch import pool_posts
from covla.model.towers import load_towers
from covla.posts.corrupted_post import corrupt_all
from covla.posts.corruptions import IMAGE_KINDS, TEXT_KINDS
from covla.posts.preprocessing import PreparedPost
from covla.posts.taxonomy import load_taxonomy
from covla.settings import get_settings
from covla.training.dataset import prepare_posts
from covla.training.feature_cache import FeatureCache
from covla.training.label_nodes import fit_label_nodes

DEFAULT_POSTS = "../shared/data/realposts"
TRAIN_SEED, JUDGED_SEED = 1, 0


def main() -> None:
    """Kind by kind."""
    args = arguments("Accuracy under known noise", posts=DEFAULT_POSTS, split="val", level=0.3)
    settings, taxonomy = get_settings(), load_taxonomy()
    posts = read_posts(Path(args.posts), args.split, taxonomy, settings, unlabelled=0)
    learns = [row for row in posts.train if row.split == "train"]
    train, judged = (
        prepare_posts(rows, taxonomy, settings, lambda *_: None) for rows in (learns, posts.judged)
    )
    towers, tokenizer = load_towers("base")
    encoders = Encoders(towers.eval(), tokenizer, cache=settings.cache, device=settings.device)
    widths = encoders.text_width, encoders.image_width
    labels = torch.cat([train.labels, torch.full_like(judged.labels, -1)])
    support = torch.arange(len(train.posts))
    config = CovlaConfig(
        text_width=widths[0], image_width=widths[1], labels=taxonomy.names, support=len(support)
    )

    def accuracy(learnt: tuple[Tensor, Tensor], asked: tuple[Tensor, Tensor]) -> list[float]:
        """By text, image, both, and the product of the three."""
        text, image = (torch.cat(pair) for pair in zip(learnt, asked, strict=True))
        said = fit_label_nodes(LabelNodes(config), text, image, labels, support)[len(support) :]
        answers = [*said.unbind(1), said.sum(1)]
        return [round(float((a.argmax(1) == judged.labels).float().mean()), 4) for a in answers]

    with tempfile.TemporaryDirectory() as scratch:

        def seen(items: list[PreparedPost], cache: Path) -> Any:
            return pool_posts(
                FeatureCache(cache, encoders.id).features(items, encoders.encode), widths
            )

        clean = seen(train.prepared, settings.cache / "features")
        known, unknown, each = [], [], {}
        for side, kinds in (("text", TEXT_KINDS), ("image", IMAGE_KINDS)):
            for kind in kinds:
                folder = Path(scratch) / side / kind
                learnt, asked = (
                    seen(corrupt_all(part.prepared, side, args.level, seed, kind), folder)
                    for part, seed in ((train, TRAIN_SEED), (judged, JUDGED_SEED))
                )
                rows = accuracy(learnt, asked), accuracy(clean, asked)
                each[f"{side}:{kind}"] = {"noise known": rows[0], "clean posts alone": rows[1]}
                known.append(rows[0][-1])
                unknown.append(rows[1][-1])
    notes = json.dumps({"level": args.level, "n": len(judged.posts), "t, i, both, product": each})
    report("noise_ceiling", known, unknown, unit="accuracy", notes=notes, quiet=args.json)


if __name__ == "__main__":
    main()
