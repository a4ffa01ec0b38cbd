"""What the REST service answers beside the wire contracts: errors of items, labels, the version."""

from pydantic import BaseModel, ConfigDict, Field

from covla import __version__
from covla.errors import PostError
from covla.posts.taxonomy import Taxonomy
from covla.schemas.contract import Timestamp
from services.model import Model


class ItemError(BaseModel):
    """Why a post of a batch has no prediction."""

    model_config = ConfigDict(frozen=True)

    error: str
    field: str = Field(description="JSON path of the field that is to blame, empty for none")
    code: str = Field(description="A stable word for counting")
    post_id: str | None = Field(None, description="Where the post could be read")

    @classmethod
    def of(cls, error: PostError, post_id: str | None = None) -> "ItemError":
        """The error of an item."""
        return cls(error=str(error), field=error.field, code=error.code, post_id=post_id)


class LabelDescription(BaseModel):
    """One kind of place."""

    model_config = ConfigDict(frozen=True)

    label: str
    description: str


class Serving(BaseModel):
    """Who answers."""

    model_config = ConfigDict(frozen=True)

    model_version: str
    serving_since: Timestamp = Field(description="When this process had it loaded and warm")
    covla_version: str = Field(description="Of the code")


def descriptions(taxonomy: Taxonomy) -> list[LabelDescription]:
    """The labels in the order of the taxonomy."""
    return [LabelDescription(label=x.name, description=x.description) for x in taxonomy.labels]


def serving(model: Model) -> Serving:
    """What is known of the model that answers now."""
    return Serving(
        model_version=model.version, serving_since=model.ready_since, covla_version=__version__
    )
