"""Posts from a file or folder through a Predictor: a line in, a line out, in bounded memory."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import orjson

from covla.errors import CovlaError, PostError
from covla.inference.predictor import Predictor
from covla.json_lines import json_lines
from covla.posts.folder import FolderLine, folder_lines
from covla.schemas.post import SocialPost
from covla.settings import Settings

BATCH = 64

Numbered = tuple[int, SocialPost | PostError]


def read_lines(stream: BinaryIO, folder: Path, settings: Settings) -> Iterator[Numbered]:
    """Posts, or what is wrong with them, by line number; blank lines are passed over.

    Lines are those of a posts folder too: `image` may be a path inside `folder`, relative to it.

    Raises:
        CovlaError: the stream is not UTF-8.
    """
    for number, line in json_lines(stream, settings.max_message_bytes, "stdin"):
        try:
            if isinstance(line, PostError):
                raise line
            yield number, FolderLine.parse(line).post(folder, settings)
        except PostError as error:
            yield number, error


def read_folder_lines(folder: Path, split: str, settings: Settings) -> Iterator[Numbered]:
    """The posts of a folder's split, or what is wrong with them, by line number.

    Raises:
        CovlaError: no posts.jsonl, or no line of that split.
    """
    count = 0
    for count, (number, item) in enumerate(folder_lines(folder, split, settings), 1):  # noqa: B007
        yield number, item if isinstance(item, PostError) else item.post
    if not count:
        raise CovlaError(
            f"no post of split {split!r} in {folder}", hint="Look at the `split` field of its lines"
        )


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
