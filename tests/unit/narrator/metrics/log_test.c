/* The measures of logs: a story that was played, and what changes when its log is another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rpc/base/alloc.h"
#include "server/tools/novel-metrics-gates.h"
#include "server/tools/novel-metrics-play.h"
#include "server/tools/novel-metrics-plots.h"

struct stage { /* a story with everything kept */
    struct nvl_pack *pack;
    struct nvl_sim *sim;
    struct nvl_event *events;
    size_t count;
    struct arena arena;
    struct nvl_story story;
    struct text_table *operators;
};
static int keep(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                const uint8_t hash[SHA256_SIZE])
{
    struct stage *s = ctx;
    (void) canonical, (void) size, (void) hash;
    assert_true(s->count < NVL_EVENTS_MAX);
    s->events[s->count++] = *e;
    return 0;
}
static void play(struct stage *s, struct player *p, size_t which, uint64_t seed)
{
    struct play_request r;
    struct nvl_error err;
    memset(s, 0, sizeof(*s));
    play_request_at(which, &r);
    struct nvl_request q = { .turns = r.turns,
                             .seed = seed,
                             .setting = r.setting,
                             .scenario = r.scenario,
                             .cast = r.cast,
                             .cast_count = r.cast_count };
    s->events = alloc_zero(NVL_EVENTS_MAX, sizeof(*s->events));
    s->operators = text_table_new();
    arena_init(&s->arena, 4096);
    assert_int_equal(nvl_open(p->pack, &q, keep, s, &err, &s->sim), NVL_OK);
    while (!nvl_ended(s->sim))
        assert_int_equal(nvl_turn(s->sim, keep, s), NVL_OK);
    assert_int_equal(
        nvl_tell(nvl_sim_world(s->sim), s->events, s->count, NULL, &s->arena, &err, &s->story),
        NVL_OK);
}
static void measure(struct stage *s, uint64_t violations, struct metrics_play *out)
{
    struct metrics_played played = { nvl_sim_world(s->sim), s->events, s->count, &s->story,
                                     violations };
    assert_int_equal(metrics_log(&played, s->operators, &s->arena, out), 0);
}
static void drop(struct stage *s)
{
    nvl_free(s->sim);
    alloc_free(s->events);
    text_table_free(s->operators);
    arena_done(&s->arena);
}

