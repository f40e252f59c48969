"""Allocation of money over instruments: the global optimum of a sum of utilities, with an upper bound that proves it.

For any price λ ≥ 0 of money (any λ if all of it must be placed) D(λ) = λT + Σ max_C(wᵢUᵢ(C) − (hurdle + λ)·C)
bounds every feasible allocation, whatever the shapes of the utilities (weak duality). The inner maxima are those of
the concave envelopes of :mod:`escala.kernels.allocation.envelope`. The price at which the amounts add up to the money
is found by Newton's method inside a bracket; where the amounts jump there (chords), at most one instrument ends inside
a chord, where its utility lies below the envelope. Branch and bound on that instrument (in or out; below or above a
capital) closes the gap, with two cuts: of instruments that have a smallest ticket only as many can hold capital as the
smallest tickets fit into the money, and identical instruments are ordered.

What a threshold leaves over may be placed in a second solve, without the threshold but with the first amounts as lower
bounds. Both are done here, problem by problem, so that whoever calls gets the same.
"""

from __future__ import annotations

import math

from escala.kernels.allocation.balance import AT_BOUND, unfilled
from escala.kernels.allocation.counted import possible
from escala.kernels.allocation.crossing import note_kinds, start_lines
from escala.kernels.allocation.domains import arrange, bound_domains, costs_of
from escala.kernels.allocation.dual import relax
from escala.kernels.allocation.envelope import BEST, BLOCK, HALF, LANES, Span, worth
from escala.kernels.allocation.explain import explain, explain_whole
from escala.kernels.allocation.greedy import climb
from escala.kernels.allocation.groups import (
    Groups,
    crosses,
    find_blocks,
    leave_empty,
    order_members,
    set_limits,
    start_prices,
)
from escala.kernels.allocation.polish import SETTLED, first_price, leave_alone, level_marginals, settle, state_gap
from escala.kernels.allocation.prices import state_prices
from escala.kernels.allocation.search import search
from escala.kernels.allocation.seek import (
    begin,
    efficient,
    falls,
    follow_efficiency,
    follow_marginal,
    follow_utility,
)
from escala.kernels.allocation.whole import end_whole, fix_lots
from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    code_rows_out,
    codes_in,
    float_rows_in,
    float_rows_out,
    floats_in,
    floats_out,
    integer,
    integer_rows_out,
    integers_in,
    integers_out,
    kernel,
    routine,
)
from escala.kernels.layout import KINDS, NOTHING, WARM, fences
from escala.kernels.layout import allocation_status as status_of
from escala.kernels.layout import bindings as reason_of
from escala.kernels.layout import controls as c
from escala.kernels.layout import drafts as draft
from escala.kernels.layout import group_limits as limit_of
from escala.kernels.layout import marks as m
from escala.kernels.layout import quest as quest_of
from escala.kernels.layout import settings as s
from escala.kernels.layout import solution as f
from escala.kernels.layout import solves as kind_of
from escala.kernels.layout import targets as target_of
from escala.kernels.layout import trail as t

SUMS = 5 * LANES  # room for what a price is answered with, lane by lane
GREEDY_PARTS = 1000.0  # of the total: increments of the greedy method, if none is given


@routine
def _place_in_steps(
    controls: Floats,
    total: float,
    money: float,
    exactly: bool,
    scale: float,
    work: Floats,
    kinds: Integers,
    blocks: Span,
    sums: Floats,
    marks: Integers,
    groups: Groups,
    found: Floats,
) -> None:
    """Hand out increments: BEST. The upper bound is D at the price that minimises it."""
    slot = marks[m.SLOT]
    hurdle = controls[c.HURDLE]
    floor = -math.inf if exactly else hurdle
    step = controls[c.STEP] if controls[c.STEP] > 0.0 else total / GREEDY_PARTS
    found[f.SHADOW_PRICE] = climb(work, kinds, slot, marks[m.HEAP], money, step, hurdle, exactly)
    price, _, bound, _, _ = relax(work, kinds, blocks, sums, slot, money, hurdle, floor, 0.5 * scale, scale, groups)
    left = unfilled(work, slot, money, BEST)
    if exactly & (left > AT_BOUND * money):
        found[f.STATUS], found[f.EXCESS] = status_of.NOT_FOUND, left
        return
    settle(work, slot, money, groups)
    found[f.DUAL_PRICE], found[f.DUAL_BOUND], found[f.UPPER_BOUND] = price - hurdle, bound, bound
    state_gap(work, kinds, blocks, sums, hurdle, scale * money, found)


