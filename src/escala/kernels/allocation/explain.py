"""What keeps every instrument where it is."""

from __future__ import annotations

import math

from escala.kernels.allocation import envelope
from escala.kernels.allocation.balance import AT_BOUND
from escala.kernels.allocation.domains import WITHOUT_CURVE, highest, share_bound, threshold_of
from escala.kernels.allocation.envelope import (
    BEST,
    BLOCK,
    FIRST,
    FIXED,
    FREE,
    LANES,
    LAST,
    LOT,
    ROOT_LOW,
    ROOT_REACH,
    WEIGHT,
)
from escala.kernels.allocation.groups import Groups, at_limit, sum_groups
from escala.kernels.allocation.halves import net
from escala.kernels.allocation.lots import A_MULTIPLE, more_lots
from escala.kernels.allocation.polish import KINKED, first_unit, kept, rate
from escala.kernels.jit import Codes, Floats, Integers, routine
from escala.kernels.layout import bindings as reason_of
from escala.kernels.layout import controls as c
from escala.kernels.layout import families
from escala.kernels.layout import settings as s
from escala.kernels.layout import whole as w

ASIDE = 4.0 * envelope.AT_KNOT  # relative: beside a knot
PRICED_APART = 1e-7  # of the weight: marginal utilities that are further from the price than that are those of a group


@routine
def _reason_above(settings: Floats, trusted_to: float, last: float, total: float, i: int) -> int:
    """Which bound from above is the smallest."""
    upper, share = settings[s.UPPER, i], share_bound(settings, total, i)
    if (upper <= share) & (upper <= trusted_to) & (upper <= last):
        return reason_of.UPPER
    if (share <= trusted_to) & (share <= last):
        return reason_of.SHARE
    return reason_of.THRESHOLD if last < trusted_to else reason_of.LIMIT


@routine
def _reason_below(settings: Floats, floor: float, first: float, i: int) -> int:
    """Which bound from below is the largest."""
    lower, ticket = max(settings[s.LOWER, i], floor), settings[s.MIN_TICKET, i]
    if (lower >= ticket) & (lower >= first):
        return reason_of.LOWER
    return reason_of.TICKET if ticket >= first else reason_of.THRESHOLD


@routine
def slopes(work: Floats, at: int, kind: int, x: float) -> tuple[float, float]:
    """w·U′ of the last unit and of the next, net of what trading costs; they differ at a knot or where η is 1.

    NaN where a step of a ladder is too narrow to tell.
    """
    weight, paid = work[at + WEIGHT * LANES], rate(work, at, x)
    if kind == families.LADDER:
        before, after = (
            envelope.step_price(work, at, x * (1.0 - ASIDE)),
            envelope.step_price(work, at, x * (1.0 + ASIDE)),
        )
        return (
            before - paid if before > -math.inf else math.nan,
            after - paid if after > -math.inf else math.nan,
        )
    value, slope = envelope.eta(work, at, kind, x), envelope.weighted_marginal(work, at, kind, x)
    if value > 1.0 + KINKED:
        slope = weight
    elif value < 0.0:
        slope = 0.0
    before = after = slope
    if abs(value - 1.0) <= KINKED:  # a curve that falls to 1 returned the whole so far, one that rises does from now on
        before, after = max(slope, weight), min(slope, weight)
    return before - paid, after - paid


@routine
def _held_by_group(work: Floats, at: int, kind: int, x: float, shadow: float) -> bool:
    """Whether the next unit would return more than the shadow price, or the last one returns less."""
    before, after = slopes(work, at, kind, x)
    apart = PRICED_APART * work[at + WEIGHT * LANES]
    return (after > shadow + apart) | (before < shadow - apart)


