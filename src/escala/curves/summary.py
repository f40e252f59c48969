"""Curves in words and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.curves.families import FORMS, Family
from escala.curves.prediction import Saturation
from escala.text.numerals import capital, counted
from escala.text.visible import in_line


class _Curves(Protocol):
    """What a description needs of curves: see :class:`escala.CurveSet`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice, /) -> _Curves: ...

    def saturation(self) -> Saturation: ...

    def ladder(self, symbol: str) -> tuple[Floats, Floats]: ...

    @property
    def symbols(self) -> npt.NDArray[np.object_]: ...
    @property
    def family(self) -> npt.NDArray[np.int8]: ...
    @property
    def family_names(self) -> Sequence[str]: ...
    @property
    def status_names(self) -> Sequence[str]: ...
    @property
    def has_curve(self) -> npt.NDArray[np.bool_]: ...
    @property
    def params(self) -> Floats: ...
    @property
    def standard_errors(self) -> Floats: ...
    @property
    def observed(self) -> Floats: ...
    @property
    def n_points(self) -> npt.NDArray[np.int64]: ...
    @property
    def clipped(self) -> npt.NDArray[np.int64]: ...
    @property
    def set_aside(self) -> npt.NDArray[np.int64]: ...
    def aside(self, symbol: str, /) -> tuple[Floats, Floats]: ...
    @property
    def r_squared(self) -> Floats: ...
    @property
    def residual_sd(self) -> Floats: ...
    @property
    def marked(self) -> npt.NDArray[np.bool_]: ...


#: Why there is no curve.
REASONS = {
    "too_few_points": "too few distinct capitals",
    "degenerate": "the records do not determine it",
}
#: Records set aside that a line lists.
_ASIDE = 3
#: A lack of fit below this is marked.
DISTRUST = 0.01
#: Misfit, where noise is local, above which such a pattern matters.
MISFIT = 1.25


def families(curves: _Curves) -> str:
    """Count families, and instruments without a curve."""
    found = curves.has_curve
    counts = Counter(name for name, there in zip(curves.family_names, found.tolist(), strict=True) if there)
    parts = [f"{name} {count:,}" for name, count in counts.most_common()]
    without = len(curves) - int(found.sum())
    return ", ".join([*parts, *([f"no curve {without:,}"] if without else [])]) or "empty"


def of_curves(curves: _Curves, rows: int) -> str:
    """Say how many curves of which kind there are, and show the first of them."""
    many = f"{counted(len(curves), 'instrument')}, {counted(int(curves.n_points.sum()), 'point')}"
    lines = [f"{many}: {families(curves)}"]
    if curves.clipped.sum():
        lines.append(f"{int(curves.clipped.sum()):,} efficiencies were clipped to [0, 1]")
    lines += of_records_aside(curves)
    if len(curves):
        lines += ["", *table(curves[:rows], len(curves) - rows)]
        lines += coefficients(curves[:rows])
    return "\n".join(lines)


def of_records_aside(curves: _Curves) -> list[str]:
    """Say which records were set aside as absurd, in a line; nothing where none were."""
    found = np.flatnonzero(curves.set_aside)
    if not found.size:
        return []
    shown = [
        f"{in_line(symbol)} {efficiency:.4g} at {capital(size)}"
        for symbol in curves.symbols[found[:_ASIDE]].tolist()
        for size, efficiency in zip(*curves.aside(symbol), strict=True)
    ][:_ASIDE]
    many = int(curves.set_aside.sum())
    more = f" and {many - len(shown):,} more" if many > len(shown) else ""
    return [f"set aside, far off all that is near them: {counted(many, 'record')}, {', '.join(shown)}{more}"]


