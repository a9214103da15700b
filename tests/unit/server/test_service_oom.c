/* Without memory: the whole service in one process, with one loop and one worker.  Over calls that
 * read a log or change what is stored, each allocation of the loop fails once, and of the worker
 * (alone, or with all after it).  Whatever fails, the caller gets the right answer or an error and
 * never waits for ever, nothing leaks (the sanitizer preset watches), and afterwards the same
 * server serves. OOM_POINTS: failing allocations a sweep, evenly spread over all (default 40; 0:
 * every one). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <semaphore.h>
#include <unistd.h>

#include "core_pack.h"
#include "novelengine/v1/novel_engine.nrpc.h"
#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/log.h"
#include "server/service/service.h"

enum { CALL_MS = 10000, POINTS = 40 };
#define METHOD(NAME)                                                                               \
    (&novelengine_v1_novel_engine_service.methods[NOVELENGINE_V1_NOVEL_ENGINE_METHOD_##NAME])

static struct {
    char folder[64], address[80];
    struct nvl_pack *pack;
    struct store *store;
    nrpc_pool *pool;
    struct jobs *jobs;
    struct catalogue *cards;
    nrpc_server *server;
    struct service *service;
    nrpc_client *client;
    char run[STORE_ID_SIZE], fork[STORE_ID_SIZE], campaign[STORE_CAMPAIGN_SIZE];
} g;

/* ---- the hook on the thread of the loop or of the worker ---- */

enum side { LOOP, WORKER };
struct hook {
    nrpc_job job;
    bool once;
    uint64_t n, count;
    sem_t done;
};

static void hook_set(struct hook *h)
{
    h->count = alloc_count();
    if (h->once)
        alloc_fail_once(h->n);
    else
        alloc_fail_at(h->n);
}

static void hook_on_loop(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct hook *h = CONTAINER_OF(t, struct hook, job.done);
    hook_set(h);
    sem_post(&h->done);
}

static void hook_on_worker(nrpc_job *job)
{
    hook_set(CONTAINER_OF(job, struct hook, job));
}

static void hook_over(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    sem_post(&CONTAINER_OF(t, struct hook, job.done)->done);
}

/* The n-th allocation of that thread from now fails, 0 none.  Returns how many there were since. */
static uint64_t fail_at(enum side side, bool once, uint64_t n)
{
    struct hook h = { .once = once, .n = n };
    nrpc_loop *loop = nrpc_server_loop(g.server, 0);
    h.job = (nrpc_job){ .done.run = side == LOOP ? hook_on_loop : hook_over,
                        .work = hook_on_worker,
                        .home = loop };
    sem_init(&h.done, 0, 0);
    if (side == LOOP)
        nrpc_loop_post(loop, &h.job.done);
    else
        assert_int_equal(nrpc_pool_submit(g.pool, &h.job), 0);
    while (sem_wait(&h.done) != 0)
        continue;
    sem_destroy(&h.done);
    return h.count;
}

/* ---- calls ---- */

struct call {
    const nrpc_method *method;
    const ProtobufCMessage *request;
    bool steady;                           /* the same answer each time */
    const ProtobufCMessage *const *orders; /* of a director, NULL behind the last */
};

static void send_orders(void *ctx, nrpc_call *call)
{
    const ProtobufCMessage *const *orders = ctx;
    for (; *orders != NULL; orders++)
        (void) nrpc_call_send(call, *orders);
    (void) nrpc_call_half_close(call);
}

static bool drop_update(void *ctx, nrpc_msg *m)
{
    (void) ctx;
    nrpc_msg_free(m);
    return true;
}

static nrpc_code ask(const struct call *c, nrpc_msg **out)
{
    const nrpc_client_options o = { .options = { .timeout_ms = CALL_MS, .wait_for_ready = true } };
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_code code = c->orders != NULL
                         ? nrpc_client_duplex(g.client, c->method, &o, send_orders, drop_update,
                                              (void *) (uintptr_t) c->orders, &st)
                         : nrpc_client_unary(g.client, c->method, &o, c->request, out, &st);
    nrpc_status_clear(&st);
    return code;
}

