/* Telling over a small pack of the tests' own: what holds for any pack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "rpc/base/alloc.h"
#include "server/narrator/teller.h"
#include "tests/unit/narrator/lint_text.h"
#include "tests/unit/narrator/stage.h"

static struct nvl_pack *pack;

struct told {
    struct stage_run run;
    struct arena arena;
    struct nvl_story story;
    struct buf text;
    int rc;
};
static void play(struct told *o, uint64_t seed, uint32_t turns, const size_t *who, size_t count,
                 const char *scenario)
{
    struct nvl_profile cast[NVL_CAST_MAX];
    for (size_t i = 0; i < count; i++)
        cast[i] = *stage_profile(who[i]);
    struct nvl_request q = { .turns = turns,
                             .seed = seed,
                             .setting = "",
                             .scenario = scenario,
                             .cast = cast,
                             .cast_count = count };
    memset(o, 0, sizeof(*o));
    arena_init(&o->arena, 65536);
    assert_int_equal(stage_play(pack, &q, &o->run), NVL_OK);
}
static void tell(struct told *o, const struct nvl_telling *telling)
{
    o->rc =
        nvl_tell(o->run.world, o->run.events, o->run.count, telling, &o->arena, NULL, &o->story);
    buf_reset(&o->text);
    if (o->rc == NVL_OK)
        nvl_story_markdown(&o->story, &o->text);
}
static void done(struct told *o)
{
    buf_done(&o->text);
    arena_done(&o->arena);
    stage_run_done(&o->run);
}
static const size_t three[] = { 0, 1, 2 };

static void same_log_same_story(void **state)
{
    (void) state;
    struct told a, b;
    play(&a, 11, 6, three, 3, "a distress signal from an abandoned mining station");
    play(&b, 11, 6, three, 3, "a distress signal from an abandoned mining station");
    tell(&a, NULL), tell(&b, NULL);
    assert_int_equal(a.rc, NVL_OK);
    assert_string_equal(buf_str(&a.text), buf_str(&b.text));
    done(&b);
    play(&b, 12, 6, three, 3, "a distress signal from an abandoned mining station");
    tell(&b, NULL);
    assert_string_not_equal(buf_str(&a.text), buf_str(&b.text));
    done(&a), done(&b);
}
static void every_sentence_has_a_source(void **state)
{
    (void) state;
    struct told o;
    play(&o, 3, 5, three, 3, "");
    tell(&o, NULL);
    uint32_t words = 0;
    for (size_t p = 0; p < o.story.passages_count; p++) {
        const struct nvl_passage *q = &o.story.passages[p];
        assert_int_equal(q->scene, p + 1);
        assert_true(stage_find(q->focaliser) >= 0);
        assert_true(q->sentences_count > 0 && q->sentences[0].paragraph_start);
        for (size_t i = 0; i < q->sentences_count; i++) {
            const struct nvl_sentence *s = &q->sentences[i];
            assert_true(s->events_count + s->facts_count > 0);
            for (size_t k = 0; k < s->events_count; k++)
                assert_true(s->events[k] >= 1 && s->events[k] <= o.run.count);
            assert_string_not_equal(s->text, "");
            words++;
        }
    }
    assert_true(words >= 5 && o.story.word_count > words);
    done(&o);
}
static void limited_tells_only_what_was_seen(void **state)
{
    (void) state;
    static const char *const eyes[] = { "pilot", "scientist", "engineer" };
    for (uint64_t seed = 1; seed < 9; seed++)
        for (size_t e = 0; e < 3; e++) {
            struct told o;
            play(&o, seed, 4, three, 3, "");
            tell(&o, &(struct nvl_telling){ .focaliser = eyes[e] });
            assert_int_equal(o.rc, NVL_OK);
            for (size_t p = 0; p < o.story.passages_count; p++)
                for (size_t i = 0; i < o.story.passages[p].sentences_count; i++) {
                    assert_string_equal(o.story.passages[p].focaliser, eyes[e]);
                    const struct nvl_event *ev =
                        &o.run.events[o.story.passages[p].sentences[i].events[0] - 1];
                    bool frame = ev->type == NVL_STARTED || ev->type == NVL_COMPLETED;
                    assert_true(frame || (ev->witnesses >> e & 1) != 0);
                }
            done(&o);
        }
}
static void tellings_differ_and_are_checked(void **state)
{
    (void) state;
    static const char *const styles[] = { "sci_fi_dramatic", "tactical", "philosophical",
                                          "literary",        "noir",     "fable" };
    struct told o;
    struct nvl_error err = { 0 };
    char first[8192] = "";
    play(&o, 5, 4, three, 3, "");
    for (size_t i = 0; i < 6; i++) {
        tell(&o, &(struct nvl_telling){ .narrative_style = styles[i] });
        assert_int_equal(o.rc, NVL_OK);
        assert_string_equal(nvl_style_name((enum nvl_style) i), styles[i]);
    }
    snprintf(first, sizeof(first), "%s", buf_str(&o.text));
    tell(&o, &(struct nvl_telling){ .narrative_style = "noir" });
    assert_string_not_equal(first, buf_str(&o.text));
    static const struct {
        struct nvl_telling telling;
        const char *field;
    } bad[] = {
        { { .narrative_style = "grimdark_dramatic" }, "telling.narrative_style" },
        { { .perspective = "second_person" }, "telling.perspective" },
        { { .language = "zh" }, "telling.language" },
        { { .focaliser = "stranger" }, "telling.focaliser" },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct nvl_story untouched = { .word_count = 77 };
        assert_int_equal(nvl_tell(o.run.world, o.run.events, o.run.count, &bad[i].telling, &o.arena,
                                  &err, &untouched),
                         NVL_E_INVALID);
        assert_string_equal(err.field, bad[i].field);
        assert_int_equal(untouched.word_count, 77);
    }
    assert_int_equal(
        nvl_telling_check(&(struct nvl_telling){ .language = "en-GB", .perspective = "omniscient" },
                          NULL),
        NVL_OK);
    done(&o);
}
static void foreign_events_are_refused(void **state)
{
    (void) state;
    struct told o;
    play(&o, 5, 2, three, 3, "");
    struct nvl_event keep = o.run.events[3];
    o.run.events[3].op = 4000;
    tell(&o, NULL);
    assert_int_equal(o.rc, NVL_E_CORRUPT);
    o.run.events[3] = keep;
    o.run.events[3].sequence = 9;
    tell(&o, NULL);
    assert_int_equal(o.rc, NVL_E_CORRUPT);
    o.run.events[3] = keep;
    o.run.events[3].actor = 200;
    tell(&o, NULL);
    assert_int_equal(o.rc, NVL_E_CORRUPT);
    o.run.events[3] = keep;
    o.run.count = 6; /* an unfinished log is told as far as it goes */
    tell(&o, NULL);
    assert_int_equal(o.rc, NVL_OK);
    assert_string_equal(o.story.ending, "");
    done(&o);
}
static void hostile_cards_and_words(void **state)
{
    (void) state;
    static const size_t casts[][3] = { { 6, 0, 1 }, { 6, 5, 7 }, { 5, 6, 4 } };
    static const char *const scenarios[] = {
        "",
        "{A.poss} <then> @warn(A,B) [x] (a|b)",
        "\"quoted\" // %s%n%d",
        "<script>alert('x')</script> {{7*7}} http://evil.example/a?b=c",
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "a"
         "aaaaaa"),
    };
    for (size_t c = 0; c < 3; c++)
        for (size_t s = 0; s < 5; s++) {
            struct told o;
            char why[256];
            play(&o, 40 + s, 3, casts[c], 3, scenarios[s]);
            tell(&o, NULL);
            assert_int_equal(o.rc, NVL_OK);
            assert_null(strstr(buf_str(&o.text), "script"));
            assert_null(strstr(buf_str(&o.text), "evil.example"));
            if (!lint_story(&o.story, why, sizeof(why)))
                fail_msg("cast %zu scenario %zu: %s\n%s", c, s, why, buf_str(&o.text));
            done(&o);
        }
}
static void no_memory_is_said(void **state)
{
    (void) state;
    struct told o;
    play(&o, 5, 3, three, 3, "");
    for (uint64_t n = 1; n < 12; n++) {
        struct arena arena;
        struct nvl_story story = { .word_count = 77 };
        arena_init(&arena, 1024);
        alloc_fail_at(n);
        int rc = nvl_tell(o.run.world, o.run.events, o.run.count, NULL, &arena, NULL, &story);
        alloc_fail_at(0);
        assert_true(rc == NVL_OK || (rc == NVL_E_NOMEM && story.word_count == 77));
        arena_done(&arena);
    }
    done(&o);
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}
/* What somebody is after is said once, before an act that serves it; roles are named. */
static void what_an_act_is_for(void **state)
{
    (void) state;
    unsigned stories = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct told o;
        play(&o, seed, 4, three, 3, "");
        tell(&o, NULL);
        const char *text = buf_str(&o.text);
        unsigned hall = count_of(text, " wanted to see the hall with open eyes."),
                 box = count_of(text, " wanted to know what the crates held.") +
                       count_of(text, " wanted to know what the iron box held.");
        assert_true(hall + box <= 1);
        assert_int_equal(count_of(text, "wanted to"), hall + box);
        stories += hall + box;
        tell(&o, &(struct nvl_telling){ .narrative_style = "tactical" });
        assert_int_equal(count_of(buf_str(&o.text), "wanted to"), 0);
        done(&o);
    }
    if (stories < 3)
        fail_msg("%u stories say what an act is for", stories);
}

