"""A model on a GPU, in f32 and in bf16: how far its answers lie from a CPU's, and how fast it is.

`python -m bench.gpu_parity --model FOLDER --posts DIR --json`: the Predictor that serves, on the
posts of a split, with torch on both sides. Needs no service.
"""

import json
import platform
import time
from pathlib import Path
from typing import Any

import torch

from bench import arguments
from covla.inference import parity
from covla.inference.predictor import Predictor
from covla.model.head import HeadRunner, folder_encoders
from covla.model.runtime.backend import Backend
from covla.model.runtime.device import pick_device
from covla.posts.folder import read_folder
from covla.posts.training_post import TrainingPost
from covla.settings import Settings

KEPT = ("posts", "labelled", "logit_difference", "equal_labels", "times_faster")


def model_on(folder: Path, settings: Settings, precision: str) -> tuple[Predictor, float]:
    """The model, warmed up, and the seconds that took: on a GPU it is compiled meanwhile."""
    backend = Backend("torch", precision)
    started = time.perf_counter()
    head = HeadRunner.load(folder, cache=settings.cache, device=settings.device, backend=backend)
    encoders = folder_encoders(folder, settings, backend)
    model = Predictor(precision, head, encoders, settings)
    model.warm_up()
    return model, round(time.perf_counter() - started, 1)


def rate(model: Predictor, rows: list[TrainingPost], rounds: int) -> float:
    """Posts per second of `predict`, JPEG bytes and text to answers; the best of `rounds`."""
    posts = [row.post for row in rows]
    seconds = []
    for _ in range(rounds + 1):
        model.clear_cache()
        started = time.perf_counter()
        model.predict(posts)
        seconds.append(time.perf_counter() - started)
    return round(len(posts) / min(seconds[1:]), 1)


def main() -> None:
    """Compare, and print the row."""
    args = arguments(
        __doc__ or "", model="", posts="", split="val", device="cuda", rounds=5,
    )  # fmt: skip
    there = Settings()
    fast = Settings(device=pick_device(args.device))
    slow = Settings(device="cpu")
    read = read_folder(Path(args.posts), split=args.split, settings=there)
    rows = [TrainingPost(row.post, row.label, pair_type=row.pair_type) for row in read]
    folder = Path(args.model)
    cpu, _ = model_on(folder, slow, "f32")
    f32, f32_seconds = model_on(folder, fast, "f32")
    bf16, bf16_seconds = model_on(folder, fast, "bf16")
    row: dict[str, Any] = {
        "benchmark": "gpu_parity",
        "device": torch.cuda.get_device_name() if args.device == "cuda" else platform.processor(),
        "torch": torch.__version__,
        "warm_up_seconds": {"f32": f32_seconds, "bf16": bf16_seconds},
    }
    for name, ours, theirs in (("f32_against_cpu", f32, cpu), ("bf16_against_f32", bf16, f32)):
        found = parity.compare(ours, theirs, rows).as_dict()
        row[name] = {key: found[key] for key in KEPT}
        for side in ("exported", "original"):
            row[name][side] = {k: found[side][k] for k in ("accuracy", "macro_f1", "ece")}
    row["posts_per_s"] = {
        name: rate(model, rows, rounds)
        for name, model, rounds in (
            ("cpu_f32", cpu, 1),
            ("f32", f32, args.rounds),
            ("bf16", bf16, args.rounds),
        )
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
