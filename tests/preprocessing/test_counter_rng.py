import numpy as np
import pytest

from job.preprocessing import counter_rng
from job.preprocessing.counter_rng import integers, normal, random_bits, uniform

WORD = (1 << 64) - 1

# Recorded when the module was written. Other numbers would make a resumed run differ from an
# uninterrupted one in silence: do not record them again.
GOLDEN_BITS = {
    (0, 0, 0, 0, 0): 2391539541053276776,
    (0, 0, 1, 0, 0): 10910317525803880485,
    (1, 0, 0, 0, 0): 16321491304643971414,
    (7, 3, 12345, 65537, 9): 10126487400108289813,
    (2**64 - 1, 2**31, 2**40, 3 << 16, 2**33): 16845184230763748931,
}


def slow_mix(word):
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB & WORD
    return word ^ (word >> 31)


def slow_bits(seed, epoch, index, stream, offset):
    mixed = seed
    for word in (epoch, stream, index, offset):
        mixed = slow_mix((mixed + 0x9E3779B97F4A7C15 * (word + 1)) & WORD)
    return mixed


def of_many(function, count=200_000, **changed):
    return function(5, **{"epoch": 2, "index": np.arange(count), "stream": 3} | changed)


def correlation(one, other):
    return np.corrcoef(one, other)[0, 1]


