/* store_fixture.h — a store in a folder of its own, and the writes that most tests need.  After cmocka.h. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "server/store/store.h"
#include "tests/unit/server/fault_vfs.h"

struct fixture {
    char folder[64];
    struct store *store;
};

static inline void open_store(struct fixture *f, const char *vfs)
{
    char why[512] = "";
    struct store_options o = { .folder = f->folder, .vfs = vfs, .ballast_bytes = 4096 };
    if (store_open(&o, &f->store, why, sizeof why) < 0)
        fail_msg("%s", why);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/test_store.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(chmod(f->folder, 0755), 0);
    fault_reset();
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    fault_reset();
    store_close(f->store);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    (void) !system(command);
    free(f);
    return 0;
}

static inline struct store_bytes text(const char *s)
{
    return (struct store_bytes){ (const uint8_t *) s, strlen(s) };
}

static inline struct store_submit make_submit(const char *id)
{
    struct store_submit w = {
        .write.kind = STORE_WRITE_SUBMIT, .turns = 3, .abi = 1, .now_us = 1000
    };
    snprintf(w.id, sizeof w.id, "%s", id);
    w.request = text("request");
    w.header = text("header");
    w.pack = text("image");
    memset(w.pack_digest, 7, sizeof w.pack_digest);
    return w;
}

static inline int64_t submit(struct fixture *f, const char *id)
{
    struct store_submit w = make_submit(id);
    store_write_wait(f->store, &w.write);
    assert_int_equal(w.write.result, STORE_OK);
    return w.number;
}

static inline enum store_result append(struct fixture *f, int64_t number, uint64_t epoch, uint64_t after,
                                size_t n, int state)
{
    struct store_event events[8];
    char canonical[8][16];
    for (size_t i = 0; i < n; i++) {
        snprintf(canonical[i], sizeof canonical[i], "event %d", (int) (after + i + 1));
        events[i] = (struct store_event){ after + i + 1, text(canonical[i]), text("wire") };
    }
    struct store_append w = { .write.kind = STORE_WRITE_APPEND,
                              .number = number,
                              .epoch = epoch,
                              .after_sequence = after,
                              .events = events,
                              .n_events = n,
                              .turns_done = 1,
                              .now_us = 2000,
                              .state = state };
    memset(w.head, (int) (after + n), sizeof w.head);
    if (state == STORE_COMPLETED) {
        w.result = text("result");
        w.story = text("story");
        w.passages = text("passages");
    }
    store_write_wait(f->store, &w.write);
    return w.write.result;
}

static inline enum store_result read_events(struct fixture *f, const char *id, uint64_t after,
                                     struct store_read_events *q)
{
    *q = (struct store_read_events){ .read.kind = STORE_READ_EVENTS,
                                     .after_sequence = after,
                                     .limit = 100,
                                     .byte_limit = 1 << 20,
                                     .with = STORE_WITH_STORY | STORE_WITH_HEADER,
                                     .canonical = true };
    arena_init(&q->read.arena, 1024);
    strcpy(q->id, id);
    store_read_wait(f->store, &q->read);
    return q->read.result;
}

static inline void expect_log(struct fixture *f, const char *id, size_t n_events, int state)
{
    struct store_read_events q;
    assert_int_equal(read_events(f, id, 0, &q), STORE_OK);
    assert_int_equal(q.n_events, n_events);
    assert_int_equal(q.row.last_sequence, n_events);
    assert_int_equal(q.row.state, state);
    for (size_t i = 0; i < q.n_events; i++)
        assert_int_equal(q.events[i].sequence, i + 1);
    if (n_events > 0)
        assert_int_equal(q.row.head[0], n_events);
    arena_done(&q.read.arena);
}

#endif
