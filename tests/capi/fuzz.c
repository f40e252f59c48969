/* Random calls of every function: fuzz SEED COUNT
 *
 * Numbers are ordinary, extreme (NaN, inf, subnormal, huge) or any bits at all; sizes are those of the buffers,
 * negative or absurd; pointers are sometimes NULL. Every buffer ends at a page that may not be touched. What is
 * checked: no call crashes or hangs, statuses are known ones, a fault names an argument, groups hold what they may.
 * Prints how often each function gave each status.
 */
#define _GNU_SOURCE
#include <escala.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST = 24, PAGE = 4096, WORKSPACE = 1 << 20, MOST_STEPS = 1 << 14 };

static uint64_t state;

static uint64_t next(void) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

static uint64_t below(uint64_t n) { return (next() >> 33) % n; }

static double uniform(void) { return (double)(next() >> 11) * 0x1p-53; }

static double any(void) {
    static const double odd[] = {0.0,    -0.0,   1.0,   -1.0,  NAN,    INFINITY, -INFINITY,
                                 5e-324, 1e-308, 1e308, 1e100, 1e-100, 0.5,      2.0};
    double v;
    uint64_t bits = next();
    if (below(2)) {
        return odd[below(sizeof odd / sizeof *odd)];
    }
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Ordinary numbers, but for one call in eight, which mixes in what `any` gives. */
static int strange;

static double number(double low, double high) {
    if (strange && !below(8)) {
        return any();
    }
    return below(16) ? low + (high - low) * uniform() : (below(2) ? low : high);
}

static double capital(void) { return strange && !below(8) ? any() : exp(number(-3.0, 16.0)); }

static int64_t size(int64_t n) {
    static const int64_t odd[] = {-1, INT64_MIN, INT64_MAX, INT64_C(1) << 62, (INT64_C(1) << 40) + 1, 0};
    return strange && !below(32) ? odd[below(6)] : n;
}

/* Memory that ends where a page begins that may not be touched. */
typedef struct {
    char *end;
    char *unused;
} area;

static area map(size_t most) {
    size_t whole = (most + PAGE - 1) / PAGE * PAGE;
    char *start = mmap(NULL, whole + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + whole, PAGE, PROT_NONE)) {
        exit(3);
    }
    return (area){start + whole, start};
}

static void *last(area a, size_t bytes) { return strange && !below(64) ? NULL : a.end - bytes; }

static void fail(const char *what, int status) {
    fprintf(stderr, "%s: status %d\n", what, status);
    exit(4);
}

enum { EVALUATE, THRESHOLD, CURVES, FIT, DECAY, ALLOCATE, SIMULATE, PLAN, CALLS };
static const char *const NAMES[CALLS] = {"evaluate", "threshold", "check_curves", "fit",
                                         "decay",    "allocate",  "simulate",     "plan"};
static int64_t counted[CALLS][ESCALA_INFEASIBLE + 1];

static void check(int call, int status, const escala_fault *fault) {
    if (status < ESCALA_OK || status > ESCALA_INFEASIBLE || (!status) != (!fault->argument)) {
        fail(NAMES[call], status);
    }
    counted[call][status]++;
}

static area areas[35];
static double *floats(int k, int64_t n, double (*draw)(void)) {
    double *values = last(areas[k], (size_t)n * sizeof *values);
    for (int64_t i = 0; values && draw && i < n; i++) {
        values[i] = draw();
    }
    return values;
}

static double share(void) { return number(0.0, 1.0); }
static double small(void) { return number(-1.0, 1.0) * exp(number(-16.0, 1.0)); }
static double money(void) { return number(0.0, 1e7); }
static double plain(void) { return number(0.0, 100.0); }

static escala_input input(int k, int64_t n, double low, double high) {
    escala_input one = {number(low, high), NULL};
    if (!below(4)) {
        double *values = (double *)areas[k].end - n;
        for (int64_t i = 0; i < n; i++) {
            values[i] = number(low, high);
        }
        one.values = values;
    }
    return one;
}

