import pytest

from job.run.supervisor.beat import Beat, BeatReader
from job.telemetry.health import Answer

BEATS = [
    Beat(1),
    Beat(
        2,
        activity="training",
        port=4123,
        step=7,
        leave=75,
        startup=Answer(True, "started"),
        ready=Answer(False, "ended"),
    ),
]


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_beats_are_read_from_pieces_of_any_size(size):
    text = b"".join(beat.line() for beat in BEATS)
    reader, found = BeatReader(), []
    for start in range(0, len(text), size):
        found += reader.feed(text[start : start + size])
    assert found == BEATS


@pytest.mark.parametrize("damage", [b"{\n", b"\n", b"7\n", b'{"beat": 1}\n', b"\xff\n"])
def test_a_line_that_was_cut_is_skipped(damage):
    assert BeatReader().feed(damage + BEATS[1].line()) == [BEATS[1]]