static void check_answer(const struct call *c, enum side side, uint64_t n, nrpc_code code,
                         nrpc_msg *m, nrpc_msg *right)
{
    if (code != NRPC_OK) {
        if (code != NRPC_RESOURCE_EXHAUSTED && code != NRPC_UNAVAILABLE && code != NRPC_INTERNAL)
            fail_msg("%s, allocation %llu of the %s: %s", c->method->name, (unsigned long long) n,
                     side == LOOP ? "loop" : "worker", nrpc_code_name(code));
        return;
    }
    if (!c->steady)
        return;
    nrpc_slice a = nrpc_msg_bytes(m), b = nrpc_msg_bytes(right);
    if ((a.size != b.size || memcmp(a.data, b.data, a.size) != 0))
        fail_msg("%s, allocation %llu of the %s: another answer", c->method->name,
                 (unsigned long long) n, side == LOOP ? "loop" : "worker");
}

static void sweep_one(const struct call *c, enum side side, bool once, nrpc_msg *right)
{
    const char *text = getenv("OOM_POINTS");
    uint64_t points = text != NULL ? strtoull(text, NULL, 10) : POINTS;
    nrpc_msg *m = NULL;
    (void) fail_at(side, once, 0);
    assert_int_equal(ask(c, &m), NRPC_OK);
    nrpc_msg_free(m);
    uint64_t all = fail_at(side, once, 0);
    uint64_t step = points == 0 || all <= points ? 1 : all / points;
    for (uint64_t n = 1; n <= all; n += step) {
        m = NULL;
        (void) fail_at(side, once, n);
        nrpc_code code = ask(c, &m);
        (void) fail_at(side, once, 0);
        check_answer(c, side, n, code, m, right);
        nrpc_msg_free(m);
    }
}

/* Every way, and in the end the server answers as in the beginning. */
static void sweep_call(struct call c)
{
    nrpc_msg *right = NULL, *last = NULL;
    assert_int_equal(ask(&c, &right), NRPC_OK);
    /* A loop that never has memory again takes no connection either: there is nothing to answer. */
    sweep_one(&c, LOOP, true, right);
    sweep_one(&c, WORKER, true, right);
    if (c.orders == NULL) /* what is directed waits for memory, and so does its director */
        sweep_one(&c, WORKER, false, right);
    assert_int_equal(ask(&c, &last), NRPC_OK);
    check_answer(&c, LOOP, 0, NRPC_OK, last, right);
    nrpc_msg_free(last);
    nrpc_msg_free(right);
}

static void sweep(const nrpc_method *method, const ProtobufCMessage *request, bool steady)
{
    sweep_call((struct call){ .method = method, .request = request, .steady = steady });
}

/* ---- the ground ---- */

static char *cast[] = { "engineer", "pilot", "scientist" };

static void run_chapter(const char *campaign, char out_id[STORE_ID_SIZE])
{
    NE(SimulationRequest) q = NOVELENGINE__V1__SIMULATION_REQUEST__INIT;
    PB(Int32Value) turns = GOOGLE__PROTOBUF__INT32_VALUE__INIT;
    PB(UInt64Value) seed = GOOGLE__PROTOBUF__UINT64_VALUE__INIT;
    nrpc_msg *m = NULL;
    turns.value = 2;
    seed.value = 7;
    q.n_character_names = ARRAY_SIZE(cast);
    q.character_names = cast;
    q.turns = &turns;
    q.seed = &seed;
    q.campaign_id = (char *) campaign;
    assert_int_equal(ask(&(struct call){ METHOD(RUN_SIMULATION), &q.base, false }, &m), NRPC_OK);
    snprintf(out_id, STORE_ID_SIZE, "%s",
             novelengine_v1_novel_engine_run_simulation_response(m)->simulation_id);
    nrpc_msg_free(m);
}

