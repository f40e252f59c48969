/* Everything escala does, from C: curves from records, what they say, an allocation, a ladder, a lending loop.
 *
 *     cc example.c $(pkg-config --cflags --libs escala) -o example
 *
 * Numbers are printed in hexadecimal, which loses no bit.
 */
#include <escala.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { INSTRUMENTS = 3, RECORDS = 16, LEVELS = 4 };

static void check(int status, const escala_fault *fault) {
    if (status != ESCALA_OK) {
        fprintf(stderr, "%s: %s\n", fault->argument ? fault->argument : "escala", escala_status_text(status));
        exit(1);
    }
}

static void *memory(int64_t size) {
    void *room = size < 0 ? NULL : malloc((size_t)size);
    if (!room) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    return room;
}

static void print(const char *name, const double *values, int64_t n) {
    printf("%s", name);
    for (int64_t i = 0; i < n; i++) {
        printf(" %a", values[i]);
    }
    printf("\n");
}

int main(void) {
    escala_fault fault;
    if (escala_check_abi(ESCALA_ABI) != ESCALA_OK) {
        fprintf(stderr, "escala.h does not belong to this library\n");
        return 1;
    }
    printf("version %s\n", escala_version());

    /* Records of three instruments, 5, 5 and 6 of them. */
    static const double capital[RECORDS] = {1e4, 5e4, 1e5, 2e5, 5e5, 1e4, 5e4, 1e5,
                                            2e5, 5e5, 1e3, 1e4, 5e4, 1e5, 2e5, 5e5};
    static const double efficiency[RECORDS] = {0.95, 0.93, 0.905, 0.855, 0.705, 0.97, 0.9, 0.83, 0.73, 0.55,
                                               1.0, 0.98, 0.95, 0.94, 0.92, 0.86};
    static const int64_t offsets[INSTRUMENTS + 1] = {0, 5, 10, 16};
    static const int8_t wanted[INSTRUMENTS] = {ESCALA_AUTO, ESCALA_EXPONENTIAL, ESCALA_AUTO};
    escala_records records = {INSTRUMENTS, RECORDS, offsets, capital, efficiency, NULL, wanted};

    int8_t family[INSTRUMENTS], status[INSTRUMENTS];
    int64_t n_points[INSTRUMENTS];
    double params[ESCALA_PARAMS * INSTRUMENTS], origin[INSTRUMENTS], trusted_to[INSTRUMENTS], root[6 * INSTRUMENTS];
    double covariance[ESCALA_PARAMS * ESCALA_PARAMS * INSTRUMENTS], fit_stats[ESCALA_FIT_STATS * INSTRUMENTS];
    int64_t steps_size = escala_fit_steps(&records); /* of ladders, which need more records than these */
    double *steps = steps_size > 0 ? memory(steps_size * (int64_t)sizeof(double)) : NULL;
    escala_fits fits = {family, status,     n_points,  params, origin, trusted_to,
                        root,   covariance, fit_stats, steps,  steps_size};
    int64_t size = escala_fit_workspace(INSTRUMENTS, offsets);
    void *workspace = memory(size);
    check(escala_fit(&records, &fits, workspace, size, &fault), &fault);
    free(workspace);
    print("params", params, ESCALA_PARAMS * INSTRUMENTS);
    print("trusted_to", trusted_to, INSTRUMENTS);

    /* What the curves say at four levels of capital. */
    escala_curves curves = {0};
    curves.n = INSTRUMENTS;
    curves.family = family;
    curves.params = params;
    curves.origin = origin;
    curves.trusted_to = trusted_to;
    curves.steps = steps;
    curves.steps_size = steps_size;
    static const double levels[LEVELS] = {0.0, 2.5e4, 3e5, 9e5};
    double out[INSTRUMENTS * LEVELS];
    check(escala_efficiency(&curves, levels, 1, LEVELS, out, &fault), &fault);
    print("efficiency", out, INSTRUMENTS * LEVELS);
    check(escala_marginal(&curves, levels, 1, LEVELS, out, &fault), &fault);
    print("marginal", out, INSTRUMENTS * LEVELS);

    /* Half a million over the three, none below an efficiency of 0.8. */
    static const double total = 5e5;
    escala_allocation problem;
    escala_allocation_defaults(&problem);
    problem.curves = curves;
    problem.total = &total;
    problem.min_efficiency.value = 0.8;
    double amounts[INSTRUMENTS], solution[ESCALA_SOLUTION_SIZE];
    int8_t binding[INSTRUMENTS];
    escala_answers answers = {amounts, binding, solution, NULL}; /* no groups */
    size = escala_allocate_workspace(&problem);
    workspace = memory(size);
    check(escala_allocate(&problem, &answers, NULL, workspace, size, &fault), &fault);
    free(workspace);
    print("amounts", amounts, INSTRUMENTS);
    print("gap", &solution[ESCALA_SOLUTION_GAP], 1);

    /* A book of three levels is a ladder: knots, slopes, and what comes out up to each knot. */
    static const double levels_of_book[3 * ESCALA_LADDER_STEP] = {0.0, 1e5, 3e5, 1.0, 0.99, 0.0, 0.0, 1e5, 298e3};
    static const int8_t ladder = ESCALA_LADDER;
    static const double of_ladder[ESCALA_PARAMS] = {1.0, 1.0, 3.0, 0.0}, zero = 0.0, no_end = INFINITY;
    escala_curves book = {1, &ladder, of_ladder, &zero, &no_end, levels_of_book, 3 * ESCALA_LADDER_STEP};
    check(escala_check_curves(&book, &fault), &fault);
    check(escala_utility(&book, levels, 1, LEVELS, out, &fault), &fault);
    print("book", out, LEVELS);

    /* A lending loop towards three targets. */
    static const double targets[3] = {1500.0, 2000.0, 4000.0};
    escala_scenarios scenarios;
    escala_scenarios_defaults(&scenarios);
    scenarios.n = 3;
    scenarios.supply.value = 1000.0;
    scenarios.borrow.value = 600.0;
    scenarios.wallet.value = 200.0;
    scenarios.target.values = targets;
    double final_supply[3], fees[3];
    int64_t stop[3];
    escala_outcomes outcomes = {0}; /* what is NULL is not wanted */
    outcomes.final_supply = final_supply;
    outcomes.fees = fees;
    outcomes.stop = stop;
    size = escala_simulate_workspace(3);
    workspace = memory(size);
    check(escala_simulate(&scenarios, &outcomes, workspace, size, &fault), &fault);
    print("final_supply", final_supply, 3);
    print("fees", fees, 3);

    /* Bad input is refused, with its name and place. */
    scenarios.borrow.value = -600.0;
    int refused = escala_simulate(&scenarios, &outcomes, workspace, size, &fault);
    free(workspace);
    printf("refused %s: %s\n", fault.argument, escala_status_text(refused));
    return 0;
}
