"""Context of a post, the same at training and at serving: time, language, hashtags, quality."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from covla.arrays import FloatArray
from covla.model.model_config import HASHTAGS, ContextConfig
from covla.posts.hashtag_prior import HashtagPrior

if TYPE_CHECKING:
    from covla.posts.preprocessing import PreparedPost


@dataclass(frozen=True)
class Context:
    """Context of one post: `nodes` K x W float32, and `mask` K bool, true where a node is known."""

    nodes: FloatArray
    mask: NDArray[np.bool_]


@dataclass
class Layout:
    """Where each kind of node lies: `kinds` (name, first node, count, width), K and W over all."""

    kinds: list[tuple[str, int, int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, config: ContextConfig) -> "Layout":
        """The layout that a configuration asks for."""
        widths = {
            "hour": 2,
            "weekday": 2,
            "lang": len(config.languages) + 1,
            "text_quality": len(config.text_quality),
            "image_quality": len(config.image_quality),
        }
        if "hashtags" in config.context_nodes:
            widths["hashtags"] = len(config.labels) + 1  # read then alone: it takes its time
        layout, first = cls(), 0
        for name in config.context_nodes:
            count = HASHTAGS if name == "hashtags" else 1
            if widths[name]:
                layout.kinds.append((name, first, count, widths[name]))
                first += count
        return layout

    @property
    def nodes(self) -> int:
        """K; without any kind, one node that is always masked: empty arrays export badly."""
        return max(1, sum(count for _, _, count, _ in self.kinds))

    @property
    def width(self) -> int:
        """W, the widest kind; narrower ones are padded with zeros."""
        return max((width for *_, width in self.kinds), default=1)


def _circle(share: float) -> list[float]:
    return [math.sin(2 * math.pi * share), math.cos(2 * math.pi * share)]


def context_of(
    prepared: "PreparedPost",
    config: ContextConfig,
    priors: Mapping[str, HashtagPrior] | None = None,
) -> Context:
    """Context of one post.

    Args:
        prepared: the post, its language, hashtags and quality measures.
        config: says which nodes there are and in which order.
        priors: hashtag (lower case, no #) -> what is known of it before this post; a hashtag that
            is not there gets zeros.
    """
    layout = Layout.of(config)
    nodes = np.zeros((layout.nodes, layout.width), np.float32)
    mask = np.zeros(layout.nodes, np.bool_)
    at = prepared.post.created_at.astimezone(UTC)
    for name, first, count, width in layout.kinds:
        rows: list[list[float]] = []
        if name == "hour":
            rows = [_circle((at.hour + at.minute / 60) / 24)]
        elif name == "weekday":
            rows = [_circle(at.weekday() / 7)]
        elif name == "lang":
            rows = [[float(prepared.lang == code) for code in config.languages]]
            rows[0].append(float(not any(rows[0])))
        elif name == "hashtags":
            unknown = HashtagPrior([0.0] * len(config.labels), 0.0)
            for tag in prepared.hashtags[:count]:
                known = (priors or {}).get(tag, unknown)
                rows.append([*known.prior, math.log1p(known.count)])
        elif name == "text_quality" and prepared.text:
            rows = [[prepared.text_quality[key] for key in config.text_quality]]
        elif name == "image_quality" and prepared.image_quality:
            rows = [[prepared.image_quality[key] for key in config.image_quality]]
        for i, row in enumerate(rows):
            nodes[first + i, :width] = row
            mask[first + i] = True
    return Context(nodes, mask)
