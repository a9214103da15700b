/* The store: campaigns, the order of their chapters, what these hand on, and a store from before there were any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/base/check.h"
#include "rpc/base/log.h"
#include "server/store/store.h"
#include "tests/unit/server/fault_vfs.h"
#include "tests/unit/server/store_fixture.h"

/* As the server before campaigns and directors made it, with a simulation that is done. */
static const char version_1[] =
    "CREATE TABLE simulations("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, state INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL DEFAULT 1, attempts INTEGER NOT NULL DEFAULT 0, abi INTEGER NOT NULL,"
    " pack BLOB NOT NULL REFERENCES packs(digest), turns INTEGER NOT NULL,"
    " turns_done INTEGER NOT NULL DEFAULT 0, last_sequence INTEGER NOT NULL DEFAULT 0, head BLOB,"
    " request BLOB NOT NULL, header BLOB NOT NULL, result BLOB, error BLOB, campaign TEXT, parent TEXT,"
    " fork_turn INTEGER NOT NULL DEFAULT 0, create_us INTEGER NOT NULL,"
    " start_us INTEGER NOT NULL DEFAULT 0, end_us INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX simulations_state ON simulations(state, number);"
    "CREATE INDEX simulations_campaign ON simulations(campaign, number) WHERE campaign IS NOT NULL;"
    "CREATE TABLE events("
    " simulation INTEGER NOT NULL, sequence INTEGER NOT NULL, canonical BLOB NOT NULL, wire BLOB NOT"
    " NULL, PRIMARY KEY(simulation, sequence)) WITHOUT ROWID;"
    "CREATE TABLE stories("
    " simulation INTEGER PRIMARY KEY, digest BLOB NOT NULL, story BLOB NOT NULL, passages BLOB NOT NULL);"
    "CREATE TABLE packs(digest BLOB PRIMARY KEY, image BLOB NOT NULL);"
    "CREATE TABLE carry_packs("
    " digest BLOB PRIMARY KEY, simulation INTEGER NOT NULL, data BLOB NOT NULL);"
    "CREATE TABLE characters("
    " id TEXT PRIMARY KEY, data BLOB, update_us INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE idempotency("
    " key TEXT PRIMARY KEY, digest BLOB NOT NULL, simulation TEXT NOT NULL,"
    " expires_us INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX idempotency_expires ON idempotency(expires_us);"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('settled', 0);"
    "INSERT INTO packs VALUES(zeroblob(32), x'01');"
    "INSERT INTO simulations(id, state, abi, pack, turns, turns_done, last_sequence, head, request,"
    " header, result, create_us)"
    " VALUES('sim_old', 4, 1, zeroblob(32), 3, 3, 1, x'"
    "0101010101010101010101010101010101010101010101010101010101010101"
    "', x'02', x'03', x'04', 5);"
    "INSERT INTO events VALUES(1, 1, x'05', x'06');"
    "INSERT INTO stories VALUES(1, zeroblob(32), x'07', x'08');"
    "PRAGMA application_id=1313822284; PRAGMA user_version=1;";

