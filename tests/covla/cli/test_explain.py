"""`covla explain` says what is wrong with what it was given before a model is loaded."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from covla.cli.explain import _read, explain
from covla.errors import CovlaError
from covla.settings import Settings

GOOD = '{"post_id": "a", "created_at": "2026-03-01T10:00:00Z", "text": "x"}'


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    (tmp_path / "posts.jsonl").write_text(f"not json\n{GOOD}\n")
    (tmp_path / "bad.json").write_text('{"post_id": "a", "text": 7}')
    (tmp_path / "large.json").write_text(json.dumps({"text": "x" * 1_000_001}))
    url = GOOD[:-1] + ', "image": {"uri": "https://example.org/x.png"}}'
    (tmp_path / "url.json").write_text(url)
    (tmp_path / "outside.json").write_text(GOOD[:-1] + ', "image": "../x.jpg"}')
    (tmp_path / "good.json").write_text(GOOD)
    (tmp_path / "wide.json").write_text(GOOD, encoding="utf-16")
    (tmp_path / "empty.json").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["."], "posts folder. Say which post: --id ID"),
        ([".", "--id", "b"], "no post 'b' in"),
        (["wide.json"], "cannot read wide.json: it is not UTF-8 text"),
        (["empty.json"], "cannot read empty.json: it is empty"),
        (["bad.json"], "bad.json: created_at: "),
        (["a\0b"], "cannot read a\0b: "),
        (["good.json", "--id", "a"], "--id goes with a posts folder"),
        (["none.json"], "cannot read"),
        (["bad.json"], "created_at: "),
        (["large.json"], "message: 1000001 bytes; at most 1000000"),
        (["url.json"], "web addresses are never fetched"),
        (["outside.json"], "not inside the posts folder"),
        (["good.json", "--out", "good.json"], "good.json"),
        (["good.json", "--model", "nowhere"], "nowhere"),
    ],
)
def test_what_is_wrong_is_named(
    posts: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(posts)
    if "--out" not in arguments:
        arguments = [*arguments, "--out", "out"]
    done = CliRunner().invoke(explain, arguments)
    assert done.exit_code != 0
    words = str(done.exception) if isinstance(done.exception, CovlaError) else done.output
    assert said in words
    assert not (posts / "out").exists()


def test_a_file_a_folder_and_an_inline_picture_give_the_post(posts: Path) -> None:
    settings = Settings(state=posts / "state")
    assert _read(str(posts / "good.json"), None, settings).text == "x"
    assert _read(str(posts), "a", settings).post_id == "a"
    (posts / "x.jpg").write_bytes(b"jpeg")
    (posts / "beside.json").write_text(GOOD[:-1] + ', "image": "x.jpg", "label": "home"}')
    image = _read(str(posts / "beside.json"), None, settings).image
    assert image is not None
    assert image.data == "anBlZw=="


def test_files_with_a_utf8_mark_are_read(posts: Path) -> None:
    settings = Settings(state=posts / "state")
    (posts / "good.json").write_text(GOOD, encoding="utf-8-sig")
    assert _read(str(posts / "good.json"), None, settings).text == "x"
    (posts / "posts.jsonl").write_text(f"{GOOD}\r\n[1]\r\n", encoding="utf-8-sig")
    assert _read(str(posts), "a", settings).post_id == "a"
    (posts / "posts.jsonl").write_text(GOOD, encoding="utf-16")
    with pytest.raises(CovlaError, match=r"posts\.jsonl is not UTF-8 text"):
        _read(str(posts), "a", settings)
