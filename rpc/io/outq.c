#include "rpc/io/outq.h"

#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/nrpc.h"

enum { RUNS_MIN = 8, DROP_BYTES = 65536 };

static size_t tail_bytes(const struct outq *q)
{
    return q->copy.size - q->copy_at - q->copied_bytes;
}

size_t outq_size(const struct outq *q)
{
    return q->run_bytes + tail_bytes(q);
}

static int reserve_runs(struct outq *q, uint32_t extra)
{
    if (q->first + q->count + extra <= q->capacity)
        return 0;
    if (q->first >= extra && q->first >= q->capacity / 2) {
        memmove(q->runs, q->runs + q->first, q->count * sizeof *q->runs);
        q->first = 0;
        return 0;
    }
    uint32_t capacity = q->capacity == 0 ? RUNS_MIN : q->capacity * 2;
    if (capacity > UINT32_MAX / 4)
        return NRPC_E_NOMEM;
    struct outq_run *runs = alloc_resize(q->runs, capacity * sizeof *runs);
    if (runs == NULL)
        return NRPC_E_NOMEM;
    q->runs = runs;
    q->capacity = capacity;
    return 0;
}

static void add_run(struct outq *q, const struct outq_run *run)
{
    q->runs[q->first + q->count++] = *run;
    q->run_bytes += run->size;
    if (run->data == NULL)
        q->copied_bytes += run->size;
}

int outq_put_ref(struct outq *q, const void *data, size_t size, void (*release)(void *ctx),
                 void *ctx)
{
    int r = reserve_runs(q, 2);
    if (r < 0)
        return r;
    size_t tail = tail_bytes(q);
    if (tail > 0)
        add_run(q, &(struct outq_run){ .size = tail });
    add_run(q, &(struct outq_run){ .data = data, .size = size, .release = release, .ctx = ctx });
    return 0;
}

static size_t push_iov(struct iovec *iov, int *n, const uint8_t *data, size_t size, size_t room)
{
    if (size > room)
        size = room;
    if (size == 0)
        return 0;
    iov[*n].iov_base = (void *) (uintptr_t) data;
    iov[*n].iov_len = size;
    ++*n;
    return size;
}

int outq_gather(const struct outq *q, struct iovec *iov, int n, size_t limit)
{
    int used = 0;
    const uint8_t *copied = q->copy.data == NULL ? NULL : q->copy.data + q->copy_at;
    for (uint32_t i = 0; i < q->count && used < n && limit > 0; i++) {
        const struct outq_run *run = &q->runs[q->first + i];
        const uint8_t *data = run->data != NULL ? run->data : copied;
        if (run->data == NULL)
            copied += run->size;
        limit -= push_iov(iov, &used, data, run->size, limit);
        if (i + 1 == q->count && used < n)
            push_iov(iov, &used, copied, tail_bytes(q), limit);
    }
    if (q->count == 0 && n > 0)
        push_iov(iov, &used, copied, tail_bytes(q), limit);
    return used;
}

static void consume_copied(struct outq *q, size_t size)
{
    q->copy_at += size;
    if (q->copy_at == q->copy.size) {
        q->copy.size = q->copy_at = 0;
    } else if (q->copy_at >= DROP_BYTES && q->copy_at >= q->copy.size / 2) {
        buf_drop(&q->copy, q->copy_at);
        q->copy_at = 0;
    }
}

void outq_consume(struct outq *q, size_t size)
{
    while (q->count > 0) {
        struct outq_run *run = &q->runs[q->first];
        size_t n = size < run->size ? size : run->size;
        q->run_bytes -= n;
        run->size -= n;
        size -= n;
        if (run->data != NULL) {
            run->data += n;
        } else {
            q->copied_bytes -= n;
            consume_copied(q, n);
        }
        if (run->size > 0)
            return;
        struct outq_run gone = *run;
        q->first++;
        q->count--;
        if (gone.release != NULL)
            gone.release(gone.ctx);
    }
    if (q->runs != NULL) {
        alloc_free(q->runs);
        q->runs = NULL;
        q->first = q->capacity = 0;
    }
    consume_copied(q, size);
}

void outq_done(struct outq *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        struct outq_run *run = &q->runs[q->first + i];
        if (run->release != NULL)
            run->release(run->ctx);
    }
    alloc_free(q->runs);
    buf_done(&q->copy);
    *q = (struct outq){ 0 };
}
