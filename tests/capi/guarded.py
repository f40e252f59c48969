"""Every buffer between pages that may not be touched: ``python -m tests.capi.guarded LIBRARY``.

Each call is made twice: with buffers that end where such a page begins, and with buffers that begin where one ends. Who
reads or writes beyond ends this process.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from escala import CurveSet, LendingStrategy, allocate, fit, plan_leverage, plan_unwind, simulate
from escala.capi import Library, load

_PAGE = mmap.PAGESIZE
_NOBODY, _READ = 0, 1
_libc = ctypes.CDLL(None, use_errno=True)
_kept: list[Any] = []


def guarded(array: npt.NDArray[Any], at_end: bool, writable: bool) -> npt.NDArray[Any]:
    """Copy an array to memory with a forbidden page on either side, close to one of them."""
    pages = -(-array.nbytes // _PAGE)
    memory = mmap.mmap(-1, (pages + 2) * _PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    offset = _PAGE + (pages * _PAGE - array.nbytes if at_end else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    if not writable:
        _protect(address + _PAGE, pages * _PAGE, _READ)
    _protect(address, _PAGE, _NOBODY)
    _protect(address + (pages + 1) * _PAGE, _PAGE, _NOBODY)
    _kept.append((memory, copy))
    return copy


def _protect(address: int, length: int, how: int) -> None:
    if length and _libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(length), how):
        raise OSError(ctypes.get_errno(), "mprotect")


def call_with(at_end: bool) -> None:
    """Let the wrapper hand over guarded copies in place of its arrays, and copy back what is written."""
    from escala.capi.library import _DTYPES, _Call

    class Guarded(_Call):
        def __init__(self, library: Library) -> None:
            super().__init__(library)
            self._written: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []

        def __call__(self, function: Any, *arguments: Any) -> None:
            super().__call__(function, *arguments)
            for array, room in self._written:
                array[...] = room

        def read(self, c_name: str, array: npt.ArrayLike) -> Any:
            given = np.require(array, _DTYPES[c_name], ["C", "A"])
            return super().read(c_name, guarded(given, at_end, writable=False))

        def write(self, c_name: str, array: npt.NDArray[Any]) -> Any:
            room = guarded(array, at_end, writable=True)
            self._written.append((array, room))
            return super().write(c_name, room)

        def workspace(self, size: int) -> tuple[Any, int]:
            room = guarded(np.zeros(size, dtype=np.uint8), at_end, writable=True)
            return self._ffi.cast("void *", self._keep(self._ffi.from_buffer(room))), size

    from escala.capi import library

    library._Call = Guarded  # type: ignore[misc]


def same(ours: Any, theirs: Any) -> None:
    """Compare bytes."""
    assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


def compare(library: Library, seed: int) -> None:
    """Call everything on inputs of odd sizes, and compare with the Python functions."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 300, 37)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    capital = np.exp(rng.uniform(8.0, 14.0, offsets[-1]))
    efficiency = np.clip(np.exp(-capital / 1e6) + rng.normal(0.0, 0.02, capital.size), 0.0, 1.0)
    weights = rng.uniform(0.0, 2.0, capital.size)
    parts = [slice(*ends) for ends in itertools.pairwise(offsets)]
    curves = fit(
        [str(i) for i in range(sizes.size)],
        [capital[part] for part in parts],
        [efficiency[part] for part in parts],
        weights=[weights[part] for part in parts],
    )
    fits = library.fit(offsets, capital, efficiency, weights=weights)
    for name in ("family", "status", "n_points", "origin", "trusted_to", "covariance"):
        same(getattr(fits, name), getattr(curves, name))
    ladders = curves._steps.sizes > 0
    same(fits.params[~ladders], curves.params[~ladders])
    same(fits.params[ladders, :3], curves.params[ladders, :3])
    for i in np.flatnonzero(ladders).tolist():
        place = int(fits.params[i, 3])
        same(fits.steps[place : place + curves._steps.sizes[i]], curves._steps.row(i))
    for m in (1, 7, 1001):
        levels = rng.uniform(0.0, 2e6, (sizes.size, m))
        for name in ("efficiency", "utility", "marginal"):
            same(getattr(library, name)(curves, levels), getattr(curves, name)(levels))
    same(library.threshold(curves, 0.7)[1], curves.threshold(0.7))
    totals = np.linspace(0.0, 4e7, 67)
    wanted: tuple[dict[str, Any], ...] = ({"min_efficiency": 0.9}, {"min_ticket": 2e5, "max_share": 0.2})
    for settings in wanted:
        found = allocate(curves, totals, max_nodes=20, **settings)
        same(library.allocate(curves, totals, max_nodes=20, **settings).amounts, found.amounts)
    held: dict[str, Any] = {"current": rng.uniform(0.0, 1e6, sizes.size), "fixed_cost": 500.0}
    grouped = allocate(
        curves, totals, max_nodes=20, trade_cost=(0.01, 0.02), groups=[("a", "b"), "a", None, "c"] * 9 + ["c"],
        group_upper=2e6, **held,
    )  # fmt: skip
    inside = grouped._request.groups
    theirs = library.allocate(
        curves, totals, max_nodes=20, buy_cost=0.01, sell_cost=0.02, groups=(inside.leaf, inside.parents),
        group_upper=inside.limit("group_upper"), **held,
    )  # fmt: skip
    same(theirs.amounts, grouped.amounts)
    same(theirs.group_prices, grouped.group_prices)
    supply = rng.uniform(100.0, 1e4, 1031)
    repay = np.linspace(0.0, 0.3, supply.size)
    result = simulate(supply, 0.6 * supply, 1.5 * supply, 10.0, strategy=LendingStrategy(repay=repay))
    for name, values in library.simulate(supply, 0.6 * supply, 1.5 * supply, 10.0, repay=repay).items():
        same(values, getattr(result, name))
    up: dict[str, Any] = {"max_ltv": 0.8, "liquidation_threshold": 0.85, "min_health_factor": 1.01, "swap_fee": 1e-3}
    down: dict[str, Any] = {name: value for name, value in up.items() if name != "max_ltv"}
    depth = CurveSet.from_params(["A"], "exponential", [[0.4, 1e-6, 0.6]], trusted_to=5e4)
    for given in (0.01, depth):
        wanted_leverage = rng.uniform(1.0, 4.0, 131)
        plan = plan_leverage(supply[:131], leverage=wanted_leverage, depth=given, **up)
        plans = library.plan_leverage("leverage", wanted_leverage, equity=supply[:131], depth=given, **up)
        for name, values in plans.outcomes.items():
            same(values, getattr(plan, name))
        closed = plan_unwind(plan.final_supply, plan.final_borrow, close=True, depth=given, **down)
        plans = library.plan_unwind(
            "close", supply=plan.final_supply, borrow=plan.final_borrow, depth=given, **down
        )  # fmt: skip
        for name, values in plans.outcomes.items():
            same(values, getattr(closed, name))


if __name__ == "__main__":
    loaded = load(sys.argv[1])
    for ends in (True, False):
        call_with(ends)
        compare(loaded, 7)
        assert len(_kept) > 100  # buffers that were guarded
        _kept.clear()
    print("same")