@routine
def _place_best(
    controls: Floats,
    money: float,
    exactly: bool,
    scale: float,
    work: Floats,
    kinds: Integers,
    blocks: Span,
    sums: Floats,
    marks: Integers,
    waiting: Integers,
    nodes: Integers,
    node_bounds: Floats,
    trail: Floats,
    groups: Groups,
    whole: bool,
    ledger: Floats,
    found: Floats,
) -> bool:
    """Find the optimum: BEST; tells whether its prices are still to be read from it."""
    slot = marks[m.SLOT]
    hurdle = controls[c.HURDLE]
    lanes = (work, kinds, blocks, sums, slot, ledger, marks[m.TICKETS], marks[m.DIRTY])
    least, most = int(controls[c.MIN_COUNT]), int(controls[c.MAX_COUNT])
    if whole:
        floor = -math.inf if exactly else hurdle
        terms = (money, hurdle, floor, scale, controls[c.TOLERANCE], exactly)
        status, excess, _ = possible(lanes, terms, least, most)
        if status != status_of.OPTIMAL:
            found[f.STATUS], found[f.EXCESS] = status, excess
            return False
    if money == 0.0:
        demanded = leave_empty(groups)
        if demanded > 0.0:
            found[f.STATUS], found[f.EXCESS] = status_of.LOWER_ABOVE_MONEY, demanded
            return False
        for i in range(slot.size):
            work[slot[i] + BEST * LANES] = 0.0
        found[f.SHADOW_PRICE] = first_price(work, kinds, slot, hurdle)
        found[f.DUAL_PRICE] = found[f.DUAL_BOUND] = found[f.UPPER_BOUND] = found[f.UTILITY] = found[f.GAP] = 0.0
        if work[HALF * LANES] != 0.0:  # selling all costs what it costs
            found[f.UTILITY], _, _ = worth(work, kinds, blocks, sums, BEST, hurdle)
            found[f.DUAL_BOUND] = found[f.UPPER_BOUND] = found[f.UTILITY]
        return False
    before, moved = trail[t.PRICE], money - trail[t.MONEY]
    price, smooth = search(
        work, kinds, blocks, sums, marks, waiting, nodes, node_bounds, money, hurdle, -math.inf if exactly else hurdle,
        exactly, controls[c.TOLERANCE], int(controls[c.MAX_NODES]),
        before + trail[t.FALLS] * moved,  # along a path the price goes on as it went before
        scale, groups, whole, least, most, ledger, found,
    )  # fmt: skip
    if whole:
        end_whole(lanes, groups, found[f.SHADOW_PRICE])
    trail[t.FALLS] = min((price - before) / moved, 0.0) if moved != 0.0 else 0.0
    trail[t.PRICE], trail[t.MONEY] = price, money
    if found[f.STATUS] >= status_of.NO_ROOM:
        return False
    leave_alone(work, slot, money)
    if whole:
        fix_lots(lanes)
        smooth = False
    priced = smooth
    if (not smooth) and groups[0].shape[1] == 0:
        priced = level_marginals(work, kinds, blocks, sums, slot, money, hurdle, found)
    settle(work, slot, money, groups)
    state_gap(work, kinds, blocks, sums, hurdle, scale * money, found)
    # nothing was left over, and the price is that of what is left over: an instrument ends where the money ends
    spent = unfilled(work, slot, money, BEST) <= SETTLED * money
    priced &= not (spent & (not exactly) & (found[f.SHADOW_PRICE] == hurdle))
    return not (priced | whole | crosses(groups))