/* The steps of a ladder: knots, slopes and utilities, so many of each. */
static void climb(double *steps, int64_t count) {
    double *knot = steps, *slope = steps + count, *utility = slope + count;
    for (int64_t j = 0; j < count; j++) {
        knot[j] = j ? knot[j - 1] + fabs(capital()) : 0.0;
        slope[j] = (j ? slope[j - 1] : 1.0) * share();
        utility[j] = j ? utility[j - 1] + slope[j - 1] * (knot[j] - knot[j - 1]) : 0.0;
    }
    if (strange && !below(16)) {
        steps[below((uint64_t)(ESCALA_LADDER_STEP * count))] = any();
    }
}

static const int8_t FAMILIES[] = {ESCALA_LINEAR, ESCALA_QUADRATIC, ESCALA_EXPONENTIAL,
                                  ESCALA_SQRT,   ESCALA_HILL,      ESCALA_DEPTH,
                                  ESCALA_POWER,  ESCALA_LADDER};
enum { KNOWN = sizeof FAMILIES };

static escala_curves curves(int64_t n, int64_t draws) {
    int64_t count[MOST], place[MOST], size_of_steps = 0;
    int8_t *family = last(areas[0], (size_t)n);
    double *params = floats(1, ESCALA_PARAMS * n * draws, small), *origin = floats(2, n, plain), *trusted_to = floats(3, n, capital);
    for (int64_t i = 0; family && i < n; i++) {
        family[i] = strange && !below(256) ? (int8_t)next() : FAMILIES[below(KNOWN)];
    }
    for (int64_t i = 0; i < n; i++) {
        place[i] = size_of_steps;
        count[i] = 1 + (int64_t)below(6);
        size_of_steps += family && family[i] == ESCALA_LADDER ? ESCALA_LADDER_STEP * count[i] : 0;
    }
    double *steps = floats(18, size_of_steps, NULL);
    for (int64_t i = 0; steps && family && i < n; i++) {
        if (family[i] == ESCALA_LADDER) {
            climb(steps + place[i], count[i]);
        }
    }
    for (int64_t i = 0; params && family && i < n * draws; i++) {
        double *p = params + ESCALA_PARAMS * i;
        if (below(8)) {
            p[1] = fabs(p[1]);
        } else if (below(2)) {
            p[0] = p[1] = p[2] = p[3] = NAN;
        }
        if (family[i % n] == ESCALA_LINEAR || family[i % n] == ESCALA_SQRT) {
            p[0] = -fabs(p[0]) * 1e-5;
            p[1] = share();
        } else if (family[i % n] == ESCALA_HILL && below(8)) {
            p[0] = share();
            p[1] = capital();
            p[2] = number(1.0, 20.0);
        } else if ((family[i % n] == ESCALA_DEPTH || family[i % n] == ESCALA_POWER) && below(8)) {
            p[0] = share();
            p[1] = family[i % n] == ESCALA_DEPTH ? capital() : number(0.0, 2.0);
            p[2] = number(0.05, 8.0);
            p[3] = family[i % n] == ESCALA_DEPTH ? 0.0 : capital();
        } else if (family[i % n] == ESCALA_LADDER && below(16)) {
            p[0] = share();
            p[1] = below(2) ? 1.0 : capital();
            p[2] = strange && !below(32) ? number(0.0, 9.0) : (double)count[i % n];
            p[3] = strange && !below(32) ? number(-1.0, 99.0) : (double)place[i % n];
        }
    }
    return (escala_curves){size(n), family, params, origin, trusted_to, steps, size(size_of_steps)};
}

static void evaluate(void) {
    escala_fault fault;
    int64_t n = (int64_t)below(MOST), m = (int64_t)below(MOST), rows = below(2) ? 1 : n;
    escala_curves c = curves(n, 1);
    double *x = floats(4, rows * m, capital), *out = floats(5, n * m, NULL);
    static int (*const wanted[])(const escala_curves *, const double *, int64_t, int64_t, double *, escala_fault *) = {
        escala_efficiency, escala_utility, escala_marginal};
    check(EVALUATE, wanted[below(3)](&c, x, size(rows), size(m), out, &fault), &fault);
    check(THRESHOLD, escala_threshold(&c, floats(4, n, share), floats(5, n, NULL), floats(6, n, NULL), &fault), &fault);
    check(CURVES, escala_check_curves(&c, &fault), &fault);
}

