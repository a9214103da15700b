/* One log told again: by everybody who was in it, in every perspective.  What a teller can know is
 * worked out here from the log alone, apart from the narrator's own code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/narrator/lint_text.h"
#include "tests/unit/narrator/stage.h"

static struct nvl_pack *pack;
static const char *const styles[] = { "sci_fi_dramatic", "tactical", "philosophical",
                                      "literary",        "noir",     "fable" };
static const char *const scenarios[] = {
    "a distress signal from an abandoned mining station",
    "a murder at the manor",
    "an outbreak of fever in the harbour town",
    "a fire below decks",
    "steal the crown from the vault",
    "something is hunting the camp at night",
    "the survey data has gone missing",
    "somebody has sabotaged the engine",
    "shipwrecked on an empty shore",
    "",
};
static const char *const settings[] = { "", "a fantasy realm", "noir city in the rain",
                                        "age of sail, a lonely island", "an old manor house" };

/* --- a log
 * ------------------------------------------------------------------------------------------ */

static void play(unsigned n, struct stage_run *run)
{
    struct nvl_profile cast[NVL_CAST_MAX];
    struct nvl_request q = { .turns = 2 + n % 11,
                             .seed = 11 + n * 104729u,
                             .mood = (enum nvl_mood)(n % NVL_MOODS),
                             .setting = settings[n / 10 % 5],
                             .scenario = scenarios[n % 10],
                             .cast = cast,
                             .cast_count = 2 + n % 4 };
    for (size_t i = 0; i < q.cast_count; i++)
        cast[i] = *stage_profile((n + i) % (n % 3 == 0 ? STAGE_CAST : 5));
    assert_int_equal(stage_play(pack, &q, run), NVL_OK);
}

/* --- what somebody knows, by the log
 * ----------------------------------------------------------------- */

static bool perceived(const struct nvl_event *e, unsigned who)
{
    return e->actor == who || (e->witnesses >> who & 1) != 0;
}
static bool changes(const struct stage_run *run, const struct nvl_event *e, const char *fluent)
{
    int f = nvl_pack_fluent_find(pack, fluent);
    int cell = nvl_world_cell(run->world, (size_t) f, 0, 0);
    for (unsigned k = 0; k < e->deltas_count; k++)
        if (e->deltas[k].cell == cell && e->deltas[k].after > 0)
            return true;
    return false;
}
/* An ending is known to those who saw the story settled, and to those who were with one of them
 * afterwards. */
static bool knows_ending(const struct stage_run *run, unsigned who)
{
    const struct nvl_event *end = NULL;
    for (size_t i = 0; i < run->count && end == NULL; i++)
        if (changes(run, &run->events[i], "settled"))
            end = &run->events[i];
    if (end == NULL || perceived(end, who))
        return true;
    for (const struct nvl_event *e = end + 1; e < run->events + run->count; e++)
        for (unsigned c = 0; c < nvl_world_cast_count(run->world); c++)
            if (c != who && perceived(e, who) && perceived(e, c) && perceived(end, c))
                return true;
    return false;
}
static bool believes(const struct stage_run *run, unsigned who, unsigned fact, uint32_t sequence)
{
    int knows = nvl_pack_fluent_find(pack, "knows");
    int cell = nvl_world_cell(run->world, (size_t) knows, who, fact);
    unsigned level = cell >= 0 ? (unsigned) nvl_world_initial(run->world)[cell] : 0;
    for (size_t i = 0; i < sequence && i < run->count; i++)
        for (unsigned k = 0; k < run->events[i].beliefs_count; k++)
            if (run->events[i].beliefs[k].character == who &&
                run->events[i].beliefs[k].fact == fact)
                level = run->events[i].beliefs[k].after;
    return level != NVL_UNKNOWN;
}

/* --- the checks
 * ------------------------------------------------------------------------------------- */

