"""Groups of instruments, from labels, paths of labels or lists of symbols, and their limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.arrays import Floats, per_item, to_floats
from escala.errors import AllocationError, did_you_mean
from escala.keyed import PerSymbol
from escala.tables import ALLOCATION_GROUPS, Quantity

Integers: TypeAlias = npt.NDArray[np.int64]
#: Labels or paths, one an instrument or by symbol; or lists of symbols by the name of their group.
GroupsLike: TypeAlias = Mapping[str, Any] | Sequence[Any] | None

_ROW: Final = {row.name: place for place, row in enumerate(ALLOCATION_GROUPS)}
_NOBODY: Final = -1
_NONE: Final = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups as kernels take them: from the innermost outwards.

    Attributes
    ----------
    names : tuple of str
        g names; those of paths are joined by slashes.
    leaf : (n,) int64
        The innermost group of every instrument, or where groups overlap its kind: instruments in the same groups are of
        one. −1 where there is none.
    parents : (g,) int64
        The group around every group, −1 where there is none, and where groups overlap.
    limits : (3, g) float64
        Rows of ``ALLOCATION_GROUPS``.
    starts, inside : (kinds + 1,), (links,) int64
        Where the groups of each kind begin in `inside`, from the innermost outwards. Empty where groups lie in one
        another or apart.
    """

    names: tuple[str, ...]
    leaf: Integers
    parents: Integers
    limits: Floats
    starts: Integers
    inside: Integers

    def __len__(self) -> int:
        return len(self.names)

    @property
    def overlap(self) -> bool:
        """Whether some groups have instruments in common, but neither lies in the other."""
        return self.starts.size > 0

    def limit(self, name: str) -> Floats:
        """Give one limit of every group."""
        row: Floats = self.limits[_ROW[name]]
        return row

    def around(self, i: int) -> list[int]:
        """Give the groups of an instrument, from the innermost outwards."""
        found: list[int] = []
        k = int(self.leaf[i])
        if self.overlap:
            return found if k < 0 else self.inside[self.starts[k] : self.starts[k + 1]].tolist()
        while k >= 0:
            found.append(k)
            k = int(self.parents[k])
        return found

    def sums(self, amounts: Floats) -> Floats:
        """Add up what every group holds: P + (g,) of P + (n,)."""
        sums = np.zeros((*amounts.shape[:-1], len(self)))
        for i in range(self.leaf.size):  # one by one: a library's products depend on its threads
            sums[..., self.around(i)] += amounts[..., i, None]
        return sums


def checked(groups: GroupsLike, symbols: Sequence[str], limits: Mapping[str, PerSymbol]) -> Groups:
    """Check groups and their limits, and bring them to the order of kernels.

    Raises
    ------
    AllocationError
        Names the group, the symbol or the limit.
    """
    if groups is None:
        for row in ALLOCATION_GROUPS:
            if type(limits[row.name]) is not float or limits[row.name] != row.default:
                raise AllocationError(f"{row.name} needs groups", arguments=(row.name, "groups"))
        nobody = np.full(len(symbols), _NOBODY)
        return Groups((), nobody, _NONE, np.empty((len(_ROW), 0)), _NONE, _NONE)
    members = _members(groups, list(symbols))
    names = list(members)
    rows = np.stack([_limit(row, limits[row.name], names) for row in ALLOCATION_GROUPS])
    inwards = sorted(range(len(names)), key=lambda k: (len(members[names[k]]), -_depth(names[k]), -k))
    sets = [members[names[k]] for k in inwards]
    starts = inside = _NONE
    if _overlap(sets):
        leaf, starts, inside = _kinds(sets, len(symbols))
        parents = np.full(len(sets), _NOBODY)
    else:
        parents, leaf = _nest(sets, len(symbols))
    limits_of = np.ascontiguousarray(rows[:, inwards])
    return Groups(tuple(names[k] for k in inwards), leaf, parents, limits_of, starts, inside)


def _depth(name: str) -> int:
    return name.count("/")


