"""Student's and the beta distribution in plain Python, as the definitions say: twin of the kernels' own."""

from __future__ import annotations

import math
from fractions import Fraction

from tests.naive.curves import naive_exp, naive_expm1, naive_log
from tests.naive.market import horner, naive_quantile

RATIO = [
    0.9698228757253365,
    -0.14065807079546203,
    0.026412154660064857,
    -0.006670963462056534,
    0.0023855575127527118,
    -0.001298762857913971,
    0.0012035369873046875,
    -0.0023193359375,
    0.015625,
]
STIRLING = [
    bernoulli / (2 * k * (2 * k - 1))
    for k, bernoulli in enumerate((1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510), 1)
][::-1]


def log1p(x: float) -> float:
    whole = 1.0 + x
    return naive_log(whole) + (x - (whole - 1.0)) / whole


def gamma_ratio(h: float) -> float:
    """Γ(h + ½)/Γ(h): one step up multiplies it by (h + ½)/h. What is lost by rounding is known exactly."""
    over = under = 1.0
    lost = 0.0
    k = 0
    while h + k < 8.0:
        for offset, sign in ((float(k), 1.0), (k + 0.5, -1.0)):
            factor = h + offset
            before = over if sign > 0.0 else under
            after = before * factor
            rounding = float(Fraction(before) * Fraction(factor) - Fraction(after))
            lost += sign * ((rounding + before * (h - (factor - offset))) / after)
            over, under = (after, under) if sign > 0.0 else (over, after)
        k += 1
    z = (h + k) - 0.25
    s = 1.0 / (z * z)
    return over / under * (math.sqrt(z) + math.sqrt(z) * (s * horner(RATIO, s) + lost))


def log_gamma(z: float) -> float:
    product = 1.0
    while z < 8.0:
        product, z = product * z, z + 1.0
    s = 1.0 / (z * z)
    return ((z - 0.5) * naive_log(z) - z + 0.9189385332046728 + horner(STIRLING, s) / z) - naive_log(product)


def coefficients(n: float, a: float, b: float, x: float, y: float, excess: float) -> tuple[float, float]:
    """The n-th numerator and denominator of Didonato's and Morris' fraction; the numerator before the first is 1."""
    if n == 0.0:
        return 1.0, a / (a + 1.0) * (excess + 1.0)
    m = a + (2.0 * n - 1.0)
    numerator = ((a + (n - 1.0)) / m) * ((a + b + (n - 1.0)) / m) * (n * (b - n)) * (x * x)
    return numerator, n + n * (b - n) * x / m + (a + n) / (m + 2.0) * (excess + 1.0 + n * (1.0 + y))


def fraction(a: float, b: float, x: float, y: float, excess: float) -> tuple[float, float]:
    """Numerators and denominators of the approximants, divided by each denominator; and how many there were."""
    _, first = coefficients(0.0, a, b, x, y, excess)
    upper, lower = [0.0, 1.0], [1.0, first]
    values = [0.0, 1.0 / first]
    n = 0.0
    while n < 20000.0 and abs(values[-1] - values[-2]) > 1e-16 * abs(values[-1]):
        n += 1.0
        alpha, beta = coefficients(n, a, b, x, y, excess)
        upper.append(alpha * upper[-2] + beta * upper[-1])
        lower.append(alpha * lower[-2] + beta * lower[-1])
        scale = 1.0 / lower[-1]
        values.append(upper[-1] * scale)
        upper[-2:], lower[-2:] = [upper[-2] * scale, values[-1]], [lower[-2] * scale, 1.0]
    return values[-1], n


def fraction_again(n: float, a: float, b: float, x: float, y: float, excess: float) -> float:
    rest = 0.0
    for k in range(int(n), 0, -1):
        numerator, denominator = coefficients(float(k), a, b, x, y, excess)
        rest = numerator / (denominator + rest)
    return 1.0 / (coefficients(0.0, a, b, x, y, excess)[1] + rest)


def beta_probability(a: float, b: float, x: float) -> float:
    if not (a > 0.0 and b > 0.0 and a + b < math.inf) or math.isnan(x):
        return math.nan
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    y = 1.0 - x
    logarithm = a * naive_log(x) + b * naive_log(y) + (log_gamma(a + b) - log_gamma(a) - log_gamma(b))
    excess = (a + b) * y - b if y < x else a - (a + b) * x
    if excess >= 0.0:
        return naive_exp(logarithm) * fraction(a, b, x, y, excess)[0]
    return 1.0 - naive_exp(logarithm) * fraction(b, a, y, x, -excess)[0]


