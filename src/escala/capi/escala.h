/* escala: how far can capital grow before it stops working? The compiled kernels for any program, without Python.
 *
 * Every function
 *   - works on arrays of the caller, without allocating, printing or keeping anything: call it from as many threads as
 *     you like, as long as they write to different arrays and have a workspace each;
 *   - gives an ESCALA_... status (0 is success; escala_status_text says it in words) and checks its input before it
 *     writes anything: null pointers, sizes, workspaces, values. If `fault` is not NULL it says which argument was bad;
 *   - gives the same bits as the Python package, whatever x86-64 processor the library was built for. An older one than
 *     that stops with an illegal instruction: build for what the hosts have in common;
 *   - computes in a floating-point environment of its own: rounding, traps and flushing to zero of the caller change no
 *     bit and raise nothing, and they and the caller's flags are as they were when the function returns.
 *
 * Matrices lie row after row (C order). Arrays must not overlap, and must be as long as it says here. A pointer to an
 * array of size 0 may be NULL. Workspaces need no alignment; ..._workspace gives their size in bytes, or -1 for sizes
 * that no call would accept. Definitions, units and formulas are those of the Python functions named at each function.
 */
#ifndef ESCALA_H
#define ESCALA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* declarations */

/* The version of this header: what escala_check_abi compares with the library's. */
enum { ESCALA_ABI = 3 };

/* What functions answer. SHORT_WORKSPACE: ask the ..._workspace function. BAD_ORDER: `argument` exceeds `other`.
 * INFEASIBLE: the solution says why. */
/* generated: status */
enum escala_status {
    ESCALA_OK = 0,              /* success */
    ESCALA_WRONG_ABI = 1,       /* the header and the library do not belong together */
    ESCALA_NULL_POINTER = 2,    /* an argument is NULL */
    ESCALA_BAD_SIZE = 3,        /* a size is negative, too large or does not go with the others */
    ESCALA_SHORT_WORKSPACE = 4, /* the workspace is too short */
    ESCALA_BAD_VALUE = 5,       /* a value is not finite or outside of what is allowed */
    ESCALA_BAD_ORDER = 6,       /* a value exceeds one that it must not exceed */
    ESCALA_BAD_CODE = 7,        /* an integer is none of its codes */
    ESCALA_BAD_OFFSETS = 8,     /* offsets fall or point outside of the records */
    ESCALA_INFEASIBLE = 9       /* bounds conflict: no allocation meets them together */
};
/* end of status */

/* What was bad: filled by every function that is given one, cleared on success. */
typedef struct escala_fault {
    const char *argument; /* its name in this header, a constant; NULL on success */
    const char *other;    /* the argument that it conflicts with, or NULL */
    int64_t index;        /* of the first bad element; -1 where the fault is not an element's */
    double value;         /* of that element, NaN where there is none */
} escala_fault;

/* A number for all elements, or one for each. */
typedef struct escala_input {
    double value;         /* used where `values` is NULL */
    const double *values; /* one an element, or NULL */
} escala_input;

/* The library's version, such as "0.1.0", and its ABI. */
const char *escala_version(void);
int escala_abi(void);

/* Say whether a program compiled with ESCALA_ABI of this header may use the library: ESCALA_OK or ESCALA_WRONG_ABI. */
int escala_check_abi(int abi);

/* A status in words; a constant. */
const char *escala_status_text(int status);

/* ---- Curves: escala.CurveSet ---- */

/* Families of curves: efficiency over capital C. ESCALA_AUTO is only a wish, when fitting. */
/* generated: family */
enum escala_family {
    ESCALA_LINEAR = 0,      /* a*C + b */
    ESCALA_QUADRATIC = 1,   /* (a*d + b)*d + c, d = C - origin */
    ESCALA_EXPONENTIAL = 2, /* a*exp(-b*d) + c, d = C - origin, b > 0 */
    ESCALA_SQRT = 3,        /* a*sqrt(C) + b */
    ESCALA_HILL = 4,        /* a*x^(s - 1)/(1 + x^s), x = C/K; b is K and c is s */
    ESCALA_DEPTH = 5,       /* a*(1 + (C/D)^h)^(-1/h); b is D and c is h */
    ESCALA_POWER = 6,       /* a - k*(C/S)^c; b is k and d is S */
    ESCALA_LADDER = 7,      /* a*b*L(C/b)/C, L rises in straight steps that get flatter */
    ESCALA_AUTO = 64        /* the family of lowest AICc */
};
/* end of family */

/* Coefficients that a curve has room for: a, b, c, d. Those that its family does not use are 0. */
enum { ESCALA_PARAMS = 4 };
/* Rows of a ladder's steps. */
enum { ESCALA_LADDER_STEP = 3 };

/* n curves, each of its family: exponentials with b > 0; hills with b > 0, c in [1, 20], a at least 0 and so that the
 * highest efficiency is at most 1. */
