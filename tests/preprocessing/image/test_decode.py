"""Pictures of every kind that is read; what is refused is in `test_bad_images`."""

import io
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from job.preprocessing.image import decode
from job.preprocessing.image.decode import ImageError, fit_pixels, read_image
from tests.preprocessing.image import some_images as pictures
from tests.preprocessing.image.some_images import BLUE, GREEN, GREY, ODD, RED, encoded, quarters

WHITE = (255, 255, 255)
# `quarters` is 3:2, so at 12 pixels it is 8 lines with 2 of white above and below.
RED_AT, GREEN_AT, BLUE_AT, GREY_AT = (4, 2), (4, 9), (8, 2), (8, 9)


def read(data, *, size=12, resize="pad", max_pixels=1_000_000):
    return read_image(data, size=size, resize=resize, max_pixels=max_pixels)


def luma(colour):
    """Source: ITU-R 601-2, as Pillow's convert documents it."""
    return round(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2])


def assert_shows(pixels, *, red=RED, green=GREEN, blue=BLUE, grey=GREY, within=0):
    assert pixels.dtype == np.uint8
    assert pixels.shape == (12, 12, 3)
    for place, colour in ((RED_AT, red), (GREEN_AT, green), (BLUE_AT, blue), (GREY_AT, grey)):
        np.testing.assert_allclose(pixels[place], colour, atol=within)
    assert (pixels[:2] == 255).all()
    assert (pixels[-2:] == 255).all()


@pytest.mark.parametrize("name", ["plain PNG", "PNG with a text"])
def test_colours_are_read_and_proportions_kept(name):
    assert_shows(read(ODD[name]()))


@pytest.mark.parametrize("name", ["plain JPEG", "progressive JPEG", "JPEG lying on its side"])
def test_a_jpeg_shows_the_same_but_for_compression(name):
    assert_shows(read(ODD[name]()), within=3)


@pytest.mark.parametrize("name", ["grey PNG", "grey JPEG"])
def test_grey_becomes_three_equal_channels(name):
    shades = {"red": luma(RED), "green": luma(GREEN), "blue": luma(BLUE), "grey": 128}
    assert_shows(read(ODD[name]()), **shades, within=1)


def test_alpha_lies_on_white():
    assert_shows(read(ODD["PNG with alpha"]()), green=WHITE, grey=WHITE)
    shades = {"red": luma(RED), "blue": luma(BLUE)}
    assert_shows(read(ODD["grey PNG with alpha"]()), **shades, green=WHITE, grey=WHITE)


def test_half_transparent_is_half_white():
    pixels = np.full((4, 4, 4), (100, 0, 200, 51), np.uint8)  # a fifth of it
    found = read(encoded(Image.fromarray(pixels, "RGBA")), size=4)
    assert found[0, 0].tolist() == [224, 204, 244]


def test_the_colours_of_a_palette_are_read():
    assert_shows(read(ODD["palette PNG"]()))


@pytest.mark.parametrize("entries", ["one", "each"])
def test_a_palette_may_have_transparent_colours(entries):
    image = Image.fromarray(quarters()).quantize(8)
    green = image.getpixel((pictures.WIDTH - 1, 0))
    # One transparent entry is written as such, several as an alpha value for each entry.
    alpha = [255] * 8
    alpha[green] = 0
    transparency = green if entries == "one" else bytes([*alpha[:-1], 200])
    assert_shows(read(encoded(image, transparency=transparency)), green=WHITE)


def test_one_bit_is_black_or_white():
    line = b"\0\xf0"
    found = read(pictures.png(8, 8, line * 8, depth=1, colour_type=0), size=8)
    assert found[3].tolist() == [[255] * 3] * 4 + [[0] * 3] * 4


def test_sixteen_bits_are_scaled_and_not_cut_off():
    found = read(ODD["16 bit grey PNG"](), size=24)[12, :, 0]
    assert found.tolist() == [int(value) >> 8 for value in np.linspace(0, 65535, 24)]