static void test_sound(void **state)
{
    struct player *p = *state;
    struct stage s;
    struct metrics_play m;
    play(&s, p, 1, 3);
    measure(&s, 0, &m);
    assert_float_equal(m.m[LOG_VIOLATIONS], 0, 0);
    assert_float_equal(m.m[LOG_CAUSED], 1, 0);
    assert_int_equal(m.turns_played, 6);
    assert_int_equal(m.cast, 3);
    for (unsigned i = 0; i < LOG_COUNT; i++)
        if (isnan(m.m[i]))
            fail_msg("%s has no value", metrics_log_name(i));
    assert_non_null(strstr(m.signature, m.truth));
    drop(&s);
}
/* Every change to the log moves the measure that watches for it. */
static void test_broken(void **state)
{
    struct player *p = *state;
    struct stage s;
    struct metrics_play before, after;
    play(&s, p, 1, 3);
    measure(&s, 0, &before);
    size_t open = 0;
    for (size_t i = 0; i < s.count; i++) {
        struct nvl_event *e = &s.events[i];
        e->causes_count = 0;
        e->goal = NVL_NONE;
        e->tension = (uint8_t) (100 - e->tension_target);
        for (unsigned k = 0; k < e->threads_count; k++) {
            open++;
            e->threads[k].change = NVL_THREAD_OPENED;
        }
        if (e->actor == 0)
            e->actor = 1;
    }
    assert_true(open > 0);
    s.story.rewritten = 1000;
    measure(&s, 7, &after);
    assert_float_equal(after.m[LOG_VIOLATIONS], 7, 0);
    assert_float_equal(after.m[LOG_CAUSED], 0, 0);
    assert_float_equal(after.m[LOG_INTENT], 0, 0);
    assert_float_equal(after.m[LOG_LINKS], 0, 0);
    assert_float_equal(after.m[LOG_BY_OTHERS], 0, 0);
    assert_true(after.m[LOG_DEAD_ENDS] > before.m[LOG_DEAD_ENDS]);
    assert_float_equal(after.m[LOG_TENSION_R], -1, 1e-9);
    assert_true(after.m[LOG_TENSION_RMSE] > before.m[LOG_TENSION_RMSE]);
    assert_float_equal(after.m[LOG_THREADS], 0, 0);
    assert_float_equal(after.m[LOG_LEAST_USED], 0, 0);
    assert_true(after.m[LOG_REWRITTEN] > 1);
    drop(&s);
}
/* A log that was written and read again measures as the story did when it was played. */
static void test_file(void **state)
{
    struct player *p = *state;
    struct samples played, read;
    struct play_request r;
    struct nvl_error err;
    char path[] = "/tmp/novel-metrics-XXXXXX.nvlog";
    play_request_at(3, &r);
    assert_int_equal(samples_init(&played, 0), 0);
    assert_int_equal(samples_init(&read, 0), 0);
    assert_int_equal(player_story(p, &r, 0, 11, &played, &err), NVL_OK);
    int fd = mkstemps(path, 6);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p->log.data, p->log.size), (ssize_t) p->log.size);
    close(fd);
    assert_int_equal(samples_add_path(&read, path), 0);
    unlink(path);
    assert_int_equal(read.count, 1);
    assert_memory_equal(read.list[0].one, played.list[0].one, sizeof(read.list[0].one));
    assert_memory_equal(read.list[0].play.m, played.list[0].play.m, sizeof(read.list[0].play.m));
    assert_string_equal(read.list[0].play.signature, played.list[0].play.signature);
    samples_done(&played);
    samples_done(&read);
}
static void test_gates(void **state)
{
    struct player *p = *state;
    static struct gate_table good, bad;
    struct samples s;
    struct play_request r;
    struct nvl_error err;
    struct buf text = { 0 };
    play_request_at(1, &r);
    assert_int_equal(samples_init(&s, 0), 0);
    for (uint64_t seed = 1; seed <= 3; seed++)
        assert_int_equal(player_story(p, &r, 0, seed, &s, &err), NVL_OK);
    assert_int_equal(gates_judge(&s, &good), 0);
    s.list[1].play.m[LOG_VIOLATIONS] = 1; /* one in one story is one too many */
    assert_int_equal(gates_judge(&s, &bad), 0);
    assert_int_equal(bad.missed, good.missed + 1);
    gates_json(&s, &bad, &text);
    assert_non_null(strstr(buf_str(&text), "\"measure\":\"law violations\",\"value\":1,"));
    buf_done(&text);
    size_t stories;
    assert_in_range(plots_signatures(&s, 0, &stories), 1, 3);
    assert_int_equal(stories, 3);
    samples_done(&s);
}
static void test_request(void **state)
{
    static const char text[] = "# mine\nsetting  a lighthouse\nscenario the lamp is out\nturns 4\n"
                               "mood dark\nstyle noir\ncast wren tomas\n";
    static const char *const wrong[] = { "cast wren", "cast wren nobody", "mood merry",
                                         "colour red" };
    struct play_request r;
    struct arena arena;
    char why[64];
    (void) state;
    arena_init(&arena, 512);
    assert_int_equal(
        play_request_read("mine", text, sizeof(text) - 1, &arena, &r, why, sizeof(why)), 0);
    assert_string_equal(r.setting, "a lighthouse");
    assert_string_equal(r.scenario, "the lamp is out");
    assert_string_equal(r.style, "noir");
    assert_int_equal(r.turns, 4);
    assert_int_equal(r.mood, NVL_MOOD_DARK);
    assert_int_equal(r.cast_count, 2);
    assert_string_equal(r.cast[1].id, "tomas");
    play_request_shape(&r, 6, 25);
    assert_int_equal(r.cast_count, 6);
    assert_int_equal(r.turns, 25);
    assert_string_equal(r.cast[0].id, "wren");
    assert_string_equal(r.cast[2].id, "alex");
    for (size_t i = 1; i < 6; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(r.cast[i].id, r.cast[k].id);
    play_request_shape(&r, 2, 1);
    assert_int_equal(r.cast_count, 2);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        r.turns = 77;
        assert_int_equal(
            play_request_read("x", wrong[i], strlen(wrong[i]), &arena, &r, why, sizeof(why)), -1);
        assert_string_equal(why, "line 1 is not understood");
        assert_int_equal(r.turns, 77);
    }
    arena_done(&arena);
}

