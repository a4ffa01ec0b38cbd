"""The demo counts what its own workers wrote, whatever else lies on the topics."""

from datetime import UTC, datetime

import pytest

from covla.errors import ServiceUnavailable
from covla.kafka import clients, dead_letters
from covla.posts.folder import FolderPost
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from services.demo.outcome import Outcome, wait_for_group
from tests.faults.wire import Wire, send

pytestmark = pytest.mark.slow


def _prediction(post_id: str, version: str = "1") -> bytes:
    return Prediction(
        prediction_id=Prediction.id_for(post_id, version), post_id=post_id, label="home",
        probabilities={"home": 1.0}, gate=1.0, modalities=["text"], quality={}, flags=[],
        model_version=version, predicted_at=datetime.now(UTC), latency_ms=1.0,
    ).to_json()  # fmt: skip


def test_records_of_other_programs_are_passed_over(settings: Settings) -> None:
    topics = clients.ensure_topics(settings)
    outcome = Outcome(settings)
    foreign = [Wire(b"hello"), Wire(None, b"k"), Wire(b"{}", headers=[("replays", b"first try")])]
    for topic in (topics.predictions, topics.dead_letters):
        send(settings, topic, foreign)
    send(settings, topics.predictions, [Wire(_prediction("a")), Wire(_prediction("a"))])
    (place,) = send(settings, topics.posts, [Wire(b"no json")])
    letter = dead_letters.DeadLetter(
        None, b"no json", *place, "not_json", "message", "no", "parse", "1"
    )
    send(settings, topics.dead_letters, [Wire(letter.value, headers=letter.headers())])
    for _ in range(20):
        outcome.read()
    outcome.close()
    assert set(outcome.predictions) == {"a"}
    assert (outcome.records, outcome.repeated) == (2, 1)
    assert set(outcome.dead) == {place}


def test_predictions_are_waited_for_while_their_worker_lives(settings: Settings) -> None:
    topics = clients.ensure_topics(settings)
    outcome = Outcome(settings)
    asked = 0

    def alive() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            send(settings, topics.predictions, [Wire(_prediction("a")), Wire(_prediction("b"))])

    found = outcome.wait_for(["a", "b"], timeout=60, alive=alive)
    assert set(found) == {"a", "b"}
    asked_before = asked
    outcome.wait_for(["a"], timeout=60, alive=alive)
    assert asked == asked_before  # it is there: nobody is asked
    with pytest.raises(ServiceUnavailable, match="1 of 2 posts have no prediction after 1 s.* c"):
        outcome.wait_for(["a", "c"], timeout=1, alive=alive)

    def dead() -> None:
        raise ServiceUnavailable("the stream service ended")

    with pytest.raises(ServiceUnavailable, match="ended"):
        outcome.wait_for(["c"], timeout=60, alive=dead)
    outcome.close()


def test_a_version_is_waited_for_until_the_stream_predicts_with_it(settings: Settings) -> None:
    topics = clients.ensure_topics(settings)
    outcome = Outcome(settings)
    post = SocialPost(post_id="a", text="a cup of tea", created_at=datetime.now(UTC))
    probe = FolderPost(post, "home", None, None)
    send(settings, topics.predictions, [Wire(_prediction("a"))])
    outcome.wait_for(["a"], timeout=60, alive=lambda: None)
    with pytest.raises(ServiceUnavailable, match="version 1 after 2 s, and version 2 is champion"):
        outcome.wait_for_version("2", probe, timeout=2, alive=lambda: None)
    looks = 0

    def alive() -> None:
        nonlocal looks
        looks += 1
        version = "2" if looks > 1 else "1"  # the worker has swapped by its second look
        send(settings, topics.predictions, [Wire(_prediction("a", version))])

    outcome.wait_for_version("2", probe, timeout=60, alive=alive)
    assert looks >= 2
    assert outcome.predictions["a"].model_version == "2"
    outcome.close()


def test_a_group_is_waited_for_until_it_has_committed_all(settings: Settings) -> None:
    topics = clients.ensure_topics(settings)
    send(settings, topics.posts, [Wire(b"1"), Wire(b"2"), Wire(b"3")])
    group = f"{settings.topic_prefix}.ingest"
    read = clients.consumer(settings, topics.posts, group=group)
    seen = 0
    while seen < 3:
        seen += sum(map(len, read.poll(timeout_ms=500).values()))
    with pytest.raises(ServiceUnavailable, match="3 messages behind after 1 s"):
        wait_for_group(settings, group, [topics.posts], timeout=1, alive=lambda: None)
    wait_for_group(settings, group, [topics.posts], timeout=60, alive=read.commit)
    read.close()
