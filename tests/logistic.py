"""A small model in plain NumPy: a stock that grows logistically while a share of it is harvested each year."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from escala.arrays import FloatLike, Floats, to_floats
from escala.errors import InputError
from escala.model import Model
from escala.tables import FRACTION, Code, Interval, Quantity

GONE = 0.01  # a stock below it is extinct


class GrowthError(InputError):
    """A stock that cannot be."""


@dataclass(frozen=True)
class Growth:
    """What all stocks share."""

    rate: FloatLike = 0.5
    harvest: FloatLike = 0.1
    years: FloatLike = 40


@dataclass(frozen=True)
class Stocks:
    """What became of stocks."""

    final: Floats
    harvested: Floats
    lived: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]


def grow(stock: Floats, rate: Floats, harvest: Floats, years: Floats) -> Stocks:
    x, rate, harvest, years = (np.array(a) for a in np.broadcast_arrays(stock, rate, harvest, years))
    harvested, lived = np.zeros_like(x), np.zeros(x.shape, dtype=np.int64)
    for year in range(int(years.max())):
        alive = (year < years) & (x >= GONE)
        taken = np.where(alive, harvest * x, 0.0)
        x = np.where(alive, x + rate * x * (1.0 - x) - taken, x)
        harvested += taken
        lived += alive
    return Stocks(x, harvested, lived, (x < GONE).astype(np.int64))


class Slices:
    """Slices of stocks, in two steps."""

    def __init__(self, settings: Growth) -> None:
        self._settings = settings
        self._parts: list[Stocks] = []

    def run(self, columns: Mapping[str, Floats], n: int) -> Iterator[None]:
        fields: dict[str, Any] = {**vars(self._settings), **columns}
        self._parts = []
        for part in (slice(0, n // 2), slice(n // 2, n)):
            if part.stop > part.start:
                cut = {name: value[part] if name in columns else np.array(value) for name, value in fields.items()}
                self._parts.append(grow(**cut))
            yield

    def result(self, columns: Mapping[str, Floats], n: int) -> Stocks:
        assert all(column.size == n for column in columns.values())
        names = [field.name for field in dataclasses.fields(Stocks)]
        return Stocks(*(np.concatenate([getattr(part, name) for part in self._parts]) for name in names))


class Logistic(Model):
    """The model itself."""

    def settings(self, given: Any) -> Growth:
        if given is not None and not isinstance(given, Growth):
            raise GrowthError(f"strategy must be a Growth, not {given!r}", arguments=("strategy",))
        return given or Growth()

    def numbers(self, settings: Any) -> dict[str, Floats]:
        return {name: to_floats(name, value) for name, value in vars(settings).items()}

    def replaced(self, settings: Any, changes: Mapping[str, FloatLike]) -> Growth:
        replaced = Growth(**{**vars(settings), **changes})
        self.check(self.numbers(replaced), replaced)
        return replaced

    def slices(self, varied: Sequence[str], settings: Any, rows: int, outputs: Sequence[str], threads: int) -> Slices:
        assert set(varied) >= {"stock"}
        assert rows % 2048 == 0
        assert threads >= 1
        assert set(outputs) <= {"final", "harvested", "lived"}
        return Slices(settings)

    def evaluate(
        self, columns: Mapping[str, Floats], settings: Any, threads: int, outputs: Sequence[str] | None = None
    ) -> Stocks:
        assert threads >= 1
        assert set(outputs or ()) <= {"final", "harvested", "lived"}
        return grow(**{**self.numbers(settings), **columns})


MODEL = Logistic(
    name="logistic",
    function="grow",
    settings_type="Growth",
    arguments=(Quantity("stock", "At first", "share", Interval(0.0, 2.0)),),
    fields=(
        Quantity("rate", "Growth a year", "ratio", Interval(0.0, 3.0), 0.5),
        Quantity("harvest", "Share taken a year", "fraction", FRACTION, 0.1),
        Quantity("years", "How long", "count", Interval(1, 1000, integer=True), 40),
    ),
    ordered=(("harvest", "rate"),),
    outputs=(
        Quantity("final", "At the end", "share"),
        Quantity("harvested", "In all", "share"),
        Quantity("lived", "Years before it was extinct", "count", Interval(0, 1000, integer=True)),
    ),
    kept=("final", "harvested"),
    stops=(Code("survived", 0, "still there"), Code("extinct", 1, "died out")),
    goal=Code("survived", 0, "survive"),
    tuned={"harvest": (0.0, 0.5)},
    misleading={"harvested": ("final", "a harvest may eat the stock: final says what is left")},
    error=GrowthError,
)
#: The same where nobody asks how a stock ends.
ENDLESS = dataclasses.replace(MODEL, name="endless", stops=(), goal=None)
