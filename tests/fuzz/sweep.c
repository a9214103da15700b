/* Every allocation of a scenario fails once (and all after it): no crash, no leak, no success that
 * is none.  Scenarios with very many allocations fail at some 300 of them, evenly spread. */
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/bind.h"
#include "gateway/form.h"
#include "gateway/route.h"
#include "gateway/to_json.h"
#include "gateway/to_wire.h"
#include "novel_engine_descriptors.h"
#include "novelengine/v1/novel_engine.nrpc.h"
#include "rpc/base/options.h"
#include "rpc/grpc/codec.h"
#include "rpc/grpc/frame.h"
#include "rpc/grpc/headers.h"
#include "rpc/h2/session.h"
#include "server/cards/profile.h"
#include "server/narrator/narrator.h"
#include "server/tools/novel-verify.h"
#include "tests/fuzz/nvl_story.h"
#include "tests/fuzz/quiet.h"
#include "tests/unit/narrator/stage.h"

enum { POINTS = 300 };
/* 0: it went well, and what came out was looked at.  Negative: no memory, said in the way that the
 * header promises; nothing was left behind. */
typedef int scenario_fn(void);

static struct buf card, log_bytes, world_tale, prose_a, prose_b;
static struct stage_run run;
static struct desc_pool *pool;

static void read_whole(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
        buf_put(out, block, n);
    fclose(f);
    assert_false(out->failed);
}

static char *name;
static struct option_list list;
static const struct option table[] = {
    { "name", OPTION_STRING, &name, "x", .value_name = "NAME", .help = "A name." },
    { "list", OPTION_LIST, &list, "a,b", .value_name = "ITEM", .help = "A list." },
};
static int sweep_options(void)
{
    static const struct options o = { "sweep",      "1", "Sweep.", "sweep [options]",
                                      "SWEEP_NONE", "",  table,    ARRAY_SIZE(table) };
    static const char text[] = "name: one\nlist: [c, d, e]\n";
    char path[64], program[] = "sweep", config[] = "--config", flag[] = "--list=f";
    int fd = file_of((const uint8_t *) text, sizeof text - 1);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    char *argv[] = { program, config, path, flag, NULL };
    enum options_result r = options_parse(&o, 4, argv);
    if (r == OPTIONS_RUN) {
        assert_string_equal(name, "one");
        assert_int_equal(list.count, 1);
    }
    options_done(&o);
    close(fd);
    return r == OPTIONS_RUN ? 0 : -1;
}

static int sweep_card(void)
{
    struct arena a;
    struct card_error err = { 0 };
    NE(Character) *c = NULL;
    struct nvl_profile profile;
    arena_init(&a, 1024);
    int r = card_parse("pilot.md", "pilot", card.data, card.size, &a, &c, &err);
    if (r == 0)
        r = profile_make(c, NULL, &a, &profile);
    if (r == 0) {
        assert_string_equal(profile.id, "pilot");
        struct character *k = character_new(c);
        struct catalogue *all = NULL;
        if (k == NULL || catalogue_load(NULL, &all, &err) < 0)
            r = -1;
        if (k != NULL)
            character_unref(k);
        catalogue_unref(all);
    } else {
        assert_true(c == NULL || err.message[0] == '\0');
    }
    arena_done(&a);
    return r;
}

static int sweep_pack(void)
{
    size_t size;
    const uint8_t *image = nvl_pack_image(story_pack(), &size);
    struct nvl_pack *p = NULL;
    struct nvl_error err;
    int r = nvl_pack_open(image, size, &err, &p);
    assert_true(r == NVL_OK || (r == NVL_E_NOMEM && p == NULL));
    nvl_pack_free(p);
    return r;
}

static int sweep_tale(void)
{
    struct nvl_source sources[] = { { "world.tale", (char *) world_tale.data, world_tale.size },
                                    { "prose/mini.tale", (char *) prose_a.data, prose_a.size },
                                    { "prose/talk.tale", (char *) prose_b.data, prose_b.size } };
    struct nvl_pack *p = NULL;
    struct nvl_error err = { 0 };
    int r =
        nvl_pack_compile(sources, ARRAY_SIZE(sources), nvl_prose_check_statement, NULL, &err, &p);
    if (r != NVL_OK && r != NVL_E_NOMEM)
        fail_msg("%d: %s", r, err.message);
    assert_true((r == NVL_OK) == (p != NULL));
    nvl_pack_free(p);
    return r;
}

