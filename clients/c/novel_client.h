/* novel_client.h — a thin blocking layer over the generated stubs of Novel Engine, for tools.
 *
 *   nrpc_client *client;
 *   if (novel_client_open("127.0.0.1:50051", "my-tool", &client) == 0) {
 *       novelengine_v1_novel_engine_get_health(client, NULL, &request, &message, &health, &status);
 * // any RPC novel_follow_start(client, &follow, &simulation_request, NULL, &status); // run, watch
 *       nrpc_client_free(client);
 *   }
 *
 * The stubs (novelengine/v1/novel_engine.nrpc.h) already are the client; this header adds what
 * every tool needs: opening, following a simulation to its end over lost connections, and reading
 * error details.  example.c is a whole program.  Threads: as nrpc_client, one thread at a time. */
#ifndef NOVEL_CLIENT_H
#define NOVEL_CLIENT_H
#include "rpc/nrpc.h"
#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <novelengine/v1/novel_engine.pb-c.h>

#define NOVEL_DEFAULT_ADDRESS "127.0.0.1:50051"

/* address: "HOST:PORT", "unix:PATH" or several joined by commas; NULL: the default.  No I/O yet. 0,
 * or a negative nrpc_err; free with nrpc_client_free. */
int novel_client_open(const char *address, const char *user_agent, nrpc_client **out_client);
/* Over TLS: tls is from nrpc_tls_client_new and stays the caller's.  server_name: what the certificate must be for, NULL
 * for the address's host. */
int novel_client_open_tls(const char *address, const char *user_agent, nrpc_tls *tls, const char *server_name,
                          nrpc_client **out_client);

/* Following one simulation.  Zero-initialise, set what is wanted. */
struct novel_follow {
    /* Each update once and in order, over however many connections; lends u.  false ends with
     * CANCELLED. */
    bool (*on_update)(void *ctx, const Novelengine__V1__SimulationUpdate *u);
    /* The connection was lost; the next attempt comes in delay_ms.  May be NULL. */
    void (*on_lost)(void *ctx, const nrpc_status *why, unsigned delay_ms);
    /* Asked while waiting to connect again; true gives up with CANCELLED.  May be NULL. */
    bool (*stopped)(void *ctx);
    void *ctx;
    Novelengine__V1__EventView view;
    unsigned patience_ms; /* without any progress before UNAVAILABLE is final; 0: the first loss is
                             final */
    /* Where it stands: set both to watch from there, read both after a failure to go on later. */
    char simulation_id[128];
    uint64_t last_sequence;
    /* The library's own. */
    struct novel_follow_place {
        size_t passages, passages_now; /* shown in all; come on this connection */
        bool progress, gap, stopped_by_caller;
    } place;
};
/* Runs the request with StreamSimulation; after a loss goes on with WatchSimulation.
 * idempotency_key may be NULL. OK: the simulation ended (completed, failed or cancelled: its last
 * updates say which). */
nrpc_code novel_follow_start(nrpc_client *client, struct novel_follow *f,
                             const Novelengine__V1__SimulationRequest *request,
                             const char *idempotency_key, nrpc_status *st);
/* Watches f->simulation_id from f->last_sequence. */
nrpc_code novel_follow_watch(nrpc_client *client, struct novel_follow *f, nrpc_status *st);

/* The unpacked google.rpc.Status of an error, NULL when it carries none;
 * google__rpc__status__free_unpacked. */
Google__Rpc__Status *novel_error_details(const nrpc_status *st);
/* The first detail of this type, unpacked: protobuf_c_message_free_unpacked; NULL when there is
 * none. */
ProtobufCMessage *novel_error_find(const Google__Rpc__Status *details,
                                   const ProtobufCMessageDescriptor *type);

#endif
