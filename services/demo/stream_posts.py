"""The posts of the demo, in four phases that share no content: history, a live stream, posts after
drift for a retrain to learn from, and others to evaluate it on."""

import base64
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import orjson

from covla.errors import CovlaError, PostError
from covla.evaluation.gate_rules import Rules
from covla.files import write_bytes_aside
from covla.posts.content_groups import contents_of, groups_of
from covla.posts.folder import FolderPost, read_folder
from covla.posts.image_decoding import decode_base64, decode_image
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import prepare
from covla.posts.splits import grouped, hold_out
from covla.posts.synthetic import generate
from covla.posts.synthetic.camera import camera_filter
from covla.posts.training_post import TrainingPost
from covla.schemas.post import Image
from covla.settings import Settings
from covla.time_range import TimeRange
from features.source import HELD_OUT
from services.publish import restamp

log = logging.getLogger(__name__)

SIZES = {"history": 520, "live": 160, "drifted": 220, "after": 160}
# Fraction of the event time between the last demo and this one that each phase takes.
FRACTIONS = {"history": 0.7, "live": 0.1, "drifted": 0.1, "after": 0.1}
LONGEST = timedelta(hours=30)
SPARE = 5  # posts to evaluate the retrained model on, beyond what the gate needs


@dataclass(frozen=True)
class Phase:
    """Posts with their labels, and the time range that they fill."""

    window: TimeRange
    posts: list[FolderPost]

    @property
    def labels(self) -> dict[str, str]:
        """post_id -> label."""
        return {item.post.post_id: item.label for item in self.posts if item.label is not None}


def windows(settings: Settings) -> tuple[dict[str, TimeRange], int]:
    """One time range per phase, all before now and after those of the last demo on this state; and
    the number of this demo, from 1, which is the seed of synthetic posts."""
    record = settings.state / "demo.json"
    now = datetime.now(UTC)
    start, number = now - LONGEST, 1
    if record.exists():
        last = orjson.loads(record.read_bytes())
        start = max(start, datetime.fromisoformat(last["end"]))
        number = last.get("number", 1) + 1
    ranges = {}
    edge = start
    for name, fraction in FRACTIONS.items():
        end = edge + (now - start) * fraction if name != "after" else now
        ranges[name] = TimeRange(edge, end)
        edge = end
    write_bytes_aside(record, orjson.dumps({"end": now, "number": number}))
    return ranges, number


def move(phase: Phase, window: TimeRange, settings: Settings) -> Phase:
    """The same posts at another time, which the next demo on this state comes after."""
    record = settings.state / "demo.json"
    write_bytes_aside(record, orjson.dumps(orjson.loads(record.read_bytes()) | {"end": window.end}))
    return Phase(window, list(restamp(phase.posts, window, len(phase.posts))))


def synthetic(
    times: dict[str, TimeRange], seed: int, scale: float, settings: Settings
) -> dict[str, Phase]:
    """Generated posts; after the drift every image went through a new camera filter.

    There are as many as `scale` asks for, and more after the drift where chance holds out fewer
    than the gate needs.
    """
    counts = {name: max(60, round(size * scale)) for name, size in SIZES.items()}
    while True:
        generated: dict[str, list[FolderPost]] = {}
        for number, (name, window) in enumerate(times.items()):
            drift = "image" if name in {"drifted", "after"} else None
            # Some to spare: drawn scenes are sometimes too similar.
            count = round(counts[name] * 1.2)
            items = generate(count, seed * 10 + number, *window, drift=drift)  # type: ignore[arg-type]
            generated[name] = [item for item, _ in items]
        distinct = _disjoint(generated, settings)
        kept = {name: posts[: counts[name]] for name, posts in distinct.items()}
        if _held_out([*kept["live"], *kept["drifted"]], settings) >= Rules().fewest + SPARE:
            return _phases(times, kept)
        counts["drifted"] += 50


