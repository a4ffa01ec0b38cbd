"""`covla alerts`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from covla.cli.options import TimeType, json_option
from covla.cli.output import print_result

if TYPE_CHECKING:
    from monitoring.alerts.store import KeptAlert

KINDS = ["drift", "release", "validation", "task"]
kind_option = click.option("--kind", type=click.Choice(KINDS), required=True)
subject_option = click.option(
    "--subject", required=True, help="A modality, a model version, or DAG.TASK."
)
summary_option = click.option("--summary", required=True, help="What happened, in one line.")
at_option = click.option("--at", type=TimeType(), help="The time that it stands for; default: now.")


@click.group(invoke_without_command=True)
@click.option(
    "--last", type=click.IntRange(min=0), default=20, show_default=True, help="Closed ones to list."
)
@json_option
@click.pass_context
def alerts(ctx: click.Context, last: int, as_json: bool) -> None:
    """List the alerts: open ones, the last closed ones, and what of them is not sent yet."""
    if ctx.invoked_subcommand is not None:
        return
    from covla.settings import get_settings
    from monitoring.alerts.store import kept_alerts

    kept = kept_alerts(get_settings())
    closed = [one for one in kept if one.closed][-last:] if last else []
    shown = [one for one in kept if not one.closed or one.unsent or one in closed]
    if as_json:
        print_result({"alerts": [_document(one) for one in shown]}, as_json=True)
        return
    for one in shown:
        click.echo("\n".join(_lines(one)))
    if not shown:
        click.echo("no alert")


@alerts.command()
@json_option
@click.pass_context
def send(ctx: click.Context, as_json: bool) -> None:
    """Send what could not be sent before; ends with 3 where something stays unsent."""
    from covla.settings import get_settings
    from monitoring.alerts.outbox import send_unsent

    result = send_unsent(get_settings())
    print_result(asdict(result), as_json=as_json)
    if result.unsent:
        ctx.exit(3)


@alerts.command("open")
@kind_option
@subject_option
@summary_option
@at_option
@click.option("--report", help="Address of what tells more.")
@click.option("--run", help="DAG/RUN of Airflow that raises it.")
@json_option
def open_(at: Any, as_json: bool, **given: Any) -> None:
    """Open an alert, unless one of its kind and subject is open, and send it."""
    from covla.settings import get_settings
    from covla.times import now
    from monitoring.alerts import open_alert

    alert = open_alert(get_settings(), at=at or now(), **given)
    print_result({"alert_id": alert and alert.alert_id}, as_json=as_json)


@alerts.command()
@kind_option
@subject_option
@summary_option
@at_option
@json_option
def close(at: Any, as_json: bool, **given: Any) -> None:
    """Close the open alert of a kind and subject, where there is one, and send that."""
    from covla.settings import get_settings
    from covla.times import now
    from monitoring.alerts import close_alert

    alert = close_alert(get_settings(), at=at or now(), **given)
    print_result({"alert_id": alert and alert.alert_id}, as_json=as_json)


def _document(kept: "KeptAlert") -> dict[str, Any]:
    return kept.last.model_dump(mode="json") | {
        "opened_at": kept.opened.created_at.isoformat(),
        "closed_at": kept.closed and kept.closed.created_at.isoformat(),
        "unsent": [f"{one.state} to {one.channel}" for one in kept.unsent],
        "retrains": [asdict(one) for one in kept.retrains],
    }


def _lines(kept: "KeptAlert") -> list[str]:
    alert = kept.opened
    lines = [f"{kept.last.state:<6}  {alert.kind} {alert.subject}  {alert.alert_id}"]
    lines.append(f"        {alert.summary}")
    times = f"since {alert.since:%Y-%m-%d %H:%M}, opened {alert.created_at:%Y-%m-%d %H:%M}"
    if kept.closed:
        times += f", closed {kept.closed.created_at:%Y-%m-%d %H:%M}: {kept.closed.summary}"
    lines.append(f"        {times}")
    for name in ("confidence", "report"):
        if value := getattr(alert, name):
            lines.append(f"        {name}: {value}")
    lines += [f"        post {one.post_id}: {one.text}" for one in alert.examples]
    for run in kept.retrains:
        lines.append(f"        {'retrain' if run.due else 'no retrain'}: {run.why} ({run.run_id})")
    if kept.unsent:
        waiting = ", ".join(f"{one.state} to {one.channel}" for one in kept.unsent)
        lines.append(f"        not sent yet: {waiting}")
    return lines
