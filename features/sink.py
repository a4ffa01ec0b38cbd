"""Where a batch ends: lake first, then the online store. Both may be written twice."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from covla.errors import ServiceUnavailable
from covla.model.encoders import Encoders
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import prepare
from covla.posts.probe import probe_post
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from covla.times import now
from features.definitions import HASHTAG, POST_VIEWS
from features.extract import extract
from features.feature_store import feature_store
from features.hashtags import history
from features.lake import SOURCE, Lake, write_parquet
from features.online_store import UNREACHABLE
from features.records import Label, Post, Predicted
from features.tables import LABELS, POSTS, PREDICTIONS, QUALITY_COLUMNS

KEYS = ["post_id", "event_timestamp", "created_timestamp"]
# Hashtags are computed again at most this often, and for at most a twentieth of the time.
REFRESH_SECONDS, REFRESH_SHARE = 5.0, 0.05


class Sink:
    """Writes batches of one worker."""

    def __init__(self, settings: Settings, encoders: Encoders) -> None:
        self.settings = settings
        self.encoders = encoders
        self.store = feature_store(settings)
        self.lake = Lake(settings)
        self.secret = settings.author_secret()
        self._hashtags: dict[str, Mapping[str, object]] = {}
        self._refresh_at = 0.0
        self._stale = True

    def write(
        self, posts: Sequence[Post], labels: Sequence[Label], predictions: Sequence[Predicted] = ()
    ) -> None:
        """Encode and write; it is in both stores when this returns.

        Raises:
            ServiceUnavailable: a store does not answer or is full.
        """
        created = now()
        if posts:
            rows = extract(
                [post.prepared for post in posts],
                self.encoders,
                created,
                secret=self.secret,
                image_uris=[post.image_uri for post in posts],
            )
            self.lake.append("posts", _with_source(rows, posts))
            self._online("posts", rows)
        if labels:
            rows = label_rows(labels, created)
            self.lake.append("labels", rows)
            self._online("labels", rows)
        if predictions:
            self.lake.append("predictions", prediction_rows(predictions, created))
        self._stale |= bool(posts or labels)

    def check(self) -> None:
        """Encode a post that is known to be good: where that fails, no record is to blame.

        Raises:
            ServiceUnavailable: the encoders do not work on this machine now.
        """
        try:
            good = prepare(probe_post(), self.settings, BlobStore(self.settings))
            extract([good], self.encoders, now(), secret=self.secret, image_uris=[None])
        except Exception as error:
            raise ServiceUnavailable(
                f"the encoders fail on every post: {type(error).__name__}: {error}",
                hint="What was not committed is read again",
            ) from error

    def refresh_hashtags(self, *, force: bool = False) -> None:
        """Bring the hashtag table and the online hashtags up to the lake, now and then."""
        started = time.monotonic()
        if not self._stale or (not force and started < self._refresh_at):
            return
        rows = history(self.settings, as_of=now(), latest=True)
        values = rows.select(["hashtag", "event_timestamp", *HASHTAG]).to_pylist()
        states = {value["hashtag"]: value for value in values}
        changed = [self._hashtags.get(tag) != state for tag, state in states.items()]
        if any(changed):
            write_online(self.store, "hashtag", rows.filter(pa.array(changed)))
        self._hashtags = states
        self._stale = False
        spent = time.monotonic() - started
        self._refresh_at = started + max(REFRESH_SECONDS, spent / REFRESH_SHARE)

    def forget(self) -> None:
        """After the online store failed: it may come back empty, so write every hashtag again."""
        self._hashtags, self._stale, self._refresh_at = {}, True, 0.0

    def _online(self, table: str, rows: pa.Table) -> None:
        for view, (source, features, online) in POST_VIEWS.items():
            if source == table and online:
                write_online(self.store, view, rows.select([*KEYS, *features]))


def write_online(store: Any, view: str, rows: pa.Table) -> None:
    """Write rows to a view of the online store.

    Raises:
        ServiceUnavailable: Redis does not answer or is full, or the SQLite file cannot be written.
    """
    try:
        store.write_to_online_store(view, rows.to_pandas())
    except (sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.IntegrityError):
        raise  # of the rows
    except sqlite3.DatabaseError as error:
        raise ServiceUnavailable(
            f"cannot write the online store: {error}", hint="Free some space, or stop its writers"
        ) from error
    except (*UNREACHABLE, OSError) as error:
        raise ServiceUnavailable(
            f"the online store takes no rows: {error}",
            hint="Start Redis, give it more memory, or correct COVLA_REDIS_URL",
        ) from error


def write_hashtag_table(settings: Settings, as_of: datetime) -> pa.Table:
    """The hashtag view's offline table, as of a time; returns its rows."""
    rows = history(settings, as_of=as_of)
    write_parquet(rows, settings.lake / "hashtags" / "hour=all" / "history.parquet")
    return rows


def label_rows(labels: Sequence[Label], created: datetime) -> pa.Table:
    """Rows of `LABELS`, known since `created`."""
    rows = [
        {
            "post_id": item.label.post_id,
            "event_timestamp": item.label.labelled_at.astimezone(UTC),
            "created_timestamp": created,
            "label": item.label.label,
            "source": item.label.source,
            **{name: getattr(item.record, name) for name in SOURCE},
        }
        for item in labels
    ]
    return pa.Table.from_pylist(rows, schema=LABELS)


def prediction_rows(predictions: Sequence[Predicted], created: datetime) -> pa.Table:
    """Rows of `PREDICTIONS`, known since `created`."""
    rows = [
        prediction_row(item.prediction, created)
        | {name: getattr(item.record, name) for name in SOURCE}
        for item in predictions
    ]
    return pa.Table.from_pylist(rows, schema=PREDICTIONS)


def prediction_row(made: Prediction, created: datetime) -> dict[str, Any]:
    """A row of `PREDICTIONS` without its source."""
    return {
        "post_id": made.post_id,
        "event_timestamp": made.predicted_at.astimezone(UTC),
        "created_timestamp": created,
        "prediction_id": made.prediction_id,
        "model_version": made.model_version,
        "label": made.label,
        "labels": list(made.probabilities),
        "probabilities": list(made.probabilities.values()),
        "text_weight": made.gate,
        "modalities": made.modalities,
        "flags": made.flags,
        "latency_ms": made.latency_ms,
        **{name: made.quality.get(name) for name in QUALITY_COLUMNS},
    }


def _with_source(rows: pa.Table, posts: Sequence[Post]) -> pa.Table:
    for name in SOURCE:
        field = POSTS.field(name)
        values = [getattr(post.record, name) for post in posts]
        rows = rows.append_column(field, pa.array(values, field.type))
    return rows
