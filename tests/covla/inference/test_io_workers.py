"""Posts that are prepared in processes come out as in threads, whatever happens to a process."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from covla.errors import PostError, ServiceUnavailable
from covla.inference.io_workers import IoWorkers, prepare_posts
from covla.inference.preparation import INTERNAL, Prepared, Threads
from covla.posts.preprocessing import PreparedPost
from covla.posts.probe import probe_post
from covla.schemas.post import Image, SocialPost
from covla.settings import Settings
from covla.waiting import wait_until

pytestmark = pytest.mark.slow
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def a_post(number: int, text: str = "", image: Image | None = None) -> SocialPost:
    return SocialPost(post_id=f"p-{number}", created_at=NOW, text=text or "a place", image=image)


def dies(marker: Path | None, posts: Sequence[SocialPost]) -> list[Prepared]:
    """Kills the process at a poison, or, with a marker, at the first post there is."""
    poison = any(post.text == "poison" for post in posts)
    if posts and (poison if marker is None else not marker.exists()):
        if marker is not None:
            marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return prepare_posts(posts)


def dies_always(posts: Sequence[SocialPost]) -> list[Prepared]:
    """Ends at any post."""
    if posts:
        os._exit(1)
    return []


def without_bytes(item: Prepared) -> tuple[object, ...]:
    if isinstance(item, PostError):
        return item.field, item.code, str(item)
    assert isinstance(item, PreparedPost)
    kept = {n: v for n, v in vars(item).items() if n not in {"image", "image_bytes"}}
    return kept, None if item.image is None else item.image.tobytes()


def test_they_give_what_threads_give(offline_settings: Settings) -> None:
    posts = [a_post(i, image=probe_post().image) for i in range(11)]
    posts += [a_post(11), a_post(12, image=Image(data="bm8gaW1hZ2U=")), a_post(13, "x" * 5_000)]
    posts += [a_post(14, image=Image(uri=f"{offline_settings.blobs}/missing"))]
    ours = IoWorkers(offline_settings, 2).submit(posts)()
    theirs = Threads(offline_settings).submit(posts)()
    assert [without_bytes(item) for item in ours] == [without_bytes(item) for item in theirs]
    assert [isinstance(item, PostError) for item in ours] == [False] * 12 + [True] * 3
    first = ours[0]
    assert isinstance(first, PreparedPost)
    assert first.image is not None
    assert first.image.dtype == np.uint8


def test_a_worker_that_is_killed_costs_no_post_its_answer(
    offline_settings: Settings, tmp_path: Path
) -> None:
    workers = IoWorkers(offline_settings, 2, work=partial(dies, tmp_path / "killed"))
    posts = [a_post(i) for i in range(20)]
    for _ in range(2):
        found = workers.submit(posts)()
        assert [i.post for i in found if isinstance(i, PreparedPost)] == posts
    assert (tmp_path / "killed").exists()


def test_a_post_that_kills_its_worker_is_an_error_by_itself(offline_settings: Settings) -> None:
    workers = IoWorkers(offline_settings, 2, work=partial(dies, None))
    posts = [a_post(0), a_post(1, "poison"), *(a_post(i) for i in range(2, 9))]
    found = workers.submit(posts)()
    assert [getattr(item, "code", "") for item in found] == ["", INTERNAL] + [""] * 7


def test_workers_that_end_on_every_post_are_no_fault_of_one(offline_settings: Settings) -> None:
    workers = IoWorkers(offline_settings, 1, work=dies_always)
    with pytest.raises(ServiceUnavailable, match="end on every post"):
        workers.submit([a_post(0)])()


@pytest.mark.parametrize("end", ["", "del workers", "import sys; sys.exit()"])
def test_the_end_is_quiet(end: str, tmp_path: Path) -> None:
    script = (
        "from covla.settings import Settings\n"
        "from covla.inference.io_workers import IoWorkers\n"
        "from covla.posts.probe import probe_post\n"
        "workers = IoWorkers(Settings(), 2)\n"
        f"workers.submit([probe_post()])()\n{end}"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=Settings(state=tmp_path).environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_they_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import time; from covla.settings import Settings\n"
        "from covla.inference.io_workers import IoWorkers\n"
        "workers = IoWorkers(Settings(), 2); print('there', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env=Settings(state=tmp_path).environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "there\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) >= 3
        # A Ctrl-C is the parent's to act on: those who work for it go on.
        for child in children[-2:]:
            child.send_signal(signal.SIGINT)
    finally:
        parent.kill()
        parent.communicate()
    assert wait_until(lambda: not any(child.is_running() for child in children), timeout=20)
