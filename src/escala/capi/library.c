/* What callers of the C library see: checks at the border, then the compiled kernels (entries.h) on sound arguments.
 *
 * The checks are those of the Python package, whose ranges and defaults come from it (tables.h, written by the build).
 */
#include "escala.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "entries.h"
#include "tables.h"

#define EXPORT __attribute__((visibility("default")))
#define COUNT_OF(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

static const int64_t MOST = INT64_C(1) << 40; /* elements of an array: no size in bytes overflows */
enum { LINE = 64 };                           /* bytes; a vector across two cache lines is read twice */

/* ---- The floating-point environment ---- */

/* Lanes compute and discard: a caller's traps would fire, and its rounding or flushing would change bits. So each
 * function that computes has the usual environment to itself, and the caller's again when it is left, flags included. */
#if defined(__x86_64__)
typedef unsigned int environment;
enum { USUAL = 0x1f80 }; /* to nearest, all traps masked, nothing flushed to zero, no flag */
static environment take(void) {
    environment kept = __builtin_ia32_stmxcsr();
    if (kept != USUAL) {
        __builtin_ia32_ldmxcsr(USUAL);
    }
    __asm__ volatile("" ::: "memory"); /* nothing is computed before */
    return kept;
}
static void give_back(const environment *kept) {
    __asm__ volatile("" ::: "memory");
    __builtin_ia32_ldmxcsr(*kept);
}
#elif defined(__aarch64__)
typedef struct {
    uint64_t control, flags;
} environment;
static environment take(void) {
    environment kept;
    __asm__ volatile("mrs %0, fpcr" : "=r"(kept.control));
    __asm__ volatile("mrs %0, fpsr" : "=r"(kept.flags));
    if (kept.control) {
        __asm__ volatile("msr fpcr, %0" : : "r"(UINT64_C(0)));
    }
    return kept;
}
static void give_back(const environment *kept) {
    __asm__ volatile("msr fpcr, %0" : : "r"(kept->control));
    __asm__ volatile("msr fpsr, %0" : : "r"(kept->flags));
}
#else
#error "how this processor's floating-point environment is set is not known here"
#endif

/* First in every function that computes; what follows is left by any return. */
#define OWN_ENVIRONMENT environment kept_ __attribute__((cleanup(give_back))) = take()

/* ---- Faults ---- */

static int fail(escala_fault *fault, int status, const char *argument, int64_t index, double value) {
    if (fault) {
        fault->argument = argument;
        fault->other = NULL;
        fault->index = index;
        fault->value = value;
    }
    return status;
}

static int conflict(escala_fault *fault, int status, const char *argument, const char *other, int64_t index,
                    double value) {
    fail(fault, status, argument, index, value);
    if (fault) {
        fault->other = other;
    }
    return status;
}

static int succeed(escala_fault *fault) { return fail(fault, ESCALA_OK, NULL, -1, NAN); }

static int without(escala_fault *fault, const char *argument) {
    return fail(fault, ESCALA_NULL_POINTER, argument, -1, NAN);
}

static int bad_size(escala_fault *fault, const char *argument, int64_t size) {
    return fail(fault, ESCALA_BAD_SIZE, argument, -1, (double)size);
}

/* Leave the function with a fault if there is one. */
#define TRY(call)             \
    do {                      \
        int status_ = (call); \
        if (status_) {        \
            return status_;   \
        }                     \
    } while (0)

static int check_size(escala_fault *fault, const char *argument, int64_t size) {
    return size < 0 || size > MOST ? bad_size(fault, argument, size) : ESCALA_OK;
}

/* Tell whether a matrix may have so many elements. */
static int product(int64_t a, int64_t b, int64_t *elements) {
    return !__builtin_mul_overflow(a, b, elements) && *elements <= MOST;
}

static int check_array(escala_fault *fault, const char *argument, const void *array, int64_t size) {
    return size > 0 && !array ? without(fault, argument) : ESCALA_OK;
}

/* ---- Values ---- */

static int allowed(const range *r, double v) {
    int inside = v >= r->low && v <= r->high && (!r->integer || (double)(int64_t)v == v);
    return inside || (r->or_zero && v == 0.0);
}

