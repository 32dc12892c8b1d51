"""The commands that the pages show, in order.

    shown("docs/resume.md")[0]  # "siamese-job train examples/text.yaml"

A command is a line of a block of code that begins with a program; a backslash continues it.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [
        ROOT / "README.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("examples/data/*/README.md"),
    ]
)
_PROGRAMS = "siamese-job|make|kubectl|helm|docker|gcloud|pip|python|curl"
_COMMAND = re.compile(rf"(?:\$ )?((?:\.venv/bin/)?(?:{_PROGRAMS}) .+)")
# The language of blocks that hold commands, if they name one.
_LANGUAGES = ("", "console", "sh", "bash")


def shown(page: str) -> list[str]:
    """The commands of a page, without comments and the folder of the program.

    Args:
        page: Path of the page, relative to the repository.
    """
    lines = _code((ROOT / page).read_text(encoding="utf-8"))
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = (_COMMAND.fullmatch(line.strip()) for line in joined.split("\n"))
    return [
        re.sub(r"\s+#.*", "", match[1]).removeprefix(".venv/bin/") for match in found if match
    ]


def _code(text: str) -> list[str]:
    """The lines of fenced and of indented blocks."""
    lines = []
    language: str | None = None
    for line in text.splitlines():
        if line.startswith("```"):
            language = line[3:].strip() if language is None else None
        elif language in _LANGUAGES or (language is None and line.startswith("    ")):
            lines.append(line)
    return lines
