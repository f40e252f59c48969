"""The ladder's fit in plain Python, on lists: what the kernel must equal to the last bit.

The knots, the search by sums, the search by rows, then what is derived from the fit. Sums run in the order of points, of
stretches or of columns, as they stand here.
"""

from __future__ import annotations

import math

from tests.naive.curves import CONSTANT, DEGENERATE, OK, TOO_FEW_POINTS, durbin_watson_moments, naive_exp, naive_log

MOST_EXCHANGES = 285
EPSILON = 2.0**-52


class NaiveLadder:
    """One fit; points are (capital, efficiency, weight) in order of capital."""

    def __init__(self, points: list[tuple[float, float, float]], knots: list[float] | None = None) -> None:
        self.points = [(c, y, w) for c, y, w in points if w > 0.0]
        self.size = len(points)
        self.distinct = len({c for c, _, _ in self.points})
        self.scale = 4.0 ** ((math.frexp(self.points[0][0])[1] - 1) // 2) if self.points else 1.0
        self.c = [c / self.scale for c, _, _ in self.points]
        self.knots = self.rule() if knots is None else [k / self.scale for k in knots]
        self.beta: dict[int, float] = {}
        self.bound = False

    def rule(self) -> list[float]:
        if self.distinct < 2:
            return []
        length, start = naive_log(self.c[-1] / self.c[0]), naive_log(self.c[0])
        count = min(96, max(2, math.ceil(16.0 * (0.4342944819032518 * length) - 1e-9) + 1))
        return [naive_exp(start + length * (k / (count - 1.0))) for k in range(1, count - 1)]

    def run(self) -> int:
        if self.distinct < 3:
            return TOO_FEW_POINTS
        efficiencies = {y for _, y, _ in self.points}
        if len(efficiencies) == 1:
            self.knots = []
            self.prepare()
            self.beta = {0: efficiencies.pop()}
            self.follow(self.beta)
            self.sse = 0.0
            self.reduce([0])
            self.factor = [[self.stretches[0][0]]]
            self.order = [0]
            return CONSTANT
        self.prepare()
        return self.finish({})

    def refit(self, weights: list[float], kept: dict[int, float]) -> int:
        """Fit with other weights, from columns and their β."""
        self.points = [(c, y, w) for (c, y, _), w in zip(self.points, weights, strict=True) if w > 0.0]
        self.c = [c / self.scale for c, _, _ in self.points]
        self.size = len(weights)
        self.prepare()
        return self.finish(kept)

    # --- sums ---------------------------------------------------------------------------------------------------------

    def stretch(self, c: float) -> tuple[int, float]:
        """Which stretch between knots a capital lies in, and u: the knot before over it."""
        b = sum(1 for k in self.knots if k < c)
        return b, self.knots[b - 1] / c if b else 0.0

    def prepare(self) -> None:
        """Sums of the stretches, then the Gram matrix and the products of columns and efficiencies."""
        self.last = last = len(self.knots)
        self.places = [self.stretch(c) for c in self.c]
        self.inverse = [1.0 / k for k in self.knots] + [0.0]
        sums = [[0.0] * (last + 1) for _ in range(5)]
        self.s0, self.s1, self.s2, self.y0, self.y1 = sums
        squares = 0.0
        for (_, y, w), (b, u) in zip(self.points, self.places, strict=True):
            for row, term in zip(sums, (w, w * u, w * u * u, w * y, w * y * u), strict=True):
                row[b] += term
            squares += w * y * y
        self.size_y = math.sqrt(squares)
        tail = [0.0] * (last + 1)
        for j in range(last - 1, -1, -1):
            ratio = self.knots[j] * self.inverse[j + 1]
            tail[j] = self.s2[j + 1] + ratio * ratio * tail[j + 1]
        self.gram = [[0.0] * (last + 1) for _ in range(last + 1)]
        before = 0.0
        for j in range(last + 1):
            knot = self.knots[j] if j < last else 0.0
            before += self.s0[j]
            self.gram[j][j] = before + tail[j]
            between = 0.0
            for k in range(j + 1, last + 1):
                between += self.s1[k] * self.inverse[k - 1]
                entry = before + knot * between + knot * self.inverse[k] * tail[k]
                self.gram[j][k] = self.gram[k][j] = entry
        self.norm = [math.sqrt(self.gram[j][j]) for j in range(last + 1)]
        self.target = self.times_columns(self.y0, self.y1)

    def times_columns(self, zeroth: list[float], first: list[float]) -> list[float]:
        out = [0.0] * (self.last + 1)
        behind = 0.0
        for j in range(self.last - 1, -1, -1):
            behind += first[j + 1] * self.inverse[j]
            out[j] = self.knots[j] * behind
        before = 0.0
        for j in range(self.last + 1):
            before += zeroth[j]
            out[j] += before
        return out

    def follow(self, beta: dict[int, float]) -> None:
        """In stretch b, η = above[b] + below[b]·u."""
        total = 0.0
        self.above = [0.0] * (self.last + 1)
        for b in range(self.last, -1, -1):
            total += beta.get(b, 0.0)
            self.above[b] = total
        total = 0.0
        self.below = [0.0]
        for b in range(1, self.last + 1):
            total += beta.get(b - 1, 0.0) * self.knots[b - 1]
            self.below.append(total * self.inverse[b - 1])

    def gradient(self) -> list[float]:
        """Products of the columns and the residuals: by sums, or by the points' own."""
        self.follow(self.beta)
        r0, r1 = [0.0] * (self.last + 1), [0.0] * (self.last + 1)
        if self.exact:
            self.sse = 0.0
            for (_, y, w), (b, u) in zip(self.points, self.places, strict=True):
                residual = y - (self.above[b] + self.below[b] * u)
                r0[b] += w * residual
                r1[b] += w * residual * u
                self.sse += w * residual * residual
        else:
            for b in range(self.last + 1):
                above, below = self.above[b], self.below[b]
                r0[b] = self.y0[b] - above * self.s0[b] - below * self.s1[b]
                r1[b] = self.y1[b] - above * self.s1[b] - below * self.s2[b]
        return self.times_columns(r0, r1)

    # --- the search ---------------------------------------------------------------------------------------------------

    def finish(self, kept: dict[int, float]) -> int:
        self.beta = dict(kept)
        self.order = list(kept)
        self.bound, self.exact, self.multiplier, self.exchanges = False, False, 0.0, 0
        self.stationary = 1e-12
        self.blocked: set[int] = set()
        if kept:
            self.settle(self.resolve())
        self.search()
        if self.hold_the_sum():
            self.settle(self.resolve())
            self.search()
        self.exact, self.blocked = True, set()
        self.stationary = EPSILON * (32.0 + 2.0 * math.sqrt(float(self.size)))
        while True:
            self.settle(self.resolve())
            if self.hold_the_sum():
                continue
            column = self.entering()
            if column is None or self.exchanges >= MOST_EXCHANGES:
                return OK if self.violation <= 1e-10 * self.size_y else DEGENERATE
            self.enter(column)

    def search(self) -> None:
        while self.exchanges < MOST_EXCHANGES:
            column = self.entering()
            if column is None:
                return
            self.enter(column)

    def entering(self) -> int | None:
        gradient = self.gradient()
        found, best, self.violation = None, 0.0, 0.0
        for j in range(self.last + 1):
            if j in self.beta or self.norm[j] == 0.0:
                continue
            slope = gradient[j] - self.multiplier
            self.violation = max(self.violation, slope / self.norm[j])
            if slope > best and slope > self.stationary * self.size_y * self.norm[j] and j not in self.blocked:
                found, best = j, slope
        return found

    def enter(self, column: int) -> None:
        self.exchanges += 1
        refused = len(self.order) >= self.distinct
        if not refused:
            self.order.append(column)
            self.beta[column] = 0.0
            trial = None if self.factorise() is not None else self.solve()
            refused = trial is None or not trial[self.order.index(column)] > 0.0
            if refused:
                self.leave(column)
        if refused:
            self.blocked.add(column)
            return
        self.blocked = set()
        assert trial is not None
        self.settle(trial)

    def leave(self, column: int) -> None:
        self.order.remove(column)
        del self.beta[column]
        self.exchanges += 1

    def settle(self, trial: list[float]) -> None:
        while True:
            step, first = 1.0, None
            for column, new in zip(self.order, trial, strict=True):
                old = self.beta[column]
                if not new > 0.0 and (first is None or old / (old - new) < step):
                    step, first = old / (old - new), column
            if first is None:
                self.beta = dict(zip(self.order, trial, strict=True))
                return
            for column, new in zip(self.order, trial, strict=True):
                self.beta[column] += step * (new - self.beta[column])
            self.beta[first] = 0.0
            for column in [column for column in self.order if not self.beta[column] > 0.0]:
                self.leave(column)
            trial = self.resolve()

    def hold_the_sum(self) -> bool:
        total = 0.0
        for j in sorted(self.beta):
            total += self.beta[j]
        if self.bound or not total > 1.0:
            return False
        self.bound, self.blocked = True, set()
        self.spread_out()
        return True

    def spread_out(self) -> None:
        if self.bound:
            total = 0.0
            for column in self.order:
                total += self.beta[column]
            self.beta = {column: self.beta[column] / total for column in self.order}

    # --- solutions ----------------------------------------------------------------------------------------------------

    def resolve(self) -> list[float]:
        dependent = self.factorise()
        while dependent is not None:
            self.leave(dependent)
            self.spread_out()
            dependent = self.factorise()
        return self.solve()

    def factorise(self) -> int | None:
        """The lower factor, by the Gram matrix or by rows; a column that depends on those before, if there is one."""
        if self.exact:
            self.order.sort()
            self.reduce(self.order)
            return self.rotate()
        self.factor = []
        for i, column in enumerate(self.order):
            row: list[float] = []
            self.factor.append(row)
            for k in range(i + 1):
                rest = self.gram[column][self.order[k]]
                for m in range(k):
                    rest -= row[m] * self.factor[k][m]
                if k == i and not rest > 1e-13 * self.gram[column][column]:
                    return column
                row.append(rest / self.factor[k][k] if k < i else math.sqrt(rest))
        self.forward = self.forwards([self.target[column] for column in self.order])
        return None

    def forwards(self, given: list[float]) -> list[float]:
        out: list[float] = []
        for row, value in zip(self.factor, given, strict=True):
            rest = value
            for entry, known in zip(row, out, strict=False):
                rest -= entry * known
            out.append(rest / row[len(out)])
        return out

    def solve(self) -> list[float]:
        rest = list(self.forward)
        self.multiplier = 0.0
        if self.bound:
            ones = self.forwards([1.0] * len(rest))
            product = square = 0.0
            for one, value in zip(ones, rest, strict=True):
                product += one * value
                square += one * one
            self.multiplier = (product - 1.0) / square
            rest = [value - self.multiplier * one for one, value in zip(ones, rest, strict=True)]
        for i in range(len(rest) - 1, -1, -1):
            rest[i] /= self.factor[i][i]
            for k in range(i):
                rest[k] -= rest[i] * self.factor[i][k]
        return rest

    def reduce(self, order: list[int]) -> None:
        """For each stretch between active knots: √Σw, mean of u, √Σw(u − mean)², and what they make of y."""
        self.ends = [self.knots[j] for j in order if j < self.last]
        self.stretches = []
        for b in range(len(self.ends) + 1):
            low = self.ends[b - 1] if b else 0.0
            high = self.ends[b] if b < len(self.ends) else math.inf
            own = [(low / c, y, w) for c, (_, y, w) in zip(self.c, self.points, strict=True) if low < c <= high]
            weight = mean = mean_y = 0.0
            for u, y, w in own:
                weight += w
                mean += w * u
                mean_y += w * y
            mean, mean_y = (mean / weight, mean_y / weight) if own else (0.0, 0.0)
            rest = rest_y = 0.0
            for u, y, w in own:
                rest += w * (u - mean)
                rest_y += w * (y - mean_y)
            if own:
                mean, mean_y = mean + rest / weight, mean_y + rest_y / weight
            second = product = 0.0
            for u, y, w in own:
                second += w * (u - mean) * (u - mean)
                product += w * (u - mean) * (y - mean_y)
            spread = math.sqrt(second)
            head = math.sqrt(weight)
            self.stretches.append((head, mean, spread, head * mean_y, product / spread if spread else 0.0))

    def share_below(self, b: int, k: int) -> float:
        return self.ends[k] * (1.0 / self.ends[b - 1]) if k < b else 0.0

    def rotate(self) -> int | None:
        count = len(self.order)
        upper, lower = [], []
        for b, (head, mean, spread, rhs_0, rhs_1) in enumerate(self.stretches):
            shares = [self.share_below(b, k) for k in range(count)]
            upper.append([head * (shares[k] * mean if k < b else 1.0) for k in range(count)] + [rhs_0])
            lower.append([spread * share for share in shares] + [rhs_1])
        rows = upper + lower[1:]
        self.factor = [[0.0] * (k + 1) for k in range(count)]
        self.forward = []
        for k in range(count):
            square = 0.0
            for row in rows[k:]:
                square += row[k] * row[k]
            norm = self.norm[self.order[k]]
            if not square > 1e-26 * norm * norm:
                return self.order[k]
            pivot = rows[k][k]
            length = math.sqrt(square) if pivot > 0.0 else -math.sqrt(square)
            rows[k][k] = pivot + length
            scale = 1.0 / (length * (pivot + length))
            products = [0.0] * (count + 1)
            for row in rows[k:]:
                for j in range(k + 1, count + 1):
                    products[j] += row[k] * row[j]
            for row in rows[k:]:
                factor = row[k] * scale
                for j in range(k + 1, count + 1):
                    row[j] -= factor * products[j]
            sign = -1.0 if length > 0.0 else 1.0
            self.factor[k][k] = abs(length)
            for j in range(k + 1, count):
                self.factor[j][k] = sign * rows[k][j]
            self.forward.append(sign * rows[k][count])
        return None

    # --- what is derived from the fit ---------------------------------------------------------------------------------

    def steps(self) -> list[list[float]]:
        inner = sorted(j for j in self.beta if j < self.last)
        slope = self.beta.get(self.last, 0.0)
        slopes = [slope]
        for j in reversed(inner):
            slope += self.beta[j]
            slopes.insert(0, slope)
        slopes[0] = min(slopes[0], 1.0)
        begins = [0.0, *(self.knots[j] for j in inner)]
        utility, utilities = 0.0, [0.0]
        for k in range(len(inner)):
            utility += slopes[k] * (begins[k + 1] - begins[k])
            utilities.append(utility * self.scale)
        return [[begin * self.scale for begin in begins], slopes, utilities]

    def root(self) -> list[float]:
        norm = product = square = 0.0
        pairs = []
        for (_, _, w), (b, u) in zip(self.points, self.places, strict=True):
            depth = self.below[b] * u
            pairs.append((w, self.above[b] + depth, depth))
        for w, level, depth in pairs:
            norm += w * level * level
            product += w * level * depth
        ratio = product / norm if norm > 0.0 else 0.0
        for w, level, depth in pairs:
            square += w * (depth - ratio * level) * (depth - ratio * level)
        bends = square > 1e-10 * 1e-10 * norm
        factor = math.sqrt((0.5 if bends else 1.0) * len(self.beta))
        i0 = factor / math.sqrt(norm) if norm > 0.0 else 0.0
        return [i0, ratio if bends else 0.0, factor / math.sqrt(square) if bends else 0.0, 0.0, 0.0, 0.0]

    def rows_of_q(self) -> list[list[float]]:
        """The orthogonal factor: each point's row over √w, without the direction in which Σβ = 1 is held."""
        rows = []
        ones = self.forwards([1.0] * len(self.order))
        for c in self.c:
            b = sum(1 for end in self.ends if end < c)
            mean = self.stretches[b][1]
            shares = [self.share_below(b, k) for k in range(len(self.order))]
            first = self.forwards([share * mean if k < b else 1.0 for k, share in enumerate(shares)])
            second = self.forwards(shares)
            if self.bound:
                first, second = self.without(first, ones), self.without(second, ones)
            du = (self.ends[b - 1] if b else 0.0) / c - mean
            rows.append([x + du * y for x, y in zip(first, second, strict=True)])
        return rows

    @staticmethod
    def without(row: list[float], ones: list[float]) -> list[float]:
        product = square = 0.0
        for entry, one in zip(row, ones, strict=True):
            product += entry * one
            square += one * one
        return [entry - product / square * one for entry, one in zip(row, ones, strict=True)]

    def leverages(self) -> list[float]:
        out = []
        for (_, _, w), row in zip(self.points, self.rows_of_q(), strict=True):
            square = 0.0
            for entry in row:
                square += entry * entry
            out.append(w * square)
        return out

    def residuals(self) -> list[float]:
        """One for each point of positive weight."""
        both = zip(self.points, self.places, strict=True)
        return [y - (self.above[b] + self.below[b] * u) for (_, y, _), (b, u) in both]

    def neumann(self, nothing: float = 0.0) -> dict[str, float]:
        """The ratio as the kernel takes it, inf where squares are up to nothing; its moments by whole matrices."""
        groups: dict[float, list[int]] = {}
        for i, c in enumerate(self.c):
            groups.setdefault(c, []).append(i)
        rows, residuals = self.rows_of_q(), self.residuals()
        z, e = [], []
        for own in groups.values():
            weight = residual = 0.0
            for i in own:
                weight += self.points[i][2]
                residual += self.points[i][2] * residuals[i]
            z.append(residual / math.sqrt(weight))
            e.append([math.sqrt(weight) * entry for entry in rows[own[0]]])
        columns = len(self.order) - int(self.bound)
        if len(z) < columns + 2:
            return {}
        squares = differences = 0.0
        for j, v in enumerate(z):
            squares += v * v
            if j:
                differences += (v - z[j - 1]) * (v - z[j - 1])
        return {"neumann": differences / squares if squares > nothing else math.inf} | durbin_watson_moments(e, columns)
