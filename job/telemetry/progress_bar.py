"""The progress bar of a terminal, drawn by rich, with log lines above it.

Only `Terminal` imports this module, when it draws its first bar, because importing rich takes
a tenth of a second.
"""

from typing import TYPE_CHECKING, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

if TYPE_CHECKING:
    from job.telemetry.terminal import SafeOutput

BAR_CELLS = 16


class ProgressBar:
    """One bar in the last line; it is redrawn only by `show` and `write_above`.

    Args:
        output: A terminal.
    """

    def __init__(self, output: "SafeOutput") -> None:
        self._console = _Console(file=cast("TextIO", output), force_terminal=True)
        text = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            BarColumn(BAR_CELLS),
            TextColumn("{task.description}", markup=False, table_column=text),
            console=self._console,
            expand=True,
            transient=True,
            # No thread that draws, and `sys.stdout` stays what it is.
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=None)
        self._progress.start()

    def show(self, text: str, *, done: int, total: int) -> None:
        """Redraws the bar with the percentage and `text` beside it."""
        shown = f"{min(100 * done // total, 100):3d}% {text}"
        self._progress.update(self._task, completed=done, total=total, description=shown)
        self._progress.refresh()

    def write_above(self, text: str) -> None:
        """Writes whole lines above the bar."""
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def close(self) -> None:
        """Removes the bar."""
        self._progress.stop()


class _Console(Console):
    def show_cursor(self, show: bool = True) -> bool:
        return False  # a process that is killed would leave a hidden cursor behind
