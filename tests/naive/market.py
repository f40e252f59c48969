"""Positions in a market, in plain Python and one path at a time: what the kernels must equal to the last bit.

A scenario is a dictionary of plain numbers, as the reference scenarios in ``tests/data/market`` are. Expressions are
evaluated from left to right, each operation rounded; sums over assets begin with the first one, other sums with 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.naive.curves import naive_exp, naive_expm1, naive_log
from tests.naive.design import philox
from tests.naive.lending import naive_plan

YEAR = 31536000.0
QUANTILE = json.loads((Path(__file__).parent.parent / "data" / "market" / "normal_quantile.json").read_text())
RESTART, ROW, USAGE = 61, 62, 63
DIFFUSION, JUMP, JUMP_SIZE, VARIANCE, BRIDGE = range(5)
OPEN, DEBT_FREE, WIPED_OUT, CLOSED, ABSORBED = range(5)
LIQUIDATED, BAD_DEBT, PASS_LIMIT, WAITED, REFUSED = 1, 2, 4, 8, 16
MOST_LIQUIDATIONS = 8
ITERATIONS = 8

Spec = dict[str, Any]

# --- random numbers -------------------------------------------------------------------------------------------------


def horner(coefficients: list[float], x: float) -> float:
    """Highest power first."""
    value = coefficients[0]
    for c in coefficients[1:]:
        value = value * x + c
    return value


def naive_quantile(u: float) -> float:
    """The standard normal quantile."""
    x = 2.0 * u - 1.0
    if abs(x) <= 0.85:
        s = 0.7225 - x * x
        return x * (horner(QUANTILE["centre_numerator"], s) / horner(QUANTILE["centre_denominator"], s))
    p = min(u, 1.0 - u)
    s = math.sqrt(-naive_log(p)) - 1.6
    z = horner(QUANTILE["tail_numerator"], s) / horner(QUANTILE["tail_denominator"], s)
    return z if x > 0.0 else -z


def naive_uniform(seed: int, row: int, step: int, stream: int, group: int) -> float:
    """Two of the four words of the block of a pair of steps, the first of which is odd."""
    words = philox((row, (step - 1) // 2, stream, group), (seed % 2**32, seed // 2**32))
    first, second = words[:2] if step % 2 else words[2:]
    k = (first * 2**32 + second) // 2**12
    return (2 * k + 1) / 2**53


def naive_bridge(points: list[float]) -> list[float]:
    """A Brownian motion at 0 … K from K normals: its end first, then the middles of ever shorter stretches."""
    count = len(points)
    w = [0.0] * (count + 1)
    w[count] = math.sqrt(float(count)) * points[0]
    following = 1
    length = count
    while length > 1:
        for left in range(0, count, length):
            middle = left + length // 2
            w[middle] = 0.5 * (w[left] + w[left + length]) + math.sqrt(length / 4.0) * points[following]
            following += 1
        length //= 2
    return w


@dataclass
class NaiveDraws:
    """The random numbers of one path."""

    spec: Spec
    pinned: list[list[float]] = field(default_factory=list)  # normals of each asset, where Sobol's points drive them

    def __post_init__(self) -> None:
        """Replace the normals of each block of steps so that they add up to what Sobol's bridge says."""
        steps = self.spec["market"]["steps"]
        for j, points in enumerate(self.spec.get("sobol") or ()):
            blocks = len(points)
            w = naive_bridge([naive_quantile(u if u > 0.0 else 2.0**-31) for u in points])
            normals = []
            for i in range(blocks):
                drawn = [
                    self._drawn(t, 64 + 8 * j) for t in range(i * steps // blocks + 1, (i + 1) * steps // blocks + 1)
                ]
                n = float(len(drawn))
                total = 0.0
                for z in drawn:
                    total = total + z
                missing = ((w[i + 1] - w[i]) * math.sqrt(n) - total) / n
                normals += [z + missing for z in drawn]
            self.pinned.append(normals)

    def uniform(self, t: int, stream: int) -> float:
        row, flipped = self.spec.get("path", 0), False
        if self.spec.get("antithetic"):
            row, flipped = divmod(row, 2)
        u = naive_uniform(self.spec.get("seed", 0), row, t, stream, self.spec.get("set", 0))
        return 1.0 - u if flipped else u

    def _drawn(self, t: int, stream: int) -> float:
        return naive_quantile(self.uniform(t, stream))

    def normal(self, t: int, stream: int) -> float:
        j, kind = divmod(stream - 64, 8)
        if self.pinned and kind == DIFFUSION and stream >= 64:
            return self.pinned[j][t - 1]
        return self._drawn(t, stream)


# --- paths ----------------------------------------------------------------------------------------------------------


def clipped(x: float) -> float:
    return min(300.0, max(-300.0, x))


def naive_cholesky(correlation: list[list[float]]) -> list[list[float]]:
    """Row by row, subtracting in order."""
    count = len(correlation)
    c = [[0.0] * count for _ in range(count)]
    for i in range(count):
        for j in range(i + 1):
            s = correlation[i][j]
            for k in range(j):
                s = s - c[i][k] * c[j][k]
            c[i][j] = math.sqrt(s) if i == j else s / c[j][j]
    return c


def naive_growth(rate: float, dt: float, compounding: str) -> float:
    """What debt grows by in a step."""
    q = rate * (dt / YEAR)
    if compounding == "continuous":
        return naive_exp(q)
    if compounding == "taylor":
        return 1.0 + q + q * (q / 2.0 + q * q / 6.0)
    if compounding == "binomial":
        n, i = dt, rate / YEAR
        two = n * (n - 1.0) * (i * i) / 2.0
        return 1.0 + q + two + n * (n - 1.0) * max(n - 2.0, 0.0) * (i * i * i) / 6.0
    return 1.0 + q


def naive_kinked(usage: float, r: Spec) -> float:
    """The borrow rate at a usage."""
    if usage <= r["optimal"]:
        return float(r["base"] + r["slope1"] * usage / r["optimal"])
    return float(r["base"] + r["slope1"] + r["slope2"] * ((usage - r["optimal"]) / (1.0 - r["optimal"])))


class NaiveAsset:
    """The log price of one asset with a process of its own."""

    def __init__(self, a: Spec, j: int, h: float) -> None:
        self.a, self.h, self.stream = a, h, 64 + 8 * j
        self.kind = a.get("kind")
        self.x = 0.0
        if self.kind in ("gbm", "merton"):
            self.drift = (a["mu"] - 0.5 * a["sigma"] * a["sigma"]) * h
            self.sd = a["sigma"] * math.sqrt(h)
        if self.kind == "merton":
            self.jumps = -naive_expm1(-(a["jump_rate"] * h))
            mean = a["jump_mean"] + 0.5 * a["jump_sd"] * a["jump_sd"]
            self.drift = self.drift - naive_log(1.0 + self.jumps * naive_expm1(mean))
        if self.kind == "ou":
            self.keeps = naive_exp(-(a["reversion"] * h))
            self.sd = a["sigma"] * math.sqrt(-naive_expm1(-2.0 * (a["reversion"] * h)) / (2.0 * a["reversion"]))
            if a.get("start") is not None:
                self.x = a["mean"] + a["start"]
        if self.kind == "heston":
            self.v = a["variance"]

    def step(self, t: int, z: float, draws: NaiveDraws) -> tuple[float, float]:
        """Move on; give the variance of the step and the log price before a jump."""
        a = self.a
        if self.kind == "heston":
            positive = max(self.v, 0.0)
            s = math.sqrt(positive * self.h)
            z2 = draws.normal(t, self.stream + VARIANCE)
            self.x = self.x + ((a["mu"] - 0.5 * positive) * self.h + s * z)
            noise = a["rho"] * z + math.sqrt(1.0 - a["rho"] * a["rho"]) * z2
            self.v = self.v + (a["reversion"] * (a["long_variance"] - positive) * self.h + a["vol_of_vol"] * s * noise)
            return s * s, self.x
        if self.kind == "ou":
            self.x = (a["mean"] + (self.x - a["mean"]) * self.keeps) + self.sd * z
            return self.sd * self.sd, self.x
        self.x = self.x + (self.drift + self.sd * z)
        before = self.x
        if self.kind == "merton" and draws.uniform(t, self.stream + JUMP) < self.jumps:
            self.x = self.x + (a["jump_mean"] + a["jump_sd"] * draws.normal(t, self.stream + JUMP_SIZE))
        return self.sd * self.sd, before

    def low(self, before: float, after: float, v: float, u: float) -> float:
        """The lowest log price of a Brownian bridge."""
        d = before - after
        return 0.5 * ((before + after) - math.sqrt(d * d - 2.0 * v * naive_log(u)))


@dataclass
class NaivePath:
    """Series of one path: a list over time of numbers (B) or of one number an asset."""

    G: list[list[float]] = field(default_factory=list)
    M: list[list[float]] = field(default_factory=list)
    K: list[list[float]] = field(default_factory=list)
    X: list[list[float]] = field(default_factory=list)
    X_low: list[list[float]] = field(default_factory=list)
    B: list[float] = field(default_factory=list)
    Y: list[list[float]] = field(default_factory=list)


def _prices(spec: Spec, draws: NaiveDraws) -> Callable[[int], tuple[list[float], list[float]]]:
    """Give what makes prices and low prices of each step, called for 0, 1, 2, … in turn."""
    m = spec["market"]
    assets, barrier, h = m["assets"], bool(m.get("barrier")), m["dt"] / YEAR
    start = [a["price"] for a in assets]
    joint = m.get("joint")
    if joint and joint["kind"] == "replay":
        first = spec.get("start_row") or 0
        low = joint.get("low") if barrier else None

        def replayed(t: int) -> tuple[list[float], list[float]]:
            base = joint["prices"][first]
            price = [p * (joint["prices"][first + t][j] / base[j]) for j, p in enumerate(start)]
            if low is None or t == 0:
                return price, price
            return price, [p * (low[first + t][j] / base[j]) for j, p in enumerate(start)]

        return replayed
    if joint:
        x, row, rows = [0.0] * len(assets), [0], len(joint["returns"])

        def drawn(t: int) -> tuple[list[float], list[float]]:
            if t > 0:
                if joint.get("mean_block") is not None:
                    anew = t == 1 or draws.uniform(t, RESTART) < 1.0 / joint["mean_block"]
                else:
                    anew = (t - 1) % joint["block"] == 0
                row[0] = int(draws.uniform(t, ROW) * rows) if anew else (row[0] + 1) % rows
                for j in range(len(assets)):
                    x[j] = x[j] + joint["returns"][row[0]][j]
            price = [p * naive_exp(clipped(x[j])) for j, p in enumerate(start)]
            return price, price

        return drawn
    processes = [NaiveAsset(a, j, h) for j, a in enumerate(assets)]
    c = naive_cholesky(m["correlation"]) if m.get("correlation") else None

    def stepped(t: int) -> tuple[list[float], list[float]]:
        if t == 0:
            price = [p * naive_exp(clipped(q.x)) for p, q in zip(start, processes, strict=True)]
            return price, price
        e = [draws.normal(t, q.stream + DIFFUSION) for q in processes]
        price, low = [], []
        for j, q in enumerate(processes):
            z = e[j]
            if c is not None:
                z = c[j][0] * e[0]
                for k in range(1, j + 1):
                    z = z + c[j][k] * e[k]
            x = q.x
            v, before = q.step(t, z, draws)
            price.append(start[j] * naive_exp(clipped(q.x)))
            low.append(price[j])
            if barrier and assets[j].get("oracle", "market") == "market":
                lowest = q.low(x, before, v, draws.uniform(t, q.stream + BRIDGE))
                low[j] = start[j] * naive_exp(clipped(lowest))
        return price, low

    return stepped


def naive_path(spec: Spec) -> NaivePath:
    """All series of one path."""
    m = spec["market"]
    r, dt = m["rate"], m["dt"]
    h = dt / YEAR
    assets = m["assets"]
    draws = NaiveDraws(spec)
    prices = _prices(spec, draws)
    path = NaivePath()
    usage = r.get("usage")
    B, Y, K = 1.0, [1.0] * len(assets), [0.0] * len(assets)
    for t in range(m["steps"] + 1):
        price, low = prices(t)
        if t > 0:
            rate = r["rate"] if usage is None else naive_kinked(min(1.0, max(0.0, usage)), r)
            B = B * naive_growth(rate, dt, r["compounding"])
            if r.get("usage_reversion") is not None:
                keeps = naive_exp(-(r["usage_reversion"] * h))
                over = -naive_expm1(-2.0 * (r["usage_reversion"] * h)) / (2.0 * r["usage_reversion"])
                z = draws.normal(t, USAGE)
                mean = r["usage_mean"]
                usage = (mean + (usage - mean) * keeps) + r["usage_sigma"] * math.sqrt(over) * z
            for j, a in enumerate(assets):
                before = Y[j]
                Y[j] = Y[j] * (1.0 + a.get("supply_yield", 0.0) * h)
                K[j] = K[j] + price[j] * (Y[j] - before)
        path.B.append(B)
        path.M.append([p * y for p, y in zip(price, Y, strict=True)])
        path.K.append(list(K))
        path.Y.append(list(Y))
        index = [a.get("oracle", "market") == "index" for a in assets]
        path.G.append([a["price"] * Y[j] if index[j] else path.M[-1][j] for j, a in enumerate(assets)])
        path.X.append([g / B for g in path.G[-1]])
        path.X_low.append([path.X[-1][j] if index[j] or t == 0 else (low[j] * Y[j]) / B for j in range(len(assets))])
    return path


# --- selling --------------------------------------------------------------------------------------------------------


def naive_depth(d: Spec | None, v: float) -> float:
    """The share of a value that trading it keeps."""
    if d is None:
        return 1.0
    v = float(v)  # an exact one, too: what a curve keeps is a rounded number
    kind = d["kind"]
    if kind == "flat":
        eta = 1.0 - d["cost"]
    elif kind == "constant_product":
        eta = d["reserve"] / (d["reserve"] + v)
    elif kind == "linear":
        eta = d["a"] * v + d["b"]
    elif kind == "sqrt":
        eta = d["a"] * math.sqrt(v) + d["b"]
    else:
        x = v - d["origin"]
        eta = (d["a"] * x + d["b"]) * x + d["c"] if kind == "quadratic" else d["a"] * naive_exp(-d["b"] * x) + d["c"]
    return float(min(1.0, max(0.0, eta)))


# --- the walk -------------------------------------------------------------------------------------------------------


class NaivePosition:
    """One position on one path."""

    def __init__(self, spec: Spec, path: NaivePath) -> None:
        self.path = path
        self.m, self.p = spec["market"], spec["protocol"]
        self.y: Spec = spec.get("policy") or {}
        self.c = [float(c) for c in spec["collateral"]]
        self.d = float(spec["debt"])
        self.wallet = float(spec.get("wallet", 0.0))
        self.buffer = 0.0
        self.count = len(self.c)
        self.index = [a.get("oracle", "market") == "index" for a in self.m["assets"]]
        self.status, self.flags, self.end_step = OPEN, 0, 0
        self.liquidations, self.first_liquidation = 0, -1
        self.topups = self.deleverages = self.boosts = self.operations = 0
        self.price_pnl = self.supply_yield = self.interest = self.fees = self.gas = 0.0
        self.slippage = self.liquidation_loss = self.bad_debt = 0.0
        self.repaid_by_liquidators = self.seized = 0.0
        self.events: list[tuple[int, str, float, float, float]] = []
        self.mark, self.K_mark, self.B_mark = list(path.M[0]), list(path.K[0]), path.B[0]
        self.loop = self._loop_settings()
        self.streak, self.executed, self.skipped, self.looping = 0, 0, 0, self.loop is not None
        self.t = 0
        self.gross = 0.0  # the largest of gross amounts: what rounding is measured by
        self.lowest_health = self.hf(path.X[0])
        self.start_equity = self.equity()

    def _loop_settings(self) -> Spec | None:
        if not self.y.get("loop_every"):
            return None
        return {**self.y["loop"], "liquidation_threshold": self.p["liquidation_threshold"][0]}

    def run(self) -> Spec:
        """Walk to the end and give the results."""
        for t in range(1, self.m["steps"] + 1):
            if self.status in (WIPED_OUT, CLOSED, ABSORBED):
                break
            self.t = self.end_step = t
            self.low_phase()
            self.close_phase()
            if self.is_open() and t % int(self.y.get("every", 1)) == 0 and self.d > 0.0:
                self.policy()
            every = int(self.y.get("loop_every") or 0)
            if self.is_open() and self.looping and every and t % every == 0:
                self.operate()
        self.settle(self.path.M[self.t])
        if self.status == OPEN and self.d == 0.0:
            self.status = DEBT_FREE
        if self.bad_debt > 0.0:
            self.flags |= BAD_DEBT
        names = (
            "status flags end_step liquidations first_liquidation topups deleverages boosts operations lowest_health "
            "start_equity price_pnl supply_yield interest fees gas slippage liquidation_loss bad_debt "
            "repaid_by_liquidators seized"
        )
        return {
            **{name: getattr(self, name) for name in names.split()},
            "health": self.hf(self.path.X[self.t]),
            "end_equity": self.equity(),
            "end_debt": self.d * self.path.B[self.t],
            "end_wallet": self.wallet,
            "end_price": self.path.M[self.t][0] / self.path.Y[self.t][0],
            "gross": self.gross,
        }

    # --- what is asked of a position ---

    def is_open(self) -> bool:
        return self.status == OPEN

    def hf(self, x: list[float]) -> float:
        if self.d == 0.0:
            return math.inf
        kappa = [self.c[j] * self.p["liquidation_threshold"][j] / self.d for j in range(self.count)]
        total = kappa[0] * x[0]
        for j in range(1, self.count):
            total = total + kappa[j] * x[j]
        return float(total)

    def value(self, prices: list[float], factors: list[float] | None = None) -> float:
        total = 0.0
        for j in range(self.count):
            amount = self.c[j] if factors is None else self.c[j] * factors[j]
            total = amount * prices[j] if j == 0 else total + amount * prices[j]
        return total

    def equity(self) -> float:
        return ((self.value(self.path.M[self.t]) - self.d * self.path.B[self.t]) + self.wallet) + self.buffer

    def seen(self, health: float) -> None:
        self.lowest_health = min(self.lowest_health, health)

    def settle(self, m: list[float]) -> None:
        """Bring gains, yield and interest up to date."""
        t = self.t
        owned = sum(c * one for c, one in zip(self.c, m, strict=True))
        self.gross = max(self.gross, self.d * self.path.B[t] + self.wallet + self.buffer + owned)
        for j in range(self.count):
            gain = self.c[j] * (m[j] - self.mark[j])
            earned = self.c[j] * (self.path.K[t][j] - self.K_mark[j])
            self.supply_yield += earned
            self.price_pnl += gain - earned
        self.interest += self.d * (self.path.B[t] - self.B_mark)
        self.mark, self.K_mark, self.B_mark = list(m), list(self.path.K[t]), self.path.B[t]

    # --- liquidation ---

    def low_phase(self) -> None:
        before, close, low = self.path.X[self.t - 1], self.path.X[self.t], self.path.X_low[self.t]
        if all(low[j] == close[j] for j in range(self.count)):
            return
        s = 0.0
        done = 0
        while self.d > 0.0:
            h1 = self.hf(low)
            if not h1 < 1.0 or done == MOST_LIQUIDATIONS:
                self.seen(h1)
                if h1 < 1.0:
                    self.flags |= PASS_LIMIT
                return
            h0 = self.hf(before)
            share = min(1.0, (h0 - (1.0 - self.p.get("overshoot", 0.0))) / (h0 - h1)) if h0 > h1 else 1.0
            s = max(s, share)
            x = [before[j] + s * (low[j] - before[j]) for j in range(self.count)]
            h = self.hf(x)
            self.seen(h)
            prices = [one * self.path.B[self.t] for one in x]
            m = [self.path.M[self.t][j] if self.index[j] else prices[j] for j in range(self.count)]
            if not self.liquidate("liquidation_low", h, prices, m):
                self.seen(h1)
                return
            done += 1

    def close_phase(self) -> None:
        done = 0
        while self.d > 0.0:
            h = self.hf(self.path.X[self.t])
            self.seen(h)
            if not h < 1.0:
                return
            if done == MOST_LIQUIDATIONS:
                self.flags |= PASS_LIMIT
                return
            if not self.liquidate("liquidation_close", h, self.path.G[self.t], self.path.M[self.t]):
                return
            done += 1

    def asked(self, h: float, D: float, V: float, j: int) -> tuple[float, float]:
        """Debt repaid and value seized under the rule."""
        p = self.p
        rule = p["rule"]
        f = 1.0 + p["bonus"][j]
        if rule == "morpho":
            r, q = D, D * f
            return (V / f, V) if q > V else (r, q)
        if rule == "aave_v4":
            high = p["bonus"][j]
            low = high * p.get("bonus_factor", 0.0)
            limit = p.get("health_for_max_bonus", 0.9)
            b = high if h <= limit else low + (high - low) * ((1.0 - h) / (1.0 - limit))
            f = 1.0 + b
            target = p.get("target_health", 1.05)
            rho = target - f * p["liquidation_threshold"][j]
            r = min(D, D * ((target - h) / rho)) if rho > 0.0 else D
            if r < D and D - r < p["dust"]:
                r = D
            q = r * f
            if q > V or (q < V and V - q < p["dust"] and r < D):
                q = V
                r = min(V / f, D)
            return r, q
        half = h > 0.95
        if rule == "aave_v33":
            half = half and D >= 2.0 * p["dust"] and V >= 2.0 * p["dust"]
        r = 0.5 * D if half else D
        q = r * f
        if q > V:
            q = V
            r = V / f
        if rule == "aave_v33" and r < D and q < V and V - q < p["dust"]:
            q = V - p["dust"]
            r = q / f
        return r, q

    def liquidate(self, kind: str, h: float, prices: list[float], m: list[float]) -> bool:
        """Let a liquidator act; tell whether one did."""
        D = self.d * self.path.B[self.t]
        if self.p["rule"] == "comet":
            self.absorb(kind, h, D, prices, m)
            return True
        values = [self.c[j] * prices[j] for j in range(self.count)]
        j = values.index(max(values))
        V = values[j]
        r, q = self.asked(h, D, V, j)
        careful = self.p["rule"] in ("aave_v33", "aave_v4")
        for halving in range(5):
            part, taken = r / 2.0**halving, q / 2.0**halving
            if halving and careful and (D - part < self.p["dust"] or V - taken < self.p["dust"]):
                continue
            units = self.c[j] if taken == V else taken / prices[j]
            v = units * m[j]
            if v * naive_depth(self.p.get("liquidator_depth"), v) - part - self.p.get("liquidator_gas", 0.0) >= 0.0:
                break
        else:
            self.flags |= WAITED
            return False
        self.settle(m)
        self.liquidation_loss += v - part
        self.c[j] = 0.0 if taken == V else self.c[j] - units
        self.d = 0.0 if part == D else self.d - part / self.path.B[self.t]
        self.seize(kind, h, part, taken)
        if all(c == 0.0 for c in self.c):
            self.bad_debt += self.d * self.path.B[self.t]
            self.d = 0.0
            self.status = WIPED_OUT
        return True

    def absorb(self, kind: str, h: float, D: float, prices: list[float], m: list[float]) -> None:
        q = self.value(prices)
        credit = self.value(prices, self.p["liquidation_factor"])
        r = min(credit, D)
        self.settle(m)
        self.wallet += credit - r
        self.bad_debt += D - r
        self.liquidation_loss += self.value(m) - credit
        self.c = [0.0] * self.count
        self.d = 0.0
        self.status = ABSORBED
        self.seize(kind, h, r, q)

    def seize(self, kind: str, h: float, r: float, q: float) -> None:
        self.repaid_by_liquidators += r
        self.seized += q
        self.liquidations += 1
        self.flags |= LIQUIDATED
        if self.first_liquidation < 0:
            self.first_liquidation = self.t
        self.events.append((self.t, kind, h, r, q))

    # --- policies ---

    def policy(self) -> None:
        h = self.hf(self.path.X[self.t])
        if h < self.y.get("stop_health", 0.0) and self.stop():
            return
        if h < self.y.get("topup_health", 0.0) and self.wallet > 0.0:
            self.top_up()
            if self.d == 0.0:
                return
            h = self.hf(self.path.X[self.t])
        if h < self.y.get("deleverage_health", 0.0):
            self.deleverage(h)
        elif h > self.y.get("boost_health", math.inf):
            self.boost()

    def refused(self) -> None:
        self.flags |= REFUSED

    def acted(self, kind: str, a: float, b: float, c: float) -> None:
        self.events.append((self.t, kind, a, b, c))
        self.seen(self.hf(self.path.X[self.t]))

    def eta(self, v: float) -> float:
        return naive_depth(self.y.get("depth"), v)

    def stop(self) -> bool:
        M, D = self.path.M[self.t], self.d * self.path.B[self.t]
        fee, gas = self.y.get("fee_rate", 0.0), self.y.get("gas", 0.0)
        values = [self.c[j] * M[j] for j in range(self.count)]
        sold = [v * self.eta(v) - v * fee for v in values]
        net = sold[0]
        for one in sold[1:]:
            net = net + one
        net = net - gas
        left = (net + self.wallet) - D
        if not left >= 0.0:
            self.refused()
            return False
        self.settle(M)
        for v in values:
            self.fees += v * fee
            self.slippage += v - v * self.eta(v)
        self.gas += gas
        self.wallet = left
        self.c = [0.0] * self.count
        self.d = 0.0
        self.status = CLOSED
        self.acted("stop", D, net, left)
        return True

    def top_up(self) -> None:
        D, gas = self.d * self.path.B[self.t], self.y.get("gas", 0.0)
        N = self.value(self.path.G[self.t], self.p["liquidation_threshold"])
        u = min(D - N / self.y["topup_target"], self.wallet - gas)
        if not u > 0.0:
            self.refused()
            return
        self.settle(self.path.M[self.t])
        self.d = 0.0 if u >= D else self.d - u / self.path.B[self.t]
        self.wallet = (self.wallet - gas) - u
        self.gas += gas
        self.topups += 1
        self.acted("topup", u, D, self.wallet)

    def chosen(self) -> tuple[int, float, float, float]:
        """The largest asset, its value, and what a unit of market value of it counts as safe debt and as credit."""
        G, M = self.path.G[self.t], self.path.M[self.t]
        values = [self.c[j] * M[j] for j in range(self.count)]
        j = values.index(max(values))
        w = G[j] / M[j]
        return j, values[j], self.p["liquidation_threshold"][j] * w, self.p["loan_to_value"][j] * w

    def deleverage(self, h: float) -> None:
        D, gas, fee = self.d * self.path.B[self.t], self.y.get("gas", 0.0), self.y.get("fee_rate", 0.0)
        N = self.value(self.path.G[self.t], self.p["liquidation_threshold"])
        H = self.y["deleverage_target"]
        j, V, counted, _ = self.chosen()
        v = 0.0
        for _ in range(ITERATIONS):
            divisor = H * (self.eta(v) - fee) - counted
            if not divisor > 0.0:
                v = V
                break
            v = ((H * D - N) + H * gas) / divisor
            if not v < V:
                v = V
                break
        net = (v * self.eta(v) - v * fee) - gas
        r = min(net, D)
        c, d = list(self.c), self.d
        if net > 0.0:
            self.c[j] = 0.0 if v == V else self.c[j] - v / self.path.M[self.t][j]
            self.d = 0.0 if r >= D else self.d - r / self.path.B[self.t]
        after = self.hf(self.path.X[self.t])
        bare = self.d > 0.0 and all(one == 0.0 for one in self.c)
        changed, self.c, self.d = (self.c, self.d), c, d
        if not net > 0.0 or bare or (after < 1.0 and not after > h):
            self.refused()
            return
        self.settle(self.path.M[self.t])
        self.c, self.d = changed
        self.wallet += net - r
        self.fees += v * fee
        self.slippage += v - v * self.eta(v)
        self.gas += gas
        self.deleverages += 1
        self.acted("deleverage", v, r, self.d * self.path.B[self.t])

    def boost(self) -> None:
        D, gas, fee = self.d * self.path.B[self.t], self.y.get("gas", 0.0), self.y.get("fee_rate", 0.0)
        N = self.value(self.path.G[self.t], self.p["liquidation_threshold"])
        Q = self.value(self.path.G[self.t], self.p["loan_to_value"])
        H = self.y["boost_target"]
        j, _, counted, credit = self.chosen()
        b = 0.0
        for _ in range(ITERATIONS):
            k = self.eta(b) - fee
            first, second = H - counted * k, 1.0 - credit * k
            if not first > 0.0 or not second > 0.0:
                b = 0.0
                break
            b = min(((N - counted * gas) - H * D) / first, ((Q - credit * gas) - D) / second)
            if not b > 0.0:
                b = 0.0
                break
        bought = (b * self.eta(b) - b * fee) - gas
        if not b > 0.0 or not bought > 0.0:
            self.refused()
            return
        self.settle(self.path.M[self.t])
        self.d += b / self.path.B[self.t]
        self.c[j] += bought / self.path.M[self.t][j]
        self.fees += b * fee
        self.slippage += b - b * self.eta(b)
        self.gas += gas
        self.boosts += 1
        self.acted("boost", b, bought, self.d * self.path.B[self.t])

    # --- the loop ---

    def operate(self) -> None:
        p = self.loop
        assert p is not None
        G, M, B_t = self.path.G[self.t][0], self.path.M[self.t][0], self.path.B[self.t]
        S, B, W, E = self.c[0] * G, self.d * B_t, self.wallet, self.buffer
        before = S
        if (
            S >= p["target"]
            or S == 0.0
            or self.streak >= p["max_stagnant_operations"]
            or self.executed + self.skipped >= p["max_operations"]
        ):
            self.looping = False
            return
        if E > 0.0:
            u = min(E, p["target"] - S)
            S, E = S + u, E - u
        if p["target"] > S and W > 0.0:
            u = min(min(p["wallet_fraction"] * S, p["target"] - S), W)
            S, W = S + u, W - u
        moved = S
        N, V, R, F, debt, done = self.plan(S, B, p)
        if done:
            S = S + V
        growth = S - before
        bought, c = self.purchase(growth, M)
        gas = self.y.get("gas", 0.0)
        if done:
            safe = ((c * p["liquidation_threshold"]) * G) / debt if debt != 0.0 else math.inf
            if not safe > p["min_health_factor"]:
                done = False
                S = moved
                growth = S - before
                bought, c = self.purchase(growth, M)
        if growth > 0.0 and not bought > 0.0:
            self.refused()
            self.skipped += 1
            self.stagnate(0.0, p)
            return
        if done:
            self.executed += 1
        else:
            self.skipped += 1
        self.stagnate(growth, p)
        if not done and growth == 0.0:
            return
        self.settle(self.path.M[self.t])
        self.c[0] = c
        self.wallet, self.buffer = W, E
        if done:
            self.d = debt / B_t
            self.buffer = E + (N - V - R - F)
            self.fees += F
            self.operations += 1
        if growth > 0.0:
            self.gas += gas
            self.slippage += growth - growth * self.eta(growth)
        self.acted("loop", growth, debt if done else self.d * B_t, self.buffer)

    def purchase(self, growth: float, price: float) -> tuple[float, float]:
        if not growth > 0.0:
            return 0.0, self.c[0]
        bought = growth * self.eta(growth) - self.y.get("gas", 0.0)
        return bought, self.c[0] + bought / price

    def stagnate(self, growth: float, p: Spec) -> None:
        self.streak = self.streak + 1 if growth < p["stagnation_tolerance"] else 0

    def plan(self, S: float, B: float, p: Spec) -> tuple[float, float, float, float, float, bool]:
        """Steps 3 to 5 of an operation: drawn, reinvested, repaid, fee, debt after it and whether it is executed."""
        stalling, stalled = self.streak > p["stalling_after"], self.streak > p["stalled_after"]
        rho = p["repay_stalled"] if stalled else p["repay_stalling"] if stalling else p["repay"]
        m = p["target_ltv_stalled"] if stalled else p["target_ltv"]
        gap = p["target"] - S
        if stalled:
            f = p["reinvest_stalled"]
        elif stalling:
            f = p["reinvest_stalling"]
        elif gap > S * p["far_gap"]:
            f = p["reinvest_far"]
        elif gap > S * p["near_gap"]:
            f = p["reinvest_mid"]
        else:
            f = p["reinvest_near"]
        plan = naive_plan(S, B, f, m, rho, p)
        N, V, R, F = plan.drawn, plan.reinvested, plan.repaid, plan.fee
        if not plan.stands:
            return N, V, R, F, B, False
        debt = B
        for j in range(int(p["max_fallback_attempts"]) + 1):
            if j > 0:
                N = plan.need + (plan.drawn - plan.need) * (1.0 - j / p["max_fallback_attempts"])
                g = N - R - F
                V = g * f * plan.q if g > 0 else 0.0
            debt = B - R + N
            health = (S + V) * p["liquidation_threshold"] / debt if debt != 0.0 else math.inf
            if N - V - R - F > p["min_profit"] and health > p["min_health_factor"]:
                return N, V, R, F, debt, True
        return N, V, R, F, debt, False


def naive_market(spec: Spec) -> tuple[Spec, list[tuple[int, str, float, float, float]], NaivePath]:
    """Results, events and series of one scenario."""
    path = naive_path(spec)
    position = NaivePosition(spec, path)
    return position.run(), position.events, path
