"""A progress bar for sweeps, in a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar(total: int, title: str = "sweeping") -> Iterator[Callable[[int], None] | None]:
    """Show rows done, rows a second and the time left, on stderr; gives None where that is no terminal.

    Parameters
    ----------
    total : int
        Number of rows.
    title : str
        Shown before the bar.

    Yields
    ------
    callable or None
        For the `progress` of :func:`escala.sweep`.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(TextColumn):
        def __init__(self) -> None:
            super().__init__("")

        def render(self, task: object) -> Text:
            speed = getattr(task, "finished_speed", None) or getattr(task, "speed", None)
            return Text(f"{speed:,.0f} rows/s" if speed else "")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=total)
        yield lambda done: shown.update(task, completed=done)
