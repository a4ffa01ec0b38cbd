"""Cross-validated accuracy of one architecture: for choices that one small split cannot tell apart.

`python -m bench.cross_validation --posts DIR --arch covla --set label_nodes=false --json`. Every
labelled post of the folder's splits train and val is judged once, by a model of the other folds
(fold k with seed k), and its confidence at the temperature of the other half of its fold; the
reference is the best of `--against` (names with commas between), by default a gated head from
labels alone. The interval of the difference is a paired bootstrap over posts. Unlabelled posts
teach all folds. Encoded posts are cached, so the first run takes longer.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from sklearn.model_selection import StratifiedGroupKFold

from bench import arguments, report
from covla.cli.output import log
from covla.evaluation.bootstrap import Bootstrap
from covla.evaluation.study.statistics import difference
from covla.metrics import ece
from covla.model.encoders import Encoders
from covla.model.towers import load_towers
from covla.posts.dataset import from_folder
from covla.posts.taxonomy import load_taxonomy
from covla.settings import get_settings
from covla.training.augmentation import with_copies
from covla.training.config import Plan
from covla.training.dataset import PreparedDataset, encode, prepare_posts
from covla.training.fit import TowerShape, fit
from covla.training.progress import quiet
from covla.training.recipe import Recipe
from covla.training.teachers.resolve import resolve
from covla.training.teachers.vectors import teacher_vectors
from covla.training.temperature import fit_temperature


def folds_of(labels: torch.Tensor, groups: list[str], folds: int) -> torch.Tensor:
    """A fold per post, balanced over labels, whole groups in one; -1 for posts without a label."""
    found = torch.full_like(labels, -1)
    rows = torch.nonzero(labels >= 0).flatten()
    draw = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    of_rows = [groups[i] for i in rows.tolist()]
    for fold, (_, held) in enumerate(draw.split(rows, labels[rows].numpy(), of_rows)):
        found[rows[torch.from_numpy(held)]] = fold
    return found


def _plan(arch: str, changes: str) -> Plan:
    """`arch` with `FIELD=JSON,FIELD=JSON`; fields of the recipe, the plan or the configuration."""
    pairs = dict(pair.split("=", 1) for pair in changes.split(",") if pair)
    given: dict[str, Any] = {name: json.loads(value) for name, value in pairs.items()}
    recipe = {name: given.pop(name) for name in list(given) if hasattr(Recipe(), name)}
    teacher = resolve(given.pop("teacher", "ensemble"))
    return Plan(arch=arch, teacher=teacher, recipe=Recipe(**recipe), overrides=given)


def _calibrated(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Probabilities of a fold, every other post at the temperature of the posts between."""
    said = torch.empty_like(logits)
    half = torch.arange(len(labels)) % 2 == 0
    for here, there in ((half, ~half), (~half, half)):
        said[here] = (logits[here] / fit_temperature(logits[there], labels[there])).softmax(1)
    return said


def main() -> None:
    """Judge all, fold by fold in turns."""
    args = arguments(
        "Cross-validated accuracy", posts="", folds=5, unlabelled=1000, arch="covla",
        set="", against="gate", against_set='teacher="none",pretrain_epochs=0,noisy_copies=0',
    )  # fmt: skip
    if not args.posts:
        raise SystemExit("cross_validation: name a posts folder with --posts")
    quiet()
    settings, taxonomy = get_settings(), load_taxonomy()
    references = args.against.split(",")
    plans = [_plan(args.arch, args.set), *(_plan(arch, args.against_set) for arch in references)]
    for plan in plans:
        plan.check()
    rows = from_folder(Path(args.posts), "train", settings, unlabelled=args.unlabelled)
    data = prepare_posts(rows, taxonomy, settings, lambda *_: None)
    towers, tokenizer = load_towers("base")
    shape = TowerShape.of(towers.eval())
    encoders = Encoders(towers, tokenizer, cache=settings.cache, device=settings.device)
    groups = [row.group for row in data.posts]
    folds = folds_of(data.labels, groups, args.folds)
    said = torch.zeros(len(plans), len(data.posts), len(taxonomy.names))
    for fold in range(args.folds):
        log(f"fold {fold + 1} of {args.folds}")
        held = (folds == fold).tolist()
        # A post without a label that repeats a judged one teaches no fold that it is judged in.
        copied = {group for group, out in zip(groups, held, strict=True) if out}
        posts = [replace(r, split="holdout" if r.group in copied else "train") for r in data.posts]
        part = PreparedDataset(posts, data.prepared, data.labels, data.skipped)
        for found, plan in zip(said, plans, strict=True):
            seeded = replace(plan, recipe=replace(plan.recipe, seed=fold))
            vectors = teacher_vectors(
                plan.teacher, part, encoders, taxonomy, settings, fold, lambda *_: None
            )
            learns = with_copies(part, plan.recipe.noisy_copies)
            features = encode(learns, encoders, settings, lambda *_: None)
            fitted = fit(learns, seeded, taxonomy, shape, features=features, vectors=vectors)
            assert fitted.holdout_logits is not None
            found[fitted.holdout] = _calibrated(fitted.holdout_logits, data.labels[fitted.holdout])
    judged = folds >= 0
    labels, fold_of = data.labels[judged].numpy(), folds[judged].numpy()
    right = said[:, judged].argmax(2).numpy() == labels
    strongest = 1 + int(right[1:].mean(1).argmax())
    draw = Bootstrap(labels, len(taxonomy.names))
    answers = [draw.accuracy(said[i, judged].argmax(1).numpy()[None]) for i in (0, strongest)]
    about = {
        "rows": {
            name: {
                "accuracy": round(float(right[i].mean()), 4),
                "ece": round(ece(said[i, judged].numpy(), labels), 4),
            }
            for i, name in enumerate([f"{args.arch} {args.set}".strip(), *references])
        },
        "strongest": references[strongest - 1],
        "references": args.against_set,
        "n": len(labels),
        **asdict(difference(*answers)),
    }
    ours, theirs = (
        [float(right[i][fold_of == fold].mean()) for fold in range(args.folds)]
        for i in (0, strongest)
    )
    report(
        "cross_validation", ours, theirs, unit="accuracy", notes=json.dumps(about), quiet=args.json
    )


if __name__ == "__main__":
    main()
