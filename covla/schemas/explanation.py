"""What an explanation says. One form for the command, the REST service and the page."""

from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from covla.schemas.prediction import Prediction

Grid = list[list[float]]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Focus(_Part):
    """Where an attention over regions looks. `entropy` is a share of the largest possible."""

    regions: Grid = Field(description="Share of each region, rows of the grid from the top; sum 1")
    peak: float = Field(description="Largest share of one region")
    row: int = Field(description="Row of the region with the largest share, 0 at the top")
    column: int = Field(description="Its column, 0 at the left")
    entropy: float = Field(
        ge=0, le=1, description="0: one region alone, 1: all regions alike (normalised Shannon)"
    )


class WordFocus(Focus):
    """Where one word looks: the mean over its word pieces."""

    word: str
    start: int = Field(description="First character of the word in the post's text")
    end: int = Field(description="Character after its last")


class Attention(Focus):
    """CAM: the mean over all tokens, which is what the model takes from the image, and each
    word's own. Words beyond the model's token limit are not there."""

    words: list[WordFocus]


class Gate(_Part):
    """Share of each side in the fused vector."""

    text: float = Field(ge=0, le=1)
    image: float = Field(ge=0, le=1)
    learned: bool = Field(
        description="False for a fusion without a gate: the shares only say which sides count"
    )


class LabelNode(_Part):
    """What labelled posts that are near this one say: by text, by image, or by both."""

    name: Literal["text", "image", "both"]
    label: str = Field(description="The label it finds likeliest")
    probability: float = Field(ge=0, le=1, description="As the node alone would give it")
    vote: float = Field(description="How much of its log-probabilities is in the model's logits")


class Influence(_Part):
    """What hiding one part of the post does to the probability of the predicted label."""

    part: Literal["text", "image", "context"]
    name: str = Field(description="text, image, or the context node")
    value: str = Field("", description="What the node held, where that can be said in a word")
    change: float = Field(
        description="Probability with the part less probability without it: above 0 speaks for "
        "the predicted label"
    )
    probability_without: float = Field(ge=0, le=1)
    label_without: str = Field(description="What the model says without the part")


class Explanation(_Part):
    """Why the prediction is what it is."""

    attention: Attention | None = Field(description="null where there is none; `notes` say why")
    gate: Gate
    influences: list[Influence] = Field(description="Largest change first")
    label_nodes: list[LabelNode] = Field(
        description="Largest vote first; empty for a model without label nodes"
    )
    notes: list[str] = Field(description="What this post or this model has not, and why")


class Explained(_Part):
    """A prediction and why."""

    prediction: Prediction
    explanation: Explanation

    def to_json(self, *, indent: bool = False) -> bytes:
        """UTF-8 JSON."""
        value = {
            "prediction": self.prediction.model_dump(mode="json", exclude_none=True),
            "explanation": self.explanation.model_dump(mode="json"),
        }
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None)
