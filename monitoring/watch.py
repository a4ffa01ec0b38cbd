"""One run of the drift monitor: a time range in; a report, its files, and maybe an alert out."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

import orjson
import pandas as pd

from covla.files import write_bytes_aside
from covla.inference.text_image_similarity import WIDTHS, Agreement
from covla.registry.reference import reference_rows
from covla.schemas.alert import Example
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring import drift, quality
from monitoring.columns import compare
from monitoring.drift import DriftReport
from monitoring.drift_alerts import DriftAlert, alert_on
from monitoring.examples import examples
from monitoring.rows import window_rows
from monitoring.sides import EMBEDDINGS, check, stack


def monitor(
    window: TimeRange,
    ref: str,
    settings: Settings,
    *,
    as_of: datetime | None = None,
    alert: bool = True,
    run: str | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> tuple[DriftReport, DriftAlert]:
    """`watch` on the lake's rows and the training rows of model `ref`; then, with `alert`, what
    `alert_on` makes of it. `as_of` is when the lake is read, `run` who acts on drift by itself.

    An alert that cannot be sent is kept and sent later, and is no reason to fail.

    Raises:
        CovlaError: no such model, or as `sides.check`; or a kept alert cannot be read.
    """
    version, reference = reference_rows(ref, settings)
    rows = window_rows(window, settings, as_of)
    result = watch(window, rows, version, reference, settings, log=log)
    if not alert:
        return result, DriftAlert(None, False)

    def shown(modality: str) -> list[Example]:
        column = next(iter(result.modalities[modality].columns), None)
        return examples(rows, reference, column, window, settings)

    found = alert_on(result, window, settings, examples=shown, at=as_of, run=run)
    return result, found


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
