"""Columns of the lake's tables, and the one place that names them."""

import pyarrow as pa

from covla.posts.quality import IMAGE_QUALITY, TEXT_QUALITY

# Feast's DuckDB engine refuses nanoseconds.
TIME = pa.timestamp("us", tz="UTC")
VECTOR = pa.list_(pa.float32())

TEXT_COLUMNS = tuple(f"text_{name}" for name in TEXT_QUALITY)
IMAGE_COLUMNS = tuple(f"image_{name}" for name in IMAGE_QUALITY)
QUALITY_COLUMNS = TEXT_COLUMNS + IMAGE_COLUMNS

_KEY = [("post_id", pa.string()), ("event_timestamp", TIME), ("created_timestamp", TIME)]
# Where the row came from: what makes a replay overwrite and not add.
_SOURCE = [("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64())]

# Follows the topic in rows that are encoded again; no topic of Kafka has it in its name.
AGAIN = "@"
POSTS = pa.schema(
    [
        *_KEY,
        ("posted_at", pa.int64()),  # event_timestamp as microseconds since 1970, a feature
        ("author_hash", pa.string()),
        ("text", pa.string()),
        ("lang", pa.string()),
        ("hashtags", pa.list_(pa.string())),
        ("text_hash", pa.string()),
        ("image_hash", pa.string()),
        # Of `perceptual_hash`; null without an image, and in rows of an earlier release.
        ("image_perceptual_hash", pa.binary()),
        ("image_uri", pa.string()),
        ("has_text", pa.bool_()),
        ("has_image", pa.bool_()),
        *((name, pa.float64()) for name in QUALITY_COLUMNS),
        ("text_embedding", VECTOR),
        ("image_embedding", VECTOR),
        ("encoder_id", pa.string()),
        # When the post came, in a row that `features.reencode` wrote later; else null.
        ("came_at", TIME),
        *_SOURCE,
    ]
)
LABELS = pa.schema([*_KEY, ("label", pa.string()), ("source", pa.string()), *_SOURCE])
# event_timestamp is when the prediction was made. `probabilities` are in the order of `labels`: two
# versions may have other ones.
BACKFILL = "backfill"  # in place of the topic, of rows that no stream worker made
PREDICTIONS = pa.schema(
    [
        *_KEY,
        ("prediction_id", pa.string()),
        ("model_version", pa.string()),
        ("label", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("probabilities", VECTOR),
        ("text_weight", pa.float64()),  # `gate` on the wire
        ("modalities", pa.list_(pa.string())),
        ("flags", pa.list_(pa.string())),
        ("latency_ms", pa.float64()),
        *((name, pa.float64()) for name in QUALITY_COLUMNS),
        *_SOURCE,
    ]
)
TEACHER = pa.schema([*_KEY, ("teacher", VECTOR), ("teacher_id", pa.string())])
QUARANTINE = pa.schema([*_KEY, ("reasons", pa.list_(pa.string())), ("window", pa.string())])
# Of a validated time range; event_timestamp is its start, created_timestamp what it was read as of.
VERDICTS = pa.schema(
    [
        ("event_timestamp", TIME),
        ("created_timestamp", TIME),
        ("end", TIME),
        ("blocked", pa.bool_()),
        ("reasons", pa.list_(pa.string())),
    ]
)
# A row a dead letter of ingest; event_timestamp is the Kafka timestamp of the record that failed.
DEAD_LETTERS = pa.schema(
    [
        ("event_timestamp", TIME),
        ("created_timestamp", TIME),
        ("stage", pa.string()),
        ("error_code", pa.string()),
        *_SOURCE,
    ]
)
HASHTAGS = pa.schema(
    [
        ("hashtag", pa.string()),
        ("event_timestamp", TIME),
        ("created_timestamp", TIME),
        ("posts", pa.int64()),
        ("labelled", pa.int64()),
        ("prior", VECTOR),
    ]
)
SCHEMAS = {
    "posts": POSTS,
    "labels": LABELS,
    "predictions": PREDICTIONS,
    "teacher": TEACHER,
    "quarantine": QUARANTINE,
    "verdicts": VERDICTS,
    "dead_letters": DEAD_LETTERS,
    "hashtags": HASHTAGS,
}
