"""Peers: straightforward programs of the same definitions, measured beside escala in the same run."""

from __future__ import annotations

import math
import warnings

import clarabel
import cvxpy as cp
import numba
import numpy as np
from cvxpy.reductions.solvers.conic_solvers.clarabel_conif import dims_to_solver_cones
from lmfit import Model
from scipy.optimize import curve_fit, least_squares, minimize, nnls
from scipy.optimize.elementwise import find_root
from scipy.special import lambertw

from escala import tables
from escala.kernels import layout

#: Rows of the strategies that the peer of the lending loop is given, and of what it gives.
field = layout.of(tables.LENDING_STRATEGY)
value = layout.rows(
    "supply", "borrow", "buffer", "wallet", "profit", "fees", "repaid", "drawn", "lowest_profit", "lowest_health"
)
count = layout.rows("executed", "skipped", "stagnant", "attempts", "attempts_max", "fallbacks", "stop")


@numba.njit(nogil=True, error_model="numpy")
def scalar_lending(supply, borrow, target, wallet, strategies, values, counts):
    """The lending loop as one would write it: one scenario after the other, the ladder walked attempt by attempt.

    `strategies` holds the fields in their documented order: one column for all scenarios, or one for each.
    """
    for i in range(supply.size):
        c = i if strategies.shape[1] > 1 else 0
        p = strategies[:, c]
        mp = p[field.MIN_PROFIT]
        repay = p[field.REPAY]
        repay_stalling = p[field.REPAY_STALLING]
        repay_stalled = p[field.REPAY_STALLED]
        repay_floor = p[field.REPAY_FLOOR]
        repay_step = p[field.REPAY_STEP]
        target_ltv = p[field.TARGET_LTV]
        target_ltv_stalled = p[field.TARGET_LTV_STALLED]
        ltv_floor = p[field.LTV_FLOOR]
        ltv_ceiling = p[field.LTV_CEILING]
        ltv_step = p[field.LTV_STEP]
        ltv_nudge = p[field.LTV_NUDGE]
        draw_fraction = p[field.DRAW_FRACTION]
        wallet_fraction = p[field.WALLET_FRACTION]
        fee_rate = p[field.FEE_RATE]
        lt = p[field.LIQUIDATION_THRESHOLD]
        mh = p[field.MIN_HEALTH_FACTOR]
        far = p[field.REINVEST_FAR]
        mid = p[field.REINVEST_MID]
        near = p[field.REINVEST_NEAR]
        far_gap = p[field.FAR_GAP]
        near_gap = p[field.NEAR_GAP]
        f_stalling = p[field.REINVEST_STALLING]
        f_stalled = p[field.REINVEST_STALLED]
        decay = p[field.REINVEST_DECAY]
        snap = p[field.REINVEST_SNAP]
        stalling_after = p[field.STALLING_AFTER]
        stalled_after = p[field.STALLED_AFTER]
        tolerance = p[field.STAGNATION_TOLERANCE]
        max_rescale = p[field.MAX_RESCALE_ATTEMPTS]
        max_fallback = p[field.MAX_FALLBACK_ATTEMPTS]
        max_stagnant = p[field.MAX_STAGNANT_OPERATIONS]
        max_operations = p[field.MAX_OPERATIONS]
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
        for row, number in enumerate((S, B, E, W, profit_sum, fees, repaid, drawn, low_profit, low_health)):
            values[row, i] = number
        for row, number in enumerate((executed, skipped, stagnant, attempts, attempts_max, fallbacks, stop)):
            counts[row, i] = number


def scalar_lending_run(supply, borrow, target, wallet, strategies):
    """Allocate the outputs and run :func:`scalar_lending`."""
    values = np.empty((value.END, supply.size))
    counts = np.empty((count.END, supply.size), dtype=np.int64)
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


def _depth(x, a, log_d, log_h):
    h = np.exp(log_h)
    log_x = np.log(x) - log_d
    return a * np.exp(-np.logaddexp(0.0, h * log_x) / h)


def scipy_depths(capital, efficiency, start):
    """Fit a, ln D and ln h of one instrument after the other with scipy's Levenberg-Marquardt."""
    out = np.full((len(capital), 3), np.nan)
    with warnings.catch_warnings():  # where it wanders off to an h that overflows
        warnings.simplefilter("ignore")
        for i in range(len(capital)):
            try:
                out[i], _ = curve_fit(_depth, capital[i], efficiency[i], p0=start[i])
            except RuntimeError:  # it gives up after 800 evaluations
                continue
    return out