typedef struct escala_curves {
    int64_t n;
    const int8_t *family; /* n codes */
    const double *params; /* n x ESCALA_PARAMS; all NaN where there is no curve, which makes results NaN */
    const double *origin; /* n */
    const double *trusted_to; /* n: where trust ends, inf allowed, NaN without a curve; for thresholds, allocations */
    const double *steps; /* steps_size numbers, of each ladder three rows of c numbers from its place d on: knots (0
                          * first), slopes (falling, at most 1), utilities at the knots; NULL without ladders */
    int64_t steps_size;
} escala_curves;

/* Check every number of the curves (allocations do so by themselves; what is evaluated is not checked each time). */
int escala_check_curves(const escala_curves *curves, escala_fault *fault);

/* Evaluate n curves at m capitals each: efficiency in [0, 1], utility C*efficiency, marginal d(C*efficiency)/dC.
 * capital: rows x m with rows = n, or 1 where one row serves all curves; finite, at least 0. out: n x m.
 * A bad capital is found while evaluating: then `out` has been written to, but means nothing. */
int escala_efficiency(const escala_curves *curves, const double *capital, int64_t rows, int64_t m, double *out,
                      escala_fault *fault);
int escala_utility(const escala_curves *curves, const double *capital, int64_t rows, int64_t m, double *out,
                   escala_fault *fault);
int escala_marginal(const escala_curves *curves, const double *capital, int64_t rows, int64_t m, double *out,
                    escala_fault *fault);

/* Find the first stretch on [0, trusted_to] with an efficiency of at least min_efficiency: CurveSet.threshold.
 * first, last: n. last is inf where the stretch goes on there; both are 0 where there is none, NaN without a
 * curve. */
int escala_threshold(const escala_curves *curves, const double *min_efficiency, double *first, double *last,
                     escala_fault *fault);

/* ---- Fitting: escala.fit ---- */

/* Records of n instruments: instrument i has those from offsets[i] on, below offsets[i + 1]. */
typedef struct escala_records {
    int64_t n;
    int64_t size;             /* records in all */
    const int64_t *offsets;   /* n + 1, rising, from 0 or more to at most size: a stretch is part of the work */
    const double *capital;    /* size, in [1e-100, 1e100] */
    const double *efficiency; /* size, in [0, 1] */
    const double *weights;    /* size, at least 0; or NULL: 1 for all */
    const int8_t *family;     /* n codes: the family wanted, or ESCALA_AUTO for the one of lowest AICc */
} escala_records;

/* generated: fit_status */
enum escala_fit_status {
    ESCALA_FIT_OK = 0,             /* a curve */
    ESCALA_FIT_TOO_FEW_POINTS = 1, /* fewer distinct capitals than the family has coefficients; there is no curve */
    ESCALA_FIT_DEGENERATE = 2,     /* the records do not determine the coefficients; there is no curve */
    ESCALA_FIT_CONSTANT = 3        /* all efficiencies are equal: a horizontal line */
};
/* end of fit_status */

/* Columns of `fit_stats`. */
/* generated: fit_stat */
enum escala_fit_stat {
    ESCALA_FIT_STAT_SMALLEST = 0,     /* smallest capital seen */
    ESCALA_FIT_STAT_LARGEST,          /* largest capital seen */
    ESCALA_FIT_STAT_TRUSTED_TO,       /* where trust in the curve ends */
    ESCALA_FIT_STAT_RESIDUAL_SD,      /* sqrt(SSE/df_resid) */
    ESCALA_FIT_STAT_DF_RESID,         /* degrees of freedom left: n_eff - coefficients; 0 where there is none */
    ESCALA_FIT_STAT_R_SQUARED,        /* 1 - SSE/SST; 0 where all efficiencies are equal */
    ESCALA_FIT_STAT_MEAN_ERROR,       /* (weighted) mean absolute residual */
    ESCALA_FIT_STAT_MAX_ERROR,        /* largest absolute residual */
    ESCALA_FIT_STAT_RMSE,             /* root of the mean squared residual */
    ESCALA_FIT_STAT_AICC,             /* corrected Akaike criterion */
    ESCALA_FIT_STAT_NEUMANN,          /* von Neumann's ratio of the residuals in order of capital */
    ESCALA_FIT_STAT_NEUMANN_MEAN,     /* its mean by chance */
    ESCALA_FIT_STAT_NEUMANN_VARIANCE, /* its variance by chance */
    ESCALA_FIT_STATS
};
/* end of fit_stat */

