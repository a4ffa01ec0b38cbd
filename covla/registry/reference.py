"""The reference of a model version: the feature rows of its own training posts, from its folder.

Drift and validation compare new posts with it. `covla.training.drift_reference` writes it.
"""

from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from covla.errors import CovlaError, TooFew
from covla.registry.encoder_id import encoder_id
from covla.registry.registry import Registry
from covla.settings import Settings


def reference_rows(ref: str, settings: Settings) -> tuple[str, pd.DataFrame]:
    """The version that `ref` names and the feature rows that it was trained on.

    Raises:
        CovlaError: no such model, or it holds no reference rows.
        TooFew: it is the champion, and none was promoted yet.
    """
    registry = Registry(settings)
    if ref == "champion" and registry.champion() is None:
        raise TooFew("there is no champion yet to compare with", hint="Promote one")
    version, folder = registry.resolve(ref)
    return version, read_reference(folder)


def champion_at(as_of: datetime, settings: Settings) -> str | None:
    """The version that was champion at a time, or None; so that a late run compares with the same.

    It goes by the last promotion of each version: one that was promoted again after `as_of` does
    not count as champion before.
    """
    promoted = {
        datetime.fromisoformat(release.promoted_at): release.version
        for release in Registry(settings).releases()
        if release.promoted_at is not None
        and (
            release.rolled_back_at is None
            # One that was taken back and promoted again serves again.
            or datetime.fromisoformat(release.rolled_back_at) > as_of
            or release.rolled_back_at < release.promoted_at
        )
    }
    times = [at for at in promoted if at <= as_of]
    return promoted[max(times)] if times else None


def read_reference(folder: Path) -> pd.DataFrame:
    """`reference.parquet` of a model folder: post_id, label, lang, has_text, has_image, quality
    measures and embeddings of its training posts, a row each; `attrs["encoder_id"]` is of which
    encoders, or None where the model does not say.

    Raises:
        CovlaError: it is not there or cannot be read.
    """
    path = folder / "reference.parquet"
    if not path.is_file():
        raise CovlaError(
            f"{folder} has no reference.parquet to compare with",
            hint="Train a version with `covla train`; it keeps its training rows there",
        )
    try:
        rows = pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise CovlaError(f"cannot read {path}: {reason}", hint="Train the model again") from error
    rows.attrs["encoder_id"] = encoder_id(folder)
    return rows
