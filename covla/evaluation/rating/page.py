"""The sheet as one HTML file: works offline, sends nothing, saves a CSV."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from importlib.resources import files

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
    template = (files("covla.evaluation.rating") / "sheet.html").read_text(encoding="utf-8")
    # `<` inside a script element could end it, whatever the quotes around it.
    inlined = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    filled = template.replace("{{data}}", inlined, 1)
    policy = (
        f"default-src 'none'; img-src data:; script-src {_hashes(filled, 'script')}; "
        f"style-src {_hashes(filled, 'style')}; form-action 'none'; base-uri 'none'"
    )
    return filled.replace("{{policy}}", policy, 1)


def _hashes(text: str, tag: str) -> str:
    blocks = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(block.encode()).digest()) for block in blocks)
    return " ".join(f"'sha256-{digest.decode()}'" for digest in digests)
