"""Evidently: the tests themselves, the HTML a person reads, the workspace its UI shows."""

import re
import uuid
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import numpy as np
from evidently import DataDefinition, Dataset, Report
from evidently.core.report import Snapshot
from evidently.presets import DataDriftPreset
from evidently.sdk.models import PanelMetric, ProjectModel
from evidently.sdk.panels import line_plot_panel
from evidently.ui.workspace import Workspace

from covla.files import write_bytes_aside
from covla.html import render
from monitoring.columns import MODALITIES, Comparison
from monitoring.drift import DriftReport, tests
from monitoring.evidently_tests import CATEGORIES, EmbeddingDrift, ModalityDrift

PROJECT = "covla drift"
PANEL = "Drifted tests of each modality, in percent"
_NAMESPACE = uuid.UUID("b1f7a8f4-6f0e-5d57-9a2c-6a3f4b1d2c9e")  # of our projects and runs


def run(
    comparison: Comparison,
    thresholds: dict[str, float],
    *,
    at: datetime,
    metadata: dict[str, str] | None = None,
) -> tuple[dict[str, float], Snapshot]:
    """Test every column and embedding of `thresholds` at its own level.

    Args:
        comparison: the two sides.
        thresholds: test -> p-value under which it finds drift.
        at: the snapshot's time, which the UI plots over.
        metadata: what the UI shows beside it.

    Returns:
        Test -> p-value, and Evidently's snapshot.
    """
    embedded = [f"{modality}_embedding" for modality in comparison.embeddings]
    columns = [name for name in thresholds if name not in embedded]
    categorical = [name for name in columns if name in comparison.categorical]
    numerical = [name for name in columns if name not in comparison.categorical]
    embeddings = [EmbeddingDrift(prefix=name, threshold=thresholds[name]) for name in embedded]
    preset = DataDriftPreset(
        columns=columns,
        per_column_method=dict.fromkeys(numerical, "ks") | dict.fromkeys(categorical, CATEGORIES),
        per_column_threshold={name: thresholds[name] for name in columns},
        drift_share=1 / max(len(columns), 1),  # the headline: any column under its threshold
    )
    components = [name for names in comparison.embeddings.values() for name in names]
    definition = DataDefinition(
        numerical_columns=numerical + components, categorical_columns=categorical
    )
    current, reference = (
        Dataset.from_pandas(side[columns + components], data_definition=definition)
        for side in (comparison.current, comparison.reference)
    )
    modalities = [
        ModalityDrift(modality=modality, limits={name: thresholds[name] for name in names})
        for modality, names in tests(comparison).items()
    ]
    metrics = [*embeddings, *([preset] if columns else []), *modalities]
    report = Report(metrics, include_tests=False)
    # Its table of correlations divides by zero at a column that is constant on one side.
    with np.errstate(divide="ignore", invalid="ignore"):
        snapshot = report.run(current, reference, timestamp=at, metadata=metadata)
    p_values = {}
    for metric in snapshot.dict()["metrics"]:
        if name := metric["config"].get("column") or metric["config"].get("prefix"):
            p_values[name] = float(metric["value"])
    return {name: p_values[name] for name in thresholds}, snapshot


def write_html(path: Path, snapshot: Snapshot, result: DriftReport) -> None:
    """Evidently's page, self-contained, with our table on top."""
    page: str = snapshot.get_html_str(as_iframe=False)
    body = re.search(r"<body[^>]*>", page)
    at = body.end() if body else 0
    header = render("monitoring", "drift.html.j2", **asdict(result))
    write_bytes_aside(path, (page[:at] + header + page[at:]).encode())


def publish(folder: Path, snapshot: Snapshot, key: str) -> None:
    """Add the snapshot to the workspace `folder`; the same key replaces its earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(str(folder))
    project = project_id()
    if workspace.get_project(project) is None:
        workspace.add_project(
            ProjectModel(id=project, name=PROJECT, description="Each modality against training")
        )
    correct_dashboard(workspace)
    # `add_run` would draw a new id, and a second run of the same window would show twice.
    run_id = uuid.uuid5(_NAMESPACE, key)
    workspace.state.write_snapshot(project, run_id, snapshot.to_snapshot_model())


def project_id() -> uuid.UUID:
    """Of the one project in every workspace."""
    return uuid.uuid5(_NAMESPACE, PROJECT)


def correct_dashboard(workspace: Workspace) -> None:
    """The project's plots as they are now, whatever an earlier release has put there."""
    project = workspace.get_project(project_id())
    if project is None:
        return
    dashboard = project.dashboard
    if [panel.title for panel in dashboard.model().panels] == [PANEL]:
        return
    dashboard.clear_dashboard()
    drifted = [
        PanelMetric(
            legend=modality,
            metric=ModalityDrift.__get_type__(),
            metric_labels={"modality": modality},
        )
        for modality in MODALITIES
    ]
    dashboard.add_panel(line_plot_panel(title=PANEL, values=drifted))
