"""One row with one seed: fit it, evaluate it on the clean and on the noisy posts."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from covla.arrays import Array
from covla.evaluation.study.inputs import Inputs
from covla.evaluation.study.posts import with_share
from covla.evaluation.study.run_result import RunResult
from covla.evaluation.study.variants import SharedConfig, Variant
from covla.model.pooling_torch import pool_posts
from covla.posts.preprocessing import PreparedPost
from covla.training.collate import answers
from covla.training.dataset import make_examples
from covla.training.fit import TowerShape, fit
from covla.training.progress import quiet

# Posts and their rows among the evaluated ones, to logits and gates.
Evaluate = Callable[[list[PreparedPost], list[int]], tuple[Array, Array]]


def fit_row(
    row: Variant, common: SharedConfig, seed: int, inputs: Inputs, vectors: Array | None
) -> RunResult:
    """Fit a model and ask it about every evaluated post.

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
        from covla.training.tiny import tiny_towers

        towers, tokenizer = tiny_towers([data.prepared[i].text for i in data.trains], seed)
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

    def evaluate(items: list[PreparedPost], rows: list[int]) -> tuple[Array, Array]:
        part = replace(inputs.judged.part(rows), prepared=items)
        seen = None if features is None else inputs.features(items)
        reduced = None if seen is None else inputs.reduction(model.image, seen, items)
        examples = make_examples(part, model.config, None, reduced, tokenizer)
        if seen is not None and model.label_nodes is not None:
            there = (torch.tensor([pair[side] is not None for pair in seen]) for side in (0, 1))
            sides = pool_posts(seen, (shape.text_width, shape.image_width))
            with torch.inference_mode():
                label_logits = model.label_nodes.of_pooled(*sides, *there)
            for example, each in zip(examples, label_logits, strict=True):
                example.label_logits = each
        logits, gates = answers(model, examples)
        return logits.numpy(), gates.numpy()

    outcome = _evaluate_all(inputs, evaluate, noise=row.noisy)
    outcome.temperature = float(model.config.softmax_temperature)
    outcome.parameters = sum(p.numel() for p in model.parameters())
    outcome.cpu_seconds = time.process_time() - started
    return outcome


def _evaluate_all(inputs: Inputs, evaluate: Evaluate, *, noise: bool) -> RunResult:
    """Clean posts, then every condition; a post that noise left as it was is not asked again."""
    clean = inputs.judged.prepared
    logits, gate = evaluate(clean, list(range(len(clean))))
    outcome = RunResult(logits, gate, 1.0, 0, 0.0)
    if not noise or not inputs.noisy:
        return outcome
    outcome.conditions = list(inputs.noisy)
    outcome.noisy_logits = np.stack([logits] * len(inputs.noisy))
    outcome.noisy_gate = np.stack([gate] * len(inputs.noisy))
    for k, items in enumerate(inputs.noisy.values()):
        changed = [i for i, item in enumerate(items) if _key(item) != _key(clean[i])]
        if changed:
            found = evaluate([items[i] for i in changed], changed)
            outcome.noisy_logits[k, changed], outcome.noisy_gate[k, changed] = found
    return outcome


def _key(item: PreparedPost) -> tuple[str, str]:
    return item.text_hash, item.image_hash
