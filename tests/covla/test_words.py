"""Hashtags of every script, whole and in one form; text that nobody can see is none."""

import unicodedata

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.errors import PostError
from covla.inference.explanation.attention import words_of
from covla.posts import quality
from covla.schemas.post import parse_post
from covla.settings import Settings
from covla.words import hashtags, visible


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#दिल्ली और #दुबई", ["दिल्ली", "दुबई"]),
        ("#தமிழ்", ["தமிழ்"]),
        ("#می‌خواهم", ["می\u200cخواهم"]),
        ("#ไทยแลนด์ #한국 #مقهى #東京", ["ไทยแลนด์", "한국", "مقهى", "東京"]),
        ("#cafe\u0301 #café #CAFÉ", ["café"] * 3),
        ("＃東京", ["東京"]),
        ("#Straße #STRASSE", ["strasse"] * 2),
        ("#2026 #٣", ["2026", "٣"]),
        ("(#bar) \"#pub\" 'x'#no", ["bar", "pub", "no"]),
        ("#food#coffee", ["food", "coffee"]),
        ("☕️#brunch☕️now #co-op", ["brunch", "co"]),
        ("C#basics a_#b", []),
        ("https://example.org/menu#opening www.example.org/#a", []),
        ("example.org/menu#opening EXAMPLE.org/?q#b", []),
        ("Tom&#39;s &#x27;bar&#x27;", []),
        ("#️⃣ #️⃣a 1️⃣", []),
        ("# #! #___", []),
        ("#" + "a" * 101, []),
    ],
)
def test_hashtags(text: str, tags: list[str]) -> None:
    assert hashtags(text) == tags
    assert quality.hashtags(text) == list(dict.fromkeys(tags))
    assert quality.text_quality(text)["hashtags"] == len(tags)


@given(st.text())
def test_a_tag_is_in_one_form(text: str) -> None:
    for tag in hashtags(f"#{text}"):
        assert unicodedata.normalize("NFKC", tag.casefold()) == tag


@pytest.mark.parametrize(
    "text",
    ["", " \t\n", "\u200b", "\u200b \u200d", "\ufeff", "\u2060", "\u00ad", "\u3164", "\u115f",
     "\ufe0f", "\u200e\u202e", "\U000e0041", "\u2800", "\x00\x07", "\u00a0\u3000"],
)  # fmt: skip
def test_text_that_cannot_be_seen_is_none(text: str, offline_settings: Settings) -> None:
    assert not visible(text)
    at = "2026-05-01T12:00:00Z"
    with pytest.raises(PostError, match="neither text nor image"):
        parse_post(orjson.dumps({"post_id": "a", "created_at": at, "text": text}), offline_settings)


@pytest.mark.parametrize("text", ["a", "☕", "。", "\u200bx", "🏳️‍🌈", "\U0001fae8", "…"])
def test_text_that_can_be_seen(text: str) -> None:
    assert visible(text)


def test_words_are_whole_in_every_script() -> None:
    text = "दिल्ली #தமிழ் don't"
    pieces = [(i, i + 1) for i in range(len(text))]
    found = [text[first:end] for first, end, _ in words_of(text, pieces)]
    assert found == ["दिल्ली", "#தமிழ்", "don't"]
