"""Allocation by brute force: points that the solver must not fall behind of, and bounds that it must not undercut.

Everything is sampled, bisected or exchanged in small steps, on formulas written out once more: no closed form of the
solver is used here, so none of its mistakes can be repeated. Amounts are arrays (n,), samples of them (n, m).
"""

from __future__ import annotations

import functools
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SAMPLES = 2001
HALVINGS = 100
CUTS = 50
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
#: A curve of these families has at most this many local maxima of wU − price·C: both ends, a kink, a turning point; on
#: either side of what is held.
MOST_MAXIMA = 8
#: What holds for each instrument unless something else is said.
DEFAULTS = {
    "min_efficiency": 0.0,
    "lower": 0.0,
    "upper": math.inf,
    "min_ticket": 0.0,
    "max_share": 1.0,
    "priority": 1.0,
    "current": 0.0,
    "buy_cost": 0.0,
    "sell_cost": 0.0,
    "fixed_cost": 0.0,
}


@dataclass(frozen=True, eq=False)
class Problem:
    """One allocation problem; every setting has one value an instrument."""

    family: tuple[str, ...]
    params: Floats
    total: float
    origin: Floats
    trusted_to: Floats
    min_efficiency: Floats
    lower: Floats
    upper: Floats
    min_ticket: Floats
    max_share: Floats
    priority: Floats
    current: Floats
    buy_cost: Floats
    sell_cost: Floats
    fixed_cost: Floats
    reserve: float = 0.0
    hurdle: float = 0.0
    spend: str = "at_most"
    #: Knots and slopes of the ladders; nothing for other families.
    steps: tuple[tuple[Floats, Floats] | None, ...] = ()
    #: Index of each family, as columns for samples.
    code: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        order = ("linear", "quadratic", "exponential", "sqrt", "hill", "depth", "power", "ladder")
        object.__setattr__(self, "code", np.array([order.index(name) for name in self.family], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.family)

    @property
    def money(self) -> float:
        return self.total * (1.0 - self.reserve)

    @property
    def cap(self) -> Floats:
        """The upper bounds that do not depend on the curve."""
        return np.minimum(np.minimum(self.upper, self.max_share * self.total), self.trusted_to)

    @functools.cached_property
    def stretch(self) -> tuple[Floats, Floats]:
        """Ends of the first stretch of [0, cap] with enough efficiency; inf and −inf where there is none."""
        return first_stretch(self, self.cap)

    @functools.cached_property
    def low(self) -> Floats:
        """Smallest amount of an instrument that gets anything."""
        return np.maximum(np.maximum(self.lower, self.min_ticket), self.stretch[0])

    @functools.cached_property
    def high(self) -> Floats:
        return np.minimum(self.cap, self.stretch[1])

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        return self.low <= self.high

    @property
    def forced(self) -> npt.NDArray[np.bool_]:
        return self.lower > 0.0

    @property
    def affordable(self) -> Floats:
        """Upper bounds that the money allows, what the forced instruments must hold being paid first."""
        spoken_for = np.where(self.forced, self.low, 0.0)
        left: Floats = np.minimum(self.high, self.money - (spoken_for.sum() - spoken_for))
        return left

    def settings(self) -> dict[str, Any]:
        """Give the keywords of the call that solves this."""
        costs = ("buy_cost", "sell_cost")
        own = {name: getattr(self, name) for name in (*DEFAULTS, "reserve", "hurdle", "spend") if name not in costs}
        return own | {"trade_cost": (self.buy_cost, self.sell_cost)}


def make_problem(family: tuple[str, ...] | list[str], params: npt.ArrayLike, total: float, **settings: Any) -> Problem:
    """Make a problem; settings are those of the call, and `origin` and `trusted_to` of the curves."""
    n = len(family)
    values = np.zeros((n, 4))
    given = np.asarray(params, dtype=np.float64)
    values[:, : given.shape[1]] = given
    whole = {name: settings.pop(name) for name in ("reserve", "hurdle", "spend", "steps") if name in settings}
    each = DEFAULTS | {"origin": 0.0, "trusted_to": math.inf} | settings
    arrays = {name: np.array(np.broadcast_to(value, (n,)), dtype=np.float64) for name, value in each.items()}
    return Problem(**{"family": tuple(family), "params": values, "total": total, **arrays, **whole})


def in_other_currency(p: Problem, factor: float) -> Problem:
    """Give the same problem with every amount of money multiplied by `factor`."""
    powers = {
        "linear": (factor, 1.0, 1.0, 1.0),
        "quadratic": (factor * factor, factor, 1.0, 1.0),
        "exponential": (1.0, factor, 1.0, 1.0),
        "sqrt": (math.sqrt(factor), 1.0, 1.0, 1.0),
        "hill": (1.0, 1.0 / factor, 1.0, 1.0),
        "depth": (1.0, 1.0 / factor, 1.0, 1.0),
        "power": (1.0, 1.0, 1.0, 1.0 / factor),
        "ladder": (1.0, 1.0, 1.0, 1.0),
    }
    params = p.params / np.array([powers[name] for name in p.family])
    money = ("origin", "trusted_to", "lower", "upper", "min_ticket", "current", "fixed_cost")
    amounts = {name: getattr(p, name) * factor for name in money}
    steps = tuple(None if one is None else (one[0] * factor, one[1]) for one in p.steps)
    return replace(p, params=params, total=p.total * factor, steps=steps, **amounts)


def reordered(p: Problem, order: npt.NDArray[np.int64]) -> Problem:
    """Give the same problem with its instruments in another order."""
    arrays = {name: getattr(p, name)[order] for name in ("params", "origin", "trusted_to", *DEFAULTS)}
    steps = tuple(p.steps[i] for i in order) if p.steps else ()
    return replace(p, family=tuple(p.family[i] for i in order), steps=steps, **arrays)


# --- curves ------------------------------------------------------------------------------------------------------


def raw_efficiency(p: Problem, capital: Floats) -> Floats:
    """Evaluate η, not clipped, at samples (n, m)."""
    a, b, c = (p.params[:, k, None] for k in range(3))
    code = p.code[:, None]
    d = capital - p.origin[:, None]
    decay = np.exp(np.where(code == 2, -b * d, 0.0))
    x, s = hill_terms(p, capital)
    hill = a * x ** (s - 1.0) / (1.0 + x**s)
    depth, power, _, _ = market_terms(p, capital)
    ladder = np.where(capital > 0.0, ladders(p, capital)[0] / np.where(capital > 0.0, capital, 1.0), 0.0)
    ladder = np.where(capital > 0.0, ladder, ladders(p, capital)[1])
    return by_family(
        code, a * capital + b, (a * d + b) * d + c, a * decay + c, a * np.sqrt(capital) + b, hill, depth, power, ladder
    )


def market_terms(p: Problem, capital: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Give η of depth and power where the curves are of these families, and dη/dC; elsewhere what does no harm."""
    a, b, c, d = (p.params[:, k, None] for k in range(4))
    deep, ours = p.code[:, None] == 5, p.code[:, None] == 6
    x = np.maximum(capital, 1e-300)
    log_t = np.where(deep, c * np.log(x / np.where(deep, b, 1.0)), 0.0)
    log_g = -np.logaddexp(0.0, log_t) / np.where(deep, c, 1.0)
    depth = np.where(deep, a * np.exp(log_g), 0.0)
    depth_slope = -depth / x * np.exp(log_t - np.logaddexp(0.0, log_t))
    lost = np.where(ours, b * (x / np.where(ours, d, 1.0)) ** np.where(ours, c, 1.0), 0.0)
    return depth, a - lost, np.where(deep, depth_slope, 0.0), np.where(ours, -c * lost / x, 0.0)


def ladders(p: Problem, capital: Floats) -> tuple[Floats, Floats]:
    """Give U of the ladders, the sum over their steps, and the slope of the next unit; 0 for other families."""
    whole, slope = np.zeros(capital.shape), np.zeros(capital.shape)
    for i, step in enumerate(p.steps):
        if step is None:
            continue
        begin, returned = step[0][:, None], step[1]
        width = np.append(np.diff(step[0]), np.inf)[:, None]
        whole[i] = (returned[:, None] * np.minimum(np.maximum(capital[i] - begin, 0.0), width)).sum(axis=0)
        slope[i] = returned[np.maximum(np.searchsorted(step[0], capital[i], side="right") - 1, 0)]
    return whole, slope


def hill_terms(p: Problem, capital: Floats) -> tuple[Floats, Floats]:
    """Give capital over K, and s, where the curves are of that family; elsewhere numbers that do no harm."""
    _, b, c = (p.params[:, k, None] for k in range(3))
    ours = p.code[:, None] == 4
    return np.where(ours, capital / np.where(ours, b, 1.0), 1.0), np.where(ours, c, 1.0)


def by_family(code: npt.NDArray[np.int64], *formulas: Floats) -> Floats:
    """Pick each instrument's own formula, which come in the order of the families."""
    found: Floats = np.choose(code, np.broadcast_arrays(*formulas))
    return found


def raw_slope(p: Problem, capital: Floats) -> Floats:
    """Evaluate dη/dC, not clipped."""
    a, b, _ = (p.params[:, k, None] for k in range(3))
    code = p.code[:, None]
    d = capital - p.origin[:, None]
    decay = np.exp(np.where(code == 2, -b * d, 0.0))
    root = np.sqrt(np.where(capital > 0.0, capital, 1.0))
    x, s = hill_terms(p, np.where(capital > 0.0, capital, 1e-300))
    power = x**s
    hill = a * x ** (s - 1.0) / (1.0 + power) * (s / (1.0 + power) - 1.0) / np.where(capital > 0.0, capital, 1e-300)
    _, _, depth, power = market_terms(p, capital)
    whole, step = ladders(p, capital)
    x = np.where(capital > 0.0, capital, 1.0)
    ladder = np.where(capital > 0.0, (step - whole / x) / x, 0.0)
    return by_family(code, a + 0.0 * d, 2.0 * a * d + b, -a * b * decay, a / (2.0 * root), hill, depth, power, ladder)


def utility(p: Problem, capital: Floats) -> Floats:
    """Evaluate C·η with η clipped to [0, 1]."""
    return capital * np.clip(raw_efficiency(p, capital), 0.0, 1.0)


def marginal(p: Problem, capital: Floats) -> Floats:
    """Evaluate dU/dC; 1 where η reaches 1, 0 where it is negative."""
    eta = raw_efficiency(p, capital)
    inside = eta + capital * raw_slope(p, capital)
    clipped = np.where(eta >= 1.0, 1.0, np.where(eta < 0.0, 0.0, inside))
    return np.where(p.code[:, None] == 7, ladders(p, capital)[1], clipped)


def trading_cost(p: Problem, capital: Floats) -> Floats:
    """Evaluate what it costs to come from what is held to each amount."""
    moved = capital - p.current[:, None]
    fixed = np.where(moved != 0.0, p.fixed_cost[:, None], 0.0)
    return p.buy_cost[:, None] * np.maximum(moved, 0.0) + p.sell_cost[:, None] * np.maximum(-moved, 0.0) + fixed


def value(p: Problem, capital: Floats, price: float = 0.0) -> Floats:
    """Evaluate what each amount adds to the maximand, less `price` a unit; no capital needs no curve."""
    earned = np.where(capital > 0.0, p.priority[:, None] * utility(p, capital), 0.0)
    return earned - (p.hurdle + price) * capital - trading_cost(p, capital)


def value_of(p: Problem, amounts: Floats) -> float:
    """Evaluate the maximand V."""
    return math.fsum(value(p, amounts[:, None])[:, 0].tolist())


def priced_marginal(p: Problem, amounts: Floats) -> Floats:
    """Evaluate wU′ of each instrument."""
    return p.priority * marginal(p, amounts[:, None])[:, 0]


def first_stretch(p: Problem, cap: Floats) -> tuple[Floats, Floats]:
    """Find the ends of the first stretch of [0, cap] on which η ≥ max(min_efficiency, 0): scan, then bisect."""
    grid = np.linspace(0.0, 1.0, SAMPLES) * cap[:, None]
    # the turn of a parabola may hide between two samples; other curves have none
    turns = [turn(p, grid, sign) for sign in (1.0, -1.0)]
    grid = np.sort(np.column_stack([grid, *turns]), axis=1)
    least = np.maximum(p.min_efficiency, 0.0)
    good = raw_efficiency(p, grid) >= least[:, None]
    rows, columns = np.arange(len(p)), np.arange(grid.shape[1])
    begin = np.argmax(good, axis=1)
    bad_after = ~good & (columns > begin[:, None])
    end = np.where(bad_after.any(axis=1), np.argmax(bad_after, axis=1), grid.shape[1])
    first = edge(p, least, grid[rows, begin], grid[rows, np.maximum(begin - 1, 0)])
    last = edge(p, least, grid[rows, np.maximum(end - 1, 0)], grid[rows, np.minimum(end, grid.shape[1] - 1)])
    there = good.any(axis=1)
    return np.where(there, first, np.inf), np.where(there, last, -np.inf)


def turn(p: Problem, grid: Floats, sign: float) -> Floats:
    """Find where sign·η is highest."""
    rows = np.arange(len(p))
    top = np.argmax(sign * raw_efficiency(p, grid), axis=1)
    low, high = grid[rows, np.maximum(top - 1, 0)], grid[rows, np.minimum(top + 1, grid.shape[1] - 1)]
    return golden(lambda c: sign * raw_efficiency(p, c), low[:, None], high[:, None])[:, 0]


def edge(p: Problem, least: Floats, good: Floats, bad: Floats) -> Floats:
    """Bisect for the last place with η ≥ least on the way from `good` to `bad`."""
    for _ in range(HALVINGS):
        middle = 0.5 * (good + bad)
        enough = raw_efficiency(p, middle[:, None])[:, 0] >= least
        good, bad = np.where(enough, middle, good), np.where(enough, bad, middle)
    return good


def golden(f: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Find the maximum between `low` and `high`, element by element, where there is one hill only."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = f(left), f(right)
    for _ in range(CUTS):
        rises = at_left < at_right
        low, high = np.where(rises, left, low), np.where(rises, high, right)
        place = np.where(rises, low + GOLDEN * (high - low), high - GOLDEN * (high - low))
        there = f(place)
        left, right = np.where(rises, right, place), np.where(rises, place, left)
        at_left, at_right = np.where(rises, at_right, there), np.where(rises, there, at_left)
    return np.where(at_left > at_right, left, right)


# --- bounds ------------------------------------------------------------------------------------------------------


def inner_maxima(p: Problem, price: float, samples: int = SAMPLES) -> Floats:
    """Find the highest value(C, price) of every instrument over its own domain."""
    usable = p.usable & (p.forced | (p.low <= p.affordable))
    low, high = np.where(usable, p.low, 0.0), np.where(usable, np.maximum(p.affordable, p.low), 0.0)
    grid = low[:, None] + np.linspace(0.0, 1.0, samples) * (high - low)[:, None]
    grid[:, -1] = high
    f = value(p, grid, price)
    edges = np.full((len(p), 1), -np.inf)
    hill = (f >= np.column_stack([edges, f[:, :-1]])) & (f >= np.column_stack([f[:, 1:], edges]))
    tops = np.argsort(np.where(hill, f, -np.inf), axis=1)[:, -MOST_MAXIMA:]
    left = np.take_along_axis(grid, np.maximum(tops - 1, 0), axis=1)
    right = np.take_along_axis(grid, np.minimum(tops + 1, samples - 1), axis=1)
    places = golden(lambda c: value(p, c, price), left, right)
    best = np.maximum(f.max(axis=1), value(p, places, price).max(axis=1))
    held = p.current[:, None]
    stays = usable & (p.current >= low) & (p.current <= high)
    best = np.where(stays, np.maximum(best, value(p, held, price)[:, 0]), best)
    nothing = value(p, np.zeros_like(held), price)[:, 0]
    return np.where(usable, np.where(p.forced, best, np.maximum(best, nothing)), nothing)


def dual_bound(p: Problem, price: float, samples: int = SAMPLES) -> float:
    """Evaluate D(λ) = λT + Σ max(wU − (hurdle + λ)C), which no feasible allocation exceeds."""
    return price * p.money + math.fsum(inner_maxima(p, price, samples).tolist())


def least_dual_bound(p: Problem, samples: int = 201) -> float:
    """Find min D(λ), D being convex; over λ ≥ 0 unless all the money must be spent."""
    grid = np.where(p.usable, p.high, 0.0)[:, None] * np.linspace(0.0, 1.0, samples)
    steepest = 1.0 + float(np.nanmax(np.abs(p.priority[:, None] * marginal(p, grid)))) + abs(p.hurdle)
    steepest += float((p.buy_cost + p.sell_cost).max())
    lowest = -steepest if p.spend == "exactly" else 0.0
    prices = golden(lambda price: np.array(-dual_bound(p, float(price), samples)), np.array(lowest), np.array(steepest))
    return min(dual_bound(p, price, samples) for price in (lowest, float(prices)))


# --- feasible points ---------------------------------------------------------------------------------------------


def is_feasible(p: Problem, amounts: Floats, slack: float = 1e-12) -> bool:
    """Tell whether amounts keep to every bound, up to a relative slack."""
    none = (amounts == 0.0) & ~p.forced
    inside = p.usable & (amounts >= p.low * (1.0 - slack)) & (amounts <= p.high * (1.0 + slack))
    spent = math.fsum(amounts.tolist())
    enough = p.spend == "at_most" or spent >= p.money * (1.0 - slack)
    return bool(np.all(none | inside)) and enough and spent <= p.money * (1.0 + slack)


def best_on_grid(p: Problem, steps: int = 400) -> Floats | None:
    """Find the best allocation of money in equal steps, by dynamic programming; None if the grid has none.

    An amount at the upper bound is charged the next whole step, so that what is found can be paid for. With
    spend="exactly" the steps that rounding left over are added afterwards.
    """
    unit = p.money / steps
    levels = unit * np.arange(steps + 1)
    capped = np.minimum(levels, p.high[:, None])
    near = (capped >= p.current[:, None]) & (capped < p.current[:, None] + unit) & (p.current > 0.0)[:, None]
    capped = np.where(near & (p.current >= p.low)[:, None], p.current[:, None], capped)  # to stay is a choice too
    allowed = p.usable[:, None] & (levels >= p.low[:, None])
    if p.spend == "exactly":
        allowed &= levels < p.high[:, None] + unit
    amounts = np.where(allowed, capped, 0.0)
    worth = np.where(allowed, value(p, amounts), -np.inf)
    nothing = value(p, np.zeros((len(p), 1)))[:, 0]
    worth[~p.forced, 0], amounts[~p.forced, 0] = nothing[~p.forced], 0.0
    best = np.full(steps + 1, -np.inf)
    best[0] = 0.0
    choices = []
    for row in worth:
        best, choice = max_plus(best, row)
        choices.append(choice)
    k = steps if p.spend == "exactly" else int(np.argmax(best))
    if not math.isfinite(best[k]):
        return None
    found = np.zeros(len(p))
    for i in reversed(range(len(p))):
        j = int(choices[i][k])
        found[i] = amounts[i, j]
        k -= j
    return topped_up(p, found) if p.spend == "exactly" else found


def max_plus(before: Floats, worth: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Find max over j of before[k − j] + worth[j] for every k, and that j."""
    size = before.size
    best, choice = np.full(size, -np.inf), np.zeros(size, dtype=np.int64)
    for j in np.flatnonzero(worth > -np.inf).tolist():
        here = before[: size - j] + worth[j]
        better = here > best[j:]
        best[j:][better] = here[better]
        choice[j:][better] = j
    return best, choice


def topped_up(p: Problem, amounts: Floats) -> Floats | None:
    """Spend what is left on instruments that have some already; None if they cannot take it."""
    result = amounts.copy()
    for i in np.flatnonzero((amounts > 0.0) | p.forced):
        rest = p.money - math.fsum(result.tolist())
        result[i] = min(max(result[i] + rest, p.low[i]), p.high[i])
    rest = p.money - math.fsum(result.tolist())
    return result if abs(rest) <= 1e-13 * p.money else None


def refined(p: Problem, amounts: Floats) -> Floats:
    """Exchange money between two instruments, or with what is unspent, in ever smaller steps while that gains.

    Instruments without money stay without if only a lump would do: a hill climber for each choice of instruments.
    """
    in_play = (amounts > 0.0) | p.forced | (p.usable & (p.low == 0.0))
    low, high = np.where(in_play, p.low, 0.0), np.where(in_play, p.high, 0.0)
    result = amounts.copy()
    unspent = max(p.money - math.fsum(result.tolist()), 0.0)
    step = p.money / 8.0
    while step > 1e-12 * p.money:
        gain, source, target = best_exchange(p, result, low, high, unspent, step)
        if gain <= 0.0:
            step *= 0.5
            continue
        # the last place stands for the money that is not spent
        if source < len(p):
            result[source] -= step
        else:
            unspent -= step
        if target < len(p):
            result[target] += step
        else:
            unspent += step
    return result


def best_exchange(
    p: Problem, amounts: Floats, low: Floats, high: Floats, unspent: float, step: float
) -> tuple[float, int, int]:
    """Find the exchange of one step that gains most; its gain, source and target."""
    here = value(p, amounts[:, None])[:, 0]
    more, less = np.minimum(amounts + step, high), np.maximum(amounts - step, low)
    up = np.where(amounts + step <= high, value(p, more[:, None])[:, 0] - here, -np.inf)
    down = np.where(amounts - step >= low, value(p, less[:, None])[:, 0] - here, -np.inf)
    free = p.spend == "at_most"
    up = np.append(up, 0.0 if free else -np.inf)
    down = np.append(down, 0.0 if free and unspent >= step else -np.inf)
    gains = up[None, :] + down[:, None]
    np.fill_diagonal(gains, -np.inf)
    best = int(np.argmax(gains))
    # less than rounding would be moved to and fro for ever
    noise = 1e-15 * float(np.abs(here).max(initial=0.0))
    return float(gains.flat[best]) - noise, best // gains.shape[1], best % gains.shape[1]


def best_found(p: Problem, steps: int = 400) -> Floats | None:
    """Find a feasible allocation hard to beat: on the grid, then refined."""
    found = best_on_grid(p, steps)
    return None if found is None else refined(p, found)


def random_feasible(p: Problem, rng: np.random.Generator) -> Floats | None:
    """Draw a feasible allocation; None if this draw led to none."""
    chosen = p.forced.copy()
    spare = p.money - math.fsum(p.low[p.forced].tolist())
    for i in rng.permutation(np.flatnonzero(p.usable & ~p.forced)):
        if p.low[i] <= spare and rng.random() < 0.8:
            chosen[i] = True
            spare -= p.low[i]
    amounts = np.where(chosen, p.low, 0.0)
    goal = spare if p.spend == "exactly" else spare * rng.uniform(0.0, 1.0) ** rng.choice([0.0, 1.0])
    for _ in range(4):
        room = np.where(chosen, p.high, 0.0) - amounts
        wish = rng.exponential(size=len(p)) * (room > 0.0)
        if not wish.any():
            break
        added = np.minimum(room, goal * wish / wish.sum())
        amounts += added
        goal -= float(added.sum())
    if p.spend == "exactly":
        return topped_up(p, amounts)
    floor = np.where(chosen, p.low, 0.0)
    amounts = floor + (amounts - floor) * (1.0 - 1e-12)  # rounding must not overspend
    return amounts if math.fsum(amounts.tolist()) <= p.money else None


def greedy(p: Problem, step: float) -> Floats:
    """Give step after step to the instrument whose wU′ is highest where it stands, until none exceeds the hurdle.

    The first step into an instrument reaches its smallest amount at once; one that cannot be paid for is passed over.
    """
    amounts = np.where(p.forced, p.low, 0.0)
    left = p.money - math.fsum(amounts.tolist())
    start = priced_marginal(p, amounts)
    heap = [(-float(start[i]), i) for i in np.flatnonzero(p.usable & (amounts < p.high)).tolist()]
    heapq.heapify(heap)
    while heap and left > 0.0:
        falling, i = heapq.heappop(heap)
        if -falling <= p.hurdle:
            break
        wanted = step if amounts[i] > 0.0 else max(step, float(p.low[i]))
        given = min(wanted, float(p.high[i]) - float(amounts[i]), left)
        if amounts[i] + given < p.low[i]:
            continue
        amounts[i] += given
        left -= given
        if amounts[i] < p.high[i]:
            heapq.heappush(heap, (-float(priced_marginal(p, amounts)[i]), i))
    return amounts


# --- groups: members and limits of each -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Group:
    """Instruments that together hold at most `most` and at least `least`."""

    members: tuple[int, ...]
    most: float = math.inf
    least: float = 0.0


def keeps_groups(groups: list[Group], amounts: Floats, slack: float) -> bool:
    """Tell whether amounts keep to the limits of all groups, up to an amount of money."""
    sums = [math.fsum(amounts[list(g.members)].tolist()) for g in groups]
    return all(g.least - slack <= held <= g.most + slack for g, held in zip(groups, sums, strict=True))


def best_of_all(p: Problem, groups: list[Group], steps: int) -> float:
    """Find the best value among all combinations of amounts in equal steps, what is held, and the ends of domains."""
    choices = []
    for i in range(len(p)):
        grid = np.append(np.linspace(0.0, p.money, steps + 1), [p.low[i], p.high[i], p.current[i]])
        allowed = p.usable[i] & (grid >= p.low[i]) & (grid <= min(p.high[i], p.money))
        choices.append(np.unique(grid[allowed | ((grid == 0.0) & ~p.forced[i])]))
    combined = np.stack([axis.ravel() for axis in np.meshgrid(*choices, indexing="ij")])
    allowed = combined.sum(axis=0) <= p.money * (1.0 + 1e-12)
    for g in groups:
        held = combined[list(g.members)].sum(axis=0)
        allowed &= (held <= g.most * (1.0 + 1e-12)) & (held >= g.least * (1.0 - 1e-12))
    return float(value(p, combined).sum(axis=0)[allowed].max(initial=-math.inf))


def best_in_whole_units(p: Problem, groups: list[Group]) -> float:
    """Find the best value of ladders with whole knots, bounds, holdings, limits and money; −inf where there is none.

    For any choice of what is traded at all the rest is a linear programme in which a single instrument ends between its
    knots, where the money (or a group) ends it, at a whole amount: so the best of all whole amounts is the best of all.
    Dynamic programming from the innermost group outwards, over what each group holds.
    """
    units = np.arange(int(p.money) + 1.0)
    low, high = np.maximum(p.lower, p.min_ticket)[:, None], p.cap[:, None]
    allowed = ((units >= low) & (units <= high)) | ((units == 0.0) & (p.lower == 0.0)[:, None])
    worth = np.where(allowed, value(p, np.tile(units, (len(p), 1))), -np.inf)
    parts: dict[tuple[int, ...], Floats] = {(i,): row for i, row in enumerate(worth)}  # by the instruments in each
    for g in [*sorted(groups, key=lambda g: len(g.members)), Group(tuple(range(len(p))))]:
        inside = [part for part in parts if set(part) <= set(g.members)]
        best = np.where(units == 0.0, 0.0, -np.inf)
        for part in inside:
            best, _ = max_plus(best, parts.pop(part))
        parts[tuple(sorted(g.members))] = np.where((units >= g.least) & (units <= g.most), best, -np.inf)
    return float(next(iter(parts.values())).max())


def greedy_in_groups(p: Problem, groups: list[Group], steps: int) -> Floats:
    """Give step after step to the highest w·U′ whose groups all have room: the optimum of concave utilities, in steps.

    First what the groups must hold, from the innermost outwards.
    """
    amounts, step = np.zeros(len(p)), p.money / steps
    for g in sorted(groups, key=lambda g: len(g.members)):
        inside = [inner for inner in groups if set(inner.members) <= set(g.members) and inner is not g]
        while math.fsum(amounts[list(g.members)].tolist()) < g.least - 0.5 * step:
            give_step(p, amounts, step, g.members, inside)
    while math.fsum(amounts.tolist()) < p.money - 0.5 * step:
        if not give_step(p, amounts, step, tuple(range(len(p))), groups, p.hurdle):
            break
    return amounts


def give_step(
    p: Problem, amounts: Floats, step: float, members: tuple[int, ...], groups: list[Group], least: float = -math.inf
) -> bool:
    """Give one step to whoever returns most of it; False if nobody may have it, or returns enough."""
    gain = np.full(len(p), -math.inf)
    everyone = np.array(members)
    more = np.minimum(amounts + step, p.high)
    rise = value(p, more[:, None])[:, 0] - value(p, amounts[:, None])[:, 0]
    gain[everyone] = np.where(amounts + step <= p.high, rise, -math.inf)[everyone]
    for g in groups:
        if math.fsum(amounts[list(g.members)].tolist()) + step > g.most * (1.0 + 1e-9):
            gain[list(g.members)] = -math.inf
    best = int(np.argmax(gain))
    if gain[best] == -math.inf or (least > -math.inf and gain[best] <= 0.0):
        return False
    amounts[best] += step
    return True


def priced_bound(p: Problem, groups: list[Group], prices: list[float], price: float) -> float:
    """Evaluate the bound of any prices, those of groups beyond that of what lies around them."""
    each = np.full(len(p), price)
    for g, own in zip(groups, prices, strict=True):
        each[list(g.members)] += own
    inner = math.fsum(float(inner_maxima(p, float(one))[i]) for i, one in enumerate(each.tolist()))
    limits = math.fsum(own * (g.most if own > 0.0 else g.least) for g, own in zip(groups, prices, strict=True) if own)
    return price * p.money + limits + inner
