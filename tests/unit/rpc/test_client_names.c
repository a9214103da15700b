/* Targets and names: what a target may look like, real and made-up name resolution, addresses that
 * come and go. */
#include "tests/unit/rpc/client_rig.h"

#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rpc/base/alloc.h"
#include "tests/unit/rpc/raw_server.h"

static char paths[3][64];

static void test_targets(void **state)
{
    (void) state;
    static const struct {
        const char *target;
        int n; /* parts; 0: refused */
        const char *first, *last, *authority;
        bool literal;
    } cases[] = {
        { "127.0.0.1:50051", 1, "127.0.0.1:50051", NULL, "127.0.0.1:50051", true },
        { "[::1]:1", 1, "[::1]:1", NULL, "[::1]:1", true },
        { "ipv4:10.0.0.1:80,10.0.0.2:81", 2, "10.0.0.1:80", "10.0.0.2:81", "10.0.0.1:80", true },
        { "ipv6:[::1]:80,[::2]:81", 2, "[::1]:80", "[::2]:81", "[::1]:80", true },
        { "unix:/tmp/x", 1, "unix:/tmp/x", NULL, "/tmp/x", true },
        { "unix:///tmp/x", 1, "unix:/tmp/x", NULL, "/tmp/x", true },
        { "unix:relative", 1, "unix:relative", NULL, "relative", true },
        { "unix:/tmp/x,127.0.0.1:1", 2, "unix:/tmp/x", "127.0.0.1:1", "/tmp/x", true },
        { "dns:///example.test:443", 1, NULL, NULL, "example.test:443", false },
        { "dns:example.test:443", 1, NULL, NULL, "example.test:443", false },
        { "dns:///127.0.0.1:443", 1, "127.0.0.1:443", NULL, "127.0.0.1:443", true },
        { "localhost:1", 1, NULL, NULL, "localhost:1", false },
        { "a:1,b:2,127.0.0.1:3", 3, NULL, "127.0.0.1:3", "a:1", false },
        { "", 0, NULL, NULL, NULL, false },
        { "host", 0, NULL, NULL, NULL, false },
        { "host:", 0, NULL, NULL, NULL, false },
        { "host:0", 0, NULL, NULL, NULL, false },
        { "host:65536", 0, NULL, NULL, NULL, false },
        { "host:12345678901", 0, NULL, NULL, NULL, false },
        { ":80", 0, NULL, NULL, NULL, false },
        { "a:b:80", 0, NULL, NULL, NULL, false },
        { "unix:", 0, NULL, NULL, NULL, false },
        { "unix://", 0, NULL, NULL, NULL, false },
        { "a:1,", 0, NULL, NULL, NULL, false },
        { "dns://8.8.8.8/host:1", 0, NULL, NULL, NULL, false },
        { "dns:///", 0, NULL, NULL, NULL, false },
        { "ipv4:localhost:80", 0, NULL, NULL, NULL, false },
        { "ipv4:[::1]:80", 0, NULL, NULL, NULL, false },
        { "ipv4:example.test:80", 0, NULL, NULL, NULL, false },
        { "ipv6:127.0.0.1:80", 0, NULL, NULL, NULL, false },
        { "ipv6:::1:80", 0, NULL, NULL, NULL, false },
        { "[::1", 0, NULL, NULL, NULL, false },
        { "[::1]", 0, NULL, NULL, NULL, false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct target_name *names = NULL;
        unsigned n = 77;
        int r = target_parse(cases[i].target, &names, &n);
        if (cases[i].n == 0) {
            if (r != NRPC_E_INVAL || names != NULL || n != 77)
                fail_msg("accepted '%s'", cases[i].target);
            continue;
        }
        if (r != 0 || n != (unsigned) cases[i].n)
            fail_msg("'%s': %d, %u parts", cases[i].target, r, n);
        assert_string_equal(names[0].text, cases[i].authority);
        assert_int_equal(names[0].literal, cases[i].literal);
        if (cases[i].first != NULL)
            assert_string_equal(names[0].found[0].text, cases[i].first);
        if (cases[i].last != NULL)
            assert_string_equal(names[n - 1].found[0].text, cases[i].last);
        alloc_free(names);
    }
    /* 64 parts are the most, and no part may be endless. */
    struct buf many = { 0 };
    for (int i = 0; i < 65; i++)
        buf_printf(&many, "%s127.0.0.1:%d", i > 0 ? "," : "", i + 1);
    struct target_name *names = NULL;
    unsigned n = 0;
    assert_int_equal(target_parse(buf_str(&many), &names, &n), NRPC_E_INVAL);
    buf_reset(&many);
    for (int i = 0; i < 300; i++)
        buf_putc(&many, 'a');
    buf_puts(&many, ":1");
    assert_int_equal(target_parse(buf_str(&many), &names, &n), NRPC_E_INVAL);
    buf_done(&many);
}

/* The system's own answer for "localhost", both families where it has both: each address is a
 * backend, and each gets calls. */
static void test_localhost(void **state)
{
    (void) state;
    struct resolved want[RESOLVED_MAX];
    unsigned n = 0;
    const char *why = NULL;
    nrpc_server *v4 = rig_server("127.0.0.1:0", NULL, false), *v6 = NULL;
    const char *port = strrchr(nrpc_server_address(v4, 0), ':') + 1;
    assert_int_equal(resolver_getaddrinfo(NULL, "localhost", port, want, &n, &why), 0);
    assert_true(n >= 1);
    bool has_v6 = false;
    for (unsigned i = 0; i < n; i++)
        has_v6 |= want[i].text[0] == '[';
    if (has_v6) {
        char address[64];
        snprintf(address, sizeof address, "[::1]:%s", port);
        v6 = rig_server(address, NULL, false);
    }
    char target[64];
    snprintf(target, sizeof target, "dns:///localhost:%s", port);
    const nrpc_channel_options o = { .target = target, .balance = NRPC_ROUND_ROBIN };
    rig_channel_up(&o);
    assert_int_equal(nrpc_channel_get_state(rig_channel), NRPC_CHANNEL_IDLE);
    bool used[RESOLVED_MAX] = { false };
    for (int i = 0; i < 40; i++) {
        struct ask a = { .text = "x", .options.wait_for_ready = true };
        rig_ask_all(&a, 1);
        assert_int_equal(a.st.code, NRPC_OK);
        for (unsigned k = 0; k < n; k++)
            used[k] |= strcmp(a.peer, want[k].text) == 0;
        rig_ask_done(&a);
    }
    nrpc_backend backends[8];
    unsigned distinct = 0;
    for (unsigned i = 0; i < n; i++) {
        bool first = true;
        for (unsigned k = 0; k < i; k++)
            first &= strcmp(want[i].text, want[k].text) != 0;
        distinct += first;
    }
    assert_int_equal(nrpc_channel_backends(rig_channel, backends, 8), distinct);
    assert_string_equal(backends[0].address, want[0].text);
    for (unsigned k = 0; k < n; k++)
        assert_true(used[k] || distinct < n);
    rig_channel_down();
    rig_server_down(v4, 1000);
    if (v6 != NULL)
        rig_server_down(v6, 1000);
    rig_nothing_left();
}

/* ---- a resolver to order ---- */
struct book {
    atomic_uint entries; /* bit i: paths[i] is an answer; 0: the look-up fails */
    atomic_int lookups;
};

static int look_up(void *ctx, const char *host, const char *port, struct resolved *out,
                   unsigned *out_n, const char **why)
{
    struct book *b = ctx;
    assert_string_equal(host, "backend.test");
    assert_string_equal(port, "1");
    unsigned n = 0, entries = atomic_load(&b->entries);
    for (unsigned i = 0; i < 3; i++)
        if (entries & 1u << i)
            memcpy(out[n++].text, paths[i], sizeof paths[i]);
    atomic_fetch_add(&b->lookups, 1);
    if (n == 0) {
        *why = "the book is empty";
        return NRPC_E_SYS;
    }
    *out_n = n;
    return 0;
}

static void book_up(struct book *b, const nrpc_channel_options *more)
{
    nrpc_channel_options o = *more;
    o.target = "backend.test:1";
    rig_channel_up(&o);
    rig_channel->resolver.lookup = look_up;
    rig_channel->resolver.lookup_ctx = b;
}

static bool backends_are(void *ctx)
{
    const char *want = ctx; /* digits of paths */
    nrpc_backend list[8];
    size_t n = nrpc_channel_backends(rig_channel, list, 8);
    if (n != strlen(want))
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].address, paths[want[i] - '0']) != 0)
            return false;
    return true;
}

