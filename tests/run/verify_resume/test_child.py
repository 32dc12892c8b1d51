import pytest

from job.errors import ExitCode
from job.run.verify_resume.child import ChildError, Copy, Limits, run_attempt
from tests.fakes.memory_store import MemoryStore


@pytest.mark.slow
def test_a_copy_that_fails_by_itself_ends_with_its_exit_code_and_message(tmp_path):
    copy = Copy(tmp_path / "absent.yaml", [], MemoryStore(), 1, tmp_path)
    with pytest.raises(ChildError, match=r"(?s)ended with 2\. .*absent\.yaml") as caught:
        run_attempt(copy, number=1, kill=None, limits=Limits(60.0))
    assert caught.value.exit_code == ExitCode.CONFIG
