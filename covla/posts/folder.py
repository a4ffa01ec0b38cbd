"""A posts folder: `posts.jsonl` and the images beside it. Files in, no Kafka needed."""

import base64
import hashlib
import logging
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from covla.errors import CovlaError, PostError
from covla.files import write_aside
from covla.json_lines import json_lines
from covla.schemas.contract import json_object
from covla.schemas.post import SocialPost
from covla.settings import Settings, get_settings

OF_A_FOLDER = ("label", "split", "pair_type")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderPost:
    """One line of posts.jsonl: a post, and what only a folder says of it."""

    post: SocialPost
    label: str | None
    split: str | None
    pair_type: str | None


@dataclass
class Reading:
    """Counts of a reader of a folder: usable posts, lines that cannot be used and the first of
    them, lines that repeat an earlier one, and posts that do not train because they repeat the
    content of the holdout."""

    posts: int = 0
    unusable: int = 0
    repeats: int = 0
    copies: int = 0
    first: str = ""

    def __str__(self) -> str:
        parts = []
        if self.unusable:
            parts.append(f"{self.unusable} lines cannot be used, the first is {self.first}")
        if self.repeats:
            parts.append(f"{self.repeats} lines repeat a post and are left out")
        if self.copies:
            parts.append(f"{self.copies} posts repeat held-out ones and are left out of training")
        return "; ".join(parts)

    def as_dict(self) -> dict[str, int]:
        """For a JSON result."""
        counts = {"unusable_lines": self.unusable, "repeated_lines": self.repeats}
        return counts | {"left_out": self.copies}


def _read_image(folder: Path, value: str, settings: Settings) -> dict[str, str]:
    name = value if len(value) <= 100 else f"{value[:100]}..."
    limit = settings.max_image_bytes * 3 // 4  # as base64 it has a third more
    try:
        path = (folder / value).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise PostError("image", "outside_folder", f"{name} is not inside the posts folder")
        # A pipe or a device would be waited for, or never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise PostError("image", "missing_file", f"{name} is not a file")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PostError("image", "missing_file", f"cannot read {name}: {reason}") from None
    except (ValueError, RuntimeError) as error:  # a null byte; links in a circle
        raise PostError("image", "missing_file", f"{name!r} is no path: {error}") from None
    if len(content) > limit:
        raise PostError("image", "too_large", f"{name} has more than {limit} bytes")
    return {"data": base64.b64encode(content).decode()}


@dataclass(frozen=True)
class FolderLine:
    """One line of a folder's posts.jsonl: a JSON object whose fields are not checked yet.

    Every method raises a PostError that names the field.
    """

    fields: dict[str, Any]

    @classmethod
    def parse(cls, line: bytes) -> "FolderLine":
        """A line that is a JSON object."""
        return cls(json_object(line))

    def post(self, folder: Path, settings: Settings) -> SocialPost:
        """The post; `image` is a path relative to the folder and inside it, or an object."""
        image = self.fields.get("image")
        read = {"image": _read_image(folder, image, settings)} if isinstance(image, str) else {}
        return SocialPost.from_dict(self.fields | read).check_limits(settings)

    def own_fields(self) -> dict[str, str | None]:
        """What only a folder has: label, split and pair_type."""
        own = {key: self.fields.get(key) for key in OF_A_FOLDER}
        for key, value in own.items():
            if value is not None and not isinstance(value, str):
                raise PostError(key, "string_type", "must be a text or null")
        return own

    def folder_post(self, folder: Path, settings: Settings) -> FolderPost:
        """The post with its own fields."""
        return FolderPost(self.post(folder, settings), **self.own_fields())


def folder_lines(
    folder: Path, split: str | None, settings: Settings
) -> Iterator[tuple[int, FolderPost | PostError]]:
    """Every post of a folder's split, or what is wrong with it, by line number.

    All posts are taken when `split` is None, and when no line of the folder has a split.

    Raises:
        CovlaError: no posts.jsonl, or it is not UTF-8.
    """
    source = Path(folder) / "posts.jsonl"
    if not source.is_file():
        raise CovlaError(
            f"no posts.jsonl in {folder}",
            hint="Give a posts folder: posts.jsonl with one post a line, images beside it",
        )
    if split is not None and not has_splits(source, settings):
        split = None
    with source.open("rb") as file:
        for number, line in json_lines(file, settings.max_message_bytes, str(source)):
            try:
                if isinstance(line, PostError):
                    raise line
                parsed = FolderLine.parse(line)
                own = parsed.own_fields()
                if split is None or own["split"] == split:
                    yield number, FolderPost(parsed.post(Path(folder), settings), **own)
            except PostError as error:
                yield number, error


