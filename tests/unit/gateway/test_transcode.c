/* JSON <-> wire: tables for every kind of field and both dialects; properties against protobuf-c on
 * random messages of the contract and of a foreign service. */
#include "tests/unit/gateway/support.h"

#include "foreign.pb-c.h"
#include "gateway/to_json.h"
#include "gateway/to_wire.h"
#include "novel_engine_descriptors.h"
#include "novelengine/v1/novel_engine.pb-c.h"
#include "rpc/nrpc.h"

static struct desc_pool *contract, *foreign;

static int set_up(void **state)
{
    (void) state;
    struct buf b = { 0 };
    char error[256] = "";
    read_file(FOREIGN_FDS, &b);
    if (desc_pool_new(b.data, b.size, &foreign, error) < 0 ||
        desc_pool_new(novel_engine_descriptors, novel_engine_descriptors_size, &contract, error) <
            0)
        fail_msg("%s", error);
    buf_done(&b);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    desc_pool_free(foreign);
    desc_pool_free(contract);
    return 0;
}

static const struct desc_message *message(const struct desc_pool *p, const char *name)
{
    const struct desc_message *m = desc_find_message(p, name, strlen(name));
    assert_non_null(m);
    return m;
}

static int to_wire_in_steps(const struct desc_pool *pool, const struct desc_message *m,
                            const void *json, size_t size, size_t step, bool ignore_unknown,
                            struct buf *out, struct json_error *out_error)
{
    struct to_wire *t = alloc_get(sizeof *t);
    struct to_wire_options o = { .pool = pool, .ignore_unknown = ignore_unknown };
    int r = 0;
    to_wire_init(t, m, out, &o);
    for (size_t at = 0; at < size && r == 0; at += step) {
        size_t n = size - at < step ? size - at : step;
        struct guarded g = guarded_copy((const uint8_t *) json + at, n);
        r = to_wire_feed(t, g.data, n);
        guarded_free(g);
    }
    if (r == 0)
        r = to_wire_finish(t);
    if (out_error != NULL)
        *out_error = t->reader.error;
    to_wire_done(t);
    alloc_free(t);
    return r;
}

static int json_of(const struct desc_pool *pool, const struct desc_message *m,
                   enum json_dialect dialect, const void *wire, size_t size, struct buf *out)
{
    struct to_json t;
    to_json_init(&t, pool, dialect);
    struct guarded g = guarded_copy(wire, size);
    int r = to_json_message(&t, m, g.data, size, out);
    guarded_free(g);
    to_json_done(&t);
    return r;
}

/* JSON in, JSON out; or "path: message". */
static void round_trip(const struct desc_pool *pool, const struct desc_message *m, const char *json,
                       bool ignore_unknown, enum json_dialect dialect, struct buf *out)
{
    struct buf wire = { 0 }, bytewise = { 0 };
    struct json_error e, again;
    int r =
        to_wire_in_steps(pool, m, json, strlen(json), strlen(json) + 1, ignore_unknown, &wire, &e);
    assert_int_equal(
        to_wire_in_steps(pool, m, json, strlen(json), 1, ignore_unknown, &bytewise, &again), r);
    if (r == 0) {
        assert_int_equal(wire.size, bytewise.size);
        if (wire.size > 0)
            assert_memory_equal(wire.data, bytewise.data, wire.size);
        assert_int_equal(json_of(pool, m, dialect, wire.data, wire.size, out), 0);
    } else {
        assert_int_equal(r, NRPC_E_PROTO);
        assert_string_equal(e.message, again.message);
        assert_int_equal(e.offset, again.offset);
        buf_printf(out, "%s: %s", e.path, e.message);
    }
    buf_done(&wire);
    buf_done(&bytewise);
}

