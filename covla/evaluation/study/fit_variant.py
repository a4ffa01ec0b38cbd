"""One row with one seed: fit it, judge it on the clean and on the noisy posts."""

import time
from typing import Any

import numpy as np
import torch

from covla.arrays import Array
from covla.evaluation.study.inputs import Inputs
from covla.evaluation.study.posts import with_share
from covla.evaluation.study.run_result import RunResult
from covla.evaluation.study.variants import SharedConfig, Variant
from covla.model.pooling import pool_posts
from covla.posts.preprocessing import PreparedPost
from covla.training.collate import answers
from covla.training.dataset import Example, PreparedDataset, make_examples
from covla.training.fit import fit
from covla.training.progress import quiet


def fit_row(
    row: Variant, common: SharedConfig, seed: int, inputs: Inputs, vectors: Array | None
) -> RunResult:
    """Fit a model and ask it about every judged post.

    Args:
        vectors: standardised teacher vectors of the training posts; None for none.
    """
    quiet()
    started = time.process_time()
    plan = row.plan(common, seed)
    data = with_share(inputs.train if row.every_post else inputs.usual, row.share, seed)
    vectors = None if vectors is None else vectors[: len(data.posts)]
    if not plan.recipe.noisy_copies:
        data = data.without_copies()
    towers = tokenizer = features = None
    shape = inputs.shape
    if plan.preset == "tiny":
        from covla.training.fit import TowerShape
        from covla.training.tiny import tiny_towers

        learns = data.train_mask.tolist()
        texts = [item.text for item, yes in zip(data.prepared, learns, strict=True) if yes]
        towers, tokenizer = tiny_towers(texts, seed)
        shape = TowerShape.of(towers)
    else:
        features = inputs.features(data.prepared + data.copies)
    fitted = fit(
        data, plan, inputs.taxonomy, shape,
        features=features, vectors=vectors, towers=towers, tokenizer=tokenizer,
        reduction=inputs.reduction, device=inputs.device,
    )  # fmt: skip
    model = fitted.model
    if features is not None:
        model.cpu()  # where a GPU trained it: what rows share is computed on the CPU

    def ask(examples: list[Example]) -> tuple[Array, Array]:
        logits, gates = answers(model, examples)
        return logits.numpy(), gates.numpy()

    def judge(items: list[PreparedPost], rows: list[int]) -> tuple[Array, Array]:
        posts = [inputs.judged.posts[i] for i in rows]
        part = PreparedDataset(posts, items, inputs.judged.labels[rows], 0)
        if features is None:
            return ask(make_examples(part, model.config, None, None, tokenizer))
        seen = inputs.features(items)
        reduced = inputs.reduction(model.image, seen, items)
        examples = make_examples(part, model.config, None, reduced)
        if model.label_nodes is not None:
            there = (torch.tensor([pair[side] is not None for pair in seen]) for side in (0, 1))
            sides = pool_posts(seen, (shape.text_width, shape.image_width))
            with torch.inference_mode():
                label_logits = model.label_nodes.of_pooled(*sides, *there)
            for example, each in zip(examples, label_logits, strict=True):
                example.label_logits = each
        return ask(examples)

    outcome = _judge_all(inputs, judge, noise=row.noisy)
    outcome.temperature = float(model.config.softmax_temperature)
    outcome.parameters = sum(p.numel() for p in model.parameters())
    outcome.cpu_seconds = time.process_time() - started
    return outcome


def _judge_all(inputs: Inputs, judge: Any, *, noise: bool) -> RunResult:
    """Clean posts, then every condition; a post that noise left as it was is not asked again."""
    clean = inputs.judged.prepared
    logits, gate = judge(clean, list(range(len(clean))))
    outcome = RunResult(logits, gate, 1.0, 0, 0.0)
    if not noise or not inputs.noisy:
        return outcome
    outcome.conditions = list(inputs.noisy)
    outcome.noisy_logits = np.stack([logits] * len(inputs.noisy))
    outcome.noisy_gate = np.stack([gate] * len(inputs.noisy))
    for k, items in enumerate(inputs.noisy.values()):
        changed = [i for i, item in enumerate(items) if _key(item) != _key(clean[i])]
        if changed:
            found = judge([items[i] for i in changed], changed)
            outcome.noisy_logits[k, changed], outcome.noisy_gate[k, changed] = found
    return outcome


def _key(item: PreparedPost) -> tuple[str, str]:
    return item.text_hash, item.image_hash
