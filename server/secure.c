#include "server/secure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rpc/base/log.h"

/* Session tickets are sealed with keys of the context: it is renewed though no file changed, so that no such key
 * gets old. */
enum { LOOK_SECONDS = 2, RENEW_SECONDS = 12 * 3600 };

/* An empty text is as good as none. */
static const char *named(const char *file)
{
    return file == NULL || *file == '\0' ? NULL : file;
}

int secure_load(const struct settings *s, nrpc_tls **out_tls, char *why, size_t why_size)
{
    const nrpc_tls_options o = {
        .certificate_file = named(s->tls_cert),
        .key_file = named(s->tls_key),
        .ca_file = named(s->tls_client_ca),
        .require_client_certificate = named(s->tls_client_ca) != NULL,
        .min_version = s->tls_min_version,
    };
    *out_tls = NULL;
    if (o.certificate_file == NULL && o.key_file == NULL && o.ca_file == NULL)
        return 0;
    if (o.certificate_file == NULL || o.key_file == NULL) {
        snprintf(why, why_size, "--tls-cert and --tls-key belong together");
        return -1;
    }
    return nrpc_tls_server_new(&o, out_tls, why, why_size) < 0 ? -1 : 0;
}

bool secure_covers(const char *address)
{
    return strncmp(address, "unix", 4) != 0;
}

static void look(nrpc_tls *tls, bool asked)
{
    char why[256];
    int r = asked ? nrpc_tls_reload(tls, why, sizeof why) : nrpc_tls_refresh(tls, why, sizeof why);
    if (r < 0)
        log_event(LOG_LEVEL_ERROR, "certificates_kept", LOG_S("error", why));
    else if (asked || r > 0)
        log_event(LOG_LEVEL_INFO, "certificates_read", LOG_B("asked", asked));
}

int secure_wait(const sigset_t *signals, nrpc_tls *tls)
{
    const struct timespec pause = { .tv_sec = LOOK_SECONDS };
    for (uint64_t quiet = 0;;) {
        int got = tls == NULL ? sigwaitinfo(signals, NULL) : sigtimedwait(signals, NULL, &pause);
        if (got > 0 && got != SIGHUP)
            return got;
        if (tls == NULL || (got < 0 && errno != EAGAIN))
            continue;
        quiet = got == SIGHUP ? 0 : quiet + LOOK_SECONDS;
        bool all = got == SIGHUP || quiet >= RENEW_SECONDS;
        look(tls, all);
        quiet = all ? 0 : quiet;
    }
}
