"""promote and predict as a person runs them."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from covla.posts.folder import write_folder
from covla.posts.synthetic import generate
from covla.registry import mlflow_client
from covla.registry.registry import Registry
from covla.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 labelled posts of split "test"."""
    folder = tmp_path_factory.mktemp("posts")
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    items = [(item.__class__(item.post, item.label, "test", None), picture)
             for item, picture in generate(60, 4, start, end)]  # fmt: skip
    write_folder(folder, items)
    return folder


def test_a_bad_candidate_is_blocked_forced_through_and_seen_as_forced(
    tiny_folder: Path, folder: Path, offline_settings: Settings, run_command: Callable[..., Any]
) -> None:
    asked = ("promote", tiny_folder, "--posts", folder, "--json")
    blocked = run_command(offline_settings, *asked)
    assert blocked.returncode == 4, blocked.stderr
    assert (blocked.json["promoted"], blocked.json["version"]) == (False, "1")
    assert "floor: accuracy" in blocked.stderr
    report = Path(blocked.json["report"])
    (stays_out,) = Registry(offline_settings).releases()
    assert stays_out.gate_reasons
    assert set(stays_out.gate_reasons) <= set(blocked.json["reasons"])
    assert stays_out.gate_report is not None
    run_id, name = stays_out.gate_report.removeprefix("runs:/").split("/", 1)
    assert name == f"gate/{report.name}"
    stored = mlflow_client.client(offline_settings).download_artifacts(run_id, "gate")
    for suffix in (".html", ".json"):
        page = report.with_suffix(suffix)
        assert (Path(stored) / page.name).read_bytes() == page.read_bytes()

    refused = run_command(offline_settings, "predict", stdin="{}")
    assert refused.returncode == 2
    assert "there is no champion yet" in refused.stderr

    forced = run_command(offline_settings, *asked, "--force")
    assert forced.returncode == 0, forced.stderr
    assert (forced.json["promoted"], forced.json["forced"]) == (True, True)
    (release,) = run_command(offline_settings, "releases", "--json").json["releases"]
    assert (release["aliases"], release["gate"], release["forced"]) == (
        ["champion"], "failed", "true",
    )  # fmt: skip
    assert "champion" in run_command(offline_settings, "releases").stdout
    again = run_command(offline_settings, *asked)
    assert (again.returncode, again.json["passed"]) == (0, None)
    assert again.json["why"] == "it is the champion already"
    back = run_command(offline_settings, "rollback", "--json")
    assert back.returncode == 4
    assert "no previous version" in back.stderr


def test_predict_answers_every_line_in_order(
    tiny_folder: Path, folder: Path, offline_settings: Settings, run_command: Callable[..., Any]
) -> None:
    good = '{"post_id": "a", "created_at": "2026-03-01T10:00:00Z", "text": "At the beach"}'
    url = good.replace('"a"', '"b"')[:-1] + ', "image": {"uri": "https://example.org/x.png"}}'
    lines = [good, "not json", "", url, "x" * 1_000_002, good.replace('"a"', '"c"'), good]
    done = run_command(
        offline_settings, "predict", "--model", tiny_folder, stdin="\n".join(lines) + "\n"
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a.get("post_id") for a in answers] == ["a", None, None, None, "c", "a"]
    errors = [(a["line"], a["field"], a["code"]) for a in answers if "error" in a]
    assert errors == [
        (2, "message", "not_json"), (4, "image", "image_url"), (5, "message", "too_large"),
    ]  # fmt: skip
    (said,) = done.stderr.splitlines()  # and no library's words
    assert "3 predicted, 3 refused" in said

    most = run_command(
        offline_settings, "predict", "--model", tiny_folder, stdin="\n".join(lines[:6]) + "\n"
    )
    assert most.returncode == 2
    assert len(most.stdout.splitlines()) == 5
    assert "3 of 5 posts could not be predicted; the first is line 2: message" in most.stderr

    none = run_command(offline_settings, "predict", "--model", tiny_folder, stdin="{}\n")
    assert none.returncode == 2
    assert json.loads(none.stdout)["field"] == "post_id"

    split = run_command(
        offline_settings, "predict", "--model", tiny_folder, "--posts", folder, "--json"
    )
    assert split.json["predicted"] == 60
    assert len(split.stdout.splitlines()) == 61


def test_the_readmes_line_predicts_the_lines_of_a_folder(
    tiny_folder: Path,
    folder: Path,
    offline_settings: Settings,
    run_command: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(folder, tmp_path / "posts")
    os.mkfifo(tmp_path / "posts" / "pipe")
    bad = [
        orjson.dumps({"post_id": name, "created_at": "2026-03-01T10:00:00Z", "image": name})
        for name in ("pipe", "images", "/dev/zero", "../model.safetensors")
    ]
    lines = (folder / "posts.jsonl").read_bytes() + b"\n".join(bad)
    monkeypatch.chdir(tmp_path / "posts")
    done = run_command(
        offline_settings, "predict", "--model", tiny_folder, "--json", stdin=lines.decode()
    )
    assert done.returncode == 0, done.stderr
    assert (done.json["predicted"], done.json["refused"]) == (60, 4)
    *answers, _ = map(json.loads, done.stdout.splitlines())
    assert [answer["code"] for answer in answers[60:]] == [
        "missing_file", "missing_file", "outside_folder", "outside_folder",
    ]  # fmt: skip
    of_folder = run_command(
        offline_settings, "predict", "--model", tiny_folder, "--posts", tmp_path / "posts"
    )
    for line, same in zip(answers, map(json.loads, of_folder.stdout.splitlines()), strict=False):
        assert line["probabilities"] == same["probabilities"]

    monkeypatch.chdir(tmp_path)  # where the images are not
    lost = run_command(offline_settings, "predict", "--model", tiny_folder, stdin=lines.decode())
    assert lost.returncode == 2
    assert "could not be predicted; the first is line 1: image: cannot read" in lost.stderr
