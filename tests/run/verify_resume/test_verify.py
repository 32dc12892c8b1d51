"""The whole proof on the tiny project, and on callbacks that break it."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from job.cli import main
from job.errors import ExitCode
from tests.tiny import save_config

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

CALLBACKS = Path(__file__).parent / "planted_callbacks.py"


@pytest.fixture(autouse=True)
def _process_is_as_before(monkeypatch):
    """Loads the module of each project anew."""
    monkeypatch.delitem(sys.modules, "planted", raising=False)


def prove(project: Path, target: str | None = None, *, kills: int, **arguments: float) -> int:
    custom = [{"target": target, "arguments": arguments}] if target else []
    path = save_config(
        project,
        lambda config: config.update(
            callbacks={"custom": custom},
            training={**config["training"], "steps_per_call": 2},
        ),
    )
    shutil.copy(CALLBACKS, project / "planted.py")
    (project / "scratch").mkdir()
    argv = ["verify-resume", str(path), "--scratch", str(project / "scratch")]
    return main([*argv, "--kills", str(kills)])


def test_a_killed_run_is_proved_equal(project, capsys):
    assert prove(project, kills=4) == ExitCode.FINISHED
    out = capsys.readouterr().out
    assert re.search(r"^undisturbed +1 +trained +0 +30 ", out, re.MULTILINE)
    assert re.search(r"^killed +1 +SIG", out, re.MULTILINE)
    assert re.search(r"^yes: after [1-4] kills .* are equal bit for bit\.$", out, re.MULTILINE)
    assert list((project / "scratch").iterdir()) == []


@pytest.mark.prove
def test_a_scheduler_of_keras_is_proved_equal(project, capsys):
    assert prove(project, "planted:Decay", kills=5) == ExitCode.FINISHED
    assert "yes: after" in capsys.readouterr().out


@pytest.mark.prove
@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("planted:Forgetful", r"Forgetful \(on_train_batch_end\): it has no get_state"),
        ("planted:Erratic", r"Erratic \(on_epoch_begin\): they must depend on its stored"),
    ],
)
def test_a_callback_that_breaks_the_promise_is_found(project, capsys, target, cause):
    assert prove(project, target, kills=5) == ExitCode.UNEXPECTED
    out = capsys.readouterr().out
    assert re.search(r"^no: .* The first difference: model\|.*: max diff", out, re.MULTILINE)
    assert re.search(rf"^possible cause: custom callback {cause}", out, re.MULTILINE)


@pytest.mark.prove
def test_the_example_is_proved_equal_in_three_minutes(capsys):
    assert main(["verify-resume", "examples/text.yaml"]) == ExitCode.FINISHED
    assert "yes: after" in capsys.readouterr().out