struct told {
    const struct stage_run *run;
    unsigned who;
    struct nvl_telling telling;
    struct nvl_story story;
    struct arena arena;
    unsigned n, problems;
};
static void problem(struct told *t, const char *what, const char *text)
{
    if (t->problems++ < 3)
        fprintf(stderr, "log %u, %s, %s, %s: %s: %s\n", t->n,
                nvl_world_profile(t->run->world, t->who)->id, t->telling.perspective,
                t->telling.narrative_style, what, text);
}
/* Something was said, or done by the teller: what it states is a claim, and theirs. */
static bool claimed(const struct nvl_event *e, unsigned who)
{
    return e->type == NVL_SPEECH || e->type == NVL_REACTION || e->actor == who;
}
static void check_provenance(struct told *t, const struct nvl_sentence *s)
{
    if (s->events_count == 0)
        problem(t, "tells no event", s->text);
    for (size_t i = 0; i < s->events_count; i++) {
        const struct nvl_event *e = &t->run->events[s->events[i] - 1];
        bool others_mind = e->type == NVL_THOUGHT && e->actor != t->who;
        bool known = e->type == NVL_STARTED || e->type == NVL_CANCELLED ||
                     (e->type == NVL_COMPLETED ? knows_ending(t->run, t->who)
                                               : perceived(e, t->who) && !others_mind);
        if (!known)
            problem(t, "tells what was not witnessed", s->text);
        /* a fact in quotation marks is a claim that was heard */
        for (size_t f = 0; f < s->facts_count && strchr(s->text, '"') == NULL; f++)
            for (unsigned k = 0; k < nvl_world_count(t->run->world, NVL_SORT_FACT); k++)
                if (strcmp(nvl_entity_id(t->run->world, NVL_SORT_FACT, k), s->facts[f]) == 0 &&
                    !believes(t->run, t->who, k, e->sequence) && !claimed(e, t->who))
                    problem(t, "states a fact that was not known", s->text);
    }
}
/* The narration of a sentence in out: what stands between quotation marks left out. */
static void narration(const char *text, char *out, size_t size, bool *quoted)
{
    size_t n = 0;
    for (; *text != 0 && n + 2 < size; text++) {
        if (*text == '"')
            *quoted = !*quoted, out[n++] = '"';
        else if (!*quoted)
            out[n++] = *text;
    }
    out[n] = 0;
}
/* "the pilot" is in "the pilot without a ship", who is somebody else. */
static bool names_another(const struct told *t, const char *noun)
{
    for (unsigned sort = NVL_SORT_CHAR; sort < NVL_SORTS; sort++)
        for (size_t i = 0; i < nvl_world_count(t->run->world, (enum nvl_sort) sort); i++) {
            const char *name = nvl_world_entity(t->run->world, (enum nvl_sort) sort, i)->name;
            if (!(sort == NVL_SORT_CHAR && i == t->who) && strstr(name, noun) != NULL)
                return true;
        }
    return false;
}
static void check_first_person(struct told *t, const char *text)
{
    char why[400];
    if (!lint_first_person(text, why, sizeof(why)))
        problem(t, "first person", why);
    const struct nvl_profile *p = nvl_world_profile(t->run->world, t->who);
    char first[64];
    snprintf(first, sizeof(first), "%.*s", (int) strcspn(p->name, " "), p->name);
    const char *last = strrchr(p->name, ' ');
    bool title = strcmp(first, "Dr.") == 0 || strcmp(first, "Unit") == 0;
    bool gives_name = strstr(text, "My name is ") != NULL;
    if (!gives_name && p->name[0] != 0 &&
        ((!title && lint_has_word(text, first)) || (last != NULL && lint_has_word(text, last + 1))))
        problem(t, "the narrator by name", text);
    for (size_t i = 0; i < p->epithets.count; i++)
        if (lint_has_word(text, p->epithets.items[i]) && !names_another(t, p->epithets.items[i] + 4) &&
            strstr(text, "the pilot's seat") == NULL)
            problem(t, "the narrator by epithet", text);
}
static void check_minds(struct told *t, const char *text)
{
    static const char *const verbs[] = { "thought", "knew",  "felt",   "wished",  "hoped",
                                         "feared",  "hated", "wanted", "decided", "believed" };
    for (unsigned c = 0; c < nvl_world_cast_count(t->run->world); c++) {
        const char *brief = nvl_world_entity(t->run->world, NVL_SORT_CHAR, c)->brief;
        bool pronoun = strcmp(brief, "Nobody") == 0; /* a card's name: the word says no more of it */
        for (size_t v = 0; c != t->who && !pronoun && v < sizeof(verbs) / sizeof(verbs[0]); v++) {
            char phrase[96];
            snprintf(phrase, sizeof(phrase), "%s %s", brief, verbs[v]);
            if (lint_has_word(text, phrase) && strstr(text, "felt along") == NULL &&
                strstr(text, "felt for") == NULL && strstr(text, "wanted to know") == NULL)
                problem(t, "another's mind", text);
            snprintf(phrase, sizeof(phrase), "%s had %s", brief, verbs[v]);
            if (lint_has_word(text, phrase))
                problem(t, "another's mind", text);
        }
    }
}
/* "I warned he to let it be": the object of a plain line. */
static void check_objects(struct told *t, const char *text)
{
    static const char *const verbs[] = { "warned", "told",   "asked",   "pressed", "reminded",
                                         "gave",   "let",    "thanked", "accused", "begged",
                                         "showed", "helped", "brought", "dragged", "followed" };
    static const char *const subjects[] = { "he", "she" };
    for (size_t v = 0; v < sizeof(verbs) / sizeof(verbs[0]); v++)
        for (size_t i = 0; i < 2; i++) {
            char phrase[32];
            snprintf(phrase, sizeof(phrase), "%s %s", verbs[v], subjects[i]);
            if (lint_has_word(text, phrase))
                problem(t, "a subject where an object belongs", text);
        }
}
static void check_story(struct told *t)
{
    char why[400];
    bool mine = t->telling.perspective[0] == 'f' || t->telling.perspective[0] == 'j';
    if (!lint_story(&t->story, why, sizeof(why)))
        problem(t, "lint", why);
    for (size_t p = 0; p < t->story.passages_count; p++) {
        bool quoted = false;
        for (size_t i = 0; i < t->story.passages[p].sentences_count; i++) {
            const struct nvl_sentence *s = &t->story.passages[p].sentences[i];
            char text[2048];
            if (s->paragraph_start)
                quoted = false;
            narration(s->text, text, sizeof(text), &quoted);
            check_provenance(t, s);
            check_minds(t, text);
            check_objects(t, text);
            if (mine)
                check_first_person(t, text);
        }
    }
    assert_string_equal(t->story.focaliser, t->telling.focaliser);
}
static unsigned tell_and_check(const struct stage_run *run, unsigned n, unsigned who,
                               const char *perspective, const char *style)
{
    struct told t = { .run = run, .who = who, .n = n };
    t.telling = (struct nvl_telling){ .narrative_style = style,
                                      .perspective = perspective,
                                      .focaliser = nvl_world_profile(run->world, who)->id };
    struct nvl_error err = { 0 };
    arena_init(&t.arena, 65536);
    int rc = nvl_tell(run->world, run->events, run->count, &t.telling, &t.arena, &err, &t.story);
    if (rc != NVL_OK)
        fail_msg("log %u: %d %s %s", n, rc, err.field, err.message);
    check_story(&t);
    arena_done(&t.arena);
    return t.problems;
}
static void everybody_tells_only_what_they_know(void **state)
{
    (void) state;
    static const char *const perspectives[] = { "third_limited", "first_person", "journal" };
    unsigned logs = getenv("RETELL_LOGS") != NULL ? (unsigned) atoi(getenv("RETELL_LOGS")) : 120;
    unsigned problems = 0, tellings = 0;
    for (unsigned n = 0; n < logs; n++) {
        struct stage_run run;
        play(n, &run);
        for (unsigned who = 0; who < nvl_world_cast_count(run.world); who++)
            for (unsigned p = 0; p < 3; p++, tellings++)
                problems += tell_and_check(&run, n, who, perspectives[p],
                                           styles[(n + who + p) % 6]);
        stage_run_done(&run);
    }
    fprintf(stderr, "%u tellings of %u logs, %u problems\n", tellings, logs, problems);
    assert_int_equal(problems, 0);
}

