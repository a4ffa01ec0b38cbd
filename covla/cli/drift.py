"""`covla drift`."""

from dataclasses import asdict
from typing import Any

import click

from covla.cli.options import as_of_option, json_option, window_option
from covla.cli.output import log, print_result


@click.command()
@window_option()
@as_of_option
@click.option(
    "--reference",
    default="champion",
    show_default=True,
    help="Compare with the training posts of this version or model folder.",
)
@click.option(
    "--alert/--no-alert",
    default=True,
    show_default=True,
    help="Open or close alerts by what is found; see `covla alerts`.",
)
@click.option("--run", help="DAG/RUN of Airflow, which starts the retrain by itself.")
@click.option("--fail-on-drift", is_flag=True, help="End with 4 when there is drift.")
@json_option
@click.pass_context
def drift(
    ctx: click.Context,
    window: Any,
    as_of: Any,
    reference: str,
    alert: bool,
    run: str | None,
    fail_on_drift: bool,
    as_json: bool,
) -> None:
    """Compare a window's features with the training posts, and name the modality that drifted.

    Writes an HTML and a JSON report, and shows both in the Evidently UI.
    """
    from covla.settings import get_settings
    from monitoring.watch import monitor

    report, opened = monitor(
        window, reference, get_settings(), as_of=as_of, alert=alert, run=run, log=log
    )
    document = asdict(report) | {"alert_id": opened.alert_id, "alert_opened": opened.opened}
    summary = (
        *("window", "reference", "drift", "drift_modality", "scores", "untested"),
        *("report", "alert_id", "alert_opened"),
    )
    print_result(
        document if as_json else {name: document[name] for name in summary}, as_json=as_json
    )
    if report.drift and fail_on_drift:
        ctx.exit(4)
