/* nrpc_validate on the rules that protoc-gen-nrpc emitted for tests/unit/plugin/protos/plain.proto.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>

#include "plain.nrpc.h"
#include "rpc/base/alloc.h"

typedef Plain__Order order;

/* A request that keeps every rule; rows change one thing. */
struct fixture {
    order order;
    Plain__Order__Line first, extra, more[3];
    Plain__Order__Line__Deeper deeper;
    Plain__Order__Line *lines[3];
    Plain__Order__StockEntry stock[3];
    Plain__Order__StockEntry *stock_list[3];
    Plain__Order__NamedEntry named;
    Plain__Order__NamedEntry *named_list[1];
    Google__Protobuf__Int32Value turns, wrapped[2];
    Google__Protobuf__Int32Value *wrapped_list[2];
    Google__Protobuf__StringValue nick;
    char *tags[4];
    int32_t numbers[40];
    ProtobufCBinaryData blobs[3];
    order child;
};

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    plain__order__init(&f->order);
    plain__order__line__init(&f->first);
    plain__order__line__init(&f->extra);
    plain__order__line__deeper__init(&f->deeper);
    google__protobuf__int32_value__init(&f->turns);
    google__protobuf__string_value__init(&f->nick);
    for (int i = 0; i < 3; i++) {
        plain__order__line__init(&f->more[i]);
        f->lines[i] = &f->more[i];
        plain__order__stock_entry__init(&f->stock[i]);
        f->stock_list[i] = &f->stock[i];
        f->tags[i] = (char *[]){ "one", "two", "three" }[i];
    }
    for (int i = 0; i < 2; i++) {
        google__protobuf__int32_value__init(&f->wrapped[i]);
        f->wrapped_list[i] = &f->wrapped[i];
    }
    for (int i = 0; i < 40; i++)
        f->numbers[i] = i;
    plain__order__named_entry__init(&f->named);
    f->named.key = "bolt";
    f->named.value = &f->extra;
    f->named_list[0] = &f->named;
    order *o = &f->order;
    o->id = "abc1";
    o->first = &f->first;
    o->tags = f->tags;
    o->lines = f->lines;
    o->stock = f->stock_list;
    o->wrapped = f->wrapped_list;
    o->numbers = f->numbers;
    o->blobs = f->blobs;
    o->big = 1;
    o->colour = PLAIN__ORDER__COLOUR__COLOUR_RED;
}

