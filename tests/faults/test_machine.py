"""An error of the machine is no error of the record: nothing is committed, and nothing is lost."""

import errno
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient

from covla.errors import DeviceFailed, ServiceUnavailable
from covla.inference.predictor import Predictor
from covla.kafka import clients
from covla.model.encoders import Encoders
from covla.posts.synthetic.generate import generate
from covla.settings import Settings
from covla.time_range import TimeRange
from features import ingest as ingest_module
from features.ingest import Ingest
from features.lake import Lake
from services import stream
from services.rest import queue as rest_queue
from services.rest.service import build
from services.stream import Worker
from tests.faults.broken import fused
from tests.faults.wire import Wire, read, send, uncommitted

pytestmark = pytest.mark.slow

START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = TimeRange(START, START + timedelta(days=1))
FAULTS = [
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    MemoryError(),
    OSError(errno.EIO, "Input/output error"),
]


def _send(settings: Settings, count: int) -> list[bytes]:
    topics = clients.ensure_topics(settings)
    posts = [item.post for item, _ in generate(count, 5, START, START + timedelta(hours=1))]
    send(settings, topics.posts, [Wire(p.to_json(), p.post_id.encode()) for p in posts])
    return [post.post_id.encode() for post in posts]


def _letters(settings: Settings) -> int:
    return len(read(settings, clients.Topics.of(settings).dead_letters, 0))


@pytest.fixture
def predictor(model_folder: Path, settings: Settings) -> Predictor:
    return Predictor.load(str(model_folder), settings)


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_a_stream_whose_engine_breaks_commits_nothing_and_ends_with_3(
    settings: Settings,
    predictor: Predictor,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "RETRY_DEADLINE", 12.0)
    ids = _send(settings, 200)
    topics = clients.Topics.of(settings)
    with fused(predictor.encoders, 1, error) as fuse:
        worker = Worker(settings, lambda: predictor)
        with pytest.raises(ServiceUnavailable, match="no post could be done for") as failure:
            worker.run(until_idle=1)
        assert failure.value.exit_code == 3
        assert fuse.raised > 3
        assert worker.stats.dead_letters == 0
        assert uncommitted(settings, "predict", topics.posts) == 200 - worker.stats.predictions
        assert _letters(settings) == 0
        fuse.mend()
        Worker(settings, lambda: predictor).run(until_idle=1)
    predicted = read(settings, topics.predictions, 200)
    assert Counter(record.key for record in predicted) == Counter(ids)
    assert _letters(settings) == 0


def test_a_stream_whose_gpu_fails_ends_at_once(settings: Settings, predictor: Predictor) -> None:
    _send(settings, 200)
    topics = clients.Topics.of(settings)
    with fused(predictor.encoders, 1, DeviceFailed("the GPU failed: CUDA error")) as fuse:
        worker = Worker(settings, lambda: predictor)
        with pytest.raises(DeviceFailed) as failure:
            worker.run(until_idle=1)
    assert failure.value.exit_code == 3
    assert (fuse.raised, worker.stats.restarts, worker.stats.dead_letters) == (1, 0, 0)
    assert uncommitted(settings, "predict", topics.posts) == 200 - worker.stats.predictions
    assert _letters(settings) == 0


def test_a_stream_goes_on_when_its_engine_works_again(
    settings: Settings, predictor: Predictor
) -> None:
    ids = _send(settings, 100)
    worker = Worker(settings, lambda: predictor)
    with fused(predictor.encoders, 1, FAULTS[0]) as fuse:

        def mend() -> None:
            while not worker.stats.restarts:
                time.sleep(0.05)
            fuse.mend()

        threading.Thread(target=mend, daemon=True).start()
        done = worker.run(until_idle=1)
    assert (done.predictions, done.dead_letters) == (len(ids), 0)
    assert done.restarts > 0


