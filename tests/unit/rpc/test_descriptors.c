/* The index of file descriptors behind reflection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/server/descriptors.h"

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;

static void put_file(struct buf *set, const file_proto *p)
{
    size_t size = google__protobuf__file_descriptor_proto__get_packed_size(p);
    assert_true(size < 16384);
    buf_putc(set, 0x0a);
    buf_putc(set, (char) ((size & 0x7f) | 0x80));
    buf_putc(set, (char) (size >> 7));
    google__protobuf__file_descriptor_proto__pack(p, buf_grow(set, size));
}

/* name "X.proto" in package "p" with a message X { f; message In { deep } } that extends p.Base. */
static void put_simple(struct buf *set, char *name, char **imports, size_t n)
{
    char message_name[2] = { name[0], '\0' };
    field_proto field = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__INIT;
    field.name = (char[]){ "f" };
    field_proto deep_field = field;
    deep_field.name = (char[]){ "deep" };
    field_proto extension = field;
    extension.name = (char[]){ 'e', name[0], '\0' };
    extension.extendee = (char[]){ ".p.A" };
    extension.has_number = true;
    extension.number = 1000 - name[0];
    message_proto nested = GOOGLE__PROTOBUF__DESCRIPTOR_PROTO__INIT;
    nested.name = (char[]){ "In" };
    nested.n_field = 1;
    nested.field = (field_proto *[]){ &deep_field };
    message_proto message = GOOGLE__PROTOBUF__DESCRIPTOR_PROTO__INIT;
    message.name = message_name;
    message.n_field = 1;
    message.field = (field_proto *[]){ &field };
    message.n_nested_type = 1;
    message.nested_type = (message_proto *[]){ &nested };
    file_proto file = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_PROTO__INIT;
    file.name = name;
    file.package = (char[]){ "p" };
    file.n_dependency = n;
    file.dependency = imports;
    file.n_message_type = 1;
    file.message_type = (message_proto *[]){ &message };
    file.n_extension = 1;
    file.extension = (field_proto *[]){ &extension };
    put_file(set, &file);
}

static void test_index(void **state)
{
    (void) state;
    struct buf set = { 0 }, more = { 0 };
    /* A diamond, an import that is missing, and one that goes round. */
    put_simple(&set, "A", (char *[]){ "B", "C", "missing" }, 3);
    put_simple(&set, "B", (char *[]){ "D" }, 1);
    put_simple(&set, "C", (char *[]){ "D", "A" }, 2);
    put_simple(&set, "D", NULL, 0);
    put_simple(&more, "D", (char *[]){ "A" }, 1); /* there already: left out */
    put_simple(&more, "E", NULL, 0);
    struct descriptors d;
    descriptors_init(&d);
    assert_int_equal(descriptors_add(&d, (nrpc_slice){ set.data, set.size }), 0);
    assert_int_equal(descriptors_add(&d, (nrpc_slice){ more.data, more.size }), 0);
    assert_int_equal(descriptors_link(&d), 0);
    assert_int_equal(d.files.count, 5);

    static const struct {
        const char *symbol, *file;
    } cases[] = {
        { "p.A", "A" },   { "p.A.f", "A" }, { "p.B.In", "B" },         { "p.B.In.deep", "B" },
        { "p.eD", "D" },  { "p", NULL },    { "p.A.In.deep.x", NULL }, { "", NULL },
        { ".p.A", NULL }, { "A", NULL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct descriptor_file *f = descriptors_symbol(&d, cases[i].symbol);
        if (cases[i].file == NULL)
            assert_null(f);
        else
            assert_string_equal(f->name, cases[i].file);
    }
    assert_null(descriptors_file(&d, "missing"));
    const struct descriptor_file **files;
    size_t n;
    assert_int_equal(descriptors_closure(&d, descriptors_file(&d, "A"), &files, &n), 0);
    char order[8] = "";
    for (size_t i = 0; i < n; i++)
        order[i] = files[i]->name[0];
    assert_string_equal(order, "ABCD");
    alloc_free(files);

    assert_string_equal(descriptors_extension(&d, "p.A", 1000 - 'B')->name, "B");
    assert_null(descriptors_extension(&d, "p.A", 1));
    assert_null(descriptors_extension(&d, "p.B", 1000 - 'B'));
    struct descriptor_numbers numbers = { 0 };
    assert_true(descriptors_extended(&d, "p.A", &numbers));
    assert_int_equal(numbers.count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(numbers.numbers[i], 1000 - 'E' + i);
    assert_true(descriptors_extended(&d, "p.B.In", &numbers));
    assert_int_equal(numbers.count, 0);
    numbers.count = 7;
    assert_false(descriptors_extended(&d, "p.A.f", &numbers));
    assert_int_equal(numbers.count, 7);
    descriptors_done(&d);
    buf_done(&set);
    buf_done(&more);
}

static void test_broken_sets(void **state)
{
    (void) state;
    static const struct {
        const char *bytes;
        size_t size;
        int want;
    } cases[] = {
        { "", 0, 0 },
        { "\x0a", 1, NRPC_E_INVAL },
        { "\x0a\x05\x0a\x01", 4, NRPC_E_INVAL }, /* shorter than it says */
        { "\x12\x00", 2, NRPC_E_INVAL },         /* another field */
        { "\x0a\x00", 2, NRPC_E_INVAL },         /* a file without a name */
        { "\x0a\x03\x0a\x01x", 5, 0 },
        { "\x0a\x03\x0a\x09x", 5, NRPC_E_INVAL }, /* broken inside */
        { "\x0a\xff\xff\xff\xff\xff\x01x", 8, NRPC_E_INVAL },
        { "\x0a\xff\xff\xff\xff\x0fx", 7, NRPC_E_INVAL }, /* 4 GiB */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct descriptors d;
        descriptors_init(&d);
        assert_int_equal(
            descriptors_add(&d, (nrpc_slice){ (const uint8_t *) cases[i].bytes, cases[i].size }),
            cases[i].want);
        descriptors_done(&d);
    }
    /* Nested deeper than any compiler writes. */
    struct buf set = { 0 };
    char name[] = "m";
    message_proto levels[100];
    message_proto *pointers[100];
    for (int i = 0; i < 100; i++) {
        levels[i] = (message_proto) GOOGLE__PROTOBUF__DESCRIPTOR_PROTO__INIT;
        levels[i].name = name;
        levels[i].n_nested_type = i == 0 ? 0 : 1;
        levels[i].nested_type = i == 0 ? NULL : &pointers[i - 1];
        pointers[i] = &levels[i];
    }
    file_proto file = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_PROTO__INIT;
    file.name = (char[]){ "deep" };
    file.n_message_type = 1;
    file.message_type = &pointers[99];
    put_file(&set, &file);
    struct descriptors d;
    descriptors_init(&d);
    assert_int_equal(descriptors_add(&d, (nrpc_slice){ set.data, set.size }), NRPC_E_INVAL);
    descriptors_done(&d);
    buf_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_broken_sets),
    };
    return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
