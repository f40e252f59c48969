"""What a sweep answers with."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, check_interval, to_floats
from escala.errors import ScenarioError
from escala.files import table as table_file
from escala.sweeps import accumulate, words
from escala.sweeps.accumulate import State
from escala.sweeps.plan import Plan
from escala.sweeps.response import Binned, Response, binned, response
from escala.sweeps.statistics import OutputStatistics
from escala.tables import FRACTION
from escala.text import html, numerals

if TYPE_CHECKING:
    import pandas

_QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


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
        return f"<SweepSummary of {numerals.counted(self.scenarios, 'scenario')}{stops and f': {stops}'}>"

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
        return {code.name: int(count) for code, count in zip(self.plan.model.stops, self.state.stops, strict=True)}

    @functools.cached_property
    def statistics(self) -> Mapping[str, OutputStatistics]:
        """Mean, standard deviation and extremes of each output."""
        merged = accumulate.merged(self.state)
        return {
            name: OutputStatistics.of(*map(float, (*merged[k], self.state.lowest[k], self.state.highest[k])))
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
        check_interval("q", asked, FRACTION)
        whole = self.plan.model.whole
        return {
            name: accumulate.quantiles(self.state, k, np.atleast_1d(asked), whole=name in whole).reshape(asked.shape)
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
            ``row`` (index in the design), the design's columns, ``stop`` if scenarios end, and the outputs.

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
        result = self.plan.model.evaluate(columns, self.plan.strategy, 1, self.outputs)
        given = (*(["stop"] if self.plan.model.stops else []), *self.outputs)
        return {"row": rows, **columns, **{name: np.asarray(getattr(result, name)) for name in given}}

    @functools.cached_property
    def _kept_whole(self) -> Floats:
        """The sample: one row a column of the design, then one an output."""
        return np.concatenate([self.state.sample[first] for first in sorted(self.state.sample)], axis=1)

    @functools.cached_property
    def _sample(self) -> tuple[dict[str, Binned], dict[str, Floats]]:
        columns = self._kept_whole
        names = len(self.plan.names)
        inputs = {name: binned(x) for name, x in zip(self.plan.names, columns[:names], strict=True)}
        return inputs, dict(zip(self.outputs, columns[names:], strict=True))

    @functools.cached_property
    def sample(self) -> dict[str, Floats]:
        """Rows that were kept whole, evenly spread over the design: inputs and outputs by name."""
        inputs, outputs = self._sample
        return {**{name: column.values for name, column in inputs.items()}, **outputs}

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
        return response(inputs[input_name], outputs[output])

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
        return table_file.dataframe(self._columns()).set_axis(list(self.outputs)).rename_axis("output")

    def _repr_html_(self) -> str:
        """Show the outputs as a table in a notebook."""
        return html.table({"output": list(self.outputs), **self._columns()}, repr(self))

    def _columns(self) -> dict[str, list[Any]]:
        """Give statistics, quantiles and sensitivities, one entry an output."""
        shown = self.quantiles(_QUANTILES)
        rows = {
            name: {
                **vars(self.statistics[name]),
                **{f"q{q:g}": float(v) for q, v in zip(_QUANTILES, shown[name], strict=True)},
                **{f"sensitivity_{key}": index for key, index in self.sensitivities[name].items()},
            }
            for name in self.outputs
        }
        return {key: [row[key] for row in rows.values()] for key in next(iter(rows.values()))}

    def summary(self) -> str:
        """Say in words what happened: counts, outputs, and which inputs they depend on."""
        return words.of(
            self.plan.model, self.scenarios, self.stops, self.statistics, self.quantiles(words.QUANTILES),
            self.sensitivities,
        )  # fmt: skip
