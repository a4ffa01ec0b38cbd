"""The result of a demo, and the tables at its end: what happened, and which pages to open."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class DemoResult:
    """What `covla demo` prints; accuracy is of labelled posts of the stream."""

    champion_before: str
    accuracy_before: float
    rest_status: int
    rest_equals_stream: bool
    accuracy_drifted: float
    drift_modality: str | None
    champion_after: str
    accuracy_after: float
    posts_published: int
    posts_ingested: int
    predictions: int
    dead_letters: int
    seconds: float


def show(result: DemoResult, pages: dict[str, str]) -> None:
    """Print both tables to stderr."""
    console = Console(stderr=True)
    table = Table(title="What happened", title_justify="left", show_header=False)
    for title, key in ROWS:
        value = getattr(result, key)
        table.add_row(title, f"{value:.3f}" if key.startswith("accuracy") else str(value))
    console.print(table)
    where = Table(title="Pages", title_justify="left", show_header=False)
    for name, title in PAGES.items():
        if name in pages:
            where.add_row(title, pages[name])
    console.print(where)
