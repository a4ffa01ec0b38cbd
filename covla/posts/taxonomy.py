"""The taxonomy: which kinds of place there are. Read from YAML, never hard-coded."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from covla.errors import CovlaError
from covla.files import read_yaml
from covla.settings import Settings, get_settings

DEFAULT = Path(__file__).with_name("taxonomy.yaml")


class Label(BaseModel):
    """One kind of place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    description: str = Field(min_length=1, max_length=300)
    foursquare: str = Field("", description="Top-level category of the Foursquare taxonomy")


class Taxonomy:
    """The labels in their order, which is the order of every probability vector."""

    def __init__(self, labels: list[Label]) -> None:
        if len({label.name for label in labels}) != len(labels) or len(labels) < 2:
            raise CovlaError("labels: at least two, each name once")
        self.labels = labels
        self.names = [label.name for label in labels]
        self.index = {name: i for i, name in enumerate(self.names)}

    def check(self, name: str, post_id: str | None = None) -> int:
        """The index of `name`; an error names the post too when its id is given.

        Raises:
            CovlaError: `name` is not in the taxonomy.
        """
        if name not in self.index:
            where = "" if post_id is None else f"post {post_id}: "
            raise CovlaError(
                f"{where}label: {name!r} is not one of {', '.join(self.names)}",
                hint="Correct the label, or add it to the taxonomy that COVLA_LABELS names",
            )
        return self.index[name]


def load_taxonomy(path: Path | None = None, settings: Settings | None = None) -> Taxonomy:
    """The taxonomy at `path`, else at `COVLA_LABELS`, else the default eleven.

    Raises:
        CovlaError: no such file, or it does not hold a list of labels; it names the file.
    """
    source = path or (settings or get_settings()).labels or DEFAULT
    rows = read_yaml(source.expanduser())
    if not isinstance(rows, list):
        raise CovlaError(f"cannot read the taxonomy {source}: it is no list of labels")
    labels = []
    for number, row in enumerate(rows, 1):
        try:
            labels.append(Label.model_validate(row))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = "".join(f", {part}" for part in first["loc"])
            raise CovlaError(
                f"cannot read the taxonomy {source}: label {number}{where}: {first['msg']}"
            ) from None
    try:
        return Taxonomy(labels)
    except CovlaError as error:
        raise CovlaError(f"cannot read the taxonomy {source}: {error}") from None
