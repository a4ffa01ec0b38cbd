"""Filled sheets in, agreement out; whatever is wrong with one is named by row and column."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from covla.cli.rate import rate
from covla.errors import CovlaError
from covla.evaluation.rating.score import Majority, score

Table = list[list[str]]


def _read(path: Path) -> Table:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def _write(path: Path, table: Table, *, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows(table)
    path.write_text(file.getvalue(), encoding=encoding)
    return path


def _gold(key: Path) -> list[str]:
    return [item["label"] for item in json.loads(key.read_text())["items"].values()]


def _fill(rated: Any, path: Path, rater: str, answers: list[str], **how: Any) -> Path:
    table = _read(rated.csv)
    for row, answer in zip(table[1:], answers, strict=True):
        row[2], row[3] = rater, answer
    return _write(path, table, **how)


def test_alpha_through_the_sheets_is_krippendorffs_own(rated: Any, tmp_path: Path) -> None:
    # The example of section C, four observers and twelve units; a gap is "cannot tell".
    names = dict(zip("12345.", ["home", "workplace", "school", "shop", "transport", "cannot_tell"],
                     strict=True))  # fmt: skip
    sheets = [
        _fill(rated, tmp_path / f"{i}.csv", f"rater {i}", [names[letter] for letter in row])
        for i, row in enumerate(["123321412...", "1233224125.3", ".3332342251.", "12332441251."])
    ]
    done = score(sheets, rated.key, [])
    assert done.alpha == pytest.approx(0.743, abs=0.0005)
    assert done.alpha_interval[0] < done.alpha < done.alpha_interval[1]
    assert done.alpha_with_cannot_tell < done.alpha
    assert [rater.cannot_tell for rater in done.raters.values()] == [3, 1, 2, 1]
    # Unit 6 is 2, 2, 3, 4 and so on: ten units have a majority, each of a known label.
    assert done.majority.posts + done.majority.without == 12
    assert done.per_label["beach_coast"].answers == 0


def test_accuracy_and_the_model_beside_people(rated: Any, tmp_path: Path) -> None:
    gold = _gold(rated.key)
    half = [label if i % 2 else "transport" for i, label in enumerate(gold)]
    sheets = [
        _fill(rated, tmp_path / "ann.csv", "ann", gold),
        _fill(rated, tmp_path / "bob.csv", "bob", gold, delimiter=";", encoding="utf-8-sig"),
        _fill(rated, tmp_path / "eve.csv", "eve", [label.upper() for label in half]),
    ]
    items = json.loads(rated.key.read_text())["items"]
    lines = [
        json.dumps({"post_id": item["post_id"], "label": label, "model_version": "7"})
        for item, label in zip(items.values(), half, strict=True)
    ]
    lines.append(json.dumps({"post_id": "not rated", "label": "home", "model_version": "7"}))
    lines.append(json.dumps({"error": "text: too long", "line": 9}))
    predictions = tmp_path / "p.jsonl"
    predictions.write_text("\n".join(lines) + "\n")
    done = score(sheets, rated.key, [predictions])
    assert {name: row.accuracy for name, row in done.raters.items()} == {
        "ann": 1, "bob": 1, "eve": 0.5,
    }  # fmt: skip
    assert done.majority == Majority(posts=12, without=0, accuracy=1)
    assert done.agreement_between_raters == pytest.approx(2 / 3)
    model = done.models["7"]
    assert (model.accuracy, model.agreement_with_majority) == (0.5, 0.5)
    assert model.agreement_with_raters == pytest.approx(2 / 3)
    assert 0 < model.kappa_with_majority < 0.5

    predictions.write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(CovlaError, match="version 7 has no answer for post"):
        score(sheets, rated.key, [predictions])
    predictions.write_text("nonsense\n")
    with pytest.raises(CovlaError, match=r"p\.jsonl, line 1: no prediction"):
        score(sheets, rated.key, [predictions])
    predictions.write_text(lines[0].replace(f'"{half[0]}"', '"pub"'))
    with pytest.raises(CovlaError, match="'pub' was no choice"):
        score(sheets, rated.key, [predictions])


def _wrong(change: str, table: Table) -> None:
    match change:
        case "no answer":
            table[5][3] = " "
        case "unknown label":
            table[7][3] = "pub"
        case "other key":
            table[3][0] = "abc"
        case "other item":
            table[2][1] = "p999"
        case "twice":
            table[4][1] = table[3][1]
        case "missing":
            del table[6]
        case "two raters":
            table[9][2] = "bob"
        case "nobody":
            for row in table[1:]:
                row[2] = ""
        case "no column":
            table[0][3] = "label"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("no answer", "row 6, column answer: no answer"),
        ("unknown label", "row 8, column answer: 'pub' is not one of home, "),
        ("other key", "row 4, column sheet: 'abc' is not"),
        ("other item", "row 3, column item: 'p999' is not in the key"),
        ("twice", "row 5, column item: 'p003' comes twice"),
        ("missing", "row 13, column item: 'p006' is missing, 1 in all"),
        ("two raters", "row 10, column rater: 'bob' is not 'eve'"),
        ("nobody", "row 2, column rater: nobody is named"),
        ("no column", "row 1, column answer: there is no such column"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_column(
    rated: Any, tmp_path: Path, change: str, said: str
) -> None:
    gold = _gold(rated.key)
    good = _fill(rated, tmp_path / "ann.csv", "ann", gold)
    bad = _fill(rated, tmp_path / "eve.csv", "eve", gold)
    table = _read(bad)
    _wrong(change, table)
    _write(bad, table)
    with pytest.raises(CovlaError) as caught:
        score([good, bad], rated.key, [])
    assert f"{bad}, {said}" in str(caught.value)


def test_one_rater_is_no_agreement_and_nobody_rates_twice(rated: Any, tmp_path: Path) -> None:
    sheet = _fill(rated, tmp_path / "ann.csv", "ann", _gold(rated.key))
    again = _fill(rated, tmp_path / "again.csv", "ann", _gold(rated.key))
    with pytest.raises(CovlaError, match="at least two raters"):
        score([sheet], rated.key, [])
    with pytest.raises(CovlaError, match=r"again\.csv, row 2, column rater: 'ann' has filled"):
        score([sheet, again], rated.key, [])
    with pytest.raises(CovlaError, match="--key: cannot read"):
        score([sheet, again], rated.posts / "posts.jsonl", [])
    again.write_bytes("sheet,item,rater,answer\nüü".encode("cp1252"))
    with pytest.raises(CovlaError, match="not UTF-8"):
        score([sheet, again], rated.key, [])


def test_the_commands_say_it_to_people_and_to_scripts(rated: Any, tmp_path: Path) -> None:
    gold = _gold(rated.key)
    sheets = [_fill(rated, tmp_path / f"{name}.csv", name, gold) for name in ("ann", "bob")]
    asked = ["score", *map(str, sheets), "--key", str(rated.key)]
    told = CliRunner().invoke(rate, asked)
    assert told.exit_code == 0, told.output
    assert "1.000 [1.000, 1.000]" in told.output
    assert "beach_coast" in told.output
    counted = CliRunner().invoke(rate, [*asked, "--json"])
    assert json.loads(counted.stdout)["alpha"] == 1
    out = tmp_path / "new"
    made = CliRunner().invoke(
        rate, ["sheet", "--posts", str(rated.posts), "--n", "5", "--out", str(out), "--json"]
    )
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout.splitlines()[-1])["posts"] == 5
    assert (out / "raters" / "sheet.html").is_file()


SHEETS = {
    "empty": (b"", "it is empty"),
    "UTF-16": ("sheet,item,rater,answer".encode("utf-16"), "not UTF-8 text"),
    "binary": (b"PK\x03\x04\0\0\xff\xfe", "not UTF-8 text"),
    "null bytes": (b"sheet,item,rater,answer\na,\0,b,c", "it is not text"),
    "endless head": (b'"' + b"x" * 200_000, "row 0: field larger than field limit"),
    "endless cell": (b'sheet,item,rater,answer\n"' + b"x" * 200_000, "field larger than"),
    "one word": (b"x", "row 1, column sheet: there is no such column"),
}


@pytest.mark.parametrize("name", SHEETS)
def test_a_file_that_is_no_sheet_is_named(rated: Any, tmp_path: Path, name: str) -> None:
    content, message = SHEETS[name]
    good = _fill(rated, tmp_path / "ann.csv", "ann", _gold(rated.key))
    bad = tmp_path / "bad.csv"
    bad.write_bytes(content)
    with pytest.raises(CovlaError) as refused:
        score([good, bad], rated.key, [])
    assert str(bad) in str(refused.value)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        ("{}".encode("utf-16"), "not UTF-8 text"),
        ('{"sheet": "Café"}'.encode("latin-1"), "line 1 is not UTF-8 text"),
        (b"[1]", "it is no JSON object"),
        (b'{"sheet": 1}', "sheet: Input should be a valid string"),
        (b'{"sheet": "a", "labels": "home", "items": {}}', "labels: Input should be a valid list"),
        (b'{"sheet": "a", "labels": [], "items": []}', "items: Input should be a valid dictionary"),
        (b'{"sheet": "a", "labels": [], "items": {}}', "items: Dictionary should have at least 1"),
        (b'{"sheet": "a", "labels": [], "items": {"p": 1}}', "items.p: "),
        (b'{"sheet": "a", "labels": [], "items": {"p": {"post_id": []}}}', "items.p.post_id: "),
    ],
)
def test_a_file_that_is_no_key_is_named(
    rated: Any, tmp_path: Path, content: bytes, message: str
) -> None:
    sheet = _fill(rated, tmp_path / "ann.csv", "ann", _gold(rated.key))
    key = tmp_path / "key.json"
    key.write_bytes(content)
    with pytest.raises(CovlaError) as refused:
        score([sheet, sheet], key, [])
    assert str(refused.value).startswith(f"--key: cannot read {key}: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_predictions_with_a_mark_and_blank_lines_are_read(rated: Any, tmp_path: Path) -> None:
    gold = _gold(rated.key)
    sheets = [_fill(rated, tmp_path / f"{name}.csv", name, gold) for name in ("ann", "bob")]
    items = json.loads(rated.key.read_text())["items"].values()
    lines = [{"model_version": "1", "post_id": i["post_id"], "label": i["label"]} for i in items]
    path = tmp_path / "p.jsonl"
    path.write_text("\r\n\r\n".join(map(json.dumps, lines)), encoding="utf-8-sig")
    assert score(sheets, rated.key, [path]).models["1"].accuracy == 1
    for content, message in (
        (b"", "it is empty"),
        ("{}".encode("utf-16"), "not UTF-8 text"),
        (b"[1]", "line 1: no prediction"),
        (b"\n3", "line 2: no prediction"),
        (b'{"model_version": "1", "label": "home", "post_id": []}', "line 1: no prediction"),
    ):
        path.write_bytes(content)
        with pytest.raises(CovlaError) as refused:
            score(sheets, rated.key, [path])
        assert str(path) in str(refused.value)
        assert message in str(refused.value)
