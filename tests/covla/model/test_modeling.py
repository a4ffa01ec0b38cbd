from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel

from covla.model.baselines import ARCHS, arch_overrides
from covla.model.configuration import CovlaConfig
from covla.model.context import Context, Layout
from covla.model.encoders import Encoded
from covla.model.head import HeadRunner
from covla.model.hf import CovlaModel
from covla.model.label_nodes import signed_sqrt
from covla.model.towers import tiny

BASE = {
    "graph": True,
    "text_width": 12,
    "image_width": 20,
    "regions": 9,
    "width": 16,
    "labels": list("abc"),
    "support": 7,
    "image_components": 8,
}


def make(seed: int = 0, **overrides: object) -> CovlaModel:
    torch.manual_seed(seed)
    config = CovlaConfig(
        **BASE | {"text_quality": ["x"], "image_quality": ["y"], "teacher_width": 5} | overrides
    )
    model = CovlaModel(config).eval()
    if model.label_nodes is not None:
        model.label_nodes.text.copy_(F.normalize(torch.randn(config.support, 12), dim=-1))
        model.label_nodes.image.copy_(signed_sqrt(torch.randn(config.support, 20)))
        model.label_nodes.weights.normal_()
    return model


def batch(model: CovlaModel, n: int = 4, tokens: int = 6) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    layout = model.context.layout
    return {
        "tokens": torch.randn(n, tokens, 12),
        "token_mask": torch.arange(tokens) < torch.tensor([[6], [4], [0], [2]])[:n],
        "regions": torch.randn(n, 9, 20),
        "has_image": torch.tensor([True, False, True, True])[:n],
        "context": torch.randn(n, layout.nodes, layout.width),
        "context_mask": torch.rand(n, layout.nodes) > 0.5,
    }


def test_a_saved_model_answers_the_same(tmp_path: Path) -> None:
    model = make(context_nodes=["hour", "text_quality"])
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path).eval()
    assert isinstance(again, CovlaModel)
    assert AutoConfig.from_pretrained(tmp_path).labels == ["a", "b", "c"]
    inputs = batch(model)
    assert torch.equal(again(**inputs).logits, model(**inputs).logits)


def test_towers_are_saved_with_the_model(tmp_path: Path) -> None:
    towers = tiny(100)
    size = towers.image.spec["size"]
    config = CovlaConfig(
        encoders=towers.spec, with_towers=True, text_width=towers.text.width,
        image_width=towers.image.width, regions=9, width=16, labels=list("abc"),
    )  # fmt: skip
    model = CovlaModel(config).eval()
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path).eval()
    torch.manual_seed(0)
    inputs = {
        "input_ids": torch.randint(0, 100, (2, 5)),
        "attention_mask": torch.ones(2, 5, dtype=torch.long),
        "pixel_values": torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8),
    }
    # Not bit for bit: memory-mapped weights are aligned otherwise, which picks other CPU kernels.
    torch.testing.assert_close(again(**inputs).logits, model(**inputs).logits)


def test_a_missing_side_sets_the_gate_and_leaves_no_nan() -> None:
    model = make()
    out = model(**batch(model))
    assert out.gate[1].item() == 1.0  # no image
    assert out.gate[2].item() == 0.0  # no text
    assert 0 < out.gate[0] < 1
    for value in (out.logits, out.h_f, out.z_t, out.z_v):
        assert torch.isfinite(value).all()


def test_what_stands_in_for_a_missing_side_does_not_matter() -> None:
    model = make()
    inputs = batch(model)
    before = model(**inputs).logits
    inputs["regions"][1] = 1e3
    inputs["tokens"][2] = -1e3
    torch.testing.assert_close(model(**inputs).logits, before)


def test_one_side_alone_can_be_given() -> None:
    model = make()
    inputs = batch(model)
    text = model(tokens=inputs["tokens"][:1])
    assert text.gate.item() == 1.0
    image = model(regions=inputs["regions"][:1])
    assert image.gate.item() == 0.0
    with pytest.raises(ValueError, match="give tokens, regions or both"):
        model()


def test_no_gradient_is_nan_when_sides_are_missing() -> None:
    model = make()
    inputs = batch(model) | {
        "labels": torch.tensor([0, 1, -100, 2]),
        "teacher": torch.randn(4, 5),
        "has_teacher": torch.tensor([True, True, True, False]),
    }
    for pretraining in (False, True):
        out = model.train()(**inputs, pretraining=pretraining)
        model.zero_grad()
        out.loss.backward()
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        assert grads
        assert all(torch.isfinite(grad).all() for grad in grads)
        assert set(out.losses) == ({"info_nce", "kd"} if pretraining else {"ce", "kd"})


def test_the_loss_is_ce_plus_lambda_kd() -> None:
    model = make(kd_weight=0.25)
    inputs = batch(model) | {
        "labels": torch.tensor([0, 1, 2, 0]),
        "teacher": torch.randn(4, 5),
        "has_teacher": torch.ones(4, dtype=torch.bool),
    }
    out = model(**inputs)
    torch.testing.assert_close(out.loss, out.losses["ce"] + 0.25 * out.losses["kd"])


def test_evaluation_is_not_noisy_and_training_is() -> None:
    model = make()
    inputs = batch(model)
    assert torch.equal(model(**inputs).logits, model(**inputs).logits)
    model.train()
    assert not torch.equal(model(**inputs).logits, model(**inputs).logits)


def encoded(rng: np.random.Generator, tokens: int, *, image: bool = True) -> Encoded:
    text = rng.standard_normal((tokens, 12), dtype=np.float32) if tokens else None
    regions = rng.standard_normal((9, 20), dtype=np.float32) if image else None
    return Encoded(text, None, regions, None)


@pytest.mark.slow
@pytest.mark.parametrize("arch", sorted(ARCHS))
def test_the_engine_gives_torchs_numbers_whatever_the_neighbours(arch: str) -> None:
    model = make(softmax_temperature=1.7, **arch_overrides(arch))
    rng = np.random.default_rng(0)
    posts = [encoded(rng, n) for n in (1, 3, 30, 7, 30)]
    posts += [encoded(rng, 0), encoded(rng, 5, image=False)]
    layout = Layout.of(model.config)
    contexts = [
        Context(
            rng.standard_normal((layout.nodes, layout.width), dtype=np.float32),
            rng.random(layout.nodes) > 0.5,
        )
        for _ in posts
    ]
    engine = HeadRunner.of(model, device="cpu")
    together = engine.run(posts, contexts)
    for post, context, answer in zip(posts, contexts, together, strict=True):
        alone = engine.run([post], [context])[0]
        assert np.array_equal(alone.probabilities, answer.probabilities)
        assert alone.gate == answer.gate
        with torch.inference_mode():
            out = model(
                tokens=None if post.tokens is None else torch.from_numpy(post.tokens)[None],
                regions=None if post.regions is None else torch.from_numpy(post.regions)[None],
                context=torch.from_numpy(context.nodes)[None],
                context_mask=torch.from_numpy(context.mask)[None],
            )
            said = model.probabilities(out.logits)[0].numpy()
        np.testing.assert_allclose(answer.probabilities, said, atol=1e-5)
        assert answer.gate == pytest.approx(out.gate.item(), abs=1e-5)
