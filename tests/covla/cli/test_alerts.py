"""`covla alerts`: what a person sees of them."""

import json
from datetime import UTC, datetime, timedelta

from click.testing import CliRunner

from covla.cli.alerts import KINDS, alerts
from covla.schemas.alert import Example, Kind
from covla.settings import Settings
from monitoring.alerts import close_alert, open_alert
from monitoring.alerts.store import RetrainNote, add_retrain
from tests.conftest import RunCommand

AT = datetime(2026, 5, 2, 0, 10, tzinfo=UTC)


def test_the_kinds_are_those_of_the_contract() -> None:
    assert tuple(KINDS) == Kind.__args__  # type: ignore[attr-defined]


def test_open_closed_and_unsent_ones_are_listed_with_their_retrains(
    offline_settings: Settings, run_command: RunCommand
) -> None:
    assert run_command(offline_settings, "alerts").stdout == "no alert\n"
    drift = open_alert(
        offline_settings,
        kind="drift",
        subject="image",
        summary="image drifted",
        at=AT,
        confidence="p = 1e-05",
        examples=[Example(post_id="p-1", text="Leg day")],
    )
    assert drift
    why = "cooldown until 2026-05-03 00:00"
    add_retrain(offline_settings, drift.alert_id, RetrainNote("retrain_covla/a", AT, False, why))
    for n in range(3):
        task = {"kind": "task", "subject": f"a.{n}"}
        at = AT + timedelta(hours=n + 1)
        open_alert(offline_settings, **task, summary="it failed", at=at)  # type: ignore[arg-type]
        close_alert(offline_settings, **task, summary="it ended well", at=at)  # type: ignore[arg-type]
    shown = run_command(offline_settings, "alerts").stdout
    assert f"open    drift image  {drift.alert_id}\n        image drifted\n" in shown
    assert "since 2026-05-02 00:10, opened 2026-05-02 00:10\n        confidence: p = 1e-05" in shown
    assert f"post p-1: Leg day\n        no retrain: {why} (retrain_covla/a)" in shown
    assert "not sent yet: open to topic\n" in shown
    assert "closed 2026-05-02 03:10: it ended well" in shown

    listed = run_command(offline_settings, "alerts", "--json").json["alerts"]
    assert [one["state"] for one in listed] == ["open", "closed", "closed", "closed"]
    assert listed[0]["retrains"][0]["why"] == why
    assert listed[1]["unsent"] == ["open to topic", "closed to topic"]


def test_closed_ones_that_were_sent_are_listed_to_a_number(
    offline_settings: Settings, run_command: RunCommand
) -> None:
    for n in range(4):
        at = AT + timedelta(hours=n)
        open_alert(offline_settings, kind="task", subject="a", summary="x", at=at)
        close_alert(offline_settings, kind="task", subject="a", summary="y", at=at)
    for path in (offline_settings.state / "alerts").glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"unsent": []}))
    for last, count in ((0, 0), (2, 2), (20, 4)):
        done = run_command(offline_settings, "alerts", "--json", "--last", last)
        assert len(done.json["alerts"]) == count
    newest = run_command(offline_settings, "alerts", "--json", "--last", 1).json["alerts"]
    assert newest[0]["opened_at"] == "2026-05-02T03:10:00+00:00"


def test_opening_twice_opens_one_and_closing_needs_an_open_one(
    offline_settings: Settings, run_command: RunCommand
) -> None:
    task = ("--kind", "task", "--subject", "a.b", "--summary", "it failed", "--json")
    first = run_command(offline_settings, "alerts", "open", *task)
    assert (first.returncode, len(first.json["alert_id"])) == (0, 32)
    assert run_command(offline_settings, "alerts", "open", *task).json == {"alert_id": None}
    assert run_command(offline_settings, "alerts", "close", *task).json == first.json
    assert run_command(offline_settings, "alerts", "close", *task).json == {"alert_id": None}


def test_an_unknown_kind_is_refused_by_name() -> None:
    line = ["open", "--kind", "weather", "--subject", "a", "--summary", "b"]
    done = CliRunner().invoke(alerts, line)
    assert done.exit_code == 2
    assert "'weather' is not one of" in done.output


def test_the_webhooks_address_is_in_no_message(
    offline_settings: Settings, run_command: RunCommand
) -> None:
    for address, ends in (("http://127.0.0.1:1/s3cret", 3), ("ftp://hooks/s3cret", 2)):
        settings = offline_settings.model_construct(
            _fields_set={"state", "webhook_url"},
            state=offline_settings.state,
            webhook_url=address,
        )
        task = ("--kind", "task", "--subject", address, "--summary", "it failed")
        opened = run_command(settings, "alerts", "open", *task[:3], "a.b", *task[4:])
        done = run_command(settings, "alerts", "send")
        assert done.returncode == ends
        assert "s3cret" not in f"{opened.stderr}{done.stderr}{done.stdout}"
    assert "COVLA_WEBHOOK_URL: it is no http:// or https:// address" in done.stderr
