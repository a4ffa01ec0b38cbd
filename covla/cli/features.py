"""Commands of the feature store: ingest, validate, features."""

from dataclasses import asdict
from typing import Any

import click

from covla.cli.options import as_of_option, json_option, window_option
from covla.cli.output import log, print_result
from covla.cli.reencode import backfill


@click.command()
@click.option(
    "--until-idle",
    type=click.FloatRange(min=0),
    help="End when all is read and nothing came for so many seconds.",
)
@click.option("--max", "maximum", type=click.IntRange(min=1), help="End after so many messages.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Serve /metrics and /readyz.")
@json_option
def ingest(
    until_idle: float | None, maximum: int | None, metrics_port: int | None, as_json: bool
) -> None:
    """Take posts and labels from Kafka into the lake, the blob store and the online store.

    Runs until SIGTERM or Ctrl-C, then finishes what it has taken, unless an option says otherwise.
    Messages that cannot be used become dead letters. Start as many as the topics have partitions.
    """
    from covla.kafka.clients import ensure_topics
    from covla.settings import get_settings

    ensure_topics(get_settings())  # a broker that is away: before the slow imports
    from covla.kafka.worker import stop_on_signal
    from features.ingest import Ingest

    metrics = None
    if metrics_port:
        from features.metrics import IngestMetrics

        metrics = IngestMetrics(get_settings())
        metrics.health.serve(get_settings().host, metrics_port)
    worker = Ingest(get_settings(), metrics=metrics)
    stop_on_signal(worker.stop, second_ends=False)
    log("ingest: waiting for messages")
    stats = worker.run(until_idle=until_idle, maximum=maximum)
    print_result(asdict(stats), as_json=as_json)


@click.command()
@window_option()
@as_of_option
@click.option(
    "--alert/--no-alert",
    default=True,
    show_default=True,
    help="Open or close an alert by what is found; see `covla alerts`.",
)
@json_option
@click.pass_context
def validate(ctx: click.Context, window: Any, as_of: Any, alert: bool, as_json: bool) -> None:
    """Hold a window's features against the expectations; ends with 4 when one blocks it.

    They are those of COVLA_EXPECTATIONS, against the champion's training posts. Bad rows go to the
    lake's quarantine, which training leaves out, as it does a blocked window.
    """
    from covla.settings import get_settings
    from features.validation import validate as check

    validation = check(window, get_settings(), as_of)
    if alert:
        from monitoring.validation_alerts import alert_on_validation

        alert_on_validation(validation, window, get_settings(), at=as_of)
    document = validation.as_dict()
    if not as_json:
        del document["expectations"]
        for row in validation.expectations:
            log(f"{row.outcome}  {row.name}: {row.reason or row.expectation}")
    print_result(document, as_json=as_json)
    if not validation.success:
        ctx.exit(4)


@click.group()
def features() -> None:
    """Look after the feature store."""


features.add_command(backfill)


@features.command()
@json_option
def apply(as_json: bool) -> None:
    """Write entities, views and the feature service to the registry."""
    from covla.settings import get_settings
    from features.feature_store import apply as write

    settings = get_settings()
    store = write(settings, settings.state.absolute() / "feast")
    views = sorted(view.name for view in store.list_feature_views())
    print_result(
        {"registry": str(store.config.registry.path), "feature_views": views}, as_json=as_json
    )


@features.command("training-set")
@window_option()
@as_of_option
@click.option("--out", type=click.Path(dir_okay=False), required=True, help="A Parquet file.")
@json_option
def training_set(window: Any, as_of: Any, out: str, as_json: bool) -> None:
    """Write a window's point-in-time training set to a Parquet file."""
    from covla.settings import get_settings
    from features.export import export

    print_result(asdict(export(window, get_settings(), out, as_of)), as_json=as_json)


@features.command()
@json_option
def rebuild(as_json: bool) -> None:
    """Fill the online store from the lake: after a loss, or a corrected row of the same time."""
    from covla.settings import get_settings
    from features.rebuild import rebuild as run

    print_result(run(get_settings()).as_dict(), as_json=as_json)


@features.command()
@window_option()
@json_option
def compact(window: Any, as_json: bool) -> None:
    """Merge the small files of a window's hours."""
    from covla.settings import get_settings
    from features.lake import Lake

    print_result(Lake(get_settings()).compact(window), as_json=as_json)


@features.command()
@click.argument("post_id")
@json_option
def get(post_id: str, as_json: bool) -> None:
    """Print the online features of a post."""
    from covla.errors import CovlaError
    from covla.settings import get_settings
    from features.online import post_features

    values = post_features(get_settings(), post_id)
    if not values:
        raise CovlaError(
            f"post_id: nothing is known online of {post_id!r}",
            hint="Ingest it, or fill the online store with `covla features rebuild`",
        )
    print_result(values, as_json=as_json)


@features.command()
@json_option
def expire(as_json: bool) -> None:
    """Delete images as `covla housekeeping` does, and nothing else; their features stay."""
    from datetime import timedelta

    from covla.removal_lock import removing
    from covla.settings import get_settings
    from covla.times import now
    from services.housekeeping.images import expire_images

    settings = get_settings()
    before = now() - timedelta(days=settings.blob_retention_days)
    with removing(settings):
        gone = expire_images(settings, before)
    print_result({"before": before.isoformat(), "files_deleted": gone.files}, as_json=as_json)
