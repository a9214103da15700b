/* Foreign descriptors on a loop: told while ready, silent when unwatched, and a watch may go inside its own event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/io/watch.h"

struct scene {
    nrpc_loop *loop;
    struct loop_watch *read_side, *write_side;
    int pipe[2];
    unsigned reads, writes;
};

static void on_read(void *ctx, int fd, unsigned ready)
{
    struct scene *s = ctx;
    char byte;
    assert_int_equal(ready, WATCH_READ);
    assert_int_equal(read(fd, &byte, 1), 1);
    if (++s->reads < 3) {
        assert_int_equal(loop_watch_set(s->write_side, WATCH_WRITE), 0);
        return;
    }
    loop_watch_free(s->read_side); /* inside its own event */
    s->read_side = NULL;
    nrpc_loop_stop(s->loop);
}

static void on_write(void *ctx, int fd, unsigned ready)
{
    struct scene *s = ctx;
    assert_int_equal(ready, WATCH_WRITE);
    assert_int_equal(write(fd, "x", 1), 1);
    s->writes++;
    assert_int_equal(loop_watch_set(s->write_side, 0), 0); /* else it would be told again at once */
}

static void test_pipe(void **state)
{
    (void) state;
    struct scene s = { 0 };
    assert_int_equal(pipe(s.pipe), 0);
    assert_int_equal(nrpc_loop_new(&s.loop), 0);
    assert_int_equal(loop_watch_new(s.loop, s.pipe[0], on_read, &s, &s.read_side), 0);
    assert_int_equal(loop_watch_new(s.loop, s.pipe[1], on_write, &s, &s.write_side), 0);
    assert_int_equal(loop_watch_set(s.read_side, WATCH_READ), 0);
    assert_int_equal(loop_watch_set(s.read_side, WATCH_READ), 0); /* nothing changes */
    assert_int_equal(loop_watch_set(s.write_side, WATCH_WRITE), 0);
    assert_int_equal(nrpc_loop_run(s.loop), 0);
    assert_int_equal(s.reads, 3);
    assert_int_equal(s.writes, 3);
    loop_watch_free(s.write_side);
    loop_watch_free(NULL);
    nrpc_loop_free(s.loop);
    close(s.pipe[0]);
    close(s.pipe[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_pipe) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
