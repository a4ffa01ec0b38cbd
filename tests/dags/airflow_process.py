"""A program: a real Airflow without a scheduler, over the DAGs folder that its settings name.

It prints what it read there, then answers each line of stdin, `{"dag", "date", "conf"}`, with what
became of that run: JSON, a line each. What Airflow and the tasks print goes to stderr.
"""

import json
import os
import runpy
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: E402
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db  # noqa: E402
from airflow.models.asset import AssetDagRunQueue, AssetEvent  # noqa: E402
from airflow.models.dag import DagModel  # noqa: E402
from airflow.models.xcom import XComModel  # noqa: E402
from airflow.utils.db import initdb  # noqa: E402
from airflow.utils.session import create_session  # noqa: E402

BUNDLE = "dags-folder"
describe = runpy.run_path(str(Path(__file__).with_name("description.py")))["describe"]


def say(value: dict[str, Any]) -> None:
    print(json.dumps(value), file=answers, flush=True)


def read() -> tuple[dict[str, Any], dict[str, Any]]:
    """The DAGs by id, as the DAG processor reads them and writes them down; and what to say."""
    initdb()
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    bag = BundleDagBag(folder, bundle_path=folder, bundle_name=BUNDLE)
    imported = sorted({name.partition(".")[0] for name in sys.modules})
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, BUNDLE, None)
    with create_session() as session:
        next_runs = {
            row.dag_id: [
                time and time.isoformat()
                for time in (
                    row.next_dagrun_data_interval_start,
                    row.next_dagrun_data_interval_end,
                    row.next_dagrun_create_after,
                )
            ]
            for row in session.query(DagModel)
        }
        at_once = {row.dag_id: row.max_active_runs for row in session.query(DagModel)}
    return bag.dags, {
        "errors": bag.import_errors,
        "files": sorted(stat.file for stat in bag.dagbag_stats),
        "imported": imported,
        "next_runs": next_runs,
        "at_once": at_once,
        "dags": describe(bag.dags),
    }


def run(dag: Any, date: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Let the tasks run, and see what Airflow has queued for the assets that they made."""
    with create_session() as session:
        session.query(AssetDagRunQueue).delete()
        session.query(AssetEvent).delete()
    done = dag.test(logical_date=datetime.fromisoformat(date).astimezone(UTC), run_conf=conf)
    with create_session() as session:
        return {
            "state": str(done.state),
            "note": session.merge(done).note,
            "tasks": {task.task_id: str(task.state) for task in done.get_task_instances()},
            "queued": sorted(row.target_dag_id for row in session.query(AssetDagRunQueue)),
            "returned": {
                row.task_id: row.value
                for row in session.query(XComModel).filter_by(
                    dag_id=dag.dag_id, run_id=done.run_id, key="return_value"
                )
            },
            "told": [row.extra for row in session.query(AssetEvent)],
        }


if __name__ == "__main__":
    dags, found = read()
    say(found)
    for line in sys.stdin:
        asked = json.loads(line)
        say(run(dags[asked["dag"]], asked["date"], asked["conf"]))