static bool all_ready(void *ctx)
{
    (void) ctx;
    nrpc_backend list[8];
    size_t n = nrpc_channel_backends(rig_channel, list, 8), ready = 0;
    for (size_t i = 0; i < n; i++)
        ready += list[i].state == NRPC_CHANNEL_READY;
    return ready == n;
}

static void test_come_and_go(void **state)
{
    (void) state;
    nrpc_server *s[3];
    for (int i = 0; i < 3; i++)
        s[i] = rig_server(paths[i], NULL, false);
    struct book book = { .entries = 3 };
    book_up(&book, &(nrpc_channel_options){ .balance = NRPC_ROUND_ROBIN, .resolve_ms = 20 });
    for (int i = 0; i < 4; i++)
        assert_int_equal(rig_ask("x"), NRPC_OK);
    assert_true(backends_are((void *) (uintptr_t) "01"));
    rig_until(all_ready, NULL);
    /* A long call on each of the two; then the first vanishes and the third comes. */
    struct ask slow[2] = { { .method = ECHO_CHAT, .text = "a", .open_end = true },
                           { .method = ECHO_CHAT, .text = "b", .open_end = true } };
    rig_ask_begin(slow, 2);
    rig_idle(30);
    atomic_store(&book.entries, 6);
    rig_until(backends_are, (void *) (uintptr_t) "12");
    bool used[3] = { false };
    for (int i = 0; i < 20; i++) {
        struct ask a = { .text = "x", .options.wait_for_ready = true };
        rig_ask_begin(&a, 1);
        while (a.ends == 0)
            assert_int_equal(nrpc_loop_run(rig_loop), 0);
        assert_int_equal(a.st.code, NRPC_OK);
        for (int k = 0; k < 3; k++)
            used[k] |= strcmp(a.peer, paths[k]) == 0;
        rig_ask_done(&a);
    }
    assert_false(used[0]);
    assert_true(used[1] && used[2]);
    /* What was begun on the address that vanished goes on until it is through. */
    bool on_first = false;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(slow[i].ends, 0);
        on_first |= strcmp(nrpc_call_peer(slow[i].call), paths[0]) == 0;
        assert_true(nrpc_call_send_bytes(slow[i].call, (nrpc_slice){ (const uint8_t *) "!", 1 }) >=
                    0);
        assert_int_equal(nrpc_call_half_close(slow[i].call), 0);
    }
    assert_true(on_first);
    rig_finish();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(slow[i].st.code, NRPC_OK);
        assert_int_equal(slow[i].messages, 2);
        rig_ask_done(&slow[i]);
    }
    /* A look-up that fails changes nothing. */
    atomic_store(&book.entries, 0);
    int before = atomic_load(&book.lookups);
    while (atomic_load(&book.lookups) < before + 2)
        rig_idle(5);
    assert_true(backends_are((void *) (uintptr_t) "12"));
    assert_int_equal(rig_ask("x"), NRPC_OK);
    rig_channel_down();
    for (int i = 0; i < 3; i++)
        rig_server_down(s[i], 1000);
    rig_nothing_left();
}

