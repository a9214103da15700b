/* No stream and no connection holds up the others: one loop serves a stream that never ends,
 * uploads as fast as they come, a thousand watchers that do not read, and a caller beside each. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "tests/unit/rpc/echo_service.h"
#include "tests/unit/rpc/raw_peer.h"

enum { MIB = 1 << 20, CONNECTIONS = 10, STREAMS = 100, COUNT = 20, SIZE = 1000 };

static nrpc_server *server;

static void server_up(void)
{
    assert_int_equal(nrpc_server_new(&(nrpc_server_options){ .loops = 1 }, &server), 0);
    assert_int_equal(echo_add(server), 0);
    assert_int_equal(nrpc_server_listen(server, "127.0.0.1:0"), 0);
    assert_int_equal(nrpc_server_start(server), 0);
}
static void server_down(void)
{
    nrpc_server_stop(server, 1000);
    nrpc_server_wait(server);
    nrpc_server_free(server);
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    assert_int_equal(g.connections + g.calls + g.messages + g.blobs + g.timers, 0);
}
static void put_u32(uint8_t *p, uint32_t value)
{
    uint32_t swapped = htonl(value);
    memcpy(p, &swapped, 4);
}
static void grant(int fd, uint32_t stream, uint32_t bytes)
{
    uint8_t p[4];
    put_u32(p, bytes);
    assert_true(raw_frame_send(fd, F_WINDOW, 0, stream, p, 4));
}
/* window: of each stream; the connection's is as large as can be. */
static int hello(uint32_t window)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    uint8_t setting[6] = { 0, 4 };
    int fd = raw_connect(nrpc_server_address(server, 0));
    put_u32(setting + 2, window);
    assert_true(raw_send(fd, preface, 24));
    assert_true(raw_frame_send(fd, F_SETTINGS, 0, 0, setting, sizeof setting));
    assert_true(raw_frame_send(fd, F_SETTINGS, 1, 0, NULL, 0));
    grant(fd, 0, INT32_MAX - 65535);
    return fd;
}
static void ask(int fd, uint32_t stream, const char *path, const char *text, bool end)
{
    uint8_t block[256], body[128] = { 0 };
    size_t size = strlen(text);
    assert_true(raw_frame_send(fd, F_HEADERS, 4, stream, block, raw_request(block, path)));
    body[4] = (uint8_t) size;
    memcpy(body + 5, text, size);
    assert_true(raw_frame_send(fd, F_DATA, end, stream, body, (uint32_t) size + 5));
}
static void call(int fd, uint32_t stream)
{
    struct raw_frame f;
    ask(fd, stream, "/test.Echo/Unary", "x", true);
    do {
        assert_true(raw_frame_until(fd, F_HEADERS, &f));
    } while (f.stream != stream || (f.flags & 1) == 0);
}

/* On one connection: two streams without an end share it, and a call gets through between them. */
static void test_siblings(void **state)
{
    (void) state;
    server_up();
    int fd = hello(INT32_MAX);
    ask(fd, 1, "/test.Echo/Stream", "count:1000000:100000", true);
    ask(fd, 3, "/test.Echo/Stream", "count:1000000:3000", true);
    struct raw_frame f;
    for (uint32_t stream = 5; stream < 45; stream += 2) {
        uint64_t bytes[4] = { 0 };
        ask(fd, stream, "/test.Echo/Unary", "x", true);
        do {
            assert_true(raw_frame_read(fd, &f));
            if (f.type == F_DATA && f.stream < 4)
                bytes[f.stream] += f.size;
            /* What stands before it in the buffers of the server and the kernel. */
            assert_true(bytes[1] + bytes[3] < 24 * MIB);
        } while (f.type != F_HEADERS || f.stream != stream || (f.flags & 1) == 0);
    }
    uint64_t share[4] = { 0 };
    while (share[1] + share[3] < 16 * MIB) {
        assert_true(raw_frame_read(fd, &f));
        if (f.type == F_DATA)
            share[f.stream] += f.size;
    }
    if (share[1] < 3 * MIB || share[3] < 3 * MIB)
        fail_msg("%llu and %llu bytes", (unsigned long long) share[1],
                 (unsigned long long) share[3]);
    close(fd);
    server_down();
}

/* ---- uploads without a pause -------------------------------------------------------------------
 */
