"""Curves in plain Python, one instrument and one point at a time: what the kernels must equal to the last bit.

Each sum is taken in the order of its points; instruments of more than 128 records are dealt out to sixteen partial sums
first, because that is how the kernels keep their lanes busy, and rounding depends on it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

LINEAR, QUADRATIC, EXPONENTIAL, SQRT, HILL, DEPTH, POWER, LADDER, AUTO = 0, 1, 2, 3, 4, 5, 6, 7, 64
THREE = (QUADRATIC, EXPONENTIAL, HILL, DEPTH, POWER)
LEAST = dict.fromkeys((*THREE, LADDER), 3)
THROUGH_ONE, FALLING = 1, 2
NAN = math.nan
OK, TOO_FEW_POINTS, DEGENERATE, CONSTANT = 0, 1, 2, 3
EPSILON = 2.0**-52
ROOT_2 = math.sqrt(2.0)
LN_2 = math.log(2.0)
LN2_HI, LN2_LO = 0.6931471803691238, 1.9082149292705877e-10

ROUGH_EXP = (
    0.6931471880262288, 0.24022650760568137, 0.05550357114219118, 0.009618082557276217, 0.0013390863364648796,
    0.0001545316294559266,
)  # fmt: skip
ROUGH_LOG = (0.6666664033669925, 0.40007560644910756, 0.28236619805321583, 0.26851498022771403)
EXPM1 = (
    0.5000000000000001,
    0.16666666666666669,
    0.04166666666662413,
    0.008333333333330062,
    0.0013888888917213717,
    0.00019841269863053618,
    2.4801521295954376e-05,
    2.7557268459997064e-06,
    2.7620088445409746e-07,
    2.510038549551032e-08,
)
LOG = (
    0.666666666666667,
    0.39999999999899444,
    0.2857142862600327,
    0.22222211130259878,
    0.18182889455674947,
    0.15331710618210773,
    0.14616585424888623,
)


def horner(coefficients: Iterable[float], x: float) -> float:
    value = None
    for c in reversed(list(coefficients)):
        value = c if value is None else c + x * value
    assert value is not None
    return value


def naive_expm1(t: float) -> float:
    t = max(t, -708.0)
    k = (t * 1.4426950408889634 + 6755399441055744.0) - 6755399441055744.0
    r = (t - k * LN2_HI) - k * LN2_LO
    two_k = math.ldexp(1.0, int(k))
    return two_k * (r + r * r * horner(EXPM1, r)) + (two_k - 1.0)


def naive_exp(t: float) -> float:
    if t < -708.0:
        return 0.0
    t = min(t, 709.78)
    k = (t * 1.4426950408889634 + 6755399441055744.0) - 6755399441055744.0
    r = (t - k * LN2_HI) - k * LN2_LO
    half = math.ldexp(1.0, int(k) - 1)
    return (half * (r + r * r * horner(EXPM1, r)) + half) * 2.0


def rough_exp(t: float) -> float:
    scaled = max(t, -708.0) * 1.4426950408889634
    k = (scaled + 6755399441055744.0) - 6755399441055744.0
    r = scaled - k
    z = r * r
    c = ROUGH_EXP
    p = (1.0 + r * c[0]) + z * ((c[1] + r * c[2]) + z * ((c[3] + r * c[4]) + z * c[5]))
    return p * math.ldexp(1.0, int(k))


def rough_log1p(q: float) -> float:
    s = q / (2.0 + q)
    z = s * s
    c = ROUGH_LOG
    return 2.0 * s + s * z * ((c[0] + z * c[1]) + z * z * (c[2] + z * c[3]))


def rises_again(curve: NaiveCurve, begin: float, end: float) -> bool:
    """Whether a quadratic's η, or the U of one or of an exponential, falls and rises again between two capitals."""
    a, b, c, _ = curve.params
    o = curve.origin
    if curve.family not in (QUADRATIC, EXPONENTIAL) or a <= 0.0:
        return False

    def slope(x: float) -> float:
        d = x - o
        if curve.family == QUADRATIC:
            return (a * d + b) * d + c + x * (2.0 * (a * d) + b)
        return a * naive_exp(-b * d) * (1.0 - b * x) + c

    flattest = o - (b + a * o) / (3.0 * a) if curve.family == QUADRATIC else 2.0 / b
    if curve.family == QUADRATIC and begin < o - b / (2.0 * a) < end:
        return True
    return 0.0 < flattest < end and slope(flattest) < 0.0 and slope(end) > 0.0


def naive_log(x: float) -> float:
    m, k = math.frexp(x)  # m in [1/2, 1)
    m, k = 2.0 * m, k - 1
    if m > ROOT_2:
        m, k = 0.5 * m, k + 1
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    return k * LN2_HI + (2.0 * s + (s * z * horner(LOG, z) + k * LN2_LO))


@dataclass
class NaiveCurve:
    """What a fit of one instrument gives."""

    family: int
    status: int
    n_points: int
    params: list[float] = field(default_factory=lambda: [math.nan] * 4)
    origin: float = 0.0
    root: list[float] = field(default_factory=lambda: [math.nan] * 6)
    figures: dict[str, float] = field(default_factory=dict)
    steps: list[float] = field(default_factory=list)


