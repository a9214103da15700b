/* What was written for one watcher is not written again for the next, and is never another's. */
#include "tests/unit/gateway/support.h"

#include <stdio.h>

#include "gateway/memo.h"
#include "gateway/to_wire.h"

static struct desc_pool *foreign;

static const struct desc_message *message(const char *name)
{
    const struct desc_message *m = desc_find_message(foreign, name, strlen(name));
    assert_non_null(m);
    return m;
}
static void wire_of(const struct desc_message *m, const char *json, struct buf *out)
{
    struct to_wire t;
    struct to_wire_options o = { .pool = foreign };
    to_wire_init(&t, m, out, &o);
    assert_int_equal(to_wire_feed(&t, json, strlen(json)), 0);
    assert_int_equal(to_wire_finish(&t), 0);
    to_wire_done(&t);
}
static void expect(struct memo *memo, struct to_json *t, const char *type, const struct buf *wire)
{
    struct buf is = { 0 }, should = { 0 };
    nrpc_slice bytes = { wire->data, wire->size };
    buf_puts(&is, "before ");
    buf_puts(&should, "before ");
    assert_int_equal(memo_json(memo, t, message(type), NULL, bytes, &is), 0);
    assert_int_equal(to_json_message(t, message(type), wire->data, wire->size, &should), 0);
    assert_string_equal(buf_str(&is), buf_str(&should));
    buf_done(&is);
    buf_done(&should);
}

/* Many messages in both dialects, again and again: always what is right. */
static void says_what_was_said(void **state)
{
    (void) state;
    struct memo memo = { .bytes = 0 };
    struct to_json styles[2];
    for (int d = 0; d < 2; d++)
        to_json_init(&styles[d], foreign, d == 0 ? JSON_STANDARD : JSON_LEGACY);
    for (unsigned n = 0; n < 3000; n++) {
        char json[96];
        struct buf wire = { 0 };
        snprintf(json, sizeof json, "{\"fInt64\":%u,\"fString\":\"number %u\"}", n % 700, n % 700);
        wire_of(message("foreign.v1.Everything"), json, &wire);
        for (unsigned again = 0; again < 3; again++)
            for (int d = 0; d < 2; d++)
                expect(&memo, &styles[d], "foreign.v1.Everything", &wire);
        assert_true(memo.bytes <= MEMO_BYTES_MAX);
        buf_done(&wire);
    }
    assert_true(memo.bytes > 0);
    memo_clear(&memo);
    assert_int_equal(memo.bytes, 0);
    for (int d = 0; d < 2; d++)
        to_json_done(&styles[d]);
}

/* The same bytes are another text as another type. */
static void a_type_is_part_of_it(void **state)
{
    (void) state;
    struct memo memo = { .bytes = 0 };
    struct to_json t;
    struct buf wire = { 0 };
    to_json_init(&t, foreign, JSON_STANDARD);
    wire_of(message("foreign.v1.Inner"), "{\"text\":\"x\"}", &wire);
    for (unsigned again = 0; again < 3; again++) {
        expect(&memo, &t, "foreign.v1.Inner", &wire);
        expect(&memo, &t, "google.protobuf.StringValue", &wire);
    }
    memo_clear(&memo);
    to_json_done(&t);
    buf_done(&wire);
}

/* What comes once costs no memory; what is large, none either; a failure is told each time. */
static void keeps_what_comes_again(void **state)
{
    (void) state;
    struct memo memo = { .bytes = 0 };
    struct to_json t;
    struct buf wire = { 0 }, out = { 0 };
    static const uint8_t damaged[] = { 0x08 };
    to_json_init(&t, foreign, JSON_STANDARD);
    wire_of(message("foreign.v1.Inner"), "{\"text\":\"x\"}", &wire);
    expect(&memo, &t, "foreign.v1.Inner", &wire);
    assert_int_equal(memo.bytes, 0);
    expect(&memo, &t, "foreign.v1.Inner", &wire);
    assert_true(memo.bytes > 0);
    memo_clear(&memo);
    for (unsigned again = 0; again < 3; again++)
        assert_int_equal(memo_json(&memo, &t, message("foreign.v1.Everything"), NULL,
                                   (nrpc_slice) { damaged, sizeof damaged }, &out),
                         NRPC_E_PROTO);
    assert_int_equal(memo.bytes, 0);
    assert_int_equal(out.size, 0);
    to_json_done(&t);
    buf_done(&wire);
    buf_done(&out);
}

static int set_up(void **state)
{
    (void) state;
    struct buf b = { 0 };
    char error[256] = "";
    read_file(FOREIGN_FDS, &b);
    if (desc_pool_new(b.data, b.size, &foreign, error) < 0)
        fail_msg("%s", error);
    buf_done(&b);
    return 0;
}
static int tear_down(void **state)
{
    (void) state;
    desc_pool_free(foreign);
    return 0;
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_was_said),
        cmocka_unit_test(a_type_is_part_of_it),
        cmocka_unit_test(keeps_what_comes_again),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
