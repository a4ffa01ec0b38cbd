"""The wire contracts as JSON Schemas, for producers and readers in other languages."""

from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from covla.schemas.alert import Alert, AlertV1
from covla.schemas.label import PostLabel
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction

DEAD_LETTER_HEADERS = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "DeadLetterHeaders",
    "description": "Headers of a dead letter; its key and value are the original record's bytes, "
    "unless left-out says how many bytes of value only lie at the source.",
    "type": "object",
    "properties": {
        "source-topic": {"type": "string"},
        "source-partition": {"type": "string", "pattern": "^[0-9]+$"},
        "source-offset": {"type": "string", "pattern": "^[0-9]+$"},
        "error-class": {"type": "string"},
        "error-field": {"type": "string"},
        "error-message": {"type": "string", "maxLength": 1000},
        "stage": {"enum": ["parse", "decode", "label", "predict", "store"]},
        "code-version": {"type": "string"},
        "replays": {"type": "string", "pattern": "^[0-9]+$"},
        "left-out": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "required": [
        "source-topic", "source-partition", "source-offset", "error-class", "error-message",
        "stage", "code-version",
    ],
}  # fmt: skip


def schemas() -> dict[str, dict[str, Any]]:
    """Contract name -> JSON Schema."""
    models: dict[str, type[BaseModel]] = {
        "social_post": SocialPost,
        "post_label": PostLabel,
        "prediction": Prediction,
        "alert": Alert,
        "alert_v1": AlertV1,
    }
    built: dict[str, dict[str, Any]] = {
        name: {"$schema": DEAD_LETTER_HEADERS["$schema"], **model.model_json_schema()}
        for name, model in models.items()
    }
    return built | {"dead_letter_headers": DEAD_LETTER_HEADERS}


def write(folder: Path) -> list[Path]:
    """Write one `NAME.schema.json` per contract; the same bytes for the same code."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, schema in schemas().items():
        path = folder / f"{name}.schema.json"
        path.write_bytes(
            orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
        paths.append(path)
    return paths
