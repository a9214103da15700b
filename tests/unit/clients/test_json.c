/* novel_json: every kind of field, well-known types, escapes, a bounded depth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <google/protobuf/any.pb-c.h>
#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/field_mask.pb-c.h>
#include <google/protobuf/struct.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>
#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <novelengine/v1/novel_engine.pb-c.h>

#include "clients/c/novel_json.h"
#include "rpc/base/alloc.h"

static void expect(const ProtobufCMessage *m, int indent, const char *json)
{
    struct buf b = { 0 };
    novel_json_put(&b, m, indent);
    assert_string_equal(buf_str(&b), json);
    buf_done(&b);
}

static void test_scalars_and_defaults(void **state)
{
    (void) state;
    Novelengine__V1__Health health = NOVELENGINE__V1__HEALTH__INIT;
    health.status = "healthy";
    health.uptime = 1.5;
    expect(&health.base, -1,
           "{\"status\":\"healthy\",\"api\":\"\",\"timestamp\":\"\",\"version\":\"\",\"config\":"
           "\"\",\"uptime\":1.5}");
    Novelengine__V1__DeleteSimulationRequest d = NOVELENGINE__V1__DELETE_SIMULATION_REQUEST__INIT;
    d.force = 1;
    expect(&d.base, -1, "{\"simulation_id\":\"\",\"force\":true}");
    expect(&d.base, 0, "{\n  \"simulation_id\": \"\",\n  \"force\": true\n}");
    Novelengine__V1__GetHealthRequest empty = NOVELENGINE__V1__GET_HEALTH_REQUEST__INIT;
    expect(&empty.base, 4, "{}");
}

static void test_numbers(void **state)
{
    (void) state;
    static const struct {
        double value;
        const char *json;
    } rows[] = {
        { 0, "0" },
        { -0.5, "-0.5" },
        { 0.1, "0.1" },
        { 1e21, "1e+21" },
        { 1.0 / 3, "0.3333333333333333" },
        { 5e-324, "4.94065645841247e-324" },
        { NAN, "\"NaN\"" },
        { INFINITY, "\"Infinity\"" },
        { -INFINITY, "\"-Infinity\"" },
        { 9007199254740993.0, "9007199254740992" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        Google__Protobuf__DoubleValue v = GOOGLE__PROTOBUF__DOUBLE_VALUE__INIT;
        v.value = rows[i].value;
        expect(&v.base, -1, rows[i].json);
    }
    Google__Protobuf__FloatValue f = GOOGLE__PROTOBUF__FLOAT_VALUE__INIT;
    f.value = 0.1f;
    expect(&f.base, -1, "0.1");
    Google__Protobuf__UInt64Value u = GOOGLE__PROTOBUF__UINT64_VALUE__INIT;
    u.value = UINT64_MAX;
    expect(&u.base, -1, "18446744073709551615");
    Google__Protobuf__Int64Value s = GOOGLE__PROTOBUF__INT64_VALUE__INIT;
    s.value = INT64_MIN;
    expect(&s.base, -1, "-9223372036854775808");
}

static void test_strings(void **state)
{
    (void) state;
    static const struct {
        const char *text, *json;
    } rows[] = {
        { "", "\"\"" },
        { "a\"b\\c", "\"a\\\"b\\\\c\"" },
        { "one\ntwo\ttab", "\"one\\ntwo\\ttab\"" },
        { "\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"" },
        { "é字🚀", "\"é字🚀\"" },
        { "bad\xff"
          "end",
          "\"bad\xef\xbf\xbd"
          "end\"" },
        { "cut\xe2\x82", "\"cut\xef\xbf\xbd\xef\xbf\xbd\"" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = { 0 };
        novel_json_put_string(&b, rows[i].text, strlen(rows[i].text));
        assert_string_equal(buf_str(&b), rows[i].json);
        buf_done(&b);
    }
}

static void test_bytes_are_base64(void **state)
{
    (void) state;
    static const struct {
        const char *data, *json;
    } rows[] = { { "", "\"\"" },
                 { "f", "\"Zg==\"" },
                 { "fo", "\"Zm8=\"" },
                 { "foo", "\"Zm9v\"" },
                 { "\xff\xfe\xfd\xfc", "\"//79/A==\"" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        Google__Protobuf__BytesValue v = GOOGLE__PROTOBUF__BYTES_VALUE__INIT;
        v.value.data = (uint8_t *) rows[i].data;
        v.value.len = strlen(rows[i].data);
        expect(&v.base, -1, rows[i].json);
    }
}

static void test_timestamps_and_durations(void **state)
{
    (void) state;
    static const struct {
        int64_t seconds;
        int32_t nanos;
        const char *json;
    } rows[] = {
        { 0, 0, "\"1970-01-01T00:00:00Z\"" },
        { 1795508439, 123456000, "\"2026-11-24T08:20:39.123456Z\"" },
        { 951782400, 1, "\"2000-02-29T00:00:00.000000001Z\"" },
        { -1, 500000000, "\"1969-12-31T23:59:59.500Z\"" },
        { -62135596800, 0, "\"0001-01-01T00:00:00Z\"" },
        { 253402300799, 0, "\"9999-12-31T23:59:59Z\"" },
        { 253402300800, 0, "null" },
        { 0, -1, "null" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        t.seconds = rows[i].seconds;
        t.nanos = rows[i].nanos;
        expect(&t.base, -1, rows[i].json);
    }
    Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
    d.seconds = -1;
    d.nanos = -500000000;
    expect(&d.base, -1, "\"-1.500s\"");
    d.seconds = 3;
    d.nanos = 0;
    expect(&d.base, -1, "\"3s\"");
}

static void test_enums_oneofs_lists(void **state)
{
    (void) state;
    Novelengine__V1__SimulationEvent event = NOVELENGINE__V1__SIMULATION_EVENT__INIT;
    Novelengine__V1__SimulationUpdate u = NOVELENGINE__V1__SIMULATION_UPDATE__INIT;
    char *targets[] = { "a", "b" };
    u.update_case = NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT;
    u.event = &event;
    u.type = NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_EVENT;
    event.type = (Novelengine__V1__SimulationEvent__Type) 99; /* of a newer server */
    event.targets = targets;
    event.n_targets = 2;
    struct buf b = { 0 };
    novel_json_put(&b, &u.base, -1);
    const char *json = buf_str(&b);
    assert_non_null(
        strstr(json, "\"type\":\"TYPE_EVENT\",\"event\":{\"sequence\":0,\"turn\":0,\"type\":99,"));
    assert_non_null(strstr(json, "\"targets\":[\"a\",\"b\"]"));
    assert_non_null(strstr(json, "\"causes\":[]"));
    assert_null(strstr(json, "\"passage\""));
    assert_null(strstr(json, "\"law\""));
    buf_done(&b);
}

