"""A posts folder: `posts.jsonl` and the pictures beside it. Files in, no Kafka needed."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from covla.errors import CovlaError, PostError
from covla.post import SocialPost
from covla.settings import Settings, get_settings


@dataclass(frozen=True)
class FolderPost:
    """One line of posts.jsonl: a post, and what only a folder says of it."""

    post: SocialPost
    label: str | None
    split: str | None
    pair_type: str | None


def _inline(folder: Path, value: str, settings: Settings) -> dict[str, str]:
    path = (folder / value).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise PostError("image", "outside_folder", f"{value} is not inside the posts folder")
    try:
        size = path.stat().st_size
        if size * 4 / 3 > settings.max_image_bytes:
            raise PostError("image", "too_large", f"{value} has {size} bytes")
        return {"data": base64.b64encode(path.read_bytes()).decode()}
    except OSError as error:
        raise PostError("image", "missing_file", f"cannot read {value}: {error.strerror}") from None


def parse_line(folder: Path, line: bytes, settings: Settings) -> FolderPost:
    """One line of a folder's posts.jsonl; `image` is a path relative to the folder, or an object.

    Raises:
        PostError: it names the field.
    """
    try:
        record: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise PostError("message", "not_json", f"is no valid JSON: {error}") from None
    if not isinstance(record, dict):
        raise PostError("message", "not_an_object", "expected a JSON object")
    extra = {key: record.pop(key, None) for key in ("label", "split", "pair_type")}
    for key, value in extra.items():
        if value is not None and not isinstance(value, str):
            raise PostError(key, "string_type", "must be a text or null")
    if isinstance(record.get("image"), str):
        record["image"] = _inline(folder, record["image"], settings)
    return FolderPost(SocialPost.from_dict(record).check_limits(settings), **extra)


def read_folder(
    folder: Path, *, split: str | None = None, settings: Settings | None = None
) -> Iterator[FolderPost]:
    """The posts of a folder, those of `split` alone when it is given.

    Raises:
        CovlaError: no posts.jsonl, no post in `split`, or a bad line (named by its number).
    """
    settings = settings or get_settings()
    source = Path(folder) / "posts.jsonl"
    if not source.is_file():
        raise CovlaError(
            f"no posts.jsonl in {folder}",
            hint="Give a posts folder: posts.jsonl with one post a line, pictures beside it",
        )
    wanted = None if split is None else f'"{split}"'.encode()
    seen = 0
    with source.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            # Cheap look before parsing: most lines of another split are never decoded.
            if not line.strip() or (wanted and wanted not in line):
                continue
            try:
                item = parse_line(Path(folder), line, settings)
            except PostError as error:
                raise CovlaError(f"{source}, line {number}: {error}") from error
            if split is None or item.split == split:
                seen += 1
                yield item
    if not seen:
        raise CovlaError(
            f"no post{f' of split {split!r}' if split else ''} in {source}",
            hint="Look at the `split` field of its lines",
        )


def write_folder(folder: Path, items: list[tuple[FolderPost, bytes | None]]) -> None:
    """Write a posts folder; each item with its encoded picture (JPEG or PNG bytes) or None."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    draft = folder / "posts.jsonl.part"
    with draft.open("wb") as out:
        for item, picture in items:
            record = item.post.model_dump(mode="json", exclude={"image"}, exclude_none=True)
            if picture is not None:
                suffix = ".png" if picture.startswith(b"\x89PNG") else ".jpg"
                name = f"images/{item.post.post_id}{suffix}"
                (folder / name).write_bytes(picture)
                record["image"] = name
            record |= {"label": item.label, "split": item.split, "pair_type": item.pair_type}
            out.write(orjson.dumps(record) + b"\n")
    draft.replace(folder / "posts.jsonl")
