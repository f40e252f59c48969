"""Peers: straightforward programs of the same definitions, measured beside escala in the same run."""

from __future__ import annotations

import math

import numba
import numpy as np
from lmfit import Model
from scipy.optimize import curve_fit


@numba.njit(nogil=True, error_model="numpy")
def scalar_lending(supply, borrow, target, wallet, strategies, values, counts):
    """The lending loop as one would write it: one scenario after the other, the ladder walked attempt by attempt.

    `strategies` holds the 34 fields in their documented order: (34, 1) for all scenarios or (34, n), one for each.
    """
    for i in range(supply.size):
        c = i if strategies.shape[1] > 1 else 0
        p = strategies[:, c]
        mp = p[0]
        repay = p[1]
        repay_stalling = p[2]
        repay_stalled = p[3]
        repay_floor = p[4]
        repay_step = p[5]
        target_ltv = p[6]
        target_ltv_stalled = p[7]
        ltv_floor = p[8]
        ltv_ceiling = p[9]
        ltv_step = p[10]
        ltv_nudge = p[11]
        draw_fraction = p[12]
        wallet_fraction = p[13]
        fee_rate = p[14]
        lt = p[15]
        mh = p[16]
        far = p[18]
        mid = p[19]
        near = p[20]
        far_gap = p[21]
        near_gap = p[22]
        f_stalling = p[23]
        f_stalled = p[24]
        decay = p[25]
        snap = p[26]
        stalling_after = p[27]
        stalled_after = p[28]
        tolerance = p[29]
        max_rescale = p[30]
        max_fallback = p[31]
        max_stagnant = p[32]
        max_operations = p[33]
        S, B, W, E, goal = supply[i], borrow[i], wallet[i], 0.0, target[i]
        k = 0
        executed = skipped = stagnant = attempts = attempts_max = fallbacks = 0
        profit_sum = fees = repaid = drawn = 0.0
        low_profit = low_health = math.inf
        previous = S
        stop = 0
        while S < goal:
            if k >= max_stagnant:
                stop = 1
                break
            if executed + skipped >= max_operations:
                stop = 2
                break
            if E > 0.0:
                u = min(E, goal - S)
                S += u
                E -= u
            if S < goal and W > 0.0:
                u = min(min(wallet_fraction * S, goal - S), W)
                S += u
                W -= u
            gap = goal - S
            if k > stalled_after:
                rho, m, f = repay_stalled, target_ltv_stalled, f_stalled
            elif k > stalling_after:
                rho, m, f = repay_stalling, target_ltv, f_stalling
            else:
                rho, m = repay, target_ltv
                f = far if gap > S * far_gap else mid if gap > S * near_gap else near
            q = 1.0
            stands = False
            a = 0
            need = N = V = R = F = 0.0
            while a < max_rescale:
                a += 1
                R = B * rho
                F = R * fee_rate
                cap = min(S * m - B, S * lt / mh - B)
                gross = cap - R - F
                v = gross * f * q if gross > 0.0 else 0.0
                need = mp + v + R + F
                if need <= cap:
                    N = max(need, draw_fraction * cap)
                    g = N - R - F
                    V = g * f * q if g > 0.0 else 0.0
                    if N - V - R - F > mp:
                        stands = True
                        break
                if v > 0.0:
                    q = 0.0 if v < snap else q * decay
                elif m > ltv_floor:
                    m = max(ltv_floor, m - ltv_step)
                elif rho > repay_floor:
                    rho = max(repay_floor, rho - repay_step)
                else:
                    m = min(ltv_ceiling, max(m, (B + need) / S + ltv_nudge))
            attempts += a
            attempts_max = max(attempts_max, a)
            done = False
            profit = debt = health = 0.0
            if stands:
                N0 = N
                j = 0
                while True:
                    profit = N - V - R - F
                    debt = B - R + N
                    health = (S + V) * lt / debt if debt != 0.0 else math.inf
                    done = profit > mp and health > mh
                    if done or j >= max_fallback:
                        break
                    j += 1
                    fallbacks += 1
                    N = need + (N0 - need) * (1.0 - j / max_fallback)
                    g = N - R - F
                    V = g * f * q if g > 0.0 else 0.0
            if done:
                B = debt
                S += V
                E += profit
                executed += 1
                profit_sum += profit
                fees += F
                repaid += R
                drawn += N
                low_profit = min(low_profit, profit)
                low_health = min(low_health, health)
            else:
                skipped += 1
            if S - previous < tolerance:
                k += 1
                stagnant += 1
            else:
                k = 0
            previous = S
        for row, value in enumerate((S, B, E, W, profit_sum, fees, repaid, drawn, low_profit, low_health)):
            values[row, i] = value
        for row, count in enumerate((executed, skipped, stagnant, attempts, attempts_max, fallbacks, stop)):
            counts[row, i] = count


def scalar_lending_run(supply, borrow, target, wallet, strategies):
    """Allocate the outputs and run :func:`scalar_lending`."""
    values = np.empty((10, supply.size))
    counts = np.empty((7, supply.size), dtype=np.int64)
    scalar_lending(supply, borrow, target, wallet, strategies, values, counts)
    return values, counts


def _decay(x, a, b, c):
    return a * np.exp(-b * x) + c


def scipy_exponentials(capital, efficiency, start):
    """Fit one instrument after the other with scipy's Levenberg-Marquardt; gives (n, 3) coefficients."""
    out = np.empty((len(capital), 3))
    for i in range(len(capital)):
        try:
            out[i], _ = curve_fit(_decay, capital[i], efficiency[i], p0=start[i])
        except RuntimeError:  # it gives up after 800 evaluations
            out[i] = np.nan
    return out


def lmfit_exponentials(capital, efficiency, start):
    """Fit one instrument after the other with lmfit's Model."""
    model = Model(_decay)
    return [
        model.fit(efficiency[i], x=capital[i], a=start[i, 0], b=start[i, 1], c=start[i, 2]) for i in range(len(capital))
    ]


def numpy_quadratics(capital, efficiency, covariance):
    """Fit one instrument after the other with numpy.polyfit; gives (n, 3) coefficients."""
    out = np.empty((len(capital), 3))
    for i in range(len(capital)):
        fitted = np.polyfit(capital[i], efficiency[i], 2, cov=covariance)
        out[i] = fitted[0] if covariance else fitted
    return out