/* --- the check
 * --------------------------------------------------------------------------------------------- */

static void broken_prose_is_placed(void **state)
{
    (void) state;
    static const struct {
        const char *keyword, *head, *line;
        uint32_t at_line, column;
        const char *says;
    } table[] = {
        { "say", "walk.ok", "{A} went to {P}.", 0, 0, NULL },
        { "say", "walk.ok", "{A} went to {Q}.", 8, 16, "no slot \"Q\"" },
        { "say", "walk.ok", "{A.tail} went.", 8, 6, "has no form \"tail\"" },
        { "say", "walk.ok", "{A went.", 8, 3, "not closed" },
        { "say", "walk.ok", "{A} went) off.", 8, 11, "closes nothing" },
        { "say", "walk.ok", "{A} went  off.", 8, 11, "two blanks" },
        { "say", "walk.ok", "{A} said \"no.", 8, 3, "no partner" },
        { "say", "walk.ok", "{A} <nothing_such> off.", 8, 8, "no class" },
        { "say", "walk.ok", "@sing(A) {A} went.", 8, 3, "no line for the act" },
        { "say", "walk.ok", "{A} went off", 8, 14, "no end" },
        { "say", "walk.ok", "a|b.", 8, 4, "outside of a choice" },
        { "say", "walk.fine", "{A} went.", 7, 5, "OPERATOR.OUTCOME" },
        { "say", "fly.ok", "{A} went.", 7, 5, "no operator \"fly\"" },
        { "say", "walk.ok colour red", "{A} went.", 7, 13, "unknown tag" },
        { "say", "walk.ok style", "{A} went.", 7, 13, "needs a value" },
        { "sing", "walk.ok", "{A} went.", 7, 6, "unknown prose statement" },
        { "line", "warn", "Look out, {T.call}!", 0, 0, NULL },
        { "line", "warn", "\"Look out!\"", 8, 3, "quotation marks" },
        { "class", "dark", "the dark | {A.poss} dark", 0, 0, NULL },
        { "aim", "look", "open {BOX} in {HALL}", 0, 0, NULL },
        { "aim", "look", "open {BOXES}", 8, 9, "no slot" },
        { "aim", "sing", "sing", 7, 5, "no goal \"sing\"" },
        { "aim", "look", "see {HALL.poss} {HALL.tail}", 8, 25, "has no form" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct nvl_prose_line line = { table[i].line, 8, 3 };
        struct nvl_prose s = { table[i].keyword, table[i].head, "x.tale", 7, 1, &line };
        struct nvl_error err = { 0 };
        int rc = nvl_prose_check_statement(NULL, pack, &s, &err);
        if ((rc == 0) != (table[i].says == NULL))
            fail_msg("row %zu: rc %d: %s", i, rc, err.message);
        assert_int_equal(err.line, table[i].at_line);
        assert_int_equal(err.column, table[i].column);
        if (table[i].says != NULL && strstr(err.message, table[i].says) == NULL)
            fail_msg("row %zu: %s", i, err.message);
    }
}
static void lint_finds_the_thin_places(void **state)
{
    (void) state;
    struct buf b = { 0 };
    size_t n = nvl_prose_lint(pack, &b);
    assert_int_equal(n, 1);
    assert_string_equal(buf_str(&b), "operator yawn: 1 ways to tell yawn.ok, 3 are wanted\n");
    buf_done(&b);
}
/* What answers a topic is said only after it. */
static void answers_answer(void **state)
{
    (void) state;
    unsigned answers = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct told o;
        play(&o, seed, 6, three, 3, "");
        tell(&o, NULL);
        assert_int_equal(o.rc, NVL_OK);
        const char *before = "", *text = buf_str(&o.text);
        for (const char *q = strchr(text, '"'); q != NULL; q = strchr(strchr(q + 1, '"') + 1, '"')) {
            bool answer = strncmp(q, "\"The cup is mine", 16) == 0 ||
                          strncmp(q, "\"It's nobody's", 14) == 0 ||
                          strncmp(q, "\"It is nobody's", 15) == 0;
            answers += answer;
            if (answer && strncmp(before, "\"Whose cup", 10) != 0)
                fail_msg("seed %u: answers %.30s with %.30s", (unsigned) seed, before, q);
            before = q;
        }
        done(&o);
    }
    assert_true(answers > 5);
}
static void voices_build_sentences(void **state)
{
    (void) state;
    static const struct {
        void (*fn)(struct buf *, const char *, size_t);
        const char *said, *becomes;
    } table[] = {
        { speech_cut, "It holds, and we're in.", "It holds. We're in." },
        { speech_cut, "Bread, salt, and lamps.", "Bread, salt, and lamps." },
        { speech_cut, "We stay, and nobody sleeps.", "We stay. Nobody sleeps." },
        { speech_join, "I have checked it twice. It is the same.",
          "I have checked it twice; it is the same." },
        { speech_join, "I have checked it twice. I am sure.", "I have checked it twice; I am sure." },
        { speech_join, "Why is that so? It is not known.", "Why is that so? It is not known." },
        { speech_join, "No. It is not.", "No. It is not." },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct buf b = { 0 };
        table[i].fn(&b, table[i].said, strlen(table[i].said));
        assert_string_equal(buf_str(&b), table[i].becomes);
        buf_done(&b);
    }
}

static int setup(void **state)
{
    (void) state;
    pack = stage_pack("tests/unit/narrator/mini");
    return pack == NULL;
}
static int teardown(void **state)
{
    (void) state;
    nvl_pack_free(pack);
    return 0;
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_log_same_story),
        cmocka_unit_test(every_sentence_has_a_source),
        cmocka_unit_test(limited_tells_only_what_was_seen),
        cmocka_unit_test(tellings_differ_and_are_checked),
        cmocka_unit_test(foreign_events_are_refused),
        cmocka_unit_test(hostile_cards_and_words),
        cmocka_unit_test(no_memory_is_said),
        cmocka_unit_test(what_an_act_is_for),
        cmocka_unit_test(broken_prose_is_placed),
        cmocka_unit_test(lint_finds_the_thin_places),
        cmocka_unit_test(answers_answer),
        cmocka_unit_test(voices_build_sentences),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
