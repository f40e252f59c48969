"""The models that an engine answers from."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from escala.curves.curveset import CurveSet
from escala.curves.prediction import Saturation
from escala.engine.results import ModelInfo
from escala.errors import UnknownSymbolError
from escala.store import SaturationPoint, StoredModels
from escala.tables import LIMITS, names


@dataclass(frozen=True, eq=False)
class Model:
    """A symbol's curve and what is known of it.

    Attributes
    ----------
    curve : CurveSet
        One.
    version : int
        Number of its training in the store; 0 if it has none yet.
    seen : int
        Highest number of a record or removal that the training knew of.
    trained_at : int
        Microseconds since 1970 when its records were read.
    saturation, capacity : float
        Where it ends.
    """

    curve: CurveSet
    version: int
    seen: int
    trained_at: int
    saturation: float
    capacity: float

    @functools.cached_property
    def as_of(self) -> datetime.datetime:
        """When its records were read, as a date."""
        return utc(self.trained_at)

    @functools.cached_property
    def family(self) -> str:
        """Name of the curve's family."""
        return self.curve.family_names[0]


def parted(
    curves: CurveSet,
    ends: Saturation,
    *,
    version: Sequence[int],
    seen: Sequence[int],
    trained_at: Sequence[int],
) -> dict[str, Model]:
    """Take curves apart: each is replaced alone."""
    columns = (version, seen, trained_at, ends.saturation.tolist(), ends.capacity.tolist())
    return {
        symbol: Model(curves[k], *known)
        for k, (symbol, *known) in enumerate(zip(curves.symbols.tolist(), *columns, strict=True))
    }


def stored(found: StoredModels, drop: float) -> dict[str, Model]:
    """Take models from a store; where they end counts by one's own drop."""
    return parted(
        found.curves,
        found.curves.saturation(drop),
        version=found.version.tolist(),
        seen=found.last_record_id.tolist(),
        trained_at=found.trained_at.astype("datetime64[us]").astype(np.int64).tolist(),
    )


class Models:
    """The current model of every symbol."""

    def __init__(self) -> None:
        self._models: dict[str, Model] = {}
        self._joined: tuple[list[Model], CurveSet] = ([], CurveSet.concatenate([]))  # curves that were asked for last

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._models

    def __getitem__(self, symbol: str) -> Model:
        return self._models[symbol]

    def get(self, symbol: str) -> Model | None:
        """Give a symbol's model; None where there is none."""
        return self._models.get(symbol)

    def take(self, symbols: Iterable[str]) -> CurveSet:
        """Give the curves of some symbols, all of which have one.

        Raises
        ------
        UnknownSymbolError
            If one has none any more: its records were deleted.
        """
        chosen = []
        for symbol in symbols:
            if symbol not in self._models:
                raise UnknownSymbolError.among(symbol, self._models)
            chosen.append(self._models[symbol])
        last, curves = self._joined
        if chosen != last:
            curves = CurveSet.concatenate([model.curve for model in chosen])
            self._joined = chosen, curves
        return curves

    def limits(self, symbol: str) -> tuple[float, float] | None:
        """Give a symbol's saturation and capacity; None where there is no model."""
        model = self._models.get(symbol)
        return None if model is None else (model.saturation, model.capacity)

    def saturation_points(self, drop: float) -> dict[str, SaturationPoint]:
        """Give where each symbol saturates, in the order of their trainings."""
        symbols = sorted(self._models, key=lambda symbol: self._models[symbol].version)
        found = self.take(symbols).saturation(drop)
        columns = {name: getattr(found, name).tolist() for name in (*names(LIMITS), "drop")}
        return {
            symbol: SaturationPoint(
                **{name: column[k] for name, column in columns.items()},
                version=self._models[symbol].version,
                trained_at=utc(self._models[symbol].trained_at),
            )
            for k, symbol in enumerate(symbols)
        }

    def info(self, symbol: str, *, stale: bool) -> ModelInfo:
        """Tell what is known of a symbol's model."""
        model = self._models[symbol]
        one = model.curve
        return ModelInfo(
            symbol=symbol,
            version=model.version,
            trained_at=utc(model.trained_at),
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
            saturation=model.saturation,
            capacity=model.capacity,
        )

    def newer_in(self, other: Mapping[str, Model]) -> dict[str, Model]:
        """Choose those of others that are newer than the ones here and know no less, or that are new."""
        return {
            symbol: model
            for symbol, model in other.items()
            if (own := self._models.get(symbol)) is None or (model.version > own.version and model.seen >= own.seen)
        }

    def version_of(self, symbol: str) -> int:
        """Give the number of a symbol's last training in the store; 0 where there is none."""
        model = self._models.get(symbol)
        return 0 if model is None else model.version

    def number(self, symbols: Iterable[str], versions: npt.NDArray[np.int64]) -> None:
        """Take note of the numbers under which trainings were kept."""
        for symbol, version in zip(symbols, versions.tolist(), strict=True):
            model = self._models.get(symbol)
            if model is not None and version > model.version:
                self._models[symbol] = replace(model, version=version)

    def remove(self, symbol: str) -> None:
        """Have no model of a symbol any more."""
        self._models.pop(symbol, None)

    def use(self, others: Mapping[str, Model]) -> None:
        """Have models in place of those of the same symbols."""
        for symbol, model in others.items():
            self._models.pop(symbol, None)  # the newest are the last
            self._models[symbol] = model


def utc(microseconds: int) -> datetime.datetime:
    """Give a moment as a date with its time zone."""
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=microseconds)
