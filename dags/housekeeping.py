"""Every week: images, texts, refused models, caches and reports that are older than their retention
go. The run's note says what was freed.

It waits for a training that works on posts, for hours if need be.
"""

from airflow.sdk import Param, get_current_context, task

from include.clock import clock, covla_dag
from include.commands import Result, run_command
from include.notes import note
from include.time_ranges import request

WAIT = 600  # minutes: what a training may take


@covla_dag(
    schedule=clock("housekeeping_schedule", "0 4 * * 0"),
    doc_md=__doc__,
    params={
        "as_of": Param(
            None,
            type=["null", "string"],
            description="Count ages from this time; default: soon after the data interval",
        ),
        "dry_run": Param(False, type="boolean", description="Remove nothing; say what would go"),
    },
)
def housekeeping() -> None:
    @task
    def expire() -> Result:
        requested = request(get_current_context())
        options = ["--wait", str(WAIT)]
        options += ["--as-of", requested["as_of"]] if "as_of" in requested else []
        if get_current_context()["params"]["dry_run"]:
            options.append("--dry-run")
        done = run_command("housekeeping", *options, minutes=WAIT + 120)
        kinds = ", ".join(f"{one['files']} of {kind}" for kind, one in done["freed"].items())
        would = "would free" if done["dry_run"] else "freed"
        note(f"{would} {done['files']} files, {done['bytes'] / 1e6:.1f} MB: {kinds}")
        return done

    expire()


housekeeping()