static const struct {
    const char *in, *out; /* out NULL: as in */
} standard_cases[] = {
    { "{}", NULL },
    { "{\"fDouble\":1.5,\"fFloat\":0.1,\"fInt32\":-7}", NULL },
    { "{\"fInt64\":\"-9223372036854775808\",\"fUint64\":\"18446744073709551615\"}", NULL },
    { "{\"fInt64\":9007199254740993,\"f_fixed64\":1e3,\"fSint64\":\"-5\"}",
      "{\"fInt64\":\"9007199254740993\",\"fSint64\":\"-5\",\"fFixed64\":\"1000\"}" },
    { "{\"fInt32\":0,\"fString\":\"\",\"fBool\":false,\"fEnum\":0}", "{}" },
    { "{\"fDouble\":-0.0}", "{\"fDouble\":-0.0}" },
    { "{\"fSint32\":-2147483648,\"fSfixed32\":\"-1\",\"fFixed32\":4294967295}",
      "{\"fSint32\":-2147483648,\"fFixed32\":4294967295,\"fSfixed32\":-1}" },
    { "{\"fDouble\":\"NaN\",\"fFloat\":\"-Infinity\"}", NULL },
    { "{\"fDouble\":\"1.5\"}", "{\"fDouble\":1.5}" },
    { "{\"fBytes\":\"-_8\"}", "{\"fBytes\":\"+/8=\"}" },
    { "{\"fEnum\":\"COLOR_DARK_BLUE\",\"rEnum\":[1,\"COLOR_NEGATIVE\",77]}",
      "{\"fEnum\":\"COLOR_DARK_BLUE\",\"rEnum\":[\"COLOR_RED\",\"COLOR_NEGATIVE\",77]}" },
    { "{\"fMessage\":{\"text\":\"a\",\"inner\":{\"inner\":{}},\"list\":[\"\",\"x\"]}}", NULL },
    { "{\"fMessage\":null,\"rInt32\":null,\"mString\":null,\"fInt32\":null}", "{}" },
    { "{\"rInt32\":[],\"rMessage\":[]}", "{}" },
    { "{\"rInt32\":[1,0,-1],\"rDouble\":[0,1e+300],\"rMessage\":[{},{\"number\":1}],\"rBool\":["
      "true,false]}",
      NULL },
    { "{\"mString\":{\"a\":\"1\",\"\":\"\"},\"mMessage\":{\"-1\":{},\"0\":{\"text\":\"x\"}},"
      "\"mBool\":{\"true\":0,\"false\":1}}",
      NULL },
    { "{\"oString\":\"\"}", NULL },
    { "{\"oInt32\":0}", NULL },
    { "{\"oMessage\":{}}", NULL },
    { "{\"oNull\":null}", NULL },
    { "{\"oString\":null,\"oInt32\":1}", "{\"oInt32\":1}" },
    { "{\"wBool\":false,\"wInt32\":0,\"wInt64\":\"5\",\"wUint64\":\"0\",\"wDouble\":0,"
      "\"wString\":\"\",\"wBytes\":\"\"}",
      NULL },
    { "{\"wInt32\":null}", "{}" },
    { "{\"timestamp\":\"2024-01-02T03:04:05.123Z\",\"duration\":\"-1.500s\",\"mask\":\"fString,"
      "fMessage.text\"}",
      NULL },
    { "{\"mask\":\"\"}", NULL },
    { "{\"structure\":{\"a\":{\"b\":[1,null,{\"c\":\"\"}]},\"e\":{},\"f\":[],\"g\":true},"
      "\"value\":null,\"listValue\":[1,\"x\",[[]]]}",
      NULL },
    { "{\"value\":{\"a\":[]}}", NULL },
    { "{\"value\":[1.5]}", NULL },
    { "{\"value\":\"s\"}", NULL },
    { "{\"any\":{}}", NULL },
    { "{\"any\":{\"@type\":\"type.googleapis.com/foreign.v1.Inner\",\"text\":\"x\"}}", NULL },
    { "{\"any\":{\"text\":\"x\",\"inner\":{\"number\":[]},\"@type\":\"x/foreign.v1.Inner\"}}",
      "any: inner.number: expected a whole number from -2147483648 to 2147483647, found a "
      "list" },
    { "{\"any\":{\"value\":\"1.500s\",\"@type\":\"type.googleapis.com/"
      "google.protobuf.Duration\"}}",
      "{\"any\":{\"@type\":\"type.googleapis.com/"
      "google.protobuf.Duration\",\"value\":\"1.500s\"}}" },
    { "{\"any\":{\"@type\":\"a/google.protobuf.Struct\",\"value\":{\"x\":[1]}}}", NULL },
    { "{\"any\":{\"@type\":\"a/google.protobuf.Any\",\"value\":{\"@type\":\"b/"
      "foreign.v1.Inner\",\"number\":3}}}",
      NULL },
    { "{\"any\":{\"@type\":\"a/google.protobuf.Int32Value\",\"value\":5}}", NULL },
    { "{\"empty\":{},\"rTimestamp\":[\"1970-01-01T00:00:00Z\"],\"rWrapper\":[0,5],\"mValue\":{"
      "\"a\":null,\"b\":{}}}",
      NULL },
    /* refused */
    { "[]", ": expected an object, found a list" },
    { "null", ": expected an object, found null" },
    { "{\"fInt32\":1.5}",
      "fInt32: expected a whole number from -2147483648 to 2147483647, found 1.5" },
    { "{\"fInt32\":2147483648}",
      "fInt32: expected a whole number from -2147483648 to 2147483647, found 2147483648" },
    { "{\"fUint32\":-1}", "fUint32: expected a whole number from 0 to 4294967295, found -1" },
    { "{\"fInt64\":9223372036854775808}",
      "fInt64: expected a whole number of 64 bits, found 9223372036854775808" },
    { "{\"fInt32\":true}",
      "fInt32: expected a whole number from -2147483648 to 2147483647, found true" },
    { "{\"fInt32\":{}}",
      "fInt32: expected a whole number from -2147483648 to 2147483647, found an object" },
    { "{\"fString\":5}", "fString: expected a string, found 5" },
    { "{\"fString\":[\"a\"]}", "fString: expected a string, found a list" },
    { "{\"fBool\":\"true\"}", "fBool: expected true or false, found a string" },
    { "{\"fBool\":1}", "fBool: expected true or false, found 1" },
    { "{\"fBytes\":\"*\"}", "fBytes: expected a base64 string, found a string" },
    { "{\"fFloat\":1e39}", "fFloat: expected a number, found 1e39" },
    { "{\"fDouble\":1e999}", "fDouble: expected a number, found 1e999" },
    { "{\"fDouble\":\"\"}", "fDouble: expected a number, found a string" },
    { "{\"fEnum\":\"COLOR_REDD\"}",
      "fEnum: expected a name of the enum foreign.v1.Everything.Color; did you mean "
      "\"COLOR_RED\"?" },
    { "{\"rInt32\":5}", "rInt32: expected a list, found 5" },
    { "{\"rInt32\":[null]}",
      "rInt32[0]: expected a whole number from -2147483648 to 2147483647, found null" },
    { "{\"rMessage\":[null]}", "rMessage[0]: expected a value, found null" },
    { "{\"rInt32\":[[1]]}",
      "rInt32[0]: expected a whole number from -2147483648 to 2147483647, found a list" },
    { "{\"mString\":[]}", "mString: expected an object, found a list" },
    { "{\"mMessage\":{\"x\":{}}}", "mMessage.x: the key must be a whole number of 64 bits" },
    { "{\"mString\":{\"a\":null}}", "mString.a: expected a string, found null" },
    { "{\"mBool\":{\"TRUE\":1}}", "mBool.TRUE: the key must be true or false" },
    { "{\"oString\":\"a\",\"oInt32\":1}", "oInt32: only one field of \"choice\" may be set" },
    { "{\"fInt32\":1,\"f_int32\":2}",
      "f_int32: the field stands twice, as \"f_int32\" and \"fInt32\"" },
    { "{\"fInt33\":1}", "fInt33: unknown field; did you mean \"fInt32\"?" },
    { "{\"fMessage\":{\"txet\":1}}", "fMessage.txet: unknown field; did you mean \"text\"?" },
    { "{\"qqq\":1}", "qqq: unknown field" },
    { "{\"timestamp\":5}", "timestamp: expected a string, found 5" },
    { "{\"timestamp\":\"x\"}",
      "timestamp: expected an RFC 3339 time such as \"2030-01-31T12:00:00Z\", found a string" },
    { "{\"mask\":\"f_string\"}", "mask: expected field paths joined by commas, found a string" },
    { "{\"mask\":\"a,\"}", "mask: expected field paths joined by commas, found a string" },
    { "{\"structure\":[]}", "structure: expected an object, found a list" },
    { "{\"listValue\":{}}", "listValue: expected a list, found an object" },
    { "{\"any\":{\"text\":1}}", "any: \"@type\" is missing" },
    { "{\"any\":{\"@type\":\"a/nope\"}}", "any: \"@type\" names no known message" },
    { "{\"any\":{\"@type\":5}}",
      "any.@type: expected a type URL such as \"type.googleapis.com/package.Message\"" },
    { "{\"any\":{\"@type\":\"a/google.protobuf.Duration\",\"val\":1}}",
      "any: val: unknown field; the value of this type stands in \"value\"" },
    { "{\"wInt32\":\"x\"}",
      "wInt32: expected a whole number from -2147483648 to 2147483647, found a string" },
    { "{\"empty\":{\"a\":1}}", "empty.a: unknown field" },
};

