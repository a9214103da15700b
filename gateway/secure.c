#include "gateway/secure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rpc/base/log.h"

/* A context's ticket keys must not get old: it is renewed though no file changed. */
enum { LOOK_SECONDS = 2, RENEW_SECONDS = 12 * 3600 };

static const char *named(const char *file)
{
    return file == NULL || *file == '\0' ? NULL : file;
}

static int load_front(struct gateway *g, char error[static 512])
{
    const struct gateway_settings *s = &g->settings;
    const nrpc_tls_options o = {
        .certificate_file = named(s->tls_cert),
        .key_file = named(s->tls_key),
        .ca_file = named(s->tls_client_ca),
        .require_client_certificate = named(s->tls_client_ca) != NULL,
        .min_version = s->tls_min_version,
    };
    if (o.certificate_file == NULL && o.key_file == NULL && o.ca_file == NULL)
        return 0;
    if (o.certificate_file == NULL || o.key_file == NULL) {
        snprintf(error, 512, "--tls-cert and --tls-key belong together");
        return -1;
    }
    g->front = (struct sock_tls){ .alpn = "h2,http/1.1", .handshake_ms = GATEWAY_HEAD_MS };
    return nrpc_tls_server_new(&o, &g->front.context, error, 512) < 0 ? -1 : 0;
}

static int load_backend(struct gateway *g, char error[static 512])
{
    const struct gateway_settings *s = &g->settings;
    const nrpc_tls_options o = {
        .certificate_file = named(s->backend_cert),
        .key_file = named(s->backend_key),
        .ca_file = named(s->backend_ca),
    };
    bool wanted = s->backend_tls || o.ca_file != NULL || o.certificate_file != NULL ||
                  o.key_file != NULL || named(s->backend_name) != NULL;
    if (!wanted)
        return 0;
    if ((o.certificate_file == NULL) != (o.key_file == NULL)) {
        snprintf(error, 512, "--backend-cert and --backend-key belong together");
        return -1;
    }
    return nrpc_tls_client_new(&o, &g->backend_tls, error, 512) < 0 ? -1 : 0;
}

int secure_load(struct gateway *g, char error[static 512])
{
    return load_front(g, error) < 0 || load_backend(g, error) < 0 ? -1 : 0;
}

void secure_unload(struct gateway *g)
{
    nrpc_tls_unref(g->front.context);
    nrpc_tls_unref(g->backend_tls);
    g->front.context = NULL;
    g->backend_tls = NULL;
}

const struct sock_tls *secure_front(const struct gateway *g, const char *address)
{
    return g->front.context == NULL || strncmp(address, "unix", 4) == 0 ? NULL : &g->front;
}

static void look(nrpc_tls *tls, const char *which, bool asked)
{
    char why[256];
    if (tls == NULL)
        return;
    int r = asked ? nrpc_tls_reload(tls, why, sizeof why) : nrpc_tls_refresh(tls, why, sizeof why);
    if (r < 0)
        log_event(LOG_LEVEL_ERROR, "certificates_kept", LOG_S("of", which), LOG_S("error", why));
    else if (asked || r > 0)
        log_event(LOG_LEVEL_INFO, "certificates_read", LOG_S("of", which), LOG_B("asked", asked));
}

int secure_wait(const sigset_t *signals, const struct gateway *g)
{
    const struct timespec pause = { .tv_sec = LOOK_SECONDS };
    bool plain = g->front.context == NULL && g->backend_tls == NULL;
    for (uint64_t quiet = 0;;) {
        int got = plain ? sigwaitinfo(signals, NULL) : sigtimedwait(signals, NULL, &pause);
        if (got < 0 && errno != EAGAIN)
            continue;
        quiet += LOOK_SECONDS;
        bool all = got == SIGHUP || quiet >= RENEW_SECONDS;
        if (got == SIGHUP || got < 0) {
            look(g->front.context, "clients", all);
            look(g->backend_tls, "backends", all);
        }
        if (got > 0)
            return got;
        quiet = all ? 0 : quiet;
    }
}