class NaiveFit:
    """Steps of one fit, each a method, in the order in which they run."""

    def __init__(self, capital: list[float], efficiency: list[float], weight: list[float] | None = None) -> None:
        weights = [1.0] * len(capital) if weight is None else weight
        self.total_points = len(capital)
        self.folded = self.total_points > 128
        points = sorted((c, y, w) for c, y, w in zip(capital, efficiency, weights, strict=True) if w > 0.0)
        self.n = len(points)
        self.c = [p[0] for p in points]
        self.y_raw = [p[1] for p in points]
        self.w, self.total = self.relative([p[2] for p in points])
        self.distinct = len(set(self.c))
        self.flat = self.n > 0 and min(self.y_raw) == max(self.y_raw)
        self.bases: dict[int, dict[str, Any]] = {}
        self.residuals: dict[int, list[float]] = {}
        self.bound: dict[int, int] = {}
        self.within: dict[int, dict[str, Any]] = {}

    @staticmethod
    def relative(w: list[float]) -> tuple[list[float], float]:
        if len(set(w)) <= 1:
            return [1.0] * len(w), float(len(w))
        scaled = [v / max(w) for v in w]
        total = squares = 0.0
        for v in scaled:
            total += v
            squares += v * v
        effective = total * total / squares
        factor = effective / total
        return [v * factor for v in scaled], effective

    def sum(self, terms: Iterable[float]) -> float:
        if not self.folded:
            total = 0.0
            for term in terms:
                total += term
            return total
        partial = [0.0] * 16
        for i, term in enumerate(terms):
            partial[i % 16] += term
        total = partial[0]
        for term in partial[1:]:
            total += term
        return total

    def lines(self) -> None:
        c0, n = self.c[0], self.n
        self.span = self.c[-1] - c0
        inverse = 1.0 / self.span
        self.root0 = math.sqrt(c0)
        self.root_span = self.span / (math.sqrt(self.c[-1]) + self.root0)
        inverse_root = 1.0 / self.root_span if self.root_span else math.inf
        self.s = [(c - c0) / (math.sqrt(c) + self.root0) * inverse_root for c in self.c]
        self.x = [(c - c0) * inverse for c in self.c]
        w, x = self.w, self.x
        mean = self.sum(w[i] * self.y_raw[i] for i in range(n)) / self.total
        mean = self.y_raw[0] if self.flat else mean
        rest = self.sum(w[i] * (self.y_raw[i] - mean) for i in range(n)) / self.total
        self.mean_y = mean + rest
        self.mean_x = self.sum(w[i] * x[i] for i in range(n)) / self.total
        self.y = [(y - mean) - rest for y in self.y_raw]
        self.dx = [v - self.mean_x for v in x]
        y, dx = self.y, self.dx
        self.syy = self.sum(w[i] * y[i] * y[i] for i in range(n))
        self.sxx = self.sum(w[i] * dx[i] * dx[i] for i in range(n))
        self.slope_x = self.sum(w[i] * dx[i] * y[i] for i in range(n)) / self.sxx
        self.m2 = self.sxx / self.total
        self.k2 = self.sum(w[i] * dx[i] * dx[i] * dx[i] for i in range(n)) / self.sxx
        self.q = [dx[i] * dx[i] - self.m2 - self.k2 * dx[i] for i in range(n)]
        self.sqq = self.sum(w[i] * self.q[i] * self.q[i] for i in range(n))
        top = self.sum(w[i] * self.q[i] * y[i] for i in range(n))
        self.slope_q = top / self.sqq if self.sqq else math.nan
        self.sse = {LINEAR: self.squares([y[i] - self.slope_x * dx[i] for i in range(n)])}
        self.sse[QUADRATIC] = self.squares([y[i] - self.slope_x * dx[i] - self.slope_q * self.q[i] for i in range(n)])

    def squares(self, residuals: list[float]) -> float:
        return self.sum(w * r * r for w, r in zip(self.w, residuals, strict=True))

    def roots(self) -> None:
        n, w = self.n, self.w
        self.mean_s = self.sum(w[i] * self.s[i] for i in range(n)) / self.total
        self.ds = [v - self.mean_s for v in self.s]
        self.sss = self.sum(w[i] * self.ds[i] * self.ds[i] for i in range(n))
        top = self.sum(w[i] * self.ds[i] * self.y[i] for i in range(n))
        self.slope_s = top / self.sss if self.sss else math.nan
        self.sse[SQRT] = self.squares([self.y[i] - self.slope_s * self.ds[i] for i in range(n)])

    def scan(self) -> list[float]:
        """Squared errors on the grid of rates 2^-8.5, 2^-8, … 2^13."""
        errors = [0.0] * 44
        for first, rate in ((0, 2.0**-8 * (0.5 * ROOT_2)), (1, 2.0**-8)):
            h = [self.slow_decay(-rate * x) for x in self.x]
            middle = self.slow_decay(-rate * self.mean_x)
            for step in range(first, 44, 2):
                d = [v - middle for v in h]
                a = self.sum(w * v for w, v in zip(self.w, d, strict=True))
                b = self.sum(w * v * v for w, v in zip(self.w, d, strict=True))
                e = self.sum(w * v * y for w, v, y in zip(self.w, d, self.y, strict=True))
                spread = b - a * a / self.total
                errors[step] = self.syy - e * e / spread if spread else math.nan if e == 0.0 else -math.inf
                h = [v * (v + 2.0) for v in h]
                middle = middle * (middle + 2.0)
        return errors

    @staticmethod
    def slow_decay(t: float) -> float:
        return t * horner((1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0), t)

    def project(self, rate: float) -> dict[str, float]:
        w, x, y, n = self.w, self.x, self.y, self.n
        self.h = [naive_expm1(-rate * v) for v in x]
        self.u = [x[i] + x[i] * self.h[i] for i in range(n)]
        self.mean_h = self.sum(w[i] * self.h[i] for i in range(n)) / self.total
        self.mean_u = self.sum(w[i] * self.u[i] for i in range(n)) / self.total
        dh = [v - self.mean_h for v in self.h]
        du = [v - self.mean_u for v in self.u]
        v = [x[i] * self.u[i] for i in range(n)]
        return {
            "gg": self.sum(w[i] * dh[i] * dh[i] for i in range(n)),
            "gu": self.sum(w[i] * dh[i] * du[i] for i in range(n)),
            "uu": self.sum(w[i] * du[i] * du[i] for i in range(n)),
            "gy": self.sum(w[i] * dh[i] * y[i] for i in range(n)),
            "uy": self.sum(w[i] * du[i] * y[i] for i in range(n)),
            "vy": self.sum(w[i] * y[i] * v[i] for i in range(n)),
            "gv": self.sum(w[i] * dh[i] * v[i] for i in range(n)),
        }

    @staticmethod
    def vertex(f: list[float], k: int) -> float:
        before, here, behind = f[k - 1], f[k], f[k + 1]
        vertex = 0.5 * (before - behind) / (before - 2.0 * here + behind)
        if k == 1:
            return vertex
        first, last = f[k - 2], f[k + 2]
        d1 = (first - 8.0 * before + 8.0 * behind - last) * (1.0 / 12.0)
        d2 = (16.0 * (before + behind) - 30.0 * here - first - last) * (1.0 / 12.0)
        d3 = 0.5 * (last - first) + before - behind
        d4 = first + last - 4.0 * (before + behind) + 6.0 * here
        t = vertex
        for _ in range(2):
            below = d2 + t * (d3 + t * (0.5 * d4))
            if below == 0.0:
                return vertex
            t -= (d1 + t * (d2 + t * (0.5 * d3 + t * (1.0 / 6.0 * d4)))) / below
        return t if abs(t) <= 1.0 else vertex

    def refine(self, f: list[float], k: int) -> tuple[float, float]:
        """Newton's method within the bracket around grid step k; returns error and rate."""
        middle = 2.0**-8 * float(1 << ((k - 1) >> 1)) * (1.0 if k % 2 else ROOT_2)
        low, high = middle * (0.5 * ROOT_2), middle * ROOT_2
        z = 0.5 * LN_2 * self.vertex(f, k)
        rate = middle * horner((1.0, 1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0), z)
        last_step = math.inf
        for _ in range(60):
            m = self.project(rate)
            a = m["gy"] / m["gg"]
            stationary = m["uy"] - a * m["gu"]
            a_slope = (2.0 * a * m["gu"] - m["uy"]) / m["gg"]
            slope = a * (m["uu"] + m["gv"]) - m["vy"] - a_slope * m["gu"]
            if a * stationary < 0.0:
                low = rate
            else:
                high = rate
            new = rate - stationary / slope if slope else math.nan
            if not (a * slope > 0.0 and low <= new <= high):
                new = 0.5 * (low + high)
            step = abs(new - rate)
            ended = step <= 2.0**-22 * rate or (step <= 2.0**-18 * rate and step >= 0.5 * last_step)
            last_step, rate = step, new
            if ended:
                return self.syy - a * m["gy"], new
        return math.inf, math.nan

    def exponential(self) -> None:
        f = self.scan()
        minima = [k for k in range(1, 42) if f[k] <= f[k - 1] and f[k] < f[k + 1]]
        tiny = 2.0**-18 * self.syy
        below = self.below(f[1], f[41])
        if below < tiny:
            below += 2.0**-48 * self.syy
        best, self.rate = math.inf, math.nan
        if self.distinct >= 3 and not self.flat:
            for k in sorted(minima, key=lambda k: (f[k], k)):
                if f[k] - (f[k - 1] + f[k + 1] - 2.0 * f[k]) < min(best, below):
                    error, rate = self.refine(f, k)
                    if error < best and 2.0**-8 <= rate <= 2.0**12:
                        best, self.rate = error, rate
        low, high = f[1], f[41]
        if best < tiny:
            low, high = self.residual_squares(2.0**-8), self.residual_squares(2.0**12)
        self.inside = False
        self.sse[EXPONENTIAL] = math.nan
        if math.isfinite(self.rate):
            error = self.sse[EXPONENTIAL] = self.residual_squares(self.rate)
            self.inside = (error if best < tiny else best) < self.below(low, high)

    @staticmethod
    def below(low: float, high: float) -> float:
        return min(low - 1e-9 * abs(low), high - 1e-9 * abs(high))

    def residual_squares(self, rate: float) -> float:
        m = self.project(rate)
        self.gg, self.gu, self.uu, self.a = m["gg"], m["gu"], m["uu"], m["gy"] / m["gg"]
        return self.squares([self.y[i] - self.a * (self.h[i] - self.mean_h) for i in range(self.n)])

    def hill(self) -> None:
        """The best ln K and s: from the best K on a grid of every s, downhill."""
        self.log_c = [naive_log(c / self.c[0]) for c in self.c]
        self.whole = [y + self.mean_y for y in self.y]
        low, high = -(8.0 * LN_2), naive_log(self.c[-1] / self.c[0]) + 8.0 * LN_2
        step = (high - low) * (1.0 / 95)
        best, log_k, shape = math.inf, 0.5 * (low + high), 1.0
        borders = [math.inf, math.inf]
        for s in (1.0, 1.25, 1.6, 2.0, 2.6, 3.4, 4.5, 6.0, 8.0, 11.0, 15.0, 20.0):
            errors = [self.hill_error(low + k * step, s) for k in range(96)]
            borders = [min(borders[0], errors[0]), min(borders[1], errors[-1])]
            if not self.flat:
                found = self.hill_descent(low + errors.index(min(errors)) * step, s, low, high)
                if found[0] < best:
                    best, log_k, shape = found
        self.log_k, self.shape = log_k, shape
        h = self.hill_project(log_k, shape)
        self.amplitude = h["a"]
        error = self.hill_moments(h)[0]
        self.sse[HILL] = error
        border = min(borders)
        inside = low + step < log_k < high - step
        self.hill_found = inside and error < border - 1e-9 * border and self.amplitude > 0.0
        self.n0, self.m1, self.m2 = h["gg"], h["m1"], h["m2"]
        self.g = h["g"]
        self.g1 = [k - self.m1 * g for k, g in zip(h["gk"], self.g, strict=True)]
        second = [s - self.m2 * g for s, g in zip(h["gs"], self.g, strict=True)]
        self.n1 = self.squares(self.g1)
        product = self.sum(w * k * s for w, k, s in zip(self.w, self.g1, second, strict=True))
        self.ratio = product / self.n1 if self.n1 else math.nan
        self.g2 = [s - self.ratio * k for k, s in zip(self.g1, second, strict=True)]
        self.n2 = self.squares(self.g2)

    @staticmethod
    def most_amplitude(s: float) -> float:
        return naive_exp(naive_log(s) - (s - 1.0) / s * naive_log(max(s - 1.0, 1e-300)))

    @staticmethod
    def hill_parts(log_x: float, s: float) -> tuple[float, float]:
        q = naive_exp(-s * abs(log_x))
        part = 1.0 / (1.0 + q)
        g = naive_exp(-log_x if log_x > 0.0 else (s - 1.0) * log_x) * part
        return g, q * part if log_x > 0.0 else part

    def hill_error(self, log_k: float, s: float) -> float:
        g = [self.hill_parts(x - log_k, s)[0] for x in self.log_c]
        gg = self.sum(w * v * v for w, v in zip(self.w, g, strict=True))
        gy = self.sum(w * v * y for w, v, y in zip(self.w, g, self.whole, strict=True))
        yy = self.sum(w * y * y for w, y in zip(self.w, self.whole, strict=True))
        most = self.most_amplitude(s)
        a = gy / gg if gg else math.nan
        a = min(most, a)
        return yy - a * (2.0 * gy - a * gg)

    def hill_project(self, log_k: float, s: float) -> dict[str, Any]:
        parts = [(x - log_k, *self.hill_parts(x - log_k, s)) for x in self.log_c]
        g = [v for _, v, _ in parts]
        gk = [v * (1.0 - s * rest) for _, v, rest in parts]
        gs = [v * (x * rest) for x, v, rest in parts]
        gg = self.sum(w * v * v for w, v in zip(self.w, g, strict=True))
        gy = self.sum(w * v * y for w, v, y in zip(self.w, g, self.whole, strict=True))
        m1 = self.sum(w * v * k for w, v, k in zip(self.w, g, gk, strict=True)) / gg
        m2 = self.sum(w * v * k for w, v, k in zip(self.w, g, gs, strict=True)) / gg
        most = self.most_amplitude(s)
        bound = gy / gg >= most
        slope = -most * naive_log(max(s - 1.0, 1e-300)) / (s * s) if bound else 0.0
        a = most if bound else gy / gg
        return {"a": a, "slope": slope, "g": g, "gk": gk, "gs": gs, "gg": gg, "m1": m1, "m2": m2, "bound": bound}

    def hill_moments(self, h: dict[str, Any]) -> list[float]:
        a, p1, p2 = h["a"], 0.0 if h["bound"] else h["m1"], 0.0 if h["bound"] else h["m2"]
        rows = []
        for y, g, gk, gs in zip(self.whole, h["g"], h["gk"], h["gs"], strict=True):
            rows.append((y - a * g, a * (gk - p1 * g), a * (gs - p2 * g) + h["slope"] * g))
        pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
        return [self.sum(w * row[i] * row[j] for w, row in zip(self.w, rows, strict=True)) for i, j in pairs]

    def hill_descent(self, log_k: float, s: float, low: float, high: float) -> tuple[float, float, float]:
        best, damping = math.inf, 1e-3
        try_k, try_s = log_k, s
        down_k = down_s = h_kk = h_ks = h_ss = math.nan
        for _ in range(40):
            moments = self.hill_moments(self.hill_project(try_k, try_s))
            if moments[0] < best:
                log_k, s = try_k, try_s
                best, down_k, down_s, h_kk, h_ks, h_ss = moments
                damping *= 0.1
            else:
                damping *= 10.0
            ended = damping > 1e8
            damping = max(damping, 1e-12)
            free_k = not ((log_k <= low and down_k < 0.0) or (log_k >= high and down_k > 0.0))
            free_s = not ((s <= 1.0 and down_s < 0.0) or (s >= 20.0 and down_s > 0.0))
            kk, ss = h_kk * (1.0 + damping), h_ss * (1.0 + damping)
            ks = h_ks if free_k and free_s else 0.0
            determinant = kk * ss - ks * ks
            step_k = down_k / kk if free_k and kk > 0.0 else 0.0
            step_s = down_s / ss if free_s and ss > 0.0 else 0.0
            if free_k and free_s and determinant > 0.0:
                step_k = (down_k * ss - down_s * ks) / determinant
                step_s = (down_s * kk - down_k * ks) / determinant
            try_k, try_s = min(max(log_k + step_k, low), high), min(max(s + step_s, 1.0), 20.0)
            moved = abs(try_k - log_k) > 1e-11 or abs(try_s - s) > 1e-11 * s
            if ended or not moved:
                break
        return best, log_k, s

    # --- depth ---

    @staticmethod
    def depth_parts(log_x: float, h: float) -> tuple[float, float, float]:
        """g, 1/(1 + t) and the rest of ln g."""
        q = naive_exp(-h * abs(log_x))
        whole = 1.0 + q
        part = 1.0 / whole
        bend = (naive_log(whole) + (q - (whole - 1.0)) * part) * (1.0 / h)
        g = naive_exp(-(max(log_x, 0.0) + bend))
        return g, q * part if log_x > 0.0 else part, bend

    def depth_knee(self) -> tuple[float, float]:
        """Error, less that of 0, and ln D of the best curve that is level before its knee and falls as 1/C behind."""
        r = [naive_exp(-x) for x in self.log_c]
        tails = [(0.0, 0.0)]
        for w, v, y in zip(self.w[::-1], r[::-1], self.whole[::-1], strict=True):
            tails.append((tails[-1][0] + w * v * v, tails[-1][1] + w * v * y))
        weight = level = 0.0
        best, knee = math.inf, 1.0
        for i in range(self.n - 1):
            weight, level = weight + self.w[i], level + self.w[i] * self.whole[i]
            rr, ry = tails[self.n - 1 - i]
            if r[i + 1] < r[i] and rr > 0.0 and ry > 0.0:
                inverse = max(min(min(level / weight, 1.0) * rr / ry, r[i]), r[i + 1])
                gg, gy = weight + rr / inverse / inverse, level + ry / inverse
                a = min(gy / gg, 1.0)
                error = -a * (2.0 * gy - a * gg)
                best, knee = (error, inverse) if error < best else (best, knee)
        return best, -naive_log(knee)

    def depth_error(self, g: list[float]) -> float:
        """Squared error with the best a, from sums."""
        gg = self.sum(w * v * v for w, v in zip(self.w, g, strict=True))
        gy = self.sum(w * v * y for w, v, y in zip(self.w, g, self.whole, strict=True))
        a = min(gy / gg, 1.0)
        return self.sum(w * y * y for w, y in zip(self.w, self.whole, strict=True)) - a * (2.0 * gy - a * gg)

    def depth_scan(self, h: float, known: float, top: float) -> float:
        """The best ln D of one sharpness among eight places and one that is known."""
        inverse = 1.0 / h
        before = [-min(k * inverse, 20.0) + 0.0 * top for k in (9.0, 2.0)]
        behind = [min(k * inverse, 12.0) + top for k in (2.0, 9.0)]
        best, place = math.inf, known
        for log_d in [known, *before, *(0.0 + k * (1.0 / 3) * top for k in range(4)), *behind]:
            g = []
            for x in self.log_c:
                bend = rough_log1p(rough_exp(-h * abs(x - log_d))) * inverse
                g.append(rough_exp(-(max(x - log_d, 0.0) + bend)))
            error = self.depth_error(g)
            best, place = (error, log_d) if error < best else (best, place)
        return place

    def depth_refine(self, h: float, place: float, top: float) -> tuple[float, float]:
        """Two steps of Newton for ln D; gives the lowest error and its place."""
        best, trial, step = math.inf, place, 0.0
        inverse = 1.0 / h
        for _ in range(3):
            g, by_d, twice = [], [], []
            for x in self.log_c:
                log_x = x - trial
                q = rough_exp(-h * abs(log_x))
                part = 1.0 / (1.0 + q)
                g.append(rough_exp(-(max(log_x, 0.0) + rough_log1p(q) * inverse)))
                turn = q * part
                filled = 1.0 - (turn if log_x > 0.0 else part)
                by_d.append(g[-1] * filled)
                twice.append(g[-1] * (filled * filled - h * (turn * part)))
            error = self.depth_error(g)
            if error < best:
                best, place, step = error, trial, self.depth_along(g, by_d, twice)
                reach = top * (1.0 / 3) + 4.0 * inverse
                step = max(min(step, reach), -reach)
            else:
                step = 0.25 * step
            trial = place + step
        return best, place

    def depth_along(self, g: list[float], by_d: list[float], twice: list[float]) -> float:
        """Newton's step for ln D."""
        w, y = self.w, self.whole
        gg, gy = self.sum(u * v * v for u, v in zip(w, g, strict=True)), self.products(g, y)
        gd = self.products(g, by_d)
        yd, twice_y = (self.sum(u * z * v for u, z, v in zip(w, y, k, strict=True)) for k in (by_d, twice))
        a = gy / gg
        a_slope = (yd - 2.0 * a * gd) / gg if a < 1.0 else 0.0
        a = min(a, 1.0)
        falls = yd - a * gd
        squares = self.sum(u * v * v for u, v in zip(w, by_d, strict=True)) + self.products(g, twice)
        bend = -a_slope * falls - a * (twice_y - a_slope * gd - a * squares)
        return a * falls / bend if bend > 0.0 else math.copysign(math.inf, 1.0 if a * falls > 0.0 else -1.0)

    def products(self, one: list[float], other: list[float]) -> float:
        return self.sum(w * u * v for w, u, v in zip(self.w, one, other, strict=True))

    def depth_starts(self, top: float) -> list[tuple[float, float]]:
        """Where descents begin: the minima of the errors of eleven sharpnesses and a plateau's edge, lowest first."""
        errors, places = [0.0] * 11, [self.knee[1]] * 11
        for k in range(10, -1, -1):
            h = 1.0 / 12.0 * float(1 << k)
            errors[k], places[k] = self.depth_refine(h, self.depth_scan(h, places[min(k + 1, 10)], top), top)
        found = []
        around, level = [math.inf, *errors, math.inf], 1.01 * min(errors)
        for k, error in enumerate(errors):
            before, behind = around[k], around[k + 2]
            lowest = error <= before and error < behind
            if lowest or (error <= level < before):
                log_d, part = places[k], 0.0
                if lowest and 0 < k < 10:
                    vertex = 0.5 * (before - behind) / (before - 2.0 * error + behind)
                    other = places[k + (1 if vertex > 0.0 else -1)]
                    if abs(vertex) <= 0.5 and abs(other - log_d) < 2.0:
                        log_d, part = log_d + (other - log_d) * abs(vertex), vertex
                found.append((error, k, (log_d, math.log(1.0 / 12.0) + (float(k) + part) * math.log(2.0))))
        return [start for _, _, start in sorted(found)]

    def depth_project(self, log_d: float, log_h: float, held: bool) -> dict[str, Any]:
        h = naive_exp(log_h)
        g, gd, gh, seconds = [], [], [], []
        for x in self.log_c:
            log_x = x - log_d
            value, rest, bend = self.depth_parts(log_x, h)
            q = naive_exp(-h * abs(log_x))
            turn = h * (q * (1.0 / (1.0 + q)) * (1.0 / (1.0 + q)))
            filled, change = 1.0 - rest, bend + abs(log_x) * min(rest, 1.0 - rest)
            g.append(value)
            gd.append(value * filled)
            gh.append(value * change)
            both = value * (change * filled + log_x * turn)
            twice_h = value * (change * change - change - log_x * log_x * turn)
            seconds.append((value * (filled * filled - turn), both, twice_h))
        gg = self.sum(w * v * v for w, v in zip(self.w, g, strict=True))
        a = self.sum(w * y * v for w, v, y in zip(self.w, g, self.whole, strict=True)) / gg
        m1 = self.sum(w * v * u for w, v, u in zip(self.w, g, gd, strict=True)) / gg
        m2 = self.sum(w * v * u for w, v, u in zip(self.w, g, gh, strict=True)) / gg
        free, free_a = not held, a
        a = 1.0 if held else a
        rests = []
        for column in zip(*seconds, strict=True):
            with_g = self.sum(w * v * u for w, v, u in zip(self.w, g, column, strict=True))
            with_y = self.sum(w * y * u for w, y, u in zip(self.w, self.whole, column, strict=True))
            rests.append(with_y - a * with_g)
        return {
            "a": a, "free": free_a, "g": g, "gd": gd, "gh": gh, "rests": rests,
            "n0": gg if free else 0.0, "m1": m1 if free else 0.0, "m2": m2 if free else 0.0,
        }  # fmt: skip

    def depth_moments(self, d: dict[str, Any]) -> list[float]:
        a = d["a"]
        rows = [
            (y - a * g, a * (gd - d["m1"] * g), a * (gh - d["m2"] * g))
            for y, g, gd, gh in zip(self.whole, d["g"], d["gd"], d["gh"], strict=True)
        ]
        pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
        sums = [self.sum(w * row[i] * row[j] for w, row in zip(self.w, rows, strict=True)) for i, j in pairs]
        over = 1.0 / d["n0"] if d["n0"] > 0.0 else 0.0
        m1, m2, by_d, by_h = d["m1"], d["m2"], sums[1] / a, sums[2] / a
        dd = sums[3] - a * d["rests"][0] + (2.0 * a * m1 * by_d - by_d * by_d * over)
        dh = sums[4] - a * d["rests"][1] + (a * (m1 * by_h + m2 * by_d) - by_d * by_h * over)
        hh = sums[5] - a * d["rests"][2] + (2.0 * a * m2 * by_h - by_h * by_h * over)
        return [*sums[:3], dd, dh, hh, *sums[3:]]

    @staticmethod
    def positive(
        dd: float, dh: float, hh: float, plain_dd: float, plain_dh: float, plain_hh: float
    ) -> tuple[float, float, float, bool]:
        """The matrix with its eigenvalues' absolute values, in units of Gauss and Newton's diagonal."""
        if not (plain_dd > 0.0 and plain_hh > 0.0):
            return plain_dd, plain_dh, plain_hh, False
        if dd > 0.0 and dd * hh - dh * dh > 0.0:
            return dd, dh, hh, True
        unit = math.sqrt(plain_dd) * math.sqrt(plain_hh)
        a, b, c = dd / plain_dd, dh / unit, hh / plain_hh
        half = 0.5 * (a + c)
        determinant = a * c - b * b
        if determinant >= 0.0:
            return -dd, -dh, -hh, False
        radius = math.sqrt(half * half - determinant)
        a, b, c = (half * a - determinant) / radius, half * b / radius, (half * c - determinant) / radius
        return a * plain_dd, b * unit, c * plain_hh, False

    def depth_step(
        self, at: tuple[float, float], held: bool, moments: list[float], damping: float, top: float
    ) -> tuple[tuple[float, float], float, float, bool]:
        """The next place, how far away it is, by how much the error should fall, and whether that can be trusted."""
        (log_d, log_h), (_, down_d, down_h, dd, dh, hh, plain_dd, plain_dh, plain_hh) = at, moments
        highest, softest, sharpest = top + 14.0, math.log(1.0 / 20.0), math.log(200.0)
        free_d = not ((log_d <= -60.0 and down_d < 0.0) or (log_d >= highest and down_d > 0.0))
        free_h = not ((log_h <= softest and down_h < 0.0) or (log_h >= sharpest and down_h > 0.0))
        off = log_d - top if log_d > top else log_d if log_d < 0.0 and not held else 0.0
        hh = hh - 2.0 * off * dh + off * off * dd - off * down_d
        dh = dh - off * dd + down_d
        plain_hh = plain_hh - 2.0 * off * plain_dh + off * off * plain_dd
        dd, dh, hh, sound = self.positive(dd, dh, hh, plain_dd, plain_dh - off * plain_dd, plain_hh)
        down_h = down_h - off * down_d if free_h else down_h
        dd, hh = dd * (1.0 + damping), hh * (1.0 + damping)
        determinant = dd * hh - dh * dh
        both = free_d and free_h and determinant > 0.0
        step_d = step_h = 0.0
        if free_d and dd > 0.0:
            step_d = (down_d * hh - down_h * dh) / determinant if both else down_d / dd
        if free_h and hh > 0.0:
            step_h = (down_h * dd - down_d * dh) / determinant if both else down_h / hh
        gain = step_d * down_d + step_h * down_h
        times = max(abs(step_d) / max(1.0, 2.0 * naive_exp(-log_h)), abs(step_h))
        if times > 1.0:
            step_d, step_h, sound = step_d / times, step_h / times, False
        try_h = min(max(log_h + step_h, softest), sharpest)
        try_d = min(max(log_d - off + (off + step_d) * naive_exp(log_h - try_h), -60.0), highest)
        return (try_d, try_h), max(abs(try_d - log_d), abs(try_h - log_h)), gain, sound

    def depth_descent(
        self, start: tuple[float, float], best: tuple[float, float, float, bool], top: float
    ) -> tuple[float, float, float, bool]:
        """Levenberg–Marquardt from one start, with a free or 1; gives the better of its end and the best so far."""
        at, trial, held, turns, kept = start, start, False, 0, 0.0
        moments: list[float] = []
        error, damping, moved = math.inf, 1e-3, math.inf
        for steps in itertools.count(1):
            self.looks += 1
            self.folded = self.total_points > 128 or self.looks > 8
            d = self.depth_project(*trial, held)
            found = self.depth_moments(d)
            better = found[0] < error
            if better:
                at, moments, error, kept = trial, found, found[0], d["free"]
                if not held and kept > 1.0:
                    turns, held, error, damping, moved = turns + 1, True, math.inf, 1e-3, math.inf
                    continue
                damping = 0.1 * damping if damping > 1e-4 else 0.0
            else:
                damping = max(10.0 * damping, 0.1)
            if abs(at[0] - best[1]) < 1e-3 and abs(at[1] - best[2]) < 1e-3 and error >= best[0]:
                return best
            if better or moved > 1e-7:
                trial, moved, gain, sound = self.depth_step(at, held, moments, damping, top)
                ended = better and sound and moved < 1e-3 and gain <= 1e-10 * error
                if damping <= 1e8 and steps < 192 and moved > 1e-11 and not ended:
                    continue
            best = (error, *at, held) if error < best[0] else best
            if not (held and kept < 1.0 and turns <= 2):
                break
            trial, held, error, damping, moved = at, False, math.inf, 1e-3, math.inf
        return best

    def depth(self) -> None:
        """The best ln D and ln h: from three starts downhill, from the best knee if that is better, and from four more
        if a fit is nearly exact; then three steps. Looks beyond eight add points up as those of many are.
        """
        self.log_c = [naive_log(c / self.c[0]) for c in self.c]
        self.whole = [y + self.mean_y for y in self.y]
        top = naive_log(self.c[-1] / self.c[0])
        best = (math.inf, 0.0, 0.0, False)
        self.knee, self.looks = self.depth_knee(), 0
        if not self.flat:
            squares = self.sum(w * y * y for w, y in zip(self.w, self.whole, strict=True))
            for start in self.depth_starts(top)[:3]:
                best = self.depth_descent(start, best, top)
            if squares + self.knee[0] < best[0]:
                best = self.depth_descent((self.knee[1], math.log(200.0)), best, top)
            for turn in (-1.0, -2.0, 1.0, -3.0):
                if not (best[0] < 1e-5 * self.syy or best[0] < 1e-14 * squares):
                    break
                log_h = min(max(best[2] + turn, math.log(1.0 / 20.0)), math.log(200.0))
                off = best[1] - top if best[1] > top else best[1] if best[1] < 0.0 and not best[3] else 0.0
                log_d = min(max(best[1] - off + off * naive_exp(best[2] - log_h), -60.0), top + 14.0)
                best = self.depth_descent((log_d, log_h), best, top)
            self.folded = self.total_points > 128
        at, bound = best[1:3], best[3]
        for _ in range(0 if self.flat else 3):
            trial, moved, _, _ = self.depth_step(
                at, bound, self.depth_moments(self.depth_project(*at, bound)), 0.0, top
            )
            at = trial if moved <= 2e-3 else at
        d = self.depth_project(*at, bound)
        error = math.nan if self.flat else self.depth_moments(d)[0]
        if error > best[0] + 1e-9 * (best[0] + 1e-9 * 1e-9 * self.syy):
            at = best[1:3]
            d = self.depth_project(*at, bound)
            error = self.depth_moments(d)[0]
        self.sse[DEPTH] = error
        self.depth_found = at[0] <= top + 12.0 and error < self.syy * (1.0 - 1e-9)
        self.depth_params = [d["a"], self.c[0] * naive_exp(at[0]), min(max(naive_exp(at[1]), 1.0 / 20.0), 200.0), 0.0]
        first = [v - d["m1"] * g for v, g in zip(d["gd"], d["g"], strict=True)]
        second = [v - d["m2"] * g for v, g in zip(d["gh"], d["g"], strict=True)]
        held = at[1] <= math.log(1.0 / 20.0) or at[1] >= math.log(200.0)
        self.bases[DEPTH] = self.orthogonal(d["g"], first, second, [d["n0"], d["m1"], d["m2"]], held)
        self.residuals[DEPTH] = [y - d["a"] * g for y, g in zip(self.whole, d["g"], strict=True)]

    def orthogonal(
        self, zeroth: list[float], first: list[float], second: list[float], made: list[float], held: bool
    ) -> dict[str, Any]:
        """What a fit leaves of its basis: three functions, their norms, and how the second and third were made."""
        n1 = self.squares(first)
        product = self.sum(w * u * v for w, u, v in zip(self.w, first, second, strict=True))
        ratio = product / n1 if n1 > 0.0 else 0.0
        last = [v - ratio * u for u, v in zip(first, second, strict=True)]
        n0, m1, m2 = made
        n2 = 0.0 if held else self.squares(last)
        return {"f": (zeroth, first, last), "n": [n0, n1, n2], "m1": m1, "m2": m2, "ratio": ratio}

    # --- power ---

    def power_project(self, log_b: float, top: float) -> dict[str, Any]:
        b = naive_exp(log_b)
        t = [naive_exp(b * (x - top)) for x in self.log_c]
        lost = [1.0 - y for y in self.whole]
        mean = self.sum(w * v for w, v in zip(self.w, t, strict=True)) / self.sum(self.w)
        tt = self.sum(w * v * v for w, v in zip(self.w, t, strict=True))
        short = self.sum(w * v * u for w, v, u in zip(self.w, t, lost, strict=True))
        dt = [v - mean for v in t]
        norm = self.sum(w * v * v for w, v in zip(self.w, dt, strict=True))
        product = self.sum(w * v * y for w, v, y in zip(self.w, dt, self.y, strict=True))
        falls = -product / norm if norm else NAN
        level = self.mean_y + falls * mean
        if not falls > 0.0:
            return {"t": t, "mean": mean, "a": min(self.mean_y, 1.0), "k": 0.0, "error": self.syy, "held": False}
        if level > 1.0:
            steep = short / tt
            whole = self.sum(w * u * u for w, u in zip(self.w, lost, strict=True))
            return {"t": t, "mean": mean, "a": 1.0, "k": steep, "error": whole - steep * short, "held": True}
        error = self.syy - falls * -product
        return {"t": t, "mean": mean, "a": level, "k": falls, "error": error, "held": False}

    def power_residuals(self, p: dict[str, Any]) -> list[float]:
        return [(y - (p["a"] - self.mean_y)) + p["k"] * t for y, t in zip(self.y, p["t"], strict=True)]

    def power(self) -> None:
        """The best exponent of 60, then bisection of the error's derivative between its neighbours."""
        self.log_c = [naive_log(c / self.c[0]) for c in self.c]
        self.whole = [y + self.mean_y for y in self.y]
        top = naive_log(self.c[-1] / self.c[0])
        flattest, steepest = math.log(1.0 / 50.0), math.log(8.0)
        step = (steepest - flattest) / 59
        errors = [self.power_project(flattest + k * step, top)["error"] for k in range(60)]
        best = errors.index(min(errors)) if not any(map(math.isnan, errors)) else 0
        low = flattest + (best - 1.0) * step if best > 0 else flattest
        high = flattest + (best + 1.0) * step if best < 59 else steepest
        for _ in range(60):
            middle = 0.5 * (low + high)
            p = self.power_project(middle, top)
            products = zip(self.w, self.power_residuals(p), p["t"], self.log_c, strict=True)
            slope = self.sum(w * r * (t * (x - top)) for w, r, t, x in products)
            falling = middle < flattest + float(best) * step if p["k"] == 0.0 else slope < 0.0
            low, high = (middle, high) if falling else (low, middle)
        log_b = flattest if low == flattest else steepest if high == steepest else 0.5 * (low + high)
        p = self.power_project(log_b, top)
        by_b = [t * (x - top) for t, x in zip(p["t"], self.log_c, strict=True)]
        total = self.sum(self.w)
        m1 = 0.0 if p["held"] else p["mean"]
        m2 = 0.0 if p["held"] else self.sum(w * v for w, v in zip(self.w, by_b, strict=True)) / total
        made = [0.0 if p["held"] else total, m1, m2]
        ones = [1.0] * self.n
        first, second = [t - m1 for t in p["t"]], [v - m2 for v in by_b]
        held = log_b <= flattest or log_b >= steepest
        basis = self.orthogonal(ones, first, second, made, held or p["k"] == 0.0)
        basis["n"][1] = 0.0 if p["k"] == 0.0 else basis["n"][1]
        self.bases[POWER] = basis
        self.sse[POWER] = self.squares(self.power_residuals(p))
        b = min(max(naive_exp(log_b), 1.0 / 50.0), 8.0) if p["k"] > 0.0 else 1.0
        self.power_params = [p["a"], p["k"], b, self.c[-1]]
        above = (p["a"] - self.mean_y) - p["k"] * m1
        self.residuals[POWER] = [y - above - -p["k"] * u for y, u in zip(self.y, basis["f"][1], strict=True)]

    # --- lines that must not leave [0, 1] ---

    def keep_within(self) -> None:
        """For ``auto``: lines and roots that rise are level, those above 1 at no capital begin at 1."""
        if self.flat:
            return
        sqrt_at = self.root0 + self.mean_s * self.root_span
        line_at = self.c[0] + self.mean_x * self.span
        for family, slope, span, at, start, scaled in (
            (LINEAR, self.slope_x, self.span, line_at, self.c[0], self.x),
            (SQRT, self.slope_s, self.root_span, sqrt_at, self.root0, self.s),
        ):
            if not slope <= 0.0:
                self.bound[family] = FALLING
                self.sse[family] = self.syy
            elif self.mean_y - slope / span * at > 1.0:
                self.bound[family] = THROUGH_ONE
                centre, level = -start / span, 1.0 - self.mean_y
                u = [v - centre for v in scaled]
                norm = self.sum(w * v * v for w, v in zip(self.w, u, strict=True))
                new = self.sum(w * v * (y - level) for w, v, y in zip(self.w, u, self.y, strict=True)) / norm
                rest = [(y - level) - new * v for y, v in zip(self.y, u, strict=True)]
                self.sse[family] = self.squares(rest)
                self.within[family] = {"u": u, "slope": new, "norm": norm, "level": level}

    def status(self, family: int) -> int:
        if self.distinct < LEAST.get(family, 2):
            return TOO_FEW_POINTS
        if family == LADDER:
            return self.ladder_status
        if family == HILL:
            return OK if not self.flat and self.hill_found and self.n1 > 0.0 and self.n2 > 0.0 else DEGENERATE
        if family == DEPTH:
            return CONSTANT if self.flat else OK if self.depth_found else DEGENERATE
        if family == SQRT and not self.sss > 0.0:
            return DEGENERATE
        if family == QUADRATIC and not self.sqq > 2.0**-60 * self.sxx:
            return DEGENERATE
        if self.flat:
            return CONSTANT
        if family == EXPONENTIAL and not self.inside:
            return DEGENERATE
        return OK

    def floor(self) -> float:
        squares = self.syy + self.total * self.mean_y * self.mean_y
        narrow = self.c[-1] / self.span
        if narrow > 16.0:
            squares += self.syy * narrow * narrow
        return self.total * EPSILON * EPSILON * squares

    def count(self, family: int) -> float:
        return float(len(self.steps.beta)) if family == LADDER else 3.0 if family in THREE else 2.0

    def aicc(self, family: int) -> float:
        n, p = self.total, self.count(family)
        if n - p - 1.0 <= 0.0:
            return math.nan
        error = max(0.0 if self.flat else self.sse[family], self.floor())
        if error == 0.0:
            return -math.inf
        return n * naive_log(error / n) + 2.0 * p + 2.0 * p * (p + 1.0) / (n - p - 1.0)

    def choose(self) -> int:
        if self.distinct < 2:
            return LINEAR
        chosen, best = -1, math.inf
        for family in (LINEAR, SQRT, POWER, DEPTH, *((LADDER,) if self.distinct >= 40 else ())):
            if self.status(family) != OK or self.total < self.count(family) + 2.0:
                continue
            aicc = self.aicc(family) - (10.0 if family == LADDER else 0.0)
            if chosen < 0 or aicc < best - 1e-9:
                chosen, best = family, aicc
        if chosen >= 0:
            return chosen
        noise = 64.0 * self.floor()
        better = not self.flat and max(self.sse[SQRT], noise) < max(self.sse[LINEAR], noise) * (1.0 - 1e-9)
        return SQRT if better and self.status(SQRT) == OK else LINEAR

    def basis(self, family: int) -> tuple[list[float], list[float], float, float, float, float]:
        """Two orthogonal basis functions at every point, their coefficients and squared norms."""
        none = [0.0] * self.n
        if family == HILL:
            return self.g1, self.g2, 0.0, 0.0, self.n1, self.n2
        if family in self.bases:
            basis = self.bases[family]
            return *basis["f"][1:], 0.0, 0.0, *basis["n"][1:]
        if self.bound.get(family) == FALLING:
            return (self.dx if family == LINEAR else self.ds), none, 0.0, 0.0, 0.0, 0.0
        if self.bound.get(family) == THROUGH_ONE:
            within = self.within[family]
            return within["u"], none, within["slope"], 0.0, within["norm"], 0.0
        if family == EXPONENTIAL:
            first = [v - self.mean_h for v in self.h]
            ratio = self.gu / self.gg
            second = [self.u[i] - self.mean_u - ratio * first[i] for i in range(self.n)]
            return first, second, self.a, 0.0, self.gg, self.uu - self.gu * self.gu / self.gg
        if family == SQRT:
            return self.ds, none, self.slope_s, 0.0, self.sss, 0.0
        if family == LINEAR:
            return self.dx, none, self.slope_x, 0.0, self.sxx, 0.0
        return self.dx, self.q, self.slope_x, self.slope_q, self.sxx, self.sqq

    def ladder(self) -> None:
        """See :mod:`tests.naive.ladders`."""
        from tests.naive.ladders import NaiveLadder

        self.steps = NaiveLadder(list(zip(self.c, self.y_raw, self.w, strict=True)))
        self.ladder_status = self.steps.run()
        self.sse[LADDER] = self.steps.sse

    def ladder_curve(self, curve: NaiveCurve) -> NaiveCurve:
        ladder, n, p = self.steps, self.total, self.count(LADDER)
        curve.params, curve.root = [1.0, 1.0, float(len(ladder.steps()[0])), 0.0], ladder.root()
        curve.steps = [number for row in ladder.steps() for number in row]
        error = 0.0 if self.flat else ladder.sse
        curve.figures = {
            "trusted_to": 2.0 * self.c[-1],
            "residual_sd": math.sqrt(error / (n - p)) if n > p else math.nan,
            "r_squared": 0.0 if self.flat else 1.0 - error / self.syy,
            "rmse": math.sqrt(error / n),
            "aicc": self.aicc(LADDER),
        }
        total = worst = 0.0
        for w, r in zip(self.w, ladder.residuals(), strict=True):
            total += w * abs(r)
            worst = max(worst, abs(r))
        curve.figures |= {"mean_error": 0.0 if self.flat else total / n, "max_error": 0.0 if self.flat else worst}
        if not self.flat:
            curve.figures |= ladder.neumann(64.0 * self.floor())
        return curve

    def run(self, choice: int) -> NaiveCurve:
        if self.distinct >= 2:
            self.lines()
            self.roots()
            if choice == AUTO:
                self.keep_within()
            if self.distinct >= 3 and choice == EXPONENTIAL:
                self.exponential()
            else:
                self.inside = False
                self.sse[EXPONENTIAL] = math.nan
            if self.distinct >= 3 and choice == HILL:
                self.hill()
            if self.distinct >= 3 and choice in (DEPTH, AUTO):
                self.depth()
            if self.distinct >= 3 and choice in (POWER, AUTO):
                self.power()
            if self.distinct >= (3 if choice == LADDER else 40) and choice in (LADDER, AUTO):
                self.ladder()
        family = self.choose() if choice == AUTO else choice
        status = self.status(family)
        curve = NaiveCurve(family, status, self.n)
        if status in (TOO_FEW_POINTS, DEGENERATE):
            return curve
        if family == LADDER:
            return self.ladder_curve(curve)
        if status == CONSTANT and family == EXPONENTIAL:
            curve.params, curve.origin = [0.0, 1.0 / self.span, self.mean_y, 0.0], self.c[0]
            return curve
        if status == CONSTANT and family in (DEPTH, POWER):
            curve.params = [self.mean_y, *((math.inf, 1.0, 0.0) if family == DEPTH else (0.0, 1.0, self.c[-1]))]
            return curve
        self.write(curve)
        self.judge(curve)
        return curve

    def write(self, curve: NaiveCurve) -> None:
        """Coefficients over capital."""
        c0, span, mean, family = self.c[0], self.span, self.mean_y, curve.family
        _, _, c1, c2, norm1, norm2 = self.basis(family)
        if self.flat:
            c1 = c2 = 0.0
        i0 = 1.0 / math.sqrt(self.total)
        i1, i2 = (1.0 / math.sqrt(norm) if norm > 0.0 else 0.0 for norm in (norm1, norm2))
        if family == HILL:
            curve.params = [self.amplitude, c0 * naive_exp(self.log_k), self.shape, 0.0]
            curve.root = [1.0 / math.sqrt(self.n0), self.m1, i1, self.m2, self.ratio, i2]
        elif family in self.bases:
            basis = self.bases[family]
            curve.params = self.depth_params if family == DEPTH else self.power_params
            i0 = 1.0 / math.sqrt(basis["n"][0]) if basis["n"][0] > 0.0 else 0.0
            curve.root = [i0, basis["m1"], i1, basis["m2"], basis["ratio"], i2]
            if family == POWER and curve.params[1] == 0.0:
                curve.root = [i0, 0.0, 0.0, 0.0, 0.0, 0.0]
        elif self.bound.get(family) == THROUGH_ONE:
            scale = span if family == LINEAR else self.root_span
            curve.params = [c1 / scale, 1.0, 0.0, 0.0]
            curve.root = [0.0, 0.0, i1 / scale, 0.0, 0.0, 0.0]
        elif family == LINEAR:
            centre = c0 + self.mean_x * span
            a = c1 / span
            curve.params = [a, mean - a * centre, 0.0, 0.0]
            curve.root = [i0, centre, i1 / span, 0.0, 0.0, 0.0]
        elif family == SQRT:
            centre = self.root0 + self.mean_s * self.root_span
            a = c1 / self.root_span
            curve.params = [a, mean - a * centre, 0.0, 0.0]
            curve.root = [i0, centre, i1 / self.root_span, 0.0, 0.0, 0.0]
        elif family == QUADRATIC:
            curve.origin = c0 if c0 > 16.0 * span else 0.0
            centre = (c0 - curve.origin) + self.mean_x * span
            a = c2 / span / span
            slope = (c1 - c2 * self.k2) / span
            c = mean - c2 * self.m2 - slope * centre + a * centre * centre
            curve.params = [a, slope - 2.0 * a * centre, c, 0.0]
            m2 = centre * centre + span * span * self.m2
            curve.root = [i0, centre, i1 / span, m2, 2.0 * centre + self.k2 * span, i2 / span / span]
        else:
            curve.origin = c0
            level = 1.0 + self.mean_h
            curve.params = [c1, self.rate / span, mean - c1 * level, 0.0]
            curve.root = [i0, level, i1, span * self.mean_u, span * (self.gu / self.gg), i2 / span]

    def judge(self, curve: NaiveCurve) -> None:
        """Figures of merit."""
        family, n = curve.family, self.total
        p = 3.0 if family in THREE else 2.0
        error = 0.0 if self.flat else self.sse[family]
        first, second, c1, c2, norm1, norm2 = self.basis(family)
        largest = self.c[-1]
        trusted_to = 2.0 * largest
        if rises_again(curve, self.c[0] + 1e-9 * self.span, trusted_to):
            trusted_to = largest
        f = curve.figures
        f["trusted_to"] = trusted_to
        f["residual_sd"] = math.sqrt(error / (n - p)) if n > p else math.nan
        f["r_squared"] = 0.0 if self.flat else 1.0 - error / self.syy
        f["rmse"] = math.sqrt(error / n)
        f["aicc"] = self.aicc(family)
        if self.flat:
            f["mean_error"] = f["max_error"] = 0.0
            return
        r = [self.y[i] - c1 * first[i] - c2 * second[i] for i in range(self.n)]
        if family == HILL:
            r = [self.whole[i] - self.amplitude * self.g[i] for i in range(self.n)]
        if family in self.residuals:
            r = self.residuals[family]
        if self.bound.get(family) == THROUGH_ONE:
            r = [self.y[i] - self.within[family]["level"] - c1 * first[i] for i in range(self.n)]
        absolute = 0.0  # in order of capital, however many points there are
        for w, v in zip(self.w, r, strict=True):
            absolute += w * abs(v)
        f["mean_error"] = absolute / n
        f["max_error"] = max(abs(v) for v in r)
        self.neumann(curve, r, first, second, norm1, norm2)

    def neumann(
        self, curve: NaiveCurve, r: list[float], first: list[float], second: list[float], norm1: float, norm2: float
    ) -> None:
        """Squared differences of neighbouring residuals over their squares; mean and variance by matrices."""
        i1, i2 = (1.0 / math.sqrt(norm) if norm > 0.0 else 0.0 for norm in (norm1, norm2))
        groups: list[list[int]] = []
        for i in range(self.n):
            if i == 0 or self.x[i] != self.x[i - 1]:
                groups.append([])
            groups[-1].append(i)
        n0 = self.n0 if curve.family == HILL else self.total
        n0 = 0.0 if self.bound.get(curve.family) == THROUGH_ONE else n0
        n0 = self.bases[curve.family]["n"][0] if curve.family in self.bases else n0
        p = float((n0 > 0.0) + (norm1 > 0.0) + (norm2 > 0.0))
        if len(groups) < p + 2:
            return
        z, e = [], []
        for group in groups:
            weight = residual = 0.0
            for i in group:
                weight += self.w[i]
                residual += self.w[i] * r[i]
            scale = math.sqrt(weight)
            z.append(residual / scale)
            zeroth = self.g[group[-1]] if curve.family == HILL else 1.0
            zeroth = self.bases[DEPTH]["f"][0][group[-1]] if curve.family == DEPTH else zeroth
            zeroth *= 1.0 / math.sqrt(n0) if n0 > 0.0 else 0.0
            e.append([scale * zeroth, scale * first[group[-1]] * i1, scale * second[group[-1]] * i2])
        squares = differences = 0.0
        for j, v in enumerate(z):
            squares += v * v
            if j:
                differences += (v - z[j - 1]) * (v - z[j - 1])
        if squares > 64.0 * self.floor():
            curve.figures["neumann"] = differences / squares
        curve.figures.update(durbin_watson_moments(e, int(p)))


