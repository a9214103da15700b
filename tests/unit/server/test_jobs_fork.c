/* Forks below the service: what a fork's log begins with, what refuses it, that it runs and resumes. */
#include "tests/unit/server/jobs_fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "rpc/base/check.h"
#include "rpc/base/log.h"
#include "server/jobs/fork.h"
#include "server/jobs/past.h"

enum { TURNS = 10 };

/* A finished simulation and its row with the header; the arena holds it. */
static struct store_row finished(struct fixture *f, int turns, struct arena *a)
{
    char id[STORE_ID_SIZE];
    assert_int_equal(submit(f, turns, 11, id), JOBS_OK);
    wait_end(f, id);
    struct store_read_row q = { .read.kind = STORE_READ_ROW, .with = STORE_WITH_HEADER };
    memcpy(q.id, id, sizeof q.id);
    arena_init(&q.read.arena, 4096);
    store_read_wait(f->store, &q.read);
    assert_int_equal(q.read.result, STORE_OK);
    assert_int_equal(q.row.state, STORE_COMPLETED);
    struct store_row row = q.row;
    row.header.data = arena_copy(a, row.header.data, row.header.size);
    row.request.data = arena_copy(a, row.request.data, row.request.size);
    arena_done(&q.read.arena);
    return row;
}

static struct fork_in fork_of(struct fixture *f, const struct store_row *parent, uint32_t at_turn)
{
    return (struct fork_in) { .store = f->store,
                              .pack = f->pack,
                              .parent = parent,
                              .header = parent->header,
                              .id = "sim_child",
                              .at_turn = at_turn,
                              .now_us = 1 };
}

static void test_prefix_is_the_parents(void **state)
{
    struct fixture *f = *state;
    struct arena a;
    arena_init(&a, 65536);
    start(f);
    struct store_row parent = finished(f, TURNS, &a);
    struct past past;
    assert_int_equal(past_read(f->store, parent.id, parent.last_sequence, UINT32_MAX, false, &a, &past), STORE_OK);
    assert_int_equal(past.count, parent.last_sequence);
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        const struct nvl_edit edit = { .kind = NVL_EDIT_TRAIT, .actor = "pilot", .name = "openness", .to = "", .value = 4 };
        struct fork_in in = fork_of(f, &parent, turn);
        struct fork_out out;
        struct nvl_event e;
        in.edits = &edit;
        in.n_edits = 1;
        fork_make(&in, &a, &out);
        assert_int_equal(out.result, FORK_OK);
        assert_int_equal(out.turns_done, turn);
        size_t shared = out.n_events - 2;
        for (size_t i = 0; i < shared; i++) {
            assert_int_equal(out.events[i].sequence, i + 1);
            assert_int_equal(out.events[i].canonical.size, past.canonical[i].size);
            assert_memory_equal(out.events[i].canonical.data, past.canonical[i].data, past.canonical[i].size);
            assert_non_null(out.events[i].wire.data);
        }
        assert_int_equal(nvl_event_decode(past.canonical[shared].data, past.canonical[shared].size, &e), NVL_OK);
        assert_true(e.turn > turn); /* nothing was left out */
        assert_int_equal(nvl_event_decode(out.events[shared].canonical.data, out.events[shared].canonical.size, &e), NVL_OK);
        assert_int_equal(e.type, NVL_FORKED);
        assert_int_equal(e.turn, turn);
    }
    arena_done(&a);
}

static void test_refusals(void **state)
{
    struct fixture *f = *state;
    struct arena a;
    struct fork_out out;
    arena_init(&a, 65536);
    start(f);
    struct store_row parent = finished(f, 5, &a);
    struct fork_in in = fork_of(f, &parent, 5);
    fork_make(&in, &a, &out);
    assert_int_equal(out.result, FORK_E_INVALID);
    assert_string_equal(out.error.field, "turns");
    const struct nvl_edit edits[] = {
        { .kind = NVL_EDIT_TRAIT, .actor = "pilot", .name = "openness", .to = "", .value = 4 },
        { .kind = NVL_EDIT_WHISPER, .actor = "pilot", .name = "nothing_at_all", .to = "", .value = NVL_BELIEVES },
    };
    in = fork_of(f, &parent, 3);
    in.edits = edits;
    in.n_edits = 2;
    fork_make(&in, &a, &out);
    assert_int_equal(out.result, FORK_E_EDIT);
    assert_int_equal(out.edit, 1);
    assert_string_equal(out.error.field, "name");
    struct store_row gone = parent;
    memcpy(gone.id, "sim_nobody", sizeof "sim_nobody");
    in = fork_of(f, &gone, 3);
    fork_make(&in, &a, &out);
    assert_int_equal(out.result, FORK_E_STORE);
    assert_int_equal(out.store, STORE_E_NOT_FOUND);
    /* Another header than the log was made with. */
    struct store_row other = finished(f, 6, &a);
    in = fork_of(f, &parent, 3);
    in.header = other.header;
    fork_make(&in, &a, &out);
    assert_int_equal(out.result, FORK_E_DAMAGED);
    /* The simulation is there, but not what the chapter before it handed on. */
    uint8_t digest[SHA256_SIZE] = { 7 };
    in = fork_of(f, &parent, 3);
    in.header.data = arena_copy(&a, parent.header.data, parent.header.size);
    assert_int_equal(nvl_header_put_carry((void *) in.header.data, in.header.size, digest), NVL_OK);
    fork_make(&in, &a, &out);
    assert_int_equal(out.result, FORK_E_DAMAGED);
    assert_non_null(strstr(out.error.message, "the chapter before"));
    in.header.size -= 5;
    fork_make(&in, &a, &out);
    assert_int_equal(out.result, FORK_E_DAMAGED);
    assert_non_null(strstr(out.error.message, "header"));
    arena_done(&a);
}

