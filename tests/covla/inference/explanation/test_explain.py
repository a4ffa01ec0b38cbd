"""An explanation of a real model: the same answer, attention of the same weights, and what is
measured by hiding parts equals what the model says without them."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from covla.errors import CovlaError, PostError
from covla.inference.explanation.explain import explain
from covla.inference.predictor import Predictor
from covla.model.context import Context, Layout
from covla.model.folder_weights import load_covla_config
from covla.model.head import HeadRunner
from covla.model.hf import CovlaModel
from covla.model.model_config import EXPERTS
from covla.posts.preprocessing import PreparedPost
from covla.posts.synthetic import generate
from covla.schemas.explanation import Explained, Influence
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings

pytestmark = pytest.mark.slow

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def post() -> SocialPost:
    found = next(i.post for i, _ in generate(30, 5, START, END) if i.post.image and i.post.text)
    return found.model_copy(update={"text": "Leg day at the #gym #monday, don't stop"})


@pytest.fixture(scope="module")
def predictor(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.load(tiny_folder, Settings(state=tmp_path_factory.mktemp("state")))


def _ask(predictor: Predictor, post: SocialPost) -> Prediction:
    (answer,) = predictor.predict([post])
    assert isinstance(answer, Prediction), answer
    return answer


def _by_name(explained: Explained) -> dict[str, Influence]:
    return {part.name: part for part in explained.explanation.influences}


def test_the_prediction_is_the_predictors_own(predictor: Predictor, post: SocialPost) -> None:
    explained = explain(predictor, post)
    assert explained.prediction.answer() == _ask(predictor, post).answer()
    gate = explained.explanation.gate
    assert (gate.text, gate.learned) == (explained.prediction.gate, True)
    assert gate.text + gate.image == pytest.approx(1)
    assert explained.explanation.notes == []
    changes = [abs(part.change) for part in explained.explanation.influences]
    assert changes == sorted(changes, reverse=True)
    assert json.loads(explained.to_json())["prediction"]["post_id"] == post.post_id


def _inputs(predictor: Predictor, post: SocialPost) -> tuple[Any, Context]:
    item = predictor.prepare(post)
    assert isinstance(item, PreparedPost)
    (context,) = predictor.contexts([item], [{}])
    return predictor.encode([item])[0], context


def test_the_attention_is_that_of_the_weights_in_the_folder(
    predictor: Predictor, post: SocialPost, tiny_folder: Path
) -> None:
    explained = explain(predictor, post)
    encoded, context = _inputs(predictor, post)
    model = CovlaModel.from_pretrained(tiny_folder).eval()
    with torch.inference_mode():
        said = model(
            tokens=torch.from_numpy(encoded.tokens[None]),
            regions=torch.from_numpy(encoded.regions[None]),
            context=torch.from_numpy(context.nodes[None]),
            context_mask=torch.from_numpy(context.mask[None]),
        )
    shares = model.probabilities(said.logits)[0].numpy()
    given = list(explained.prediction.probabilities.values())
    np.testing.assert_allclose(given, shares, atol=1e-4)
    attention = explained.explanation.attention
    assert attention is not None
    rows = said.attention[0].numpy()
    np.testing.assert_allclose(np.array(attention.regions).ravel(), rows.mean(0), atol=1e-4)
    words = [word.word for word in attention.words]
    assert words == ["Leg", "day", "at", "the", "#gym", "#monday", ",", "don't", "stop"]
    for word in attention.words:
        assert post.text[word.start : word.end] == word.word
        assert sum(map(sum, word.regions)) == pytest.approx(1, abs=1e-3)
    # [CLS] leg day at the # gym # monday , don ' t stop [SEP], if all are whole in the vocabulary
    tokens = AutoTokenizer.from_pretrained(tiny_folder)(post.text).tokens()
    gym = [i for i, token in enumerate(tokens) if token in {"#", "gym"}][:2]
    np.testing.assert_allclose(
        np.array(attention.words[4].regions).ravel(), rows[gym].mean(0), atol=1e-4
    )


@pytest.mark.parametrize(
    ("part", "hidden"), [("text", {"text": ""}), ("image", {"image": None})], ids=["text", "image"]
)
def test_a_hidden_side_is_what_the_model_says_of_the_post_without_it(
    predictor: Predictor, post: SocialPost, part: str, hidden: dict[str, Any]
) -> None:
    explained = explain(predictor, post)
    without = _ask(predictor, post.model_copy(update=hidden))
    label = explained.prediction.label
    influence = _by_name(explained)[part]
    assert influence.probability_without == without.probabilities[label]
    assert influence.label_without == without.label
    assert influence.change == pytest.approx(
        explained.prediction.probabilities[label] - without.probabilities[label], abs=1e-6
    )


def test_each_known_context_node_is_hidden_in_turn(predictor: Predictor, post: SocialPost) -> None:
    explained = explain(predictor, post)
    parts = _by_name(explained)
    encoded, context = _inputs(predictor, post)
    names = [part.name for part in explained.explanation.influences if part.part == "context"]
    assert len(names) == context.mask.sum()
    assert {"hour", "weekday", "hashtags 1", "hashtags 2"} <= set(names)
    assert "hashtags 3" not in names
    assert parts["hashtags 2"].value == "#monday"
    assert parts["weekday"].value == "Sunday"
    kinds = {kind: first for kind, first, *_ in Layout.of(predictor.head.config).kinds}
    mask = context.mask.copy()
    mask[kinds["text_quality"]] = False
    (said,) = predictor.head.run([encoded], [Context(context.nodes, mask)])
    place = predictor.labels.index(explained.prediction.label)
    assert parts["text_quality"].probability_without == pytest.approx(
        said.probabilities[place], abs=1e-6
    )
    assert parts["text_quality"].change != 0


def test_one_side_alone_is_said_to_be_so(predictor: Predictor, post: SocialPost) -> None:
    for hidden, gate, note in (
        ({"image": None}, 1, "no image"),
        ({"text": " "}, 0, "no text to attend from"),
    ):
        explained = explain(predictor, post.model_copy(update=hidden))
        why = explained.explanation
        assert why.attention is None
        assert why.gate.text == gate
        assert {part.part for part in why.influences} == {"context"}
        assert note in why.notes[0]
        assert "cannot be asked" in why.notes[1]


def test_a_baseline_says_that_it_has_neither_attention_nor_gate(
    predictor: Predictor, tiny_folder: Path, tmp_path: Path, post: SocialPost
) -> None:
    config = load_covla_config(tiny_folder)
    config.alignment, config.fusion, config.context_nodes = "mean", "concat", []
    config.with_towers = False
    engine = HeadRunner.of(CovlaModel(config), device="cpu")
    baseline = Predictor("b", engine, predictor.encoders, Settings(state=tmp_path))
    explained = explain(baseline, post)
    why = explained.explanation
    assert why.attention is None
    assert why.gate.learned is False
    assert "has no attention" in why.notes[0]
    assert "no gate (fusion 'concat')" in why.notes[1]
    assert [part.part for part in why.influences if part.part == "context"] == []
    assert explained.prediction.answer() == _ask(baseline, post).answer()


def test_label_nodes_say_what_they_find_and_how_much_of_it_counts(
    predictor: Predictor, tiny_folder: Path, tmp_path: Path, post: SocialPost
) -> None:
    config = load_covla_config(tiny_folder)
    config.with_towers, config.support = False, 4
    torch.manual_seed(0)
    model = CovlaModel(config)
    assert model.label_nodes is not None
    model.label_nodes.text.normal_()
    model.label_nodes.image.normal_()
    model.label_nodes.weights.normal_()
    engine = HeadRunner.of(model, device="cpu")
    near = Predictor("n", engine, predictor.encoders, Settings(state=tmp_path))
    nodes = explain(near, post).explanation.label_nodes
    assert {node.name for node in nodes} == {"text", "image", "both"}
    assert [node.vote for node in nodes] == sorted((node.vote for node in nodes), reverse=True)
    encoded, context = _inputs(near, post)
    said = near.head.explain(encoded, context).label_logits
    assert said is not None
    shares = dict(zip(EXPERTS, torch.from_numpy(said).softmax(-1), strict=True))
    for node in nodes:
        place = near.labels.index(node.label)
        assert node.probability == pytest.approx(float(shares[node.name][place]), abs=1e-4)
        assert node.probability == pytest.approx(float(shares[node.name].max()), abs=1e-4)
    alone = explain(near, post.model_copy(update={"image": None})).explanation.label_nodes
    assert [node.name for node in alone] == ["text"]
    assert explain(predictor, post).explanation.label_nodes == []


def test_a_post_that_cannot_be_used_is_an_error(predictor: Predictor, post: SocialPost) -> None:
    broken = {"image": {"data": base64.b64encode(b"no picture").decode()}}
    with pytest.raises(PostError, match="image"):
        explain(predictor, SocialPost.from_dict(post.model_dump() | broken))


def test_other_weights_do_not_explain_this_engine(
    predictor: Predictor, post: SocialPost, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = predictor.head.explain

    def other(*args: Any) -> Any:
        said = real(*args)
        return replace(said, logits=said.logits[::-1] * 9)

    monkeypatch.setattr(predictor.head, "explain", other)
    with pytest.raises(CovlaError, match="does not explain it"):
        explain(predictor, post)


def test_the_command_writes_an_image_and_its_numbers(
    tiny_folder: Path,
    post: SocialPost,
    tmp_path: Path,
    offline_settings: Settings,
    run_command: Callable[..., Any],
) -> None:
    out = tmp_path / "out"
    done = run_command(
        offline_settings,
        *("explain", "-", "--model", tiny_folder, "--out", out, "--json"),
        stdin=post.to_json().decode(),
    )
    assert done.returncode == 0, done.stderr
    assert done.json["attention"] is True
    assert set(done.json["influences"]) > {"text", "image"}
    assert Path(done.json["picture"]).read_bytes().startswith(b"\x89PNG")
    written = json.loads(Path(done.json["explanation"]).read_bytes())
    assert written["prediction"]["label"] == done.json["label"]
    assert len(written["explanation"]["influences"]) == len(done.json["influences"])
    assert sorted(path.name for path in out.iterdir()) == ["explanation.json", "explanation.png"]
