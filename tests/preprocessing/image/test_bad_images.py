"""Every way a picture can be bad, and what a hostile file may cost."""

import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from job.preprocessing.image import decode
from job.preprocessing.image.decode import ImageError, read_image
from tests.preprocessing.image import some_images as pictures
from tests.preprocessing.image.some_images import BAD, ODD, encoded, quarters


def read(data, *, max_pixels=1_000_000):
    return read_image(data, size=12, resize="pad", max_pixels=max_pixels)


def refusal(data, **options):
    with pytest.raises(ImageError) as caught:
        read(data, **options)
    return caught.value


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("zero bytes", "empty", "an empty file (0 bytes)"),
        ("truncated PNG", "damaged", "a damaged PNG file: it is cut short after 77 bytes"),
        ("truncated JPEG", "damaged", "a damaged JPEG file: image file is truncated"),
        ("PNG of 60000 x 60000", "too_large", "60000 x 60000 pixels (at most 1000000 are"),
        ("PNG with fewer lines than declared", "damaged", "less than the 8 lines it declares"),
        ("PNG with a wrong checksum", "damaged", "the checksum of its part b'IDAT'"),
        ("GIF named .png", "format", "picture is a GIF file (PNG and JPEG are read)"),
        ("WebP named .png", "format", "a WebP file"),
        ("BMP named .png", "format", "a BMP file"),
        ("TIFF named .jpg", "format", "a TIFF file"),
        ("SVG named .png", "format", "an SVG file"),
        ("web page named .jpg", "format", "a web page"),
        ("CMYK JPEG", "format", "(CMYK), made for printing"),
        ("text named .png", "format", "an unknown format, beginning with b'not a pi'"),
    ],
)
def test_what_is_no_usable_picture_is_refused_with_the_reason(name, reason, words):
    error = refusal(BAD[name]())
    assert error.reason == reason
    assert words in error.detail
    assert str(error) == error.detail
    assert error.detail.startswith("picture ")


def test_every_bad_picture_has_its_row_above():
    table = test_what_is_no_usable_picture_is_refused_with_the_reason.pytestmark[0]
    assert {row[0] for row in table.args[1]} == set(BAD)


JPEG = encoded(quarters(48, 32), "JPEG")
FRAME = JPEG.index(b"\xff\xc0")
PNG = encoded(quarters())


def with_frame(**changed):
    """A JPEG with other numbers in its header."""
    places = {"bits": (4, 1), "height": (5, 2), "width": (7, 2), "channels": (9, 1)}
    data = bytearray(JPEG)
    for name, value in changed.items():
        offset, length = places[name]
        data[FRAME + offset : FRAME + offset + length] = value.to_bytes(length)
    return bytes(data)


def png_of(*parts):
    return pictures.PNG_SIGNATURE + b"".join(pictures.png_part(*part) for part in parts)


HEADER = (b"IHDR", b"\0\0\0\4\0\0\0\4\x08\2\0\0\0")
NO_PIXELS = [HEADER, (b"IDAT", b""), (b"IEND", b"")]


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (with_frame(height=0), "damaged", "declares 48 x 0 pixels"),
        (with_frame(bits=12), "format", "3 channels of 12 bits (1 or 3 channels of 8"),
        (with_frame(channels=2), "format", "2 channels of 8 bits"),
        (with_frame(width=60_000, height=60_000), "too_large", "60000 x 60000"),
        (JPEG[:FRAME] + JPEG[FRAME : FRAME + 19] + JPEG[FRAME:], "damaged", "one header"),
        (JPEG[:FRAME] + JPEG[FRAME + 19 :], "damaged", "no header (SOF) before its pixels"),
        (JPEG[:FRAME] + b"\xff\xc0\0\6\x08\0\x10\0", "damaged", "and a whole one"),
        (JPEG[:FRAME], "damaged", f"cut short after {FRAME} bytes"),
        (JPEG[: FRAME + 8], "damaged", "cut short"),
        (JPEG[:FRAME] + b"\xff\xc0\0\1" + JPEG[FRAME:], "damaged", "not in one piece"),
        (b"\xff\xd8\xff", "damaged", "cut short after 3 bytes"),
        (PNG[:8], "damaged", "cut short after 8 bytes"),
        (PNG[:-1], "damaged", "cut short after"),
        (png_of((b"IDAT", b""), (b"IEND", b"")), "damaged", "one header (IHDR), at its beg"),
        (png_of(HEADER, *NO_PIXELS), "damaged", "one header (IHDR)"),
        (png_of((b"IHDR", b"\0\0\0\1"), (b"IEND", b"")), "damaged", "4 bytes instead of 13"),
        (png_of((b"IHDR", HEADER[1] + b"\0"), *NO_PIXELS[1:]), "damaged", "14 bytes instead"),
        (pictures.png(9, 8, bytes(21), depth=1, colour_type=0), "damaged", "than the 8 lines"),
        (png_of(*NO_PIXELS), "damaged", "PNG file"),
        (png_of(HEADER, (b"IEND", b"")), "damaged", "PNG file"),
        (png_of(HEADER, (b"CgBI", b"1234")), "format", "b'CgBI' that the standard does"),
        (png_of(HEADER, (b"tRNS", b"1"), *NO_PIXELS[1:]), "damaged", "colour has 1 bytes"),
        (pictures.png(0, 4, b""), "damaged", "declares 0 x 4 pixels"),
        (pictures.png(4, 4, b"", depth=3), "damaged", "colours of type 2 and 3 bits"),
        (pictures.png(4, 4, b"", colour_type=5), "damaged", "colours of type 5"),
        (pictures.png(4, 4, b"\7" * 100), "damaged", "PNG file"),
        (b"\xef\xbb\xbf <?xml version='1.0'?>", "format", "an XML file, such as SVG"),
        (b"\0\0\0\x20ftypheic", "format", "a HEIC file"),
        (b"version https://git-lfs.github.com/spec/v1", "format", "a Git LFS pointer"),
    ],
)
def test_headers_that_lie_are_found_out(data, reason, words):
    error = refusal(data)
    assert error.reason == reason
    assert words in error.detail


