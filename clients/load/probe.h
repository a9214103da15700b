/* probe.h — before the load: does anything answer there, and what does it say of itself?  And this
 * machine. */
#ifndef NOVEL_LOAD_PROBE_H
#define NOVEL_LOAD_PROBE_H
#include "clients/load/results.h"
#include "clients/load/worker.h"

void probe_machine(struct results *r);
/* One request each: GET /meta/system-status, GetSystemStatus.  Counted in results.  false: why is
 * for the person. */
bool probe_http(struct results *r, const struct target *t, char *why, size_t size);
bool probe_rpc(struct results *r, const struct target *t, char *why, size_t size);

#endif
