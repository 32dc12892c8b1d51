"""Pictures that files hold in practice, made in memory: sound ones, odd ones, broken ones.

`ODD` are to be read, `BAD` are to be refused; both give the bytes of a file by name.
"""

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
    """The file of a picture, as Pillow writes it."""
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


def png_part(kind: bytes, body: bytes) -> bytes:
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
    """A PNG put together by hand.

    Args:
        width: Declared width.
        height: Declared height.
        lines: What is compressed: each line after a byte that names its filter.
        depth: Bits of a channel.
        colour_type: 0 grey, 2 red, green and blue, 3 palette, 4 and 6 as 0 and 2 with alpha.
        before: Chunks between header and pixels.
        interlaced: What the header says about it.
    """
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    return b"".join(
        [
            PNG_SIGNATURE,
            png_part(b"IHDR", header),
            before,
            png_part(b"IDAT", zlib.compress(lines)),
            png_part(b"IEND", b""),
        ]
    )


def exif(orientation: int, *, order: str = "<") -> bytes:
    """EXIF data that give an orientation, in Intel (<) or Motorola (>) byte order."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    other = struct.pack(f"{order}HHIHxx", 0x0128, 3, 1, 2)
    entry = struct.pack(f"{order}HHIHxx", 0x0112, 3, 1, orientation)
    return mark + struct.pack(f"{order}IH", 8, 2) + other + entry + bytes(4)


def rotated_jpeg(orientation: int = 6) -> bytes:
    """`quarters` stored so that EXIF's orientation brings it back."""
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
    """`quarters` with a see-through right half, whose colours are not to be seen."""
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:, WIDTH // 2 :] = 0
    return Image.fromarray(np.concatenate([quarters(), alpha], axis=2), "RGBA")


def sixteen_bits() -> bytes:
    """Grey of 16 bits that rises from left to right."""
    ramp = np.linspace(0, 65535, WIDTH).astype(">u2")
    line = b"\0" + ramp.tobytes()
    return png(WIDTH, HEIGHT, line * HEIGHT, depth=16, colour_type=0)


def with_text(mark: bytes = b"zTXt", *, inflated: int = 1 << 16) -> bytes:
    """A sound PNG behind a compressed text."""
    part = png_part(mark, b"Comment\0\0" + zlib.compress(bytes(inflated)))
    sound = encoded(quarters())
    return sound[:33] + part + sound[33:]


def changed(data: bytes, position: int) -> bytes:
    """A file with one byte that is another."""
    return data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :]


ODD: Mapping[str, Callable[[], bytes]] = {
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
    "PNG with a text": with_text,
    "JPEG lying on its side": rotated_jpeg,
    "one pixel": lambda: encoded(quarters(2, 2)[:1, :1]),
    "a thin line": lambda: encoded(np.zeros((1, 5000, 3), np.uint8)),
}

BAD: Mapping[str, Callable[[], bytes]] = {
    "zero bytes": lambda: b"",
    "truncated PNG": lambda: encoded(quarters())[:-30],
    "truncated JPEG": lambda: encoded(quarters(256, 256), "JPEG")[:-1000],
    "PNG of 60000 x 60000": lambda: png(60_000, 60_000, bytes(100)),
    "PNG with fewer lines than declared": lambda: png(8, 8, (b"\0" + b"@" * 24) * 7),
    "PNG with a wrong checksum": lambda: changed(encoded(quarters()), 60),
    "GIF named .png": lambda: encoded(quarters(), "GIF"),
    "WebP named .png": lambda: b"RIFF\x24\0\0\0WEBPVP8 " + bytes(24),
    "BMP named .png": lambda: encoded(quarters(), "BMP"),
    "TIFF named .jpg": lambda: encoded(quarters(), "TIFF"),
    "SVG named .png": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "web page named .jpg": lambda: b"\n<!DOCTYPE html><title>404</title>",
    "CMYK JPEG": lambda: encoded(Image.fromarray(quarters()).convert("CMYK"), "JPEG"),
    "text named .png": lambda: b"not a picture",
}
