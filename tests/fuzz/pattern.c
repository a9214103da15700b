/* "PATTERN\nTEXT": the matcher of field rules. */
#include "rpc/base/pattern.h"
#include "rpc/base/utf8.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pattern p;
    const uint8_t *line = size == 0 ? NULL : memchr(data, '\n', size);
    size_t n = line == NULL ? size : (size_t) (line - data);
    char *text = alloc_strndup((const char *) data, n);
    CHECK(text != NULL);
    const char *why = pattern_compile(&p, text);
    if (why == NULL && line != NULL) {
        const char *rest = (const char *) line + 1;
        size_t left = size - n - 1;
        left = utf8_valid_prefix(rest, left);
        bool fits = pattern_match(&p, rest, left);
        CHECK(fits == pattern_match(&p, rest, left));
    } else if (why != NULL) {
        CHECK(why[0] != '\0');
    }
    alloc_free(text);
    return 0;
}