/* What is fitted. Without a curve (TOO_FEW_POINTS, DEGENERATE) params are NaN. */
typedef struct escala_fits {
    int8_t *family;     /* n codes */
    int8_t *status;     /* n: escala_fit_status */
    int64_t *n_points;  /* n: records of positive weight */
    double *params;     /* n x ESCALA_PARAMS */
    double *origin;     /* n */
    double *trusted_to; /* n: with these an escala_curves is complete */
    double *root;       /* n x 6: inverse root of the normal matrix */
    double *covariance; /* n x ESCALA_PARAMS x ESCALA_PARAMS, of a, b, c, d */
    double *fit_stats;  /* n x ESCALA_FIT_STATS */
    double *steps;      /* steps_size numbers: the ladders', as in escala_curves; what lies between them means nothing.
                         * NULL: ESCALA_AUTO considers no ladder, and one by name is DEGENERATE */
    int64_t steps_size; /* at least what escala_fit_steps says; 0 where steps is NULL */
} escala_fits;

int64_t escala_fit_workspace(int64_t n, const int64_t *offsets);
/* Count the numbers that `steps` has room for at least: 0 where no ladder can come out. n, offsets and family of the
 * records are looked at; -1 where they are none. */
int64_t escala_fit_steps(const escala_records *records);
int escala_fit(const escala_records *records, const escala_fits *fits, void *workspace, int64_t workspace_size,
               escala_fault *fault);

/* Multiply weights by 2^(-age/half_life), age before the newest record of positive weight of the same instrument: give
 * the result to escala_fit as weights. times: records->size, finite, of any unit; half_life: positive, of the same one.
 * out: records->size; only records within the offsets are written. */
int escala_decay(const escala_records *records, const double *times, double half_life, double *out,
                 escala_fault *fault);

/* ---- Allocation: escala.allocate ---- */

/* draws x totals problems over n instruments. Fill with escala_allocation_defaults first. */
typedef struct escala_allocation {
    escala_curves curves;        /* params: draws x n x ESCALA_PARAMS; all draws share what else there is */
    int64_t draws;               /* default 1 */
    int64_t totals;              /* default 1 */
    const double *total;         /* totals: money, at least 0; with a goal the most that there is */
    const double *target;        /* totals: what is sought, where `goal` is not ESCALA_TARGET_NONE */
    /* here and below `values` are n */
    /* generated: settings */
    escala_input min_efficiency; /* least efficiency at which an instrument holds capital;
                                  * fraction, in [0, 1], default 0 */
    escala_input lower;          /* least capital; where it is positive the instrument must hold it;
                                  * amount, in [0, inf), default 0 */
    escala_input upper;          /* most capital; amount, in [0, inf], default inf */
    escala_input min_ticket;     /* least capital of an instrument that holds any; amount, in [0, inf), default 0 */
    escala_input max_share;      /* most capital as a share of the total; 1 is no bound;
                                  * fraction, in [0, 1], default 1 */
    escala_input priority;       /* weight of the utility; ratio, in [0, inf), default 1 */
    escala_input current;        /* capital held before; amount, in [0, inf), default 0 */
    escala_input buy_cost;       /* what a unit of capital costs to buy; fraction, in [0, 1], default 0 */
    escala_input sell_cost;      /* what a unit of capital costs to sell; fraction, in [0, 1], default 0 */
    escala_input fixed_cost;     /* what it costs to trade the instrument at all; amount, in [0, inf), default 0 */
    escala_input lots;           /* amounts are whole multiples of it; 0: any amount; amount, in [0, inf), default 0 */
    /* end of settings */
    /* Groups that lie in one another or apart: each comes before what it lies in. 0: none. */
    int64_t groups;
    const int64_t *group_of;     /* n: the innermost group of every instrument, or -1 */
    const int64_t *group_around; /* groups: the group around every group, or -1 */
    /* Groups that overlap, where there are kinds of instruments: those of a kind are in the same groups. */
    int64_t kinds;              /* then `group_of` has the kind of each instrument, or -1; `group_around` is not read */
    const int64_t *kind_begins; /* kinds + 1: where the groups of each begin in `kind_groups`, first 0 */
    const int64_t *kind_groups; /* kind_begins[kinds]: the groups of each, rising */
    /* `values` are groups */
    /* generated: groups */
    escala_input group_upper; /* most capital of a group; amount, in [0, inf], default inf */
    escala_input group_lower; /* least capital of a group; amount, in [0, inf), default 0 */
    escala_input group_share; /* most capital of a group as a share of the total; 1 is no bound;
                               * fraction, in [0, 1], default 1 */
    /* end of groups */
    /* generated: controls */
    double reserve;     /* share of the total that stays out; fraction, in [0, 1), default 0 */
    double hurdle;      /* what money returns elsewhere; ratio, in [0, inf), default 0 */
    double tolerance;   /* gap at which the search ends; -1, the default: 1e-9*n*n, at most 1e-4; ratio, in [0, 1] */
    double step;        /* increment of the greedy method; 0, the default: a thousandth of the total;
                         * amount, in (0, inf) */
    int64_t max_nodes;  /* problems after which the search ends; count, an integer in [0, 10000000], default 2000 */
    int64_t max_count;  /* most instruments that hold anything; 1e9, the default: no limit;
                         * count, an integer in [0, 1000000000] */
    int64_t min_count;  /* least instruments that hold anything; count, an integer in [0, 1000000000], default 0 */
    int32_t exactly;    /* all money must be placed; an integer in [0, 1], default 0 */
    int32_t distribute; /* what min_efficiency leaves over is placed in a second solve;
                         * an integer in [0, 1], default 1 */
    int32_t greedy;     /* increments of the step, in place of the optimum and its proof;
                         * an integer in [0, 1], default 0 */
    int64_t goal;       /* what the total is sought for: escala_target; code, an integer in [0, 3], default 0 */
    /* end of controls */
} escala_allocation;

