/* bench_client — load that h2load cannot make, over the runtime's own channel; one loop, one thread.
 *
 *   bench_client simulate ADDRESS CALLS SECONDS CAST TURNS    RunSimulation, CALLS in flight; prints simulations/s
 *   bench_client watch    ADDRESS CALLS SECONDS ID            WatchSimulation of a finished one, again and again;
 *                                                             prints events/s; checks order and count
 *   bench_client unary    ADDRESS CALLS SECONDS               GetHealth, CALLS in flight; prints calls/s and what the
 *                                                             client's CPU cost
 * One line on stdout: name=value pairs.  Exit 1 on any error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "novelengine/v1/novel_engine.nrpc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"

struct bench {
    nrpc_loop *loop;
    nrpc_channel *channel;
    uint64_t end_ns;
    unsigned in_flight;
    uint64_t done, items, errors, seed;
    char **cast;
    size_t cast_count;
    int32_t turns;
    const char *simulation_id;
    bool unary;
    char first_error[256];
};

struct slot { /* one call in flight, started again when it ends */
    struct bench *bench;
    uint64_t last_sequence;
    bool got_result;
};

static void start(struct slot *s);

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    struct slot *s = state;
    struct bench *b = s->bench;
    if (st->code != NRPC_OK || !s->got_result) {
        if (b->errors++ == 0)
            snprintf(b->first_error, sizeof b->first_error, "%s: %s", nrpc_code_name(st->code),
                     st->message == NULL ? "no result" : st->message);
    } else {
        b->done++;
    }
    b->in_flight--;
    if (clock_mono_ns() < b->end_ns && b->errors < 10)
        start(s);
    else if (b->in_flight == 0)
        nrpc_loop_stop(b->loop);
}

static void on_result(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) c;
    struct slot *s = state;
    s->got_result = true;
    s->bench->items++;
    nrpc_msg_free(m);
}

static void on_update(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct slot *s = state;
    const Novelengine__V1__SimulationUpdate *u = novelengine_v1_novel_engine_watch_simulation_response(m);
    if (u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT) {
        if (u->sequence != s->last_sequence + 1)
            s->bench->errors++;
        s->last_sequence = u->sequence;
        s->bench->items++;
    } else if (u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_RESULT) {
        s->got_result = true;
    }
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
}

static const nrpc_events run_events = { .on_message = on_result, .on_end = on_end };
static const nrpc_events watch_events = { .on_message = on_update, .on_end = on_end };

static int start_run(struct slot *s)
{
    struct bench *b = s->bench;
    Google__Protobuf__Int32Value turns = GOOGLE__PROTOBUF__INT32_VALUE__INIT;
    Google__Protobuf__UInt64Value seed = GOOGLE__PROTOBUF__UINT64_VALUE__INIT;
    Novelengine__V1__SimulationRequest request = NOVELENGINE__V1__SIMULATION_REQUEST__INIT;
    turns.value = b->turns;
    seed.value = ++b->seed;
    request.character_names = b->cast;
    request.n_character_names = b->cast_count;
    request.turns = &turns;
    request.seed = &seed;
    nrpc_call *call;
    int r = novelengine_v1_novel_engine_run_simulation_start(b->channel, NULL, &run_events, s, &call);
    return r < 0 ? r : novelengine_v1_novel_engine_run_simulation_send(call, &request);
}

static int start_unary(struct slot *s)
{
    Novelengine__V1__GetHealthRequest request = NOVELENGINE__V1__GET_HEALTH_REQUEST__INIT;
    nrpc_call *call;
    int r = novelengine_v1_novel_engine_get_health_start(s->bench->channel, NULL, &run_events, s, &call);
    return r < 0 ? r : novelengine_v1_novel_engine_get_health_send(call, &request);
}

static int start_watch(struct slot *s)
{
    Novelengine__V1__WatchSimulationRequest request = NOVELENGINE__V1__WATCH_SIMULATION_REQUEST__INIT;
    request.simulation_id = (char *) s->bench->simulation_id;
    nrpc_call *call;
    int r = novelengine_v1_novel_engine_watch_simulation_start(s->bench->channel, NULL, &watch_events, s, &call);
    if (r < 0)
        return r;
    nrpc_call_want(call, 63);
    return novelengine_v1_novel_engine_watch_simulation_send(call, &request);
}

