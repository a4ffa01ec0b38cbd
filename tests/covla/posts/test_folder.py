"""Posts folders as people write them."""

import logging
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from covla.errors import CovlaError, PostError
from covla.posts.folder import Reading, folder_lines, read_folder
from covla.settings import Settings

SETTINGS = Settings(max_image_bytes=4000, max_message_bytes=10_000)


def line(name: str, **more: object) -> dict[str, Any]:
    return {"post_id": name, "created_at": "2017-05-01T00:00:00Z", "text": f"text of {name}"} | more


def write(folder: Path, *lines: object, start: bytes = b"", end: bytes = b"\n") -> Path:
    folder.mkdir(exist_ok=True)
    rows = [row if isinstance(row, bytes) else orjson.dumps(row) for row in lines]
    (folder / "posts.jsonl").write_bytes(start + end.join(rows))
    return folder


def read(folder: Path, split: str | None = None) -> tuple[list[str], Reading]:
    reading = Reading()
    found = [
        item.post.post_id
        for item in read_folder(folder, split=split, settings=SETTINGS, reading=reading)
    ]
    return found, reading


def test_without_any_split_all_posts_are_taken(tmp_path: Path) -> None:
    assert read(write(tmp_path, line("a"), line("b", split=None)), "train")[0] == ["a", "b"]
    some = write(tmp_path, line("a"), line("b", split="train"), line("c", split="val"))
    assert read(some, "train")[0] == ["b"]
    assert read(some)[0] == ["a", "b", "c"]
    with pytest.raises(CovlaError, match="no post of split 'dev'"):
        read(some, "dev")


@pytest.mark.parametrize(
    "spelled", [b'"split":"val"', b'"split" : "val"', rb'"split": "\u0076al"', b'"split":\t"val"']
)
def test_a_split_is_found_however_it_is_written(tmp_path: Path, spelled: bytes) -> None:
    odd = orjson.dumps(line("a"))[:-1] + b", " + spelled + b"}"
    assert read(write(tmp_path, odd, line("val", split="train")), "val")[0] == ["a"]


def test_what_editors_add_does_no_harm(tmp_path: Path) -> None:
    folder = write(tmp_path, line("a"), b"", line("b"), start=b"\xef\xbb\xbf", end=b"\r\n")
    found, reading = read(folder)
    assert (found, reading.unusable) == (["a", "b"], 0)
    (folder / "posts.jsonl").write_text(orjson.dumps(line("a")).decode(), encoding="utf-16")
    with pytest.raises(CovlaError, match="is not UTF-8 text"):
        read(folder)


def test_lines_that_cannot_be_used_are_passed_over_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(
        tmp_path,
        line("a", split="val"),
        b'{"post_id": "cut',
        line("b", split=7),
        line("c", split="val", label=["home"]),
        line("d", split="train", image="no-such.jpg"),
        *(line(f"good {n}", split="val") for n in range(3)),
    )
    found, reading = read(folder, "val")
    assert found == ["a", "good 0", "good 1", "good 2"]
    assert reading.unusable == 3  # the one of split train is not looked into
    assert reading.first.startswith("line 2: message: is no valid JSON")
    with caplog.at_level(logging.WARNING):
        list(read_folder(folder, split="val", settings=SETTINGS))
    assert "3 lines cannot be used, the first is line 2" in caplog.text
    reading = Reading()
    caplog.clear()
    list(read_folder(folder, settings=SETTINGS, reading=reading))
    assert not caplog.text
    assert reading.as_dict() == {"unusable_lines": 4, "repeated_lines": 0, "left_out": 0}


def test_more_bad_lines_than_good_ones_are_an_error(tmp_path: Path) -> None:
    bad = [line("b", created_at="yesterday"), line("c", image="../c.jpg")]
    with pytest.raises(CovlaError, match=r"line 2: created_at: .* 2 of 3 lines cannot be used"):
        read(write(tmp_path, line("a"), *bad))
    with pytest.raises(CovlaError, match="line 1: message: more than 10000 bytes"):
        read(write(tmp_path, b"x" * 20_000))


def test_the_same_line_twice_is_one_post_and_another_one_is_named(tmp_path: Path) -> None:
    once = line("a", label="home", split="train")
    spelled = orjson.dumps(once, option=orjson.OPT_INDENT_2).replace(b"\n", b" ")
    found, reading = read(write(tmp_path, once, line("b"), spelled))
    assert (found, reading.repeats) == (["a", "b"], 1)
    for change, what in (
        ({"label": "shop"}, r"another label \('home' and 'shop'\)"),
        ({"label": None}, r"another label \('home' and None\)"),
        ({"split": "val"}, r"another split \('train' and 'val'\)"),
        ({"text": "another"}, "other content"),
    ):
        folder = write(tmp_path, line("b"), once, line("c"), once | change)
        with pytest.raises(CovlaError, match=rf"lines 2 and 4: post_id: 'a' .* with {what}"):
            read(folder)


@pytest.fixture
def place() -> Any:
    # A socket's path may be no longer than 108 characters.
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_an_image_that_is_no_file_of_the_folder_is_that_lines_error(place: Path) -> None:
    folder, outside = place / "posts", place / "secret.jpg"
    folder.mkdir()
    outside.write_bytes(b"x")
    (folder / "large.jpg").write_bytes(b"x" * 3001)
    (folder / "fits.jpg").write_bytes(b"x" * 3000)
    (folder / "out.jpg").symlink_to(outside)
    (folder / "circle.jpg").symlink_to(folder / "circle.jpg")
    (folder / "zero.jpg").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket.jpg"))
    names = {
        "missing.jpg": "missing_file", "": "missing_file", ".": "missing_file",
        "../secret.jpg": "outside_folder", str(outside): "outside_folder",
        "/dev/zero": "outside_folder", "out.jpg": "outside_folder", "zero.jpg": "outside_folder",
        "circle.jpg": "missing_file", "pipe.jpg": "missing_file", "socket.jpg": "missing_file",
        "a\0b.jpg": "missing_file", "x" * 5000: "missing_file", "large.jpg": "too_large",
    }  # fmt: skip
    for name, code in names.items():
        write(folder, line("good"), line("bad", image=name), line("fits", image="fits.jpg"))
        found, reading = read(folder)
        assert found == ["good", "fits"], name
        assert reading.first.startswith("line 2: image: "), reading.first
        assert len(reading.first) < 300
        (error,) = (i for _, i in folder_lines(folder, None, SETTINGS) if isinstance(i, PostError))
        assert error.code == code, name


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "posts.jsonl").mkdir()
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(CovlaError, match="no posts.jsonl in"):
            read(folder)
