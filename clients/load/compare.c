#include "clients/load/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clients/load/json.h"

/* One-sided 99.9 % of the normal distribution. */
#define Z_NEEDED 3.0902

static int ascending(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static double median_of(const double *parts, size_t n)
{
    double sorted[RESULTS_SLICES];
    n = n > RESULTS_SLICES ? RESULTS_SLICES : n;
    if (n == 0)
        return 0;
    memcpy(sorted, parts, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, ascending);
    return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* How often a part of the new run is above one of the old (a tie is half), as standard errors from
 * even. */
static double rank_z(const double *old_parts, size_t n_old, const double *new_parts, size_t n_new,
                     double *most)
{
    double all[2 * RESULTS_SLICES], u = 0, ties = 0, n = (double) (n_old + n_new);
    for (size_t i = 0; i < n_old; i++)
        for (size_t k = 0; k < n_new; k++)
            u += new_parts[k] > old_parts[i] ? 1 : new_parts[k] == old_parts[i] ? 0.5 : 0;
    memcpy(all, old_parts, n_old * sizeof *all);
    memcpy(all + n_old, new_parts, n_new * sizeof *all);
    qsort(all, n_old + n_new, sizeof *all, ascending);
    for (size_t i = 0, k; i < n_old + n_new; i = k) {
        for (k = i; k < n_old + n_new && all[k] == all[i]; k++)
            ;
        double same = (double) (k - i);
        ties += same * same * same - same;
    }
    double pairs = (double) n_old * (double) n_new;
    double spread = sqrt(pairs / 12 * (n + 1 - ties / (n * (n - 1))));
    *most = spread > 0 ? pairs / 2 / spread : 0;
    return spread > 0 ? (u - pairs / 2) / spread : 0;
}

static enum compare_outcome outcome_of(const struct compare_figure *f, double tolerance_percent)
{
    bool noise = f->z_needed > 0 && fabs(f->z) < f->z_needed;
    if (f->z_needed == 0)
        return f->change_percent > 100 ? COMPARE_WORSE : COMPARE_UNJUDGED;
    if (noise || fabs(f->change_percent) <= tolerance_percent)
        return COMPARE_SAME;
    return f->change_percent > 0 ? COMPARE_WORSE : COMPARE_BETTER;
}

/* How much worse, so that a rate that halves and a duration that doubles are both 100 %. */
static double worse_percent(double old_value, double new_value, bool more_is_worse)
{
    double from = more_is_worse ? old_value : new_value, to = more_is_worse ? new_value : old_value;
    if (from <= 0)
        return to > 0 ? INFINITY : 0;
    return 100 * (to - from) / from;
}

struct compare_figure compare_parts(const double *old_parts, size_t n_old, const double *new_parts,
                                    size_t n_new, bool more_is_worse, double tolerance_percent)
{
    struct compare_figure f = { .old_value = median_of(old_parts, n_old),
                                .new_value = median_of(new_parts, n_new) };
    f.change_percent = worse_percent(f.old_value, f.new_value, more_is_worse);
    if (n_old >= COMPARE_PARTS && n_new >= COMPARE_PARTS && n_old <= RESULTS_SLICES &&
        n_new <= RESULTS_SLICES) {
        double most, z = rank_z(old_parts, n_old, new_parts, n_new, &most);
        f.z = more_is_worse ? z : -z;
        f.z_needed = most > 0 && most < Z_NEEDED ? most * 0.999 : Z_NEEDED;
    }
    f.outcome = outcome_of(&f, tolerance_percent);
    return f;
}

/* Shares of failed requests; a percent of all requests more is the tolerance here. */
static struct compare_figure compare_errors(const struct row *a, const struct row *b)
{
    double na = (double) (a->requests + a->errors[OUTCOME_UNSENT]),
           nb = (double) (b->requests + b->errors[OUTCOME_UNSENT]);
    double ea = (double) row_errors(a), eb = (double) row_errors(b);
    struct compare_figure f = { .old_value = a->error_percent, .new_value = b->error_percent };
    f.change_percent = f.new_value - f.old_value; /* points */
    if (na == 0 || nb == 0) {
        f.outcome = COMPARE_UNJUDGED;
        return f;
    }
    double share = (ea + eb) / (na + nb), error = sqrt(share * (1 - share) * (1 / na + 1 / nb));
    f.z_needed = Z_NEEDED;
    f.z = error > 0 ? (eb / nb - ea / na) / error : eb / nb > ea / na ? INFINITY : 0;
    f.outcome = fabs(f.z) < f.z_needed ? COMPARE_SAME : f.z > 0 ? COMPARE_WORSE : COMPARE_BETTER;
    return f;
}

/* ---- rows ---- */
enum figure { FIGURE_RATE, FIGURE_P50, FIGURE_P95, FIGURE_P99, FIGURE_ERRORS, FIGURES };
static const char *const figure_names[FIGURES] = { "rate", "p50_ms", "p95_ms", "p99_ms",
                                                   "error_percent" };

static size_t take_parts(const struct row *row, enum figure which, double *out)
{
    size_t n = 0;
    for (unsigned i = 0; i < row->n_slices; i++) {
        const struct slice *s = &row->slices[i];
        if (which != FIGURE_RATE && s->requests == s->errors)
            continue; /* no good answer in this part: it has no durations */
        out[n++] = which == FIGURE_RATE  ? s->rate
                   : which == FIGURE_P50 ? s->p50_ms
                   : which == FIGURE_P95 ? s->p95_ms
                                         : s->p99_ms;
    }
    return n;
}

static double whole_value(const struct row *row, enum figure which)
{
    return which == FIGURE_RATE  ? row->rate
           : which == FIGURE_P50 ? row->latency.p50_ms
           : which == FIGURE_P95 ? row->latency.p95_ms
                                 : row->latency.p99_ms;
}

static struct compare_figure compare_figure_of(const struct row *a, const struct row *b,
                                               enum figure which, double tolerance)
{
    double old_parts[RESULTS_SLICES], new_parts[RESULTS_SLICES];
    if (which == FIGURE_ERRORS)
        return compare_errors(a, b);
    size_t n_old = take_parts(a, which, old_parts), n_new = take_parts(b, which, new_parts);
    if (n_old >= COMPARE_PARTS && n_new >= COMPARE_PARTS)
        return compare_parts(old_parts, n_old, new_parts, n_new, which != FIGURE_RATE, tolerance);
    double old_value = whole_value(a, which), new_value = whole_value(b, which);
    return compare_parts(&old_value, 1, &new_value, 1, which != FIGURE_RATE, tolerance);
}

static const struct row *find_row(const struct results *r, const struct row *like)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct row *row = &r->rows[i];
        if (strcmp(row->section, like->section) == 0 && strcmp(row->door, like->door) == 0 &&
            strcmp(row->endpoint, like->endpoint) == 0 && row->users == like->users &&
            row->rate_wanted == like->rate_wanted && row->think_ms == like->think_ms)
            return row;
    }
    return NULL;
}