static int take_event(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                      const uint8_t hash[SHA256_SIZE])
{
    (void) e, (void) canonical, (void) size, (void) hash;
    ++*(size_t *) ctx;
    return 0;
}
static int sweep_play(void)
{
    struct nvl_sim *sim = NULL;
    struct nvl_error err;
    size_t events = 0;
    int r = nvl_open(story_pack(), story_request(), take_event, &events, &err, &sim);
    while (r == NVL_OK && !nvl_ended(sim))
        r = nvl_turn(sim, take_event, &events);
    assert_true(r == NVL_OK || r == NVL_E_NOMEM);
    if (r == NVL_OK) {
        assert_int_equal(events, run.count);
        assert_memory_equal(nvl_head(sim), nvl_head(run.sim), SHA256_SIZE);
    }
    nvl_free(sim);
    return r;
}

static int sweep_tell(void)
{
    struct arena a;
    struct nvl_story story;
    struct nvl_error err;
    struct buf text = { 0 };
    arena_init(&a, 1024);
    int r = nvl_tell(run.world, run.events, run.count, NULL, &a, &err, &story);
    assert_true(r == NVL_OK || r == NVL_E_NOMEM);
    if (r == NVL_OK)
        nvl_story_markdown(&story, &text);
    if (text.failed)
        r = -1;
    buf_done(&text);
    arena_done(&a);
    return r;
}

static int sweep_header(void)
{
    struct nvl_log log;
    struct nvl_header *h = NULL;
    struct nvl_world *world = NULL;
    struct buf out = { 0 };
    assert_int_equal(nvl_log_open(log_bytes.data, log_bytes.size, &log), NVL_OK);
    int r = nvl_header_decode(log.header.data, log.header.size, &h);
    if (r == NVL_OK)
        r = nvl_world_open(story_pack(), nvl_header_request(h), NULL, &world);
    if (r == NVL_OK)
        r = nvl_log_begin(&out, log.header.data, log.header.size, world);
    assert_true(r == NVL_OK || r == NVL_E_NOMEM);
    if (r == NVL_OK)
        assert_memory_equal(out.data, log_bytes.data, out.size);
    nvl_world_free(world);
    nvl_header_free(h);
    buf_done(&out);
    return r;
}

static int sweep_verify(void)
{
    static struct verify_report report;
    int r = verify_log_check(log_bytes.data, log_bytes.size, &report);
    assert_true(r == VERIFY_DONE || r == VERIFY_NO_MEMORY);
    if (r == VERIFY_DONE)
        assert_int_equal(report.violations, 0);
    return r;
}

static int sweep_validate(void)
{
    NE(SimulationRequest) m = NOVELENGINE__V1__SIMULATION_REQUEST__INIT;
    nrpc_status st = NRPC_STATUS_INIT;
    int r = nrpc_validate(&novelengine_v1_novel_engine_rules, &m.base, "sweep", &st);
    assert_true(r == 1 || r == NRPC_E_NOMEM);
    assert_int_equal(st.code, r == 1 ? NRPC_INVALID_ARGUMENT : NRPC_RESOURCE_EXHAUSTED);
    nrpc_status_clear(&st);
    return r == 1 ? 0 : r;
}

static const struct desc_message *character(void)
{
    const char *full = "novelengine.v1.Character";
    const struct desc_message *m = desc_find_message(pool, full, strlen(full));
    assert_non_null(m);
    return m;
}
static int sweep_json(void)
{
    static const char text[] = "{\"characterId\":\"pilot\",\"name\":\"A\\u00e4\\n\","
                               "\"skills\":{\"a\":0.5,\"b\":1},\"goals\":[\"x\",\"y\"]}";
    static struct to_wire w;
    struct to_wire_options o = { .pool = pool, .ignore_unknown = true };
    struct to_json j;
    struct buf wire = { 0 }, out = { 0 };
    to_wire_init(&w, character(), &wire, &o);
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof text - 1; i++)
        r = to_wire_feed(&w, text + i, 1);
    if (r == 0)
        r = to_wire_finish(&w);
    to_wire_done(&w);
    to_json_init(&j, pool, JSON_STANDARD);
    if (r == 0)
        r = to_json_message(&j, character(), wire.data, wire.size, &out);
    assert_true(r == 0 || r == NRPC_E_NOMEM);
    if (r == 0)
        assert_non_null(strstr(buf_str(&out), "\"pilot\""));
    if (out.failed)
        r = NRPC_E_NOMEM;
    to_json_done(&j);
    buf_done(&wire);
    buf_done(&out);
    return r;
}

