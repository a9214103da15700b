#include "gateway/memo.h"

#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/map.h"

struct memo_item {
    const void *type; /* desc_message or desc_field */
    struct json_style style;
    uint64_t hash;
    size_t message_size, json_size;
    uint8_t bytes[]; /* the message, then its JSON */
};

static size_t item_size(const struct memo_item *i)
{
    return sizeof *i + i->message_size + i->json_size;
}

static void drop(struct memo *memo, size_t slot)
{
    if (memo->slots[slot] == NULL)
        return;
    memo->bytes -= item_size(memo->slots[slot]);
    alloc_free(memo->slots[slot]);
    memo->slots[slot] = NULL;
}

void memo_clear(struct memo *memo)
{
    for (size_t i = 0; i < MEMO_SLOTS; i++)
        drop(memo, i);
}

static bool same_style(const struct json_style *a, const struct json_style *b)
{
    return a->proto_names == b->proto_names && a->long_numbers == b->long_numbers &&
           a->defaults == b->defaults && a->enum_numbers == b->enum_numbers &&
           a->points == b->points;
}

static bool is_it(const struct memo_item *i, const void *type, const struct json_style *style,
                  uint64_t hash, nrpc_slice message)
{
    return i != NULL && i->hash == hash && i->type == type && i->message_size == message.size &&
           same_style(&i->style, style) && memcmp(i->bytes, message.data, message.size) == 0;
}

static void keep(struct memo *memo, size_t slot, const void *type, const struct json_style *style,
                 uint64_t hash, nrpc_slice message, const uint8_t *json, size_t json_size)
{
    size_t size = sizeof(struct memo_item) + message.size + json_size;
    drop(memo, slot);
    if (memo->bytes + size > MEMO_BYTES_MAX)
        memo_clear(memo);
    struct memo_item *i = alloc_get(size);
    if (i == NULL)
        return;
    *i = (struct memo_item) { .type = type,
                              .style = *style,
                              .hash = hash,
                              .message_size = message.size,
                              .json_size = json_size };
    memcpy(i->bytes, message.data, message.size);
    memcpy(i->bytes + message.size, json, json_size);
    memo->slots[slot] = i;
    memo->bytes += size;
}

int memo_json(struct memo *memo, struct to_json *t, const struct desc_message *m,
              const struct desc_field *field, nrpc_slice message, struct buf *out)
{
    const void *type = field != NULL ? (const void *) field : m;
    bool fits = t->filter == NULL && message.size > 0 && message.size <= MEMO_ITEM_MAX;
    uint64_t hash = fits ? map_hash(message.data, message.size) : 0;
    size_t slot = hash % MEMO_SLOTS, before = out->size;
    const struct memo_item *known = memo->slots[slot];
    if (fits && is_it(known, type, &t->style, hash, message)) {
        buf_put(out, known->bytes + known->message_size, known->json_size);
        return 0;
    }
    int r = field != NULL ? to_json_field(t, field, message.data, message.size, out)
                          : to_json_message(t, m, message.data, message.size, out);
    bool again = fits && memo->seen[slot] == hash;
    memo->seen[slot] = fits ? hash : memo->seen[slot];
    if (r == 0 && again && !out->failed && out->size - before <= MEMO_ITEM_MAX)
        keep(memo, slot, type, &t->style, hash, message, out->data + before, out->size - before);
    return r;
}
