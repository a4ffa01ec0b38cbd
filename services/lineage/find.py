"""What a reference means: a version, a post or a prediction."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from covla.errors import CovlaError
from covla.registry.model_folder import MANIFEST
from covla.registry.releases import ALIASES
from covla.registry.stored import StoredVersion, stored_versions
from covla.settings import Settings
from services.lineage.post import PostLineage, post_lineage
from services.lineage.rows import Row, rows_of
from services.lineage.version import VersionLineage, folder_lineage, version_lineage

Kind = Literal["version", "post", "prediction"]


@dataclass(frozen=True)
class PredictionLineage:
    """A prediction, the version that made it, and its post. `version` is None where the registry
    has it no longer, `post` where the lake has no row of it."""

    prediction: Row
    version: VersionLineage | None
    post: PostLineage | None


def find(
    ref: str, settings: Settings, kind: Kind | None = None
) -> tuple[Kind, VersionLineage | PostLineage | PredictionLineage]:
    """The lineage of a reference: the first kind that knows it.

    Args:
        ref: an alias, a version number or a model folder; a prediction id; or a post id.
        settings: the registry and the lake.
        kind: look for no other.

    Raises:
        CovlaError: nothing is known of it.
        ServiceUnavailable: the registry does not answer.
    """
    versions = stored_versions(settings)
    if kind in (None, "version") and (version := _version(ref, versions, settings)):
        return "version", version
    if kind in (None, "prediction") and (
        rows := rows_of("predictions", "prediction_id", ref, settings)
    ):
        made = _version(str(rows[-1]["model_version"]), versions, settings)
        post = post_lineage(rows[-1]["post_id"], versions, settings)
        return "prediction", PredictionLineage(rows[-1], made, post)
    if kind in (None, "post") and (seen := post_lineage(ref, versions, settings)):
        return "post", seen
    raise CovlaError(
        f"nothing is known of {kind or 'a version, post or prediction'} {ref[:200]!r}",
        hint="See `covla releases` for versions; a post or prediction must be in the lake",
    )


def _version(ref: str, versions: list[StoredVersion], settings: Settings) -> VersionLineage | None:
    for version in versions:
        # A model that was served from a folder is known by the start of its digest.
        if ref in (version.version, *version.aliases, version.digest[:12]):
            return version_lineage(version, settings)
    if ref not in ALIASES and (Path(ref) / MANIFEST).is_file():
        return folder_lineage(Path(ref), settings)
    return None
