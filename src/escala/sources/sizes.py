"""Quantities of what is traded, told from their values; prices that were paid, told from others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from escala.arrays import Floats
from escala.sources import choice as choice_of
from escala.sources import roles
from escala.sources.choice import Choice, Sample

_AGREES: Final = 0.02  # how far from price × quantity a value may lie at the median: fees are in some of them
_EXACT: Final = 1e-3  # the same where nothing but the numbers says that two columns belong together
_CONTRADICTS: Final = 0.05  # how far a value lies from price × quantity in a row that is no matter of fees
_EVIDENCE: Final = 5  # rows that numbers alone need to tell anything


def choose(choice: Choice, sample: Sample, numbers: Mapping[str, Floats], said: Mapping[str, str]) -> None:
    """Tell quantities of what is traded from their values, and prices that were paid from others."""
    found = choice.columns
    _choose_price(choice, numbers, said)
    _by_unit(choice, sample, said)
    if "quantity" not in said:
        price = numbers.get(found["price"][0]) if len(found.get("price", [])) == 1 else None
        if price is not None:
            _by_product(choice, numbers, price, said)
        _by_tier(choice)
        if price is not None:
            _doubt(choice, numbers, price)
    if "value" not in said and len(found.get("value", [])) > 1:
        del found["value"]  # needed only where a quantity or a price lacks, and then not to be guessed


def _choose_price(choice: Choice, numbers: Mapping[str, Floats], said: Mapping[str, str]) -> None:
    """Take the price of what was filled: the average for all of an order, the price of a row for a single fill."""
    found = choice.columns
    averages = [name for name in found.get("price", []) if roles.tier("price", name) == 1]
    plain = [name for name in found.get("price", []) if name not in averages]
    if "price" in said or not averages or not plain:
        return
    sizes = [] if "quantity" in said else found.get("quantity", [])
    filled = [name for name in sizes if roles.tier("quantity", name) == 0]
    so_far = [name for name in sizes if roles.key(name) in roles.SO_FAR]
    fitting = [name for name in (*averages, *plain) if _explains(name, found, numbers)]
    if len(fitting) == 1:
        chosen = fitting
    elif filled or (so_far and len(so_far) == len(sizes)):
        chosen = averages
    elif so_far:
        chosen = plain
    else:
        return
    found["price"] = chosen
    if len(chosen) == 1:
        others = ", ".join(repr(name) for name in (*averages, *plain) if name not in chosen)
        choice.notes["price"] = f"prices are those of {chosen[0]!r}, not of {others}"


def _explains(price: str, found: Mapping[str, list[str]], numbers: Mapping[str, Floats]) -> bool:
    """Tell that some value is a price times some quantity, exactly."""
    return price in numbers and any(
        _misses(numbers[value], numbers[price], numbers[quantity]) <= _EXACT
        for value in found.get("value", [])
        for quantity in found.get("quantity", [])
        if value != quantity and value in numbers and quantity in numbers
    )


def _by_unit(choice: Choice, sample: Sample, said: Mapping[str, str]) -> None:
    """Move sizes whose name says another unit than that of what is traded: ``size (USD)`` is a value."""
    symbols = [str(value) for name in choice.columns.get("symbol", [])[:1] for value in sample.get(name, [])]
    for name in list(choice.columns.get("quantity", [])):
        unit = roles.unit(name)
        is_base = bool(symbols) and unit is not None and all(_starts(symbol, unit) for symbol in symbols)
        if unit in roles.MONEY and not is_base and name not in said.values():
            _move(choice.columns, name, "quantity", "value")
    if "value" in said:
        return
    for name in _sizes_in_money(choice, sample):
        _move(choice.columns, name, "", "value")


def _sizes_in_money(choice: Choice, sample: Sample) -> list[str]:
    """List columns whose name without its last word would be a quantity, and whose last word is money."""
    taken = {name for names in choice.columns.values() for name in names}
    result = []
    for name in sample:
        first = name.strip().casefold().replace("-", "_").replace(" ", "_").rpartition("_")[0]
        if (
            name not in taken
            and first
            and roles.unit(name) in roles.MONEY
            and roles.tier("quantity", first) is not None
        ):
            result.append(name)
    return result


def _starts(symbol: str, unit: str) -> bool:
    return symbol.strip().casefold().startswith(unit)


def _by_product(choice: Choice, numbers: Mapping[str, Floats], price: Floats, said: Mapping[str, str]) -> None:
    """Move sizes that are price × another column: they are values, and the other one is the quantity."""
    found = choice.columns
    named = [name for name in found.get("quantity", []) if name in numbers]
    others = [name for name in found.get("value", []) if name in numbers]
    taken = {name for role, names in found.items() if role not in {"quantity", "value"} for name in names}
    rest = [name for name in numbers if name not in (*named, *others, *taken, *said.values())]
    for value in named:
        for quantity in (*named, *others, *rest):
            if quantity == value or not _is_product(numbers, value, price, quantity, by_numbers=quantity in rest):
                continue
            _move(found, value, "quantity", "value")
            _move(found, quantity, "value", "quantity")
            told = f"quantities are those of {quantity!r}: {value!r} is price × {quantity}"
            choice.notes["quantity"] = told + _but(numbers[value], price, numbers[quantity])
            break


def _is_product(numbers: Mapping[str, Floats], value: str, price: Floats, quantity: str, *, by_numbers: bool) -> bool:
    """Tell that a column is price × another one, and the other not also price × the one, as it is at prices near 1."""
    forward = _misses(numbers[value], price, numbers[quantity])
    backward = _misses(numbers[quantity], price, numbers[value])
    if not by_numbers:
        return forward <= _AGREES and forward < 0.1 * backward
    different = min(np.unique(column).size for column in (price, numbers[quantity]))
    return forward <= _EXACT and forward < 0.1 * backward and price.size >= _EVIDENCE and different > 1


def _misses(value: Floats, price: Floats, quantity: Floats) -> float:
    """Give how far a column is from price × another one, as a share, at the median of the rows that have both."""
    off = _off(value, price, quantity)
    return float(np.median(off)) if off.size else np.inf


def _off(value: Floats, price: Floats, quantity: Floats) -> Floats:
    with np.errstate(all="ignore"):
        product = np.abs(price * quantity)
        off = np.abs(np.abs(value) - product) / product
    found: Floats = off[np.isfinite(off)]
    return found


def _but(value: Floats, price: Floats, quantity: Floats) -> str:
    """Say in how many rows a column is not price × another one after all; fees explain less."""
    off = _off(value, price, quantity)
    others = int(np.count_nonzero(off > _CONTRADICTS))
    return f", but not in {others:,} of the {off.size:,} rows looked at" if others else ""


def _by_tier(choice: Choice) -> None:
    """Leave the surest names, where no number tells; `amount` and the like stay beside others that are not surer."""
    names = choice.columns.get("quantity", [])
    if len(names) > 1:
        choice.columns["quantity"] = choice_of.first_tier("quantity", names)


def _doubt(choice: Choice, numbers: Mapping[str, Floats], price: Floats) -> None:
    """Doubt a column that may be a quantity or a value by its name, where a value beside it does not go with it."""
    names = [name for name in choice.columns.get("quantity", []) if name in numbers]
    if len(names) != 1:
        return
    (name,) = names
    values = [other for other in choice.columns.get("value", []) if other in numbers]
    fitting = [other for other in values if _misses(numbers[other], price, numbers[name]) <= _AGREES]
    if fitting:
        but = _but(numbers[fitting[0]], price, numbers[name])
        if but:
            choice.notes.setdefault("quantity", f"{fitting[0]!r} is price × {name}{but}: it was not used")
        return
    for other in values:
        factor = _multiple(numbers[other], price, numbers[name])
        if factor is not None:
            told = f"{other!r} is {factor:g} × price × {name}: unit_value={factor:g} counts all of it as capital"
            choice.notes.setdefault("quantity", told)
            return
    if roles.key(name) not in roles.EITHER or roles.unit(name) is not None:
        if values:
            choice.notes.setdefault("quantity", f"{values[0]!r} is not price × {name}: it was not used")
        return
    if not values:
        choice.notes.setdefault("quantity", f"{name!r} was taken for the quantity of what is traded, not for its value")
        return
    both = f"quantity may be {name!r}, but {values[0]!r} is not price × {name}"
    choice.doubts["quantity"] = f"{both}; name the one that is quantity: columns={{'quantity': {name!r}}}"


def _multiple(value: Floats, price: Floats, quantity: Floats) -> float | None:
    """Give the multiplier of contracts: how many times price × quantity a value is in all rows, None if in none."""
    with np.errstate(all="ignore"):
        factors = np.abs(value / (price * quantity))
    factors = factors[np.isfinite(factors)]
    if factors.size < _EVIDENCE or np.unique(price).size == 1 or np.unique(quantity).size == 1:
        return None
    factor = float(np.median(factors))
    return float(f"{factor:.4g}") if factor > 0.0 and np.ptp(factors) <= _EXACT * factor else None


def _move(found: dict[str, list[str]], name: str, source: str, target: str) -> None:
    left = [other for other in found.get(source, []) if other != name]
    if left:
        found[source] = left
    else:
        found.pop(source, None)
    if name not in found.setdefault(target, []):
        found[target].append(name)
