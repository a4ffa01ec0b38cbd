"""JPEG bytes to a batch of pixels on the device, by the fastest decoder that is there.

Used by bench/gpu.py alone: what serves decodes in covla.posts.preprocessing, on the CPU, so that
every part of the system sees the same pixels.
"""

import io
import os
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Decode = Callable[[Sequence[bytes]], list[Tensor]]


@dataclass
class Decoder:
    """`name` says which decoder runs; `rates` what each gave, images per second with resizing."""

    name: str
    rates: dict[str, float]
    decode: Decode  # bytes to uint8 3 x H x W each, on `device`
    device: str

    def batch(self, content: Sequence[bytes], size: int) -> Tensor:
        """Images as one float tensor B x 3 x S x S in 0..255, resized on the device."""
        pictures = self.decode(content)
        alike: dict[torch.Size, list[int]] = {}
        for place, picture in enumerate(pictures):
            alike.setdefault(picture.shape, []).append(place)
        ready = torch.empty(len(pictures), 3, size, size, device=self.device)
        for places in alike.values():
            several = torch.stack([pictures[place] for place in places])
            moved = several.to(self.device, non_blocking=True).float()
            ready[places] = F.interpolate(
                moved, (size, size), mode="bilinear", antialias=True
            ).clamp(0, 255)
        return ready


def _raw(content: Sequence[bytes]) -> list[Tensor]:
    return [torch.from_numpy(np.frombuffer(each, np.uint8).copy()) for each in content]


def _torchvision_io() -> Any:
    from torchvision import io as found

    # torchvision 0.29 says that torchcodec comes after it.
    warnings.filterwarnings("ignore", "The image decoding and encoding", DeprecationWarning)
    return found


def _torchvision_gpu() -> Decode:
    tv = _torchvision_io()

    def decode(content: Sequence[bytes]) -> list[Tensor]:
        found: list[Tensor] = tv.decode_jpeg(
            _raw(content), mode=tv.ImageReadMode.RGB, device="cuda"
        )
        return found

    return decode


def _torchvision(threads: int) -> Decode:
    tv = _torchvision_io()
    pool = ThreadPoolExecutor(threads)

    def one(content: Tensor) -> Tensor:
        found: Tensor = tv.decode_jpeg(content, mode=tv.ImageReadMode.RGB)
        return found

    return lambda content: list(pool.map(one, _raw(content)))


def _pillow(threads: int) -> Decode:
    from PIL import Image

    pool = ThreadPoolExecutor(threads)

    def one(content: bytes) -> Tensor:
        with Image.open(io.BytesIO(content)) as picture:
            return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)

    return lambda content: list(pool.map(one, content))


def pick(device: str, sample: Sequence[bytes], size: int, *, wanted: str = "auto") -> Decoder:
    """The fastest over `sample`: torchvision on the GPU, torchvision on all cores, or Pillow there.

    Raises:
        RuntimeError: none runs, or not the `wanted` one.
    """
    threads = os.cpu_count() or 1
    makers: dict[str, Callable[[], Decode]] = {
        "torchvision-cuda": _torchvision_gpu,
        "torchvision-cpu": lambda: _torchvision(threads),
        "pillow": lambda: _pillow(threads),
    }
    if device != "cuda":
        del makers["torchvision-cuda"]
    rates: dict[str, float] = {}
    found: dict[str, Decoder] = {}
    reasons = []
    for name in makers if wanted == "auto" else (wanted,):
        try:
            decoder = Decoder(name, rates, makers[name](), device)
            rates[name] = _rate(decoder, sample, size)
        except (ImportError, RuntimeError, OSError, AttributeError, KeyError) as error:
            why = str(error).strip().splitlines() or [type(error).__name__]
            reasons.append(f"{name}: {why[0]}")
        else:
            found[name] = decoder
    if not found:
        raise RuntimeError(f"no JPEG decoder runs: {'; '.join(reasons)}")
    return found[max(found, key=lambda name: rates[name])]


def _rate(decoder: Decoder, sample: Sequence[bytes], size: int, rounds: int = 3) -> float:
    """Images per second, decoded and resized on the device; the best of `rounds`."""
    seconds = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        decoder.batch(sample, size)
        if decoder.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return round(len(sample) / min(seconds[1:]), 1)


def pictures(count: int, *, height: int = 480, width: int = 640, seed: int = 0) -> list[bytes]:
    """Smooth random images as JPEG bytes, about as large as photos of that size."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8))
        out = io.BytesIO()
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
        made.append(out.getvalue())
    return made
