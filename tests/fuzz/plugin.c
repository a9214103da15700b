/* protoc-gen-nrpc as protoc starts it: a request on standard input. */
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "novel_engine_descriptors.h"
#include "tests/fuzz/quiet.h"

int plugin_main(int argc, char **argv); /* main of proto/plugin/main.c */

/* The contract's descriptors up to and with one file, as protoc asks for code of it. */
bool fuzz_seed(size_t i, struct buf *out)
{
    static const char *const names[] = { "grpc/health/v1/health.proto",
                                         "novelengine/v1/novel_engine.proto" };
    if (i >= ARRAY_SIZE(names))
        return false;
    Google__Protobuf__FileDescriptorSet *set = google__protobuf__file_descriptor_set__unpack(
        NULL, novel_engine_descriptors_size, novel_engine_descriptors);
    CHECK(set != NULL);
    Google__Protobuf__Compiler__CodeGeneratorRequest request =
        GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_REQUEST__INIT;
    char *name = alloc_strdup(names[i]);
    request.file_to_generate = &name;
    request.n_file_to_generate = 1;
    request.proto_file = set->file;
    request.n_proto_file = set->n_file;
    for (size_t k = 0; i == 0 && k < set->n_file; k++)
        if (strcmp(set->file[k]->name, name) == 0) {
            request.proto_file = &set->file[k];
            request.n_proto_file = 1;
        }
    uint8_t *p = buf_grow(out, protobuf_c_message_get_packed_size(&request.base));
    CHECK(p != NULL);
    protobuf_c_message_pack(&request.base, p);
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
    alloc_free(name);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char program[] = "protoc-gen-nrpc", *argv[] = { program, NULL };
    int fd = file_of(data, size);
    struct quiet q = quiet_start();
    CHECK(dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    close(fd);
    int r = plugin_main(1, argv);
    quiet_end(&q);
    CHECK(r == 0 || r == 1);
    return 0;
}
