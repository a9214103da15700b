/* direct_out.c — what a director reads: events, verdicts, errors, proposals, in the order of the log. */
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "server/service/direct.h"

static void put_varint(struct buf *b, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buf_putc(b, (char) (value | 0x80));
    buf_putc(b, (char) value);
}

static void put_bytes(struct buf *b, unsigned tag, const void *data, size_t size)
{
    put_varint(b, tag << 3 | 2);
    put_varint(b, size);
    buf_put(b, data, size);
}

static void fail_memory(struct directing *d, nrpc_call *c)
{
    d->finished = true;
    error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
}

void directing_queue(struct directing *d, nrpc_call *c, const char *command_id, unsigned tag, nrpc_slice message,
                     uint64_t sequence)
{
    struct buf b = { 0 };
    struct outgoing *o = alloc_zero(1, sizeof *o);
    if (command_id[0] != '\0')
        put_bytes(&b, TAG_COMMAND_ID, command_id, strlen(command_id));
    put_bytes(&b, tag, message.data, message.size);
    nrpc_blob *blob = b.failed ? NULL : nrpc_blob_copy(b.data, b.size);
    buf_done(&b);
    if (o == NULL || blob == NULL) {
        nrpc_blob_unref(blob);
        alloc_free(o);
        fail_memory(d, c);
        return;
    }
    o->blob = blob;
    o->sequence = sequence;
    list_add_tail(&d->out, &o->link);
}

static void queue_message(struct directing *d, nrpc_call *c, unsigned tag, const ProtobufCMessage *m, uint64_t sequence)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = arena_get(&d->arena, size > 0 ? size : 1);
    if (bytes == NULL) {
        fail_memory(d, c);
        return;
    }
    protobuf_c_message_pack(m, bytes);
    directing_queue(d, c, directing_command(d)->command_id, tag, (nrpc_slice) { bytes, size }, sequence);
}

void directing_queue_error(struct directing *d, nrpc_call *c, nrpc_status *st)
{
    if (st->details != NULL) {
        directing_queue(d, c, directing_command(d)->command_id, TAG_ERROR, (nrpc_slice) { st->details, st->details_size }, 0);
    } else {
        Google__Rpc__Status plain = GOOGLE__RPC__STATUS__INIT;
        plain.code = (int32_t) st->code;
        plain.message = st->message != NULL ? st->message : "";
        queue_message(d, c, TAG_ERROR, &plain.base, 0);
    }
    nrpc_status_clear(st);
}

void directing_queue_verdict(struct directing *d, nrpc_call *c, const struct nvl_judgement *v, uint64_t sequence)
{
    NE(LawVerdict) law = NOVELENGINE__V1__LAW_VERDICT__INIT;
    char texts[NVL_CODES_MAX][8], *codes[NVL_CODES_MAX];
    law.verdict = (NE(LawVerdict__Verdict)) v->verdict;
    for (size_t i = 0; i < v->codes_count; i++) {
        nvl_law_code(v->codes[i], texts[i]);
        codes[i] = texts[i];
    }
    law.n_codes = v->codes_count;
    law.codes = codes;
    law.reason = (char *) v->reason;
    queue_message(d, c, TAG_VERDICT, &law.base, sequence);
}

/* One message to the call; false when it takes no more for now, or the call is over. */
static bool put_out(struct directing *d, nrpc_call *c, int r)
{
    d->blocked = r == NRPC_PAUSE;
    if (r < 0) {
        d->finished = true;
        error_reply(c, ERROR_OUT_OF_MEMORY, "an update could not be sent: %s", nrpc_strerror(r));
    }
    return !d->blocked && !d->finished;
}

static bool send_answer(struct directing *d, nrpc_call *c)
{
    struct outgoing *o = LIST_ENTRY(list_take(&d->out), struct outgoing, link);
    int r = nrpc_call_send_blob(c, o->blob);
    nrpc_blob_unref(o->blob);
    alloc_free(o);
    return put_out(d, c, r);
}

static bool send_item(struct directing *d, nrpc_call *c)
{
    nrpc_blob *item = d->watch.items[d->sent++];
    nrpc_slice bytes = nrpc_blob_bytes(item);
    struct buf b = { 0 };
    put_bytes(&b, TAG_SIMULATION, bytes.data, bytes.size);
    int r = b.failed ? NRPC_E_NOMEM : nrpc_call_send_bytes(c, (nrpc_slice) { b.data, b.size });
    buf_done(&b);
    nrpc_blob_unref(item);
    d->shown += d->shown < d->watch.cursor; /* what follows the events carries none */
    return put_out(d, c, r);
}

static bool answer_is_due(const struct directing *d)
{
    return !list_empty(&d->out) && LIST_ENTRY(d->out.next, struct outgoing, link)->sequence <= d->shown;
}

/* The batch is out: another, or the end. */
static void next_batch(struct directing *d, nrpc_call *c)
{
    struct jobs_watch *w = &d->watch;
    if (!w->end) {
        d->have_batch = false;
        d->sent = 0;
        jobs_watch_pull(w);
        return;
    }
    if (d->command != NULL)
        return; /* its answer comes yet */
    d->finished = true;
    if (w->result != JOBS_OK)
        service_reply_jobs(c, w->result, w->store, w->id);
    else
        nrpc_call_finish(c, NULL);
}

void directing_flush(struct directing *d, nrpc_call *c)
{
    bool go_on = !d->blocked && !d->finished;
    while (go_on) {
        if (answer_is_due(d))
            go_on = send_answer(d, c);
        else if (d->have_batch && d->sent < d->watch.n_items)
            go_on = send_item(d, c);
        else
            break;
    }
    if (!go_on)
        return;
    if (d->have_batch)
        next_batch(d, c);
    if (d->finished || !list_empty(&d->out) || d->command != NULL || d->phase < PHASE_SEATED)
        return;
    if (!d->wanted) {
        d->wanted = true;
        nrpc_call_want(c, 1);
    }
}
