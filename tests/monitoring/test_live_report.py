from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from covla.registry import mlflow_client
from covla.registry.live_performance import LivePerformanceCollector
from covla.registry.registry import Registry
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.live_report import live_report
from tests.conftest import RunCommand
from tests.features.posts import START
from tests.monitoring.live import keep, labelled, predicted

DAY = TimeRange(START, START + timedelta(days=1))
pytestmark = pytest.mark.slow


@pytest.fixture
def settings(offline_settings: Settings, model_folder: Path) -> Settings:
    """Version 1, registered, predicted two posts, one of them rightly; version 9 is gone."""
    assert Registry(offline_settings).register(model_folder) == "1"
    made = [predicted("a", version="1"), predicted("b", version="1"), predicted("a", version="9")]
    keep(offline_settings, made, [labelled("a"), labelled("b", "restaurant_cafe")])
    return offline_settings


def scraped(settings: Settings) -> str:
    registry = CollectorRegistry()
    registry.register(LivePerformanceCollector(settings))
    return generate_latest(registry).decode()


def history(settings: Settings) -> list[tuple[float, int]]:
    client = mlflow_client.client(settings)
    run_id = client.get_model_version("covla", "1").run_id
    rows = client.get_metric_history(run_id, "live.accuracy")
    return [(row.value, row.step) for row in rows]


def test_figures_go_to_the_versions_run_once_and_to_metrics(
    settings: Settings, run_command: RunCommand, caplog: pytest.LogCaptureFixture
) -> None:
    assert "covla_live_accuracy{" not in scraped(settings)
    done = run_command(settings, "performance", "--window", DAY, "--json")
    assert done.returncode == 0, done.stderr
    one, nine = done.json["versions"]
    assert (one["model_version"], one["accuracy"]["value"], nine["posts"]) == ("1", 0.5, 1)
    assert Path(done.json["report"]).is_file()
    assert 'covla_live_accuracy{version="1"} 0.5' in scraped(settings)
    assert 'covla_live_posts{version="9"} 1.0' in scraped(settings)

    hours = int(DAY.end.timestamp()) // 3600
    assert history(settings) == [(0.5, hours)]
    live_report(DAY, settings)
    assert history(settings) == [(0.5, hours)]
    assert "version 9 is not in the registry" in caplog.text

    # A late run of an earlier time range does not take the place of the latest.
    keep(settings, [predicted("old", version="1", minutes=-60)])
    live_report(TimeRange(START - timedelta(days=1), START), settings)
    assert 'covla_live_posts{version="1"} 2.0' in scraped(settings)

    shown = run_command(settings, "performance", "--window", DAY)
    assert "0.500 [0.0" in shown.stdout


def test_a_time_range_without_a_prediction_is_skipped(
    offline_settings: Settings, run_command: RunCommand
) -> None:
    done = run_command(offline_settings, "performance", "--window", DAY, "--json")
    assert done.returncode == 2
    assert "nothing was predicted" in done.json["skipped"]
