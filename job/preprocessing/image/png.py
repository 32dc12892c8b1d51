"""Takes a PNG file apart: header, orientation, and the parts that pixels depend on.

Checksums are verified here, since Pillow does not look at those of pixel data. Of an animated
PNG the still picture remains.

Source: W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", sections 5, 8
and 11.
"""

import struct
import zlib
from collections.abc import Iterator

from job.preprocessing.image.header import PictureFile, damaged, exif_orientation, unsupported

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PIXEL_PARTS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_GREY, _RGB, _PALETTE = 0, 2, 3
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# A bit of the first letter of a part: small letters.
_MAY_BE_PASSED_OVER = 0x20
# The passes of an interlaced picture: first column and row, then how far the next ones are.
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_INFLATED_AT_A_TIME = 1 << 16


def read_png(data: bytes) -> PictureFile:
    """Reads all of a PNG but its pixels.

    Args:
        data: The whole file, beginning with SIGNATURE.

    Raises:
        ImageError: It is cut short, changed, or holds what standard PNG does not.
    """
    kept, orientation, header, colour = [SIGNATURE], 1, b"", b""
    for kind, body in _parts(data):
        if (kind == b"IHDR") is bool(header):
            raise damaged("PNG file: it must have one header (IHDR), at its beginning")
        if kind == b"IHDR":
            header = _header(bytes(body))
        elif kind == b"eXIf":
            orientation = exif_orientation(bytes(body))
        elif kind not in _PIXEL_PARTS and not kind[0] & _MAY_BE_PASSED_OVER:
            raise unsupported(
                f"a PNG file with a part {kind!r} that the standard does not have"
            )
        if kind == b"tRNS" and header[9:10] != bytes([_PALETTE]):
            colour = bytes(body)
        elif kind in _PIXEL_PARTS:
            kept.append(_part(kind, body))
    width, height = struct.unpack(">II", header[:8])
    transparent = _transparent(header, colour)
    return PictureFile("PNG", width, height, b"".join(kept), orientation, transparent)


def has_every_line(data: bytes) -> bool:
    """Whether a PNG holds as many lines as its header declares; inflates them.

    Pillow takes pixel data that end early for whole and leaves the rest at zero.

    Args:
        data: A file that `read_png` gave.
    """
    wanted, inflate = 0, zlib.decompressobj()
    for kind, body in _parts(data):
        if kind == b"IHDR":
            wanted = _inflated_size(bytes(body))
        pending = bytes(body) if kind == b"IDAT" else b""
        while pending and wanted > 0:
            wanted -= len(inflate.decompress(pending, _INFLATED_AT_A_TIME))
            pending = inflate.unconsumed_tail
    return wanted <= 0


def _parts(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and body of each part, up to the end mark; what stands behind that is no part."""
    view, position, kind = memoryview(data), len(SIGNATURE), b""
    while kind != b"IEND":
        length = int.from_bytes(view[position : position + 4])
        end = position + 8 + length
        if end + 4 > len(data):
            raise damaged(f"PNG file: it is cut short after {len(data)} bytes")
        kind = bytes(view[position + 4 : position + 8])
        if zlib.crc32(view[position + 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise damaged(f"PNG file: the checksum of its part {kind!r} does not match")
        yield kind, view[position + 8 : end]
        position = end + 4


def _part(kind: bytes, body: memoryview) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return b"".join([len(body).to_bytes(4), kind, body, checksum.to_bytes(4)])


def _header(body: bytes) -> bytes:
    if len(body) != 13:
        raise damaged(f"PNG file: its header has {len(body)} bytes instead of 13")
    width, height, depth, colour_type = struct.unpack(">IIBB", body[:10])
    if not width or not height:
        raise damaged(f"PNG file: it declares {width} x {height} pixels")
    if depth not in _DEPTHS.get(colour_type, ()):
        raise damaged(f"PNG file: it declares colours of type {colour_type} and {depth} bits")
    return body


def _transparent(header: bytes, colour: bytes) -> int | tuple[int, ...] | None:
    """The colour that is seen through, brought from the file's bits to those of Pillow."""
    depth, colour_type = header[8], header[9]
    if not colour or colour_type not in (_GREY, _RGB):
        return None
    if len(colour) != 2 * _CHANNELS[colour_type]:
        raise damaged(f"PNG file: its transparent colour has {len(colour)} bytes")
    values = struct.unpack(f">{len(colour) // 2}H", colour)
    if depth < 16:
        largest = (1 << depth) - 1
        values = tuple((value & largest) * 255 // largest for value in values)
    elif colour_type != _GREY:
        # Pillow keeps the upper 8 bits of red, green and blue, but all 16 of grey.
        values = tuple(value >> 8 for value in values)
    return values[0] if colour_type == _GREY else values


def _inflated_size(header: bytes) -> int:
    """Bytes of all lines, each with the byte that names its filter."""
    width, height, depth, colour_type, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    bits = depth * _CHANNELS[colour_type]
    size = 0
    for left, top, across, down in passes:
        columns, lines = -(-(width - left) // across), -(-(height - top) // down)
        if columns:
            size += lines * (1 + (columns * bits + 7) // 8)
    return size
