import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from bench.drift import p_values
from covla.kafka.clients import Topics, consumer
from covla.registry.model_folder import write_manifest
from covla.schemas.alert import read_alert
from covla.settings import Settings
from features.lake import Lake
from features.tables import POSTS
from monitoring import drift
from monitoring.columns import compare
from services.stack import ports
from tests.monitoring.rows import rows, shifted

pytestmark = pytest.mark.slow

START = datetime(2026, 5, 1, tzinfo=UTC)
WINDOW = "2026-05-01T00:00:00Z/2026-05-02T00:00:00Z"


def into_lake(settings: Settings, frame, start: datetime = START) -> None:
    frame = frame.copy()
    frame["event_timestamp"] = [start + timedelta(minutes=i) for i in range(len(frame))]
    frame["created_timestamp"] = START
    frame["topic"], frame["partition"], frame["offset"] = "posts", 0, range(len(frame))
    for name in set(POSTS.names) - set(frame.columns):
        frame[name] = None
    Lake(settings).append("posts", pa.Table.from_pandas(frame[POSTS.names], schema=POSTS))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "one"
    folder.mkdir(parents=True)
    rows(600, 0).to_parquet(folder / "reference.parquet")
    write_manifest(folder)
    return folder


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_evidently_runs_the_tests_of_the_benchmark():
    from monitoring import report

    comparison = compare(
        shifted(rows(100, 1), "text", 0.3),
        rows(600, 0),
        lambda text, image: text[:, 0] * image[:, 0],
    )
    found, _ = report.run(comparison, drift.thresholds(comparison), at=START)
    assert found == pytest.approx(p_values(comparison))


def test_drift_twice_gives_the_same_and_names_the_image(offline_settings, model, run_command):
    into_lake(offline_settings, shifted(rows(120, 1), "image", 0.8))
    command = ("drift", "--window", WINDOW, "--reference", model, "--json", "--no-alert")
    first = run_command(offline_settings, *command, timeout=120)
    assert first.returncode == 0, first.stderr
    assert first.json["drift_modality"] == "image"
    untested = first.json["untested"]
    assert untested["agreement"] == "no agreement signal for these encoders"  # not `base`
    assert first.json["modalities"]["agreement"]["tested"] == 1  # what is learned needs none
    again = run_command(offline_settings, *command, "--fail-on-drift", timeout=120)
    assert again.returncode == 4
    assert again.stdout == first.stdout
    page = Path(first.json["report"]).read_text()
    assert all(f"<td>{name}</td>" in page for name in ("text", "image", "agreement", "missing"))
    snapshots = list((offline_settings.state / "evidently").glob("*/snapshots/*.json"))
    assert len(snapshots) == 1  # the second run replaced the first
    _opens_in_chromium(Path(first.json["report"]))


def _opens_in_chromium(page: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium on the PATH to open the report in")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as run:
        chromium = run.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = chromium.new_page()
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.as_uri())
        assert tab.locator("h1").first.inner_text() == "Drift: image"
        tab.get_by_text("Drift in image_embedding").first.wait_for(timeout=30_000)
        tab.get_by_text("Dataset Drift").first.wait_for(timeout=30_000)
        assert not errors
        chromium.close()


def test_an_alert_is_on_the_topic_once_the_command_ends(settings, model, run_command):
    into_lake(settings, shifted(rows(120, 1), "text", 0.8))
    command = ("drift", "--window", WINDOW, "--reference", model, "--json")
    done = run_command(settings, *command, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.json["alert_opened"] is True
    again = run_command(settings, *command, timeout=120)
    assert again.json == done.json | {"alert_opened": False}
    topic = Topics.of(settings).alerts
    reader = consumer(settings, topic, group=None, consumer_timeout_ms=5_000)
    (record,) = reader
    reader.close()
    alert = read_alert(record.value)
    assert record.key.decode() == alert.alert_id == done.json["alert_id"]
    assert (alert.kind, alert.subject, alert.state) == ("drift", "text", "open")
    assert alert.scores["text"] == done.json["scores"]["text"]
    assert alert.report == done.json["report"]
    assert len(alert.examples) == 3


def test_a_broker_that_is_away_costs_neither_the_run_nor_the_alert(
    offline_settings, model, run_command
):
    address = f"127.0.0.1:{ports.any_free()}"
    away = Settings(state=offline_settings.state, kafka_bootstrap=address)
    into_lake(away, shifted(rows(120, 1), "text", 0.8))
    command = ("drift", "--window", WINDOW, "--reference", model, "--json")
    done = run_command(away, *command, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "alerts: kept for later, the topic does not take them: no Kafka broker" in done.stderr
    (kept,) = run_command(away, "alerts", "--json").json["alerts"]
    assert kept["alert_id"] == done.json["alert_id"]
    assert kept["unsent"] == ["open to topic"]


def test_what_is_missing_is_said_in_one_line(offline_settings, model, run_command, tmp_path):
    command = ("drift", "--window", WINDOW)
    empty = run_command(offline_settings, *command, "--reference", model)
    assert empty.returncode == 2
    assert "the lake has no post" in empty.stderr
    into_lake(offline_settings, rows(20, 1))
    few = run_command(offline_settings, *command, "--reference", model)
    assert few.returncode == 2
    assert "window: 20 posts are too few" in few.stderr
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text("{}")
    write_manifest(tmp_path / "bare")
    without = run_command(offline_settings, *command, "--reference", tmp_path / "bare")
    assert without.returncode == 2
    assert "has no reference.parquet" in without.stderr
