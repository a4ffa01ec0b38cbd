"""Text to the ids that a text tower takes, without transformers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import tokenizers

from covla.errors import CovlaError
from covla.files import read_object

FILE, ABOUT = "tokenizer.json", "tokenizer_config.json"
Offsets = list[tuple[int, int]]  # of each token: its first character and its end


class Tokenizer(Protocol):
    """What the encoders use of a tokenizer."""

    @property
    def pad(self) -> int:
        """The id that a text is filled up with."""

    def ids(self, texts: Sequence[str], longest: int) -> list[list[int]]:
        """The ids of each text with its special tokens, at most `longest` of them."""

    def offsets(self, text: str, longest: int) -> Offsets | None:
        """Where in the text each of its `ids` lies; None where the tokenizer does not say."""


class FastTokenizer:
    """A tokenizer.json by the library that made it. One call at a time."""

    def __init__(self, inner: tokenizers.Tokenizer, *, pad: int = 0, side: str = "right") -> None:
        """`inner` is changed; `side` is the end at which a long text is cut."""
        inner.no_padding()
        self.pad = pad
        self._inner, self._side, self._longest = inner, side, 0

    @classmethod
    def load(cls, folder: Path) -> "FastTokenizer":
        """Of a model folder.

        Raises:
            CovlaError: it has none that can be read.
        """
        try:
            inner = tokenizers.Tokenizer.from_file(str(folder / FILE))
        except Exception as error:  # the library raises Exception itself
            raise CovlaError(f"{folder / FILE} cannot be read: {error}") from error
        about = read_object(folder / ABOUT) if (folder / ABOUT).exists() else {}
        token = about.get("pad_token")
        name = token.get("content") if isinstance(token, dict) else token
        pad = inner.token_to_id(name) if isinstance(name, str) else None
        return cls(inner, pad=pad or 0, side=str(about.get("truncation_side", "right")))

    def ids(self, texts: Sequence[str], longest: int) -> list[list[int]]:
        """See `Tokenizer`."""
        self._cut_at(longest)
        return [cut.ids for cut in self._inner.encode_batch_fast(list(texts))]

    def offsets(self, text: str, longest: int) -> Offsets | None:
        """See `Tokenizer`."""
        self._cut_at(longest)
        return list(self._inner.encode(text).offsets)

    def _cut_at(self, longest: int) -> None:
        if longest != self._longest:
            self._inner.enable_truncation(longest, direction=self._side)
            self._longest = longest


@dataclass(frozen=True)
class TransformersTokenizer:
    """A tokenizer of transformers at hand, as training has it."""

    inner: Any

    @property
    def pad(self) -> int:
        """See `Tokenizer`."""
        return self.inner.pad_token_id or 0

    def ids(self, texts: Sequence[str], longest: int) -> list[list[int]]:
        """See `Tokenizer`."""
        cut = self.inner(list(texts), truncation=True, max_length=longest)
        ids: list[list[int]] = cut["input_ids"]
        return ids

    def offsets(self, text: str, longest: int) -> Offsets | None:
        """See `Tokenizer`."""
        if not self.inner.is_fast:
            return None
        cut = self.inner(text, truncation=True, max_length=longest, return_offsets_mapping=True)
        return list(cut["offset_mapping"])
