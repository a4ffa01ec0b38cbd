"""Posts per second, from JPEG bytes and text to answers: the Predictor against eager torch.

The reference is what one writes by hand: Pillow decodes, the image is resized as the Predictor
does it, then torch in eager mode on all cores, 16 posts a batch, padded to the longest text. Same
model folder, same posts, in turns. One result line for each precision that this machine has:
`python -m bench.eager --model FOLDER --posts DIR --json`. Without a folder an untrained `base` is
measured; without posts, synthetic ones. With labelled posts `notes` has the accuracy of both.
On a busy machine give `--threads 1`, the reference's threads, and compare `cpu_ms_per_post`: with
more, eager torch spins while it waits for its own threads.
"""

import base64
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from PIL import ImageOps
from transformers import AutoTokenizer

from bench import arguments, report, seconds
from bench.predictor import posts as synthetic
from bench.predictor import untrained
from covla.cli.export import posts_for
from covla.cli.posts_source import PostsSource
from covla.errors import CovlaError
from covla.inference.export import Posts, export
from covla.inference.predictor import Predictor
from covla.model.answer import Answer
from covla.model.encoders import pixels
from covla.model.folder_weights import folder_model, folder_towers
from covla.model.runtime.backend import Backend
from covla.model.runtime.openvino import has_bf16
from covla.posts.preprocessing import PreparedPost
from covla.posts.training_post import TrainingPost
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings

BATCH = 16
SIDE = 256  # longer side of a prepared image, as covla.posts.preprocessing has it


class Eager:
    """The reference. Quality measures and language, which the context needs, are taken from the
    Predictor's own preparation beforehand: they cost the reference nothing."""

    def __init__(self, folder: Path, predictor: Predictor, posts: Sequence[SocialPost]) -> None:
        self.towers = folder_towers(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.answer = Answer(folder_model(folder)).eval()
        self.config = predictor.head.config
        self.labels = predictor.labels
        ready = [item for item in map(predictor.prepare, posts) if isinstance(item, PreparedPost)]
        nothing = predictor.contexts(ready, [{} for _ in ready])
        self.contexts = {
            item.post.post_id: context for item, context in zip(ready, nothing, strict=True)
        }

    def _picture(self, post: SocialPost) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None:
        import cv2

        if post.image is None or post.image.data is None:
            return None
        with Pillow.open(io.BytesIO(base64.b64decode(post.image.data))) as picture:
            image = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        scale = SIDE / max(image.shape[:2])
        if scale < 1:
            size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return pixels(image, int(self.towers.spec["image"]["size"]))

    @torch.inference_mode()
    def predict(self, posts: Sequence[SocialPost]) -> list[str]:
        """The labels of the posts."""
        labels: list[str] = []
        for start in range(0, len(posts), BATCH):
            part = posts[start : start + BATCH]
            pictures = [self._picture(post) for post in part]
            side = int(self.towers.spec["image"]["size"])
            blank = np.zeros((3, side, side), np.uint8)
            stacked = np.stack([blank if image is None else image for image in pictures])
            batch = self.tokenizer(
                [post.text for post in part],
                truncation=True,
                max_length=int(self.towers.spec["text"]["max_tokens"]),
                padding=True,
                return_tensors="pt",
            )
            has_text = torch.tensor([bool(post.text.strip()) for post in part])
            contexts = [self.contexts[post.post_id] for post in part]
            probabilities, _, _ = self.answer(
                self.towers.text(batch["input_ids"], batch["attention_mask"]),
                batch["attention_mask"].bool() & has_text[:, None],
                self.towers.image(torch.from_numpy(stacked)),
                torch.tensor([image is not None for image in pictures]),
                torch.from_numpy(np.stack([context.nodes for context in contexts])),
                torch.from_numpy(np.stack([context.mask for context in contexts])),
            )
            labels += [self.labels[i] for i in probabilities.argmax(-1).tolist()]
        return labels


def _ours(predictor: Predictor, posts: Sequence[SocialPost]) -> list[str]:
    predictor.clear_cache()
    return [
        answer.label if isinstance(answer, Prediction) else ""
        for answer in predictor.predict(posts)
    ]


def _predictors(
    folder: Path, given: Posts, settings: Settings, wanted: Sequence[str]
) -> dict[str, Predictor]:
    found = {"f32": Predictor.load(folder, settings)}
    for precision in wanted:
        if precision == "bf16" and not has_bf16():
            print("no bf16: this CPU has no such instructions", file=sys.stderr)
            continue
        out = settings.models / precision
        export(str(folder), Backend("openvino", precision), given, settings, out=out)
        found[precision] = Predictor.load(out, settings)
    for predictor in found.values():
        predictor.warm_up()
    return found


def _accuracy(said: Sequence[str], rows: Sequence[TrainingPost]) -> float | None:
    known = [(label, row.label) for label, row in zip(said, rows, strict=True) if row.label]
    return round(float(np.mean([a == b for a, b in known])), 4) if known else None


def _notes(
    name: str, ours: list[str], eager: list[str], rows: Sequence[TrainingPost]
) -> dict[str, Any]:
    same = float(np.mean([a == b for a, b in zip(ours, eager, strict=True)]))
    accuracy = {"ours": _accuracy(ours, rows), "reference": _accuracy(eager, rows)}
    return {
        "precision": name,
        "posts": len(rows),
        "equal_labels": round(same, 4),
        "accuracy": accuracy,
        "reference": f"eager torch {torch.__version__}, batch {BATCH}, "
        f"{torch.get_num_threads()} threads",
    }


def main() -> None:
    """Every precision and the reference in turns, `--rounds` times."""
    options = arguments(
        __doc__ or "", model=None, posts=None, split="val", count=347, rounds=5,
        precisions="bf16,int8", threads=0,
    )  # fmt: skip
    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        settings = Settings(state=Path(scratch) / "state", device="cpu")
        folder = Path(options.model) if options.model else untrained(Path(scratch) / "base")
        if options.posts:
            given = posts_for(
                PostsSource(Path(options.posts), None, options.split), "train", settings
            )
        else:
            made = [TrainingPost(post, None) for post in synthetic(options.count + 200)]
            given = Posts(made[options.count :], made[: options.count], {})
        rows = list(given.judged)[: options.count]
        posts = [row.post for row in rows]
        wanted = [name for name in options.precisions.split(",") if name]
        predictors = _predictors(folder, given, settings, wanted)
        eager = Eager(folder, predictors["f32"], posts)
        runs: dict[str, Callable[[], list[str]]] = {"eager": lambda: eager.predict(posts)}
        for name, predictor in predictors.items():
            runs[name] = lambda predictor=predictor: _ours(predictor, posts)  # type: ignore[misc]
        said = {name: run() for name, run in runs.items()}
        if "" in said["f32"]:
            raise CovlaError("some of the posts cannot be predicted")
        speed: dict[str, list[float]] = {name: [] for name in runs}
        work: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                before = time.process_time()
                speed[name].append(len(posts) / seconds(run))
                work[name].append((time.process_time() - before) * 1000 / len(posts))
        for name in predictors:
            report(
                f"eager {name}",
                speed[name],
                speed["eager"],
                unit="posts/s",
                notes=json.dumps(
                    _notes(name, said[name], said["eager"], rows)
                    | {
                        "cpu_ms_per_post": {
                            "ours": round(statistics.median(work[name]), 2),
                            "reference": round(statistics.median(work["eager"]), 2),
                        }
                    }
                ),
                quiet=options.json,
            )


if __name__ == "__main__":
    main()