static void fork_run(char out_id[STORE_ID_SIZE])
{
    NE(ForkSimulationRequest) q = NOVELENGINE__V1__FORK_SIMULATION_REQUEST__INIT;
    PB(UInt64Value) seed = GOOGLE__PROTOBUF__UINT64_VALUE__INIT;
    NE(WatchSimulationRequest) w = NOVELENGINE__V1__WATCH_SIMULATION_REQUEST__INIT;
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_msg *m = NULL;
    seed.value = 8;
    q.simulation_id = g.run;
    q.at_turn = 1;
    q.seed = &seed;
    assert_int_equal(ask(&(struct call){ METHOD(FORK_SIMULATION), &q.base, false }, &m), NRPC_OK);
    snprintf(out_id, STORE_ID_SIZE, "%s",
             novelengine_v1_novel_engine_fork_simulation_response(m)->simulation_id);
    nrpc_msg_free(m);
    w.simulation_id = out_id;
    const nrpc_client_options o = { .options = { .timeout_ms = CALL_MS, .wait_for_ready = true } };
    assert_int_equal(
        nrpc_client_stream(g.client, METHOD(WATCH_SIMULATION), &o, &w.base, drop_update, NULL, &st),
        NRPC_OK);
    nrpc_status_clear(&st);
}

static void make_campaign(void)
{
    NE(CreateCampaignRequest) q = NOVELENGINE__V1__CREATE_CAMPAIGN_REQUEST__INIT;
    NE(Campaign) campaign = NOVELENGINE__V1__CAMPAIGN__INIT;
    nrpc_msg *m = NULL;
    campaign.name = "One";
    campaign.n_participants = ARRAY_SIZE(cast);
    campaign.participants = cast;
    q.campaign = &campaign;
    assert_int_equal(ask(&(struct call){ METHOD(CREATE_CAMPAIGN), &q.base, false }, &m), NRPC_OK);
    snprintf(g.campaign, sizeof g.campaign, "%s",
             novelengine_v1_novel_engine_create_campaign_response(m)->campaign_id);
    nrpc_msg_free(m);
}

static void start_service(void)
{
    char why[256] = "";
    struct store_options so = { .folder = g.folder };
    assert_int_equal(store_open(&so, &g.store, why, sizeof why), 0);
    assert_int_equal(nrpc_pool_new(1, 1024, &g.pool), 0);
    struct jobs_options jo = {
        .store = g.store, .pool = g.pool, .pack = g.pack, .retry_ms = 1, .director_wait_ms = 300
    };
    assert_int_equal(jobs_start(&jo, &g.jobs, why, sizeof why), 0);
    nrpc_server_options o;
    nrpc_server_defaults(&o);
    o.loops = 1;
    assert_int_equal(nrpc_server_new(&o, &g.server), 0);
    const struct service_options s = { .store = g.store,
                                       .jobs = g.jobs,
                                       .pack = g.pack,
                                       .pool = g.pool,
                                       .server = g.server,
                                       .shipped = g.cards,
                                       .current = g.cards };
    assert_int_equal(service_new(&s, &g.service), 0);
    assert_int_equal(nrpc_server_listen(g.server, g.address), 0);
    assert_int_equal(nrpc_server_start(g.server), 0);
}

static int bring_up(void **state)
{
    (void) state;
    struct nvl_error err;
    struct card_error card_err;
    log_setup("test_service_oom", STDERR_FILENO, LOG_LEVEL_ERROR);
    strcpy(g.folder, "/tmp/test_service_oom.XXXXXX");
    assert_non_null(mkdtemp(g.folder));
    snprintf(g.address, sizeof g.address, "unix:%s/socket", g.folder);
    assert_int_equal(nvl_pack_open(core_pack, core_pack_size, &err, &g.pack), NVL_OK);
    assert_int_equal(catalogue_load(NULL, &g.cards, &card_err), 0);
    start_service();
    nrpc_channel_options co;
    nrpc_channel_defaults(&co);
    co.target = g.address;
    co.max_message_bytes = 64u << 20;
    co.backoff_min_ms = co.backoff_max_ms = 1; /* a loop without memory may lose the connection */
    assert_int_equal(nrpc_client_new(&co, &g.client), 0);
    make_campaign();
    run_chapter(g.campaign, g.run);
    fork_run(g.fork);
    return 0;
}

