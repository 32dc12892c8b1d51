"""Tables on the screen."""

from collections.abc import Sequence

_FIRST_COLUMN = 24


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their headings, the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    widths[0] = max(widths[0], _FIRST_COLUMN)
    lines = []
    for first, *rest in (header, *rows):
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)
