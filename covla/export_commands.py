"""The verb `export`. The top imports nothing heavier than click: `--help` loads it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from covla.console import json_option, result, say, window_option
from covla.model_commands import posts_option, progress_bar

if TYPE_CHECKING:
    from covla.time_range import TimeRange


@click.command()
@click.argument("model")
@click.option(
    "--engine", "name", default="openvino", show_default=True, help="openvino, onnx or torch."
)
@click.option(
    "--precision", required=True, help="f32, bf16 (openvino, torch) or int8 (openvino, onnx)."
)
@window_option(required=False)
@posts_option
@click.option(
    "--split", default="val", show_default=True, help="Of the folder: to compare answers on."
)
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
    model: str,
    name: str,
    precision: str,
    window: "TimeRange | None",
    posts: Path | None,
    split: str,
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
    from covla.inference.export import posts_for
    from covla.model.runtime.backend import Backend
    from covla.registry.registry import Registry
    from covla.settings import get_settings

    settings = get_settings()
    engine = Backend(name, precision)
    Registry(settings).resolve(model)
    given = posts_for(settings, window, posts, split, calibration_split)
    with progress_bar("posts compared", len(given.judged)) as progress:
        done = run(model, engine, given, settings, out=out, progress=progress)
    if register:
        done["version"] = Registry(settings).register(Path(done["folder"]))
    if not as_json:
        say(Path(done["report"]).read_text())
        done.pop("parity")
    result(done, as_json=as_json)
