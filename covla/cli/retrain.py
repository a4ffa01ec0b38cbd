"""`covla retrain-due`."""

from dataclasses import asdict
from typing import Any

import click

from covla.cli.options import as_of_option, json_option, window_option
from covla.cli.output import log, print_result


@click.command("retrain-due")
@window_option()
@as_of_option
@click.option("--run", "run_id", required=True, help="Who asks; the same one is answered the same.")
@click.option(
    "--because",
    type=click.Choice(["clock", "drift", "hand"]),
    default="hand",
    show_default=True,
    help="What asks. By hand a retrain is always due.",
)
@click.option(
    "--cooldown-hours", type=click.FloatRange(min=0), help="[default: COVLA_RETRAIN_COOLDOWN_HOURS]"
)
@click.option("--per-week", type=click.IntRange(min=1), help="[default: COVLA_RETRAIN_PER_WEEK]")
@click.option(
    "--min-labels", type=click.IntRange(min=0), help="[default: COVLA_RETRAIN_MIN_LABELS]"
)
@click.option(
    "--alert", "alert_id", help="Id of the alert that asks; the answer is kept beside it."
)
@json_option
@click.pass_context
def retrain_due(
    ctx: click.Context,
    /,
    window: Any,
    as_of: Any,
    run_id: str,
    because: Any,
    alert_id: str | None,
    as_json: bool,
    **limits: Any,
) -> None:
    """Whether a retrain may begin now; ends with 4 when it may not, and says why.

    A cooldown after the last one, at most so many a week, and enough new labelled posts in the
    window. A retrain that is due counts as begun.
    """
    from covla.settings import get_settings
    from monitoring.alerts.store import RetrainNote, add_retrain, since_of
    from monitoring.retrain_policy import decide

    settings = get_settings()
    since = since_of(settings, alert_id) if because == "drift" and alert_id else None
    decision = decide(
        window, settings, run_id=run_id, because=because, since=since, at=as_of, **limits
    )
    if alert_id is not None:
        note = RetrainNote(run_id, decision.at, decision.due, decision.why)
        if not add_retrain(settings, alert_id, note):
            log(f"retrain-due: alert {alert_id} is of another state folder")
    print_result(asdict(decision) | {"at": decision.at.isoformat()}, as_json=as_json)
    if not decision.due:
        ctx.exit(4)