static struct store_campaign_row *read_campaign(struct fixture *f, struct store_read_campaigns *q,
                                                const char *id)
{
    *q = (struct store_read_campaigns){ .read.kind = STORE_READ_CAMPAIGNS, .id = id, .after = "" };
    arena_init(&q->read.arena, 1024);
    store_read_wait(f->store, &q->read);
    return q->read.result == STORE_OK ? q->rows : NULL;
}
static enum store_result put_campaign(struct fixture *f, const char *id, bool make, const char *data,
                                      uint64_t now_us)
{
    struct store_campaign w = {
        .write.kind = STORE_WRITE_CAMPAIGN, .id = id, .make = make, .data = text(data), .now_us = now_us
    };
    store_write_wait(f->store, &w.write);
    return w.write.result;
}
/* Only over what was last changed at read_us. */
static enum store_result put_over(struct fixture *f, const char *id, uint64_t read_us, uint64_t now_us)
{
    struct store_campaign w = { .write.kind = STORE_WRITE_CAMPAIGN,
                                .id = id,
                                .data = text("changed"),
                                .now_us = now_us,
                                .read_us = read_us };
    store_write_wait(f->store, &w.write);
    return w.write.result;
}
static enum store_result drop_over(struct fixture *f, const char *id, uint64_t read_us)
{
    struct store_campaign_delete w = {
        .write.kind = STORE_WRITE_CAMPAIGN_DELETE, .id = id, .now_us = 9000, .read_us = read_us
    };
    store_write_wait(f->store, &w.write);
    return w.write.result;
}
static enum store_result drop_campaign(struct fixture *f, const char *id, bool cascade)
{
    struct store_campaign_delete w = {
        .write.kind = STORE_WRITE_CAMPAIGN_DELETE, .id = id, .cascade = cascade, .now_us = 9000
    };
    store_write_wait(f->store, &w.write);
    return w.write.result;
}
/* carry: the byte that fills the digest which the header names; 0: none. */
static enum store_result submit_chapter(struct fixture *f, const char *id, const char *campaign, int carry,
                                        const char *key, int64_t *out_number)
{
    struct store_submit w = make_submit(id);
    w.campaign = campaign;
    w.key = key;
    memset(w.carry_digest, carry, sizeof w.carry_digest);
    store_write_wait(f->store, &w.write);
    if (out_number != NULL)
        *out_number = w.number;
    return w.write.result;
}
static void end_chapter(struct fixture *f, int64_t number, int carry)
{
    struct store_append w = { .write.kind = STORE_WRITE_APPEND,
                              .number = number,
                              .epoch = 1,
                              .turns_done = 3,
                              .now_us = 3000,
                              .state = STORE_COMPLETED,
                              .result = text("result"),
                              .story = text("story"),
                              .passages = text("passages"),
                              .carry = text("carry") };
    memset(w.carry_digest, carry, sizeof w.carry_digest);
    store_write_wait(f->store, &w.write);
    assert_int_equal(w.write.result, STORE_OK);
}
static enum store_result read_carry(struct fixture *f, int carry)
{
    struct store_read_carry q = { .read.kind = STORE_READ_CARRY };
    memset(q.digest, carry, sizeof q.digest);
    arena_init(&q.read.arena, 256);
    store_read_wait(f->store, &q.read);
    if (q.read.result == STORE_OK) {
        assert_int_equal(q.data.size, 5);
        assert_memory_equal(q.data.data, "carry", 5);
    }
    arena_done(&q.read.arena);
    return q.read.result;
}
static enum store_result delete_simulation(struct fixture *f, const char *id)
{
    struct store_delete w = { .write.kind = STORE_WRITE_DELETE, .now_us = 9000 };
    snprintf(w.id, sizeof w.id, "%s", id);
    store_write_wait(f->store, &w.write);
    return w.write.result;
}

static void test_version_1_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;
    char path[128], *said = NULL;
    snprintf(path, sizeof path, "%s/novel.db", f->folder);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, version_1, NULL, NULL, &said) != SQLITE_OK)
        fail_msg("%s", said);
    sqlite3_close(db);
    for (int again = 0; again < 2; again++) {
        open_store(f, NULL);
        expect_log(f, "sim_old", 1, STORE_COMPLETED);
        int64_t number = 0;
        if (again == 0) {
            assert_int_equal(put_campaign(f, "campaign_a", true, "novel", 10), STORE_OK);
            assert_int_equal(submit_chapter(f, "sim_one", "campaign_a", 0, NULL, &number), STORE_OK);
            assert_int_equal(number, 2);
            end_chapter(f, number, 9);
        }
        struct store_read_campaigns q;
        struct store_campaign_row *row = read_campaign(f, &q, "campaign_a");
        assert_non_null(row);
        assert_int_equal(row->n_chapters, 1);
        assert_int_equal(row->carries[0][31], 9);
        assert_string_equal(row->chapters[0].campaign, "campaign_a");
        assert_int_equal(row->chapters[0].director, 0);
        arena_done(&q.read.arena);
        store_close(f->store);
        f->store = NULL;
    }
}

