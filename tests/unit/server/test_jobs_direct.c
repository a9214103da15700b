/* Simulations under direction: orders, seats, disks that fail, what becomes of it without a
 * director. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/base/log.h"
#include "server/contract.h"
#include "tests/unit/server/jobs_fixture.h"

struct director {
    struct jobs_seat seat;
    struct jobs_order order;
    sem_t answered, left, shown;
    size_t n_shown;
    uint64_t sequence; /* of the last proposals */
    bool staged; /* the last answer showed the stage */
};

static void on_answer(struct jobs_request *r)
{
    (void) sem_post(&CONTAINER_OF(r, struct director, order.request)->answered);
}
static void on_proposals(struct jobs_seat *seat, struct jobs_proposals *p)
{
    struct director *d = CONTAINER_OF(seat, struct director, seat);
    nrpc_slice bytes = nrpc_blob_bytes(p->blob);
    NE(DirectorUpdate__Proposals) *all =
        (NE(DirectorUpdate__Proposals) *) protobuf_c_message_unpack(
            &novelengine__v1__director_update__proposals__descriptor, NULL, bytes.size, bytes.data);
    assert_non_null(all);
    d->n_shown = all->n_proposals;
    d->sequence = p->sequence;
    protobuf_c_message_free_unpacked(&all->base, NULL);
    jobs_proposals_free(p);
    (void) sem_post(&d->shown);
}
static void on_left(struct jobs_seat *seat, nrpc_loop *loop)
{
    (void) loop;
    (void) sem_post(&CONTAINER_OF(seat, struct director, seat)->left);
}

static enum jobs_result order(struct fixture *f, struct director *d, enum jobs_order_kind kind)
{
    d->order.seat = &d->seat;
    d->order.kind = kind;
    d->order.request.done = on_answer;
    jobs_post_order(f->jobs, &d->order);
    assert_int_equal(sem_wait(&d->answered), 0);
    d->staged = d->order.stage != NULL;
    nrpc_blob_unref(d->order.stage);
    d->order.stage = NULL;
    return d->order.request.result;
}

static enum jobs_result attach(struct fixture *f, struct director *d, const char *id,
                               enum jobs_detach mode)
{
    memset(d, 0, sizeof *d);
    assert_int_equal(
        sem_init(&d->answered, 0, 0) + sem_init(&d->left, 0, 0) + sem_init(&d->shown, 0, 0), 0);
    memcpy(d->seat.id, id, STORE_ID_SIZE);
    d->seat.on_detach = mode;
    d->seat.loop = f->loop;
    d->seat.on_proposals = on_proposals;
    d->seat.on_left = on_left;
    return order(f, d, JOBS_ATTACH);
}

static void wait_shown(struct director *d)
{
    assert_int_equal(sem_wait(&d->shown), 0);
}

static void leave(struct fixture *f, struct director *d)
{
    jobs_seat_leave(f->jobs, &d->seat);
    assert_int_equal(sem_wait(&d->left), 0);
}

static enum jobs_result whisper(struct fixture *f, struct director *d, const char *who, int level)
{
    d->order.edit = (struct nvl_edit){
        .kind = NVL_EDIT_WHISPER, .actor = who, .name = "secret_engineer", .to = "", .value = level
    };
    return order(f, d, JOBS_EDIT);
}

static enum jobs_result try_directed(struct fixture *f, char id[STORE_ID_SIZE], enum jobs_detach mode)
{
    struct submission s;
    make_submission(f, &s, 6, 7);
    s.r.submit.director = (int) mode;
    jobs_post_submit(f->jobs, &s.r);
    assert_int_equal(sem_wait(&s.ready), 0);
    enum jobs_result result = s.r.request.result;
    memcpy(id, s.r.submit.id, STORE_ID_SIZE);
    arena_done(&s.arena);
    (void) sem_destroy(&s.ready);
    return result;
}
/* A new one under direction, not yet begun. */
static void submit_directed(struct fixture *f, char id[STORE_ID_SIZE], enum jobs_detach mode)
{
    assert_int_equal(try_directed(f, id, mode), JOBS_OK);
}