static int take_down(void **state)
{
    (void) state;
    char command[128];
    nrpc_client_free(g.client);
    nrpc_server_stop(g.server, 1000);
    nrpc_server_wait(g.server);
    service_halt(g.service);
    jobs_stop(g.jobs);
    nrpc_pool_free(g.pool);
    store_close(g.store);
    nrpc_server_free(g.server);
    service_free(g.service);
    nvl_pack_free(g.pack);
    catalogue_unref(g.cards);
    snprintf(command, sizeof command, "rm -rf %s", g.folder);
    (void) !system(command);
    nrpc_gauges left;
    nrpc_gauges_read(&left);
    assert_int_equal(left.blobs, 0);
    assert_int_equal(left.messages, 0);
    assert_int_equal(left.calls, 0);
    return 0;
}

/* ---- the calls ---- */

static void test_explain_event(void **state)
{
    (void) state;
    NE(ExplainEventRequest) q = NOVELENGINE__V1__EXPLAIN_EVENT_REQUEST__INIT;
    q.simulation_id = g.run;
    q.max_depth = 64;
    for (q.sequence = 2; q.sequence <= 8; q.sequence += 3)
        sweep(METHOD(EXPLAIN_EVENT), &q.base, true);
}

static void test_explain_absence(void **state)
{
    (void) state;
    NE(ExplainAbsenceRequest) q = NOVELENGINE__V1__EXPLAIN_ABSENCE_REQUEST__INIT;
    q.simulation_id = g.run;
    q.turn = 2;
    q.actor = "pilot";
    q.operator_ = "apologise";
    sweep(METHOD(EXPLAIN_ABSENCE), &q.base, true);
}

static void test_get_beliefs(void **state)
{
    (void) state;
    NE(GetBeliefsRequest) q = NOVELENGINE__V1__GET_BELIEFS_REQUEST__INIT;
    q.simulation_id = g.run;
    q.character_id = "pilot";
    sweep(METHOD(GET_BELIEFS), &q.base, true);
}

static void test_verify(void **state)
{
    (void) state;
    NE(VerifySimulationRequest) q = NOVELENGINE__V1__VERIFY_SIMULATION_REQUEST__INIT;
    q.simulation_id = g.run;
    sweep(METHOD(VERIFY_SIMULATION), &q.base, true);
}

static void test_compare(void **state)
{
    (void) state;
    NE(CompareSimulationsRequest) q = NOVELENGINE__V1__COMPARE_SIMULATIONS_REQUEST__INIT;
    q.simulation_id = g.run;
    q.other_id = g.fork;
    sweep(METHOD(COMPARE_SIMULATIONS), &q.base, true);
}

static void test_tell(void **state)
{
    (void) state;
    NE(TellStoryRequest) q = NOVELENGINE__V1__TELL_STORY_REQUEST__INIT;
    q.simulation_id = g.run;
    sweep(METHOD(TELL_STORY), &q.base, true);
}

static void test_fork(void **state)
{
    (void) state;
    NE(ForkSimulationRequest) q = NOVELENGINE__V1__FORK_SIMULATION_REQUEST__INIT;
    NE(Edit) trait = NOVELENGINE__V1__EDIT__INIT, *edits[] = { &trait };
    NE(Edit__SetTrait) set = NOVELENGINE__V1__EDIT__SET_TRAIT__INIT;
    set.character = "pilot";
    set.trait = "honesty";
    set.value = 5;
    trait.edit_case = NOVELENGINE__V1__EDIT__EDIT_TRAIT;
    trait.trait = &set;
    q.simulation_id = g.run;
    q.at_turn = 1;
    q.n_edits = 1;
    q.edits = edits;
    sweep(METHOD(FORK_SIMULATION), &q.base, false);
}

