/* service.h — the NovelEngine service: handlers of every RPC over store, jobs and catalogue.
 *
 * Handlers run on the call's loop and never block: what needs the disk or the jobs is posted there with the
 * call's id, and the answer comes back as a task on the same loop; if the call has ended by then, it is
 * dropped.  The catalogue of characters is immutable; every loop holds a reference of its own, and a change
 * (made one at a time, on the first loop) is answered once all loops have the new one. */
#ifndef SERVER_SERVICE_SERVICE_H
#define SERVER_SERVICE_SERVICE_H
#include <stdatomic.h>
#include "rpc/nrpc.h"
#include "server/cards/catalogue.h"
#include "server/jobs/jobs.h"
#include "server/store/store.h"

struct service;
struct service_options {
    struct store *store;
    struct jobs *jobs;
    const struct nvl_pack *pack;
    nrpc_pool *pool;
    nrpc_server *server;        /* its loops exist, it has not started */
    struct catalogue *shipped;  /* cards as shipped; a reference is taken */
    struct catalogue *current;  /* with the overlays; a reference is taken */
    int log_calls;              /* enum service_log */
};
enum service_log { SERVICE_LOG_ERRORS, SERVICE_LOG_CHANGES, SERVICE_LOG_ALL };
/* [setup] Registers the handlers and the call log with o->server.  0 or a negative nrpc_err. */
int service_new(const struct service_options *o, struct service **out_service);
void service_halt(struct service *s); /* after nrpc_server_wait, before the store closes */
void service_free(struct service *s); /* after nrpc_server_free; NULL is fine */

/* Figures of the process, written by whoever samples (once a second), read by GetSystemStatus. */
struct service_sample {
    double memory_mb, cpu_percent;
};
void service_set_sample(struct service *s, struct service_sample sample); /* [any] */
/* Overlays of the store over the shipped cards; skips none silently.  0, or -1 with why.  Before the loops run. */
int service_load_overlays(struct store *store, const struct catalogue *shipped, struct catalogue **out_current,
                          char *why, size_t why_size);

#endif
