"""Which encoders a model version works with, by the hash of their weights."""

from pathlib import Path

from covla.files import read_object


def encoder_id(folder: Path) -> str | None:
    """Of a model folder's towers; None where it does not say, as in an older release.

    Raises:
        CovlaError: its config.json cannot be read.
    """
    config = folder / "config.json"
    return (read_object(config).get("encoder_id") or None) if config.is_file() else None


def same_encoder(row: str | None, model: str) -> bool:
    """Whether a feature row's encoder_id is that of a model: the mark of a backend may follow."""
    return row is not None and row.startswith(model)
