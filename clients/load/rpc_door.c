/* The RPC door: calls over rpc/'s channel, as any client makes them.  Each user has a channel, so a
 * connection, of its own, unless target->streams lets several share one. */
#include <stdio.h>
#include <string.h>

#include <novelengine/v1/novel_engine.nrpc.h>
#include "clients/load/answers.h"
#include "clients/load/worker.h"
#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"

enum { UPDATES_AHEAD = 64 /* of a stream, before the next is asked for */ };

struct rpc_place {
    struct worker *worker;
    nrpc_channel **channels;
    unsigned n_channels, open_channels;
    bool closing;
    struct answers answers;
    void (*gone)(void *w);
};
struct rpc_user {
    struct user *user;
    struct rpc_place *place;
    nrpc_channel *channel;
    struct rpc_exchange *exchange; /* that is out; NULL: none */
};
/* Outlives its user's interest: a call that was abandoned still ends. */
struct rpc_exchange {
    struct rpc_user *of; /* NULL: abandoned */
    nrpc_call *call;
    uint64_t last_sequence;
    bool answered, bad, failed;
    char why[ANSWERS_WHY_SIZE];
};

static void note(struct rpc_exchange *x, const char *why)
{
    if (!x->bad)
        snprintf(x->why, sizeof x->why, "%s", why);
    x->bad = true;
}

/* ---- events ---- */
static void on_answer(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) c;
    struct rpc_exchange *x = state;
    if (x->of != NULL) {
        struct rpc_place *p = x->of->place;
        worker_add_bytes(p->worker, nrpc_msg_bytes(m).size);
        if (x->answered)
            note(x, "more than one message came");
        x->answered = true;
        p->answers.simulation[0] = '\0';
        if (!answers_check_message(&p->answers, x->of->user->request, p->worker->step->turns,
                                   nrpc_msg_body(m)))
            note(x, p->answers.why);
        worker_add_simulation(p->worker, p->answers.simulation);
    }
    nrpc_msg_free(m);
}

static void look_at_update(struct rpc_exchange *x, const Novelengine__V1__SimulationUpdate *u)
{
    struct rpc_place *p = x->of->place;
    char text[80];
    switch (u->update_case) {
    case NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT:
        if (u->sequence != x->last_sequence + 1) {
            snprintf(text, sizeof text, "event %llu follows event %llu",
                     (unsigned long long) u->sequence, (unsigned long long) x->last_sequence);
            note(x, text);
        }
        x->last_sequence = u->sequence;
        break;
    case NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_RESULT:
        x->answered = true;
        p->answers.simulation[0] = '\0';
        if (!answers_check_result(&p->answers, p->worker->step->turns, u->result))
            note(x, p->answers.why);
        worker_add_simulation(p->worker, p->answers.simulation);
        break;
    case NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_ERROR:
        x->failed = true;
        snprintf(x->why, sizeof x->why, "%s", u->error->message);
        break;
    default:
        break;
    }
}

static void on_update(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct rpc_exchange *x = state;
    const Novelengine__V1__SimulationUpdate *u =
        (const Novelengine__V1__SimulationUpdate *) nrpc_msg_body(m);
    if (x->of != NULL) {
        if (x->of->user->first_ns == 0)
            x->of->user->first_ns = clock_mono_ns();
        worker_add_bytes(x->of->place->worker, nrpc_msg_bytes(m).size);
        if (u != NULL)
            look_at_update(x, u);
    }
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
}

/* A status of our own side says so by its words only; what a server sends does not begin like that.
 */
