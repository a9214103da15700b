/* The codec against hostile bytes, against protobuf-c itself, and without memory; messages and
 * blobs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <cmocka.h>
#include <google/protobuf/descriptor.pb-c.h>
#include <google/protobuf/struct.pb-c.h>
#include <google/protobuf/wrappers.pb-c.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/gauge.h"
#include "rpc/grpc/codec.h"
#include "guard.h"

#define VALUE    &google__protobuf__value__descriptor
#define STRING   &google__protobuf__string_value__descriptor
#define INT32    &google__protobuf__int32_value__descriptor
#define DOUBLE   &google__protobuf__double_value__descriptor
#define FLOAT    &google__protobuf__float_value__descriptor
#define LIST     &google__protobuf__list_value__descriptor
#define LOCATION &google__protobuf__source_code_info__location__descriptor

#define BYTES(s) s, sizeof(s) - 1

static void test_scan_table(void **state)
{
    (void) state;
    static const struct {
        const ProtobufCMessageDescriptor *type;
        const char *bytes;
        size_t size;
        const char *reason; /* NULL: accepted */
        size_t offset;
    } cases[] = {
        { STRING, BYTES(""), NULL, 0 },
        { STRING, BYTES("\x0a\x02hi"), NULL, 0 },
        { STRING, BYTES("\x0a\x00"), NULL, 0 },
        { INT32, BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), NULL, 0 },
        { INT32, BYTES("\x88\x80\x00\x01"), NULL, 0 },        /* a tag longer than it needs to be */
        { LOCATION, BYTES("\x0a\x03\x01\xac\x02"), NULL, 0 }, /* packed */
        { LOCATION, BYTES("\x08\x01\x08\x02"), NULL, 0 },     /* the same field, not packed */
        { STRING,
          BYTES("\x10\x05\x19"
                "12345678"
                "\x25"
                "1234"
                "\x2a\x01\xff"),
          NULL, 0 }, /* unknown fields */
        { STRING, BYTES("\x0a\x05hi"), "length runs past the end", 1 },
        { STRING, BYTES("\x0a"), "bad length", 1 },
        { STRING, BYTES("\x0a\x80"), "bad length", 1 },
        { STRING, BYTES("\x0a\xff\xff\xff\xff\x0f"), "length runs past the end", 1 },
        { STRING, BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "bad length", 1 },
        { STRING,
          BYTES("\x0a\x03"
                "a\xc0\xaf"),
          "string is not UTF-8", 3 },
        { STRING, BYTES("\x0a\x03\xed\xa0\x80"), "string is not UTF-8", 2 }, /* a surrogate */
        { STRING,
          BYTES("\x0a\x03"
                "a\x00"
                "b"),
          "string contains a NUL character", 3 },
        { STRING, BYTES("\x08\x01"), "wire type does not fit the field", 0 },
        { INT32, BYTES("\x0a\x01\x01"), "wire type does not fit the field", 0 },
        { INT32, BYTES("\x08"), "bad varint", 1 },
        { INT32, BYTES("\x08\x80"), "bad varint", 1 },
        { INT32, BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "bad varint",
          1 }, /* 65 bits */
        { INT32, BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "bad varint", 1 },
        { DOUBLE,
          BYTES("\x09"
                "1234567"),
          "number is cut off", 1 },
        { FLOAT,
          BYTES("\x0d"
                "123"),
          "number is cut off", 1 },
        { STRING, BYTES("\x00\x01"), "field number 0", 0 },
        { STRING, BYTES("\x02\x00"), "field number 0", 0 },
        { STRING, BYTES("\xff\xff\xff\xff\xff\x01\x00"), "bad tag", 0 },
        { STRING, BYTES("\xf8\xff\xff\xff\x7f\x00"), "bad tag", 0 },
        { STRING, BYTES("\x80"), "bad tag", 0 },
        { STRING, BYTES("\x13\x14"), "groups and unknown wire types are not supported", 1 },
        { STRING, BYTES("\x0c"), "wire type does not fit the field", 0 },
        { STRING, BYTES("\x16"), "groups and unknown wire types are not supported", 1 },
        { STRING, BYTES("\x17"), "groups and unknown wire types are not supported", 1 },
        { LOCATION, BYTES("\x0a\x02\x01\x80"), "bad varint in a packed field", 3 },
        { LIST,
          BYTES("\x0a\x04\x1a\x05"
                "ab"),
          "length runs past the end", 3 }, /* past its parent's end */
        { LIST, BYTES("\x0a\x03\x1a\x01\xff"), "string is not UTF-8", 4 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct codec_error error = { NULL, 999 };
        int r = codec_scan(cases[i].type, guarded(cases[i].bytes, cases[i].size), &error);
        assert_int_equal(r, cases[i].reason == NULL ? 0 : NRPC_E_PROTO);
        if (cases[i].reason == NULL) {
            assert_int_equal(error.offset, 999);
            continue;
        }
        assert_string_equal(error.reason, cases[i].reason);
        assert_int_equal(error.offset, cases[i].offset);
    }
}

