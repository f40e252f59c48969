"""Rows of the workspace of a ladder's fit, its sizes and its tolerances."""

from __future__ import annotations

from escala.kernels.layout import rows

#: Most points of the geometric rule for knots; both ends are counted, so that there are two inner knots fewer.
MOST_KNOTS = 96
PER_DECADE = 16.0
LOG10_E = 0.4342944819032518
GUARD = 1e-9  # of the rule: a range that rounding takes over a whole number of knots has no knot more
#: Most columns: one for each inner knot, and the level.
MOST_COLUMNS = MOST_KNOTS - 1
#: Columns that may enter or leave the active set before the search is given up.
MOST_EXCHANGES = 3 * MOST_COLUMNS
LEAST_CAPITALS = 3
#: Share of a column's square that must not lie in the span of those before: by the Gram matrix, and by rows.
INDEPENDENT, INDEPENDENT_ROWS = 1e-13, 1e-26
#: A gradient, over the norms of its column and of the efficiencies, that counts as none by the sums of the stretches.
STATIONARY = 1e-12
#: The same by rows, in units of rounding and of rounding times √n; and what is certified.
ROUNDINGS, ROUNDINGS_ROOT_N, CERTIFIED = 32.0, 2.0, 1e-10
#: Share of η that η − U′ must have for a second direction of uncertainty.
BENDS = 1e-10
EPSILON = 2.0**-52

#: Numbers in a row of the workspace, and in a row of its matrices.
WIDE = MOST_KNOTS

scalar = rows(
    "distinct",
    "scale",  # the power of four that capitals are divided by
    "columns",
    "active",  # how many columns have β > 0
    "bound",  # 1 where Σβ = 1 is held
    "multiplier",  # its Lagrange multiplier
    "size_y",  # √Σwy²
    "exchanges",
    "exact",  # 1 where solutions are by rows
    "stationary",  # what counts as no gradient
    "violation",  # largest gradient of a column that is not active
    "sse",
    "kept",  # as `active`, of the set that a refit begins with
)
own = rows(
    "knot",
    "inverse",  # 1/knot, 0 for the level
    "s0", "s1", "s2", "y0", "y1",  # of each stretch: Σw, Σwu, Σwu², Σwy, Σwyu, u = (knot before)/C
    "tail",  # of each column: Σw(knot/C)² over all stretches behind it
    "target",  # Σwy·column
    "norm",  # of each column
    "gradient",
    "beta", "position", "blocked",  # of each column: β, its place in the active set or −1, whether it was refused
    "above",  # of each stretch: Σβ of the columns whose knots lie above it
    "below",  # and Σβ·knot of those below, over the knot before
    "r0", "r1",  # Σwr and Σwru
    "order", "trial", "ones",  # of the active set by place: column, new β, the bound's row
    "forward",
    "kept_column", "kept_beta",
    "head", "mean", "spread", "rhs_0", "rhs_1",  # of each stretch between active knots: its two rows
    "step", "last_step",  # of `write_neumann`: how the orthogonal factor changes from one capital to the next
    first=scalar.END, lanes=WIDE,
)  # fmt: skip
#: Behind the rows three matrices: of Gram, the lower triangle of the factor, and the rows of the last solve.
GRAM = own.END
FACTOR = GRAM + WIDE * WIDE
TALL = FACTOR + WIDE * WIDE


def ladder_work_size(most_points: int) -> int:
    """Count the float64 elements of `work` for instruments of at most so many points."""
    return TALL + (2 * min(most_points, MOST_COLUMNS) + 2) * WIDE
