/* A program's YAML settings.  What was read is printed, and what was printed reads back. */
#include "rpc/base/options.h"

#include <stdlib.h>

#include "tests/fuzz/quiet.h"

static char *name, *level;
static uint64_t bytes;
static bool flag;
static struct option_list list;
static const struct option table[] = {
    { "name", OPTION_STRING, &name, "x", .value_name = "NAME", .help = "A name." },
    { "level", OPTION_STRING, &level, "info", .help = "A level.", .choices = "debug|info|warn" },
    { "max-bytes", OPTION_UINT, &bytes, "100", 1, 1000, "BYTES", "A limit." },
    { "flag", OPTION_BOOL, &flag, "false", .help = "A switch." },
    { "list", OPTION_LIST, &list, NULL, .value_name = "ITEM", .help = "A list." },
};
static const struct options options = { "fuzz",      "1", "Fuzz.", "fuzz [options]",
                                        "FUZZ_NONE", "",  table,   ARRAY_SIZE(table) };

static enum options_result read_file(const uint8_t *data, size_t size, struct buf *out)
{
    int fd = file_of(data, size);
    char path[64], program[] = "fuzz", config[] = "--config";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    char *argv[] = { program, config, path, NULL };
    enum options_result r = options_parse(&options, 3, argv);
    if (r == OPTIONS_RUN) {
        char *text = NULL;
        size_t text_size = 0;
        FILE *f = open_memstream(&text, &text_size);
        CHECK(f != NULL);
        options_print(&options, f);
        fclose(f);
        buf_put(out, text, text_size);
        free(text);
        CHECK(bytes >= 1 && bytes <= 1000 && name != NULL && level != NULL);
    }
    options_done(&options);
    CHECK(name == NULL && level == NULL && list.items == NULL);
    close(fd);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once = { 0 }, twice = { 0 };
    struct quiet q = quiet_start();
    enum options_result r = read_file(data, size, &once), again = r;
    if (r == OPTIONS_RUN)
        again = read_file(once.data, once.size, &twice);
    quiet_end(&q);
    CHECK(r == OPTIONS_RUN || r == OPTIONS_BAD);
    CHECK(again == r && (r != OPTIONS_RUN || fuzz_same(&once, &twice)));
    buf_done(&once);
    buf_done(&twice);
    return 0;
}