static enum outcome outcome_of(const struct rpc_user *u, const nrpc_status *st)
{
    const char *text = st->message == NULL ? "" : st->message;
    if (st->code == NRPC_DEADLINE_EXCEEDED)
        return OUTCOME_TIMEOUT;
    if (st->code != NRPC_UNAVAILABLE)
        return OUTCOME_STATUS;
    if (strncmp(text, "the connection to ", 18) == 0)
        return OUTCOME_LOST;
    return nrpc_channel_get_state(u->channel) == NRPC_CHANNEL_READY ? OUTCOME_STATUS
                                                                    : OUTCOME_CONNECT;
}

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    struct rpc_exchange *x = state;
    struct rpc_user *u = x->of;
    if (u == NULL) {
        alloc_free(x);
        return;
    }
    u->exchange = NULL;
    if (st->code != NRPC_OK)
        user_ended(u->user, outcome_of(u, st), nrpc_code_name(st->code), st->message);
    else if (x->failed)
        user_ended(u->user, OUTCOME_STATUS, "stream error", x->why);
    else if (!x->answered || x->bad)
        user_ended(u->user, OUTCOME_BAD_BODY, NULL,
                   x->bad ? x->why : "the call ended without a result");
    else
        user_ended(u->user, OUTCOME_OK, NULL, NULL);
    alloc_free(x);
}

static const nrpc_events unary_events = { .on_message = on_answer, .on_end = on_end };
static const nrpc_events stream_events = { .on_message = on_update, .on_end = on_end };

/* ---- requests ---- */
static const nrpc_method *method_of(enum request_kind kind)
{
    static const unsigned numbers[] = {
        [REQUEST_HEALTH] = NOVELENGINE_V1_NOVEL_ENGINE_METHOD_GET_HEALTH,
        [REQUEST_CHARACTERS] = NOVELENGINE_V1_NOVEL_ENGINE_METHOD_LIST_CHARACTERS,
        [REQUEST_CHARACTER] = NOVELENGINE_V1_NOVEL_ENGINE_METHOD_GET_CHARACTER,
        [REQUEST_SIMULATION] = NOVELENGINE_V1_NOVEL_ENGINE_METHOD_RUN_SIMULATION,
        [REQUEST_STREAM] = NOVELENGINE_V1_NOVEL_ENGINE_METHOD_STREAM_SIMULATION,
    };
    return &novelengine_v1_novel_engine_service.methods[numbers[kind]];
}

static int send_simulation(nrpc_call *c, const struct user *u)
{
    Google__Protobuf__Int32Value turns = GOOGLE__PROTOBUF__INT32_VALUE__INIT;
    Google__Protobuf__UInt64Value seed = GOOGLE__PROTOBUF__UINT64_VALUE__INIT;
    Novelengine__V1__SimulationRequest request = NOVELENGINE__V1__SIMULATION_REQUEST__INIT;
    char *cast[REQUEST_CAST];
    for (size_t i = 0; i < REQUEST_CAST; i++)
        cast[i] = (char *) request_cast[i];
    turns.value = u->worker->step->turns;
    seed.value = u->seed;
    request.character_names = cast;
    request.n_character_names = REQUEST_CAST;
    request.turns = &turns;
    request.seed = &seed;
    return nrpc_call_send(c, &request.base);
}

static int send_request(nrpc_call *c, const struct user *u)
{
    Novelengine__V1__GetHealthRequest health = NOVELENGINE__V1__GET_HEALTH_REQUEST__INIT;
    Novelengine__V1__ListCharactersRequest characters =
        NOVELENGINE__V1__LIST_CHARACTERS_REQUEST__INIT;
    Novelengine__V1__GetCharacterRequest character = NOVELENGINE__V1__GET_CHARACTER_REQUEST__INIT;
    switch (u->request->kind) {
    case REQUEST_HEALTH:
        return nrpc_call_send(c, &health.base);
    case REQUEST_CHARACTERS:
        return nrpc_call_send(c, &characters.base);
    case REQUEST_CHARACTER:
        character.character_id = (char *) u->request->character;
        return nrpc_call_send(c, &character.base);
    case REQUEST_SIMULATION:
    case REQUEST_STREAM:
        break;
    }
    return send_simulation(c, u);
}

static int add_headers(nrpc_call *c, const char *const *headers)
{
    nrpc_metadata *md = nrpc_call_headers_out(c);
    int r = 0;
    for (size_t i = 0; headers != NULL && headers[i] != NULL && r == 0; i += 2)
        r = md == NULL ? NRPC_E_STATE : nrpc_metadata_add_string(md, headers[i], headers[i + 1]);
    return r;
}

