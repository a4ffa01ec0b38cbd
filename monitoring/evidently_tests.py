"""Our two-sample tests inside Evidently, so that its report shows what decides."""

from typing import Any

import pandas as pd
from evidently import Report  # noqa: F401  its modules import each other; this one comes first
from evidently.core.metric_types import SingleValue, SingleValueCalculation, SingleValueMetric
from evidently.core.report import Context
from evidently.legacy.calculations.stattests import StatTest, register_stattest
from evidently.legacy.core import ColumnType
from evidently.legacy.renderers.html_widgets import CounterData, counter

from monitoring.two_samples import homogeneity, mmd_p_value

CATEGORIES = "homogeneity"  # the name under which ValueDrift finds it


def _run(
    reference: pd.Series, current: pd.Series, kind: ColumnType, threshold: float
) -> tuple[float, bool]:
    p_value = homogeneity(reference, current)
    return p_value, p_value < threshold


register_stattest(
    StatTest(
        name=CATEGORIES,
        display_name="Fisher / chi-square p_value",
        allowed_feature_types=[ColumnType.Categorical],
        default_threshold=0.05,
    ),
    _run,
)


class EmbeddingDrift(SingleValueMetric):  # type: ignore[misc]
    """Drift of the columns `prefix_01 ...`, rows without them left out.

    Evidently's own draws a t-SNE of every row and cannot leave rows out.
    """

    prefix: str
    threshold: float


class EmbeddingDriftCalculation(SingleValueCalculation[EmbeddingDrift]):  # type: ignore[misc]
    """Found by Evidently through its type argument."""

    def calculate(self, context: Context, current_data: Any, reference_data: Any) -> SingleValue:
        prefix = self.metric.prefix
        current, reference = (
            side.as_dataframe().filter(regex=rf"^{prefix}_\d+$").dropna().to_numpy()
            for side in (current_data, reference_data)
        )
        p_value = mmd_p_value(reference, current)
        outcome = "detected" if p_value < self.metric.threshold else "not detected"
        result = self.result(p_value)
        label = f"Drift {outcome}. MMD permutation test, p-value {p_value:.4f}"
        result.widget = [counter(title="", counters=[CounterData(label, self.display_name())])]
        return result

    def display_name(self) -> str:
        return f"Drift in {self.metric.prefix}"


class ModalityDrift(SingleValueMetric):  # type: ignore[misc]
    """Percent of a modality's tests that found drift, for the plot over time: the page writes 0
    beside a fraction that has not changed yet.

    Evidently's own counts the columns of all modalities together, and no embedding.
    """

    modality: str
    limits: dict[str, float]  # column or embedding -> p-value under which it drifted


class ModalityDriftCalculation(SingleValueCalculation[ModalityDrift]):  # type: ignore[misc]
    """From the p-values that the metrics before it in the report found."""

    def calculate(self, context: Context, current_data: Any, reference_data: Any) -> SingleValue:
        p_values = {}
        for key, value in context._metrics.items():
            metric = context.get_metric(key).metric
            name = getattr(metric, "column", None) or getattr(metric, "prefix", None)
            if name in self.metric.limits:
                p_values[name] = float(value.value)
        drifted = [name for name, limit in self.metric.limits.items() if p_values[name] < limit]
        result = self.result(100 * len(drifted) / len(self.metric.limits))
        label = f"{len(drifted)} of {len(self.metric.limits)} tests of {self.metric.modality}"
        result.widget = [counter(title="", counters=[CounterData(label, self.display_name())])]
        return result

    def display_name(self) -> str:
        return f"Drifted tests of {self.metric.modality}, in percent"
