"""Takes the head of a JPEG file apart: size, channels, orientation, what pixels depend on.

Source: ITU-T T.81 (JPEG), annex B.
"""

import re
from collections.abc import Iterator

from job.preprocessing.image.header import PictureFile, damaged, exif_orientation, unsupported

SIGNATURE = b"\xff\xd8\xff"

# C0 to CF begin a frame, but for the tables DHT and DAC, and JPG; DHP (DE) stands for several.
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xDE} - {0xC4, 0xC8, 0xCC})
_SCAN = 0xDA
# Without a length behind them: TEM, RST0 to RST7, SOI, EOI.
_BARE = frozenset({0x01, *range(0xD0, 0xDA)})
# Application data and comments, but for those that say how colours are stored: JFIF and Adobe.
_DROPPED = frozenset({*range(0xE0, 0xFF)} - {0xE0, 0xEE})
_EXIF_MARKER, _EXIF = 0xE1, b"Exif\0\0"

# Far more than any program writes; each costs memory, and each scan a pass over all pixels.
_MOST_SEGMENTS = 4096
_MOST_SCANS = 128

# FF may be repeated, and FF 00 is no marker. Other bytes between segments are passed over.
_MARKER = re.compile(rb"\xff([^\0\xff])", re.DOTALL)


def read_jpeg(data: bytes) -> PictureFile:
    """Reads all of a JPEG but its pixels.

    Args:
        data: The whole file, beginning with SIGNATURE.

    Raises:
        ImageError: It is cut short, has no size or two, or is of a kind that is not read.
    """
    kept: list[bytes | memoryview] = [SIGNATURE[:2]]
    exif = frame = b""
    for number, (marker, segment) in enumerate(_segments(data)):
        if number >= _MOST_SEGMENTS:
            raise damaged(f"JPEG file: it has more than {_MOST_SEGMENTS} segments")
        if marker in _FRAMES:
            if frame or len(segment) < 8:
                raise damaged("JPEG file: it must have one header (SOF), and a whole one")
            frame = bytes(segment[2:8])
        if marker == _EXIF_MARKER and segment[2:8] == _EXIF and not exif:
            exif = bytes(segment[8:])
        if marker not in _DROPPED:
            kept += [bytes([0xFF, marker]), segment]
    # Within pixels FF is followed by 0 or a restart marker, so these are scans and no chance.
    if data.count(bytes([0xFF, _SCAN])) > _MOST_SCANS:
        raise damaged(f"JPEG file: it has more than {_MOST_SCANS} scans")
    if not frame:
        raise damaged("JPEG file: it has no header (SOF) before its pixels")
    bits, height, width = frame[0], int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    _require_readable(width, height, bits=bits, channels=frame[5])
    return PictureFile("JPEG", width, height, b"".join(kept), exif_orientation(exif))


def _require_readable(width: int, height: int, *, bits: int, channels: int) -> None:
    if not width or not height:
        raise damaged(f"JPEG file: it declares {width} x {height} pixels")
    if channels == 4:
        raise unsupported(
            "a JPEG file of four channels (CMYK), made for printing, whose colours depend on a "
            "profile",
            allowed="convert it to RGB",
        )
    if channels not in (1, 3) or bits != 8:
        raise unsupported(
            f"a JPEG file of {channels} channels of {bits} bits",
            allowed="1 or 3 channels of 8 bits are read",
        )


def _segments(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Marker and bytes of each segment, its length first, up to the first scan.

    With the scan comes all that follows it.
    """
    view, position = memoryview(data), 2
    while found := _MARKER.search(data, position):
        marker, position = found[1][0], found.end()
        if marker in _BARE:
            continue
        length = int.from_bytes(view[position : position + 2])
        if length < 2 or position + length > len(data):
            break
        if marker == _SCAN:
            yield marker, view[position:]
            return
        yield marker, view[position : position + length]
        position += length
    raise damaged(f"JPEG file: it is cut short after {len(data)} bytes, or not in one piece")