def power(x: float, q: float, h: float) -> float:
    """x^h for x = 1/(1 + q): far out as many fourth roots as come nearest, and the rest."""
    quarters = 0 if q < 4.0 or h > 16.0 else math.ceil(4.0 * h - 0.5)
    value = 1.0
    for _ in range(quarters):
        value *= math.sqrt(math.sqrt(x))
    return value * naive_exp((0.25 * quarters - h) * log1p(q))


def series(h: float, y: float) -> float:
    """I_y(½, h)·B(½, h)/(2·y^½·x^h), the smallest terms first."""
    ratios: list[float] = []
    term = 1.0
    while len(ratios) < 20000 and term > 1e-16:
        ratios.append((h + 0.5 + len(ratios)) * y / (1.5 + len(ratios)))
        term *= ratios[-1]
    total = 1.0
    for ratio in reversed(ratios):
        total = 1.0 + total * ratio
    return total


def student(df: float, t: float, *, again: bool) -> tuple[bool, float, float]:
    """Whether the tail or the middle is given, its probability, and t times the density of |T|."""
    df, t = min(df, 1e20), min(t, 1e150)
    h = 0.5 * df
    q = t * (t / df)
    x, y = 1.0 / (1.0 + q), q / (1.0 + q)
    weight = 0.5641895835477563 * gamma_ratio(h) * math.sqrt(y) * power(x, q, h)
    if t <= 1.0:
        return False, 2.0 * weight * series(h, y), 2.0 * weight
    excess = 0.5 * (t - 1.0) * (t + 1.0) * x
    value, n = fraction(h, 0.5, x, y, excess)
    return True, weight * (fraction_again(2.0 * n, h, 0.5, x, y, excess) if again else value), 2.0 * weight


def rounding(a: float, b: float, product: float) -> float:
    return float(Fraction(a) * Fraction(b) - Fraction(product))


def remainder(a: float, b: float, ratio: float) -> float:
    return float(Fraction(a) - Fraction(ratio) * Fraction(b)) / b


def middle(df: float, constant: float, t: float) -> tuple[float, float]:
    """P(|T| ≤ t) for t ≤ 1 and t times the density: each rounding error is known exactly, and is given back."""
    h = 0.5 * df
    square = t * t
    q = square / df
    whole = 1.0 + q
    x, y = 1.0 / whole, q / whole
    root = math.sqrt(y)
    total = series(h, y)
    scaled = constant * root
    last = power(x, q, h)
    weight = scaled * last
    value = 2.0 * weight * total
    if not 1e-100 < q < 1e100 or t <= 1e-100:
        return value, 2.0 * weight
    of_q = remainder(square, df, q) + rounding(t, t, square) / df
    of_whole = float(1 + Fraction(q) - Fraction(whole)) + of_q
    of_y = of_q / q - of_whole / whole + remainder(q, whole, y) / y
    lost = of_y * (0.5 / (x * total) + h * q) - h * of_q / whole + 0.5 * remainder(y, root, root) / root
    lost += rounding(constant, root, scaled) / scaled + rounding(scaled, last, weight) / weight
    lost += rounding(2.0 * weight, total, value) / value
    return value + value * lost, 2.0 * weight


def student_between(df: float, low: float, high: float) -> float:
    def within(t: float) -> float:
        if math.isinf(t) or t == 0.0:
            return 0.0 if t == 0.0 else math.copysign(1.0, t)
        beyond, value, _ = student(df, abs(t), again=False)
        return math.copysign(1.0 - value if beyond else value, t)

    return within(high) if low == -high else 0.5 * (within(high) - within(low))


def student_quantile(df: float, level: float) -> float:
    if not (df > 0.0 and 0.0 < level < 1.0):
        return math.nan
    df = min(df, 1e20)
    constant = 0.5641895835477563 * gamma_ratio(0.5 * df)
    if level < 0.1:
        t = level * math.sqrt(df) / (2.0 * constant)
    elif df < 3.0:
        t = math.sqrt(df) * naive_exp(-naive_log((1.0 - level) * (0.5 * df) / constant) / df)
    else:
        z = naive_quantile(0.5 * (1.0 - level))
        t = math.sqrt(df * naive_expm1(z * z * (df - 1.5) / ((df - 1.0) * (df - 1.0))))
    if level < 1e-9:
        return t
    for _ in range(200):
        if t >= 1e150:
            return math.inf
        beyond = t > 1.0
        value, weight = student(df, t, again=True)[1:] if beyond else middle(df, constant, t)
        wanted = 1.0 - level if beyond else level
        off = value - wanted
        if abs(off) >= 1e-3 * wanted:
            off = value * naive_log(max(value, 1e-300) / wanted)
        step = (off if beyond else -off) / weight
        if abs(step) < 1e-9:
            return t + t * step
        t *= naive_exp(step)
    return t