static void standard_dialect(void **state)
{
    (void) state;
    const struct desc_message *m = message(foreign, "foreign.v1.Everything");
    for (size_t i = 0; i < sizeof standard_cases / sizeof *standard_cases; i++) {
        struct buf b = { 0 };
        const char *want =
            standard_cases[i].out == NULL ? standard_cases[i].in : standard_cases[i].out;
        round_trip(foreign, m, standard_cases[i].in, false, JSON_STANDARD, &b);
        if (strcmp(buf_str(&b), want) != 0)
            print_message("%s\n", standard_cases[i].in);
        assert_string_equal(buf_str(&b), want);
        buf_done(&b);
    }
}

static void legacy_dialect(void **state)
{
    (void) state;
    static const struct {
        const char *type, *in, *out;
    } cases[] = {
        { "novelengine.v1.Character", "{\"character_id\":\"a\",\"skills\":{\"x\":1}}",
          "{\"character_id\":\"a\",\"character_name\":\"\",\"name\":\"\",\"background_summary\":"
          "\"\",\"personality_traits\":\"\",\"current_status\":\"\","
          "\"narrative_context\":\"\",\"skills\":{\"x\":1.0},\"relationships\":{},\"current_"
          "location\":\"\",\"inventory\":[],\"metadata\":{},\"structured_data\":{},\"etag\":"
          "\"\"}" },
        { "novelengine.v1.SimulationRequest",
          "{\"character_names\":[\"a\"],\"turns\":3,\"seed\":9007199254740991,\"characterName\":1,"
          "\"x\":{\"y\":[{}]}}",
          "{\"character_names\":[\"a\"],\"turns\":3,\"setting\":\"\",\"scenario\":\"\",\"seed\":"
          "9007199254740991,\"mood\":\"\",\"campaign_id\":\"\",\"narrative_style\":\"\","
          "\"constraints\":{}}" },
        { "novelengine.v1.SimulationUpdate",
          "{\"sequence\":\"18446744073709551615\",\"type\":\"TYPE_NOPE\",\"progressPercent\":5,"
          "\"error\":{\"code\":5,\"details\":[{\"@type\":\"a/"
          "google.rpc.ErrorInfo\",\"reason\":\"X\"}]}}",
          "{\"sequence\":18446744073709551615,\"type\":\"TYPE_UNSPECIFIED\",\"error\":{\"code\":5,"
          "\"message\":\"\",\"details\":[{\"@type\":\"a/"
          "google.rpc.ErrorInfo\",\"reason\":\"X\",\"domain\":\"\",\"metadata\":{}}]},\"simulation_"
          "id\":\"\",\"progress_percent\":5}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = { 0 };
        round_trip(contract, message(contract, cases[i].type), cases[i].in, true, JSON_LEGACY, &b);
        assert_string_equal(buf_str(&b), cases[i].out);
        buf_done(&b);
    }
}

static void bounds_nesting(void **state)
{
    (void) state;
    const struct desc_message *m = message(foreign, "foreign.v1.Everything");
    for (int depth = 10; depth <= 120; depth += 5) {
        struct buf list = { 0 }, any = { 0 };
        buf_puts(&list, "{\"value\":");
        for (int i = 0; i < depth; i++)
            buf_puts(&list, "[");
        for (int i = 0; i < depth; i++)
            buf_puts(&list, "]");
        buf_puts(&list, "}");
        struct buf wire = { 0 };
        int r = to_wire_in_steps(foreign, m, list.data, list.size, list.size, false, &wire, NULL);
        assert_int_equal(r, depth <= 50 ? 0 : NRPC_E_PROTO);
        buf_puts(&any, "{\"any\":");
        for (int i = 0; i < depth / 5; i++)
            buf_puts(&any, "{\"@type\":\"a/google.protobuf.Any\",\"value\":");
        buf_puts(&any, "{}");
        for (int i = 0; i < depth / 5; i++)
            buf_puts(&any, "}");
        buf_puts(&any, "}");
        r = to_wire_in_steps(foreign, m, any.data, any.size, any.size, false, &wire, NULL);
        assert_int_equal(r, depth / 5 < TO_WIRE_ANY_MAX ? 0 : NRPC_E_PROTO);
        buf_done(&wire);
        buf_done(&list);
        buf_done(&any);
    }
    /* A message 10,000 deep on the wire. */
    struct buf deep = { 0 }, out = { 0 };
    for (int i = 0; i < 10000; i++) {
        struct buf outer = { 0 };
        wire_put_bytes(&outer, 3, deep.data, deep.size);
        buf_done(&deep);
        deep = outer;
    }
    assert_int_equal(json_of(foreign, message(foreign, "foreign.v1.Inner"), JSON_LEGACY, deep.data,
                             deep.size, &out),
                     NRPC_E_PROTO);
    assert_int_equal(out.size, 0);
    buf_done(&deep);
    buf_done(&out);
}

static void reads_any_order_and_refuses_damage(void **state)
{
    (void) state;
    static const struct {
        const char *wire;
        size_t size;
        const char *json; /* NULL: malformed */
    } cases[] = {
        { "\x10\x01\x10\x02", 4, "{\"number\":2}" }, /* last one wins */
        { "\x22\x01"
          "a\x10\x05\x22\x01"
          "b",
          8, "{\"number\":5,\"list\":[\"a\",\"b\"]}" }, /* a list in two places */
        { "\x1a\x03\x0a\x01x\x1a\x02\x10\x07", 9,
          "{\"inner\":{\"text\":\"x\",\"number\":7}}" },             /* merged */
        { "\x9b\x06\x10\x01\x9c\x06\x10\x03", 8, "{\"number\":3}" }, /* an unknown group */
        { "\x10", 1, NULL },
        { "\x0a\x05"
          "ab",
          4, NULL },
        { "\x0a\xff\xff\xff\xff\x0f", 6, NULL },
        { "\x00\x01", 2, NULL },
        { "\x0a\x01\xff", 3, NULL },
        { "\x08\x01", 2, "{}" }, /* another wire type: an unknown field */
        { "\x12\x00", 2, "{}" },
        { "\x88\x80\x80\x80\x80\x80\x00\x01", 8, NULL }, /* a tag of more than five bytes */
        { "\x88\x80\x80\x80\x40\x01", 6, NULL },         /* of more than 32 bits */
        { "\x9b\x06", 2, NULL },
        { "\x9c\x06", 2, NULL },
        { "\x0f", 1, NULL },
    };
    const struct desc_message *m = message(foreign, "foreign.v1.Inner");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = { 0 };
        int r = json_of(foreign, m, JSON_STANDARD, cases[i].wire, cases[i].size, &b);
        if (r != (cases[i].json == NULL ? NRPC_E_PROTO : 0))
            print_message("case %zu\n", i);
        assert_int_equal(r, cases[i].json == NULL ? NRPC_E_PROTO : 0);
        assert_string_equal(buf_str(&b), cases[i].json == NULL ? "" : cases[i].json);
        buf_done(&b);
    }
    /* A key that stands twice in a map has its last value. */
    struct buf b = { 0 };
    assert_int_equal(json_of(foreign, message(foreign, "foreign.v1.Everything"), JSON_STANDARD,
                             "\xc2\x01\x06\x0a\x01"
                             "a\x12\x01"
                             "1\xc2\x01\x06\x0a\x01"
                             "b\x12\x01"
                             "2\xc2\x01\x06\x0a\x01"
                             "a\x12\x01"
                             "3",
                             27, &b),
                     0);
    assert_string_equal(buf_str(&b), "{\"mString\":{\"b\":\"2\",\"a\":\"3\"}}");
    buf_done(&b);
}

