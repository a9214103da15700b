#include "clients/load/tally.h"

#include <stdio.h>
#include <string.h>

const char *outcome_name(enum outcome o)
{
    static const char *const names[OUTCOMES] = { "ok",     "connect",  "timeout", "lost",
                                                 "status", "bad_body", "unsent" };
    return names[o];
}

void tally_init(struct tally *t)
{
    memset(t, 0, sizeof *t);
    histogram_init(&t->latency);
    histogram_init(&t->failed);
    histogram_init(&t->first);
}

static void reset_histogram(struct histogram *h)
{
    if (h->count > 0)
        histogram_init(h);
}

void tally_reset(struct tally *t)
{
    memset(t->count, 0, sizeof t->count);
    memset(t->statuses, 0, sizeof t->statuses);
    memset(t->detail, 0, sizeof t->detail);
    t->bytes = 0;
    reset_histogram(&t->latency);
    reset_histogram(&t->failed);
    reset_histogram(&t->first);
}

static void add_status(struct tally *t, const char *name, uint64_t count)
{
    size_t i = 0;
    while (i < TALLY_STATUSES && t->statuses[i].count > 0 && strcmp(t->statuses[i].name, name) != 0)
        i++;
    if (i >= TALLY_STATUSES - 1) {
        i = TALLY_STATUSES - 1;
        name = "other";
    }
    snprintf(t->statuses[i].name, sizeof t->statuses[i].name, "%s", name);
    t->statuses[i].count += count;
}

void tally_add(struct tally *t, enum outcome o, uint64_t took_ns, uint64_t first_ns,
               const char *status, const char *detail)
{
    t->count[o]++;
    if (first_ns > 0)
        histogram_add(&t->first, first_ns);
    if (o == OUTCOME_OK) {
        histogram_add(&t->latency, took_ns);
        return;
    }
    if (o != OUTCOME_UNSENT)
        histogram_add(&t->failed, took_ns);
    if (o == OUTCOME_STATUS)
        add_status(t, status, 1);
    if (detail != NULL && t->detail[o][0] == '\0')
        snprintf(t->detail[o], sizeof t->detail[o], "%s", detail);
}

void tally_merge(struct tally *to, const struct tally *from)
{
    for (size_t i = 0; i < OUTCOMES; i++) {
        to->count[i] += from->count[i];
        if (to->detail[i][0] == '\0')
            memcpy(to->detail[i], from->detail[i], sizeof to->detail[i]);
    }
    for (size_t i = 0; i < TALLY_STATUSES; i++)
        if (from->statuses[i].count > 0)
            add_status(to, from->statuses[i].name, from->statuses[i].count);
    to->bytes += from->bytes;
    histogram_merge(&to->latency, &from->latency);
    histogram_merge(&to->failed, &from->failed);
    histogram_merge(&to->first, &from->first);
}

uint64_t tally_requests(const struct tally *t)
{
    uint64_t n = 0;
    for (size_t i = 0; i < OUTCOMES; i++)
        n += i == OUTCOME_UNSENT ? 0 : t->count[i];
    return n;
}

uint64_t tally_errors(const struct tally *t)
{
    return tally_requests(t) - t->count[OUTCOME_OK] + t->count[OUTCOME_UNSENT];
}