static void start(struct slot *s)
{
    struct bench *b = s->bench;
    s->last_sequence = 0;
    s->got_result = false;
    int r = b->unary ? start_unary(s) : b->simulation_id != NULL ? start_watch(s) : start_run(s);
    if (r < 0) {
        fprintf(stderr, "bench_client: cannot start a call: %s\n", nrpc_strerror(r));
        exit(1);
    }
    b->in_flight++;
}

static size_t split(char *list, char **items, size_t most)
{
    size_t n = 0;
    for (char *w = strtok(list, ","); w != NULL && n < most; w = strtok(NULL, ","))
        items[n++] = w;
    return n;
}

/* A closed channel lives on until its connection is gone: turn until then, for three seconds at most. */
static nrpc_task last_turns;
static uint64_t last_turn_ns;

static void turn_until_gone(nrpc_task *t, nrpc_loop *loop)
{
    nrpc_gauges live;
    nrpc_gauges_read(&live);
    if ((live.channels > 0 || live.connections > 0) && clock_mono_ns() < last_turn_ns)
        nrpc_loop_post(loop, t);
    else
        nrpc_loop_stop(loop);
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_client simulate ADDRESS CALLS SECONDS CAST TURNS\n"
                    "       bench_client watch ADDRESS CALLS SECONDS SIMULATION_ID\n"
                    "       bench_client unary ADDRESS CALLS SECONDS\n");
    return 2;
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double) (u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double) (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    bool simulate = argc == 7 && strcmp(argv[1], "simulate") == 0;
    bool unary = argc == 5 && strcmp(argv[1], "unary") == 0;
    if (!simulate && !unary && !(argc == 6 && strcmp(argv[1], "watch") == 0))
        return usage();
    char *cast[6];
    struct slot slots[1024];
    unsigned calls = (unsigned) strtoul(argv[3], NULL, 10);
    double seconds = strtod(argv[4], NULL);
    if (calls < 1 || calls > ARRAY_SIZE(slots) || !(seconds > 0 && seconds <= 600))
        return usage();
    struct bench b = { .seed = 1000 };
    if (simulate) {
        b.cast = cast;
        b.cast_count = split(argv[5], cast, ARRAY_SIZE(cast));
        b.turns = (int32_t) strtol(argv[6], NULL, 10);
    } else if (unary) {
        b.unary = true;
    } else {
        b.simulation_id = argv[5];
    }
    nrpc_channel_options options;
    nrpc_channel_defaults(&options);
    options.target = argv[2];
    options.max_pending_calls = calls;
    if (nrpc_loop_new(&b.loop) < 0 || nrpc_channel_new(b.loop, &options, &b.channel) < 0)
        return 1;
    double cpu_before = cpu_s();
    uint64_t begin = clock_mono_ns();
    b.end_ns = begin + (uint64_t) (seconds * 1e9);
    for (unsigned i = 0; i < calls; i++) {
        slots[i].bench = &b;
        start(&slots[i]);
    }
    nrpc_loop_run(b.loop);
    double took = (double) (clock_mono_ns() - begin) / 1e9;
    printf("calls=%llu items=%llu seconds=%.3f per_s=%.1f cpu_s=%.3f errors=%llu\n", (unsigned long long) b.done,
           (unsigned long long) b.items, took, (double) b.items / took, cpu_s() - cpu_before,
           (unsigned long long) b.errors);
    nrpc_channel_close(b.channel);
    last_turns.run = turn_until_gone;
    last_turn_ns = clock_mono_ns() + 3000000000u;
    nrpc_loop_post(b.loop, &last_turns);
    nrpc_loop_run(b.loop);
    nrpc_loop_free(b.loop);
    if (b.errors > 0)
        fprintf(stderr, "bench_client: %s\n", b.first_error);
    return b.errors > 0;
}
