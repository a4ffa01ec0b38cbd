"""The wire contract of the alerts topic: what was found, since when, how sure, where to look."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from covla.errors import PostError
from covla.schemas.contract import Contract, PostId, Timestamp, json_object

Kind = Literal["drift", "release", "validation", "task"]
AlertId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
EXAMPLES = 3
EXCERPT = 120  # characters of an example's text
SUMMARY = 1_000  # characters


class Example(BaseModel):
    """A post that shows what the alert is about."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    post_id: PostId
    text: str = Field("", max_length=EXCERPT, description="The beginning of its text")


class Alert(Contract):
    """The record, keyed by alert_id. It comes when the alert opens and again when it closes; a
    repeat has the same alert_id and state."""

    schema_version: Literal[2] = 2  # type: ignore[assignment]
    alert_id: AlertId
    kind: Kind = Field(
        description="drift: a modality drifted; release: a bad version was taken back; "
        "validation: a time range was blocked; task: a task of Airflow failed"
    )
    subject: str = Field(
        min_length=1, max_length=300, description="A modality, a model version, or DAG.TASK"
    )
    state: Literal["open", "closed"]
    summary: str = Field(min_length=1, max_length=SUMMARY)
    since: Timestamp = Field(description="When it began: the start of `window`, or its opening")
    created_at: Timestamp = Field(description="The time that this record stands for")
    confidence: str | None = Field(
        None, max_length=300, description="How sure it is: a p-value or the like, in words"
    )
    window: str | None = Field(None, description="START/END by event time, RFC 3339")
    reference: str | None = Field(None, description="The model version that was compared with")
    scores: dict[str, float | None] = Field({}, description="By modality; null: not measured")
    examples: list[Example] = Field([], max_length=EXAMPLES)
    report: str | None = Field(None, max_length=2_000, description="Address or path of the report")
    run: str | None = Field(
        None, description="DAG/RUN of Airflow that raised it, and acts on it by itself"
    )


class AlertV1(BaseModel):
    """Version 1, which is read and no longer written: drift alone, and only that it began."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = 1
    alert_id: AlertId
    kind: Literal["drift"]
    modality: Literal["text", "image", "agreement", "missing"]
    window: str = Field(description="START/END by event time, RFC 3339")
    reference: str = Field(description="The model version or folder that was compared with")
    scores: dict[str, float | None] = Field(description="Score per modality; null: not measured")
    created_at: AwareDatetime


def read_alert(raw: bytes | None) -> Alert:
    """An alert of either version from a message value.

    Raises:
        PostError: it cannot be read, or is of another version; it names the field.
    """
    if raw is None:
        raise PostError("message", "empty", "the value is null; expected a JSON object")
    value = json_object(raw)
    version = value.get("schema_version", 1)
    if version == 1:
        return Alert.from_dict(_version_2(value))
    if version != 2:
        raise PostError(
            "schema_version", "unknown_version", f"{version!r}; this reader knows alerts of 1 and 2"
        )
    return Alert.from_dict(value)


def _version_2(value: dict[str, Any]) -> dict[str, Any]:
    kept = ("alert_id", "kind", "window", "reference", "scores", "created_at")
    modality, window = value.get("modality"), value.get("window")
    return {name: value[name] for name in kept if name in value} | {
        "schema_version": 2,
        "subject": modality,
        "state": "open",
        "summary": f"{modality} drifted",
        "since": str(window).partition("/")[0],
    }
