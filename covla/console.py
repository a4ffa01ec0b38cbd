"""What a verb says: progress and words on stderr, one JSON result as the last line of stdout."""

import sys
from collections.abc import Callable
from typing import Any

import click

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON object, last on stdout."
)


class WindowType(click.ParamType[Any]):
    """A `--window START/END` option."""

    name = "START/END"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from covla.window import Window

        return value if isinstance(value, Window) else Window.parse(value)


def window_option(*, required: bool = True) -> Callable[[Any], Any]:
    """The option that names a data window."""
    return click.option(
        "--window",
        type=WindowType(),
        required=required,
        help="Data window [start, end) as RFC 3339 START/END.",
    )


def say(message: str) -> None:
    """A line for the person at the terminal; stdout stays free for the result."""
    click.echo(message, err=True)


def result(value: dict[str, Any], *, as_json: bool) -> None:
    """End a verb: JSON when asked, otherwise the same fields as a short list."""
    if as_json:
        import orjson

        options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
        sys.stdout.write(orjson.dumps(value, option=options, default=str).decode() + "\n")
        sys.stdout.flush()
        return
    width = max((len(key) for key in value), default=0)
    for key, item in value.items():
        shown = f"{item:.4f}" if isinstance(item, float) else item
        click.echo(f"{key:<{width}}  {shown}")
