/* Calls in floating-point environments that a caller may have: environment
 *
 * Traps, other roundings, flushing to zero: results have the same bits as in the usual one, nothing is raised, and the
 * environment is the caller's again afterwards, flags included. Prints how many environments were tried.
 */
#define _GNU_SOURCE
#include <escala.h>
#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

enum { N = 40, EACH = 12, SIZE = N * EACH, ROOM = 1 << 22 };

typedef struct {
    int8_t wish[N], family[N], status[N];
    int64_t offsets[N + 1], n_points[N];
    double capital[SIZE], efficiency[SIZE];
    double params[N * ESCALA_PARAMS], origin[N], trusted_to[N], root[N], covariance[N * ESCALA_PARAMS * ESCALA_PARAMS];
    double stats[N * ESCALA_FIT_STATS], values[3 * SIZE], first[N], last[N], least[N];
    double amounts[N], solution[ESCALA_SOLUTION_SIZE];
    int8_t binding[N];
    double profit[N], supply[N];
    double final_supply[N], bound[N], cash_out[N], amount[64 * N], health[64 * N];
    int64_t action[64 * N], plan_offsets[N + 1];
} numbers;

static char room[ROOM];
static numbers given;

static void check(int status, const char *what) {
    if (status) {
        printf("%s: %s\n", what, escala_status_text(status));
        exit(1);
    }
}

static double uniform(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) * 0x1p-53;
}

static void prepare(void) {
    for (int i = 0; i < N; i++) {
        given.wish[i] = i % 3 ? ESCALA_AUTO : ESCALA_HILL;
        given.offsets[i + 1] = EACH * (i + 1);
        given.least[i] = 0.5;
        given.supply[i] = 1000.0 + 10.0 * i;
        for (int j = 0; j < EACH; j++) {
            double c = 1e4 * (j + 1) * (1.0 + 0.1 * uniform());
            given.capital[EACH * i + j] = c;
            given.efficiency[EACH * i + j] = i % 5 ? 0.9 / (1.0 + c / 4e5) + 0.01 * uniform() : 1e-310 * j;
        }
    }
}