static struct buf told_as(const struct stage_run *run, const struct nvl_telling *telling,
                          uint32_t *out_words)
{
    struct arena arena;
    struct nvl_story story;
    struct buf text = { 0 };
    arena_init(&arena, 65536);
    assert_int_equal(nvl_tell(run->world, run->events, run->count, telling, &arena, NULL, &story),
                     NVL_OK);
    nvl_story_markdown(&story, &text);
    *out_words = story.word_count;
    arena_done(&arena);
    return text;
}
static void the_same_telling_gives_the_same_bytes(void **state)
{
    (void) state;
    static const char *const perspectives[] = { "first_person", "journal" };
    for (unsigned n = 0; n < 8; n++) {
        struct stage_run run;
        uint32_t words;
        play(n, &run);
        struct nvl_telling telling = { .narrative_style = styles[n % 6],
                                       .perspective = perspectives[n % 2] };
        struct buf one = told_as(&run, &telling, &words), two = told_as(&run, &telling, &words);
        assert_string_equal(buf_str(&one), buf_str(&two));
        buf_done(&one);
        buf_done(&two);
        stage_run_done(&run);
    }
}
/* Within 15 % for the most part, and never far off, as long as the log has the matter. */
static void lengths_are_kept(void **state)
{
    (void) state;
    static const uint32_t wanted[] = { 150, 200, 300, 400, 600, 900, 1500, 2500, 5000 };
    static const char *const perspectives[] = { "third_limited", "omniscient", "first_person",
                                                "journal" };
    struct nvl_profile cast[4];
    unsigned close = 0, all = 0;
    for (size_t i = 0; i < 4; i++)
        cast[i] = *stage_profile(i);
    for (unsigned n = 0; n < 6; n++) {
        struct stage_run run;
        struct nvl_request q = { .turns = 50,
                                 .seed = 5 + n,
                                 .setting = "",
                                 .scenario = scenarios[n],
                                 .cast = cast,
                                 .cast_count = 4 };
        assert_int_equal(stage_play(pack, &q, &run), NVL_OK);
        for (unsigned k = 0; k < 36; k++) {
            uint32_t words, want = wanted[k / 4];
            struct nvl_telling telling = { .perspective = perspectives[k % 4], .words = want };
            struct buf text = told_as(&run, &telling, &words);
            buf_done(&text);
            if (want >= 2500 && k % 4 != 1)
                continue; /* nobody has seen so much */
            int32_t off = (int32_t) words - (int32_t) want;
            off = off < 0 ? -off : off;
            all++;
            close += (uint32_t) off * 100 <= want * 15;
            if ((uint32_t) off * 100 > want * (want < 300 ? 50 : 30)) /* what it rests on is told too */
                fail_msg("scenario %u, %s: %u words for %u", n, telling.perspective, words, want);
        }
        stage_run_done(&run);
    }
    fprintf(stderr, "%u of %u lengths within 15 %%\n", close, all);
    assert_true(close * 100 >= all * 85);
}

static int setup(void **state)
{
    (void) state;
    pack = stage_pack("server/content");
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
        cmocka_unit_test(everybody_tells_only_what_they_know),
        cmocka_unit_test(the_same_telling_gives_the_same_bytes),
        cmocka_unit_test(lengths_are_kept),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