def durbin_watson_moments(e: list[list[float]], p: int) -> dict[str, float]:
    """Moments of r'Ar/r'r for r = Mz, z independent normal, M = I − QQ' (Durbin and Watson), by whole matrices."""
    import numpy as np

    k = len(e)
    q = np.array(e)
    a = 2.0 * np.eye(k) - np.eye(k, k=1) - np.eye(k, k=-1)
    a[0, 0] = a[-1, -1] = 1.0
    ma = (np.eye(k) - q @ q.T) @ a
    trace, trace_2, freedom = float(np.trace(ma)), float(np.trace(ma @ ma)), k - p
    variance = 2.0 * (freedom * trace_2 - trace * trace) / (freedom * freedom * (freedom + 2.0))
    return {"neumann_mean": trace / freedom, "neumann_variance": variance}


def survey(
    capital: list[float], efficiency: list[float], weights: list[float], bounds: list[float]
) -> tuple[float, int]:
    """The most that a record of an instrument returned, and how many are out of bounds."""
    least, most, low, high = bounds
    pairs = list(zip(capital, efficiency, strict=True))
    outside = sum(not (least <= c <= most and low <= y <= high) for c, y in pairs)
    utilities = [c * y if w > 0.0 else 0.0 for (c, y), w in zip(pairs, weights or [1.0] * len(pairs), strict=True)]
    best = -math.inf
    for utility in utilities:
        best = max(best, utility)  # in this order a NaN never wins
    return best if utilities else math.nan, outside


