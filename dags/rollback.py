"""By hand: let the previous champion serve again, and say why.

REST and stream workers change within seconds. With a reason the version that goes is rejected: no
run promotes it again.
"""

from airflow.sdk import Param, get_current_context, task

from include.clock import covla_dag
from include.commands import run_command
from include.notes import note


@covla_dag(
    schedule=None,
    doc_md=__doc__,
    params={
        "version": Param(
            None, type=["null", "string"], description="Only if this one serves; default: whichever"
        ),
        "reason": Param(None, type=["null", "string"], description="Why; it is then rejected"),
    },
)
def rollback() -> None:
    @task
    def take_back() -> None:
        params = get_current_context()["params"]
        given = [(f"--{name}", params[name]) for name in ("version", "reason") if params[name]]
        done = run_command("rollback", *(part for pair in given for part in pair), minutes=5)
        note(f"version {done['champion']} serves, {done['rolled_back']} is taken back")

    take_back()


rollback()
