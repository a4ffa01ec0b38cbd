"""What serving reads of a model folder's config.json, as plain data and without transformers.

Training writes the file by `covla.model.configuration.CovlaConfig`, which has every field of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol

from covla.errors import CovlaError
from covla.files import read_object

CONTEXT_NODES = ("hour", "weekday", "lang", "hashtags", "text_quality", "image_quality")
# Without the hashtags' priors an answer depends on post and version alone (ADR 9).
DEFAULT_CONTEXT = tuple(node for node in CONTEXT_NODES if node != "hashtags")
HASHTAGS = 4
Expert = Literal["text", "image", "both"]
EXPERTS: tuple[Expert, ...] = ("text", "image", "both")  # the label nodes, in their order


class ContextConfig(Protocol):
    """What decides which context nodes there are: of `ModelConfig` and of `CovlaConfig`."""

    @property
    def context_nodes(self) -> Sequence[str]: ...
    @property
    def languages(self) -> Sequence[str]: ...
    @property
    def text_quality(self) -> Sequence[str]: ...
    @property
    def image_quality(self) -> Sequence[str]: ...
    @property
    def labels(self) -> list[str]: ...


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A trained model's shape; the fields mean what they mean in `CovlaConfig`."""

    labels: list[str]
    encoders: dict[str, Any] = field(default_factory=dict)
    encoder_id: str = ""
    text_width: int = 384
    image_width: int = 1280
    regions: int = 49
    label_nodes: bool = True
    support: int = 0
    alignment: str = "cam"
    fusion: str = "cmf"
    context_nodes: Sequence[str] = DEFAULT_CONTEXT
    languages: Sequence[str] = ("en",)
    text_quality: Sequence[str] = ()
    image_quality: Sequence[str] = ()
    softmax_temperature: float = 1.0

    @classmethod
    def of(cls, config: Any) -> "ModelConfig":
        """Of a `CovlaConfig` at hand."""
        return cls(**{one.name: getattr(config, one.name) for one in fields(cls)})

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the regions; regions that fill no square are one row."""
        return grid_of(self.regions)

    @property
    def explained(self) -> tuple[str, ...]:
        """What the network for explanations puts out, in order."""
        attention = () if self.alignment == "mean" else ("attention",)
        nodes = ("label_logits", "votes") if self.label_nodes and self.support else ()
        return ("logits", *attention, *nodes)


def grid_of(regions: int) -> tuple[int, int]:
    """Rows and columns of R regions; regions that fill no square are one row."""
    side = round(regions**0.5)
    return (side, side) if side * side == regions else (1, regions)


def load_config(folder: Path) -> ModelConfig:
    """The configuration in a model folder.

    Raises:
        CovlaError: there is none, or it is of no model.
    """
    path = folder / "config.json"
    about = read_object(path)
    names = {one.name for one in fields(ModelConfig)} - {"labels"}
    try:
        by_place = {int(place): str(name) for place, name in about["id2label"].items()}
        labels = [by_place[place] for place in range(len(by_place))]
        return ModelConfig(labels=labels, **{k: v for k, v in about.items() if k in names})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CovlaError(f"{path} is not of a model: {error!r}") from error
