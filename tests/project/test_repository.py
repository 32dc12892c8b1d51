"""Promises that the repository makes about itself."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from job.errors import EXIT_CODES

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs/adr").glob("*.md"))


def committed_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def test_the_documented_exit_codes_are_the_real_ones():
    table = re.findall(
        r"(?m)^\| (\d+) \| (.+) \| (\w*) ?\|$", (ROOT / "docs/exit-codes.md").read_text()
    )
    assert table == [
        (
            str(int(row.code)),
            row.meaning,
            "" if row.pod_failure_action == "none" else row.pod_failure_action,
        )
        for row in EXIT_CODES
    ]


def test_the_readme_shows_two_commands_and_every_make_target_that_it_names_exists():
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"(?m)^\.PHONY: (\w+)$", (ROOT / "Makefile").read_text()))
    assert set(re.findall(r"\bmake ([a-z0-9]+)", readme)) <= targets
    shown = re.findall(r"(?m)^```\w*\n(make [a-z]+)\n```$", readme)
    assert shown == ["make example", "make test"]


def headings_of(document: Path) -> set[str]:
    """The headings of a page as links name them."""
    text = re.sub(r"(?ms)^```.*?^```", "", document.read_text())
    titles = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_of_the_documents_lead_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target, heading in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", document.read_text()):
            if "://" in target:
                continue
            page = document.parent / target if target else document
            assert page.exists(), f"{document.name}: {target}"
            if heading:
                assert heading in headings_of(page), f"{document.name}: {target}#{heading}"


OWN = {"KUBECONFIG": "mine"}
IMAGE = {"E2E_IMAGE": "image"}


def run_ci(folder: Path, *, make: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a copy of .ci/run whose `make` is the given shell script."""
    for name, text in (
        ("bin/make", f"#!/bin/sh\n{make}\n"),
        ("checkout/.ci/run", (ROOT / ".ci/run").read_text()),
    ):
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    return subprocess.run(
        [folder / "checkout/.ci/run"], capture_output=True, text=True, check=False,
        env={"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **env},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("has_scripts", "given", "e2e", "said"),
    [
        (False, {}, [], "left out: neither KUBECONFIG nor ../shared/cluster/kube-up"),
        (False, OWN, [], "left out: E2E_IMAGE names no image"),
        (False, OWN | IMAGE, ["e2e mine-image-"], ""),
        (True, {"KUBECONFIG": "", "E2E_CLUSTER": ""}, ["e2e -- ../shared/cluster"], ""),
        (True, OWN, ["e2e -- ../shared/cluster"], "E2E_IMAGE names no image"),
    ],
)
def test_ci_runs_the_tests_and_the_scenarios_where_there_is_a_cluster(
    tmp_path, has_scripts, given, e2e, said
):
    if has_scripts:
        (tmp_path / "shared/cluster").mkdir(parents=True)
        (tmp_path / "shared/cluster/kube-up").touch(0o755)
    calls = tmp_path / "calls"
    make = f'echo $1 "$KUBECONFIG-$E2E_IMAGE-" $E2E_CLUSTER >> "{calls}"'
    done = run_ci(tmp_path, make=make, **given)
    assert done.returncode == 0, done.stderr
    test, *more = calls.read_text().splitlines()
    assert test.split()[0] == "test"
    assert more == e2e
    assert said in done.stdout


def test_ci_is_red_when_the_tests_are(tmp_path):
    assert run_ci(tmp_path, make="exit 7").returncode == 7


def test_no_file_names_a_package_registry():
    # Locks and settings must work behind any mirror. In parts, so as not to find itself.
    address = re.compile(
        "|".join(["pypi" + r"\.org", "python" + "hosted", "extra-" + "index-url"])
    )
    for file in committed_files():
        text = file.read_bytes().decode("utf-8", "replace")
        assert not address.search(text), file.relative_to(ROOT)


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_why_what_follows_and_what_else_there_was(decision):
    headings = re.findall(r"(?m)^## (.+)$", decision.read_text())
    assert headings == ["Context", "Decision", "Consequences", "Alternatives"]
    assert decision.read_text().startswith(f"# {int(decision.name[:4])}. ")


def test_decisions_are_numbered_without_gaps():
    numbers = [int(decision.name[:4]) for decision in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))


def test_sources_are_ascii():
    for file in committed_files():
        if file.suffix in {".py", ".toml", ".yaml", ".md"} or file.name == "Makefile":
            relative = file.relative_to(ROOT)
            if relative.parts[:2] != ("examples", "data"):
                assert file.read_bytes().isascii(), relative