/* ---- output ---- */
static const char *const outcome_words[] = { "same", "better", "WORSE", "not judged" };

static void put_text(struct buf *out, const struct row *row, enum figure which,
                     const struct compare_figure *f)
{
    buf_printf(out, "%-11s %-4s %-22s %5u  %-13s %11.3f -> %11.3f  ", row->section, row->door,
               row->endpoint, row->users, figure_names[which], f->old_value, f->new_value);
    if (which == FIGURE_ERRORS)
        buf_printf(out, "%+8.2f points", f->change_percent);
    else
        buf_printf(out, "%+8.1f %%     ", f->change_percent);
    if (f->z_needed > 0)
        buf_printf(out, "  z %6.1f of %4.1f ", f->z, f->z_needed);
    else
        buf_puts(out, "  too few parts   ");
    buf_printf(out, "  %s\n", outcome_words[f->outcome]);
}

static void put_json(struct json_out *w, const struct row *row, enum figure which,
                     const struct compare_figure *f)
{
    json_open(w, NULL, '{');
    json_put_text(w, "section", row->section);
    json_put_text(w, "door", row->door);
    json_put_text(w, "endpoint", row->endpoint);
    json_put_count(w, "users", row->users);
    json_put_text(w, "figure", figure_names[which]);
    json_put_number(w, "old", f->old_value, 6);
    json_put_number(w, "new", f->new_value, 6);
    json_put_number(w, "worse_percent", f->change_percent, 3);
    json_put_number(w, "z", f->z, 3);
    json_put_number(w, "z_needed", f->z_needed, 3);
    json_put_text(w, "outcome", f->outcome == COMPARE_WORSE ? "worse" : outcome_words[f->outcome]);
    json_close(w, '}');
}