static void test_campaign_guards(void **state)
{
    struct fixture *f = *state;
    struct store_read_campaigns q;
    int64_t one, two, three;
    open_store(f, NULL);
    assert_int_equal(submit_chapter(f, "sim_x", "campaign_a", 0, NULL, NULL), STORE_E_NOT_FOUND);
    assert_int_equal(put_campaign(f, "campaign_a", false, "novel", 10), STORE_E_NOT_FOUND);
    assert_int_equal(put_campaign(f, "campaign_a", true, "novel", 10), STORE_OK);
    assert_int_equal(put_campaign(f, "campaign_a", true, "other", 11), STORE_E_EXISTS);
    assert_int_equal(put_campaign(f, "campaign_a", false, "later", 12), STORE_OK);
    /* One chapter at a time, and each goes on from the one before. */
    assert_int_equal(submit_chapter(f, "sim_x", "campaign_a", 5, NULL, NULL), STORE_E_STALE);
    assert_int_equal(submit_chapter(f, "sim_1", "campaign_a", 0, "key", &one), STORE_OK);
    assert_int_equal(submit_chapter(f, "sim_y", "campaign_a", 0, NULL, NULL), STORE_E_STALE);
    assert_int_equal(submit_chapter(f, "sim_y", "campaign_a", 0, "key", NULL), STORE_E_EXISTS);
    assert_int_equal(drop_campaign(f, "campaign_a", true), STORE_E_STALE);
    end_chapter(f, one, 5);
    assert_int_equal(submit_chapter(f, "sim_2", "campaign_a", 0, NULL, NULL), STORE_E_STALE);
    assert_int_equal(submit_chapter(f, "sim_2", "campaign_a", 5, NULL, &two), STORE_OK);
    /* The key is answered before anything is asked of the campaign. */
    assert_int_equal(submit_chapter(f, "sim_y", "campaign_a", 5, "key", NULL), STORE_E_EXISTS);
    /* A chapter that failed hands nothing on: the next goes on from the one before it. */
    assert_int_equal(append(f, two, 1, 0, 1, STORE_CANCELLED), STORE_OK);
    assert_int_equal(submit_chapter(f, "sim_3", "campaign_a", 5, NULL, &three), STORE_OK);
    end_chapter(f, three, 5); /* ends as the first did */
    assert_int_equal(delete_simulation(f, "sim_1"), STORE_E_EXISTS);
    assert_int_equal(drop_campaign(f, "campaign_a", false), STORE_E_EXISTS);
    struct store_campaign_row *row = read_campaign(f, &q, "campaign_a");
    assert_non_null(row);
    assert_int_equal(row->n_chapters, 3);
    assert_int_equal(row->update_us, 12);
    assert_int_equal(row->create_us, 10);
    assert_memory_equal(row->data.data, "later", 5);
    assert_memory_equal(row->carries[0], row->carries[2], STORE_DIGEST_SIZE);
    assert_int_equal(row->carries[0][0], 5);
    assert_int_equal(row->carries[1][0], 0);
    arena_done(&q.read.arena);
    /* The last may go, and then the one before it is the last; what it handed on stays. */
    assert_int_equal(delete_simulation(f, "sim_3"), STORE_OK);
    assert_int_equal(delete_simulation(f, "sim_2"), STORE_OK);
    assert_int_equal(delete_simulation(f, "sim_1"), STORE_OK);
    assert_int_equal(read_carry(f, 5), STORE_OK);
    assert_int_equal(read_carry(f, 6), STORE_E_NOT_FOUND);
    assert_int_equal(submit_chapter(f, "sim_4", "campaign_a", 5, NULL, NULL), STORE_E_STALE);
    assert_int_equal(submit_chapter(f, "sim_4", "campaign_a", 0, NULL, &one), STORE_OK);
    end_chapter(f, one, 7);
    assert_int_equal(drop_campaign(f, "campaign_a", true), STORE_OK);
    assert_null(read_campaign(f, &q, "campaign_a"));
    assert_int_equal(q.read.result, STORE_E_NOT_FOUND);
    arena_done(&q.read.arena);
    assert_int_equal(drop_campaign(f, "campaign_a", true), STORE_E_NOT_FOUND);
    struct store_read_events log;
    assert_int_equal(read_events(f, "sim_4", 0, &log), STORE_E_NOT_FOUND);
    arena_done(&log.read.arena);
    assert_int_equal(read_carry(f, 7), STORE_OK);
}

