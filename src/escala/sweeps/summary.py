"""What a sweep answers with."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, check_interval, to_floats
from escala.errors import ScenarioError
from escala.files import table as table_file
from escala.lending.result import LendingResult, StopReason
from escala.lending.simulate import simulate
from escala.lending.stops import STOP_WORDS
from escala.lending.strategy import ARGUMENT_NAMES, LendingStrategy
from escala.sweeps import accumulate
from escala.sweeps.accumulate import State
from escala.sweeps.plan import WHOLE, Plan
from escala.tables import Interval
from escala.text import numerals

if TYPE_CHECKING:
    import pandas

BINS: Final = 32  # of an input, for its sensitivities
_SHOWN = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class OutputStatistics:
    """One output over all scenarios of a sweep.

    Attributes
    ----------
    finite : int
        Scenarios in which it is a finite number.
    mean, standard_deviation : float
        Over those, the latter with n − 1; NaN where there are none, or one.
    lowest, highest : float
        Extremes, infinities included.
    """

    finite: int
    mean: float
    standard_deviation: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Response:
    """Means of an output over bins of an input.

    Attributes
    ----------
    centre : (b,) float
        Mean of the input in each bin.
    mean : (b,) float
        Mean of the output there.
    count : (b,) int
        Rows of the sample there.
    index : float
        First-order sensitivity index: the share of the output's variance that the input alone explains.
    """

    centre: Floats
    mean: Floats
    count: npt.NDArray[np.int64]
    index: float


@dataclass(frozen=True, eq=False)
class SweepSummary:
    """What became of all scenarios of a sweep; the same bits for any threads, chunks and machines.

    Attributes
    ----------
    plan : Plan
        What was swept.
    state : State
        Totals over all rows.
    """

    plan: Plan
    state: State

    def __repr__(self) -> str:
        stops = ", ".join(f"{name} {count:,}" for name, count in self.stops.items())
        return f"<SweepSummary of {numerals.counted(self.scenarios, 'scenario')}: {stops}>"

    @property
    def scenarios(self) -> int:
        """Number of scenarios."""
        return self.state.rows

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outputs that were kept."""
        return self.plan.outputs

    @property
    def stops(self) -> dict[str, int]:
        """Scenarios by the reason of their end."""
        return {reason.name.lower(): int(self.state.stops[reason]) for reason in StopReason}

    @functools.cached_property
    def statistics(self) -> Mapping[str, OutputStatistics]:
        """Mean, standard deviation and extremes of each output."""
        merged = accumulate.merged(self.state)
        return {
            name: _statistics(*map(float, (*merged[k], self.state.lowest[k], self.state.highest[k])))
            for k, name in enumerate(self.outputs)
        }

    def quantiles(self, q: npt.ArrayLike) -> dict[str, Floats]:
        """Give quantiles of each output: the ⌈q·n⌉-th smallest of its n values, to ± 0.4 %.

        Parameters
        ----------
        q : array_like
            In [0, 1].

        Returns
        -------
        dict of str to array
            Of the shape of `q`, infinities included, NaN left out.

        Raises
        ------
        ScenarioError
            If a q is outside [0, 1].
        """
        asked = to_floats("q", q)
        check_interval("q", asked, Interval(0.0, 1.0))
        return {
            name: accumulate.quantiles(self.state, k, np.atleast_1d(asked), whole=name in WHOLE).reshape(asked.shape)
            for k, name in enumerate(self.outputs)
        }

    def best(self, output: str, *, lowest: bool = False) -> dict[str, npt.NDArray[Any]]:
        """Give the rows in which an output is highest (or lowest), the best first; of equals the earlier row.

        Parameters
        ----------
        output : str
            One of `outputs`.
        lowest : bool, default False
            Look for the smallest values.

        Returns
        -------
        dict of str to array
            ``row`` (index in the design), the design's columns, ``stop`` and the outputs.

        Raises
        ------
        ScenarioError
            If the output was not kept.
        """
        if output not in self.outputs:
            raise ScenarioError(
                f"{output!r} was not kept: outputs are {', '.join(self.outputs)}", arguments=("output",)
            )
        rows = self.state.best_rows[2 * self.outputs.index(output) + lowest]
        places = np.searchsorted(self._best["row"], rows[rows >= 0])
        return {name: column[places] for name, column in self._best.items()}

    @functools.cached_property
    def _best(self) -> dict[str, npt.NDArray[Any]]:
        """Make the best rows of all outputs again, each once: rows are a function of their index."""
        rows = np.unique(self.state.best_rows[self.state.best_rows >= 0])
        made = [self.plan.design.rows(int(i), int(i) + 1) for i in rows]
        columns = {name: np.array([float(row[name][0]) for row in made]) for name in self.plan.names}
        result = simulate_columns(columns, self.plan.strategy)
        outputs = {name: np.asarray(getattr(result, name)) for name in self.outputs}
        return {"row": rows, **columns, "stop": np.asarray(result.stop), **outputs}

    @functools.cached_property
    def _kept_whole(self) -> Floats:
        """The sample: one row a column of the design, then one an output."""
        return np.concatenate([self.state.sample[first] for first in sorted(self.state.sample)], axis=1)

    @functools.cached_property
    def _sample(self) -> tuple[dict[str, _Binned], dict[str, Floats]]:
        columns = self._kept_whole
        names = len(self.plan.names)
        inputs = {name: _binned(x) for name, x in zip(self.plan.names, columns[:names], strict=True)}
        return inputs, dict(zip(self.outputs, columns[names:], strict=True))

    @functools.cached_property
    def sample(self) -> dict[str, Floats]:
        """Rows that were kept whole, evenly spread over the design: inputs and outputs by name."""
        inputs, outputs = self._sample
        return {**{name: binned.values for name, binned in inputs.items()}, **outputs}

    def response(self, input_name: str, output: str) -> Response:
        """Give the means of an output over bins of one input, whatever the other inputs were.

        Parameters
        ----------
        input_name : str
            A column of the design.
        output : str
            One of `outputs`.

        Returns
        -------
        Response
            A bin a value where the input has at most 32 values, else 32 bins of equal numbers of rows.

        Raises
        ------
        ScenarioError
            If there is no such input or output.

        Notes
        -----
        From a sample of rows, evenly spread over the design and kept whole: all of them up to 32,768 rows, then at most
        so many, but at least one in 2,048. Rows in which the output is not finite are left out. The index is
        Σ nⱼ(ȳⱼ − ȳ)²/Σ(y − ȳ)² less what chance alone would give with as many bins, (b − 1)/(n − b) of the rest.
        """
        inputs, outputs = self._sample
        for what, name, known in (("input", input_name, inputs), ("output", output, outputs)):
            if name not in known:
                raise ScenarioError(f"no {what} {name!r}: there are {', '.join(known)}", arguments=(what,))
        return _response(inputs[input_name], outputs[output])

    @functools.cached_property
    def sensitivities(self) -> Mapping[str, Mapping[str, float]]:
        """First-order index of each output (outer name) to each input (inner name), as in :meth:`response`."""
        return {
            output: {name: self.response(name, output).index for name in self.plan.names} for output in self.outputs
        }

    @functools.cached_property
    def digest(self) -> str:
        """Hash of every bit of the answer: two sweeps agree exactly if these are equal."""
        hashed = hashlib.sha256(self.plan.digest.encode())
        state = self.state
        for array in (
            state.stops, accumulate.merged(state), state.lowest, state.highest, *state.bins, *state.counts,
            state.best, state.best_rows, self._kept_whole,
        ):  # fmt: skip
            hashed.update(np.ascontiguousarray(array).tobytes())
        return hashed.hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Give all of it by name: counts, a mapping an output, and the best rows."""
        shown = self.quantiles(_QUANTILES)
        return {
            "scenarios": self.scenarios,
            "stops": self.stops,
            "outputs": {
                name: {
                    **vars(self.statistics[name]),
                    "quantiles": {f"{q:g}": float(v) for q, v in zip(_QUANTILES, shown[name], strict=True)},
                    "sensitivities": dict(self.sensitivities[name]),
                    "highest_rows": {key: column.tolist() for key, column in self.best(name).items()},
                    "lowest_rows": {key: column.tolist() for key, column in self.best(name, lowest=True).items()},
                }
                for name in self.outputs
            },
            "digest": self.digest,
        }

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row an output: statistics, quantiles and sensitivities.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        shown = self.quantiles(_QUANTILES)
        rows = {
            name: {
                **vars(self.statistics[name]),
                **{f"q{q:g}": float(v) for q, v in zip(_QUANTILES, shown[name], strict=True)},
                **{f"sensitivity_{key}": index for key, index in self.sensitivities[name].items()},
            }
            for name in self.outputs
        }
        columns = {key: [row[key] for row in rows.values()] for key in next(iter(rows.values()))}
        return table_file.dataframe(columns).set_axis(list(rows)).rename_axis("output")

    def summary(self) -> str:
        """Say in words what happened: counts, outputs, and which inputs they depend on."""
        n = self.scenarios
        lines = [numerals.counted(n, "scenario")]
        lines += [
            f"  {text:<24}{count:>14,}{count / n:>9.2%}"
            for text, count in zip(STOP_WORDS, self.stops.values(), strict=True)
        ]
        heads = ("mean", "sd", "lowest", "5 %", "median", "95 %", "highest")
        lines += ["", f"  {'output':<22}" + "".join(f"{head:>13}" for head in heads)]
        lines += [f"  {name:<22}" + "".join(f"{cell:>13}" for cell in self._cells(name)) for name in self.outputs]
        lines += ["", f"  share of the variance that one input explains{'':<4}(the largest three)"]
        lines += [f"  {name:<22}   {self._largest(name)}" for name in self.outputs]
        lines += [f"  warning: {warning}" for warning in self._warnings()]
        return "\n".join(lines)

    def _cells(self, name: str) -> list[str]:
        s = self.statistics[name]
        low, median, high = self.quantiles(_SHOWN)[name]
        numbers = (s.mean, s.standard_deviation, s.lowest, low, median, high, s.highest)
        return [numerals.amount(float(number)) for number in numbers]

    def _largest(self, name: str) -> str:
        ranked = sorted(self.sensitivities[name].items(), key=lambda item: -item[1] if item[1] == item[1] else 1.0)
        shown = [f"{key} {index:.0%}" for key, index in ranked[:3] if index >= 0.005]
        return ", ".join(shown) or "–"

    def _warnings(self) -> list[str]:
        if "profit" not in self.outputs or "net_equity_change" in self.outputs:
            return []
        return [
            "profit is cash drawn by new debt and owed back; net_equity_change, which was not kept, says what it cost"
        ]


_QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def simulate_columns(columns: Mapping[str, Floats], strategy: LendingStrategy) -> LendingResult:
    """Simulate rows of a design."""
    fields = {name: column for name, column in columns.items() if name not in ARGUMENT_NAMES}
    start = (columns[name] for name in ARGUMENT_NAMES)
    return simulate(*start, strategy=strategy.replace(**fields), threads=1)


def _statistics(finite: float, mean: float, squares: float, lowest: float, highest: float) -> OutputStatistics:
    spread = math.sqrt(squares / (finite - 1.0)) if finite > 1.0 else math.nan
    return OutputStatistics(int(finite), mean if finite else math.nan, spread, lowest, highest)


@dataclass(frozen=True)
class _Binned:
    """An input of the sample, and the bin of each of its values."""

    values: Floats
    place: npt.NDArray[np.intp]


def _binned(x: Floats) -> _Binned:
    """Find bins: one a value while there are few, else bins of equal numbers."""
    in_order = np.sort(x)
    first = np.concatenate([[True], in_order[1:] != in_order[:-1]])
    if np.count_nonzero(first) <= BINS:
        return _Binned(x, np.searchsorted(in_order[first], x))
    cuts = np.unique(in_order[np.arange(1, BINS) * x.size // BINS])
    return _Binned(x, np.searchsorted(cuts, x, side="right"))


def _response(x: _Binned, y: Floats) -> Response:
    finite = np.isfinite(y)
    place, values, y = x.place[finite], x.values[finite], y[finite]
    if y.size == 0:
        nothing = np.empty(0)
        return Response(nothing, nothing, np.empty(0, dtype=np.int64), math.nan)
    count = np.bincount(place)
    used = count > 0
    count = count[used]
    # Differences from the mean, so that sums of squares lose nothing to cancellation; by way of one of the values, so
    # that they are exactly zero where all of them are equal.
    rest = y - y[0]
    shift = rest.mean()
    rest -= shift
    sums = np.bincount(place, rest)[used]
    whole = float((rest * rest).sum())  # not by BLAS, whose order of summation is its own
    between = float((sums * sums / count).sum())
    degrees = y.size - count.size
    chance = (count.size - 1) * max(0.0, whole - between) / degrees if degrees > 0 else 0.0
    index = max(0.0, between - chance) / whole if whole > 0.0 else math.nan
    return Response(np.bincount(place, values)[used] / count, y[0] + (shift + sums / count), count, index)
