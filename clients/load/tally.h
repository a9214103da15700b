/* tally.h — how requests ended: counts by kind, statuses by name, durations.  Pure. */
#ifndef NOVEL_LOAD_TALLY_H
#define NOVEL_LOAD_TALLY_H
#include "clients/load/histogram.h"

/* In the order of the results file's "errors". */
enum outcome {
    OUTCOME_OK,
    OUTCOME_CONNECT, /* no connection could be made */
    OUTCOME_TIMEOUT, /* no whole answer in time */
    OUTCOME_LOST,    /* the connection ended before the answer did */
    OUTCOME_STATUS, /* an HTTP status that is not 200, or a gRPC status of the peer's that is not OK
                     */
    OUTCOME_BAD_BODY, /* the status was good, what came was not what was asked for */
    OUTCOME_UNSENT,   /* open loop: due, but never started, because all users were still waiting */
    OUTCOMES
};
const char *outcome_name(enum outcome o); /* "connect" */

enum { TALLY_STATUSES = 12, TALLY_STATUS_SIZE = 24, TALLY_DETAIL_SIZE = 200 };
struct tally {
    uint64_t count[OUTCOMES];
    struct tally_status {
        char name[TALLY_STATUS_SIZE]; /* "500", "UNAVAILABLE" */
        uint64_t count;
    } statuses[TALLY_STATUSES]; /* of OUTCOME_STATUS; the last one also takes what finds no place:
                                   "other" */
    char detail[OUTCOMES][TALLY_DETAIL_SIZE]; /* the first of each kind, for people */
    uint64_t bytes;                           /* of bodies */
    struct histogram latency;                 /* of requests that ended well */
    struct histogram failed;                  /* of those that did not, UNSENT left out */
    struct histogram first;                   /* streams: until the first event */
};
void tally_init(struct tally *t);
void tally_reset(struct tally *t); /* to empty; cheap when little was added */
/* status: with OUTCOME_STATUS its name, else ignored; detail may be NULL; first_ns 0: no stream. */
void tally_add(struct tally *t, enum outcome o, uint64_t took_ns, uint64_t first_ns,
               const char *status, const char *detail);
void tally_merge(struct tally *to, const struct tally *from);
uint64_t tally_requests(const struct tally *t); /* all but UNSENT */
uint64_t tally_errors(const struct tally *t);   /* UNSENT too */

#endif
