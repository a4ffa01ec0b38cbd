"""Model versions and who serves: MLflow registered model "covla", aliases champion, challenger
and previous. How they are read is in releases.py, and what is beside the champion in rollout.py.

A version is one MLflow run (metrics, parameters, tags) with the model folder as its artifact. The
version itself is made last, after the stored artifact was held against its manifest, so that a
writer that dies on the way leaves nothing that a reader can see.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from covla.errors import CovlaError, Refused
from covla.registry import artifacts, mlflow_client
from covla.registry.model_folder import verify
from covla.registry.releases import NAME, ReadOnlyRegistry
from covla.times import now

LONGEST_REASON = 500  # characters


class RolledBack(NamedTuple):
    """What `rollback` did: the version that serves again, and the one that was taken back."""

    champion: str
    rolled_back: str


class Registry(ReadOnlyRegistry):
    """The registry, to write to as well. Processes of one state folder take turns by a lock."""

    def register(self, folder: Path, metrics: Mapping[str, Any] | None = None) -> str:
        """Store a sealed model folder. The same folder digest always gives the same version.

        Writers on different machines, whom no lock holds apart, may both store; the lower number
        wins for every reader, and the other writer removes its own.

        Args:
            folder: sealed by `model_folder.write_manifest`.
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
        """Write tags on a version; values become text, and None removes the tag."""
        store = mlflow_client.client(self.settings)
        with mlflow_client.translate_mlflow_errors(self.settings):
            for key, value in tags.items():
                if value is None:
                    store.delete_model_version_tag(NAME, str(version), key)
                else:
                    store.set_model_version_tag(NAME, str(version), key, str(value))

    def attach(self, version: str, files: Sequence[Path], path: str) -> str:
        """Store files beside the model of a version, in folder `path` of its run.

        Files of the same names are replaced. Returns the folder's address in MLflow.

        Raises:
            CovlaError: no such version.
            ServiceUnavailable: the store does not answer.
        """
        run_id = self._find(version).run_id
        store = mlflow_client.client(self.settings)
        with mlflow_client.translate_mlflow_errors(self.settings):
            for file in files:
                store.log_artifact(run_id, str(file), path)
        return f"runs:/{run_id}/{path}"

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

    def require_not_rejected(self, version: str) -> None:
        """A version that live posts proved bad needs a person to serve again.

        Raises:
            Refused: a rollback rejected it.
            CovlaError: no such version.
        """
        reason = self._find(version).tags.get("rejected_reason")
        if reason is not None:
            raise Refused(
                f"version {version} was rejected: {reason}",
                hint=f"Train another one; `covla promote {version} --force` serves it all the same",
            )

    def require_passed(self, version: str) -> None:
        """What `promote` needs of a version without force.

        Raises:
            Refused: it has not passed the gate against the version that serves now, or was
                rejected.
            CovlaError: no such version.
        """
        self.require_not_rejected(version)
        _require_passed(version, self._find(version).tags, self.champion())

    def promote(self, version: str, force: bool = False) -> str:
        """Make `version` the champion. Returns the version number.

        First `previous` is set to the old champion, then `champion` to the new one: each is one
        transaction, so a reader sees the old champion or the new one, never none. A process that
        dies between the two leaves the old champion serving, and the same call ends the work.

        Raises:
            Refused: the version has not passed the gate against the version that serves now, or
                was rejected, and `force` is not given.
            CovlaError: no such version.
        """
        with mlflow_client.lock(self.settings):
            tags = self._find(version).tags
            held = self.aliases()
            champion = held.get("champion")
            if champion != str(version):
                if not force:
                    self.require_not_rejected(version)
                    _require_passed(version, tags, champion)
                self._let_in(version, tags, force)
                self.tag(version, promoted_at=now().isoformat())
                if champion is not None:
                    self.tag(version, replaced=champion)
                    self._set("previous", champion)
                self._set("champion", str(version))
            for alias in ("challenger", "canary", "shadow"):
                if held.get(alias) == str(version):
                    self._leave(alias, str(version))
        return str(version)

    def _let_in(self, version: str, tags: Mapping[str, str], force: bool) -> None:
        """Record that it serves by force, and forget why it was rejected."""
        forced = force and (tags.get("gate") != "passed" or "rejected_reason" in tags)
        if "rejected_reason" in tags:
            self.tag(version, rejected_reason=None)
        if tags.get("gate") == "rejected":
            self.tag(version, gate="rolled back")
        self.tag(version, forced=str(forced).lower())

    def _leave(self, alias: str, version: str) -> None:
        """Take an alias other than `champion` from its version, and what belongs to it."""
        self._set(alias, None)
        kept = self._find(version).tags
        for tag in (f"{alias}_weight", f"{alias}_since"):
            if tag in kept:
                self.tag(version, **{tag: None})

    def reject(self, version: str, reason: str) -> None:
        """Mark a version: it serves again by force alone.

        Raises:
            CovlaError: `reason` is empty.
        """
        tags = {"gate": "rejected", "rejected_reason": one_line(reason)}
        self.tag(version, **tags, rolled_back_at=now().isoformat())

    def rollback(self, *, bad: str | None = None, reason: str | None = None) -> RolledBack:
        """Let the previous champion serve again.

        The tags are written first, `champion` is moved next, and `previous` is cleared last: a
        process that dies on the way leaves a champion, and a second rollback, of two people at
        once, does not bring the bad version back.

        Args:
            bad: the version to take back; None for whichever is the champion.
            reason: why it is rejected: it is not promoted again without force. None takes it
                back until it passes the gate again.

        Raises:
            CovlaError: `reason` is empty.
            Refused: `bad` is not the champion, or there is no previous version.
        """
        if reason is not None:
            reason = one_line(reason)
        with mlflow_client.lock(self.settings):
            held = self.aliases()
            champion, good = held.get("champion"), held.get("previous")
            if bad is not None and champion != str(bad):
                now_serving = "no version serves" if champion is None else f"{champion} serves"
                raise Refused(
                    f"version {bad} is not the champion: {now_serving}",
                    hint="Nothing was changed; see `covla releases`",
                )
            if champion is None or good is None or good == champion:
                raise Refused(
                    "there is no previous version to go back to",
                    hint="See `covla releases`; promote a version by its number",
                )
            if reason is not None:
                self.reject(champion, reason)
            else:
                self.tag(champion, gate="rolled back", rolled_back_at=now().isoformat())
            self._set("champion", good)
            self._set("previous", None)
            for alias in ("canary", "shadow"):
                if held.get(alias) == good:
                    self._leave(alias, good)
        return RolledBack(good, champion)


def one_line(reason: str) -> str:
    """A reason as it is kept: one line, not too long.

    Raises:
        CovlaError: it is empty.
    """
    reason = " ".join(reason.split())[:LONGEST_REASON]
    if not reason:
        raise CovlaError("the reason is empty", hint="Say why the version is rejected")
    return reason


def _require_passed(version: str, tags: Mapping[str, str], champion: str | None) -> None:
    """The gate's verdict is about one champion: another one may be better than both."""
    hint = f"Run `covla promote {version} --posts DIR` (or --window), or --force"
    if tags.get("gate") != "passed":
        what = "did not pass" if "gate" in tags else "has not been through"
        raise Refused(f"version {version} {what} the gate", hint=hint)
    against = tags.get("gate_against")
    if against is not None and champion is not None and against != champion:
        compared = f"version {against}" if against.isdigit() else "the floors alone"
        raise Refused(
            f"version {version} passed the gate against {compared}, and {champion} serves now",
            hint=hint,
        )
