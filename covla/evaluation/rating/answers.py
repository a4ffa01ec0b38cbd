"""Filled sheets, read strictly: what is wrong is named by file, row and column."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

from pydantic import Field

from covla.errors import CovlaError
from covla.evaluation.rating.sheet import CANNOT_TELL
from covla.files import read_dataclass, read_text

NEEDED = ("sheet", "item", "rater", "answer")


@dataclass(frozen=True)
class _KeyItem:
    post_id: str
    label: str | None


@dataclass(frozen=True)
class _KeyFile:
    sheet: str
    labels: list[str]
    items: Annotated[dict[str, _KeyItem], Field(min_length=1)]


@dataclass(frozen=True)
class Key:
    """What the raters do not see."""

    sheet: str
    labels: list[str]
    posts: dict[str, str]  # item -> post_id
    gold: dict[str, str]  # item -> label, of posts that have one


@dataclass(frozen=True)
class Answers:
    """One rater's sheet: item -> label, None for "cannot tell"."""

    rater: str
    labels: dict[str, str | None]


def read_key(path: Path) -> Key:
    """The key that `covla rate sheet` wrote.

    Raises:
        CovlaError: no such file, or it is no key.
    """
    try:
        key = read_dataclass(_KeyFile, path)
    except CovlaError as error:
        hint = "Give key.json of `covla rate sheet`"
        raise CovlaError(f"--key: {error}", hint=hint) from None
    posts = {name: item.post_id for name, item in key.items.items()}
    gold = {name: item.label for name, item in key.items.items() if item.label is not None}
    return Key(key.sheet, key.labels, posts, gold)


def read_sheets(paths: Sequence[Path], key: Key) -> list[Answers]:
    """Filled sheets of different raters, each with an answer to every item of the key.

    Raises:
        CovlaError: fewer than two, or one that cannot be used; file, row and column are named.
    """
    if len(paths) < 2:
        raise CovlaError("SHEET: agreement needs the sheets of at least two raters")
    sheets: dict[str, Path] = {}
    found = []
    for path in paths:
        answers = read_sheet(path, key)
        if answers.rater in sheets:
            other = sheets[answers.rater]
            _wrong(path, 2, "rater", f"{answers.rater!r} has filled {other} already")
        sheets[answers.rater] = path
        found.append(answers)
    return found


def read_sheet(path: Path, key: Key) -> Answers:
    """One filled sheet.

    Raises:
        CovlaError: it cannot be used; row and column are named.
    """
    labels: dict[str, str | None] = {}
    rater = ""
    for number, row in _rows(path):
        if row["sheet"] != key.sheet:
            _wrong(path, number, "sheet", f"{row['sheet']!r} is not {key.sheet!r} of the key")
        item = row["item"]
        if item not in key.posts:
            _wrong(path, number, "item", f"{item!r} is not in the key")
        if item in labels:
            _wrong(path, number, "item", f"{item!r} comes twice")
        rater = rater or row["rater"]
        if not rater:
            _wrong(path, number, "rater", "nobody is named")
        if row["rater"] not in {"", rater}:  # the first row's name is enough
            _wrong(path, number, "rater", f"{row['rater']!r} is not {rater!r} of the rows above")
        answer = row["answer"].lower().replace(" ", "_")
        if not answer:
            _wrong(path, number, "answer", f"no answer; a label or {CANNOT_TELL}")
        if answer != CANNOT_TELL and answer not in key.labels:
            choices = ", ".join((*key.labels, CANNOT_TELL))
            _wrong(path, number, "answer", f"{row['answer']!r} is not one of {choices}")
        labels[item] = None if answer == CANNOT_TELL else answer
    missing = [item for item in key.posts if item not in labels]
    if missing:
        _wrong(path, len(labels) + 2, "item", f"{missing[0]!r} is missing, {len(missing)} in all")
    return Answers(rater, labels)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Each row that is not blank, with its number in a spreadsheet."""
    text = read_text(path)
    head = text.split("\n", 1)[0]
    # Spreadsheets write ; or a tab where the comma is the decimal sign.
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = [(name or "").strip().lower() for name in reader.fieldnames or []]
        for name in NEEDED:
            if name not in names:
                _wrong(path, 1, name, "there is no such column")
        reader.fieldnames = names
        rows = [{name: (row[name] or "").strip() for name in NEEDED} for row in reader]
    except csv.Error as error:
        raise CovlaError(f"{path}, row {reader.line_num}: {error}") from None
    return [(number, row) for number, row in enumerate(rows, 2) if any(row.values())]


def _wrong(path: Path, row: int, column: str, message: str) -> NoReturn:
    raise CovlaError(f"{path}, row {row}, column {column}: {message}")