static void wait_state(struct fixture *f, const char *id, int state)
{
    uint64_t end = clock_mono_ns() + 20000000000ull;
    while (row_of(f, id).state != state)
        assert_true(clock_mono_ns() < end);
}

/* What is asked for and what the disk says agree at every answer. */
static void test_orders_are_durable_when_answered(void **state)
{
    struct fixture *f = *state;
    struct director d;
    char id[STORE_ID_SIZE], plain[STORE_ID_SIZE];
    start(f);
    assert_int_equal(submit(f, 6, 7, plain), JOBS_OK);
    wait_end(f, plain);
    submit_directed(f, id, JOBS_DETACH_PAUSE);
    assert_int_equal(row_of(f, id).state, STORE_AWAITING);
    assert_int_equal(attach(f, &d, id, JOBS_DETACH_PAUSE), JOBS_OK);
    wait_shown(&d);
    assert_true(d.n_shown > 0);
    assert_int_equal(row_of(f, id).last_sequence, 0); /* nothing is on the log yet */
    d.order.number = 2;
    assert_int_equal(order(f, &d, JOBS_STEP), JOBS_OK);
    wait_shown(&d);
    struct store_row row = row_of(f, id);
    assert_int_equal(row.state, STORE_AWAITING);
    assert_int_equal(row.turns_done, 2);
    assert_int_equal(row.last_sequence, d.sequence);
    assert_int_equal(whisper(f, &d, "pilot", NVL_BELIEVES), JOBS_OK);
    assert_int_equal(d.order.verdict.verdict, NVL_VALID);
    assert_int_equal(row_of(f, id).last_sequence, row.last_sequence + 1);
    assert_int_equal(d.order.sequence, row.last_sequence + 1);
    wait_shown(&d);
    assert_int_equal(whisper(f, &d, "nobody", NVL_BELIEVES), JOBS_E_INVALID);
    assert_string_equal(d.order.field, "actor");
    d.order.number = 1; /* of a list that was shown long ago */
    assert_int_equal(order(f, &d, JOBS_VETO), JOBS_E_INVALID);
    assert_int_equal(order(f, &d, JOBS_FINISH), JOBS_OK);
    assert_int_equal(row_of(f, id).director, 0);
    leave(f, &d);
    wait_end(f, id);
    assert_int_equal(row_of(f, id).state, STORE_COMPLETED);
}

/* A director who changes nothing leaves no trace. */
static void test_silence_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct director d;
    char id[STORE_ID_SIZE], plain[STORE_ID_SIZE];
    start(f);
    assert_int_equal(submit(f, 6, 7, plain), JOBS_OK);
    wait_end(f, plain);
    submit_directed(f, id, JOBS_DETACH_CONTINUE);
    assert_int_equal(attach(f, &d, id, JOBS_DETACH_CONTINUE), JOBS_OK);
    wait_shown(&d);
    d.order.number = 1;
    assert_int_equal(order(f, &d, JOBS_STEP), JOBS_OK);
    wait_shown(&d);
    assert_int_equal(order(f, &d, JOBS_RESUME), JOBS_OK);
    wait_end(f, id);
    leave(f, &d);
    assert_memory_equal(row_of(f, id).head, row_of(f, plain).head, STORE_DIGEST_SIZE);
    assert_int_equal(attach(f, &d, id, JOBS_DETACH_CONTINUE), JOBS_E_FINISHED);
    leave(f, &d);
}

