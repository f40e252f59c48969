"""What all pictures share: axes without pyplot, colours, labels that fit, legends that hide nothing, and files.

Nothing here knows pyplot or changes settings of matplotlib: figures that are made here belong to whoever holds them, on
servers without a display and in threads.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from escala.arrays import one_number
from escala.errors import InputError, MissingExtraError
from escala.files import whole
from escala.plots.letters import drawable
from escala.tables import Interval
from escala.text.numerals import engineering

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

#: Okabe and Ito's colours, which people of all kinds of colour vision can tell apart; black is for limits.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, YELLOW, BLACK, GREY = "#56B4E9", "#CC79A7", "#F0E442", "#000000", "#666666"
COLOURS: Final = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
#: One a colour: what tells lines apart in grey.
DASHES: Final[tuple[Any, ...]] = (
    "-",
    (0, (6, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 2, 1.5, 2)),
    (0, (10, 3)),
    (0, (3, 1.5, 1, 1.5, 1, 1.5)),
    (0, (3, 3)),
    (0, (8, 2, 2, 2, 2, 2)),
)
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES: Final = ("", "///", "...", "\\\\\\", "xx", "++", "oo", "**")

_SIZE: Final = (8.0, 5.0)  # inches of a new figure
_RESOLUTION: Final = 100.0
_SHORT_LOG: Final = 100.0  # largest over smallest value up to which 2 and 5 are labelled beside powers of ten
_LINEAR_LOG: Final = 5.0  # the same for evenly spaced labels
_TICKS: Final = 6  # most intervals between labels along an axis: longer labels still find room
_LETTER: Final = 4.9  # points that a letter of a legend takes on average, on the safe side
_TITLE_LETTER: Final = 6.4  # the same of a title
_HANDLE: Final = 54.0  # points of a legend's line and of the gaps about it
_MARGIN: Final = 62.0  # points beside an axes
_MOST_COLUMNS: Final = 4
_BELOW: Final = 38.0  # points that tick labels and the name of an axis take
_SUFFIXES: Final = ("png", "svg", "pdf")
_WIDTH: Final = 1600
_PIXELS: Final = Interval(50, 20_000, integer=True)
_DPI: Final = Interval(10.0, 2_000.0)


def load() -> None:
    """Load matplotlib.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtraError("pictures need matplotlib: install escala[plot]") from None


