"""Verbs of the services room. The top imports nothing heavier than click: `--help` loads it."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from covla.console import WindowType, json_option, result, say, window_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covla.posts_folder import FolderPost
    from covla.settings import Settings
    from covla.window import Window

PARTS = ("kafka", "mlflow", "evidently", "airflow")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--airflow", is_flag=True, help="Airflow as well (30 s and 1 to 6 GB of memory).")
@click.option(
    "--like-compose",
    is_flag=True,
    help="Run docker-compose.yml instead, without a container engine, until Ctrl-C (Linux).",
)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    help="With --like-compose: airflow or monitoring; give it twice for both.",
)
@click.option("--scale", multiple=True, metavar="SERVICE=N", help="With --like-compose.")
@click.option("--free-ports", is_flag=True, help="With --like-compose: publish on free ports.")
@json_option
def up(
    parts: tuple[str, ...],
    airflow: bool,
    like_compose: bool,
    profiles: tuple[str, ...],
    scale: tuple[str, ...],
    free_ports: bool,
    as_json: bool,
) -> None:
    """Start local services: PARTS, or kafka, mlflow and evidently.

    What runs already stays as it is. Logs are in STATE/logs. Ports are COVLA_MLFLOW_PORT and so
    on; a default port that is taken gives way to the next free one.

    With --like-compose the services of docker-compose.yml of this folder run as containers do:
    with its commands, environment, order and health checks, each under its own host name.
    """
    from covla.settings import get_settings

    settings = get_settings()
    if like_compose:
        _like_compose(settings, profiles, scale, free_ports)
        return
    if profiles or scale or free_ports:
        raise click.UsageError("--profile, --scale and --free-ports go with --like-compose")
    from services.stack import local

    chosen = list(parts) or local.default_parts(settings)
    if airflow and "airflow" not in chosen:
        chosen.append("airflow")
    started = local.up(settings, chosen, say=say)
    result({process.name: process.address for process in started}, as_json=as_json)


def _like_compose(
    settings: "Settings", profiles: tuple[str, ...], scale: tuple[str, ...], free_ports: bool
) -> None:
    from services.compose import rehearsal

    numbers = {}
    for each in scale:
        name, _, number = each.partition("=")
        if not number.isdecimal() or int(number) < 1:
            raise click.UsageError(f"--scale: {each!r} is not SERVICE=N")
        numbers[name] = int(number)
    rehearsal.up(
        settings,
        Path(rehearsal.NAME),
        profiles=profiles,
        scale=numbers,
        free_ports=free_ports,
        say=say,
    )


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("container")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def execute(ctx: click.Context, container: str, command: tuple[str, ...]) -> None:
    """Run COMMAND in a container of `covla up --like-compose`; ends with its exit code."""
    from covla.settings import get_settings
    from services.compose import rehearsal

    done = rehearsal.execute(get_settings(), Path(rehearsal.NAME), container, command)
    ctx.exit(done.returncode)


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
def status(as_json: bool) -> None:
    """Say what runs and whether it answers; ends with 3 when something recorded does not."""
    from covla.errors import ServiceUnavailable
    from covla.settings import get_settings
    from services.stack import local

    states = local.status(get_settings())
    if as_json:
        result({state["name"]: state for state in states}, as_json=True)
    elif states:
        result(
            {state["name"]: f"{_health(state)}  {state['address']}" for state in states},
            as_json=False,
        )
    else:
        say("nothing runs; start services with `covla up`")
    if ill := [f"{state['name']} is {_health(state)}" for state in states if not state["healthy"]]:
        raise ServiceUnavailable(", ".join(ill), hint="Start it again with `covla up`")


@click.command()
@click.argument("url")
@click.option("--part", help="Of a JSON answer: the field whose status must be healthy.")
def ready(url: str, part: str | None) -> None:
    """Ask the service at URL whether it is ready; ends with 3 when it is not.

    $HOSTNAME in URL is this host's name. Made for the health checks of containers.
    """
    from services.ready import ready as ask

    click.echo(ask(url, part)[:500])


@click.command()
@json_option
def ui(as_json: bool) -> None:
    """Print the addresses of the pages that people look at."""
    from covla.settings import get_settings
    from services.stack import local

    result(local.pages(get_settings()), as_json=as_json)


def _health(state: dict[str, object]) -> str:
    if state["healthy"]:
        return "healthy"
    return "dead" if state["state"] == "dead" else "not answering"


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
    type=WindowType(),
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
    restamp: "Window | None",
    synthetic: int | None,
    seed: int,
    window: "Window | None",
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

    from covla.posts_folder import Reading, read_folder
    from covla.settings import get_settings
    from covla.synthetic import iter_posts
    from services import publish as sender

    settings = get_settings()
    for spread in filter(None, (window, restamp)):
        sender.check_window(spread, settings)
    items: Iterable[FolderPost]
    reading = Reading()
    if folder is not None:
        total = sender.look_through(
            read_folder(folder, split=split, settings=settings, reading=reading),
            settings,
            labels=labels,
            limit=limit,
        )
        if str(reading):
            say(f"{folder}: {reading}")
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
    sent = sender.publish(
        sender.shown(items, total, "publish"),
        settings,
        labels=labels,
        label_delay=timedelta(seconds=label_delay),
        source="synthetic" if folder is None else "folder",
    )
    if folder is not None:
        counts = reading.as_dict()
        sent |= {name: counts[name] for name in ("unusable_lines", "repeated_lines")}
    result(sent, as_json=as_json)


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
    window: "Window",
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
    from covla.posts_folder import write_folder
    from covla.synthetic import generate, with_splits

    if (out / "posts.jsonl").exists():
        raise CovlaError(f"{out} is a posts folder already", hint="Name a new folder")
    made = generate(posts, seed, *window, drift=drift, conflict=conflict)
    items = with_splits(made, unlabelled)
    write_folder(out, items)
    splits = Counter(item.split for item, _ in items)
    result({"folder": str(out), "posts": posts, "splits": dict(splits)}, as_json=as_json)