static void no_id(struct fixture *f)
{
    f->order.id = "";
}
static void null_id(struct fixture *f)
{
    f->order.id = NULL;
}
static void bad_id(struct fixture *f)
{
    f->order.id = "abcde";
}
static void count_low(struct fixture *f)
{
    f->order.count = -1;
}
static void count_high(struct fixture *f)
{
    f->order.count = 10;
}
static void tags_four(struct fixture *f)
{
    f->tags[3] = "four";
    f->order.n_tags = 4;
}
static void tags_twice(struct fixture *f)
{
    f->tags[2] = "one";
    f->order.n_tags = 3;
}
static void tag_empty(struct fixture *f)
{
    f->tags[1] = "";
    f->order.n_tags = 2;
}
static void tag_long(struct fixture *f)
{
    f->tags[1] = "éééééé";
    f->order.n_tags = 2;
}
static void tag_letters(struct fixture *f)
{
    f->tags[2] = "Xy";
    f->order.n_tags = 3;
}
static void no_first(struct fixture *f)
{
    f->order.first = NULL;
}
static void lines_three(struct fixture *f)
{
    f->order.n_lines = 3;
}
static void line_text(struct fixture *f)
{
    f->more[1].text = "longer";
    f->order.n_lines = 2;
}
static void line_deeper(struct fixture *f)
{
    f->deeper.y = 4;
    f->more[1].deeper = &f->deeper;
    f->order.n_lines = 2;
}
static void first_deeper(struct fixture *f)
{
    f->deeper.y = -4;
    f->first.deeper = &f->deeper;
}
static void stock_three(struct fixture *f)
{
    f->order.n_stock = 3;
}
static void stock_low(struct fixture *f)
{
    f->stock[1].key = "nut";
    f->stock[1].value = -1;
    f->order.n_stock = 2;
}
static void named_text(struct fixture *f)
{
    f->extra.text = "longer";
    f->order.named = f->named_list;
    f->order.n_named = 1;
}
static void turns_zero(struct fixture *f)
{
    f->order.turns = &f->turns;
}
static void turns_high(struct fixture *f)
{
    f->turns.value = 51;
    f->order.turns = &f->turns;
}
static void nick_long(struct fixture *f)
{
    f->nick.value = "abcd";
    f->order.nick = &f->nick;
}
static void big_zero(struct fixture *f)
{
    f->order.big = 0;
}
static void ratio_high(struct fixture *f)
{
    f->order.ratio = 1.5;
}
static void ratio_nan(struct fixture *f)
{
    f->order.ratio = NAN;
}
static void blob_long(struct fixture *f)
{
    f->order.blob = (ProtobufCBinaryData){ 5, (uint8_t *) "12345" };
}
static void colour_none(struct fixture *f)
{
    f->order.colour = 0;
}
static void word_short(struct fixture *f)
{
    f->order.choice_case = PLAIN__ORDER__CHOICE_WORD;
    f->order.word = "x";
}
static void number_low(struct fixture *f)
{
    f->order.choice_case = PLAIN__ORDER__CHOICE_NUMBER;
    f->order.number = 4;
}
static void line_in_oneof(struct fixture *f)
{
    f->order.choice_case = PLAIN__ORDER__CHOICE_LINE;
    f->order.line = &f->extra;
    f->extra.text = "longer";
}
static void numbers_twice(struct fixture *f)
{
    f->order.n_numbers = 40;
    f->numbers[39] = 7;
}
static void numbers_few(struct fixture *f)
{
    f->order.n_numbers = 3;
    f->numbers[1] = 0;
}
static void numbers_high(struct fixture *f)
{
    f->order.n_numbers = 2;
    f->numbers[1] = 101;
}
static void wrapped_high(struct fixture *f)
{
    f->order.n_wrapped = 2;
    f->wrapped[1].value = 8;
}
static void blobs_twice(struct fixture *f)
{
    f->blobs[0] = f->blobs[2] = (ProtobufCBinaryData){ 2, (uint8_t *) "\0\1" };
    f->order.n_blobs = 3;
}
static void child_id(struct fixture *f)
{
    f->child = f->order;
    f->child.id = "X";
    f->order.child = &f->child;
}

static void nothing(struct fixture *f)
{
    (void) f;
}
static void all_edges(struct fixture *f)
{
    f->order.count = 9;
    f->order.n_tags = 3;
    f->tags[1] = "abcde";
    f->turns.value = 50;
    f->order.turns = &f->turns;
    f->nick.value = "ééé"; /* code points, not bytes */
    f->order.nick = &f->nick;
    f->order.big = UINT64_MAX;
    f->order.ratio = -1;
    f->order.lowest = INT64_MIN;
    f->order.n_numbers = 40;
    f->order.n_wrapped = 2;
    f->wrapped[0].value = 7;
    f->order.n_stock = 2;
    f->order.choice_case = PLAIN__ORDER__CHOICE_NUMBER;
    f->order.number = 5;
}