static int rpc_start(struct user *u)
{
    struct rpc_user *h = u->place;
    bool stream = u->request->kind == REQUEST_STREAM;
    struct rpc_exchange *x = alloc_zero(1, sizeof *x);
    if (x == NULL)
        return NRPC_E_NOMEM;
    x->of = h;
    int r = nrpc_channel_start(h->channel, method_of(u->request->kind), NULL,
                               stream ? &stream_events : &unary_events, x, &x->call);
    if (r < 0) {
        alloc_free(x);
        return r;
    }
    h->exchange = x;
    r = add_headers(x->call, u->worker->step->target->headers);
    if (stream)
        nrpc_call_want(x->call, UPDATES_AHEAD - 1);
    r = r < 0 ? r : send_request(x->call, u);
    r = r < 0 ? r : nrpc_call_half_close(x->call);
    if (r < 0) {
        h->exchange = NULL;
        x->of = NULL;
        nrpc_call_cancel(x->call);
    }
    return r < 0 ? r : 0;
}

static void rpc_abandon(struct user *u)
{
    struct rpc_user *h = u->place;
    if (h->exchange == NULL)
        return;
    h->exchange->of = NULL;
    nrpc_call_cancel(h->exchange->call);
    h->exchange = NULL;
}

/* ---- opening and closing ---- */
static int open_channel(struct rpc_place *p, unsigned i)
{
    const struct target *t = p->worker->step->target;
    nrpc_channel_options o;
    nrpc_channel_defaults(&o);
    o.target = t->address;
    o.user_agent = "novel-load/" NOVEL_VERSION;
    o.max_pending_calls = t->streams + 1;
    o.max_connections = 1;
    o.tls = t->tls;
    int r = nrpc_channel_new(p->worker->loop, &o, &p->channels[i]);
    if (r == 0)
        p->open_channels++;
    return r;
}

static int rpc_open(struct worker *w)
{
    struct rpc_place *p = alloc_zero(1, sizeof *p);
    if (p == NULL)
        return NRPC_E_NOMEM;
    w->place = p;
    p->worker = w;
    p->n_channels = (w->n_users + w->step->target->streams - 1) / w->step->target->streams;
    p->channels = alloc_zero(p->n_channels == 0 ? 1 : p->n_channels, sizeof *p->channels);
    int r = p->channels == NULL ? NRPC_E_NOMEM : 0;
    for (unsigned i = 0; i < p->n_channels && r == 0; i++)
        r = open_channel(p, i);
    return r;
}

static int rpc_open_user(struct worker *w, struct user *u)
{
    struct rpc_place *p = w->place;
    struct rpc_user *h = alloc_zero(1, sizeof *h);
    if (h == NULL)
        return NRPC_E_NOMEM;
    h->user = u;
    h->place = p;
    h->channel = p->channels[(size_t) (u - w->users) / w->step->target->streams];
    u->place = h;
    return 0;
}

static void rpc_close_user(struct user *u)
{
    if (u->place != NULL)
        rpc_abandon(u);
    alloc_free(u->place);
    u->place = NULL;
}

static void on_channel_gone(void *ctx)
{
    struct rpc_place *p = ctx;
    if (p->open_channels > 0)
        p->open_channels--;
    if (p->open_channels > 0 || !p->closing)
        return;
    void (*gone)(void *) = p->gone;
    struct worker *w = p->worker;
    answers_done(&p->answers);
    alloc_free(p->channels);
    alloc_free(p);
    gone(w);
}

static void rpc_close(struct worker *w, void (*gone)(void *w))
{
    struct rpc_place *p = w->place;
    w->place = NULL;
    if (p == NULL) {
        gone(w);
        return;
    }
    p->gone = gone;
    for (unsigned i = 0; i < p->n_channels && p->channels != NULL; i++)
        if (p->channels[i] != NULL)
            nrpc_channel_close_then(p->channels[i], on_channel_gone, p);
    p->closing = true;
    if (p->open_channels == 0)
        on_channel_gone(p);
}

const struct door door_rpc = { "rpc",       rpc_open,       rpc_open_user, rpc_start,
                               rpc_abandon, rpc_close_user, rpc_close };