/* A Value that holds a list that holds a Value ...: two levels a step.  Built from the inside. */
static nrpc_slice nested(unsigned steps, uint8_t *room, size_t size)
{
    uint8_t *at = room + size;
    size_t n = 0;
    for (unsigned i = 0; i < steps; i++)
        for (int part = 0; part < 2; part++) {
            uint8_t length[10];
            size_t l = 0, rest = n;
            do
                length[l++] = (uint8_t) ((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
            while ((rest >>= 7) != 0);
            at -= l;
            memcpy(at, length, l);
            *--at = part == 0 ? 0x0a : 0x32; /* ListValue.values, Value.list_value */
            n += l + 1;
        }
    return (nrpc_slice){ at, n };
}

static nrpc_msg *msg_of(nrpc_slice bytes)
{
    nrpc_msg *m = codec_msg_new(bytes.size);
    assert_non_null(m);
    if (bytes.size > 0)
        memcpy(codec_msg_data(m), bytes.data, bytes.size);
    return m;
}

static void test_depth(void **state)
{
    (void) state;
    enum { ROOM = 1 << 20 };
    uint8_t *room = malloc(ROOM);
    assert_non_null(room);
    static const struct {
        unsigned steps;
        int want;
    } cases[] = { { 1, 0 },
                  { CODEC_DEPTH_MAX / 2, 0 },
                  { CODEC_DEPTH_MAX / 2 + 1, NRPC_E_PROTO },
                  { 100000, NRPC_E_PROTO } };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        nrpc_slice bytes = nested(cases[i].steps, room, ROOM);
        nrpc_status st = NRPC_STATUS_INIT;
        nrpc_msg *m = msg_of(bytes);
        assert_int_equal(codec_decode(m, VALUE, &st), cases[i].want);
        assert_int_equal(nrpc_msg_body(m) != NULL, cases[i].want == 0);
        if (cases[i].want != 0) {
            assert_int_equal(st.code, NRPC_INTERNAL);
            assert_non_null(strstr(st.message, "nested too deep"));
        }
        nrpc_msg_free(m);
        nrpc_status_clear(&st);
    }
    free(room);
}

static size_t sample(uint8_t *out, size_t size)
{
    Google__Protobuf__Value a = GOOGLE__PROTOBUF__VALUE__INIT, b = a, c = a, outer = a,
                            *items[] = { &a, &b, &c };
    Google__Protobuf__ListValue list = GOOGLE__PROTOBUF__LIST_VALUE__INIT;
    a.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    a.string_value = (char *) "h\xc3\xa9llo";
    b.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
    b.number_value = 42.5;
    c.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
    c.bool_value = 1;
    list.n_values = ARRAY_SIZE(items);
    list.values = items;
    outer.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
    outer.list_value = &list;
    assert_true(google__protobuf__value__get_packed_size(&outer) <= size);
    return google__protobuf__value__pack(&outer, out);
}

static void test_decode_gives_the_message(void **state)
{
    (void) state;
    uint8_t bytes[100];
    size_t size = sample(bytes, sizeof bytes);
    nrpc_msg *m = msg_of((nrpc_slice){ bytes, size });
    assert_int_equal(gauge_read(GAUGE_MESSAGES), 1);
    assert_null(nrpc_msg_body(m));
    assert_int_equal(codec_decode(m, NULL, NULL), 0); /* a raw method */
    assert_null(nrpc_msg_body(m));
    assert_int_equal(codec_decode(m, VALUE, NULL), 0);
    const Google__Protobuf__Value *v = (const Google__Protobuf__Value *) nrpc_msg_body(m);
    assert_int_equal(v->list_value->n_values, 3);
    assert_string_equal(v->list_value->values[0]->string_value, "h\xc3\xa9llo");
    assert_true(v->list_value->values[1]->number_value == 42.5);
    assert_memory_equal(nrpc_msg_bytes(m).data, bytes, size);
    nrpc_msg_free(m);
    nrpc_msg_free(NULL);
    assert_int_equal(gauge_read(GAUGE_MESSAGES), 0);
}

/* Whatever the scan lets pass, protobuf-c unpacks: mutated messages, cut messages, pure noise. */
static void test_scan_agrees_with_protobuf_c(void **state)
{
    (void) state;
    static const ProtobufCMessageDescriptor *const types[] = { VALUE,  STRING,   INT32,
                                                               DOUBLE, LOCATION, LIST };
    unsigned accepted = 0, refused = 0;
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[100];
        size_t size = sample(bytes, sizeof bytes);
        const ProtobufCMessageDescriptor *type = VALUE;
        if (round % 4 == 0) {
            size = test_random() % 24;
            for (size_t i = 0; i < size; i++)
                bytes[i] = (uint8_t) (test_random() % 3 == 0 ? test_random() : test_random() % 32);
            type = types[test_random() % ARRAY_SIZE(types)];
        } else {
            for (uint64_t n = test_random() % 3; n > 0; n--)
                bytes[test_random() % size] = (uint8_t) test_random();
            if (test_random() % 4 == 0)
                size = test_random() % size;
        }
        struct codec_error error;
        nrpc_slice slice = guarded(bytes, size);
        int r = codec_scan(type, slice, &error);
        if (r < 0) {
            assert_true(error.offset <= size);
            refused++;
            continue;
        }
        accepted++;
        struct buf whole = { 0 };
        assert_int_equal(codec_merge(type, slice, &whole), 0);
        if (r == CODEC_SPLIT)
            slice = (nrpc_slice){ whole.data, whole.size };
        ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, slice.size, slice.data);
        assert_non_null(m);
        protobuf_c_message_free_unpacked(m, NULL);
        buf_done(&whole);
    }
    assert_true(accepted > 1000 && refused > 1000);
}

