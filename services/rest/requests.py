"""HTTP requests to posts: bounded bodies, JSON or a form, and an error for whatever is wrong."""

import base64
import math
import time
import uuid
from typing import Any

import orjson
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from covla.errors import PostError
from covla.schemas.contract import json_object
from covla.schemas.post import SocialPost
from covla.settings import Settings
from covla.times import now

BATCH_POSTS = 32
FORM_FIELDS = ("text", "post_id", "created_at", "author_id", "lang")

_STATUS = {"not_json": 400, "not_an_object": 400, "empty": 400, "bad_form": 400}
_STATUS |= {"too_large": 413, "too_many_pixels": 413, "too_many_posts": 413}
_STATUS |= {"media_type": 415}


def status_of(error: PostError) -> int:
    """The HTTP status of an error that the client can put right: 400, 413, 415 or 422."""
    return _STATUS.get(error.code, 422)


def claim(request: Request, limit: int) -> int:
    """How many bytes the body may take: what the request states, else the limit.

    Raises:
        PostError: it states more than `limit`; nothing was read.
    """
    stated = request.headers.get("content-length", "")
    if not stated.isdecimal():
        return limit  # chunked
    if int(stated) > limit:
        raise PostError("body", "too_large", f"{stated} bytes; at most {limit}")
    return int(stated)


def deadline_of(request: Request, settings: Settings) -> float:
    """By when a request has to be answered, in seconds of `time.monotonic()`: its header `timeout`
    in seconds, at most the setting `rest_timeout`.

    Raises:
        PostError: the header is no number of seconds more than 0.
    """
    stated = request.headers.get("timeout")
    if stated is None:
        return time.monotonic() + settings.rest_timeout
    try:
        seconds = float(stated)
    except ValueError:
        seconds = math.nan
    if math.isnan(seconds):
        raise PostError("timeout", "bad_timeout", f"{stated[:40]!r} is no number of seconds")
    if seconds <= 0:
        raise PostError("timeout", "deadline_passed", f"{stated[:40]} s: the deadline has passed")
    return time.monotonic() + min(seconds, settings.rest_timeout)


async def read_body(request: Request, limit: int) -> bytes:
    """The body, given up as soon as it is larger than `limit` bytes, which `claim` gave.

    Raises:
        PostError: too large.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise PostError("body", "too_large", f"more than {limit} bytes")
        parts.append(part)
    return b"".join(parts)


async def one_post(request: Request, body: bytes, settings: Settings) -> SocialPost:
    """A JSON SocialPost, or a form with `text`, an `image` file, or both.

    Raises:
        PostError: it names the field.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind in {"application/json", ""}:
        post = SocialPost.from_json(body)
    elif kind in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        post = await _form(request, body)
    else:
        raise PostError(
            "content-type",
            "media_type",
            f"{kind[:80]} is not application/json or multipart/form-data",
        )
    return post.check_limits(settings)


async def _form(request: Request, body: bytes) -> SocialPost:
    async def replay() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    value: dict[str, str | dict[str, str]] = {
        "post_id": f"web-{uuid.uuid4().hex}",
        "created_at": now().isoformat(),
    }
    try:
        async with Request(request.scope, replay).form(
            max_files=16, max_fields=16, max_part_size=len(body) + 1
        ) as form:
            for name in FORM_FIELDS:
                for field in filter(_filled, form.getlist(name)):
                    if not isinstance(field, str):
                        raise PostError(name, "bad_form", "send it as a field, not as a file")
                    value[name] = field
            images = list(filter(_filled, form.getlist("image")))
            if len(images) > 1:
                raise PostError("image", "bad_form", f"{len(images)} images; at most one")
            for image in images:
                if isinstance(image, str):
                    raise PostError("image", "bad_form", "send the image as a file part")
                content = await image.read()
                value["image"] = {"data": base64.b64encode(content).decode()}
    except HTTPException as error:  # python-multipart's complaint, as Starlette hands it on
        raise PostError("body", "bad_form", f"is no valid form: {error.detail}") from None
    return SocialPost.from_dict(value)


def one_object(request: Request, body: bytes) -> dict[str, Any]:
    """A JSON object, its fields not checked yet.

    Raises:
        PostError: another media type, no JSON, or no object.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in {"application/json", ""}:
        raise PostError("content-type", "media_type", f"{kind[:80]} is not application/json")
    return json_object(body)


def _filled(field: str | UploadFile) -> bool:
    # A browser sends a file part without a name and content where no file was chosen.
    return bool(field) if isinstance(field, str) else bool(field.filename or field.size)


def many_posts(body: bytes, settings: Settings) -> list[SocialPost | PostError]:
    """A JSON list of posts (or {"posts": [...]}): one post or one error per item, in order.

    Raises:
        PostError: the body as a whole cannot be used.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PostError("body", "not_json", f"is no valid JSON: {error}") from None
    if isinstance(value, dict):
        value = value.get("posts")
    if not isinstance(value, list) or not value:
        raise PostError("body", "not_a_list", "expected a list of posts, at least one")
    if len(value) > BATCH_POSTS:
        raise PostError("body", "too_many_posts", f"{len(value)} posts; at most {BATCH_POSTS}")
    posts: list[SocialPost | PostError] = []
    for item in value:
        try:
            if not isinstance(item, dict):
                raise PostError("message", "not_an_object", "expected a JSON object")
            posts.append(SocialPost.from_dict(item).check_limits(settings))
        except PostError as error:
            posts.append(error)
    return posts


def batch_bytes(settings: Settings) -> int:
    """The largest body of a batch."""
    return BATCH_POSTS * settings.max_message_bytes
