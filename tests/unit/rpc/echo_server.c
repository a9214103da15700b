/* echo_server ADDRESS [CERT KEY [CA]] — test.Echo and health until SIGTERM or the end of stdin;
 * prints the bound address, and at the end the gauges that are not zero. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/rpc/echo_service.h"

static int listen_at(nrpc_server *s, const char *address, nrpc_tls *tls)
{
    return tls == NULL ? nrpc_server_listen(s, address) : nrpc_server_listen_tls(s, address, tls);
}

int main(int argc, char **argv)
{
    nrpc_server_options o = { .loops = 2 };
    nrpc_server *s;
    nrpc_tls *tls = NULL;
    char why[256];
    const nrpc_tls_options t = {
        .certificate_file = argc > 3 ? argv[2] : NULL,
        .key_file = argc > 3 ? argv[3] : NULL,
        .ca_file = argc > 4 ? argv[4] : NULL,
        .require_client_certificate = argc > 4,
    };
    if (argc < 2 || nrpc_server_new(&o, &s) < 0)
        return 2;
    if (argc > 3 && nrpc_tls_server_new(&t, &tls, why, sizeof why) < 0) {
        fprintf(stderr, "echo_server: %s\n", why);
        return 2;
    }
    if (echo_add(s) < 0 || nrpc_server_add_health(s) < 0 || listen_at(s, argv[1], tls) < 0 ||
        nrpc_server_start(s) < 0) {
        perror("echo_server");
        return 1;
    }
    printf("%s\n", nrpc_server_address(s, 0));
    fflush(stdout);
    /* One line on stdin is one command. */
    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "counts\n") == 0)
            printf("cancelled=%d ended=%d sent=%llu\n", atomic_load(&echo_cancelled),
                   atomic_load(&echo_ended), (unsigned long long) atomic_load(&echo_sent));
        else if (strncmp(line, "serving ", 8) == 0)
            nrpc_server_set_serving(s, "test.Echo", line[8] == '1');
        else if (strcmp(line, "reload\n") == 0)
            printf("%s\n", nrpc_tls_reload(tls, why, sizeof why) == 0 ? "reloaded" : why);
        else
            break;
        fflush(stdout);
    }
    nrpc_server_stop(s, 2000);
    nrpc_server_wait(s);
    nrpc_server_free(s);
    nrpc_tls_unref(tls);
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    printf("connections=%lld calls=%lld messages=%lld blobs=%lld cancels=%lld timers=%lld\n",
           (long long) g.connections, (long long) g.calls, (long long) g.messages,
           (long long) g.blobs, (long long) g.cancels, (long long) g.timers);
    return 0;
}
