/* tidy.h — deletes the simulations that a step made. */
#ifndef NOVEL_LOAD_TIDY_H
#define NOVEL_LOAD_TIDY_H
#include "clients/load/results.h"
#include "clients/load/worker.h"

/* ids: a NUL behind each.  How many stay; why is the first reason.  Requests are counted in
 * results. */
size_t tidy_http(struct results *r, const struct target *t, const struct buf *ids, char *why,
                 size_t size);
size_t tidy_rpc(struct results *r, const struct target *t, const struct buf *ids, char *why,
                size_t size);

#endif
