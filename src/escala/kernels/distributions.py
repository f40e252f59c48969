"""Student's and the beta distribution: probabilities and quantiles of our own, with the same bits on every machine.

Both are incomplete beta functions. I_x(a, b) is a power of x and 1 − x times a continued fraction that converges on
the side of its mean a/(a + b); what lies on the other side is 1 − I_{1−x}(b, a). Quantiles evaluate it once more,
backwards, where errors die out. Γ(h + ½)/Γ(h), which is all that Student's distribution needs of the gamma function, is
a series in even powers of h − ¼.

Errors of quantiles were measured against 40 digits, on 1,300 drawn arguments with 1 to 1e6 degrees of freedom and
levels of 0.5 to 0.999999: at most 4.0 units in the last place. Probabilities between two numbers of standard errors
are right to 2e-14.

References
----------
DiDonato, A. R. and Morris, A. H. (1992), Algorithm 708: significant digit computation of the incomplete beta function
ratios, ACM Transactions on Mathematical Software 18, 360–373 (the fraction). Gaver, D. P. and Kafadar, K. (1984), A
retrievable recipe for inverse t, The American Statistician 38, 308–311 (where the search begins).
"""

from __future__ import annotations

import math

from escala.kernels.jit import Floats, floats_in, floats_out, helper, integer, kernel, number, routine
from escala.kernels.special import exp, expm1, log, log1p, normal_quantile

INVERSE_ROOT_PI = 0.5641895835477563
HALF_LOG_2_PI = 0.9189385332046728
#: From here on the series of Γ(h + ½)/Γ(h) and of ln Γ(h) are exact to rounding; below they are brought here.
LARGE = 8.0
# Γ(z + ¾)/(Γ(z + ¼)·√z) as a series in z⁻²
R1 = 0.015625
R2 = -0.0023193359375
R3 = 0.0012035369873046875
R4 = -0.001298762857913971
R5 = 0.0023855575127527118
R6 = -0.006670963462056534
R7 = 0.026412154660064857
R8 = -0.14065807079546203
R9 = 0.9698228757253365
# ln Γ(z) − (z − ½)·ln z + z − ½·ln 2π as a series in z⁻², over z
S0 = 0.08333333333333333
S1 = -0.002777777777777778
S2 = 0.0007936507936507937
S3 = -0.0005952380952380953
S4 = 0.0008417508417508417
S5 = -0.0019175269175269176
S6 = 0.00641025641025641
S7 = -0.029550653594771242
#: Numbers are cut in halves by it.
SPLIT = 134217729.0
#: What rounding lost is given back of numbers between one over this and it.
WIDE = 1e100
#: Terms of a fraction at most, and where it ends.
MOST_TERMS, PRECISION = 20000.0, 1.0e-16
#: Beyond this many standard errors nothing is told from infinity.
FARTHEST = 1e150
#: With more degrees of freedom than this it is the normal distribution.
MOST_DF = 1e20
#: Below this level the density changes no more.
STRAIGHT = 1e-9
#: Powers of numbers below 1/(1 + FAR) are made of fourth roots, if they are not too high.
FAR, MOST_ROOTS = 4.0, 16.0
#: Steps of a search at most; one below this share of the quantile is the last.
MOST_STEPS, LAST_STEP = 200, 1e-9
#: Values closer to the one that is sought than this share are compared by their difference, others by their logarithms.
CLOSE = 1e-3


@helper
def _rounding(a: float, b: float, product: float) -> float:
    """Compute what the product of two numbers lost to rounding, from their halves."""
    a_high, b_high = SPLIT * a - (SPLIT * a - a), SPLIT * b - (SPLIT * b - b)
    a_low, b_low = a - a_high, b - b_high
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@helper
def _lost(a: float, b: float, ratio: float) -> float:
    """Compute what a/b lost to rounding."""
    product = ratio * b
    return ((a - product) - _rounding(ratio, b, product)) / b


@routine
def gamma_ratio(h: float) -> float:
    """Compute Γ(h + ½)/Γ(h) of a positive h: what the products on the way to LARGE lose is given back."""
    over = under = 1.0
    lost = k = 0.0
    while h + k < LARGE:
        step, half = h + k, h + (k + 0.5)
        next_over, next_under = over * step, under * half
        lost += (_rounding(over, step, next_over) + over * (h - (step - k))) / next_over
        lost -= (_rounding(under, half, next_under) + under * (h - (half - (k + 0.5)))) / next_under
        over, under = next_over, next_under
        k += 1.0
    z = (h + k) - 0.25
    s = 1.0 / (z * z)
    p = R1 + s * (R2 + s * (R3 + s * (R4 + s * (R5 + s * (R6 + s * (R7 + s * (R8 + s * R9)))))))
    root = math.sqrt(z)
    return over / under * (root + root * (s * p + lost))


@routine
def log_gamma(z: float) -> float:
    """Compute ln Γ(z) of a positive z; its error is one of ln Γ(z + 8)."""
    product = 1.0
    while z < LARGE:
        product *= z
        z += 1.0
    s = 1.0 / (z * z)
    p = S0 + s * (S1 + s * (S2 + s * (S3 + s * (S4 + s * (S5 + s * (S6 + s * S7))))))
    return ((z - 0.5) * log(z) - z + HALF_LOG_2_PI + p / z) - log(product)