def _members(groups: Any, symbols: list[str]) -> dict[str, set[int]]:
    """Give the places of every group's instruments."""
    if isinstance(groups, Mapping) and not (groups and are_labels(groups.values())):
        return _listed(groups, symbols)
    if keyed.is_series(groups):  # which may hold NaN where None was given
        groups = groups.astype(object).where(groups.notna(), None)
    labels = keyed.by_symbol("groups", groups, symbols, AllocationError)
    if not _is_listed(labels):
        message = f"groups must be labels of the instruments or lists of symbols by name, not {groups!r}"
        raise AllocationError(message, arguments=("groups",))
    labels = list(labels)
    if len(labels) != len(symbols):
        message = f"groups must have a label for each of {len(symbols)} instruments, but has {len(labels)}"
        raise AllocationError(message, arguments=("groups",))
    members: dict[str, set[int]] = {}
    paths: dict[str, tuple[str, ...]] = {}
    for i, label in enumerate(labels):
        if not _is_label(label):
            message = f"groups[{i}] must be a label, a tuple of labels or None, not {label!r}"
            raise AllocationError(message, arguments=("groups",), indexes=((i,),))
        path = () if label is None else (label,) if isinstance(label, str) else label
        for depth in range(len(path)):
            around = path[: depth + 1]
            name = "/".join(around)
            if paths.setdefault(name, around) != around:
                message = f"groups[{i}] = {label!r} and the path {paths[name]!r} are both named {name!r}: rename one"
                raise AllocationError(message, arguments=("groups",), indexes=((i,),))
            members.setdefault(name, set()).add(i)
    return members


def _is_listed(values: Any) -> bool:
    """Tell what can be gone through in an order of its own; text and arrays without an axis are none."""
    if isinstance(values, str | bytes | Set) or not isinstance(values, Iterable):
        return False
    return np.ndim(values) > 0 if isinstance(values, np.ndarray) else True


def are_labels(values: Iterable[Any]) -> bool:
    """Tell labels of instruments from lists of the instruments of groups."""
    return all(map(_is_label, values))


def _is_label(value: Any) -> bool:
    """Tell a label, a path of labels or none."""
    return value is None or isinstance(value, str) or (
        isinstance(value, tuple) and all(isinstance(part, str) for part in value)
    )  # fmt: skip


def _listed(groups: Mapping[str, Any], symbols: list[str]) -> dict[str, set[int]]:
    """Read lists of symbols by the name of their group."""
    places = {symbol: i for i, symbol in enumerate(symbols)}
    members: dict[str, set[int]] = {}
    for name, listed in groups.items():
        if not (_is_listed(listed) or isinstance(listed, Set)):
            message = f"groups[{name!r}] must be a list of symbols, not {listed!r}"
            raise AllocationError(message, arguments=("groups",))
        found = list(listed)
        for symbol in found:
            if symbol not in places:
                hint = did_you_mean(str(symbol), symbols)
                message = f"groups[{name!r}] names {symbol!r}, which is not among the symbols{hint}"
                raise AllocationError(message, arguments=("groups",))
        if not found:
            raise AllocationError(f"groups[{name!r}] has no instruments", arguments=("groups",))
        members[str(name)] = {places[symbol] for symbol in found}
    return members


def _overlap(groups: list[set[int]]) -> bool:
    """Tell whether some groups, smaller ones first, neither lie in one another nor apart."""
    return any(
        not inside.isdisjoint(around) and not inside <= around
        for k, inside in enumerate(groups)
        for around in groups[k + 1 :]
    )


def _nest(groups: list[set[int]], n: int) -> tuple[Integers, Integers]:
    """Find what lies around every group, and the innermost group of every instrument."""
    parents, leaf = np.full(len(groups), _NOBODY), np.full(n, _NOBODY)
    for k, inside in enumerate(groups):
        for i in inside:
            leaf[i] = k if leaf[i] == _NOBODY else leaf[i]
        for other in range(k + 1, len(groups)):
            if parents[k] == _NOBODY and not inside.isdisjoint(groups[other]):
                parents[k] = other
    return parents, leaf


def _kinds(groups: list[set[int]], n: int) -> tuple[Integers, Integers, Integers]:
    """Find the kind of every instrument, and where each kind's groups are."""
    leaf = np.full(n, _NOBODY)
    places: dict[tuple[int, ...], int] = {}
    for i in range(n):
        mine = tuple(k for k, inside in enumerate(groups) if i in inside)
        if mine:
            leaf[i] = places.setdefault(mine, len(places))
    starts = np.cumsum([0, *map(len, places)])
    return leaf, starts, np.array([k for mine in places for k in mine])


def _limit(row: Quantity, given: Any, names: list[str]) -> Floats:
    """Check one limit: a number for all groups, one for each in their order, or by name for some."""
    wanted = keyed.mapping(row.name, given, AllocationError)
    if wanted is not None:
        keyed.refuse_strangers(row.name, wanted, names, AllocationError, of="groups")
        given = to_floats(row.name, [wanted.get(name, row.default) for name in names], AllocationError)
        if given.shape == (len(names),):
            keyed.check_each(row.name, given, names, row.values, AllocationError)
    return per_item(row.name, given, len(names), row.values, AllocationError)
