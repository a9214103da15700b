/* admin.h — a small HTTP answerer for probes and metrics, on a thread of its own, and the once-a-second sampling of the
 * process.  Nothing of it shares the loops: a probe tells of the process even when they are busy. */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H
#include <stdbool.h>
#include <stddef.h>

struct admin;
struct admin_options {
    const char *address; /* "HOST:PORT", numeric; NULL: no HTTP, only sampling */
    bool (*ready)(void *ctx, const char **out_why);        /* [its thread] */
    void (*sample)(void *ctx, double memory_mb, double cpu_percent); /* [its thread] */
    void *ctx;
};
/* 0, or -1 with why. */
int admin_start(const struct admin_options *o, struct admin **out_admin, char *why, size_t why_size);
const char *admin_address(const struct admin *a); /* bound; "" without HTTP */
void admin_stop(struct admin *a);                 /* joins; NULL is fine */

#endif
