"""Evidently's page on this machine, as a browser shows it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from covla.settings import Settings
from covla.time_range import TimeRange
from services.stack import evidently, ports, processes
from tests.monitoring.rows import rows, shifted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
WINDOW = TimeRange(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC))


def old_workspace(settings: Settings) -> Any:
    """With the plot that an earlier release made."""
    from evidently.sdk.models import PanelMetric, ProjectModel
    from evidently.sdk.panels import line_plot_panel
    from evidently.ui.workspace import Workspace

    from monitoring import report

    workspace = Workspace(str(settings.state.absolute() / "evidently"))
    project = report.project_id()
    made = workspace.add_project(ProjectModel(id=project, name=report.PROJECT))
    share = PanelMetric(metric="DriftedColumnsCount", metric_labels={"value_type": "share"})
    made.dashboard.add_panel(line_plot_panel(title="Share of drifted columns", values=[share]))
    return project


def test_the_plots_are_what_the_report_says_of_each_modality(tmp_path: Path) -> None:
    from monitoring import report
    from monitoring.watch import watch

    settings = Settings(state=tmp_path, evidently_port=ports.any_free())
    (tmp_path / "evidently").mkdir()
    project = old_workspace(settings)
    found = watch(WINDOW, shifted(rows(120, 1), "image", 0.8), "7", rows(400, 0), settings)
    wanted = {
        name: 100 * len(one.columns) / one.tested
        for name, one in found.modalities.items()
        if one.tested
    }
    assert wanted["image"] > 0
    process = evidently.start(settings)
    try:
        panels = httpx.get(f"{process.address}/api/v2/dashboards/{project}").json()["panels"]
        assert [panel["title"] for panel in panels] == [report.PANEL]
        plotted = {}
        for value in panels[0]["values"]:
            asked = {key: value[key] for key in ("metric", "tags", "metadata", "metric_labels")}
            for series in _points(process.address, project, [asked])["series"]:
                plotted[value["legend"]] = series["values"][-1]
        assert plotted == pytest.approx(wanted)
        _shows(f"{process.address}/projects/{project}", [panel["title"] for panel in panels])
    finally:
        processes.stop(settings, evidently.NAME)


def _points(address: str, project: Any, values: list[dict[str, Any]]) -> Any:
    url = f"{address}/api/v2/snapshots/{project}/data_series_batch"
    return httpx.post(url, json={"series_filter": values}).raise_for_status().json()


def _shows(url: str, titles: list[str]) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as run:
        chromium = run.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for width in (1280, 390):
            tab = chromium.new_page(viewport={"width": width, "height": 900})
            tab.goto(url)
            for title in titles:
                tab.get_by_text(title).wait_for(timeout=30_000)
            assert "Share of drifted columns" not in tab.locator("body").inner_text()
        chromium.close()