def from_folder(times: dict[str, TimeRange], folder: Path, settings: Settings) -> dict[str, Phase]:
    """A posts folder: `train` is the labelled history, `val` the live stream.

    A third of `val` comes as it is. After the drift the rest comes through the same new camera
    filter: a third for a retrain to learn from, a third in the phase that evaluates it. A
    post of `val` that repeats one of an earlier phase is left out.

    Raises:
        CovlaError: the folder, or one of the two splits, is not there, has a post without a label,
            or `val` has too few posts for the gate.
    """
    history = _usable(read_folder(folder, split="train", settings=settings), folder, settings)
    live = _usable(read_folder(folder, split="val", settings=settings), folder, settings)
    if any(item.split is None for item in history):
        raise CovlaError(f"{folder}: no line has a split", hint="The demo needs train and val")
    if any(item.label is None for item in history + live):
        raise CovlaError(
            f"{folder}: a post of split train or val has no label",
            hint="The demo measures accuracy, so both splits must be labelled",
        )
    groups = groups_of(contents_of((item.post for item in live), settings))
    thirds = {group: i % 3 for i, group in enumerate(dict.fromkeys(groups))}
    parts: list[list[FolderPost]] = [[], [], []]
    for item, group in zip(live, groups, strict=True):
        parts[thirds[group]].append(item)
    names = ("live", "drifted", "after")
    # By content as it was before the filter, which changes it beyond what a hash knows.
    kept = _disjoint({"history": history, **dict(zip(names, parts, strict=True))}, settings)
    for name in ("drifted", "after"):
        kept[name] = [_filtered(item, settings) for item in kept[name]]
    holdout = _held_out([*kept["live"], *kept["drifted"]], settings)
    if holdout < Rules().fewest:
        raise CovlaError(
            f"{folder}: split val has {len(live)} posts, and {holdout} of them would judge the "
            f"retrained model; the gate needs {Rules().fewest}",
            hint="About 350 posts of split val are enough",
        )
    return _phases(times, kept)


def _usable(items: Iterable[FolderPost], folder: Path, settings: Settings) -> list[FolderPost]:
    """The posts that become predictions: the demo counts them, and filters their images."""
    blobs, kept, unusable = BlobStore(settings), [], []
    for item in items:
        try:
            prepare(item.post, settings, blobs)
            kept.append(item)
        except PostError as error:
            unusable.append(f"{item.post.post_id}: {error}")
    if unusable:
        log.warning("%s: %d posts are left out, such as %s", folder, len(unusable), unusable[0])
    return kept


def _disjoint(
    phases: dict[str, list[FolderPost]], settings: Settings
) -> dict[str, list[FolderPost]]:
    """Every phase without the posts that share their content with one of a phase before it."""
    rows = [(name, item) for name, items in phases.items() for item in items]
    groups = groups_of(contents_of((item.post for _, item in rows), settings))
    first: dict[str, str] = {}
    for (name, _), group in zip(rows, groups, strict=True):
        first.setdefault(group, name)
    kept: dict[str, list[FolderPost]] = {name: [] for name in phases}
    for (name, item), group in zip(rows, groups, strict=True):
        if first[group] == name:
            kept[name].append(item)
    return kept


def _held_out(items: list[FolderPost], settings: Settings) -> int:
    rows = [TrainingPost(item.post, item.label) for item in items]
    return sum(row.split == "holdout" for row in hold_out(grouped(rows, settings), HELD_OUT))


def _phases(times: dict[str, TimeRange], posts: dict[str, list[FolderPost]]) -> dict[str, Phase]:
    return {
        name: Phase(window, list(restamp(posts[name], window, len(posts[name]))))
        for name, window in times.items()
    }


def _filtered(item: FolderPost, settings: Settings) -> FolderPost:
    post = item.post
    image = post.image
    if image is not None and image.data is not None:
        pixels = camera_filter(decode_image(decode_base64(image.data), settings))
        ok, jpeg = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        if not ok:
            raise CovlaError(f"cannot encode the image of {post.post_id}")
        image = Image(data=base64.b64encode(jpeg.tobytes()).decode())
    changed = post.model_copy(update={"post_id": f"{post.post_id}~filtered", "image": image})
    return replace(item, post=changed)


def broken(run: str) -> Sequence[tuple[bytes, bytes]]:
    """Three messages that no reader can use, as every stream brings them: key and value."""
    when = datetime.now(UTC).isoformat()

    def message(name: str, **fields: Any) -> tuple[bytes, bytes]:
        key = f"bad-{run}-{name}"
        return key.encode(), orjson.dumps({"post_id": key, "created_at": when, **fields})

    return [
        (f"bad-{run}-json".encode(), b'{"post_id": "cut off'),
        message("url", text="look", image={"uri": "http://localhost/picture.jpg"}),
        message("image", text="look", image={"data": base64.b64encode(b"no picture").decode()}),
    ]
