/* Bodies that look right and are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clients/load/answers.h"

#define HEALTH                                                                                     \
    "{\"status\":\"healthy\",\"api\":\"running\",\"timestamp\":\"t\",\"version\":\"1\","           \
    "\"config\":\"loaded\",\"uptime\":1.5}"
#define RESULT                                                                                     \
    "{\"story\":\"s\",\"participants\":[\"engineer\",\"pilot\",\"scientist\"],\"turns_executed\":" \
    "3,\"duration_seconds\":0.1}"
#define PILOT(id)                                                                                  \
    "{\"character_id\":\"" id "\",\"character_name\":\"" id                                        \
    "\",\"name\":\"Alex\",\"background_summary\":\"b\","                                           \
    "\"personality_traits\":\"\",\"current_status\":\"\",\"narrative_context\":\"\",\"skills\":{}" \
    ",\"relationships\":{},"                                                                       \
    "\"current_location\":\"\",\"inventory\":[],\"metadata\":{},\"structured_data\":{}}"

static const struct request *one(const struct endpoint *e)
{
    return e->requests[0];
}

static void test_bodies(void **state)
{
    (void) state;
    const struct request *health = one(&endpoint_health), *list = one(&endpoint_characters),
                         *pilot = one(&endpoint_pilot), *run = one(&endpoint_simulation);
    const struct {
        const struct request *request;
        const char *body, *why; /* NULL: good */
    } cases[] = {
        { health, HEALTH, NULL },
        { health, "{\"status\":\"degraded\"}", "'status' is 'degraded', not 'healthy'" },
        { health, "{}", "'status' is missing" },
        { health, "[]", "the body is no JSON object" },
        { health, "<html>", "the body is no JSON: unknown word at byte 0" },
        { health, "", "the body is no JSON: a value is missing at byte 0" },
        { list, "{\"characters\":[\"engineer\",\"pilot\",\"scientist\"]}", NULL },
        { list, "{\"characters\":[\"engineer\",\"pilot\"]}",
          "'characters' does not hold 'scientist'" },
        { list, "{\"characters\":{}}", "'characters' has another type" },
        { pilot, PILOT("pilot"), NULL },
        { pilot, PILOT("engineer"), "'character_id' is 'engineer', not 'pilot'" },
        { pilot, "{\"character_id\":\"pilot\",\"character_name\":\"pilot\",\"name\":\"\"}",
          "'name' is empty" },
        { run, RESULT, NULL },
        { run, "{\"story\":\"\"}", "'story' is empty" },
        { run,
          "{\"story\":\"s\",\"participants\":[\"pilot\",\"engineer\",\"scientist\"],\"turns_"
          "executed\":3,\"duration_seconds\":1}",
          "'participants' are not those that were sent" },
        { run,
          "{\"story\":\"s\",\"participants\":[\"engineer\",\"pilot\",\"scientist\"],\"turns_"
          "executed\":2,\"duration_seconds\":1}",
          "'turns_executed' is 2, not 3" },
    };
    static struct answers a;
    for (int pass = 0; pass < 2; pass++) /* the second time over what is remembered */
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            bool good =
                answers_check_json(&a, cases[i].request, 3, cases[i].body, strlen(cases[i].body));
            if (good != (cases[i].why == NULL))
                fail_msg("case %zu: %s", i, cases[i].body);
            if (!good && strncmp(a.why, cases[i].why, strlen(cases[i].why)) != 0)
                fail_msg("case %zu: %s", i, a.why);
        }
    answers_done(&a);
}

#define EVENT(id) "id: " #id "\nevent: event\ndata: {\"sequence\":" #id "}\n\n"
#define DONE(id)                                                                                   \
    "id: " #id "\nevent: result\ndata: {\"result\":" RESULT                                        \
    "}\n\nid: 9\nevent: end\ndata: {\"code\":\"OK\"}\n\n"

static void test_streams(void **state)
{
    (void) state;
    static const struct {
        const char *body, *why;
        bool failed;
    } cases[] = {
        { ": connected\n\nretry: 1\n\n" EVENT(1) EVENT(2) DONE(2), NULL, false },
        { EVENT(1) EVENT(3) DONE(3), "event 3 follows event 1", false },
        { EVENT(1) EVENT(1) DONE(1), "event 1 follows event 1", false },
        { EVENT(1) "event: event\ndata: {}\nid:\n\n", "event 0 follows event 1", false },
        { EVENT(1) "id: 2x\nevent: event\ndata: {}\n\n", "event 0 follows event 1", false },
        { EVENT(1) EVENT(2), "the stream ended without a result, behind event 2", false },
        { EVENT(1) "id: 2\nevent: event\ndata: {\"seq",
          "the stream ended without a result, behind event 1", false },
        { "", "the stream held no event", false },
        { EVENT(1) "event: result\ndata: {\"result\":" RESULT "}\n\n",
          "the stream was cut off behind its result", false },
        { EVENT(1) "event: result\ndata: {\"result\":{\"story\":\"\"}}\n\n", "'story' is empty",
          false },
        { EVENT(1) "event: error\ndata: {\"code\":\"UNAVAILABLE\"}\n\n",
          "{\"code\":\"UNAVAILABLE\"}", true },
    };
    static struct answers a;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool failed,
            good = answers_check_events(&a, 3, cases[i].body, strlen(cases[i].body), &failed);
        assert_int_equal(good, cases[i].why == NULL);
        assert_int_equal(failed, cases[i].failed);
        if (!good)
            assert_string_equal(a.why, cases[i].why);
    }
    answers_done(&a);
}

static void test_messages(void **state)
{
    (void) state;
    static struct answers a;
    Novelengine__V1__Health health = NOVELENGINE__V1__HEALTH__INIT;
    assert_false(answers_check_message(&a, one(&endpoint_health), 3, &health.base));
    health.status = (char *) "healthy";
    health.api = (char *) "running";
    health.timestamp = health.version = (char *) "x";
    assert_true(answers_check_message(&a, one(&endpoint_health), 3, &health.base));
    Novelengine__V1__Character c = NOVELENGINE__V1__CHARACTER__INIT;
    c.character_id = (char *) "engineer";
    assert_false(answers_check_message(&a, one(&endpoint_pilot), 3, &c.base));
    assert_string_equal(a.why, "'character_id' is 'engineer', not 'pilot'");
    assert_false(answers_check_message(&a, one(&endpoint_pilot), 3, NULL));
    answers_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_bodies),
                                        cmocka_unit_test(test_streams),
                                        cmocka_unit_test(test_messages) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