def new_figure(*, scale: tuple[float, float] = (1.0, 1.0)) -> Figure:
    """Make a figure that nobody else knows, with a layout that leaves room for labels; scale is of 8 × 5 inches."""
    load()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (_SIZE[0] * scale[0], _SIZE[1] * scale[1])
    figure = Figure(figsize=size, dpi=_RESOLUTION, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def drawing_area(ax: Axes | None) -> Axes:
    """Give the axes to draw on: the one given, or one on a new figure.

    Raises
    ------
    InputError
        If what was given is none.
    MissingExtraError
        If matplotlib is not installed.
    """
    load()
    from matplotlib.axes import Axes

    if ax is None:
        return new_figure().add_subplot()
    if not isinstance(ax, Axes):
        raise InputError(f"ax must be matplotlib Axes, not {type(ax).__name__}", arguments=("ax",))
    return ax


def plain(text: str, most: int = 28) -> str:
    """Make a name safe to draw: one line, no formulas, letters that the font has, no middle where it is too long."""
    line = drawable(" ".join(text.encode("utf-8", "replace").decode().split()))
    if len(line) > most:
        tail = (most - 1) // 2
        line = f"{line[: most - 1 - tail]}…{line[-tail:]}"
    line = line.replace("$", r"\$")
    return f" {line}" if line.startswith("_") else line  # matplotlib hides what begins with an underscore


def unit(name: str, currency: str | None) -> str:
    """Name an axis, with its currency if there is one."""
    if currency is not None and not isinstance(currency, str):
        raise InputError(f"currency must be text, not {currency!r}", arguments=("currency",))
    return name if currency is None else f"{name}, {plain(currency, 16)}"


def percent(value: float) -> str:
    """Write a fraction in percent, 0.00001 as 0.001 %."""
    return f"{float(f'{100.0 * value:.6g}'):.12f}".rstrip("0").rstrip(".") + " %"


def number_axis(
    ax: Axes, which: str, *, log: bool = False, integer: bool = False, percent: bool = False, ticks: int = _TICKS
) -> None:
    """Label the x or y axis with few numbers such as 50 M; at logarithmic distances its limits must be set before."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axis = ax.xaxis if which == "x" else ax.yaxis
    if log:
        ax.set(**{f"{which}scale": "log"})
        low, high = sorted(axis.get_view_interval())
        short = high < _SHORT_LOG * low
        if high < _LINEAR_LOG * low:
            axis.set_major_locator(MaxNLocator(nbins=ticks))
        else:
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if short else (1.0,), numticks=ticks))
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(nbins=ticks, integer=integer))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _percent(value) if percent else engineering(value, 9)))


_percent = percent


def dress(ax: Axes, title: str, x: str, y: str) -> None:
    """Write title and names of the axes, and draw a light grid behind everything."""
    lines = textwrap.wrap(title, max(20, int(_width(ax) / _TITLE_LETTER)), break_on_hyphens=False)
    ax.set_title("\n".join(lines), loc="left", fontsize="medium")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.grid(True, color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)


def sample(label: str, **look: Any) -> Artist:
    """Give a legend entry for something that is not drawn as one artist."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **look)


def patch(label: str, **look: Any) -> Artist:
    """Give a legend entry for an area."""
    from matplotlib.patches import Patch

    return Patch(label=label, **look)


def legend_below(ax: Axes, handles: Sequence[Artist], notes: Sequence[str] = ()) -> Legend | None:
    """Put a legend under the axes, with remarks above its entries, in as many columns as there is room for.

    It is part of the layout, so that a constrained one shrinks the axes rather than clip or cover anything.
    """
    from matplotlib.transforms import ScaledTranslation

    said = [note for note in notes if note]
    if not handles and not said:
        return None
    width = _width(ax)
    letters = max((len(str(handle.get_label())) for handle in handles), default=0)
    columns = int(min(max(width // (_LETTER * letters + _HANDLE), 1), _MOST_COLUMNS))
    wide = max(20, int(width / _LETTER))
    title = "\n".join(line for note in said for line in textwrap.wrap(note, wide))
    figure = ax.get_figure(root=True)
    assert figure is not None
    down = ScaledTranslation(0.0, -_BELOW / 72.0, figure.dpi_scale_trans)
    return ax.legend(
        handles=list(handles), loc="upper left", bbox_to_anchor=(0.0, 0.0), bbox_transform=ax.transAxes + down,
        ncols=columns, fontsize="small", frameon=False, borderaxespad=0.0, borderpad=0.2, columnspacing=1.4,
        handlelength=3.6, title=title or None, title_fontsize="small", alignment="left",
    )  # fmt: skip


def _width(ax: Axes) -> float:
    """Estimate an axes' width in points."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return _room(ax) * float(figure.get_figwidth()) * 72.0 - _MARGIN


def _room(ax: Axes) -> float:
    """Give the share of the figure's width that an axes may take."""
    place = ax.get_subplotspec()
    if place is None:
        return float(ax.get_position().width)
    columns = place.get_gridspec().ncols
    return len(place.colspan) / columns


def narrow(ax: Axes) -> bool:
    """Tell whether an axes shares the width of its figure with others."""
    return _room(ax) < 0.7


def check_path(path: str | os.PathLike[str]) -> Path:
    """Tell, before anything is computed, whether a picture can be saved under a path.

    Parameters
    ----------
    path : str or path
        Where it goes; its suffix says what it becomes: .png, .svg or .pdf.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If it is no path, the suffix is another, or there is no such folder.
    MissingExtraError
        If matplotlib is not installed.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise InputError(f"path must be a path, not {path!r}", arguments=("path",))
    place = Path(path)
    if place.suffix.lower()[1:] not in _SUFFIXES:
        raise InputError(f"path must end in .png, .svg or .pdf, not {str(path)!r}", arguments=("path",))
    if not os.path.isdir(place.parent):
        raise InputError(
            f"path must lie in a folder that exists, but {str(place.parent)!r} is none", arguments=("path",)
        )
    if os.path.isdir(place):
        raise InputError(f"path must be a file, but {str(path)!r} is a folder", arguments=("path",))
    load()
    return place


def save(
    figure_or_axes: Figure | Axes,
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    dpi: float | None = None,
) -> Path:
    """Write a picture as PNG, SVG or PDF; the same picture gives the same bytes.

    Parameters
    ----------
    figure_or_axes : matplotlib Figure or Axes
        What to write: the whole figure, of axes the one they are on.
    path : str or path
        Where it goes; its suffix says what it becomes: .png, .svg or .pdf. An existing file is replaced.
    size : (int, int), optional
        Width and height in pixels, 50 to 20,000; of an SVG or PDF in inches times `dpi`. By default 1,600 wide, as high
        as the figure's shape asks for.
    dpi : float, optional
        Pixels an inch, 10 to 2,000: more make letters and lines larger. By default so many that the figure has its own
        size in inches, or more in one direction: then everything keeps its place in any size.

    Returns
    -------
    pathlib.Path
        Where it is.

    Raises
    ------
    InputError
        If an argument is wrong (before anything is drawn), or the file cannot be written.

    Notes
    -----
    The figure has its own size again afterwards.
    """
    place = check_path(path)
    figure = _figure_of(figure_or_axes)
    own = figure.get_size_inches()
    width, height = _pixels((_WIDTH, round(_WIDTH * own[1] / own[0])) if size is None else size)
    fitting = min(width / own[0], height / own[1])
    resolution = float(fitting) if dpi is None else one_number("dpi", dpi, _DPI, InputError)
    content = _drawn(figure, place.suffix.lower()[1:], (width / resolution, height / resolution), resolution)
    try:
        whole.write(place, content)
    except (OSError, ValueError) as reason:
        message = f"path {str(path)!r} cannot be written: {getattr(reason, 'strerror', reason)}"
        raise InputError(message, arguments=("path",)) from None
    return place


def _pixels(size: Any) -> tuple[float, float]:
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise InputError(f"size must be a width and a height, not {size!r}", arguments=("size",))
    width, height = (one_number(f"size[{k}]", given, _PIXELS, InputError) for k, given in enumerate(size))
    return width, height


def _figure_of(figure_or_axes: Any) -> Figure:
    load()
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    figure = figure_or_axes.get_figure(root=True) if isinstance(figure_or_axes, Axes) else figure_or_axes
    if not isinstance(figure, Figure):
        message = f"figure_or_axes must be a matplotlib Figure or Axes, not {type(figure_or_axes).__name__}"
        raise InputError(message, arguments=("figure_or_axes",))
    return figure


def _drawn(figure: Figure, kind: str, inches: tuple[float, float], dpi: float) -> bytes:
    dates = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    file = io.BytesIO()
    with _put_back(figure):
        figure.set_size_inches(inches[0], inches[1], forward=False)
        figure.savefig(file, format=kind, dpi=dpi, metadata=dates[kind])
    return _numbered(file.getvalue()) if kind == "svg" else file.getvalue()


@contextlib.contextmanager
def _put_back(figure: Figure) -> Iterator[None]:
    """Give a figure its size and its axes their places again: a layout begins where the last one ended."""
    width, height = figure.get_figwidth(), figure.get_figheight()
    places = [(ax, ax.get_position(original=True), ax.get_position(), ax.get_in_layout()) for ax in figure.axes]
    try:
        yield
    finally:
        figure.set_size_inches(width, height, forward=False)
        for ax, original, active, in_layout in places:
            ax.set_position(original, which="original")
            ax.set_position(active, which="active")
            ax.set_in_layout(in_layout)  # setting a place takes it out


_RANDOM: Final = re.compile(rb'\bid="([A-Za-z0-9_]*[0-9a-f]{10})"')
_USED: Final = re.compile(rb'((?:\bid="|#))([A-Za-z0-9_]*[0-9a-f]{10})(?=["\)])')


def _numbered(svg: bytes) -> bytes:
    """Replace the random names of an SVG by numbers; matplotlib's own salt for them is a setting of the process."""
    names = dict.fromkeys(_RANDOM.findall(svg))
    number = {name: b"id%d" % k for k, name in enumerate(names)}
    return _USED.sub(lambda found: found[1] + number.get(found[2], found[2]), svg)
