"""What a picture's file says about it, and why one cannot be used.

`png_file` and `jpeg_file` take files apart before Pillow sees them. What decides about a pixel
is kept, everything else (texts, profiles, thumbnails, animations) is dropped: so the size is
known before anything of that size is allocated, and a decoder meets little of what a hostile
file can hold.

Source: JEITA CP-3451, "Exif 2.3", section 4.6.
"""

import struct
from dataclasses import dataclass
from typing import Literal

from job.types import Reason

_BYTE_ORDER = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION = 0x0112


class ImageError(Exception):
    """A picture cannot be used.

    Args:
        reason: Which kind of fault, for counting.
        detail: What was received and what is allowed.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class PictureFile:
    """A file that can be decoded, as far as its header says.

    Args:
        format: PNG or JPEG.
        width: Pixels of a stored line, > 0.
        height: Stored lines, > 0.
        data: The file without what no pixel depends on.
        orientation: What is to be done to the stored picture, as EXIF numbers it: from 1, which
            is nothing, to 8.
        transparent: Of a PNG of grey (one number) or of red, green and blue (three): the colour
            that is seen through, as Pillow decodes it. None without one.
    """

    format: Literal["PNG", "JPEG"]
    width: int
    height: int
    data: bytes
    orientation: int = 1
    transparent: int | tuple[int, ...] | None = None


def damaged(what: str) -> ImageError:
    """The error of a file that is not what its beginning says."""
    return ImageError("damaged", f"picture is a damaged {what}")


def unsupported(what: str, *, allowed: str = "PNG and JPEG are read") -> ImageError:
    """The error of a kind of file that is not read."""
    return ImageError("format", f"picture is {what} ({allowed})")


def exif_orientation(exif: bytes) -> int:
    """The orientation that EXIF data give, from 1 to 8.

    Data that give none, or cannot be read, mean 1: so do cameras that write 0, and viewers.

    Args:
        exif: From its byte order mark on.
    """
    order = _BYTE_ORDER.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if tag == _ORIENTATION and 1 <= value <= 8:
                return int(value)
    except struct.error:
        return 1
    return 1