/* Two comparisons an element, side by side; what else there is to know only where one of them fails. */
static int check_values(escala_fault *fault, const char *argument, const range *r, const double *values, int64_t n) {
    if (!r->integer && n > 1) {
        int odd = 0;
        for (int64_t i = 0; i < n; i++) {
            odd |= !(values[i] >= r->low) | !(values[i] <= r->high);
        }
        if (!odd) {
            return ESCALA_OK;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        if (!allowed(r, values[i])) {
            return fail(fault, ESCALA_BAD_VALUE, argument, i, values[i]);
        }
    }
    return ESCALA_OK;
}

static int check_value(escala_fault *fault, const char *argument, const range *r, double value) {
    return allowed(r, value) ? ESCALA_OK : fail(fault, ESCALA_BAD_VALUE, argument, -1, value);
}

static int check_input(escala_fault *fault, const char *argument, const range *r, const escala_input *input,
                       int64_t n) {
    return input->values ? check_values(fault, argument, r, input->values, n)
                         : check_value(fault, argument, r, input->value);
}

static double element(const escala_input *input, int64_t i) { return input->values ? input->values[i] : input->value; }

static int check_order(escala_fault *fault, const char *low_name, const escala_input *low, const char *high_name,
                       const escala_input *high, int64_t n) {
    int64_t pairs = low->values || high->values ? n : 1;
    for (int64_t i = 0; i < pairs; i++) {
        if (!(element(low, i) <= element(high, i))) {
            int64_t index = low->values || high->values ? i : -1;
            return conflict(fault, ESCALA_BAD_ORDER, low_name, high_name, index, element(low, i));
        }
    }
    return ESCALA_OK;
}

static const escala_input *input_at(const void *whole, size_t offset) {
    return (const escala_input *)((const char *)whole + offset);
}

/* Write an input's elements start <= i < stop. */
static void spread(double *row, const escala_input *input, int64_t start, int64_t stop) {
    if (input->values) {
        memcpy(row, input->values + start, (size_t)(stop - start) * sizeof *row);
        return;
    }
    for (int64_t i = 0; i < stop - start; i++) {
        row[i] = input->value;
    }
}

/* ---- Workspaces ---- */

/* Memory handed out piece by piece; without a base it only counts. */
typedef struct {
    char *base;
    int64_t used;
} room;

static void *carve(room *space, int64_t count, size_t each) {
    int64_t at = space->used;
    space->used += (count * (int64_t)each + LINE - 1) / LINE * LINE;
    return space->base ? space->base + at : NULL;
}

static double *carve_floats(room *space, int64_t count) { return carve(space, count, sizeof(double)); }
static int64_t *carve_integers(room *space, int64_t count) { return carve(space, count, sizeof(int64_t)); }

/* Bytes to ask for, so that the first piece can begin with a cache line. */
static int64_t room_for(const room *space) { return space->used + LINE - 1; }

static int open_room(escala_fault *fault, room *space, int64_t needed, void *workspace, int64_t size) {
    if (!workspace) {
        return without(fault, "workspace");
    }
    if (size < needed) {
        return fail(fault, ESCALA_SHORT_WORKSPACE, "workspace_size", -1, (double)size);
    }
    space->base = (char *)workspace + (LINE - (uintptr_t)workspace % LINE) % LINE;
    space->used = 0;
    return ESCALA_OK;
}

/* ---- Version and statuses ---- */

EXPORT const char *escala_version(void) { return VERSION; }

EXPORT int escala_abi(void) { return ESCALA_ABI; }

EXPORT int escala_check_abi(int abi) { return abi == ESCALA_ABI ? ESCALA_OK : ESCALA_WRONG_ABI; }

EXPORT const char *escala_status_text(int status) {
    for (int64_t k = 0; k < COUNT_OF(STATUSES); k++) {
        if (STATUSES[k].code == status) {
            return STATUSES[k].text;
        }
    }
    return "an unknown status";
}

/* ---- Curves ---- */

static int is_family(int8_t code) { return (uint8_t)code < COUNT_OF(FAMILIES) && FAMILIES[(uint8_t)code].count > 0; }

static int is_wish(int8_t code) { return is_family(code) || code == ESCALA_AUTO; }

static int check_codes(escala_fault *fault, const char *argument, const int8_t *codes, int64_t n,
                       int (*is_code)(int8_t)) {
    for (int64_t i = 0; i < n; i++) {
        if (!is_code(codes[i])) {
            return fail(fault, ESCALA_BAD_CODE, argument, i, codes[i]);
        }
    }
    return ESCALA_OK;
}

/* The coefficients of a ladder say where its steps lie: within those that were given. */
static int check_places(escala_fault *fault, const escala_curves *curves, int64_t draws) {
    double size = (double)curves->steps_size;
    for (int64_t i = 0; i < curves->n; i++) {
        for (int64_t draw = 0; curves->family[i] == ESCALA_LADDER && draw < draws; draw++) {
            int64_t at = ESCALA_PARAMS * (draw * curves->n + i);
            const double *p = curves->params + at;
            if (isnan(p[0])) {
                continue;
            }
            if (!(p[2] >= 1.0 && p[2] <= size && p[2] == floor(p[2]))) {
                return fail(fault, ESCALA_BAD_VALUE, "params", at + 2, p[2]);
            }
            if (!(p[3] >= 0.0 && p[3] + ESCALA_LADDER_STEP * p[2] <= size && p[3] == floor(p[3]))) {
                return fail(fault, ESCALA_BAD_VALUE, "params", at + 3, p[3]);
            }
        }
    }
    return ESCALA_OK;
}

/* Knots rise from 0, slopes fall from at most 1 to at least 0, and utilities are what these say, but for rounding. */
static int check_ladder(escala_fault *fault, const double *steps, int64_t count, int64_t first) {
    const double *knot = steps + first, *slope = knot + count, *utility = slope + count;
    double sum = 0.0;
    for (int64_t j = 0; j < count; j++) {
        if (j ? !(knot[j] > knot[j - 1] && knot[j] < INFINITY) : knot[0] != 0.0) {
            return fail(fault, ESCALA_BAD_VALUE, "steps", first + j, knot[j]);
        }
        if (!(slope[j] >= 0.0 && slope[j] <= (j ? slope[j - 1] : 1.0))) {
            return fail(fault, ESCALA_BAD_VALUE, "steps", first + count + j, slope[j]);
        }
        sum += j ? slope[j - 1] * (knot[j] - knot[j - 1]) : 0.0;
        if (!(fabs(utility[j] - sum) <= 1e-9 * sum)) {
            return fail(fault, ESCALA_BAD_VALUE, "steps", first + 2 * count + j, utility[j]);
        }
    }
    return ESCALA_OK;
}

/* The steps of all ladders, those of draws that have others too. */
static int check_steps(escala_fault *fault, const escala_curves *curves, int64_t draws) {
    for (int64_t i = 0; i < curves->n; i++) {
        double count = 0.0, first = 0.0;
        for (int64_t draw = 0; curves->family[i] == ESCALA_LADDER && draw < draws; draw++) {
            const double *p = curves->params + ESCALA_PARAMS * (draw * curves->n + i);
            if (isnan(p[0]) || (p[2] == count && p[3] == first)) {
                continue;
            }
            count = p[2];
            first = p[3];
            TRY(check_ladder(fault, curves->steps, (int64_t)count, (int64_t)first));
        }
    }
    return ESCALA_OK;
}

/* Sizes, pointers, codes and places: all that keeps an evaluation inside its arrays. */
static int check_shape(escala_fault *fault, const escala_curves *curves, int64_t draws) {
    TRY(check_size(fault, "n", curves->n));
    TRY(check_size(fault, "steps_size", curves->steps_size));
    TRY(check_array(fault, "family", curves->family, curves->n));
    TRY(check_array(fault, "params", curves->params, draws * curves->n));
    TRY(check_array(fault, "origin", curves->origin, curves->n));
    TRY(check_array(fault, "steps", curves->steps, curves->steps_size));
    TRY(check_codes(fault, "family", curves->family, curves->n, is_family));
    return check_places(fault, curves, draws);
}

/* All NaN, or all finite and what the family allows. */
static int check_params(escala_fault *fault, const escala_curves *curves, int64_t draws) {
    const int8_t *family = curves->family;
    const double *params = curves->params;
    int64_t n = curves->n;
    for (int64_t row = 0; row < draws * n; row++) {
        const double *p = params + ESCALA_PARAMS * row;
        int unknown = 1;
        for (int k = 0; k < ESCALA_PARAMS; k++) {
            unknown &= isnan(p[k]);
        }
        for (int k = 0; !unknown && k < ESCALA_PARAMS; k++) {
            const form *f = &FAMILIES[(uint8_t)family[row % n]];
            if (!allowed(k < f->count ? &f->coefficients[k] : &RANGE_FINITE, p[k])) {
                return fail(fault, ESCALA_BAD_VALUE, "params", ESCALA_PARAMS * row + k, p[k]);
            }
        }
        if (!unknown && !entry_allowed_together(family[row % n], p, curves->steps, curves->steps_size)) {
            return fail(fault, ESCALA_BAD_VALUE, "params", ESCALA_PARAMS * row, p[0]);
        }
    }
    return ESCALA_OK;
}

/* A limit that is not known goes with no curve; draws may have coefficients there all the same, and get nothing. */
static int check_limits(escala_fault *fault, const escala_curves *curves, const double *params) {
    TRY(check_array(fault, "trusted_to", curves->trusted_to, curves->n));
    TRY(check_values(fault, "origin", &RANGE_FINITE, curves->origin, curves->n));
    for (int64_t i = 0; i < curves->n; i++) {
        double trusted_to = curves->trusted_to[i];
        if (!(trusted_to > 0.0) && !(isnan(trusted_to) && (!params || isnan(params[ESCALA_PARAMS * i])))) {
            return fail(fault, ESCALA_BAD_VALUE, "trusted_to", i, trusted_to);
        }
    }
    return ESCALA_OK;
}

EXPORT int escala_check_curves(const escala_curves *curves, escala_fault *fault) {
    OWN_ENVIRONMENT;
    if (!curves) {
        return without(fault, "curves");
    }
    TRY(check_shape(fault, curves, 1));
    TRY(check_params(fault, curves, 1));
    TRY(check_steps(fault, curves, 1));
    TRY(check_limits(fault, curves, curves->params));
    return succeed(fault);
}

static int evaluate(int64_t wanted, const escala_curves *curves, const double *capital, int64_t rows, int64_t m,
                    double *out, escala_fault *fault) {
    if (!curves) {
        return without(fault, "curves");
    }
    TRY(check_shape(fault, curves, 1));
    int64_t elements;
    if (m < 0 || !product(curves->n, m, &elements)) {
        return bad_size(fault, "m", m);
    }
    if (rows != 1 && rows != curves->n) {
        return bad_size(fault, "rows", rows);
    }
    TRY(check_array(fault, "capital", capital, rows * m));
    TRY(check_array(fault, "out", out, elements));
    int64_t bad = 0;
    if (elements && entry_evaluate(wanted, curves->family, curves->params, curves->origin, curves->n, curves->steps,
                                   curves->steps_size, capital, rows, m, out, &bad)) {
        TRY(check_values(fault, "capital", &RANGE_EVALUATED, capital, rows * m));
    }
    return succeed(fault);
}

EXPORT int escala_efficiency(const escala_curves *curves, const double *capital, int64_t rows, int64_t m, double *out,
                             escala_fault *fault) {
    OWN_ENVIRONMENT;
    return evaluate(WANTED_EFFICIENCY, curves, capital, rows, m, out, fault);
}

EXPORT int escala_utility(const escala_curves *curves, const double *capital, int64_t rows, int64_t m, double *out,
                          escala_fault *fault) {
    OWN_ENVIRONMENT;
    return evaluate(WANTED_UTILITY, curves, capital, rows, m, out, fault);
}

EXPORT int escala_marginal(const escala_curves *curves, const double *capital, int64_t rows, int64_t m, double *out,
                           escala_fault *fault) {
    OWN_ENVIRONMENT;
    return evaluate(WANTED_MARGINAL, curves, capital, rows, m, out, fault);
}

EXPORT int escala_threshold(const escala_curves *curves, const double *min_efficiency, double *first, double *last,
                            escala_fault *fault) {
    OWN_ENVIRONMENT;
    if (!curves) {
        return without(fault, "curves");
    }
    TRY(check_shape(fault, curves, 1));
    int64_t n = curves->n;
    TRY(check_array(fault, "trusted_to", curves->trusted_to, n));
    TRY(check_array(fault, "min_efficiency", min_efficiency, n));
    TRY(check_array(fault, "first", first, n));
    TRY(check_array(fault, "last", last, n));
    TRY(check_values(fault, "min_efficiency", &RANGE_FINITE, min_efficiency, n));
    entry_threshold(min_efficiency, curves->family, curves->params, curves->origin, curves->trusted_to, n, curves->steps,
                    curves->steps_size, first, last);
    return succeed(fault);
}

/* ---- Fitting ---- */

static int check_offsets(escala_fault *fault, const escala_records *records) {
    if (!records->offsets) {
        return without(fault, "offsets");
    }
    const int64_t *offsets = records->offsets;
    for (int64_t i = 0; i <= records->n; i++) {
        if (offsets[i] < (i ? offsets[i - 1] : 0) || offsets[i] > records->size) {
            return fail(fault, ESCALA_BAD_OFFSETS, "offsets", i, (double)offsets[i]);
        }
    }
    return ESCALA_OK;
}

static int64_t most_records(int64_t n, const int64_t *offsets) {
    int64_t most = 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t size = offsets[i + 1] - offsets[i];
        most = size > most ? size : most;
    }
    return most;
}

