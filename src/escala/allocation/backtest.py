"""Backtests of allocations: fitted on a part of the records, scored on the rest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala.allocation.solve import allocate
from escala.arrays import FloatLike, Floats, check_interval, known_word, to_floats, whole_number
from escala.curves.curveset import CurveSet
from escala.curves.fitting import fit
from escala.curves.grouping import grouped
from escala.curves.records import check_values, to_column
from escala.errors import AllocationError, RecordError
from escala.files import frames
from escala.files import table as table_file
from escala.tables import POSITIVE
from escala.text import html
from escala.text.numerals import capital as money
from escala.text.numerals import counted
from escala.text.visible import in_line

if TYPE_CHECKING:
    import pandas

#: What splits records.
WAYS: Final = ("fold", "time")
#: Columns of a table of records, beside symbol, capital and efficiency, and the arguments that they stand for.
_COLUMNS: Final = {"weights": ("weight", "weights"), "observed_at": ("observed_at", "time"), "group": ("group",)}
_SHOWN: Final = 3  # symbols that a line lists


@dataclass(frozen=True, eq=False, repr=False)
class Validation:
    """What allocations claimed, what they realised on records that no fit had seen, and what was possible there.

    T totals, S splits of the records.

    Attributes
    ----------
    total : (T,) float64
        Money there was.
    placed : (S, T) float64
        Money that was allocated.
    claimed : (S, T) float64
        What it returns by the fitted curves.
    realised : (S, T) float64
        What it returns by the records held out.
    best : (S, T) float64
        What the best allocation in hindsight returns by them, under the same rules.
    contradicted : (S, T) float64
        Share of the money that stands on curves which their own records contradict.
    symbols : (n,) object array of str
        Instruments that were scored.
    left_out : tuple of str
        Instruments without records on both sides of a split, which were not.
    by : str
        What split the records: "fold" or "time".
    """

    total: Floats
    placed: Floats
    claimed: Floats
    realised: Floats
    best: Floats
    contradicted: Floats
    symbols: npt.NDArray[np.object_]
    left_out: tuple[str, ...]
    by: str

    def __len__(self) -> int:
        """Count the splits."""
        return int(self.claimed.shape[0])

    def __repr__(self) -> str:
        """Say in a line how far claims were from what was realised."""
        apart = float(np.abs((self.claimed - self.realised).mean(axis=0) / self.total).max(initial=0.0))
        where = f"{counted(self.total.size, 'total')}, {counted(len(self), 'split')} by {self.by}"
        return f"<Validation of {where}: claims are up to {apart:.2%} of the total off>"

    def _repr_html_(self) -> str:
        """Show the means as a table in a notebook."""
        return html.table(self._means(), repr(self))

    def _means(self) -> dict[str, Floats]:
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"total": self.total} | {name: named[name].mean(axis=0) for name in _FIGURES}

    def to_dict(self) -> dict[str, Any]:
        """Give the means over the splits by name, one entry a total."""
        return {name: column.tolist() for name, column in self._means().items()}

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row a split and total.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        splits, totals = self.claimed.shape
        columns: dict[str, npt.NDArray[Any]] = {
            "split": np.repeat(np.arange(splits), totals),
            "total": np.tile(self.total, splits),
        }
        return table_file.dataframe(columns | {name: getattr(self, name).reshape(-1) for name in _FIGURES})

    def summary(self) -> str:
        """Describe it with a line a total: means over the splits, as shares of the total."""
        way = "later records" if self.by == "time" else "records held out"
        lines = [
            f"{counted(self.symbols.size, 'instrument')}, scored on {way} ({counted(len(self), 'split')})",
            "",
            f"{'total':>16}{'claimed':>11}{'realised':>11}{'best':>11}{'claimed − realised':>21}{'contradicted':>14}",
        ]
        means = self._means()
        for k, total in enumerate(self.total.tolist()):
            shares = "".join(f"{float(means[name][k]) / total:>11.3%}" for name in ("claimed", "realised", "best"))
            apart = money(float(means["claimed"][k] - means["realised"][k]))
            lines.append(f"{money(total):>16}{shares}{apart:>21}{float(means['contradicted'][k]):>14.1%}")
        if self.left_out:
            more = len(self.left_out) - _SHOWN
            names = ", ".join(map(in_line, self.left_out[:_SHOWN])) + (f" and {more:,} more" if more > 0 else "")
            lines.append(
                f"without {counted(len(self.left_out), 'instrument')} that a split leaves no records of: {names}"
            )
        return "\n".join(lines)


_FIGURES: Final = ("placed", "claimed", "realised", "best", "contradicted")


def validate(
    symbols: Any,
    capital: Any = None,
    efficiency: Any = None,
    *,
    total: FloatLike,
    by: str = "fold",
    folds: int = 2,
    repeats: int = 1,
    seed: int = 0,
    weights: Any = None,
    observed_at: Any = None,
    group: Any = None,
    half_life: Any = None,
    family: str | Mapping[str, str] = "auto",
    noise: str = "auto",
    loss: str = "auto",
    extrapolate: bool = False,
    threads: int | None = None,
    **rules: Any,
) -> Validation:
    """Fit on a part of the records, allocate, and score the amounts on the rest.

    Parameters
    ----------
    symbols, capital, efficiency
        Three columns of N values, or a table alone with such columns (and `weight`, `observed_at`, `group`).
    total : float or (T,)
        Money to allocate, positive.
    by : {"fold", "time"}
        "fold": records are dealt at random into `folds` parts, those of a group together, and each part is held out
        once. "time": blocks of the distinct times follow each other, and each but the first is held out from the fit
        on all before it.
    folds : int
        Parts, at least 2.
    repeats : int
        Times that the records are dealt.
    seed : int
        Of the deals, at least 0.
    weights, observed_at, group, half_life, family, noise, loss
        As for :func:`escala.fit`.
    extrapolate : bool
        Whether amounts may exceed the largest capital that was fitted, as far as curves are trusted.
    threads : int, optional
        As for :func:`escala.fit`.
    **rules
        Arguments of :func:`escala.allocate`, for the allocation and for the best one in hindsight alike.

    Returns
    -------
    Validation

    Raises
    ------
    AllocationError
        If an argument is out of range.
    RecordError
        If the records are none, or no instrument has some on both sides of every split.

    Notes
    -----
    Efficiency held out is what a non-increasing (isotonic) regression of the records held out says, each weighted by
    one over its variance as neighbours tell it; utility is straight between their capitals. No amount exceeds the
    largest capital held out: nobody knows what it would return. Nor does any the largest one fitted, unless asked for:
    what is beyond is no claim of the records. Best in hindsight is the allocation over the smallest
    concave functions above these utilities, so it is at least what any amounts realise under the same rules.

    References
    ----------
    Barlow, R. E. and others (1972), Statistical Inference under Order Restrictions.

    Examples
    --------
    >>> import numpy as np
    >>> capital = np.tile(np.geomspace(1e3, 1e6, 300), 2)
    >>> efficiency = np.concatenate([1 / (1 + capital[:300] / 1e6), 1 / (1 + capital[:300] / 4e6)])
    >>> found = validate(["A"] * 300 + ["B"] * 300, capital, efficiency, total=[1e5, 1e6])
    >>> bool(np.all(np.abs(found.claimed - found.realised) < 1e-3 * found.total))
    True
    """
    if not known_word(by, WAYS):
        raise AllocationError(f"by must be 'fold' or 'time', not {by!r}", arguments=("by",))
    parts = whole_number("folds", folds, 2, error=AllocationError)
    deals = whole_number("repeats", repeats, 1, error=AllocationError)
    begin = whole_number("seed", seed, 0, error=AllocationError)
    totals = np.atleast_1d(to_floats("total", total, AllocationError))
    if totals.ndim != 1:
        raise AllocationError(f"total of shape {totals.shape} must be a number or a row of them", arguments=("total",))
    check_interval("total", totals, POSITIVE, AllocationError)
    records = _Records.read(
        symbols,
        {"capital": capital, "efficiency": efficiency},
        {"weights": weights, "observed_at": observed_at, "group": group},
    )
    sides = list(records.by_time(parts) if by == "time" else records.by_fold(parts, deals, begin))
    kept = np.all([records.has(mask) & records.has(~mask & used) for mask, used in sides], axis=0)
    if not kept.any():
        message = "no instrument has records on both sides of every split: fewer folds, or more records, are needed"
        raise RecordError(message, arguments=("folds",))
    asked = {"family": family, "noise": noise, "loss": loss, "half_life": half_life, "threads": threads}
    scored = [_score(records, held, used & ~held, kept, totals, asked, rules, extrapolate) for held, used in sides]
    figures = {name: np.array([one[name] for one in scored]) for name in _FIGURES}
    return Validation(
        total=totals,
        symbols=records.names[kept],
        left_out=tuple(records.names[~kept].tolist()),
        by=by,
        **figures,
    )


@dataclass(frozen=True, eq=False)
class _Records:
    """Records, one element each; `code` is the place of the instrument among `names`."""

    names: npt.NDArray[np.object_]
    code: npt.NDArray[np.int64]
    columns: dict[str, Floats]

    @classmethod
    def read(cls, symbols: Any, needed: dict[str, Any], extra: dict[str, Any]) -> _Records:
        """Check records; columns of a table stand for arguments that are not given."""
        if needed["capital"] is None and needed["efficiency"] is None:
            table = frames.columns(symbols, RecordError)
            missing = [name for name in ("symbol", "capital", "efficiency") if name not in table]
            if missing:
                found = ", ".join(map(str, table)) or "nothing"
                message = f"records need columns symbol, capital and efficiency: there is {found}"
                raise RecordError(message, arguments=tuple(missing))
            symbols, needed = table["symbol"], {name: table[name] for name in needed}
            for name, columns in _COLUMNS.items():
                there = [column for column in columns if column in table]
                if extra[name] is None and there:
                    extra[name] = table[there[0]]
        flat = {name: to_column(name, one) for name, one in (needed | extra).items() if one is not None}
        for name, column in flat.items():
            if column.ndim != 1:
                message = f"{name} of shape {column.shape} must be one column of records"
                raise RecordError(message, arguments=(name,))
        groups = grouped(symbols, flat)
        check_values(flat)
        code = np.repeat(np.arange(groups.names.size), np.diff(groups.offsets))
        order = slice(None) if groups.order is None else groups.order
        return cls(groups.names, code, {name: column[order] for name, column in flat.items()})

    def __len__(self) -> int:
        return int(self.code.size)

    def has(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Tell which instruments have some of the records marked."""
        found: npt.NDArray[np.bool_] = np.bincount(self.code[mask], minlength=self.names.size) > 0
        return found

    def by_fold(self, folds: int, repeats: int, seed: int) -> Iterator[tuple[Any, Any]]:
        """Deal the records of every instrument, or whole groups: marks of those held out, and of those used at all."""
        everything = np.ones(len(self), dtype=bool)
        for repeat in range(repeats):
            rng = np.random.default_rng([seed, repeat])
            if "group" in self.columns:
                groups, member = np.unique(self.columns["group"], return_inverse=True)
                part = (rng.permutation(groups.size) % folds)[member]
            else:
                order = np.lexsort([rng.random(len(self)), self.code])
                starts = np.concatenate([[0], np.cumsum(np.bincount(self.code, minlength=self.names.size))])
                part = np.empty(len(self), dtype=np.int64)
                part[order] = (np.arange(len(self)) - starts[self.code[order]]) % folds
            for fold in range(folds):
                yield part == fold, everything

    def by_time(self, blocks: int) -> Iterator[tuple[Any, Any]]:
        """Hold out each block of times but the first, and use what is no later."""
        if "observed_at" not in self.columns:
            raise RecordError("by='time' needs observed_at", arguments=("by", "observed_at"))
        times, place = np.unique(self.columns["observed_at"], return_inverse=True)
        if times.size < blocks:
            message = f"{counted(times.size, 'distinct time')} cannot make {blocks:,} blocks"
            raise RecordError(message, arguments=("folds", "observed_at"))
        block = np.repeat(np.arange(blocks), [part.size for part in np.array_split(times, blocks)])[place]
        for held in range(1, blocks):
            yield block == held, block <= held


