"""What the guarantees stand on: sizes, and clear words where no broker is."""

from pathlib import Path

import certifi
import pytest

from covla.errors import CovlaError, ServiceUnavailable
from covla.kafka import clients
from covla.settings import Settings


@pytest.mark.slow
def test_the_largest_message_that_the_topic_takes_fits_as_a_dead_letter(settings: Settings) -> None:
    topics = clients.ensure_topics(settings)
    producer = clients.producer(settings)
    try:
        # Kafka counts the record's own frame, so leave it a little room.
        value = b"x" * (settings.max_message_bytes * 2 - 500)
        producer.send(topics.posts, key=b"a", value=value).get(timeout=30)
        headers = [("error-message", b"e" * 1000)]
        producer.send(topics.dead_letters, key=b"a", value=value, headers=headers).get(timeout=30)
    finally:
        producer.close()


def test_without_a_broker_it_says_how_to_get_one(offline_settings: Settings) -> None:
    with pytest.raises(ServiceUnavailable, match="covla up"):
        clients.bootstrap(offline_settings)
    away = offline_settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9"})
    assert clients.bootstrap(away) == "127.0.0.1:9"


def test_a_file_without_certificates_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "wide").write_text("-----BEGIN CERTIFICATE-----", encoding="utf-16")
    for path in (tmp_path / "none", tmp_path, tmp_path / "empty", tmp_path / "wide"):
        settings = Settings(state=tmp_path, kafka_bootstrap="127.0.0.1:9", kafka_ssl_cafile=path)
        with pytest.raises(CovlaError) as refused:
            clients.client_config(settings)
        assert str(refused.value).startswith(f"COVLA_KAFKA_SSL_CAFILE: cannot read {path}: ")
        assert "\n" not in str(refused.value)
    good = Settings(
        state=tmp_path, kafka_bootstrap="127.0.0.1:9", kafka_ssl_cafile=Path(certifi.where())
    )
    assert clients.client_config(good)["ssl_cafile"] == certifi.where()
