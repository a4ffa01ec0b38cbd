"""What each architecture costs: parameters, FLOPs, posts per second. Weights do not matter here."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from covla.evaluation.study.inputs import Inputs
from covla.evaluation.study.records import Cost
from covla.evaluation.study.variants import SharedConfig, Variant
from covla.model.batch import Batch
from covla.model.context import context_of
from covla.model.encoders import Encoded, Encoders
from covla.model.head import HeadRunner
from covla.model.hf import CovlaModel
from covla.model.towers import Towers, load_towers
from covla.training.fit import configure

POSTS, ROUNDS, TOKENS = 64, 3, 32
_UNUSED = {"text": "image", "image": "text"}  # the tower that an architecture does without


def _flops(module: torch.nn.Module, *inputs: torch.Tensor | Batch) -> int:
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return int(counter.get_total_flops())


def _seconds(work: Callable[[], object]) -> float:
    """Best of several: what another process on the machine takes does not count."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def _size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def costs(
    rows: list[Variant], common: SharedConfig, inputs: Inputs, encoders: Encoders
) -> list[Cost]:
    """One per architecture among the fitted rows with the study's towers.

    parameters: of the head and of the towers that it needs. gflops: of one post with 32 tokens and
    one image. posts_per_second: encoded features of the first evaluated posts through the exported
    head, beside the towers' own time measured on images of noise and on those posts' texts.
    """
    chosen = [row for row in rows if row.kind in {"baseline", "covla"} and row.trains]
    if not chosen:
        return []
    towers, _ = load_towers(common.preset)
    towers.eval()
    times = _tower_seconds(inputs, encoders)
    records = []
    for row in chosen:
        used = [name for name in ("text", "image") if _UNUSED.get(row.arch) != name]
        config = configure(row.plan(common, 0), inputs.taxonomy, inputs.shape)
        model = CovlaModel(config).eval()
        head = _head_seconds(model, inputs)
        both = sum(times[name] for name in used) + head
        records.append(
            Cost(
                row.name,
                head_parameters=_size(model),
                tower_parameters=sum(_size(getattr(towers, name)) for name in used),
                gflops=round((_tower_flops(towers, used) + _head_flops(model)) / 1e9, 4),
                head_milliseconds=round(head * 1000, 4),
                posts_per_second=round(1 / both, 1),
            )
        )
    return records


def _tower_flops(towers: Towers, used: list[str]) -> int:
    side = towers.image.spec["size"]
    ids = torch.ones(1, TOKENS, dtype=torch.long)
    inputs = {"text": (ids, ids), "image": (torch.zeros(1, 3, side, side),)}
    return sum(_flops(getattr(towers, name), *inputs[name]) for name in used)


def _head_flops(model: CovlaModel) -> int:
    config = model.config
    tokens = torch.zeros(1, TOKENS, config.text_width)
    regions = torch.zeros(1, config.regions, config.image_width)
    mask = torch.ones(1, TOKENS, dtype=torch.bool)
    return _flops(model, Batch(tokens, mask, regions, torch.ones(1, dtype=torch.bool)))


def _tower_seconds(inputs: Inputs, encoders: Encoders) -> dict[str, float]:
    """Seconds per post of each tower, both cores busy."""
    size = encoders.image_size
    picture = torch.randint(0, 256, (size, size, 3), dtype=torch.uint8).numpy()
    texts = [_Post(item.text, None) for item in inputs.judged.prepared if item.text][:POSTS]
    pictures = [_Post("", picture)] * POSTS
    return {
        "text": _seconds(lambda: encoders.encode(texts)) / max(len(texts), 1),
        "image": _seconds(lambda: encoders.encode(pictures)) / POSTS,
    }


@dataclass
class _Post:
    text: str
    image: Any


def _head_seconds(model: CovlaModel, inputs: Inputs) -> float:
    engine = HeadRunner.of(model, device="cpu")
    items = inputs.judged.prepared[:POSTS]
    encoded = [
        Encoded(*(None if side is None else side.float().numpy() for side in (t, None, v, None)))
        for t, v in inputs.features(items)
    ]
    contexts = [context_of(item, model.config, {}) for item in items]
    return _seconds(lambda: engine.run(encoded, contexts)) / len(items)