def test_the_limit_of_pixels_is_the_last_that_is_allowed():
    data = encoded(quarters())
    read(data, max_pixels=24 * 16)
    assert refusal(data, max_pixels=24 * 16 - 1).reason == "too_large"


def test_a_picture_that_does_not_fit_into_memory_is_too_large(monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(decode, "_content", fail)
    assert refusal(PNG).reason == "too_large"


def with_new_checksums(data):
    """A PNG whose checksums fit again, so that what is behind them is reached."""
    parts, position = [data[:8]], 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4])
        if end + 4 > len(data):
            break
        parts.append(
            pictures.png_part(data[position + 4 : position + 8], data[position + 8 : end])
        )
        position = end + 4
    return b"".join(parts)


def damaged_at_random(data, *, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        place = rng.randrange(rng.choice([len(data), min(len(data), 700)]))
        match rng.randrange(4):
            case 0:
                data[place] ^= 1 << rng.randrange(8)
            case 1:
                data[place] = rng.choice([0, 255, rng.randrange(256)])
            case 2:
                del data[place : place + rng.randrange(1, 40)]
            case 3:
                data[place:place] = rng.randbytes(rng.randrange(1, 20))
        data = data or bytearray(1)
    return with_new_checksums(bytes(data)) if rng.random() < 0.7 else bytes(data)


@pytest.mark.parametrize("name", ODD)
def test_damage_at_random_is_refused_or_harmless(name):
    rng = random.Random(name)
    sound = ODD[name]()
    for _ in range(300):
        data = damaged_at_random(sound, rng=rng)
        # Anything but a ImageError ends the test.
        with suppress(ImageError):
            assert read(data).shape == (12, 12, 3)


@pytest.mark.parametrize("name", ["plain PNG", "plain JPEG"])
def test_a_file_cut_off_anywhere_is_refused_or_shows_the_whole(name):
    data = ODD[name]()
    whole = read(data)
    for length in range(len(data)):
        try:
            found = read(data[:length])
        except ImageError:
            continue
        # Of a JPEG the very end only says that it ends.
        assert length >= len(data) - 4
        assert np.array_equal(found, whole)


MEASURE = """
import re, sys
from pathlib import Path
from job.preprocessing.image.decode import ImageError, read_image

def most_kilobytes():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])

files = [Path(name).read_bytes() for name in sys.argv[1:]]
before = most_kilobytes()
for data in files:
    try:
        read_image(data, size=64, resize="pad", max_pixels=50_000_000)
    except ImageError:
        pass
print(most_kilobytes() - before)
"""


@pytest.mark.parametrize(
    ("make", "allowed_megabytes"),
    [
        (lambda: [make() for make in (*BAD.values(), *ODD.values())], 20),
        (lambda: [pictures.png(7000, 7000, b"")], 20),
        # The picture itself: 5000 x 5000 pixels of 4 bytes.
        (lambda: [pictures.png(5000, 5000, bytes(20_001) * 5000, colour_type=6)], 100 + 20),
        (lambda: [pictures.png(5000, 5000, bytes(20_001) * 2500, colour_type=6)], 100 + 20),
        # Decoded at an eighth of its size.
        (lambda: [encoded(np.zeros((5000, 5000), np.uint8), "JPEG")], 20),
    ],
    ids=["all small ones", "no pixels", "large", "large and cut short", "large JPEG"],
)
def test_no_picture_takes_more_memory_than_its_pixels(make, allowed_megabytes, tmp_path):
    names = []
    for number, data in enumerate(make()):
        names.append(str(tmp_path / str(number)))
        Path(names[-1]).write_bytes(data)
    # A process of its own, since memory once taken is not given back.
    command = [sys.executable, "-W", "error", "-c", MEASURE, *names]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""
    assert int(done.stdout) < allowed_megabytes * 1000


@pytest.mark.parametrize(
    ("before_scan", "words"),
    [(b"\xff\xdb\x00\x02" * 5000, "more than 4096 segments"), (b"\xff\xda" * 200, "scans")],
)
def test_a_jpeg_of_many_segments_or_scans_is_refused_at_once(before_scan, words):
    data = encoded(quarters(), "JPEG")
    if words == "scans":
        data = data + before_scan
    else:
        data = data[:2] + before_scan + data[2:]
    with pytest.raises(ImageError, match=words):
        read_image(data, size=8, resize="pad", max_pixels=10_000)


@pytest.mark.parametrize("shape", [(1, 50_000_000), (65_536, 1)])
def test_a_picture_may_not_be_of_many_short_lines(shape):
    data = pictures.png(*shape, b"\0" * 100)
    with pytest.raises(ImageError, match=r"at most 65535 each way") as caught:
        read_image(data, size=8, resize="pad", max_pixels=50_000_000)
    assert caught.value.reason == "too_large"