@routine
def _solve(
    trusted_to: Floats,
    settings: Floats,
    controls: Floats,
    floors: Floats,
    total: float,
    exactly: bool,
    greedy: bool,
    thresholded: bool,
    scale: float,
    work: Floats,
    kinds: Integers,
    blocks: Span,
    sums: Floats,
    marks: Integers,
    waiting: Integers,
    nodes: Integers,
    node_bounds: Floats,
    trail: Floats,
    limits: Floats,
    groups: Groups,
    whole: bool,
    ledger: Floats,
    amounts: Floats,
    binding: Codes,
    found: Floats,
) -> None:
    """Solve one problem once, `floors` (if there are any) being amounts that must be held beside `settings`."""
    slot = marks[m.SLOT]
    money = total * (1.0 - controls[c.RESERVE])
    status, culprit, excess = bound_domains(trusted_to, settings, floors, total, money, exactly, work, kinds, slot)
    found[:] = math.nan
    found[f.STATUS], found[f.CULPRIT], found[f.EXCESS], found[f.NODES] = status, culprit, excess, 0
    if status >= status_of.NO_ROOM:
        return
    set_limits(limits, total, groups)
    unpriced = False
    if greedy:
        _place_in_steps(controls, total, money, exactly, scale, work, kinds, blocks, sums, marks, groups, found)
    else:
        unpriced = _place_best(
            controls, money, exactly, scale, work, kinds, blocks, sums, marks, waiting, nodes, node_bounds, trail,
            groups, whole, ledger, found,
        )  # fmt: skip
    if found[f.STATUS] >= status_of.NO_ROOM:
        return
    found[f.STATUS] = status_of.OPTIMAL if found[f.GAP] <= controls[c.TOLERANCE] else status_of.GAP_OPEN
    for i in range(slot.size):
        amounts[i] = work[slot[i] + BEST * LANES]
    if unpriced:
        state_prices(trusted_to, settings, total, money, controls[c.HURDLE], exactly, work, kinds, slot, groups, found)
    explain(
        trusted_to, settings, thresholded, floors, total, money, work, kinds, slot, found[f.SHADOW_PRICE],
        groups, binding,
    )  # fmt: skip
    if whole & (money > 0.0):
        explain_whole(
            trusted_to, settings, floors, total, money, controls, work, kinds, slot, found[f.SHADOW_PRICE], ledger,
            binding,
        )  # fmt: skip


@routine
def _add_first(amounts: Floats, binding: Codes, found: Floats, second_binding: Codes, second: Floats) -> None:
    """Add what the first solve says to the second: the worse gap and status, and what keeps the first amounts up."""
    if second[f.STATUS] >= status_of.NO_ROOM:
        return
    for i in range(amounts.size):
        if (second_binding[i] == reason_of.LOWER) & (amounts[i] > 0.0):
            second_binding[i] = binding[i]
    for figure in (f.GAP, f.STATUS):
        if not second[figure] >= found[figure]:
            second[figure] = found[figure]


@routine
def _hand_over(
    amounts: Floats, binding: Codes, found: Floats, phases: int, amounts_out: Floats, binding_out: Codes,
    found_out: Floats,
) -> None:  # fmt: skip
    """Write an answer, or that there is none."""
    answered = found[f.STATUS] < status_of.NO_ROOM
    for i in range(amounts.size):
        amounts_out[i] = amounts[i] if answered else math.nan
        binding_out[i] = binding[i] if answered else reason_of.NONE
    for figure in range(f.END):
        found_out[figure] = found[figure] if answered else math.nan
    found_out[f.STATUS], found_out[f.NODES], found_out[f.PHASES] = found[f.STATUS], found[f.NODES], phases
    found_out[f.CULPRIT], found_out[f.EXCESS] = found[f.CULPRIT], found[f.EXCESS]