def test_sixteen_bits_of_grey_and_of_colour_give_the_same():
    line = np.arange(0, 65536, 65536 // 16).astype(">u2")
    grey = pictures.png(16, 16, (b"\0" + line.tobytes()) * 16, depth=16, colour_type=0)
    lines = (b"\0" + np.repeat(line, 3).tobytes()) * 16
    colour = pictures.png(16, 16, lines, depth=16, colour_type=2)
    assert np.array_equal(read(grey, size=16), read(colour, size=16))


@pytest.mark.parametrize(
    ("depth", "colour_type", "line", "transparent"),
    [
        (1, 0, b"\xc0", [1]),
        (2, 0, b"\xa4", [2]),  # 2, 2, 1, 0
        (4, 0, b"\x77\x10", [7]),
        (8, 0, bytes([9, 9, 8, 0]), [9]),
        (8, 2, bytes([9, 5, 1, 9, 5, 1, 9, 5, 2, 0, 0, 0]), [9, 5, 1]),
        (16, 0, bytes([1, 2, 1, 2, 1, 3, 0, 0]), [0x0102]),
        (
            16,
            2,
            bytes([9, 1, 5, 1, 1, 1] * 2 + [9, 1, 5, 1, 2, 1] + [0] * 6),
            [2305, 1281, 257],
        ),
    ],
)
def test_the_transparent_colour_of_any_depth_becomes_white(
    depth, colour_type, line, transparent
):
    part = pictures.png_part(b"tRNS", b"".join(value.to_bytes(2) for value in transparent))
    options = {"depth": depth, "colour_type": colour_type}
    found = read(pictures.png(4, 4, (b"\0" + line) * 4, before=part, **options), size=4)
    opaque = read(pictures.png(4, 4, (b"\0" + line) * 4, **options), size=4)
    assert (found[:, :2] == 255).all()
    assert np.array_equal(found[:, 2:], opaque[:, 2:])
    assert (opaque[:, 2:] < 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_exif_is_undone(orientation):
    assert_shows(read(pictures.rotated_jpeg(orientation)), within=3)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_png_may_lie_on_its_side_too(order):
    stored = np.ascontiguousarray(np.rot90(quarters(), 1))
    part = pictures.png_part(b"eXIf", pictures.exif(6, order=order))
    data = encoded(stored)
    assert_shows(read(data[:33] + part + data[33:]))


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"XX*\0" + pictures.exif(6)[4:],
        pictures.exif(6)[:30],
        pictures.exif(0),
        pictures.exif(9),
        b"II*\0" + b"\xff" * 40,
    ],
)
def test_exif_that_says_nothing_leaves_a_picture_as_it_is(exif):
    part = pictures.png_part(b"eXIf", exif)
    data = encoded(quarters())
    assert_shows(read(data[:33] + part + data[33:]))


def interlaced_lines(pixels):
    """The seven passes of Adam7, each line after a zero (no filter)."""
    lines = []
    for left, top, across, down in [
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]:  # fmt: skip
        lines += [b"\0" + line.tobytes() for line in pixels[top::down, left::across]]
    return [line for line in lines if len(line) > 1]


@pytest.mark.parametrize("shade", [0, 255])
@pytest.mark.parametrize(("width", "height"), [(24, 16), (23, 15), (3, 5), (1, 1), (9, 2)])
def test_an_interlaced_png_is_read_and_its_lines_are_counted(width, height, shade):
    lines = interlaced_lines(np.full((height, width, 3), shade, np.uint8))
    whole = pictures.png(width, height, b"".join(lines), interlaced=True)
    assert (read(whole, size=8, resize="stretch") == shade).all()
    short = pictures.png(width, height, b"".join(lines[:-1]), interlaced=True)
    with pytest.raises(ImageError, match=r"it holds less than|truncated"):
        read(short)


def test_an_interlaced_png_shows_its_colours():
    lines = b"".join(interlaced_lines(quarters()))
    assert_shows(read(pictures.png(24, 16, lines, interlaced=True)))


def test_a_picture_that_ends_in_black_is_whole():
    assert read(encoded(np.zeros((300, 500, 3), np.uint8)), resize="stretch").max() == 0
    assert read(pictures.png(8, 8, bytes(9 * 8), colour_type=0), size=8).max() == 0


def test_of_an_animated_png_the_still_picture_is_read():
    frames = [Image.fromarray(quarters()), Image.new("RGB", (24, 16), "black")]
    data = encoded(frames[0], save_all=True, append_images=frames[1:])
    assert b"acTL" in data
    assert_shows(read(data))