/* What totals are sought for. */
/* generated: target */
enum escala_target {
    ESCALA_TARGET_NONE = 0,       /* nothing: the total is given */
    ESCALA_TARGET_UTILITY = 1,    /* the least money that returns it */
    ESCALA_TARGET_EFFICIENCY = 2, /* the most money whose whole keeps it */
    ESCALA_TARGET_MARGINAL = 3    /* the money at which the next unit returns it */
};
/* end of target */

/* Columns of `solution`. */
/* generated: solution */
enum escala_solution {
    ESCALA_SOLUTION_SHADOW_PRICE = 0, /* what one more unit of money returns */
    ESCALA_SOLUTION_DUAL_PRICE,       /* the price of money at which the bound is lowest, above the hurdle */
    ESCALA_SOLUTION_DUAL_BOUND,       /* the bound at that price */
    ESCALA_SOLUTION_UPPER_BOUND,      /* no feasible allocation has a higher utility */
    ESCALA_SOLUTION_UTILITY,          /* what the amounts return above the hurdle */
    ESCALA_SOLUTION_GAP,              /* (upper_bound - utility)/|upper_bound| */
    ESCALA_SOLUTION_STATUS,           /* how it ended: escala_allocation_status */
    ESCALA_SOLUTION_NODES,            /* problems solved by the search */
    ESCALA_SOLUTION_CULPRIT,          /* infeasible: the instrument or group to blame, -1 where it is all of them
                                       * together */
    ESCALA_SOLUTION_EXCESS,           /* infeasible: by how much the bounds conflict, or the nearest target; NaN:
                                       * not known */
    ESCALA_SOLUTION_PHASES,           /* 2 where a second solve placed what min_efficiency left over, else 1 */
    ESCALA_SOLUTION_TOTAL,            /* money there is: as given, or what was found for the target */
    ESCALA_SOLUTION_SIZE
};
/* end of solution */

/* From NO_ROOM on there is no answer: the problem is infeasible. */
/* generated: allocation_status */
enum escala_allocation_status {
    ESCALA_OPTIMAL = 0,           /* the gap is within the tolerance */
    ESCALA_GAP_OPEN = 1,          /* the best that was found, and how far from the optimum it may be at most */
    ESCALA_NO_ROOM = 2,           /* an instrument's lower bounds exceed its upper ones */
    ESCALA_NO_CURVE_FORCED = 3,   /* `lower` forces an instrument in that can hold nothing */
    ESCALA_LOWER_ABOVE_MONEY = 4, /* lower bounds add up to more than there is */
    ESCALA_TOO_LITTLE_ROOM = 5,   /* exactly: upper bounds leave room for less */
    ESCALA_NO_COMBINATION = 6,    /* exactly: no combination of instruments adds up */
    ESCALA_NOT_FOUND = 7,         /* exactly: none was found */
    ESCALA_UNSOLVED = 8,          /* no price was found: the numbers are too far apart */
    ESCALA_GROUP_FULL = 9,        /* lower bounds of a group's instruments add up to more than it may hold */
    ESCALA_GROUP_SHORT = 10,      /* a group must hold more than its instruments may */
    ESCALA_TARGET_MISSED = 11,    /* no total meets the target */
    ESCALA_GROUPS_CONFLICT = 12,  /* limits of groups that overlap leave no allocation together */
    ESCALA_TOO_FEW = 13,          /* fewer instruments may hold anything than `min_count` asks for */
    ESCALA_TOO_MANY = 14,         /* more instruments must hold something than `max_count` allows */
    ESCALA_COUNT_ABOVE_MONEY = 15 /* the smallest holdings of `min_count` instruments exceed the money */
};
/* end of allocation_status */

