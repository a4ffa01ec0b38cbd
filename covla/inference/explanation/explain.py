"""A post through a Predictor, and why it answers so."""

import time
from collections.abc import Iterator
from datetime import UTC
from typing import Literal

import numpy as np

from covla.arrays import FloatArray
from covla.errors import CovlaError, PostError
from covla.inference.cache import EncodedCache
from covla.inference.explanation.attention import attention_of
from covla.inference.prediction import DECIMALS
from covla.inference.predictor import Predictor
from covla.model.context import Context, Layout
from covla.model.encoders import Encoded
from covla.model.head import HeadExplanation
from covla.model.model_config import EXPERTS
from covla.posts.preprocessing import PreparedPost
from covla.schemas.explanation import Attention, Explained, Explanation, Gate, Influence, LabelNode
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction

# Between the network for explanations and the one that answers, which is f32 whatever the towers'
# are (1e-6 on OpenVINO). Beyond it they are not the same weights.
TOLERANCE = 0.01
_GATED = ("cmf", "gate")


def explain(predictor: Predictor, post: SocialPost) -> Explained:
    """A prediction, exactly as `predictor.predict` gives it, and why it is so.

    The attention comes from the same weights in f32, by a network that puts it out. Influence is
    measured, not estimated: each part is hidden in turn and the same engine run again
    (leave-one-out), which the model is used to, since training hides sides and context nodes too.

    Raises:
        PostError: the post cannot be used.
        ServiceUnavailable: the blob store does not answer.
        CovlaError: the two networks do not give the same answer, or the one for explanations was
            never converted and torch is not installed.
    """
    started = time.perf_counter()
    item = predictor.prepare(post)
    if isinstance(item, PostError):
        raise item
    cache = EncodedCache()
    (prior,) = predictor.look_up([item])
    (encoded,) = predictor.encode([item], cache)
    (prediction,) = predictor.answer([item], [encoded], [prior], started=started)
    (context,) = predictor.contexts([item], [prior])
    notes: list[str] = []
    out = _forward(predictor, encoded, context, prediction)
    attention = _attention(predictor, item, out, notes)
    influences = [*_sides(predictor, item, cache, prediction, notes)]
    influences += _nodes(predictor, item, encoded, context, prediction)
    influences.sort(key=lambda influence: -abs(influence.change))
    return Explained(
        prediction=prediction,
        explanation=Explanation(
            attention=attention,
            gate=_gate(predictor, prediction, notes),
            influences=influences,
            label_nodes=_label_nodes(predictor, out),
            notes=notes,
        ),
    )


def _forward(
    predictor: Predictor, encoded: Encoded, context: Context, prediction: Prediction
) -> HeadExplanation:
    """What is behind the prediction, held against it."""
    out = predictor.head.explain(encoded, context)
    shares = _softmax(out.logits / predictor.head.config.softmax_temperature)
    off = float(np.abs(shares - np.array(list(prediction.probabilities.values()))).max())
    if not off <= TOLERANCE:
        raise CovlaError(
            f"version {predictor.version}: its network for explanations is {off:.3f} off its "
            "answer, so its attention does not explain it"
        )
    return out


