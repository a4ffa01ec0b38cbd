"""The tokenizer that serving uses cuts as the one of transformers does."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from covla.errors import CovlaError
from covla.model.tokenizer import FastTokenizer, TransformersTokenizer
from covla.training.tiny import tiny_towers

TEXTS = [
    "a b c",
    "café 北京 #gym",
    "word " * 200,
    " ",
    "[CLS] [PAD] don't",
    "\U0001f600\u200d\u0301",
]


@pytest.fixture(scope="module")
def pairs(
    tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[FastTokenizer, TransformersTokenizer]]:
    """Of the vocabulary of `base`, and of one that was trained on a few posts."""
    trained = tmp_path_factory.mktemp("trained")
    tiny_towers(TEXTS, 0)[1].save_pretrained(trained)
    return [
        (FastTokenizer.load(folder), TransformersTokenizer(AutoTokenizer.from_pretrained(folder)))
        for folder in (tiny_folder, trained)
    ]


@given(texts=st.lists(st.text(min_size=1, max_size=120), min_size=1, max_size=4))
def test_any_text_has_the_ids_and_places_that_transformers_gives(
    pairs: list[tuple[FastTokenizer, TransformersTokenizer]], texts: list[str]
) -> None:
    for fast, reference in pairs:
        assert fast.pad == reference.pad
        for longest in (128, 8):
            assert fast.ids(texts, longest) == reference.ids(texts, longest)
            assert fast.offsets(texts[0], longest) == reference.offsets(texts[0], longest)


def test_the_texts_of_posts_are_cut_alike(
    pairs: list[tuple[FastTokenizer, TransformersTokenizer]],
) -> None:
    for fast, reference in pairs:
        assert fast.ids(TEXTS, 64) == reference.ids(TEXTS, 64)
        assert max(map(len, fast.ids(TEXTS, 64))) == 64


@pytest.mark.parametrize("content", [None, "{", '{"version": "1.0"}'])
def test_a_folder_without_a_tokenizer_is_one_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(CovlaError, match=r"tokenizer\.json cannot be read"):
        FastTokenizer.load(tmp_path)
