"""The page for people: one HTML file without outside requests, as its policy enforces."""

import re
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from covla.html import csp_source

SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def _hashes(page: str, tag: str) -> str:
    """CSP source expressions of the page's own inline blocks."""
    blocks = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return " ".join(map(csp_source, blocks))


@cache
def _page() -> tuple[str, str]:
    folder = files("services.playground")
    page = (folder / "index.html").read_text(encoding="utf-8")
    for name in ("why.css", "why.js", "noise.css", "noise.js"):
        page = page.replace(f"{{{{{name}}}}}", (folder / name).read_text(encoding="utf-8"))
    policy = (
        f"default-src 'none'; script-src {_hashes(page, 'script')}; "
        f"style-src {_hashes(page, 'style')}; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


async def page(_: Request) -> Response:
    """The playground."""
    text, policy = _page()
    return HTMLResponse(text, headers={"Content-Security-Policy": policy} | SAFE)
