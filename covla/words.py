"""What is a word, a hashtag, an address, and text that can be seen: one rule, for every script."""

import unicodedata

import regex

_LETTERS = r"\p{L}\p{M}\p{N}_"
# Joiners inside Indic and Persian words, and the marks that twitter-text takes into a tag, such as
# the Catalan middle dot and the Tibetan tsheg.
_INSIDE = r"\u200c\u200d\u00b7\u05be\u05f3\u05f4\u0f0b\u0f0c\u30a0\u30fb\u3003"
# These are marks to Unicode, and parts of an emoji here.
_EMOJI = r"\ufe0e\ufe0f\u20e3"
_WORD = rf"[[{_LETTERS}]--[{_EMOJI}]]"
_FLAGS = regex.VERSION1

ADDRESS = regex.compile(
    r"(?:https?://|www\.)\S+|(?<![\w.@])(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}[/?]\S*",
    _FLAGS | regex.IGNORECASE,
)
MENTION = regex.compile(rf"(?<!{_WORD})@{_WORD}+", _FLAGS)
# A word as people see it: "#pizza", "don't", an address.
WORD = regex.compile(rf"{ADDRESS.pattern}|[#\uff03@]?{_WORD}+(?:['’-]{_WORD}+)*", ADDRESS.flags)
# Not inside a word ("C#basics"), nor an HTML entity ("&#39;"); "#food#coffee" are two.
_HASHTAGS = regex.compile(
    rf"(?<!{_WORD}|&)(?:[#\uff03]([[{_LETTERS}{_INSIDE}]--[{_EMOJI}]]+))+", _FLAGS
)
_LETTER_OR_DIGIT = regex.compile(r"[\p{L}\p{N}]")
# A blank of Braille is a symbol to Unicode.
_VISIBLE = regex.compile(r"[^\p{Default_Ignorable_Code_Point}\p{Z}\p{Cc}\p{Cf}\p{Cs}\u2800]")
_LONGEST_TAG = 100  # characters


def visible(text: str) -> bool:
    """Whether a reader sees anything of it: blanks, joiners and controls alone are no text."""
    return _VISIBLE.search(text) is not None


def hashtags(text: str) -> list[str]:
    """Hashtags without `#`, in order, repeats included, each in one form (NFKC, case folded)."""
    # An address may hold a fragment ("menu#opening"); what follows a tag does not join it.
    candidates = (
        tag for match in _HASHTAGS.finditer(ADDRESS.sub(" ", text)) for tag in match.captures(1)
    )
    tags = [tag.strip("\u200c\u200d") for tag in candidates if _LETTER_OR_DIGIT.search(tag)]
    return [_one_form(tag) for tag in tags if len(tag) <= _LONGEST_TAG]


def _one_form(tag: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", tag).casefold())
