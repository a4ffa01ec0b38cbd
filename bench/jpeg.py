"""JPEG bytes to a batch of pixels on the device, by the fastest decoder that is there.

Used by bench/gpu.py alone: what serves decodes through covla.prepare, on the CPU, so that every
part of the system sees the same pixels.
"""

import io
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Decode = Callable[[Sequence[bytes]], list[Tensor]]


@dataclass
class Decoder:
    """`name` says which decoder runs; `reason` why a faster one does not, "" where none is."""

    name: str
    reason: str
    decode: Decode  # bytes to uint8 3 x H x W each, on `device`
    device: str

    def batch(self, content: Sequence[bytes], size: int) -> Tensor:
        """Pictures as one float tensor B x 3 x S x S in 0..255, resized on the device."""
        ready = []
        for picture in self.decode(content):
            moved = picture.to(self.device, non_blocking=True).float()[None]
            ready.append(
                F.interpolate(moved, (size, size), mode="bilinear", antialias=True).clamp(0, 255)
            )
        return torch.cat(ready)


def _raw(content: Sequence[bytes]) -> list[Tensor]:
    return [torch.from_numpy(np.frombuffer(each, np.uint8).copy()) for each in content]


def _torchvision(device: str) -> Decode:
    from torchvision.io import ImageReadMode, decode_jpeg

    def decode(content: Sequence[bytes]) -> list[Tensor]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision 0.29 says that torchcodec comes after it
            found: list[Tensor] = decode_jpeg(_raw(content), mode=ImageReadMode.RGB, device=device)
        return found

    return decode


def _pillow(threads: int) -> Decode:
    from PIL import Image

    pool = ThreadPoolExecutor(threads)

    def one(content: bytes) -> Tensor:
        with Image.open(io.BytesIO(content)) as picture:
            return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)

    return lambda content: list(pool.map(one, content))


def pick(device: str, sample: bytes, *, wanted: str = "auto", threads: int = 2) -> Decoder:
    """The first that decodes `sample`: torchvision on the GPU, torchvision on the CPU, Pillow.

    Raises:
        RuntimeError: none does, or not the `wanted` one.
    """
    makers: dict[str, Callable[[], Decode]] = {
        "torchvision-cuda": lambda: _torchvision("cuda"),
        "torchvision-cpu": lambda: _torchvision("cpu"),
        "pillow": lambda: _pillow(threads),
    }
    if device != "cuda":
        del makers["torchvision-cuda"]
    reasons = []
    for name in makers if wanted == "auto" else (wanted,):
        try:
            decode = makers[name]()
            decode([sample])
        except (ImportError, RuntimeError, OSError, AttributeError, KeyError) as error:
            why = str(error).strip().splitlines() or [type(error).__name__]
            reasons.append(f"{name}: {why[0]}")
        else:
            return Decoder(name, "; ".join(reasons), decode, device)
    raise RuntimeError(f"no JPEG decoder runs: {'; '.join(reasons)}")


def pictures(count: int, *, height: int = 480, width: int = 640, seed: int = 0) -> list[bytes]:
    """Smooth random pictures as JPEG bytes, about as large as photos of that size."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8))
        out = io.BytesIO()
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
        made.append(out.getvalue())
    return made
