"""From a validation to an alert: a blocked time range trains no model until someone looks."""

from datetime import datetime

from covla.schemas.alert import EXAMPLES, Alert, Example
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.lake import Lake
from features.validation.run import Validation
from monitoring.alerts.hysteresis import observe
from monitoring.examples import excerpt

SUBJECT = "posts"


def alert_on_validation(
    validation: Validation,
    window: TimeRange,
    settings: Settings,
    *,
    at: datetime | None = None,
    run: str | None = None,
) -> Alert | None:
    """Open, keep or close the alert that time ranges are blocked; one without a post says nothing.

    Args:
        validation: of the time range.
        window: the time range.
        settings: the state folder, broker and webhook.
        at: the time that the run stands for; default: now.
        run: DAG/RUN of Airflow that raises it.

    Returns:
        What was opened or closed by it, or None.

    Raises:
        CovlaError: a kept alert cannot be read.
    """
    if not validation.rows:
        return None
    why = "; ".join(validation.failed)
    return observe(
        settings,
        kind="validation",
        subject=SUBJECT,
        window=window,
        found=not validation.success,
        open_after=1,  # it is no chance that a time range is blocked
        at=at or now(),
        summary=f"{validation.rows} posts are blocked and train no model: {why}",
        reference=validation.compared_with["champion"],
        examples=[] if validation.success else _examples(window, settings),
        report=validation.report,
        run=run,
    )


def _examples(window: TimeRange, settings: Settings) -> list[Example]:
    """Posts that were put aside first, then others, by id."""
    lake = Lake(settings)
    aside = set(lake.read("quarantine", window, ["post_id"])["post_id"].to_pylist())
    texts = {
        row["post_id"]: row["text"] or ""
        for row in lake.read("posts", window, ["post_id", "text"]).to_pylist()
    }
    order = sorted(texts, key=lambda post_id: (post_id not in aside, post_id))
    return [Example(post_id=one, text=excerpt(texts[one])) for one in order[:EXAMPLES]]
