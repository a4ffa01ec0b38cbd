"""What cannot be sent is kept and sent later, in order, once, by whoever sends next."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from covla.kafka.clients import Topics, consumer
from covla.schemas.alert import read_alert
from covla.settings import Settings
from monitoring.alerts import close_alert, open_alert, outbox
from monitoring.alerts.outbox import Sent, send_unsent
from monitoring.alerts.store import kept_alerts
from services.stack import kafka as broker
from services.stack import ports
from tests.conftest import RunCommand
from tests.monitoring.conftest import Webhook

AT = datetime(2026, 5, 2, 0, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def open_and_close(settings: Settings) -> None:
    for n, subject in enumerate(("7", "8")):
        open_alert(settings, kind="release", subject=subject, summary="back", at=AT + n * HOUR)
    close_alert(settings, kind="release", subject="7", summary="9 serves", at=AT + 3 * HOUR)


def test_without_a_broker_alerts_are_kept_and_the_webhook_has_them(
    offline_settings: Settings, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    settings = webhook.settings(offline_settings)
    open_and_close(settings)
    told = [(body["subject"], body["state"]) for body in webhook.bodies]
    assert told == [("7", "open"), ("8", "open"), ("7", "closed")]
    left = [(one.state, one.channel) for kept in kept_alerts(settings) for one in kept.unsent]
    assert left == [("open", "topic"), ("closed", "topic"), ("open", "topic")]
    assert "kept for later, the topic does not take them: no Kafka broker is known" in caplog.text


def test_a_webhook_that_fails_keeps_them_until_it_answers(
    offline_settings: Settings, webhook: Webhook
) -> None:
    settings = webhook.settings(offline_settings)
    webhook.answers = [404]
    open_alert(settings, kind="release", subject="7", summary="back", at=AT)
    assert len(webhook.bodies) == 1
    no_broker = "no Kafka broker is known. Start one with `covla up`, or set "
    why = {"topic": no_broker + "COVLA_KAFKA_BOOTSTRAP=HOST:PORT"}
    assert send_unsent(settings) == Sent(1, 1, why)
    assert send_unsent(settings) == Sent(0, 1, why)
    assert [body["alert_id"] for body in webhook.bodies] == [webhook.bodies[0]["alert_id"]] * 2


def test_several_processes_send_each_alert_once(
    offline_settings: Settings, webhook: Webhook
) -> None:
    open_and_close(offline_settings)  # no webhook yet
    settings = webhook.settings(offline_settings)
    open_alert(offline_settings, kind="task", subject="a.b", summary="x", at=AT)
    for n in range(5):
        webhook.answers = [404]
        open_alert(settings, kind="task", subject=f"c.{n}", summary="x", at=AT)
    webhook.answers, webhook.bodies = [], []
    threads = [threading.Thread(target=send_unsent, args=(settings,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({body["alert_id"] for body in webhook.bodies}) == len(webhook.bodies) == 5


def test_who_sends_does_not_wait_for_ever_for_another(
    offline_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    monkeypatch.setattr(outbox, "WAIT", 0.1)
    (offline_settings.state / "alerts").mkdir(parents=True)
    with FileLock(offline_settings.state.absolute() / "alerts" / ".sending"):
        assert open_alert(offline_settings, kind="task", subject="a", summary="x", at=AT)
        assert send_unsent(offline_settings).why == {"topic": "another process is sending"}


@pytest.mark.slow
def test_a_broker_that_is_away_gets_them_when_it_is_back(
    tmp_path: Path, run_command: RunCommand
) -> None:
    port = ports.any_free()
    host = Settings(state=tmp_path / "broker", kafka_port=port)
    settings = Settings(state=tmp_path / "state", kafka_bootstrap=f"127.0.0.1:{port}")
    task = ("--kind", "task", "--subject", "a.b", "--summary", "it failed", "--json")
    done = run_command(settings, "alerts", "open", *task)
    assert (done.returncode, len(done.json["alert_id"])) == (0, 32), done.stderr
    assert "kept for later, the topic does not take them: no Kafka broker answers" in done.stderr
    assert run_command(settings, "alerts", "send").returncode == 3
    broker.start(host)
    try:
        sent = run_command(settings, "alerts", "send", "--json")
        assert (sent.returncode, sent.json) == (0, {"sent": 1, "unsent": 0, "why": {}})
        assert run_command(settings, "alerts", "close", *task).returncode == 0
        topic = Topics.of(settings).alerts
        reader = consumer(settings, topic, group=None, consumer_timeout_ms=10_000)
        records = [next(reader), next(reader)]
        reader.close()
        read = [read_alert(record.value) for record in records]
        assert [one.state for one in read] == ["open", "closed"]
        assert {record.key.decode() for record in records} == {done.json["alert_id"]}
    finally:
        broker.stop(host)