@helper
def _numerator(n: float, a: float, b: float, x: float) -> float:
    """Give the n-th numerator of the fraction."""
    m = a + (2.0 * n - 1.0)
    return ((a + (n - 1.0)) / m) * ((a + b + (n - 1.0)) / m) * (n * (b - n)) * (x * x)


@helper
def _denominator(n: float, a: float, b: float, x: float, y: float, excess: float) -> float:
    """Give the n-th denominator of the fraction."""
    m = a + (2.0 * n - 1.0)
    return n + n * (b - n) * x / m + (a + n) / (m + 2.0) * (excess + 1.0 + n * (1.0 + y))


@routine
def fraction(a: float, b: float, x: float, y: float, excess: float) -> tuple[float, float]:
    """Compute I_x(a, b)·B(a, b)/(x^a·y^b) for y = 1 − x and x at most about a/(a + b), and count its terms.

    `excess` is a·y − b·x, where digits cancel. Forwards: numerators and denominators, brought back to 1 at each step.
    """
    over, last_over = 1.0, 0.0
    under, last_under = a / (a + 1.0) * (excess + 1.0), 1.0
    value, last = 1.0 / under, 0.0
    n = 0.0
    while n < MOST_TERMS and abs(value - last) > PRECISION * abs(value):
        n += 1.0
        alpha, beta = _numerator(n, a, b, x), _denominator(n, a, b, x, y, excess)
        over, last_over = alpha * last_over + beta * over, over
        under, last_under = alpha * last_under + beta * under, under
        scale = 1.0 / under
        last, value = value, over * scale
        over, last_over, under, last_under = value, last_over * scale, 1.0, last_under * scale
    return value, n


@routine
def fraction_again(n: float, a: float, b: float, x: float, y: float, excess: float) -> float:
    """Compute n terms of the fraction backwards, where errors die out."""
    rest = 0.0
    while n > 0.0:
        rest = _numerator(n, a, b, x) / (_denominator(n, a, b, x, y, excess) + rest)
        n -= 1.0
    return 1.0 / (a / (a + 1.0) * (excess + 1.0) + rest)


@routine
def beta_probability(a: float, b: float, x: float) -> float:
    """Compute I_x(a, b), the probability that a variable of a beta distribution is at most x; a and b are positive.

    Its relative error is some (a + b)·2⁻⁴⁵.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    y = 1.0 - x
    power = exp(a * log(x) + b * log(y) + (log_gamma(a + b) - log_gamma(a) - log_gamma(b)))
    excess = (a + b) * y - b if y < x else a - (a + b) * x
    if excess >= 0.0:
        value, _ = fraction(a, b, x, y, excess)
        return power * value
    value, _ = fraction(b, a, y, x, -excess)
    return 1.0 - power * value


@routine
def student_constant(df: float) -> float:
    """Compute 1/B(½, df/2), which all of a Student's distribution needs."""
    return INVERSE_ROOT_PI * gamma_ratio(0.5 * min(df, MOST_DF))


@routine
def _series(h: float, y: float) -> float:
    """Compute I_y(½, h)·B(½, h)/(2·y^½·x^h) as a sum of positive terms: counted forwards, added up backwards."""
    n, term = 0.0, 1.0
    while n < MOST_TERMS and term > PRECISION:
        term *= (h + 0.5 + n) * y / (1.5 + n)
        n += 1.0
    total = 1.0
    while n > 0.0:
        n -= 1.0
        total = 1.0 + total * ((h + 0.5 + n) * y / (1.5 + n))
    return total


@routine
def _power(x: float, q: float, h: float) -> float:
    """Compute x^h for x = 1/(1 + q).

    Far out, where the logarithm is large and so is its error, fourth roots are multiplied as far as they go.
    """
    if q < FAR or h > MOST_ROOTS:
        return exp(-h * log1p(q))
    root = math.sqrt(math.sqrt(x))
    power = 1.0
    quarters = 0.0
    while quarters + 0.5 < 4.0 * h:
        power *= root
        quarters += 1.0
    return power * exp((0.25 * quarters - h) * log1p(q))


@routine
def _student(df: float, constant: float, t: float, again: bool) -> tuple[bool, float, float]:
    """Give P(|T| > t), or P(|T| ≤ t) where t is at most 1: whether it is the first, and t times the density of |T|."""
    df = min(df, MOST_DF)
    t = min(t, FARTHEST)
    h = 0.5 * df
    q = t * (t / df)
    x, y = 1.0 / (1.0 + q), q / (1.0 + q)
    weight = constant * math.sqrt(y) * _power(x, q, h)
    if t <= 1.0:
        return False, 2.0 * weight * _series(h, y), 2.0 * weight
    excess = 0.5 * (t - 1.0) * (t + 1.0) * x
    value, n = fraction(h, 0.5, x, y, excess)
    if again:  # with terms that no longer tell two approximants from each other, but all together count
        value = fraction_again(2.0 * n, h, 0.5, x, y, excess)
    return True, weight * value, 2.0 * weight


