"""A program: writes docs/dags.md and tests/dags/snapshot.json anew from the DAGs (`make dags`)."""

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.dags.conftest import Airflow

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).with_name("snapshot.json")
PAGE = ROOT / "docs" / "dags.md"

HEAD = " ".join(
    [
        "# The DAGs\n\nWhat each DAG does, when it runs, and what a run by hand may be given. This",
        "page is written from the code by `make dags`, and a test holds it to the code: change the",
        "DAGs in [dags](../dags), not this page. How to schedule, repeat and make up runs:",
        "[how-to.md](how-to.md#schedule-it); why a run works on its own interval:",
        "[decision 22](adr/0022-a-run-works-on-its-interval.md).\n\nRectangles are tasks, each one",
        "`covla` command; rounded boxes are what starts a run; cylinders are assets, by which one",
        "DAG starts another.\n\n## All of them\n\n",
    ]
)


def snapshot(dags: dict[str, Any]) -> str:
    """The DAGs without their prose."""
    bare = {name: {k: v for k, v in dag.items() if k != "doc"} for name, dag in dags.items()}
    return json.dumps(bare, indent=2, sort_keys=True) + "\n"


def page(dags: dict[str, Any]) -> str:
    """The page of all DAGs, in Markdown with Mermaid."""
    return HEAD + _mermaid(_overview(dags)) + "".join(_section(*item) for item in dags.items())


def _mermaid(lines: list[str]) -> str:
    return "\n".join(["```mermaid", "flowchart LR", *(f"  {line}" for line in lines), "```", ""])


def _overview(dags: dict[str, Any]) -> list[str]:
    lines = []
    for name, dag in dags.items():
        clock = dag["schedule"]["clock"]
        lines.append(f'{name}["{name}<br/>{clock["words"] if clock else "no clock"}"]')
        lines += [f"{_asset(asset)} --> {name}" for asset in dag["schedule"]["assets"]]
        outlets = {asset for task in dag["tasks"].values() for asset in task["outlets"]}
        lines += [f"{name} --> {_asset(asset)}" for asset in sorted(outlets)]
    return lines


def _section(name: str, dag: dict[str, Any]) -> str:
    parts = [f"\n## {name}\n", f"[dags/{name}.py](../dags/{name}.py): {dag['doc']}\n"]
    parts += [f"**Runs:** {_runs(dag['schedule'])}\n", _mermaid(_picture(dag)), _retries(dag)]
    if dag["params"]:
        rows = [
            f"| `{param}` | {_type(about)} | {_default(about)} | {about['description'] or ''} |"
            for param, about in dag["params"].items()
        ]
        parts.append("\n".join(["| param | type | default | |", "|---|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def _runs(schedule: dict[str, Any]) -> str:
    clock, ways = schedule["clock"], []
    if clock:
        ways.append(
            f"{clock['words']} (`{clock['cron']}`), {clock['lateness']} minutes after the end of "
            f"its interval; missed intervals of the last {clock['catchup']} hours are made up"
        )
    ways += [f"when the asset `{asset}` is updated" for asset in schedule["assets"]]
    ways += [f"watched by `{name}`" for name in schedule["watchers"]]
    return f"{'; '.join(ways)}; by hand." if ways else "by hand alone."


def _picture(dag: dict[str, Any]) -> list[str]:
    lines = [f'{name}["{name}"]' for name in dag["tasks"]]
    followers = {name for task in dag["tasks"].values() for name in task["downstream"]}
    first = [name for name in dag["tasks"] if name not in followers]
    schedule = dag["schedule"]
    starts = [f'clock(["{schedule["clock"]["words"]}"])'] if schedule["clock"] else []
    starts += [_asset(asset) for asset in schedule["assets"]]
    lines += [f"{start} --> {name}" for start in starts for name in first]
    for name, task in dag["tasks"].items():
        lines += [f"{name} --> {after}" for after in task["downstream"]]
        lines += [f"{name} --> {_asset(asset)}" for asset in task["outlets"]]
    return lines


def _asset(name: str) -> str:
    return f'asset_{name}[("{name}")]'


def _retries(dag: dict[str, Any]) -> str:
    counts = {task["retries"] for task in dag["tasks"].values()}
    what = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
    pools = sorted({task["pool"] for task in dag["tasks"].values()} - {"default_pool"})
    where = f" Pool: {', '.join(f'`{pool}`' for pool in pools)}." if pools else ""
    return f"Retries: {what}. Runs at a time: {dag['max_active_runs']}.{where}\n"


def _type(param: dict[str, Any]) -> str:
    kinds = param.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(kind for kind in kinds if kind != "null")


def _default(param: dict[str, Any]) -> str:
    return "" if param["default"] is None else f"`{json.dumps(param['default'])}`"


def main() -> None:
    """Read the DAGs in a real Airflow and write both files."""
    with tempfile.TemporaryDirectory() as home:
        airflow = Airflow(Path(home))
        try:
            found = airflow.found
        finally:
            airflow.end()
    if found["errors"]:
        raise SystemExit(f"a DAG cannot be read: {found['errors']}")
    SNAPSHOT.write_text(snapshot(found["dags"]))
    PAGE.write_text(page(found["dags"]))


if __name__ == "__main__":
    main()
