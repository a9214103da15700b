/* Three backends that come and go while a thousand patient calls run: none is lost, none is
 * answered twice, nothing is left. test_client_chaos ECHO_SERVER     the program that is killed and
 * started again */
#include "tests/unit/rpc/client_rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BACKENDS = 3, CALLS = 1000, IN_FLIGHT = 25 };
static char paths[BACKENDS][64], target[256];
static const char *echo_program;
static atomic_bool over;

/* ---- calls ---- */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* A call is an upload that stays open for a while, so that what happens to its backend meets it. */
static struct upload {
    struct ask ask;
    struct timer close;
    char text[64];
} uploads[CALLS];
static int started;
static uint64_t pace = 88172645463325252u;

static void close_upload(struct timer *t)
{
    struct upload *u = CONTAINER_OF(t, struct upload, close);
    if (u->ask.call != NULL)
        (void) nrpc_call_half_close(u->ask.call);
}

static void start_next(struct ask *ended)
{
    (void) ended;
    if (started == CALLS)
        return;
    struct upload *u = &uploads[started];
    snprintf(u->text, sizeof u->text, "call %d", started);
    u->ask = (struct ask){ .text = u->text,
                           .method = ECHO_COLLECT,
                           .requests = 3,
                           .open_end = true,
                           .options = { .wait_for_ready = true, .timeout_ms = 60000 },
                           .on_end = start_next };
    started++;
    rig_ask_start(&u->ask);
    timer_init(&u->close, rig_loop, close_upload);
    timer_start(&u->close, next_random(&pace) % 50);
}

static void start_task(nrpc_task *t, nrpc_loop *l)
{
    (void) t;
    for (int i = 0; i < IN_FLIGHT; i++)
        start_next(NULL);
    nrpc_loop_stop(l);
}

static void run_calls(const nrpc_retry_policy *retry, nrpc_balance balance)
{
    const nrpc_channel_options o = { .target = target,
                                     .balance = balance,
                                     .backoff_min_ms = 2,
                                     .backoff_max_ms = 20,
                                     .retry_throttle = { 1000, 1 } };
    rig_channel_up(&o);
    const nrpc_method_config row = { .name = "", .retry = retry };
    if (retry != NULL)
        assert_int_equal(nrpc_channel_configure(rig_channel, &row, 1), 0);
    started = 0;
    nrpc_task t = { .run = start_task };
    nrpc_loop_post(rig_loop, &t);
    assert_int_equal(nrpc_loop_run(rig_loop), 0);
    rig_finish();
    atomic_store(&over, true);
    assert_int_equal(started, CALLS);
    unsigned again = 0;
    for (int i = 0; i < CALLS; i++) {
        struct ask *a = &uploads[i].ask;
        char want[64];
        snprintf(want, sizeof want, "3:%zu", 3 * strlen(uploads[i].text));
        if (a->st.code != NRPC_OK)
            fail_msg("call %d: %s %s, %u attempts", i, nrpc_code_name(a->st.code), a->st.message,
                     a->attempts);
        assert_int_equal(a->ends, 1);
        assert_int_equal(a->messages, 1);
        assert_string_equal(buf_str(&a->data), want);
        again += a->attempts > 1;
        rig_ask_done(a);
        timer_stop(&uploads[i].close);
    }
    print_message("%u of %d calls took more than one attempt\n", again, CALLS);
    rig_channel_down();
}

static void nap(uint64_t ms)
{
    const struct timespec t = { 0, (long) ms * 1000000 };
    nanosleep(&t, NULL);
}

/* ---- restarts in peace: no policy is needed ---- */
static nrpc_server *servers[BACKENDS];

static void *restart_in_peace(void *arg)
{
    uint64_t random = 42;
    (void) arg;
    while (!atomic_load(&over)) {
        unsigned i = next_random(&random) % BACKENDS;
        rig_server_down(servers[i], 5000);
        if (next_random(&random) % 2 == 0)
            nap(next_random(&random) % 10);
        servers[i] = rig_server(paths[i], NULL, false);
        nap(next_random(&random) % 5);
    }
    return NULL;
}

static void test_restarts(void **state)
{
    (void) state;
    static const nrpc_balance kinds[] = { NRPC_ROUND_ROBIN, NRPC_LEAST_CALLS, NRPC_PICK_FIRST };
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        for (int i = 0; i < BACKENDS; i++)
            servers[i] = rig_server(paths[i], NULL, false);
        atomic_store(&over, false);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, restart_in_peace, NULL), 0);
        run_calls(NULL, kinds[k]);
        pthread_join(thread, NULL);
        for (int i = 0; i < BACKENDS; i++)
            rig_server_down(servers[i], 1000);
        rig_nothing_left();
    }
}

/* ---- killed: what was under way is tried again by policy ---- */
struct child {
    pid_t pid;
    int in, out;
};
static struct child children[BACKENDS];

static void child_start(int i)
{
    extern char **environ;
    struct child *c = &children[i];
    int in[2], out[2];
    CHECK(pipe2(in, O_CLOEXEC) == 0);
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    char *argv[] = { (char *) (uintptr_t) echo_program, paths[i], NULL };
    CHECK(posix_spawn(&c->pid, echo_program, &actions, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    c->in = in[1];
    c->out = out[0];
    char byte = 0;
    while (byte != '\n') /* its address: it is up */
        CHECK(read(c->out, &byte, 1) == 1);
}

static void child_kill(int i)
{
    kill(children[i].pid, SIGKILL);
    waitpid(children[i].pid, NULL, 0);
    close(children[i].in);
    close(children[i].out);
}

static void *restart_by_force(void *arg)
{
    uint64_t random = 4711;
    (void) arg;
    while (!atomic_load(&over)) {
        int i = (int) (next_random(&random) % BACKENDS);
        child_kill(i);
        nap(next_random(&random) % 10);
        child_start(i);
        nap(5 + next_random(&random) % 20);
    }
    return NULL;
}

static void test_kills(void **state)
{
    (void) state;
    if (echo_program == NULL)
        skip();
    const nrpc_retry_policy stubborn = {
        .max_attempts = 5,
        .initial_backoff_ms = 10,
        .max_backoff_ms = 200,
        .backoff_multiplier = 3,
        .codes = 1u << NRPC_UNAVAILABLE,
    };
    for (int i = 0; i < BACKENDS; i++)
        child_start(i);
    atomic_store(&over, false);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, restart_by_force, NULL), 0);
    run_calls(&stubborn, NRPC_ROUND_ROBIN);
    pthread_join(thread, NULL);
    for (int i = 0; i < BACKENDS; i++) {
        child_kill(i);
        unlink(paths[i] + 5);
    }
    rig_nothing_left();
}

int main(int argc, char **argv)
{
    if (argc > 1)
        echo_program = argv[1];
    for (int i = 0; i < BACKENDS; i++)
        rig_path(paths[i], i);
    snprintf(target, sizeof target, "%s,%s,%s", paths[0], paths[1], paths[2]);
    alarm(100);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
