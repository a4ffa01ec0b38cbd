"""Verbs of the services room. The top imports nothing heavier than click: `--help` loads it."""

import click

from covla.console import json_option, result, say

PARTS = ("kafka", "mlflow", "evidently", "airflow")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--airflow", is_flag=True, help="Start Airflow too (up to 6 GB of memory).")
@json_option
def up(parts: tuple[str, ...], airflow: bool, as_json: bool) -> None:
    """Start local services: PARTS, or kafka, mlflow and evidently.

    What runs already stays as it is. Each part's log is in STATE/logs.
    """
    from covla.settings import get_settings
    from services.stack import local

    chosen = parts or ("kafka", "mlflow", "evidently")
    if airflow and "airflow" not in chosen:
        chosen += ("airflow",)
    started = local.up(get_settings(), chosen, say=say)
    result({process.name: process.address for process in started}, as_json=as_json)


@click.command()
@json_option
def down(as_json: bool) -> None:
    """Stop every local service of the state folder, whoever started it."""
    from covla.settings import get_settings
    from services.stack import local

    stopped = local.down(get_settings(), say=say)
    result({"stopped": stopped}, as_json=as_json)


@click.command()
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Say what runs and whether it answers; ends with 3 when something recorded is dead."""
    from covla.settings import get_settings
    from services.stack import local

    states = local.status(get_settings())
    result(
        {state["name"]: state for state in states} if as_json else _lines(states), as_json=as_json
    )
    if any(not state["healthy"] for state in states):
        ctx.exit(3)


@click.command()
@json_option
def ui(as_json: bool) -> None:
    """Print the addresses of the pages that people look at."""
    from covla.settings import get_settings
    from services.stack import local

    result(local.pages(get_settings()), as_json=as_json)


def _lines(states: list[dict[str, object]]) -> dict[str, object]:
    if not states:
        return {"services": "none; start them with `covla up`"}
    return {
        str(
            state["name"]
        ): f"{'healthy' if state['healthy'] else state['state']}  {state['address']}"
        for state in states
    }