/* Nothing is found at first: calls fail with the reason, patient ones wait, and then it is there.
 */
static void test_found_later(void **state)
{
    (void) state;
    nrpc_server *s = rig_server(paths[0], NULL, false);
    struct book book = { .entries = 0 };
    book_up(&book, &(nrpc_channel_options){ .backoff_min_ms = 20, .backoff_max_ms = 40 });
    struct ask patient = { .text = "patient", .options.wait_for_ready = true };
    struct ask hasty = { .text = "hasty" };
    rig_ask_begin(&patient, 1);
    rig_ask_begin(&hasty, 1);
    while (hasty.ends == 0)
        rig_idle(1);
    assert_int_equal(hasty.st.code, NRPC_UNAVAILABLE);
    assert_non_null(strstr(hasty.st.message, "backend.test:1: the book is empty"));
    assert_int_equal(nrpc_channel_get_state(rig_channel), NRPC_CHANNEL_BACKOFF);
    assert_true(nrpc_channel_backoff_ms(rig_channel) <= 48);
    assert_int_equal(patient.ends, 0);
    atomic_store(&book.entries, 1);
    rig_finish();
    assert_int_equal(patient.st.code, NRPC_OK);
    rig_ask_done(&patient);
    rig_ask_done(&hasty);
    rig_channel_down();
    rig_server_down(s, 1000);
    rig_nothing_left();
}

