"""Image files without their metadata, and the one thing that is read of it: the orientation.

Sources: JPEG markers in ITU-T T.81 annex B, PNG chunks in the PNG specification (third edition)
section 11, RIFF chunks in the WebP container specification, the orientation tag in Exif 2.32.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

PNG = b"\x89PNG\r\n\x1a\n"
ORIENTATION = 0x0112
# Frames, Huffman and quantisation tables, arithmetic conditioning, restart intervals.
_JPEG_KEPT = {*range(0xC0, 0xD0), 0xDB, 0xDC, 0xDD} - {0xC8}
# What a PNG's pixels need; colours are not managed, and of an animation the still image is shown.
_PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
# Integer types of TIFF that hold an orientation in practice; Exif allows only the third.
_INTEGERS = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}
_XMP = re.compile(rb"tiff:Orientation(?:=[\"']|>)\s*([1-8])")


@dataclass(frozen=True)
class Metadata:
    """orientation: 1 to 8 as in Exif. depth: bits of a sample in the file."""

    orientation: int = 1
    depth: int = 8


def split_metadata(content: bytes) -> tuple[bytes, Metadata]:
    """The file without what its pixels do not need, and what is known from the rest.

    Damaged metadata counts as absent. A file that is none of JPEG, PNG and WebP comes back as it
    is.
    """
    if content.startswith(b"\xff\xd8"):
        return _jpeg(content)
    if content.startswith(PNG):
        return _png(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp(content)
    return content, Metadata()


def _jpeg(content: bytes) -> tuple[bytes, Metadata]:
    kept, exif, xmp, at = [content[:2]], b"", b"", 2
    while (at := content.find(b"\xff", at)) >= 0 and at + 4 <= len(content):
        marker, size = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in {0x00, 0x01} or 0xD0 <= marker <= 0xD9:  # these have no length
            at += 2
            continue
        if marker == 0xDA:  # the scans begin
            kept.append(content[at:])
            break
        segment = content[at : at + 2 + max(size, 2)]
        if marker == 0xE1 and segment.startswith(b"Exif\0\0", 4):
            exif = exif or segment[10:]
        elif marker == 0xE1:
            xmp += segment[4:]
        elif marker in _JPEG_KEPT or _colours(marker, segment):
            kept.append(segment)
        at += len(segment)
    return b"".join(kept), Metadata(_orientation(exif, xmp))


def _colours(marker: int, segment: bytes) -> bool:
    # JFIF and Adobe say how colours are stored; shorter ones than these say nothing.
    return (marker == 0xE0 and segment.startswith(b"JFIF\0", 4) and len(segment) >= 18) or (
        marker == 0xEE and segment.startswith(b"Adobe", 4) and len(segment) >= 16
    )


def _png(content: bytes) -> tuple[bytes, Metadata]:
    kept, exif, xmp, at = [PNG], b"", b"", len(PNG)
    while at < len(content):
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if kind == b"eXIf":
            exif = exif or content[at + 8 : at + 8 + size]
        elif kind == b"iTXt" and content.startswith(b"XML:com.adobe.xmp\0\0", at + 8):
            xmp += content[at + 8 : at + 8 + size]
        elif kind in _PNG_KEPT:
            kept.append(content[at : at + 12 + size])
        at += 12 + size
    depth = content[24] if len(content) > 24 else 8
    return b"".join(kept), Metadata(_orientation(exif, xmp), depth)


def _webp(content: bytes) -> tuple[bytes, Metadata]:
    exif, xmp, at = b"", b"", 12
    while at < len(content):
        kind, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        if kind == b"EXIF":
            exif = exif or content[at + 8 : at + 8 + size]
        elif kind == b"XMP ":
            xmp += content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    # libwebp hands the rest of them over unread.
    return content, Metadata(_orientation(exif, xmp))


def _orientation(exif: bytes, xmp: bytes) -> int:
    found = next(_orientations(exif.removeprefix(b"Exif\0\0")), None)
    if found is None and (written := _XMP.search(xmp)):
        found = int(written[1])
    return found if found is not None and 1 <= found <= 8 else 1


def _orientations(exif: bytes) -> Iterator[int]:
    """The values of the orientation tag in the first directory of a TIFF block."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 10:
        return
    (at,) = struct.unpack_from(f"{order}L", exif, 4)
    count = struct.unpack_from(f"{order}H", exif, at)[0] if at + 2 <= len(exif) else 0
    for entry in range(at + 2, min(at + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
        if tag == ORIENTATION and kind in _INTEGERS:
            yield struct.unpack_from(f"{order}{_INTEGERS[kind]}", exif, entry + 8)[0]
