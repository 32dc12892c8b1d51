"""What image files look like once decoded; `test_bad_images` has those that are refused."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from job.preprocessing.decode_image import fit_pixels, read_image
from tests.preprocessing import some_images as images
from tests.preprocessing.some_images import (
    BLUE,
    GREEN,
    GREY,
    RED,
    VALID,
    encoded,
    png_chunk,
    quarters,
    with_chunk,
)

WHITE = (255, 255, 255)
# `quarters` is 3:2, so at 12 pixels it is 8 lines with 2 white ones above and below.
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


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("plain PNG", 0),
        ("PNG with a text", 0),
        ("palette PNG", 0),
        ("plain JPEG", 3),
        ("progressive JPEG", 3),
        ("rotated JPEG", 3),
    ],
)
def test_colours_are_read_and_proportions_kept(name, within):
    assert_shows(read(VALID[name]()), within=within)


@pytest.mark.parametrize("name", ["grey PNG", "grey JPEG"])
def test_grey_becomes_three_equal_channels(name):
    shades = {"red": luma(RED), "green": luma(GREEN), "blue": luma(BLUE), "grey": 128}
    assert_shows(read(VALID[name]()), **shades, within=1)


def test_alpha_is_blended_over_white():
    assert_shows(read(VALID["PNG with alpha"]()), green=WHITE, grey=WHITE)
    shades = {"red": luma(RED), "blue": luma(BLUE)}
    assert_shows(read(VALID["grey PNG with alpha"]()), **shades, green=WHITE, grey=WHITE)
    pixels = np.full((4, 4, 4), (100, 0, 200, 51), np.uint8)  # 51 is a fifth of 255
    found = read(encoded(Image.fromarray(pixels, "RGBA")), size=4)
    assert found[0, 0].tolist() == [224, 204, 244]


@pytest.mark.parametrize("entries", ["one", "each"])
def test_a_palette_may_have_transparent_colours(entries):
    image = Image.fromarray(quarters()).quantize(8)
    green = image.getpixel((images.WIDTH - 1, 0))
    # One transparent entry is written as such, several as an alpha value for each entry.
    alpha = [255] * 8
    alpha[green] = 0
    transparency = green if entries == "one" else bytes([*alpha[:-1], 200])
    assert_shows(read(encoded(image, transparency=transparency)), green=WHITE)


def test_one_bit_is_black_or_white():
    line = b"\0\xf0"
    found = read(images.png(8, 8, line * 8, depth=1, colour_type=0), size=8)
    assert found[3].tolist() == [[255] * 3] * 4 + [[0] * 3] * 4


def test_sixteen_bits_of_grey_and_of_colour_are_scaled_alike():
    line = np.arange(0, 65536, 65536 // 16).astype(">u2")
    grey = images.png(16, 16, (b"\0" + line.tobytes()) * 16, depth=16, colour_type=0)
    lines = (b"\0" + np.repeat(line, 3).tobytes()) * 16
    colour = images.png(16, 16, lines, depth=16, colour_type=2)
    for data in (grey, colour):
        assert read(data, size=16)[8].tolist() == [[value >> 8] * 3 for value in line.tolist()]


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
            bytes([9, 1, 5, 1, 1, 1] * 2 + [9, 1, 5, 1, 2, 1, *[0] * 6]),
            [2305, 1281, 257],
        ),
    ],
)
def test_the_transparent_colour_of_any_depth_becomes_white(
    depth, colour_type, line, transparent
):
    chunk = png_chunk(b"tRNS", b"".join(value.to_bytes(2) for value in transparent))
    options = {"depth": depth, "colour_type": colour_type}
    found = read(images.png(4, 4, (b"\0" + line) * 4, before=chunk, **options), size=4)
    opaque = read(images.png(4, 4, (b"\0" + line) * 4, **options), size=4)
    assert (found[:, :2] == 255).all()
    assert np.array_equal(found[:, 2:], opaque[:, 2:])
    assert (opaque[:, 2:] < 255).all()


def test_the_still_image_of_an_animated_png_is_read():
    frames = [Image.fromarray(quarters()), Image.new("RGB", (24, 16), "black")]
    data = encoded(frames[0], save_all=True, append_images=frames[1:])
    assert b"acTL" in data
    assert_shows(read(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone(orientation):
    assert_shows(read(images.rotated_jpeg(orientation)), within=3)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_png_may_have_an_orientation_too(order):
    stored = encoded(np.ascontiguousarray(np.rot90(quarters(), 1)))
    assert_shows(read(with_chunk(b"eXIf", images.exif(6, order=order), data=stored)))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged EXIF
@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"XX*\0" + images.exif(6)[4:],
        images.exif(6)[:30],
        images.exif(0),
        images.exif(9),
        b"II*\0" + b"\xff" * 40,
    ],
)
def test_exif_without_a_valid_orientation_is_ignored(exif):
    assert_shows(read(with_chunk(b"eXIf", exif)))


@pytest.mark.parametrize("size", [8, 64])
@pytest.mark.parametrize("name", VALID)
def test_every_size_and_both_ways_of_resizing_give_a_square(name, size):
    for resize in ("pad", "stretch"):
        found = read(VALID[name](), size=size, resize=resize)
        assert found.shape == (size, size, 3)
        assert found.flags["C_CONTIGUOUS"]


def test_stretching_adds_no_white():
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
def test_padding_is_even_and_keeps_thin_images(width, height, columns, lines):
    pixels = np.zeros((height, width, 3), np.uint8)
    expected = np.full((8, 8, 3), 255)
    expected[slice(*lines), slice(*columns)] = 0
    assert np.array_equal(fit_pixels(pixels, size=8, resize="pad"), expected)
    assert np.array_equal(read(encoded(pixels), size=8), expected)


def test_an_image_of_the_right_size_is_not_changed():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for resize in ("pad", "stretch"):
        assert np.array_equal(fit_pixels(pixels, size=32, resize=resize), pixels)
        assert np.array_equal(read(encoded(pixels), size=32, resize=resize), pixels)


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
    # Above a factor of 6, whole numbers of pixels are averaged first.
    np.testing.assert_allclose(found, expected, atol=1 if factor < 6 else 3)


@pytest.mark.parametrize("factor", [3, 7, 16, 50])
def test_shrinking_moves_nothing(factor):
    ramp = np.arange(8 * factor)
    found = fit_pixels(
        np.tile(ramp * 250 / len(ramp), (8 * factor, 1)).astype(np.uint8), size=8, resize="pad"
    )[4, :, 0]
    middle = (np.arange(8) + 0.5) * factor - 0.5
    # At the edges the filter averages fewer pixels.
    np.testing.assert_allclose(found[1:-1], (middle * 250 / len(ramp))[1:-1], atol=1.5)


def test_a_jpeg_decoded_at_a_part_of_its_size_shows_the_same():
    ramp = np.add.outer(np.arange(803), np.arange(1207))[..., None] * [1, 2, 3] / 30
    pixels = ramp.astype(np.uint8) // 3
    data = encoded(pixels, "JPEG", quality=95)
    whole = fit_pixels(np.asarray(Image.open(io.BytesIO(data))), size=16, resize="pad")
    assert np.abs(read(data, size=16).astype(int) - whole).max() <= 2


def test_decoded_pixels_give_what_their_file_gives():
    pixels = np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)
    for given in (pixels, pixels[..., 0]):
        for size, resize in ((16, "pad"), (100, "stretch")):
            expected = read(encoded(given), size=size, resize=resize)
            assert np.array_equal(fit_pixels(given, size=size, resize=resize), expected)


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
def test_other_arrays_are_rejected(pixels):
    with pytest.raises(ValueError, match=r"pixels must be uint8 \(H, W, 3\) or \(H, W\)"):
        fit_pixels(pixels, size=8, resize="pad")


def test_threads_do_not_disturb_each_other():
    files = [make() for make in VALID.values()] * 20
    alone = [read(data) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(read, files))
    assert all(map(np.array_equal, alone, together))