static void test_maps_structs_masks(void **state)
{
    (void) state;
    Novelengine__V1__Policy policy = NOVELENGINE__V1__POLICY__INIT;
    Novelengine__V1__Policy__ComplianceEntry entry =
        NOVELENGINE__V1__POLICY__COMPLIANCE_ENTRY__INIT;
    Novelengine__V1__Policy__ComplianceEntry *entries[] = { &entry };
    entry.key = "a\"b";
    entry.value = "yes";
    policy.compliance = entries;
    policy.n_compliance = 1;
    expect(&policy.base, -1,
           "{\"brand_status\":\"\",\"compliance\":{\"a\\\"b\":\"yes\"},\"last_reviewed\":\"\"}");

    Novelengine__V1__Character character = NOVELENGINE__V1__CHARACTER__INIT;
    struct buf b = { 0 };
    novel_json_put(&b, &character.base, -1);
    assert_non_null(strstr(buf_str(&b), "\"skills\":{},\"relationships\":{}"));
    assert_non_null(strstr(buf_str(&b), "\"metadata\":{},\"structured_data\":{},\"etag\":\"\""));
    buf_done(&b);

    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    char *paths[] = { "name", "persona.age" };
    mask.paths = paths;
    mask.n_paths = 2;
    expect(&mask.base, -1, "\"name,persona.age\"");

    Google__Protobuf__Value number = GOOGLE__PROTOBUF__VALUE__INIT,
                            none = GOOGLE__PROTOBUF__VALUE__INIT;
    Google__Protobuf__ListValue list = GOOGLE__PROTOBUF__LIST_VALUE__INIT;
    Google__Protobuf__Value *values[] = { &number, &none }, of_list = GOOGLE__PROTOBUF__VALUE__INIT;
    Google__Protobuf__Struct__FieldsEntry field = GOOGLE__PROTOBUF__STRUCT__FIELDS_ENTRY__INIT;
    Google__Protobuf__Struct__FieldsEntry *fields[] = { &field };
    Google__Protobuf__Struct s = GOOGLE__PROTOBUF__STRUCT__INIT;
    number.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
    number.number_value = 7;
    list.values = values;
    list.n_values = 2;
    of_list.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
    of_list.list_value = &list;
    field.key = "k";
    field.value = &of_list;
    s.fields = fields;
    s.n_fields = 1;
    expect(&s.base, -1, "{\"k\":[7,null]}");
}

