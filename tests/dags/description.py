"""DAGs as plain data: what docs/dags.md and the snapshot are made of. Runs inside Airflow."""

from collections.abc import Iterator
from typing import Any


def describe(dags: dict[str, Any]) -> dict[str, Any]:
    """DAG -> schedule, params, tasks and how these follow each other; in order of ids."""
    return {dag_id: _dag(dags[dag_id]) for dag_id in sorted(dags)}


def _dag(dag: Any) -> dict[str, Any]:
    return {
        "doc": (dag.doc_md or "").strip(),
        "schedule": _schedule(dag.timetable),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "params": {
            name: {"default": param.value, "description": param.description, **param.schema}
            for name, param in sorted(dag.params.items())
        },
        "tasks": {task.task_id: _task(task) for task in sorted(dag.tasks, key=lambda t: t.task_id)},
    }


def _schedule(timetable: Any) -> dict[str, Any]:
    """A clock, assets, or both; neither for a DAG that runs by hand alone."""
    clock = getattr(timetable, "timetable", timetable)  # of one that has both
    about: dict[str, Any] = {"clock": None, "assets": [], "watchers": []}
    if hasattr(clock, "lateness"):
        about["clock"] = clock.serialize() | {"words": clock.description}
    if condition := getattr(timetable, "asset_condition", None):
        assets = list(_assets(condition))
        about["assets"] = sorted(asset.name for asset in assets)
        about["watchers"] = sorted(watch.name for asset in assets for watch in asset.watchers)
    return about


def _assets(condition: Any) -> Iterator[Any]:
    """Of AssetAll and AssetAny, however deep."""
    if not hasattr(condition, "objects"):
        yield condition
        return
    for one in condition.objects:
        yield from _assets(one)


def _task(task: Any) -> dict[str, Any]:
    return {
        "downstream": sorted(task.downstream_task_ids),
        "outlets": sorted(asset.name for asset in task.outlets),
        "retries": task.retries,
        "retry_seconds": _seconds(task.retry_delay),
        "max_retry_seconds": _seconds(task.max_retry_delay),
        "backoff": bool(task.retry_exponential_backoff),
        "timeout_seconds": _seconds(task.execution_timeout),
        "pool": task.pool,
        "trigger_rule": str(task.trigger_rule),
        "owner": task.owner,
    }


def _seconds(delta: Any) -> float | None:
    return None if delta is None else delta.total_seconds()