/* ---- random messages ------------------------------------------------------------------- */

static void put_random(uint64_t *rng, const struct desc_message *m, struct buf *b, unsigned depth);

static void put_random_text(uint64_t *rng, struct buf *b)
{
    static const char *const pieces[] = { "a",    "Zq",       "\"",           "\\",
                                          "\n",   "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                          "\x01", "/",        "\x7f",         "</x>" };
    struct buf text = { 0 };
    for (uint64_t n = 1 + random_below(rng, 6); n > 0; n--)
        buf_puts(&text, pieces[random_below(rng, sizeof pieces / sizeof *pieces)]);
    wire_put_varint(b, text.size);
    buf_put(b, text.data, text.size);
    buf_done(&text);
}

/* Never the default value, so that both sides agree on what is present. */
static void put_random_scalar(uint64_t *rng, const struct desc_field *f, struct buf *b)
{
    uint64_t bits = random_next(rng) >> random_below(rng, 64);
    bits += bits == 0;
    double wide = (double) (int64_t) bits / 1000;
    float narrow = (float) wide;
    uint32_t low = (uint32_t) bits | 1;
    switch (f->type) {
    case DESC_DOUBLE:
        memcpy(&bits, &wide, sizeof bits);
        wire_put_fixed64(b, bits);
        break;
    case DESC_FLOAT:
        memcpy(&low, &narrow, sizeof low);
        wire_put_fixed32(b, low);
        break;
    case DESC_FIXED32:
    case DESC_SFIXED32:
        wire_put_fixed32(b, low);
        break;
    case DESC_FIXED64:
    case DESC_SFIXED64:
        wire_put_fixed64(b, bits);
        break;
    case DESC_INT32:
        wire_put_varint(b, (uint64_t) (int64_t) (int32_t) low);
        break;
    case DESC_UINT32:
    case DESC_SINT32:
        wire_put_varint(b, low);
        break;
    case DESC_BOOL:
        wire_put_varint(b, 1);
        break;
    case DESC_ENUM:
        wire_put_varint(b, f->enumeration->n_values == 1
                               ? 0
                               : (uint64_t) (int64_t) f->enumeration
                                     ->values[1 + random_below(rng, f->enumeration->n_values - 1)]
                                     .number);
        break;
    case DESC_STRING:
    case DESC_BYTES:
        put_random_text(rng, b);
        break;
    default:
        wire_put_varint(b, bits);
        break;
    }
}

static void put_random_field(uint64_t *rng, const struct desc_field *f, struct buf *b,
                             unsigned depth)
{
    wire_put_tag(b, f->number, (enum wire_type) desc_wire_type(f->type));
    if (f->type != DESC_MESSAGE) {
        put_random_scalar(rng, f, b);
        return;
    }
    size_t region = wire_region_open(b);
    put_random(rng, f->message, b, depth);
    wire_region_close(b, region);
}

static void put_random_map(uint64_t *rng, const struct desc_field *f, struct buf *b, unsigned depth)
{
    const struct desc_field *k = desc_field_by_number(f->message, 1),
                            *v = desc_field_by_number(f->message, 2);
    uint64_t n = k->type == DESC_BOOL ? 1 : 1 + random_below(rng, 3);
    for (uint64_t i = 1; i <= n; i++) {
        wire_put_tag(b, f->number, WIRE_BYTES);
        size_t region = wire_region_open(b);
        if (k->type == DESC_STRING) {
            char key[16];
            wire_put_bytes(b, 1, key, (size_t) snprintf(key, sizeof key, "k%d", (int) i));
        } else {
            wire_put_tag(b, 1, (enum wire_type) desc_wire_type(k->type));
            wire_put_varint(b, k->type == DESC_BOOL ? 1 : i);
        }
        put_random_field(rng, v, b, depth);
        wire_region_close(b, region);
    }
}

static void put_random_value(uint64_t *rng, const struct desc_message *m, struct buf *b,
                             unsigned depth)
{
    static const uint32_t kinds[] = { 1, 2, 3, 4, 5, 6 };
    const struct desc_field *f =
        desc_field_by_number(m, kinds[random_below(rng, depth == 0 ? 4 : 6)]);
    put_random_field(rng, f, b, depth);
}

static void put_random_well_known(uint64_t *rng, const struct desc_message *m, struct buf *b,
                                  unsigned depth)
{
    static const char *const masks[] = { "foo_bar", "a.b_c", "x" };
    const char *path = masks[random_below(rng, 3)];
    switch (m->wkt) {
    case DESC_TIMESTAMP:
    case DESC_DURATION:
        wire_put_tag(b, 1, WIRE_VARINT);
        wire_put_varint(b, 1 + random_below(rng, 1ull << 32));
        wire_put_tag(b, 2, WIRE_VARINT);
        wire_put_varint(b, 1 + random_below(rng, 999999999));
        break;
    case DESC_FIELD_MASK:
        wire_put_bytes(b, 1, path, strlen(path));
        break;
    case DESC_VALUE:
        put_random_value(rng, m, b, depth);
        break;
    case DESC_LIST_VALUE:
        for (uint64_t n = random_below(rng, 3); n > 0 && depth > 0; n--)
            put_random_field(rng, desc_field_by_number(m, 1), b, depth - 1);
        break;
    case DESC_STRUCT:
        if (depth > 0)
            put_random_map(rng, desc_field_by_number(m, 1), b, depth - 1);
        break;
    case DESC_ANY:
        wire_put_bytes(b, 1, "x/google.protobuf.Duration", 26);
        wire_put_bytes(b, 2, "\x08\x05", 2);
        break;
    default: /* a wrapper */
        put_random_field(rng, desc_field_by_number(m, 1), b, depth);
        break;
    }
}

static void put_random(uint64_t *rng, const struct desc_message *m, struct buf *b, unsigned depth)
{
    uint64_t oneofs = 0;
    if (m->wkt != DESC_PLAIN) {
        put_random_well_known(rng, m, b, depth);
        return;
    }
    for (size_t i = 0; i < m->n_fields; i++) {
        const struct desc_field *f = &m->fields[i];
        if (random_below(rng, 3) == 0 || (f->message != NULL && depth == 0))
            continue;
        if (f->oneof >= 0 && (oneofs & 1u << f->oneof) != 0)
            continue;
        if (f->oneof >= 0)
            oneofs |= 1u << f->oneof;
        if (f->map) {
            put_random_map(rng, f, b, depth - 1);
            continue;
        }
        for (uint64_t n = f->repeated ? 1 + random_below(rng, 3) : 1; n > 0; n--)
            put_random_field(rng, f, b, depth == 0 ? 0 : depth - 1);
    }
}

/* protobuf-c's opinion: the message, packed again. */
static void repack(const ProtobufCMessageDescriptor *d, const struct buf *wire, struct buf *out)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(d, NULL, wire->size, wire->data);
    assert_non_null(m);
    buf_reset(out);
    uint8_t *to = buf_grow(out, protobuf_c_message_get_packed_size(m));
    if (out->size > 0)
        protobuf_c_message_pack(m, to);
    protobuf_c_message_free_unpacked(m, NULL);
}

