"""Every hour: has a modality drifted from what the champion was trained on, and how do the served
versions do on live posts?

An hour with too few posts to tell is skipped, with the reason. Performance is that of the last 7
days, hour by hour, since labels come late.
"""

from collections.abc import Iterator
from typing import Any

from airflow.sdk import Metadata, get_current_context, task

from include.clock import HOURLY, clock, covla_dag
from include.commands import DRIFT, run_command
from include.notes import note, skip
from include.time_ranges import posts_of, request, time_range_params


@covla_dag(schedule=clock("monitor_schedule", HOURLY), doc_md=__doc__, params=time_range_params())
def monitor_drift() -> None:
    @task(outlets=[DRIFT])
    def drift() -> Iterator[Metadata]:
        context: Any = get_current_context()
        requested, run = request(context), context["dag_run"]
        options = ["--run", f"{run.dag_id}/{run.run_id}"]
        # Posts that came while champions with other towers changed over; mostly there are none.
        run_command("features", "backfill", *posts_of(requested), minutes=60)
        report = run_command("drift", *posts_of(requested), *options, minutes=20)
        modality, alert_id = report["drift_modality"], report["alert_id"]
        if not report["drift"]:
            skip("no modality drifted")
        if alert_id is None:
            why = "too few time ranges in a row have it, or a later one was looked at before"
            skip(f"drift: {modality}; no alert: {why}")
        note(f"drift: {modality}; alert {alert_id}; {report['report']}")
        about = {"drift_modality": modality, "alert_id": alert_id, "alert": f"{modality} drifted"}
        yield Metadata(DRIFT, extra=requested | about)

    @task
    def performance() -> None:
        requested = request(get_current_context())
        live = run_command("performance", *posts_of(requested, "live_window"), minutes=20)
        lines = []
        for one in live["versions"]:
            known = one["accuracy"]
            measured = f"{known['value']:.3f} of {one['labelled']}" if known else "no label yet"
            estimate = one["estimated_accuracy"]["value"]
            lines.append(f"version {one['model_version']}: {measured}, estimated {estimate:.3f}")
        note(f"accuracy: {'; '.join(lines)}")

    drift()
    performance()


monitor_drift()