/* Whether instrument a comes after b: larger ones first, those of one size in their order. */
static int comes_after(const int64_t *offsets, int64_t a, int64_t b) {
    int64_t size_a = offsets[a + 1] - offsets[a], size_b = offsets[b + 1] - offsets[b];
    return size_a < size_b || (size_a == size_b && a > b);
}

static void sink(const int64_t *offsets, int64_t *order, int64_t k, int64_t size) {
    int64_t moved = order[k];
    while (2 * k + 1 < size) {
        int64_t child = 2 * k + 1;
        if (child + 1 < size && comes_after(offsets, order[child + 1], order[child])) {
            child++;
        }
        if (!comes_after(offsets, order[child], moved)) {
            break;
        }
        order[k] = order[child];
        k = child;
    }
    order[k] = moved;
}

/* Put instruments of similar size side by side, where the kernel fits them together; a heap, because that sorts in
 * place. */
static void sort_by_size(const int64_t *offsets, int64_t *order, int64_t n) {
    int sorted = 1;
    for (int64_t i = 0; i < n; i++) {
        order[i] = i;
        sorted &= !i || !comes_after(offsets, i - 1, i);
    }
    if (sorted) {
        return;
    }
    for (int64_t k = n / 2 - 1; k >= 0; k--) {
        sink(offsets, order, k, n);
    }
    for (int64_t last = n - 1; last > 0; last--) {
        int64_t moved = order[last];
        order[last] = order[0];
        order[0] = moved;
        sink(offsets, order, 0, last);
    }
}

typedef struct {
    double *work;
    double *scratch;
    int64_t *order;
    int64_t *step_offsets;
    int64_t *n_steps;
    int64_t work_size;
    int64_t scratch_size;
} fit_room;

static fit_room lay_out_fit(room *space, int64_t n, int64_t most) {
    fit_room r;
    r.work_size = entry_fit_work_size(most);
    r.scratch_size = 6 * most;
    r.work = carve_floats(space, r.work_size);
    r.scratch = carve_floats(space, r.scratch_size);
    r.order = carve_integers(space, n);
    r.step_offsets = carve_integers(space, n + 1);
    r.n_steps = carve_integers(space, n);
    return r;
}

/* Numbers that the steps of an instrument have room for. */
static int64_t room_for_steps(const escala_records *records, int64_t i) {
    return entry_fit_steps(records->family[i], records->offsets[i + 1] - records->offsets[i]);
}

EXPORT int64_t escala_fit_workspace(int64_t n, const int64_t *offsets) {
    OWN_ENVIRONMENT;
    escala_records records = {n, MOST, offsets, NULL, NULL, NULL, NULL};
    if (check_size(NULL, "n", n) || check_offsets(NULL, &records)) {
        return -1;
    }
    room space = {NULL, 0};
    lay_out_fit(&space, n, most_records(n, offsets));
    return room_for(&space);
}

/* Sizes and offsets: what instruments there are. */
static int check_instruments(escala_fault *fault, const escala_records *records) {
    TRY(check_size(fault, "n", records->n));
    TRY(check_size(fault, "size", records->size));
    return check_offsets(fault, records);
}

/* The records that the offsets reach. */
static int check_column(escala_fault *fault, const char *argument, const range *r, const double *column,
                        const escala_records *records) {
    TRY(check_array(fault, argument, column, records->size));
    int64_t start = records->offsets[0], stop = records->offsets[records->n];
    if (start == stop) {
        return ESCALA_OK;
    }
    int status = check_values(fault, argument, r, column + start, stop - start);
    if (status && fault) {
        fault->index += start;
    }
    return status;
}

EXPORT int64_t escala_fit_steps(const escala_records *records) {
    OWN_ENVIRONMENT;
    if (!records || check_size(NULL, "n", records->n) || check_array(NULL, "family", records->family, records->n)) {
        return -1;
    }
    escala_records known = *records;
    known.size = MOST;
    if (check_offsets(NULL, &known) || check_codes(NULL, "family", records->family, records->n, is_wish)) {
        return -1;
    }
    int64_t size = 0;
    for (int64_t i = 0; i < records->n; i++) {
        size += room_for_steps(records, i);
    }
    return size;
}

/* Whether there is room for the steps of all ladders that may come out. */
static int check_room_for_steps(escala_fault *fault, const escala_records *records, const escala_fits *fits) {
    TRY(check_size(fault, "fits->steps_size", fits->steps_size));
    TRY(check_array(fault, "fits->steps", fits->steps, fits->steps_size));
    if (fits->steps && fits->steps_size < escala_fit_steps(records)) {
        return fail(fault, ESCALA_BAD_SIZE, "fits->steps_size", -1, (double)fits->steps_size);
    }
    return ESCALA_OK;
}

