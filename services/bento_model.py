"""The model inside a Bento that `covla bento` made: what it is called and whether it is whole."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covla.errors import CovlaError
from covla.registry.model_folder import verify

FOLDER = "model"


@dataclass(frozen=True)
class BentoModel:
    """A model folder and the version that it was registered as."""

    folder: Path
    version: str
    digest: str

    @classmethod
    def of(cls, bento: Any) -> "BentoModel":
        """Where a loaded Bento says that it is.

        Raises:
            CovlaError: the Bento was not made by `covla bento`.
        """
        labels = bento.info.labels
        if "model_version" not in labels or "model_digest" not in labels:
            raise CovlaError(
                f"the Bento {bento.tag} names no model", hint="Make it with `covla bento`"
            )
        folder = Path(bento.path_of("src")) / FOLDER
        return cls(folder, labels["model_version"], labels["model_digest"])

    def check(self) -> None:
        """Hold the files against their manifest, and that against what the Bento was made with.

        Raises:
            CovlaError: a file is missing, changed or extra, or this is another model.
        """
        found = verify(self.folder)
        if not found.startswith(self.digest):
            raise CovlaError(
                f"{self.folder} is another model than version {self.version}, of which this Bento "
                "was made",
                hint="Make the Bento again with `covla bento`",
            )
