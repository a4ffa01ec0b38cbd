"""The wire contract of the alerts topic: what a check of live data found."""

from typing import Annotated, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Alert(BaseModel):
    """The record, keyed by alert_id. The same finding on the same window has the same id."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = 1
    alert_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    kind: Literal["drift"]
    modality: Literal["text", "image", "agreement", "missing"]
    window: str = Field(description="START/END by event time, RFC 3339")
    reference: str = Field(description="The model version or folder that was compared with")
    scores: dict[str, float | None] = Field(description="Score per modality; null: not measured")
    created_at: AwareDatetime

    def to_json(self) -> bytes:
        """The message value: UTF-8 JSON, times in RFC 3339 UTC."""
        return orjson.dumps(self.model_dump(mode="json"))