static void test_error_details_are_readable(void **state)
{
    (void) state;
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    info.reason = "WHY";
    uint8_t packed[64];
    Google__Protobuf__Any known = GOOGLE__PROTOBUF__ANY__INIT,
                          unknown = GOOGLE__PROTOBUF__ANY__INIT;
    Google__Protobuf__Any broken = GOOGLE__PROTOBUF__ANY__INIT;
    known.type_url = "type.googleapis.com/google.rpc.ErrorInfo";
    known.value.len = google__rpc__error_info__pack(&info, packed);
    known.value.data = packed;
    unknown.type_url = "example.com/other.Thing";
    unknown.value.len = 3;
    unknown.value.data = (uint8_t *) "foo";
    broken = known;
    broken.value.len = 2;
    Google__Protobuf__Any *details[] = { &known, &unknown, &broken };
    Google__Rpc__Status st = GOOGLE__RPC__STATUS__INIT;
    st.code = 3;
    st.message = "no";
    st.details = details;
    st.n_details = 3;
    expect(&st.base, -1,
           "{\"code\":3,\"message\":\"no\",\"details\":["
           "{\"@type\":\"type.googleapis.com/"
           "google.rpc.ErrorInfo\",\"value\":{\"reason\":\"WHY\",\"domain\":\"\",\"metadata\":{}}},"
           "{\"@type\":\"example.com/other.Thing\",\"value\":\"Zm9v\"},"
           "{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"value\":\"CgM=\"}]}");
}

static void test_depth_ends(void **state)
{
    (void) state;
    enum { DEPTH = 3000 };
    Google__Protobuf__Value *values = calloc(DEPTH, sizeof *values),
                            **items = calloc(DEPTH, sizeof *items);
    Google__Protobuf__ListValue *lists = calloc(DEPTH, sizeof *lists);
    assert_true(values != NULL && items != NULL && lists != NULL);
    for (int i = 0; i < DEPTH; i++) {
        google__protobuf__value__init(&values[i]);
        google__protobuf__list_value__init(&lists[i]);
        values[i].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
        values[i].list_value = &lists[i];
        if (i + 1 < DEPTH) {
            items[i] = &values[i + 1];
            lists[i].values = &items[i];
            lists[i].n_values = 1;
        }
    }
    struct buf b = { 0 };
    novel_json_put(&b, &values[0].base, -1);
    assert_non_null(strstr(buf_str(&b), "[null]"));
    assert_in_range(b.size, 150, 300);
    buf_done(&b);
    free(values);
    free(items);
    free(lists);
}

static void test_without_memory(void **state)
{
    (void) state;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    char *paths[] = { "some_long_name_that_needs_memory_of_its_own",
                      "and_another_one_that_is_longer_than_the_first" };
    mask.paths = paths;
    mask.n_paths = 2;
    bool failed = true;
    for (uint64_t n = 1; n < 50 && failed; n++) {
        struct buf b = { 0 };
        alloc_fail_at(n);
        novel_json_put(&b, &mask.base, -1);
        alloc_fail_at(0);
        failed = b.failed;
        buf_done(&b);
    }
    assert_false(failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars_and_defaults),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_bytes_are_base64),
        cmocka_unit_test(test_timestamps_and_durations),
        cmocka_unit_test(test_enums_oneofs_lists),
        cmocka_unit_test(test_maps_structs_masks),
        cmocka_unit_test(test_error_details_are_readable),
        cmocka_unit_test(test_depth_ends),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
