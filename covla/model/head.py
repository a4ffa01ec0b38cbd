"""A trained model ready to answer: everything after the towers, one post at a time.

On a CPU the head runs on OpenVINO in f32, on a GPU on torch. Each post runs alone without padding,
so its answer does not depend, to the last bit, on its neighbours.
"""

import json
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoTokenizer

from covla.errors import CovlaError
from covla.model.configuration import CovlaConfig
from covla.model.context import Context
from covla.model.encoders import Encoded, Encoders
from covla.model.modeling import CovlaModel, CovlaOutput
from covla.model.towers import Towers
from covla.settings import Settings

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class HeadOutput:
    """One post's answer: calibrated probabilities (C, taxonomy order) and the share of text."""

    probabilities: Array
    gate: float


class _Answer(nn.Module):
    # Probabilities and gate alone, as plain tensors, which is what can be exported.
    def __init__(self, model: CovlaModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        out = self.model(*inputs)
        return self.model.probabilities(out.logits), out.gate


def load_config(folder: Path) -> CovlaConfig:
    """The configuration in a model folder.

    Raises:
        CovlaError: there is none.
    """
    try:
        config: CovlaConfig = CovlaConfig.from_dict(
            json.loads((folder / "config.json").read_text())
        )
    except (OSError, json.JSONDecodeError) as error:
        raise CovlaError(f"{folder} is no model folder: {error}") from error
    return config


def _weights(folder: Path, *, towers: bool) -> dict[str, Tensor]:
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        names = [name for name in file.keys() if name.startswith("towers.") == towers]  # noqa: SIM118
        return {name.removeprefix("towers."): file.get_tensor(name) for name in names}


def folder_encoders(folder: Path, settings: Settings) -> Encoders:
    """The towers that a model folder carries, ready to run."""
    config = load_config(folder)
    towers = Towers(config.encoders)
    towers.load_state_dict(_weights(folder, towers=True))
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return Encoders(towers, tokenizer, cache=settings.cache, device=settings.device)


class HeadEngine:
    """Graph, CAM, CMF and classifier of one model version. Safe to call from several threads."""

    def __init__(self, model: CovlaModel, *, device: str = "auto") -> None:
        self.config: CovlaConfig = model.config
        self._lock = threading.Lock()
        cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
        self.device = "cuda" if cuda else "cpu"
        self._answer = _Answer(model).eval().to(self.device)
        self._queue = None if cuda else self._compile()

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> "HeadEngine":
        """The head in a model folder; the towers' weights are not read."""
        config = load_config(folder)
        config.with_towers = False
        model = CovlaModel(config)
        model.load_state_dict(_weights(folder, towers=False))
        return cls(model, device=device)

    def _inputs(self, encoded: Encoded, context: Context) -> list[np.ndarray[Any, Any]]:
        """tokens, token_mask, regions, has_image, context, context_mask of one post."""
        tokens, regions = encoded.tokens, encoded.regions
        if tokens is None:
            tokens = np.zeros((1, self.config.text_width), np.float32)
        if regions is None:
            regions = np.zeros((self.config.regions, self.config.image_width), np.float32)
        return [
            tokens[None],
            np.full((1, len(tokens)), encoded.tokens is not None),
            regions[None],
            np.array([encoded.regions is not None]),
            context.nodes[None],
            context.mask[None],
        ]

    def look(self, encoded: Encoded, context: Context) -> CovlaOutput:
        """All that the model says of one post, attention included, from torch in f32."""
        tensors = [torch.from_numpy(array) for array in self._inputs(encoded, context)]
        with torch.inference_mode():
            said: CovlaOutput = self._answer.model(*(each.to(self.device) for each in tensors))
        return said

    def _compile(self) -> ov.AsyncInferQueue:
        blank = Encoded(np.zeros((5, self.config.text_width), np.float32), None, None, None)
        layout = self._answer.model.context.layout
        nothing = Context(
            np.zeros((layout.nodes, layout.width), np.float32), np.zeros(layout.nodes, np.bool_)
        )
        example = tuple(torch.from_numpy(array) for array in self._inputs(blank, nothing))
        with torch.inference_mode(), warnings.catch_warnings():
            # Tracing warns of branches on shapes; the test of equal answers covers all lengths.
            warnings.simplefilter("ignore")
            network = ov.convert_model(self._answer, example_input=example)
        for position, tensor in enumerate(example):
            shape = [-1 if position < 2 and axis == 1 else n for axis, n in enumerate(tensor.shape)]
            network.inputs[position].get_node().set_partial_shape(ov.PartialShape(shape))
        network.validate_nodes_and_infer_types()
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        return ov.AsyncInferQueue(ov.Core().compile_model(network, "CPU", settings))

    def run(self, encoded: Sequence[Encoded], contexts: Sequence[Context]) -> list[HeadOutput]:
        """One answer per post, in order."""
        items = [self._inputs(*pair) for pair in zip(encoded, contexts, strict=True)]
        results: dict[int, HeadOutput] = {}
        if self._queue is None:
            with torch.inference_mode():
                for position, item in enumerate(items):
                    tensors = [torch.from_numpy(array).to(self.device) for array in item]
                    said, gate = (
                        tensor.float().cpu().numpy()[0] for tensor in self._answer(*tensors)
                    )
                    results[position] = HeadOutput(said, float(gate))
            return list(results.values())

        def keep(request: ov.InferRequest, position: int) -> None:
            said = request.get_output_tensor(0).data[0].copy()
            results[position] = HeadOutput(said, float(request.get_output_tensor(1).data[0]))

        with self._lock:
            self._queue.set_callback(keep)
            for position, item in enumerate(items):
                self._queue.start_async(dict(enumerate(item)), position)
            self._queue.wait_all()
        return [results[position] for position in range(len(items))]
