"""Posts that a person looks at to see what is wrong: an excerpt of the text and a small image."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import pandas as pd

from covla.errors import PostError, ServiceUnavailable
from covla.posts.image_decoding import decode_image
from covla.posts.image_store import BlobStore
from covla.settings import Settings
from features.validation.outcome import Found

EACH, MOST = 3, 12  # posts of an expectation, and of a page
EXCERPT = 160  # characters
SIDE, QUALITY = 96, 70  # of a thumbnail: pixels, and of its JPEG
MAX_BYTES = 12_000  # of one; a page stays below a quarter of a megabyte


@dataclass(frozen=True)
class Example:
    """One post of a broken expectation; `image` is a data URI."""

    post_id: str
    reasons: list[str]
    text: str
    image: str | None
    note: str  # why there is no image


def examples(frame: pd.DataFrame, finds: Sequence[Found], settings: Settings) -> list[Example]:
    """Some posts of every expectation that is broken, in the order of the expectations.

    Raises:
        ServiceUnavailable: the image store cannot be read.
    """
    known = set() if frame.empty else set(frame["post_id"])
    broken: list[tuple[str, list[str]]] = []
    chosen: list[str] = []
    for one in finds:
        outcome = one.outcome(one.rule.severity)
        if outcome != "passed":
            posts = [post for post in one.bad or one.planned.shows if post in known]
            broken.append((f"{one.planned.name}: {outcome}", posts))
            seen = set(chosen)
            chosen += [post for post in posts if post not in seen][:EACH]
    chosen = chosen[:MOST]
    reasons = {post: [why for why, posts in broken if post in posts] for post in chosen}
    rows = frame.set_index("post_id").loc[chosen] if chosen else frame.head(0)
    store = BlobStore(settings)
    made = []
    for post_id, text, uri in zip(chosen, rows["text"], rows["image_uri"], strict=True):
        image, note = _thumbnail(uri, store, settings)
        made.append(Example(post_id, reasons[post_id], _excerpt(text), image, note))
    return made


def _excerpt(text: str | None) -> str:
    whole = text or ""
    return whole if len(whole) <= EXCERPT else f"{whole[:EXCERPT]}…"


def _thumbnail(uri: str | None, store: BlobStore, settings: Settings) -> tuple[str | None, str]:
    """A JPEG as a data URI, or why there is none."""
    if not uri:
        return None, "no image"
    try:
        pixels = decode_image(store.read(uri, derivative=True), settings)
    except PostError as error:  # it has expired since
        return None, str(error)[:EXCERPT]
    except OSError as error:
        raise ServiceUnavailable(f"the image store cannot be read: {error}") from error
    scale = min(SIDE / max(pixels.shape[:2]), 1)
    height, width = (max(round(side * scale), 1) for side in pixels.shape[:2])
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    ok, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not ok or len(jpeg) > MAX_BYTES:
        return None, "its thumbnail is too large"
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}", ""
