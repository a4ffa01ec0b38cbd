"""Decoding and measuring: hostile images are refused before they cost anything."""

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covla.errors import PostError
from covla.posts.image_decoding import decode_image
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import prepare
from covla.posts.quality import IMAGE_QUALITY, TEXT_QUALITY
from covla.schemas.post import SocialPost
from covla.settings import Settings


def encoded(size: tuple[int, int] = (64, 48), kind: str = "JPEG", mode: str = "RGB") -> bytes:
    rng = np.random.default_rng(0)
    shape = (size[1], size[0]) + {"RGB": (3,), "RGBA": (4,), "CMYK": (4,), "L": ()}[mode]
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8), mode).save(out, kind)
    return out.getvalue()


def post(
    content: bytes | None = None, text: str = "A cold night #Home", **more: object
) -> SocialPost:
    image = {"data": base64.b64encode(content).decode()} if content is not None else None
    return SocialPost.from_dict(
        {"post_id": "a", "created_at": "2026-05-01T12:00:00Z", "text": text, "image": image, **more}
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path)


@pytest.fixture
def blobs(settings: Settings) -> BlobStore:
    return BlobStore(settings)


def test_a_whole_post(settings: Settings, blobs: BlobStore) -> None:
    ready = prepare(post(encoded()), settings, blobs)
    assert ready.image is not None
    assert ready.image.shape == (48, 64, 3)
    assert ready.hashtags == ["home"]
    assert tuple(ready.text_quality) == TEXT_QUALITY
    assert tuple(ready.image_quality) == IMAGE_QUALITY
    assert all(np.isfinite(list(ready.image_quality.values())))
    assert ready.flags == []


def test_missing_modalities_are_flagged(settings: Settings, blobs: BlobStore) -> None:
    assert prepare(post(), settings, blobs).flags == ["image_missing"]
    assert prepare(post(encoded(), text=" "), settings, blobs).flags == ["text_missing"]


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGBA"), ("PNG", "L"), ("JPEG", "CMYK"), ("WEBP", "RGB"), ("GIF", "L")],
)
def test_every_kind_of_picture_becomes_rgb(settings: Settings, kind: str, mode: str) -> None:
    assert decode_image(encoded((300, 100), kind, mode), settings).shape == (85, 256, 3)


def test_a_rotated_photo_is_put_upright(settings: Settings) -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 20)).save(out, "JPEG", exif=exif)
    assert decode_image(out.getvalue(), settings).shape[:2] == (60, 20)


def test_a_decompression_bomb_is_refused_from_its_header(settings: Settings) -> None:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    bomb += struct.pack(">I", zlib.crc32(chunk)) + struct.pack(">I", 0) + b"IDAT"
    with pytest.raises(PostError) as refused:
        decode_image(bomb, settings)
    assert refused.value.code == "too_many_pixels"


GOOD = encoded()


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", GOOD[: len(GOOD) // 2], b"\x89PNG\r\n\x1a\n", b"<svg/>", GOOD[:20]],
    ids=["empty", "text", "truncated", "bare magic", "svg", "header alone"],
)
def test_a_broken_picture_is_refused(settings: Settings, blobs: BlobStore, content: bytes) -> None:
    with pytest.raises(PostError) as refused:
        prepare(post(content), settings, blobs)
    assert refused.value.field.startswith("image")
    assert refused.value.code == "unreadable_image"


def test_a_broken_picture_may_be_left_out_by_setting(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, unreadable_image="text_only")
    ready = prepare(post(b"broken"), settings, BlobStore(settings))
    assert ready.flags == ["image_unreadable"]
    assert ready.image is None


@pytest.mark.parametrize("data", ["%%%", "ä", "abc", "\0"])
def test_bad_base64_names_the_field(settings: Settings, blobs: BlobStore, data: str) -> None:
    with pytest.raises(PostError, match=r"image\.data") as refused:
        prepare(post(image={"data": data}), settings, blobs)
    assert refused.value.code == "not_base64"


def test_a_picture_with_odd_metadata_is_used_whatever_the_setting(tmp_path: Path) -> None:
    odd = io.BytesIO()
    exif = (
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x1a\x01\x05\0\x01\0\0\0\x1a\0\0\0\0\0\0\0\xb8\xff\xff\xff"
    )
    Image.new("RGB", (20, 10), "white").save(odd, "JPEG", exif=exif)
    for choice in ("reject", "text_only"):
        settings = Settings(state=tmp_path, unreadable_image=choice)
        ready = prepare(post(odd.getvalue()), settings, BlobStore(settings))
        assert ready.flags == []
        assert ready.image is not None
        assert ready.image.shape == (10, 20, 3)


def test_the_derivative_has_the_pixels_that_serving_saw(
    settings: Settings, blobs: BlobStore
) -> None:
    big = encoded((900, 700))
    pixels = decode_image(big, settings)
    uri = blobs.put(big, pixels)
    small = blobs.read(uri, derivative=True)
    assert small != big
    assert np.array_equal(decode_image(small, settings), pixels)
    assert blobs.read(uri) == big


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "/etc/passwd", "s3://x/y", "{root}/../../x"])
def test_an_address_outside_the_store_is_refused(blobs: BlobStore, uri: str) -> None:
    with pytest.raises(PostError, match="not in the blob store"):
        blobs.read(uri.format(root=blobs.root))


def test_a_missing_blob_is_a_post_error(blobs: BlobStore) -> None:
    with pytest.raises(PostError, match="nothing is stored"):
        blobs.read(blobs.uri("0" * 64))


@pytest.mark.parametrize("size", [(1024, 768), (513, 512), (700, 511), (2000, 520)])
def test_a_large_jpeg_is_decoded_small_and_looks_the_same(
    settings: Settings, size: tuple[int, int]
) -> None:
    """At a reduced scale where both sides are at least twice as large, and never below 256."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8))
    whole = coarse.resize(size, Image.Resampling.BICUBIC)
    out = io.BytesIO()
    whole.save(out, "JPEG", quality=95)
    pixels = decode_image(out.getvalue(), settings)
    height, width = pixels.shape[:2]
    assert width == 256
    assert abs(height - size[1] * 256 / size[0]) < 1
    expected = np.asarray(whole.resize((width, height), Image.Resampling.BOX), dtype=int)
    assert np.abs(pixels - expected).mean() < 1.5
