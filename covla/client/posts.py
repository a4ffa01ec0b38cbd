"""Posts as a caller has them, to the JSON that the service takes."""

import base64
import binascii
import uuid
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from covla.errors import PostError
from covla.files import LIMIT, reason
from covla.schemas.contract import check_size
from covla.schemas.post import SocialPost
from covla.settings import Settings
from covla.times import now

BATCH_POSTS = 32  # the most that the service takes at once

# A post of the contract, or its fields: `text`, `image`, `post_id` and `created_at` (made where
# they are not given), `author_id`, `lang`. `image` is bytes of a file, a Path, a file:// address,
# base64 text, or what the contract has: {"data": base64} or {"uri": an address in its blob store}.
PostLike = SocialPost | Mapping[str, Any]


def post_json(post: PostLike, settings: Settings) -> bytes:
    """The JSON of a post.

    Raises:
        PostError: a field is wrong, the image cannot be read, or it is too large for any message.
    """
    if not isinstance(post, SocialPost):
        value = {"post_id": f"client-{uuid.uuid4().hex}", "created_at": now()} | dict(post)
        if value.get("image") is not None and not isinstance(value["image"], Mapping):
            value["image"] = {"data": _base64(value["image"])}
        post = SocialPost.from_dict(value)
    raw = post.to_json()
    check_size(raw, settings)
    return raw


def batches(posts: Iterable[PostLike], settings: Settings) -> Iterator[list[bytes | PostError]]:
    """Posts by 32, each as JSON or as the error that it is; read as they are needed."""
    left = iter(posts)
    while batch := list(islice(left, BATCH_POSTS)):
        yield [_json_or_error(post, settings) for post in batch]


def batch_body(batch: list[bytes | PostError]) -> bytes:
    """The body of a request for a batch; empty where no post of it can be sent."""
    good = [item for item in batch if isinstance(item, bytes)]
    return b"[" + b",".join(good) + b"]" if good else b""


def _json_or_error(post: PostLike, settings: Settings) -> bytes | PostError:
    try:
        return post_json(post, settings)
    except PostError as error:
        return error


def _base64(image: Any) -> str:
    if isinstance(image, bytes | bytearray):
        return base64.b64encode(image).decode()
    if isinstance(image, Path):
        return _of_file(image)
    if not isinstance(image, str):
        raise PostError(
            "image", "image_source", f"a {type(image).__name__} is neither bytes, Path nor text"
        )
    if "://" in image[:16]:
        parts = urlsplit(image)
        if parts.scheme.lower() != "file" or parts.netloc not in {"", "localhost"}:
            raise PostError(
                "image", "image_url", "of addresses only file:/// ones are read; give the bytes"
            )
        return _of_file(Path(unquote(parts.path)))
    try:
        base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise PostError(
            "image", "image_source", "this text is no base64; give a pathlib.Path for a file"
        ) from None
    return image


def _of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise PostError(
            "image", "unreadable_file", f"cannot read {path}: {reason(error)}"
        ) from None
    if len(content) > LIMIT:
        raise PostError("image", "too_large", f"{path} has more than {LIMIT} bytes")
    return base64.b64encode(content).decode()