def grouped(symbols: list[str]) -> tuple[list[str], list[int], list[int]]:
    """Symbols in order of first appearance, where the records of each begin, and which record stands where."""
    names = list(dict.fromkeys(symbols))
    places = [[place for place, symbol in enumerate(symbols) if symbol == name] for name in names]
    offsets = [sum(map(len, places[:k])) for k in range(len(names) + 1)]
    return names, offsets, [place for own in places for place in own]


class NaiveLadder:
    """Utility that rises in straight steps; a and b are factors of its slopes and of its knots."""

    def __init__(self, rows: list[list[float]], a: float = 1.0, b: float = 1.0) -> None:
        self.knots, self.slopes, self.utilities = rows
        self.a, self.b = a, b

    def step(self, u: float) -> int:
        """The last step that begins below u: a knot belongs to the step that ends there."""
        return max([j for j, knot in enumerate(self.knots) if knot < u], default=0)

    def marginal(self, capital: float) -> float:
        return self.a * self.slopes[self.step(capital / self.b)]

    def efficiency(self, capital: float) -> float:
        u = capital / self.b
        j = self.step(u)
        if j == 0:
            return self.a * self.slopes[0]
        return self.a * ((self.utilities[j] + (u - self.knots[j]) * self.slopes[j]) / u)

    def threshold(self, least: float) -> float:
        """The largest capital with an efficiency of at least `least`; inf if there is no end, 0 if there is nothing."""
        if least <= 0.0:
            return math.inf
        wanted = least / self.a if self.a > 0.0 else math.inf
        if wanted > self.slopes[0]:
            return 0.0
        reached = [
            j for j, knot in enumerate(self.knots) if self.utilities[j] >= wanted * knot
        ]  # efficiency falls: all of them in a row
        j = reached[-1]
        if self.slopes[j] >= wanted:
            return math.inf
        return self.b * ((self.utilities[j] - self.slopes[j] * self.knots[j]) / (wanted - self.slopes[j]))