static void fit(void) {
    escala_fault fault;
    int64_t n = (int64_t)below(MOST), *offsets = (int64_t *)areas[0].end - (n + 1), records = 0;
    for (int64_t i = 0; i <= n; i++) {
        offsets[i] = strange && !below(64) ? size(records) : records;
        records += i < n ? (int64_t)(below(8) ? below(9) : below(200)) : 0;
    }
    int8_t *wanted = last(areas[1], (size_t)n);
    for (int64_t i = 0; wanted && i < n; i++) {
        wanted[i] = strange && !below(256) ? (int8_t)next() : below(5) ? FAMILIES[below(KNOWN)] : ESCALA_AUTO;
    }
    double *x = floats(2, records, capital), *y = floats(3, records, share);
    double *w = below(2) ? floats(4, records, plain) : NULL;
    for (int64_t k = 1; x && k < records; k++) {
        x[k] = below(8) ? x[k] : x[k - 1];
    }
    escala_records r = {size(n), size(records), offsets, x, y, w, wanted};
    escala_fits fits = {last(areas[5], (size_t)n), last(areas[6], (size_t)n), last(areas[7], (size_t)n * 8),
                        floats(8, ESCALA_PARAMS * n, NULL), floats(9, n, NULL), floats(10, n, NULL),
                        floats(11, 6 * n, NULL), floats(12, ESCALA_PARAMS * ESCALA_PARAMS * n, NULL),
                        floats(13, ESCALA_FIT_STATS * n, NULL), NULL, 0};
    int64_t steps = escala_fit_steps(&r);
    if (steps > 0 && steps < MOST_STEPS && below(8)) {
        fits.steps = last(areas[19], (size_t)steps * sizeof *fits.steps);
        fits.steps_size = size(strange && !below(16) ? steps / 2 : steps);
    }
    int64_t needed = escala_fit_workspace(r.n, offsets);
    int64_t given = needed < 0 || needed > WORKSPACE ? WORKSPACE : needed;
    given = strange && !below(16) ? given / 2 : given;
    check(FIT, escala_fit(&r, &fits, last(areas[14], (size_t)given), given, &fault), &fault);
    check(DECAY, escala_decay(&r, x, number(1e-3, 1e3), floats(5, records, NULL), &fault), &fault);
}

/* What was held and what trading costs; now and then all of it, or some. */
static void trade(escala_allocation *p, int64_t n) {
    if (below(3)) {
        return;
    }
    p->current = input(19, n, 0.0, below(2) ? 1e5 : 1e7);
    p->buy_cost = below(2) ? input(20, n, 0.0, 0.1) : p->buy_cost;
    p->sell_cost = below(2) ? input(21, n, 0.0, below(4) ? 0.1 : 1.0) : p->sell_cost;
    p->fixed_cost = below(2) ? input(22, n, 0.0, 1e4) : p->fixed_cost;
}

/* Groups in one another or apart, each with instruments or around some that has; gives how many. */
static int64_t gather(escala_allocation *p, int64_t n) {
    int64_t groups = below(2) ? 0 : (int64_t)below((uint64_t)(n < 5 ? n + 1 : 6));
    int64_t *inside = last(areas[23], (size_t)n * sizeof *inside);
    int64_t *around = last(areas[24], (size_t)groups * sizeof *around);
    for (int64_t k = 0; around && k < groups; k++) {
        around[k] = k + 1 < groups && below(2) ? k + 1 + (int64_t)below((uint64_t)(groups - k - 1)) : -1;
    }
    for (int64_t i = 0; inside && i < n; i++) { /* one in each group, the others anywhere, or alone */
        inside[i] = i < groups ? i : (int64_t)below((uint64_t)groups + 1) - 1;
    }
    for (int64_t k = 0; inside && around && k < groups; k++) { /* a group of groups alone */
        if (around[k] >= 0 && inside[around[k]] == around[k] && !below(4)) {
            inside[around[k]] = k;
        }
    }
    for (int64_t i = n - 1; inside && i > 0; i--) {
        int64_t other = (int64_t)below((uint64_t)i + 1), moved = inside[i];
        inside[i] = inside[other];
        inside[other] = moved;
    }
    if (strange && groups && inside && around && !below(16)) { /* no group, an empty one, a circle */
        int64_t *spoiled = below(2) ? inside + below((uint64_t)n) : around + below((uint64_t)groups);
        *spoiled = below(2) ? (int64_t)below((uint64_t)groups + 3) - 2 : size(-1);
    }
    p->groups = size(groups);
    p->group_of = inside;
    p->group_around = around;
    p->group_upper = below(2) ? input(25, groups, 0.0, 1e7) : p->group_upper;
    p->group_lower = input(26, groups, 0.0, below(4) ? 0.0 : 1e4);
    p->group_share = below(2) ? input(27, groups, 0.0, 1.0) : p->group_share;
    return groups;
}

