"""By hand: what would a version have predicted for the posts of a time range?

For a version that did not serve then, or posts that the stream missed; into the feature store.
"""

from airflow.sdk import Param, get_current_context, task

from include.clock import GPU_POOL, covla_dag
from include.commands import run_command
from include.notes import note
from include.time_ranges import AS_OF, posts_of, request


@covla_dag(
    schedule=None,
    doc_md=__doc__,
    params={
        "window": Param(
            None, type=["null", "string"], description="START/END; default: the hour before"
        ),
        "as_of": AS_OF,
        "model": Param("champion", type="string", description="A version, an alias or a folder"),
    },
)
def backfill_predictions() -> None:
    @task(pool=GPU_POOL)
    def predict() -> None:
        context = get_current_context()
        options = [*posts_of(request(context)), "--model", context["params"]["model"]]
        done = run_command("backfill", *options, minutes=240)
        note(f"{done['predictions']} predictions by version {done['model_version']}")

    predict()


backfill_predictions()
