"""Posts from a file or folder through a Predictor: a line in, a line out, in bounded memory."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import orjson

from covla.errors import CovlaError, PostError
from covla.post import SocialPost, parse_post
from covla.posts_folder import parse_line
from covla.predictor import Predictor
from covla.settings import Settings

BATCH = 64

Numbered = tuple[int, SocialPost | PostError]


def read_lines(stream: BinaryIO, settings: Settings) -> Iterator[Numbered]:
    """Posts, or what is wrong with them, by line number; blank lines are passed over.

    A line beyond the size limit is skipped without ever being held in memory.
    """
    number = 0
    limit = settings.max_message_bytes + 1
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) > limit and not line.endswith(b"\n"):
            while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
                pass
            text = f"more than {settings.max_message_bytes} bytes in one line"
            yield number, PostError("message", "too_large", text)
        elif line.strip():
            try:
                yield number, parse_post(line.rstrip(b"\r\n"), settings)
            except PostError as error:
                yield number, error


def read_folder_lines(folder: Path, split: str, settings: Settings) -> Iterator[Numbered]:
    """The posts of a folder's split, or what is wrong with them, by line number.

    Raises:
        CovlaError: no posts.jsonl.
    """
    source = folder / "posts.jsonl"
    if not source.is_file():
        raise CovlaError(f"no posts.jsonl in {folder}", hint="Give a posts folder")
    wanted = f'"{split}"'.encode()
    with source.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if wanted not in line:
                continue  # of another split: not even parsed
            try:
                item = parse_line(folder, line, settings)
            except PostError as error:
                yield number, error
            else:
                if item.split == split:
                    yield number, item.post


def predict_lines(predictor: Predictor, posts: Iterable[Numbered]) -> Iterator[tuple[bytes, bool]]:
    """One JSON line per post in the order they came, and whether it is a prediction.

    An error is `{"error": ..., "field": ..., "code": ..., "line": n}`.
    """
    batch: list[Numbered] = []
    for item in posts:
        batch.append(item)
        if len(batch) == BATCH:
            yield from _answers(predictor, batch)
            batch = []
    yield from _answers(predictor, batch)


def _answers(predictor: Predictor, batch: list[Numbered]) -> Iterator[tuple[bytes, bool]]:
    good = [post for _, post in batch if isinstance(post, SocialPost)]
    answers = iter(predictor.predict(good))
    for number, post in batch:
        answer = next(answers) if isinstance(post, SocialPost) else post
        if isinstance(answer, PostError):
            error = {
                "error": str(answer),
                "field": answer.field,
                "code": answer.code,
                "line": number,
            }
            if isinstance(post, SocialPost):
                error["post_id"] = post.post_id
            yield orjson.dumps(error) + b"\n", False
        else:
            yield answer.to_json() + b"\n", True
