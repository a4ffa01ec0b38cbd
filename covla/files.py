"""Files as people write and save them: what cannot be read is one line that names the file. What
is written is written aside and renamed: nobody ever sees half of it."""

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from covla.errors import CovlaError
from covla.json_lines import UTF8_MARK, UTF16_MARKS

Read = TypeVar("Read")

LIMIT = 64 * 2**20  # bytes; a file that a person wrote has kilobytes


@contextmanager
def write_aside(path: Path, suffix: str = ".part") -> Iterator[Path]:
    """A draft for the block to write, then renamed to `path`, or removed where the block fails.

    Its folder is made. A `suffix` is for libraries that write only to a name of their own kind.

    Raises:
        OSError: the folder cannot be made, or the draft not renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft_of(path, suffix)
    try:
        yield draft
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_bytes_aside(path: Path, content: bytes) -> None:
    """`write_aside` of bytes at hand.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    with write_aside(path) as draft:
        draft.write_bytes(content)


@contextmanager
def folder_aside(path: Path, draft: Path | None = None) -> Iterator[Path]:
    """As `write_aside`, for a folder, which the block makes.

    Args:
        draft: the same place each time, so that what a killed process left there is cleared.

    Raises:
        OSError: the draft was not made, or cannot be renamed, because `path` is there for example.
    """
    draft = draft or _draft_of(path, "")
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield draft
        draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _draft_of(path: Path, suffix: str) -> Path:
    # Not by process or thread: containers that share a folder have equal numbers.
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}{suffix}")


def file_sum(path: Path) -> str:
    """SHA-256 of a file (hex).

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(path: Path, limit: int = LIMIT) -> bytes:
    """The content of a file without a UTF-8 mark.

    Raises:
        CovlaError: it cannot be read, has more than `limit` bytes, is empty, or is UTF-16.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise CovlaError(f"cannot read {path}: {reason(error)}") from None
    if len(content) > limit:
        raise CovlaError(f"cannot read {path}: it has more than {limit} bytes")
    return without_mark(content, path)


def without_mark(content: bytes, path: Path) -> bytes:
    """The content of a text file without a UTF-8 mark.

    Raises:
        CovlaError: it is empty, or UTF-16.
    """
    if content.startswith(UTF16_MARKS) or b"\0" in content[:4]:
        raise CovlaError(f"cannot read {path}: it is not UTF-8 text", hint="Save it as UTF-8")
    content = content.removeprefix(UTF8_MARK)
    if not content.strip():
        raise CovlaError(f"cannot read {path}: it is empty")
    return content


def read_text(path: Path, limit: int = LIMIT) -> str:
    """The text of a UTF-8 file.

    Raises:
        CovlaError: as `read_bytes`; or it is not UTF-8, or not text.
    """
    content = read_bytes(path, limit)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CovlaError(
            f"cannot read {path}: line {line} is not UTF-8 text", hint="Save it as UTF-8"
        ) from None
    if "\0" in text:
        raise CovlaError(f"cannot read {path}: it is not text")
    return text


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        CovlaError: as `read_text`; or it is no JSON.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise CovlaError(f"cannot read {path}: it is no valid JSON: {_line(error)}") from None


def read_object(path: Path) -> dict[str, Any]:
    """The object of a JSON file.

    Raises:
        CovlaError: as `read_json`; or it is no object.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise CovlaError(f"cannot read {path}: it is no JSON object")
    return value


def read_dataclass(kind: type[Read], path: Path, **values: Any) -> Read:
    """A dataclass of the object of a JSON file and of `values`; what it does not know is left.

    Raises:
        CovlaError: as `read_object`; or a field is missing or of another type.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(read_object(path) | values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise CovlaError(
            f"cannot read {path}: {field}: {first['msg']}",
            hint="Another version of covla may have written it: make it again",
        ) from None


def read_yaml(path: Path) -> Any:
    """The value of a YAML file of plain types, without aliases.

    Raises:
        CovlaError: as `read_text`; or it is no YAML, or has aliases, of which a few lines can make
            more than memory holds.
    """
    try:
        return yaml.load(read_text(path), _Plain)  # noqa: S506  # of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise CovlaError(f"cannot read {path}: {where}{_line(error.problem or error)}") from None
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:
        # The constructors of times and numbers raise what Python's do.
        raise CovlaError(f"cannot read {path}: it is no valid YAML: {_line(error)}") from None


class _Plain(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "write it out: no aliases", mark)
        return super().compose_node(parent, index)


def reason(error: Exception) -> str:
    """Why a file cannot be read, in the system's words."""
    return (error.strerror if isinstance(error, OSError) else None) or _line(error)


def _line(error: object) -> str:
    return " ".join(str(error).split())[:200]
