"""The gate's verdict as a page that a person reads."""

from html import escape
from typing import Any

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ccc }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums }}
.no {{ color: #a00; font-weight: 600 }} .yes {{ color: #060 }}
</style></head><body>
<h1>{title}</h1>
<p>{words}</p>
<table><thead><tr><th>check</th><th>challenger</th><th>champion</th><th>limit</th><th></th></tr>
</thead><tbody>
{rows}
</tbody></table>
</body></html>
"""


def _number(value: float | None) -> str:
    return f'<td class="number">{"" if value is None else f"{value:.4f}"}</td>'


def html(verdict: dict[str, Any]) -> str:
    """The page of `Verdict.as_dict()`; needs nothing beside it."""
    against = f"version {verdict['champion']}" if verdict["champion"] else "the floors"
    said = "passed" if verdict["passed"] else "did not pass"
    title = f"Version {verdict['challenger']} {said} the gate against {against}"
    failed = len(verdict["reasons"])
    words = f"{len(verdict['checks'])} checks on {verdict['posts']} posts, {failed} failed."
    rows = "\n".join(
        f"<tr><td>{escape(check['name'])}</td>{_number(check['challenger'])}"
        f"{_number(check['champion'])}{_number(check['limit'])}"
        + ('<td class="yes">held</td>' if check["passed"] else '<td class="no">not held</td>')
        + "</tr>"
        for check in verdict["checks"]
    )
    return _PAGE.format(title=escape(title), words=escape(words), rows=rows)
