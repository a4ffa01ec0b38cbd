"""Where a model version comes from."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from covla.files import read_object
from covla.registry.lineage import FILE, LakeFile, Lineage, read_lineage
from covla.registry.model_folder import verify
from covla.registry.stored import StoredVersion, some_files
from covla.settings import Settings
from features.lake_files import lake_file

ABOUT = "training.json"


@dataclass(frozen=True)
class FileNow:
    """A lake file that a version was trained on, and whether it is as it was then."""

    path: str
    sha256: str
    now: Literal["same", "changed", "gone"]


@dataclass(frozen=True)
class VersionLineage:
    """A version and what it was made of.

    training: None for a model of a version of covla that kept no lineage; `about`, its
    training.json, has then what is known. gate: result of the promotion gate, None before it.
    gate_report: its page, as an address of MLflow; None where the gate has not compared it.
    """

    version: str
    aliases: list[str]
    digest: str
    created_at: datetime | None
    gate: str | None
    gate_report: str | None
    training: Lineage | None
    about: dict[str, object]
    files: list[FileNow]


def version_lineage(version: StoredVersion, settings: Settings) -> VersionLineage:
    """Of a version in the registry.

    Raises:
        CovlaError: its files do not match their manifest.
        ServiceUnavailable: the registry does not answer.
    """
    with some_files(version, (FILE, ABOUT), settings) as folder:
        return VersionLineage(
            version.version,
            list(version.aliases),
            version.digest,
            version.created_at,
            version.tags.get("gate"),
            version.tags.get("gate_report"),
            *_training(folder, settings),
        )


def folder_lineage(folder: Path, settings: Settings) -> VersionLineage:
    """Of a model folder.

    Raises:
        CovlaError: it is no model folder, or does not match its manifest.
    """
    digest = verify(folder)
    training = _training(folder, settings)
    return VersionLineage(digest[:12], [], digest, None, None, None, *training)


def _training(
    folder: Path, settings: Settings
) -> tuple[Lineage | None, dict[str, object], list[FileNow]]:
    lineage, about = read_lineage(folder), folder / ABOUT
    files = [] if lineage is None else [_now(file, settings) for file in lineage.files]
    return lineage, read_object(about) if about.exists() else {}, files


def _now(file: LakeFile, settings: Settings) -> FileNow:
    try:
        same = lake_file(settings.lake / file.path, settings) == file
    except FileNotFoundError:
        return FileNow(file.path, file.sha256, "gone")
    return FileNow(file.path, file.sha256, "same" if same else "changed")
