"""What a command prints: progress and messages on stderr, its JSON result last on stdout."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click


def log(message: str) -> None:
    """A line for the person at the terminal; stdout stays free for the result."""
    click.echo(message, err=True)


def print_result(value: Mapping[str, Any], *, as_json: bool) -> None:
    """End a command: JSON with --json, otherwise the same fields as a short list and tables."""
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
            click.echo(f"{key:<{width}}  {_formatted(item)}")
    for key, rows in tables.items():
        columns = list(dict.fromkeys(name for row in rows.values() for name in row))
        lines = [[key, *columns]]
        lines += [
            [str(n), *(_formatted(row.get(c, "")) for c in columns)] for n, row in rows.items()
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        click.echo()
        for first, *cells in lines:
            pairs = zip(cells, widths[1:], strict=True)
            click.echo(f"{first:<{widths[0]}}" + "".join(f"  {c:>{w}}" for c, w in pairs))


def _is_table(item: Any) -> bool:
    return isinstance(item, dict) and bool(item) and all(isinstance(v, dict) for v in item.values())


def _formatted(item: Any) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{key} {_formatted(value)}" for key, value in item.items())
    return f"{item:.4f}" if isinstance(item, float) else str(item)


@contextmanager
def progress_bar(title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, on a terminal; call what it gives with how much more is done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """A function (name, done, total) that draws one bar per name; None where no one knows."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as drawn:
        tasks: dict[str, object] = {}

        def step(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = drawn.add_task(name, total=total)
            drawn.update(tasks[name], completed=done, total=total)  # type: ignore[arg-type]

        yield step
