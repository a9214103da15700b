#include "rpc/grpc/metadata.h"

#include <string.h>

#include "rpc/grpc/base64.h"

enum { FIELD_OVERHEAD = 32, KEY_MAX = 1024, FIELDS_FIRST = 8 };

void metadata_init(nrpc_metadata *md, struct arena *arena, uint32_t bytes_max, uint32_t fields_max)
{
    *md = (nrpc_metadata){ .arena = arena, .bytes_max = bytes_max, .fields_max = fields_max };
}

static bool is_bin(const char *key, size_t size)
{
    return size >= 4 && memcmp(key + size - 4, "-bin", 4) == 0;
}

/* RFC 9110, section 5.1 is wider; gRPC allows only these in keys. */
static bool key_is_valid(const char *key, size_t size)
{
    static const bool allowed[256] = {
        ['a' ... 'z'] = true, ['0' ... '9'] = true, ['_'] = true, ['-'] = true, ['.'] = true,
    };
    unsigned good = 1;
    for (size_t i = 0; i < size; i++)
        good &= allowed[(uint8_t) key[i]];
    if (!good)
        return false;
    return size > 0 && size <= KEY_MAX;
}

static bool value_is_text(nrpc_slice value)
{
    unsigned bad = 0; /* no early way out: so the compiler takes many bytes at once */
    for (size_t i = 0; i < value.size; i++)
        bad |= (uint8_t) (value.data[i] - 0x20) > 0x7e - 0x20;
    return bad == 0;
}

bool metadata_key_allowed(const char *key)
{
    static const char *const reserved[] = {
        "connection", "content-length",    "content-type", "host",
        "keep-alive", "proxy-connection",  "te",           "trailer",
        "trailers",   "transfer-encoding", "upgrade",      "user-agent"
    };
    if (strncmp(key, "grpc-", 5) == 0)
        return strcmp(key, "grpc-retry-pushback-ms") == 0; /* a server's word on retries */
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(key, reserved[i]) == 0)
            return false;
    return true;
}

static int reserve(nrpc_metadata *md, size_t key_size, size_t value_size)
{
    uint64_t bytes = (uint64_t) key_size + value_size + FIELD_OVERHEAD;
    if (md->count >= md->fields_max || bytes > md->bytes_max - md->bytes)
        return NRPC_E_TOOBIG;
    if (md->count < md->capacity)
        return 0;
    uint32_t capacity = md->capacity == 0 ? FIELDS_FIRST : md->capacity * 2;
    struct metadata_field *fields = arena_zero(md->arena, capacity, sizeof *fields);
    if (fields == NULL)
        return NRPC_E_NOMEM;
    if (md->count > 0)
        memcpy(fields, md->fields, md->count * sizeof *fields);
    md->fields = fields;
    md->capacity = capacity;
    return 0;
}

static int add(nrpc_metadata *md, const char *key, size_t key_size, nrpc_slice value)
{
    int r = reserve(md, key_size, value.size);
    if (r < 0)
        return r;
    const char *key_copy = arena_strndup(md->arena, key, key_size);
    /* NUL-ended for the convenience of those who know that it is text. */
    const char *value_copy = arena_strndup(md->arena, (const char *) value.data, value.size);
    if (key_copy == NULL || value_copy == NULL)
        return NRPC_E_NOMEM;
    md->fields[md->count++] =
        (struct metadata_field){ key_copy, { (const uint8_t *) value_copy, value.size } };
    md->bytes += (uint32_t) (key_size + value.size + FIELD_OVERHEAD);
    return 0;
}

int nrpc_metadata_add(nrpc_metadata *md, const char *key, nrpc_slice value)
{
    size_t size = strlen(key);
    if (!key_is_valid(key, size) || !metadata_key_allowed(key))
        return NRPC_E_INVAL;
    if (!is_bin(key, size) && !value_is_text(value))
        return NRPC_E_INVAL;
    return add(md, key, size, value);
}

int nrpc_metadata_add_string(nrpc_metadata *md, const char *key, const char *value)
{
    return nrpc_metadata_add(md, key, (nrpc_slice){ (const uint8_t *) value, strlen(value) });
}

static int add_bin_items(nrpc_metadata *md, nrpc_slice name, nrpc_slice value, struct buf *scratch)
{
    nrpc_slice list = value, item;
    if (list.data == NULL)
        list.data = (const uint8_t *) "";
    while (base64_next_item(&list, &item)) {
        buf_reset(scratch);
        int r = base64_decode(scratch, item);
        if (r == 0)
            r = add(md, (const char *) name.data, name.size,
                    (nrpc_slice){ scratch->data, scratch->size });
        if (r < 0)
            return r;
    }
    return 0;
}

int metadata_add_wire(nrpc_metadata *md, nrpc_slice name, nrpc_slice value)
{
    const char *key = (const char *) name.data;
    if (!key_is_valid(key, name.size))
        return 0;
    if (!is_bin(key, name.size))
        return value_is_text(value) ? add(md, key, name.size, value) : 0;
    uint32_t count = md->count, bytes = md->bytes;
    struct buf scratch = { 0 };
    int r = add_bin_items(md, name, value, &scratch);
    buf_done(&scratch);
    if (r < 0) {
        md->count = count;
        md->bytes = bytes;
    }
    return r;
}

int metadata_wire_value(const nrpc_metadata *md, size_t i, struct buf *scratch,
                        nrpc_slice *out_value)
{
    const struct metadata_field *f = &md->fields[i];
    if (!is_bin(f->key, strlen(f->key))) {
        *out_value = f->value;
        return 0;
    }
    buf_reset(scratch);
    base64_encode(scratch, f->value);
    if (scratch->failed)
        return NRPC_E_NOMEM;
    *out_value = (nrpc_slice){ scratch->data, scratch->size };
    return 0;
}

bool nrpc_metadata_get(const nrpc_metadata *md, const char *key, size_t nth, nrpc_slice *out_value)
{
    for (uint32_t i = 0; i < md->count; i++) {
        if (strcmp(md->fields[i].key, key) != 0 || nth-- > 0)
            continue;
        *out_value = md->fields[i].value;
        return true;
    }
    return false;
}

size_t nrpc_metadata_count(const nrpc_metadata *md)
{
    return md->count;
}

void nrpc_metadata_at(const nrpc_metadata *md, size_t i, const char **out_key,
                      nrpc_slice *out_value)
{
    *out_key = md->fields[i].key;
    *out_value = md->fields[i].value;
}