struct upload {
    pthread_t thread;
    atomic_bool stop;
    atomic_uint_fast64_t sent;
    int fd;
};
/* Takes what the server grants, byte by byte of window; ends when stop is set. */
static void *upload_main(void *arg)
{
    struct upload *u = arg;
    static const uint8_t message[16384] = { 0, 0, 0, 0x3f, 0xfb };
    uint8_t head[9];
    uint8_t payload[16384];
    int64_t connection = 65535, stream = 65535;
    while (!atomic_load(&u->stop)) {
        if (connection >= 16384 && stream >= 16384) {
            if (!raw_frame_send(u->fd, F_DATA, 0, 1, message, sizeof message))
                break;
            connection -= 16384;
            stream -= 16384;
            atomic_fetch_add(&u->sent, 16384);
            continue;
        }
        struct pollfd w = { u->fd, POLLIN, 0 };
        if (poll(&w, 1, 100) <= 0)
            continue;
        if (recv(u->fd, head, 9, MSG_WAITALL) != 9)
            break;
        uint32_t size = (uint32_t) head[0] << 16 | (uint32_t) head[1] << 8 | head[2];
        if (size > 0 && recv(u->fd, payload, size, MSG_WAITALL) != (ssize_t) size)
            break;
        if (head[3] == F_WINDOW)
            *((raw_u32(head + 5) & INT32_MAX) == 0 ? &connection : &stream) += raw_u32(payload);
        else if (head[3] == F_SETTINGS)
            for (uint32_t i = 0; i + 6 <= size; i += 6)
                if (payload[i + 1] == 4)
                    stream += (int64_t) raw_u32(payload + i + 2) - 65535;
    }
    return NULL;
}

static void test_greedy_uploads(void **state)
{
    (void) state;
    server_up();
    struct upload uploads[3];
    for (size_t i = 0; i < ARRAY_SIZE(uploads); i++) {
        uploads[i].fd = hello(65535);
        atomic_init(&uploads[i].stop, false);
        atomic_init(&uploads[i].sent, 0);
        uint8_t block[256];
        assert_true(raw_frame_send(uploads[i].fd, F_HEADERS, 4, 1, block,
                                   raw_request(block, "/test.Echo/Collect")));
        assert_int_equal(pthread_create(&uploads[i].thread, NULL, upload_main, &uploads[i]), 0);
    }
    int fd = hello(65535);
    uint32_t stream = 1;
    /* Every upload goes on while the calls are answered, and 200 calls while they go on. */
    for (bool all = false; !all || stream < 400; stream += 2) {
        call(fd, stream);
        all = true;
        for (size_t i = 0; i < ARRAY_SIZE(uploads); i++)
            all = all && atomic_load(&uploads[i].sent) > 4 * MIB;
    }
    close(fd);
    for (size_t i = 0; i < ARRAY_SIZE(uploads); i++) {
        atomic_store(&uploads[i].stop, true);
        pthread_join(uploads[i].thread, NULL);
        close(uploads[i].fd);
    }
    server_down();
}

/* ---- watchers
 * ------------------------------------------------------------------------------------ */
static void test_slow_watchers(void **state)
{
    (void) state;
    server_up();
    int fds[CONNECTIONS];
    char text[32];
    snprintf(text, sizeof text, "count:%d:%d", COUNT, SIZE);
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = hello(0);
        for (uint32_t j = 0; j < STREAMS; j++)
            ask(fds[i], 2 * j + 1, "/test.Echo/Stream", text, true);
    }
    int fd = hello(65535);
    for (uint32_t stream = 1; stream < 1000; stream += 2)
        call(fd, stream);
    close(fd);
    /* They lost nothing by waiting. */
    for (int i = 0; i < CONNECTIONS; i++) {
        uint32_t bytes[STREAMS] = { 0 }, ended = 0;
        struct raw_frame f;
        for (uint32_t j = 0; j < STREAMS; j++)
            grant(fds[i], 2 * j + 1, 1000000);
        while (ended < STREAMS) {
            assert_true(raw_frame_read(fds[i], &f));
            if (f.type == F_DATA)
                bytes[f.stream / 2] += f.size;
            else if (f.type == F_HEADERS && (f.flags & 1) != 0)
                ended++;
        }
        for (uint32_t j = 0; j < STREAMS; j++)
            assert_int_equal(bytes[j], COUNT * (SIZE + 5));
        close(fds[i]);
    }
    server_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siblings),
        cmocka_unit_test(test_greedy_uploads),
        cmocka_unit_test(test_slow_watchers),
    };
    return cmocka_run_group_tests_name("fairness", tests, NULL, NULL);
}
