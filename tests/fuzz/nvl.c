/* The engine's readers of bytes: pack image, header, event, log.  What is decoded is encoded again
 * and must be the same bytes: the formats are canonical. */
#include "server/engine/carry_pack.h"
#include "tests/fuzz/nvl_story.h"

static void walk_pack(const struct nvl_pack *p)
{
    size_t n = 0;
    for (size_t i = 0; i < nvl_pack_op_count(p); i++) {
        struct nvl_op_info op;
        nvl_pack_op(p, i, &op);
        n += strlen(op.name) + strlen(op.family) + strlen(op.beats);
        for (unsigned k = 0; k < op.params_count; k++)
            n += strlen(op.params[k].name);
        for (unsigned k = 0; k < 5; k++)
            n += op.plain[k] != NULL ? strlen(op.plain[k]) : 0;
        (void) nvl_pack_op_find(p, op.name);
    }
    for (int kind = NVL_NAME_FRAME; kind <= NVL_NAME_GENRE; kind++)
        for (size_t i = 0; i < nvl_pack_name_count(p, (enum nvl_name_kind) kind); i++)
            n += strlen(nvl_pack_name_at(p, (enum nvl_name_kind) kind, i));
    for (size_t i = 0; i < nvl_pack_prose_count(p); i++) {
        const struct nvl_prose *prose = nvl_pack_prose(p, i);
        n += strlen(prose->keyword) + strlen(prose->head) + strlen(prose->file);
        for (uint32_t k = 0; k < prose->lines_count; k++)
            n += strlen(prose->lines[k].text);
    }
    CHECK(n < SIZE_MAX);
}

static void fuzz_pack(const uint8_t *data, size_t size)
{
    struct nvl_error err = { 0 };
    struct nvl_pack *p = NULL;
    int r = nvl_pack_open(data, size, &err, &p);
    CHECK(r == NVL_OK || (r == NVL_E_PACK && p == NULL));
    if (r < 0)
        return;
    size_t again;
    CHECK(memcmp(nvl_pack_image(p, &again), data, size) == 0 && again == size);
    walk_pack(p);
    struct nvl_world *world = NULL;
    r = nvl_world_open(p, story_request(), &err, &world);
    CHECK(r == NVL_OK || world == NULL);
    nvl_world_free(world);
    nvl_pack_free(p);
}

static void fuzz_header(const uint8_t *data, size_t size)
{
    struct nvl_header *h = NULL;
    int r = nvl_header_decode(data, size, &h);
    CHECK(r == NVL_OK || (r == NVL_E_CORRUPT && h == NULL));
    if (r < 0)
        return;
    struct buf again = { 0 };
    uint8_t hash[SHA256_SIZE];
    r = nvl_header_encode(nvl_header_request(h), nvl_header_pack_digest(h), &again, hash, NULL);
    CHECK(r == NVL_OK || r == NVL_E_INVALID);
    if (r == NVL_OK && nvl_header_abi(h) == NVL_ENGINE_ABI)
        CHECK(again.size == size && memcmp(again.data, data, size) == 0);
    buf_done(&again);
    nvl_header_free(h);
}

static void fuzz_event(const uint8_t *data, size_t size)
{
    struct nvl_event e;
    uint8_t again[NVL_CANONICAL_MAX];
    int r = nvl_event_decode(data, size, &e);
    CHECK(r == NVL_OK || r == NVL_E_CORRUPT);
    if (r == NVL_OK)
        CHECK(nvl_event_encode(&e, again) == size && memcmp(again, data, size) == 0);
}

static void fuzz_log(const uint8_t *data, size_t size)
{
    struct nvl_log log;
    struct nvl_span span;
    int r = nvl_log_open(data, size, &log);
    CHECK(r == NVL_OK || r == NVL_E_CORRUPT);
    if (r < 0)
        return;
    fuzz_header(log.header.data, log.header.size);
    uint32_t n = 0;
    for (size_t offset = 0; nvl_log_next(&log, &offset, &span); n++)
        fuzz_event(span.data, span.size);
    CHECK(n == log.events_count);
}

/* What is accepted is canonical, and a world can be made of it, whoever it is about. */
static void fuzz_carry(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct carry carry;
    struct buf again = { 0 };
    arena_init(&arena, 4096);
    int r = nvl_carry_check(data, size);
    CHECK(r == NVL_OK || r == NVL_E_CORRUPT);
    CHECK(carry_decode(data, size, &arena, &carry) == r);
    if (r == NVL_OK) {
        uint8_t digest[SHA256_SIZE];
        struct nvl_sim *sim = NULL;
        struct nvl_request q = *story_request();
        CHECK(carry_put(&carry, &again) == NVL_OK);
        CHECK(again.size == size && memcmp(again.data, data, size) == 0);
        sha256_of(data, size, digest);
        q.carry = data, q.carry_size = size, q.carry_digest = digest;
        CHECK(nvl_open(story_pack(), &q, NULL, NULL, NULL, &sim) == NVL_OK);
        while (!nvl_ended(sim))
            CHECK(nvl_turn(sim, NULL, NULL) == NVL_OK);
        again.size = 0;
        r = nvl_carry_encode(sim, &again);
        CHECK(r == NVL_OK || (r == NVL_E_INVALID && carry.chapters == CARRY_CHAPTERS));
        CHECK(r != NVL_OK || nvl_carry_check(again.data, again.size) == NVL_OK);
        nvl_free(sim);
    }
    buf_done(&again);
    arena_done(&arena);
}

bool fuzz_seed(size_t i, struct buf *out)
{
    struct buf log = { 0 };
    struct nvl_log parts;
    struct nvl_span span = { 0 };
    story_log(&log);
    CHECK(nvl_log_open(log.data, log.size, &parts) == NVL_OK);
    bool more = i == 0;
    const char *target = FUZZ_SEED;
    if (strcmp(target, "event") == 0) {
        size_t offset = 0;
        for (size_t k = 0; k <= i && (more = nvl_log_next(&parts, &offset, &span)); k++)
            ;
        more = more && i < 24;
    } else if (strcmp(target, "header") == 0) {
        span = parts.header;
    } else if (strcmp(target, "carry") == 0) {
        if (more)
            story_carry(out);
        buf_done(&log);
        return more;
    } else if (strcmp(target, "pack") == 0) {
        span = parts.pack;
    } else {
        span = (struct nvl_span){ log.data, log.size };
    }
    if (more)
        buf_put(out, span.data, span.size);
    buf_done(&log);
    return more;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_PART(data, size);
    return 0;
}
