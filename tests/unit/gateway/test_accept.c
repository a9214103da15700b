/* Content negotiation by Accept, and the name that was meant. */
#include "tests/unit/gateway/support.h"

#include "gateway/accept.h"
#include "gateway/suggest.h"

static void chooses_the_stream_form(void **state)
{
    (void) state;
    static const char *const forms[] = { "application/x-ndjson", "text/event-stream",
                                         "application/json" };
    static const struct {
        const char *accept;
        int index;
    } cases[] = {
        { "", 0 },
        { "*/*", 0 },
        { "text/event-stream", 1 },
        { "application/json", 2 },
        { "application/x-ndjson", 0 },
        { "text/*", 1 },
        { "application/*", 0 },
        { "TEXT/Event-Stream", 1 },
        { "text/html", -1 },
        { "text/html, */*;q=0.1", 0 },
        { "application/json;q=0.5, text/event-stream;q=0.6", 1 },
        { "application/json;q=0.6,text/event-stream;q=0.5", 2 },
        { "application/json, text/event-stream", 2 },
        { "text/event-stream, application/json", 1 },
        { "*/*, application/json;q=0.9", 0 },
        { "application/x-ndjson;q=0, */*", 1 },
        { "*/*;q=0", -1 },
        { "text/event-stream;q=0", -1 },
        { "application/json;charset=utf-8;q=0.3", 2 },
        { "application/json; q=1.0 , */*; q=0.001", 2 },
        { ",,", -1 },
        { ";q=1", -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guarded g = guarded_copy(cases[i].accept, strlen(cases[i].accept));
        struct accept_choice c =
            accept_choose((const char *) g.data, strlen(cases[i].accept), forms, 3);
        guarded_free(g);
        if (c.index != cases[i].index)
            print_message("%s: %d\n", cases[i].accept, c.index);
        assert_int_equal(c.index, cases[i].index);
    }
}

static void tells_how_close(void **state)
{
    (void) state;
    static const char *const types[] = { "text/markdown", "text/html" };
    assert_int_equal(accept_choose("*/*", 3, types, 2).specificity, 0);
    assert_int_equal(accept_choose("text/*", 6, types, 2).specificity, 1);
    assert_int_equal(accept_choose("text/html", 9, types, 2).specificity, 2);
    assert_int_equal(accept_choose("text/html;q=0.25", 16, types, 2).quality, 250);
}

static void suggests(void **state)
{
    (void) state;
    static const char *const names[] = { "character_names", "turns", "setting", "scenario",
                                         "seed" };
    static const struct {
        const char *word, *best;
    } cases[] = { { "character_name", "character_names" },
                  { "characterNames", "character_names" },
                  { "turn", "turns" },
                  { "SEED", "seed" },
                  { "tunrs", "turns" },
                  { "scenery", NULL },
                  { "x", NULL },
                  { "", NULL },
                  { "zzzzzzzz", NULL } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct suggest s;
        suggest_start(&s, cases[i].word, strlen(cases[i].word));
        for (size_t k = 0; k < 5; k++)
            suggest_offer(&s, names[k]);
        if (cases[i].best == NULL)
            assert_null(s.best);
        else {
            assert_non_null(s.best);
            assert_string_equal(s.best, cases[i].best);
        }
    }
    struct suggest s;
    char longer[5000];
    memset(longer, 'a', sizeof longer);
    suggest_start(&s, longer, sizeof longer);
    suggest_offer(&s, "turns");
    assert_null(s.best);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(chooses_the_stream_form),
                                        cmocka_unit_test(tells_how_close),
                                        cmocka_unit_test(suggests) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
