"""Entities, views and the feature service. Every source is a glob of the lake."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pandas as pd

from covla.settings import Settings
from features.feast_api import (
    Array,
    Bool,
    Entity,
    FeatureService,
    FeatureView,
    Field,
    FileSource,
    Float32,
    Float64,
    Int64,
    String,
    ValueType,
    on_demand_feature_view,
)
from features.lake import Lake
from features.tables import QUALITY_COLUMNS

SERVICE = "covla_v1"
CONTENT = {
    "posted_at": Int64,
    "author_hash": String,
    "text": String,
    "lang": String,
    "hashtags": Array(String),
    "text_hash": String,
    "image_hash": String,
    "image_uri": String,
    "has_text": Bool,
    "has_image": Bool,
}
EMBEDDINGS = {
    "text_embedding": Array(Float32),
    "image_embedding": Array(Float32),
    "encoder_id": String,
}
PREDICTION = {
    "prediction_id": String,
    "model_version": String,
    "label": String,
    "labels": Array(String),
    "probabilities": Array(Float32),
    "text_weight": Float64,
    "modalities": Array(String),
    "flags": Array(String),
    "latency_ms": Float64,
    **dict.fromkeys(QUALITY_COLUMNS, Float64),
}
HASHTAG = {"posts": Int64, "labelled": Int64, "prior": Array(Float32)}
# view -> (table of the lake, features, whether serving reads it)
POST_VIEWS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "post_content": ("posts", CONTENT, True),
    "post_quality": ("posts", dict.fromkeys(QUALITY_COLUMNS, Float64), True),
    # Nothing reads them online; they would cost 0.2 ms and 10 KiB a post in SQLite.
    "post_embeddings": ("posts", EMBEDDINGS, False),
    "post_label": ("labels", {"label": String, "source": String}, True),
    "teacher": ("teacher", {"teacher": Array(Float32), "teacher_id": String}, False),
}


def hashtag_window(settings: Settings) -> timedelta:
    """How far back a hashtag's count and prior reach, and how old a prior may be."""
    return timedelta(hours=settings.train_window_hours)


def definitions(settings: Settings, *, sources: Mapping[str, str] | None = None) -> list[Any]:
    """Everything that `FeatureStore.apply` takes.

    Args:
        settings: where the lake is.
        sources: table -> another Parquet file or glob than the lake's, such as a snapshot's.
    """
    lake = Lake(settings)
    post = Entity(name="post", join_keys=["post_id"], value_type=ValueType.STRING)
    tag = Entity(name="hashtag", join_keys=["hashtag"], value_type=ValueType.STRING)
    names = ("posts", "labels", "teacher", "hashtags", "predictions")
    tables = {name: _source(name, (sources or {}).get(name, lake.glob(name))) for name in names}
    views = [
        _view(name, post, tables[table], features, online=online)
        for name, (table, features, online) in POST_VIEWS.items()
    ]
    priors = _view(
        "hashtag",
        tag,
        tables["hashtags"],
        HASHTAG,
        online=True,
        ttl=hashtag_window(settings),
    )
    # Of live quality alone: no model is trained on what a model predicted.
    prediction = _view(
        "prediction",
        post,
        tables["predictions"],
        PREDICTION,
        online=False,
    )
    clock = _clock(views[0])
    service = FeatureService(name=SERVICE, features=[*views, clock])
    return [post, tag, *views, priors, prediction, clock, service]


def _source(name: str, path: str) -> FileSource:
    return FileSource(
        name=name,
        path=path,
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )


def _view(
    name: str,
    entity: Entity,
    source: FileSource,
    features: dict[str, Any],
    *,
    online: bool,
    ttl: timedelta = timedelta(0),
) -> FeatureView:
    key = Field(name=entity.join_key, dtype=String)
    fields = [Field(name=feature, dtype=dtype) for feature, dtype in features.items()]
    return FeatureView(
        name=name, entities=[entity], source=source, schema=[key, *fields], online=online, ttl=ttl
    )


def _clock(content: FeatureView) -> Any:
    names = ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos")

    @on_demand_feature_view(  # type: ignore[untyped-decorator]
        sources=[content[["posted_at"]]],
        schema=[Field(name=name, dtype=Float64) for name in names],
        mode="pandas",
    )
    def post_clock(inputs: pd.DataFrame) -> pd.DataFrame:
        """Hour of day and weekday (UTC) as points on a circle."""
        # Feast keeps this function in its registry and runs it elsewhere: it brings its imports.
        import numpy as np
        import pandas as pd

        # In whole minutes since 1970, a Thursday: pandas' own times end in 2262.
        minute = inputs["posted_at"].astype("Float64") // 60_000_000
        hour = (2 * np.pi * (minute % 1440) / 1440).astype(float)
        day = (2 * np.pi * ((minute // 1440 + 3) % 7) / 7).astype(float)
        return pd.DataFrame(
            {
                "hour_sin": np.sin(hour),
                "hour_cos": np.cos(hour),
                "weekday_sin": np.sin(day),
                "weekday_cos": np.cos(day),
            }
        )

    return post_clock
