"""One run of the drift monitor: a time range in; a report, its files, and maybe an alert out."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

import orjson
import pandas as pd

from covla.files import write_bytes_aside
from covla.inference.text_image_similarity import WIDTHS, Agreement
from covla.registry.reference import reference_rows
from covla.schemas.alert import Alert
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring import drift, quality
from monitoring.alerts import drift_alert, send, will_alert
from monitoring.columns import compare
from monitoring.drift import DriftReport
from monitoring.rows import window_rows
from monitoring.sides import EMBEDDINGS, check, stack


def monitor(
    window: TimeRange,
    ref: str,
    settings: Settings,
    *,
    as_of: datetime | None = None,
    alert: bool | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> tuple[DriftReport, Alert | None]:
    """`watch` on the lake's rows and the training rows of model `ref`; then the alert, if it is
    sent: where there is drift and `alerts.will_alert` allows it. `as_of` is when the lake is read.

    Raises:
        CovlaError: no such model, or as `sides.check`.
        ServiceUnavailable: an alert is wanted, and Kafka does not take it.
    """
    alerting = will_alert(alert, settings, log)
    version, reference = reference_rows(ref, settings)
    rows = window_rows(window, settings, as_of)
    result = watch(window, rows, version, reference, settings, log=log)
    if result.drift_modality is None or not alerting:
        return result, None
    record = drift_alert(window, version, result.drift_modality, result.scores)
    send(record, settings)
    return result, record


def watch(
    window: TimeRange,
    rows: pd.DataFrame,
    version: str,
    reference: pd.DataFrame,
    settings: Settings,
    *,
    log: Callable[[str], None] = lambda _: None,
) -> DriftReport:
    """Compare, test, write `<reports>/drift-<window>/report.html` and `.json`, and publish it in
    the workspace `<state>/evidently`. The same rows give the same result.

    Raises:
        CovlaError: as `sides.check`.
    """
    check(rows, reference)
    log(f"drift: {len(rows)} posts against {len(reference)} of model {version}")
    comparison = compare(rows, reference, _agreement(rows, settings))
    from monitoring import report  # Evidently takes seconds to import

    limits = drift.thresholds(comparison)
    metadata = {"window": str(window), "reference": version}
    p_values, snapshot = report.run(comparison, limits, at=window.end, metadata=metadata)
    decision = drift.evaluate(comparison, p_values, limits)
    folder = settings.reports / f"drift-{window.slug}"
    result = DriftReport(
        **metadata,
        drift=decision.drift,
        drift_modality=decision.drift_modality,
        alpha=drift.ALPHA,
        rows={"window": len(rows), "reference": len(reference)},
        scores={name: one.score for name, one in decision.modalities.items()},
        modalities=decision.modalities,
        untested=comparison.untested,
        noise=quality.noise(comparison),
        report=str(folder / "report.html"),
    )
    snapshot.set_name(f"drift: {result.drift_modality}" if result.drift else "no drift")
    report.write_html(folder / "report.html", snapshot, result)
    report.publish(settings.state.absolute() / "evidently", snapshot, "\0".join(metadata.values()))
    body = orjson.dumps(asdict(result), option=orjson.OPT_INDENT_2)
    write_bytes_aside(folder / "report.json", body)
    return result


def _agreement(rows: pd.DataFrame, settings: Settings) -> Agreement | None:
    """The similarity function, or None where the features are not those of the `base` encoders."""
    both = rows.dropna(subset=[*EMBEDDINGS]).head(1)
    if both.empty:
        return None
    widths = tuple(stack(both[name]).shape[1] for name in EMBEDDINGS)
    return Agreement.load(settings) if widths == WIDTHS else None
