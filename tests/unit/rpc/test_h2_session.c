/* The HTTP/2 session without sockets: two sessions joined by byte arrays, whole and one byte at a
 * time, and a hostile peer that writes frames by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/rpc/h2_sides.h"

static void test_exchange(void **state)
{
    (void) state;
    static const size_t steps[] = { 1 << 20, 1, 7 };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        assert_int_equal(open_both(WINDOW), 0);
        server.answer = "an answer";
        settle(steps[i]);
        assert_true(h2_session_is_settled(client.session) && h2_session_is_settled(server.session));
        assert_int_equal(client.settings, 1);
        assert_true(h2_session_can_open(client.session));
        assert_int_equal(ask("a question", true), 0);
        settle(steps[i]);
        assert_int_equal(client.error | server.error, 0);
        assert_string_equal(buf_str(&server.data), "a question");
        assert_non_null(strstr(buf_str(&server.head), ":path=/a/b\n"));
        assert_string_equal(buf_str(&client.head), ":status=200\nx-kind=test\n");
        assert_string_equal(buf_str(&client.data), "an answer");
        assert_string_equal(buf_str(&client.trailers), "x-end=yes\n");
        assert_int_equal(client.ends, 1);
        assert_int_equal(client.closes, 1);
        assert_int_equal(server.closes, 1);
        assert_int_equal(client.close_code, H2_NO_ERROR);
        assert_int_equal(h2_session_streams(server.session), 0);
        assert_int_equal(h2_session_streams(client.session), 0);
        done_both();
    }
}

static void test_small_writes_share_frames(void **state)
{
    (void) state;
    assert_int_equal(open_both(WINDOW), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", true), 0);
    carry(&client, &server, 1 << 20);
    assert_int_equal(h2_stream_respond(server.stream, ok_head, 2, false, &server.queue), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(h2_queue_put(&server.queue, "twenty bytes of text", 20), 0);
        assert_int_equal(h2_stream_resume(server.stream), 0);
    }
    assert_int_equal(h2_stream_finish(server.stream, ok_trailers, 1), 0);
    carry(&server, &client, 1 << 20);
    assert_int_equal(count_frames(&server.out, 0, NULL), 2); /* 16384 + 3616 */
    assert_int_equal(client.data.size, 20000);
    assert_int_equal(client.closes, 1);
    done_both();
}

/* A reader that does not consume stops its own stream at the window, not its sibling; on_low comes
 * late. */
