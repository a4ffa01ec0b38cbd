"""The verdict as a page for people."""

from html import escape
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #ccc }
.no { color: #a40000; font-weight: 600 } .ok { color: #1b6e1b }
"""


def page(verdict: dict[str, Any]) -> str:
    """HTML without scripts and without anything fetched."""
    rows = "\n".join(_row(row) for row in verdict["expectations"])
    mark = "ok" if verdict["success"] else "no"
    word = "passed" if verdict["success"] else "failed"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Validation {escape(verdict["window"])}</title>
<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>
<h1>Validation: <span class="{mark}">{word}</span></h1>
<p>Time range {escape(verdict["window"])}: {verdict["rows"]} posts,
{verdict["quarantined"]} of them quarantined.{_passed_over(verdict)}</p>
<table><thead><tr><th>Column</th><th>Expectation</th><th>Result</th><th>Unexpected</th>
<th>Observed or examples</th></tr></thead><tbody>
{rows}
</tbody></table></body></html>
"""


def _passed_over(verdict: dict[str, Any]) -> str:
    rows = int(sum(verdict["passed_over"].values()))
    if not rows:
        return ""
    return f" The lake has {rows} rows with a time that cannot be; they are left out."


def _row(row: dict[str, Any]) -> str:
    mark = "ok" if row["ok"] else "no"
    shown = row["observed"] if "observed" in row else ", ".join(row["examples"])
    cells = (row["column"], row["expectation"], None, row["unexpected"] or "", shown)
    inner = "".join(
        f'<td class="{mark}">{mark}</td>' if cell is None else f"<td>{escape(str(cell))}</td>"
        for cell in cells
    )
    return f"<tr>{inner}</tr>"