@routine
def explain(
    trusted_to: Floats, settings: Floats, thresholded: bool, floors: Floats, total: float, money: float, work: Floats,
    kinds: Integers, slot: Integers, shadow: float, groups: Groups, binding: Codes,
) -> None:  # fmt: skip
    """Name what stops every instrument where it is."""
    sum_groups(work, groups)
    for i in range(slot.size):
        at = slot[i]
        kind = kinds[at // BLOCK]
        x = work[at + BEST * LANES]
        first, last = work[at + FIRST * LANES], work[at + LAST * LANES]
        floor = floors[i] if floors.size else 0.0
        weight = work[at + WEIGHT * LANES]
        low, high = work[at + ROOT_LOW * LANES], work[at + ROOT_REACH * LANES]
        in_group = at_limit(work, at, money, groups) >= 0
        reason = reason_of.NONE
        if last == WITHOUT_CURVE:
            reason = reason_of.NO_CURVE
        elif last < 0.0:
            reason = reason_of.THRESHOLD if threshold_of(settings, i, thresholded) > 0.0 else reason_of.PRICE
        elif x == 0.0:
            above = highest(trusted_to, settings, last, total, i)
            least = max(settings[s.MIN_TICKET, i], first)
            at_first = first_unit(work, at, kind)
            reason = reason_of.NONE if at_first >= shadow * (1.0 - KINKED) else reason_of.PRICE
            if (reason == reason_of.NONE) & (work[at + FIXED * LANES] > 0.0) & kept(work, at, x):
                reason = reason_of.HELD
            if above <= 0.0:
                reason = _reason_above(settings, trusted_to[i], last, total, i)
            elif least > 0.0:
                out = (at_first > shadow) | (least > above) | (least > money)
                reason = _reason_below(settings, floor, first, i) if out else reason_of.PRICE
        elif kept(work, at, x):
            reason = reason_of.HELD
        elif x >= high * (1.0 - AT_BOUND):
            reason = _reason_above(settings, trusted_to[i], last, total, i)
        elif (x <= low * (1.0 + AT_BOUND)) & (low > 0.0):
            reason = _reason_below(settings, floor, first, i)
        elif kind == families.LADDER:
            inside = abs(envelope.step_price(work, at, x) - rate(work, at, x) - shadow) <= KINKED * abs(shadow)
            reason = reason_of.NONE if inside else reason_of.PRICE
        else:
            value = envelope.eta(work, at, kind, x)
            beyond = min(envelope.weighted_marginal(work, at, kind, x), weight) - rate(work, at, x)  # just above η = 1
            kinked = (abs(value - 1.0) <= KINKED) & (beyond < shadow * (1.0 - KINKED))
            reason = reason_of.PRICE if kinked else reason_of.NONE
        if in_group & ((reason == reason_of.NONE) | (reason == reason_of.PRICE)):
            stopped = reason == reason_of.NONE
            if x > 0.0:
                stopped = _held_by_group(work, at, kind, x, shadow)
            if stopped & (money > 0.0):
                reason = reason_of.GROUP
        binding[i] = reason


@routine
def _reason_of_lots(
    trusted_to: Floats, settings: Floats, floor: float, total: float, work: Floats, kind: int, at: int, i: int,
    shadow: float,
) -> int:  # fmt: skip
    """Name what stops whole lots where they are."""
    x, lot, first, last = (
        work[at + BEST * LANES], work[at + LOT * LANES], work[at + FIRST * LANES], work[at + LAST * LANES],
    )  # fmt: skip
    least = max(max(max(settings[s.LOWER, i], floor), settings[s.MIN_TICKET, i]), first)
    less, more = more_lots(x, lot, -1.0), more_lots(x, lot, 1.0)
    if more > highest(trusted_to, settings, last, total, i) * (1.0 + A_MULTIPLE):
        return _reason_above(settings, trusted_to[i], last, total, i)
    below = (less < least * (1.0 - A_MULTIPLE)) & (least > 0.0)
    if below and net(work, at, kind, x) - net(work, at, kind, less) < shadow * (x - less):
        return _reason_below(settings, floor, first, i)
    return reason_of.LOT


@routine
def explain_whole(
    trusted_to: Floats, settings: Floats, floors: Floats, total: float, money: float, controls: Floats, work: Floats,
    kinds: Integers, slot: Integers, shadow: float, ledger: Floats, binding: Codes,
) -> None:  # fmt: skip
    """Say where it is whole lots, or how many instruments hold anything, that stop an instrument."""
    held = 0
    for i in range(slot.size):
        held += work[slot[i] + BEST * LANES] > 0.0
    for i in range(slot.size):
        at = slot[i]
        kind = kinds[at // BLOCK]
        x, lot, reason = work[at + BEST * LANES], work[at + LOT * LANES], binding[i]
        if (reason == reason_of.NO_CURVE) | (reason == reason_of.HELD):
            continue
        small = AT_BOUND * work[at + WEIGHT * LANES] * money
        if x == 0.0:
            gains = ledger[w.MORE, i] > small
            above = highest(trusted_to, settings, work[at + LAST * LANES], total, i)
            if (above > 0.0) & (lot > above * (1.0 + A_MULTIPLE)):
                reason = _reason_above(settings, trusted_to[i], work[at + LAST * LANES], total, i)
            elif (lot > 0.0) & ((reason == reason_of.NONE) | gains):
                reason = reason_of.LOT
            if gains & (held >= controls[c.MAX_COUNT]):
                reason = reason_of.COUNT
        else:
            if lot > 0.0:
                floor = floors[i] if floors.size else 0.0
                reason = _reason_of_lots(trusted_to, settings, floor, total, work, kind, at, i, shadow)
            loses = net(work, at, kind, x) - shadow * x < ledger[w.EMPTY, i] - small
            if (ledger[w.STATE, i] == FREE) & (held <= controls[c.MIN_COUNT]) & loses:
                reason = reason_of.COUNT
        binding[i] = reason