/* The same instruments in groups that may overlap: those of a kind are in the same. */
static void overlap(escala_allocation *p, int64_t n, int64_t groups) {
    int64_t kinds = groups && !below(2) ? 1 + (int64_t)below(4) : 0, links = 0;
    int64_t *begins = last(areas[33], (size_t)(kinds + 1) * sizeof *begins);
    int64_t *listed = last(areas[34], (size_t)(kinds * groups) * sizeof *listed), *of = (int64_t *)p->group_of;
    if (!kinds || !begins || !listed || !of) {
        return;
    }
    for (int64_t k = 0; k < kinds; k++) {
        begins[k] = links;
        for (int64_t group = 0; group < groups; group++) {
            if (below(2)) {
                listed[links++] = group;
            }
        }
    }
    begins[kinds] = links;
    for (int64_t i = 0; i < n; i++) {
        of[i] = (int64_t)below((uint64_t)kinds + 1) - 1;
    }
    if (strange && n && !below(16)) { /* no kind, no group, groups that fall */
        *(below(3) ? begins + below((uint64_t)kinds + 1) : of + below((uint64_t)n)) = size(-1);
        listed[0] = below(2) ? groups : listed[0];
    }
    p->kinds = strange && !below(64) ? size(kinds) : kinds;
    p->kind_begins = begins;
    p->kind_groups = listed;
}

/* Whether an instrument is in a group. */
static int is_in(const escala_allocation *p, int64_t i, int64_t k) {
    int64_t inside = p->group_of[i];
    if (p->kinds) {
        for (int64_t at = inside < 0 ? 0 : p->kind_begins[inside]; inside >= 0 && at < p->kind_begins[inside + 1]; at++) {
            if (p->kind_groups[at] == k) {
                return 1;
            }
        }
        return 0;
    }
    while (inside >= 0 && inside != k) {
        inside = p->group_around[inside];
    }
    return inside == k;
}

/* What the totals are sought for, if for anything: then they are the most that there is. */
static void seek(escala_allocation *p, int64_t totals) {
    static double (*const sought[])(void) = {NULL, money, share, share};
    p->goal = below(3) ? ESCALA_TARGET_NONE : 1 + (int64_t)below(3);
    p->target = p->goal ? floats(28, totals, sought[p->goal]) : NULL;
    p->goal = strange && !below(64) ? size(4) : p->goal;
}

static escala_answers answers(int k, int64_t problems, int64_t n, int64_t groups) {
    return (escala_answers){floats(k, problems * n, NULL), last(areas[k + 1], (size_t)(problems * n)),
                            floats(k + 2, problems * ESCALA_SOLUTION_SIZE, NULL),
                            below(2) ? floats(k == 11 ? 29 : 30, problems * groups, NULL) : NULL};
}

static double of(const escala_input *input, int64_t k) { return input->values ? input->values[k] : input->value; }

/* What every group holds lies between its limits, but for rounding, and its price is a number. */
static void hold(const escala_allocation *p, const escala_answers *a) {
    int64_t n = p->curves.n;
    for (int64_t row = 0; row < p->draws * p->totals; row++) {
        double total = a->solution[row * ESCALA_SOLUTION_SIZE + ESCALA_SOLUTION_TOTAL], rounding = 1e-9 * total;
        for (int64_t k = 0; k < p->groups; k++) {
            double held = 0.0, most = of(&p->group_upper, k), share = of(&p->group_share, k);
            most = share < 1.0 ? fmin(most, share * total) : most;
            for (int64_t i = 0; i < n; i++) {
                held += is_in(p, i, k) ? a->amounts[row * n + i] : 0.0;
            }
            if (!(held <= most + rounding && held >= of(&p->group_lower, k) - rounding)) {
                fail("a group's limit", ESCALA_OK);
            }
            if (a->group_prices && isnan(a->group_prices[row * p->groups + k])) {
                fail("a group's price", ESCALA_OK);
            }
        }
    }
}

