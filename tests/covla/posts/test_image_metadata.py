"""Of a file's metadata the orientation is used, and nothing in it is a reason to refuse."""

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from covla.posts.image_decoding import decode_image
from covla.posts.image_metadata import split_metadata
from covla.settings import Settings

SIZE = (40, 20)
KINDS = ["JPEG", "PNG", "WEBP"]


def photo() -> Image.Image:
    image = Image.new("RGB", SIZE, "white")
    image.paste("red", (0, 0, 20, 10))
    return image


def encoded(kind: str, exif: bytes = b"", **more: Any) -> bytes:
    out = io.BytesIO()
    photo().save(out, kind, exif=exif, **more)
    return out.getvalue()


def tiff(*entries: tuple[int, int, int, bytes], order: str = "<", rest: bytes = b"") -> bytes:
    """An Exif block: tag, type, count and the four bytes of value or offset of each entry."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    block = mark + struct.pack(f"{order}LH", 8, len(entries))
    for tag, kind, count, value in entries:
        block += struct.pack(f"{order}HHL", tag, kind, count) + value
    return b"Exif\0\0" + block + rest


def upright(order: str = "<", kind: int = 3, value: int = 6) -> tuple[int, int, int, bytes]:
    return (
        0x0112,
        kind,
        1,
        struct.pack(f"{order}{'L' if kind == 4 else 'H'}", value).ljust(4, b"\0"),
    )


def shape(content: bytes) -> tuple[int, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return decode_image(content, Settings()).shape


TURNED, AS_IT_IS = (40, 20, 3), (20, 40, 3)
ODD = {
    # x resolution, a rational at offset 26 with a negative, a zero and a far too large part
    "negative rational": tiff(
        upright(), (0x011A, 10, 1, struct.pack("<L", 38)), rest=struct.pack("<ll", -72, 1)
    ),
    "negative where none may be": tiff(
        upright(), (0x011A, 5, 1, struct.pack("<L", 38)), rest=struct.pack("<ll", -72, -1)
    ),
    "zero denominator": tiff(
        upright(), (0x011A, 5, 1, struct.pack("<L", 38)), rest=struct.pack("<LL", 72, 0)
    ),
    "zero by zero": tiff(
        upright(), (0x011A, 5, 1, struct.pack("<L", 38)), rest=struct.pack("<LL", 0, 0)
    ),
    "offset behind the end": tiff(upright(), (0x011A, 5, 1, b"\xff\xff\xff\xff")),
    "a text for a number": tiff(upright(), (0x011A, 2, 4, b"abc\0")),
    "an unknown type": tiff(upright(), (0x011A, 99, 1, b"abcd")),
    "four billion values": tiff(upright(), (0x010F, 2, 0xFFFFFFFF, b"\x10\0\0\0")),
    "truncated directory": tiff(upright(), (0x011A, 5, 1, b"\x10\0\0\0"))[:-9],
    "more entries than there are": tiff(upright()).replace(
        b"\x08\0\0\0\x01\0", b"\x08\0\0\0\xff\xff"
    ),
    "motorola": tiff(upright(">"), order=">"),
    "a long": tiff(upright(kind=4)),
    "next directory is itself": tiff(upright(), rest=struct.pack("<L", 8)),
    "sub-directory is itself": tiff(upright(), (0x8769, 4, 1, struct.pack("<L", 8))),
}
NONE = {
    "empty": b"Exif\0\0",
    "no order": b"Exif\0\0XX*\0\x08\0\0\0",
    "cut in the header": b"Exif\0\0II*\0\x08",
    "directory behind the end": b"Exif\0\0II*\0\xff\xff\xff\xff\0\0\0\0",
    "ninth orientation": tiff(upright(value=9)),
    "no orientation": tiff(upright(value=0)),
    "orientation is a text": tiff((0x0112, 2, 2, b"6\0\0\0")),
    "orientation is cut": tiff(upright())[:-4],
    "bytes": b"Exif\0\0" + bytes(range(256)) * 8,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exif", ODD.values(), ids=ODD.keys())
def test_an_image_with_odd_metadata_is_used_upright(kind: str, exif: bytes) -> None:
    assert shape(encoded(kind, exif)) == TURNED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exif", NONE.values(), ids=NONE.keys())
def test_an_orientation_that_cannot_be_read_counts_as_absent(kind: str, exif: bytes) -> None:
    assert shape(encoded(kind, exif)) == AS_IT_IS


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_every_orientation_is_turned_as_pillow_turns_it(kind: str, value: int) -> None:
    more = {"lossless": True} if kind == "WEBP" else {}
    exif = Image.Exif()
    exif[0x0112] = value
    content = encoded(kind, exif.tobytes(), **more)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(decode_image(content, Settings()), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_orientation_of_xmp_is_taken_where_exif_has_none(kind: str) -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    if kind == "PNG":
        plain = encoded("PNG")
        body = b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + xmp
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        content, both = plain[:33] + chunk + plain[33:], b""
    else:
        content = encoded(kind, xmp=xmp)
        both = encoded(kind, tiff(upright(value=1)), xmp=xmp)
    assert shape(content) == TURNED
    assert not both or shape(both) == AS_IT_IS


def test_a_short_segment_of_another_maker_is_no_reason_to_refuse() -> None:
    plain = encoded("JPEG")
    for segment in (
        b"\xff\xe0\0\x09JFIF\0\x01\x01",
        b"\xff\xee\0\x07Adobe",
        b"\xff\xed\0\x1cPhotoshop 3.0\x008BIM\x03\xed\0",
        b"\xff\xe2\0\x08MPF\0\xff\xff",
        b"\xff\xe2\0\x0eICC_PROFILE\0",
        b"\xff\xff\xff\xe1\0\x04ab",
        b"\xff\xfe\0\x02",
        b"\xff\xe1\0\0",
        b"\xff\xed\0\x01",
        b"\xff\xf0\0\x16\xff\xe1\0\x10Exif\0\0II*\0\xff\xff",
        b"\xff\xc8\0\x08\xff\xe2\0\x04ab",
    ):
        odd = plain[:2] + segment + plain[2:]
        assert shape(odd) == AS_IT_IS
        assert np.array_equal(decode_image(odd, Settings()), decode_image(plain, Settings()))


@pytest.mark.parametrize("kind", [*KINDS, "GIF"])
def test_what_is_kept_has_the_pixels_of_the_file(kind: str) -> None:
    rng = np.random.default_rng(0)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(out, kind)
    plain, _ = split_metadata(out.getvalue())
    with Image.open(io.BytesIO(plain)) as kept, Image.open(out) as whole:
        assert np.array_equal(np.asarray(kept.convert("RGB")), np.asarray(whole.convert("RGB")))
