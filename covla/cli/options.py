"""Options that several commands have."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
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


class TimeType(click.ParamType[Any]):
    """A time option, RFC 3339 with a zone."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from covla.time_range import parse_time

        return parse_time("as-of", value) if isinstance(value, str) else value


as_of_option = click.option(
    "--as-of", type=TimeType(), help="Only what the lake held at this time; default: now."
)


def window_option(*, required: bool = True) -> Callable[[Any], Any]:
    """The option that names a time range."""
    return click.option(
        "--window",
        type=TimeRangeType(),
        required=required,
        help="Time range [start, end) as RFC 3339 START/END.",
    )


posts_option = click.option(
    "--posts", type=click.Path(path_type=Path, file_okay=False), help="A posts folder."
)


def source_options(
    split: str, split_help: str = "Of the posts folder.", *, required: bool = True
) -> Callable[[Any], Any]:
    """Options --posts, --window, --as-of and --split, which become the argument `source`: a
    PostsSource, or None when neither folder nor window was given and `required` is false.

    Raises:
        click.UsageError: both were given, or none of them, or --as-of without a window.
    """

    def decorate(command: Any) -> Any:
        @posts_option
        @window_option(required=False)
        @as_of_option
        @click.option("--split", default=split, show_default=True, help=split_help)
        @wraps(command)
        def with_source(
            posts: Path | None, window: Any, as_of: Any, split: str, **options: Any
        ) -> Any:
            from covla.cli.posts_source import PostsSource
            from covla.removal_lock import reading
            from covla.settings import get_settings

            if (posts is not None and window is not None) or (required and posts is window is None):
                raise click.UsageError("give one of --posts and --window")
            if as_of is not None and window is None:
                raise click.UsageError("--as-of needs a --window: a folder has no history")
            given = posts is not None or window is not None
            with reading(get_settings()):
                source = PostsSource(posts, window, split, as_of) if given else None
                return command(source, **options)

        return with_source

    return decorate
