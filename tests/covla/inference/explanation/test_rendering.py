"""The image of an explanation: any text draws, and a flat attention stays pale."""

import io
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from covla.inference.explanation.attention import focus
from covla.inference.explanation.rendering import draw, overlay
from covla.schemas.explanation import (  # fmt: skip
    Attention,
    Explained,
    Explanation,
    Focus,
    Gate,
    Influence,
    LabelNode,
    WordFocus,
)
from covla.schemas.prediction import Prediction

GREY = np.full((70, 100, 3), 128, np.uint8)


def _focus(*, at: int | None) -> Focus:
    shares = np.full(49, 1 / 49) if at is None else np.eye(49)[at]
    return Focus(**focus(shares, (7, 7)))


def test_heat_lies_where_the_attention_is() -> None:
    hot = overlay(GREY, _focus(at=6 * 7))  # the last row's first region
    warmth = hot[..., 0].astype(int) - hot[..., 2]
    row, column = np.unravel_index(warmth.argmax(), warmth.shape)
    assert row >= 60
    assert column < 15
    assert warmth[:50].max() < 5
    assert hot.shape == GREY.shape


def test_an_even_attention_is_pale_and_not_stretched_to_a_pattern() -> None:
    warmth = np.ptp(overlay(GREY, _focus(at=None)).astype(int), axis=2)
    assert warmth.max() - warmth.min() <= 1
    assert warmth.max() < np.ptp(overlay(GREY, _focus(at=3)).astype(int), axis=2).max() / 2


@pytest.mark.parametrize("image", [GREY, None], ids=["picture", "no picture"])
@pytest.mark.parametrize(
    "text",
    ["", "$x^{2 $ \\frac 50 % \U0001f600 你好\u202e\x00", "long " * 800],
    ids=["no", "odd", "long"],
)
def test_any_post_draws_and_the_same_post_gives_the_same_bytes(
    image: np.ndarray | None, text: str
) -> None:
    explained = _explained(text, image, [_node("both", "home", 0.9)])
    drawn = draw(explained, text, image)
    with Image.open(io.BytesIO(drawn)) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
    assert draw(explained, text, image) == drawn


def test_what_label_nodes_say_stays_on_the_picture() -> None:
    long = "museum_entertainment"
    nodes = [_node("text", long, 0.041), _node("image", long, 0.5), _node("both", long, 1.0)]
    with Image.open(io.BytesIO(draw(_explained("x", GREY, nodes), "x", GREY))) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels[:, -30:] == 255).all()


def _node(name: Any, label: str, probability: float) -> LabelNode:
    return LabelNode(name=name, label=label, probability=probability, vote=0.5)


def _explained(text: str, image: np.ndarray | None, nodes: list[LabelNode]) -> Explained:
    word = WordFocus(word=text[:40] or "x", start=0, end=1, **_focus(at=5).model_dump())
    attention = Attention(words=[word], **_focus(at=5).model_dump()) if image is not None else None
    return Explained(
        prediction=Prediction(
            prediction_id="i", post_id="$p", label="home", probabilities={"home": 0.7, "shop": 0.3},
            gate=0.25, modalities=["text", "image"], quality={}, flags=[], model_version="1",
            predicted_at=datetime(2026, 5, 1, tzinfo=UTC), latency_ms=1.0,
        ),
        explanation=Explanation(
            attention=attention,
            gate=Gate(text=0.25, image=0.75, learned=True),
            influences=[
                Influence(part="context", name="hashtags 1", value=f"#{text[:80]}", change=-0.2,
                          probability_without=0.9, label_without="shop"),
            ],
            label_nodes=nodes,
            notes=[] if attention else ["There is no picture, so there is nothing to attend to."],
        ),
    )  # fmt: skip