/* A disk that refuses: the order says so, nothing of it is there, and the next one works. */
static void test_a_full_disk_is_told(void **state)
{
    struct fixture *f = *state;
    struct director d, second;
    char id[STORE_ID_SIZE];
    start(f);
    submit_directed(f, id, JOBS_DETACH_PAUSE);
    assert_int_equal(attach(f, &d, id, JOBS_DETACH_PAUSE), JOBS_OK);
    wait_shown(&d);
    d.order.number = 1;
    assert_int_equal(order(f, &d, JOBS_STEP), JOBS_OK);
    wait_shown(&d);
    struct store_row before = row_of(f, id);
    atomic_store(&fault.write_error, SQLITE_FULL);
    assert_int_equal(whisper(f, &d, "pilot", NVL_BELIEVES), JOBS_E_STORE);
    assert_int_equal(d.order.request.store, STORE_E_FULL);
    assert_int_equal(attach(f, &second, id, JOBS_DETACH_PAUSE), JOBS_E_DIRECTED);
    leave(f, &second);
    fault_reset();
    wait_shown(&d); /* it has come back, and shows again what would be */
    assert_int_equal(row_of(f, id).last_sequence, before.last_sequence);
    assert_int_equal(whisper(f, &d, "pilot", NVL_BELIEVES), JOBS_OK);
    assert_int_equal(row_of(f, id).last_sequence, before.last_sequence + 1);
    assert_int_equal(order(f, &d, JOBS_FINISH), JOBS_OK);
    leave(f, &d);
    wait_end(f, id);
    assert_int_equal(row_of(f, id).state, STORE_COMPLETED);
}

/* After a restart it waits where it was; what was ordered is derived again from the log. */
static void test_restart(void **state)
{
    struct fixture *f = *state;
    struct director d;
    char id[STORE_ID_SIZE];
    struct jobs_figures figures;
    start(f);
    submit_directed(f, id, JOBS_DETACH_PAUSE);
    assert_int_equal(attach(f, &d, id, JOBS_DETACH_PAUSE), JOBS_OK);
    assert_int_equal(whisper(f, &d, "pilot", NVL_BELIEVES), JOBS_OK);
    d.order.number = 2;
    assert_int_equal(order(f, &d, JOBS_STEP), JOBS_OK);
    do
        wait_shown(&d);
    while (row_of(f, id).turns_done < 2);
    assert_int_equal(whisper(f, &d, "scientist", NVL_SUSPECTS), JOBS_OK);
    struct store_row before = row_of(f, id);
    leave(f, &d);
    stop(f);
    start(f);
    jobs_figures_read(f->jobs, &figures);
    assert_int_equal(figures.awaiting, 1);
    assert_int_equal(figures.queued, 0);
    struct store_row row = row_of(f, id);
    assert_int_equal(row.state, STORE_AWAITING);
    assert_int_equal(row.last_sequence, before.last_sequence);
    assert_int_equal(attach(f, &d, id, JOBS_DETACH_PAUSE), JOBS_OK);
    wait_shown(&d);
    assert_int_equal(d.sequence, before.last_sequence);
    assert_int_equal(order(f, &d, JOBS_FINISH), JOBS_OK);
    leave(f, &d);
    wait_end(f, id);
    assert_int_equal(row_of(f, id).state, STORE_COMPLETED);
}

/* Whoever comes is shown who is there, also after one who left without a word. */
static void test_each_director_is_shown_the_stage(void **state)
{
    struct fixture *f = *state;
    struct director d;
    char id[STORE_ID_SIZE];
    start(f);
    submit_directed(f, id, JOBS_DETACH_PAUSE);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(attach(f, &d, id, JOBS_DETACH_PAUSE), JOBS_OK);
        assert_true(d.staged);
        leave(f, &d);
    }
}

/* Nobody comes back: it goes on, or is cancelled, or waits. */
static void test_left_alone(void **state)
{
    struct fixture *f = *state;
    struct director d;
    static const struct {
        enum jobs_detach mode;
        int state;
    } cases[] = { { JOBS_DETACH_CONTINUE, STORE_COMPLETED },
                  { JOBS_DETACH_CANCEL, STORE_CANCELLED } };
    f->director_wait_ms = 50;
    start(f);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char id[STORE_ID_SIZE], never[STORE_ID_SIZE];
        submit_directed(f, never, cases[i].mode);
        submit_directed(f, id, JOBS_DETACH_PAUSE);
        assert_int_equal(attach(f, &d, id, cases[i].mode), JOBS_OK);
        assert_int_equal(order(f, &d, JOBS_RESUME), JOBS_OK);
        leave(f, &d);
        wait_state(f, id, cases[i].state);
        wait_state(f, never, cases[i].state); /* whose director has never come */
    }
    char waits[STORE_ID_SIZE];
    submit_directed(f, waits, JOBS_DETACH_PAUSE);
    struct timespec time = { 0, 200000000 };
    (void) nanosleep(&time, NULL);
    assert_int_equal(row_of(f, waits).state, STORE_AWAITING);
    assert_int_equal(row_of(f, waits).last_sequence, 0);
}