/* A backend is lost: its name is asked again, long before resolve_ms. */
static bool asked_again(void *ctx)
{
    return atomic_load(&((struct book *) ctx)->lookups) >= 2;
}

static void test_asked_after_a_loss(void **state)
{
    (void) state;
    nrpc_server *s = rig_server(paths[0], NULL, false);
    struct book book = { .entries = 1 };
    book_up(&book, &(nrpc_channel_options){ .resolve_ms = 3600000 });
    assert_int_equal(rig_ask("x"), NRPC_OK);
    assert_int_equal(atomic_load(&book.lookups), 1);
    nrpc_server *other = rig_server(paths[1], NULL, false);
    atomic_store(&book.entries, 2);
    rig_server_down(s, 0);
    rig_until(asked_again, &book);
    rig_until(backends_are, (void *) (uintptr_t) "1");
    assert_int_equal(rig_ask("x"), NRPC_OK);
    rig_channel_down();
    rig_server_down(other, 1000);
    rig_nothing_left();
}

/* Closing while the look-up is under way. */
static void test_close_while_resolving(void **state)
{
    (void) state;
    struct book book = { .entries = 1 };
    book_up(&book, &(nrpc_channel_options){ .resolve_ms = 20 });
    struct ask a = { .text = "x", .options.wait_for_ready = true };
    rig_ask_begin(&a, 1);
    nrpc_channel_close(rig_channel);
    rig_finish();
    assert_int_equal(a.st.code, NRPC_CANCELLED);
    rig_ask_done(&a);
    nrpc_gauges g;
    do {
        rig_idle(1);
        nrpc_gauges_read(&g);
    } while (g.channels > 0);
    nrpc_loop_free(rig_loop);
    rig_nothing_left();
}

/* Happy eyeballs: the first address accepts and says nothing, the second answers. */
static void test_slow_first(void **state)
{
    (void) state;
    static const struct raw_step ok = { RAW_OK, 0, NULL };
    const struct raw_server_options mute = { .steps = &ok, .n_steps = 1, .no_settings = true };
    struct raw_server *first = raw_server_start(paths[0], &mute);
    nrpc_server *second = rig_server(paths[1], NULL, false);
    char target[200];
    snprintf(target, sizeof target, "%s,%s", paths[0], paths[1]);
    const nrpc_channel_options o = { .target = target };
    rig_channel_up(&o);
    uint64_t begin = clock_mono_ns();
    struct ask a = { .text = "x" };
    rig_ask_all(&a, 1);
    uint64_t took_ms = (clock_mono_ns() - begin) / 1000000;
    assert_int_equal(a.st.code, NRPC_OK);
    assert_string_equal(a.peer, paths[1]);
    assert_true(took_ms >= 240 && took_ms < 3000); /* connect_ms is 5,000 */
    nrpc_backend list[2];
    assert_int_equal(nrpc_channel_backends(rig_channel, list, 2), 2);
    assert_int_equal(list[0].state, NRPC_CHANNEL_IDLE); /* given up */
    assert_int_equal(list[0].connections, 0);
    assert_int_equal(list[1].state, NRPC_CHANNEL_READY);
    rig_ask_done(&a);
    rig_channel_down();
    raw_server_stop(first);
    rig_server_down(second, 1000);
    rig_nothing_left();
}

int main(void)
{
    for (int i = 0; i < 3; i++)
        rig_path(paths[i], i);
    alarm(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_localhost),
        cmocka_unit_test(test_come_and_go),
        cmocka_unit_test(test_found_later),
        cmocka_unit_test(test_asked_after_a_loss),
        cmocka_unit_test(test_close_while_resolving),
        cmocka_unit_test(test_slow_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