EXPORT int escala_fit(const escala_records *records, const escala_fits *fits, void *workspace, int64_t workspace_size,
                      escala_fault *fault) {
    OWN_ENVIRONMENT;
    if (!records || !fits) {
        return without(fault, records ? "fits" : "records");
    }
    TRY(check_instruments(fault, records));
    int64_t n = records->n;
    TRY(check_array(fault, "family", records->family, n));
    TRY(check_array(fault, "fits->family", fits->family, n));
    TRY(check_array(fault, "fits->status", fits->status, n));
    TRY(check_array(fault, "fits->n_points", fits->n_points, n));
    TRY(check_array(fault, "fits->params", fits->params, n));
    TRY(check_array(fault, "fits->origin", fits->origin, n));
    TRY(check_array(fault, "fits->trusted_to", fits->trusted_to, n));
    TRY(check_array(fault, "fits->root", fits->root, n));
    TRY(check_array(fault, "fits->covariance", fits->covariance, n));
    TRY(check_array(fault, "fits->fit_stats", fits->fit_stats, n));
    room space = {NULL, 0};
    int64_t most = most_records(n, records->offsets);
    lay_out_fit(&space, n, most);
    TRY(open_room(fault, &space, room_for(&space), workspace, workspace_size));
    TRY(check_codes(fault, "family", records->family, n, is_wish));
    TRY(check_room_for_steps(fault, records, fits));
    TRY(check_column(fault, "capital", &RANGE_CAPITAL, records->capital, records));
    TRY(check_column(fault, "efficiency", &RANGE_EFFICIENCY, records->efficiency, records));
    if (records->weights) {
        TRY(check_column(fault, "weights", &RANGE_WEIGHT, records->weights, records));
    }
    fit_room r = lay_out_fit(&space, n, most);
    sort_by_size(records->offsets, r.order, n);
    r.step_offsets[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        r.step_offsets[i + 1] = r.step_offsets[i] + (fits->steps ? room_for_steps(records, i) : 0);
    }
    entry_fit(r.order, records->offsets, n, records->family, records->capital, records->efficiency, records->size,
              records->weights, records->weights ? records->size : 0, r.step_offsets, fits->family, fits->status,
              fits->n_points, fits->params, fits->origin, fits->root, fits->covariance, fits->fit_stats, r.n_steps,
              fits->steps, fits->steps_size, r.work, r.work_size, r.scratch, r.scratch_size);
    for (int64_t i = 0; i < n; i++) {
        if (r.n_steps[i]) {
            fits->params[ESCALA_PARAMS * i + ESCALA_PARAMS - 1] = (double)r.step_offsets[i];
        }
        fits->trusted_to[i] = fits->fit_stats[i * ESCALA_FIT_STATS + ESCALA_FIT_STAT_TRUSTED_TO];
    }
    return succeed(fault);
}

EXPORT int escala_decay(const escala_records *records, const double *times, double half_life, double *out,
                        escala_fault *fault) {
    OWN_ENVIRONMENT;
    if (!records) {
        return without(fault, "records");
    }
    TRY(check_instruments(fault, records));
    TRY(check_array(fault, "out", out, records->size));
    TRY(check_column(fault, "times", &RANGE_FINITE, times, records));
    TRY(check_value(fault, "half_life", &RANGE_HALF_LIFE, half_life));
    if (records->weights) {
        TRY(check_column(fault, "weights", &RANGE_WEIGHT, records->weights, records));
    }
    entry_decay(records->offsets, records->n, times, records->size, records->weights,
                records->weights ? records->size : 0, &half_life, out);
    return succeed(fault);
}

/* ---- Allocation ---- */

/* Workspaces of one call, and what it asks of the kernel. */
typedef struct {
    double *settings; /* COUNT_OF(SETTINGS) x n */
    double *controls;
    double *work, *bounds, *trails, *drafts, *draft_solutions;
    int64_t *marks, *integers, *nodes;
    int8_t *draft_binding;
    double *group_limits, *group_prices, *group_work, *ended, *targets, *asked, *quest;
    int64_t *leaf, *forest;
    double *crossing_limits, *crossing_matrix, *crossing_lanes;
    int64_t groups;
    int64_t n, problems, most, work_size, integers_size;
} allocation_room;

EXPORT void escala_allocation_defaults(escala_allocation *problem) {
    if (!problem) {
        return;
    }
    memset(problem, 0, sizeof *problem);
    problem->draws = problem->totals = 1;
    for (int64_t k = 0; k < COUNT_OF(SETTINGS); k++) {
        ((escala_input *)((char *)problem + SETTINGS[k].offset))->value = SETTINGS[k].usual;
    }
    for (int64_t k = 0; k < COUNT_OF(GROUP_LIMITS); k++) {
        ((escala_input *)((char *)problem + GROUP_LIMITS[k].offset))->value = GROUP_LIMITS[k].usual;
    }
#define SET_USUAL(name, usual) problem->name = usual;
    CONTROLS(SET_USUAL)
#undef SET_USUAL
}

static int has_any(const escala_input *input, int64_t n) {
    for (int64_t i = 0; i < (input->values ? n : 1); i++) {
        if (element(input, i) != 0.0) {
            return 1;
        }
    }
    return 0;
}

static int is_traded(const escala_allocation *problem) {
    int64_t n = problem->curves.n;
    return has_any(&problem->buy_cost, n) || has_any(&problem->sell_cost, n) || has_any(&problem->fixed_cost, n);
}

/* Whether amounts are whole lots, or a matter of how many instruments hold anything: the argument; else NULL. */
static const char *what_is_whole(const escala_allocation *problem) {
    int64_t n = problem->curves.n;
    if (problem->max_count < n) {
        return "max_count";
    }
    return problem->min_count > 0 ? "min_count" : has_any(&problem->lots, n) ? "lots" : NULL;
}

/* of the workspace: one a solve, and as many again where trading costs something */
static int parts(const escala_allocation *problem) {
    int solves = problem->distribute && has_any(&problem->min_efficiency, problem->curves.n) ? 2 : 1;
    return is_traded(problem) ? 2 * solves : solves;
}

static allocation_room lay_out_allocation(room *space, const escala_allocation *problem) {
    allocation_room r;
    r.n = problem->curves.n;
    r.groups = problem->groups;
    r.problems = problem->draws * problem->totals;
    r.most = problem->greedy ? 0 : problem->max_nodes;
    r.work_size = entry_allocate_work_size(r.n, r.groups, parts(problem), problem->curves.steps_size);
    r.integers_size = entry_allocate_integers_size(r.n, r.groups, r.most);
    r.settings = carve_floats(space, COUNT_OF(SETTINGS) * r.n);
    r.controls = carve_floats(space, CONTROL_COUNT);
    r.work = carve_floats(space, r.work_size);
    r.marks = carve_integers(space, MARKS * r.n);
    r.integers = carve_integers(space, r.integers_size);
    r.nodes = carve_integers(space, (r.most + 2) * NODE_INTEGERS);
    r.bounds = carve_floats(space, (r.most + 2) * NODE_FLOATS);
    r.trails = carve_floats(space, TRAILS);
    r.drafts = carve_floats(space, DRAFTS_AND_WHOLE * r.n);
    r.draft_binding = carve(space, DRAFTS * r.n, sizeof(int8_t));
    r.draft_solutions = carve_floats(space, DRAFTS * ESCALA_SOLUTION_SIZE);
    r.group_limits = carve_floats(space, COUNT_OF(GROUP_LIMITS) * r.groups);
    r.group_prices = carve_floats(space, r.problems * r.groups);
    r.group_work = carve_floats(space, FENCES * r.groups);
    r.ended = carve_floats(space, VERDICT);
    r.targets = carve_floats(space, problem->goal ? 0 : problem->totals);
    r.asked = carve_floats(space, CONTROL_COUNT);
    r.quest = carve_floats(space, QUEST);
    r.leaf = carve_integers(space, r.n);
    r.forest = carve_integers(space, FOREST * r.groups);
    int64_t limits = problem->kinds ? r.groups + 1 : 0;
    r.crossing_limits = carve_floats(space, CROSSING_LIMITS * limits);
    r.crossing_matrix = carve_floats(space, limits * limits);
    r.crossing_lanes = carve_floats(space, problem->kinds ? CROSSING_LANES * r.n : 0);
    return r;
}

