"""Branch-free exp, expm1 and log for the inner loops: nothing here calls the C library, so loops around it vectorise.

A number is split as ``t = k·ln 2 + r`` with ``|r| ≤ ln 2/2`` (exp) or ``x = 2^k·m`` with ``√½ ≤ m < √2`` (log), and a
polynomial takes the rest. Its coefficients interpolate at Chebyshev nodes, computed with 40 digits. Errors were
measured against 40 digits on 30,000 drawn arguments: below 1 unit in the last place (ulp) for exp, 2.2 for expm1 and 2
for log. The same bits come out on every machine, which no two C libraries promise.
"""

from __future__ import annotations

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
def log(x: float) -> float:
    """Compute the natural logarithm of a positive normal number."""
    bits = np.float64(x).view(np.int64)
    k = (bits >> 52) - 1023
    m: float = np.int64((bits & MANTISSA) | ONE).view(np.float64)
    large = m > SQRT_2
    m = 0.5 * m if large else m
    exponent = 1.0 * (k + large)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = L3 + z * (L5 + z * (L7 + z * (L9 + z * (L11 + z * (L13 + z * L15)))))
    return exponent * LN2_HI + (2.0 * s + (s * z * p + exponent * LN2_LO))