@routine
def _middle(df: float, constant: float, t: float) -> tuple[float, float]:
    """Give P(|T| ≤ t) for t at most 1 and t times the density, as :func:`_student` does but for what rounding took.

    What products, quotients and the root lost is given back, to first order: dln I/dln y = 1/(2·x·S) where S is the
    series, and x^h was made of another q than y is.
    """
    h = 0.5 * df
    square = t * t
    q = square / df
    whole = 1.0 + q
    x, y = 1.0 / whole, q / whole
    root, series = math.sqrt(y), _series(h, y)
    scaled = constant * root
    power = _power(x, q, h)
    weight = scaled * power
    value = 2.0 * weight * series
    if not (1.0 / WIDE < q < WIDE and t > 1.0 / WIDE):  # there halves of numbers are none
        return value, 2.0 * weight
    of_q = _lost(square, df, q) + _rounding(t, t, square) / df
    of_whole = (q - (whole - 1.0) if q < 1.0 else 1.0 - (whole - q)) + of_q
    of_y = of_q / q - of_whole / whole + _lost(q, whole, y) / y
    lost = of_y * (0.5 / (x * series) + h * q) - h * of_q / whole + 0.5 * _lost(y, root, root) / root
    lost += _rounding(constant, root, scaled) / scaled + _rounding(scaled, power, weight) / weight
    lost += _rounding(2.0 * weight, series, value) / value
    return value + value * lost, 2.0 * weight


@routine
def student_within(df: float, constant: float, t: float) -> float:
    """Compute P(|T| ≤ |t|) with the sign of t, for df > 0 degrees of freedom and their constant."""
    size = abs(t)
    if size == math.inf:
        return 1.0 if t > 0.0 else -1.0
    if size == 0.0:
        return 0.0
    beyond, value, _ = _student(df, constant, size, False)
    value = 1.0 - value if beyond else value
    return value if t > 0.0 else -value


@routine
def student_between(df: float, constant: float, low: float, high: float) -> float:
    """Compute P(low < T ≤ high)."""
    above = student_within(df, constant, high)
    return above if low == -high else 0.5 * (above - student_within(df, constant, low))


@routine
def _begin(df: float, constant: float, level: float) -> float:
    """Give a t near which P(|T| ≤ t) is the level."""
    if level < 0.1:
        return level * math.sqrt(df) / (2.0 * constant)
    if df < 3.0:
        tail = (1.0 - level) * (0.5 * df) / constant
        return math.sqrt(df) * exp(-log(tail) / df)
    z = normal_quantile(0.5 * (1.0 - level))
    return math.sqrt(df * expm1(z * z * (df - 1.5) / ((df - 1.0) * (df - 1.0))))


@routine
def student_quantile(df: float, level: float) -> float:
    """Compute the t with P(|T| ≤ t) = level, in (0, 1), for df > 0; inf beyond 1e150, NaN outside of these.

    Newton's method on logarithms: they are concave in one another, so that it converges from everywhere.
    """
    if not (df > 0.0 and 0.0 < level < 1.0):
        return math.nan
    df = min(df, MOST_DF)
    constant = student_constant(df)
    t = _begin(df, constant, level)
    if level < STRAIGHT:
        return t
    for _ in range(MOST_STEPS):
        if not t < FARTHEST:
            return math.inf
        beyond = t > 1.0
        if beyond:
            _, value, weight = _student(df, constant, t, True)
        else:
            value, weight = _middle(df, constant, t)
        wanted = 1.0 - level if beyond else level
        off = value - wanted if abs(value - wanted) < CLOSE * wanted else value * log(max(value, 1e-300) / wanted)
        step = (off if beyond else -off) / weight
        if abs(step) < LAST_STEP:
            return t + t * step
        t *= exp(step)
    return t


@kernel(floats_in, number, floats_out, integer, integer)
def quantiles(df: Floats, level: float, out: Floats, start: int, stop: int) -> None:
    """Compute the t with P(|T| ≤ t) = level of Student's distributions; NaN without degrees of freedom.

    Parameters
    ----------
    df : (n,) float64
    level : float
    out : (n,) float64
        Output.
    """
    df, out = df[start:stop], out[start:stop]
    for i in range(stop - start):
        # neighbours often have as many points: of them the last is known
        out[i] = out[i - 1] if i > 0 and df[i] == df[i - 1] else student_quantile(df[i], level)


@kernel(floats_in, floats_in, floats_in, floats_out, integer, integer)
def beta_probabilities(a: Floats, b: Floats, x: Floats, out: Floats, start: int, stop: int) -> None:
    """Compute I_x(a, b) of beta distributions; NaN where a or b is not positive and finite, or x is NaN.

    Parameters
    ----------
    a, b, x : (n,) float64
    out : (n,) float64
        Output.
    """
    for i in range(start, stop):
        sound = a[i] > 0.0 and b[i] > 0.0 and a[i] + b[i] < math.inf and x[i] == x[i]
        out[i] = beta_probability(a[i], b[i], x[i]) if sound else math.nan
