"""The posts of the demo, in four acts: history, a live stream, the same after drift, and more."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import orjson

from covla.errors import CovlaError
from covla.post import Image
from covla.posts_folder import FolderPost, read_folder
from covla.prepare import decode_image
from covla.settings import Settings
from covla.synthetic import generate
from covla.synthetic.camera import camera_filter
from covla.window import Window
from services.publish import restamp

SIZES = {"history": 520, "live": 160, "drifted": 220, "after": 160}
# Share of the event time between the last demo and this one that each act takes.
SHARES = {"history": 0.7, "live": 0.1, "drifted": 0.1, "after": 0.1}
LONGEST = timedelta(hours=30)


@dataclass(frozen=True)
class Act:
    """Posts with their labels, and the window of event time that they fill."""

    window: Window
    posts: list[FolderPost]

    @property
    def truth(self) -> dict[str, str]:
        """post_id -> label."""
        return {item.post.post_id: item.label for item in self.posts if item.label is not None}


def windows(settings: Settings) -> dict[str, Window]:
    """One window per act, all before now and after those of the last demo on this state."""
    record = settings.state / "demo.json"
    now = datetime.now(UTC)
    start = now - LONGEST
    if record.exists():
        last = datetime.fromisoformat(orjson.loads(record.read_bytes())["end"])
        start = max(start, last)
    found = {}
    edge = start
    for name, share in SHARES.items():
        end = edge + (now - start) * share if name != "after" else now
        found[name] = Window(edge, end)
        edge = end
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_bytes(orjson.dumps({"end": now}))
    return found


def synthetic(times: dict[str, Window], seed: int, scale: float) -> dict[str, Act]:
    """Generated posts; after the drift every picture went through a new camera filter."""
    acts = {}
    for number, (name, window) in enumerate(times.items()):
        drift = "image" if name in {"drifted", "after"} else None
        count = max(60, round(SIZES[name] * scale))
        made = generate(count, seed * 10 + number, *window, drift=drift)  # type: ignore[arg-type]
        acts[name] = Act(window, [item for item, _ in made])
    return acts


def from_folder(times: dict[str, Window], folder: Path, settings: Settings) -> dict[str, Act]:
    """A posts folder: `train` is the labelled history, `val` the live stream.

    After the drift the pictures of `val` come through the same new camera filter: every second
    post in the act that a retrain may learn from, the others in the act that judges it.

    Raises:
        CovlaError: the folder, or one of the two splits, is not there.
    """
    history = list(read_folder(folder, split="train", settings=settings))
    live = list(read_folder(folder, split="val", settings=settings))
    if any(item.label is None for item in history + live):
        raise CovlaError(
            f"{folder}: a post of split train or val has no label",
            hint="The demo measures accuracy, so both splits must be labelled",
        )
    filtered = [_filtered(item, settings) for item in live]
    posts = {
        "history": history,
        "live": live,
        "drifted": filtered[0::2],
        "after": filtered[1::2],
    }
    return {
        name: Act(times[name], list(restamp(items, times[name], len(items))))
        for name, items in posts.items()
    }


def _filtered(item: FolderPost, settings: Settings) -> FolderPost:
    post = item.post
    image = post.image
    if image is not None and image.data is not None:
        pixels = camera_filter(decode_image(base64.b64decode(image.data), settings))
        ok, jpeg = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        if not ok:
            raise CovlaError(f"cannot encode the picture of {post.post_id}")
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
