"""Every image is seen as a person sees it, and none costs more than its limits allow."""

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from covla.errors import PostError
from covla.posts.image_decoding import decode_image, to_rgb
from covla.settings import Settings

SETTINGS = Settings()
WHITE = (255, 255, 255)


def encoded(image: Image.Image, kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def decoded(content: bytes) -> np.ndarray[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return decode_image(content, SETTINGS)


def png(
    size: tuple[int, int], depth: int, kind: int, rows: bytes, *more: tuple[bytes, bytes]
) -> bytes:
    """A PNG with samples of any depth; `more` chunks stand before the pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + sum_

    header = struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def logo(mode: str) -> Image.Image:
    """Red at the left, transparent at the right."""
    image = Image.new("RGBA", (8, 4), (0, 0, 0, 0))
    image.paste((200, 0, 0, 255), (0, 0, 4, 4))
    return image.convert(mode)


def with_index() -> Image.Image:
    image = Image.new("P", (8, 4), 1)
    image.putpalette([200, 0, 0, 0, 0, 0])
    image.paste(0, (0, 0, 4, 4))
    return image


@pytest.mark.parametrize(
    "content",
    [
        encoded(logo("RGBA"), "PNG"),
        encoded(logo("RGBA"), "WEBP", lossless=True),
        encoded(with_index(), "GIF", transparency=1),
        encoded(with_index(), "PNG", transparency=1),
        encoded(with_index(), "PNG", transparency=b"\xff\x00"),
        encoded(logo("RGB"), "PNG", transparency=(0, 0, 0)),
    ],
    ids=["rgba png", "rgba webp", "gif", "index of a palette", "alphas of a palette", "a colour"],
)
def test_what_is_transparent_is_white(content: bytes) -> None:
    pixels = decoded(content)
    assert tuple(pixels[0, 7]) == WHITE
    assert tuple(pixels[0, 0]) == (200, 0, 0)


def test_half_transparent_is_half_white() -> None:
    pixels = decoded(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 128)), "PNG"))
    assert tuple(pixels[0, 0]) == (127, 127, 127)
    assert tuple(decoded(encoded(Image.new("LA", (2, 2), (0, 128)), "PNG"))[0, 0]) == (127,) * 3


@pytest.mark.parametrize(
    ("depth", "row", "key", "seen"),
    [
        (1, b"\x40", 1, [0, 255]),
        (1, b"\x40", 0, [255, 255]),
        (2, b"\x10", 1, [0, 255]),
        (4, b"\x0f", 15, [0, 255]),
        (4, b"\x3f", 3, [255, 255]),
        (4, b"\x5f", 0, [85, 255]),
        (8, b"\x07\x09", 9, [7, 255]),
        (16, b"\x07\x00\x07\x01", 0x0701, [7, 255]),
    ],
)
def test_a_transparent_grey_is_white_at_any_depth(
    depth: int, row: bytes, key: int, seen: list[int]
) -> None:
    content = png((2, 1), depth, 0, b"\0" + row, (b"tRNS", struct.pack(">H", key)))
    assert decoded(content)[0, :, 0].tolist() == seen


def test_a_transparent_colour_is_white_at_16_bits() -> None:
    row = b"\0" + struct.pack(">6H", 0xFF01, 0, 0, 0x8000, 0, 0)
    content = png((2, 1), 16, 2, row, (b"tRNS", struct.pack(">3H", 0xFF01, 0, 0)))
    assert decoded(content).tolist() == [[[255, 255, 255], [128, 0, 0]]]


@pytest.mark.parametrize("kind", [0, 2, 4, 6])
def test_16_bits_keep_their_range(kind: int) -> None:
    bands = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    samples = np.repeat(np.array([0, 64, 128, 255]) * 257, bands).reshape(4, bands)
    if kind in {4, 6}:
        samples[:, -1] = 65535
    content = png((4, 1), 16, kind, b"\0" + samples.astype(">u2").tobytes())
    assert decoded(content)[0, :, 0].tolist() == [0, 64, 128, 255]


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I", "F"])
def test_wide_modes_keep_their_range(mode: str) -> None:
    values = np.array([[0, 32768, 65535]])
    kinds: dict[str, Any] = {"I;16B": ">u2", "I": np.int32, "F": np.float32}
    kind = kinds.get(mode, "<u2")
    image = Image.frombytes(mode, (3, 1), values.astype(kind).tobytes())
    assert np.asarray(to_rgb(image))[0, :, 1].tolist() == [0, 128, 255]


def test_narrow_values_in_wide_modes_are_not_darkened() -> None:
    shares = Image.fromarray(np.array([[0, 0.5, 1, np.nan]], dtype=np.float32))
    assert np.asarray(to_rgb(shares))[0, :, 0].tolist() == [0, 128, 255, 0]
    grey = Image.fromarray(np.array([[-5, 100, 200]], dtype=np.int32))
    assert np.asarray(to_rgb(grey))[0, :, 0].tolist() == [0, 100, 200]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "PA"])
def test_every_mode_has_white_black_and_colour_where_it_can(mode: str) -> None:
    if mode == "LAB":
        image = Image.frombytes("LAB", (2, 1), bytes([255, 0, 0, 0, 0, 0]))
    else:
        pair = Image.new("RGB", (2, 1), "white")
        pair.putpixel((1, 0), (0, 0, 0))
        image = pair.convert("P").convert("PA") if mode == "PA" else pair.convert(mode)
    seen = np.asarray(to_rgb(image)).astype(int)
    assert (seen[0, 0] >= 253).all()
    assert (seen[0, 1] <= 2).all()


@pytest.mark.parametrize(("mode", "clear"), [("LA", (0, 128)), ("RGBA", (0, 0, 0, 128))])
def test_premultiplied_alpha_is_laid_on_white(mode: str, clear: tuple[int, ...]) -> None:
    image = Image.new(mode, (1, 1), clear).convert({"LA": "La", "RGBA": "RGBa"}[mode])
    assert np.asarray(to_rgb(image))[0, 0].tolist() == [127, 127, 127]


def test_a_cmyk_jpeg_has_its_colours() -> None:
    photo = Image.new("RGB", (16, 16), (250, 20, 20))
    pixels = decoded(encoded(photo.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(pixels[8, 8].astype(int) - (250, 20, 20)).max() < 12


def test_what_the_first_frame_leaves_out_is_white() -> None:
    image = Image.new("P", (2, 2), 0)
    image.putpalette([200, 0, 0, 0, 0, 0])
    small = bytearray(encoded(image, "GIF"))
    small[6:10] = struct.pack("<HH", 4, 3)  # the canvas
    pixels = decoded(bytes(small))
    assert pixels.shape == (3, 4, 3)
    assert tuple(pixels[1, 1]) == (200, 0, 0)
    assert tuple(pixels[0, 2]) == tuple(pixels[2, 0]) == WHITE


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_shown(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    more = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **more)
    assert tuple(decoded(content)[4, 4]) == (255, 0, 0)


def test_a_jpeg_with_further_images_in_it_shows_the_first() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert decoded(content)[8, 8, 0] > 200
    index = content.index(b"MPF\0")
    broken = content[: index + 4] + b"\xff" * 16 + content[index + 20 :]
    assert np.array_equal(decoded(broken), decoded(content))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("profile", [b"", b"x", b"\0" * 200, b"no profile" * 1000])
def test_a_broken_colour_profile_is_ignored(kind: str, profile: bytes) -> None:
    photo = Image.new("RGB", (16, 16), (10, 200, 30))
    assert np.array_equal(
        decoded(encoded(photo, kind, icc_profile=profile)), decoded(encoded(photo, kind))
    )


def test_compressed_texts_are_not_unpacked() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 80_000_000, zip=True)
    photo = Image.new("RGB", (8, 8), (10, 200, 30))
    content = encoded(photo, "PNG", pnginfo=info)
    assert len(content) < 100_000
    assert tuple(decoded(content)[0, 0]) == (10, 200, 30)


def test_a_jpeg_with_endless_scans_is_refused_before_it_is_decoded() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    endless = content[:last] + content[last:-2] * 200 + content[-2:]
    with pytest.raises(PostError, match="more than 100 scans") as refused:
        decoded(endless)
    assert refused.value.code == "unreadable_image"
    assert decoded(content).shape == (32, 32, 3)


GOOD = encoded(Image.new("RGB", (64, 48), "red"), "JPEG")
PICTURE = encoded(Image.new("RGB", (64, 48), "red"), "PNG")
BROKEN = {
    "text": b"no picture",
    "half a JPEG": GOOD[: len(GOOD) // 2],
    "half a PNG": PICTURE[: len(PICTURE) // 2],
    "bare magic": b"\x89PNG\r\n\x1a\n",
    "no palette": png((2, 1), 8, 3, b"\0\0\0"),
    "no side": png((0, 1), 8, 2, b"\0"),
    "another depth": png((2, 1), 3, 2, b"\0"),
    "other bytes for pixels": png((2, 1), 8, 2, b"\0")[:41] + b"\xff" * 20,
    "a WebP of its header": b"RIFF\x10\0\0\0WEBPVP8 ",
    "a GIF of its header": b"GIF89a\x02\0\x02\0\0\0\0",
    "a TIFF": encoded(Image.new("L", (4, 4)), "TIFF"),
    "a BMP": encoded(Image.new("L", (4, 4)), "BMP"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_equal_bytes_give_an_equal_message(content: bytes) -> None:
    messages = set()
    for _ in range(3):
        with pytest.raises(PostError) as refused:
            decoded(bytes(bytearray(content)))
        assert refused.value.code == "unreadable_image"
        messages.add(str(refused.value))
    assert len(messages) == 1
    assert "0x" not in messages.pop()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_damaged_files_are_an_image_or_a_post_error(kind: str) -> None:
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8))
    good = encoded(noise, kind)
    for _ in range(150):
        damaged = bytearray(good)
        for at in rng.integers(0, len(good), 6):
            damaged[at] = rng.integers(0, 256)
        for content in (bytes(damaged), good[: rng.integers(1, len(good))]):
            try:
                assert decoded(content).dtype == np.uint8
            except PostError as error:
                assert error.code in {"unreadable_image", "too_many_pixels"}


def test_too_many_pixels_are_refused_from_the_header() -> None:
    small = Settings(max_image_pixels=1000)
    with pytest.raises(PostError, match="more than 1000 pixels"):
        decode_image(GOOD, small)
    for side in (9_000, 12_000, 100_000):
        with pytest.raises(PostError) as refused:
            decoded(png((side, side), 8, 2, b""))
        assert refused.value.code == "too_many_pixels"


def test_too_little_memory_is_no_fault_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.Image.Image.convert", full)
    with pytest.raises(MemoryError):
        decode_image(encoded(Image.new("L", (4, 4)), "PNG"), SETTINGS)
