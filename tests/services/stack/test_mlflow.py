"""MLflow's page on this machine, as a browser shows it."""

import shutil
from pathlib import Path

import pytest

from covla.settings import Settings
from services.stack import mlflow, ports, processes

pytestmark = pytest.mark.slow


def test_the_page_says_nothing_of_usage_data_and_asks_no_other_host(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium on the PATH to open the page in")
    from playwright.sync_api import Request, sync_playwright

    settings = Settings(state=tmp_path, mlflow_port=ports.any_free())
    process = mlflow.start(settings)
    asked: list[Request] = []
    try:
        with sync_playwright() as run:
            chromium = run.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            tab = chromium.new_page()
            tab.on("request", lambda request: asked.append(request))  # noqa: PLW0108
            for _ in range(2):  # the second time with what the browser kept
                tab.goto(process.address)
                tab.get_by_text("Welcome to MLflow").wait_for(timeout=60_000)
                tab.wait_for_timeout(1_000)
                assert "usage data" not in tab.locator("body").inner_text()
            tab.goto(f"{process.address}/#/settings")
            tab.get_by_text("Enable telemetry").wait_for(timeout=60_000)
            switches = tab.get_by_role("switch")
            states = [switches.nth(i).get_attribute("aria-checked") for i in range(2)]
            assert states[1] == "false"
            chromium.close()
    finally:
        processes.stop(settings, mlflow.NAME)
    hosts = {request.url.split("/")[2] for request in asked if request.url.startswith("http")}
    assert hosts == {process.address.removeprefix("http://")}
    assert not [r.url for r in asked if r.method == "POST" and "telemetry" in r.url]