static int check_allocation_sizes(escala_fault *fault, const escala_allocation *problem) {
    TRY(check_size(fault, "n", problem->curves.n));
    TRY(check_size(fault, "steps_size", problem->curves.steps_size));
    TRY(check_size(fault, "draws", problem->draws));
    TRY(check_size(fault, "totals", problem->totals));
    int64_t problems, elements;
    if (!product(problem->draws, problem->totals, &problems) || !product(problems, problem->curves.n, &elements)) {
        return bad_size(fault, "totals", problem->totals);
    }
    if (!product(problem->draws, problem->curves.n, &elements)) {
        return bad_size(fault, "draws", problem->draws);
    }
    TRY(check_size(fault, "groups", problem->groups));
    if (!product(problems, problem->groups, &elements)) {
        return bad_size(fault, "groups", problem->groups);
    }
    TRY(check_size(fault, "kinds", problem->kinds));
    if (problem->kinds && !product(problem->groups + 1, problem->groups + 1, &elements)) {
        return bad_size(fault, "groups", problem->groups);
    }
    if (problem->max_nodes < 0 || problem->max_nodes > MOST_NODES) {
        return bad_size(fault, "max_nodes", problem->max_nodes);
    }
    return ESCALA_OK;
}

EXPORT int64_t escala_allocate_workspace(const escala_allocation *problem) {
    OWN_ENVIRONMENT;
    if (!problem || check_allocation_sizes(NULL, problem)) {
        return -1;
    }
    room space = {NULL, 0};
    lay_out_allocation(&space, problem);
    return room_for(&space);
}

static int check_step(escala_fault *fault, const escala_allocation *problem) {
    if (problem->step == 0.0) {
        return ESCALA_OK;
    }
    TRY(check_value(fault, "step", &RANGE_STEP, problem->step));
    for (int64_t i = 0; i < problem->totals; i++) {
        if (problem->total[i] / problem->step > MOST_INCREMENTS) {
            return conflict(fault, ESCALA_BAD_VALUE, "step", "total", i, problem->step);
        }
    }
    return ESCALA_OK;
}

/* Kinds of instruments have groups, which rise. */
static int check_kinds(escala_fault *fault, const escala_allocation *problem) {
    const int64_t *begins = problem->kind_begins;
    TRY(check_array(fault, "kind_begins", begins, problem->kinds + 1));
    for (int64_t k = 0; k <= problem->kinds; k++) {
        if (k ? begins[k] < begins[k - 1] || begins[k] - begins[k - 1] > problem->groups : begins[0] != 0) {
            return fail(fault, ESCALA_BAD_SIZE, "kind_begins", k, (double)begins[k]);
        }
    }
    TRY(check_array(fault, "kind_groups", problem->kind_groups, begins[problem->kinds]));
    for (int64_t k = 0; k < problem->kinds; k++) {
        for (int64_t at = begins[k]; at < begins[k + 1]; at++) {
            int64_t group = problem->kind_groups[at], least = at > begins[k] ? problem->kind_groups[at - 1] + 1 : 0;
            if (group < least || group >= problem->groups) {
                return fail(fault, ESCALA_BAD_CODE, "kind_groups", at, (double)group);
            }
        }
    }
    return ESCALA_OK;
}

/* Groups come before what they lie in, and all have instruments. */
static int check_forest(escala_fault *fault, const escala_allocation *problem) {
    int64_t groups = problem->groups, n = problem->curves.n;
    TRY(check_array(fault, "group_around", problem->group_around, groups));
    for (int64_t k = 0; k < groups; k++) {
        int64_t around = problem->group_around[k], used = 0;
        if (around != -1 && (around <= k || around >= groups)) {
            return fail(fault, ESCALA_BAD_CODE, "group_around", k, (double)around);
        }
        for (int64_t i = 0; i < n && !used; i++) {
            int64_t inside = problem->group_of[i];
            while (inside >= 0 && inside < k) {
                inside = problem->group_around[inside];
            }
            used = inside == k;
        }
        if (!used) {
            return fail(fault, ESCALA_BAD_SIZE, "group_of", k, (double)k);
        }
    }
    return ESCALA_OK;
}

static int check_groups(escala_fault *fault, const escala_allocation *problem) {
    int64_t groups = problem->groups, n = problem->curves.n, known = problem->kinds ? problem->kinds : groups;
    if (groups == 0) {
        return problem->kinds ? bad_size(fault, "kinds", problem->kinds) : ESCALA_OK;
    }
    TRY(check_array(fault, "group_of", problem->group_of, n));
    for (int64_t i = 0; i < n; i++) {
        if (problem->group_of[i] < -1 || problem->group_of[i] >= known) {
            return fail(fault, ESCALA_BAD_CODE, "group_of", i, (double)problem->group_of[i]);
        }
    }
    TRY(problem->kinds ? check_kinds(fault, problem) : check_forest(fault, problem));
    for (int64_t k = 0; k < COUNT_OF(GROUP_LIMITS); k++) {
        const column *row = &GROUP_LIMITS[k];
        TRY(check_input(fault, row->name, &row->values, input_at(problem, row->offset), groups));
    }
    return ESCALA_OK;
}

/* What counts has a least amount. */
static int check_counts(escala_fault *fault, const escala_allocation *problem) {
    TRY(check_value(fault, "max_count", &RANGE_MAX_COUNT, (double)problem->max_count));
    TRY(check_value(fault, "min_count", &RANGE_MIN_COUNT, (double)problem->min_count));
    if (problem->min_count > problem->max_count) {
        return conflict(fault, ESCALA_BAD_ORDER, "min_count", "max_count", -1, (double)problem->min_count);
    }
    if (problem->kinds && what_is_whole(problem)) { /* groups that overlap know no whole numbers */
        return fail(fault, ESCALA_BAD_VALUE, what_is_whole(problem), -1, (double)problem->kinds);
    }
    for (int64_t i = 0; i < problem->curves.n && problem->min_count; i++) {
        double least = element(&problem->lower, i) + element(&problem->min_ticket, i) + element(&problem->lots, i);
        if (least == 0.0 && element(&problem->upper, i) > 0.0) {
            return fail(fault, ESCALA_BAD_VALUE, "min_count", i, (double)problem->min_count);
        }
    }
    return ESCALA_OK;
}

static int check_target(escala_fault *fault, const escala_allocation *problem) {
    const range *allowed = &RANGE_FINITE;
    switch (problem->goal) {
    case ESCALA_TARGET_NONE: return ESCALA_OK;
    case ESCALA_TARGET_UTILITY: break;
    case ESCALA_TARGET_EFFICIENCY: allowed = &RANGE_TARGET_EFFICIENCY; break;
    case ESCALA_TARGET_MARGINAL: allowed = &RANGE_HURDLE; break;
    default: return fail(fault, ESCALA_BAD_CODE, "goal", -1, (double)problem->goal);
    }
    if (problem->exactly || problem->greedy) { /* they know no targets */
        return fail(fault, ESCALA_BAD_VALUE, problem->exactly ? "exactly" : "greedy", -1, 1.0);
    }
    if (what_is_whole(problem)) { /* nor do these */
        return fail(fault, ESCALA_BAD_VALUE, what_is_whole(problem), -1, (double)problem->goal);
    }
    TRY(check_array(fault, "target", problem->target, problem->totals));
    return check_values(fault, "target", allowed, problem->target, problem->totals);
}

