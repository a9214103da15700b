#include "server/service/once.h"

#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/sha256.h"
#include "server/service/errors.h"

/* Method, NUL, payload: the same bytes sent to another method are another request. */
static bool digest_call(struct once *o, const nrpc_call *c, const ProtobufCMessage *m)
{
    const char *method = nrpc_call_path(c);
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = alloc_get(size + 1);
    struct sha256 *sha = sha256_new();
    bool ok = bytes != NULL && sha != NULL;
    if (ok) {
        protobuf_c_message_pack(m, bytes);
        sha256_start(sha);
        sha256_add(sha, method, strlen(method) + 1);
        sha256_add(sha, bytes, size);
        sha256_finish(sha, o->key.digest);
    }
    sha256_free(sha);
    alloc_free(bytes);
    return ok;
}

bool once_take(struct once *o, const nrpc_call *c, const ProtobufCMessage *m, nrpc_status *st)
{
    nrpc_slice key;
    if (!nrpc_metadata_get(nrpc_call_headers_in(c), "idempotency-key", 0, &key) || key.size == 0)
        return true;
    if (key.size > STORE_KEY_MAX) {
        error_set_field(st, "idempotency-key", "is longer than %d bytes", STORE_KEY_MAX);
        return false;
    }
    if (!digest_call(o, c, m)) {
        error_set(st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return false;
    }
    memcpy(o->text, key.data, key.size);
    o->text[key.size] = '\0';
    o->key.key = o->text;
    o->used = true;
    return true;
}

static void looked(struct store_read *r)
{
    struct once *o = CONTAINER_OF(r, struct once, look.read);
    enum once_result result = r->result == STORE_E_NOT_FOUND ? ONCE_FREE
                              : r->result != STORE_OK        ? ONCE_FAILED
                              : o->look.same                 ? ONCE_SAME
                                                             : ONCE_OTHER;
    o->done(o, result);
}

void once_look(struct once *o, struct store *store, uint64_t now_us,
               void (*done)(struct once *o, enum once_result result))
{
    CHECK(o->used);
    o->done = done;
    o->key.now_us = now_us;
    o->look = (struct store_read_key){ .read.kind = STORE_READ_KEY,
                                       .read.done = looked,
                                       .key = o->text,
                                       .now_us = now_us };
    memcpy(o->look.digest, o->key.digest, sizeof o->look.digest);
    arena_init(&o->look.read.arena, 1024);
    store_read_post(store, &o->look.read);
}

void once_done(struct once *o)
{
    if (o->done != NULL) /* looked, so that the arena was made */
        arena_done(&o->look.read.arena);
    o->done = NULL;
}
