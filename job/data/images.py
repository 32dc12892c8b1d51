"""Decodes pictures: PNG and JPEG only, by content, their size known before anything is."""

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin

from job.data.quarantine import Reason

_BACKGROUND = (255, 255, 255)


class PictureError(Exception):
    """A picture that cannot be used.

    Attributes:
        reason: Which kind of fault.
        detail: What was received and what is allowed.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


def read_picture(
    data: bytes, *, size: int, resize: Literal["pad", "stretch"], max_pixels: int
) -> NDArray[np.uint8]:
    """A PNG or JPEG file as uint8 (size, size, 3).

    Raises:
        PictureError: It is another format, damaged, too large, or of colours that need a
            profile.
    """
    if not data:
        raise PictureError("empty", "the file is empty")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        kind: type[Image.Image] = PngImagePlugin.PngImageFile
    elif data.startswith(b"\xff\xd8\xff"):
        kind = JpegImagePlugin.JpegImageFile
    else:
        what = "a GIF" if data.startswith(b"GIF8") else "something else"
        raise PictureError("format", f"is {what}, not PNG or JPEG")
    try:
        picture = kind(io.BytesIO(data))  # type: ignore[call-arg]
        width, height = picture.size
        if width * height > max_pixels:
            raise PictureError(
                "too_large",
                f"declares {width} x {height} pixels (data.max_pixels is {max_pixels})",
            )
        if picture.mode == "CMYK":
            raise PictureError("format", "has CMYK colours; convert it to RGB")
        picture.load()
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError, TypeError, IndexError, EOFError) as error:
        raise PictureError("undecodable", f"is damaged ({error})") from error
    return fit_pixels(np.asarray(upright), size=size, resize=resize)


def fit_pixels(
    pixels: NDArray[np.uint8], *, size: int, resize: Literal["pad", "stretch"]
) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) or grey (H, W) as uint8 (size, size, 3)."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.shape == (size, size, 3):
        return pixels
    picture = Image.fromarray(pixels)
    if resize == "stretch":
        return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
    fitted = ImageOps.contain(picture, (size, size), Image.Resampling.BILINEAR)
    canvas = Image.new("RGB", (size, size), _BACKGROUND)
    canvas.paste(fitted, ((size - fitted.width) // 2, (size - fitted.height) // 2))
    return np.asarray(canvas)