def test_a_text_that_would_fill_the_memory_is_not_unpacked():
    assert_shows(read(pictures.with_text(inflated=100_000_000)))


def test_a_jpeg_may_store_red_green_and_blue_as_they_are():
    data = bytearray(encoded(quarters(48, 32), "JPEG", quality=95, keep_rgb=True))
    # Without the names R, G and B of the channels only Adobe's segment says what they are.
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    data[frame + 10 : frame + 19 : 3] = data[scan + 5 : scan + 11 : 2] = b"\1\2\3"
    assert_shows(read(bytes(data)), within=3)


def test_the_first_exif_data_of_a_jpeg_count():
    data = pictures.rotated_jpeg(6)
    segment = b"\xff\xe1\0\x2e" + b"Exif\0\0" + pictures.exif(3)
    frame = data.index(b"\xff\xc0")
    assert_shows(read(data[:frame] + segment + data[frame:]), within=3)


def test_bytes_between_the_segments_of_a_jpeg_are_passed_over():
    data = ODD["plain JPEG"]()
    frame = data.index(b"\xff\xc0")
    junk = data[:frame] + b"\xff\xff\0\x12\xff\0\xff\x01" + data[frame:]
    assert np.array_equal(read(junk), read(data))


@pytest.mark.parametrize("size", [8, 64])
@pytest.mark.parametrize("name", ODD)
def test_every_size_and_both_ways_of_resizing_give_a_square(name, size):
    for resize in ("pad", "stretch"):
        found = read(ODD[name](), size=size, resize=resize)
        assert found.shape == (size, size, 3)
        assert found.flags["C_CONTIGUOUS"]


def test_stretching_leaves_no_white_beside_a_picture():
    found = read(encoded(quarters()), size=8, resize="stretch")
    assert found[0, 0].tolist() == list(RED)
    assert found[-1, -1].tolist() == list(GREY)


@pytest.mark.parametrize(
    ("width", "height", "columns", "lines"),
    [
        (20, 10, (0, 8), (2, 6)),
        (10, 20, (2, 6), (0, 8)),
        (8, 5, (0, 8), (1, 6)),  # three lines left over: one above, two below
        (5, 8, (1, 6), (0, 8)),
        (1000, 1, (0, 8), (3, 4)),  # never less than one line
        (1, 1000, (3, 4), (0, 8)),
        (3, 3, (0, 8), (0, 8)),
    ],
)
def test_white_is_beside_a_picture_evenly(width, height, columns, lines):
    found = fit_pixels(np.zeros((height, width, 3), np.uint8), size=8, resize="pad")
    expected = np.full((8, 8, 3), 255)
    expected[slice(*lines), slice(*columns)] = 0
    assert np.array_equal(found, expected)


def test_a_picture_of_the_right_size_is_not_touched():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for resize in ("pad", "stretch"):
        assert np.array_equal(fit_pixels(pixels, size=32, resize=resize), pixels)
        assert np.array_equal(read(encoded(pixels), size=32, resize=resize), pixels)


def test_shrinking_averages_and_does_not_drop_lines():
    # Every other line is black: without a filter the result would be all black or all white.
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[::2] = 255
    found = fit_pixels(stripes, size=16, resize="stretch")
    # Of 13 lines that are averaged first, 6 or 7 are white.
    assert np.abs(found.astype(int) - 127.5).max() <= 255 * 0.5 / 13


@pytest.mark.parametrize("factor", [2, 5, 16])
def test_shrinking_equals_the_filter_written_out(factor):
    pixels = np.random.default_rng(factor).integers(0, 256, (8 * factor, 8 * factor), np.uint8)
    # A triangle as wide as two pixels of the result, cut off and normalised at the edges.
    where = np.arange(8 * factor) + 0.5
    centre = (np.arange(8) + 0.5) * factor
    weight = np.maximum(0, 1 - np.abs(where - centre[:, None]) / factor)
    weight /= weight.sum(axis=1, keepdims=True)
    expected = weight @ pixels @ weight.T
    found = fit_pixels(pixels, size=8, resize="stretch")[..., 0].astype(float)
    # Beyond a factor of 6, whole numbers of pixels are averaged first.
    np.testing.assert_allclose(found, expected, atol=1 if factor < 6 else 3)


