"""The environment of the peers that are no requirement of this program: `.venv-bench`.

It is made at first use from `requirements/bench.txt`, with hashes. PyPI's build of PyTorch for
Linux comes with CUDA libraries: about 6 GB, also where there is no GPU::

    command = [environment.python(), "-m", "benchmarks.peers.pytorch_best", "book_lstm_b64"]
"""

import fcntl
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = _REPOSITORY / ".venv-bench"
_LOCK = _REPOSITORY / "requirements" / "bench.txt"
_ASK_VERSIONS = """
import json, sys
from importlib import metadata
print(json.dumps({name: metadata.version(name) for name in sys.argv[1:]}))
"""


def python() -> str:
    """The interpreter of the environment, which is made first if it is missing or outdated.

    Raises:
        CalledProcessError: It could not be made.
        FileExistsError: It is a link, whose target would be emptied.
    """
    interpreter, stamp = FOLDER / "bin" / "python", _stamp()
    if not stamp.exists():
        # Two benchmarks take turns; the second one finds the stamp.
        with _LOCK.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not stamp.exists():
                _make(interpreter)
                stamp.touch()
    return str(interpreter)


def installed_versions(names: Sequence[str]) -> dict[str, str]:
    """Versions of packages of the environment; empty while it is not there."""
    if not _stamp().exists():
        return {}
    command = [str(FOLDER / "bin" / "python"), "-c", _ASK_VERSIONS, *names]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _stamp() -> Path:
    """Exists when the environment is complete; its name changes with the lock and the place."""
    key = f"{FOLDER} {sys.version}".encode() + _LOCK.read_bytes()
    return FOLDER / f".made-{hashlib.sha256(key).hexdigest()[:16]}"


def _make(interpreter: Path) -> None:
    print(
        "Making .venv-bench from requirements/bench.txt (once; about 6 GB, with PyTorch)",
        file=sys.stderr,
        flush=True,
    )
    # `--clear` would empty the folder that a link names.
    if FOLDER.is_symlink():
        raise FileExistsError(f"{FOLDER} is a link; remove it, or name a folder")
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    locked = ["--no-deps", "--require-hashes", "-r", str(_LOCK)]
    subprocess.run([str(interpreter), *install, *locked], check=True)
