"""A file that a person gave and that cannot be read is one line that names it."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from covla.errors import CovlaError
from covla.files import (
    folder_aside,
    read_bytes,
    read_dataclass,
    read_json,
    read_object,
    read_text,
    read_yaml,
    write_aside,
    write_bytes_aside,
)

BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "blank": (b" \n\t\n", "it is empty"),
    "a mark alone": (b"\xef\xbb\xbf", "it is empty"),
    "UTF-16": ("name: a".encode("utf-16"), "not UTF-8 text. Save it as UTF-8"),
    "UTF-16 without a mark": ("name: a".encode("utf-16-be"), "not UTF-8 text"),
    "UTF-32": ("name: a".encode("utf-32"), "not UTF-8 text"),
    "Latin-1": ("a: 1\nname: Café".encode("latin-1"), "line 2 is not UTF-8 text"),
    "binary": (b"\x89PNG\r\n\x1a\n\0\0\0", "not UTF-8 text"),
    "a null byte": (b"name: \0", "it is not text"),
}


@pytest.mark.parametrize("read", [read_text, read_json, read_object, read_yaml])
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_text_is_one_line_that_names_the_file(
    tmp_path: Path, read: Callable[[Path], Any], name: str
) -> None:
    content, message = BAD[name]
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(CovlaError) as refused:
        read(path)
    assert str(refused.value).startswith(f"cannot read {path}: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "Is a directory"),
        ("none", "No such file or directory"),
        ("file/none", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("a\0b", "null byte"),
        ("circle", "Too many levels of symbolic links"),
    ],
)
def test_what_is_no_file_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(CovlaError, match=message) as refused:
        read_text(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value)


def test_a_file_without_permission_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))  # root may read everything

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(CovlaError, match="cannot read .*file: Permission denied"):
        read_text(tmp_path / "file")


def test_a_file_without_an_end_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x" * 101)
    with pytest.raises(CovlaError, match="more than 100 bytes"):
        read_bytes(tmp_path / "file", 100)
    with pytest.raises(CovlaError, match="more than 100 bytes"):
        read_bytes(Path("/dev/zero"), 100)


def test_a_utf8_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text('{"name": "Café"}', encoding="utf-8-sig")
    assert read_text(path) == '{"name": "Café"}'
    assert read_object(path) == read_yaml(path) == {"name": "Café"}


@pytest.mark.parametrize("content", ["{", "x", "[" * 100_000, "9" * 5000, '{"a": 1} {"b": 2}'])
def test_what_is_no_json_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "file").write_text(content)
    with pytest.raises(CovlaError, match="file: it is no valid JSON: "):
        read_json(tmp_path / "file")
    (tmp_path / "file").write_text("[1]")
    with pytest.raises(CovlaError, match="file: it is no JSON object"):
        read_object(tmp_path / "file")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "- &a {k: v}\n" + "".join(
    f"- &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [1", "line 1, column 6: "),
        ("a: b: c", "mapping values are not allowed here"),
        ("\tx: 1", "line 1, column 1: "),
        ("at: 2026-13-45", "no valid YAML: month must be in 1..12"),
        ("n: " + "9" * 5000, "no valid YAML: Exceeds the limit"),
        ("[" * 5000, "no valid YAML: maximum recursion depth"),
        ("x: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("? [a]\n: b\n? {c: d}\n: e", "found unhashable key"),
        ("x: !!binary a", "failed to decode base64"),
        ("a: 1\n---\nb: 2", "but found another document"),
        ("x: \x07", "no valid YAML: unacceptable character"),
        (BOMB, "line 2, column 8: write it out: no aliases"),
        (MERGES, "write it out: no aliases"),
        ("&a [*a]", "write it out: no aliases"),
    ],
)
def test_what_is_no_plain_yaml_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "file").write_text(content)
    with pytest.raises(CovlaError) as refused:
        read_yaml(tmp_path / "file")
    assert str(refused.value).startswith(f"cannot read {tmp_path / 'file'}: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_drafts_of_processes_with_equal_numbers_differ(tmp_path: Path) -> None:
    # Two containers that share a state folder are process 2 each, with thread 2.
    with ExitStack() as all_at_once:
        opened = [write_aside(tmp_path / "net.xml", ".xml") for _ in range(20)]
        drafts = {all_at_once.enter_context(one) for one in opened}
        assert len(drafts) == 20
        assert {draft.suffix for draft in drafts} == {".xml"}
        assert {draft.parent for draft in drafts} == {tmp_path}
        for draft in drafts:
            draft.touch()
    # Nor does a reader that looks for files of the kind find half of one.
    with write_aside(tmp_path / "shard.safetensors") as draft:
        draft.touch()
        assert not list(tmp_path.glob("*.safetensors"))


def _write_half(draft: Path) -> None:
    draft.parent.mkdir(exist_ok=True)
    draft.write_bytes(b"half of the sec")
    raise KeyboardInterrupt


def test_what_is_written_aside_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_bytes_aside(path, b"first")
    assert path.read_bytes() == b"first"
    with pytest.raises(KeyboardInterrupt), write_aside(path) as draft:
        _write_half(draft)
    assert path.read_bytes() == b"first"
    with pytest.raises(FileNotFoundError), write_aside(path):
        pass  # the block forgot to write
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        write_bytes_aside(path, b"second")
    assert [found.name for found in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("place", [None, "work/result"])
def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path, place: str | None) -> None:
    draft_at = tmp_path / place if place else None
    if draft_at:
        draft_at.mkdir(parents=True)
        (draft_at / "of a killed process").touch()
    with pytest.raises(KeyboardInterrupt), folder_aside(tmp_path / "out", draft_at) as draft:
        _write_half(draft / "file")
    assert not draft.exists()
    assert not (tmp_path / "out").exists()
    with folder_aside(tmp_path / "out", draft_at) as draft:
        draft.mkdir()
        (draft / "file").touch()
        assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file"]


def test_a_folder_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").touch()
    with pytest.raises(OSError, match="not empty"), folder_aside(tmp_path / "out") as draft:
        draft.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "kept"]


def test_nothing_is_named_by_process_or_thread() -> None:
    root = Path(__file__).parents[2]
    places = [path for part in ("covla", "features") for path in (root / part).rglob("*.py")]
    named = [str(path) for path in places if re.search(r"getpid|get_native_id", path.read_text())]
    assert named == []


@dataclass(frozen=True)
class Row:
    name: str
    n: int = 0


def test_a_dataclass_is_read_from_a_file_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "row.json"
    path.write_text('{"name": "a", "later": true}')
    assert read_dataclass(Row, path, n=2) == Row("a", 2)
    path.write_text('{"n": 1}')
    with pytest.raises(CovlaError, match="row.json: name: Field required"):
        read_dataclass(Row, path)
