"""`covla releases` and `covla rollback`: which version serves, why, and back to the one before."""

import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from covla.cli.options import json_option
from covla.cli.output import log, print_result

if TYPE_CHECKING:
    from covla.registry.registry import Registry, RolledBack
    from covla.registry.releases import Release

_COLUMNS = ("version", "serves as", "gate", "accuracy", "macro-F1", "promoted at")


@click.command()
@click.option("--version", help="Take back this one, and only while it is the champion.")
@click.option("--reason", help="Reject it, and say why: only --force promotes it again.")
@json_option
def rollback(version: str | None, reason: str | None, as_json: bool) -> None:
    """Let the previous champion serve again.

    With --version nothing is changed where somebody else acted first. Ends with 4 then, and
    where there is no previous version.
    """
    from covla.registry.registry import Registry
    from covla.settings import get_settings

    registry = Registry(get_settings())
    done = registry.rollback(bad=version, reason=reason)
    print_result(done._asdict(), as_json=as_json)
    if others := _other_encoders(registry, done):
        log(f"{others}: `covla features backfill --window START/END` encodes earlier posts anew")


def _other_encoders(registry: "Registry", done: "RolledBack") -> str | None:
    """Whether the version that serves again encodes posts otherwise, in a few words."""
    from covla.errors import CovlaError
    from covla.registry.encoder_id import encoder_id

    try:
        serves, was = (encoder_id(registry.resolve(version)[1]) for version in done)
    except CovlaError as error:  # the rollback itself is done
        return f"whether version {done.champion} has other towers is not known ({error})"
    return None if serves == was else f"version {done.champion} has other towers"


@click.command()
@json_option
def releases(as_json: bool) -> None:
    """List every model version, newest first: who serves, how good, why it went in or not."""
    from covla.registry.registry import Registry
    from covla.settings import get_settings

    rows = Registry(get_settings()).releases()
    if as_json:
        print_result({"releases": rows}, as_json=True)
    elif not rows:
        log("no version yet; train one with `covla train`, then `covla promote FOLDER`")
    else:
        _print(rows)


def _print(rows: "list[Release]") -> None:
    """A line of columns for each version, and below it what may be long, wrapped."""
    cells = [_COLUMNS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    columns = shutil.get_terminal_size().columns
    for row, line in zip([None, *rows], cells, strict=True):
        click.echo("  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip())
        for text in _details(row) if row else ():
            click.echo(
                textwrap.fill(text, columns, initial_indent="    ", subsequent_indent=" " * 6)
            )


def _cells(row: "Release") -> tuple[str, ...]:
    scores = (row.metrics.get(key) for key in ("accuracy", "macro_f1"))
    return (
        row.version,
        ", ".join(_alias(row, alias) for alias in row.aliases),
        "forced" if row.forced == "true" and row.aliases else row.gate or "",
        *("" if score is None else f"{score:.4f}" for score in scores),
        (row.promoted_at or "")[:16].replace("T", " "),
    )


def _alias(row: "Release", alias: str) -> str:
    return f"canary {row.canary_weight}" if alias == "canary" else alias


def _details(row: "Release") -> Iterator[str]:
    if row.rejected_reason:
        yield f"rejected: {row.rejected_reason}"
    for reason in row.gate_reasons:
        yield f"gate: {reason}"
    if row.replaced:
        yield f"took the place of version {row.replaced}"
    data = row.window or row.posts_folder
    about = [f"preset {row.preset}" if row.preset else "", f"data {data}" if data else ""]
    yield ", ".join(filter(None, [*about, f"digest {row.digest[:12]}"]))