/* Those that wait for a director take no place from those that need none. */
static void test_waiting_is_not_queued(void **state)
{
    struct fixture *f = *state;
    char id[STORE_ID_SIZE];
    f->max_queued = 2;
    f->max_awaiting = 3;
    start(f);
    for (int i = 0; i < 3; i++)
        submit_directed(f, id, JOBS_DETACH_PAUSE);
    assert_int_equal(try_directed(f, id, JOBS_DETACH_PAUSE), JOBS_E_QUEUE_FULL);
    assert_int_equal(submit(f, 3, 7, id), JOBS_OK);
    wait_end(f, id);
    assert_int_equal(row_of(f, id).state, STORE_COMPLETED);
}

/* Whose director is done goes on like any other: not beyond the places there are. */
static void test_finish_waits_for_a_place(void **state)
{
    struct fixture *f = *state;
    struct director d;
    struct gate g;
    struct jobs_figures figures;
    char id[STORE_ID_SIZE], plain[STORE_ID_SIZE];
    f->max_running = 1;
    start(f);
    submit_directed(f, id, JOBS_DETACH_PAUSE);
    assert_int_equal(attach(f, &d, id, JOBS_DETACH_PAUSE), JOBS_OK);
    wait_shown(&d);
    gate_close(f, &g);
    assert_int_equal(submit(f, 3, 7, plain), JOBS_OK); /* has the place, and no worker */
    assert_int_equal(order(f, &d, JOBS_FINISH), JOBS_OK);
    leave(f, &d);
    jobs_figures_read(f->jobs, &figures);
    assert_int_equal(figures.running, 1);
    assert_int_equal(figures.queued, 1);
    gate_open(&g);
    wait_end(f, plain);
    wait_end(f, id);
    assert_int_equal(row_of(f, id).state, STORE_COMPLETED);
}

static void *stop_jobs(void *arg)
{
    jobs_stop(arg);
    return NULL;
}
/* The server goes while a turn is on its way to the disk and an order waits for it: it is answered. */
static void test_stopping_answers_who_waits(void **state)
{
    struct fixture *f = *state;
    struct director d;
    char id[STORE_ID_SIZE];
    struct timespec time = { 0, 20000000 };
    pthread_t stopper;
    start(f);
    submit_directed(f, id, JOBS_DETACH_PAUSE);
    assert_int_equal(attach(f, &d, id, JOBS_DETACH_PAUSE), JOBS_OK);
    wait_shown(&d);
    atomic_store(&fault.hold, 1);
    assert_int_equal(order(f, &d, JOBS_RESUME), JOBS_OK);
    while (atomic_load(&fault.held) == 0)
        (void) nanosleep(&time, NULL);
    d.order.kind = JOBS_PAUSE;
    jobs_post_order(f->jobs, &d.order);
    assert_int_equal(pthread_create(&stopper, NULL, stop_jobs, f->jobs), 0);
    (void) nanosleep(&time, NULL);
    atomic_store(&fault.hold, 0);
    assert_int_equal(pthread_join(stopper, NULL), 0);
    f->jobs = NULL;
    assert_int_equal(sem_wait(&d.answered), 0);
    assert_int_equal(d.order.request.result, JOBS_E_STOPPING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_orders_are_durable_when_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_disk_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_director_is_shown_the_stage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting_is_not_queued, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopping_answers_who_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finish_waits_for_a_place, setup, teardown),
    };
    log_setup("test_jobs_direct", 2, LOG_LEVEL_OFF);
    fault_vfs_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
