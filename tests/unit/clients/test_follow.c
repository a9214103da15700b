/* novel_follow: over connections that break at every place, each event arrives once and in order.
 * The runtime's stream is played by a server of a few lines that keeps a log and obeys a script of
 * losses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clients/c/novel_client.h"
#include "rpc/base/alloc.h"

enum { EVENTS = 8, PASSAGES = 3 };

/* Script: how many messages each connection delivers before it breaks; the list ends with ALL. */
enum { ALL = 1000 };
static const int *script;
static nrpc_code last_code; /* of the connection that delivers ALL */
static int skip_sequence;   /* a server that forgets this event once */
static int connections;
static uint64_t asked_after[64];
static char asked_id[64][32];

struct nrpc_msg {
    Novelengine__V1__SimulationUpdate update;
    Novelengine__V1__SimulationEvent event;
    Novelengine__V1__Passage passage;
    Novelengine__V1__SimulationResult result;
};

const ProtobufCMessage *nrpc_msg_body(const nrpc_msg *m)
{
    return &m->update.base;
}
void nrpc_msg_free(nrpc_msg *m)
{
    free(m);
}
void nrpc_channel_defaults(nrpc_channel_options *o)
{
    memset(o, 0, sizeof *o);
}
int nrpc_client_new(const nrpc_channel_options *o, nrpc_client **out_client)
{
    assert_string_equal(o->target, NOVEL_DEFAULT_ADDRESS);
    *out_client = (nrpc_client *) 0x10;
    return 0;
}
void nrpc_status_set(nrpc_status *st, nrpc_code code, const char *format, ...)
{
    (void) format;
    st->code = code;
}

static nrpc_msg *make(uint64_t sequence, Novelengine__V1__SimulationUpdate__Type type)
{
    nrpc_msg *m = calloc(1, sizeof *m);
    assert_non_null(m);
    novelengine__v1__simulation_update__init(&m->update);
    novelengine__v1__simulation_event__init(&m->event);
    novelengine__v1__passage__init(&m->passage);
    novelengine__v1__simulation_result__init(&m->result);
    m->update.sequence = sequence;
    m->update.type = type;
    m->update.simulation_id = "simulation_1";
    m->update.event = &m->event;
    m->update.update_case = NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT;
    return m;
}

nrpc_code nrpc_client_stream(nrpc_client *cl, const nrpc_method *method,
                             const nrpc_client_options *o, const ProtobufCMessage *request,
                             bool (*on_message)(void *ctx, nrpc_msg *m), void *ctx, nrpc_status *st)
{
    (void) o;
    assert_ptr_equal(cl, (void *) 0x10);
    assert_true(connections < 60);
    uint64_t after = 0;
    if (strcmp(method->name, "WatchSimulation") == 0) {
        const Novelengine__V1__WatchSimulationRequest *w = (const void *) request;
        after = w->after_sequence;
        strncpy(asked_id[connections], w->simulation_id, 31);
    } else {
        assert_string_equal(method->name, "StreamSimulation");
        assert_int_equal(connections, 0);
    }
    asked_after[connections++] = after;
    int left = *script;
    if (left != ALL)
        script++;
    for (uint64_t s = after + 1; s <= EVENTS + PASSAGES + 1; s++) {
        if ((int) s == skip_sequence) {
            skip_sequence = 0;
            continue;
        }
        if (left-- == 0) {
            st->code = NRPC_UNAVAILABLE;
            return NRPC_UNAVAILABLE;
        }
        bool event = s <= EVENTS, result = s == EVENTS + PASSAGES + 1;
        nrpc_msg *m = make(event ? s : EVENTS,
                           event    ? NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_EVENT
                           : result ? NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_RESULT
                                    : NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_PASSAGE);
        m->passage.scene = (int32_t) (s - EVENTS);
        if (!event)
            m->update.passage = &m->passage;
        if (!on_message(ctx, m)) {
            st->code = NRPC_CANCELLED;
            return NRPC_CANCELLED;
        }
    }
    st->code = last_code;
    return last_code;
}
nrpc_code nrpc_client_unary(nrpc_client *cl, const nrpc_method *method,
                            const nrpc_client_options *o, const ProtobufCMessage *request,
                            nrpc_msg **out_response, nrpc_status *st)
{
    (void) cl, (void) method, (void) o, (void) request, (void) out_response, (void) st;
    fail_msg("no unary call belongs here");
    return NRPC_INTERNAL;
}

/* What the caller saw. */
struct seen {
    uint64_t events, passages, results;
    int losses;
    uint64_t stop_at;
    int give_up_after; /* losses; 0: never */
};

static bool on_update(void *ctx, const Novelengine__V1__SimulationUpdate *u)
{
    struct seen *s = ctx;
    if (u->type == NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_EVENT)
        assert_int_equal(u->sequence, ++s->events); /* none lost, none twice */
    else if (u->type == NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_PASSAGE)
        assert_int_equal(u->passage->scene, ++s->passages);
    else
        s->results++;
    return s->stop_at == 0 || u->sequence < s->stop_at;
}
static void on_lost(void *ctx, const nrpc_status *why, unsigned delay_ms)
{
    struct seen *s = ctx;
    (void) why;
    assert_in_range(delay_ms, 100, 3000);
    s->losses++;
}
static bool stopped(void *ctx)
{
    struct seen *s = ctx;
    return s->give_up_after != 0 && s->losses >= s->give_up_after;
}

