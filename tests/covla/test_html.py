"""Pages for people: whatever a value holds is text, nothing is left out, and they fit a phone."""

import base64
import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateNotFound, UndefinedError

from covla.html import csp_source, render

ODD = "<script>alert(1)</script> & 'x'"
SAFE = "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#39;x&#39;"
LONG = "a" * 64
NOTHING = '<td class="number"></td>'

CHECK = {
    "name": ODD,
    "passed": False,
    "challenger": 0.71234567,
    "champion": None,
    "gain": None,
    "bound": None,
    "limit": 0.69,
}
COMPARED = CHECK | {"name": LONG, "passed": True, "champion": 0.5, "gain": 0.2123, "bound": 0.0999}
GATE = {
    "challenger": LONG,
    "champion": None,
    "passed": False,
    "posts": 300,
    "checks": [CHECK, COMPARED],
    "reasons": [ODD],
    "rules": {"confidence": 0.95, "resamples": 4000},
}
EXPECTED = {
    "name": "label_balance",
    "column": "label",
    "expectation": ODD,
    "severity": "block",
    "ok": False,
    "outcome": "blocked",
    "unexpected": 2,
    "examples": [LONG],
    "alternatives": {"quarantine": 38, "warn": 40},
}
HELD = EXPECTED | {"ok": True, "outcome": "passed", "unexpected": 0, "observed": 0.5}
THUMBNAIL = "data:image/jpeg;base64,AAAA"
POST = {"post_id": LONG, "reasons": [ODD], "text": ODD, "image": THUMBNAIL, "note": ""}
VALIDATION = {
    "window": "2026-05-01T00:00:00Z/2026-05-02T00:00:00Z",
    "success": False,
    "rows": 40,
    "quarantined": 2,
    "passed_over": {"posts": 1, "labels": 2},
    "compared_with": {"champion": None, "time_ranges": 21},
    "expectations": [EXPECTED, HELD],
    "examples": [POST, POST | {"image": None, "note": ODD, "text": ""}],
}
TESTED = {"skipped": "", "drift": True, "p_value": 1.2e-7, "columns": ["lang", "image_embedding"]}
DRIFT = {
    "window": VALIDATION["window"],
    "reference": LONG,
    "drift": True,
    "drift_modality": "image",
    "modalities": {
        "image": TESTED,
        "agreement": TESTED | {"skipped": ODD, "p_value": None, "columns": []},
    },
    "untested": {"agreement": LONG},
    "noise": [
        {"measure": "blur", "low": 1.5, "high": 90, "reference_share": 0.012, "window_share": 1}
    ],
}
SIGNAL = {
    "name": LONG, "breach": True, "new": 0.25, "previous": 0.12, "posts": 90, "reason": ODD,
}  # fmt: skip
GUARD = {
    "version": LONG,
    "previous": "7",
    "status": "rolled back",
    "window": "a/b",
    "posts": 300,
    "labelled": 90,
    "signals": [SIGNAL, SIGNAL | {"breach": False}],
}
PAGES: list[tuple[str, str, dict[str, Any], list[str]]] = [
    (
        "covla.evaluation",
        "gate_report.html.j2",
        GATE,
        [
            f"<title>Version {LONG} did not pass the gate against the floors</title>",
            "2 checks on 300 posts, 1 failed.",
            f'<td>{SAFE}</td><td class="number">0.7123</td>{3 * NOTHING}'
            '<td class="number">0.6900</td><td class="no">not held</td>',
            '<td class="number">0.5000</td><td class="number">0.2123</td>'
            '<td class="number">0.0999</td><td class="number">0.6900</td><td class="yes">held</td>',
            "Its bound has 95 % confidence, from 4000 resamples",
        ],
    ),
    (
        "features",
        "validation.html.j2",
        VALIDATION,
        [
            '<span class="no">failed</span>',
            "40 posts, 2 of them quarantined.\nTraining sees none of them.\n"
            "The lake has 3 rows with a time that cannot be",
            "Compared with no champion: none was promoted yet, and with 21 time ranges before.",
            "<td>quarantine: 38 of 40, warn: 40 of 40</td>",
            f'<td class="number">2</td><td>{LONG}</td>',
            f'<td class="yes">passed</td><td>label_balance</td><td>{SAFE}</td>'
            f'<td class="number"></td><td>0.5: {LONG}</td>',
            f'<img src="{THUMBNAIL}" alt="image of {LONG}">',
            "<div>(no text)</div>",
        ],
    ),
    (
        "monitoring",
        "drift.html.j2",
        DRIFT,
        [
            "<h1>Drift: image</h1>",
            f"compared with the training posts of model {LONG}",
            "<td>image</td><td>drift</td><td>p = 1.2e-07</td><td>lang, image_embedding</td>",
            "<td>agreement</td><td>not tested</td>",
            "<h2>Not tested</h2>",
            "<td>blur</td><td>1.5 to 90</td><td>1.2%</td><td>100.0%</td>",
        ],
    ),
    (
        "monitoring",
        "guard.html.j2",
        GUARD,
        [
            f'<h1>Version {LONG} against 7: <span class="no">rolled back</span></h1>',
            f"300 posts that version {LONG} predicted in a/b, 90 of them with a label.",
            f'<td>{LONG}</td><td class="no">worse</td><td>{SAFE}</td>',
            f'<td class="yes">ok</td><td>{SAFE}</td>',
        ],
    ),
]
each_page = pytest.mark.parametrize(("package", "template", "values", "said"), PAGES)


@each_page
def test_a_page_says_it_all_and_takes_no_value_for_markup(
    package: str, template: str, values: dict[str, Any], said: list[str]
) -> None:
    page = render(package, template, **values)
    assert [part for part in said if part not in page] == []
    assert SAFE in page
    assert "<script" not in page


@each_page
def test_a_value_that_is_missing_is_no_gap(
    package: str, template: str, values: dict[str, Any], said: list[str]
) -> None:
    for name in values:
        with pytest.raises(UndefinedError, match=name):
            render(package, template, **{key: v for key, v in values.items() if key != name})


def test_what_was_passed_over_is_said_only_where_something_was() -> None:
    page = render("features", "validation.html.j2", **VALIDATION | {"passed_over": {"posts": 0}})
    assert "The lake has" not in page
    page = render("monitoring", "drift.html.j2", **DRIFT | {"untested": {}, "drift": False})
    assert "<h2>Not tested</h2>" not in page
    assert "<h1>No drift</h1>" in page


def test_a_template_that_is_not_there_is_named() -> None:
    with pytest.raises(TemplateNotFound, match=r"none\.html"):
        render("features", "none.html")


def test_a_block_is_allowed_by_its_hash_alone() -> None:
    digest = base64.b64encode(hashlib.sha256("tür()".encode()).digest()).decode()
    assert csp_source("tür()") == f"'sha256-{digest}'"


@pytest.mark.slow
@each_page
def test_a_page_does_not_scroll_sideways_on_a_phone(
    package: str, template: str, values: dict[str, Any], said: list[str], tmp_path: Path
) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium on the PATH; `apt-get install chromium` brings one")
    from playwright.sync_api import sync_playwright

    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html>{render(package, template, **values)}", encoding="utf-8")
    with sync_playwright() as run:
        chromium = run.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = chromium.new_page(viewport={"width": 390, "height": 844})
        tab.goto(path.as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") == 390
        boxes = tab.locator("div:has(> table)")
        assert boxes.first.evaluate("box => box.scrollWidth > box.clientWidth")
        chromium.close()