static void allocate(void) {
    escala_fault fault;
    int64_t n = (int64_t)below(8), totals = (int64_t)below(4), draws = below(8) ? 1 : (int64_t)below(3);
    int64_t problems = totals * draws;
    escala_allocation p;
    escala_allocation_defaults(&p);
    p.curves = curves(n, draws);
    p.draws = draws;
    p.totals = size(totals);
    p.total = floats(4, totals, money);
    p.min_efficiency = input(5, n, 0.0, below(2) ? 0.0 : 0.9);
    p.lower = input(6, n, 0.0, below(4) ? 0.0 : 1e5);
    p.upper = input(7, n, 0.0, 1e8);
    p.min_ticket = input(8, n, 0.0, below(2) ? 0.0 : 1e5);
    p.max_share = input(9, n, 0.0, 1.0);
    p.priority = input(10, n, 0.0, 3.0);
    p.reserve = number(0.0, 0.9);
    p.hurdle = number(0.0, 0.3);
    p.tolerance = below(2) ? -1.0 : number(0.0, 1e-3);
    p.step = below(2) ? 0.0 : number(1e4, 1e6);
    p.max_nodes = strange && !below(16) ? size(-3) : (int64_t)below(20);
    p.exactly = (int32_t)!below(4);
    p.distribute = (int32_t)below(2);
    p.greedy = (int32_t)!below(4);
    trade(&p, n);
    int64_t groups = gather(&p, n);
    overlap(&p, n, groups);
    seek(&p, totals);
    if (below(8)) { /* a goal goes with neither, and what is greedy knows no groups and no trading */
        p.exactly = p.goal ? 0 : p.exactly;
        p.greedy = p.goal || p.groups || p.current.values || p.current.value != 0.0 ? 0 : p.greedy;
    }
    escala_answers a = answers(11, problems, n, groups), b = answers(15, problems, n, groups);
    int64_t needed = escala_allocate_workspace(&p), given = needed < 0 || needed > WORKSPACE ? WORKSPACE : needed;
    given = strange && !below(16) ? given / 2 : given;
    void *workspace = last(areas[14], (size_t)given);
    int status = escala_allocate(&p, &a, below(2) ? &b : NULL, workspace, given, &fault);
    check(ALLOCATE, status, &fault);
    if (status == ESCALA_OK) {
        hold(&p, &a);
    }
}

static void simulate(void) {
    escala_fault fault;
    int64_t n = 1 + (int64_t)below(70);
    escala_scenarios s;
    escala_scenarios_defaults(&s);
    s.n = size(n);
    s.supply = input(0, n, 1.0, 1e4);
    s.borrow = input(1, n, 0.0, 9e3);
    s.target = input(2, n, 1.0, 3e4);
    s.wallet = input(3, n, 0.0, 1e3);
    /* all fields of the strategy but the last ones, which say how long a scenario may take */
    enum {
        FIELDS = (offsetof(escala_scenarios, max_rescale_attempts) - offsetof(escala_scenarios, min_profit)) /
                 sizeof(escala_input)
    };
    escala_input *fields = &s.min_profit;
    for (int64_t k = 0; k < (int64_t)below(6); k++) { /* a few fields of the strategy, anywhere in [0, 1] */
        fields[below(FIELDS)] = input(4 + (int)k, n, 0.0, 1.0);
    }
    s.max_rescale_attempts.value = (double)(1 + below(60));
    s.max_fallback_attempts.value = (double)below(8);
    s.max_operations.value = (double)(1 + below(100));
    s.max_rescale_attempts.values = s.max_fallback_attempts.values = s.max_operations.values = NULL;
    escala_outcomes o;
    double **floats_out = &o.final_supply;
    int64_t **counts_out = &o.executed;
    for (size_t k = 0; k < offsetof(escala_outcomes, executed) / sizeof *floats_out; k++) {
        floats_out[k] = below(4) ? (double *)areas[12].end - n : NULL;
    }
    for (size_t k = 0; k < (sizeof o - offsetof(escala_outcomes, executed)) / sizeof *counts_out; k++) {
        counts_out[k] = below(4) ? (int64_t *)areas[13].end - n : NULL;
    }
    int64_t needed = escala_simulate_workspace(s.n), given = needed < 0 || needed > WORKSPACE ? WORKSPACE : needed;
    given = strange && !below(16) ? given / 2 : given;
    check(SIMULATE, escala_simulate(&s, &o, last(areas[14], (size_t)given), given, &fault), &fault);
}