static nrpc_code follow(struct novel_follow *f, struct seen *s, const int *losses, bool start)
{
    script = losses;
    connections = 0;
    f->on_update = on_update;
    f->on_lost = on_lost;
    f->stopped = stopped;
    f->ctx = s;
    Novelengine__V1__SimulationRequest request = NOVELENGINE__V1__SIMULATION_REQUEST__INIT;
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_client *client = NULL;
    assert_int_equal(novel_client_open(NULL, "test", &client), 0);
    return start ? novel_follow_start(client, f, &request, "key", &st)
                 : novel_follow_watch(client, f, &st);
}

static void test_breaks_everywhere(void **state)
{
    (void) state;
    last_code = NRPC_OK;
    for (int at = 1; at <= EVENTS + PASSAGES; at++) {
        const int losses[] = { at, 0, ALL };
        struct novel_follow f = { .patience_ms = 60000 };
        struct seen s = { 0 };
        assert_int_equal(follow(&f, &s, losses, true), NRPC_OK);
        assert_int_equal(s.events, EVENTS);
        assert_int_equal(s.passages, PASSAGES);
        assert_int_equal(s.results, 1);
        assert_int_equal(s.losses, 2);
        assert_string_equal(f.simulation_id, "simulation_1");
        assert_int_equal(asked_after[1], at < EVENTS ? at : EVENTS);
        assert_string_equal(asked_id[2], "simulation_1");
    }
}

static void test_every_message_its_own_connection(void **state)
{
    (void) state;
    last_code = NRPC_OK;
    static const int losses[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, ALL };
    struct novel_follow f = { .patience_ms = 60000 };
    struct seen s = { 0 };
    assert_int_equal(follow(&f, &s, losses, true), NRPC_OK);
    assert_int_equal(s.events, EVENTS);
    assert_int_equal(s.passages, PASSAGES);
}

static void test_final_errors_are_not_retried(void **state)
{
    (void) state;
    static const int all[] = { ALL }, none[] = { 0, ALL }, one[] = { 1, ALL };
    static const nrpc_code codes[] = { NRPC_NOT_FOUND, NRPC_INVALID_ARGUMENT, NRPC_INTERNAL,
                                       NRPC_CANCELLED };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        last_code = codes[i];
        struct novel_follow f = { .patience_ms = 60000 };
        struct seen s = { 0 };
        assert_int_equal(follow(&f, &s, all, true), codes[i]);
        assert_int_equal(connections, 1);
    }
    last_code = NRPC_OK;
    struct novel_follow nobody = { .patience_ms = 60000 },
                        watch = { .patience_ms = 60000, .simulation_id = "simulation_1" };
    struct novel_follow impatient = { .patience_ms = 0 };
    struct seen s = { 0 };
    assert_int_equal(follow(&nobody, &s, none, true),
                     NRPC_UNAVAILABLE); /* the server never was there */
    assert_int_equal(follow(&watch, &s, none, false), NRPC_UNAVAILABLE);
    assert_int_equal(s.losses, 0);
    assert_int_equal(follow(&impatient, &s, one, true), NRPC_UNAVAILABLE);
    assert_int_equal(connections, 1);
    assert_int_equal(impatient.last_sequence, 1); /* where to go on */
}

static void test_watch_from_the_middle(void **state)
{
    (void) state;
    last_code = NRPC_OK;
    static const int losses[] = { 2, ALL };
    struct novel_follow f = { .patience_ms = 60000,
                              .simulation_id = "simulation_1",
                              .last_sequence = 3 };
    struct seen s = { .events = 3 };
    assert_int_equal(follow(&f, &s, losses, false), NRPC_OK);
    assert_int_equal(asked_after[0], 3);
    assert_int_equal(asked_after[1], 5);
    assert_int_equal(s.events, EVENTS);
}

static void test_a_gap_is_asked_for_again(void **state)
{
    (void) state;
    last_code = NRPC_OK;
    static const int all[] = { ALL };
    struct novel_follow f = { .patience_ms = 60000 };
    struct seen s = { 0 };
    skip_sequence = 5;
    assert_int_equal(follow(&f, &s, all, true), NRPC_OK);
    assert_int_equal(connections, 2);
    assert_int_equal(asked_after[1], 4);
    assert_int_equal(s.events, EVENTS);
}

static void test_the_caller_stops(void **state)
{
    (void) state;
    last_code = NRPC_OK;
    static const int all[] = { ALL }, losses[] = { 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ALL };
    struct novel_follow f = { .patience_ms = 60000 }, g = { .patience_ms = 60000 };
    struct seen s = { .stop_at = 4 }, t = { .give_up_after = 2 };
    assert_int_equal(follow(&f, &s, all, true), NRPC_CANCELLED);
    assert_int_equal(connections, 1);
    assert_int_equal(f.last_sequence, 4);
    assert_int_equal(follow(&g, &t, losses, true), NRPC_CANCELLED);
    assert_int_equal(g.last_sequence, 2);
}

static void test_patience_ends(void **state)
{
    (void) state;
    static int losses[70];
    losses[0] = 1;
    struct novel_follow f = { .patience_ms = 300 };
    struct seen s = { 0 };
    assert_int_equal(follow(&f, &s, losses, true), NRPC_UNAVAILABLE);
    assert_in_range(connections, 3, 6);
    assert_int_equal(f.last_sequence, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_breaks_everywhere),
        cmocka_unit_test(test_every_message_its_own_connection),
        cmocka_unit_test(test_final_errors_are_not_retried),
        cmocka_unit_test(test_watch_from_the_middle),
        cmocka_unit_test(test_a_gap_is_asked_for_again),
        cmocka_unit_test(test_the_caller_stops),
        cmocka_unit_test(test_patience_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