/* Codes of `binding`: what keeps an instrument's capital where it is. */
/* generated: binding */
enum escala_binding {
    ESCALA_BINDING_NONE = 0,      /* nothing: its marginal utility is the shadow price */
    ESCALA_BINDING_PRICE = 1,     /* the next unit, or the first, would return less than the shadow price */
    ESCALA_BINDING_LOWER = 2,     /* `lower` keeps it up */
    ESCALA_BINDING_UPPER = 3,     /* `upper` keeps it down */
    ESCALA_BINDING_SHARE = 4,     /* `max_share` keeps it down */
    ESCALA_BINDING_LIMIT = 5,     /* its curve is trusted no further */
    ESCALA_BINDING_THRESHOLD = 6, /* `min_efficiency` keeps it down, up or out */
    ESCALA_BINDING_TICKET = 7,    /* `min_ticket` keeps it up, or out */
    ESCALA_BINDING_NO_CURVE = 8,  /* there is no curve */
    ESCALA_BINDING_HELD = 9,      /* trading it would cost more than it gains */
    ESCALA_BINDING_GROUP = 10,    /* a limit of its group */
    ESCALA_BINDING_COUNT = 11,    /* `max_count` keeps it out, or `min_count` in */
    ESCALA_BINDING_LOT = 12       /* its next lot would return less than the shadow price, or does not fit */
};
/* end of binding */

/* One row a problem; problem = draw*totals + index of the total. */
typedef struct escala_answers {
    double *amounts;  /* problems x n; NaN where there is no answer */
    int8_t *binding;  /* problems x n */
    double *solution; /* problems x ESCALA_SOLUTION_SIZE; NaN where there is no answer, but from status on */
    double *group_prices; /* problems x groups: what one more unit of each group's limit returns, NaN where there is
                           * no answer; NULL: not wanted. Those of `first` are not written */
} escala_answers;

void escala_allocation_defaults(escala_allocation *problem);
int64_t escala_allocate_workspace(const escala_allocation *problem);

/* Solve. `first`, if not NULL, gets the answers before what was left over was placed (the same where nothing was).
 * ESCALA_INFEASIBLE: fault->index is the first problem without an answer, fault->value by how much its bounds conflict
 * (NaN where that is not known: no combination adds up), and column ESCALA_SOLUTION_STATUS of the answers says which
 * problems have none. An answer depends on its own block of 64 problems alone (searches begin where the one before
 * ended): to split many totals over threads with the same bits, let the parts begin at multiples of 64. */
int escala_allocate(const escala_allocation *problem, const escala_answers *answers, const escala_answers *first,
                    void *workspace, int64_t workspace_size, escala_fault *fault);

/* ---- Lending loops: escala.simulate ---- */

/* n scenarios: arguments of escala.simulate and fields of escala.LendingStrategy, whose ranges, units and defaults
 * hold. Fill with escala_scenarios_defaults first; supply, borrow, target and wallet have no default. */
