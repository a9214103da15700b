/* access_log.h — one JSON line per request, gathered by its loop and written in few calls.  [loop]
 */
#ifndef NOVEL_GATEWAY_ACCESS_LOG_H
#define NOVEL_GATEWAY_ACCESS_LOG_H
#include "gateway/gateway.h"

struct access_entry {
    const char *method, *route, *request_id,
        *peer; /* route: the template, never the path; "" when none */
    int status;
    uint64_t bytes, duration_us;
};
void access_log_start(struct gateway_loop *gl);
void access_log_add(struct gateway_loop *gl, const struct access_entry *e);
void access_log_flush(struct gateway_loop *gl);

#endif
