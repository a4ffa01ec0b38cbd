"""CAM's attention over regions, read as a person reads: word by word, on the grid."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covla.errors import CovlaError
from covla.model.encoders import Encoders
from covla.schemas.explanation import Attention, Focus, WordFocus
from covla.words import WORD

_DECIMALS = 5

Shares = NDArray[np.floating[Any]]


def focus(shares: Shares, grid: tuple[int, int]) -> dict[str, Any]:
    """The fields of a `Focus` from R shares that sum to 1."""
    if shares.size != grid[0] * grid[1]:
        raise CovlaError(f"an attention over {shares.size} regions does not fit a grid of {grid}")
    row, column = divmod(int(shares.argmax()), grid[1])
    seen = shares[shares > 0]
    bits = float(-(seen * np.log(seen)).sum() / np.log(shares.size)) if shares.size > 1 else 0.0
    return {
        "regions": shares.astype(float).round(_DECIMALS).reshape(grid).tolist(),
        "peak": round(float(shares.max()), _DECIMALS),
        "row": row,
        "column": column,
        "entropy": round(min(max(bits, 0.0), 1.0), _DECIMALS),
    }


def words_of(text: str, offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int, list[int]]]:
    """Word pieces to words: first character, end, and the positions of the pieces.

    `offsets` are the pieces' characters in the text; special tokens have an empty range and
    belong to no word.
    """
    # Tokenizers cut "#pizza" and "don't" in two, and an address in ten.
    spans = [match.span() for match in WORD.finditer(text)]
    pieces: dict[tuple[int, int], list[int]] = {}
    for position, (first, end) in enumerate(offsets):
        start = first + len(text[first:end]) - len(text[first:end].lstrip())
        if start >= end:
            continue
        word = next((span for span in spans if span[0] <= start < span[1]), (start, end))
        pieces.setdefault(word, []).append(position)
    return [(*word, positions) for word, positions in sorted(pieces.items())]


def attention_of(
    shares: Shares, text: str, encoders: Encoders, grid: tuple[int, int]
) -> tuple[Attention, list[str]]:
    """The attention of one post, and notes on what is missing.

    Args:
        shares: A, T x R, one row per token of `text` as `encoders` cut it.
        text: the post's text.
        encoders: its tokenizer says where in the text each token lies.
        grid: rows and columns of the regions.
    """
    overall = focus(shares.mean(0), grid)
    offsets = encoders.tokenizer.offsets(text, encoders.max_tokens)
    if offsets is None:
        note = "This tokenizer does not say where its tokens lie in the text: no single words."
        return Attention(**overall, words=[]), [note]
    if len(offsets) != len(shares):
        raise CovlaError(f"{len(shares)} rows of attention for {len(offsets)} tokens")
    words = [
        WordFocus(
            word=text[first:end], start=first, end=end, **focus(shares[positions].mean(0), grid)
        )
        for first, end, positions in words_of(text, offsets)
    ]
    return Attention(**overall, words=words), []


def sharpest(attention: Attention, count: int) -> list[WordFocus]:
    """The words that look at the fewest regions, each word once; punctuation is left out."""
    seen: dict[str, WordFocus] = {}
    for word in sorted(attention.words, key=lambda word: word.entropy):
        if any(letter.isalnum() for letter in word.word):
            seen.setdefault(word.word.lower(), word)
    return list(seen.values())[:count]


def even(attention: Focus) -> float:
    """The share of each region if all were attended alike."""
    return 1 / sum(map(len, attention.regions))
