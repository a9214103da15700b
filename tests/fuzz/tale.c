/* The .tale compiler with the narrator's checks.  An image that it makes opens again. */
#include "server/narrator/narrator.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nvl_source source = { "fuzz.tale", (const char *) data, size };
    struct nvl_error err = { 0 };
    struct nvl_pack *p = NULL, *again = NULL;
    int r = nvl_pack_compile(&source, 1, nvl_prose_check_statement, NULL, &err, &p);
    CHECK(r == NVL_OK || (r == NVL_E_PACK && p == NULL && err.message[0] != '\0'));
    if (r < 0)
        return 0;
    size_t image_size;
    const uint8_t *image = nvl_pack_image(p, &image_size);
    CHECK(nvl_pack_open(image, image_size, &err, &again) == NVL_OK);
    CHECK(memcmp(nvl_pack_digest(p), nvl_pack_digest(again), SHA256_SIZE) == 0);
    struct buf lint = { 0 };
    (void) nvl_prose_lint(again, &lint);
    buf_done(&lint);
    nvl_pack_free(again);
    nvl_pack_free(p);
    return 0;
}