static const struct {
    const char *name;
    void (*change)(struct fixture *f);
    const char *path, *description; /* NULL: passes */
} rows[] = {
    { "untouched", nothing, NULL, NULL },
    { "every bound is inclusive", all_edges, NULL, NULL },
    { "required, empty", no_id, "id", "must be set" },
    { "required, null", null_id, "id", "must be set" },
    { "pattern", bad_id, "id", "must match [a-z]{2,4}\\d?" },
    { "min 0", count_low, "count", "must be 0 to 9, not -1" },
    { "max", count_high, "count", "must be 0 to 9, not 10" },
    { "too many items", tags_four, "tags", "must have at most 3 items, not 4" },
    { "unique strings", tags_twice, "tags[2]", "repeats item 0" },
    { "item too short", tag_empty, "tags[1]", "must have 1 to 5 characters, not 0" },
    { "code points", tag_long, "tags[1]", "must have 1 to 5 characters, not 6" },
    { "item's pattern", tag_letters, "tags[2]", "must match [a-z]*" },
    { "message required", no_first, "first", "must be set" },
    { "too many messages", lines_three, "lines", "must have at most 2 items, not 3" },
    { "inside a list", line_text, "lines[1].text", "must have at most 5 characters, not 6" },
    { "two levels down", line_deeper, "lines[1].deeper.y", "must be -3 to 3, not 4" },
    { "negative bound", first_deeper, "first.deeper.y", "must be -3 to 3, not -4" },
    { "map size", stock_three, "stock", "must have at most 2 entries, not 3" },
    { "map value", stock_low, "stock[\"nut\"]", "must be at least 0, not -1" },
    { "message in a map", named_text, "named[\"bolt\"].text",
      "must have at most 5 characters, not 6" },
    { "wrapper holds 0", turns_zero, "turns", "must be 1 to 50, not 0" },
    { "wrapper over max", turns_high, "turns", "must be 1 to 50, not 51" },
    { "string in a wrapper", nick_long, "nick", "must have at most 3 characters, not 4" },
    { "unsigned", big_zero, "big", "must be at least 1, not 0" },
    { "double", ratio_high, "ratio", "must be -1 to 1, not 1.5" },
    { "not a number", ratio_nan, "ratio", "must be -1 to 1, not nan" },
    { "bytes", blob_long, "blob", "must have at most 4 bytes, not 5" },
    { "enum", colour_none, "colour", "must be set" },
    { "string of a oneof", word_short, "word", "must have at least 2 characters, not 1" },
    { "number of a oneof", number_low, "number", "must be at least 5, not 4" },
    { "message of a oneof", line_in_oneof, "line.text", "must have at most 5 characters, not 6" },
    { "unique, many", numbers_twice, "numbers[39]", "repeats item 7" },
    { "unique, few", numbers_few, "numbers[1]", "repeats item 0" },
    { "number in a list", numbers_high, "numbers[1]", "must be at most 100, not 101" },
    { "wrapper in a list", wrapped_high, "wrapped[1]", "must be at most 7, not 8" },
    { "unique bytes", blobs_twice, "blobs[2]", "repeats item 0" },
    { "recursive type", child_id, "child.id", "must match [a-z]{2,4}\\d?" },
};

/* The BadRequest of a status; also checks the one ErrorInfo beside it. */
static Google__Rpc__BadRequest *details_of(const nrpc_status *st)
{
    Google__Rpc__Status *packed = google__rpc__status__unpack(NULL, st->details_size, st->details);
    assert_non_null(packed);
    assert_int_equal(packed->code, NRPC_INVALID_ARGUMENT);
    assert_int_equal(packed->n_details, 2);
    assert_string_equal(packed->details[0]->type_url, "type.googleapis.com/google.rpc.BadRequest");
    assert_string_equal(packed->details[1]->type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    Google__Rpc__BadRequest *bad = google__rpc__bad_request__unpack(
        NULL, packed->details[0]->value.len, packed->details[0]->value.data);
    Google__Rpc__ErrorInfo *info = google__rpc__error_info__unpack(
        NULL, packed->details[1]->value.len, packed->details[1]->value.data);
    assert_non_null(bad);
    assert_non_null(info);
    assert_string_equal(info->reason, "INVALID_FIELD");
    assert_string_equal(info->domain, "test.example");
    google__rpc__error_info__free_unpacked(info, NULL);
    google__rpc__status__free_unpacked(packed, NULL);
    return bad;
}

static void test_rows(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        fixture_init(&f);
        rows[i].change(&f);
        nrpc_status st = NRPC_STATUS_INIT;
        int result = nrpc_validate(&plain_rules, &f.order.base, "test.example", &st);
        if (rows[i].path == NULL) {
            if (result != 0)
                fail_msg("%s: %s", rows[i].name, st.message);
            assert_int_equal(st.code, NRPC_OK);
            assert_null(st.message);
            continue;
        }
        if (result != 1)
            fail_msg("%s: passed", rows[i].name);
        assert_int_equal(st.code, NRPC_INVALID_ARGUMENT);
        Google__Rpc__BadRequest *bad = details_of(&st);
        if (bad->n_field_violations != 1 ||
            strcmp(bad->field_violations[0]->field, rows[i].path) != 0 ||
            strcmp(bad->field_violations[0]->description, rows[i].description) != 0)
            fail_msg("%s: %zu violations, first %s: %s", rows[i].name, bad->n_field_violations,
                     bad->field_violations[0]->field, bad->field_violations[0]->description);
        assert_non_null(strstr(st.message, rows[i].path));
        google__rpc__bad_request__free_unpacked(bad, NULL);
        nrpc_status_clear(&st);
    }
}

