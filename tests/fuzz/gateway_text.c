/* Path templates, escapes, and texts of single values. */
#include "gateway/scalar.h"
#include "gateway/template.h"
#include "rpc/base/utf8.h"
#include "tests/fuzz/fuzz.h"

static void check_times(const char *text, size_t size)
{
    int64_t seconds, again_s;
    int32_t nanos, again_n;
    struct buf out = { 0 };
    if (scalar_parse_timestamp(text, size, &seconds, &nanos)) {
        CHECK(scalar_put_timestamp(&out, seconds, nanos));
        CHECK(scalar_parse_timestamp((char *) out.data, out.size, &again_s, &again_n));
        CHECK(again_s == seconds && again_n == nanos);
    }
    buf_reset(&out);
    if (scalar_parse_duration(text, size, &seconds, &nanos)) {
        CHECK(scalar_put_duration(&out, seconds, nanos));
        CHECK(scalar_parse_duration((char *) out.data, out.size, &again_s, &again_n));
        CHECK(again_s == seconds && again_n == nanos);
    }
    buf_done(&out);
}

static void check_texts(const char *text, size_t size)
{
    struct buf out = { 0 };
    bool negative;
    uint64_t magnitude;
    double number;
    (void) scalar_parse_int(text, size, &negative, &magnitude);
    (void) scalar_parse_double(text, size, &number);
    CHECK(scalar_parse_base64(text, size, &out) || out.size == 0);
    buf_reset(&out);
    CHECK(path_decode(text, size, size % 2 == 0, &out) ? utf8_valid(out.data, out.size)
                                                       : out.size == 0);
    buf_reset(&out);
    CHECK(query_decode(text, size, &out) ? utf8_valid(out.data, out.size) : out.size == 0);
    buf_reset(&out);
    if (scalar_put_snake_path(&out, text, size, false)) {
        struct buf back = { 0 };
        CHECK(scalar_put_camel_path(&back, (char *) out.data, out.size));
        CHECK(back.size == size && memcmp(back.data, text, size) == 0);
        buf_done(&back);
    }
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct template t;
    const char *why = NULL;
    if (size == 0)
        return 0;
    char *text = alloc_strndup((const char *) data, size);
    CHECK(text != NULL);
    if (template_parse(text, &t, &why) == 0)
        CHECK(t.n_segments <= TEMPLATE_SEGMENTS_MAX && t.n_variables <= TEMPLATE_VARIABLES_MAX);
    else
        CHECK(why != NULL);
    check_times((const char *) data, size);
    check_texts((const char *) data, size);
    alloc_free(text);
    return 0;
}