static int check_allocation(escala_fault *fault, const escala_allocation *problem) {
    const escala_curves *curves = &problem->curves;
    int64_t n = curves->n;
    TRY(check_shape(fault, curves, problem->draws));
    TRY(check_array(fault, "total", problem->total, problem->totals));
    TRY(check_params(fault, curves, problem->draws));
    TRY(check_steps(fault, curves, problem->draws));
    if (n > 0 && problem->draws > 0) {
        TRY(check_limits(fault, curves, NULL));
    }
    TRY(check_values(fault, "total", &RANGE_TOTAL, problem->total, problem->totals));
    for (int64_t k = 0; k < COUNT_OF(SETTINGS); k++) {
        TRY(check_input(fault, SETTINGS[k].name, &SETTINGS[k].values, input_at(problem, SETTINGS[k].offset), n));
    }
    TRY(check_groups(fault, problem));
    TRY(check_counts(fault, problem));
    TRY(check_target(fault, problem));
    /* it knows no costs of trading, no groups and no whole numbers */
    if (problem->greedy && (is_traded(problem) || problem->groups || what_is_whole(problem))) {
        return fail(fault, ESCALA_BAD_VALUE, "greedy", -1, 1.0);
    }
    TRY(check_value(fault, "reserve", &RANGE_RESERVE, problem->reserve));
    TRY(check_value(fault, "hurdle", &RANGE_HURDLE, problem->hurdle));
    if (problem->tolerance != USUAL_TOLERANCE) {
        TRY(check_value(fault, "tolerance", &RANGE_TOLERANCE, problem->tolerance));
    }
    return check_step(fault, problem);
}

static int check_feasible(escala_fault *fault, const escala_answers *answers, int64_t problems) {
    for (int64_t row = 0; row < problems; row++) {
        const double *solution = answers->solution + row * ESCALA_SOLUTION_SIZE;
        if (solution[ESCALA_SOLUTION_STATUS] >= ESCALA_NO_ROOM) {
            return fail(fault, ESCALA_INFEASIBLE, "problem", row, solution[ESCALA_SOLUTION_EXCESS]);
        }
    }
    return ESCALA_OK;
}

static int check_answers(escala_fault *fault, const escala_answers *answers, int64_t problems, int64_t n) {
    TRY(check_array(fault, "amounts", answers->amounts, problems * n));
    TRY(check_array(fault, "binding", answers->binding, problems * n));
    return check_array(fault, "solution", answers->solution, problems);
}

EXPORT int escala_allocate(const escala_allocation *problem, const escala_answers *answers,
                           const escala_answers *first, void *workspace, int64_t workspace_size, escala_fault *fault) {
    OWN_ENVIRONMENT;
    if (!problem || !answers) {
        return without(fault, problem ? "answers" : "problem");
    }
    TRY(check_allocation_sizes(fault, problem));
    TRY(check_allocation(fault, problem));
    room space = {NULL, 0};
    allocation_room r = lay_out_allocation(&space, problem);
    TRY(open_room(fault, &space, room_for(&space), workspace, workspace_size));
    TRY(check_answers(fault, answers, r.problems, r.n));
    if (first) {
        TRY(check_answers(fault, first, r.problems, r.n));
    }
    r = lay_out_allocation(&space, problem);
    for (int64_t k = 0; k < COUNT_OF(SETTINGS); k++) {
        spread(r.settings + k * r.n, input_at(problem, SETTINGS[k].offset), 0, r.n);
    }
    for (int64_t k = 0; k < COUNT_OF(GROUP_LIMITS); k++) {
        spread(r.group_limits + k * r.groups, input_at(problem, GROUP_LIMITS[k].offset), 0, r.groups);
    }
    for (int64_t i = 0; i < r.n; i++) {
        r.leaf[i] = r.groups ? problem->group_of[i] : -1;
    }
    for (int64_t i = 0; i < problem->totals && !problem->goal; i++) {
        r.targets[i] = NAN;
    }
    int64_t k = 0;
#define SET_CONTROL(name, usual) r.controls[k++] = (double)problem->name;
    CONTROLS(SET_CONTROL)
#undef SET_CONTROL
    if (problem->tolerance == USUAL_TOLERANCE) {
        double usual = USUAL_GAP * (double)r.n * (double)r.n;
        r.controls[CONTROL_TOLERANCE] = usual < MOST_USUAL_GAP ? usual : MOST_USUAL_GAP;
    }
    const escala_curves *c = &problem->curves;
    const escala_answers none = {NULL, NULL, NULL, NULL};
    const escala_answers *begun = first ? first : &none;
    entry_allocate(c->family, c->params, problem->draws, c->origin, c->trusted_to, r.n, c->steps, c->steps_size,
                   r.settings, problem->total, problem->totals, r.controls, answers->amounts, answers->binding, answers->solution, begun->amounts,
                   begun->binding, begun->solution, first ? r.problems : 0, r.work, r.work_size, r.marks, r.integers,
                   r.integers_size, r.nodes, r.bounds, r.most, r.trails, r.drafts, r.draft_binding, r.draft_solutions,
                   r.leaf, problem->group_around, r.groups, r.group_limits,
                   answers->group_prices ? answers->group_prices : r.group_prices, r.forest, r.group_work, r.ended,
                   problem->goal ? problem->target : r.targets, r.asked, r.quest, problem->kind_begins,
                   problem->kinds, problem->kind_groups, problem->kinds ? problem->kind_begins[problem->kinds] : 0,
                   r.crossing_limits, r.crossing_matrix, r.crossing_lanes);
    TRY(check_feasible(fault, answers, r.problems));
    return succeed(fault);
}

/* ---- Lending loops ---- */

typedef struct {
    double *columns;
    double *values;
    int64_t *counts;
    double *work;
    int64_t *cursor;
    int64_t width;
} lending_room;

static lending_room lay_out_lending(room *space, int64_t n) {
    lending_room r;
    /* Rows a power of two apart would all compete for the same cache lines: eight elements more keep them apart. */
    r.width = (n < CHUNK ? n : CHUNK) + 8;
    r.columns = carve_floats(space, COUNT_OF(COLUMNS) * r.width);
    r.values = carve_floats(space, COUNT_OF(VALUES) * r.width);
    r.counts = carve_integers(space, COUNT_OF(COUNTS) * r.width);
    r.work = carve_floats(space, LENDING_WORK_SIZE);
    r.cursor = carve_integers(space, LENDING_CURSOR_SIZE);
    return r;
}

EXPORT void escala_scenarios_defaults(escala_scenarios *scenarios) {
    if (!scenarios) {
        return;
    }
    memset(scenarios, 0, sizeof *scenarios);
    for (int64_t k = 0; k < COUNT_OF(COLUMNS); k++) {
        escala_input *input = (escala_input *)((char *)scenarios + COLUMNS[k].offset);
        input->value = COLUMNS[k].usual;
    }
}

EXPORT int64_t escala_simulate_workspace(int64_t n) {
    OWN_ENVIRONMENT;
    if (check_size(NULL, "n", n)) {
        return -1;
    }
    room space = {NULL, 0};
    lay_out_lending(&space, n);
    return room_for(&space);
}

static int check_scenarios(escala_fault *fault, const escala_scenarios *scenarios) {
    for (int64_t k = 0; k < COUNT_OF(COLUMNS); k++) {
        const escala_input *input = input_at(scenarios, COLUMNS[k].offset);
        TRY(check_input(fault, COLUMNS[k].name, &COLUMNS[k].values, input, scenarios->n));
    }
    for (int64_t k = 0; k < COUNT_OF(ORDERED); k++) {
        const escala_input *low = input_at(scenarios, ORDERED[k].low), *high = input_at(scenarios, ORDERED[k].high);
        TRY(check_order(fault, ORDERED[k].low_name, low, ORDERED[k].high_name, high, scenarios->n));
    }
    return ESCALA_OK;
}

/* Copy rows of results of a chunk to the arrays that are wanted, whose pointers lie at these offsets. Real numbers and
 * integers have eight bytes. */
static void hand_over(const void *outcomes, const size_t *offsets, int64_t count, const void *rows, int64_t width,
                      int64_t start, int64_t stop) {
    for (int64_t k = 0; k < count; k++) {
        char *const *out = (char *const *)((const char *)outcomes + offsets[k]);
        if (*out) {
            memcpy(*out + 8 * start, (const char *)rows + 8 * k * width, (size_t)(8 * (stop - start)));
        }
    }
}

