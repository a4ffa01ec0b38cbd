"""PostLabel, the wire contract of the labels topic."""

from typing import Self

from pydantic import Field

from covla.schemas.contract import Contract, PostId, Timestamp, check_size
from covla.settings import Settings
from covla.times import check_time


class PostLabel(Contract):
    """What a person or a rule says a post's place is, some time after the post."""

    post_id: PostId
    label: str = Field(min_length=1, max_length=64)
    labelled_at: Timestamp
    source: str = Field("", max_length=64, description="Who or what labelled")

    def check_limits(self, settings: Settings) -> Self:
        """Hold the label against the configured times.

        Raises:
            PostError: labelled_at is out of range.
        """
        check_time("labelled_at", self.labelled_at, settings)
        return self


def parse_label(raw: bytes | None, settings: Settings) -> PostLabel:
    """A message value to a label within the limits; whether there is such a label is not checked.

    Raises:
        PostError: it names the field and says what is wrong.
    """
    check_size(raw, settings)
    return PostLabel.from_json(raw).check_limits(settings)
