"""Branch-free exp, expm1, log, log1p, Lambert's W₀ and the normal quantile for inner loops: no call of libm.

A number is split as ``t = k·ln 2 + r`` with ``|r| ≤ ln 2/2`` (exp) or ``x = 2^k·m`` with ``√½ ≤ m < √2`` (log), and a
polynomial takes the rest. Its coefficients interpolate at Chebyshev nodes, computed with 40 digits. W₀ is one rational
function of the root that it has at −1/e, found in the same way with 60 digits: no iteration, which would divide by zero
there. Errors were measured against 40 digits and more on 30,000 drawn arguments (60,000 for W₀): below 1 unit in the
last place (ulp) for exp, 2.2 for expm1, 2 for log and 4.5 for W₀, which is 5e-16. The same bits come out on every
machine, which no two C libraries promise.
"""

from __future__ import annotations

import math

import numpy as np

from escala.kernels.jit import helper

LOG2_E = 1.4426950408889634
LN2_HI = 0.6931471803691238  # 32 bits of ln 2, so that k·LN2_HI is exact
LN2_LO = 1.9082149292705877e-10
# Adding 1.5·2^52 rounds to an integer and leaves it in the low bits.
ROUND = 6755399441055744.0
EXP_LOWEST, EXP_HIGHEST = -708.0, 709.78
SQRT_2 = 1.4142135623730951
MANTISSA = 0x000FFFFFFFFFFFFF
ONE = 0x3FF0000000000000

# (e^r − 1 − r)/r² on |r| ≤ ln 2/2, relative error of e^r − 1 below 4.1e-17
E2 = 0.5000000000000001
E3 = 0.16666666666666669
E4 = 0.04166666666662413
E5 = 0.008333333333330062
E6 = 0.0013888888917213717
E7 = 0.00019841269863053618
E8 = 2.4801521295954376e-05
E9 = 2.7557268459997064e-06
E10 = 2.7620088445409746e-07
E11 = 2.510038549551032e-08

# (2·artanh(s) − 2s)/s³ as a polynomial in s² on |s| ≤ (√2 − 1)/(√2 + 1), error below 4.7e-18 of 2s
L3 = 0.666666666666667
L5 = 0.39999999999899444
L7 = 0.2857142862600327
L9 = 0.22222211130259878
L11 = 0.18182889455674947
L13 = 0.15331710618210773
L15 = 0.14616585424888623

# for the starts of searches: (2^r − 1)/r on |r| ≤ ½ with six terms, and (2·artanh(s) − 2s)/s³ on 0 ≤ s ≤ 1/3 with four
R1 = 0.6931471880262288
R2 = 0.24022650760568137
R3 = 0.05550357114219118
R4 = 0.009618082557276217
R5 = 0.0013390863364648796
R6 = 0.0001545316294559266
A3 = 0.6666664033669925
A5 = 0.40007560644910756
A7 = 0.28236619805321583
A9 = 0.26851498022771403

E = 2.718281828459045
INVERSE_E = 0.36787944117144233  # z + INVERSE_E is exact near −1/e, so that z + 1/e is right to an ulp
INVERSE_E_LO = -1.2428753672788363e-17

# W₀(z)/z = e^−W₀(z) on −1/e ≤ z ≤ e as (e + WN1·r + … + WN8·r⁸)/(1 + WD1·r + … + WD9·r⁹), r = √(z + 1/e), relative
# error below 5.4e-17; all coefficients are positive, so that nothing cancels, and e itself makes W₀(−1/e) = −1
WN1 = 12.330508578167766
WN2 = 21.61018827246387
WN3 = 18.546818660088526
WN4 = 8.17268738519753
WN5 = 1.776602479367239
WN6 = 0.16698090410889566
WN7 = 0.004895781330959134
WN8 = 9.437489811163391e-06
WD1 = 6.86778458669314
WD2 = 19.43270286965483
WD3 = 29.29354448349162
WD4 = 25.42959748128593
WD5 = 12.85127159481418
WD6 = 3.652242242728469
WD7 = 0.5359773838281758
WD8 = 0.03421903611599541
WD9 = 0.0006363499168566141

