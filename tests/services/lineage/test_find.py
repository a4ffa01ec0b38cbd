"""A model trained on the lake, and every way back from it."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from covla.errors import CovlaError
from covla.registry import mlflow_client
from covla.registry.registry import Registry
from covla.registry.stored import stored_versions
from covla.settings import Settings
from features.lake import Lake
from features.tables import QUARANTINE, SCHEMAS, TIME, VERDICTS
from services.housekeeping.texts import expire_texts
from services.lineage.find import PredictionLineage, find
from services.lineage.post import PostLineage
from services.lineage.version import VersionLineage
from tests.conftest import RunCommand
from tests.features.old_rows import label_row, post_row, put

pytestmark = pytest.mark.slow

START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = "2026-05-01T00:00:00.000000Z/2026-05-02T00:00:00.000000Z"
PLACES = ("gym_sports", "restaurant_cafe")
# Different words in each text: what repeats a holdout post trains nothing.
WORDS = ("anvil", "birch", "cloud", "delta", "ember", "flint", "grove", "heron", "inlet", "jetty")


def text_of(number: int) -> str:
    first, second, third = (WORDS[(number * step + step) % len(WORDS)] for step in (1, 3, 5))
    return f"{first} {second} {third} at {PLACES[number % 2]} in the evening {number}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, run_command: RunCommand) -> Settings:
    """Forty posts of a day and two of another; version 1 is champion, of the day."""
    settings = Settings(state=tmp_path_factory.mktemp("state"))
    at = [START + timedelta(minutes=number) for number in range(40)]
    at += [START + timedelta(days=3), START + timedelta(days=3, minutes=1)]
    put(
        settings,
        [post_row(n, time, text=text_of(n), text_embedding=None) for n, time in enumerate(at)],
        [label_row(n, at[n], PLACES[n % 2]) for n in range(40)],
    )
    lake = Lake(settings)
    keys = {"post_id": "p1", "event_timestamp": at[1], "created_timestamp": at[40]}
    row = keys | {"reasons": ["too odd"], "window": DAY}
    lake.put("quarantine", pa.Table.from_pylist([row], schema=QUARANTINE), "one")
    verdict = {"event_timestamp": START, "created_timestamp": START, "end": at[40]}
    rows = [verdict | {"blocked": False, "reasons": []}]
    lake.put("verdicts", pa.Table.from_pylist(rows, schema=VERDICTS), "one")
    done = run_command(
        settings, "train", "--window", DAY, "--preset", "tiny", "--teacher", "none",
        "--epochs", 1, "--pretrain-epochs", 0, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    registry = Registry(settings)
    assert registry.register(Path(done.json["folder"])) == "1"
    report = settings.reports / "gate" / "1-against-floors.html"
    report.parent.mkdir(parents=True)
    report.touch()
    registry.tag("1", gate="passed", gate_report=report)
    registry.promote("1")
    return settings


def version_of(ref: str, settings: Settings) -> VersionLineage:
    kind, found = find(ref, settings)
    assert kind == "version"
    assert isinstance(found, VersionLineage)
    return found


def post_of(ref: str, settings: Settings) -> PostLineage:
    kind, found = find(ref, settings)
    assert kind == "post"
    assert isinstance(found, PostLineage)
    return found


def test_a_version_names_its_lake_files_with_their_hashes(trained: Settings) -> None:
    version = version_of("champion", trained)
    assert (version.version, version.aliases, version.gate) == ("1", ["champion"], "passed")
    assert version.gate_report == str(trained.reports / "gate" / "1-against-floors.html")
    training = version.training
    assert training is not None
    assert (training.source, training.intervals, training.teacher) == ("lake", [DAY], "none")
    assert (training.posts, training.labelled) == (39, 39)  # p1 is put aside
    assert training.left_out == {"quarantined": 1, "blocked": 0}
    names = [file.path for file in version.files]
    assert names == [
        "labels/hour=20260501T00/labels-0-000000000000.parquet",
        "posts/hour=20260501T00/posts-0-000000000000.parquet",
    ]
    for file in version.files:
        content = (trained.lake / file.path).read_bytes()
        assert (file.now, file.sha256) == ("same", hashlib.sha256(content).hexdigest())


def test_mlflow_shows_the_training_set_of_the_training_and_of_the_version(
    trained: Settings,
) -> None:
    client = mlflow_client.client(trained)
    runs = client.search_runs([mlflow_client.experiment_id(trained)])
    assert len(runs) == 2
    for run in runs:
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.source_type) == (DAY, "covla lake")
        source = json.loads(used.dataset.source)
        assert {file["path"].split("/")[0] for file in source["files"]} == {"posts", "labels"}
        assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]
    assert len({run.inputs.dataset_inputs[0].dataset.digest for run in runs}) == 1


def test_a_post_names_its_place_its_labels_and_who_trained_on_it(trained: Settings) -> None:
    posts = [post_of(f"p{number}", trained) for number in range(12)]
    trains = [one for one in posts if one.trained]
    assert 0 < len(trains) < 12  # p1 is put aside, some are held out
    first = trains[0]
    assert [(t.version, t.content, t.interval) for t in first.trained] == [("1", True, True)]
    number = int(first.post_id.removeprefix("p"))
    (row,) = first.rows
    assert (row["topic"], row["partition"], row["offset"]) == ("posts", 0, number)
    assert row["file"] == "posts/hour=20260501T00/posts-0-000000000000.parquet"
    assert [label["label"] for label in first.labels] == [PLACES[number % 2]]
    assert [verdict["blocked"] for verdict in first.verdicts] == [False]
    aside = post_of("p1", trained)
    assert [row["reasons"] for row in aside.quarantine] == [["too odd"]]
    assert aside.trained == []
    assert post_of("p40", trained).trained == post_of("p40", trained).verdicts == []


def test_a_prediction_leads_to_its_version_and_its_post(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    strings = ("post_id", "prediction_id", "label", "model_version", "topic")
    schema = pa.schema(
        [
            *((name, pa.string()) for name in strings),
            ("event_timestamp", TIME),
            ("created_timestamp", TIME),
            ("partition", pa.int32()),
            ("offset", pa.int64()),
        ]
    )
    monkeypatch.setitem(SCHEMAS, "predictions", schema)
    at = START + timedelta(hours=1)
    row = dict.fromkeys(strings, "") | {"partition": 0, "event_timestamp": at}
    row |= {"created_timestamp": at, "post_id": "p2", "label": "gym_sports"}
    rows = [
        row | {"prediction_id": "aa", "model_version": "1", "offset": 0},
        row | {"prediction_id": "bb", "model_version": "9", "offset": 1},
    ]
    Lake(trained).append("predictions", pa.Table.from_pylist(rows, schema=schema))
    kind, found = find("aa", trained)
    assert kind == "prediction"
    assert isinstance(found, PredictionLineage)
    assert (found.prediction["post_id"], found.prediction["offset"]) == ("p2", 0)
    assert found.version == version_of("1", trained)
    assert found.post is not None
    assert found.post.predictions is not None
    assert [one["prediction_id"] for one in found.post.predictions] == ["aa", "bb"]
    _, gone = find("bb", trained)
    assert isinstance(gone, PredictionLineage)
    assert gone.version is None


def test_the_command_prints_it_to_read_and_as_json(
    trained: Settings, run_command: RunCommand
) -> None:
    shown = run_command(trained, "lineage", "champion")
    assert shown.returncode == 0, shown.stderr
    assert f"  intervals:\n  - {DAY}\n" in shown.stdout
    assert "now: same" in shown.stdout
    post = run_command(trained, "lineage", "p2", "--json").json
    assert (post["kind"], post["post_id"]) == ("post", "p2")
    unknown = run_command(trained, "lineage", "p2", "--kind", "version")
    assert unknown.returncode == 2
    assert "nothing is known of version 'p2'. See `covla releases`" in unknown.stderr


def test_unknown_references_and_folders(trained: Settings, tmp_path: Path) -> None:
    for ref in ("nobody", "previous", "17", "", str(tmp_path)):
        with pytest.raises(CovlaError, match="nothing is known of a version, post or prediction"):
            find(ref, trained)
    folder = next(iter(trained.models.glob("covla-*/")))
    assert version_of(str(folder), trained).training == version_of("1", trained).training


def test_changed_and_missing_files_are_named_and_an_expired_text_is_not_guessed(
    trained: Settings,
) -> None:
    """The last test: it changes the lake."""
    ((one),) = stored_versions(trained)
    assert one.aliases == ("champion",)
    expire_texts(trained, datetime.now(UTC))
    states = {file.path.split("/")[0]: file.now for file in version_of("1", trained).files}
    assert states == {"labels": "same", "posts": "changed"}
    trained_on = post_of("p2", trained).trained
    assert [(t.version, t.content, t.interval) for t in trained_on] == [("1", None, True)]
    next(trained.lake.glob("labels/hour=2026*/*.parquet")).unlink()
    states = {file.path.split("/")[0]: file.now for file in version_of("1", trained).files}
    assert states == {"labels": "gone", "posts": "changed"}
