"""The local broker: real Kafka, kept data, exactly-once transactions, no process left."""

import shutil
from collections import Counter
from pathlib import Path

import psutil
import pytest
from kafka import KafkaAdminClient
from kafka.structs import OffsetAndMetadata

from covla.errors import CovlaError, ServiceUnavailable
from covla.kafka.clients import consumer, ensure_topics, producer
from covla.settings import Settings
from services.stack import jars, processes
from services.stack import kafka as kafka_stack

pytestmark = pytest.mark.slow


def _cluster(address: str) -> str:
    admin = KafkaAdminClient(bootstrap_servers=address)
    try:
        return str(admin.describe_cluster()["cluster_id"])
    finally:
        admin.close()


@pytest.mark.parametrize("name", ["state", "my 100% stäte, #1 [a]?"])
def test_restart_keeps_data_address_and_cluster(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")  # in which Java would write a question mark for the ä
    settings = Settings(state=tmp_path / name)
    first = kafka_stack.start(settings)
    try:
        cluster = _cluster(first.address)
        topics = ensure_topics(settings)
        client = producer(settings)
        client.send(topics.posts, key=b"a", value=b"kept").get(timeout=20)
        client.close()
        assert kafka_stack.start(settings).pid == first.pid  # already running: nothing is started

        assert kafka_stack.stop(settings)
        assert not psutil.pid_exists(first.pid)
        assert not kafka_stack.stop(settings)

        again = kafka_stack.start(settings)
        assert again.pid != first.pid
        assert again.address == first.address
        assert _cluster(again.address) == cluster
        reader = consumer(settings, topics.posts, group=None)
        records = [r for batch in reader.poll(timeout_ms=20_000).values() for r in batch]
        reader.close()
        assert [record.value for record in records] == [b"kept"]
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert (settings.state / "kafka" / "data" / "meta.properties").is_file()
    finally:
        kafka_stack.stop(settings)


def test_broker_killed_comes_back_with_its_data(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    first = kafka_stack.start(settings)
    try:
        topics = ensure_topics(settings)
        broker = psutil.Process(first.pid)
        broker.kill()
        broker.wait(timeout=10)
        found = processes.find(settings, "kafka")
        assert found is not None
        assert not found.alive
        kafka_stack.start(settings)
        assert set(ensure_topics(settings).all()) == set(topics.all())
    finally:
        kafka_stack.stop(settings)


def test_transactions_deliver_every_message_once(settings: Settings) -> None:
    """Consume, process, produce with offsets in the transaction; every third batch is aborted."""
    topics = ensure_topics(settings)
    source = producer(settings)
    sent = [f"post-{number}".encode() for number in range(1000)]
    for key in sent:
        source.send(topics.posts, key=key, value=key)
    source.flush()
    source.close()

    worker = producer(settings, transactional_id=f"{settings.topic_prefix}-worker")
    worker.init_transactions()
    reader = consumer(settings, topics.posts, group="worker", max_poll_records=100)
    done, attempts, empty = 0, 0, 0
    while done < len(sent) and empty < 10:
        batches = reader.poll(timeout_ms=2000)
        if not batches:
            empty += 1
            continue
        attempts += 1
        worker.begin_transaction()
        for records in batches.values():
            for record in records:
                worker.send(topics.predictions, key=record.key, value=record.value)
        if attempts % 3 == 0:
            worker.flush()
            worker.abort_transaction()
            for partition, records in batches.items():
                reader.seek(partition, records[0].offset)
            continue
        offsets = {
            partition: OffsetAndMetadata(records[-1].offset + 1, "", -1)
            for partition, records in batches.items()
        }
        worker.send_offsets_to_transaction(offsets, reader.group_metadata())
        worker.commit_transaction()
        done += sum(len(records) for records in batches.values())
    reader.close()
    worker.close()
    assert attempts >= 3  # at least one batch was aborted and done again

    check = consumer(settings, topics.predictions, group=None)
    seen: Counter[bytes] = Counter()
    while batches := check.poll(timeout_ms=3000):
        seen.update(record.key for records in batches.values() for record in records)
    check.close()
    assert seen == Counter(sent)


def test_unknown_broker_is_one_clear_line() -> None:
    with pytest.raises(ServiceUnavailable, match=r"no Kafka broker answers at 127.0.0.1:1"):
        ensure_topics(Settings(kafka_bootstrap="127.0.0.1:1"))


def test_changed_or_missing_jar_is_refused(kafka: Settings, tmp_path: Path) -> None:
    """One flipped bit in one jar: the broker does not start."""
    installed = jars.install(kafka)[0].parent
    copied = tmp_path / "jars" / installed.name
    shutil.copytree(installed, copied)
    settings = Settings(state=tmp_path / "state", kafka_jars=tmp_path / "jars")
    assert len(jars.install(settings)) == len(jars.pinned())

    victim = copied / "kafka-clients-4.2.2.jar"
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    with pytest.raises(CovlaError, match=r"kafka-clients-4.2.2.jar .* is not the file"):
        kafka_stack.start(settings)
    victim.unlink()
    with pytest.raises(CovlaError, match=r"kafka-clients-4.2.2.jar is missing"):
        kafka_stack.start(settings)
    assert processes.records(settings) == []
