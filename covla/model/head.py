"""A trained model ready to answer: everything after the towers, one post at a time.

On a CPU the head runs on OpenVINO or ONNX Runtime, each post alone without padding, on a GPU on
torch in batches of fixed shapes; always in f32. Its answer does not depend on its neighbours.
"""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import AutoTokenizer

from covla.arrays import FloatArray
from covla.errors import CovlaError
from covla.files import read_object
from covla.model.batch import Batch
from covla.model.configuration import CovlaConfig
from covla.model.context import Context
from covla.model.described import Described
from covla.model.encoders import Encoded, Encoders
from covla.model.modeling import Covla
from covla.model.output import CovlaOutput
from covla.model.runtime.backend import NETWORKS, Backend, open_network, pick_device
from covla.model.runtime.network import Arrays
from covla.model.towers import Towers

if TYPE_CHECKING:
    from covla.settings import Settings


@dataclass(frozen=True)
class HeadOutput:
    """One post's answer: calibrated probabilities (C, taxonomy order), the share of text, and what
    the probabilities are the softmax of (C)."""

    probabilities: FloatArray
    gate: float
    logits: FloatArray


class Answer(nn.Module):
    """Probabilities, gate and tempered logits as plain tensors, which is what can be exported."""

    def __init__(self, model: Covla) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The six inputs of `HeadRunner.inputs` to B x C, B, B x C."""
        out = self.model(Batch.of_features(*inputs))
        logits = out.logits / self.model.config.softmax_temperature
        return self.model.probabilities(out.logits), out.gate, logits


def load_config(folder: Path) -> CovlaConfig:
    """The configuration in a model folder.

    Raises:
        CovlaError: there is none.
    """
    about = read_object(folder / "config.json")
    try:
        config: CovlaConfig = CovlaConfig.from_dict(about)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CovlaError(f"{folder / 'config.json'} is not of a model: {error!r}") from error
    return config


def _load(module: nn.Module, folder: Path, *, towers: bool) -> None:
    """Put a folder's weights into the towers, or into all that comes after them.

    Raises:
        CovlaError: they cannot be read, or do not fit; it names the first that does not.
    """
    path = folder / "model.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            names = [n for n in file.keys() if n.startswith("towers.") == towers]  # noqa: SIM118
            state = {n.removeprefix("towers."): file.get_tensor(n) for n in names}
    except (OSError, SafetensorError) as error:
        raise CovlaError(f"{path} cannot be read: {error}") from error
    own = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name in sorted(own.keys() | found.keys()):
        if own.get(name) != found.get(name):
            raise CovlaError(
                f"{path} does not fit the model of its config.json: {name} is "
                f"{found.get(name, 'missing')}, expected {own.get(name, 'nothing')}",
                hint="The folder was made by another version of covla: train again, or use that",
            )
    module.load_state_dict(state)


def folder_towers(folder: Path) -> Towers:
    """The towers that a model folder carries, in torch.

    Raises:
        CovlaError: there are none, or their weights do not fit.
    """
    towers = Towers(load_config(folder).encoders)
    _load(towers, folder, towers=True)
    return towers


def folder_encoders(folder: Path, settings: "Settings", backend: Backend | None = None) -> Encoders:
    """The towers that a model folder carries, ready to run.

    Raises:
        CovlaError: they do not fit, or the folder's backend has no such network.
    """
    config = load_config(folder)
    towers: Towers | Described
    if config.encoder_id:
        towers = Described(
            config.encoder_id, config.text_width, config.image_width, config.encoders,
            lambda: folder_towers(folder),
        )  # fmt: skip
    else:
        towers = folder_towers(folder)
    return Encoders(
        towers,
        AutoTokenizer.from_pretrained(folder, local_files_only=True),
        cache=settings.cache,
        device=settings.device,
        backend=backend or Backend.of(folder, pick_device(settings.device)),
        networks=folder / NETWORKS,
    )


class HeadRunner:
    """Graph, CAM, CMF and classifier of one model version. Safe to call from several threads."""

    def __init__(
        self,
        model: Covla,
        *,
        device: str = "auto",
        backend: Backend | None = None,
        cache: Path | None = None,
        network: Path | None = None,
    ) -> None:
        """
        Args:
            model: without towers.
            device: cpu, cuda, or auto: a GPU where there is one.
            backend: the towers'; the head itself is always f32.
            cache: where the converted network is kept.
            network: the exported head, for an backend that reads it.
        """
        device = pick_device(device)
        self.config: CovlaConfig = model.config
        name = backend.name if backend else Backend.default(device).name
        self.device = device if name == "torch" else "cpu"
        self.answer = Answer(model).eval().to(self.device)
        self._lock = threading.Lock()
        self._network = open_network(
            lambda: self.answer,
            Backend(name),
            example=self.example(),
            ragged=(0, 1),
            pads=(0, 0),
            device=self.device,
            file=network if name == "onnx" else None,
            cached=cache / "openvino" / f"{self._id()}-head.xml" if cache else None,
        )

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        device: str = "auto",
        backend: Backend | None = None,
        cache: Path | None = None,
    ) -> "HeadRunner":
        """The head in a model folder; the towers' weights are not read.

        Raises:
            CovlaError: the folder's weights do not fit its configuration.
        """
        config = load_config(folder)
        config.with_towers = False
        model = Covla(config)
        _load(model, folder, towers=False)
        backend = backend or Backend.of(folder, pick_device(device))
        network = folder / NETWORKS / "head.onnx"
        return cls(model, device=device, backend=backend, cache=cache, network=network)

    def _id(self) -> str:
        """Hash of configuration and weights: two equal heads share a converted network."""
        total = hashlib.sha256(self.config.to_json_string(use_diff=False).encode())
        for name, tensor in sorted(self.answer.model.state_dict().items()):
            total.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
        return total.hexdigest()[:16]

    def example(self) -> Arrays:
        """One blank post."""
        blank = Encoded(np.zeros((5, self.config.text_width), np.float32), None, None, None)
        layout = self.answer.model.context.layout
        nothing = Context(
            np.zeros((layout.nodes, layout.width), np.float32), np.zeros(layout.nodes, np.bool_)
        )
        return self.inputs(blank, nothing)

    def inputs(self, encoded: Encoded, context: Context) -> Arrays:
        """tokens, token_mask, regions, has_image, context, context_mask of one post."""
        tokens, regions = encoded.tokens, encoded.regions
        if tokens is None:
            tokens = np.zeros((1, self.config.text_width), np.float32)
        if regions is None:
            regions = np.zeros((self.config.regions, self.config.image_width), np.float32)
        return (
            tokens[None],
            np.full((1, len(tokens)), encoded.tokens is not None),
            regions[None],
            np.array([encoded.regions is not None]),
            context.nodes[None],
            context.mask[None],
        )

    def forward_with_attention(self, encoded: Encoded, context: Context) -> CovlaOutput:
        """The whole output for one post, attention included, from torch in f32."""
        tensors = [torch.from_numpy(array) for array in self.inputs(encoded, context)]
        with torch.inference_mode():
            output: CovlaOutput = self.answer.model(
                Batch.of_features(*(each.to(self.device) for each in tensors))
            )
        return output

    def run(self, encoded: Sequence[Encoded], contexts: Sequence[Context]) -> list[HeadOutput]:
        """One answer per post, in order."""
        items = (self.inputs(*pair) for pair in zip(encoded, contexts, strict=True))
        with self._lock:
            outputs = self._network.run(items)
        return [HeadOutput(p[0], float(gate[0]), logits[0]) for p, gate, logits in outputs]