def coefficients(curves: _Curves) -> list[str]:
    """Give one line a curve: its coefficients, and the standard error of each where there is one."""
    found = np.flatnonzero(curves.has_curve)
    if not found.size:
        return []
    errors = curves.standard_errors
    symbols = [in_line(symbol) for symbol in curves.symbols]
    width = max(map(len, ["symbol", *symbols]))
    lines = ["", f"{'symbol':<{width}}  coefficients and their standard errors"]
    for i in found.tolist():
        if curves.family[i] == Family.LADDER:
            shown = _steps(curves.ladder(curves.symbols[i])[1], errors[i])
        else:
            rows = FORMS[int(curves.family[i])].coefficients
            shown = [_coefficient(row.name, curves.params[i, k], errors[i, k]) for k, row in enumerate(rows)]
        lines.append(f"{symbols[i]:<{width}}  {', '.join(shown)}")
    return lines


def _steps(slopes: Floats, errors: Floats) -> list[str]:
    """Describe a ladder, and how sure its level and its depth are."""
    if slopes.size == 1:
        shown = [f"1 step, slope {slopes[0]:.4g}"]
    else:
        shown = [f"{slopes.size:,} steps, slopes {slopes[0]:.4g} to {slopes[-1]:.4g}"]
    known = not np.isnan(errors[0])
    return [*shown, f"level ± {errors[0]:.2g}", f"depth ± {100.0 * errors[1]:.2g} %"] if known else shown


def _coefficient(name: str, value: float, error: float) -> str:
    return f"{name} = {value:.4g}" if np.isnan(error) else f"{name} = {value:.4g} ± {error:.2g}"


def columns(curves: _Curves) -> dict[str, list[Any]]:
    """Give what a notebook shows of curves, one entry a curve."""
    found = curves.saturation()
    return {
        "symbol": curves.symbols.tolist(),
        "family": [_family(curves, i) for i in range(len(curves))],
        "points": curves.n_points.tolist(),
        "R²": curves.r_squared.tolist(),
        "resid. sd": curves.residual_sd.tolist(),
        "largest": curves.observed[:, 1].tolist(),
        "10 % lost at": found.saturation.tolist(),
        "capacity": found.capacity.tolist(),
        "ceiling": found.ceiling.tolist(),
    }


def _family(curves: _Curves, i: int) -> str:
    if not curves.has_curve[i]:
        return "–"
    return "constant" if curves.status_names[i] == "constant" else curves.family_names[i]


def table(curves: _Curves, more: int) -> list[str]:
    """Give one line a curve: family, fit, and how far capital can grow; `more` curves are not among them."""
    found = curves.saturation()
    symbols = [in_line(symbol) for symbol in curves.symbols]
    width = max(map(len, ["symbol", *symbols]))
    lines = [
        f"{'symbol':<{width}}  {'family':<11}{'points':>8}{'R²':>8}{'resid. sd':>11}{'largest':>14}"
        f"{'10 % lost at':>14}{'capacity':>14}{'ceiling':>14}"
    ]
    for i, symbol in enumerate(symbols):
        start = f"{symbol:<{width}}  {_family(curves, i):<11}{curves.n_points[i]:>8,}"
        if not curves.has_curve[i]:
            lines.append(f"{start}  no curve: {REASONS[curves.status_names[i]]}")
            continue
        marked = "*" if curves.marked[i] else " "
        largest, lost = capital(curves.observed[i, 1]), capital(found.saturation[i])
        lines.append(
            f"{start}{curves.r_squared[i]:>8.3f}{curves.residual_sd[i]:>10.4f}{marked}{largest:>14}{lost:>14}"
            f"{capital(found.capacity[i]):>14}{capital(found.ceiling[i]):>14}"
        )
    if more > 0:
        lines.append(f"… and {more:,} more")
    lines.append("10 % lost, of the highest efficiency, and capacity: within the curve's limit, a dash where not;")
    lines.append("ceiling: what capital x efficiency rises to before it first falls")
    if curves.marked.any():
        lines.append("* the points follow a pattern that this curve does not (p < 0.01)")
    return lines
