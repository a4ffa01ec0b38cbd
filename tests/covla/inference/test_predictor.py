"""The Predictor on a real model folder: one answer or error per post, whatever its neighbours."""

import base64
import io
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from covla.errors import CovlaError, PostError, ServiceUnavailable
from covla.inference.predictor import CHUNK, ContextSource, Predictor
from covla.model.runtime.network import Arrays
from covla.model.runtime.torch import LENGTHS, bucket
from covla.posts.hashtag_prior import HashtagPrior
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import PreparedPost
from covla.posts.synthetic import generate
from covla.schemas.post import Image, SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings

pytestmark = pytest.mark.slow

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="session")
def posts() -> list[SocialPost]:
    return [item.post for item, _ in generate(32, 5, START, END)]


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(state=tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def predictor(tiny_folder: Path, state: Settings) -> Predictor:
    return Predictor.load(tiny_folder, state)


def _post(**fields: object) -> SocialPost:
    return SocialPost.from_dict(
        {"post_id": "p", "created_at": "2026-03-01T12:00:00Z", "text": "Lunch #pizza", **fields}
    )


def _png(shade: int) -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (50, 40), (shade, 90, 200 - shade)).save(file, "PNG")
    return file.getvalue()


def _with(
    predictor: Predictor, settings: Settings, source: ContextSource | None = None
) -> Predictor:
    """The same networks with other settings or context."""
    return Predictor("v", predictor.head, predictor.encoders, settings, source)


def _good(result: Prediction | PostError) -> Prediction:
    assert isinstance(result, Prediction), result
    return result


def test_a_prediction_says_all_that_the_contract_promises(predictor: Predictor) -> None:
    (answer,) = map(_good, predictor.predict([_post(image={"data": _b64(_png(3))})]))
    assert list(answer.probabilities) == predictor.labels
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert answer.label == max(answer.probabilities, key=lambda k: answer.probabilities[k])
    assert all(round(value, 6) == value for value in answer.probabilities.values())
    assert answer.prediction_id == Prediction.id_for("p", predictor.version)
    assert (answer.modalities, answer.flags) == (["text", "image"], [])
    assert answer.quality["text_hashtags"] == 1
    assert answer.quality["image_aspect"] == 1.25
    assert answer.latency_ms > 0
    assert Prediction.from_json(answer.to_json()) == answer


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_one_corrupt_of_32_gives_31_answers(predictor: Predictor, posts: list[SocialPost]) -> None:
    alone = [_good(result).answer() for result in predictor.predict(posts)]
    broken = list(posts)
    broken[7] = posts[7].model_copy(update={"image": Image(data=_b64(_png(1)[:40]))})
    results = predictor.predict(broken)
    error = results.pop(7)
    assert isinstance(error, PostError)
    assert (error.field, error.code) == ("image", "unreadable_image")
    assert [_good(result).answer() for result in results] == alone[:7] + alone[8:]


def test_alone_and_in_a_batch_the_answer_is_the_same_bit_for_bit(
    predictor: Predictor, posts: list[SocialPost]
) -> None:
    together = predictor.predict(posts)
    backwards = predictor.predict(posts[::-1])[::-1]
    for post, first, second in zip(posts, together, backwards, strict=True):
        (alone,) = predictor.predict([post])
        assert _good(alone).answer() == _good(first).answer() == _good(second).answer()


def test_text_alone_and_image_alone(predictor: Predictor) -> None:
    text, image = map(
        _good, predictor.predict([_post(), _post(text=" ", image={"data": _b64(_png(9))})])
    )
    assert (text.gate, text.modalities, text.flags) == (1, ["text"], ["image_missing"])
    assert (image.gate, image.modalities, image.flags) == (0, ["image"], ["text_missing"])


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"text": "x" * 4001}, "text", "too_large"),
        ({"image": {"data": "A" * 700_001}}, "image.data", "too_large"),
        ({"image": {"data": "not base64!"}}, "image.data", "not_base64"),
        ({"image": {"data": ""}}, "image", "unreadable_image"),
        ({"image": {"uri": "file:///etc/passwd"}}, "image.uri", "outside_store"),
    ],
)
def test_what_cannot_be_used_is_named_by_its_field(
    predictor: Predictor, fields: dict[str, object], field: str, code: str
) -> None:
    bad, good = predictor.predict([_post(**fields), _post(post_id="next")])
    assert isinstance(bad, PostError)
    assert (bad.field, bad.code) == (field, code)
    assert _good(good).post_id == "next"


def test_a_web_address_is_refused_before_anything_is_fetched() -> None:
    with pytest.raises(PostError, match="never fetched") as error:
        _post(image={"uri": "https://example.org/a.png"})
    assert error.value.field == "image"


def test_a_picture_in_the_blob_store_gives_the_same_answer(
    predictor: Predictor, state: Settings
) -> None:
    uri = BlobStore(state).put(_png(77))
    inline, stored = predictor.predict(
        [_post(image={"data": _b64(_png(77))}), _post(image={"uri": uri})]
    )
    assert _good(inline).answer() == _good(stored).answer()


