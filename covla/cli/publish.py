"""Commands that publish posts, or write synthetic ones to a folder."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from covla.cli.options import TimeRangeType, json_option, window_option
from covla.cli.output import log, print_result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covla.posts.folder import FolderPost
    from covla.time_range import TimeRange

_seed = click.option("--seed", type=int, default=0, show_default=True, help="Of synthetic posts.")
_drift = click.option(
    "--drift",
    type=click.Choice(["image", "text"]),
    help="Synthetic posts after a change: a new camera filter, or new slang.",
)
_conflict = click.option(
    "--conflict",
    type=click.FloatRange(0, 1),
    default=0.06,
    show_default=True,
    help="Of the synthetic posts with one vague modality, the share in which it misleads.",
)


@click.command()
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False)
)
@click.option("--split", help="Only the posts of this split of DIR.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many posts of DIR.")
@click.option(
    "--restamp",
    type=TimeRangeType(),
    help="Spread the created_at of DIR's posts evenly over START/END, in file order.",
)
@click.option("--synthetic", type=click.IntRange(min=1), help="Generate so many posts instead.")
@_seed
@window_option(required=False)
@_drift
@_conflict
@click.option("--labels/--no-labels", default=True, help="Send the labels too.", show_default=True)
@click.option(
    "--label-delay",
    type=click.FloatRange(min=0),
    default=300,
    show_default=True,
    help="Seconds from a post's created_at to its labelled_at.",
)
@json_option
def publish(
    folder: Path | None,
    split: str | None,
    limit: int | None,
    restamp: "TimeRange | None",
    synthetic: int | None,
    seed: int,
    window: "TimeRange | None",
    drift: Literal["image", "text"] | None,
    conflict: float,
    labels: bool,
    label_delay: float,
    as_json: bool,
) -> None:
    """Send the posts of the posts folder DIR, or synthetic ones, to Kafka.

    Posts go to the posts topic and their labels to the labels topic, both keyed by post_id. A
    folder is read through first: a label outside the taxonomy, or more than half of the lines that
    cannot be used, sends nothing; fewer such lines are left out and counted. Synthetic posts need
    --synthetic and --window, in which their created_at are evenly spread; `covla synthesize` writes
    them to a folder instead.

    \b
    covla publish posts --split train --restamp 2026-05-01T00:00:00Z/2026-05-02T00:00:00Z
    covla publish --synthetic 1000 --seed 1 --window 2026-05-01T00:00:00Z/2026-05-02T00:00:00Z
    """
    if (folder is None) == (synthetic is None):
        raise click.UsageError("give either a posts folder or --synthetic N")
    if synthetic is not None and (window is None or split or limit or restamp):
        raise click.UsageError(
            "--synthetic needs --window and takes no --split, --limit, --restamp"
        )
    if folder is not None and (window or drift):
        raise click.UsageError("--window and --drift are for --synthetic; a folder has --restamp")
    from datetime import timedelta
    from itertools import islice

    from covla.posts.folder import Reading, read_folder
    from covla.posts.synthetic import iter_posts
    from covla.settings import get_settings
    from services import publish as sender

    settings = get_settings()
    for spread in filter(None, (window, restamp)):
        sender.check_window(spread, settings)
    items: Iterable[FolderPost]
    reading = Reading()
    if folder is not None:
        total = sender.validate_all(
            read_folder(folder, split=split, settings=settings, reading=reading),
            settings,
            labels=labels,
            limit=limit,
        )
        if str(reading):
            log(f"{folder}: {reading}")
        again = read_folder(folder, split=split, settings=settings, reading=Reading())
        items = islice(again, total)
        if restamp:
            items = sender.restamp(items, restamp, total)
    else:
        assert synthetic is not None
        assert window is not None
        total = synthetic
        made = iter_posts(total, seed, *window, drift=drift, conflict=conflict)
        items = (item for item, _ in made)
    published = sender.publish(
        sender.with_progress(items, total, "publish"),
        settings,
        labels=labels,
        label_delay=timedelta(seconds=label_delay),
        source="synthetic" if folder is None else "folder",
    )
    result = asdict(published)
    if folder is not None:
        counts = reading.as_dict()
        result |= {name: counts[name] for name in ("unusable_lines", "repeated_lines")}
    print_result(result, as_json=as_json)


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--posts", type=click.IntRange(min=1), default=1000, show_default=True)
@_seed
@window_option()
@_drift
@_conflict
@click.option(
    "--unlabelled",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the posts that get no label and the split `unlabelled`.",
)
@json_option
def synthesize(
    out: Path,
    posts: int,
    seed: int,
    window: "TimeRange",
    drift: Literal["image", "text"] | None,
    conflict: float,
    unlabelled: float,
    as_json: bool,
) -> None:
    """Write synthetic posts to the new posts folder OUT, with splits train, val and test.

    They are the posts that `covla publish --synthetic` sends for the same seed and window.
    """
    from collections import Counter

    from covla.errors import CovlaError
    from covla.posts.folder import write_folder
    from covla.posts.synthetic import generate, with_splits

    if (out / "posts.jsonl").exists():
        raise CovlaError(f"{out} is a posts folder already", hint="Name a new folder")
    made = generate(posts, seed, *window, drift=drift, conflict=conflict)
    items = with_splits(made, unlabelled)
    write_folder(out, items)
    splits = Counter(item.split for item, _ in items)
    print_result({"folder": str(out), "posts": posts, "splits": dict(splits)}, as_json=as_json)
