"""What counts as the same content, on drawn images of this file's own making."""

import base64
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageFilter, ImageOps

from covla.posts.content_groups import (
    contents_of,
    groups_of,
    looks_of,
    normal_text,
    perceptual_hash,
)
from covla.posts.image_store import BlobStore
from covla.posts.synthetic import generate
from covla.schemas.post import Image, SocialPost
from covla.settings import Settings

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LONG = "the ferry leaves at seven, see you on the other side"


def photo(seed: int, width: int = 240, height: int = 180) -> Pillow.Image:
    """Blurred noise: patches of light and dark in no order, as a photo has them."""
    rng = np.random.default_rng(seed)
    small = Pillow.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8))
    return small.resize((width, height), Pillow.Resampling.BICUBIC).filter(
        ImageFilter.GaussianBlur(2)
    )


def encoded(picture: Pillow.Image, quality: int = 90, kind: str = "JPEG") -> str:
    file = io.BytesIO()
    picture.save(file, kind, quality=quality)
    return base64.b64encode(file.getvalue()).decode()


def post(name: str, text: str = "", image: str | None = None) -> SocialPost:
    picture = None if image is None else Image(data=image)
    return SocialPost(post_id=name, created_at=NOON, text=text, image=picture)


def groups(*posts: SocialPost) -> list[str]:
    return groups_of(contents_of(posts, Settings()))


def cut(left: float, top: float, right: float, bottom: float) -> Callable[..., Pillow.Image]:
    def make(picture: Pillow.Image) -> Pillow.Image:
        w, h = picture.size
        return picture.crop((round(w * left), round(h * top), round(w * (1 - right)),
                             round(h * (1 - bottom))))  # fmt: skip

    return make