typedef struct escala_scenarios {
    int64_t n;
    /* generated: scenarios */
    escala_input supply;                  /* collateral at the start; amount, in [1e-100, 1e+100] */
    escala_input borrow;                  /* debt at the start; amount, 0 or in [1e-100, 1e+100] */
    escala_input target;                  /* collateral wanted; amount, in [1e-100, 1e+100] */
    escala_input wallet;                  /* free cash at the start; amount, 0 or in [1e-100, 1e+100] */
    escala_input min_profit;              /* smallest cash an operation must leave;
                                           * amount, in [0, 1e+100], default 1e-06 */
    escala_input repay;                   /* share of the debt that an operation repays;
                                           * fraction, in [0, 1], default 0.11 */
    escala_input repay_stalling;          /* share of the debt repaid after more than stalling_after operations
                                           * without progress; fraction, in [0, 1], default 0.07 */
    escala_input repay_stalled;           /* share of the debt repaid after more than stalled_after operations
                                           * without progress; fraction, in [0, 1], default 0.035 */
    escala_input repay_floor;             /* how far the repayment is lowered when a plan does not fit;
                                           * fraction, in [0, 1], default 0.03 */
    escala_input repay_step;              /* steps in which the repayment is lowered;
                                           * fraction, in (0, 1], default 0.005 */
    escala_input target_ltv;              /* limit of debt/supply;
                                           * ratio, in [0, 1), at most ltv_ceiling, default 0.69 */
    escala_input target_ltv_stalled;      /* limit of debt/supply after more than stalled_after operations without
                                           * progress; ratio, in [0, 1), at most ltv_ceiling, default 0.73 */
    escala_input ltv_floor;               /* how far the limit of debt/supply is lowered when a plan does not fit;
                                           * ratio, in [0, 1), at most ltv_ceiling, default 0.5 */
    escala_input ltv_ceiling;             /* how far the limit of debt/supply is raised when a plan does not fit;
                                           * ratio, in (0, 1), default 0.73 */
    escala_input ltv_step;                /* steps in which the limit of debt/supply is lowered;
                                           * ratio, in (0, 1], default 0.01 */
    escala_input ltv_nudge;               /* added when the limit of debt/supply is raised to what a plan needs;
                                           * ratio, in [0, 1], default 1e-06 */
    escala_input draw_fraction;           /* share of the safe maximum that is borrowed;
                                           * fraction, in (0, 1], default 0.8 */
    escala_input wallet_fraction;         /* most that is moved from the wallet at once, as a share of the supply;
                                           * fraction, in [0, 1], default 0.7 */
    escala_input fee_rate;                /* cost of a repayment, as a share of it;
                                           * fraction, in [0, 1], default 0.0025 */
    escala_input liquidation_threshold;   /* share of the supply that counts against the debt;
                                           * fraction, in (0, 1], default 0.74 */
    escala_input min_health_factor;       /* what every executed operation must leave more than;
                                           * ratio, in [1, 1000000.0], default 1.01 */
    escala_input reinvest_far;            /* share reinvested of what is drawn beyond repayment and fee, far from
                                           * the target; fraction, in [0, 1], default 0.6 */
    escala_input reinvest_mid;            /* share reinvested at a middle distance; fraction, in [0, 1], default 0.4 */
    escala_input reinvest_near;           /* share reinvested near the target; fraction, in [0, 1], default 0.2 */
    escala_input far_gap;                 /* distance, as a multiple of the supply, beyond which a target is far;
                                           * ratio, in [0, 1e+100], default 0.5 */
    escala_input near_gap;                /* distance, as a multiple of the supply, up to which a target is near;
                                           * ratio, in [0, 1e+100], at most far_gap, default 0.2 */
    escala_input reinvest_stalling;       /* share reinvested after more than stalling_after operations without
                                           * progress; fraction, in [0, 1], default 0.1 */
    escala_input reinvest_stalled;        /* share reinvested after more than stalled_after operations without
                                           * progress; fraction, in [0, 1], default 0.05 */
    escala_input reinvest_decay;          /* factor that lowers the share reinvested when a plan does not fit;
                                           * ratio, in [0, 1), default 0.95 */
    escala_input reinvest_snap;           /* amount below which nothing is reinvested;
                                           * amount, in [0, 1e+100], default 1e-09 */
    escala_input stalling_after;          /* operations without progress after which a run is stalling;
                                           * count, an integer in [0, 2147483647], at most stalled_after, default 2 */
    escala_input stalled_after;           /* operations without progress after which a run is stalled;
                                           * count, an integer in [0, 2147483647], default 5 */
    escala_input stagnation_tolerance;    /* growth of the supply below which an operation made no progress;
                                           * amount, in [0, 1e+100], default 3e-05 */
    escala_input max_rescale_attempts;    /* most plans tried in one operation;
                                           * count, an integer in [1, 1000000], default 50 */
    escala_input max_fallback_attempts;   /* most smaller drawings tried when a plan may not be executed;
                                           * count, an integer in [0, 1000000], default 5 */
    escala_input max_stagnant_operations; /* operations without progress after which a scenario ends;
                                           * count, an integer in [1, 2147483647], default 35 */
    escala_input max_operations;          /* operations after which a scenario ends;
                                           * count, an integer in [1, 2147483647], default 10000 */
    /* end of scenarios */
} escala_scenarios;

/* generated: stop */
enum escala_stop {
    ESCALA_TARGET_REACHED = 0, /* target reached */
    ESCALA_STALLED = 1,        /* stalled */
    ESCALA_MAX_OPERATIONS = 2  /* operations spent */
};
/* end of stop */

/* Arrays of n; those that are NULL are not wanted. */
typedef struct escala_outcomes {
    /* generated: outcomes */
    double *final_supply;          /* collateral at the end */
    double *final_borrow;          /* debt at the end */
    double *final_buffer;          /* profit kept at the end for the next operation's supply */
    double *final_wallet;          /* free cash at the end */
    double *profit;                /* cash drawn by new borrowing and owed back: read it beside net_equity_change */
    double *fees;                  /* cost of all repayments */
    double *repaid;                /* debt repaid by executed operations */
    double *drawn;                 /* debt drawn by executed operations */
    double *lowest_profit;         /* lowest of an executed operation; inf if there is none */
    double *lowest_health_factor;  /* lowest right after an executed operation; inf if there is none */
    int64_t *executed;             /* operations that were executed */
    int64_t *skipped;              /* operations that found no plan, or whose plan did not pass */
    int64_t *stagnant;             /* operations that made no progress */
    int64_t *positive;             /* executed operations whose profit was above 0, counted */
    int64_t *rescale_attempts;     /* plans tried in all */
    int64_t *rescale_attempts_max; /* most plans tried in one operation */
    int64_t *fallback_attempts;    /* tries of the fallback in all */
    int64_t *stop;                 /* why it ended; escala_stop */
    /* end of outcomes */
} escala_outcomes;

void escala_scenarios_defaults(escala_scenarios *scenarios);
int64_t escala_simulate_workspace(int64_t n);

