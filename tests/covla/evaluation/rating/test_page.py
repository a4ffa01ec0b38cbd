"""The rating page as a person uses it, in a real browser, off the network."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from covla.evaluation.rating.score import score

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.slow

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture
def browser() -> Iterator["BrowserContext"]:
    """Any word on the console, and any request but for the page itself, fails the test."""
    from playwright.sync_api import sync_playwright

    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on the PATH; `apt-get install chromium` brings one")
    complaints: list[str] = []

    def outside(url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            complaints.append(url)

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=QUIET)
        context = chromium.new_context(viewport={"width": 390, "height": 844}, offline=True)
        context.on("console", lambda message: complaints.append(message.text))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("request", lambda request: outside(request.url))
        yield context
        chromium.close()
    assert complaints == []


def _fill(page: "Page", count: int, rater: str, first: str) -> None:
    page.get_by_label("Your name or number").fill(rater)
    for i in range(count):
        assert page.inner_text("#legend") == f"Post {i + 1} of {count}"
        page.get_by_label(first if i == 0 else "Beach / coast").check()
        page.get_by_role("button", name="Next").click() if i + 1 < count else None


def test_a_sheet_is_filled_offline_kept_over_a_reload_and_scored(
    browser: "BrowserContext", rated: Any, tmp_path: Path
) -> None:
    address = (rated.out / "raters" / "sheet.html").as_uri()
    page = browser.new_page()
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("Shop").check()
    page.get_by_role("button", name="Save answers").click()
    assert page.inner_text("#said") == "11 posts have no answer yet; this is one."
    assert page.inner_text("#legend") == "Post 2 of 12"
    page.reload()
    assert page.inner_text("#left") == "11 to answer"
    page.get_by_role("button", name="Back").click()
    assert page.get_by_label("Shop").is_checked()
    sheets = []
    for rater, first in (("Ann, 1st", "Cannot tell"), ("Bob", "Home")):
        _fill(page, 12, rater, first)
        assert page.inner_text("#left") == "All answered"
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save answers").click()
        sheets.append(tmp_path / saved.value.suggested_filename)
        saved.value.save_as(sheets[-1])
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Start over").click()
        assert page.inner_text("#left") == "12 to answer"
    assert [sheet.name for sheet in sheets] == ["sheet-Ann-1st.csv", "sheet-Bob.csv"]
    done = score(sheets, rated.key, [])
    assert done.raters["Ann, 1st"].cannot_tell == 1
    assert done.per_label["home"].answers == 1
    assert done.per_label["beach_coast"].answers == 22
    assert done.agreement_between_raters == 1
