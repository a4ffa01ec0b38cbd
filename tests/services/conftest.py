"""A stand-in for the model where a test is about what is around it; slow tests use a real one."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from covla.errors import PostError
from covla.inference.explanation.attention import focus
from covla.schemas.explanation import (
    Attention,
    Explained,
    Explanation,
    Gate,
    Influence,
    LabelNode,
    WordFocus,
)
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction


class Echo:
    """Answers from the text alone. `gate` can be held closed; "refuse" and "crash" do so."""

    def __init__(self) -> None:
        self.version = "echo-1"
        self.ready_since = datetime(2026, 5, 1, 12, tzinfo=UTC)
        self.batches: list[int] = []
        self.answer = Prediction
        self.gate = threading.Event()
        self.gate.set()

    def predict(self, items: Sequence[SocialPost]) -> list[Prediction | PostError]:
        assert self.gate.wait(30)
        self.batches.append(len(items))
        if any(item.text == "crash" for item in items):
            raise RuntimeError("the model crashed")
        return [self._one(item) for item in items]

    def _one(self, post: SocialPost) -> Prediction | PostError:
        if post.text == "refuse":
            return PostError("image", "unreadable_image", "cannot be decoded")
        share = round(0.5 + (len(post.text) % 10) / 25, 6)
        return self.answer(
            prediction_id=Prediction.id_for(post.post_id, self.version),
            post_id=post.post_id,
            label="home",
            probabilities={"home": share, "shop": round(1 - share, 6)},
            gate=1.0 if post.image is None else 0.25,
            modalities=["text"] if post.image is None else ["text", "image"],
            quality={"text_characters": float(len(post.text))},
            flags=["image_missing"] if post.image is None else [],
            model_version=self.version,
            predicted_at=datetime.now(UTC),
            latency_ms=1.0,
        )

    def explain(self, post: SocialPost, image: bool) -> tuple[Explained, bytes]:
        """The words look at the last region and "Warm" at the first."""
        said = self._one(post)
        if isinstance(said, PostError):
            raise said
        word = WordFocus(word="Warm", start=0, end=4, **focus(np.eye(49)[0], (7, 7)))
        both = len(said.modalities) == 2
        hidden = [("text", "text", "", 0.2), ("image", "image", "", -0.1)] if both else []
        hidden.append(("context", "hour", "12:00 UTC", 0.01))
        why = Explanation(
            attention=Attention(words=[word], **focus(np.eye(49)[48], (7, 7))) if both else None,
            gate=Gate(text=said.gate, image=1 - said.gate, learned=True),
            influences=[
                Influence(
                    part=part,  # type: ignore[arg-type]
                    name=name,
                    value=value,
                    change=change,
                    probability_without=0.4,
                    label_without="shop" if part == "text" else "home",
                )
                for part, name, value, change in hidden
            ],
            label_nodes=[
                LabelNode(name=name, label=said.label, probability=0.75, vote=vote)  # type: ignore[arg-type]
                for name, vote in ((("both", 0.6),) if both else ()) + (("text", 0.5),)
            ],
            notes=[] if both else ["There is no image, so there is nothing to attend to."],
        )
        return Explained(prediction=said, explanation=why), b"\x89PNG" if image else b""


@pytest.fixture
def echo() -> Echo:
    """A model that answers from the text alone."""
    return Echo()


@pytest.fixture
def a_post() -> dict[str, Any]:
    """A post as a client writes it."""
    return {"post_id": "p-1", "created_at": "2026-05-01T12:00:00Z", "text": "Warm croissants"}
