/* Plans of a position from C: three leverages at once, with their operations, and a way out by a curve.
 *
 *     cc plan.c $(pkg-config --cflags --libs escala) -o plan
 *
 * Numbers are printed in hexadecimal, which loses no bit.
 */
#include <escala.h>
#include <stdio.h>
#include <stdlib.h>

enum { PLANS = 3 };

static void check(int status, const escala_fault *fault) {
    if (status != ESCALA_OK) {
        fprintf(stderr, "%s: %s\n", fault->argument ? fault->argument : "escala", escala_status_text(status));
        exit(1);
    }
}

static void *memory(int64_t size) {
    void *room = size < 0 ? NULL : malloc((size_t)size + 1);
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

static void print_integers(const char *name, const int64_t *values, int64_t n) {
    printf("%s", name);
    for (int64_t i = 0; i < n; i++) {
        printf(" %lld", (long long)values[i]);
    }
    printf("\n");
}

int main(void) {
    escala_fault fault;
    if (escala_check_abi(ESCALA_ABI) != ESCALA_OK) {
        fprintf(stderr, "escala.h does not belong to this library\n");
        return 1;
    }

    /* 1,000 to 2.5, 4 and 8 times itself. */
    static const double leverages[PLANS] = {2.5, 4.0, 8.0};
    escala_plans plans;
    escala_plans_defaults(&plans);
    plans.n = PLANS;
    plans.kind = ESCALA_PLAN_TO_LEVERAGE;
    plans.target.values = leverages;
    plans.equity.value = 1000.0;
    plans.max_ltv.value = 0.8;
    plans.liquidation_threshold.value = 0.85;
    plans.min_health_factor.value = 1.01;
    plans.swap_fee.value = 5e-4;
    double final_supply[PLANS], final_borrow[PLANS], flash_supply[PLANS];
    int64_t status[PLANS], operations_made[PLANS];
    escala_leverage outcomes = {0}; /* what is NULL is not wanted */
    outcomes.final_supply = final_supply;
    outcomes.final_borrow = final_borrow;
    outcomes.flash_supply = flash_supply;
    outcomes.status = status;
    outcomes.operations_made = operations_made;
    int64_t size = escala_plan_workspace(&plans);
    void *workspace = memory(size);
    check(escala_plan_leverage(&plans, &outcomes, NULL, workspace, size, &fault), &fault);
    print("final_supply", final_supply, PLANS);
    print("final_borrow", final_borrow, PLANS);
    print("flash_supply", flash_supply, PLANS);
    print_integers("status", status, PLANS);

    /* Now it is known how many operations there are. */
    int64_t offsets[PLANS + 1];
    escala_operations operations = {0};
    for (int64_t i = 0; i < PLANS; i++) {
        operations.capacity += operations_made[i];
    }
    operations.offsets = offsets;
    operations.amount = memory(operations.capacity * (int64_t)sizeof(double));
    operations.health_factor = memory(operations.capacity * (int64_t)sizeof(double));
    check(escala_plan_leverage(&plans, &outcomes, &operations, workspace, size, &fault), &fault);
    print_integers("offsets", offsets, PLANS + 1);
    print("amount", operations.amount, offsets[PLANS]);
    print("health_factor", operations.health_factor, offsets[PLANS]);
    free(operations.amount);
    free(operations.health_factor);
    free(workspace);

    /* Out of 2,500 against 1,500, where larger sales bring less. */
    static const int8_t family = ESCALA_EXPONENTIAL;
    static const double params[ESCALA_PARAMS] = {0.05, 1e-6, 0.949, 0.0}, origin = 0.0, trusted_to = 1e6;
    escala_plans_defaults(&plans);
    plans.n = 1;
    plans.kind = ESCALA_PLAN_TO_CLOSE;
    plans.supply.value = 2500.0;
    plans.borrow.value = 1500.0;
    plans.liquidation_threshold.value = 0.85;
    plans.min_health_factor.value = 1.05;
    plans.curves.n = 1;
    plans.curves.family = &family;
    plans.curves.params = params;
    plans.curves.origin = &origin;
    plans.curves.trusted_to = &trusted_to;
    double cash_out;
    escala_unwind closed = {0};
    closed.cash_out = &cash_out;
    size = escala_plan_workspace(&plans);
    workspace = memory(size);
    check(escala_plan_unwind(&plans, &closed, NULL, workspace, size, &fault), &fault);
    print("cash_out", &cash_out, 1);

    /* Bad input is refused, with its name. */
    plans.kind = ESCALA_PLAN_TO_LTV;
    plans.target.value = 1.5;
    int refused = escala_plan_unwind(&plans, &closed, NULL, workspace, size, &fault);
    free(workspace);
    printf("refused %s: %s\n", fault.argument, escala_status_text(refused));
    return 0;
}
