"""`covla drift`."""

from typing import Any

import click

from covla.cli.options import json_option, window_option
from covla.cli.output import log, print_result


@click.command()
@window_option()
@click.option(
    "--reference",
    default="champion",
    show_default=True,
    help="Compare with the training posts of this version or model folder.",
)
@click.option(
    "--alert/--no-alert",
    default=None,
    help="Say drift on the alerts topic; default: when a broker is known.",
)
@click.option("--fail-on-drift", is_flag=True, help="End with 4 when there is drift.")
@json_option
@click.pass_context
def drift(
    ctx: click.Context,
    window: Any,
    reference: str,
    alert: bool | None,
    fail_on_drift: bool,
    as_json: bool,
) -> None:
    """Compare a window's features with the training posts, and name the modality that drifted.

    Writes an HTML and a JSON report, and shows both in the Evidently UI.
    """
    from covla.errors import ServiceUnavailable
    from covla.kafka.clients import bootstrap
    from covla.settings import get_settings
    from monitoring.rows import reference_rows, window_rows

    settings = get_settings()
    if alert is not False:
        try:
            bootstrap(settings)
            alert = True
        except ServiceUnavailable:
            if alert:
                raise
            log("drift: no Kafka broker is known, so no alert will be sent")
    version, known = reference_rows(reference, settings)
    rows = window_rows(window, settings)
    from monitoring.watch import watch

    found = watch(window, rows, version, known, settings, say=log)
    found["alert_id"] = None
    if found["drift"] and alert:
        from monitoring.alerts import drift_alert, send

        record = drift_alert(window, version, found["drift_modality"], found["scores"])
        send(record, settings)
        found["alert_id"] = record.alert_id
    shown = (
        *("window", "reference", "drift", "drift_modality", "scores", "untested"),
        *("report", "alert_id"),
    )
    print_result(found if as_json else {name: found[name] for name in shown}, as_json=as_json)
    if found["drift"] and fail_on_drift:
        ctx.exit(4)
