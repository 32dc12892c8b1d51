"""PNG and JPEG files as square pictures of one size: red, green and blue, 8 bits each.

What a file is, its content decides and not its name. Colour profiles and gamma are not applied,
what is transparent is laid on white::

    pixels = read_image(data, size=64, resize="pad", max_pixels=50_000_000)

A call needs the memory of the decoded picture (4 bytes a pixel, a progressive JPEG up to 6) and
little else. Calls may run in any number of threads: those of large pictures wait for each
other, so that a process never decodes more than `max_pixels` at a time.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from job.preprocessing.image import jpeg, png
from job.preprocessing.image.header import ImageError, PictureFile, damaged, unsupported
from job.preprocessing.image.jpeg import read_jpeg
from job.preprocessing.image.memory_limit import Room
from job.preprocessing.image.png import read_png

__all__ = ["ImageError", "fit_pixels", "read_image"]

Resize = Literal["pad", "stretch"]
Pixels = NDArray[np.uint8]

# What files are that people name .png or .jpg: (where it begins, the bytes there, what it is).
_OTHER_FORMATS = (
    (0, b"GIF8", "a GIF file"),
    (8, b"WEBP", "a WebP file"),
    (0, b"BM", "a BMP file"),
    (0, b"II*\0", "a TIFF file"),
    (0, b"MM\0*", "a TIFF file"),
    (4, b"ftypavif", "an AVIF file"),
    (4, b"ftyphei", "a HEIC file"),
    (4, b"ftypmif1", "a HEIF file"),
    (4, b"jP  \r\n", "a JPEG 2000 file"),
    (0, b"\0\0\1\0", "an icon (ICO)"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "a PDF file"),
    (0, b"\x1f\x8b", "compressed with gzip"),
    (0, b"PK\3\4", "a ZIP file"),
    (0, b"version https://git-lfs", "a Git LFS pointer instead of the file it stands for"),
)
_TEXT_FORMATS = (
    (b"<!doctype html", "a web page (HTML)"),
    (b"<html", "a web page (HTML)"),
    (b"<svg", "an SVG file"),
    (b"<?xml", "an XML file, such as SVG"),
)

# What Pillow raises for bytes that are no picture, seen and to be expected.
_PILLOW_RAISES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

# How to show a stored picture, by EXIF orientation.
_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# A picture is first shrunk by whole numbers to at least this many times its final size, which
# is fast, and then with a filter. From 3 on the difference cannot be seen (Pillow's docs).
_GAP = 3
# What a JPEG can declare. Each line costs memory of its own, however short it is.
MAX_SIDE = 65_535
# Edge of the pieces that are turned into colours at a time, so that only small pictures exist
# twice.
_TILE = 1024
# Memory is the process', so all threads share one room.
_DECODED_NOW = Room()
# A large picture in one block. Beyond 32 MB malloc gives memory back to the system at once;
# blocks of Pillow's usual 16 MB stay with the thread that decoded (790 MB of four threads, now
# 200 MB, at 49 million pixels). Sources: mallopt(3),
# https://pillow.readthedocs.io/en/stable/reference/block_allocator.html
Image.core.set_block_size(1 << 30)  # type: ignore[attr-defined]


def read_image(data: bytes, *, size: int, resize: Resize, max_pixels: int) -> Pixels:
    """Decodes a file and brings the picture to a square.

    Args:
        data: A whole file.
        size: Width and height of the result in pixels.
        resize: `data.resize`: "pad" keeps proportions and puts white beside it, "stretch" does
            not.
        max_pixels: `data.max_pixels`; checked before anything is decoded, and what all
            threads decode at a time.

    Returns:
        uint8 (size, size, 3): red, green, blue.

    Raises:
        ImageError: The file cannot be used.
    """
    file = _picture_file(data)
    if max(file.width, file.height) > MAX_SIDE:
        raise ImageError(
            "too_large",
            f"picture declares {file.width} x {file.height} pixels (at most {MAX_SIDE} each "
            "way are allowed)",
        )
    if file.width * file.height > max_pixels:
        raise ImageError(
            "too_large",
            f"picture declares {file.width} x {file.height} pixels (at most {max_pixels} are "
            "allowed)",
        )
    try:
        with _DECODED_NOW.taken(file.width * file.height, limit=max_pixels):
            content = _content(file, size=size, resize=resize)
    except MemoryError as error:
        what = f"picture of {file.width} x {file.height} pixels does not fit into memory"
        raise ImageError("too_large", what) from error
    except _PILLOW_RAISES as error:
        raise damaged(f"{file.format} file: {str(error)[:80]}") from error
    return _square(content, size)


def fit_pixels(pixels: Pixels, *, size: int, resize: Resize) -> Pixels:
    """Brings a decoded picture to a square, as `read_image` does.

    Args:
        pixels: uint8 (H, W, 3), red, green and blue, or (H, W), grey; H, W > 0.
        size: Width and height of the result in pixels.
        resize: `data.resize`.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ValueError: `pixels` are something else.
    """
    coloured = pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or coloured) or not pixels.size:
        raise ValueError(
            "pixels must be uint8 (H, W, 3) or (H, W), not empty, got "
            f"{pixels.dtype} {pixels.shape}"
        )
    image = Image.fromarray(pixels)
    target = _target(image.width, image.height, size=size, resize=resize)
    return _square(_resized(image, target, region=image.size), size)


def _picture_file(data: bytes) -> PictureFile:
    if not data:
        raise ImageError("empty", "picture is an empty file (0 bytes)")
    if data.startswith(png.SIGNATURE):
        return read_png(data)
    if data.startswith(jpeg.SIGNATURE):
        return read_jpeg(data)
    for start, mark, name in _OTHER_FORMATS:
        if data.startswith(mark, start):
            raise unsupported(name)
    text = data[:256].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for mark, name in _TEXT_FORMATS:
        if text.startswith(mark):
            raise unsupported(name)
    raise unsupported(f"of an unknown format, beginning with {bytes(data[:8])!r}")


def _content(file: PictureFile, *, size: int, resize: Resize) -> Image.Image:
    """The picture, at most `size` in both directions, the right way up."""
    target = _target(file.width, file.height, size=size, resize=resize)
    region: tuple[float, float] = (file.width, file.height)
    image: Image.Image
    if file.format == "JPEG":
        image = jpeg = JpegImageFile(io.BytesIO(file.data))
        # A JPEG can be decoded at a half, a quarter or an eighth of its size, at less expense.
        drafted = jpeg.draft(None, (target[0] * _GAP, target[1] * _GAP))
        if drafted is not None:
            region = drafted[1][2:]
        jpeg.load()
    else:
        image = PngImageFile(io.BytesIO(file.data))
        image.load()
        # Pillow leaves lines that are not there at zero, without a word.
        if _may_lack_lines(image) and not png.has_every_line(file.data):
            raise damaged(f"PNG file: it holds less than the {file.height} lines it declares")
    if file.transparent is not None:
        image.info["transparency"] = file.transparent
    content = _resized(image, target, region=region)
    method = _TRANSPOSED.get(file.orientation)
    return content if method is None else content.transpose(method)


def _may_lack_lines(image: Image.Image) -> bool:
    """Whether a decoded PNG may be short of lines; to count them takes inflating it again."""
    if image.info.get("interlace"):
        return True  # the lines that come last in the file are anywhere in the picture
    last_line = image.crop((0, image.height - 1, image.width, image.height))
    return not np.asarray(last_line).any()


def _target(width: int, height: int, *, size: int, resize: Resize) -> tuple[int, int]:
    """Width and height that a picture is brought to before white is put beside it."""
    if resize == "stretch":
        return size, size
    longer = max(width, height)
    return max(1, round(width * size / longer)), max(1, round(height * size / longer))


def _resized(
    image: Image.Image, target: tuple[int, int], *, region: tuple[float, float]
) -> Image.Image:
    """A picture in colours and at its final size.

    Args:
        image: Of any mode that PNG and JPEG have.
        target: Width and height of the result.
        region: Width and height of the part of `image` that is the picture: a JPEG decoded at
            an eighth has up to 7/8 of a pixel behind it.
    """
    across, down = (
        max(1, int(have / (want * _GAP))) for have, want in zip(region, target, strict=True)
    )
    colours = Image.new("RGB", (-(-image.width // across), -(-image.height // down)))
    for left, top, tile in _tiles(image, across=across, down=down):
        colours.paste(_on_white(tile).reduce((across, down)), (left // across, top // down))
    box = (0, 0, region[0] / across, region[1] / down)
    return colours.resize(target, Image.Resampling.BILINEAR, box=box)


def _tiles(
    image: Image.Image, *, across: int, down: int
) -> Iterator[tuple[int, int, Image.Image]]:
    """Pieces of a picture, with the column and row where each begins.

    Both are multiples of `across` and `down`.
    """
    width, height = (step * max(1, _TILE // step) for step in (across, down))
    for top in range(0, image.height, height):
        for left in range(0, image.width, width):
            right, bottom = min(left + width, image.width), min(top + height, image.height)
            yield left, top, image.crop((left, top, right, bottom))


def _on_white(tile: Image.Image) -> Image.Image:
    """A piece of a picture in red, green and blue, on white where it is transparent."""
    transparent = tile.info.get("transparency")
    if tile.mode == "I;16":
        grey = np.asarray(tile)
        # As Pillow does with red, green and blue of 16 bits, which it does not with grey.
        shades = (grey >> 8).astype(np.uint8)
        if transparent is not None:
            shades[grey == transparent] = 255
        return Image.fromarray(shades).convert("RGB")
    if transparent is None and tile.mode not in ("LA", "RGBA"):
        return tile.convert("RGB")
    white = Image.new("RGBA", tile.size, "white")
    return Image.alpha_composite(white, tile.convert("RGBA")).convert("RGB")


def _square(content: Image.Image, size: int) -> Pixels:
    """White, with the picture in its middle."""
    canvas = np.full((size, size, 3), 255, np.uint8)
    left, top = (size - content.width) // 2, (size - content.height) // 2
    canvas[top : top + content.height, left : left + content.width] = np.asarray(content)
    return canvas
