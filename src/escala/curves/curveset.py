"""Efficiency curves: what share of the ideal return survives at a capital, how sure that is, and where it ends."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from escala import keyed, parallel
from escala.arrays import FloatLike, Floats, check_interval, no_symbol, one_number, to_floats, whole_number
from escala.curves import draws as drawing
from escala.curves import exact
from escala.curves import summary as curve_summary
from escala.errors import CurveError, did_you_mean
from escala.files import table as table_file
from escala.keyed import PerSymbol
from escala.ragged import Ragged
from escala.tables import COEFFICIENTS, LADDER_STEP, LIMITS, PARAMS, Interval
from escala.text import html

if TYPE_CHECKING:
    import pandas
from escala.curves.families import (
    FORMS,
    ROUNDING,
    Family,
    FitStatus,
    coefficient_rule,
    family_code,
    forbidden_coefficients,
)
from escala.curves.prediction import Prediction, Saturation
from escala.curves.predictor import Predictor, predictor, student_quantiles

#: Capital that a curve can be asked for.
_CAPITAL: Final = Interval(0.0, np.inf, high_open=True)

_POSITIVE: Final = Interval(0.0, np.inf, low_open=True)

_SHARE: Final = Interval(0.0, 1.0, low_open=True)

_LEVEL: Final = Interval(0.0, 1.0, low_open=True, high_open=True)

_TOLERANCE: Final = Interval(0.0, np.inf, high_open=True)

_FINITE: Final = Interval(-np.inf, np.inf, low_open=True, high_open=True)

#: Level of the interval that goes with saturation and capacity.
_LIMITS_LEVEL: Final = 0.90

#: Statistics that the test for patterns in the residuals comes from, in the order in which a set of curves keeps them.
NEUMANN: Final = ("neumann", "neumann_mean", "neumann_variance")

_SMALL: Final = 1 << 12  # points that are not worth a thread

_STEP: Final = 1 << 17  # points between two looks at Ctrl-C

_LEVELS: Final = 8  # whose predictions a set of curves stays ready for

_GRID: Final = 512  # capitals at which a curve is held against what its records returned
_HALVINGS: Final = 50  # of a step of it


class Aside(NamedTuple):
    """Records that were set aside, in order of capital."""

    capital: Floats
    efficiency: Floats


class Ladder(NamedTuple):
    """Steps of one curve: utility rises by ``slopes[j]`` a unit of capital from ``knots[j]`` on, the last for ever."""

    knots: Floats
    slopes: Floats


@dataclass(frozen=True, eq=False)
class CurveSet:
    """Efficiency curves of n instruments, as arrays.

    Made by :func:`escala.fit`, or without data by :meth:`from_params` and :meth:`from_ladders`. ``curves["BTC/USDT"]``,
    ``curves[3]``, slices and masks give smaller sets; iterating gives sets of one.

    Attributes
    ----------
    symbols : (n,) object array of str
        Names of the instruments.
    family : (n,) int8
        Codes of :class:`Family`; `family_names` has them as text.
    status : (n,) int8
        Codes of :class:`FitStatus`.
    params : (n, 4) float64
        a, b, c, d. With x = capital − `origin`: linear a·x + b, quadratic a·x² + b·x + c, exponential a·exp(−b·x) + c
        with b > 0, sqrt a·√capital + b, hill a·u^(c − 1)/(1 + u^c) with u = capital/b, b > 0, c in [1, 20] and an a
        that keeps the highest efficiency at or below 1, ladder: a and b are factors of its slopes and its knots, 1 but
        in draws, and c is the number of its steps, which :meth:`ladder` gives, depth
        a·(1 + (C/b)^c)^(−1/c) and power a − b·(C/d)^c of the capital C itself. NaN where there is no curve; 0 where a
        coefficient is not used.
    origin : (n,) float64
        Smallest capital seen for exponentials (so that a cannot overflow), and for quadratics over a range less than
        1/16 of the smallest capital; otherwise 0.
    observed : (n, 2) float64
        Smallest and largest capital seen.
    trusted_to : (n,) float64
        Where trust ends: twice the largest capital seen; for a quadratic not past its minimum, or the largest capital
        seen if the minimum lies inside the data.
    n_points : (n,) int64
        Records of positive weight.
    covariance : (n, 4, 4) float64
        Of a, b, c, d, estimated; NaN where no degree of freedom is left.
    residual_sd : (n,) float64
        √(SSE/df_resid), weights scaled to the sum n_eff = (Σw)²/Σw².
    df_resid : (n,) float64
        Degrees of freedom n_eff − coefficients; 0 where none is left.
    r_squared : (n,) float64
        1 − SSE/SST; 0 where all efficiencies are equal.
    mean_error, max_error, rmse : (n,) float64
        (Weighted) mean and largest absolute residual, root of the mean squared one.
    aicc : (n,) float64
        Corrected Akaike criterion; NaN where there are too few points for it.
    clipped : (n,) int64
        Efficiencies that ``clip=True`` brought back into [0, 1].
    misfit : (n,) float64
        √(Σ w·r²/n) with w = 1/σ², σ² the variance that neighbouring points differ by: 1 is what noise alone leaves. NaN
        where noise is not local.
    """

    symbols: npt.NDArray[np.object_]
    family: npt.NDArray[np.int8]
    status: npt.NDArray[np.int8]
    params: Floats
    origin: Floats
    observed: Floats
    trusted_to: Floats
    n_points: npt.NDArray[np.int64]
    covariance: Floats
    residual_sd: Floats
    df_resid: Floats
    r_squared: Floats
    mean_error: Floats
    max_error: Floats
    rmse: Floats
    aicc: Floats
    clipped: npt.NDArray[np.int64]
    misfit: Floats
    _root: Floats
    _neumann: Floats
    _steps: Ragged
    _noise: Floats
    _scores: Ragged
    _bins: Ragged
    _windows: Ragged
    _forward: Ragged
    _aside: Ragged
    _returned: Floats

    def __post_init__(self) -> None:
        """Let nobody write into the arrays: what predictions and allocations keep of them would no longer be true."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    @classmethod
    def from_params(
        cls,
        symbols: Sequence[str],
        families: str | Sequence[str] | Mapping[str, str],
        params: PerSymbol,
        *,
        trusted_to: PerSymbol = np.inf,
        origin: PerSymbol = 0.0,
    ) -> CurveSet:
        """Make curves of known coefficients, without data: their predictions have no finite interval.

        Parameters
        ----------
        symbols : sequence of str
            n names, none twice.
        families : str, sequence or mapping of str
            One for all, one a curve, or symbol → family; so it is for the other arguments.
        params : (n, 2), (n, 3) or (n, 4) float64
            a, b, … of each family as :attr:`params` of the class says, what is not used left out or 0; b of an
            exponential must be positive.
        trusted_to, origin : float or (n,)
            Where trust ends (positive, inf allowed); what capitals of quadratics and exponentials are counted from.

        Raises
        ------
        CurveError
            Names what is wrong with which curve.

        Examples
        --------
        >>> curves = CurveSet.from_params(["A", "B"], ["linear", "sqrt"], [[-1e-6, 1.0], [-1e-3, 0.9]], trusted_to=1e6)
        >>> curves.efficiency(40_000.0)
        array([0.96, 0.7 ])
        >>> curves.saturation().capacity
        array([500000., 360000.])
        """
        names = _names(symbols)
        n = names.size
        if not isinstance(families, Iterable):
            raise CurveError(
                f"families must be a name or one for each symbol, not {families!r}", arguments=("families",)
            )
        given = list(
            [families] * n if isinstance(families, str) else keyed.by_symbol("families", families, names, CurveError)
        )
        if len(given) != n:
            raise CurveError(f"families has {len(given)} entries for {n} symbols", arguments=("families", "symbols"))
        family = np.array([family_code(name) for name in given], dtype=np.int8)
        for place in np.flatnonzero(family == Family.LADDER)[:1].tolist():
            message = f"families[{place}] is 'ladder', whose steps are given to CurveSet.from_ladders"
            raise CurveError(message, arguments=("families",), indexes=((place,),))
        values = _coefficients(params, names, family)
        limits = keyed.per_symbol("trusted_to", trusted_to, names, _POSITIVE, CurveError).copy()
        origins = keyed.per_symbol("origin", origin, names, _FINITE, CurveError)
        anchored = np.isin(family, [code for code, form in FORMS.items() if form.anchored])
        nothing = np.full(n, np.nan)
        return cls(
            symbols=names,
            family=family,
            status=np.zeros(n, dtype=np.int8),
            params=values,
            origin=np.where(anchored, origins, 0.0),
            observed=np.full((n, 2), np.nan),
            trusted_to=limits,
            n_points=np.zeros(n, dtype=np.int64),
            covariance=np.full((n, PARAMS, PARAMS), np.nan),
            residual_sd=nothing,
            df_resid=np.zeros(n),
            r_squared=nothing,
            mean_error=nothing,
            max_error=nothing,
            rmse=nothing,
            aicc=nothing,
            clipped=np.zeros(n, dtype=np.int64),
            misfit=nothing,
            _root=np.full((n, 6), np.nan),
            _neumann=np.full((n, 3), np.nan),
            _steps=Ragged.empty(n),
            _noise=np.full((n, 2), np.nan),
            _scores=Ragged.empty(n),
            _bins=Ragged.empty(n),
            _windows=Ragged.empty(n),
            _forward=Ragged.empty(n),
            _aside=Ragged.empty(n),
            _returned=nothing,
        )

    @classmethod
    def from_ladders(
        cls,
        symbols: Sequence[str],
        knots: Sequence[FloatLike] | Mapping[str, FloatLike],
        slopes: Sequence[FloatLike] | Mapping[str, FloatLike],
        *,
        trusted_to: PerSymbol = np.inf,
    ) -> CurveSet:
        """Make curves whose utility rises in straight steps that get flatter: U′ = slopes[j] from knots[j] on.

        Parameters
        ----------
        symbols : sequence of str
            n names, none twice.
        knots, slopes : n arrays, or symbol → array
            Of each curve as many knots as slopes: knots rise from 0, slopes fall from at most 1 to at least 0. The last
            slope goes on to infinity; one of 0 says that nothing more comes out.
        trusted_to : float or (n,)
            Where trust ends (positive, inf allowed).

        Raises
        ------
        CurveError
            Names the argument, the curve, the index and the value that is wrong.

        Examples
        --------
        >>> curves = CurveSet.from_ladders(["A"], [[0.0, 100.0, 300.0]], [[1.0, 0.9, 0.0]])
        >>> curves.utility([50.0, 200.0, 1000.0])
        array([ 50., 190., 280.])
        """
        names = _names(symbols)
        given = {"knots": knots, "slopes": slopes}
        rows = [list(keyed.by_symbol(name, one, names, CurveError)) for name, one in given.items()]
        params, steps = exact.ladders(rows[0], rows[1], names.tolist())
        base = cls.from_params(names.tolist(), "linear", np.tile([0.0, 1.0], (names.size, 1)), trusted_to=trusted_to)
        return replace(base, family=np.full(names.size, Family.LADDER, dtype=np.int8), params=params, _steps=steps)

    @classmethod
    def from_order_books(
        cls,
        books: Mapping[str, Any] | exact.Snapshots,
        *,
        side: str = "buy",
        fee: PerSymbol = 0.0,
        price: PerSymbol | str = "mid",
    ) -> CurveSet:
        """Make the exact curves of order books: a ladder, a level a step.

        Parameters
        ----------
        books : mapping of str to levels, or OrderBook
            Of each symbol ``{"bids": levels, "asks": levels}``, or the levels of the side that is taken alone. Levels
            are rows of price and size, (m, 2) or wider as exchanges send them, or a tuple of prices and sizes; in any
            order. Sizes at one price are added, and levels of size 0 left out. What :func:`escala.sources.book` made is
            welcome too, with one snapshot a symbol.
        side : {"buy", "sell"}
            A buyer takes the asks, a seller the bids.
        fee : float or (n,)
            In [0, 1): the share of what is received that goes.
        price : {"mid", "best"}, float or (n,)
            What a unit counts for. "mid" is the mid price of each book, as efficiency is elsewhere. For one order over
            several venues take one price for all, else each venue is held against itself: "best" is the best price of
            all books on that side.

        Raises
        ------
        CurveError
            Names the book, the level and the value that is wrong: a crossed book, a side that is missing, a price at
            which efficiency would exceed 1.

        Notes
        -----
        Capital and utility are in quote currency at the price m that counts, on both sides, as in
        :func:`escala.sources.walk`: a level of price p and size q takes p·q of a buyer and returns m·q·(1 − fee); it
        takes m·q of a seller and returns p·q·(1 − fee). Trust ends where the levels do: nothing is extrapolated.

        Examples
        --------
        >>> asks = {"X": [[100.0, 2.0], [101.0, 5.0]], "Y": [[100.5, 4.0]]}
        >>> curves = CurveSet.from_order_books(asks, side="buy", fee={"X": 0.001, "Y": 0.0}, price="best")
        >>> curves.trusted_to
        array([705., 402.])
        >>> curves.efficiency(200.0).round(5)
        array([0.999  , 0.99502])
        """
        symbols, knots, slopes, depth = exact.order_books(books, side, fee, price)
        return cls.from_ladders(symbols, knots, slopes, trusted_to=depth)

    @classmethod
    def from_pools(
        cls,
        reserve_in: PerSymbol,
        *,
        fee: PerSymbol = 0.0,
        level: PerSymbol = 1.0,
        symbols: Sequence[str] | None = None,
    ) -> CurveSet:
        """Make the exact curves of pools of constant product: the family depth with a sharpness of 1.

        Parameters
        ----------
        reserve_in : (n,) float64 or symbol → float
            What each pool holds of the currency that is paid in, positive.
        fee : float or (n,)
            In [0, 1): the share of what is paid in that goes.
        level : float or (n,)
            In (0, 1]: what a first unit would return without the fee at the price that counts: that price over the
            pool's own. Pools beside each other or beside books need one price for all.
        symbols : sequence of str, optional
            Names, where `reserve_in` has none.

        Raises
        ------
        CurveError
            If symbols are missing, or a value is out of range.

        Notes
        -----
        Of reserves R and S an amount C buys S·(1 − fee)·C/(R + (1 − fee)·C). At the pool's own price R/S that is
        worth a·C/(1 + C/D) with a = 1 − fee, D = R/(1 − fee): never more than R.

        Examples
        --------
        >>> curves = CurveSet.from_pools({"P": 1e6, "Q": 4e6}, fee=0.003)
        >>> curves.utility(1e6).round(0)
        array([499249., 798079.])
        """
        names, params = exact.pools(reserve_in, fee, level, symbols)
        return cls.from_params(names, "depth", params)

    @classmethod
    def concatenate(cls, sets: Iterable[CurveSet]) -> CurveSet:
        """Put sets of curves one after the other.

        Raises
        ------
        CurveError
            If a symbol comes twice, or one is no set of curves.
        """
        chosen = list(sets) if isinstance(sets, Iterable) else [sets]
        for one in chosen:
            if not isinstance(one, CurveSet):
                raise CurveError(f"sets must be several CurveSet, not {type(one).__name__}", arguments=("sets",))
        if not chosen:
            return cls.from_params([], "linear", np.zeros((0, 2)))
        joined = cls(**{field.name: _joined([getattr(one, field.name) for one in chosen]) for field in fields(cls)})
        _names(joined.symbols.tolist())
        return joined

    def __len__(self) -> int:
        return int(self.symbols.size)

    def __contains__(self, symbol: object) -> bool:
        """Tell whether there is a curve of this symbol."""
        return symbol in self._places

    def __iter__(self) -> Iterator[CurveSet]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: str | int | slice | npt.ArrayLike | Mapping[str, bool]) -> CurveSet:
        """Take some curves: by symbol, number, slice, mask (also by symbol), or a sequence of numbers or symbols.

        Raises
        ------
        CurveError
            If there is no such symbol.
        IndexError
            If there are not so many curves; says how many there are.
        """
        if isinstance(key, str):
            chosen: Any = [self.index(key)]
        elif isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(f"there is no curve {int(key)} among {len(self):,}, which are counted from 0")
            chosen = [int(key)]
        elif isinstance(key, slice):
            chosen = key
        else:
            chosen = np.asarray(self._mask(key))
            if chosen.dtype.kind in "UOT":
                chosen = np.array([self.index(str(symbol)) for symbol in chosen.tolist()], dtype=np.intp)
            elif chosen.size == 0:
                chosen = chosen.astype(np.intp)
        return CurveSet(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def _mask(self, key: Any) -> Any:
        """Match a mask that comes with its symbols; what else there is stays as it is."""
        if type(key) in keyed.PLAIN or not (isinstance(key, Mapping) or getattr(key, "dtype", None) == np.bool_):
            return key
        return keyed.by_symbol("a mask of curves", key, self.symbols, CurveError)

    def index(self, symbol: str) -> int:
        """Find a symbol's place.

        Raises
        ------
        CurveError
            If there is no such symbol.
        """
        place = self._places.get(symbol)
        if place is None:
            hint = did_you_mean(symbol, self._places)
            raise CurveError(f"no curve of {symbol!r} among {len(self):,}{hint}", arguments=("symbol",))
        return place

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {symbol: place for place, symbol in enumerate(self.symbols.tolist())}

    @property
    def family_names(self) -> list[str]:
        """Family of each curve as text."""
        return [Family(code).name.lower() for code in self.family.tolist()]

    @property
    def status_names(self) -> list[str]:
        """Status of each curve as text: ok, too_few_points, degenerate, constant."""
        return [FitStatus(code).name.lower() for code in self.status.tolist()]

    @property
    def has_curve(self) -> npt.NDArray[np.bool_]:
        """Which instruments have a curve: status OK or CONSTANT."""
        known: npt.NDArray[np.bool_] = (self.status == FitStatus.OK) | (self.status == FitStatus.CONSTANT)
        return known

    @property
    def standard_errors(self) -> Floats:
        """Standard error of each coefficient, (n, 4): 0 where it is not used, NaN where nothing is known of it."""
        variance = np.diagonal(self.covariance, axis1=1, axis2=2)
        errors: Floats = np.sqrt(np.maximum(variance, 0.0))
        return errors

    @functools.cached_property
    def lack_of_fit(self) -> Floats:
        """Give the p-value of a test for patterns in the residuals along capital; small where the curve does not fit.

        Notes
        -----
        The von Neumann ratio of the residuals in order of capital (those of one capital count by their mean), its
        exact mean and variance for independent errors, and a beta distribution with these (Durbin and Watson). Small
        values mark curves that no family follows. NaN where fewer than coefficients + 2 capitals differ or all
        efficiencies are equal; 1 where the residuals are rounding.
        """
        from escala.kernels.distributions import beta_probabilities

        ratio, mean, variance = self._neumann.T
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = mean / 4.0
            size = centre * (1.0 - centre) / (variance / 16.0) - 1.0
            alpha, beta = centre * size, (1.0 - centre) * size
            sound = (alpha > 0.0) & (beta > 0.0) & np.isfinite(size)
        bounded = np.clip(np.where(sound, ratio, 0.0), 0.0, 4.0) / 4.0
        value = np.empty(len(self))
        beta_probabilities(np.where(sound, alpha, np.nan), np.where(sound, beta, np.nan), bounded, value, 0, len(self))
        return value

    @property
    def marked(self) -> npt.NDArray[np.bool_]:
        """Tell which curves their records contradict: read what follows from them with care.

        The residuals follow a pattern (`lack_of_fit` below 0.01), and where noise is local they are larger than what
        neighbouring points differ by (`misfit` above 1.25): with hundreds of points the test alone finds patterns that
        do not matter.
        """
        patterned = self.lack_of_fit < curve_summary.DISTRUST
        marked: npt.NDArray[np.bool_] = patterned & ~(self.misfit <= curve_summary.MISFIT)
        return marked

    @property
    def set_aside(self) -> npt.NDArray[np.int64]:
        """Count the records of each instrument that no curve explains, and that were left out: see :meth:`aside`."""
        return self._aside.sizes // len(Aside._fields)

    def aside(self, symbol: str) -> Aside:
        """Give the records of one instrument that were set aside as absurd, see `loss` of :func:`escala.fit`.

        Raises
        ------
        CurveError
            If there is no such symbol.

        Examples
        --------
        >>> from escala import fit
        >>> capital = np.linspace(1e4, 1e5, 10)
        >>> efficiency = 0.99 - 1e-7 * capital
        >>> efficiency[4] = 0.01
        >>> curves = fit(["A"], [capital], [efficiency], family="linear")
        >>> curves.aside("A")
        Aside(capital=array([50000.]), efficiency=array([0.01]))
        """
        pairs = self._aside.row(self.index(symbol)).reshape(-1, len(Aside._fields))
        return Aside(pairs[:, 0].copy(), pairs[:, 1].copy())

    def ladder(self, symbol: str) -> Ladder:
        """Give the steps of one ladder: from ``knots[j]`` on another unit of capital returns ``slopes[j]``.

        Raises
        ------
        CurveError
            If there is no such symbol, or its curve is no ladder.

        Examples
        --------
        >>> curves = CurveSet.from_ladders(["A"], [[0.0, 100.0, 300.0]], [[1.0, 0.9, 0.0]])
        >>> curves.ladder("A").slopes
        array([1. , 0.9, 0. ])
        """
        place = self.index(symbol)
        if self._steps.sizes[place] == 0:
            kind = f"a curve of family {self.family_names[place]}" if self.has_curve[place] else "no curve"
            raise CurveError(f"{symbol!r} has {kind}, not a ladder", arguments=("symbol",))
        knots, slopes, _ = self._steps.row(place).reshape(len(LADDER_STEP), -1)
        return Ladder(knots * self.params[place, 1], slopes * self.params[place, 0])

    def efficiency(self, capital: PerSymbol, *, out: Floats | None = None, threads: int | None = None) -> Floats:
        """Evaluate η, clipped to [0, 1]; NaN where there is no curve.

        Parameters
        ----------
        capital : float, (n,) or (n, m)
            One for all curves, one a curve, or m a curve; (1, m) means the same m for all. A set of one curve takes
            (m,) too. Finite and at least 0. What is not the same for all may be a mapping or an indexed Series by
            symbol, or a data frame with symbols as columns or index; arrays and lists are in the order of the curves.
        out : float64 array, optional
            Where the result goes, C-contiguous and of its shape; for large arrays new memory takes longer than the
            evaluation. After an error its content means nothing.
        threads : int, optional
            Threads to use; by default all processors. Results do not depend on it.

        Returns
        -------
        (n,), (n, m) or (m,) float64

        Raises
        ------
        CurveError
            If a capital is negative or not finite, or the shape fits no case.

        Examples
        --------
        >>> CurveSet.from_params(["A"], "exponential", [[0.4, 1e-6, 0.6]]).efficiency([0.0, 1e6, 1e9]).round(4)
        array([1.    , 0.7472, 0.6   ])
        """
        return self._evaluate("EFFICIENCY", capital, out, threads)

    def utility(self, capital: PerSymbol, *, out: Floats | None = None, threads: int | None = None) -> Floats:
        """Evaluate capital × efficiency, what the capital really returns; arguments as in :meth:`efficiency`."""
        return self._evaluate("UTILITY", capital, out, threads)

    def marginal(self, capital: PerSymbol, *, out: Floats | None = None, threads: int | None = None) -> Floats:
        """Evaluate η + C·η′, what the next unit of capital returns: 1 where η > 1, 0 where η < 0.

        Where η is 1 or 0 and it has a kink, the slope is that of η itself, to the side where it lies within [0, 1].
        Arguments as in :meth:`efficiency`.
        """
        return self._evaluate("MARGINAL", capital, out, threads)

    def predict(
        self,
        capital: PerSymbol,
        *,
        level: float = 0.95,
        tolerance: PerSymbol = 0.05,
        interval: Literal["auto", "forward"] = "auto",
    ) -> Prediction:
        """Predict new observations, with an interval that holds a share `level` of them.

        Parameters
        ----------
        capital
            As in :meth:`efficiency`.
        level : float
            In (0, 1).
        tolerance : float or (n,)
            Finite, at least 0.
        interval : {"auto", "forward"}
            ``"auto"`` is for observations of the same period as the records. ``"forward"`` is for those of the next
            time, or group, by what past ones were off by when only those before them were known; it needs records with
            `observed_at` or `group`.

        Raises
        ------
        CurveError
            If an argument is out of range, or if no curve has what ``"forward"`` needs.

        Notes
        -----
        Where noise is local (see :func:`escala.fit`) η ∓ q·σ(C): σ is the noise at a capital, fitted to residuals of
        points that were left out, q the order statistic (n + 1)·level of their sizes in units of σ, of all points or of
        the neighbours at that capital, whichever is larger (conformal prediction). A level needs
        n ≥ level/(1 − level) points: with fewer the interval is [0, 1], and `Prediction.note` says so. Time is not
        promised: in the next hour, intervals of the same period hold less than their level.

        Otherwise η ± t·s·√(1 + v): s the residual standard deviation, s²·v the variance of the fitted mean (delta
        method), t the quantile of Student's distribution with the fit's degrees of freedom. The 1 is what a new
        observation varies by itself; without it the interval would be the mean's. Inside the observed capitals and for
        the right family the share of new observations in the interval is `level`; outside nothing is promised. An
        efficiency lies in [0, 1]: what the distribution puts beyond an end is observed at that end, for the interval
        and the confidence alike.

        The interval of the marginal is one of the curve, not of observations: U′ ± t·s·√v of its own v. A ladder's
        level and depth are moved by theirs, since between two steps its slope has no error of its own.
        """
        ready = self._predictors.get((level, interval)) if type(level) is float and type(interval) is str else None
        if ready is None:
            ready = self._prepared(level, interval)
        tolerances = self._tolerances.get(tolerance) if type(tolerance) is float else None
        if tolerances is None:
            tolerances = self._kept_tolerance(tolerance)
        rows, shape = self._capital_rows(capital)
        return ready.predict(rows, shape, tolerances, self._check_capital, capital)

    @functools.cached_property
    def _predictors(self) -> dict[tuple[float, str], Predictor]:
        """Keep what predictions need, by level and interval."""
        return {}

    @functools.cached_property
    def _tolerances(self) -> dict[float, Floats]:
        """Keep tolerances that were one number, an array each."""
        return {}

    def _kept_tolerance(self, tolerance: PerSymbol) -> Floats:
        """Check tolerances; those of the last few numbers are kept."""
        checked = keyed.per_symbol("tolerance", tolerance, self.symbols, _TOLERANCE, CurveError)
        if type(tolerance) is float:
            if len(self._tolerances) >= _LEVELS:
                self._tolerances.clear()
            checked.setflags(write=False)
            self._tolerances[tolerance] = checked
        return checked

    def _prepared(self, level: float, interval: str) -> Predictor:
        """Prepare predictions of a level; those of the last few levels are kept."""
        share = one_number("level", level, _LEVEL, CurveError)
        known = self._predictors.get((share, interval)) if isinstance(interval, str) else None
        if known is not None:
            return known
        made = predictor(self, share, interval)
        if len(self._predictors) >= _LEVELS:
            self._predictors.clear()
        self._predictors[share, interval] = made
        return made

    def saturation(self, drop: PerSymbol = 0.10) -> Saturation:
        """Find peak, saturation and capacity of every curve on [0, trusted_to].

        Parameters
        ----------
        drop : float or (n,)
            Share of the peak efficiency that must be lost, in (0, 1].

        Raises
        ------
        CurveError
            If `drop` is out of range.

        Examples
        --------
        >>> curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-5e-8, 1.0]], trusted_to=1e6)
        >>> found = curves.saturation()
        >>> found.saturation
        array([100000.,     inf])
        >>> found.capacity
        array([500000.,     inf])
        """
        from escala.kernels.curves import limits as kernels

        drops = keyed.per_symbol("drop", drop, self.symbols, _SHARE, CurveError)
        fitted = np.isfinite(self._root[:, 0])
        quantile = student_quantiles(np.where(self.df_resid > 0.0, self.df_resid, 1.0), _LIMITS_LEVEL)
        reach = np.where(self.df_resid > 0.0, self.residual_sd * quantile, np.inf)
        reach = np.where(fitted, reach, np.nan)
        out = np.empty((len(self), len(LIMITS)))
        span = np.subtract(self.observed[:, 1], self.observed[:, 0])
        kernels.limits(drops, reach, *self._arrays(), self._limits, self._roots, span, out, 0, len(self))
        return Saturation(
            **{row.name: out[:, place] for place, row in enumerate(LIMITS)}, drop=drops, symbols=self.symbols
        )

    def threshold(self, min_efficiency: PerSymbol) -> Floats:
        """Find the largest capital up to which the efficiency stays at least `min_efficiency`.

        Parameters
        ----------
        min_efficiency : float or (n,)
            Finite.

        Returns
        -------
        (n,) float64
            End of the first stretch on [0, trusted_to] with η ≥ `min_efficiency`: 0 if there is none, inf if it goes on
            at its end, NaN where there is no curve.

        Raises
        ------
        CurveError
            If `min_efficiency` is not finite.

        Examples
        --------
        >>> CurveSet.from_params(["A"], "linear", [[-1e-6, 1.0]]).threshold(0.99).round(6)
        array([10000.])
        """
        from escala.kernels.curves import limits as kernels

        least = keyed.per_symbol("min_efficiency", min_efficiency, self.symbols, _FINITE, CurveError)
        first, last = np.empty(len(self)), np.empty(len(self))
        kernels.threshold(least, *self._arrays(), self._limits, first, last, 0, len(self))
        return last

    def draw_params(self, draws: int, *, seed: int | np.random.Generator) -> Floats:
        """Draw coefficients from what the fits leave open, to see what follows if the curves are off.

        Parameters
        ----------
        draws : int
            How many sets of curves, at least 1.
        seed : int or numpy.random.Generator
            An integer of at least 0, or a generator; from that one integer is drawn, and counts as the seed.

        Returns
        -------
        (draws, n, 4) float64
            a, b, c, d as in `params` and over the same `origin`. Exactly 0 where a coefficient is not used, NaN where
            there is no curve; a curve without residuals is drawn as it is.

        Raises
        ------
        CurveError
            If `draws` or `seed` is out of range, or if nothing is known of a curve's errors: it was made without data,
            or no degree of freedom is left.

        Notes
        -----
        Linear, quadratic and sqrt: normal with mean `params` and `covariance`. Exponentials: η at the smallest and at
        the largest observed capital and log b are normal, with the means of the fit and the covariance that
        `covariance` gives them (delta method); a and c follow from them. So b stays positive, its median is that of
        the fit and its mean above it, and where errors are small the draws have the mean `params` and `covariance`
        too. Normal a, b and c would not do for exponentials: where the rate is uncertain by a third or more, many such
        draws miss the data. b times the range of capital is kept within what :func:`escala.fit` searches, 2⁻⁸ to
        2¹²: lines and steps. Hill: a, ln K and s are normal (delta method), brought back to where they may be. Ladder:
        the slopes together by a factor a, and the knots by a factor b whose logarithm is normal: its level and its
        depth are uncertain, its shape is not. The steps stay those of the curve, c and d as well.

        Instruments are independent, and each has a stream of numbers of its own, made from the seed and its symbol.
        Its draws depend on no other instrument, nor on its place, and more draws begin with the same ones. The bits
        are the same on one machine and version of NumPy.

        Errors of the residual standard deviation are left out: below some ten degrees of freedom the draws are
        narrower than the intervals of :meth:`predict`, which are Student's.

        Examples
        --------
        >>> from escala import fit
        >>> curves = fit(["A"], [[1e4, 2e4, 4e4, 6e4, 8e4]], [[0.99, 0.98, 0.97, 0.94, 0.93]], family="linear")
        >>> params = curves.draw_params(1000, seed=7)
        >>> params.shape
        (1000, 1, 4)
        >>> efficiency = params[:, 0, 0] * 1e5 + params[:, 0, 1]
        >>> bool(abs(efficiency.mean() - curves.efficiency(1e5)[0]) < 0.001)
        True
        """
        return drawing.draw(self, drawing.checked_count(draws), seed)

    def to_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Give every array by name, one entry a curve; ``a_se`` is the standard error of a."""
        small = {
            "symbol": self.symbols,
            "family": np.array(self.family_names, dtype=object),
            "status": np.array(self.status_names, dtype=object),
            **{name: self.params[:, place] for place, name in enumerate(COEFFICIENTS)},
            **{f"{name}_se": self.standard_errors[:, place] for place, name in enumerate(COEFFICIENTS)},
            "origin": self.origin,
            "smallest": self.observed[:, 0],
            "largest": self.observed[:, 1],
        }
        same = (
            "trusted_to",
            "n_points",
            "residual_sd",
            "df_resid",
            "r_squared",
            "mean_error",
            "max_error",
            "rmse",
            "aicc",
        )
        return small | {
            name: getattr(self, name) for name in (*same, "lack_of_fit", "misfit", "marked", "clipped", "set_aside")
        }

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row a curve, one column a number.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return table_file.dataframe(self.to_dict())

    def summary(self, *, rows: int = 20) -> str:
        """Say how many curves of which kind there are; show the first `rows` of them and their coefficients.

        Raises
        ------
        CurveError
            If `rows` is no integer of at least 0.
        """
        return curve_summary.of_curves(self, whole_number("rows", rows, 0, error=CurveError))

    def _repr_html_(self) -> str:
        """Show the first curves as a table in a notebook."""
        return html.table(curve_summary.columns(self[: html.SHOWN]), repr(self), len(self))

    def __repr__(self) -> str:
        return f"<CurveSet of {len(self):,} curve{'' if len(self) == 1 else 's'}: {curve_summary.families(self)}>"

    def _arrays(self) -> tuple[npt.NDArray[np.int8], Floats, Floats, Floats]:
        """Give what kernels take of curves: families, coefficients, origins and the steps of ladders."""
        return self._packed

    @functools.cached_property
    def _packed(self) -> tuple[npt.NDArray[np.int8], Floats, Floats, Floats]:
        return (
            np.ascontiguousarray(self.family),
            self._placed(np.ascontiguousarray(self.params)),
            np.ascontiguousarray(self.origin),
            self._steps.values,
        )

    def _placed(self, params: Floats) -> Floats:
        """Put into coefficients, of shape (…, n, 4), where the steps of ladders lie."""
        if self._steps.values.size == 0:
            return params
        placed = params.copy()
        ladders = self.family == Family.LADDER
        known = np.isfinite(placed[..., ladders, 0])
        placed[..., ladders, COEFFICIENTS.index("d")] = np.where(known, self._steps.offsets[:-1][ladders], np.nan)
        return placed

    @property
    def _ladders(self) -> npt.NDArray[np.bool_]:
        """Tell which curves are ladders."""
        ladders: npt.NDArray[np.bool_] = self._steps.sizes > 0
        return ladders

    def _most_level(self, ladders: npt.NDArray[np.bool_]) -> Floats:
        """Give the largest a of ladders, with which their first slope is 1."""
        size = self.params[ladders, COEFFICIENTS.index("c")].astype(np.int64)
        first = self._steps.values[self._steps.offsets[:-1][ladders] + size]
        with np.errstate(divide="ignore"):
            most: Floats = 1.0 / first
        return most

    def _forbidden(self, params: Floats) -> npt.NDArray[np.bool_]:
        """Tell which coefficients, of shape (…, n, 4), are not allowed in place of those of these curves."""
        wrong = forbidden_coefficients(params, self.family)
        ladder = self._ladders
        if ladder.any():
            level, _, steps, _ = np.moveaxis(params[..., ladder, :], -1, 0)
            wrong[..., ladder, 0] |= level > self._most_level(ladder) * (1.0 + ROUNDING)
            wrong[..., ladder, 2] |= (steps != self.params[ladder, 2]) & ~np.isnan(steps)
        return wrong

    @functools.cached_property
    def _limits(self) -> Floats:
        return np.ascontiguousarray(self.trusted_to)

    @functools.cached_property
    def _supported(self) -> Floats | None:
        """Capital from which on curves claim more than any of the records that contradict them returned; inf of others.

        None where records contradict no curve. A curve that is `marked` says more than its records somewhere; what none
        of them returned it cannot promise.
        """
        known = np.isfinite(self._returned)
        doubtful = np.flatnonzero(known & self.marked & self.has_curve) if known.any() else np.empty(0, dtype=np.int64)
        if doubtful.size == 0:
            return None
        out = np.full(len(self), np.inf)
        some, most = self[doubtful], self._returned[doubtful]
        grid = np.geomspace(some.observed[:, 0], some.trusted_to, _GRID, axis=1)
        over = some.utility(grid) > most[:, None]
        place = np.argmax(over, axis=1)
        each = np.arange(doubtful.size)
        low, high = grid[each, np.maximum(place - 1, 0)], grid[each, place]
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            beyond = some.utility(middle) > most
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        out[doubtful] = np.where(over.any(axis=1), low, np.inf)
        return out

    @functools.cached_property
    def _roots(self) -> Floats:
        return np.ascontiguousarray(self._root)

    def _given_capital(self, capital: PerSymbol) -> Floats:
        """Bring capital to an array in the order of the curves."""
        return to_floats("capital", keyed.by_symbol("capital", capital, self.symbols, CurveError), CurveError)

    def _capital_rows(self, capital: PerSymbol) -> tuple[Floats, tuple[int, ...]]:
        """Bring capital to (n, m) or (1, m), with the shape of the result."""
        # Plain capital is spared a call: a single question takes some microseconds in all.
        plain = type(capital) in keyed.PLAIN
        given = to_floats("capital", capital, CurveError) if plain else self._given_capital(capital)
        n = len(self)
        if given.ndim == 0:
            return given.reshape(1, 1), (n,)
        if given.ndim == 1 and given.size == n:
            return given.reshape(n, 1), (n,)
        if given.ndim == 1 and n == 1:
            return given.reshape(1, -1), (given.size,)
        if given.ndim == 2 and given.shape[0] in (1, n):
            return given, (n, given.shape[1])
        raise CurveError(
            f"capital of shape {given.shape} does not fit {n} curves: it must be a number, or of shape ({n},), "
            f"({n}, m) or (1, m)",
            arguments=("capital",),
        )

    def _evaluate(self, wanted: str, capital: PerSymbol, given: Floats | None, threads: int | None) -> Floats:
        from escala.kernels.curves import evaluate as kernels

        rows, shape = self._capital_rows(capital)
        crew = parallel.checked_threads(threads, CurveError)
        result = np.empty(shape) if given is None else _checked_out(given, shape)
        out = result.reshape(len(self), rows.shape[1])
        family, params, origin, steps = self._arrays()
        code = getattr(kernels, wanted)
        if out.size <= _SMALL:
            bad = np.empty(1, dtype=np.int64)
            kernels.evaluate(code, family, params, origin, steps, rows, out, bad, 0, out.size)
            if bad[0]:
                self._check_capital(capital)
            return result
        invalid: list[int] = []

        def make_part() -> parallel.Part:
            bad = np.zeros(1, dtype=np.int64)

            def part(start: int, stop: int) -> Iterator[None]:
                for begin in range(start, stop, _STEP):
                    end = min(begin + _STEP, stop)
                    kernels.evaluate(code, family, params, origin, steps, rows, out, bad, begin, end)
                    if bad[0]:
                        invalid.append(begin)
                    yield

            return part

        chunk = parallel.chunk_size(out.size, crew, largest=_STEP, multiple=8192)
        parallel.run(make_part, out.size, chunk=chunk, threads=crew)
        if invalid:
            self._check_capital(capital)
        return result

    def _check_capital(self, capital: PerSymbol) -> None:
        """Raise what is wrong with capital."""
        check_interval("capital", self._given_capital(capital), _CAPITAL, CurveError)


def _names(symbols: Sequence[str]) -> npt.NDArray[np.object_]:
    """Check n different, non-empty names."""
    if isinstance(symbols, Mapping | Set) or not isinstance(symbols, Iterable):
        raise CurveError(f"symbols must be a sequence, not {type(symbols).__name__}", arguments=("symbols",))
    given = [symbols] if isinstance(symbols, str) else list(symbols)
    names = np.empty(len(given), dtype=object)
    seen: dict[str, int] = {}
    for place, symbol in enumerate(given):
        if not isinstance(symbol, str) or not symbol:
            raise no_symbol(place, symbol, CurveError)
        if symbol in seen:
            message = f"symbols must differ, but symbols[{seen[symbol]}] and symbols[{place}] are both {symbol!r}"
            raise CurveError(message, arguments=("symbols",), indexes=((seen[symbol],), (place,)))
        seen[symbol] = place
        names[place] = str(symbol)
    return names


def _joined(parts: list[Any]) -> Any:
    return Ragged.concatenate(parts) if isinstance(parts[0], Ragged) else np.concatenate(parts)


def _checked_out(out: Floats, shape: tuple[int, ...]) -> Floats:
    sound = isinstance(out, np.ndarray) and out.dtype == np.float64 and out.flags.c_contiguous and out.flags.writeable
    if not sound or out.shape != shape:
        raise CurveError(f"out must be a writable C-contiguous float64 array of shape {shape}", arguments=("out",))
    return out


def _coefficients(params: PerSymbol, symbols: npt.NDArray[np.object_], family: npt.NDArray[np.int8]) -> Floats:
    given = to_floats("params", keyed.by_symbol("params", params, symbols, CurveError), CurveError)
    n = family.size
    if given.ndim != 2 or given.shape[0] != n or not 2 <= given.shape[1] <= PARAMS:
        allowed = ", ".join(f"({n}, {width})" for width in range(2, PARAMS))
        message = f"params of shape {given.shape} must be of shape {allowed} or ({n}, {PARAMS})"
        raise CurveError(message, arguments=("params",))
    used = np.array([len(FORMS[code].coefficients) for code in family.tolist()], dtype=np.int64)
    short = used > given.shape[1]
    if short.any():
        place = int(np.argmax(short))
        message = f"params[{place}] has {given.shape[1]} coefficients, a {_name(family[place])} curve has {used[place]}"
        raise CurveError(message, arguments=("params",))
    values = np.zeros((n, PARAMS))
    values[:, : given.shape[1]] = given
    unused = (values != 0.0) & (np.arange(PARAMS) >= used[:, None])
    if unused.any():
        place, k = (int(one) for one in np.argwhere(unused)[0])
        many = f"a {_name(family[place])} curve has {used[place]} coefficients"
        message = f"{many}, but params[{place}, {k}] = {float(values[place, k])!r}"
        raise CurveError(message, arguments=("params",), indexes=((place, k),))
    check_interval("params", values, _FINITE, CurveError)
    wrong = forbidden_coefficients(values, family)
    if wrong.any():
        place, k = (int(one) for one in np.argwhere(wrong)[0])
        message = f"{coefficient_rule(int(family[place]), k)}, but params[{place}, {k}] = {float(values[place, k])!r}"
        raise CurveError(message, arguments=("params",), indexes=((place, k),))
    return values


def _name(code: int) -> str:
    return FORMS[int(code)].name
