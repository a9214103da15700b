/* The legacy shapes, byte for byte: what old clients have read must not move by a comma.
 * golden/NAME.json holds the answer; with GOLDEN_WRITE=DIR the answers of today are written there
 * to be looked at. */
#include "tests/unit/gateway/support.h"

#include <stdlib.h>

#include "gateway/problem.h"
#include "gateway/to_json.h"
#include "gateway/to_wire.h"
#include "novel_engine_descriptors.h"
#include "rpc/base/alloc.h"
#include "rpc/nrpc.h"

static struct desc_pool *contract;

static int set_up(void **state)
{
    (void) state;
    char error[256] = "";
    if (desc_pool_new(novel_engine_descriptors, novel_engine_descriptors_size, &contract, error) <
        0)
        fail_msg("%s", error);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    desc_pool_free(contract);
    return 0;
}

/* What the server would send, written as JSON of either dialect. */
static void message_of(const char *type, const char *json, struct buf *out)
{
    char name[100];
    snprintf(name, sizeof name, "novelengine.v1.%s", type);
    const struct desc_message *m = desc_find_message(contract, name, strlen(name));
    struct to_wire *t = alloc_get(sizeof *t);
    struct to_wire_options o = { .pool = contract, .accept_snake = true };
    assert_non_null(m);
    to_wire_init(t, m, out, &o);
    if (to_wire_feed(t, json, strlen(json)) < 0 || to_wire_finish(t) < 0)
        fail_msg("%s: %s: %s", type, t->reader.error.path, t->reader.error.message);
    to_wire_done(t);
    alloc_free(t);
}

static void legacy_json(const char *type, const struct buf *wire, struct buf *out)
{
    struct to_json t;
    char name[100];
    snprintf(name, sizeof name, "novelengine.v1.%s", type);
    to_json_init(&t, contract, JSON_LEGACY);
    if (to_json_message(&t, desc_find_message(contract, name, strlen(name)), wire->data, wire->size,
                        out) < 0)
        fail_msg("%s: %s", type, t.error);
    to_json_done(&t);
}

static void assert_golden(const char *name, struct buf *got)
{
    char path[300];
    const char *folder = getenv("GOLDEN_WRITE");
    if (folder != NULL) {
        snprintf(path, sizeof path, "%s/%s.json", folder, name);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fprintf(f, "%s\n", buf_str(got));
        fclose(f);
        return;
    }
    struct buf want = { 0 };
    snprintf(path, sizeof path, "tests/unit/gateway/golden/%s.json", name);
    read_file(path, &want);
    assert_true(want.size > 0 && want.data[want.size - 1] == '\n');
    want.size--;
    assert_string_equal(buf_str(got), buf_str(&want));
    buf_done(&want);
}

static void messages(void **state)
{
    (void) state;
    static const struct {
        const char *name, *type, *sent;
    } cases[] = {
        { "root", "ServiceInfo",
          "{\"message\":\"Welcome\",\"status\":\"ok\",\"timestamp\":\"2030-01-31T12:00:00Z\","
          "\"name\":\"Novel Engine\",\"version\":\"1.0.0\"}" },
        { "health", "Health",
          "{\"status\":\"healthy\",\"api\":\"running\",\"timestamp\":\"2030-01-31T12:00:00Z\","
          "\"version\":\"1.0.0\",\"config\":\"loaded\",\"uptime\":12}" },
        { "health_empty", "Health", "{}" },
        { "status", "SystemStatus",
          "{\"status\":\"operational\",\"uptime\":0.25,\"version\":\"1.0.0\",\"components\":"
          "{\"api\":\"ok\",\"store\":\"ok\"},\"performance\":{\"memory_usage_mb\":61.5}}" },
        { "policy", "Policy",
          "{\"brand_status\":\"Generic Sci-Fi\",\"compliance\":{\"names\":\"own\"}}" },
        { "characters", "ListCharactersResponse",
          "{\"characters\":[\"engineer\",\"pilot\"],\"count\":2}" },
        { "characters_none", "ListCharactersResponse", "{}" },
        { "character", "Character",
          "{\"character_id\":\"pilot\",\"character_name\":\"pilot\",\"name\":\"Alex \\\"Ace\\\" "
          "Chen\",\"background_summary\":\"Line\\nbreak, \\u00e9, \\u2028, \\u001f, </script>\","
          "\"skills\":{\"piloting\":0.9,\"calm\":1,\"luck\":0},\"relationships\":{\"engineer\":"
          "-0.25},\"inventory\":[\"sidearm\"],\"metadata\":{\"a\":null,\"n\":1,\"l\":[true,1.5]},"
          "\"structured_data\":{\"stats\":{\"character\":{\"faction\":\"Galactic Defense "
          "Force\"}}},\"etag\":\"\\\"x\\\"\"}" },
        { "character_empty", "Character", "{}" },
        { "simulation_result", "SimulationResult",
          "{\"story\":\"# One\\n\\nTwo.\",\"participants\":[\"pilot\",\"engineer\"],"
          "\"turns_executed\":3,\"duration_seconds\":0.001,\"simulation_id\":\"s\",\"status\":"
          "\"completed\",\"seed\":\"18446744073709551615\",\"metadata\":{\"word_count\":2}}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf wire = { 0 }, json = { 0 }, again = { 0 }, back = { 0 };
        message_of(cases[i].type, cases[i].sent, &wire);
        legacy_json(cases[i].type, &wire, &json);
        assert_golden(cases[i].name, &json);
        /* The answer may be sent back, and is the same answer then. */
        message_of(cases[i].type, buf_str(&json), &back);
        legacy_json(cases[i].type, &back, &again);
        assert_string_equal(buf_str(&again), buf_str(&json));
        buf_done(&wire);
        buf_done(&json);
        buf_done(&again);
        buf_done(&back);
    }
}

static void errors(void **state)
{
    (void) state;
    struct arena a;
    struct buf out = { 0 };
    arena_init(&a, 256);
    struct problem p = { .status = 404,
                         .code = NRPC_NOT_FOUND,
                         .reason = "CHARACTER_NOT_FOUND",
                         .detail = "characters not found: nobody, noone" };
    problem_put(&out, &p, "/simulations", "id-1");
    assert_golden("error_404", &out);
    buf_reset(&out);
    p = (struct problem){ .status = 422,
                          .code = NRPC_INVALID_ARGUMENT,
                          .reason = "INVALID_FIELD",
                          .detail = "character_names: at least 2 are needed" };
    problem_add_field(&p, &a, "character_names", "at least 2 are needed");
    problem_add_field(&p, &a, "turns", "at most 50");
    problem_put(&out, &p, "/api/simulations?x=\"1\"", "id-2");
    assert_golden("error_422", &out);
    buf_reset(&out);
    p.fields = NULL;
    problem_put(&out, &p, NULL, NULL);
    assert_golden("error_422_bare", &out);
    buf_done(&out);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(messages), cmocka_unit_test(errors) };
    return cmocka_run_group_tests_name("gateway golden", tests, set_up, tear_down);
}