/* Run every scenario to its end, which max_operations bounds. */
int escala_simulate(const escala_scenarios *scenarios, const escala_outcomes *outcomes, void *workspace,
                    int64_t workspace_size, escala_fault *fault);

/* ---- Plans of a position: escala.plan_leverage and escala.plan_unwind ---- */

/* Where plans end: ROUNDS, LEVERAGE, LTV and SUPPLY of such that build leverage, LEVERAGE, LTV, REPAY and CLOSE of such
 * that take it off. */
/* generated: plan_target */
enum escala_plan_target {
    ESCALA_PLAN_TO_ROUNDS = 0,   /* nowhere: all rounds are made, up to the limit */
    ESCALA_PLAN_TO_LEVERAGE = 1, /* supply/(supply - borrow) */
    ESCALA_PLAN_TO_LTV = 2,      /* borrow/supply */
    ESCALA_PLAN_TO_SUPPLY = 3,   /* the supply */
    ESCALA_PLAN_TO_REPAY = 4,    /* how much debt is repaid, at most what there is */
    ESCALA_PLAN_TO_CLOSE = 5     /* without debt: what collateral is left is taken out */
};
/* end of plan_target */

/* n plans: arguments of escala.plan_leverage and escala.plan_unwind, whose ranges, units and defaults hold. Fill with
 * escala_plans_defaults first; the target and the limits have no default. */
typedef struct escala_plans {
    int64_t n;
    int32_t kind;        /* of all targets: escala_plan_target; default ESCALA_PLAN_TO_ROUNDS */
    escala_input target; /* their values: leverage in [1, 1e6], LTV in [0, 1), amounts; not read of ROUNDS, CLOSE */
    /* max_ltv: to take leverage off NaN, its default, leaves it to the health factor; equity must then be 0 */
    /* generated: plans */
    escala_input equity;                /* new collateral that is deposited first;
                                         * amount, 0 or in [1e-100, 1e+100], default 0 */
    escala_input supply;                /* collateral before the plan; amount, 0 or in [1e-100, 1e+100], default 0 */
    escala_input borrow;                /* debt before the plan; amount, 0 or in [1e-100, 1e+100], default 0 */
    escala_input max_ltv;               /* most debt/supply that a borrowing or a withdrawal may leave;
                                         * ratio, in (0, 1) */
    escala_input liquidation_threshold; /* share of the supply that counts against the debt; fraction, in (0, 1] */
    escala_input min_health_factor;     /* least health factor that a step may leave; ratio, in [1, 1000000.0] */
    escala_input rounds;                /* most rounds of three operations;
                                         * count, an integer in [0, 10000], default 100 */
    escala_input fee_rate;              /* cost of what is borrowed or repaid, as a share of it;
                                         * fraction, in [0, 1), default 0 */
    escala_input swap_fee;              /* fee of the exchange, as a share of what is traded;
                                         * fraction, in [0, 1), default 0 */
    escala_input flash_fee;             /* fee of a flash loan, as a share of it; fraction, in [0, 1), default 0 */
    escala_input flash_steps;           /* operations that cost as much gas as the one transaction of a flash loan;
                                         * count, in [0, 1e+100], default 3 */
    /* end of plans */
    escala_input depth;   /* what a trade loses to the market; fraction, in [0, 1), default 0; 0 if there are curves */
    escala_curves curves; /* efficiencies of a trade by its size: n curves, one for all plans, or none, the default */
} escala_plans;

/* generated: plan_status */
enum escala_plan_status {
    ESCALA_PLAN_REACHED = 0,     /* target reached */
    ESCALA_PLAN_MET = 1,         /* no round is needed: the position is there already */
    ESCALA_PLAN_BEYOND = 2,      /* no round is made: the position is beyond the target */
    ESCALA_PLAN_ROUNDS = 3,      /* all rounds that were allowed are made */
    ESCALA_PLAN_UNREACHABLE = 4, /* no number of rounds reaches the target */
    ESCALA_PLAN_STUCK = 5        /* another round would move nothing */
};
/* end of plan_status */

/* Arrays of n; those that are NULL are not wanted. */
typedef struct escala_leverage {
    /* generated: leverage */
    double *final_supply;         /* collateral at the end */
    double *final_borrow;         /* debt at the end */
    double *lowest_health_factor; /* lowest after any operation of the plan; inf without debt */
    double *fees;                 /* cost of what was borrowed or repaid */
    double *swap_cost;            /* what the trades lost: fee of the exchange and depth of the market */
    double *drawn;                /* debt drawn in all */
    double *bought;               /* collateral bought in all */
    double *supply_bound;         /* supply that no number of rounds exceeds, by proof, with costs */
    double *flash_loan;           /* its flash loan */
    double *flash_supply;         /* collateral after it */
    double *flash_borrow;         /* debt after it */
    double *flash_fees;           /* its fees: of the flash loan and of what was borrowed or repaid */
    double *flash_swap_cost;      /* what its trade lost */
    double *break_even_gas;       /* cost of an operation from which on the flash loan is the cheaper way; NaN where
                                   * only one way leads there */
    double *flash_supply_bound;   /* most supply that a flash loan reaches within the limits */
    int64_t *status;              /* how it ends; escala_plan_status */
    int64_t *rounds_made;         /* rounds of three operations */
    int64_t *operations_made;     /* operations */
    int64_t *flash_reachable;     /* 1 if one transaction with a flash loan reaches the target within the limits */
    /* end of leverage */
} escala_leverage;