static const char how[] = "How noise was judged: each figure is the median over a row's parts "
                          "(about a second each); a change counts when the\n"
                          "ranks of the two runs' parts (Mann-Whitney) lie further apart than "
                          "those of equal runs would in 999 of 1,000 cases\n"
                          "(with very few parts: when all of one run are worse than all of the "
                          "other), and the change is over the tolerance.\n"
                          "Rows with fewer than 5 parts are not judged unless the figure doubled.  "
                          "Errors: pooled standard error of two shares.\n"
                          "Noise between runs (another machine, other neighbours) is not in the "
                          "parts: run both on the same quiet machine.\n";

struct totals {
    size_t judged, worse, better, missing;
};

static void compare_row(struct buf *out, struct json_out *w, const struct row *a,
                        const struct row *b, double tolerance, struct totals *sum)
{
    for (int i = 0; i < FIGURES; i++) {
        enum figure which = (enum figure) i;
        struct compare_figure f = compare_figure_of(a, b, which, tolerance);
        sum->judged += f.outcome != COMPARE_UNJUDGED;
        sum->worse += f.outcome == COMPARE_WORSE;
        sum->better += f.outcome == COMPARE_BETTER;
        if (w != NULL)
            put_json(w, a, which, &f);
        else if (f.outcome != COMPARE_SAME || which == FIGURE_P50)
            put_text(out, a, which, &f);
    }
}

size_t compare_results(struct buf *out, const struct results *old_run,
                       const struct results *new_run, double tolerance_percent, bool json)
{
    struct json_out writer = { .out = out }, *w = json ? &writer : NULL;
    struct totals sum = { 0 };
    if (json) {
        json_open(w, NULL, '{');
        json_put_text(w, "noise", how);
        json_put_number(w, "tolerance_percent", tolerance_percent, 2);
        json_open(w, "figures", '[');
    } else {
        buf_printf(out, "old: %s %s %s\nnew: %s %s %s\n\n", old_run->started, old_run->version,
                   old_run->commit, new_run->started, new_run->version, new_run->commit);
    }
    for (size_t i = 0; i < old_run->n_rows; i++) {
        const struct row *b = find_row(new_run, &old_run->rows[i]);
        if (b != NULL)
            compare_row(out, w, &old_run->rows[i], b, tolerance_percent, &sum);
        else
            sum.missing++;
    }
    if (json) {
        json_close(w, ']');
        json_put_count(w, "judged", sum.judged);
        json_put_count(w, "worse", sum.worse);
        json_put_count(w, "better", sum.better);
        json_put_count(w, "rows_missing", sum.missing);
        json_close(w, '}');
        buf_putc(out, '\n');
    } else {
        buf_printf(out,
                   "\n%zu figures judged: %zu worse, %zu better (tolerance %g %%); %zu rows of the "
                   "old run are not in the new one.\n%s",
                   sum.judged, sum.worse, sum.better, tolerance_percent, sum.missing, how);
    }
    return sum.worse;
}
