"""Promises that the repository makes about itself."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from job.errors import EXIT_CODES

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "job").rglob("*.py"))
DECISIONS = sorted((ROOT / "docs/adr").glob("*.md"))


def make_targets() -> set[str]:
    return set(re.findall(r"(?m)^\.PHONY: (\w+)$", (ROOT / "Makefile").read_text()))


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


def test_every_make_command_of_the_readme_exists():
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"\bmake ([a-z0-9]+)", readme))
    assert named >= {"example", "test"}
    assert named <= make_targets()


def test_the_readme_shows_each_of_the_two_commands_on_a_line_of_its_own():
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"(?m)^```\w*\n(make [a-z]+)\n```$", readme)
    assert blocks == ["make example", "make test"]


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
EMPTY = {"KUBECONFIG": "", "E2E_IMAGE": "", "E2E_CLUSTER": ""}


@pytest.mark.parametrize(
    ("beside_scripts", "given", "e2e", "said"),
    [
        (False, {}, None, "left out: neither KUBECONFIG nor ../shared/cluster/kube-up"),
        (False, EMPTY, None, "left out: neither KUBECONFIG nor ../shared/cluster/kube-up"),
        (True, {}, "e2e -- ../shared/cluster", ""),
        (True, EMPTY, "e2e -- ../shared/cluster", ""),
        (True, IMAGE, "e2e -image- ../shared/cluster", ""),
        (False, OWN | IMAGE, "e2e mine-image-", ""),
        (True, OWN | IMAGE, "e2e mine-image-", ""),
        (False, OWN, None, "left out: E2E_IMAGE names no image"),
        (True, OWN, "e2e -- ../shared/cluster", "E2E_IMAGE names no image"),
    ],
)
def test_ci_runs_the_test_command_and_the_scenarios_where_they_can(
    tmp_path, beside_scripts, given, e2e, said
):
    make, script = tmp_path / "bin/make", tmp_path / "checkout/.ci/run"
    for path in (make, script):
        path.parent.mkdir(parents=True)
    sees = '"$KUBECONFIG-$E2E_IMAGE-" $E2E_CLUSTER'
    make.write_text(f'#!/bin/sh\necho $1 {sees} >> "{tmp_path}/calls"\n')
    script.write_bytes((ROOT / ".ci/run").read_bytes())
    start = tmp_path / "shared/cluster/kube-up"
    if beside_scripts:
        start.parent.mkdir(parents=True)
        start.touch(0o755)
    make.chmod(0o755)
    env = {"PATH": f"{make.parent}:{os.environ['PATH']}", **given}
    done = subprocess.run(
        ["bash", str(script)], check=True, env=env, capture_output=True, text=True
    )
    test, *more = (tmp_path / "calls").read_text().splitlines()
    assert test.split()[0] == "test"
    assert more == ([e2e] if e2e else [])
    assert said in done.stdout
    assert re.search(r"(?m)^ci: make test: \d+ s$", done.stdout)
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_ci_is_red_when_the_tests_are(tmp_path):
    script = tmp_path / "checkout/.ci/run"
    script.parent.mkdir(parents=True)
    script.write_bytes((ROOT / ".ci/run").read_bytes())
    make = tmp_path / "make"
    make.write_text("#!/bin/sh\nexit 7\n")
    make.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(["bash", str(script)], env=env, check=False).returncode == 7


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
