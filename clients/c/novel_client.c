#include "clients/c/novel_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <novelengine/v1/novel_engine.nrpc.h>

#include "rpc/base/clock.h"

enum { DELAY_MIN_MS = 100, DELAY_MAX_MS = 3000, DELAY_SLICE_MS = 50 };

int novel_client_open(const char *address, const char *user_agent, nrpc_client **out_client)
{
    return novel_client_open_tls(address, user_agent, NULL, NULL, out_client);
}

int novel_client_open_tls(const char *address, const char *user_agent, nrpc_tls *tls,
                          const char *server_name, nrpc_client **out_client)
{
    nrpc_channel_options options;
    nrpc_channel_defaults(&options);
    options.target = address != NULL ? address : NOVEL_DEFAULT_ADDRESS;
    options.user_agent = user_agent;
    options.tls = tls;
    options.authority = server_name;
    options.max_message_bytes = 64u << 20; /* what the server may send */
    return nrpc_client_new(&options, out_client);
}

/* ---- following ---- */
/* Whether this update is new; moves the place.  A connection that resumes at the end repeats all
 * passages. */
static bool take_update(struct novel_follow *f, const Novelengine__V1__SimulationUpdate *u)
{
    if (u->simulation_id[0] != '\0' && f->simulation_id[0] == '\0')
        snprintf(f->simulation_id, sizeof f->simulation_id, "%s", u->simulation_id);
    switch (u->type) {
    case NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_EVENT:
        if (u->sequence <= f->last_sequence)
            return false;
        if (f->last_sequence > 0 && u->sequence != f->last_sequence + 1) {
            f->place.gap = true; /* the log has none: ask again from the last one that was whole */
            return false;
        }
        f->last_sequence = u->sequence;
        return true;
    case NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_PASSAGE:
        if (++f->place.passages_now <= f->place.passages)
            return false;
        f->place.passages = f->place.passages_now;
        return true;
    default:
        return true;
    }
}

static bool on_message(void *ctx, nrpc_msg *m)
{
    struct novel_follow *f = ctx;
    const Novelengine__V1__SimulationUpdate *u =
        novelengine_v1_novel_engine_watch_simulation_response(m);
    bool go_on = true;
    if (take_update(f, u)) {
        f->place.progress = true;
        go_on = f->on_update(f->ctx, u);
        f->place.stopped_by_caller = !go_on;
    }
    nrpc_msg_free(m);
    return go_on && !f->place.gap;
}

static nrpc_code watch_once(nrpc_client *client, struct novel_follow *f, nrpc_status *st)
{
    Novelengine__V1__WatchSimulationRequest request =
        NOVELENGINE__V1__WATCH_SIMULATION_REQUEST__INIT;
    request.simulation_id = f->simulation_id;
    request.after_sequence = f->last_sequence;
    request.view = f->view;
    f->place.passages_now = 0;
    f->place.progress = f->place.gap = false;
    return novelengine_v1_novel_engine_watch_simulation(client, NULL, &request, on_message, f, st);
}

/* Sleeps in slices; false when the caller gave up. */
static bool wait_ms(struct novel_follow *f, unsigned ms)
{
    for (unsigned slept = 0; slept < ms; slept += DELAY_SLICE_MS) {
        if (f->stopped != NULL && f->stopped(f->ctx))
            return false;
        struct timespec slice = { 0, DELAY_SLICE_MS * 1000000L };
        nanosleep(&slice, NULL);
    }
    return f->stopped == NULL || !f->stopped(f->ctx);
}

/* Whether this end of a connection is worth another one. */
static bool is_loss(const struct novel_follow *f, nrpc_code code)
{
    return f->simulation_id[0] != '\0' && f->patience_ms > 0 && !f->place.stopped_by_caller &&
           (code == NRPC_UNAVAILABLE || f->place.gap);
}

/* Connects again and again until the simulation ended, the error is final, or patience is over. */
static nrpc_code go_on(nrpc_client *client, struct novel_follow *f, nrpc_code code, nrpc_status *st)
{
    uint64_t last_progress = clock_mono_ns();
    unsigned delay = DELAY_MIN_MS;
    while (is_loss(f, code)) {
        if (f->place.progress) {
            last_progress = clock_mono_ns();
            delay = DELAY_MIN_MS;
        } else if (clock_mono_ns() - last_progress > (uint64_t) f->patience_ms * 1000000) {
            break;
        }
        if (f->on_lost != NULL)
            f->on_lost(f->ctx, st, delay);
        if (!wait_ms(f, delay)) {
            nrpc_status_set(st, NRPC_CANCELLED, "given up while waiting for the server");
            return st->code;
        }
        delay = delay * 2 > DELAY_MAX_MS ? DELAY_MAX_MS : delay * 2;
        code = watch_once(client, f, st);
    }
    if (f->place.gap) {
        nrpc_status_set(st, NRPC_DATA_LOSS, "the server skips events after %llu",
                        (unsigned long long) f->last_sequence);
        return NRPC_DATA_LOSS;
    }
    return code;
}

nrpc_code novel_follow_watch(nrpc_client *client, struct novel_follow *f, nrpc_status *st)
{
    memset(&f->place, 0, sizeof f->place);
    nrpc_code code = watch_once(client, f, st);
    if (code == NRPC_UNAVAILABLE && !f->place.progress)
        return code; /* nobody was there to begin with */
    return go_on(client, f, code, st);
}

nrpc_code novel_follow_start(nrpc_client *client, struct novel_follow *f,
                             const Novelengine__V1__SimulationRequest *request,
                             const char *idempotency_key, nrpc_status *st)
{
    memset(&f->place, 0, sizeof f->place);
    const char *metadata[] = { "idempotency-key", idempotency_key, NULL };
    nrpc_client_options options = { .metadata = idempotency_key != NULL ? metadata : NULL };
    nrpc_code code =
        novelengine_v1_novel_engine_stream_simulation(client, &options, request, on_message, f, st);
    return go_on(client, f, code, st);
}

/* ---- errors ---- */
Google__Rpc__Status *novel_error_details(const nrpc_status *st)
{
    return st->details_size == 0 ? NULL
                                 : google__rpc__status__unpack(NULL, st->details_size, st->details);
}

ProtobufCMessage *novel_error_find(const Google__Rpc__Status *details,
                                   const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; details != NULL && i < details->n_details; i++) {
        const char *name = strrchr(details->details[i]->type_url, '/');
        if (name != NULL && strcmp(name + 1, type->name) == 0)
            return protobuf_c_message_unpack(type, NULL, details->details[i]->value.len,
                                             details->details[i]->value.data);
    }
    return NULL;
}
