#include "clients/load/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clients/load/json.h"

/* One-sided 99.9 % of the normal distribution. */
#define Z_NEEDED 3.0902
enum { PARTS_MAX = COMPARE_RUNS * RESULTS_SLICES };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static double median_of(const double *parts, size_t n)
{
    double sorted[PARTS_MAX];
    n = n > PARTS_MAX ? PARTS_MAX : n;
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
    double all[2 * PARTS_MAX], u = 0, ties = 0, n = (double) (n_old + n_new);
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
    if (n_old >= COMPARE_PARTS && n_new >= COMPARE_PARTS && n_old <= PARTS_MAX &&
        n_new <= PARTS_MAX) {
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

/* The rows of all runs of a side that belong together. */
struct same {
    const struct row *rows[COMPARE_RUNS];
    size_t n;
};

static double value_of(const struct row *row, enum figure which)
{
    double parts[RESULTS_SLICES];
    size_t n = take_parts(row, which, parts);
    return n >= COMPARE_PARTS ? median_of(parts, n) : whole_value(row, which);
}

static size_t take_all_parts(const struct same *s, enum figure which, double *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += take_parts(s->rows[i], which, out + n);
    return n;
}

/* Whether each of b's values is above each of a's. */
static bool all_above(const double *a, size_t n_a, const double *b, size_t n_b)
{
    for (size_t i = 0; i < n_a; i++)
        for (size_t k = 0; k < n_b; k++)
            if (b[k] <= a[i])
                return false;
    return true;
}

static struct compare_figure compare_figure_of(const struct same *a, const struct same *b,
                                               enum figure which, double tolerance)
{
    double old_parts[PARTS_MAX], new_parts[PARTS_MAX], old_runs[COMPARE_RUNS],
        new_runs[COMPARE_RUNS];
    bool more_is_worse = which != FIGURE_RATE;
    for (size_t i = 0; i < a->n; i++)
        old_runs[i] = value_of(a->rows[i], which);
    for (size_t i = 0; i < b->n; i++)
        new_runs[i] = value_of(b->rows[i], which);
    bool up = all_above(old_runs, a->n, new_runs, b->n),
         down = all_above(new_runs, b->n, old_runs, a->n);
    size_t n_old = take_all_parts(a, which, old_parts), n_new = take_all_parts(b, which, new_parts);
    bool judged = n_old >= COMPARE_PARTS * a->n && n_new >= COMPARE_PARTS * b->n;
    struct compare_figure f =
        judged ? compare_parts(old_parts, n_old, new_parts, n_new, more_is_worse, tolerance)
               : compare_parts(old_runs, a->n, new_runs, b->n, more_is_worse, tolerance);
    if (!judged && a->n >= COMPARE_RUNS_ALONE && b->n >= COMPARE_RUNS_ALONE) {
        bool worse = more_is_worse ? up : down, better = more_is_worse ? down : up;
        f.outcome = worse && f.change_percent > tolerance     ? COMPARE_WORSE
                    : better && f.change_percent < -tolerance ? COMPARE_BETTER
                                                              : COMPARE_SAME;
    }
    if (a->n + b->n > 2 && !up && !down && f.outcome != COMPARE_UNJUDGED)
        f.outcome = COMPARE_SAME; /* the runs of the two sides overlap */
    return f;
}

static void add_errors(const struct same *s, struct row *sum)
{
    for (size_t i = 0; i < s->n; i++) {
        sum->requests += s->rows[i]->requests;
        for (size_t k = 0; k < OUTCOMES; k++)
            sum->errors[k] += s->rows[i]->errors[k];
    }
    double all = (double) (sum->requests + sum->errors[OUTCOME_UNSENT]);
    sum->error_percent = all > 0 ? 100 * (double) row_errors(sum) / all : 0;
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

static const char how[] =
    "How noise was judged: each figure is the median over a row's parts "
    "(about a second each); a change counts when the\n"
    "ranks of the two runs' parts (Mann-Whitney) lie further apart than "
    "those of equal runs would in 999 of 1,000 cases\n"
    "(with very few parts: when all of one run are worse than all of the "
    "other), and the change is over the tolerance.\n"
    "Rows with fewer than 5 parts are not judged unless the figure doubled.  "
    "Errors: pooled standard error of two shares.\n"
    "Several runs a side (compare OLD,OLD,OLD NEW,NEW,NEW): besides, every new run must be worse "
    "than every old one; three\n"
    "a side judge rows with few parts as well.  With one run a side, what differs between runs "
    "(other neighbours, another\n"
    "hour) cannot be told from a regression: repeat a comparison that failed with more runs.\n";

struct totals {
    size_t judged, worse, better, missing;
};

static struct same find_same(struct compare_side side, const struct row *like)
{
    struct same s = { .n = 0 };
    for (size_t i = 0; i < side.n && i < COMPARE_RUNS; i++) {
        const struct row *row = find_row(&side.runs[i], like);
        if (row != NULL)
            s.rows[s.n++] = row;
    }
    return s;
}

static void compare_row(struct buf *out, struct json_out *w, const struct same *a,
                        const struct same *b, double tolerance, struct totals *sum)
{
    struct row errors[2] = { 0 };
    add_errors(a, &errors[0]);
    add_errors(b, &errors[1]);
    for (int i = 0; i < FIGURES; i++) {
        enum figure which = (enum figure) i;
        struct compare_figure f = which == FIGURE_ERRORS
                                      ? compare_errors(&errors[0], &errors[1])
                                      : compare_figure_of(a, b, which, tolerance);
        sum->judged += f.outcome != COMPARE_UNJUDGED;
        sum->worse += f.outcome == COMPARE_WORSE;
        sum->better += f.outcome == COMPARE_BETTER;
        if (w != NULL)
            put_json(w, a->rows[0], which, &f);
        else if (f.outcome != COMPARE_SAME || which == FIGURE_P50)
            put_text(out, a->rows[0], which, &f);
    }
}

static void put_sides(struct buf *out, struct compare_side old_side, struct compare_side new_side)
{
    for (size_t i = 0; i < old_side.n + new_side.n; i++) {
        bool is_old = i < old_side.n;
        const struct results *r = is_old ? &old_side.runs[i] : &new_side.runs[i - old_side.n];
        buf_printf(out, "%s: %s %s %s\n", is_old ? "old" : "new", r->started, r->version,
                   r->commit);
    }
    buf_putc(out, '\n');
}

size_t compare_results(struct buf *out, struct compare_side old_side, struct compare_side new_side,
                       double tolerance_percent, bool json)
{
    struct json_out writer = { .out = out }, *w = json ? &writer : NULL;
    struct totals sum = { 0 };
    if (json) {
        json_open(w, NULL, '{');
        json_put_text(w, "noise", how);
        json_put_number(w, "tolerance_percent", tolerance_percent, 2);
        json_put_count(w, "old_runs", old_side.n);
        json_put_count(w, "new_runs", new_side.n);
        json_open(w, "figures", '[');
    } else {
        put_sides(out, old_side, new_side);
    }
    for (size_t i = 0; i < old_side.runs[0].n_rows; i++) {
        const struct same a = find_same(old_side, &old_side.runs[0].rows[i]),
                          b = find_same(new_side, a.rows[0]);
        if (b.n > 0)
            compare_row(out, w, &a, &b, tolerance_percent, &sum);
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
                   "old run are not in the new one.\n%s%s",
                   sum.judged, sum.worse, sum.better, tolerance_percent, sum.missing,
                   sum.judged > 0 ? "" : "Nothing could be judged: that is no pass.\n", how);
    }
    return sum.judged > 0 ? sum.worse : 1;
}
