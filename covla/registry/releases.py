"""Reading the registry: its versions, who serves, and why each one went in or stayed out.

A server is read over HTTP, so that what serves needs no MLflow; a SQLite file by MLflow itself.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from covla.errors import CovlaError
from covla.registry import artifacts, mlflow_client, mlflow_http
from covla.registry.model_folder import verify
from covla.settings import Settings

NAME = "covla"
ALIASES = ("champion", "challenger", "previous", "canary", "shadow")
_TAGS = (  # of a `Release`, under the same names in MLflow
    "gate",
    "gate_report",
    "forced",
    "promoted_at",
    "replaced",
    "rolled_back_at",
    "rejected_reason",
    "canary_weight",
    "canary_since",
    "shadow_since",
)


@dataclass(frozen=True)
class Release:
    """A version as `covla releases` lists it; parameters and tags are None where it has none.

    `gate` is the gate's verdict, "passed" or "failed", or "rejected" or "rolled back" after a
    rollback; `gate_reasons` is why, and `gate_report` the page, as an address of MLflow.
    `promoted_at` is when it last became the champion (ISO 8601), `replaced` the version that was
    the champion before it, `rejected_reason` why it was taken back. `canary_weight` is its share of
    the posts as a canary, 0 to 1, and `canary_since` and `shadow_since` are when it became one.
    """

    version: str
    aliases: list[str]
    digest: str
    created_at: datetime
    window: str | None
    posts_folder: str | None
    preset: str | None
    seed: str | None
    arch: str | None
    teacher: str | None
    metrics: dict[str, float]
    gate: str | None
    gate_reasons: list[str]
    gate_report: str | None
    forced: str | None
    promoted_at: str | None
    replaced: str | None
    rolled_back_at: str | None
    rejected_reason: str | None
    canary_weight: str | None
    canary_since: str | None
    shadow_since: str | None


@dataclass(frozen=True)
class Version:
    """A complete version, as MLflow has it."""

    number: int
    run_id: str
    tags: dict[str, str]
    created: datetime

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the folder's manifest."""
        return self.tags["digest"]


class ReadOnlyRegistry:
    """The registry of one state folder or MLflow server. Cheap to make; safe in several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def _versions(self) -> list[Version]:
        """Complete versions, oldest first. Of two with one digest, only the first counts: that
        decides a race of two writers on different machines (see `Registry.register`)."""
        if not mlflow_client.is_initialised(self.settings):
            return []
        first: dict[str, Version] = {}
        for row in sorted(self._rows(), key=lambda row: int(row.version)):
            if "digest" in row.tags:
                created = datetime.fromtimestamp(row.creation_timestamp / 1000, UTC)
                version = Version(int(row.version), row.run_id, dict(row.tags), created)
                first.setdefault(version.digest, version)
        return list(first.values())

    def _rows(self) -> list[Any]:
        if mlflow_http.is_server(self.settings):
            return list(mlflow_http.model_versions(NAME, self.settings))
        store = mlflow_client.client(self.settings)
        rows: list[Any] = []
        token = None
        with mlflow_client.translate_mlflow_errors(self.settings):
            while True:
                page = store.search_model_versions(
                    f"name = '{NAME}'", max_results=200, page_token=token
                )
                rows += page
                token = page.token
                if not token:
                    return rows

    def _find(self, version: str) -> Version:
        versions = self._versions()
        for found in versions:
            if str(found.number) == str(version):
                return found
        known = ", ".join(str(found.number) for found in versions) or "none"
        raise CovlaError(
            f"no version {version!r} in the registry; there are: {known}",
            hint="See `covla releases`, or give a model folder",
        )

    def tags(self, version: str) -> dict[str, str]:
        """The tags of a version.

        Raises:
            CovlaError: no such version.
            ServiceUnavailable: the registry does not answer.
        """
        return self._find(version).tags

    def aliases(self) -> dict[str, str]:
        """Alias to version, those that are set."""
        if not mlflow_client.is_initialised(self.settings) or not self._versions():
            return {}
        if mlflow_http.is_server(self.settings):
            return mlflow_http.aliases(NAME, self.settings)
        store = mlflow_client.client(self.settings)
        with mlflow_client.translate_mlflow_errors(self.settings):
            found = store.get_registered_model(NAME).aliases
        return {name: str(version) for name, version in found.items()}

    def champion(self) -> str | None:
        """The version that serves, or None while none was promoted."""
        return self.aliases().get("champion")

    def releases(self) -> list[Release]:
        """Every version, newest first: number, aliases, metrics, where it comes from, its gate."""
        current = self.aliases()
        store = mlflow_client.client(self.settings) if current or self._versions() else None
        rows = []
        for version in reversed(self._versions()):
            assert store is not None
            with mlflow_client.translate_mlflow_errors(self.settings):
                run = store.get_run(version.run_id).data
            number, tags = str(version.number), version.tags
            rows.append(
                Release(
                    version=number,
                    aliases=[a for a in ALIASES if current.get(a) == number],
                    digest=version.digest,
                    created_at=version.created,
                    **{key: run.params.get(key) for key in artifacts.DESCRIBES},
                    metrics=dict(run.metrics),
                    gate_reasons=tags.get("gate_reasons", "").splitlines(),
                    **{key: tags.get(key) for key in _TAGS},
                )
            )
        return rows

    def resolve(self, ref: str | Path) -> tuple[str, Path]:
        """A reference to a version and a verified folder with its files.

        Args:
            ref: an alias, such as champion or previous, a version number, or a model folder
                (whose version is the start of its digest).

        Raises:
            CovlaError: no such version, an alias that is not set, or files that do not match
                their manifest.
            ServiceUnavailable: the registry does not answer.
        """
        if ref not in ALIASES and not str(ref).isdigit():
            return verify(Path(ref))[:12], Path(ref)
        number = str(ref)
        if number in ALIASES:
            found = self.aliases().get(number)
            if found is None:
                raise CovlaError(
                    f"there is no {number} yet",
                    hint="Train and promote one: `covla train ... --out FOLDER`, then "
                    "`covla promote FOLDER ...`",
                )
            number = found
        version = self._find(number)
        return number, artifacts.fetch(version.run_id, version.digest, self.settings)