static void test_voice_features(void **state)
{
    static const struct {
        const char *text;
        uint32_t total;
    } rows[] = {
        { "", 0 },
        { "Lantern", 1 },                 /* one short sentence */
        { "We can't go.", 3 },            /* we, a contraction, short */
        { "We can\xe2\x80\x99t go.", 3 }, /* the same */
        { "Is it you?", 5 },              /* is it you, a question, short */
        { "Wait, 12 men! Run", 5 },       /* comma, numeral, exclamation, two short ones */
    };
    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct voice v = { 0 };
        voice_count(&v, rows[i].text, strlen(rows[i].text));
        assert_int_equal(v.total, rows[i].total);
    }
}
/* Three who speak each in a way of their own are told apart; three who speak alike are not. */
static void test_voices(void **state)
{
    static const char *const own[] = { "Would you? Could you?", "I can't, I won't.",
                                       "The. A. An." };
    (void) state;
    for (int alike = 0; alike < 2; alike++) {
        struct sample list[4] = { 0 };
        struct samples s = { .list = list, .count = 4 };
        size_t judged = 0;
        for (size_t i = 0; i < 4; i++) {
            list[i].has_play = true;
            list[i].play.cast = 3;
            for (size_t c = 0; c < 3; c++) {
                const char *text = own[alike ? 0 : c];
                voice_count(&list[i].play.voices[c], text, strlen(text));
            }
        }
        double share = voice_separability(&s, &judged);
        assert_int_equal(judged, 12);
        assert_float_equal(share, alike ? 1.0 / 3 : 1, 1e-12);
        s.count = 1;
        assert_true(isnan(voice_separability(&s, &judged)));
    }
}
static void test_speech(void **state)
{
    struct player *p = *state;
    struct stage s;
    struct metrics_play m;
    size_t spoke = 0;
    play(&s, p, 1, 3);
    measure(&s, 0, &m);
    for (unsigned c = 0; c < m.cast; c++)
        spoke += m.voices[c].total > 0;
    assert_true(spoke >= 2);
    drop(&s);
}
static void test_swap(void **state)
{
    struct player *p = *state;
    struct play_request r;
    struct player_swapped sum = { 0 };
    struct nvl_error err;
    play_request_at(1, &r);
    memcpy(r.cast[1].traits, r.cast[0].traits, sizeof(r.cast[0].traits)); /* nothing to swap */
    assert_int_equal(player_swap(p, &r, 3, &sum, &err), NVL_OK);
    assert_int_equal(sum.runs, 1);
    assert_true(sum.acts > 0);
    assert_int_equal(sum.same, sum.acts);
    play_request_at(1, &r);
    assert_int_equal(player_swap(p, &r, 3, &sum, &err), NVL_OK);
    assert_int_equal(sum.runs, 2);
    assert_true(sum.same < sum.acts);
    r.turns = 0;
    assert_int_equal(player_swap(p, &r, 3, &sum, &err), NVL_E_INVALID);
    assert_int_equal(sum.runs, 2);
}

int main(void)
{
    struct player player;
    if (player_init(&player) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_sound, &player),
        cmocka_unit_test_prestate(test_broken, &player),
        cmocka_unit_test_prestate(test_file, &player),
        cmocka_unit_test_prestate(test_gates, &player),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_voice_features),
        cmocka_unit_test(test_voices),
        cmocka_unit_test_prestate(test_speech, &player),
        cmocka_unit_test_prestate(test_swap, &player),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    player_done(&player);
    return failed;
}
