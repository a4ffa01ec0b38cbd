"""`covla explain`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from covla.cli.options import json_option
from covla.cli.output import print_result

if TYPE_CHECKING:
    from covla.schemas.post import SocialPost
    from covla.settings import Settings


@click.command()
@click.argument("post", metavar="POST")
@click.option("--id", "post_id", help="Which post, when POST is a posts folder.")
@click.option(
    "--model", "ref", default="champion", show_default=True, help="Alias, version, folder."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for explanation.png and explanation.json.",
)
@json_option
def explain(post: str, post_id: str | None, ref: str, out: Path, as_json: bool) -> None:
    """Say why a model answers as it does to POST: a JSON file, `-` for stdin, or a posts folder.

    Draws which regions of the image the text attends to, word by word, the gate between text
    and image, and what the answer would lose or win without each part of the post.
    """
    from covla.errors import CovlaError
    from covla.settings import get_settings

    settings = get_settings()
    found = _read(post, post_id, settings)
    if out.exists() and not out.is_dir():
        raise CovlaError(f"--out: {out} is a file", hint="Name a folder")

    from covla.files import write_bytes_aside
    from covla.inference.explanation.explain import explain as explain_post
    from covla.inference.explanation.rendering import draw
    from covla.inference.predictor import Predictor
    from covla.posts.preprocessing import PreparedPost

    predictor = Predictor.load(ref, settings)
    explained = explain_post(predictor, found)
    item = predictor.prepare(found)
    assert isinstance(item, PreparedPost)
    files = {
        "explanation.png": draw(explained, item.text, item.image),
        "explanation.json": explained.to_json(indent=True),
    }
    for name, content in files.items():
        write_bytes_aside(out / name, content)
    prediction, why = explained.prediction, explained.explanation
    done = {
        "post_id": prediction.post_id,
        "label": prediction.label,
        "probability": prediction.probabilities[prediction.label],
        "gate": prediction.gate,
        "attention": why.attention is not None,
        "influences": {part.name: part.change for part in why.influences},
        "notes": why.notes,
        "model_version": prediction.model_version,
        "picture": str(out / "explanation.png"),
        "explanation": str(out / "explanation.json"),
    }
    if not as_json:
        done["influences"] = ", ".join(f"{p.name} {p.change:+.4f}" for p in why.influences)
        done["notes"] = " ".join(why.notes)
    print_result(done, as_json=as_json)


def _read(source: str, post_id: str | None, settings: "Settings") -> "SocialPost":
    """The post that POST names.

    Raises:
        CovlaError: there is no such post, or it cannot be used; the field is named.
    """
    from covla.errors import CovlaError, PostError
    from covla.files import reason, without_mark
    from covla.json_lines import UTF8_MARK
    from covla.posts.folder import FolderLine
    from covla.schemas.post import parse_post

    if source != "-" and Path(source).is_dir():
        if post_id is None:
            raise CovlaError(f"{source} is a posts folder", hint="Say which post: --id ID")
        return _of_folder(Path(source), post_id, settings)
    if post_id is not None:
        raise CovlaError(f"--id goes with a posts folder; {source} is none")
    if source == "-":
        raw = sys.stdin.buffer.read(settings.max_message_bytes + 1)
        return parse_post(raw.removeprefix(UTF8_MARK), settings)
    try:
        with Path(source).open("rb") as file:
            raw = file.read(settings.max_message_bytes + 1)
    except (OSError, ValueError) as error:
        raise CovlaError(
            f"cannot read {source}: {reason(error)}",
            hint="Give a JSON file, `-` for stdin, or a posts folder",
        ) from error
    if len(raw) > settings.max_message_bytes:
        parse_post(raw, settings)  # refuses it by its size
    raw = without_mark(raw, Path(source))
    try:
        return FolderLine.parse(raw).folder_post(Path(source).parent, settings).post
    except PostError as error:
        raise CovlaError(f"{source}: {error}") from error


def _of_folder(folder: Path, post_id: str, settings: "Settings") -> "SocialPost":
    from covla.errors import CovlaError, PostError
    from covla.json_lines import json_lines
    from covla.posts.folder import FolderLine

    path = folder / "posts.jsonl"
    if not path.is_file():
        raise CovlaError(f"no posts.jsonl in {folder}", hint="Give a posts folder")
    with path.open("rb") as lines:
        for _, line in json_lines(lines, settings.max_message_bytes, str(path)):
            try:
                parsed = None if isinstance(line, PostError) else FolderLine.parse(line)
            except PostError:
                continue  # another post's trouble
            if parsed and parsed.fields.get("post_id") == post_id:
                return parsed.folder_post(folder, settings).post
    raise CovlaError(f"no post {post_id!r} in {path}")