def _softmax(logits: FloatArray) -> FloatArray:
    """Over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: FloatArray = powers / powers.sum(-1, keepdims=True)
    return shares


def _label_nodes(predictor: Predictor, out: HeadExplanation) -> list[LabelNode]:
    if out.label_logits is None or out.votes is None:
        return []
    shares = _softmax(out.label_logits)
    nodes = [
        LabelNode(
            name=name,
            label=predictor.labels[int(row.argmax())],
            probability=round(float(row.max()), DECIMALS),
            vote=round(float(vote), DECIMALS),
        )
        for name, row, vote in zip(EXPERTS, shares, out.votes, strict=True)
        if vote
    ]
    return sorted(nodes, key=lambda node: -abs(node.vote))


def _attention(
    predictor: Predictor, item: PreparedPost, out: HeadExplanation, notes: list[str]
) -> Attention | None:
    config = predictor.head.config
    if out.attention is None:
        notes.append(
            f"This model has no attention: it pools the regions (alignment {config.alignment!r})."
        )
        return None
    if item.image is None:
        notes.append("There is no image, so there is nothing to attend to.")
        return None
    if not item.text:
        notes.append("There is no text to attend from: the model takes the mean of all regions.")
        return None
    attention, more = attention_of(out.attention, item.text, predictor.encoders, config.grid)
    notes += more
    return attention


def _gate(predictor: Predictor, prediction: Prediction, notes: list[str]) -> Gate:
    fusion = predictor.head.config.fusion
    learned = fusion in _GATED
    if not learned:
        notes.append(f"This model has no gate (fusion {fusion!r}): the shares are not learned.")
    image = round(1 - prediction.gate, DECIMALS)
    return Gate(text=prediction.gate, image=image, learned=learned)


def _sides(
    predictor: Predictor,
    item: PreparedPost,
    cache: EncodedCache,
    prediction: Prediction,
    notes: list[str],
) -> Iterator[Influence]:
    """What the model says of the same post when it comes without its text, without its image."""
    if len(prediction.modalities) < 2:
        only = "text" if prediction.modalities == ["text"] else "an image"
        notes.append(
            f"There is only {only} to go by: the gate has no choice, and what "
            "the model would say without it cannot be asked."
        )
        return
    for part in prediction.modalities:
        without = predictor.prepare(item.post.model_copy(update=_HIDDEN[part]))
        if isinstance(without, PostError):
            raise without
        encoded = predictor.encode([without], cache)
        (out,) = predictor.answer([without], encoded, predictor.look_up([without]))
        value = f"{len(item.text)} characters" if part == "text" else ""
        yield _influence(part, part, value, prediction, list(out.probabilities.values()))


_HIDDEN: dict[str, dict[str, object]] = {"text": {"text": ""}, "image": {"image": None}}


def _nodes(
    predictor: Predictor,
    item: PreparedPost,
    encoded: Encoded,
    context: Context,
    prediction: Prediction,
) -> list[Influence]:
    layout = Layout.of(predictor.head.config)
    names = {node: (name, value) for node, name, value in _names(layout, item)}
    known = [node for node in names if context.mask[node]]
    masks = []
    for node in known:
        mask = context.mask.copy()
        mask[node] = False
        masks.append(Context(context.nodes, mask))
    outputs = predictor.head.run([encoded] * len(masks), masks)
    return [
        _influence("context", *names[node], prediction, [float(p) for p in output.probabilities])
        for node, output in zip(known, outputs, strict=True)
    ]


def _names(layout: Layout, item: PreparedPost) -> Iterator[tuple[int, str, str]]:
    """Each node's place, its name, and what it held."""
    at = item.post.created_at.astimezone(UTC)
    held = {"hour": f"{at:%H:%M} UTC", "weekday": f"{at:%A}", "lang": item.lang}
    for kind, first, count, _ in layout.kinds:
        for i in range(count):
            value = held.get(kind, "")
            if kind == "hashtags" and i < len(item.hashtags):
                value = f"#{item.hashtags[i]}"
            yield first + i, kind if count == 1 else f"{kind} {i + 1}", value


def _influence(
    part: Literal["text", "image", "context"],
    name: str,
    value: str,
    prediction: Prediction,
    shares: list[float],
) -> Influence:
    labels = list(prediction.probabilities)
    without = shares[labels.index(prediction.label)]
    return Influence(
        part=part,
        name=name,
        value=value,
        change=round(prediction.probabilities[prediction.label] - without, DECIMALS),
        probability_without=round(min(max(without, 0.0), 1.0), DECIMALS),
        label_without=labels[int(np.argmax(shares))],
    )
