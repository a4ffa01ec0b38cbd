"""Sends posts to the posts topic and their labels to the labels topic, every send checked."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from kafka.errors import KafkaError
from rich.console import Console
from rich.progress import track

from covla.errors import CovlaError, PostError, ServiceUnavailable
from covla.kafka import clients
from covla.posts.folder import FolderPost
from covla.posts.taxonomy import load_taxonomy
from covla.schemas.label import PostLabel
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import check_time, now

IN_FLIGHT = 500  # sends that may wait for the broker's answer: bounds memory, hides the round trip
ANSWER_WITHIN = 30  # seconds, then a send has failed


@dataclass(frozen=True)
class Published:
    """What the broker acknowledged."""

    posts_published: int
    labels_published: int
    seconds: float


def restamp(items: Iterable[FolderPost], window: TimeRange, total: int) -> Iterator[FolderPost]:
    """The same posts with `created_at` evenly spread over the window, in their order.

    A folder's old times then replay as a live stream.
    """
    step = (window.end - window.start) / max(total, 1)
    for i, item in enumerate(items):
        when = window.start + step * i
        yield replace(item, post=item.post.model_copy(update={"created_at": when}))


def check_window(window: TimeRange, settings: Settings) -> None:
    """Refuse a time range whose posts no reader would take.

    Raises:
        CovlaError: it begins before the earliest time or ends after the latest.
    """
    try:
        check_time("start", window.start, settings)
        check_time("end", window.end, settings)
    except PostError as error:
        raise CovlaError(f"the posts' time range: {error}") from error


def publish(
    items: Iterable[FolderPost],
    settings: Settings,
    *,
    labels: bool = True,
    label_delay: timedelta = timedelta(minutes=5),
    source: str = "folder",
) -> Published:
    """Send each post, keyed by post_id, and the label of each labelled one right after it.

    A label says `labelled_at` = created_at + `label_delay`, but no time after now, and its
    `source`.

    Raises:
        ServiceUnavailable: no broker answers, or it did not take a message.
    """
    topics = clients.ensure_topics(settings)
    started = time.monotonic()
    sent = {topics.posts: 0, topics.labels: 0}
    waiting: deque[tuple[str, str, Any]] = deque()
    producer = clients.producer(settings)

    def settle(leave: int) -> None:
        # Each answer is looked at: flush() alone hides failed sends (kafka-python#1347).
        while len(waiting) > leave:
            topic, post_id, future = waiting.popleft()
            try:
                future.get(timeout=ANSWER_WITHIN)
            except KafkaError as error:
                raise ServiceUnavailable(
                    f"Kafka did not take post {post_id} on {topic}: {error!r}",
                    hint=f"{sent[topics.posts]} posts and {sent[topics.labels]} labels were taken; "
                    "publish again when it is back, readers drop repeats by post_id",
                ) from error
            sent[topic] += 1

    def send(topic: str, post_id: str, value: bytes) -> None:
        settle(IN_FLIGHT - 1)
        try:
            future = producer.send(topic, key=post_id.encode(), value=value)
        except KafkaError as error:  # no metadata, or a full buffer, within max_block_ms
            raise ServiceUnavailable(f"Kafka does not take posts on {topic}: {error!r}") from error
        waiting.append((topic, post_id, future))

    try:
        for item in items:
            post = item.post
            send(topics.posts, post.post_id, post.to_json())
            if labels and item.label is not None:
                label = PostLabel(
                    post_id=post.post_id,
                    label=item.label,
                    labelled_at=max(post.created_at, min(post.created_at + label_delay, now())),
                    source=source,
                )
                send(topics.labels, post.post_id, label.to_json())
        settle(0)
    except BaseException:
        # kafka-python has no public way to drop what waits for a broker that is gone; without
        # it close() would flush, time out, and hide the cause.
        producer._sender.force_close()
        raise
    finally:
        with suppress(KafkaError):
            producer.close(timeout=5)
    seconds = round(time.monotonic() - started, 3)
    return Published(sent[topics.posts], sent[topics.labels], seconds)


def validate_all(
    items: Iterable[FolderPost], settings: Settings, *, labels: bool, limit: int | None = None
) -> int:
    """Count the posts, at most `limit`, and check their labels before anything is sent.

    All items are read, also those beyond `limit`: a folder that cannot be used is found while no
    reader has seen a post.

    Raises:
        CovlaError: the folder cannot be used, or a label that the taxonomy does not have.
    """
    taxonomy = load_taxonomy(settings=settings)
    count = 0
    for item in items:
        if limit is not None and count == limit:
            continue
        count += 1
        if labels and item.label is not None:
            taxonomy.check(item.label, item.post.post_id)
    return count


def with_progress(items: Iterable[FolderPost], total: int, what: str) -> Iterator[FolderPost]:
    """Pass the items on, with a progress bar on stderr when that is a terminal."""
    console = Console(stderr=True)
    yield from track(
        items, description=what, total=total, console=console, disable=not console.is_terminal
    )
