"""The last place of a record: whole lines, whoever else writes to the file."""

import fcntl
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from covla import __version__
from covla.errors import ServiceUnavailable
from covla.kafka.dead_letters import DeadLetter
from covla.kafka.set_aside import path, set_aside
from covla.settings import Settings

LETTER = DeadLetter(
    None, b"{", "posts", 0, 7, "PostError", "text", "it is no JSON", "parse", __version__
)


def test_a_line_says_where_the_record_lies_and_why(offline_settings: Settings) -> None:
    for _ in range(2):
        set_aside(offline_settings, "ingest", LETTER, "too large")
    first, second = map(json.loads, path(offline_settings).read_text().splitlines())
    assert (first["topic"], first["partition"], first["offset"]) == ("posts", 0, 7)
    assert (first["group"], first["reason"], first["refusal"]) == (
        "ingest",
        "it is no JSON",
        "too large",
    )
    assert first | {"at": ""} == second | {"at": ""}


def test_a_line_waits_for_whoever_holds_the_file(offline_settings: Settings) -> None:
    file = path(offline_settings)
    with file.open("ab") as held, ThreadPoolExecutor(1) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)  # as a worker of any earlier version does
        line = pool.submit(set_aside, offline_settings, "ingest", LETTER, "too large")
        with pytest.raises(TimeoutError):
            line.result(timeout=0.3)
        assert file.read_bytes() == b""
        fcntl.flock(held, fcntl.LOCK_UN)
        line.result(timeout=10)
    assert json.loads(file.read_text())["offset"] == 7


def test_a_file_that_cannot_be_written_is_named(offline_settings: Settings) -> None:
    path(offline_settings).mkdir(parents=True)
    with pytest.raises(ServiceUnavailable, match=r"set aside in .*set-aside\.jsonl: .*directory"):
        set_aside(offline_settings, "ingest", LETTER, "too large")
