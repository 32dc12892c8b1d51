"""Decodes PNG and JPEG files to square RGB images of one size.

The content of a file decides its format, not its name. Colour profiles and gamma are ignored,
and transparent pixels are blended over white::

    pixels = read_image(data, size=64, resize="pad", max_pixels=50_000_000)

Pillow decodes. This module decides what is accepted, and turns every error into a reason that
can be counted. Calls are independent and may run in any number of threads. Each needs up to
12 bytes per decoded pixel (4 if the image is opaque), so `max_pixels` times the number of
threads bounds the memory.
"""

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from job.types import Reason

Resize = Literal["pad", "stretch"]
Pixels = NDArray[np.uint8]

# The first bytes of a file, its format and the class that reads it. `Image.open` would apply
# Pillow's process-wide pixel limit on top of `max_pixels`, and read several images per JPEG.
_FORMATS: tuple[tuple[bytes, str, type[PngImageFile | JpegImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG", PngImageFile),
    (b"\xff\xd8\xff", "JPEG", JpegImageFile),
)
# Formats that often have the extension of another: position, bytes there, format.
_OTHER_FORMATS = (
    (0, b"GIF8", "a GIF file"),
    (8, b"WEBP", "a WebP file"),
    (0, b"version https://git-lfs", "a Git LFS pointer instead of the file"),
)

# What Pillow raises for damaged files.
_PILLOW_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError),
    *(SyntaxError, TypeError, ValueError, struct.error, zlib.error),
)

# The largest side that a JPEG can declare. Pillow allocates a pointer per line, so a PNG with a
# billion lines of one pixel would need far more memory than its pixels.
MAX_SIDE = 65_535
# An image is first reduced by a whole number to at least this many times its final size, which
# is fast, and then resized with a filter. Pillow's documentation calls the result of 3.0 very
# close to that of the filter alone.
_REDUCING_GAP = 3.0
_FILTER = Image.Resampling.BILINEAR

# By Pillow's raw mode: brings the transparent colour (tRNS) to 8 bits, as the pixels are.
_TO_8_BITS: Mapping[str, Callable[..., int | tuple[int, ...]]] = {
    "L;2": lambda grey: (grey & 3) * 85,
    "L;4": lambda grey: (grey & 15) * 17,
    "RGB;16B": lambda colour: tuple(value >> 8 for value in colour),
}


class ImageError(Exception):
    """An image cannot be used.

    Args:
        reason: Why, as the quarantine counts it.
        detail: What was received and what is allowed.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def read_image(data: bytes, *, size: int, resize: Resize, max_pixels: int) -> Pixels:
    """Decodes an image file and resizes the image to a square.

    Args:
        data: A whole file.
        size: Width and height of the result in pixels.
        resize: "pad" keeps the proportions and adds white on two sides; "stretch" does not.
        max_pixels: Limit for width times height, checked against the header before any pixel
            is decoded.

    Returns:
        uint8 (size, size, 3), RGB.

    Raises:
        ImageError: The file is empty, of another format, too large or damaged.
    """
    name, open_file = _format_of(data)
    try:
        with open_file(io.BytesIO(data)) as header:
            _check_header(header, max_pixels=max_pixels)
            # Decoding a PNG does not check the CRC of its pixel data; this does.
            header.verify()
        with open_file(io.BytesIO(data)) as image:
            return _decoded(image, size=size, resize=resize)
    except MemoryError as error:
        raise ImageError("too_large", "image does not fit into memory") from error
    except _PILLOW_ERRORS as error:
        detail = f"image is a damaged {name} file: {str(error)[:80]}"
        raise ImageError("damaged", detail) from error


def fit_pixels(pixels: Pixels, *, size: int, resize: Resize) -> Pixels:
    """Resizes a decoded image to a square, as `read_image` does.

    Args:
        pixels: uint8 (H, W, 3), RGB, or (H, W), grey; H, W > 0.
        size: Width and height of the result in pixels.
        resize: As in `read_image`.

    Returns:
        uint8 (size, size, 3), RGB.

    Raises:
        ValueError: `pixels` has another dtype or shape.
    """
    coloured = pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or coloured) or not pixels.size:
        raise ValueError(
            "pixels must be uint8 (H, W, 3) or (H, W), not empty, got "
            f"{pixels.dtype} {pixels.shape}"
        )
    image = Image.fromarray(pixels)
    target = _target(image.size, size=size, resize=resize)
    return _on_square(image.resize(target, _FILTER, reducing_gap=_REDUCING_GAP), size=size)


def _format_of(data: bytes) -> tuple[str, type[PngImageFile | JpegImageFile]]:
    if not data:
        raise ImageError("empty", "image is an empty file (0 bytes)")
    for signature, name, open_file in _FORMATS:
        if data.startswith(signature):
            return name, open_file
    known = (name for at, mark, name in _OTHER_FORMATS if data.startswith(mark, at))
    what = next(known, f"of an unknown format, beginning with {bytes(data[:8])!r}")
    raise ImageError("format", f"image is {what} (PNG and JPEG are read)")


def _check_header(image: Image.Image, *, max_pixels: int) -> None:
    declared = f"image declares {image.width} x {image.height} pixels"
    if max(image.size) > MAX_SIDE:
        raise ImageError("too_large", f"{declared} (at most {MAX_SIDE} each way are allowed)")
    if image.width * image.height > max_pixels:
        raise ImageError("too_large", f"{declared} (at most {max_pixels} are allowed)")
    if image.mode == "CMYK":
        raise ImageError("format", "image is a CMYK JPEG for printing (convert it to RGB)")


def _decoded(image: PngImageFile | JpegImageFile, *, size: int, resize: Resize) -> Pixels:
    target = _target(image.size, size=size, resize=resize)
    raw_mode = str(image.tile[0].args)
    # A JPEG can be decoded at a half, a quarter or an eighth of its size, which is faster. The
    # box is the part that holds the image: the last column and line may be partly outside.
    gap = int(_REDUCING_GAP)
    draft = image.draft(None, (target[0] * gap, target[1] * gap))
    box = None if draft is None else draft[1]
    image.load()
    if "transparency" in image.info and raw_mode in _TO_8_BITS:
        image.info["transparency"] = _TO_8_BITS[raw_mode](image.info["transparency"])
    opaque = _on_white(image)
    small = opaque.resize(target, _FILTER, box=box, reducing_gap=_REDUCING_GAP)
    small.info = image.info
    return _on_square(_upright(small), size=size)


def _target(given: tuple[int, int], *, size: int, resize: Resize) -> tuple[int, int]:
    """Width and height of the resized image before it is padded, both at least 1."""
    if resize == "stretch":
        return size, size
    width, height = (max(1, round(side * size / max(given))) for side in given)
    return width, height


def _on_white(image: Image.Image) -> Image.Image:
    """The image in grey or RGB, with transparent pixels blended over white."""
    if image.mode == "I;16":  # Pillow clips 16-bit grey to 255 instead of scaling it
        grey = np.asarray(image)
        scaled = (grey >> 8).astype(np.uint8)
        scaled[grey == image.info.get("transparency", -1)] = 255
        return Image.fromarray(scaled)
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """The image as its EXIF orientation shows it; damaged EXIF is ignored, as viewers do."""
    try:
        return ImageOps.exif_transpose(image)
    except _PILLOW_ERRORS:
        return image


def _on_square(image: Image.Image, *, size: int) -> Pixels:
    square = Image.new("RGB", (size, size), "white")
    square.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return np.array(square)
