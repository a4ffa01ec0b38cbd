"""The table at the end of the demo: what happened, and where to look."""

from typing import Any

from rich.console import Console
from rich.table import Table

ROWS = (
    ("posts published", "posts_published"),
    ("posts ingested into the feature store", "posts_ingested"),
    ("predictions", "predictions"),
    ("dead letters", "dead_letters"),
    ("first champion", "champion_before"),
    ("accuracy before the drift", "accuracy_before"),
    ("drifted modality, as found", "drift_modality"),
    ("accuracy after the drift", "accuracy_drifted"),
    ("champion after the retrain", "champion_after"),
    ("accuracy after the retrain", "accuracy_after"),
    ("REST answers as the stream does", "rest_equals_stream"),
    ("seconds", "seconds"),
)
PAGES = {
    "rest": "the page, and REST",
    "airflow": "Airflow",
    "mlflow": "MLflow",
    "evidently": "Evidently",
}


def show(outcome: dict[str, Any], pages: dict[str, str]) -> None:
    """Print both tables to stderr."""
    console = Console(stderr=True)
    table = Table(title="What happened", title_justify="left", show_header=False)
    for title, key in ROWS:
        value = outcome[key]
        table.add_row(title, f"{value:.3f}" if key.startswith("accuracy") else str(value))
    console.print(table)
    where = Table(title="Where to look", title_justify="left", show_header=False)
    for name, title in PAGES.items():
        if name in pages:
            where.add_row(title, pages[name])
    console.print(where)
