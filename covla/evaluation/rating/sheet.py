"""A blinded rating sheet: images and texts under new names, and a key that stays at home."""

import csv
import hashlib
import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from covla.errors import CovlaError, PostError
from covla.evaluation.rating.page import page
from covla.files import folder_aside
from covla.posts.folder import FolderPost, read_folder
from covla.posts.image_decoding import decode_image
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import prepare
from covla.posts.taxonomy import Taxonomy
from covla.settings import Settings

log = logging.getLogger(__name__)

COLUMNS = ("sheet", "item", "rater", "answer", "text", "picture")
CANNOT_TELL = "cannot_tell"
PIXELS = 768  # of an image's longer side


@dataclass(frozen=True)
class Item:
    """One post as a rater sees it."""

    name: str
    text: str
    picture: bytes | None  # JPEG


@dataclass(frozen=True)
class Sheet:
    """Its id, how many posts it has, how many cannot be used, and where both parts lie."""

    sheet: str
    posts: int
    left_out: int
    raters: str
    key: str


def write_sheet(
    posts: Path, split: str, n: int, seed: int, out: Path, taxonomy: Taxonomy, settings: Settings
) -> Sheet:
    """Draw `n` posts and write `out`/raters (for the raters) and `out`/key.json (not for them).

    What raters get depends on texts, images and seed alone: with other labels, authors, times
    or ids of the same posts it is the same to the byte. Images are encoded anew, so that no
    metadata of the file goes along.

    Raises:
        CovlaError: too few posts that can be used, a label outside the taxonomy, or `out` is there
            already; nothing was written.
    """
    if out.exists():
        raise CovlaError(f"--out: {out} is there already", hint="Name a new folder")
    if CANNOT_TELL in taxonomy.index:
        raise CovlaError(f"label: {CANNOT_TELL!r} is what a rater says who sees no place")
    chosen, left_out = _draw(posts, split, n, seed, settings)
    for _, row in chosen:
        if row.label is not None:
            taxonomy.check(row.label)
    items = [item for item, _ in chosen]
    sheet = _identity(items, seed)
    key = {
        "sheet": sheet,
        "labels": taxonomy.names,
        "posts_folder": posts.resolve().name,
        "split": split,
        "seed": seed,
        "items": {item.name: {"post_id": r.post.post_id, "label": r.label} for item, r in chosen},
    }
    with folder_aside(out) as draft:
        (draft / "raters" / "pictures").mkdir(parents=True)
        for item in items:
            if item.picture is not None:
                (draft / "raters" / _path(item)).write_bytes(item.picture)
        (draft / "raters" / "sheet.csv").write_bytes(_csv(sheet, items))
        (draft / "raters" / "sheet.html").write_text(
            page(sheet, taxonomy, [(i.name, i.text, i.picture) for i in items]), encoding="utf-8"
        )
        (draft / "key.json").write_text(json.dumps(key, indent=1, ensure_ascii=False))
        (draft / "key.json").chmod(0o600)
    return Sheet(sheet, len(items), left_out, str(out / "raters"), str(out / "key.json"))


def _draw(
    posts: Path, split: str, n: int, seed: int, settings: Settings
) -> tuple[list[tuple[Item, FolderPost]], int]:
    """The posts, and how many that were drawn cannot be used; others were drawn for them."""
    # Under an order of their content: neither ids nor the order of lines say anything.
    rows = sorted(read_folder(posts, split=split, settings=settings), key=_content)
    if n > len(rows):
        raise CovlaError(f"--n: {n} posts of split {split!r}; there are {len(rows)}")
    blobs = BlobStore(settings)
    drawn: list[tuple[str, bytes | None, FolderPost]] = []
    unusable = []
    for i in np.random.default_rng(seed).permutation(len(rows)):
        post = rows[i].post
        try:
            item = prepare(post, settings, blobs)
            picture = None if item.image_bytes is None else _clean(item.image_bytes, settings)
        except PostError as error:
            unusable.append(f"{post.post_id}: {error}")
            continue
        drawn.append((item.text, picture, rows[i]))
        if len(drawn) == n:
            break
    else:
        raise CovlaError(
            f"--n: {n} posts of split {split!r}; {len(drawn)} of {len(rows)} can be used",
            hint=f"Such as {unusable[0]}",
        )
    if unusable:
        log.warning("%s: %d posts are left out, such as %s", posts, len(unusable), unusable[0])
    width = max(3, len(str(n)))
    # A letter first: a spreadsheet would make 1 of 001.
    return [
        (Item(f"p{number:0{width}}", text, picture), row)
        for number, (text, picture, row) in enumerate(drawn, 1)
    ], len(unusable)


def _content(row: FolderPost) -> str:
    image = row.post.image.model_dump_json() if row.post.image else ""
    return hashlib.sha256(f"{row.post.text}\0{image}".encode()).hexdigest()


def _clean(content: bytes, settings: Settings) -> bytes:
    """An image without its file's metadata, at most PIXELS wide and high."""
    file = io.BytesIO()
    Image.fromarray(decode_image(content, settings, side=PIXELS)).save(file, "JPEG", quality=88)
    return file.getvalue()


def _identity(items: list[Item], seed: int) -> str:
    total = hashlib.sha256(str(seed).encode())
    for item in items:
        total.update(f"\0{item.name}\0{item.text}\0".encode() + (item.picture or b""))
    return total.hexdigest()[:12]


def _path(item: Item) -> str:
    return f"pictures/{item.name}.jpg" if item.picture is not None else ""


def _csv(sheet: str, items: list[Item]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for item in items:
        text = " ".join(item.text.split())  # one line, so that rows are those of a spreadsheet
        # A spreadsheet would run a text that begins like a formula.
        guarded = f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
        writer.writerow([sheet, item.name, "", "", guarded, _path(item)])
    return file.getvalue().encode("utf-8-sig")  # Excel takes UTF-8 for it only with the mark
