"""The sheet as one HTML file: works offline, sends nothing, saves a CSV."""

import base64
from collections.abc import Sequence

from covla.html import render
from covla.posts.taxonomy import Taxonomy


def page(sheet: str, taxonomy: Taxonomy, items: Sequence[tuple[str, str, bytes | None]]) -> str:
    """The page of a sheet.

    Args:
        sheet: its id.
        taxonomy: the choices, with their descriptions.
        items: name, text and JPEG (or None) of each post.
    """
    data = {
        "sheet": sheet,
        "labels": [{"name": label.name, "says": label.description} for label in taxonomy.labels],
        "items": [
            {
                "item": name,
                "text": text,
                "picture": base64.b64encode(picture).decode() if picture is not None else None,
            }
            for name, text, picture in items
        ],
    }
    return render("covla.evaluation.rating", "sheet.html.j2", data=data)
