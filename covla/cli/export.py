"""`covla export`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from covla.cli.options import json_option, source_options
from covla.cli.output import log, print_result, progress_bar

if TYPE_CHECKING:
    from covla.cli.posts_source import PostsSource
    from covla.inference.export import Posts
    from covla.settings import Settings


@click.command()
@click.argument("model")
@click.option(
    "--engine", "name", default="openvino", show_default=True, help="openvino, onnx or torch."
)
@click.option(
    "--precision", required=True, help="f32, bf16 (openvino, torch) or int8 (openvino, onnx)."
)
@source_options("val", "Of the folder: to compare predictions on.")
@click.option(
    "--calibration-split", default="train", show_default=True, help="Of the folder, for int8."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The new model folder; default: STATE/models/VERSION-ENGINE-PRECISION.",
)
@click.option("--register", is_flag=True, help="Make it a version of the registry.")
@json_option
def export(
    source: "PostsSource",
    model: str,
    name: str,
    precision: str,
    calibration_split: str,
    out: Path | None,
    register: bool,
    as_json: bool,
) -> None:
    """Write MODEL, a version or a trained model folder, for another engine or precision.

    The new folder is a candidate of its own: it holds how far its answers lie from the f32 model's
    (parity.json, parity.txt), and serves after `covla promote`. int8 takes its scales from up to
    300 posts.
    """
    from covla.inference.export import export as run
    from covla.model.runtime.backend import Backend
    from covla.registry.registry import Registry
    from covla.settings import get_settings

    settings = get_settings()
    engine = Backend(name, precision)
    Registry(settings).resolve(model)
    given = posts_for(source, calibration_split, settings)
    with progress_bar("posts compared", len(given.judged)) as progress:
        exported = run(model, engine, given, settings, out=out, progress=progress)
    shown = exported.as_dict()
    if register:
        shown["version"] = Registry(settings).register(Path(exported.folder))
    if not as_json:
        log(Path(exported.report).read_text())
        del shown["parity"]
    print_result(shown, as_json=as_json)


def posts_for(source: "PostsSource", calibration_split: str, settings: "Settings") -> "Posts":
    """The posts of an export: two splits of a folder, or training and holdout of a time range.

    Raises:
        CovlaError: the two splits are one, or there is no such post.
    """
    from covla.errors import CovlaError
    from covla.inference.export import export_posts

    if source.folder is not None:
        if source.split == calibration_split:
            raise CovlaError(
                f"split: {source.split!r} would both calibrate and judge",
                hint="Give another --split or --calibration-split",
            )
        calibration = source.posts(settings, split=calibration_split)
        return export_posts(calibration, source.posts(settings), source.about)
    rows = source.posts(settings)
    known = [row for row in rows if row.split == "train"]
    held = [row for row in rows if row.split == "holdout"]
    for name, part in (("training", known), ("holdout", held)):
        if not part:
            raise CovlaError(f"no {name} post in {source.window}", hint="Give a longer --window")
    return export_posts(known, held, source.about)