static void test_campaign_reads(void **state)
{
    (void) state;
    NE(GetCampaignRequest) one = NOVELENGINE__V1__GET_CAMPAIGN_REQUEST__INIT;
    NE(ListCampaignsRequest) all = NOVELENGINE__V1__LIST_CAMPAIGNS_REQUEST__INIT;
    NE(GetManuscriptRequest) book = NOVELENGINE__V1__GET_MANUSCRIPT_REQUEST__INIT;
    one.campaign_id = book.campaign_id = g.campaign;
    sweep(METHOD(GET_CAMPAIGN), &one.base, true);
    sweep(METHOD(LIST_CAMPAIGNS), &all.base, true);
    static char *const formats[] = { "markdown", "text", "html", "epub" };
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        book.format = formats[i];
        /* Without memory to compress with, a member of an EPUB is stored: a good book of other
         * bytes. */
        sweep(METHOD(GET_MANUSCRIPT), &book.base, strcmp(formats[i], "epub") != 0);
    }
}

static void test_campaign_changes(void **state)
{
    (void) state;
    NE(CreateCampaignRequest) make = NOVELENGINE__V1__CREATE_CAMPAIGN_REQUEST__INIT;
    NE(UpdateCampaignRequest) change = NOVELENGINE__V1__UPDATE_CAMPAIGN_REQUEST__INIT;
    NE(Campaign) campaign = NOVELENGINE__V1__CAMPAIGN__INIT;
    campaign.name = "Two";
    campaign.n_participants = ARRAY_SIZE(cast);
    campaign.participants = cast;
    make.campaign = change.campaign = &campaign;
    sweep(METHOD(CREATE_CAMPAIGN), &make.base, false);
    campaign.campaign_id = g.campaign;
    sweep(METHOD(UPDATE_CAMPAIGN), &change.base, false);
}

/* Begun, one order of each kind, and left to run on. */
static void test_direct(void **state)
{
    (void) state;
    NE(DirectorCommand) begin = NOVELENGINE__V1__DIRECTOR_COMMAND__INIT, edit = begin, step = begin;
    NE(DirectorCommand) resume = begin;
    NE(SimulationRequest) q = NOVELENGINE__V1__SIMULATION_REQUEST__INIT;
    NE(Edit) trait = NOVELENGINE__V1__EDIT__INIT;
    NE(Edit__SetTrait) set = NOVELENGINE__V1__EDIT__SET_TRAIT__INIT;
    PB(Int32Value) turns = GOOGLE__PROTOBUF__INT32_VALUE__INIT;
    PB(Empty) empty = GOOGLE__PROTOBUF__EMPTY__INIT;
    const ProtobufCMessage *const orders[] = { &begin.base, &edit.base, &step.base, &resume.base,
                                               NULL };
    turns.value = 2;
    q.n_character_names = ARRAY_SIZE(cast);
    q.character_names = cast;
    q.turns = &turns;
    begin.command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_START;
    begin.start = &q;
    begin.on_detach = NOVELENGINE__V1__DIRECTOR_COMMAND__ON_DETACH__ON_DETACH_CANCEL;
    set.character = "pilot";
    set.trait = "honesty";
    set.value = 5;
    trait.edit_case = NOVELENGINE__V1__EDIT__EDIT_TRAIT;
    trait.trait = &set;
    edit.command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_EDIT;
    edit.edit = &trait;
    step.command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_STEP_TURNS;
    step.step_turns = 1;
    resume.command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_RESUME;
    resume.resume = &empty;
    sweep_call((struct call){ .method = METHOD(DIRECT_SIMULATION), .orders = orders });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explain_event),
        cmocka_unit_test(test_explain_absence),
        cmocka_unit_test(test_get_beliefs),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_tell),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_campaign_reads),
        cmocka_unit_test(test_campaign_changes),
        cmocka_unit_test(test_direct),
    };
    return cmocka_run_group_tests(tests, bring_up, take_down);
}
