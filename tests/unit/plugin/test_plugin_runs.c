/* protoc-gen-nrpc as a program: its output through both compilers, its errors, and stdin that is
 * not a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/nrpc-plugin-XXXXXX";
static uint8_t request[1 << 20];
static size_t request_size;

static int run(char *out, size_t out_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Exit code of the command (128 + signal when killed); what it printed goes to out. */
static int run(char *out, size_t out_size, const char *format, ...)
{
    char command[4096];
    va_list args;
    va_start(args, format);
    assert_in_range(vsnprintf(command, sizeof command, format, args), 1, sizeof command - 1);
    va_end(args);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(out, 1, out_size - 1, f);
    out[n] = '\0';
    while (fgetc(f) != EOF)
        ;
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    (void) state;
    char out[4096], path[256];
    assert_non_null(mkdtemp(folder));
    /* A plugin that keeps the request that protoc sends. */
    snprintf(path, sizeof path, "%s/capture", folder);
    char script[512];
    int n = snprintf(script, sizeof script, "#!/bin/sh\ncat > %s/request\n", folder);
    write_file(path, script, (size_t) n);
    assert_int_equal(
        run(out, sizeof out,
            "chmod +x %s && " PROTOC " -I" PROTOS " -I" ROOT "/proto -I" PROTOBUF_INCLUDE
            " --plugin=protoc-gen-capture=%s --capture_out=%s plain.proto kinds.proto 2>&1",
            path, path, folder),
        0);
    snprintf(path, sizeof path, "%s/request", folder);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    request_size = fread(request, 1, sizeof request, f);
    fclose(f);
    assert_in_range(request_size, 1000, sizeof request - 1);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    char out[256];
    return run(out, sizeof out, "rm -rf %s", folder);
}

static void test_both_compilers_accept_the_output(void **state)
{
    (void) state;
    static const char *const compilers[] = { GCC, CLANG };
    static const char *const files[] = { PLUGIN_GEN "/kinds.nrpc.c", PLUGIN_GEN "/plain.nrpc.c",
                                         PLUGIN_GEN "/bare.nrpc.c",
                                         GEN "/novelengine/v1/novel_engine.nrpc.c",
                                         GEN "/grpc/health/v1/health.nrpc.c" };
    char out[8192];
    for (size_t c = 0; c < 2; c++) {
        if (compilers[c][0] == '\0') {
            print_message("clang is not installed: its opinion of the output was NOT asked\n");
            continue;
        }
        for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
            int code = run(
                out, sizeof out,
                "%s -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wmissing-prototypes -Werror -I" ROOT
                " -I" PLUGIN_GEN " -isystem " GEN " -fsyntax-only %s 2>&1",
                compilers[c], files[i]);
            if (code != 0)
                fail_msg("%s %s: %s", compilers[c], files[i], out);
        }
    }
}

static void test_same_input_gives_the_same_output(void **state)
{
    (void) state;
    char out[1024];
    assert_int_equal(run(out, sizeof out,
                         PROTOC " -I" PROTOS " -I" ROOT "/proto -I" PROTOBUF_INCLUDE
                                " --plugin=protoc-gen-nrpc=" PLUGIN
                                " --nrpc_out=%s plain.proto kinds.proto bare.proto 2>&1 &&"
                                " for f in kinds plain bare; do cmp %s/$f.nrpc.c " PLUGIN_GEN
                                "/$f.nrpc.c && cmp %s/$f.nrpc.h " PLUGIN_GEN
                                "/$f.nrpc.h || exit 9; done 2>&1",
                         folder, folder, folder),
                     0);
}

