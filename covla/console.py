"""What a verb says: progress and words on stderr, one JSON result as the last line of stdout."""

import sys
from collections.abc import Callable
from typing import Any

import click

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON object, last on stdout."
)


class TimeRangeType(click.ParamType[Any]):
    """A `--window START/END` option."""

    name = "START/END"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from covla.time_range import TimeRange

        return value if isinstance(value, TimeRange) else TimeRange.parse(value)


def window_option(*, required: bool = True) -> Callable[[Any], Any]:
    """The option that names a data window."""
    return click.option(
        "--window",
        type=TimeRangeType(),
        required=required,
        help="Data window [start, end) as RFC 3339 START/END.",
    )


def say(message: str) -> None:
    """A line for the person at the terminal; stdout stays free for the result."""
    click.echo(message, err=True)


def result(value: dict[str, Any], *, as_json: bool) -> None:
    """End a verb: JSON when asked, otherwise the same fields as a short list and tables."""
    if as_json:
        import orjson

        options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
        sys.stdout.write(orjson.dumps(value, option=options, default=str).decode() + "\n")
        sys.stdout.flush()
        return
    tables = {key: item for key, item in value.items() if _is_table(item)}
    width = max((len(key) for key in value.keys() - tables.keys()), default=0)
    for key, item in value.items():
        if key not in tables:
            click.echo(f"{key:<{width}}  {_shown(item)}")
    for key, rows in tables.items():
        columns = list(dict.fromkeys(name for row in rows.values() for name in row))
        lines = [[key, *columns]]
        lines += [[str(n), *(_shown(row.get(c, "")) for c in columns)] for n, row in rows.items()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        click.echo()
        for first, *cells in lines:
            pairs = zip(cells, widths[1:], strict=True)
            click.echo(f"{first:<{widths[0]}}" + "".join(f"  {c:>{w}}" for c, w in pairs))


def _is_table(item: Any) -> bool:
    return isinstance(item, dict) and bool(item) and all(isinstance(v, dict) for v in item.values())


def _shown(item: Any) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{key} {_shown(value)}" for key, value in item.items())
    return f"{item:.4f}" if isinstance(item, float) else str(item)
