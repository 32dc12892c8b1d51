"""Which image files are refused, with which reason, and what a hostile one may cost."""

import random
import subprocess
import sys
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from job.preprocessing import decode_image
from job.preprocessing.decode_image import ImageError, read_image
from tests.preprocessing import some_images as images
from tests.preprocessing.some_images import VALID, encoded, png_chunk, quarters, with_chunk

JPEG, PNG = encoded(quarters(48, 32), "JPEG"), encoded(quarters())
FRAME = JPEG.index(b"\xff\xc0")
HEADER = (b"IHDR", b"\0\0\0\4\0\0\0\4\x08\2\0\0\0")


def read(data, *, max_pixels=1_000_000):
    return read_image(data, size=12, resize="pad", max_pixels=max_pixels)


def refusal(data, **options):
    with pytest.raises(ImageError) as caught:
        read(data, **options)
    assert str(caught.value) == caught.value.detail
    return caught.value


def png_of(*chunks):
    return images.PNG_SIGNATURE + b"".join(png_chunk(*chunk) for chunk in chunks)


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"", "empty", "0 bytes"),
        (encoded(quarters(), "GIF"), "format", "a GIF file (PNG and JPEG are read)"),
        (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(24), "format", "a WebP file"),
        (b"version https://git-lfs.github.com/spec/v1", "format", "a Git LFS pointer"),
        (encoded(quarters(), "TIFF"), "format", "an unknown format, beginning with b'II*"),
        (b"not an image", "format", "beginning with b'not an i'"),
        (encoded(Image.new("CMYK", (8, 8)), "JPEG"), "format", "convert it to RGB"),
        (PNG[:-30], "damaged", "PNG"),
        (PNG[:8], "damaged", "PNG"),
        (flipped(PNG, 60 * 8), "damaged", "IDAT"),
        (png_of(HEADER, (b"IDAT", b""), (b"IEND", b"")), "damaged", "PNG"),
        (png_of(HEADER, (b"IEND", b"")), "damaged", "PNG"),
        (png_of((b"IDAT", b""), (b"IEND", b"")), "damaged", "PNG"),
        (png_of((b"IHDR", b"\0\0\0\1"), (b"IEND", b"")), "damaged", "PNG"),
        (images.png(0, 4, b""), "damaged", "PNG"),
        (images.png(4, 4, b"", depth=3), "damaged", "PNG"),
        (images.png(4, 4, b"\7" * 100), "damaged", "PNG"),
        (with_chunk(b"tRNS", b"1"), "damaged", "PNG"),
        # A compressed text may not fill the memory: 100 MB packed to 100 KB.
        (with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))), "damaged", "MAX_TEXT"),
        (encoded(quarters(256, 256), "JPEG")[:-1000], "damaged", "JPEG"),
        (b"\xff\xd8\xff", "damaged", "JPEG"),
        (JPEG[: FRAME + 8], "damaged", "JPEG"),
        (JPEG[:FRAME] + JPEG[FRAME + 19 :], "damaged", "JPEG"),
        (images.png(60_000, 60_000, bytes(100)), "too_large", "60000 x 60000 pixels"),
    ],
)
def test_an_unusable_file_is_refused_with_its_reason(data, reason, detail):
    error = refusal(data)
    assert error.reason == reason
    assert detail in error.detail


def test_max_pixels_is_the_largest_number_allowed(monkeypatch):
    # Pillow's own limit, which callbacks may change, has no say.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    read(PNG, max_pixels=24 * 16)
    assert refusal(PNG, max_pixels=24 * 16 - 1).reason == "too_large"


@pytest.mark.parametrize("shape", [(1, 50_000_000), (65_536, 1)])
def test_sides_have_a_limit(shape):
    error = refusal(images.png(*shape, b"\0" * 100), max_pixels=50_000_000)
    assert (error.reason, "65535 each way" in error.detail) == ("too_large", True)


def test_an_image_that_does_not_fit_into_memory_is_too_large(monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(decode_image, "_decoded", fail)
    assert refusal(PNG).reason == "too_large"


PNGS = [name for name, make in VALID.items() if make().startswith(images.PNG_SIGNATURE)]


@pytest.mark.parametrize("name", PNGS)
def test_a_flipped_bit_never_changes_the_pixels_of_a_png(name):
    data, rng = VALID[name](), random.Random(name)
    whole = read(data)
    for _ in range(200):
        # A file without this bit is refused, or the bit is in no pixel and no checksum.
        with suppress(ImageError):
            assert np.array_equal(read(flipped(data, rng.randrange(8 * len(data)))), whole)


@pytest.mark.parametrize("name", ["plain PNG", "palette PNG", "plain JPEG"])
def test_a_file_cut_off_anywhere_is_refused_or_shows_the_whole(name):
    data = VALID[name]()
    whole = read(data)
    for length in range(len(data)):
        try:
            found = read(data[:length])
        except ImageError:
            continue
        # The last 4 bytes only end the file.
        assert length >= len(data) - 4
        assert np.array_equal(found, whole)


def with_new_checksums(data):
    """A PNG whose checksums are correct again, so that decoders see the damage."""
    chunks, position = [data[:8]], 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4])
        if end + 4 > len(data):
            break
        chunks.append(png_chunk(data[position + 4 : position + 8], data[position + 8 : end]))
        position = end + 4
    return b"".join(chunks)


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


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged EXIF
@pytest.mark.parametrize("name", VALID)
def test_random_damage_is_refused_or_harmless(name):
    rng = random.Random(name)
    valid = VALID[name]()
    for _ in range(300):
        # Anything but an ImageError fails the test.
        with suppress(ImageError):
            assert read(damaged_at_random(valid, rng=rng)).shape == (12, 12, 3)


MEASURE = """
import re, sys
from contextlib import suppress
from pathlib import Path
from job.preprocessing.decode_image import ImageError, read_image

def peak_megabytes():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", status)[1]) // 1000

read_image(Path(sys.argv[1]).read_bytes(), size=64, resize="pad", max_pixels=50_000_000)
before = peak_megabytes()
for name in sys.argv[1:]:
    with suppress(ImageError):
        read_image(Path(name).read_bytes(), size=64, resize="pad", max_pixels=50_000_000)
    print(peak_megabytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_image_takes_no_more_memory_than_promised(tmp_path):
    files = [
        (images.one_colour(), 0),
        (images.png(7000, 7000, b""), 20),
        # Decoded at an eighth of its size.
        (encoded(np.zeros((5000, 5000), np.uint8), "JPEG"), 20),
        # 8 bytes for each of 5000 x 5000 pixels.
        (images.png(5000, 5000, bytes(20_001) * 5000, colour_type=6), 200 + 20),
    ]
    paths = [tmp_path / str(number) for number in range(len(files))]
    for path, (data, _) in zip(paths, files, strict=True):
        path.write_bytes(data)
    command = [sys.executable, "-W", "error", "-c", MEASURE, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""
    grown = list(map(int, done.stdout.split()))
    assert len(grown) == len(files)
    assert all(used <= allowed for used, (_, allowed) in zip(grown, files, strict=True)), grown
