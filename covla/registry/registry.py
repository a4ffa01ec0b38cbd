"""Model versions and who serves: MLflow registered model "covla", aliases champion, challenger
and previous.

A version is one MLflow run (metrics, parameters, tags) with the model folder as its artifact. The
version itself is made last, after the stored artifact was held against its manifest, so that a
writer that dies on the way leaves nothing that a reader can see.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from covla.errors import CovlaError, Refused
from covla.registry import artifacts, mlflow_client
from covla.registry.model_folder import verify
from covla.settings import Settings
from covla.times import now

NAME = "covla"
ALIASES = ("champion", "challenger", "previous")
_TAGS = ("gate", "forced", "promoted_at", "rolled_back_at")  # of a `Release`


@dataclass(frozen=True)
class Release:
    """A version as `covla releases` lists it; parameters and tags are None where it has none."""

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
    forced: str | None
    promoted_at: str | None
    rolled_back_at: str | None


class RolledBack(NamedTuple):
    """What `rollback` did: the version that serves again, and the one that was taken back."""

    champion: str
    rolled_back: str


@dataclass(frozen=True)
class _Version:
    number: int
    run_id: str
    tags: dict[str, str]
    created: datetime

    @property
    def digest(self) -> str:
        return self.tags["digest"]


class Registry:
    """The registry of one state folder or MLflow server. Cheap to make; safe in several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    # Reading

    def _versions(self) -> list[_Version]:
        """Complete versions, oldest first. Of two with one digest, only the first counts: that
        decides a race of two writers on different machines (see `register`)."""
        if not mlflow_client.is_initialised(self.settings):
            return []
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
                    break
        first: dict[str, _Version] = {}
        for row in sorted(rows, key=lambda row: int(row.version)):
            if "digest" in row.tags:
                created = datetime.fromtimestamp(row.creation_timestamp / 1000, UTC)
                version = _Version(int(row.version), row.run_id, dict(row.tags), created)
                first.setdefault(version.digest, version)
        return list(first.values())

    def _find(self, version: str) -> _Version:
        versions = self._versions()
        for found in versions:
            if str(found.number) == str(version):
                return found
        known = ", ".join(str(found.number) for found in versions) or "none"
        raise CovlaError(
            f"no version {version!r} in the registry; there are: {known}",
            hint="See `covla releases`, or give a model folder",
        )

    def aliases(self) -> dict[str, str]:
        """Alias to version, those that are set."""
        if not mlflow_client.is_initialised(self.settings) or not self._versions():
            return {}
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
                    **{key: tags.get(key) for key in _TAGS},
                )
            )
        return rows

    def resolve(self, ref: str | Path) -> tuple[str, Path]:
        """A reference to a version and a verified folder with its files.

        Args:
            ref: champion, challenger, previous, a version number, or a model folder (whose
                version is the start of its digest).

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

    # Writing

    def register(self, folder: Path, metrics: Mapping[str, Any] | None = None) -> str:
        """Store a sealed model folder. The same folder digest always gives the same version.

        Processes of one state folder take turns by a lock. Writers on different machines may both
        store; the lower number wins for every reader, and the other writer removes its own.

        Args:
            folder: sealed by `model_folder.seal`.
            metrics: numbers to show; default: those of the folder's metrics.json.

        Raises:
            CovlaError: the folder is incomplete or changed.
            ServiceUnavailable: the registry does not answer.
        """
        found = verify(folder)
        with mlflow_client.lock(self.settings):
            for version in self._versions():
                if version.digest == found:
                    return str(version.number)
            mine = self._store(folder, found, metrics)
            winner = next(v.number for v in self._versions() if v.digest == found)
            if winner != mine:
                store = mlflow_client.client(self.settings)
                with mlflow_client.translate_mlflow_errors(self.settings):
                    run_id = store.get_model_version(NAME, str(mine)).run_id
                    store.delete_model_version(NAME, str(mine))
                    store.delete_run(run_id)
            return str(winner)

    def _store(self, folder: Path, found: str, metrics: Mapping[str, Any] | None) -> int:
        run_id = artifacts.store(folder, found, metrics, self.settings)
        store = mlflow_client.client(self.settings)
        with mlflow_client.translate_mlflow_errors(self.settings):
            self._ensure_model(store)
            source = f"runs:/{run_id}/{artifacts.PATH}"
            version = store.create_model_version(
                NAME, source, run_id=run_id, tags={"digest": found}
            )
        return int(version.version)

    def _ensure_model(self, store: Any) -> None:
        from mlflow.exceptions import MlflowException

        try:
            store.create_registered_model(NAME, description="Semantic location of social posts")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def tag(self, version: str, **tags: Any) -> None:
        """Write tags on a version; values become text."""
        store = mlflow_client.client(self.settings)
        with mlflow_client.translate_mlflow_errors(self.settings):
            for key, value in tags.items():
                store.set_model_version_tag(NAME, str(version), key, str(value))

    def challenge(self, version: str) -> None:
        """Name `version` the challenger: the one that is about to be compared."""
        self._find(version)
        self._set("challenger", version)

    def _set(self, alias: str, version: str | None) -> None:
        store = mlflow_client.client(self.settings)
        with mlflow_client.translate_mlflow_errors(self.settings):
            if version is None:
                store.delete_registered_model_alias(NAME, alias)
            else:
                store.set_registered_model_alias(NAME, alias, str(version))

    def promote(self, version: str, force: bool = False) -> str:
        """Make `version` the champion. Returns the version number.

        First `previous` is set to the old champion, then `champion` to the new one: each is one
        transaction, so a reader sees the old champion or the new one, never none. A process that
        dies between the two leaves the old champion serving, and the same call ends the work.

        Raises:
            Refused: the version has not passed the gate, and `force` is not given.
            CovlaError: no such version.
        """
        with mlflow_client.lock(self.settings):
            tags = self._find(version).tags
            held = self.aliases()
            if held.get("champion") == str(version):
                return str(version)
            if tags.get("gate") != "passed" and not force:
                what = "did not pass" if "gate" in tags else "has not been through"
                raise Refused(
                    f"version {version} {what} the gate",
                    hint=f"Run `covla promote {version} --posts DIR` (or --window), or --force",
                )
            self.tag(
                version,
                promoted_at=now().isoformat(),
                forced=str(force and tags.get("gate") != "passed").lower(),
            )
            if "champion" in held:
                self._set("previous", held["champion"])
            self._set("champion", str(version))
            if held.get("challenger") == str(version):
                self._set("challenger", None)
        return str(version)

    def rollback(self) -> RolledBack:
        """Let the previous champion serve again.

        `champion` is moved first, then `previous` is cleared: a second rollback, of two people
        at once, does not bring the bad version back.

        Raises:
            Refused: there is no previous version.
        """
        with mlflow_client.lock(self.settings):
            held = self.aliases()
            bad, good = held.get("champion"), held.get("previous")
            if bad is None or good is None or good == bad:
                raise Refused(
                    "there is no previous version to go back to",
                    hint="See `covla releases`; promote a version by its number",
                )
            self._set("champion", good)
            self._set("previous", None)
            self.tag(bad, rolled_back_at=now().isoformat(), gate="rolled back")
        return RolledBack(good, bad)
