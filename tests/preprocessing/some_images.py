"""Image files made in memory: valid ones of every kind, and the parts to make invalid ones."""

import io
import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

RED, GREEN, BLUE, GREY = (220, 30, 40), (20, 200, 60), (30, 60, 210), (128, 128, 128)
WIDTH, HEIGHT = 24, 16

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def quarters(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """uint8 (height, width, 3): red and green above, blue and grey below."""
    pixels = np.empty((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    pixels[:top, :left], pixels[:top, left:] = RED, GREEN
    pixels[top:, :left], pixels[top:, left:] = BLUE, GREY
    return pixels


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    """An image file as Pillow writes it."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def one_colour(
    size: tuple[int, int] = (8, 8), colour: tuple[int, int, int] = (1, 2, 3)
) -> bytes:
    """A PNG file of one colour."""
    return encoded(Image.new("RGB", size, colour))


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its length and its checksum."""
    return (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    )


def png(
    width: int,
    height: int,
    lines: bytes,
    *,
    depth: int = 8,
    colour_type: int = 2,
    before: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """A PNG file built from its chunks.

    Args:
        width: Declared width.
        height: Declared height.
        lines: Uncompressed pixel data: a filter byte and the pixels of each line.
        depth: Bits per channel.
        colour_type: 0 grey, 2 RGB, 3 palette, 4 and 6 as 0 and 2 with alpha.
        before: Chunks between header and pixels.
        interlaced: Whether the header declares interlacing.
    """
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    return b"".join(
        [
            PNG_SIGNATURE,
            png_chunk(b"IHDR", header),
            before,
            png_chunk(b"IDAT", zlib.compress(lines)),
            png_chunk(b"IEND", b""),
        ]
    )


def with_chunk(kind: bytes, body: bytes, *, data: bytes | None = None) -> bytes:
    """A PNG file, by default `quarters`, with one more chunk behind the header."""
    data = encoded(quarters()) if data is None else data
    return data[:33] + png_chunk(kind, body) + data[33:]


def exif(orientation: int, *, order: str = "<") -> bytes:
    """EXIF data with an orientation, in Intel (<) or Motorola (>) byte order."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    other = struct.pack(f"{order}HHIHxx", 0x0128, 3, 1, 2)
    entry = struct.pack(f"{order}HHIHxx", 0x0112, 3, 1, orientation)
    return mark + struct.pack(f"{order}IH", 8, 2) + other + entry + bytes(4)


def rotated_jpeg(orientation: int = 6) -> bytes:
    """`quarters` stored so that its EXIF orientation restores it."""
    stored = {
        1: lambda image: image,
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.transpose(1, 0, 2),
        6: lambda image: np.rot90(image, 1),
        7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
        8: lambda image: np.rot90(image, -1),
    }[orientation](quarters(48, 32))
    data = b"Exif\0\0" + exif(orientation)
    return encoded(np.ascontiguousarray(stored), "JPEG", quality=95, exif=data)


def with_alpha() -> Image.Image:
    """`quarters` with a transparent right half, whose colours must not show."""
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:, WIDTH // 2 :] = 0
    return Image.fromarray(np.concatenate([quarters(), alpha], axis=2), "RGBA")


def sixteen_bits() -> bytes:
    """16-bit grey that rises from left to right."""
    ramp = np.linspace(0, 65535, WIDTH).astype(">u2")
    line = b"\0" + ramp.tobytes()
    return png(WIDTH, HEIGHT, line * HEIGHT, depth=16, colour_type=0)


VALID: Mapping[str, Callable[[], bytes]] = {
    "plain PNG": lambda: encoded(quarters()),
    "plain JPEG": lambda: encoded(quarters(48, 32), "JPEG", quality=95),
    "progressive JPEG": lambda: encoded(quarters(48, 32), "JPEG", progressive=True),
    "grey PNG": lambda: encoded(Image.fromarray(quarters()).convert("L")),
    "grey JPEG": lambda: encoded(Image.fromarray(quarters()).convert("L"), "JPEG"),
    "grey PNG with alpha": lambda: encoded(with_alpha().convert("LA")),
    "PNG with alpha": lambda: encoded(with_alpha()),
    "palette PNG": lambda: encoded(Image.fromarray(quarters()).quantize(8)),
    "one bit PNG": lambda: encoded(Image.fromarray(quarters()).convert("1")),
    "16 bit grey PNG": sixteen_bits,
    "PNG with a text": lambda: with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(999))),
    "rotated JPEG": rotated_jpeg,
    "one pixel": lambda: encoded(quarters(2, 2)[:1, :1]),
    "a thin line": lambda: encoded(np.zeros((1, 5000, 3), np.uint8)),
}