/* Submits the fork of parent at turn with one edit. */
static void submit_fork(struct fixture *f, const struct store_row *parent, uint32_t turn, uint32_t turns,
                        char id[STORE_ID_SIZE])
{
    struct submission s;
    struct fork_out out;
    make_submission(f, &s, (int) turns, 11);
    struct store_submit *w = &s.r.submit;
    const struct nvl_edit edit = { .kind = NVL_EDIT_TRAIT, .actor = "engineer", .name = "honesty", .to = "", .value = 1 };
    struct fork_in in = fork_of(f, parent, turn);
    in.id = w->id;
    in.turns = turns;
    in.edits = &edit;
    in.n_edits = 1;
    fork_make(&in, &s.arena, &out);
    assert_int_equal(out.result, FORK_OK);
    w->header = parent->header;
    w->parent = parent->id;
    w->fork_turn = (int32_t) turn;
    w->turns_done = (int32_t) out.turns_done;
    w->events = out.events;
    w->n_events = out.n_events;
    w->pack = (struct store_bytes) { 0 }; /* kept with the parent */
    memcpy(w->head, out.head, sizeof w->head);
    jobs_post_submit(f->jobs, &s.r);
    assert_int_equal(sem_wait(&s.ready), 0);
    assert_int_equal(s.r.request.result, JOBS_OK);
    memcpy(id, w->id, STORE_ID_SIZE);
    arena_done(&s.arena);
    (void) sem_destroy(&s.ready);
}

static struct store_row wait_for(struct fixture *f, const char *id)
{
    struct watcher w;
    watch_open(f, &w, id, 0, JOBS_BASIC, false);
    struct seen seen;
    watch_all(&w, &seen);
    watch_close(&w);
    struct store_row row = row_of(f, id);
    assert_int_equal(row.state, STORE_COMPLETED);
    assert_int_equal(seen.first, 1);
    assert_int_equal(seen.events, row.last_sequence);
    return row;
}

/* Stopped before its first turn, and behind the parent's last one: both end as those left alone. */
static void test_resumed_forks_end_alike(void **state)
{
    struct fixture *f = *state;
    static const uint32_t cases[][2] = { { 0, 10 }, { 4, 10 }, { 10, 14 } };
    struct arena a;
    arena_init(&a, 65536);
    start(f);
    struct store_row parent = finished(f, TURNS, &a);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char calm[STORE_ID_SIZE], stopped[STORE_ID_SIZE];
        struct gate g;
        submit_fork(f, &parent, cases[i][0], cases[i][1], calm);
        struct store_row whole = wait_for(f, calm);
        assert_string_equal(whole.parent, parent.id);
        assert_int_equal(whole.fork_turn, cases[i][0]);
        assert_int_equal(whole.turns_done, cases[i][1]);
        gate_close(f, &g); /* no turn is played from here */
        submit_fork(f, &parent, cases[i][0], cases[i][1], stopped);
        atomic_store(&fault.write_error, SQLITE_FULL);
        gate_open(&g);
        stop(f);
        fault_reset();
        start(f);
        struct store_row again = wait_for(f, stopped);
        assert_memory_equal(again.head, whole.head, sizeof whole.head);
        assert_int_equal(again.last_sequence, whole.last_sequence);
    }
    arena_done(&a);
}

int main(void)
{
    log_setup("test_jobs_fork", 2, LOG_LEVEL_OFF);
    fault_vfs_register();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_prefix_is_the_parents, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resumed_forks_end_alike, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
