"""A progress bar on a terminal; none in a pipe."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from escala.text.visible import in_line

if TYPE_CHECKING:
    from rich.progress import ProgressColumn


@contextlib.contextmanager
def bar(title: str, total: int | None = None, *, unit: str = "") -> Iterator[Callable[[int], None] | None]:
    """Show on stderr how much of something is done, and the time left; gives None where that is no terminal.

    Parameters
    ----------
    title : str
        Shown before the bar.
    total : int, optional
        How much there is to do; a bar without it only moves.
    unit : str, optional
        Of what is done: then the bar also says how many of it a second.

    Yields
    ------
    callable or None
        To be told how much is done, as `progress` of :func:`escala.simulate` or :func:`escala.sweep` does.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False), BarColumn()]
    if total is not None:
        columns += [MofNCompleteColumn(), *([_speed(unit)] if unit else []), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(in_line(title), total=total)
        yield lambda done: shown.update(task, completed=done)


def _speed(unit: str) -> ProgressColumn:
    """Make a column of things a second."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f} {unit}/s" if speed else "")

    return Speed()