EXPORT int escala_simulate(const escala_scenarios *scenarios, const escala_outcomes *outcomes, void *workspace,
                           int64_t workspace_size, escala_fault *fault) {
    OWN_ENVIRONMENT;
    if (!scenarios || !outcomes) {
        return without(fault, scenarios ? "outcomes" : "scenarios");
    }
    int64_t n = scenarios->n;
    TRY(check_size(fault, "n", n));
    room space = {NULL, 0};
    lay_out_lending(&space, n);
    TRY(open_room(fault, &space, room_for(&space), workspace, workspace_size));
    TRY(check_scenarios(fault, scenarios));
    lending_room r = lay_out_lending(&space, n);
    for (int64_t start = 0; start < n; start += CHUNK) {
        int64_t stop = start + CHUNK < n ? start + CHUNK : n;
        for (int64_t k = 0; k < COUNT_OF(COLUMNS); k++) {
            const escala_input *input = input_at(scenarios, COLUMNS[k].offset);
            if (input->values || start == 0) { /* one value for all stays where the first chunk put it */
                spread(r.columns + k * r.width, input, start, stop);
            }
        }
        entry_simulate(r.columns, r.width, r.values, r.width, r.counts, r.work, r.cursor, stop - start);
        hand_over(outcomes, VALUES, COUNT_OF(VALUES), r.values, r.width, start, stop);
        hand_over(outcomes, COUNTS, COUNT_OF(COUNTS), r.counts, r.width, start, stop);
    }
    return succeed(fault);
}

/* ---- Plans of a position ---- */

typedef int64_t (*plan_entry)(const double *, int64_t, const int8_t *, const double *, const double *, int64_t,
                              const double *, int64_t, const double *, int64_t, const double *, const int64_t *,
                              int64_t, const double *, int64_t);

/* A direction: what plans it, what it gives, and in which row of counts the operations are counted. */
typedef struct {
    plan_entry entry;
    const size_t *values, *counts;
    int64_t value_count, count_count, operations;
    int up;
} plan_way;

static const plan_way UP = {entry_plan_leverage,       LEVERAGE_VALUES,           LEVERAGE_COUNTS,    COUNT_OF(LEVERAGE_VALUES),
                            COUNT_OF(LEVERAGE_COUNTS), LEVERAGE_OPERATIONS, 1};
static const plan_way DOWN = {entry_plan_unwind,       UNWIND_VALUES,           UNWIND_COUNTS,    COUNT_OF(UNWIND_VALUES),
                              COUNT_OF(UNWIND_COUNTS), UNWIND_OPERATIONS, 0};

typedef struct {
    double *columns, *target, *values, *work;
    double *best, *most;                      /* of the curves */
    double *one, *one_values, *table;         /* of a plan whose operations are written */
    int64_t *counts, *one_counts;
    int64_t width;
} plan_room;

/* Operations that a plan may have at most. */
static int64_t most_operations(const escala_plans *plans) {
    double most = 0.0;
    for (int64_t i = 0; i < (plans->rounds.values ? plans->n : 1); i++) {
        double rounds = element(&plans->rounds, i);
        most = rounds > most ? rounds : most;
    }
    return ROUND_OPERATIONS * (int64_t)(most < MOST_ROUNDS ? most : MOST_ROUNDS) + 1;
}

static plan_room lay_out_plans(room *space, const escala_plans *plans) {
    plan_room r;
    r.width = (plans->n < CHUNK ? plans->n : CHUNK) + 8; /* as of lending loops */
    r.columns = carve_floats(space, PLAN_INPUTS * r.width);
    r.target = carve_floats(space, r.width);
    r.values = carve_floats(space, PLAN_VALUES * r.width);
    r.counts = carve_integers(space, PLAN_COUNTS * r.width);
    r.work = carve_floats(space, PLAN_WORK_SIZE);
    r.best = carve_floats(space, plans->curves.n);
    r.most = carve_floats(space, plans->curves.n);
    r.one = carve_floats(space, PLAN_INPUTS);
    r.one_values = carve_floats(space, PLAN_VALUES);
    r.one_counts = carve_integers(space, PLAN_COUNTS);
    r.table = carve_floats(space, PLAN_TRACE * most_operations(plans));
    return r;
}

EXPORT void escala_plans_defaults(escala_plans *plans) {
    if (!plans) {
        return;
    }
    memset(plans, 0, sizeof *plans);
    plans->target.value = NAN;
    for (int64_t k = 0; k < COUNT_OF(GIVEN); k++) {
        ((escala_input *)((char *)plans + GIVEN[k].offset))->value = GIVEN[k].usual;
    }
}

static int check_plan_sizes(escala_fault *fault, const escala_plans *plans) {
    TRY(check_size(fault, "n", plans->n));
    int64_t curves = plans->curves.n;
    return curves == 0 || curves == 1 || curves == plans->n ? ESCALA_OK : bad_size(fault, "curves.n", curves);
}

EXPORT int64_t escala_plan_workspace(const escala_plans *plans) {
    OWN_ENVIRONMENT;
    if (!plans || check_plan_sizes(NULL, plans)) {
        return -1;
    }
    room space = {NULL, 0};
    lay_out_plans(&space, plans);
    return room_for(&space);
}

/* What trades are told of: curves, each of them known, or one share. */
static int check_market(escala_fault *fault, const escala_plans *plans) {
    const escala_curves *curves = &plans->curves;
    if (!curves->n) {
        return check_input(fault, "depth", &RANGE_DEPTH, &plans->depth, plans->n);
    }
    static const range none = {0.0, 0.0, 0, 0};
    TRY(check_input(fault, "depth", &none, &plans->depth, plans->n));
    TRY(check_shape(fault, curves, 1));
    TRY(check_params(fault, curves, 1));
    TRY(check_steps(fault, curves, 1));
    TRY(check_limits(fault, curves, curves->params));
    for (int64_t i = 0; i < curves->n; i++) {
        if (isnan(curves->params[ESCALA_PARAMS * i])) {
            return fail(fault, ESCALA_BAD_VALUE, "params", ESCALA_PARAMS * i, NAN);
        }
    }
    return ESCALA_OK;
}

/* Where only the health factor counts, the limit is the threshold. */
static const escala_input *given(const plan_way *way, const escala_plans *plans, int64_t k) {
    const escala_input *input = input_at(plans, GIVEN[k].offset);
    int left_out = !way->up && input == &plans->max_ltv && !input->values && isnan(input->value);
    return left_out ? &plans->liquidation_threshold : input;
}

static int check_given(escala_fault *fault, const plan_way *way, const escala_plans *plans) {
    int64_t n = plans->n;
    for (int64_t k = 0; k < COUNT_OF(GIVEN); k++) {
        const escala_input *input = input_at(plans, GIVEN[k].offset);
        if (given(way, plans, k) == input) {
            TRY(check_input(fault, GIVEN[k].name, &GIVEN[k].values, input, n));
        }
    }
    if (plans->kind < 0 || plans->kind >= COUNT_OF(GOALS) ||
        !(way->up ? GOALS[plans->kind].up : GOALS[plans->kind].down)) {
        return fail(fault, ESCALA_BAD_CODE, "kind", -1, plans->kind);
    }
    const goal *wanted = &GOALS[plans->kind];
    if (wanted->valued) {
        TRY(check_input(fault, "target", &wanted->values, &plans->target, n));
    }
    if (plans->kind == ESCALA_PLAN_TO_REPAY) {
        TRY(check_order(fault, "target", &plans->target, "borrow", &plans->borrow, n));
    }
    const escala_input *threshold = &plans->liquidation_threshold;
    const escala_input *limit = isnan(plans->max_ltv.value) && !plans->max_ltv.values ? threshold : &plans->max_ltv;
    return check_order(fault, "max_ltv", limit, "liquidation_threshold", threshold, n);
}

