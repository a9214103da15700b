/* The checker against the engine: whatever the engine plays is sound, and whatever is then changed
 * in the meaning of an event, with the chain made anew, is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "server/tools/novel-verify.h"
#include "tests/unit/engine/verify_changes.h"
#include "tests/unit/engine/verify_story.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STORIES = 60, TRIES = 60 };
#else
enum { STORIES = 400, TRIES = 1000 };
#endif
enum { SOURCES = 24 }; /* stories that mutations start from */

static struct nvl_pack *pack;
static struct story story;

static int setup(void **state)
{
    (void) state;
    pack = story_pack();
    return pack == NULL;
}

static int teardown(void **state)
{
    (void) state;
    nvl_pack_free(pack);
    return 0;
}

static void print_report(const struct verify_report *report, unsigned n)
{
    struct buf text = { 0 };
    char name[32];
    (void) snprintf(name, sizeof(name), "request %u", n);
    verify_report_text(report, name, &text);
    print_message("%s", buf_str(&text));
    buf_done(&text);
}

static void test_engine_is_sound(void **state)
{
    (void) state;
    unsigned broken = 0, events = 0, rejected = 0, reactions = 0, incidents = 0, rolls = 0;
    for (unsigned n = 0; n < STORIES; n++) {
        struct buf log = { 0 }, again = { 0 };
        struct verify_report report;
        assert_int_equal(story_play(pack, n, &story), NVL_OK);
        story_write(&story, &log);
        assert_int_equal(verify_log_check(log.data, log.size, &report), VERIFY_DONE);
        assert_int_equal(report.events, story.count);
        if (report.violations != 0 && broken++ < 5)
            print_report(&report, n);
        assert_true(report.complete);
        story_write_changed(&story, story.events, story.count,
                            &again); /* our encoder and theirs agree */
        assert_int_equal(again.size, log.size);
        assert_memory_equal(again.data, log.data, log.size);
        for (unsigned i = 0; i < story.count; i++) {
            rejected += story.events[i].type == EVENT_REJECTED;
            reactions += story.events[i].type == EVENT_REACTION;
            incidents += story.events[i].type == EVENT_INCIDENT;
            rolls += story.events[i].roll > 0;
        }
        events += story.count;
        buf_done(&log);
        buf_done(&again);
        story_done(&story);
    }
    print_message("%d stories, %u events (%u rejected, %u reactions, %u incidents, %u rolls), %u "
                  "stories broken\n",
                  STORIES, events, rejected, reactions, incidents, rolls, broken);
    assert_int_equal(broken, 0);
    assert_true(rejected > 0 && reactions > 0 && incidents > 0 && rolls > 0);
}

/* ---- changes of meaning ---------------------------------------------------------------------- */

static struct story origins[SOURCES];
static struct verify_scene scene;

/* A random change of the class to a random story; true when it was made (and *out_found says how it
 * went). */
static bool try_change(const struct verify_change *change, bool *out_found)
{
    const struct story *from = &origins[verify_draw(SOURCES)];
    static struct buf log;
    struct verify_report report;
    scene.story = from;
    scene.count = from->count;
    memcpy(scene.events, from->events, from->count * sizeof(from->events[0]));
    if (!change->apply(&scene, verify_draw(from->count)))
        return false;
    buf_reset(&log);
    story_write_changed(from, scene.events, scene.count, &log);
    assert_int_equal(verify_log_check(log.data, log.size, &report), VERIFY_DONE);
    *out_found = report.violations > 0;
    if (!*out_found && getenv("VERIFY_SHOW") != NULL)
        verify_change_show(&scene, change->name);
    return true;
}

/* Makes `tries` changes of every class; every class must be found. */
static void find_changes(int (*play)(const struct nvl_pack *, unsigned, struct story *),
                         const struct verify_change *changes, unsigned count, unsigned tries)
{
    unsigned weak = 0;
    for (unsigned i = 0, n = 0; i < SOURCES;
         n++) { /* short ones: many events of every type, quick to check */
        assert_int_equal(play(pack, n, &origins[i]), NVL_OK);
        if (origins[i].count < 200)
            i++;
        else
            story_done(&origins[i]);
    }
    for (unsigned c = 0; c < count; c++) {
        unsigned made = 0, found = 0;
        for (unsigned t = 0; t < tries * 400 && made < tries; t++) {
            bool hit;
            if (!try_change(&changes[c], &hit))
                continue;
            made++;
            found += hit;
        }
        bool enough = made > 0 && found * 1000ull >= made * 999ull;
        print_message("  %-26s %5u of %5u found (%.2f %%)%s\n", changes[c].name, found, made,
                      made == 0 ? 0.0 : 100.0 * found / made, enough ? "" : "  TOO FEW");
        weak += !enough;
    }
    for (unsigned i = 0; i < SOURCES; i++)
        story_done(&origins[i]);
    assert_int_equal(weak, 0);
}
static void test_changes_are_found(void **state)
{
    (void) state;
    find_changes(story_play, verify_changes, verify_changes_count, TRIES);
}
static void test_lies_about_edits_are_found(void **state)
{
    (void) state;
    find_changes(story_play_edited, verify_edit_changes, verify_edit_changes_count, TRIES / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_is_sound),
        cmocka_unit_test(test_changes_are_found),
        cmocka_unit_test(test_lies_about_edits_are_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