static void agrees_with_protobuf_c(void **state)
{
    (void) state;
    const struct {
        const struct desc_pool *pool;
        const ProtobufCMessageDescriptor *descriptor;
    } types[] = {
        { foreign, &foreign__v1__everything__descriptor },
        { contract, &novelengine__v1__character__descriptor },
        { contract, &novelengine__v1__simulation_update__descriptor },
        { contract, &novelengine__v1__simulation__descriptor },
        { contract, &novelengine__v1__director_command__descriptor },
        { contract, &novelengine__v1__explanation__descriptor },
        { contract, &novelengine__v1__system_status__descriptor },
    };
    uint64_t rng = 42;
    for (int i = 0; i < 7000; i++) {
        const struct desc_pool *pool = types[i % 7].pool;
        const ProtobufCMessageDescriptor *d = types[i % 7].descriptor;
        const struct desc_message *m = message(pool, d->name);
        struct buf raw = { 0 }, packed = { 0 }, json = { 0 }, wire = { 0 }, again = { 0 },
                   legacy = { 0 }, twice = { 0 };
        struct json_error e;
        put_random(&rng, m, &raw, 4);
        repack(d, &raw, &packed);
        assert_int_equal(json_of(pool, m, JSON_STANDARD, packed.data, packed.size, &json), 0);
        if (to_wire_in_steps(pool, m, json.data, json.size, 1 + random_below(&rng, 50), false,
                             &wire, &e) != 0)
            fail_msg("%s: %s\n%s", e.path, e.message, buf_str(&json));
        repack(d, &wire, &again);
        if (again.size != packed.size)
            print_message("%s\n", buf_str(&json));
        assert_int_equal(again.size, packed.size);
        if (packed.size > 0)
            assert_memory_equal(again.data, packed.data, packed.size);
        /* The legacy dialect says more, but it reads back as what it says. */
        assert_int_equal(json_of(pool, m, JSON_LEGACY, packed.data, packed.size, &legacy), 0);
        buf_reset(&wire);
        struct to_wire_options o = { .pool = pool, .accept_snake = true };
        struct to_wire *t = alloc_get(sizeof *t);
        to_wire_init(t, m, &wire, &o);
        assert_int_equal(to_wire_feed(t, legacy.data, legacy.size), 0);
        assert_int_equal(to_wire_finish(t), 0);
        to_wire_done(t);
        alloc_free(t);
        assert_int_equal(json_of(pool, m, JSON_LEGACY, wire.data, wire.size, &twice), 0);
        assert_string_equal(buf_str(&twice), buf_str(&legacy));
        /* Damage is refused or read, never worse. */
        if (packed.size > 0) {
            packed.data[random_below(&rng, packed.size)] ^= (uint8_t) (1u << random_below(&rng, 8));
            buf_reset(&json);
            json_of(pool, m, JSON_LEGACY, packed.data, packed.size, &json);
            json_of(pool, m, JSON_STANDARD, packed.data, packed.size - 1, &json);
        }
        struct buf *all[] = { &raw, &packed, &json, &wire, &again, &legacy, &twice };
        for (size_t k = 0; k < 7; k++)
            buf_done(all[k]);
    }
}