# The normal quantile: z/x = N(s)/D(s) for |x| ≤ 0.85, s = 0.7225 − x², x = 2u − 1, and beyond it |z| = N(s)/D(s) for
# s = √(−log p) − 1.6, p the smaller tail; highest power first, at most 6 ulp in all, exactly odd
CENTRE_N8 = 0.029808102714720276
CENTRE_N7 = 2.2601566963390813
CENTRE_N6 = 26.153244653127906
CENTRE_N5 = 104.27254027557721
CENTRE_N4 = 186.89987404823748
CENTRE_N3 = 168.9646965663325
CENTRE_N2 = 79.6320267906957
CENTRE_N1 = 18.59456759632894
CENTRE_N0 = 1.6935664363981833
CENTRE_D8 = 0.14340918757944626
CENTRE_D7 = 4.415447845022331
CENTRE_D6 = 34.27168633694469
CENTRE_D5 = 106.68428276815251
CENTRE_D4 = 160.82024089026783
CENTRE_D3 = 127.7637240724386
CENTRE_D2 = 54.455243379012416
CENTRE_D1 = 11.730846723805138
CENTRE_D0 = 1.0
TAIL_N8 = 4.9093435036510185e-05
TAIL_N7 = 0.0022512042130832456
TAIL_N6 = 0.03705263732086067
TAIL_N5 = 0.30407809861857343
TAIL_N4 = 1.406758842150148
TAIL_N3 = 3.8013517827791987
TAIL_N2 = 5.853013315955577
TAIL_N1 = 4.6475413628809354
TAIL_N0 = 1.4234371107496844
TAIL_D8 = 1.5329815925756786e-11
TAIL_D7 = 3.4712113267604635e-05
TAIL_D6 = 0.0015365606904788657
TAIL_D5 = 0.023842489488636674
TAIL_D4 = 0.18015030369282165
TAIL_D3 = 0.7456572144525212
TAIL_D2 = 1.7205570780167485
TAIL_D1 = 2.0652775253364606
TAIL_D0 = 1.0
CENTRE, CENTRE_SQUARE, TAIL_SHIFT = 0.85, 0.7225, 1.6


@helper
def expm1(t: float) -> float:
    """Compute e^t − 1 for t ≤ 708; −1 below −708. NaN gives NaN."""
    bounded = EXP_LOWEST if t < EXP_LOWEST else t
    rounded = bounded * LOG2_E + ROUND
    k = rounded - ROUND
    r = (bounded - k * LN2_HI) - k * LN2_LO
    p = E6 + r * (E7 + r * (E8 + r * (E9 + r * (E10 + r * E11))))
    p = r + r * r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * p))))
    two_k = np.int64((np.float64(rounded).view(np.int64) << 52) + ONE).view(np.float64)
    return two_k * p + (two_k - 1.0)


@helper
def exp(t: float) -> float:
    """Compute e^t: 0 below −708 (it is less than 3.3e-308), e^709.78 above (so that 0·e^t is 0). NaN gives NaN."""
    bounded = EXP_LOWEST if t < EXP_LOWEST else t
    bounded = EXP_HIGHEST if bounded > EXP_HIGHEST else bounded
    rounded = bounded * LOG2_E + ROUND
    k = rounded - ROUND
    r = (bounded - k * LN2_HI) - k * LN2_LO
    p = E6 + r * (E7 + r * (E8 + r * (E9 + r * (E10 + r * E11))))
    p = r + r * r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * p))))
    # 2^(k − 1), doubled at the end: 2^1024 itself is no number
    half = np.int64((np.float64(rounded).view(np.int64) << 52) + (ONE - (1 << 52))).view(np.float64)
    value = (half * p + half) * 2.0
    return 0.0 if t < EXP_LOWEST else value


@helper
def exp_within(t: float) -> float:
    """Compute e^t as :func:`exp` does, to the bit, for t in [−708, 709.78] alone: nothing is compared."""
    rounded = t * LOG2_E + ROUND
    k = rounded - ROUND
    r = (t - k * LN2_HI) - k * LN2_LO
    p = E6 + r * (E7 + r * (E8 + r * (E9 + r * (E10 + r * E11))))
    p = r + r * r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * p))))
    half = np.int64((np.float64(rounded).view(np.int64) << 52) + (ONE - (1 << 52))).view(np.float64)
    return (half * p + half) * 2.0


@helper
def log(x: float) -> float:
    """Compute the natural logarithm of a positive normal number."""
    bits = np.float64(x).view(np.int64)
    k = (bits >> 52) - 1023
    m: float = np.int64((bits & MANTISSA) | ONE).view(np.float64)
    large = m > SQRT_2
    return _log_of(0.5 * m if large else m, 1.0 * (k + large))


@helper
def log_to_two(x: float) -> float:
    """Compute ln(x) as :func:`log` does, to the bit, for 1 ≤ x ≤ 2 alone: there is no exponent to take off."""
    large = x > SQRT_2
    return _log_of(0.5 * x if large else x, 1.0 if large else 0.0)


@helper
def _log_of(m: float, exponent: float) -> float:
    """Compute ln(m·2^exponent) for √½ ≤ m ≤ √2."""
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = L3 + z * (L5 + z * (L7 + z * (L9 + z * (L11 + z * (L13 + z * L15)))))
    return exponent * LN2_HI + (2.0 * s + (s * z * p + exponent * LN2_LO))


@helper
def log1p(x: float) -> float:
    """Compute ln(1 + x) for 0 ≤ x ≤ 1e300, small ones to full precision: what 1 + x loses is given back."""
    whole = 1.0 + x
    return log(whole) + (x - (whole - 1.0)) / whole


