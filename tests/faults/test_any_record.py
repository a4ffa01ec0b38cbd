"""Whatever lies on the topic, both workers pass it: in == out | dead letters | set aside."""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow.dataset as ds
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from kafka import KafkaAdminClient

from covla.inference.predictor import Predictor
from covla.kafka import clients, dead_letters
from covla.kafka import set_aside as aside
from covla.model.encoders import Encoders
from covla.posts.synthetic.generate import generate
from covla.settings import Settings
from features.ingest import Ingest, IngestStats
from services.stream import StreamStats, Worker
from tests.faults.wire import CODECS, NotUtf8, Place, Wire, read, send, uncommitted

pytestmark = pytest.mark.slow

START = datetime(2026, 5, 1, tzinfo=UTC)
GOOD = [item.post.to_json() for item, _ in generate(12, 9, START, START + timedelta(hours=1))]


@pytest.fixture(scope="module")
def predictor(model_folder: Path, kafka: Settings) -> Predictor:
    return Predictor.load(str(model_folder), kafka)


def _ingest(settings: Settings, encoders: Encoders) -> IngestStats:
    return Ingest(settings, encoders).run(until_idle=1)


def _stream(settings: Settings, model: Any) -> StreamStats:
    return Worker(settings, lambda: model).run(until_idle=1)


def _aside(settings: Settings, group: str) -> set[Place]:
    file = aside.path(settings)
    lines = file.read_bytes().splitlines() if file.exists() else []
    rows = [orjson.loads(line) for line in lines]
    return {
        (row["topic"], row["partition"], row["offset"])
        for row in rows
        if row["group"] == f"{settings.topic_prefix}.{group}"
    }


def _letters(settings: Settings, count: int) -> list[dead_letters.DeadLetter]:
    topic = clients.Topics.of(settings).dead_letters
    return [dead_letters.read(record) for record in read(settings, topic, count)]


def _lake(settings: Settings) -> list[Place]:
    places = []
    for table in ("posts", "labels"):
        files = [str(file) for file in settings.lake.glob(f"{table}/*/*.parquet")]
        if files:
            rows = ds.dataset(files).to_table(columns=["topic", "partition", "offset"]).to_pylist()
            places += [(row["topic"], row["partition"], row["offset"]) for row in rows]
    return places


def _both_pass(
    settings: Settings, encoders: Encoders, model: Any, posts: list[Wire], labels: list[Wire]
) -> tuple[IngestStats, StreamStats]:
    """Run ingest and a stream worker, and hold what each has to hold."""
    topics = clients.ensure_topics(settings)
    sent = send(settings, topics.posts, posts)
    named = send(settings, topics.labels, labels)

    totals = _ingest(settings, encoders)
    assert uncommitted(settings, "ingest", topics.posts, topics.labels) == 0
    letters = _letters(settings, totals.dead_letters)
    dead, alone = {letter.identity for letter in letters}, _aside(settings, "ingest")
    stored = Counter(_lake(settings))
    assert set(stored.values()) <= {1}
    assert set(stored) | dead | alone == set(sent | named)
    assert len(stored) + len(letters) + len(alone) == len(sent) + len(named)

    done = _stream(settings, model)
    assert done.restarts == 0 or done.set_aside
    assert uncommitted(settings, "predict", topics.posts) == 0
    both = _letters(settings, totals.dead_letters + done.dead_letters)
    streamed = {letter.identity for letter in both[len(letters) :]}
    again = Counter(letter.identity for letter in both)
    streamed = {place for place, times in again.items() if times > (place in dead)}
    alone = _aside(settings, "predict")
    predicted = Counter(r.key for r in read(settings, topics.predictions, done.predictions))
    assert streamed | alone <= set(sent)
    assert not streamed & alone
    rest = [wire.value for place, wire in sent.items() if place not in streamed | alone]
    ids = Counter(orjson.loads(value)["post_id"].encode() for value in rest if value is not None)
    assert predicted == ids
    for letter in both:
        if letter.left_out is None:
            assert letter.value == (sent | named)[letter.identity].value
    return totals, done


_odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("x" * 5000)
)
_times = st.one_of(
    st.sampled_from(
        ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "1600-01-01T00:00:00Z",
         "2300-01-01T00:00:00Z", "20260501", "2026-05-01T12:00:00Z", "2026-05-01T12:00:00"]
    ),
    _odd,
)  # fmt: skip
_images = st.one_of(
    _odd,
    st.fixed_dictionaries({"data": st.one_of(_odd, st.sampled_from(["AAAA", "!!"]))}),
    st.fixed_dictionaries({"uri": st.text(max_size=20)}),
)
_posts = st.fixed_dictionaries(
    {},
    optional={
        "post_id": st.one_of(st.text(min_size=1, max_size=10), _odd),
        "created_at": _times,
        "text": st.one_of(st.text(max_size=200), _odd),
        "image": _images,
        "lang": _odd,
        "author_id": st.one_of(st.text(max_size=10), _odd),
    },
)
_labels = st.fixed_dictionaries(
    {},
    optional={
        "post_id": st.one_of(st.text(min_size=1, max_size=10), _odd),
        "label": st.one_of(st.just("home"), st.text(max_size=10), _odd),
        "labelled_at": _times,
        "source": st.one_of(st.just("test"), _odd),
    },
)


def _json(value: Any) -> bytes:
    """Also what is no JSON: NaN, and integers of any size."""
    return json.dumps(value).encode()