static void survives_without_memory(void **state)
{
    (void) state;
    static const char json[] =
        "{\"fMessage\":{\"inner\":{\"text\":\"a\\nb\"}},\"mString\":{\"a\":\"b\",\"c\":\"d\"},"
        "\"structure\":{\"x\":[1]},"
        "\"any\":{\"@type\":\"a/foreign.v1.Inner\",\"text\":\"x\"},\"rMessage\":[{},{}]}";
    const struct desc_message *m = message(foreign, "foreign.v1.Everything");
    for (uint64_t n = 1; n < 60; n++) {
        struct buf wire = { 0 }, out = { 0 };
        struct to_wire t;
        struct to_json j;
        struct to_wire_options o = { .pool = foreign };
        to_wire_init(&t, m, &wire, &o);
        to_json_init(&j, foreign, JSON_LEGACY);
        alloc_fail_at(n);
        int r = to_wire_feed(&t, json, sizeof json - 1);
        if (r == 0)
            r = to_wire_finish(&t);
        if (r == 0)
            r = to_json_message(&j, m, wire.data, wire.size, &out);
        alloc_fail_at(0);
        assert_true(r == 0 || r == NRPC_E_NOMEM);
        to_wire_done(&t);
        to_json_done(&j);
        buf_done(&wire);
        buf_done(&out);
    }
}

