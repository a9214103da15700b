#include "rpc/h2/queue.h"

#include <string.h>

#include "rpc/base/alloc.h"

enum { CHUNK_MIN = 512, CHUNK_MAX = 16384 };

struct chunk {
    struct list link;
    const uint8_t *data;
    size_t at, size, capacity; /* read so far, end of what was written, room of `own` (0: refers) */
    void (*release)(void *ctx);
    void *ctx;
    uint8_t own[];
};

void h2_queue_init(struct h2_queue *q)
{
    *q = (struct h2_queue){ 0 };
    list_init(&q->chunks);
    list_init(&q->kept);
}

static struct chunk *chunk_add(struct h2_queue *q, size_t capacity)
{
    if (capacity > SIZE_MAX - sizeof(struct chunk))
        return NULL;
    struct chunk *c = alloc_get(sizeof *c + capacity);
    if (c == NULL)
        return NULL;
    *c = (struct chunk){ .data = c->own, .capacity = capacity };
    list_add_tail(&q->chunks, &c->link);
    return c;
}

static void chunk_free(struct chunk *c)
{
    list_remove(&c->link);
    if (c->release != NULL)
        c->release(c->ctx);
    alloc_free(c);
}

uint8_t *h2_queue_grow(struct h2_queue *q, size_t size)
{
    struct chunk *c = NULL;
    size_t capacity = CHUNK_MIN;
    if (!list_empty(&q->chunks)) {
        c = LIST_ENTRY(q->chunks.prev, struct chunk, link);
        if (c->capacity > 0)
            capacity = c->capacity < CHUNK_MAX / 2 ? c->capacity * 2 : CHUNK_MAX;
        if (c->capacity == 0 || c->capacity - c->size < size)
            c = NULL;
    }
    if (c == NULL)
        c = chunk_add(q, size > capacity ? size : capacity);
    if (c == NULL)
        return NULL;
    uint8_t *p = c->own + c->size;
    c->size += size;
    q->size += size;
    return p;
}

int h2_queue_put(struct h2_queue *q, const void *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t *p = h2_queue_grow(q, size);
    if (p == NULL)
        return NRPC_E_NOMEM;
    memcpy(p, data, size);
    return 0;
}

int h2_queue_put_ref(struct h2_queue *q, const void *data, size_t size, void (*release)(void *ctx),
                     void *ctx)
{
    struct chunk *c = chunk_add(q, 0);
    if (c == NULL)
        return NRPC_E_NOMEM;
    c->data = data;
    c->size = size;
    c->release = release;
    c->ctx = ctx;
    q->size += size;
    return 0;
}

static void drop_kept(struct h2_queue *q)
{
    LIST_EACH(&q->kept, link, next)
    chunk_free(LIST_ENTRY(link, struct chunk, link));
    q->kept_bytes = 0;
}

void h2_queue_forget(struct h2_queue *q)
{
    q->keep_max = 0;
    drop_kept(q);
}

static void chunk_used(struct h2_queue *q, struct chunk *c)
{
    if (q->keep_max == 0) {
        chunk_free(c);
        return;
    }
    list_remove(&c->link);
    list_add_tail(&q->kept, &c->link);
    q->kept_bytes += sizeof *c + (c->capacity > 0 ? c->capacity : c->size);
    if (q->kept_bytes > q->keep_max) {
        h2_queue_forget(q);
        q->lost = true;
    }
}

size_t h2_queue_read(struct h2_queue *q, uint8_t *out, size_t size)
{
    size_t done = 0;
    while (done < size && !list_empty(&q->chunks)) {
        struct chunk *c = LIST_ENTRY(q->chunks.next, struct chunk, link);
        size_t n = c->size - c->at;
        if (n > size - done)
            n = size - done;
        if (n > 0)
            memcpy(out + done, c->data + c->at, n);
        c->at += n;
        done += n;
        if (c->at == c->size)
            chunk_used(q, c);
    }
    q->size -= done;
    return done;
}

void h2_queue_rewind(struct h2_queue *q)
{
    while (!list_empty(&q->kept)) {
        struct list *last = q->kept.prev;
        list_remove(last);
        list_add_head(&q->chunks, last);
    }
    q->kept_bytes = q->size = 0;
    LIST_EACH(&q->chunks, link, next)
    {
        struct chunk *c = LIST_ENTRY(link, struct chunk, link);
        c->at = 0;
        q->size += c->size;
    }
}

int h2_queue_copy(struct h2_queue *to, const struct h2_queue *from, size_t skip)
{
    if (skip >= from->size)
        return 0;
    uint8_t *p = h2_queue_grow(to, from->size - skip);
    if (p == NULL)
        return NRPC_E_NOMEM;
    for (struct list *link = from->chunks.next; link != &from->chunks; link = link->next) {
        const struct chunk *c = LIST_ENTRY(link, struct chunk, link);
        size_t n = c->size - c->at;
        if (skip >= n) {
            skip -= n;
            continue;
        }
        memcpy(p, c->data + c->at + skip, n - skip);
        p += n - skip;
        skip = 0;
    }
    return 0;
}

void h2_queue_move(struct h2_queue *to, struct h2_queue *from)
{
    struct list *link;
    while ((link = list_take(&from->chunks)) != NULL)
        list_add_tail(&to->chunks, link);
    to->size += from->size;
    from->size = 0;
}

void h2_queue_clear(struct h2_queue *q)
{
    drop_kept(q);
    LIST_EACH(&q->chunks, link, next)
    chunk_free(LIST_ENTRY(link, struct chunk, link));
    q->size = 0;
}
