"""Curves that are fitted for one question, otherwise than the store's settings say; the store keeps none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from escala.curves.curveset import CurveSet
    from escala.store import Store, StoredRecords

#: Options of commands that may fit anew.
Family = Annotated[str | None, Parameter()]
Noise = Annotated[Literal["auto", "even", "local"] | None, Parameter()]
Loss = Annotated[Literal["auto", "squares", "student"] | None, Parameter()]
Group = Annotated[Literal["time", "hour", "day"] | None, Parameter()]
Interval = Annotated[Literal["auto", "forward"], Parameter()]

_MICROSECONDS: Final = {"time": 1, "hour": 3_600_000_000, "day": 86_400_000_000}


@dataclass(frozen=True)
class Refit:
    """How curves are wanted; what is None is as the settings and the records say.

    Attributes
    ----------
    family : str, optional
        Of all symbols.
    noise : {"auto", "even", "local"}, optional
        As in :func:`escala.fit`.
    loss : {"auto", "squares", "student"}, optional
        As in :func:`escala.fit`.
    group : {"time", "hour", "day"}, optional
        Which records belong together: those observed at one time, in one hour or on one day.
    times : bool
        Whether predictions for the next time are wanted, which go by the times of the records.
    """

    family: str | None = None
    noise: Literal["auto", "even", "local"] | None = None
    loss: Literal["auto", "squares", "student"] | None = None
    group: Literal["time", "hour", "day"] | None = None
    times: bool = False

    @property
    def is_wanted(self) -> bool:
        """Tell whether anything differs from how the store's own models are fitted."""
        return self != Refit()


async def fitted(store: Store, symbols: list[str] | None, wanted: Refit) -> tuple[CurveSet, StoredRecords]:
    """Fit a store's records as wanted; symbols come as asked for, by default all.

    Raises
    ------
    UnknownSymbolError
        If there are no records of a symbol.
    CurveError
        If there is no such family.
    """
    import asyncio

    from escala.commands.terminal import check_known
    from escala.engine.symbols import listed, unique

    known = await store.symbols()
    chosen = list(known) if symbols is None else unique(listed(symbols))
    check_known(chosen, known)
    records = await store.records(chosen)
    system, own = await store.config(), await store.symbol_config()
    families = {
        symbol: wanted.family or (own[symbol].family if symbol in own else None) or system.default_family
        for symbol in chosen
    }
    curves = await asyncio.to_thread(_fit, records, families, wanted)
    return curves[chosen], records


def _fit(records: StoredRecords, families: dict[str, str], wanted: Refit) -> CurveSet:
    import numpy as np

    from escala.curves.fitting import fit, fit_seen

    moments = records.observed_at.astype(np.int64)
    more: dict[str, Any] = {"noise": wanted.noise or "auto", "loss": wanted.loss or "auto", "weights": records.weight}
    if wanted.group is not None:
        more["group"] = moments // _MICROSECONDS[wanted.group]
    order = dict.fromkeys(records.symbol.tolist())
    more["family"] = [families[symbol] for symbol in order]
    columns, seconds = (records.symbol, records.capital, records.efficiency), moments * 1e-6
    return fit(*columns, observed_at=seconds, **more) if wanted.times else fit_seen(*columns, seconds, **more)
