/* Lending scenarios on any number of threads: threads INPUT OUTPUT N THREADS
 *
 * INPUT holds n supplies, borrows, targets and wallets as raw doubles; OUTPUT gets every array of escala_outcomes in
 * the order of the header. Each thread takes a stretch of the scenarios, and has a workspace of its own.
 *
 *     cc threads.c $(pkg-config --cflags --libs escala) -pthread -o threads
 */
#include <escala.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 4, OUTPUTS = sizeof(escala_outcomes) / sizeof(double *), MOST_THREADS = 64 };

typedef struct {
    const double *inputs;
    double *outputs; /* doubles and 64-bit integers are of one size */
    int64_t n, start, stop;
    int status;
} part;

static void *work(void *argument) {
    part *p = argument;
    escala_scenarios scenarios;
    escala_scenarios_defaults(&scenarios);
    scenarios.n = p->stop - p->start;
    escala_input *inputs[INPUTS] = {&scenarios.supply, &scenarios.borrow, &scenarios.target, &scenarios.wallet};
    for (int k = 0; k < INPUTS; k++) {
        inputs[k]->values = p->inputs + k * p->n + p->start;
    }
    double *out = p->outputs + p->start;
    double *rows[OUTPUTS]; /* nothing but pointers, as escala_outcomes is */
    for (int k = 0; k < OUTPUTS; k++) {
        rows[k] = out + k * p->n;
    }
    escala_outcomes outcomes;
    memcpy(&outcomes, rows, sizeof outcomes);
    int64_t size = escala_simulate_workspace(scenarios.n);
    void *workspace = malloc((size_t)size);
    p->status = workspace ? escala_simulate(&scenarios, &outcomes, workspace, size, NULL) : ESCALA_NULL_POINTER;
    free(workspace);
    return NULL;
}

int main(int count, char **arguments) {
    if (count != 5) {
        fprintf(stderr, "usage: threads INPUT OUTPUT N THREADS\n");
        return 2;
    }
    int64_t n = atoll(arguments[3]), crew = atoll(arguments[4]);
    if (n < 1 || crew < 1 || crew > MOST_THREADS) {
        return 2;
    }
    double *inputs = malloc((size_t)(INPUTS * n) * sizeof *inputs);
    double *outputs = malloc((size_t)(OUTPUTS * n) * sizeof *outputs);
    FILE *in = fopen(arguments[1], "rb"), *out = fopen(arguments[2], "wb");
    size_t given = (size_t)(INPUTS * n);
    if (!inputs || !outputs || !in || !out || fread(inputs, sizeof *inputs, given, in) != given) {
        fprintf(stderr, "cannot read or write\n");
        return 1;
    }
    pthread_t threads[MOST_THREADS];
    part parts[MOST_THREADS];
    for (int64_t k = 0; k < crew; k++) {
        parts[k] = (part){inputs, outputs, n, n * k / crew, n * (k + 1) / crew, ESCALA_OK};
        if (pthread_create(&threads[k], NULL, work, &parts[k])) {
            return 1;
        }
    }
    int worst = ESCALA_OK;
    for (int64_t k = 0; k < crew; k++) {
        pthread_join(threads[k], NULL);
        worst = parts[k].status ? parts[k].status : worst;
    }
    fwrite(outputs, sizeof *outputs, (size_t)(OUTPUTS * n), out);
    fclose(in);
    fclose(out);
    free(inputs);
    free(outputs);
    if (worst) {
        fprintf(stderr, "%s\n", escala_status_text(worst));
    }
    return worst;
}
