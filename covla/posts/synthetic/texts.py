"""Writes the text of a synthetic post: phrases, names, hashtags, emojis, typos."""

import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from covla.posts.synthetic import phrases

_MARKED = re.compile(r"\[([^\]]+)\]")
T = TypeVar("T")


def _pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def _slang(label: str, word: str) -> str:
    words = phrases.SLANG[label]
    return words[sum(word.encode()) % len(words)]  # the same word always becomes the same slang


def _fill(template: str, rng: np.random.Generator, **slots: str) -> str:
    hour = f"{int(rng.integers(1, 13))}{_pick(rng, ('am', 'pm', ':30', ' o clock'))}"
    return template.format(
        name=_pick(rng, phrases.NAMES), day=_pick(rng, phrases.DAYS), hour=hour, **slots
    )


def _typo(text: str, rng: np.random.Generator) -> str:
    i = int(rng.integers(1, max(2, len(text) - 1)))
    return _pick(
        rng, (text[:i] + text[i + 1 :], text[:i] + text[i - 1] + text[i:], text.lower(), text)
    )


def write_text(
    label: str,
    rng: np.random.Generator,
    *,
    telling: bool,
    hint: str | None = None,
    slang: bool = False,
) -> str:
    """One English post text of `label`'s place.

    telling: it names things that are found there; otherwise it fits any place. hint: a vague text
    that mentions something of that other label. slang: the telling words are new ones. All
    random draws are made either way, so that `slang` changes these words and nothing else.
    """
    place = label if telling else hint
    if telling:
        body = _fill(_pick(rng, phrases.TELLING[label]), rng)
    elif hint is None:
        body = _fill(_pick(rng, phrases.VAGUE), rng)
    else:
        cue = _pick(rng, _MARKED.findall(_pick(rng, phrases.TELLING[hint])))
        body = _fill(_pick(rng, phrases.HINTS), rng, cue=f"[{cue}]")
    text = _fill(_pick(rng, phrases.OPENERS), rng) + body + _pick(rng, phrases.ENDINGS)
    if rng.random() < 0.15:
        start = text.find("[")
        # Typos stay outside of the marked words, so that these can still be found.
        text = _typo(text[:start], rng) + text[start:] if start > 2 else text
    if rng.random() < 0.5:
        text = text[:1].upper() + text[1:]
    tags = [_pick(rng, phrases.GENERAL_TAGS) for _ in range(int(rng.integers(0, 3)))]
    tag = _pick(rng, phrases.TAGS[place or label])
    if telling and rng.random() < 0.4:
        tags.insert(0, f"[{tag}]")
    text += "".join(f" #{tag}" for tag in dict.fromkeys(tags))
    if rng.random() < 0.35:
        text += " " + _pick(rng, phrases.EMOJIS)
    if place is None or not slang:
        return _MARKED.sub(r"\1", text)
    return _MARKED.sub(lambda match: _slang(place, match[1]), text)
