"""Posts to try on the playground: synthetic, so that anyone may see them."""

from datetime import UTC, datetime, timedelta
from functools import cache

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

_SEED, _GENERATED = 11, 60
_PAIR_TYPES = ("both", "image_tells", "text_tells", "both", "image_tells", "text_only")


@cache
def _examples() -> bytes:
    from covla.posts.synthetic.generate import generate

    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    posts = [item for item, _ in generate(_GENERATED, _SEED, start, start + timedelta(hours=1))]
    chosen = []
    seen: set[str | None] = set()
    for kind in _PAIR_TYPES:  # each another kind of place
        item = next(i for i in posts if i.pair_type == kind and i.label not in seen)
        seen.add(item.label)
        image = item.post.image.data if item.post.image else None
        chosen.append({"text": item.post.text, "image": image})
    return orjson.dumps(chosen)


async def examples(_: Request) -> Response:
    """A JSON list of {text, image: base64 JPEG or null}."""
    body = await run_in_threadpool(_examples)
    return Response(body, media_type="application/json", headers={"Cache-Control": "max-age=3600"})