def test_an_unreadable_picture_may_be_left_aside(predictor: Predictor, state: Settings) -> None:
    lenient = Settings(state=state.state, unreadable_image="text_only")
    broken = {"image": {"data": _b64(b"no picture")}}
    text, nothing = _with(predictor, lenient).predict([_post(**broken), _post(text="", **broken)])
    assert (_good(text).flags, _good(text).gate) == (["image_unreadable"], 1)
    assert isinstance(nothing, PostError)


@dataclass
class _Counting:
    """Encoders that count what they run."""

    inner: object
    ran: int = 0

    def encode(self, items: Sequence[object]) -> object:
        self.ran += len(items)
        return self.inner.encode(items)  # type: ignore[attr-defined]


def test_equal_texts_and_pictures_are_encoded_once(
    predictor: Predictor, state: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = _with(predictor, state)
    counting = _Counting(predictor.encoders)
    monkeypatch.setattr(predictor, "encoders", counting)
    picture = {"image": {"data": _b64(_png(5))}}
    many = [_post(post_id=f"p{i}", text=f"text {i % 2}", **picture) for i in range(3 * CHUNK)]
    answers = [_good(result) for result in predictor.predict(many)]
    assert counting.ran == 3  # two texts, one image
    assert [answer.post_id for answer in answers] == [post.post_id for post in many]
    assert answers[0].probabilities == answers[2].probabilities != answers[1].probabilities
    again = [_good(result) for result in predictor.predict(many[:2])]
    assert counting.ran == 3  # a repost is not encoded again
    assert [a.answer() for a in again] == [a.answer() for a in answers[:2]]
    predictor.clear_cache()
    assert [_good(a).answer() for a in predictor.predict(many[:2])] == [a.answer() for a in again]
    assert counting.ran == 6


def test_a_post_that_breaks_the_network_does_not_break_its_neighbours(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., object] = predictor.encoders.encode

    def encode(items: Sequence[PreparedPost]) -> object:
        if any(item.text == "boom" for item in items):
            raise RuntimeError("a network that does not like this text")
        return real(items)

    monkeypatch.setattr(predictor.encoders, "encode", encode)
    results = predictor.predict([_post(text=text) for text in ("a b", "boom", "c d")])
    assert [isinstance(result, PostError) for result in results] == [False, True, False]
    assert isinstance(results[1], PostError)
    assert results[1].code == "internal"


def test_context_is_used_and_its_absence_is_flagged(predictor: Predictor, state: Settings) -> None:
    known = HashtagPrior([1.0] + [0.0] * 10, 50.0)

    def source(prepared: Sequence[PreparedPost]) -> list[dict[str, HashtagPrior] | None]:
        return [{"pizza": known} if "#pizza" in item.text else None for item in prepared]

    with_context = _with(predictor, state, source)
    plain = _with(predictor, state)
    picture = {"image": {"data": _b64(_png(40))}}  # context weighs text against image
    items = [_post(**picture), _post(text="no tags here", **picture)]
    (tagged, stale), (bare, _) = with_context.predict(items), plain.predict(items)
    assert "stale_context" not in _good(tagged).flags
    assert "stale_context" in _good(stale).flags
    assert _good(tagged).probabilities != _good(bare).probabilities

    def away(prepared: Sequence[PreparedPost]) -> list[dict[str, HashtagPrior] | None]:
        raise ServiceUnavailable("the online store does not answer")

    (answer, _) = _with(predictor, state, away).predict(items)
    assert "stale_context" in _good(answer).flags


def test_a_blob_store_that_is_away_is_not_the_posts_fault(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> bytes:
        raise ConnectionError("no route to the store")

    monkeypatch.setattr(BlobStore, "read", read)
    with pytest.raises(ServiceUnavailable, match="no route"):
        predictor.predict([_post(image={"uri": "x"})])


def test_a_changed_folder_is_not_loaded(tiny_folder: Path, state: Settings, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tiny_folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-5] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    with pytest.raises(CovlaError, match="model.safetensors is changed"):
        Predictor.load(copy, state)


def test_nothing_in_gives_nothing_out_and_warm_up_answers(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predictor.predict([]) == []
    encoders, lengths = predictor.encoders, []
    run = encoders.text_inputs

    def spy(texts: Sequence[str]) -> Iterator[Arrays]:
        for arrays in run(texts):
            lengths.append(arrays[0].shape[1])
            yield arrays

    monkeypatch.setattr(encoders, "text_inputs", spy)
    predictor.warm_up()
    # On a GPU each of these is compiled: not under the first post that is so long.
    limits = [limit for limit in LENGTHS if limit <= bucket(encoders.max_tokens)]
    assert sorted({bucket(length) for length in lengths}) == limits
    assert np.isfinite(_good(predictor.predict([_post()])[0]).gate)


@pytest.mark.slow
def test_what_serves_starts_without_what_only_training_needs() -> None:
    """transformers' model classes and timm: half of the start of a process that predicts."""
    heavy = ("transformers.modeling_utils", "timm", "torchvision", "scipy", "mlflow", "feast")
    code = f"import sys, covla.inference.predictor; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