/* A singular sub-message in pieces is their merge, wherever it stands and unless another member of
 * its oneof came between. */
static void test_pieces_are_merged(void **state)
{
    (void) state;
#define OPTIONS &google__protobuf__file_options__descriptor
#define FIELD   &google__protobuf__field_descriptor_proto__descriptor
#define ENTRY   &google__protobuf__struct__fields_entry__descriptor
    static const struct {
        const ProtobufCMessageDescriptor *type;
        const char *bytes;
        size_t size;
        int scanned;
        const char *packed;
        size_t packed_size;
    } cases[] = {
        /* FieldDescriptorProto.options: packed, then deprecated */
        { FIELD, BYTES("\x42\x02\x10\x01\x42\x02\x18\x01"), CODEC_SPLIT,
          BYTES("\x42\x04\x10\x01\x18\x01") },
        { FIELD, BYTES("\x42\x02\x10\x01"), 0, BYTES("\x42\x02\x10\x01") },
        { FIELD, BYTES("\x42\x00\x42\x00"), CODEC_SPLIT, BYTES("\x42\x00") },
        /* Value.list_value within an entry of a Struct: [null] and [true] */
        { ENTRY, BYTES("\x12\x06\x32\x04\x0a\x02\x08\x00\x12\x06\x32\x04\x0a\x02\x20\x01"),
          CODEC_SPLIT, BYTES("\x12\x0a\x32\x08\x0a\x02\x08\x00\x0a\x02\x20\x01") },
        /* list_value, then a number, then list_value: only the last counts */
        { VALUE, BYTES("\x32\x04\x0a\x02\x08\x00\x20\x01\x32\x04\x0a\x02\x20\x01"), CODEC_SPLIT,
          BYTES("\x32\x04\x0a\x02\x20\x01") },
        { VALUE, BYTES("\x32\x04\x0a\x02\x08\x00\x32\x00\x20\x01"), CODEC_SPLIT,
          BYTES("\x20\x01") },
        { LIST, BYTES("\x0a\x02\x20\x01\x0a\x02\x20\x01"), 0,
          BYTES("\x0a\x02\x20\x01\x0a\x02\x20\x01") },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct codec_error error;
        nrpc_slice in = guarded(cases[i].bytes, cases[i].size);
        assert_int_equal(codec_scan(cases[i].type, in, &error), cases[i].scanned);
        nrpc_msg *m = msg_of(in);
        assert_int_equal(codec_decode(m, cases[i].type, NULL), 0);
        uint8_t packed[64];
        assert_true(protobuf_c_message_get_packed_size(nrpc_msg_body(m)) <= sizeof packed);
        size_t size = protobuf_c_message_pack(nrpc_msg_body(m), packed);
        assert_int_equal(size, cases[i].packed_size);
        assert_memory_equal(packed, cases[i].packed, size);
        nrpc_msg_free(m);
    }
}