def scipy_depths_from_three(capital, efficiency, start):
    """Fit them within their bounds with scipy's trust region, from three starts; gives the best of each."""
    out = np.empty((len(capital), 3))
    low, high = np.array([0.0, -50.0, np.log(0.05)]), np.array([1.0, 50.0, np.log(200.0)])
    for i, (x, y) in enumerate(zip(capital, efficiency, strict=True)):
        starts = [start[i] + np.array([0.0, shift, shift]) for shift in (-1.0, 0.0, 1.0)]
        found = [
            least_squares(
                lambda p, x=x, y=y: _depth(x, *p) - y, np.clip(one, low + 1e-9, high - 1e-9), bounds=(low, high)
            )
            for one in starts
        ]
        out[i] = min(found, key=lambda result: result.cost).x
    return out


def scipy_ladder(capital: np.ndarray, efficiency: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Non-negative least squares over the dense design of a ladder: β of each knot, then of the level."""
    ones = np.ones((capital.size, 1))
    design = np.concatenate([np.minimum(capital[:, None], knots) / capital[:, None], ones], axis=1)
    return np.asarray(nnls(design, efficiency)[0])


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


class ConicAllocation:
    """Linear and sqrt instruments, concave (a < 0), as cvxpy states them: compiled once, the budget a parameter."""

    def __init__(self, family, params, limit):
        self.amounts = cp.Variable(len(family))
        self.budget = cp.Parameter(nonneg=True)
        a, b = params[:, 0], params[:, 1]
        linear, root = np.flatnonzero(family == 0), np.flatnonzero(family == 3)
        # power cones: faster here than the second-order cones of approx=True
        bends = a[linear] @ cp.square(self.amounts[linear]) + a[root] @ cp.power(self.amounts[root], 1.5, approx=False)
        within = [self.amounts >= 0, self.amounts <= limit, cp.sum(self.amounts) <= self.budget]
        self.problem = cp.Problem(cp.Maximize(b @ self.amounts + bends), within)
        assert self.problem.is_dcp(dpp=True)
        cones, zero = self._cones(0.0)
        self._zero, self._slope = zero, self._cones(1.0)[1] - zero
        start = cones["param_prob"].var_id_to_col[self.amounts.id]
        self._place = slice(start, start + len(family))
        settings = clarabel.DefaultSettings()
        settings.verbose, settings.max_threads = False, 1
        settings.presolve_enable = False  # or no update is allowed
        self._solver = clarabel.DefaultSolver(
            cones["P"], cones["c"], cones["A"], zero + self._slope, dims_to_solver_cones(cones["dims"]), settings
        )

    def _cones(self, budget):
        self.budget.value = budget
        data, _, _ = self.problem.get_problem_data(cp.CLARABEL)
        return data, data["b"]

    def through_cvxpy(self, totals):
        """Solve for one total after the other; gives (totals, n) amounts."""
        out = np.empty((len(totals), self.amounts.size))
        for i, total in enumerate(totals):
            self.budget.value = total
            self.problem.solve(solver=cp.CLARABEL, max_threads=1)
            out[i] = self.amounts.value
        return out

    def through_clarabel(self, totals):
        """Solve with Clarabel itself: its cones stay in place, only the right-hand side is new."""
        out = np.empty((len(totals), self.amounts.size))
        for i, total in enumerate(totals):
            self._solver.update(b=self._zero + self._slope * total)
            out[i] = self._solver.solve().x[self._place]
        return out


class ConicHolding:
    """The same with what is held, rates of trading and limits of groups, compiled once; the budget is a parameter."""

    def __init__(self, family, params, limit, *, current, buy, sell, groups, upper, lower=None):
        self.amounts, up, down = (cp.Variable(len(family), nonneg=True) for _ in range(3))
        self.budget = cp.Parameter(nonneg=True)
        a, b = params[:, 0], params[:, 1]
        linear, root = np.flatnonzero(family == 0), np.flatnonzero(family == 3)
        bends = a[linear] @ cp.square(self.amounts[linear]) + a[root] @ cp.power(self.amounts[root], 1.5, approx=False)
        within = [self.amounts <= limit, cp.sum(self.amounts) <= self.budget, self.amounts == current + up - down]
        within += [cp.sum(self.amounts[members]) <= most for members, most in zip(groups, upper, strict=True)]
        if lower is not None:
            within += [cp.sum(self.amounts[members]) >= least for members, least in zip(groups, lower, strict=True)]
        self.problem = cp.Problem(cp.Maximize(b @ self.amounts + bends - buy @ up - sell @ down), within)

    def solve(self, totals, **settings):
        """Solve for one total after the other; gives (totals, n) amounts."""
        out = np.empty((len(totals), self.amounts.size))
        for i, total in enumerate(totals):
            self.budget.value = total
            self.problem.solve(solver=cp.CLARABEL, max_threads=1, **settings)
            out[i] = self.amounts.value
        return out


class ConicPeriods:
    """The same over T periods: what arrives is a parameter, what is left in a period is there in the next."""

    def __init__(self, family, params, limit, *, carry, period_upper=None, symbol_upper=None):
        periods, n = family.shape
        self.amounts, self.left = cp.Variable((periods, n), nonneg=True), cp.Variable(periods, nonneg=True)
        self.arrived = cp.Parameter(periods, nonneg=True)
        a, b = params[..., 0], params[..., 1]
        flat, family = cp.vec(self.amounts, order="C"), family.reshape(-1)
        linear, root = np.flatnonzero(family == 0), np.flatnonzero(family == 3)
        bends = a.reshape(-1)[linear] @ cp.square(flat[linear])
        bends += a.reshape(-1)[root] @ cp.power(flat[root], 1.5, approx=False)
        spent = cp.sum(self.amounts, axis=1)
        within = [self.amounts <= limit, spent[0] + self.left[0] == self.arrived[0]]
        if periods > 1:
            within.append(spent[1:] + self.left[1:] == self.arrived[1:] + cp.multiply(carry, self.left[:-1]))
        if period_upper is not None:
            within.append(spent <= period_upper)
        if symbol_upper is not None:
            within.append(cp.sum(self.amounts, axis=0) <= symbol_upper)
        self.problem = cp.Problem(cp.Maximize(b.reshape(-1) @ flat + bends), within)

    def solve(self, arrived, **settings):
        """Solve for what arrives; gives (T, n) amounts."""
        self.arrived.value = arrived
        self.problem.solve(solver=cp.CLARABEL, max_threads=1, **settings)
        return self.amounts.value


class Instruments:
    """Utilities of all families in NumPy, and what one would write with SciPy to allocate capital over them.

    `params` is (n, 3), or (draws, n, 3) for as many problems over the same families and limits. Efficiencies must lie
    in [0, 1] from 0 to `limit`; `concave` promises that utilities are concave there.
    """

    def __init__(self, family, params, limit, *, concave):
        self.limit, self.concave = limit, concave
        self.params = params.reshape(-1, len(family), 3)
        self.places = [np.flatnonzero(family == code) for code in range(4)]
        a, b, c = np.moveaxis(self.params, -1, 0)
        linear, quadratic, decay, root = (family == code for code in range(4))
        # η = p·C² + q·C + r + s·√C + e·exp(−k·C) for all of them: no selection when evaluated
        self.p, self.s = a * quadratic, a * root
        self.q = np.where(linear, a, b * quadratic)
        self.r = np.where(linear | root, b, c)
        self.e, self.k = a * decay, b * decay

    def efficiency(self, capital, draw=0):
        """Evaluate η of (n,) capitals, or of (…, n) with as many draws."""
        draw = 0 if len(self.params) == 1 else draw
        p, q, r, s, e, k = (x[draw] for x in (self.p, self.q, self.r, self.s, self.e, self.k))
        return (p * capital + q) * capital + r + s * np.sqrt(capital) + e * np.exp(-k * capital)

    def utility(self, capital, draw=0):
        """Sum C·η over the instruments."""
        return (capital * self.efficiency(capital, draw)).sum(-1)

    def slsqp(self, totals, draws):
        """Maximise with SLSQP and the exact gradient, problem after problem, each from the last one's answer."""
        out = np.empty((len(totals), len(self.limit)))
        bounds = np.stack([np.zeros_like(self.limit), self.limit], 1)
        downhill = -np.ones(len(self.limit))
        start = np.minimum(self.limit, totals[0] / len(self.limit))
        for i, (total, draw) in enumerate(zip(totals, draws, strict=True)):
            p, q, r, s, e, k = (x[draw] for x in (self.p, self.q, self.r, self.s, self.e, self.k))

            def loss(x, p=p, q=q, r=r, s=s, e=e, k=k, total=total):
                px, root, decay = p * x, s * np.sqrt(x), e * np.exp(-k * x)
                value = x @ ((px + q) * x + r + root + decay)
                slope = (3.0 * px + 2.0 * q) * x + r + 1.5 * root + decay * (1.0 - k * x)
                return -value / total, -slope / total

            budget = {"type": "ineq", "fun": lambda x, t=total: t - x.sum(), "jac": lambda _: downhill}
            found = minimize(
                loss,
                start,
                jac=True,
                method="SLSQP",
                bounds=bounds,
                constraints=budget,
                options={"ftol": 1e-9, "maxiter": 1000},
            )
            assert found.success, found.message
            out[i] = start = np.clip(found.x, 0.0, self.limit)
        return out

    def mean_slsqp(self, total):
        """Maximise the mean over all draws with SLSQP and the exact gradient; gives the amounts and the mean."""
        downhill = -np.ones(len(self.limit))

        def loss(x):
            px, root, decay = self.p * x, self.s * np.sqrt(x), self.e * np.exp(-self.k * x)
            value = x @ ((px + self.q) * x + self.r + root + decay).mean(0)
            slope = ((3.0 * px + 2.0 * self.q) * x + self.r + 1.5 * root + decay * (1.0 - self.k * x)).mean(0)
            return -value / total, -slope / total

        found = minimize(
            loss,
            np.minimum(self.limit, total / len(self.limit)),
            jac=True,
            method="SLSQP",
            bounds=np.stack([np.zeros_like(self.limit), self.limit], 1),
            constraints={"type": "ineq", "fun": lambda x: total - x.sum(), "jac": lambda _: downhill},
            options={"ftol": 1e-9, "maxiter": 1000},
        )
        assert found.success, found.message
        return found.x, -found.fun * total

    def best(self, price, draw):
        """Maximise C·η − price·C for every instrument: (k,) prices and draws give (k, n) capitals."""
        price = price[:, None]
        single = len(self.params) == 1
        at = [(self.params[:, i] if single else self.params[np.ix_(draw, i)]) for i in self.places]
        out = np.empty((len(price), len(self.limit)))
        linear, quadratic, decay, root = (np.moveaxis(x, -1, 0) for x in at)
        a, b, _ = linear
        out[:, self.places[0]] = (price - b) / (2.0 * a)
        a, b, c = quadratic
        out[:, self.places[1]] = (-b - np.sqrt(np.maximum(b * b - 3.0 * a * (c - price), 0.0))) / (3.0 * a)
        a, b, c = decay
        out[:, self.places[2]] = self._decay_best(price, a, b, c)
        a, b, _ = root
        out[:, self.places[3]] = np.maximum((price - b) / (1.5 * a), 0.0) ** 2
        np.clip(out, 0.0, self.limit, out=out)
        if self.concave:
            return out
        inside = out * (self.efficiency(out, draw) - price)
        end = self.limit * (self.efficiency(self.limit, draw) - price)
        return np.where(end > np.maximum(inside, 0.0), self.limit, np.where(inside > 0.0, out, 0.0))

    def _decay_best(self, price, a, b, c):
        argument = np.maximum((price - c) * math.e / a, -1.0 / math.e + 1e-16)  # lambertw is NaN at −1/e
        if self.concave:
            return (1.0 - lambertw(argument).real) / b
        falls = np.flatnonzero(a[0] > 0.0)  # the others rise: their stationary point lies on the other branch
        rises = np.flatnonzero(a[0] < 0.0)
        w = np.empty_like(argument)
        w[:, falls] = lambertw(argument[:, falls]).real
        w[:, rises] = lambertw(np.minimum(argument[:, rises], -1e-300), -1).real
        return (1.0 - w) / b

    def dual(self, totals, draws):
        """Find the price at which the best capitals sum to the total, for all problems side by side.

        Gives (problems, n) amounts and the bounds D(λ) that no allocation exceeds. Where capital jumps at that price,
        the instruments that jump share what is left in their order.
        """

        def excess(price, problem):
            problem = problem.astype(np.intp)
            return self.best(price, draws[problem]).sum(-1) / totals[problem] - 1.0

        every = np.arange(len(totals))
        price = np.zeros(len(totals))
        binds = np.flatnonzero(excess(price, every) > 0.0)
        amounts = self.best(price, draws)
        if binds.size:
            tolerances = {"fatol": 1e-10, "xatol": 1e-13, "xrtol": 0.0}
            # no efficiency exceeds 1, so nothing is bought at a price of 1
            found = find_root(excess, (price[binds], price[binds] + 1.0), args=(binds,), tolerances=tolerances)
            assert found.success.all()
            price[binds] = found.x
            amounts[binds] = self.best(found.x, draws[binds])
            amounts[binds] *= np.minimum(1.0, totals[binds] / amounts[binds].sum(-1))[:, None]
            jumps = np.abs(found.f_x) > 1e-9
            if jumps.any():
                which = binds[jumps]
                more, less = (self.best(side[jumps], draws[which]) for side in found.bracket)
                step = np.maximum(more - less, 0.0)
                room = (totals[which] - less.sum(-1))[:, None]
                amounts[which] = less + np.clip(room - (np.cumsum(step, -1) - step), 0.0, step)
        chosen = self.best(price, draws)
        bound = price * totals + self.utility(chosen, draws) - price * chosen.sum(-1)
        return amounts, bound


def numpy_walks(price, quantity, capital):
    """Efficiency of every capital on both sides of rectangular books (n, 2, m): bids first, best first."""
    mid = ((price[:, 0, 0] + price[:, 1, 0]) * 0.5)[:, None]
    answers = []
    for side in range(2):
        at_price, at_mid = price[:, side] * quantity[:, side], mid * quantity[:, side]
        takes, gives = (at_price, at_mid) if side else (at_mid, at_price)
        reach, worth = np.cumsum(takes, axis=1), np.cumsum(gives, axis=1)
        place = (reach[:, :, None] < capital).sum(axis=1)
        inside = np.minimum(place, price.shape[2] - 1)
        before = np.maximum(inside - 1, 0)
        is_first = inside == 0
        taken = np.where(is_first, 0.0, np.take_along_axis(reach, before, 1))
        value = np.where(is_first, 0.0, np.take_along_axis(worth, before, 1))
        level = np.take_along_axis(price[:, side], inside, 1)
        rate = mid / level if side else level / mid
        answers.append(np.where(place < price.shape[2], (value + (capital - taken) * rate) / capital, np.nan))
    return np.stack(answers, axis=1)


def pandas_books(levels):
    """Sort levels into books, bids from the highest and asks from the lowest, equal prices added."""
    levels = levels.groupby(["snapshot", "side", "price"], as_index=False)["quantity"].sum()
    rank = levels["price"].where(levels["side"] == "ask", -levels["price"])
    return levels.assign(rank=rank).sort_values(["snapshot", "side", "rank"])


def _pandas_small(trades):
    """Mark the smallest tenth of each symbol and side, at least five."""
    groups = trades.groupby(["symbol", "side"])["quantity"]
    wanted = np.ceil(groups.transform("size") * 0.1).clip(lower=5)
    return groups.rank(method="min") <= wanted


def pandas_efficiencies(trades):
    """Efficiency of sales against the median price of the small ones."""
    small = trades["price"].where(_pandas_small(trades))
    reference = small.groupby([trades["symbol"], trades["side"]]).transform("median")
    return (trades["price"] / reference).clip(upper=1.0).to_numpy()


def pandas_windowed_efficiencies(trades, window):
    """The same against the small ones at most `window` seconds away; NaN where there are none."""
    small = _pandas_small(trades).to_numpy()
    result = np.full(len(trades), np.nan)
    for places in trades.groupby(["symbol", "side"]).indices.values():
        inside = places[small[places]]
        order = inside[np.argsort(trades["time"].to_numpy()[inside])]
        time, price = trades["time"].to_numpy()[order], trades["price"].to_numpy()[order]
        at = trades["time"].to_numpy()[places]
        ends = zip(np.searchsorted(time, at - window), np.searchsorted(time, at + window, side="right"), strict=True)
        for place, (low, high) in zip(places, ends, strict=True):
            if high > low:
                result[place] = min(trades["price"].iat[place] / np.median(price[low:high]), 1.0)
    return result


@numba.njit(nogil=True, error_model="numpy")
def scalar_plans(equity, leverage, max_ltv, threshold, least, rounds, swap_fee, flash_fee, flash_steps, out):
    """Plans of leverage as one would write them: one after the other, the position followed from round to round."""
    for i in range(equity.size):
        top = min(max_ltv, threshold / least)
        start = supply = equity[i]
        borrow, wanted, low = 0.0, leverage[i], math.inf
        growth = 1.0 - swap_fee
        slope = wanted - (wanted - 1.0) * growth
        first = missing = (wanted - 1.0) * supply
        possible = missing * (1.0 - top * growth) < supply * top * slope
        made, lost, fits = 0, 0.0, False
        while missing > 0.0 and made < rounds and not fits:
            cap = supply * top - borrow
            if supply * threshold / (borrow + cap) < least or (borrow + cap) / supply > max_ltv:
                cap *= 1.0 - 1e-15
            fits = possible and missing <= cap * slope
            x = missing / slope if fits else cap
            got = x - x * swap_fee
            borrow += x
            low = min(low, supply * threshold / borrow)
            supply += got
            lost += x - got
            made += 1
            missing = (wanted - 1.0) * supply - wanted * borrow
        flash = 1.0 + flash_fee
        most = start * top / (1.0 - top * (growth / flash))
        needed = first / (wanted - (wanted - 1.0) * (growth / flash))
        within = needed <= top * (start + needed / flash * growth)
        drawn = needed if within else most
        loan = drawn / flash
        got = loan * growth
        extra = 3 * made + 1 - flash_steps
        at = out[:, i]
        at[0], at[1], at[2] = supply, borrow, min(low, supply * threshold / borrow)
        at[3], at[4], at[5], at[6] = 0.0, lost, borrow, supply - start
        at[7] = start + growth * start * top / (1.0 - top * growth)
        at[8], at[9], at[10], at[11], at[12] = loan, start + got, drawn, drawn - loan, loan - got
        at[13] = start + most / flash * growth
        at[14] = max((drawn - got - lost) / extra, 0.0) if fits and within else math.nan
        at[15] = made


def numpy_plans(equity, leverage, top, swap_fee, rounds):
    """Supply, debt and rounds of plans of leverage, all of them a round at a time."""
    supply, borrow = equity.copy(), np.zeros_like(equity)
    growth, made = 1.0 - swap_fee, np.zeros(equity.size, dtype=np.int64)
    slope = leverage - (leverage - 1.0) * growth
    going = leverage > 1.0
    for _ in range(rounds):
        missing = (leverage - 1.0) * supply - leverage * borrow
        cap = supply * top - borrow
        x = np.where(going, np.minimum(missing / slope, cap), 0.0)
        made += going
        going = going & (missing > cap * slope)
        supply, borrow = supply + x * growth, borrow + x
        if not going.any():
            break
    return supply, borrow, made


@numba.njit(nogil=True, error_model="numpy")
def scalar_market(collateral, debt, price, sigma, rate, threshold, dt, steps, out):
    """Positions in a market as one would write them: a path and a position a step, normals as NumPy draws them.

    Half of the debt is repaid below a health factor of 1, for a bonus of 5 %; `out` takes the equity at the end.
    """
    h = dt / tables.YEAR
    drift, sd, factor = -0.5 * sigma * sigma * h, sigma * math.sqrt(h), math.exp(rate * h)
    for path in range(out.size):
        x, c, d, lowest = 0.0, collateral, debt, math.inf
        p = price
        for _ in range(steps):
            x += drift + sd * np.random.normal()  # noqa: NPY002 - what compiled code has
            p = price * math.exp(x)
            d *= factor
            health = c * p * threshold / d
            lowest = min(lowest, health)
            if health < 1.0:
                repaid = 0.5 * d if health > 0.95 else d
                seized = min(c, repaid * 1.05 / p)
                d -= seized * p / 1.05
                c -= seized
        out[path] = c * p - d


def market_numpy(collateral, debt, price, sigma, rate, threshold, dt, steps, paths):
    """Do the same with NumPy, over all paths at once, without liquidations: lowest health factors and equity."""
    rng = np.random.default_rng(1)
    h = dt / tables.YEAR
    drift, sd, factor = -0.5 * sigma * sigma * h, sigma * math.sqrt(h), math.exp(rate * h)
    x, lowest = np.zeros(paths), np.full(paths, math.inf)
    owed = debt
    for _ in range(steps):
        x += drift + sd * rng.standard_normal(paths)
        owed *= factor
        np.minimum(lowest, collateral * (price * np.exp(x)) * threshold / owed, out=lowest)
    return lowest, collateral * (price * np.exp(x)) - owed