@helper
def rough_exps(t: float, u: float) -> tuple[float, float]:
    """Compute e^t and e^u for numbers ≤ 0 to 6e-9 of them, to begin a search with; 3.3e-308 below −708.

    Terms are paired and the two go in turn: while one waits for itself the other goes on.
    """
    scaled = (EXP_LOWEST if t < EXP_LOWEST else t) * LOG2_E
    other = (EXP_LOWEST if u < EXP_LOWEST else u) * LOG2_E
    rounded, turned = scaled + ROUND, other + ROUND
    r, s = scaled - (rounded - ROUND), other - (turned - ROUND)
    z, y = r * r, s * s
    p, q = R4 + r * R5, R4 + s * R5
    p, q = p + z * R6, q + y * R6
    p, q = (R2 + r * R3) + z * p, (R2 + s * R3) + y * q
    p, q = (1.0 + r * R1) + z * p, (1.0 + s * R1) + y * q
    two_k = np.int64((np.float64(rounded).view(np.int64) << 52) + ONE).view(np.float64)
    two_j = np.int64((np.float64(turned).view(np.int64) << 52) + ONE).view(np.float64)
    return p * two_k, q * two_j


@helper
def rough_log1ps(q: float, r: float) -> tuple[float, float]:
    """Compute ln(1 + q) and ln(1 + r) in [0, ln 2] with an error below 1.1e-8, to begin a search with; in turn."""
    s, t = q / (2.0 + q), r / (2.0 + r)
    z, y = s * s, t * t
    a, b = A7 + z * A9, A7 + y * A9
    a, b = (A3 + z * A5) + z * z * a, (A3 + y * A5) + y * y * b
    return 2.0 * s + s * z * a, 2.0 * t + t * y * b


@helper
def lambert_w0(z: float) -> float:
    """Compute W₀(z), the w ≥ −1 with w·e^w = z, for z in [−1/e, e]; −1 below and 1 above. NaN gives NaN.

    The error belongs to the z given. What z itself was rounded by, δ, moves W₀ by δ·e^−w/(1 + w), at −1/e by √(2e·δ):
    half an ulp there is 1.2e-8.
    """
    bounded = E if z > E else z
    x = (bounded + INVERSE_E) + INVERSE_E_LO
    x = 0.0 if x < 0.0 else x
    r = math.sqrt(x)
    even = E + x * (WN2 + x * (WN4 + x * (WN6 + x * WN8)))
    odd = WN1 + x * (WN3 + x * (WN5 + x * WN7))
    numerator = even + r * odd
    even = 1.0 + x * (WD2 + x * (WD4 + x * (WD6 + x * WD8)))
    odd = WD1 + x * (WD3 + x * (WD5 + x * (WD7 + x * WD9)))
    w = bounded * (numerator / (even + r * odd))
    w = -1.0 if w < -1.0 else w
    return 1.0 if z >= E else w


@helper
def normal_centre(u: float) -> float:
    """Compute the standard normal quantile of a u with |2u − 1| ≤ CENTRE; elsewhere the number means nothing."""
    x = 2.0 * u - 1.0
    s = CENTRE_SQUARE - x * x
    n = (((CENTRE_N8 * s + CENTRE_N7) * s + CENTRE_N6) * s + CENTRE_N5) * s + CENTRE_N4
    n = (((n * s + CENTRE_N3) * s + CENTRE_N2) * s + CENTRE_N1) * s + CENTRE_N0
    d = (((CENTRE_D8 * s + CENTRE_D7) * s + CENTRE_D6) * s + CENTRE_D5) * s + CENTRE_D4
    d = (((d * s + CENTRE_D3) * s + CENTRE_D2) * s + CENTRE_D1) * s + CENTRE_D0
    return x * (n / d)


@helper
def normal_tail(u: float) -> float:
    """Compute the standard normal quantile of a u with |2u − 1| > CENTRE; elsewhere the number means nothing."""
    other = 1.0 - u
    low = u < other
    s = math.sqrt(-log(u if low else other)) - TAIL_SHIFT
    n = (((TAIL_N8 * s + TAIL_N7) * s + TAIL_N6) * s + TAIL_N5) * s + TAIL_N4
    n = (((n * s + TAIL_N3) * s + TAIL_N2) * s + TAIL_N1) * s + TAIL_N0
    d = (((TAIL_D8 * s + TAIL_D7) * s + TAIL_D6) * s + TAIL_D5) * s + TAIL_D4
    d = (((d * s + TAIL_D3) * s + TAIL_D2) * s + TAIL_D1) * s + TAIL_D0
    z = n / d
    return -z if low else z


@helper
def normal_quantile(u: float) -> float:
    """Compute the standard normal quantile of u in (0, 1): exactly odd about one half."""
    return normal_centre(u) if abs(2.0 * u - 1.0) <= CENTRE else normal_tail(u)