static void test_required_field_is_told(void **state)
{
    (void) state;
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_msg *m = msg_of((nrpc_slice){ NULL, 0 });
    assert_int_equal(
        codec_decode(m, &google__protobuf__uninterpreted_option__name_part__descriptor, &st),
        NRPC_E_PROTO);
    assert_int_equal(st.code, NRPC_INTERNAL);
    assert_non_null(strstr(st.message, "required field"));
    nrpc_status_clear(&st);
    nrpc_msg_free(m);
}

static nrpc_msg *msg_of_many(size_t n, const uint8_t *item, size_t each)
{
    nrpc_msg *m = codec_msg_new(n * each);
    assert_non_null(m);
    for (size_t i = 0; i < n; i++)
        memcpy(codec_msg_data(m) + i * each, item, each);
    return m;
}

/* Few bytes, much memory: an empty message takes two bytes of wire and its struct. */
static void test_expansion_is_bounded(void **state)
{
    (void) state;
    /* options { uninterpreted_option {} }, again and again: one sub-message in many pieces costs
     * no more than its bytes. */
    static const uint8_t piece[] = { 0x3a, 0x03, 0xba, 0x3e, 0x00 }, nested_type[] = { 0x1a, 0x00 };
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_msg *m = msg_of_many(20000, piece, sizeof piece);
    assert_int_equal(codec_decode(m, &google__protobuf__descriptor_proto__descriptor, &st), 0);
    const Google__Protobuf__DescriptorProto *d = (const void *) nrpc_msg_body(m);
    assert_int_equal(d->options->n_uninterpreted_option, 20000);
    nrpc_msg_free(m);
    m = msg_of_many(200000, nested_type, sizeof nested_type);
    assert_int_equal(codec_decode(m, &google__protobuf__descriptor_proto__descriptor, &st),
                     NRPC_E_TOOBIG);
    assert_int_equal(st.code, NRPC_RESOURCE_EXHAUSTED);
    assert_null(nrpc_msg_body(m));
    nrpc_msg_free(m);
    nrpc_status_clear(&st);
}

static void test_pack(void **state)
{
    (void) state;
    Google__Protobuf__StringValue v = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    v.value = (char *) "abc";
    struct buf out = { 0 };
    buf_puts(&out, "before");
    assert_int_equal(codec_pack(&out, &v.base, 5), 0);
    assert_int_equal(out.size, 6 + 10);
    assert_memory_equal(out.data,
                        "before\0\0\0\0\x05\x0a\x03"
                        "abc",
                        out.size);
    assert_int_equal(codec_pack(&out, &v.base, 4), NRPC_E_TOOBIG);
    assert_int_equal(codec_pack_bytes(&out, slice_of("12345"), 4), NRPC_E_TOOBIG);
    assert_int_equal(codec_pack_bytes(&out, slice_of("1234"), 4), 0);
    assert_int_equal(codec_pack_bytes(&out, (nrpc_slice){ NULL, 0 }, 4), 0);
    assert_int_equal(out.size, 16 + 9 + 5);
    assert_memory_equal(out.data + 16,
                        "\0\0\0\0\x04"
                        "1234\0\0\0\0\0",
                        14);
    size_t before = out.size;
    alloc_fail_at(1);
    assert_int_equal(codec_pack_bytes(&out, (nrpc_slice){ out.data, 1 << 20 }, 1 << 30),
                     NRPC_E_NOMEM);
    alloc_fail_at(0);
    assert_int_equal(out.size, before);
    assert_false(out.failed); /* the bytes so far are still good */
    buf_done(&out);
    uint8_t prefix[CODEC_PREFIX_BYTES];
    codec_write_prefix(prefix, 0x01020304);
    assert_memory_equal(prefix, "\0\x01\x02\x03\x04", 5);
}