static void plan(void) {
    escala_fault fault;
    int64_t n = 1 + (int64_t)below(MOST), up = (int64_t)below(2);
    escala_plans p;
    escala_plans_defaults(&p);
    if (!below(4)) {
        p.curves = curves(below(2) ? 1 : n, 1);
    } else {
        p.depth = input(4, n, 0.0, 0.1);
    }
    static const int32_t ups[] = {ESCALA_PLAN_TO_ROUNDS, ESCALA_PLAN_TO_LEVERAGE, ESCALA_PLAN_TO_LTV,
                                  ESCALA_PLAN_TO_SUPPLY};
    static const int32_t downs[] = {ESCALA_PLAN_TO_CLOSE, ESCALA_PLAN_TO_LEVERAGE, ESCALA_PLAN_TO_LTV,
                                    ESCALA_PLAN_TO_REPAY};
    p.n = size(n);
    p.kind = strange && !below(16) ? (int32_t)next() : (up ? ups : downs)[below(4)];
    p.target = p.kind == ESCALA_PLAN_TO_LEVERAGE ? input(5, n, 1.0, 9.0)
               : p.kind == ESCALA_PLAN_TO_LTV    ? input(5, n, 0.0, 0.9)
                                                 : input(5, n, 1.0, 900.0);
    p.equity = up ? input(6, n, 1.0, 1e4) : p.equity;
    p.supply = input(7, n, 1.0, 1e4);
    p.borrow = input(8, n, 900.0, 9e3);
    p.max_ltv = up || below(2) ? input(9, n, 0.1, 0.8) : p.max_ltv;
    p.liquidation_threshold = input(10, n, 0.8, 1.0);
    p.min_health_factor = input(11, n, 1.0, 1.2);
    p.rounds.value = (double)below(below(64) ? 30 : 10002);
    p.fee_rate = input(15, n, 0.0, 0.1);
    p.swap_fee = input(16, n, 0.0, 0.1);
    escala_leverage a;
    escala_unwind b;
    char *rows = up ? (char *)&a : (char *)&b; /* of pointers alone */
    for (size_t k = 0; k < (up ? sizeof a : sizeof b); k += sizeof(double *)) {
        double *row = below(4) ? (double *)areas[12].end - n : NULL;
        memcpy(rows + k, &row, sizeof row);
    }
    int64_t most = (int64_t)below(1024);
    escala_operations o = {size(most), below(8) ? (int64_t *)areas[13].end - (n + 1) : NULL, NULL, NULL, NULL, NULL,
                           NULL,       NULL,                                                 NULL, NULL};
    for (char *at = (char *)&o.action; at < (char *)&o + sizeof o; at += sizeof(double *)) {
        double *row = below(4) ? (double *)areas[17].end - most : NULL;
        memcpy(at, &row, sizeof row);
    }
    if (o.capacity > most) { /* there is no room for what it says */
        o.capacity = most;
    }
    const escala_operations *operations = below(2) ? &o : NULL;
    int64_t needed = escala_plan_workspace(&p), given = needed < 0 || needed > WORKSPACE ? WORKSPACE : needed;
    given = strange && !below(16) ? given / 2 : given;
    void *workspace = last(areas[14], (size_t)given);
    int status = up ? escala_plan_leverage(&p, &a, operations, workspace, given, &fault)
                    : escala_plan_unwind(&p, &b, operations, workspace, given, &fault);
    check(PLAN, status, &fault);
}

int main(int count, char **arguments) {
    if (count != 3) {
        return 2;
    }
    state = UINT64_C(0x9E3779B97F4A7C15) * (strtoull(arguments[1], NULL, 10) + 1);
    for (size_t k = 0; k < sizeof areas / sizeof *areas; k++) {
        areas[k] = map(k == 14 ? WORKSPACE : 1 << 17);
    }
    static void (*const calls[])(void) = {evaluate, fit, allocate, simulate, plan};
    for (int64_t i = 0; i < atoll(arguments[2]); i++) {
        strange = !below(2);
        calls[below(5)]();
    }
    for (int call = 0; call < CALLS; call++) {
        printf("%s", NAMES[call]);
        for (int status = 0; status <= ESCALA_INFEASIBLE; status++) {
            printf(" %lld", (long long)counted[call][status]);
        }
        printf("\n");
    }
    return 0;
}
