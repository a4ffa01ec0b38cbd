"""A trained model ready to answer: everything after the towers, one post at a time.

On a CPU the head runs on OpenVINO or ONNX Runtime, each post alone without padding, on a GPU on
torch in batches of fixed shapes; always in f32. Its answer does not depend on its neighbours.
Nothing here imports torch: only a GPU, or a folder that was never converted, needs it.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from covla.arrays import FloatArray
from covla.model.context import Context
from covla.model.described import Described
from covla.model.encoders import Encoded, Encoders
from covla.model.head_inputs import head_inputs
from covla.model.model_config import ModelConfig, load_config
from covla.model.networks import f32_networks
from covla.model.runtime.backend import NETWORKS, Backend, open_network
from covla.model.runtime.device import pick_device, require_torch
from covla.model.runtime.network import Arrays, Network
from covla.model.tokenizer import FastTokenizer
from covla.model.weights_file import towers_digest

if TYPE_CHECKING:
    from covla.model.modeling import Covla
    from covla.model.towers import Towers
    from covla.settings import Settings


@dataclass(frozen=True)
class HeadOutput:
    """One post's answer: calibrated probabilities (C, taxonomy order), the share of text, and what
    the probabilities are the softmax of (C)."""

    probabilities: FloatArray
    gate: float
    logits: FloatArray


@dataclass(frozen=True)
class HeadExplanation:
    """What is behind one post's answer; None where the model has no such part.

    logits: C, not yet divided by the temperature. attention: T x R. label_logits: 3 x C, of the
    label nodes, and votes: 3, how much of them is in the logits.
    """

    logits: FloatArray
    attention: FloatArray | None = None
    label_logits: FloatArray | None = None
    votes: FloatArray | None = None


def folder_encoders(folder: Path, settings: "Settings", backend: Backend | None = None) -> Encoders:
    """The towers that a model folder carries, ready to run.

    Raises:
        CovlaError: they do not fit, the folder's backend has no such network, or the folder was
            never converted and torch is not installed.
    """
    config = load_config(folder)
    backend = backend or Backend.of(folder, pick_device(settings.device))

    def load() -> "Towers":
        require_torch(f"a network of {folder}")
        from covla.model.folder_weights import folder_towers

        return folder_towers(folder)

    networks = None
    if backend.in_folder:
        networks = folder / NETWORKS
    elif backend.name == "openvino":
        networks = f32_networks(folder, settings.cache)
    towers = Described(
        config.encoder_id or towers_digest(folder)[:16],
        config.text_width,
        config.image_width,
        config.encoders,
        load,
    )
    return Encoders(
        towers,
        FastTokenizer.load(folder),
        cache=settings.cache,
        device=settings.device,
        backend=backend,
        networks=networks,
    )


class HeadRunner:
    """Graph, CAM, CMF and classifier of one model version. Safe to call from several threads."""

    def __init__(
        self, config: ModelConfig, network: Network, explanation: Callable[[], Network]
    ) -> None:
        """
        Args:
            config: of the model.
            network: gives probabilities, gate and tempered logits.
            explanation: gives the network whose outputs `config.explained` names; called once, when
                a first answer is to be explained.
        """
        self.config = config
        self._network = network
        self._explanation = explanation
        self._opened: Network | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        cache: Path,
        device: str = "auto",
        backend: Backend | None = None,
    ) -> "HeadRunner":
        """The head in a model folder; the towers' weights are not read.

        Args:
            folder: of the model.
            cache: where the networks of a folder that carries none are kept.
            device: cpu, cuda, or auto: a GPU where there is one.
            backend: the towers'; the head itself is always f32. Default: the folder's.

        Raises:
            CovlaError: the folder's weights do not fit its configuration, its network cannot be
                read, or it was never converted and torch is not installed.
        """
        device = pick_device(device)
        backend = backend or Backend.of(folder, device)
        config = load_config(folder)
        if backend.name == "torch":
            require_torch(f"the head of {folder}")
            from covla.model.folder_weights import folder_model

            return cls.of(folder_model(folder), device=device, backend=backend)

        def opened(path: Path) -> Network:
            kind = Backend("onnx" if path.suffix == ".onnx" else "openvino")
            return open_network(None, kind, example=(), file=path)

        def part(name: str) -> Network:
            return opened(f32_networks(folder, cache) / f"{name}.xml")

        onnx = folder / NETWORKS / "head.onnx"
        network = opened(onnx) if backend.name == "onnx" else part("head")
        return cls(config, network, lambda: part("explain"))

    @classmethod
    def of(
        cls, model: "Covla", *, device: str = "auto", backend: Backend | None = None
    ) -> "HeadRunner":
        """The head of a model at hand, which needs no towers.

        Args:
            model: its weights go to the device.
            device: cpu, cuda, or auto: a GPU where there is one.
            backend: torch or openvino; default: that of the device.
        """
        from covla.model.answer import networks_of

        device = pick_device(device)
        backend = backend or Backend.default(device)
        return cls(ModelConfig.of(model.config), *networks_of(model, backend.name, device))

    def inputs(self, encoded: Encoded, context: Context) -> Arrays:
        """tokens, token_mask, regions, has_image, context, context_mask of one post."""
        return head_inputs(self.config, encoded, context)

    def explain(self, encoded: Encoded, context: Context) -> HeadExplanation:
        """What is behind the answer for one post, in f32.

        Raises:
            CovlaError: the folder has no network for it, and torch is not installed.
        """
        with self._lock:
            if self._opened is None:
                self._opened = self._explanation()
            (outputs,) = self._opened.run([self.inputs(encoded, context)])
        pairs = zip(self.config.explained, outputs, strict=True)
        return HeadExplanation(**{name: output[0] for name, output in pairs})

    def run(self, encoded: Sequence[Encoded], contexts: Sequence[Context]) -> list[HeadOutput]:
        """One answer per post, in order."""
        items = (self.inputs(*pair) for pair in zip(encoded, contexts, strict=True))
        with self._lock:
            outputs = self._network.run(items)
        return [HeadOutput(p[0], float(gate[0]), logits[0]) for p, gate, logits in outputs]