def _wires(objects: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Wire]]:
    values = st.one_of(
        st.none(),
        st.binary(max_size=200),
        st.sampled_from(GOOD),
        objects.map(_json),
    )
    names = st.one_of(
        st.sampled_from(["replays", "source-offset", "left-out"]),
        st.text(st.characters(max_codepoint=127), max_size=8),
        st.just(NotUtf8("x")),
    )
    wire = st.builds(
        Wire,
        value=values,
        key=st.none() | st.binary(max_size=40),
        headers=st.lists(st.tuples(names, st.binary(max_size=10)), max_size=3),
        timestamp=st.none() | st.sampled_from([-1, 0, 1, 2**40, 2**62]),
        codec=st.sampled_from(CODECS),
    )
    return st.lists(wire, min_size=20, max_size=60)


@hypothesis_settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)  # fmt: skip
@given(posts=_wires(_posts), labels=_wires(_labels))
def test_both_workers_pass_whatever_is_there(
    kafka: Settings,
    tmp_path_factory: pytest.TempPathFactory,
    encoders: Encoders,
    predictor: Predictor,
    posts: list[Wire],
    labels: list[Wire],
) -> None:
    fresh = kafka.model_copy(
        update={
            "state": tmp_path_factory.mktemp("state"),
            "topic_prefix": f"any-{uuid.uuid4().hex[:12]}",
        }
    )
    _both_pass(fresh, encoders, predictor, posts, labels)


def _make(settings: Settings, topic: str, limit: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=clients.bootstrap(settings))
    shape = {"num_partitions": 1, "replication_factor": 1}
    configs = {"max.message.bytes": str(limit)}
    admin.create_topics({topic: shape | {"configs": configs}}, wait_for_metadata=True)
    admin.close()


def test_each_kind_that_once_stopped_a_worker(
    settings: Settings, encoders: Encoders, predictor: Predictor
) -> None:
    """One record of each kind from the field, between good ones."""
    topics = clients.Topics.of(settings)
    _make(settings, topics.posts, 10_000_000)  # made beforehand, larger than ours
    posts = [
        *(Wire(value, b"good", codec=CODECS[i % 5]) for i, value in enumerate(GOOD)),
        Wire(None, None),
        Wire(b"no json", b"a", [("replays", b"first try")]),
        Wire(b"no json", b"a", [("", b""), (NotUtf8("x"), b"y")]),
        Wire(b"x" * 4_300_000, b"large"),
        Wire(b"x", b"k" * 4_300_000),
        Wire(b"x", b"h", [("header", b"h" * 4_300_000)]),
        *(
            Wire(_json({"post_id": f"t{i}", "created_at": at, "text": "x #legday"}), b"t")
            for i, at in enumerate(
                ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "1600-01-01T00:00:00Z",
                 "2099-01-01T00:00:00Z", "2300-01-01T00:00:00Z", "20260501"]
            )
        ),
        *(Wire(value, b"good", codec="snappy") for value in GOOD[:5]),
    ]  # fmt: skip
    bad = 12
    totals, done = _both_pass(settings, encoders, predictor, posts, [Wire(None, None)])
    assert (totals.posts_ingested, totals.dead_letters, totals.set_aside) == (17, bad + 1, 0)
    assert (done.predictions, done.dead_letters, done.restarts) == (17, bad, 0)
    large = [letter for letter in _letters(settings, 2 * bad) if letter.left_out == 4_300_000]
    assert len(large) == 2
    for letter in large:
        assert letter.key == b"large"
        place = ":".join(map(str, letter.identity))
        assert letter.error_message.endswith(
            f"the value of 4,300,000 bytes is left out, the original is {place}"
        )


def test_what_the_dead_letter_topic_does_not_take_is_set_aside(
    settings: Settings, encoders: Encoders, predictor: Predictor
) -> None:
    topics = clients.Topics.of(settings)
    _make(settings, topics.dead_letters, 300)  # no letter's headers fit
    posts = [*(Wire(value, b"good") for value in GOOD), Wire(b"no json", b"bad")]
    totals, done = _both_pass(settings, encoders, predictor, posts, [])
    assert (totals.posts_ingested, totals.dead_letters, totals.set_aside) == (12, 0, 1)
    assert (done.predictions, done.dead_letters, done.set_aside) == (12, 0, 1)
    first = orjson.loads(aside.path(settings).read_bytes().splitlines()[0])
    assert first["error_class"] == "not_json"
    assert "takes 300 bytes" in first["refusal"]


def test_a_letter_that_the_broker_refuses_is_set_aside_alone(
    settings: Settings, encoders: Encoders, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where this client may not read the topic's limit."""
    topics = clients.Topics.of(settings)
    _make(settings, topics.dead_letters, 1000)
    monkeypatch.setattr(clients, "dead_letter_limit", clients.dead_letter_bytes)
    posts = [
        Wire(GOOD[0], b"good"),
        Wire(b"no json", b"bad"),
        Wire(b"no json" + b"x" * 5000, b"long"),
        Wire(b"no json", b"bad"),
        Wire(GOOD[1], b"good"),
    ]
    totals, done = _both_pass(settings, encoders, predictor, posts, [])
    assert (totals.posts_ingested, totals.dead_letters, totals.set_aside) == (2, 2, 1)
    assert (done.predictions, done.dead_letters, done.set_aside) == (2, 2, 1)