static int sweep_form(void)
{
    static const char
        type[] = "multipart/form-data; boundary=B",
        full[] = "novelengine.v1.SimulationRequest",
        body[] = "--B\r\nContent-Disposition: form-data; name=\"setting\"\r\n\r\nhere\r\n"
                 "--B\r\nContent-Disposition: form-data; name=\"telling\"\r\n"
                 "Content-Type: application/json\r\n\r\n{\"language\":\"en\"}\r\n"
                 "--B\r\nContent-Disposition: form-data; name=\"telling.words\"\r\n\r\n5\r\n--B--";
    const struct desc_message *m = desc_find_message(pool, full, sizeof full - 1);
    struct arena a;
    struct binder b;
    struct buf out = { 0 };
    struct form *f = NULL;
    arena_init(&a, 64);
    bind_start(&b, m, &a);
    struct form_options o = { .message = m, .binder = &b, .out = &out, .json = { .pool = pool } };
    int r = form_new(type, sizeof type - 1, &o, &f);
    if (r == 0)
        r = form_feed(f, body, sizeof body - 1);
    if (r == 0)
        r = form_finish(f);
    if (r == 0)
        r = bind_write_rest(&b, NULL, &out);
    form_done(f);
    buf_done(&out);
    arena_done(&a);
    return r;
}

static int sweep_router(void)
{
    struct desc_pool *p = NULL;
    struct router *router = NULL;
    struct arena a;
    struct binder b;
    static struct route_match match;
    char error[256];
    struct buf out = { 0 };
    arena_init(&a, 256);
    int r = desc_pool_new(novel_engine_descriptors, novel_engine_descriptors_size, &p, error);
    if (r == 0)
        r = router_new(p, "/api", &router, error);
    if (r == 0) {
        const char path[] = "/characters/pilot";
        if (route_match(router, "GET", path, sizeof path - 1, &match) != ROUTE_FOUND)
            fail_msg("no route for %s", path);
        bind_start(&b, match.route->method->input, &a);
        r = bind_path(&b, &match);
        if (r == 0)
            r = bind_write_rest(&b, NULL, &out);
        assert_true(r == 0 || r == NRPC_E_NOMEM);
    }
    buf_done(&out);
    arena_done(&a);
    router_free(router);
    desc_pool_free(p);
    return r;
}

static int sweep_metadata(void)
{
    static const char *const fields[][2] = {
        { ":method", "POST" },     { ":path", "/a.B/C" },  { "content-type", "application/grpc" },
        { "grpc-timeout", "10S" }, { "k-bin", "AAEC,/w" }, { "x-a", "b" },
    };
    struct arena a;
    nrpc_metadata md;
    struct request_head h;
    nrpc_status st = NRPC_STATUS_INIT;
    struct buf scratch = { 0 };
    nrpc_slice value;
    int http = 0, r = 0;
    arena_init(&a, 64);
    metadata_init(&md, &a, 4096, 20);
    request_head_init(&h, &md);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        (void) request_head_field(
            &h, (nrpc_slice){ (const uint8_t *) fields[i][0], strlen(fields[i][0]) },
            (nrpc_slice){ (const uint8_t *) fields[i][1], strlen(fields[i][1]) });
    enum head_outcome outcome = request_head_end(&h, &http, &st);
    if (outcome == HEAD_ACCEPT) {
        assert_int_equal(nrpc_metadata_count(&md), 3);
        r = metadata_wire_value(&md, 0, &scratch, &value);
    } else {
        assert_int_equal(outcome, HEAD_STATUS);
        assert_int_equal(st.code, NRPC_RESOURCE_EXHAUSTED);
        r = -1;
    }
    nrpc_status_clear(&st);
    buf_done(&scratch);
    arena_done(&a);
    return r;
}

static int sweep_message(void)
{
    static const uint8_t wire[] = { 0, 0, 0, 0, 7, 0x0a, 5, 'p', 'i', 'l', 'o', 't' };
    struct frame_parser p;
    nrpc_msg *m = NULL;
    nrpc_slice data = { wire, sizeof wire };
    struct buf out = { 0 };
    frame_init(&p, 100, NULL, NULL);
    int r = frame_feed(&p, &data, &m);
    if (r == 1)
        r = codec_decode(m, &novelengine__v1__character__descriptor, NULL);
    if (r == 0)
        r = codec_pack(&out, nrpc_msg_body(m), 100);
    assert_true(r == 0 || r == NRPC_E_NOMEM);
    if (r == 0)
        assert_memory_equal(out.data, wire, sizeof wire);
    nrpc_msg_free(m);
    frame_done(&p);
    buf_done(&out);
    return r;
}