static void test_windows(void **state)
{
    (void) state;
    assert_int_equal(open_both(WINDOW), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", true), 0);
    settle(1 << 20);
    struct h2_stream *slow_client = client.stream;
    struct h2_queue big;
    h2_queue_init(&big);
    assert_int_equal(h2_stream_respond(server.stream, ok_head, 2, false, &big), 0);
    static uint8_t bytes[200000];
    assert_int_equal(h2_queue_put(&big, bytes, sizeof bytes), 0);
    assert_int_equal(h2_stream_resume(server.stream), 0);
    h2_stream_notify_low(server.stream, 1000);
    client.keep = true;
    settle(1 << 20);
    assert_int_equal(client.data.size, WINDOW);
    assert_int_equal(server.lows, 0);
    assert_non_null(h2_session_find_stalled(server.session, now_ns));

    client.keep = false;
    server.answer = "second";
    buf_reset(&client.data);
    h2_queue_clear(&client.queue);
    assert_int_equal(ask("q2", true), 0);
    settle(1 << 20);
    assert_string_equal(buf_str(&client.data), "second");

    client.stream = slow_client;
    buf_reset(&client.data);
    h2_stream_consume(slow_client, WINDOW);
    settle(1 << 20);
    assert_int_equal(client.data.size, sizeof bytes - WINDOW);
    assert_int_equal(server.lows, 1);
    h2_queue_clear(&big);
    done_both();
}

/* Output stops near `max` and goes on with the next drain. */
static void test_drain_limit(void **state)
{
    (void) state;
    assert_int_equal(open_both(1 << 20), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", true), 0);
    carry(&client, &server, 1 << 20);
    static uint8_t bytes[300000];
    assert_int_equal(h2_stream_respond(server.stream, ok_head, 2, false, &server.queue), 0);
    assert_int_equal(h2_queue_put(&server.queue, bytes, sizeof bytes), 0);
    assert_int_equal(h2_stream_finish(server.stream, ok_trailers, 1), 0);
    size_t drains = 0;
    do {
        buf_reset(&server.out);
        assert_int_equal(h2_session_drain(server.session, &server.out, 65536, now_ns), 0);
        assert_true(server.out.size <= 65536 + H2_FRAME_BYTES + 9);
        assert_int_equal(h2_session_feed(client.session, server.out.data, server.out.size, now_ns),
                         0);
        drains++;
    } while (h2_session_wants_drain(server.session));
    assert_true(drains >= 4);
    assert_int_equal(client.data.size, sizeof bytes);
    assert_int_equal(client.closes, 1);
    done_both();
}

/* The answer ends before the request does: trailers first, then RST_STREAM(NO_ERROR). */
static void test_early_end(void **state)
{
    (void) state;
    assert_int_equal(open_both(WINDOW), 0);
    settle(1 << 20);
    assert_int_equal(ask("half of", false), 0);
    settle(1 << 20);
    assert_int_equal(h2_stream_respond(server.stream, ok_head, 2, false, &server.queue), 0);
    assert_int_equal(h2_stream_finish(server.stream, ok_trailers, 1), 0);
    settle(1 << 20);
    assert_string_equal(buf_str(&client.trailers), "x-end=yes\n");
    assert_int_equal(client.ends, 1);
    assert_int_equal(client.closes, 1);
    assert_int_equal(server.closes, 1);
    assert_int_equal(client.close_code, H2_NO_ERROR);
    assert_int_equal(h2_session_shield(server.session)->counts[H2_ABUSE_RESET_SENT], 0);
    done_both();
}

/* Trailers pass a window that is shut. */
static void test_finish_now(void **state)
{
    (void) state;
    assert_int_equal(open_both(0), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", true), 0);
    settle(1 << 20);
    assert_int_equal(h2_stream_respond(server.stream, ok_head, 2, false, &server.queue), 0);
    assert_int_equal(h2_queue_put(&server.queue, "never sent", 10), 0);
    assert_int_equal(h2_stream_resume(server.stream), 0);
    settle(1 << 20);
    assert_int_equal(client.data.size, 0);
    assert_int_equal(h2_stream_finish_now(server.stream, ok_trailers, 1), 0);
    h2_queue_clear(&server.queue);
    settle(1 << 20);
    assert_string_equal(buf_str(&client.trailers), "x-end=yes\n");
    assert_int_equal(client.closes, 1);
    assert_int_equal(server.closes, 1);
    done_both();
}

static void test_reset_and_loss(void **state)
{
    (void) state;
    assert_int_equal(open_both(WINDOW), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", false), 0);
    settle(1 << 20);
    h2_stream_reset(client.stream, H2_CANCEL);
    assert_int_equal(client.closes, 0); /* never inside the verb */
    settle(1 << 20);
    assert_int_equal(client.closes, 1);
    assert_int_equal(server.closes, 1);
    assert_int_equal(server.close_code, H2_CANCEL);
    assert_int_equal(ask("q", false), 0);
    settle(1 << 20);
    h2_session_abort(server.session);
    assert_int_equal(server.closes, 2);
    assert_int_equal(server.close_code, H2_CONNECTION_LOST);
    done_both();
}

/* GOAWAY(2^31-1), PING, then the real id; a stream that is open goes on. */
static void test_shutdown(void **state)
{
    (void) state;
    assert_int_equal(open_both(WINDOW), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", false), 0);
    settle(1 << 20);
    assert_int_equal(h2_session_shutdown(server.session), 0);
    settle(1 << 20);
    assert_int_equal(client.goaways, 2);
    assert_true(h2_session_said_goaway(server.session));
    assert_false(h2_session_can_open(client.session));
    server.answer = "late";
    assert_int_equal(h2_stream_finish(client.stream, NULL, 0), 0);
    settle(1 << 20);
    assert_string_equal(buf_str(&client.data), "late");
    assert_int_equal(client.closes, 1);
    assert_true(h2_session_is_done(server.session));
    done_both();
}

/* Every allocation fails once: no crash, no leak, an error where it belongs. */
static void test_without_memory(void **state)
{
    (void) state;
    for (uint64_t n = 1;; n++) {
        bool complete = false;
        alloc_fail_at(n);
        if (open_both(WINDOW) == 0) {
            server.answer = "an answer";
            settle(1 << 20);
            if (client.error == 0 && server.error == 0 && ask("a question", true) == 0) {
                settle(1 << 20);
                complete = client.error == 0 && server.error == 0 && client.data.size == 9;
            }
        }
        uint64_t used = alloc_count();
        alloc_fail_at(0);
        done_both();
        if (complete && used < n)
            break;
        assert_true(n < 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange),       cmocka_unit_test(test_small_writes_share_frames),
        cmocka_unit_test(test_windows),        cmocka_unit_test(test_drain_limit),
        cmocka_unit_test(test_early_end),      cmocka_unit_test(test_finish_now),
        cmocka_unit_test(test_reset_and_loss), cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests_name("h2_session", tests, NULL, NULL);
}
