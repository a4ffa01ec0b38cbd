"""A taxonomy of one's own: read as it is saved, and one line says what is wrong with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.posts.taxonomy import load_taxonomy

GOOD = "- name: home\n  description: Where people live, Café\n- {name: shop, description: x}\n"


def test_the_default_has_eleven_labels() -> None:
    assert len(load_taxonomy().names) == 11


def test_a_taxonomy_with_a_mark_and_windows_ends_is_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.yaml"
    path.write_bytes(GOOD.replace("\n", "\r\n").encode("utf-8-sig"))
    assert load_taxonomy(path).names == ["home", "shop"]
    assert load_taxonomy(path).labels[0].description.endswith("Café")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD.encode("utf-16"), "not UTF-8 text"),
        (GOOD.encode("latin-1"), "line 2 is not UTF-8 text"),
        (b"", "it is empty"),
        (b"# nothing\n", "it is no list of labels"),
        (b"labels: [a, b]", "it is no list of labels"),
        (b"[home, shop]", "label 1: Input should be a valid dictionary"),
        (b"- {name: no, description: x}", "label 1, name: Input should be a valid string"),
        (b"- {name: 2026-05-01, description: x}", "label 1, name: "),
        (b"- {name: Home, description: x}", "label 1, name: String should match pattern"),
        (b"- {name: home}", "label 1, description: Field required"),
        (b"- {name: home, description: x, colour: red}", "label 1, colour: Extra inputs"),
        (b"- {name: home, description: x}", "labels: at least two, each name once"),
        (b"- {name: home, description: x}\n" * 2, "labels: at least two, each name once"),
        (b"- &a {name: home, description: x}\n- *a", "no aliases"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_file(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "labels.yaml"
    path.write_bytes(content)
    with pytest.raises(CovlaError) as refused:
        load_taxonomy(path)
    assert str(path) in str(refused.value)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_the_command_line_ends_with_two_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "labels.yaml").write_bytes(GOOD.encode("utf-16"))
    settings = {"COVLA_STATE": str(tmp_path), "COVLA_LABELS": str(tmp_path / "labels.yaml")}
    (tmp_path / "posts.jsonl").write_text(
        '{"post_id": "a", "created_at": "2026-05-01T12:00:00Z", "text": "x", "label": "home"}'
    )
    where = ["--posts", str(tmp_path), "--out", str(tmp_path / "out")]
    for command in (["train", *where], ["rate", "sheet", *where]):
        done = subprocess.run(
            [sys.executable, "-m", "covla.cli", *command],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        line = f"covla: cannot read {tmp_path / 'labels.yaml'}: it is not UTF-8 text"
        assert done.stderr.splitlines()[-1] == f"{line}. Save it as UTF-8"
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "out").exists()
