"""Frozen towers, run once per post. The one place that ingest, training and serving all call.

On a CPU the towers run on OpenVINO in f32: the same numbers as torch at several times the speed.
Each post runs alone, two at a time, without padding: its answer does not depend on its neighbours.
On a GPU they run on torch in batches.
"""

import hashlib
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import openvino as ov
import torch
from transformers import PreTrainedTokenizerBase

from covla.model.towers import Towers, load_towers
from covla.settings import Settings

Array = np.ndarray[Any, np.dtype[np.float32]]


class Item(Protocol):
    """What is read of a prepared post."""

    @property
    def text(self) -> str: ...
    @property
    def image(self) -> np.ndarray[Any, Any] | None: ...


@dataclass(frozen=True)
class Encoded:
    """One post after the towers; None where the modality is missing. All float32."""

    tokens: Array | None  # T x d_T, as many rows as the text has tokens
    text_embedding: Array | None  # d_T, mean of tokens, length 1
    regions: Array | None  # R x d_V
    image_embedding: Array | None  # d_V, mean of regions


def weights_id(module: torch.nn.Module) -> str:
    """Hash of a module's weights and names: the identity of a frozen encoder."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


def pixels(image: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """uint8 H x W x 3 to uint8 3 x S x S, the whole picture, whatever its aspect."""
    if image.shape[:2] != (size, size):
        shrinks = max(image.shape[:2]) > size
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image = cv2.resize(image, (size, size), interpolation=way)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


class Encoders:
    """Both towers ready to run. Safe to call from several threads, which then take turns."""

    def __init__(
        self,
        towers: Towers,
        tokenizer: PreTrainedTokenizerBase,
        *,
        cache: Path | None = None,
        device: str = "auto",
        engine: str = "auto",
    ) -> None:
        """`engine` is "openvino", "torch", or "auto": torch on a GPU, OpenVINO on a CPU."""
        self.id = weights_id(towers)
        self.tokenizer = tokenizer
        self.text_width = towers.text.width
        self.image_width = towers.image.width
        self.image_size = int(towers.spec["image"]["size"])
        self.max_tokens = int(towers.spec["text"]["max_tokens"])
        cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
        self.device = "cuda" if cuda else "cpu"
        self.engine = engine if engine != "auto" else ("torch" if cuda else "openvino")
        self._lock = threading.Lock()
        self._towers = towers.eval()
        if self.engine == "openvino":
            self._text = self._compile("text", cache)
            self._image = self._compile("image", cache)
            del self._towers  # the compiled networks hold their own weights
        else:
            self._towers.to(self.device)

    def _compile(self, part: str, cache: Path | None) -> ov.AsyncInferQueue:
        core = ov.Core()
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        path = cache / "openvino" / f"{self.id}-{part}.xml" if cache else None
        if path is not None and path.exists():
            network = core.read_model(path)
        else:
            network = self._convert(part)
            if path is not None:
                _save(network, path)
        compiled = core.compile_model(network, "CPU", settings)
        return ov.AsyncInferQueue(compiled)

    def _convert(self, part: str) -> ov.Model:
        with warnings.catch_warnings():
            # Tracing warns of branches on shapes; the test of equal answers covers all lengths.
            warnings.simplefilter("ignore")
            return self._trace(part)

    def _trace(self, part: str) -> ov.Model:
        if part == "text":
            ids = torch.ones(1, 8, dtype=torch.int64)
            network = ov.convert_model(self._towers.text, example_input=(ids, ids))
            for parameter in network.inputs:
                parameter.get_node().set_partial_shape(ov.PartialShape([1, -1]))
                parameter.get_node().set_element_type(ov.Type.i64)
        else:
            side = self.image_size
            example = torch.zeros(1, 3, side, side, dtype=torch.uint8)
            network = ov.convert_model(self._towers.image, example_input=example)
            network.inputs[0].get_node().set_partial_shape(ov.PartialShape([1, 3, side, side]))
        network.validate_nodes_and_infer_types()
        return network

    def encode(self, items: Sequence[Item]) -> list[Encoded]:
        """Tokens, regions and their means, per post, in order."""
        texts = [i for i, item in enumerate(items) if item.text]
        images = [i for i, item in enumerate(items) if item.image is not None]
        with self._lock:
            tokens = dict(
                zip(texts, self._encode_texts([items[i].text for i in texts]), strict=True)
            )
            regions = dict(
                zip(images, self._encode_images([items[i].image for i in images]), strict=True)
            )
        return [_encoded(tokens.get(i), regions.get(i)) for i in range(len(items))]

    def _encode_texts(self, texts: list[str]) -> list[Array]:
        if not texts:
            return []
        ids = self.tokenizer(texts, truncation=True, max_length=self.max_tokens)["input_ids"]
        if self.engine == "openvino":
            rows = [np.asarray([row], dtype=np.int64) for row in ids]
            return self._queue(self._text, [(row, np.ones_like(row)) for row in rows])
        batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            out = (
                self._towers.text(batch["input_ids"], batch["attention_mask"]).float().cpu().numpy()
            )
        side = self.tokenizer.padding_side
        return [
            out[i, : len(row)] if side == "right" else out[i, -len(row) :]
            for i, row in enumerate(ids)
        ]

    def _encode_images(self, images: list[np.ndarray[Any, Any] | None]) -> list[Array]:
        ready = [pixels(image, self.image_size) for image in images if image is not None]
        if not ready:
            return []
        if self.engine == "openvino":
            return self._queue(self._image, [(image[None],) for image in ready])
        with torch.inference_mode():
            out = self._towers.image(torch.from_numpy(np.stack(ready)).to(self.device))
        return list(out.float().cpu().numpy())

    @staticmethod
    def _queue(queue: ov.AsyncInferQueue, inputs: list[tuple[Any, ...]]) -> list[Array]:
        results: list[Array | None] = [None] * len(inputs)

        def keep(request: ov.InferRequest, position: int) -> None:
            results[position] = request.get_output_tensor(0).data[0].copy()

        queue.set_callback(keep)
        for position, arrays in enumerate(inputs):
            queue.start_async(dict(enumerate(arrays)), position)
        queue.wait_all()
        return [result for result in results if result is not None]


def load_encoders(preset: str, settings: Settings) -> Encoders:
    """Frozen encoders by preset name, ready to run; compiled once per state folder.

    Raises:
        CovlaError: nothing can be loaded under that name.
    """
    towers, tokenizer = load_towers(preset)
    return Encoders(towers, tokenizer, cache=settings.cache, device=settings.device)


def _encoded(tokens: Array | None, regions: Array | None) -> Encoded:
    text = image = None
    if tokens is not None:
        text = tokens.mean(axis=0)
        text = text / max(float(np.linalg.norm(text)), 1e-12)
    if regions is not None:
        image = regions.mean(axis=0)
    return Encoded(tokens, text, regions, image)


def _save(network: ov.Model, path: Path) -> None:
    """Written aside and renamed, weights first, so that a reader never sees half a network."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".{path.stem}.{threading.get_native_id()}.xml"
    ov.save_model(network, draft, compress_to_fp16=False)
    draft.with_suffix(".bin").replace(path.with_suffix(".bin"))
    draft.replace(path)
