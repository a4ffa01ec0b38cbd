"""Frozen towers, run once per post. The one place that ingest, training and serving all call.

On a CPU the towers run on OpenVINO in f32: the same numbers as torch at several times the speed.
Each post runs alone, as many at a time as there are cores, without padding. On a GPU they run on
torch in batches of fixed shapes. An exported model may name another backend or precision. Whatever
it is, the answer for a post does not depend on its neighbours.
"""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from covla.arrays import Array, FloatArray
from covla.model.described import Described, describe_base
from covla.model.pooling import mean_of, unit_length
from covla.model.runtime.backend import Backend, open_network, tower_files
from covla.model.runtime.device import pick_device, require_torch
from covla.model.runtime.network import Arrays, Network
from covla.model.tokenizer import FastTokenizer, Tokenizer, TransformersTokenizer

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from covla.model.towers import Towers
    from covla.settings import Settings


class Item(Protocol):
    """What is read of a prepared post."""

    @property
    def text(self) -> str: ...
    @property
    def image(self) -> Array | None: ...


@dataclass(frozen=True)
class Encoded:
    """One post after the towers; None where the modality is missing. All float32."""

    tokens: FloatArray | None  # T x d_T, as many rows as the text has tokens
    text_embedding: FloatArray | None  # d_T, mean of tokens, length 1
    regions: FloatArray | None  # R x d_V
    image_embedding: FloatArray | None  # d_V, mean of regions


def pixels(image: Array, size: int) -> Array:
    """uint8 H x W x 3 to uint8 3 x S x S, the whole image, whatever its aspect."""
    if image.shape[:2] != (size, size):
        import cv2

        shrinks = max(image.shape[:2]) > size
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image = cv2.resize(image, (size, size), interpolation=way)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def example(part: str, side: int) -> Arrays:
    """One blank input of the tower `part`, "text" or "image", whose images are S = `side` wide."""
    if part == "text":
        ids = np.ones((1, 8), np.int64)
        return ids, ids
    return (np.zeros((1, 3, side, side), np.uint8),)


class Encoders:
    """Both towers ready to run. Safe to call from several threads, which then take turns."""

    def __init__(
        self,
        towers: "Towers | Described",
        tokenizer: "PreTrainedTokenizerBase | FastTokenizer",
        *,
        cache: Path | None = None,
        device: str = "auto",
        backend: Backend | str = "auto",
        networks: Path | None = None,
    ) -> None:
        """
        Args:
            towers, tokenizer: what is run.
            cache: where networks that were converted are kept.
            device: cpu, cuda, or auto: a GPU where there is one.
            backend: by name (f32), or with its precision; "auto" is torch on a GPU, else OpenVINO.
            networks: the folder of converted networks, for backends that read them; without it
                they are made of the towers' weights.
        """
        device = pick_device(device)
        if isinstance(backend, str):
            backend = Backend.default(device) if backend == "auto" else Backend(backend)
        self.backend = backend
        self.device = device if backend.name == "torch" else "cpu"
        known = towers if isinstance(towers, Described) else Described.of(towers)
        weights = known.weights
        self.id = weights + backend.mark
        if networks is not None and backend.in_folder:
            total = hashlib.sha256()
            for path in tower_files(networks, backend):
                total.update(path.read_bytes())
            self.id = f"{weights}-{backend.name}-{backend.precision}-{total.hexdigest()[:8]}"
        self.tokenizer: Tokenizer = (
            tokenizer if isinstance(tokenizer, FastTokenizer) else TransformersTokenizer(tokenizer)
        )
        self.text_width = known.text_width
        self.image_width = known.image_width
        self.image_size = int(known.spec["image"]["size"])
        self.max_tokens = int(known.spec["text"]["max_tokens"])
        self._lock = threading.Lock()
        kept = cache / "openvino" / weights if cache else None
        self._load, self._kept = known.load, kept
        self._folder = networks if backend.name != "torch" else None
        self._networks: dict[str, Network] = {}
        if self._folder is not None:
            for part in ("text", "image"):  # what cannot be read is named now
                self._network(part)

    def _network(self, part: str) -> Network:
        """The network of one side, made when the first post has that side."""
        if part not in self._networks:
            self._networks[part] = self._open(part)
            if len(self._networks) == 2:
                del self._load  # weights go with it, but those that a torch network holds
        return self._networks[part]

    def _open(self, part: str) -> Network:
        text, folder, kept = part == "text", self._folder, self._kept
        ending = ".onnx" if self.backend.name == "onnx" else ".xml"

        def tower() -> "nn.Module":
            towers = self._load().eval()
            return towers.text if text else towers.image

        return open_network(
            tower,
            self.backend,
            example=self.example(part),
            ragged=(0, 1) if text else (),
            pads=(self.tokenizer.pad, 0) if text else (),
            ragged_output=text,
            device=self.device,
            file=folder / f"{part}{ending}" if folder else None,
            cached=kept.with_name(f"{kept.name}-{part}.xml") if kept else None,
        )

    def example(self, part: str) -> Arrays:
        """One blank input of the tower `part`, "text" or "image"."""
        return example(part, self.image_size)

    def encode(self, items: Sequence[Item]) -> list[Encoded]:
        """Tokens, regions and their means, per post, in order."""
        texts = [i for i, item in enumerate(items) if item.text]
        images = [i for i, item in enumerate(items) if item.image is not None]
        with self._lock:
            tokens = self._run("text", texts, self.text_inputs([items[i].text for i in texts]))
            arrays = (image for i in images if (image := items[i].image) is not None)
            regions = self._run("image", images, self.image_inputs(arrays))
        return [_encoded(tokens.get(i), regions.get(i)) for i in range(len(items))]

    def text_inputs(self, texts: Sequence[str]) -> Iterator[Arrays]:
        """ids and mask of each text, 1 x T int64."""
        if not texts:
            return
        for row in self.tokenizer.ids(texts, self.max_tokens):
            array = np.asarray([row], dtype=np.int64)
            yield array, np.ones_like(array)

    def image_inputs(self, images: Iterable[Array]) -> Iterator[Arrays]:
        """Each image, 1 x 3 x S x S uint8; resized while the one before it is encoded."""
        return ((pixels(image, self.image_size)[None],) for image in images)

    def _run(self, part: str, places: list[int], inputs: Iterable[Arrays]) -> dict[int, FloatArray]:
        outputs_of = self._network(part).run(inputs) if places else []
        return {place: outputs[0][0] for place, outputs in zip(places, outputs_of, strict=True)}


def load_encoders(preset: str, settings: "Settings") -> Encoders:
    """Frozen encoders by preset name, ready to run; compiled once per state folder.

    Raises:
        CovlaError: nothing can be loaded under that name, or torch is not installed.
    """
    require_torch(
        f"the encoders of preset {preset}",
        "Promote a first champion, whose folder carries its encoders; or install `covla[train]`",
    )
    from covla.model.towers import base_tokenizer, load_towers

    towers: Towers | Described
    if preset == "base":
        towers, tokenizer = describe_base(settings.cache / "openvino"), base_tokenizer()
    else:
        towers, tokenizer = load_towers(preset)
    return Encoders(towers, tokenizer, cache=settings.cache, device=settings.device)


def _encoded(tokens: FloatArray | None, regions: FloatArray | None) -> Encoded:
    text = None if tokens is None else unit_length(mean_of(tokens))
    image = None if regions is None else mean_of(regions)
    return Encoded(tokens, text, regions, image)