def _score(
    records: _Records,
    held: Any,
    used: Any,
    kept: Any,
    totals: Floats,
    asked: dict[str, Any],
    rules: dict[str, Any],
    extrapolate: bool,
) -> dict[str, Floats]:
    """Fit one side of a split, allocate by it, and say what the other side makes of the amounts."""
    known = used & kept[records.code]
    columns = {name: column[known] for name, column in records.columns.items()}
    if asked["half_life"] is None:
        columns.pop("observed_at", None)
    curves = fit((records.code[known], records.names), **columns, **asked)[records.names[kept].tolist()]
    returns = [_Returns.of(records, held & (records.code == i)) for i in np.flatnonzero(kept).tolist()]
    ends = np.array([one.capital[-1] for one in returns])
    most = ends if extrapolate else np.fmin(ends, curves.observed[:, 1])
    given = rules | {"upper": np.minimum(rules.get("upper", np.inf), most), "threads": asked["threads"]}
    found = allocate(curves, totals, **given)
    amounts = found.amounts
    realised = sum(np.interp(amounts[:, i], one.capital, one.utility) for i, one in enumerate(returns))
    hulls = [one.concave() for one in returns]
    names = curves.symbols.tolist()
    in_hindsight = allocate(CurveSet.from_ladders(names, *zip(*hulls, strict=True), trusted_to=ends), totals, **given)
    return {
        "placed": amounts.sum(axis=1),
        "claimed": np.where(amounts > 0.0, amounts * found.efficiency, 0.0).sum(axis=1),
        "realised": np.asarray(realised),
        "best": np.where(in_hindsight.amounts > 0.0, in_hindsight.amounts * in_hindsight.efficiency, 0.0).sum(axis=1),
        "contradicted": np.asarray(found.contradicted),
    }