static void test_many_violations_are_capped(void **state)
{
    (void) state;
    struct fixture f;
    fixture_init(&f);
    static char *tags[3] = { "X", "Y", "Z" };
    static Plain__Order__Line lines[500], *list[500];
    for (int i = 0; i < 500; i++) {
        plain__order__line__init(&lines[i]);
        lines[i].text = "much longer than it may be";
        list[i] = &lines[i];
    }
    f.order.tags = tags;
    f.order.n_tags = 3;
    f.order.count = 77;
    f.order.lines = list;
    f.order.n_lines = 500;
    nrpc_status st = NRPC_STATUS_INIT;
    assert_int_equal(nrpc_validate(&plain_rules, &f.order.base, "test.example", &st), 1);
    Google__Rpc__BadRequest *bad = details_of(&st);
    assert_int_equal(bad->n_field_violations, 16);
    assert_string_equal(bad->field_violations[0]->field, "count");
    assert_string_equal(st.message, "count must be 0 to 9, not 77 (and 15 more)");
    google__rpc__bad_request__free_unpacked(bad, NULL);
    nrpc_status_clear(&st);
}

static void test_long_keys_are_cut(void **state)
{
    (void) state;
    struct fixture f;
    fixture_init(&f);
    static char keys[2][2000];
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j + 2 < 2000; j += 2)
            memcpy(keys[i] + j, "é", 2);
        f.stock[i].key = keys[i];
        f.stock[i].value = -1 - i;
    }
    f.order.n_stock = 2;
    nrpc_status st = NRPC_STATUS_INIT;
    assert_int_equal(nrpc_validate(&plain_rules, &f.order.base, "test.example", &st), 1);
    Google__Rpc__BadRequest *bad = details_of(&st);
    assert_int_equal(bad->n_field_violations, 2);
    assert_in_range(strlen(bad->field_violations[0]->field), 20, 160);
    assert_non_null(strstr(bad->field_violations[0]->field, "é…\"]"));
    google__rpc__bad_request__free_unpacked(bad, NULL);
    nrpc_status_clear(&st);
}

static void test_depth_has_a_limit(void **state)
{
    (void) state;
    enum { DEPTH = 5000 };
    struct fixture f;
    order *chain = calloc(DEPTH, sizeof *chain);
    assert_non_null(chain);
    /* An order at depth d has a line at d + 1. */
    static const struct {
        int levels, result;
    } depths[] = { { 0, 0 }, { 98, 0 }, { 99, 1 }, { DEPTH, 1 } };
    for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++) {
        fixture_init(&f);
        for (int i = 0; i < depths[d].levels; i++) {
            chain[i] = f.order;
            chain[i].child = i + 1 < depths[d].levels ? &chain[i + 1] : NULL;
        }
        f.order.child = depths[d].levels > 0 ? &chain[0] : NULL;
        nrpc_status st = NRPC_STATUS_INIT;
        assert_int_equal(nrpc_validate(&plain_rules, &f.order.base, "test.example", &st),
                         depths[d].result);
        if (depths[d].result == 1)
            assert_non_null(strstr(st.message, "nested deeper than 100"));
        nrpc_status_clear(&st);
    }
    free(chain);
}

/* Every allocation fails once: the outcome is the violation or RESOURCE_EXHAUSTED, never a pass. */
static void test_without_memory(void **state)
{
    (void) state;
    struct fixture f;
    fixture_init(&f);
    numbers_twice(&f);
    count_high(&f);
    int last = 0;
    for (uint64_t n = 1; n < 200 && last != 1; n++) {
        nrpc_status st = NRPC_STATUS_INIT;
        alloc_fail_at(n);
        last = nrpc_validate(&plain_rules, &f.order.base, "test.example", &st);
        alloc_fail_at(0);
        if (last == 1) {
            assert_int_equal(st.code, NRPC_INVALID_ARGUMENT);
        } else {
            assert_int_equal(last, NRPC_E_NOMEM);
            assert_int_equal(st.code, NRPC_RESOURCE_EXHAUSTED);
        }
        nrpc_status_clear(&st);
    }
    assert_int_equal(last, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_many_violations_are_capped),
        cmocka_unit_test(test_long_keys_are_cut),
        cmocka_unit_test(test_depth_has_a_limit),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