static void work(numbers *x) {
    *x = given;
    escala_records records = {N, SIZE, x->offsets, x->capital, x->efficiency, NULL, x->wish};
    escala_fits fits;
    memset(&fits, 0, sizeof fits);
    fits.family = x->family;
    fits.status = x->status;
    fits.n_points = x->n_points;
    fits.params = x->params;
    fits.origin = x->origin;
    fits.trusted_to = x->trusted_to;
    fits.root = x->root;
    fits.covariance = x->covariance;
    fits.fit_stats = x->stats;
    int64_t needed = escala_fit_workspace(N, x->offsets);
    check(needed < 0 || needed > ROOM, "room for fits");
    check(escala_fit(&records, &fits, room, ROOM, NULL), "fit");
    escala_allocation problem;
    escala_allocation_defaults(&problem);
    problem.curves.n = N;
    problem.curves.family = x->family;
    problem.curves.params = x->params;
    problem.curves.origin = x->origin;
    problem.curves.trusted_to = x->trusted_to;
    check(escala_check_curves(&problem.curves, NULL), "check");
    check(escala_efficiency(&problem.curves, x->capital, N, EACH, x->values, NULL), "efficiency");
    check(escala_utility(&problem.curves, x->capital, N, EACH, x->values + SIZE, NULL), "utility");
    check(escala_marginal(&problem.curves, x->capital, N, EACH, x->values + 2 * SIZE, NULL), "marginal");
    check(escala_threshold(&problem.curves, x->least, x->first, x->last, NULL), "threshold");
    double total = 3e6;
    problem.total = &total;
    problem.min_efficiency.value = 0.3;
    needed = escala_allocate_workspace(&problem);
    check(needed < 0 || needed > ROOM, "room for an allocation");
    escala_answers answers = {x->amounts, x->binding, x->solution, NULL};
    check(escala_allocate(&problem, &answers, NULL, room, ROOM, NULL), "allocate");
    escala_scenarios scenarios;
    escala_scenarios_defaults(&scenarios);
    scenarios.n = N;
    scenarios.supply.values = x->supply;
    scenarios.borrow.value = 600.0;
    scenarios.target.value = 1500.0;
    scenarios.wallet.value = 200.0;
    escala_outcomes outcomes;
    memset(&outcomes, 0, sizeof outcomes);
    outcomes.profit = x->profit;
    check(escala_simulate(&scenarios, &outcomes, room, ROOM, NULL), "simulate");
    escala_plans plans;
    escala_plans_defaults(&plans);
    plans.n = N;
    plans.kind = ESCALA_PLAN_TO_LEVERAGE;
    plans.target.value = 3.0;
    plans.equity.values = x->supply;
    plans.max_ltv.value = 0.8;
    plans.liquidation_threshold.value = 0.85;
    plans.min_health_factor.value = 1.01;
    plans.swap_fee.value = 1e-3;
    escala_leverage up;
    memset(&up, 0, sizeof up);
    up.final_supply = x->final_supply;
    up.supply_bound = x->bound;
    escala_operations operations;
    memset(&operations, 0, sizeof operations);
    operations.capacity = 64 * N;
    operations.offsets = x->plan_offsets;
    operations.action = x->action;
    operations.amount = x->amount;
    operations.health_factor = x->health;
    needed = escala_plan_workspace(&plans);
    check(needed < 0 || needed > ROOM, "room for plans");
    check(escala_plan_leverage(&plans, &up, &operations, room, ROOM, NULL), "plan_leverage");
    static const int8_t family = ESCALA_EXPONENTIAL;
    static const double params[ESCALA_PARAMS] = {0.05, 1e-5, 0.949, 0.0}, origin = 0.0, trusted_to = 1e6;
    plans.curves.n = 1;
    plans.curves.family = &family;
    plans.curves.params = params;
    plans.curves.origin = &origin;
    plans.curves.trusted_to = &trusted_to;
    plans.kind = ESCALA_PLAN_TO_CLOSE;
    plans.equity.values = NULL;
    plans.supply.values = x->supply;
    plans.borrow.value = 700.0;
    escala_unwind down;
    memset(&down, 0, sizeof down);
    down.cash_out = x->cash_out;
    check(escala_plan_unwind(&plans, &down, NULL, room, ROOM, NULL), "plan_unwind");
    /* what depends on the clock is not a result */
}

static numbers usual, other;
static int tried;

static void compare(const char *what) {
    int rounding = fegetround(), traps = fegetexcept(), flags = fetestexcept(FE_ALL_EXCEPT);
#if defined(__x86_64__)
    unsigned int whole = _mm_getcsr();
#endif
    work(&other);
    if (fegetround() != rounding || fegetexcept() != traps || fetestexcept(FE_ALL_EXCEPT) != flags) {
        printf("%s: the environment is another one afterwards\n", what);
        exit(1);
    }
#if defined(__x86_64__)
    if (_mm_getcsr() != whole) {
        printf("%s: the control word is another one afterwards\n", what);
        exit(1);
    }
#endif
    fesetenv(FE_DFL_ENV);
    if (memcmp(&usual, &other, sizeof usual)) {
        printf("%s: other bits\n", what);
        exit(1);
    }
    tried++;
}

int main(void) {
    static const int roundings[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    prepare();
    work(&usual);
    feclearexcept(FE_ALL_EXCEPT);
    compare("no flags");
    for (int k = 0; k < 3; k++) {
        fesetround(roundings[k]);
        compare("another rounding");
    }
    feclearexcept(FE_ALL_EXCEPT);
    feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW);
    compare("traps");
    feclearexcept(FE_ALL_EXCEPT);
    feenableexcept(FE_ALL_EXCEPT);
    compare("all traps");
    feraiseexcept(FE_DIVBYZERO);
    compare("a flag");
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040); /* flush to zero, denormals are zero */
    compare("flushing");
#endif
    printf("%d environments\n", tried);
    return 0;
}