def has_splits(source: Path, settings: Settings) -> bool:
    """Whether any line of a posts.jsonl names a split."""
    with source.open("rb") as file:
        for _, line in json_lines(file, settings.max_message_bytes, str(source)):
            if isinstance(line, PostError):
                continue
            try:
                if FolderLine.parse(line).fields.get("split") is not None:
                    return True
            except PostError:
                continue  # who reads the posts counts it
    return False


def read_folder(
    folder: Path,
    *,
    split: str | None = None,
    settings: Settings | None = None,
    reading: Reading | None = None,
) -> Iterator[FolderPost]:
    """The usable posts of a folder, those of `split` alone when it is given, each once.

    A line that cannot be used is passed over and counted, and so is one that repeats a post.

    Args:
        folder: holds posts.jsonl.
        split: None for all; all are taken too when no line has a split.
        settings: limits of posts; default: the process's.
        reading: takes the counts; without it they are logged as a warning at the end.

    Raises:
        CovlaError: no posts.jsonl, no post in `split`, more than half of the lines cannot be used
            (the first is named by its number), or two lines say different things of one post.
    """
    settings = settings or get_settings()
    counts = reading if reading is not None else Reading()
    source = Path(folder) / "posts.jsonl"
    seen: dict[str, tuple[int, bytes, str | None, str | None]] = {}
    for number, item in folder_lines(folder, split, settings):
        if isinstance(item, PostError):
            counts.unusable += 1
            counts.first = counts.first or f"line {number}: {item}"
            continue
        content = hashlib.sha256(item.post.to_json()).digest()
        about = (number, content, item.label, item.split)
        before = seen.setdefault(item.post.post_id, about)
        if before == about:
            counts.posts += 1
            yield item
        elif before[1:] == about[1:]:
            counts.repeats += 1
        else:
            raise _contradiction(source, item.post.post_id, before, about)
    if counts.unusable > counts.posts + counts.repeats:
        raise CovlaError(
            f"{source}, {counts.first}",
            hint=f"{counts.unusable} of {counts.unusable + counts.posts + counts.repeats} lines "
            "cannot be used",
        )
    if not counts.posts:
        raise CovlaError(
            f"no post{f' of split {split!r}' if split else ''} in {source}",
            hint="Look at the `split` field of its lines",
        )
    if reading is None and str(counts):
        log.warning("%s: %s", source, counts)


def _contradiction(
    source: Path, post_id: str, before: tuple[Any, ...], after: tuple[Any, ...]
) -> CovlaError:
    what = "other content"
    for place, field in ((2, "label"), (3, "split")):
        if before[place] != after[place]:
            what = f"another {field} ({before[place]!r} and {after[place]!r})"
            break
    return CovlaError(
        f"{source}, lines {before[0]} and {after[0]}: post_id: {post_id!r} is there twice, "
        f"with {what}",
        hint="Keep one of the two lines",
    )


def write_folder(folder: Path, items: list[tuple[FolderPost, bytes | None]]) -> None:
    """Write a posts folder; each item with its encoded image (JPEG or PNG bytes) or None."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    with write_aside(folder / "posts.jsonl") as draft, draft.open("wb") as out:
        for item, image in items:
            record = item.post.model_dump(mode="json", exclude={"image"}, exclude_none=True)
            if image is not None:
                suffix = ".png" if image.startswith(b"\x89PNG") else ".jpg"
                name = f"images/{item.post.post_id}{suffix}"
                (folder / name).write_bytes(image)
                record["image"] = name
            record |= {"label": item.label, "split": item.split, "pair_type": item.pair_type}
            out.write(orjson.dumps(record) + b"\n")
