"""Attention as a person reads it: whole words, normalised entropy, one row and column."""

import numpy as np
import pytest

from covla.errors import CovlaError
from covla.inference.explanation.attention import even, focus, sharpest, words_of
from covla.schemas.explanation import Attention, Focus, WordFocus


def test_word_pieces_become_the_words_that_people_see() -> None:
    text = "Can't   wait #legday @joe croissants https://t.co/x?y=1 \U0001f600!"
    cut = ["Can", "'", "t", "wait", "#", "leg", "day", "@", "joe", "croiss", "ants", "https", ":",
           "//t.co", "/x?y=1", "\U0001f600", "!"]  # fmt: skip
    starts = [0]
    for piece in cut:
        starts.append(text.index(piece, starts[-1]))
    offsets = [(at, at + len(piece)) for at, piece in zip(starts[1:], cut, strict=True)]
    pieces = [(0, 0), *offsets, (0, 0)]  # as special tokens are
    words = words_of(text, pieces)
    assert [text[first:end] for first, end, _ in words] == [
        "Can't", "wait", "#legday", "@joe", "croissants", "https://t.co/x?y=1",
        "\U0001f600", "!",
    ]  # fmt: skip
    assert [positions for *_, positions in words[:4]] == [[1, 2, 3], [4], [5, 6, 7], [8, 9]]


def test_pieces_that_begin_with_a_space_belong_to_the_word_after_it() -> None:
    text = "on beach"
    assert words_of(text, [(0, 2), (2, 8)]) == [(0, 2, [0]), (3, 8, [1])]


@pytest.mark.parametrize(
    ("shares", "row", "column", "entropy"),
    [([0, 0, 0, 1.0], 1, 1, 0), ([0.25] * 4, 0, 0, 1), ([0.5, 0, 0.5, 0], 0, 0, 0.5)],
)
def test_peak_and_entropy(shares: list[float], row: int, column: int, entropy: float) -> None:
    seen = Focus(**focus(np.array(shares), (2, 2)))
    assert (seen.row, seen.column) == (row, column)
    assert seen.entropy == pytest.approx(entropy)
    assert seen.peak == max(shares)
    assert even(seen) == 0.25


def test_regions_that_do_not_fit_the_grid_are_an_error() -> None:
    with pytest.raises(CovlaError, match="6 regions"):
        focus(np.full(6, 1 / 6), (2, 2))


def test_the_sharpest_words_come_first_once_and_without_punctuation() -> None:
    def word(text: str, shares: list[float]) -> WordFocus:
        return WordFocus(word=text, start=0, end=1, **focus(np.array(shares), (2, 2)))

    words = [
        word("!", [1, 0, 0, 0]),
        word("even", [0.25] * 4),
        word("Gym", [0.9, 0.1, 0, 0]),
        word("gym", [0.8, 0.2, 0, 0]),
    ]
    attention = Attention(words=words, **focus(np.full(4, 0.25), (2, 2)))
    assert [word.word for word in sharpest(attention, 5)] == ["Gym", "even"]
    assert [word.word for word in sharpest(attention, 1)] == ["Gym"]