@dataclass(frozen=True, eq=False)
class _Returns:
    """What the records held out of one instrument say that capital returns: straight between the places."""

    capital: Floats  # from 0
    utility: Floats

    @classmethod
    def of(cls, records: _Records, mask: npt.NDArray[np.bool_]) -> _Returns:
        """Regress the efficiency of some records on capital, as a function that nowhere rises."""
        from scipy.optimize import isotonic_regression

        own = {name: column[mask] for name, column in records.columns.items()}
        order = np.argsort(own["capital"], kind="stable")
        x, y = own["capital"][order], own["efficiency"][order]
        weight = own["weights"][order] if "weights" in own else np.ones(x.size)
        weight = np.where(weight > 0.0, weight, 0.0) / _variance(np.log(x), y)
        if not weight.any():  # then each counts alike
            weight = np.ones(x.size)
        places, at = np.unique(x, return_inverse=True)
        total = np.bincount(at, weights=weight)
        mean = np.bincount(at, weights=weight * y) / np.where(total > 0.0, total, 1.0)
        there = total > 0.0
        eta = isotonic_regression(mean[there], weights=total[there], increasing=False).x
        capital = np.concatenate([[0.0], places[there]])
        return cls(capital, capital * np.concatenate([eta[:1], eta]))

    def concave(self) -> tuple[Floats, Floats]:
        """Give knots and slopes of the smallest concave function above, as far as it rises."""
        corners: list[int] = []
        for k in range(self.capital.size):
            while len(corners) > 1 and self._slope(corners[-2], corners[-1]) <= self._slope(corners[-2], k):
                corners.pop()
            corners.append(k)
        slopes = np.array([self._slope(i, j) for i, j in itertools.pairwise(corners)] + [0.0])
        slopes = np.minimum.accumulate(np.clip(slopes, 0.0, 1.0))
        return self.capital[corners], slopes

    def _slope(self, i: int, j: int) -> float:
        return float((self.utility[j] - self.utility[i]) / (self.capital[j] - self.capital[i]))