def test_mixing_is_that_of_splitmix64():
    # The first numbers of SplitMix64 for seed 1234567, as its authors' program prints them.
    states = np.uint64(1234567) + np.uint64(0x9E3779B97F4A7C15) * np.arange(
        1, 6, dtype=np.uint64
    )
    assert counter_rng._mix(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@pytest.mark.parametrize("arguments", GOLDEN_BITS)
def test_the_bits_are_pinned(arguments):
    seed, epoch, index, stream, offset = arguments
    drawn = random_bits(seed, epoch=epoch, index=index, stream=stream, offset=offset)
    assert drawn.dtype == np.uint64
    assert drawn.shape == ()
    assert int(drawn) == slow_bits(*arguments) == GOLDEN_BITS[arguments]


def test_arguments_broadcast_and_each_element_is_its_own():
    index, stream, offset = np.arange(3)[:, None, None], np.arange(2)[:, None], np.arange(4)
    drawn = random_bits(9, epoch=1, index=index, stream=stream, offset=offset)
    assert drawn.shape == (3, 2, 4)
    for i, d, p in np.ndindex(3, 2, 4):
        assert drawn[i, d, p] == random_bits(9, epoch=1, index=i, stream=d, offset=p)
    assert random_bits(9, epoch=1, index=np.zeros(0, np.int64), stream=0).shape == (0,)


@pytest.mark.parametrize("function", [random_bits, uniform, normal])
def test_an_element_does_not_depend_on_its_neighbours(function):
    whole = of_many(function, 1000)
    some = np.array([999, 0, 517, 517, 3])
    assert np.array_equal(of_many(function, index=some), whole[some])


def test_no_two_combinations_give_the_same_bits():
    word = np.arange(12)
    drawn = [
        random_bits(seed, epoch=word[:, None, None, None], index=word[:, None, None],
             stream=word[:, None], offset=word)
        for seed in range(4)
    ]  # fmt: skip
    assert len(np.unique(drawn)) == 4 * 12**4


def test_each_bit_is_set_half_of_the_time():
    drawn = of_many(random_bits)
    share = [(drawn >> np.uint64(bit) & np.uint64(1)).mean() for bit in range(64)]
    # 5 standard deviations of a share of 200,000.
    assert np.abs(np.array(share) - 0.5).max() < 5 * 0.5 / np.sqrt(200_000)


def test_uniform_numbers_are_spread_evenly_below_1():
    drawn = of_many(uniform)
    assert drawn.dtype == np.float64
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0
    counts = np.histogram(drawn, bins=100, range=(0, 1))[0]
    # Chi-squared of 99 degrees of freedom: 99 on average, above 170 once in 100,000 times.
    assert np.square(counts - 2000).sum() / 2000 < 170
    assert np.array_equal(drawn, (of_many(random_bits) >> np.uint64(11)) / 2**53)


@pytest.mark.parametrize("function", [uniform, normal])
@pytest.mark.parametrize(
    "changed",
    [{"epoch": 3}, {"stream": 4}, {"offset": 1}, {"index": np.arange(1, 200_001)}],
    ids=str,
)
def test_neighbouring_arguments_draw_independently(function, changed):
    assert abs(correlation(of_many(function), of_many(function, **changed))) < 5 / 200_000**0.5


def test_neighbouring_seeds_draw_independently():
    one, other = (uniform(seed, epoch=0, index=np.arange(200_000), stream=0) for seed in (0, 1))
    assert abs(correlation(one, other)) < 5 / 200_000**0.5


def test_the_arguments_are_not_interchangeable():
    drawn = [
        random_bits(1, epoch=0, index=0, stream=0, offset=0),
        random_bits(0, epoch=1, index=0, stream=0, offset=0),
        random_bits(0, epoch=0, index=1, stream=0, offset=0),
        random_bits(0, epoch=0, index=0, stream=1, offset=0),
        random_bits(0, epoch=0, index=0, stream=0, offset=1),
    ]
    assert len(set(map(int, drawn))) == 5


def test_integers_are_equally_likely():
    drawn = integers(7, seed=1, epoch=0, index=np.arange(70_000), stream=0)
    assert drawn.dtype == np.int64
    counts = np.bincount(drawn)
    assert len(counts) == 7
    assert np.square(counts - 10_000).sum() / 10_000 < 30  # 6 degrees: once in 25,000 times


@pytest.mark.parametrize("n", [1, 2, 3, 1000, 2**31 + 11, 2**32 - 1, 2**32])
def test_integers_are_the_upper_part_of_the_product(n):
    index = np.arange(50)
    drawn = integers(n, seed=3, epoch=1, index=index, stream=0)
    exact = [int(word) * n >> 64 for word in random_bits(3, epoch=1, index=index, stream=0)]
    assert drawn.tolist() == exact


def test_each_integer_may_have_its_own_limit():
    limits = np.array([1, 10, 2**32, 5])
    drawn = integers(limits, seed=3, epoch=1, index=np.arange(4), stream=0)
    for i, n in enumerate(limits):
        assert drawn[i] == integers(n, seed=3, epoch=1, index=i, stream=0)
    nothing = np.zeros(0, np.int64)
    assert integers(nothing, seed=3, epoch=1, index=nothing, stream=0).shape == (0,)


@pytest.mark.parametrize("n", [0, -1, 2**32 + 1, [3, 0]])
def test_integers_rejects_a_limit_out_of_range(n):
    with pytest.raises(ValueError, match=r"n must be from 1 to 2\*\*32, got"):
        integers(n, seed=0, epoch=0, index=[0, 1], stream=0)


def test_normal_numbers_have_the_moments_and_tails_of_the_normal_distribution():
    drawn = of_many(normal)
    assert drawn.mean() == pytest.approx(0, abs=5 / 200_000**0.5)
    assert drawn.std() == pytest.approx(1, abs=5 / 400_000**0.5)
    assert np.mean(drawn**3) == pytest.approx(0, abs=5 * (15 / 200_000) ** 0.5)
    assert np.mean(drawn**4) == pytest.approx(3, abs=5 * (96 / 200_000) ** 0.5)
    beyond = [np.mean(np.abs(drawn) > limit) for limit in (1, 2, 3)]
    assert beyond == pytest.approx([0.3173, 0.0455, 0.0027], rel=0.1)


def test_normal_numbers_are_finite_whatever_the_bits(monkeypatch):
    for word in (0, WORD, 0xFFFFFFFF, 0xFFFFFFFF << 32):
        monkeypatch.setattr(
            counter_rng, "random_bits", lambda *_, word=word, **__: np.array([word], "u8")
        )
        assert np.abs(normal(0, epoch=0, index=0, stream=0)) <= 6.67


def test_normal_numbers_are_pinned():
    # Logarithm and cosine may differ in the last place between processors.
    drawn = normal(1, epoch=2, index=[3, 4], stream=5, offset=6)
    assert drawn.tolist() == pytest.approx([0.7076616616348557, 1.1792158425447328], rel=1e-14)


def test_streams_of_two_purposes_do_not_overlap():
    starts = sorted([counter_rng.SAMPLING, counter_rng.IMAGES, counter_rng.SEQUENCES])
    assert np.diff(starts).min() >= 1 << 16
