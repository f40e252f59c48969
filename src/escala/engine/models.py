"""The models that an engine answers from."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.curves.curveset import CurveSet
from escala.engine.results import ModelInfo
from escala.errors import UnknownSymbolError
from escala.store import SaturationPoint, StoredModels
from escala.tables import LIMITS, names


@dataclass
class Models:
    """The current model of every symbol."""

    curves: CurveSet
    version: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int64]  # highest record or removal that the training knew of
    trained_at: npt.NDArray[np.datetime64]
    saturation: Floats
    capacity: Floats
    place: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.place = {symbol: k for k, symbol in enumerate(self.curves.symbols.tolist())}

    @classmethod
    def stored(cls, found: StoredModels, drop: float) -> Models:
        """Take models from a store; where they end counts by one's own drop."""
        ends = found.curves.saturation(drop)
        return cls(found.curves, found.version, found.last_record_id, found.trained_at, ends.saturation, ends.capacity)

    def take(self, symbols: Iterable[str]) -> CurveSet:
        """Give the curves of some symbols, all of which have one.

        Raises
        ------
        UnknownSymbolError
            If one has none any more: its records were deleted.
        """
        chosen = list(symbols)
        for symbol in chosen:
            if symbol not in self.place:
                raise UnknownSymbolError.among(symbol, self.place)
        return self.curves[[self.place[symbol] for symbol in chosen]]

    def limits(self, symbol: str) -> tuple[float, float] | None:
        """Give a symbol's saturation and capacity; None where there is no model."""
        place = self.place.get(symbol)
        return None if place is None else (float(self.saturation[place]), float(self.capacity[place]))

    def saturation_points(self, drop: float) -> dict[str, SaturationPoint]:
        """Give where each symbol saturates."""
        found = self.curves.saturation(drop)
        columns = {name: getattr(found, name).tolist() for name in (*names(LIMITS), "drop")}
        return {
            symbol: SaturationPoint(
                **{name: column[k] for name, column in columns.items()},
                version=int(self.version[k]),
                trained_at=utc(self.trained_at[k]),
            )
            for symbol, k in self.place.items()
        }

    def info(self, symbol: str, *, stale: bool) -> ModelInfo:
        """Tell what is known of a symbol's model."""
        place = self.place[symbol]
        one = self.curves[place]
        return ModelInfo(
            symbol=symbol,
            version=int(self.version[place]),
            trained_at=utc(self.trained_at[place]),
            stale=stale,
            family=one.family_names[0],
            status=one.status_names[0],
            params=tuple(one.params[0].tolist()),
            n_points=int(one.n_points[0]),
            set_aside=int(one.set_aside[0]),
            r_squared=float(one.r_squared[0]),
            rmse=float(one.rmse[0]),
            lack_of_fit=float(one.lack_of_fit[0]),
            observed=tuple(one.observed[0].tolist()),
            saturation=float(self.saturation[place]),
            capacity=float(self.capacity[place]),
        )

    def newer_in(self, other: Models) -> list[int]:
        """Find the places of the models in `other` that are newer than those here, or not here at all."""
        return [
            k
            for k, (symbol, version) in enumerate(zip(other.place, other.version.tolist(), strict=True))
            if symbol not in self.place or version > self.version[self.place[symbol]]
        ]

    def versions(self, symbols: Iterable[str]) -> npt.NDArray[np.int64]:
        """Give the versions of some symbols' models; 0 where there is none."""
        known = (self.place.get(symbol) for symbol in symbols)
        return np.array([0 if place is None else self.version[place] for place in known], dtype=np.int64)

    def without(self, symbol: str) -> Models:
        """Give these models but that of a symbol."""
        kept = np.delete(np.arange(len(self.place)), self.place[symbol])
        columns = ("version", "seen", "trained_at", "saturation", "capacity")
        return Models(self.curves[kept], **{name: getattr(self, name)[kept] for name in columns})

    def replaced(self, other: Models, chosen: list[int]) -> Models:
        """Give these models, with the chosen ones of `other` in place of those of the same symbols."""
        symbols = other.curves.symbols[chosen].tolist()
        kept = np.setdiff1d(np.arange(len(self.place)), [self.place[name] for name in symbols if name in self.place])
        return Models(
            curves=CurveSet.concatenate([self.curves[kept], other.curves[chosen]]),
            **{
                name: np.concatenate([getattr(self, name)[kept], getattr(other, name)[chosen]])
                for name in ("version", "seen", "trained_at", "saturation", "capacity")
            },
        )


def no_models() -> Models:
    """Begin with nothing."""
    nothing = CurveSet.from_params([], "linear", np.zeros((0, 2)))
    none = np.zeros(0, dtype=np.int64)
    return Models(nothing, none, none, np.zeros(0, dtype="datetime64[us]"), np.zeros(0), np.zeros(0))


def utc(moment: np.datetime64) -> datetime.datetime:
    """Give a moment its time zone."""
    found: datetime.datetime = moment.astype("datetime64[us]").astype(datetime.datetime)
    return found.replace(tzinfo=datetime.UTC)
