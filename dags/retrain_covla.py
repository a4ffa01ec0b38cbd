"""Every week, or after drift: train a challenger and let the gate decide.

Not within the cooldown, not too often a week, and not without new labelled posts: such a run is
skipped, and its note says why. A run by hand always trains.
"""

from typing import Any

from airflow.sdk import AssetOrTimeSchedule, Param, get_current_context, task

from include.alert_topic import drift_assets
from include.clock import GPU_POOL, clock, covla_dag
from include.commands import REFUSED, Result, run_command
from include.notes import note, skip
from include.time_ranges import Request, model_of, posts_of, request, time_range_params

BECAUSE = {"asset_triggered": "drift", "manual": "hand"}  # run type -> reason; else the clock
LIMITS = {
    "cooldown_hours": ("number", "From one retrain to the next; default: the setting"),
    "per_week": ("integer", "At most so many in 7 days; default: the setting"),
    "min_labels": ("integer", "New labelled posts, at least; default: the setting"),
}
_clock = clock("retrain_schedule", "0 3 * * 1", after=50)
_drift = drift_assets()


@covla_dag(
    schedule=AssetOrTimeSchedule(timetable=_clock, assets=_drift) if _clock else _drift,
    doc_md=__doc__,
    params=time_range_params()
    | {
        name: Param(None, type=["null", kind], description=text)
        for name, (kind, text) in LIMITS.items()
    },
)
def retrain_covla() -> None:
    @task
    def plan() -> Request:
        context: Any = get_current_context()
        requested, run = request(context), context["dag_run"]
        because = BECAUSE.get(run.run_type, "clock")
        if because == "drift":
            # The hour's own validation may still run, and a blocked hour must train no model.
            run_command("validate", *posts_of(requested), minutes=20, accept=(0, REFUSED))
        options = ["--run", f"{run.dag_id}/{run.run_id}", "--because", because]
        for name in LIMITS:
            if (value := context["params"].get(name)) is not None:
                options += [f"--{name.replace('_', '-')}", str(value)]
        alert = ""
        if alert_id := requested.get("alert_id"):
            options += ["--alert", alert_id]
            alert = f"; alert {alert_id}: {requested.get('alert', '')}"
        decision = run_command(
            "retrain-due", *posts_of(requested, "train_window"), *options, accept=(0, REFUSED)
        )
        if not decision["due"]:
            skip(decision["why"] + alert)
        note(decision["why"] + alert)
        return requested

    @task(pool=GPU_POOL)
    def teach(requested: Request) -> Result:
        """After drift there are posts that no teacher has seen; known ones cost nothing."""
        options = posts_of(requested, "train_window") + model_of(requested)
        return run_command("teach", *options, minutes=240)

    @task(pool=GPU_POOL)
    def train(requested: Request, distilled: Result) -> str:
        del distilled  # the vectors are in the feature store
        options = posts_of(requested, "train_window") + model_of(requested)
        trained = run_command("train", *options, minutes=600)
        return str(trained["folder"])

    @task(pool=GPU_POOL)
    def promote(requested: Request, folder: str) -> Result:
        """A refusal by the gate is no failure: the champion stays."""
        options = posts_of(requested, "gate_window")
        # Hours where the new version has other towers: it encodes the posts of the last days first.
        outcome = run_command("promote", folder, *options, minutes=600, accept=(0, REFUSED))
        note(f"version {outcome['version']}: {outcome['why']}")
        return outcome

    requested = plan()
    promote(requested, train(requested, teach(requested)))


retrain_covla()
