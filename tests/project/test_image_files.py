"""Dockerfile and .dockerignore, as text: what holds before any image is built."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
IGNORED = [
    line
    for line in (ROOT / ".dockerignore").read_text().splitlines()
    if line and not line.startswith("#")
]


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of each, comments and continuations removed."""
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE).replace("\\\n", " ")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage by its name; "" is the last one, "ARG" what precedes."""
    found: dict[str, list[tuple[str, str]]] = {"ARG": []}
    name = "ARG"
    for word, rest in instructions():
        if word == "FROM":
            name = rest.partition(" AS ")[2]
            found[name] = []
        found[name].append((word, rest))
    return found


def values(word: str, *, stage: str = "") -> list[str]:
    return [rest for one, rest in stages()[stage] if one == word]


def test_every_stage_starts_from_the_one_base_image_whose_default_is_pinned():
    assert values("ARG", stage="ARG") == ["BASE_IMAGE=python:3.11-slim-bookworm"]
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert bases == ["${BASE_IMAGE}"] * 3


def test_it_builds_with_and_without_buildkit():
    assert not re.search(
        r"(?im)^#\s*syntax|--mount|--chmod|--link|<<|TARGET(ARCH|PLATFORM)", DOCKERFILE
    )


def test_dependencies_come_before_the_source_and_know_nothing_of_it():
    copied = values("COPY", stage="dependencies")
    assert copied == ["requirements/image-cpu.txt requirements/image-cuda.txt /build/"]
    words = [rest for word, rest in stages()["package"] if word in {"COPY", "RUN"}]
    (lock,) = [index for index, rest in enumerate(words) if "--require-hashes" in rest]
    (source,) = [index for index, rest in enumerate(words) if rest.startswith("job ")]
    assert lock < source
    copied = values("COPY")
    assert [line.split()[0] for line in copied] == ["--from=dependencies"] + [
        "--from=package"
    ] * 2


def test_every_install_asks_for_hashes_or_for_nothing_from_outside():
    runs = [rest for word, rest in instructions() if word == "RUN" and " install " in rest]
    assert len(runs) == 3
    for run in runs:
        assert "--no-cache-dir --no-deps" in run
        assert "--only-binary :all: --require-hashes" in run or "--no-build-isolation" in run


def test_each_accelerator_has_a_lock_and_each_lock_an_accelerator():
    (check,) = [run for run in values("RUN", stage="dependencies") if "case" in run]
    allowed = re.search(r"in ([a-z |]+)\) ;;", check)[1].split(" | ")
    locks = {path.stem for path in (ROOT / "requirements").glob("image-*.txt")}
    assert {f"image-{name}" for name in allowed} == locks - {"image-build"}
    assert f"allowed are: {', '.join(allowed)}" in check
    assert values("ARG", stage="dependencies") == ["ACCELERATOR=cpu"]


def test_the_last_stage_runs_the_program_itself_as_a_numeric_user():
    assert values("USER") == ["10001:10001"]
    assert json.loads(values("ENTRYPOINT")[0]) == ["siamese-job"]
    assert values("STOPSIGNAL") == ["SIGTERM"]
    assert json.loads(values("VOLUME")[0]) == ["/scratch", "/tmp"]


def test_the_build_is_sent_only_what_is_named():
    assert IGNORED[0] == "*"
    for line in IGNORED:
        assert not line.startswith("!") or list(ROOT.glob(line[1:])), f"{line} matches nothing"


def test_what_the_dockerfile_copies_is_sent_and_leftovers_in_there_are_not():
    copied = {
        source.split("/")[0]
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == {line[1:].split("/")[0] for line in IGNORED if line.startswith("!")}
    last = max(index for index, line in enumerate(IGNORED) if line.startswith("!"))
    assert {"**/__pycache__", "**/*.pyc", "**/runs"} <= set(IGNORED[last:])