def _variance(x: Floats, y: Floats) -> Floats:
    """Estimate the variance of each record along x = ln C from what neighbours differ by; 1 for all where they are few.

    The estimate of :mod:`escala.kernels.noise.weights`: squares of a point's distance from the line between its
    neighbours, smoothed by Epanechnikov's kernel at equal steps.
    """
    from escala.kernels.noise import weights as local

    n = x.size
    if np.unique(x).size < local.USUAL:
        return np.ones(n)
    wide = x[2:] - x[:-2]
    alpha = np.where(wide > 0.0, (x[2:] - x[1:-1]) / np.where(wide > 0.0, wide, 1.0), 0.5)
    off = alpha * y[:-2] + (1.0 - alpha) * y[2:] - y[1:-1]
    squares = off * off / (alpha**2 + (1.0 - alpha) ** 2 + 1.0)
    inner = x[1:-1]
    nodes = np.linspace(inner[0], inner[-1], local.NODES)
    at_nodes = np.empty(nodes.size)
    for k, node in enumerate(nodes.tolist()):
        half_width = max(local.NARROWEST, local.NEIGHBOURS * (inner[-1] - inner[0]) / inner.size)
        for _ in range(local.MOST_WIDER + 1):
            kappa = np.maximum(1.0 - ((inner - node) / half_width) ** 2, 0.0)
            if kappa.sum() ** 2 >= local.ENOUGH * (kappa**2).sum():
                break
            half_width *= local.WIDER
        share = kappa / kappa.sum() if kappa.any() else np.full(inner.size, 1.0 / inner.size)
        at_nodes[k] = max(float(share @ squares), local.FLOOR)
    return np.exp(np.interp(x, nodes, np.log(at_nodes)))