static void test_errors_name_file_and_element(void **state)
{
    (void) state;
#define FIELD(type, rules) "message M { " type " f = 1 [(nrpc.rules) = { " rules " }]; }"
    static const struct {
        const char *body, *expect;
    } rows[] = {
        { FIELD("string", "min: 5 max: 4"), "p.M.f: min 5 is over max 4" },
        { FIELD("string", "min: -1"), "p.M.f: a size cannot be negative" },
        { FIELD("string", "unique: true"), "p.M.f: unique and items are for repeated fields" },
        { FIELD("bool", "required: true"), "p.M.f: required is not for bool" },
        { FIELD("bool", "max: 1"), "p.M.f: min and max are for" },
        { FIELD("int32", "pattern: 'a'"), "p.M.f: pattern is for strings" },
        { FIELD("string", "pattern: '[a'"), "p.M.f: pattern \"[a\": a class is not closed" },
        { FIELD("string", "pattern: '(a'"), "p.M.f: pattern \"(a\": a group is not closed" },
        { FIELD("string", "pattern: 'a)'"), "a group closes that was never opened" },
        { FIELD("repeated string", "pattern: 'a'"),
          "p.M.f: the pattern of a repeated field's values goes into items" },
        { FIELD("repeated string", "items { min: 3 max: 2 }"),
          "p.M.f (items): min 3 is over max 2" },
        { FIELD("repeated M", "items { required: true }"),
          "p.M.f (items): a message's rules stand" },
        { FIELD("repeated M", "unique: true"), "p.M.f: unique is for lists of" },
        { "message O { " FIELD("int32", "unique: true") " }", "p.O.M.f: unique" },
        { "message M {} service S { rpc GetIt(M) returns (M); rpc getIt(M) returns (M); }",
          "p.S.getIt: its C name p_s_get_it is taken by p.S.GetIt" },
        { "message M {} service S { rpc Go(M) returns (M); rpc GoStart(M) returns (M); }",
          "p.S.GoStart: its C name p_s_go_start is taken by p.S.Go" },
        { "message M {} service S { rpc Register(M) returns (M); }",
          "p.S.Register: its C name p_s_register is taken by p.S" },
        { "message M {} service Ab { rpc Go(M) returns (M); } service ab {}",
          "p.ab: its C name p_ab_service is taken by p.Ab" },
        { "message M {} service p_x { rpc x_rules(M) returns (M); }", NULL },
    };
    char out[8192], path[256], text[2048];
    snprintf(path, sizeof path, "%s/bad.proto", folder);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int n = snprintf(text, sizeof text,
                         "syntax = \"proto3\";\npackage p;\nimport \"nrpc/validate.proto\";\n%s\n",
                         rows[i].body);
        write_file(path, text, (size_t) n);
        int code = run(out, sizeof out,
                       PROTOC " -I%s -I" ROOT "/proto -I" PROTOBUF_INCLUDE
                              " --plugin=protoc-gen-nrpc=" PLUGIN " --nrpc_out=%s bad.proto 2>&1",
                       folder, folder);
        if (rows[i].expect == NULL) {
            assert_int_equal(code, 0);
            continue;
        }
        assert_int_not_equal(code, 0);
        if (strstr(out, "bad.proto: ") == NULL || strstr(out, rows[i].expect) == NULL)
            fail_msg("expected '%s', got: %s", rows[i].expect, out);
    }
}

/* Runs the plugin on these bytes: exit 0 or 1, never a signal. */
static int feed(const uint8_t *data, size_t size)
{
    char out[1024], path[256];
    snprintf(path, sizeof path, "%s/input", folder);
    write_file(path, data, size);
    int code = run(out, sizeof out, PLUGIN " < %s 2>&1 > %s/output", path, folder);
    if (code != 0 && code != 1)
        fail_msg("exit %d on %zu bytes: %s", code, size, out);
    if (code == 1)
        assert_non_null(strstr(out, "protoc-gen-nrpc: "));
    return code;
}

static void test_broken_requests_end_cleanly(void **state)
{
    (void) state;
    assert_int_equal(feed(request, request_size), 0);
    assert_int_equal(feed((const uint8_t *) "", 0), 1);
    assert_int_equal(feed((const uint8_t *) "not protobuf at all", 19), 1);
    size_t refused = 0, step = request_size / 60 + 1;
    for (size_t size = 1; size < request_size; size += step)
        refused += feed(request, size) == 1;
    assert_true(refused > 40);
    static uint8_t broken[sizeof request];
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 60; i++) {
        memcpy(broken, request, request_size);
        for (int j = 0; j < 8; j++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            broken[random % request_size] = (uint8_t) (random >> 40);
        }
        feed(broken, request_size);
    }
}

static void test_deep_nesting_is_refused(void **state)
{
    (void) state;
    /* proto_file (15) { message_type (4) { nested_type (3) { nested_type ... */
    enum { DEPTH = 20000 };
    static uint8_t deep[DEPTH * 5];
    size_t at = sizeof deep;
    for (int i = 0; i < DEPTH; i++) {
        size_t size = sizeof deep - at;
        uint8_t head[5] = { i == DEPTH - 1   ? 15 << 3 | 2
                            : i == DEPTH - 2 ? 4 << 3 | 2
                                             : 3 << 3 | 2 };
        size_t n = 1;
        do
            head[n++] = (uint8_t) ((size & 127) | (size > 127 ? 128 : 0));
        while ((size >>= 7) != 0);
        at -= n;
        memcpy(deep + at, head, n);
    }
    assert_int_equal(feed(deep + at, sizeof deep - at), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_compilers_accept_the_output),
        cmocka_unit_test(test_same_input_gives_the_same_output),
        cmocka_unit_test(test_errors_name_file_and_element),
        cmocka_unit_test(test_broken_requests_end_cleanly),
        cmocka_unit_test(test_deep_nesting_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
