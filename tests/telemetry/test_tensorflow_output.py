import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from job.telemetry.tensorflow_output import captured_native_stderr


def write_natively(text: bytes) -> None:
    os.write(2, text)


def _fail_natively() -> None:
    write_natively(b"the reason\n")
    raise KeyboardInterrupt


def run(code: str, *, redirect: str = "", **settings) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process of its own, whose shell redirects as told."""
    beginning = "from job.telemetry.tensorflow_output import captured_native_stderr\n"
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$1" {redirect}', sys.executable, beginning + code],
        # Empty is unset: with it Python buffers nothing, and nothing would be tested.
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONUNBUFFERED": "",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **settings,
    )


def test_native_lines_are_logged_at_debug_one_by_one(capfd, caplog):
    caplog.set_level(logging.DEBUG)
    with captured_native_stderr():
        write_natively(b"I0000 first\n\nW0000 second \xff\nno newline")
    assert capfd.readouterr().err == ""
    assert [(r.levelname, r.getMessage(), r.line) for r in caplog.records] == [
        ("DEBUG", "native stderr", "I0000 first"),
        ("DEBUG", "native stderr", "W0000 second \ufffd"),
        ("DEBUG", "native stderr", "no newline"),
    ]


def test_stderr_is_back_after_the_block(capfd):
    with captured_native_stderr():
        write_natively(b"inside\n")
    write_natively(b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_everything_is_shown_when_the_block_raises(capfd, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(KeyboardInterrupt), captured_native_stderr():
        _fail_natively()
    write_natively(b"after\n")
    assert capfd.readouterr().err == "the reason\nafter\n"
    assert caplog.records == []


def test_it_keeps_no_descriptor_open():
    before = len(os.listdir("/proc/self/fd"))
    with captured_native_stderr():
        write_natively(b"x")
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_python_still_buffers_goes_where_it_was_written():
    result = run(
        "import sys\n"
        "sys.stderr.write('before ')\n"
        "with captured_native_stderr(): sys.stderr.write('inside ')\n"
        "sys.stderr.write('after')"
    )
    assert (result.returncode, result.stderr) == (0, "before after")


def test_a_process_without_stderr_is_left_alone(tmp_path):
    # Closed before Python starts: 2 then is whatever file is opened next.
    result = run(
        "import os\n"
        "assert os.open('kept', os.O_WRONLY | os.O_CREAT) == 2\n"
        "with captured_native_stderr(): os.write(2, b'precious')\n",
        redirect="2>&-",
        cwd=tmp_path,
    )
    assert result.returncode == 0
    assert (tmp_path / "kept").read_bytes() == b"precious"


def test_a_descriptor_that_was_closed_later_is_left_alone():
    result = run("import os; os.close(2)\nwith captured_native_stderr(): print('ran')")
    assert (result.returncode, result.stdout) == (0, "ran\n")


def test_without_a_temporary_folder_nothing_is_captured(capfd, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)

    def refuse() -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with captured_native_stderr():
        write_natively(b"seen\n")
    assert capfd.readouterr().err == "seen\n"
    assert [record.getMessage() for record in caplog.records] == ["native stderr not captured"]
