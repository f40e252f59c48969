/* What a call for one element costs: capi_calls CALLS prints nanoseconds a call, and of the arithmetic alone. */
#define _POSIX_C_SOURCE 199309L
#include <escala.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 50 }; /* the least of them counts */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int count, char **arguments) {
    int64_t calls = count > 1 ? atoll(arguments[1]) : 100000, m = 1024;
    int8_t family = ESCALA_EXPONENTIAL;
    double params[ESCALA_PARAMS] = {0.9, 2e-6, 0.1}, origin = 0.0, sum = 0.0, out;
    escala_curves curves = {1, &family, params, &origin, NULL, NULL, 0};
    double *many = malloc((size_t)m * sizeof *many), *outs = malloc((size_t)m * sizeof *outs);
    if (!many || !outs) {
        return 1;
    }
    double best = 1e9, best_many = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int64_t i = 0; i < calls; i++) {
            double capital = (double)(i & 1023) * 1e3;
            escala_efficiency(&curves, &capital, 1, 1, &out, NULL);
            sum += out;
        }
        double took = now() - start;
        best = took < best ? took : best;
        for (int64_t i = 0; i < m; i++) {
            many[i] = (double)i * 1e3;
        }
        start = now();
        for (int64_t i = 0; i < calls; i += m) {
            escala_efficiency(&curves, many, 1, m, outs, NULL);
            sum += outs[i & 1023];
        }
        took = now() - start;
        best_many = took < best_many ? took : best_many;
    }
    printf("%.2f %.2f %g\n", 1e9 * best / (double)calls, 1e9 * best_many / (double)calls, sum);
    free(many);
    free(outs);
    return 0;
}