def test_one_post_that_breaks_the_engine_is_a_dead_letter_even_alone(
    settings: Settings, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = clients.ensure_topics(settings)
    encode = predictor.encoders.encode

    def guarded(items: Any) -> Any:
        if any(item.text == "boom" for item in items):
            raise RuntimeError("a network that does not like this text")
        return encode(items)

    monkeypatch.setattr(predictor.encoders, "encode", guarded)
    boom = b'{"post_id": "boom", "created_at": "2026-05-01T00:00:00Z", "text": "boom"}'
    send(settings, topics.posts, [Wire(boom)])
    done = Worker(settings, lambda: predictor).run(until_idle=1)
    assert (done.predictions, done.dead_letters, done.restarts) == (0, 1, 0)
    send(settings, topics.posts, [Wire(boom), Wire(boom), *map(Wire, _values(6))])
    done = Worker(settings, lambda: predictor).run(until_idle=1)
    assert (done.predictions, done.dead_letters, done.restarts) == (6, 2, 0)


def _values(count: int) -> list[bytes]:
    return [
        item.post.to_json() for item, _ in generate(count, 7, START, START + timedelta(hours=1))
    ]


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_ingest_whose_engine_breaks_commits_nothing_and_ends_with_3(
    settings: Settings, encoders: Encoders, error: Exception
) -> None:
    ids = _send(settings, 300)
    topics = clients.Topics.of(settings)
    with fused(encoders, 1, error) as fuse:
        worker = Ingest(settings, encoders)
        with pytest.raises(ServiceUnavailable) as failure:
            worker.run(until_idle=1)
        assert failure.value.exit_code == 3
        assert worker.stats.dead_letters == 0
        assert uncommitted(settings, "ingest", topics.posts) >= 300 - 256
        assert _letters(settings) == 0
        fuse.mend()
        Ingest(settings, encoders).run(until_idle=1)
    stored = Lake(settings).read("posts", DAY, ["post_id"])["post_id"].to_pylist()
    assert Counter(stored) == Counter(post_id.decode() for post_id in ids)
    assert _letters(settings) == 0


def test_one_post_that_breaks_the_encoders_is_a_dead_letter_and_no_row(
    settings: Settings, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = clients.ensure_topics(settings)
    encode = encoders.encode

    def guarded(items: Any) -> Any:
        if any(item.text == "boom" for item in items):
            raise RuntimeError("a network that does not like this text")
        return encode(items)

    monkeypatch.setattr(encoders, "encode", guarded)
    boom = b'{"post_id": "boom", "created_at": "2026-05-01T00:00:00Z", "text": "boom"}'
    send(settings, topics.posts, [*map(Wire, _values(5)), Wire(boom), *map(Wire, _values(4))])
    totals = Ingest(settings, encoders).run(until_idle=1)
    assert (totals.posts_ingested, totals.dead_letters) == (9, 1)
    stored = Lake(settings).read("posts", DAY, ["post_id"])["post_id"].to_pylist()
    assert "boom" not in stored


def test_ingest_waits_for_a_full_valkey_and_ends_with_3(
    settings: Settings, encoders: Encoders, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"online_store": "redis", "redis_url": valkey})
    monkeypatch.setattr(ingest_module, "ONLINE_STORE_RETRY_DEADLINE", 2.0)
    ids = _send(settings, 40)
    topics = clients.Topics.of(settings)
    store = redis.Redis(port=int(valkey.split(":")[1]))
    worker = Ingest(settings, encoders)
    store.config_set("maxmemory-policy", "noeviction")
    store.config_set("maxmemory", 1)
    with pytest.raises(ServiceUnavailable, match="maxmemory") as failure:
        worker.run(until_idle=1)
    assert failure.value.exit_code == 3
    assert uncommitted(settings, "ingest", topics.posts) == 40
    assert _letters(settings) == 0
    monkeypatch.setattr(ingest_module, "ONLINE_STORE_RETRY_DEADLINE", 60.0)
    threading.Timer(2, store.config_set, ("maxmemory", 0)).start()
    totals = Ingest(settings, encoders).run(until_idle=1)  # it waits until there is room
    assert (totals.posts_ingested, totals.dead_letters) == (len(ids), 0)


def test_ingest_whose_disk_is_full_ends_with_3(
    settings: Settings, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "ONLINE_STORE_RETRY_DEADLINE", 1.0)
    _send(settings, 10)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("features.lake.pq.write_table", full)
        with pytest.raises(ServiceUnavailable, match="No space left") as failure:
            Ingest(settings, encoders).run(until_idle=1)
    assert failure.value.exit_code == 3
    assert uncommitted(settings, "ingest", clients.Topics.of(settings).posts) == 10
    totals = Ingest(settings, encoders).run(until_idle=1)
    assert (totals.posts_ingested, totals.dead_letters) == (10, 0)


# BentoML 1.4 uses what pathspec and pydantic have renamed.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_rest_says_503_and_is_not_ready_until_its_engine_works_again(
    settings: Settings,
    predictor: Predictor,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rest_queue, "PROBE_SECONDS", 0.2)
    post = {"created_at": "2026-05-01T12:00:00Z"}
    with (
        fused(predictor.encoders, 1, error) as fuse,
        TestClient(build(settings, lambda: predictor).to_asgi()) as client,
    ):
        assert client.post("/predict", json=post | {"post_id": "a", "text": "a"}).status_code == 200
        assert client.get("/readyz").status_code == 200
        for route, body in (
            ("/predict", post | {"post_id": "b", "text": "b"}),
            ("/predict_batch", [post | {"post_id": "c", "text": "c"}]),
            ("/explain", post | {"post_id": "d", "text": "d"}),
        ):
            answer = client.post(route, json=body)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["code"] == "unavailable"
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200
        fuse.mend()
        deadline = time.monotonic() + 20
        while client.get("/readyz").status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.get("/readyz").status_code == 200
        assert client.post("/predict", json=post | {"post_id": "b", "text": "b"}).status_code == 200
        assert 'code="internal"' not in client.get("/metrics").text