static void test_campaign_versions(void **state)
{
    struct fixture *f = *state;
    struct store_read_campaigns q;
    open_store(f, NULL);
    assert_int_equal(put_over(f, "campaign_a", 10, 11), STORE_E_NOT_FOUND);
    assert_int_equal(drop_over(f, "campaign_a", 10), STORE_E_NOT_FOUND);
    assert_int_equal(put_campaign(f, "campaign_a", true, "novel", 10), STORE_OK);
    assert_int_equal(put_over(f, "campaign_a", 10, 11), STORE_OK);
    assert_int_equal(put_over(f, "campaign_a", 10, 12), STORE_E_CHANGED); /* who read before that */
    assert_int_equal(put_over(f, "campaign_a", 12, 13), STORE_E_CHANGED);
    assert_int_equal(drop_over(f, "campaign_a", 10), STORE_E_CHANGED);
    assert_int_equal(read_campaign(f, &q, "campaign_a")->update_us, 11);
    arena_done(&q.read.arena);
    assert_int_equal(put_over(f, "campaign_a", 0, 14), STORE_OK); /* whatever it is */
    assert_int_equal(drop_over(f, "campaign_a", 14), STORE_OK);
    assert_int_equal(put_over(f, "campaign_a", 14, 15), STORE_E_NOT_FOUND);
}

static void test_campaign_pages(void **state)
{
    struct fixture *f = *state;
    open_store(f, NULL);
    for (int i = 0; i < 7; i++) {
        char id[32];
        snprintf(id, sizeof id, "campaign_%d", 6 - i);
        assert_int_equal(put_campaign(f, id, true, "novel", 10), STORE_OK);
    }
    char after[STORE_CAMPAIGN_SIZE] = "";
    size_t seen = 0;
    for (bool more = true; more;) {
        struct store_read_campaigns q = { .read.kind = STORE_READ_CAMPAIGNS, .after = after, .limit = 3 };
        arena_init(&q.read.arena, 1024);
        store_read_wait(f->store, &q.read);
        assert_int_equal(q.read.result, STORE_OK);
        for (size_t i = 0; i < q.n_rows; i++) {
            assert_int_equal(q.rows[i].id[9], '0' + (int) seen++);
            assert_int_equal(q.rows[i].n_chapters, 0);
        }
        more = q.more;
        strcpy(after, q.rows[q.n_rows - 1].id);
        arena_done(&q.read.arena);
    }
    assert_int_equal(seen, 7);
    /* A page ends where it is large enough, behind one campaign at least. */
    struct store_read_campaigns q = {
        .read.kind = STORE_READ_CAMPAIGNS, .after = "", .limit = 3, .byte_limit = 1
    };
    arena_init(&q.read.arena, 1024);
    store_read_wait(f->store, &q.read);
    assert_int_equal(q.read.result, STORE_OK);
    assert_int_equal(q.n_rows, 1);
    assert_true(q.more);
    arena_done(&q.read.arena);
}

int main(void)
{
    log_setup("test_store_campaigns", 2, LOG_LEVEL_OFF);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_version_1_is_brought_up_to_date, setup, teardown),
        cmocka_unit_test_setup_teardown(test_campaign_guards, setup, teardown),
        cmocka_unit_test_setup_teardown(test_campaign_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_campaign_pages, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
