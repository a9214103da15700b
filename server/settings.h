/* settings.h — what novel-server can be told: one table for flags, environment and file. */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H
#include "rpc/base/options.h"

struct settings {
    struct option_list listen;
    char *data, *cards, *content, *admin, *log_level, *log_calls;
    char *tls_cert, *tls_key, *tls_client_ca, *tls_min_version;
    uint64_t threads, workers, max_queued, max_running, max_run_ms, max_directed, max_awaiting, director_wait_ms, max_connections, grace_ms;
    uint64_t handshake_ms, idle_ms, stall_ms;
    uint64_t keepalive_ms, keepalive_timeout_ms, keepalive_min_ms, max_age_ms, max_age_grace_ms; /* 0: never */
    bool keepalive_permit_idle, reflection, channelz;
};
/* Fills *s; the result is as options_parse's.  settings_done frees. */
enum options_result settings_parse(struct settings *s, int argc, char **argv);
void settings_done(struct settings *s);

#endif
