/* echo_client ADDRESS CALLS [ca=FILE] [cert=FILE key=FILE] [name=NAME] [insecure] —
 * grpc.health.v1/Check, CALLS times on one channel; TLS when any option is there.  Prints the last
 * status as "CODE TEXT". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/health/v1/health.pb-c.h"
#include "rpc/nrpc.h"

static const nrpc_method check = {
    "Check",
    "/grpc.health.v1.Health/Check",
    NRPC_UNARY,
    true,
    &grpc__health__v1__health_check_request__descriptor,
    &grpc__health__v1__health_check_response__descriptor,
};

static const char *option(int argc, char **argv, const char *name)
{
    size_t size = strlen(name);
    for (int i = 3; i < argc; i++)
        if (strncmp(argv[i], name, size) == 0 && (argv[i][size] == '=' || argv[i][size] == '\0'))
            return argv[i] + size + (argv[i][size] == '=');
    return NULL;
}

static nrpc_code call(nrpc_client *cl, nrpc_status *st)
{
    Grpc__Health__V1__HealthCheckRequest q = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    const nrpc_client_options o = { .options = { .timeout_ms = 10000 } };
    nrpc_msg *m = NULL;
    nrpc_code code = nrpc_client_unary(cl, &check, &o, &q.base, &m, st);
    if (code == NRPC_OK &&
        ((const Grpc__Health__V1__HealthCheckResponse *) nrpc_msg_body(m))->status != 1)
        code = NRPC_DATA_LOSS;
    nrpc_msg_free(m);
    return code;
}

int main(int argc, char **argv)
{
    nrpc_channel_options o;
    nrpc_client *cl;
    char why[256];
    if (argc < 3)
        return 2;
    nrpc_channel_defaults(&o);
    o.target = argv[1];
    o.authority = option(argc, argv, "name");
    const nrpc_tls_options tls = {
        .certificate_file = option(argc, argv, "cert"),
        .key_file = option(argc, argv, "key"),
        .ca_file = option(argc, argv, "ca"),
        .insecure_no_verify = option(argc, argv, "insecure") != NULL,
    };
    if (argc > 3 && nrpc_tls_client_new(&tls, &o.tls, why, sizeof why) < 0) {
        printf("no context: %s\n", why);
        return 1;
    }
    if (nrpc_client_new(&o, &cl) < 0)
        return 2;
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_code code = NRPC_OK;
    for (long i = strtol(argv[2], NULL, 10); i > 0 && code == NRPC_OK; i--)
        code = call(cl, &st);
    printf("%d %s\n", (int) code, code == NRPC_OK || st.message == NULL ? "" : st.message);
    nrpc_status_clear(&st);
    nrpc_client_free(cl);
    nrpc_tls_unref(o.tls);
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    return g.connections + g.calls + g.messages + g.channels + g.timers == 0 ? code != NRPC_OK : 3;
}
