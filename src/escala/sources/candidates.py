"""Which column has which role: by its name, and where names leave a choice, by what stands in the columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from escala.arrays import Floats
from escala.errors import RecordError, did_you_mean
from escala.sources import choice as choice_of
from escala.sources import roles, sides, sizes, tables, values
from escala.sources.choice import Choice, Sample, first_tier
from escala.sources.columns import Table

_ROWS: Final = 1000  # that are looked at to tell columns apart


def candidates(given: Table, columns: Mapping[str, str] | None, meanings: sides.Meanings | None = None) -> Choice:
    """Find which columns may have which role: the one that was said, else those that are called like it.

    Parameters
    ----------
    given : Table
        Whose columns.
    columns : mapping of str to str or None
        Which column is which, as far as somebody says it.
    meanings : mapping, optional
        What words in a column of sides mean, from :func:`sides.meanings`.

    Raises
    ------
    RecordError
        If `columns` names a role or a column that there is not.
    """
    said = _said(given, columns)
    found = {role: [name] for role, name in said.items()}
    for role in roles.TIERS:
        named = [name for name in given.names if name not in said.values() and roles.tier(role, name) is not None]
        if role not in found and named:
            found[role] = named
    choice = Choice(found)
    for role in set(found) - {"price", "quantity", "side", "order", *said}:
        found[role] = first_tier(role, found[role])
    for role in ("trade_id", "token_in", "token_out", "is_snapshot", "status"):
        if len(found.get(role, [])) > 1:
            found[role] = found[role][:1]  # any id tells rows apart, any writing of a token tells it from others
    for role in ("fee", "fee_currency", "currency"):
        _drop_unsure(choice, role)
    if any(role in found for role in ("price", "quantity", "value")):
        sample = tables.head(given, _ROWS)
        if "order" not in said:
            _choose_order(choice, sample)
        numbers = _numbers(given, sample)
        _choose_time(choice, sample, numbers)
        sizes.choose(choice, sample, numbers, said)
        if "side" not in said:
            _choose_side(choice, sample, said, meanings or {})
    return choice


def _said(given: Table, columns: Mapping[str, str] | None) -> dict[str, str]:
    if columns is not None and not isinstance(columns, Mapping):
        message = f"columns must say which column has what, {{'capital': 'size'}}, not {columns!r}"
        raise RecordError(message, arguments=("columns",))
    said = {} if columns is None else {("time" if role == "observed_at" else role): columns[role] for role in columns}
    for role, name in said.items():
        if role not in roles.TIERS:
            raise given.error(f"columns names what there is not, {role!r}; known are {', '.join(roles.TIERS)}")
        if name not in given.names:
            hint = did_you_mean(name, given.names, f"; {tables.listing(given)}")
            raise given.error(f"{given.name}: there is no column {name!r}{hint}")
    return said


def _drop_unsure(choice: Choice, role: str) -> None:
    """Do without a column of fees where several may be it: nothing else depends on it."""
    names = choice.columns.get(role, [])
    if len(names) > 1:
        del choice.columns[role]
        both = " and ".join(repr(name) for name in names)
        choice.notes[role] = f"{role} may be {both}; columns={{{role!r}: {names[0]!r}}} says which"


def _numbers(given: Table, sample: Sample) -> dict[str, Floats]:
    """Read the columns of a sample that are numbers."""
    number = values.number_of(given, ([cell for cell in column if isinstance(cell, str)] for column in sample.values()))
    result = {}
    for name, column in sample.items():
        found = choice_of.numbers(column, number)
        if found is not None:
            result[name] = found
    return result


def _choose_order(choice: Choice, sample: Sample) -> None:
    """Take the surest name of those that hold something: parents of orders are often not there."""
    names = choice.columns.pop("order", [])
    holding = [name for name in names if any(sides.is_told(value) for value in sample.get(name, []))]
    if holding:
        choice.columns["order"] = first_tier("order", holding)


def _choose_time(choice: Choice, sample: Sample, numbers: Mapping[str, Floats]) -> None:
    """Take dates rather than a count of some unit, where one of each says the time."""
    names = choice.columns.get("time", [])
    if len(names) != 2:
        return
    dated = [name for name in names if name not in numbers]
    if len(dated) == 1 and any(re.match(r"\s*\d{4}-\d\d-\d\d.\d", str(value)) for value in sample.get(dated[0], [])):
        other = next(name for name in names if name not in dated)
        choice.columns["time"] = dated
        choice.notes["time"] = f"times are those of {dated[0]!r}: it has dates, {other!r} counts"


def _choose_side(choice: Choice, sample: Sample, said: Mapping[str, str], meanings: sides.Meanings) -> None:
    """Take the column whose values are sides; find those of other names that hold nothing else."""
    named = choice.columns.pop("side", [])
    sure = [name for name in named if roles.tier("side", name) == 0]
    holding = [name for name in named if sides.only_sides(name, sample.get(name, []), meanings)]
    for names in ([name for name in sure if name in holding], [name for name in holding if name not in sure], sure):
        if names:
            agreeing = _agreeing(names, sample, meanings)
            choice.columns["side"] = agreeing
            if agreeing[0] not in sure:
                choice.notes["side"] = f"sides are those of {agreeing[0]!r}"
            return
    taken = {name for names in choice.columns.values() for name in names} | set(said.values())
    for name, column in sample.items():
        if (name in named and sides.some_sides(column)) or (name not in taken and sides.only_plain(column)):
            choice.hidden[name] = sides.shown(column)


def _agreeing(names: list[str], sample: Sample, meanings: sides.Meanings) -> list[str]:
    """Give the first of columns that say the same in every row, all of them where they do not."""
    first, *others = names
    told = [sides.meant(first, value, meanings) for value in sample.get(first, [])]
    same = all([sides.meant(name, value, meanings) for value in sample.get(name, [])] == told for name in others)
    return [first] if same and told else names
