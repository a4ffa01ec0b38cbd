"""Dead letters: listed, shown with their bytes, replayed once."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from covla.errors import PostError
from covla.kafka import clients, dead_letters
from covla.settings import Settings
from services import dlq
from services.stream import Worker

pytestmark = pytest.mark.slow

GOOD = b'{"post_id": "good", "created_at": "2026-05-01T12:00:00Z", "text": "fine"}'
REFUSED = b'{"post_id": "later", "created_at": "2026-05-01T12:00:00Z", "text": "refuse"}'


@pytest.fixture
def fed(settings: Settings, echo: Any) -> Settings:
    """A topic with one good post and three that became dead letters."""
    topics = clients.ensure_topics(settings)
    client = clients.producer(settings)
    for key, value in ((b"a", GOOD), (b"b", b"\xff{not utf-8"), (b"c", b"{bad"), (b"d", REFUSED)):
        client.send(topics.posts, key=key, value=value).get(timeout=20)
    client.close()
    done = Worker(settings, lambda: echo).run(until_idle=1)
    assert (done.predictions, done.dead_letters) == (1, 3)
    return settings


def test_ls_and_show(fed: Settings, run_command: Callable[..., Any]) -> None:
    listed = run_command(fed, "dlq", "ls", "--json").json
    assert listed["total"] == 3
    assert {row["class"] for row in listed["dead_letters"]} == {"not_json", "unreadable_image"}
    one = next(row for row in listed["dead_letters"] if row["key"] == "b")
    assert one["source"].startswith(f"{fed.topic_prefix}.posts:")
    shown = run_command(fed, "dlq", "show", one["id"], "--json").json
    assert base64.b64decode(shown["value_base64"]) == b"\xff{not utf-8"
    table = run_command(fed, "dlq", "ls", "--class", "unreadable_image")
    assert "unreadable_image" in table.stdout
    assert "not_json" not in table.stdout
    missing = run_command(fed, "dlq", "show", "9:9")
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1


def test_replay_sends_the_original_bytes_once(
    fed: Settings, echo: Any, run_command: Callable[..., Any]
) -> None:
    topics = clients.Topics.of(fed)
    # A second service that reads the topic refuses the same record: one identity, two letters.
    letter = next(
        e.dead_letter for e in dlq.entries(fed) if e.dead_letter.error_class == "unreadable_image"
    )
    client = clients.producer(fed)
    again = dead_letters.make(
        _Source(letter), PostError("image", "unreadable_image", "again"), stage="decode"
    )
    client.send(topics.dead_letters, key=again.key, value=again.value, headers=again.headers())
    client.close()

    dry = run_command(
        fed, "dlq", "replay", "--class", "unreadable_image", "--dry-run", "--json"
    ).json
    assert dry == {"replayable": 1, "replayed": 0}
    first = run_command(fed, "dlq", "replay", "--class", "unreadable_image", "--json").json
    assert first == {"replayable": 1, "replayed": 1}
    second = run_command(fed, "dlq", "replay", "--class", "unreadable_image", "--json").json
    assert second == {"replayable": 0, "replayed": 0}

    # The cause is not mended yet: it comes back as a new dead letter that counts its replays.
    done = Worker(fed, lambda: echo).run(until_idle=1)
    assert (done.predictions, done.dead_letters) == (0, 1)
    newest = dlq.entries(fed, error_class="unreadable_image")[-1].dead_letter
    assert (newest.replays, newest.value, newest.key) == (1, REFUSED, b"d")
    assert newest.identity != letter.identity
    # And mended, it is predicted.
    assert dlq.replay(fed, dlq.replayable(fed, error_class="unreadable_image", limit=None)) == 1
    echo._one = lambda post: type(echo)._one(echo, post.model_copy(update={"text": "mended"}))
    assert Worker(fed, lambda: echo).run(until_idle=1).predictions == 1


def test_limit_takes_the_oldest(fed: Settings) -> None:
    assert len(dlq.replayable(fed, error_class=None, limit=2)) == 2
    assert dlq.replay(fed, dlq.replayable(fed, error_class=None, limit=2)) == 2
    assert len(dlq.replayable(fed, error_class=None, limit=None)) == 1


def test_what_is_not_ours_and_what_has_no_value_is_not_replayed(
    fed: Settings, run_command: Callable[..., Any]
) -> None:
    topics = clients.Topics.of(fed)
    large = dead_letters.make(
        _Source(dlq.entries(fed)[0].dead_letter),
        PostError("message", "too_large", "no"),
        stage="parse",
    ).without_value()
    foreign = {"source-topic": b"x", "source-partition": b"one", "replays": b"first try"}
    client = clients.producer(fed)
    client.send(topics.dead_letters, value=b"hello", headers=[*foreign.items()]).get(timeout=20)
    client.send(topics.dead_letters, key=b"no headers").get(timeout=20)
    key, headers = large.message_key, large.headers()
    client.send(topics.dead_letters, key=key, headers=headers).get(timeout=20)
    client.close()
    listed = run_command(fed, "dlq", "ls", "--json").json
    assert listed["total"] == 4
    row = next(row for row in listed["dead_letters"] if row["class"] == "too_large")
    assert row["bytes"] == large.left_out
    shown = run_command(fed, "dlq", "show", row["id"], "--json").json
    assert shown["left_out"]
    assert shown["value"] is None
    dry = run_command(fed, "dlq", "replay", "--dry-run", "--json").json
    assert dry == {"replayable": 3, "replayed": 0}


class _Source:
    """The record that a dead letter was made of."""

    def __init__(self, letter: dead_letters.DeadLetter) -> None:
        self.topic, self.partition, self.offset = letter.identity
        self.key, self.value = letter.key, letter.value
        self.headers: list[tuple[str, bytes]] = []