/* New collateral, or some before, to build leverage on; none that is new to take it off. */
static int check_equity(escala_fault *fault, const plan_way *way, const escala_plans *plans) {
    const escala_input *equity = &plans->equity, *supply = &plans->supply;
    int each = equity->values || supply->values;
    for (int64_t i = 0; i < (each ? plans->n : 1); i++) {
        double new_one = element(equity, i);
        if (way->up ? !(new_one + element(supply, i) > 0.0) : new_one != 0.0) {
            return conflict(fault, ESCALA_BAD_VALUE, "equity", way->up ? "supply" : NULL, each ? i : -1, new_one);
        }
    }
    return ESCALA_OK;
}

static double kept(const plan_room *r, const escala_plans *plans, int64_t i) {
    int64_t curves = plans->curves.n;
    return curves ? r->best[curves > 1 ? i : 0] : 1.0 - element(&plans->depth, i);
}

/* A trade must leave something. */
static int check_swap_fee(escala_fault *fault, const plan_room *r, const escala_plans *plans) {
    int each = plans->swap_fee.values || plans->depth.values || plans->curves.n > 1;
    for (int64_t i = 0; i < (each ? plans->n : 1); i++) {
        double fee = element(&plans->swap_fee, i);
        if (!(fee < kept(r, plans, i))) {
            return conflict(fault, ESCALA_BAD_ORDER, "swap_fee", "depth", each ? i : -1, fee);
        }
    }
    return ESCALA_OK;
}

/* Write what the kernel reads of the plans start <= i < stop. */
static void fill_plans(const plan_room *r, const plan_way *way, const escala_plans *plans, int64_t start, int64_t stop) {
    int64_t n = stop - start, curves = plans->curves.n;
    for (int64_t k = 0; k < COUNT_OF(GIVEN); k++) {
        const escala_input *input = given(way, plans, k);
        if (input->values || start == 0) { /* one value for all stays where the first chunk put it */
            spread(r->columns + k * r->width, input, start, stop);
        }
    }
    const escala_input endless = {INFINITY, NULL}, none = {0.0, NULL};
    const escala_input *target = plans->kind == ESCALA_PLAN_TO_ROUNDS  ? &endless
                                 : plans->kind == ESCALA_PLAN_TO_CLOSE ? &none
                                                                       : &plans->target;
    spread(r->target, target, start, stop);
    entry_plan_conditions(plans->kind, r->target, r->columns + PLAN_BORROW * r->width, n,
                          r->columns + PLAN_AIM * r->width, r->columns + PLAN_PER_SUPPLY * r->width,
                          r->columns + PLAN_PER_BORROW * r->width, r->columns + PLAN_CLOSE * r->width);
    double *keep = r->columns + PLAN_KEEP * r->width, *most = r->columns + PLAN_MOST * r->width;
    double *curve = r->columns + PLAN_CURVE * r->width;
    for (int64_t j = 0; j < n; j++) {
        int64_t place = curves > 1 ? start + j : 0;
        keep[j] = kept(r, plans, start + j);
        most[j] = curves ? r->most[place] : INFINITY;
        curve[j] = curves ? (double)place : -1.0;
    }
}

/* Curves that no plan looks at, where there are none. */
static const int8_t NO_FAMILY[1];
static const double NO_PARAMS[ESCALA_PARAMS];
static const escala_curves NO_CURVES = {1, NO_FAMILY, NO_PARAMS, NO_PARAMS, NO_PARAMS, NULL, 0};

/* Plan one position of a chunk again, alone, and write its operations from `at` on. */
static void write_operations(const plan_room *r, const plan_way *way, const escala_curves *c, int64_t j, int64_t count,
                             const escala_operations *out, int64_t at) {
    for (int64_t k = 0; k < PLAN_INPUTS; k++) {
        r->one[k] = r->columns[k * r->width + j];
    }
    way->entry(r->one, 1, c->family, c->params, c->origin, c->n, c->steps, c->steps_size, r->table, count,
               r->one_values, r->one_counts, 1, r->work, 1);
    for (int64_t k = 0; k < COUNT_OF(OPERATIONS); k++) {
        const double *row = r->table + k * count;
        void *const *array = (void *const *)((const char *)out + OPERATIONS[k]);
        if (*array && k == PLAN_ACTION) {
            for (int64_t i = 0; i < count; i++) {
                ((int64_t *)*array)[at + i] = (int64_t)row[i];
            }
        } else if (*array) {
            memcpy((double *)*array + at, row, (size_t)count * sizeof *row);
        }
    }
}

/* Write the operations of a chunk's plans, and where each plan's begin, as long as there is room. */
static void list_operations(const plan_room *r, const plan_way *way, const escala_curves *c,
                            const escala_operations *out, int64_t start, int64_t stop) {
    for (int64_t i = start; i < stop; i++) {
        int64_t at = out->offsets[i], count = r->counts[way->operations * r->width + i - start];
        out->offsets[i + 1] = at + count;
        if (count && at + count <= out->capacity) {
            write_operations(r, way, c, i - start, count, out, at);
        }
    }
}

static int plan(const plan_way *way, const escala_plans *plans, const void *outcomes,
                const escala_operations *operations, void *workspace, int64_t workspace_size, escala_fault *fault) {
    if (!plans || !outcomes) {
        return without(fault, plans ? "outcomes" : "plans");
    }
    TRY(check_plan_sizes(fault, plans));
    if (operations) {
        TRY(check_size(fault, "operations->capacity", operations->capacity));
        TRY(check_array(fault, "operations->offsets", operations->offsets, plans->n + 1));
    }
    TRY(check_market(fault, plans));
    TRY(check_given(fault, way, plans));
    TRY(check_equity(fault, way, plans));
    room space = {NULL, 0};
    lay_out_plans(&space, plans);
    TRY(open_room(fault, &space, room_for(&space), workspace, workspace_size));
    plan_room r = lay_out_plans(&space, plans);
    const escala_curves *c = plans->curves.n ? &plans->curves : &NO_CURVES;
    if (plans->curves.n) {
        entry_trades(c->family, c->params, c->origin, c->n, c->steps, c->steps_size, c->trusted_to, r.best, r.most);
    }
    TRY(check_swap_fee(fault, &r, plans));
    if (operations) {
        operations->offsets[0] = 0;
    }
    for (int64_t start = 0; start < plans->n; start += CHUNK) {
        int64_t stop = start + CHUNK < plans->n ? start + CHUNK : plans->n;
        fill_plans(&r, way, plans, start, stop);
        way->entry(r.columns, r.width, c->family, c->params, c->origin, c->n, c->steps, c->steps_size, r.table, 0,
                   r.values, r.counts, r.width, r.work, stop - start);
        hand_over(outcomes, way->values, way->value_count, r.values, r.width, start, stop);
        hand_over(outcomes, way->counts, way->count_count, r.counts, r.width, start, stop);
        if (operations) {
            list_operations(&r, way, c, operations, start, stop);
        }
    }
    if (operations && operations->offsets[plans->n] > operations->capacity) {
        return bad_size(fault, "operations->capacity", operations->capacity);
    }
    return succeed(fault);
}

EXPORT int escala_plan_leverage(const escala_plans *plans, const escala_leverage *outcomes,
                                const escala_operations *operations, void *workspace, int64_t workspace_size,
                                escala_fault *fault) {
    OWN_ENVIRONMENT;
    return plan(&UP, plans, outcomes, operations, workspace, workspace_size, fault);
}

EXPORT int escala_plan_unwind(const escala_plans *plans, const escala_unwind *outcomes,
                              const escala_operations *operations, void *workspace, int64_t workspace_size,
                              escala_fault *fault) {
    OWN_ENVIRONMENT;
    return plan(&DOWN, plans, outcomes, operations, workspace, workspace_size, fault);
}