static void on_request(void *owner, struct h2_stream *st, const struct h2_field *f, size_t n,
                       bool end, bool too_big)
{
    static const struct h2_field head[] = { H2_FIELD(":status", "200") };
    (void) f, (void) n, (void) end, (void) too_big;
    static const struct h2_stream_events none;
    h2_stream_bind(st, &none, NULL);
    *(int *) owner += h2_stream_respond(st, head, 1, true, NULL) == 0 ? 1 : -100;
}
static int sweep_h2(void)
{
    static const char input[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
                                "\0\0\7\1\5\0\0\0\1\x83\x86\x84\x01\x01x\x90";
    static const struct h2_session_events events = { .on_request = on_request };
    const struct h2_options o = { H2_SERVER, 100, 65535, 1 << 20, 4096, 50 };
    struct h2_session *s = NULL;
    struct buf out = { 0 };
    int requests = 0;
    int r = h2_session_new(&o, &events, &requests, 1, &s);
    if (r == 0)
        r = h2_session_feed(s, (const uint8_t *) input, sizeof input - 1, 1);
    if (r == 0)
        r = h2_session_drain(s, &out, 1 << 20, 1);
    if (r == 0 && requests != 1)
        r = -1; /* the stream alone was given up */
    if (s != NULL)
        h2_session_abort(s);
    h2_session_free(s);
    buf_done(&out);
    return r;
}

static void sweep(scenario_fn *fn)
{
    alloc_fail_at(0);
    int r = fn();
    uint64_t n = alloc_count();
    assert_int_equal(r, 0);
    assert_true(n > 0);
    uint64_t step = n < POINTS ? 1 : n / POINTS;
    for (uint64_t i = 1; i <= n; i += i < 40 ? 1 : step) {
        struct quiet q = quiet_start();
        alloc_fail_at(i);
        r = fn();
        alloc_fail_at(0);
        quiet_end(&q);
        if (r >= 0)
            fail_msg("went well although allocation %llu of %llu failed", (unsigned long long) i,
                     (unsigned long long) n);
    }
}

#define SWEEP(what)                                                                                \
    static void test_##what(void **state)                                                          \
    {                                                                                              \
        (void) state;                                                                              \
        sweep(sweep_##what);                                                                       \
    }
SWEEP(options)
SWEEP(card)
SWEEP(pack)
SWEEP(tale)
SWEEP(play)
SWEEP(tell)
SWEEP(header)
SWEEP(verify)
SWEEP(validate)
SWEEP(json)
SWEEP(router)
SWEEP(form)
SWEEP(metadata)
SWEEP(message)
SWEEP(h2)

static int set_up(void **state)
{
    (void) state;
    char error[256];
    read_whole("server/cards/pilot.md", &card);
    read_whole("tests/unit/narrator/mini/world.tale", &world_tale);
    read_whole("tests/unit/narrator/mini/prose/mini.tale", &prose_a);
    read_whole("tests/unit/narrator/mini/prose/talk.tale", &prose_b);
    story_log(&log_bytes);
    return stage_play(story_pack(), story_request(), &run) |
           desc_pool_new(novel_engine_descriptors, novel_engine_descriptors_size, &pool, error);
}
static int tear_down(void **state)
{
    (void) state;
    buf_done(&card);
    buf_done(&world_tale);
    buf_done(&prose_a);
    buf_done(&prose_b);
    buf_done(&log_bytes);
    stage_run_done(&run);
    desc_pool_free(pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),  cmocka_unit_test(test_card),
        cmocka_unit_test(test_pack),     cmocka_unit_test(test_tale),
        cmocka_unit_test(test_play),     cmocka_unit_test(test_tell),
        cmocka_unit_test(test_header),   cmocka_unit_test(test_verify),
        cmocka_unit_test(test_validate), cmocka_unit_test(test_json),
        cmocka_unit_test(test_router),   cmocka_unit_test(test_form),
        cmocka_unit_test(test_metadata), cmocka_unit_test(test_message),
        cmocka_unit_test(test_h2),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
