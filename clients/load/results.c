#include "clients/load/results.h"

#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/nrpc.h"

void results_done(struct results *r)
{
    for (size_t i = 0; i < r->n_processes; i++)
        alloc_free(r->processes[i].samples);
    alloc_free(r->rows);
    memset(r, 0, sizeof *r);
}

struct row *results_add_row(struct results *r)
{
    if (r->n_rows == r->rows_capacity) {
        size_t wanted = r->rows_capacity == 0 ? 16 : r->rows_capacity * 2;
        struct row *more =
            wanted > RESULTS_ROWS_MAX ? NULL : alloc_resize(r->rows, wanted * sizeof *more);
        if (more == NULL)
            return NULL;
        r->rows = more;
        r->rows_capacity = wanted;
    }
    struct row *row = &r->rows[r->n_rows++];
    memset(row, 0, sizeof *row);
    return row;
}

int results_add_sample(struct process *p, const struct sample *s)
{
    if (p->n_samples == p->capacity) {
        size_t wanted = p->capacity == 0 ? 256 : p->capacity * 2;
        struct sample *more = alloc_resize(p->samples, wanted * sizeof *more);
        if (more == NULL)
            return NRPC_E_NOMEM;
        p->samples = more;
        p->capacity = wanted;
    }
    p->samples[p->n_samples++] = *s;
    return 0;
}

static void set_latency(struct latency *l, const struct histogram *h)
{
    l->mean_ms = histogram_mean(h) / 1e6;
    l->min_ms = h->count == 0 ? 0 : (double) h->min / 1e6;
    l->p50_ms = (double) histogram_at(h, 0.5) / 1e6;
    l->p90_ms = (double) histogram_at(h, 0.9) / 1e6;
    l->p95_ms = (double) histogram_at(h, 0.95) / 1e6;
    l->p99_ms = (double) histogram_at(h, 0.99) / 1e6;
    l->p999_ms = (double) histogram_at(h, 0.999) / 1e6;
    l->max_ms = (double) h->max / 1e6;
}

void row_set_tally(struct row *row, const struct tally *t)
{
    row->requests = tally_requests(t);
    row->bytes = t->bytes;
    memcpy(row->errors, t->count, sizeof row->errors);
    memcpy(row->statuses, t->statuses, sizeof row->statuses);
    memcpy(row->detail, t->detail, sizeof row->detail);
    double all = (double) (row->requests + t->count[OUTCOME_UNSENT]);
    row->error_percent = all == 0 ? 0 : 100 * (double) tally_errors(t) / all;
    row->rate = row->seconds > 0 ? (double) t->count[OUTCOME_OK] / row->seconds : 0;
    set_latency(&row->latency, &t->latency);
    set_latency(&row->first, &t->first);
}

uint64_t row_errors(const struct row *row)
{
    uint64_t n = 0;
    for (size_t i = OUTCOME_OK + 1; i < OUTCOMES; i++)
        n += row->errors[i];
    return n;
}

/* Percentiles of two parts cannot be joined exactly; the mean weighted by requests is near for
 * neighbours. */
static void join(struct slice *to, const struct slice *from)
{
    double a = (double) to->requests, b = (double) from->requests, all = a + b;
    if (all > 0) {
        to->p50_ms = (to->p50_ms * a + from->p50_ms * b) / all;
        to->p95_ms = (to->p95_ms * a + from->p95_ms * b) / all;
        to->p99_ms = (to->p99_ms * a + from->p99_ms * b) / all;
    }
    to->seconds += from->seconds;
    to->requests += from->requests;
    to->errors += from->errors;
    to->rate = to->seconds > 0 ? (double) (to->requests - to->errors) / to->seconds : 0;
}

void row_add_slice(struct row *row, const struct slice *s)
{
    if (row->n_slices == RESULTS_SLICES) {
        for (unsigned i = 0; i < RESULTS_SLICES / 2; i++) {
            row->slices[i] = row->slices[2 * i];
            join(&row->slices[i], &row->slices[2 * i + 1]);
        }
        row->n_slices = RESULTS_SLICES / 2;
    }
    /* Once neighbours were joined, new parts grow to the same length. */
    struct slice *last = row->n_slices > 0 ? &row->slices[row->n_slices - 1] : NULL;
    if (last != NULL && row->n_slices > RESULTS_SLICES / 2 - 1 &&
        last->seconds + s->seconds / 2 < row->slices[0].seconds)
        join(last, s);
    else
        row->slices[row->n_slices++] = *s;
}