@routine
def _follow(
    goal: int, target: float, work: Floats, kinds: Integers, slot: Integers, settings: Floats, amounts: Floats,
    controls: Floats, asked: Floats, group_limits: Floats, twice: bool, solution: Floats, quest: Floats,
) -> bool:  # fmt: skip
    """Choose the next total of a problem that is asked backwards; False where the last one was the answer."""
    if goal == target_of.UTILITY:
        return follow_utility(target, solution, quest)
    placed, returned = efficient(work, kinds, slot, amounts)
    if goal == target_of.EFFICIENCY:
        once = (not twice) and falls(work, slot)
        for k in range(group_limits.shape[1]):
            once &= group_limits[limit_of.GROUP_LOWER, k] == 0.0
        return follow_efficiency(target, placed, returned, once, solution, quest)
    shares = group_limits.shape[1] > 0
    for i in range(slot.size):
        shares |= settings[s.MAX_SHARE, i] < 1.0
    goes_on = follow_marginal(target, placed, first_price(work, kinds, slot, 0.0), shares, solution, quest)
    if quest[quest_of.LAST] != 0.0:
        asked[c.HURDLE] = controls[c.HURDLE]
    return goes_on


@kernel(
    codes_in,
    float_rows_in,
    floats_in,
    floats_in,
    floats_in,
    float_rows_in,
    floats_in,
    floats_in,
    float_rows_out,
    code_rows_out,
    float_rows_out,
    float_rows_out,
    code_rows_out,
    float_rows_out,
    floats_out,
    integer_rows_out,
    integers_out,
    integer_rows_out,
    float_rows_out,
    float_rows_out,
    float_rows_out,
    code_rows_out,
    float_rows_out,
    integers_in,
    integers_in,
    float_rows_in,
    float_rows_out,
    integer_rows_out,
    float_rows_out,
    floats_out,
    floats_in,
    floats_out,
    floats_out,
    integers_in,
    integers_in,
    float_rows_out,
    float_rows_out,
    float_rows_out,
    integer,
    integer,
)
def allocate(
    family: Codes,
    params: Floats,
    origin: Floats,
    steps: Floats,
    trusted_to: Floats,
    settings: Floats,
    totals: Floats,
    controls: Floats,
    amounts: Floats,
    binding: Codes,
    solutions: Floats,
    first_amounts: Floats,
    first_binding: Codes,
    first_solutions: Floats,
    work: Floats,
    marks: Integers,
    blocks_and_nodes: Integers,
    nodes: Integers,
    node_bounds: Floats,
    trails: Floats,
    drafts: Floats,
    draft_binding: Codes,
    draft_solutions: Floats,
    leaf: Integers,
    parents: Integers,
    group_limits: Floats,
    group_prices: Floats,
    forest: Integers,
    group_work: Floats,
    ended: Floats,
    targets: Floats,
    asked: Floats,
    quest: Floats,
    starts: Integers,
    inside: Integers,
    lines: Floats,
    matrix: Floats,
    lanes: Floats,
    start: int,
    stop: int,
) -> None:
    """Solve problems: problem p has the money ``totals[p % len(totals)]`` and the curves ``p // len(totals)``.

    A search begins where the last one of its kind ended, among WARM problems that follow one another: ranges that begin
    at multiples of WARM give the bits of the whole.

    Parameters
    ----------
    family : (n,) int8
    params : (draws·n, width) float64
        NaN: no curve.
    origin, trusted_to : (n,) float64
    steps : float64
        Of ladders, at their places.
    settings, controls : (settings.END, n), (controls.END,) float64
        Rows and entries by :mod:`escala.kernels.layout`.
    totals : (t,) float64
    amounts, binding, solutions : (problems, n) float64, (problems, n) int8, (problems, solution.END) float64
        Output. From status NO_ROOM on, CULPRIT is the instrument to blame (−1: all together), EXCESS by how much, and
        the rest NaN.
    first_amounts, first_binding, first_solutions : the same, or of no rows
        Output: what a second solve was built on; the same where there was none.
    work : (work_size(n, g, parts, size of steps),) float64
        Parts: 1, or 2 where what is left over may be placed; twice that where trading costs something.
    marks, blocks_and_nodes : (marks.END, n), (integers_size(n, g, max_nodes),) int64
    nodes, node_bounds : (max_nodes + 2, node.END) int64, (max_nodes + 2, node_bound.END) float64
    trails : (solves.END, trail.END) float64
    drafts, draft_binding, draft_solutions : (whole.END, n), (drafts.END, n) int8, (drafts.END, solution.END)
    leaf, parents : (n,), (g,) int64
        The innermost group of every instrument, and the group around every group; −1: none. Groups come before what
        they lie in.
    group_limits : (group_limits.END, g) float64
    group_prices : (problems, g) float64
        Output: what one more unit of each group's limit returns; below 0 where it is a lower one, NaN where
        there is no answer.
    forest, group_work, ended : (forest.END, g) int64, (fences.END, g), (verdict.END,) float64
    targets : (t,) float64
        What is asked for where GOAL is not NONE; the totals then are the most that there is.
    asked, quest : (controls.END,), (quest.END,) float64
    starts, inside : (kinds + 1,), (links,) int64
        Where groups overlap, else of no elements: where the groups of every kind of instrument begin in `inside`. Then
        `leaf` is the kind of every instrument (−1: in no group), and `parents` are −1.
    lines, matrix, lanes : (crossing_limits.END, g + 1), (g + 1, g + 1), (crossing_lanes.END, n) float64
        Where groups overlap; else of no columns.
    start, stop : int
        Range of problems.
    """
    n = family.size
    exactly, greedy = controls[c.EXACTLY] != 0.0, controls[c.GREEDY] != 0.0
    traded = False
    whole = (controls[c.MAX_COUNT] < n) | (controls[c.MIN_COUNT] > 0.0)
    for i in range(n):
        traded |= costs_of(settings, i) > 0.0
        whole |= settings[s.LOTS, i] > 0.0
    # every kind may have a block that is not full, in every stretch of a group
    most_blocks = (n // LANES + KINDS * (parents.size + 1)) * (2 if traded else 1)
    place = most_blocks * BLOCK
    size = place + steps.size
    sums, rows, free = work[:SUMS], work[SUMS : SUMS + size], work[SUMS + size :]
    for j in range(steps.size):
        rows[place + j] = steps[j]
        if free.size >= size:  # there may be a second solve
            free[place + j] = steps[j]
    slot = marks[m.SLOT]
    kinds, waiting = blocks_and_nodes[:most_blocks], blocks_and_nodes[most_blocks:]
    g = parents.size
    grouped, overlapping = g > 0, starts.size > 0
    nested = grouped & (not overlapping)
    groups = (forest, group_work, marks[m.LANE], ended, (starts, inside, lines, matrix, lanes))
    order_members(leaf, parents, overlapping, forest, marks[m.ORDER])
    no_floors = drafts[draft.FIRST][:0]
    scale = highest_threshold = 0.0
    for i in range(n):
        scale = max(scale, settings[s.PRIORITY, i])
        highest_threshold = max(highest_threshold, settings[s.MIN_EFFICIENCY, i])
    scale = scale if scale > 0.0 else 1.0
    twice = (controls[c.DISTRIBUTE] != 0.0) & (highest_threshold > 0.0)
    curves = free_curves = -1
    blocks = (0, 0)
    for at in range(start, stop):
        total = totals[at % totals.size]
        now = at // totals.size
        own = params[now * n : (now + 1) * n]
        if now != curves:
            curves = now
            most = arrange(
                family, own, origin, trusted_to, settings, True, traded, leaf, marks[m.ORDER], nested, place, rows,
                kinds, slot,
            )  # fmt: skip
            if overlapping:
                note_kinds(rows, slot, leaf)
            blocks = (0, most)
            find_blocks(marks[m.ORDER], slot, 2 if traded else 1, groups)
            trails[:, t.FALLS] = 0.0
        if at % WARM == 0:
            trails[:, t.PRICE] = 0.5 * scale
            trails[:, t.FALLS] = 0.0
            trails[:, t.MONEY] = 0.0
            start_prices(0.5 * scale, groups)
            if overlapping:
                start_lines(0.5 * scale, groups)
        goal = int(controls[c.GOAL])
        goes_on = True
        first, answer, phases = draft.FIRST, draft.FIRST, 1
        for entry in range(controls.size):
            asked[entry] = controls[entry]
        if goal != target_of.NONE:
            total = begin(
                goal, targets[at % totals.size], total, scale - asked[c.HURDLE], 1.0 - asked[c.RESERVE], quest
            )
            if goal == target_of.MARGINAL:
                asked[c.HURDLE] = max(asked[c.HURDLE], targets[at % totals.size])
        while goes_on:
            money = total * (1.0 - asked[c.RESERVE])
            first, answer, phases = draft.FIRST, draft.FIRST, 1
            _solve(
                trusted_to, settings, asked, no_floors, total, exactly, greedy, True, scale, rows, kinds, blocks, sums,
                marks, waiting, nodes, node_bounds, trails[kind_of.FIRST], group_limits, groups, whole, drafts,
                drafts[draft.FIRST], draft_binding[draft.FIRST], draft_solutions[draft.FIRST],
            )  # fmt: skip
            status = draft_solutions[draft.FIRST, f.STATUS]
            short = (status == status_of.TOO_LITTLE_ROOM) | (status == status_of.NO_COMBINATION)
            if twice & exactly & (short | (status == status_of.NOT_FOUND)):  # the second solve places the rest
                _solve(
                    trusted_to, settings, asked, no_floors, total, False, greedy, True, scale, rows, kinds, blocks,
                    sums, marks, waiting, nodes, node_bounds, trails[kind_of.RELAXED],
                    group_limits, groups, whole, drafts,
                    drafts[draft.FIRST], draft_binding[draft.FIRST], draft_solutions[draft.FIRST],
                )  # fmt: skip
            answered = draft_solutions[draft.FIRST, f.STATUS] < status_of.NO_ROOM
            if (twice & answered) and unfilled(rows, slot, money, BEST) > NOTHING * money:
                phases = 2
                answer = draft.SECOND
                if now != free_curves:
                    free_curves = now
                    arrange(
                        family, own, origin, trusted_to, settings, False, traded, leaf, marks[m.ORDER], nested, place,
                        free, kinds, slot,
                    )  # fmt: skip
                    if overlapping:
                        note_kinds(free, slot, leaf)
                _solve(
                    trusted_to, settings, asked, drafts[draft.FIRST], total, exactly, greedy, False, scale, free, kinds,
                    blocks, sums, marks, waiting, nodes, node_bounds, trails[kind_of.SECOND],
                    group_limits, groups, whole, drafts,
                    drafts[draft.SECOND], draft_binding[draft.SECOND], draft_solutions[draft.SECOND],
                )  # fmt: skip
                _add_first(
                    drafts[draft.FIRST], draft_binding[draft.FIRST], draft_solutions[draft.FIRST],
                    draft_binding[draft.SECOND], draft_solutions[draft.SECOND],
                )  # fmt: skip
                # neither order wins always: the same after a greedy first solve may be better
                if not (greedy | traded | grouped | whole):
                    _solve(
                        trusted_to, settings, asked, no_floors, total, False, True, True, scale, rows, kinds, blocks,
                        sums, marks, waiting, nodes, node_bounds, trails[kind_of.FIRST],
                        group_limits, groups, whole, drafts,
                        drafts[draft.GREEDY_FIRST], draft_binding[draft.GREEDY_FIRST],
                        draft_solutions[draft.GREEDY_FIRST],
                    )  # fmt: skip
                    if draft_solutions[draft.GREEDY_FIRST, f.STATUS] < status_of.NO_ROOM:
                        _solve(
                            trusted_to, settings, asked, drafts[draft.GREEDY_FIRST], total, exactly, False, False,
                            scale, free, kinds, blocks, sums, marks, waiting, nodes, node_bounds,
                            trails[kind_of.AFTER_GREEDY], group_limits, groups, whole, drafts,
                            drafts[draft.AFTER_GREEDY], draft_binding[draft.AFTER_GREEDY],
                            draft_solutions[draft.AFTER_GREEDY],
                        )  # fmt: skip
                        _add_first(
                            drafts[draft.GREEDY_FIRST], draft_binding[draft.GREEDY_FIRST],
                            draft_solutions[draft.GREEDY_FIRST],
                            draft_binding[draft.AFTER_GREEDY], draft_solutions[draft.AFTER_GREEDY],
                        )  # fmt: skip
                        one, other = draft_solutions[draft.SECOND], draft_solutions[draft.AFTER_GREEDY]
                        lost = one[f.STATUS] >= status_of.NO_ROOM
                        sound = other[f.STATUS] < status_of.NO_ROOM
                        if sound & (lost | (other[f.UTILITY] > one[f.UTILITY])):
                            first, answer = draft.GREEDY_FIRST, draft.AFTER_GREEDY
                if draft_solutions[answer, f.STATUS] >= status_of.NO_ROOM:
                    # the first amounts stand in the way of spending all: begin anew without the threshold
                    _solve(
                        trusted_to, settings, asked, no_floors, total, exactly, greedy, False, scale, free, kinds,
                        blocks, sums, marks, waiting, nodes, node_bounds, trails[kind_of.ANEW],
                        group_limits, groups, whole, drafts,
                        drafts[answer], draft_binding[answer], draft_solutions[answer],
                    )  # fmt: skip
            goes_on = False
            if goal != target_of.NONE:
                goes_on = _follow(
                    goal, targets[at % totals.size], rows, kinds, slot, settings, drafts[answer], controls, asked,
                    group_limits, twice, draft_solutions[answer], quest,
                )  # fmt: skip
                total = quest[quest_of.AT]
        draft_solutions[answer, f.TOTAL] = draft_solutions[first, f.TOTAL] = total
        _hand_over(
            drafts[answer], draft_binding[answer], draft_solutions[answer], phases,
            amounts[at], binding[at], solutions[at],
        )  # fmt: skip
        unanswered = draft_solutions[answer, f.STATUS] >= status_of.NO_ROOM
        for k in range(g):
            group_prices[at, k] = math.nan if unanswered else group_work[fences.FOUND, k]
        if first_amounts.shape[0] > 0:
            _hand_over(
                drafts[first], draft_binding[first], draft_solutions[first], 1,
                first_amounts[at], first_binding[at], first_solutions[at],
            )  # fmt: skip


def work_size(n: int, groups: int, parts: int, steps: int) -> int:
    """Floats that `work` must hold for n instruments, in so many groups and parts: see :func:`allocate`.

    `steps` counts the numbers that ladders have beside their coefficients.
    """
    return SUMS + parts * ((n // LANES + KINDS * (groups + 1)) * BLOCK + steps)


def integers_size(n: int, groups: int, max_nodes: int) -> int:
    """Integers that `blocks_and_nodes` must hold for n instruments in so many groups."""
    return 2 * (n // LANES + KINDS * (groups + 1)) + max_nodes + 2