static void *ref_and_unref(void *arg)
{
    for (int i = 0; i < 20000; i++)
        nrpc_blob_unref(nrpc_blob_ref(arg));
    nrpc_blob_unref(arg);
    return NULL;
}

static void test_blob(void **state)
{
    (void) state;
    Google__Protobuf__StringValue v = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    v.value = (char *) "abc";
    nrpc_blob *b = nrpc_blob_pack(&v.base);
    assert_non_null(b);
    assert_int_equal(nrpc_blob_bytes(b).size, 5);
    assert_memory_equal(nrpc_blob_bytes(b).data,
                        "\x0a\x03"
                        "abc",
                        5);
    assert_int_equal(codec_blob_frame(b).size, 10);
    assert_memory_equal(codec_blob_frame(b).data,
                        "\0\0\0\0\x05\x0a\x03"
                        "abc",
                        10);
    nrpc_blob_unref(b);
    b = nrpc_blob_copy("xyz", 3);
    assert_non_null(b);
    assert_memory_equal(nrpc_blob_bytes(b).data, "xyz", 3);
    pthread_t threads[3];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, nrpc_blob_ref(b)), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(gauge_read(GAUGE_BLOBS), 1);
    nrpc_blob_unref(b);
    nrpc_blob_unref(NULL);
    assert_int_equal(gauge_read(GAUGE_BLOBS), 0);
    alloc_fail_at(1);
    assert_null(nrpc_blob_pack(&v.base));
    assert_null(nrpc_blob_copy("x", 1));
    alloc_fail_at(0);
}

/* Receive, decode, pack again, share: without memory at any point it fails in order and leaks
 * nothing. */
static int scenario(nrpc_slice bytes)
{
    nrpc_msg *m = codec_msg_new(bytes.size);
    if (m == NULL)
        return NRPC_E_NOMEM;
    memcpy(codec_msg_data(m), bytes.data, bytes.size);
    nrpc_status st = NRPC_STATUS_INIT;
    struct buf out = { 0 };
    int r = codec_decode(m, VALUE, &st);
    if (r < 0)
        assert_int_equal(st.code, NRPC_RESOURCE_EXHAUSTED);
    if (r == 0)
        r = codec_pack(&out, nrpc_msg_body(m), 1000);
    if (r == 0) {
        nrpc_blob *b = nrpc_blob_copy(out.data, out.size);
        r = b == NULL ? NRPC_E_NOMEM : 0;
        nrpc_blob_unref(b);
    }
    buf_done(&out);
    nrpc_msg_free(m);
    nrpc_status_clear(&st);
    return r;
}

static void test_allocation_sweep(void **state)
{
    (void) state;
    uint8_t bytes[100];
    nrpc_slice slice = { bytes, sample(bytes, sizeof bytes) };
    alloc_fail_at(0);
    assert_int_equal(scenario(slice), 0);
    uint64_t n = alloc_count();
    assert_true(n >= 4);
    for (uint64_t i = 1; i <= n; i++) {
        alloc_fail_at(i);
        int r = scenario(slice);
        alloc_fail_at(0);
        assert_int_equal(r, NRPC_E_NOMEM);
        assert_int_equal(gauge_read(GAUGE_MESSAGES), 0);
        assert_int_equal(gauge_read(GAUGE_BLOBS), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_table),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_decode_gives_the_message),
        cmocka_unit_test(test_scan_agrees_with_protobuf_c),
        cmocka_unit_test(test_pieces_are_merged),
        cmocka_unit_test(test_required_field_is_told),
        cmocka_unit_test(test_expansion_is_bounded),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_blob),
        cmocka_unit_test(test_allocation_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
