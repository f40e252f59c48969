"""Noise, scores and intervals in plain Python, on lists: what the kernels must equal to the last bit.

Weights along capital, curves and what a step in their coefficients does, refits, scores, the scale of residuals, and how
far an interval reaches. Sums run in the order of points, as they stand here.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

from tests.naive.curves import EXPONENTIAL, LINEAR, QUADRATIC, SQRT, naive_exp, naive_log
from tests.naive.ladders import NaiveLadder

DEPTH, POWER, LADDER = 5, 6, 7
FLOOR = 1e-10
NEVER = 1 << 62
Floats = list[float]
Triple = tuple[float, float, float]


# --- weights along capital --------------------------------------------------------------------------------------------


def unit_of(smallest: float) -> float:
    return 4.0 ** -((math.frexp(smallest)[1] - 1) // 2)


def relative(weights: Floats) -> Floats:
    if len(set(weights)) == 1:
        return [1.0] * len(weights)
    scaled = [w / max(weights) for w in weights]
    total = squares = 0.0
    for w in scaled:
        total += w
        squares += w * w
    factor = total * total / squares / total
    return [w * factor for w in scaled]


def node_variances(x: Floats, y: Floats, u: Floats) -> Floats:
    """ln σ² at the twelve nodes."""
    n = len(x)
    v = [0.0] * n
    for i in range(1, n - 1):
        gap = x[i + 1] - x[i - 1]
        alpha = (x[i + 1] - x[i]) / gap if gap > 0.0 else 0.5
        beta = 1.0 - alpha
        e = alpha * y[i - 1] + beta * y[i + 1] - y[i]
        v[i] = e * e / (alpha * alpha + beta * beta + 1.0) * u[i]
    first, last = x[1], x[n - 2]
    step = (last - first) / 11
    nodes = []
    for k in range(12):
        width = max(0.8, 30.0 * (last - first) / (n - 2))
        mean = FLOOR
        for _ in range(41):
            total = squares = weighted = 0.0
            for i in range(1, n - 1):
                d = (x[i] - (first + k * step)) / width
                if d * d < 1.0:
                    total += 1.0 - d * d
                    squares += (1.0 - d * d) * (1.0 - d * d)
                    weighted += (1.0 - d * d) * v[i]
            if total > 0.0:
                mean = weighted / total
                if total * total >= 12.0 * squares:
                    break
            width *= 1.3
        nodes.append(naive_log(max(mean, FLOOR)))
    return nodes


def local_weights(x: Floats, y: Floats, u: Floats) -> tuple[Floats, float]:
    """Weights of the sum of the relative ones, and what they were multiplied by."""
    nodes = node_variances(x, y, u)
    first, last = x[1], x[-2]
    w = []
    for xi, ui in zip(x, u, strict=True):
        along = min(max((xi - first) / (last - first) * 11, 0.0), 11.0)
        k = min(int(along), 10)
        w.append(ui * naive_exp(-(nodes[k] + (along - k) * (nodes[k + 1] - nodes[k]))))
    before = after = 0.0
    for ui, wi in zip(u, w, strict=True):
        before += ui
        after += wi
    return [wi * (before / after) for wi in w], before / after


# --- curves -----------------------------------------------------------------------------------------------------------


@dataclass
class NaiveForm:
    """One curve: coefficients, origin, and steps of a ladder (knots, slopes, utilities)."""

    family: int
    p: tuple[float, float, float, float]
    origin: float = 0.0
    steps: list[Floats] = field(default_factory=list)

    def of_depth(self, c: float) -> tuple[float, float, float, float]:
        """g, 1/(1 + t), ln(1 + min(t, 1/t))/h and ln(C/D)."""
        if not c / self.p[1] > 1e-300:
            return 1.0, 1.0, 0.0, 0.0
        log_x = naive_log(c / self.p[1])
        q = naive_exp(-self.p[2] * abs(log_x))
        whole = 1.0 + q
        bend = (naive_log(whole) + (q - (whole - 1.0)) * (1.0 / whole)) * (1.0 / self.p[2])
        g = naive_exp(-(max(0.0, log_x) + bend))
        return g, q * (1.0 / whole) if log_x > 0.0 else 1.0 / whole, bend, log_x

    def of_power(self, c: float) -> tuple[float, float]:
        if not c / self.p[3] > 1e-300:
            return 0.0, 0.0
        log_x = naive_log(c / self.p[3])
        return naive_exp(self.p[2] * log_x), log_x

    def of_ladder(self, c: float) -> tuple[float, float]:
        knots, slopes, utilities = self.steps
        at = max(sum(1 for k in knots if k < c) - 1, 0)
        whole = utilities[at] + (c - knots[at]) * slopes[at]
        return whole / c if at > 0 else slopes[at], slopes[at]

    def value(self, c: float) -> float:
        a, b, third, _ = self.p
        d = c - self.origin
        if self.family == LINEAR:
            return a * c + b
        if self.family == SQRT:
            return a * math.sqrt(c) + b
        if self.family == QUADRATIC:
            return (a * d + b) * d + third
        if self.family == EXPONENTIAL:
            return a * naive_exp(-b * d) + third
        if self.family == DEPTH:
            return a * self.of_depth(c)[0]
        if self.family == POWER:
            return a - b * self.of_power(c)[0]
        return self.of_ladder(c)[0]

    def marginal(self, c: float) -> float:
        a, b, third, _ = self.p
        d = c - self.origin
        if self.family == LINEAR:
            return 2.0 * (a * c) + b
        if self.family == SQRT:
            return 1.5 * (a * math.sqrt(c)) + b
        if self.family == DEPTH:
            g, rest, _, _ = self.of_depth(c)
            return a * (g * rest)
        if self.family == POWER:
            return a - b * (1.0 + third) * self.of_power(c)[0]
        raise AssertionError((self.family, d))

    def slope(self, c: float) -> float:
        """|η − U′|."""
        if self.family == LADDER:
            above, below = 1.15 * c, 0.85 * c
            rise = above * self.value(above)
            rise -= below * self.value(below)
            return abs(self.value(c) - rise / ((1.15 - 0.85) * c))
        return abs(self.value(c) - self.marginal(c))

    def basis(self, c: float) -> Triple:
        if self.family == LINEAR:
            return 1.0, c, 0.0
        if self.family == SQRT:
            return 1.0, math.sqrt(c), 0.0
        if self.family == DEPTH:
            g, rest, bend, log_x = self.of_depth(c)
            return g, g * (1.0 - rest), g * (bend + abs(log_x) * min(rest, 1.0 - rest))
        if self.family == POWER:
            t, log_x = self.of_power(c)
            return 1.0, t, t * log_x
        eta, slope = self.of_ladder(c)
        return eta, eta - slope, 0.0

    @property
    def top(self) -> float:
        return self.p[1] if self.family in (LINEAR, SQRT) else self.p[0]

    @property
    def bounded(self) -> bool:
        return self.top <= 1.0 if self.family in (LINEAR, SQRT) else self.family in (DEPTH, POWER)

    def moved(self, bounded: bool, c0: float, c1: float, c2: float) -> NaiveForm:
        a, b, c, d = self.p
        if self.family in (LINEAR, SQRT):
            p = (a + c1, min(b + c0, 1.0) if bounded else b + c0, c, d)
        elif self.family == DEPTH:
            by = [min(max(v / a if a > 0.0 else 0.0, -1.0), 1.0) for v in (c1, c2)]
            p = (min(max(a + c0, 0.0), 1.0), b * naive_exp(by[0]), min(max(c * naive_exp(by[1]), 0.05), 200.0), d)
        else:
            exponent = min(max(c - (c2 / b if b > 0.0 else 0.0), 0.02), 8.0)
            p = (min(a + c0, 1.0), max(b - c1, 0.0), exponent, d)
        return NaiveForm(self.family, p, self.origin)


# --- refits -----------------------------------------------------------------------------------------------------------


class NaiveRefit:
    """A smooth curve fitted again to points of positive weight."""

    def __init__(self, root: Floats, points: list[Triple]) -> None:
        self.i0, self.m1, self.i1, self.m2, self.k, self.i2 = root
        self.points = points

    def coordinates(self, held: bool, f: Triple) -> Triple:
        if held:
            return 0.0, f[1] * self.i1, f[2] * self.i2
        first = f[1] - f[0] * self.m1
        return f[0] * self.i0, first * self.i1, (f[2] - f[0] * self.m2 - self.k * first) * self.i2

    def equations(self, form: NaiveForm, held: bool) -> Floats:
        sums = [0.0] * 11
        for c, y, w in self.points:
            if not w > 0.0:
                continue
            r = y - form.value(c)
            f = form.basis(c)
            e0, e1, e2 = self.coordinates(held, f)
            terms = (
                w * e0 * e0, w * e0 * e1, w * e0 * e2, w * e1 * e1, w * e1 * e2, w * e2 * e2,
                w * r * e0, w * r * e1, w * r * e2, w * r * r, w * r * f[0],
            )  # fmt: skip
            sums = [s + t for s, t in zip(sums, terms, strict=True)]
        return sums

    @staticmethod
    def solve(a: Floats, b: Floats, damping: float) -> Triple:
        a00, a01, a02, a11, a12, a22 = a
        grown = 1.0 + damping
        d0 = a00 * grown
        l1, l2 = (a01 / d0, a02 / d0) if d0 > 0.0 else (0.0, 0.0)
        d1 = a11 * grown - l1 * a01
        d1 = d1 if d1 > 1e-12 * a11 else 0.0
        cross = a12 - l1 * a02
        l3 = cross / d1 if d1 > 0.0 else 0.0
        d2 = a22 * grown - l2 * a02 - l3 * cross
        d2 = d2 if d2 > 1e-12 * a22 else 0.0
        y1 = b[1] - l1 * b[0]
        y2 = b[2] - l2 * b[0] - l3 * y1
        x2 = y2 / d2 if d2 > 0.0 else 0.0
        x1 = (y1 / d1 if d1 > 0.0 else 0.0) - l3 * x2
        return (b[0] / d0 if d0 > 0.0 else 0.0) - l1 * x1 - l2 * x2, x1, x2

    def at(self, form: NaiveForm, bounded: bool) -> tuple[bool, Floats]:
        held = bounded and form.top >= 1.0
        sums = self.equations(form, held)
        if held and sums[10] < 0.0:
            return False, self.equations(form, False)
        return held, sums

    def run(self, form: NaiveForm) -> NaiveForm:
        bounded = form.bounded
        held, sums = self.at(form, bounded)
        damping, refused = 0.0, 0
        for _ in range(24):
            e = self.solve(sums[:6], sums[6:9], damping)
            if not e[0] * sums[6] + e[1] * sums[7] + e[2] * sums[8] > 1e-12 * sums[9]:
                break
            first, second = e[1] * self.i1, e[2] * self.i2
            zeroth = e[0] * self.i0 - self.m1 * first + (self.k * self.m1 - self.m2) * second
            step = (0.0, first, second) if held else (zeroth, first - self.k * second, second)
            tried = form.moved(bounded, *step)
            tried_held, tried_sums = self.at(tried, bounded)
            if tried_sums[9] <= sums[9]:
                form, held, sums = tried, tried_held, tried_sums
                damping = damping / 10.0 if damping > 1e-5 else 0.0
            else:
                refused += 1
                damping = max(1e-3, damping * 10.0)
                if refused > 8:
                    break
        return form

    def leverages(self, form: NaiveForm) -> Floats:
        held = form.bounded and form.top >= 1.0
        a = self.equations(form, held)[:6]
        out = []
        for c, _, w in self.points:
            e = self.coordinates(held, form.basis(c))
            x = self.solve(a, list(e), 0.0)
            out.append(w * (e[0] * x[0] + e[1] * x[1] + e[2] * x[2]))
        return out


# --- noise of level and of depth --------------------------------------------------------------------------------------


def fit_levels(r: Floats, g: Floats) -> tuple[float, float, Floats]:
    variance = [1.0] * len(r)
    level = depth = 0.0
    for _ in range(4):
        s11 = s1g = sgg = s1r = sgr = 0.0
        for ri, gi, v in zip(r, g, variance, strict=True):
            w, squared = 1.0 / (v * v), gi * gi
            s11 += w
            s1g += w * squared
            sgg += w * squared * squared
            s1r += w * (ri * ri)
            sgr += w * squared * (ri * ri)
        level, depth = non_negative(s11, s1g, sgg, s1r, sgr)
        variance = [max(level + depth * (gi * gi), FLOOR) for gi in g]
    return level, depth, variance


def non_negative(s11: float, s1g: float, sgg: float, s1r: float, sgr: float) -> tuple[float, float]:
    determinant = s11 * sgg - s1g * s1g
    if determinant > 1e-14 * s11 * sgg:
        both = (s1r * sgg - sgr * s1g) / determinant, (sgr * s11 - s1r * s1g) / determinant
        if min(both) >= 0.0:
            return both
    alone, other = max(s1r / s11, 0.0) if s11 > 0.0 else 0.0, max(sgr / sgg, 0.0) if sgg > 0.0 else 0.0
    return (alone, 0.0) if alone * s1r >= other * sgr else (0.0, other)


def fit_bins(x: Floats, r: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Places of bins and both ends, and ln c² there."""
    n = len(x)
    count = max(1, min(24, n // 16))
    means, raw = [], []
    at = 0
    for k in range(count):
        size = n // count + (1 if k < n % count else 0)
        squares = along = 0.0
        for i in range(at, at + size):
            squares += r[i] * r[i] / variance[i]
            along += x[i]
        means.append(along / size)
        raw.append(max(squares / size, FLOOR))
        at += size
    smooth = [
        naive_log(0.25 * raw[k - 1] + 0.5 * raw[k] + 0.25 * raw[k + 1] if 0 < k < count - 1 else raw[k])
        for k in range(count)
    ]
    low = high = smooth[0]
    if count > 1:
        low = upwards((means[1], smooth[1]), (means[0], smooth[0]), x[0])
        high = upwards((means[-2], smooth[-2]), (means[-1], smooth[-1]), x[-1])
    return [x[0], *means, x[-1]], [low, *smooth, high]


def upwards(inner: tuple[float, float], end: tuple[float, float], x: float) -> float:
    if end[0] == inner[0]:
        return end[1]
    return max(end[1], end[1] + (end[1] - inner[1]) / (end[0] - inner[0]) * (x - end[0]))


def between(xs: Floats, values: Floats, x: float) -> float:
    if not x > xs[0]:
        return values[0]
    if x >= xs[-1]:
        return values[-1]
    low = max(k for k in range(len(xs)) if xs[k] <= x)
    return values[low] + (x - xs[low]) / (xs[low + 1] - xs[low]) * (values[low + 1] - values[low])


# --- scores -----------------------------------------------------------------------------------------------------------


@dataclass
class Record:
    """One record of positive weight."""

    c: float
    y: float
    u: float
    group: int = -1
    block: int = 0


class NaiveScores:
    """Scores of the records of one curve."""

    def __init__(self, form: NaiveForm, root: Floats, records: list[Record]) -> None:
        self.records = sorted(records, key=lambda r: (r.c, r.y, r.u, r.group, r.block))
        for record, u in zip(self.records, relative([r.u for r in self.records]), strict=True):
            record.u = u
        self.unit = unit_of(self.records[0].c)
        self.x = [naive_log(r.c * self.unit) for r in self.records]
        self.root = [root[0] if root[0] > 0.0 else 1.0, *root[1:]]
        self.form = form
        self.ladder: NaiveLadder | None = None

    def run(self) -> None:
        weights, scale = self.weigh(NEVER)
        if self.form.family == LADDER:
            points = [(r.c, r.y, w) for r, w in zip(self.records, weights, strict=True)]
            self.ladder = NaiveLadder(points)
            self.ladder.run()
            self.form = self.of_ladder(self.ladder)
        n = len(self.records)
        self.level, self.depth, self.bins, r, slopes = self.noise_of(self.form, weights, self.ladder)
        squares = 0.0
        for record, w in zip(self.records, weights, strict=True):
            residual = record.y - self.form.value(record.c)
            squares += w * residual * residual
        self.misfit = math.sqrt(squares / scale / n)
        spread = [self.scale(slopes[i], self.x[i], (self.level, self.depth, self.bins)) for i in range(n)]
        self.z = [abs(r[i]) / spread[i] for i in range(n)]
        self.windows = []
        if n > 100:
            for start in self.window_starts(n):
                total = 0.0
                for x in self.x[start : start + 100]:
                    total += x
                self.windows.append(total / 100)

    @staticmethod
    def window_starts(n: int) -> list[int]:
        return [(2 * k * (n - 100) + 7) // 14 for k in range(8)]

    def weigh(self, before: int) -> tuple[Floats, float]:
        """Local weights of the records of blocks before one, 0 for the others."""
        some = [i for i, r in enumerate(self.records) if r.block < before]
        found, scale = local_weights(
            [self.x[i] for i in some], [self.records[i].y for i in some], [self.records[i].u for i in some]
        )
        weights = [0.0] * len(self.records)
        for i, w in zip(some, found, strict=True):
            weights[i] = w
        return weights, scale

    @staticmethod
    def of_ladder(ladder: NaiveLadder) -> NaiveForm:
        steps = ladder.steps()
        return NaiveForm(LADDER, (1.0, 1.0, float(len(steps[0])), 0.0), 0.0, steps)

    def again(self, form: NaiveForm, weights: Floats) -> tuple[NaiveForm, NaiveLadder | None]:
        if self.ladder is not None:
            other = copy.deepcopy(self.ladder)
            other.refit(weights, {})
            return self.of_ladder(other), other
        points = [(r.c, r.y, w) for r, w in zip(self.records, weights, strict=True)]
        return NaiveRefit(self.root, points).run(form), None

    def leverages(self, form: NaiveForm, weights: Floats, ladder: NaiveLadder | None) -> Floats:
        if ladder is None:
            points = [(r.c, r.y, w) for r, w in zip(self.records, weights, strict=True)]
            return NaiveRefit(self.root, points).leverages(form)
        found = iter(ladder.leverages())
        return [next(found) if w > 0.0 else 0.0 for w in weights]

    def noise_of(
        self, form: NaiveForm, weights: Floats, ladder: NaiveLadder | None
    ) -> tuple[float, float, tuple[Floats, Floats], Floats, Floats]:
        some = [i for i, w in enumerate(weights) if w > 0.0]
        leverage = self.leverages(form, weights, ladder)
        near = {
            i: (self.records[i].y - form.value(self.records[i].c)) / (1.0 - min(leverage[i], 1.0 - 1e-9)) for i in some
        }
        group = [r.group for r in self.records]
        folds = {i: (group[i] if group[i] >= 0 else rank) % 5 for rank, i in enumerate(some)}
        far = dict.fromkeys(some, 0.0)
        for fold in range(5):
            inside = [i for i in some if folds[i] == fold]
            if not inside or len(inside) == len(some):
                continue
            other, _ = self.again(form, [0.0 if i in inside else w for i, w in enumerate(weights)])
            far |= {i: self.records[i].y - other.value(self.records[i].c) for i in inside}
        r = [far[i] if abs(far[i]) > abs(near[i]) else near[i] for i in some]
        slopes = [form.slope(self.records[i].c) for i in some]
        level, depth, variance = fit_levels(r, slopes)
        return level, depth, fit_bins([self.x[i] for i in some], r, variance), r, slopes

    @staticmethod
    def scale(slope: float, x: float, noise: tuple[float, float, tuple[Floats, Floats]]) -> float:
        level, depth, bins = noise
        return math.sqrt(max(level + depth * (slope * slope), FLOOR)) * naive_exp(0.5 * between(*bins, x))

    def forward(self, least: int) -> Floats:
        blocks = max(r.block for r in self.records) + 1
        found = []
        for j in range(max(1, (blocks + 2) // 3), blocks):
            if len({r.c for r in self.records if r.block < j}) < least:
                continue
            weights, _ = self.weigh(j)
            form, ladder = self.again(self.form, weights)
            level, depth, bins, _, _ = self.noise_of(form, weights, ladder)
            for record, x in zip(self.records, self.x, strict=True):
                if record.block == j:
                    scale = self.scale(form.slope(record.c), x, (level, depth, bins))
                    found.append(abs(record.y - form.value(record.c)) / scale)
        return sorted(found)

    def reach(self, c: float, level: float, within: float) -> tuple[float, float]:
        """How far an interval reaches, and how sure a distance is."""
        x = naive_log(c * self.unit)
        scale = self.scale(self.form.slope(c), x, (self.level, self.depth, self.bins))
        q = quantile(self.z, level)
        if self.windows and 101 * level <= 100:
            some = [quantile(self.z[start : start + 100], level) for start in self.window_starts(len(self.z))]
            q = max(q, between(self.windows, some, x))
        return q * scale, share_within(self.z, within / scale)


def quantile(z: Floats, level: float) -> float:
    n, ranked = len(z), sorted(z)
    wanted = (n + 1) * level
    if wanted > n:
        return math.inf
    k = int(wanted)
    low = ranked[k - 1] if k > 0 else 0.0
    return low + (wanted - k) * (ranked[k] - low) if k < n else low


def share_within(z: Floats, distance: float) -> float:
    ranked = sorted(z)
    low = sum(1 for one in ranked if one <= distance)
    within = float(low)
    if low < len(ranked):
        before = ranked[low - 1] if low > 0 else 0.0
        within += (distance - before) / (ranked[low] - before)
    return within / (len(z) + 1)
