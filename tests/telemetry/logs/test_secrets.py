"""A secret in the environment, a URI or near an exception reaches no output of the program."""

import io
import logging

import pytest

from job.cli import main
from job.errors import ExitCode
from job.telemetry.logs.setup import configure_logging

# Put together here, so that no scanner takes this file for a leak.
CANARY = "c4n4ry" + "S3cretC4n4ry"

CONFIG = """\
run: {{name: typos, root: "gs://my-bucket/runs?X-Goog-Signature={canary}"}}
data: {{train: "https://user@example.org/pairs.csv?access_token={canary}"}}
"""


def fail(token: str) -> None:
    raise RuntimeError(f"request with a token of {len(token)} characters was refused")


@pytest.mark.parametrize("format", ["console", "text", "json"])
def test_a_canary_is_never_shown(format, tmp_path, monkeypatch, capfd):
    for variable in ("GOOGLE_APPLICATION_CREDENTIALS", "HTTPS_PROXY", "HF_TOKEN"):
        monkeypatch.setenv(variable, f"https://user:{CANARY}@example.org")
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(canary=CANARY))
    for command in ("train", "evaluate"):
        assert main([command, str(path), "--set", f"logging.format={format}"]) == (
            ExitCode.CONFIG
        )
    assert main(["config", "validate", str(path)]) == ExitCode.CONFIG

    stream = io.StringIO()
    with configure_logging(
        format=format,
        level="DEBUG",
        stream=stream,
        run="typos",
    ):
        logging.getLogger("google.auth").debug("Authorization: Bearer %s", CANARY)
        logging.getLogger("urllib3").info("GET /o?X-Goog-Signature=%s", CANARY)
        try:
            fail(CANARY)
        except RuntimeError:
            logging.getLogger("job").exception("run failed")
    assert "was refused" in stream.getvalue()
    shown = capfd.readouterr()
    assert "run.root" in shown.err
    assert "data.train" in shown.err
    assert CANARY not in shown.out + shown.err + stream.getvalue()
