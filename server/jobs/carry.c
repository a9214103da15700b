#include "server/jobs/carry.h"

#include <string.h>

static enum store_result fetch(struct store *store, const uint8_t *digest, struct store_read_carry *q)
{
    *q = (struct store_read_carry){ .read.kind = STORE_READ_CARRY };
    memcpy(q->digest, digest, sizeof q->digest);
    arena_init(&q->read.arena, 4096);
    store_read_wait(store, &q->read);
    return q->read.result;
}

enum store_result carry_fetch(struct store *store, struct nvl_header *header)
{
    const uint8_t *digest = nvl_header_request(header)->carry_digest;
    struct store_read_carry q;
    if (digest == NULL)
        return STORE_OK;
    enum store_result r = fetch(store, digest, &q);
    if (r == STORE_OK) {
        int rc = nvl_header_set_carry(header, q.data.data, q.data.size);
        r = rc == NVL_OK ? STORE_OK : rc == NVL_E_NOMEM ? STORE_E_NOMEM : STORE_E_NOT_FOUND;
    }
    arena_done(&q.read.arena);
    return r;
}

enum store_result carry_read(struct store *store, struct store_bytes header, struct arena *a,
                             struct store_bytes *out)
{
    const uint8_t *digest = nvl_header_get_carry(header.data, header.size);
    struct store_read_carry q;
    *out = (struct store_bytes){ 0 };
    if (digest == NULL)
        return STORE_OK;
    enum store_result r = fetch(store, digest, &q);
    if (r == STORE_OK) {
        *out = (struct store_bytes){ arena_copy(a, q.data.data, q.data.size), q.data.size };
        r = out->data != NULL ? STORE_OK : STORE_E_NOMEM;
    }
    arena_done(&q.read.arena);
    return r;
}