@pytest.mark.parametrize("factor", [3, 7, 16, 50])
def test_shrinking_moves_nothing(factor):
    ramp = np.arange(8 * factor)
    found = fit_pixels(
        np.tile(ramp * 250 / len(ramp), (8 * factor, 1)).astype(np.uint8), size=8, resize="pad"
    )[4, :, 0]
    middle = (np.arange(8) + 0.5) * factor - 0.5
    # The filter reaches beyond the edges, where it averages fewer pixels: not there.
    np.testing.assert_allclose(found[1:-1], (middle * 250 / len(ramp))[1:-1], atol=1.5)


def test_a_jpeg_decoded_at_a_part_of_its_size_shows_the_same():
    ramp = np.add.outer(np.arange(803), np.arange(1207))[..., None] * [1, 2, 3] / 30
    pixels = ramp.astype(np.uint8) // 3
    data = encoded(pixels, "JPEG", quality=95)
    whole = fit_pixels(np.asarray(Image.open(io.BytesIO(data))), size=16, resize="pad")
    assert np.abs(read(data, size=16).astype(int) - whole).max() <= 2


@pytest.mark.parametrize("name", ["PNG with alpha", "palette PNG", "16 bit grey PNG"])
@pytest.mark.parametrize("size", [2, 3, 64])
def test_cutting_into_tiles_changes_nothing(name, size, monkeypatch):
    whole = read(ODD[name](), size=size)
    monkeypatch.setattr(decode, "_TILE", 5)
    assert np.array_equal(read(ODD[name](), size=size), whole)


def test_decoded_pixels_give_what_their_file_gives():
    pixels = np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)
    for size, resize in ((16, "pad"), (100, "stretch")):
        expected = read(encoded(pixels), size=size, resize=resize)
        assert np.array_equal(fit_pixels(pixels, size=size, resize=resize), expected)
        mirrored = fit_pixels(pixels[:, ::-1], size=size, resize=resize)
        np.testing.assert_allclose(mirrored[:, ::-1], expected, atol=1)
    grey = fit_pixels(pixels[..., 0], size=16, resize="pad")
    assert (grey == grey[..., :1]).all()


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_other_arrays_are_no_pixels(pixels):
    with pytest.raises(ValueError, match=r"pixels must be uint8 \(H, W, 3\) or \(H, W\)"):
        fit_pixels(pixels, size=8, resize="pad")


def test_threads_do_not_disturb_each_other():
    files = [make() for make in ODD.values()] * 20
    alone = [read(data) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(read, files))
    assert all(map(np.array_equal, alone, together))


def test_threads_together_never_decode_more_than_one_may(monkeypatch):
    inner, at_a_time, most = decode._content, [], []

    def watched(file, *, size, resize):
        at_a_time.append(file.width * file.height)
        most.append(sum(at_a_time))
        time.sleep(0.005)
        at_a_time.pop()
        return inner(file, size=size, resize=resize)

    monkeypatch.setattr(decode, "_content", watched)
    data = encoded(quarters())
    with Image.open(io.BytesIO(data)) as picture:
        num_pixels = picture.width * picture.height
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: read(data, max_pixels=2 * num_pixels), range(12)))
    assert max(most) == 2 * num_pixels


DECODING = """
import sys
from concurrent.futures import ThreadPoolExecutor
from job.preprocessing.image.decode import read_image

def peak_mib():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) >> 10

data, side = sys.stdin.buffer.read(), int(sys.argv[1])
before = peak_mib()
with ThreadPoolExecutor(4) as pool:
    for _ in range(2):
        decode = lambda _: read_image(data, size=8, resize="pad", max_pixels=side * side)
        list(pool.map(decode, range(4)))
print(peak_mib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_four_threads_with_large_pictures_need_the_memory_of_one():
    side = 5000
    data = encoded(Image.new("RGB", (side, side), "red"))
    command = [sys.executable, "-c", DECODING, str(side)]
    grown = int(subprocess.run(command, input=data, capture_output=True, check=True).stdout)
    one = 4 * side * side >> 20
    assert grown < 2 * one
