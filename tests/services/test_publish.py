"""`covla publish` and `covla synthesize` against a real broker and real folders."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from covla.cli.publish import publish
from covla.kafka import clients
from covla.posts.folder import FolderPost, read_folder
from covla.posts.synthetic import generate, iter_posts
from covla.schemas.label import PostLabel
from covla.schemas.post import SocialPost
from covla.settings import Settings
from covla.time_range import TimeRange
from services.publish import restamp

WINDOW = "2026-05-01T00:00:00Z/2026-05-02T00:00:00Z"
START, END = TimeRange.parse(WINDOW)


def text_folder(folder: Path, *lines: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [line if isinstance(line, bytes) else orjson.dumps(line) for line in lines]
    (folder / "posts.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    return folder


def line(name: str, **more: object) -> dict[str, object]:
    return {"post_id": name, "created_at": "2017-05-01T00:00:00Z", "text": "on the train"} | more


def read_topic(settings: Settings, topic: str, expected: int) -> list:
    """Every record of the topic; waits until `expected` are there."""
    consumer = clients.consumer(settings, topic, group=None)
    records: list = []
    try:
        deadline = datetime.now(UTC) + timedelta(seconds=30)
        while datetime.now(UTC) < deadline:
            polled = consumer.poll(timeout_ms=500)
            records += [record for batch in polled.values() for record in batch]
            if not polled and len(records) >= expected:
                break  # one more empty poll shows that there are not more
    finally:
        consumer.close()
    return records


def test_restamp_spreads_the_posts_over_the_window_in_order():
    items = [item for item, _ in generate(8, 1, START - timedelta(days=900), START)]
    moved = list(restamp(items, TimeRange(START, END), 8))
    assert [m.post.created_at for m in moved] == [START + timedelta(hours=3) * i for i in range(8)]
    assert [m.post.model_copy(update={"created_at": None}) for m in moved] == [
        i.post.model_copy(update={"created_at": None}) for i in items
    ]


@pytest.mark.slow
def test_every_synthetic_post_and_label_arrives_once(settings, run_command):
    done = run_command(
        settings, "publish", "--synthetic", 300, "--seed", 5, "--window", WINDOW, "--json"
    )
    assert done.returncode == 0, done.stderr
    assert done.json.keys() == {"posts_published", "labels_published", "seconds"}
    assert (done.json["posts_published"], done.json["labels_published"]) == (300, 300)

    topics = clients.Topics.of(settings)
    posts = read_topic(settings, topics.posts, 300)
    expected = {item.post.post_id: item for item, _ in iter_posts(300, 5, START, END)}
    assert len(posts) == 300
    assert {
        SocialPost.from_json(r.value).post_id: SocialPost.from_json(r.value) for r in posts
    } == {name: item.post for name, item in expected.items()}
    assert all(r.key.decode() == SocialPost.from_json(r.value).post_id for r in posts)

    records = read_topic(settings, topics.labels, 300)
    labels = [PostLabel.from_json(r.value) for r in records]
    assert {x.post_id: x.label for x in labels} == {n: i.label for n, i in expected.items()}
    assert len(labels) == 300
    assert all(r.key.decode() == x.post_id for r, x in zip(records, labels, strict=True))
    assert all(
        x.labelled_at - expected[x.post_id].post.created_at == timedelta(minutes=5) for x in labels
    )


@pytest.mark.slow
def test_a_folder_is_published_by_split_limit_and_new_times(settings, run_command, tmp_path):
    folder = text_folder(
        tmp_path / "posts",
        line("a", label="transport", split="train"),
        line("b", label="transport", split="val"),
        line("c", split="train"),
        line("d", label="home", split="train"),
    )
    done = run_command(
        settings, "publish", folder, "--split", "train", "--limit", 2, "--restamp", WINDOW, "--json"
    )
    assert done.returncode == 0, done.stderr
    assert (done.json["posts_published"], done.json["labels_published"]) == (2, 1)
    topics = clients.Topics.of(settings)
    posts = [SocialPost.from_json(r.value) for r in read_topic(settings, topics.posts, 2)]
    assert {p.post_id: p.created_at for p in posts} == {
        "a": START,
        "c": START + timedelta(hours=12),
    }
    assert len(read_topic(settings, topics.labels, 1)) == 1

    quiet = run_command(settings, "publish", folder, "--no-labels", "--json")
    assert (quiet.json["posts_published"], quiet.json["labels_published"]) == (4, 0)
    assert len(read_topic(settings, topics.labels, 1)) == 1


@pytest.mark.slow
def test_a_bad_line_is_left_out_and_counted(settings, run_command, tmp_path):
    same = line("a", label="home")
    bad = line("b", created_at="0001-01-01"), b'{"post_id": "c", oops'
    folder = text_folder(tmp_path / "posts", *bad, same, line("d"), same)
    done = run_command(settings, "publish", folder, "--json")
    assert done.returncode == 0, done.stderr
    assert (done.json["posts_published"], done.json["labels_published"]) == (2, 1)
    assert (done.json["unusable_lines"], done.json["repeated_lines"]) == (2, 1)
    assert "2 lines cannot be used, the first is line 1: created_at:" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_folder_that_is_mostly_bad_or_contradicts_itself_sends_nothing(
    settings, run_command, tmp_path
):
    bad_lines = {
        "line 2: message": b'{"post_id": "b", oops',
        "line 2: created_at": {"post_id": "b", "created_at": "yesterday", "text": "x"},
        "line 2: image": line("b", image="no-such.jpg"),
        "post b: label: 'moon'": line("b", label="moon"),
        "lines 1 and 2: post_id: 'a' is there twice": line("a", label="home"),
    }
    for number, (named, bad) in enumerate(bad_lines.items()):
        # Of the first three kinds, two lines of three; one label is enough.
        more = line("c", image="no-such.jpg") if number < 3 else line("c")
        folder = text_folder(tmp_path / f"posts-{number}", line("a"), bad, more)
        done = run_command(settings, "publish", folder, "--json")
        assert done.returncode == 2
        assert named in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert done.stdout == ""
    topics = clients.ensure_topics(settings)
    assert read_topic(settings, topics.posts, 0) == []


@pytest.mark.slow
def test_without_a_broker_it_ends_with_3_and_one_line(offline_settings, run_command, tmp_path):
    arguments = ("publish", "--synthetic", 3, "--window", WINDOW, "--json")
    unknown = run_command(offline_settings, *arguments)
    dead = Settings(state=tmp_path, kafka_bootstrap="127.0.0.1:1")
    silent = run_command(dead, *arguments)
    for done in (unknown, silent):
        assert done.returncode == 3
        assert len(done.stderr.strip().splitlines()) == 1
        assert "covla up" in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--synthetic", 3),
        (".", "--synthetic", 3, "--window", WINDOW),
        (".", "--drift", "image"),
        ("--synthetic", 3, "--window", WINDOW, "--limit", 2),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments):
    done = CliRunner().invoke(publish, [str(argument) for argument in arguments])
    assert done.exit_code == 2
    assert "Error:" in done.stderr


@pytest.mark.slow
def test_synthesize_writes_the_posts_that_publish_sends(offline_settings, run_command, tmp_path):
    out = tmp_path / "made"
    arguments = ("synthesize", out, "--posts", 200, "--seed", 3, "--window", WINDOW, "--json")
    done = run_command(offline_settings, *arguments, "--unlabelled", 0.5)
    assert done.returncode == 0, done.stderr
    assert sum(done.json["splits"].values()) == 200
    assert set(done.json["splits"]) == {"train", "val", "test", "unlabelled"}

    back: list[FolderPost] = list(read_folder(out, settings=offline_settings))
    made = [item for item, _ in generate(200, 3, START, END)]
    assert [item.post for item in back] == [item.post for item in made]
    for read, item in zip(back, made, strict=True):
        assert read.label == (None if read.split == "unlabelled" else item.label)
    assert done.json["splits"]["unlabelled"] == pytest.approx(100, abs=25)

    again = run_command(offline_settings, *arguments)
    assert again.returncode == 2
    assert "Name a new folder" in again.stderr
