"""Feature rows with known distributions: small embeddings, every column of the lake."""

import numpy as np
import pandas as pd

from covla.posts.quality import IMAGE_QUALITY, TEXT_QUALITY

WIDTHS = {"text": 24, "image": 40}
SINGLE = 0.05  # share without text, and without an image


def rows(n: int, seed: int, *, single: float = SINGLE) -> pd.DataFrame:
    """`n` posts; the same distribution for every seed, correlated embeddings, skewed measures."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0)
    frame = pd.DataFrame({"post_id": [f"p-{seed}-{i}" for i in range(n)]})
    frame["lang"] = rng.choice(["en", "es", "und", "fr"], n, p=[0.8, 0.15, 0.04, 0.01])
    draw = rng.random(n)
    present = {"text": draw >= single, "image": draw < 1 - single}
    names = {"text": TEXT_QUALITY, "image": IMAGE_QUALITY}
    for modality, width in WIDTHS.items():
        mix = mixing.standard_normal((width, width)) / np.arange(1, width + 1)
        vectors = (rng.standard_normal((n, width)) @ mix.T).astype(np.float32)
        there = present[modality]
        frame[f"{modality}_embedding"] = [
            vector if ok else None for vector, ok in zip(vectors, there, strict=True)
        ]
        for name in names[modality]:
            values = np.where(there, rng.gamma(2.0, 1.0, n), np.nan)
            frame[f"{modality}_{name}"] = (
                np.where(there, values, 0) if modality == "text" else values
            )
    return frame


def shifted(frame: pd.DataFrame, modality: str, by: float) -> pd.DataFrame:
    """The same posts with one modality's embeddings moved along one direction."""
    column = f"{modality}_embedding"
    out = frame.copy()
    out[column] = [None if v is None else v + np.float32(by) for v in frame[column]]
    return out
