"""What a pretrained teacher is shown of a post, and what it is asked. Never a label.

All of it is part of a teacher's identity: with another question, cached vectors are not found.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from PIL import Image as Pillow

from covla.posts.image_decoding import decode_image
from covla.posts.preprocessing import PreparedPost
from covla.settings import Settings

PROMPT = (
    "This is a post on social media. In what kind of place was it made? "
    "Go by the words, the scene and the objects."
)
QUOTE = "Text of the post: {text}"
IMAGE_SIDE = 448  # pixels of the longer side at most: 256 visual tokens of Qwen-VL's 28 x 28
TEXT_CHARACTERS = 1000
# One tile per image: tiling multiplies the tokens of an image by up to 17.
ONE_TILE = ("do_image_splitting", "crop_to_patches", "do_pan_and_scan")


def reading_id() -> str:
    """Hash of all that is fixed in how a post is read (16 hex digits)."""
    about = [PROMPT, QUOTE, IMAGE_SIDE, TEXT_CHARACTERS, ONE_TILE, "masked mean, last layer"]
    return hashlib.sha256(repr(about).encode()).hexdigest()[:16]


def picture(item: PreparedPost, settings: Settings) -> Pillow.Image | None:
    """The post's own image at most IMAGE_SIDE pixels long; None without one."""
    if item.image_bytes is None:
        return None if item.image is None else Pillow.fromarray(item.image)
    return Pillow.fromarray(decode_image(item.image_bytes, settings, side=IMAGE_SIDE))


def control_tokens(tokenizer: Any) -> re.Pattern[str] | None:
    """Matches the tokenizer's special tokens; None when it has none."""
    tokens: Iterable[str] = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    longest = sorted((re.escape(token) for token in tokens if token.strip()), key=len, reverse=True)
    return re.compile("|".join(longest)) if longest else None


def plain(text: str, control: re.Pattern[str] | None) -> str:
    """A post's text without special tokens, so that it cannot pass for an image or a turn."""
    text = text[:TEXT_CHARACTERS]
    return control.sub(" ", text).strip() if control is not None else text


def question(text: str) -> str:
    """What is asked about a post with this text ("" for none)."""
    return f"{PROMPT}\n{QUOTE.format(text=text)}" if text else PROMPT
