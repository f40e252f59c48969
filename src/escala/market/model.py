"""The market as a model: what designs, sweeps, tuning, pictures and commands take.

A scenario is a parameter set, a position in its market; what comes out of it are statistics over paths. Sets of one
market share their paths, which seed and number of the path make alone, so no set depends on those beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from escala import tables
from escala.arrays import FloatLike, Floats, broadcast_shape
from escala.errors import MarketError
from escala.market import columns
from escala.market.settings import SECTIONS, MarketSettings
from escala.market.slices import LEVELS, MarketSlices
from escala.market.statistics import AVERAGED, DERIVED, PARTIAL, PROBABILITIES, RANKED, SHARES, quantile_name
from escala.model import Model
from escala.tables import FROM_ZERO, MANY, Quantity, Table

__all__ = ["MODEL", "MarketModel"]

_AT_ONCE: Final = 16_384  # parameter sets whose statistics are worked out together


class MarketModel(Model):
    """Positions of :func:`escala.simulate_market`, with :class:`escala.MarketSettings` as settings."""

    def settings(self, given: Any) -> MarketSettings:
        """Check that a caller gave settings: there is no default of a market."""
        if not isinstance(given, MarketSettings):
            raise MarketError(f"strategy must be MarketSettings, not {given!r}", arguments=("strategy",))
        return given

    def numbers(self, settings: Any) -> dict[str, Floats]:
        """Give the numbers of settings by the names of columns."""
        given: MarketSettings = settings
        return given.numbers()

    def replaced(self, settings: Any, changes: Mapping[str, FloatLike]) -> MarketSettings:
        """Give settings with other numbers in the place of some."""
        given: MarketSettings = settings
        return given.replaced(changes)

    def described(self, settings: Any) -> dict[str, Any]:
        """Give all that results depend on as JSON knows it."""
        given: MarketSettings = settings
        return given.described()

    def read(self, content: Mapping[str, Any]) -> MarketSettings:
        """Give the settings that the tables of a file describe."""
        return MarketSettings.from_dict({name: content[name] for name in self.sections if name in content})

    def check_names(self, given: Sequence[str], settings: Any) -> None:
        """Check that columns go with settings."""
        own: MarketSettings = settings
        own.check_names(given)

    def tuned_with(self, settings: Any) -> dict[str, tuple[float, float]]:
        """Give the bands that the policy has."""
        own = self.numbers(settings)
        return {
            name: bounds
            for target, health in columns.TARGETS.items()
            if target in own
            for name, bounds in ((health, self.tuned[health]), (target, self.tuned[target]))
        }

    def halves(self, settings: Any) -> tuple[MarketSettings, MarketSettings]:
        """Give settings to tune on, and others of paths that were not seen there."""
        given: MarketSettings = settings
        return given.halves()

    def slices(
        self,
        varied: Sequence[str],  # noqa: ARG002
        settings: Any,
        rows: int,  # noqa: ARG002
        outputs: Sequence[str],
        threads: int,
    ) -> MarketSlices:
        """Give what works through slices of parameter sets."""
        return MarketSlices(settings, outputs, threads)

    def evaluate(
        self, columns: Mapping[str, Floats], settings: Any, threads: int, outputs: Sequence[str] | None = None
    ) -> SimpleNamespace:
        """Walk parameter sets along all paths."""
        wanted = self.output_names if outputs is None else tuple(outputs)
        shape = broadcast_shape(columns, MarketError)
        wide = {name: np.broadcast_to(column, shape).reshape(-1) for name, column in columns.items()}
        n = int(np.prod(shape, dtype=np.int64))
        slices = MarketSlices(settings, wanted, threads)
        found = {name: np.empty(n) for name in wanted}
        for first in range(0, n, _AT_ONCE):
            last = min(first + _AT_ONCE, n)
            some = {name: np.ascontiguousarray(column[first:last]) for name, column in wide.items()}
            for _ in slices.run(some, last - first):
                pass
            result = slices.result(some, last - first)
            for name, values in found.items():
                values[first:last] = getattr(result, name)
        return SimpleNamespace(**{name: values.reshape(shape) for name, values in found.items()})


def _outputs() -> Table:
    """Name everything that a parameter set gives, in the order of :meth:`escala.MarketResult.to_dict`."""
    rows: dict[str, Quantity] = {row.name: row for row in tables.MARKET_OUTPUTS}
    rows |= {name: row for name, (row, _) in DERIVED.items()}
    found: list[Quantity] = []
    for name, (row, _) in SHARES.items():
        found.append(row)
        found.append(Quantity(f"{name}_error", f"Standard error of {name}", row.unit, FROM_ZERO))
        found += [
            Quantity(f"{name}_{end}", f"{end.capitalize()} end of its interval", row.unit, row.values)
            for end in ("low", "high")
        ]
    for name in AVERAGED:
        row, mean = rows[name], f"Mean over paths: {rows[name].doc[:1].lower()}{rows[name].doc[1:]}"
        found.append(Quantity(f"{name}_mean", mean, row.unit))
        found.append(Quantity(f"{name}_sd", f"Standard deviation of {name} over paths", row.unit, FROM_ZERO))
        found.append(Quantity(f"{name}_error", f"Standard error of {name}_mean", row.unit, FROM_ZERO))
    found += [Quantity(f"{name}_finite", f"Paths on which {name} is finite", "count", MANY) for name in PARTIAL]
    for name in RANKED:
        found += [
            Quantity(quantile_name(name, q), f"The {q:g}-quantile of {name}", rows[name].unit) for q in LEVELS
        ]  # fmt: skip
    return (
        *found,
        Quantity("var", "Value at risk: the loss that a share `level` of paths does not exceed", "amount"),
        Quantity("cvar", "Mean loss in the worst 1 - `level` of paths", "amount"),
        Quantity("cvar_error", "Standard error of cvar", "amount", FROM_ZERO),
    )


_BANDS: Final = {
    "deleverage_health": (1.0, 2.0),
    "deleverage_target": (1.0, 3.0),
    "boost_health": (1.0, 4.0),
    "boost_target": (1.0, 4.0),
    "topup_health": (1.0, 2.0),
    "topup_target": (1.0, 3.0),
}

#: The market. Its scenarios do not end one way or another: what comes out are statistics over paths.
MODEL: Final = MarketModel(
    name="market",
    function="simulate_market",
    settings_type="MarketSettings",
    arguments=(),
    fields=columns.FIELDS,
    ordered=columns.ORDERED,
    strict=columns.STRICT,
    outputs=_outputs(),
    kept=(
        "liquidation_probability", "ruin_probability", "end_equity_mean", "end_equity_error", "return_q5", "return_q50",
        "cvar", "lowest_health_q5",
    ),
    tuned=_BANDS,
    errors={
        **{name: f"{name}_error" for name in PROBABILITIES},
        **{f"{name}_mean": f"{name}_error" for name in AVERAGED},
        "cvar": "cvar_error",
    },
    unseen="other paths",
    sections=SECTIONS,
    error=MarketError,
)  # fmt: skip