/* The contract's rules are told where a value cannot even be read. */
static void tells_rules(void **state)
{
    (void) state;
    static const struct {
        const char *type, *json, *error;
    } cases[] = {
        { "SimulationRequest", "{\"turns\":\"x\"}",
          "turns: expected a whole number from 1 to 50, found a string" },
        { "SimulationRequest", "{\"turns\":1.5}",
          "turns: expected a whole number from 1 to 50, found 1.5" },
        { "SimulationRequest", "{\"character_names\":[1]}",
          "character_names[0]: expected a string, found 1" },
        { "ListCharactersRequest", "{\"page_size\":[]}",
          "page_size: expected a whole number of at least 0, found a list" },
        { "Character", "{\"skills\":{\"a\":\"much\"}}",
          "skills.a: expected a number from 0 to 1, found a string" },
        { "Character", "{\"metadata\":{\"a\":1e999}}",
          "metadata.a: expected a number, found 1e999" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[100], text[450];
        struct json_error e;
        struct buf wire = { 0 };
        snprintf(name, sizeof name, "novelengine.v1.%s", cases[i].type);
        assert_int_equal(to_wire_in_steps(contract, message(contract, name), cases[i].json,
                                          strlen(cases[i].json), 5, false, &wire, &e),
                         NRPC_E_PROTO);
        snprintf(text, sizeof text, "%s: %s", e.path, e.message);
        assert_string_equal(text, cases[i].error);
        buf_done(&wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_dialect),
        cmocka_unit_test(legacy_dialect),
        cmocka_unit_test(tells_rules),
        cmocka_unit_test(bounds_nesting),
        cmocka_unit_test(reads_any_order_and_refuses_damage),
        cmocka_unit_test(agrees_with_protobuf_c),
        cmocka_unit_test(survives_without_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
