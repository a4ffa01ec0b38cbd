"""One run of the drift monitor: a window in, the verdict and its two files out."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import orjson
import pandas as pd

from covla.files import write_bytes_aside
from covla.inference.text_image_similarity import WIDTHS, Agreement
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring import drift, quality
from monitoring.columns import compare
from monitoring.sides import check, stack


def watch(
    window: TimeRange,
    rows: pd.DataFrame,
    version: str,
    reference: pd.DataFrame,
    settings: Settings,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Compare, judge, write `<reports>/drift-<window>/report.html` and `.json`, and show it in
    the workspace `<state>/evidently`. The same rows give the same result.

    Raises:
        CovlaError: as `columns.check`.
    """
    check(rows, reference)
    say(f"drift: {len(rows)} posts against {len(reference)} of model {version}")
    comparison = compare(rows, reference, _agreement(rows, settings))
    from monitoring import report  # Evidently takes seconds to import

    limits = drift.thresholds(comparison)
    named = {"window": str(window), "reference": version}
    p_values, snapshot = report.run(comparison, limits, at=window.end, metadata=named)
    verdict = drift.judge(comparison, p_values)
    folder = settings.reports / f"drift-{window.slug}"
    found = {
        **named,
        "drift": verdict.drift,
        "drift_modality": verdict.drift_modality,
        "alpha": verdict.alpha,
        "rows": {"window": len(rows), "reference": len(reference)},
        "scores": verdict.scores,
        "modalities": {name: asdict(one) for name, one in verdict.modalities.items()},
        "untested": comparison.untested,
        "noise": [asdict(row) for row in quality.noise(comparison)],
        "report": str(folder / "report.html"),
    }
    snapshot.set_name(f"drift: {verdict.drift_modality}" if verdict.drift else "no drift")
    report.write_html(folder / "report.html", snapshot, found)
    report.publish(settings.state.absolute() / "evidently", snapshot, "\0".join(named.values()))
    write_bytes_aside(folder / "report.json", orjson.dumps(found, option=orjson.OPT_INDENT_2))
    return found


def _agreement(rows: pd.DataFrame, settings: Settings) -> Agreement | None:
    """The signal, or None where the features are not those of the `base` encoders."""
    both = rows.dropna(subset=["text_embedding", "image_embedding"]).head(1)
    if both.empty:
        return None
    widths = tuple(stack(both[name]).shape[1] for name in ("text_embedding", "image_embedding"))
    return Agreement.load(settings) if widths == WIDTHS else None
