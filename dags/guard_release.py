"""Every ten minutes: is the new champion worse on live posts than the version that it replaced?

Where it is, the previous version serves again, without a hand. A canary or a shadow that is worse
than the champion is taken off. A day after a promotion with neither of them, and while there are
too few posts to tell, there is nothing to do and the run is skipped.
"""

from typing import Any

from airflow.sdk import get_current_context, task

from include.clock import clock, covla_dag
from include.commands import run_command
from include.notes import note, skip
from include.time_ranges import AS_OF


@covla_dag(
    schedule=clock("guard_schedule", "*/10 * * * *", live=True),
    doc_md=__doc__,
    params={"as_of": AS_OF},
)
def guard_release() -> None:
    @task
    def guard() -> None:
        context: Any = get_current_context()
        end = context.get("data_interval_end") or context["dag_run"].run_after
        at = context["params"]["as_of"] or end.isoformat()
        found = run_command("guard", "--as-of", at, minutes=20)
        looks = [found, *(found[role] for role in ("canary", "shadow") if found.get(role))]
        done = [one for one in looks if one["status"] not in ("idle", "waiting")]
        if not done:
            skip("; ".join(one["why"] for one in looks))
        note(
            "\n".join(
                f"version {one['version']} {one['status']}: {one['why']}; {one['report']}"
                for one in done
            )
        )

    guard()


guard_release()