COPIES: dict[str, Callable[[Pillow.Image], Pillow.Image]] = {
    "half the size": lambda p: p.resize((p.width // 2, p.height // 2)),
    "twice the size": lambda p: p.resize((p.width * 2, p.height * 2)),
    "another shape": lambda p: p.resize((p.width, p.height * 3 // 4)),
    "grey": lambda p: p.convert("L").convert("RGB"),
    "brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.15),
    "mirrored": ImageOps.mirror,
    "cut by 2 %": cut(0.02, 0.02, 0.02, 0.02),
    "cut by 5 %": cut(0.05, 0.05, 0.05, 0.05),
    "cut by 10 %": cut(0.1, 0.1, 0.1, 0.1),
    "cut left": cut(0.1, 0, 0, 0),
    "cut below": cut(0, 0, 0, 0.1),
    "cut on both sides": cut(0.1, 0, 0.1, 0),
}


@pytest.mark.parametrize("change", COPIES)
def test_a_copy_of_a_picture_is_in_its_group(change: str) -> None:
    posts = [post("first", "one text", encoded(photo(1)))]
    posts.append(post("copy", "another", encoded(COPIES[change](photo(1)), 60)))
    posts += [post(f"other {n}", f"text {n}", encoded(photo(n))) for n in range(2, 40)]
    found = groups(*posts)
    assert found[0] == found[1]
    assert len(set(found)) == 39


def test_another_file_format_is_a_copy() -> None:
    found = groups(*(post(k, k, encoded(photo(1), 80, k)) for k in ("JPEG", "PNG", "WEBP")))
    assert len(set(found)) == 1


def test_texts_are_equal_whatever_a_repost_changes() -> None:
    spelled = [
        LONG, f"  {LONG.upper()}\n", f"{LONG} https://t.co/xyz", LONG.replace("s", "ſ"),
        LONG.replace(" ", "\u00a0"), LONG.replace("ferry", "fer\u200bry"),
    ]  # fmt: skip
    assert {normal_text(text) for text in spelled} == {LONG}
    posts = [post(str(n), text, encoded(photo(n))) for n, text in enumerate(spelled)]
    assert len(set(groups(*posts, post("other", LONG.replace("seven", "eight"))))) == 2


def test_short_texts_join_no_pictures_and_yet_equal_posts_are_one() -> None:
    short = [post(f"p{n}", "Good morning!", encoded(photo(n))) for n in range(5)]
    assert len(set(groups(*short))) == 5
    alone = [post(f"t{n}", "#home") for n in range(5)]
    assert len(set(groups(*short, *alone))) == 6


def test_copies_are_followed_from_one_to_the_next() -> None:
    posts = [
        post("a", LONG, encoded(photo(1))),
        post("b", "short", encoded(photo(1), 50)),
        post("c", LONG),
        post("d", "short", encoded(photo(2))),
    ]
    found = groups(*posts)
    assert found[0] == found[1] == found[2] != found[3]
    assert found == groups(*posts[::-1])[::-1]  # whatever the order


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 30)])
def test_flat_pictures_are_not_alike(colour: tuple[int, int, int]) -> None:
    sizes = [(64, 64), (80, 60), (90, 90)]
    flat = [encoded(Pillow.new("RGB", size, colour)) for size in sizes]
    posts = [post(str(n), f"text number {n}", image) for n, image in enumerate([*flat, *flat])]
    assert len(set(groups(*posts))) == len(posts)


def test_a_frame_that_most_posts_share_joins_none() -> None:
    posts = [post(str(n), f"this is the text of post number {n}", encoded(photo(1), 40 + n))
             for n in range(30)]  # fmt: skip
    assert len(set(groups(*posts))) == 30
    assert len(set(groups(*posts[:8]))) == 1  # of few posts, most may well be one repost


def test_a_picture_that_cannot_be_read_is_known_by_its_bytes() -> None:
    broken = base64.b64encode(b"\xff\xd8 no picture").decode()
    posts = [post("a", "x", broken), post("b", "x", broken), post("c", "y", "no base64!")]
    assert len(set(groups(*posts))) == 2


def test_pictures_in_the_store_are_looked_at_too(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    store = BlobStore(settings)
    contents = [base64.b64decode(encoded(photo(1), quality)) for quality in (90, 40)]
    posts = [
        SocialPost(post_id=str(n), created_at=NOON, image=Image(uri=store.put(content)))
        for n, content in enumerate(contents)
    ]
    posts.append(post("direct", "and a text", encoded(photo(1), 90)))
    assert len(set(groups_of(contents_of(posts, settings)))) == 1
    gone = SocialPost(post_id="x", created_at=NOON, image=Image(uri=store.uri("0" * 64)))
    assert len(contents_of([gone], settings)) == 1


def test_synthetic_posts_are_hardly_ever_alike() -> None:
    made = [item.post for item, _ in generate(200, 3, NOON, NOON + timedelta(days=1))]
    assert len(set(groups(*made))) >= 195


@pytest.mark.slow
@pytest.mark.timeout(120)  # 4 s on a slow core; quadratic, it would take an hour
def test_ten_thousand_images_are_grouped() -> None:
    rng = np.random.default_rng(0)
    (one,) = contents_of([post("a", LONG, encoded(photo(1)))], Settings())
    assert one.looks is not None
    looks = rng.integers(0, 2**63, (10_000, *one.looks.shape)).astype(np.uint64)
    many = [type(one)(str(i), "", f"image {i}", looks[i]) for i in range(10_000)]
    many[7_000] = type(one)("7000", "", "image 7000", looks[5] ^ np.uint64(0b1011))
    found = groups_of(many)
    assert len(set(found)) == 9_999
    assert found[5] == found[7_000]


def test_the_perceptual_hash_is_the_first_look_and_a_flat_picture_has_none() -> None:
    pixels = np.asarray(photo(1))
    looks = looks_of(pixels)
    assert looks is not None
    assert perceptual_hash(pixels) == looks[0].tobytes()
    assert perceptual_hash(np.full((40, 60, 3), 90, np.uint8)) is None