/* Arrays of n; those that are NULL are not wanted. */
typedef struct escala_unwind {
    /* generated: unwind */
    double *final_supply;         /* collateral at the end */
    double *final_borrow;         /* debt at the end */
    double *cash_out;             /* collateral taken out at the end, not sold */
    double *lowest_health_factor; /* lowest after any operation of the plan; inf without debt */
    double *fees;                 /* cost of what was borrowed or repaid */
    double *swap_cost;            /* what the trades lost: fee of the exchange and depth of the market */
    double *sold;                 /* collateral sold in all */
    double *repaid;               /* debt repaid in all */
    double *first_step;           /* most that can be withdrawn at first */
    double *shortfall;            /* debt that a sale of all collateral would not cover */
    double *flash_loan;           /* its flash loan */
    double *flash_supply;         /* collateral after it */
    double *flash_borrow;         /* debt after it */
    double *flash_fees;           /* its fees: of the flash loan and of what was borrowed or repaid */
    double *flash_swap_cost;      /* what its trade lost */
    double *break_even_gas;       /* cost of an operation from which on the flash loan is the cheaper way; NaN where
                                   * only one way leads there */
    double *flash_cash_out;       /* collateral taken out at the end of the one transaction, not sold */
    int64_t *status;              /* how it ends; escala_plan_status */
    int64_t *rounds_made;         /* rounds of three operations */
    int64_t *operations_made;     /* operations */
    int64_t *flash_reachable;     /* 1 if one transaction with a flash loan reaches the target within the limits */
    /* end of unwind */
} escala_unwind;

/* generated: plan_action */
enum escala_plan_action {
    ESCALA_ACTION_DEPOSIT = 0,         /* supply collateral */
    ESCALA_ACTION_BORROW = 1,          /* draw debt */
    ESCALA_ACTION_BUY = 2,             /* buy collateral with what was borrowed */
    ESCALA_ACTION_WITHDRAW = 3,        /* take collateral out */
    ESCALA_ACTION_SELL = 4,            /* sell the collateral that was taken out */
    ESCALA_ACTION_REPAY = 5,           /* pay debt back */
    ESCALA_ACTION_FLASH_LOAN = 6,      /* borrow for the length of one transaction */
    ESCALA_ACTION_REPAY_FLASH_LOAN = 7 /* pay that and its fee back */
};
/* end of plan_action */

/* The operations of all plans, one after the other: plan i has those from offsets[i] on, below offsets[i + 1]. Arrays
 * that are NULL are not wanted, but offsets must be there. */
typedef struct escala_operations {
    int64_t capacity; /* of each array: at least what operations_made of all plans adds up to */
    int64_t *offsets; /* n + 1 */
    /* generated: operations */
    int64_t *action;       /* what is done; escala_plan_action */
    double *amount;        /* how much: of a purchase or a sale what comes out of it */
    double *fee;           /* what it costs, without gas */
    double *supply;        /* collateral after it */
    double *borrow;        /* debt after it */
    double *cash;          /* money or collateral in hand after it */
    double *health_factor; /* supply*liquidation_threshold/borrow after it; inf without debt */
    double *ltv;           /* borrow/supply after it; 0 without debt */
    /* end of operations */
} escala_operations;

void escala_plans_defaults(escala_plans *plans);
/* Size for either of the two; `rounds` is looked at. */
int64_t escala_plan_workspace(const escala_plans *plans);

/* Plan how every position reaches its target. `operations`, if not NULL, gets what is to be done. If its capacity is
 * too small the answer is ESCALA_BAD_SIZE, and all outcomes and offsets are written: the last offset is the capacity
 * that is needed. Of the operations there are then those of the first plans, as far as there is room. */
int escala_plan_leverage(const escala_plans *plans, const escala_leverage *outcomes,
                         const escala_operations *operations, void *workspace, int64_t workspace_size,
                         escala_fault *fault);
int escala_plan_unwind(const escala_plans *plans, const escala_unwind *outcomes, const escala_operations *operations,
                       void *workspace, int64_t workspace_size, escala_fault *fault);

/* end of declarations */

#ifdef __cplusplus
}
#endif

#endif
