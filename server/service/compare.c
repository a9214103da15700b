/* compare.c — CompareSimulations: two stored logs are read whole and laid side by side, on a worker. */
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/base/sha256.h"
#include "server/jobs/past.h"
#include "server/jobs/wire.h"
#include "server/service/compare_pair.h"
#include "server/service/inner.h"

enum { DIFFERENCES_MAX = 500, BYTES_MAX = 2 << 20, EDITS_MAX = 200 };

/* One of the two. */
struct side {
    char id[STORE_ID_SIZE];
    struct store_read_row row;
    enum store_result result;
    struct past past;
    NE(SimulationEvent) **shown; /* BASIC, of each event */
    struct nvl_event *events;
    uint32_t *before, *far;      /* of each event: what leads to it from an edit (sequence), and how far that is; 0: none */
    struct compare_item *items;  /* without edits */
    size_t n_items, n_edits;
    NE(SimulationEvent) **edits;
    const char *ending;
};

struct comparing {
    nrpc_call_id call;
    nrpc_loop *loop;
    struct service *service;
    nrpc_job job;
    struct arena arena;
    struct side sides[2];
    bool same_beginning, no_memory, damaged;
    NE(Comparison) answer;
};

static void comparing_free(struct comparing *x)
{
    for (int i = 0; i < 2; i++)
        arena_done(&x->sides[i].row.read.arena);
    arena_done(&x->arena);
    alloc_free(x);
}

/* ---- reading ---- */

static bool read_row(struct comparing *x, struct side *s)
{
    s->row.read.kind = STORE_READ_ROW;
    s->row.with = STORE_WITH_HEADER;
    memcpy(s->row.id, s->id, sizeof s->id);
    store_read_wait(x->service->o.store, &s->row.read);
    s->result = s->row.read.result;
    return s->result == STORE_OK;
}

static bool read_ending(struct comparing *x, struct side *s)
{
    const struct store_row *row = &s->row.row;
    s->ending = "";
    if (row->result.data == NULL)
        return true;
    const NE(SimulationResult) *result = wire_result(row->result, (struct store_bytes) { 0 }, &x->arena);
    if (result != NULL && result->metadata != NULL)
        s->ending = result->metadata->ending;
    x->no_memory |= result == NULL;
    return result != NULL;
}

static bool decode_event(struct comparing *x, struct side *s, size_t i)
{
    ProtobufCAllocator allocator = contract_allocator(&x->arena);
    struct store_bytes bytes;
    NE(SimulationUpdate) *u = NULL;
    bool sound = nvl_event_decode(s->past.canonical[i].data, s->past.canonical[i].size, &s->events[i]) == NVL_OK &&
                 wire_split(s->past.wire[i], JOBS_BASIC, &bytes) == 0;
    if (sound)
        u = novelengine__v1__simulation_update__unpack(&allocator, bytes.size, bytes.data);
    sound = u != NULL && u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT && s->events[i].sequence == i + 1;
    x->damaged |= !sound;
    s->shown[i] = sound ? u->event : NULL;
    return sound;
}

static bool read_log(struct comparing *x, struct side *s)
{
    s->result =
        past_read(x->service->o.store, s->id, s->row.row.last_sequence, UINT32_MAX, true, &x->arena, &s->past);
    if (s->result != STORE_OK)
        return false;
    size_t n = s->past.count;
    s->shown = arena_zero(&x->arena, n + 1, sizeof(NE(SimulationEvent) *));
    s->edits = arena_zero(&x->arena, n + 1, sizeof(NE(SimulationEvent) *));
    s->events = arena_zero(&x->arena, n + 1, sizeof *s->events);
    s->items = arena_zero(&x->arena, n + 1, sizeof *s->items);
    s->before = arena_zero(&x->arena, n + 1, sizeof *s->before);
    s->far = arena_zero(&x->arena, n + 1, sizeof *s->far);
    x->no_memory |= s->shown == NULL || s->edits == NULL || s->events == NULL || s->items == NULL || s->before == NULL || s->far == NULL;
    for (size_t i = 0; !x->no_memory && i < n; i++)
        if (!decode_event(x, s, i))
            return false;
    return !x->no_memory;
}

/* ---- what is compared ---- */

static uint64_t digest(struct buf *b)
{
    uint8_t full[SHA256_SIZE];
    uint64_t out;
    sha256_of(b->data, b->size, full);
    memcpy(&out, full, sizeof out);
    return out;
}

static void put_word(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text) + 1);
}

/* The event without its numbers: those shift with every edit before it. */
static uint64_t whole_digest(const struct nvl_event *event)
{
    uint8_t bytes[NVL_CANONICAL_MAX];
    struct nvl_event e = *event;
    e.sequence = 1;
    for (unsigned i = 0; i < e.causes_count; i++)
        e.causes[i].sequence = 0;
    struct buf b = { .data = bytes, .size = nvl_event_encode(&e, bytes) };
    return digest(&b);
}

static struct compare_item item_of(const struct comparing *x, const struct nvl_event *event,
                                   const NE(SimulationEvent) * shown, struct buf *b)
{
    struct compare_item item = { .sequence = event->sequence, .turn = event->turn, .pass = event->pass };
    buf_reset(b);
    put_word(b, shown->actor);
    item.who = digest(b);
    buf_printf(b, "%d %s", (int) shown->type, shown->operator_);
    for (size_t i = 0; i < shown->n_targets; i++)
        put_word(b, shown->targets[i]);
    item.deed = digest(b);
    buf_printf(b, "%d %s %s", (int) shown->outcome, shown->location, shown->text);
    item.seen = digest(b);
    item.whole = x->same_beginning ? whole_digest(event) : item.seen;
    return item;
}

static bool is_edit(const struct nvl_event *e)
{
    return e->type == NVL_FORKED || e->type == NVL_INTERVENTION;
}

/* The nearest way from an edit to each event: causes are always earlier, so one pass finds it. */
static void trace(struct side *s, size_t shared)
{
    for (size_t i = shared; i < s->past.count; i++) {
        const struct nvl_event *e = &s->events[i];
        if (is_edit(e)) {
            s->far[i] = 1;
            continue;
        }
        for (unsigned c = 0; c < e->causes_count; c++) {
            uint32_t cause = e->causes[c].sequence;
            uint32_t far = cause > 0 && cause <= i ? s->far[cause - 1] : 0;
            if (far > 0 && (s->far[i] == 0 || far + 1 < s->far[i])) {
                s->far[i] = far + 1;
                s->before[i] = cause;
            }
        }
    }
}

static void sort_out(struct comparing *x, struct side *s, size_t shared, struct buf *b)
{
    for (size_t i = 0; i < s->past.count; i++) {
        if (!is_edit(&s->events[i]))
            s->items[s->n_items++] = item_of(x, &s->events[i], s->shown[i], b);
        else if (i >= shared && s->n_edits < EDITS_MAX)
            s->edits[s->n_edits++] = s->shown[i];
    }
    x->no_memory |= b->failed;
    trace(s, shared);
}

/* How many events both logs have byte for byte from the beginning. */
static size_t count_shared(const struct past *a, const struct past *b)
{
    size_t n = 0;
    while (n < a->count && n < b->count && a->canonical[n].size == b->canonical[n].size &&
           memcmp(a->canonical[n].data, b->canonical[n].data, a->canonical[n].size) == 0)
        n++;
    return n;
}

/* ---- the answer ---- */

static bool put_because(struct comparing *x, const struct side *s, uint32_t sequence, NE(Comparison__Difference) * d,
                        size_t *bytes)
{
    size_t n = s->far[sequence - 1];
    *bytes += 2 * n; /* a path may be as long as the log */
    d->because = arena_zero(&x->arena, n + 1, sizeof *d->because);
    if (d->because == NULL)
        return false;
    d->n_because = n;
    for (size_t i = n; i > 0; i--) {
        d->because[i - 1] = sequence;
        sequence = s->before[sequence - 1];
    }
    return true;
}

static bool add_difference(struct comparing *x, const struct compare_item *a, const struct compare_item *b, size_t *bytes)
{
    struct side *one = &x->sides[0], *other = &x->sides[1];
    *bytes += (a != NULL ? one->past.wire[a->sequence - 1].size : 0) + (b != NULL ? other->past.wire[b->sequence - 1].size : 0);
    if (x->answer.omitted > 0 || x->answer.n_differences == DIFFERENCES_MAX || *bytes > BYTES_MAX) {
        x->answer.omitted++;
        return true;
    }
    NE(Comparison__Difference) *d = arena_get(&x->arena, sizeof *d);
    if (d == NULL)
        return false;
    novelengine__v1__comparison__difference__init(d);
    d->event = a != NULL ? one->shown[a->sequence - 1] : NULL;
    d->other = b != NULL ? other->shown[b->sequence - 1] : NULL;
    d->unseen = a != NULL && b != NULL && a->seen == b->seen;
    x->answer.differences[x->answer.n_differences++] = d;
    /* The edit is in the other as a rule: the fork is compared with what it came from. */
    d->because_in_other = b != NULL && (other->far[b->sequence - 1] > 0 || a == NULL);
    if (d->because_in_other)
        return put_because(x, other, b->sequence, d, bytes);
    return a == NULL || put_because(x, one, a->sequence, d, bytes);
}

static bool lay_side_by_side(struct comparing *x)
{
    struct side *one = &x->sides[0], *other = &x->sides[1];
    size_t count = 0, bytes = 0;
    const struct compare_pair *pairs =
        compare_pairs(one->items, one->n_items, other->items, other->n_items, &x->arena, &count);
    x->answer.differences = arena_zero(&x->arena, DIFFERENCES_MAX, sizeof *x->answer.differences);
    bool ok = pairs != NULL && x->answer.differences != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        const struct compare_item *a = pairs[i].a != NO_ITEM ? &one->items[pairs[i].a] : NULL;
        const struct compare_item *b = pairs[i].b != NO_ITEM ? &other->items[pairs[i].b] : NULL;
        if (a != NULL && b != NULL && a->whole == b->whole) {
            x->answer.same_events++;
            continue;
        }
        if (a != NULL && x->answer.first_divergence == 0)
            x->answer.first_divergence = a->sequence;
        if (b != NULL && x->answer.other_first_divergence == 0)
            x->answer.other_first_divergence = b->sequence;
        ok = add_difference(x, a, b, &bytes);
    }
    return ok;
}

static void compare_work(nrpc_job *job)
{
    struct comparing *x = CONTAINER_OF(job, struct comparing, job);
    struct side *one = &x->sides[0], *other = &x->sides[1];
    if (!read_row(x, one) || !read_row(x, other) || !read_ending(x, one) || !read_ending(x, other) || !read_log(x, one) ||
        !read_log(x, other))
        return;
    const struct store_bytes *a = &one->row.row.header, *b = &other->row.row.header;
    x->same_beginning = one->row.row.abi == other->row.row.abi && a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
    size_t shared = x->same_beginning ? count_shared(&one->past, &other->past) : 0;
    struct buf b1 = { 0 };
    sort_out(x, one, shared, &b1);
    sort_out(x, other, shared, &b1);
    buf_done(&b1);
    x->answer.same_beginning = x->same_beginning;
    x->answer.ending = (char *) one->ending;
    x->answer.other_ending = (char *) other->ending;
    x->answer.n_edits = one->n_edits;
    x->answer.edits = one->edits;
    x->answer.n_other_edits = other->n_edits;
    x->answer.other_edits = other->edits;
    x->no_memory |= !lay_side_by_side(x);
}

static void compared(nrpc_task *t, nrpc_loop *loop)
{
    struct comparing *x = CONTAINER_OF(t, struct comparing, job.done);
    nrpc_call *c = nrpc_call_get(loop, x->call);
    const struct side *bad = x->sides[0].result != STORE_OK ? &x->sides[0] : &x->sides[1];
    if (c == NULL) {
        comparing_free(x);
        return;
    }
    if (bad->result == STORE_E_NOT_FOUND)
        service_reply_jobs(c, JOBS_E_NOT_FOUND, STORE_OK, bad->id);
    else if (bad->result != STORE_OK)
        service_reply_store(c, bad->result);
    else if (x->no_memory)
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    else if (x->damaged)
        error_reply(c, ERROR_STORE_FAILED, "the stored events cannot be read");
    else
        nrpc_call_reply(c, &x->answer.base);
    comparing_free(x);
}

void handle_compare_simulations(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(CompareSimulationsRequest) *r = novelengine_v1_novel_engine_compare_simulations_request(m);
    struct comparing *x = NULL;
    char id[STORE_ID_SIZE] = "", other[STORE_ID_SIZE] = "";
    struct service *s = ctx;
    if (service_valid(c, &r->base) && service_copy_id(c, r->simulation_id, id) && service_copy_id(c, r->other_id, other) &&
        (x = alloc_zero(1, sizeof *x)) == NULL)
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    nrpc_msg_free(m);
    if (x == NULL)
        return;
    novelengine__v1__comparison__init(&x->answer);
    arena_init(&x->arena, 65536);
    for (int i = 0; i < 2; i++)
        arena_init(&x->sides[i].row.read.arena, 4096);
    memcpy(x->sides[0].id, id, sizeof id);
    memcpy(x->sides[1].id, other, sizeof other);
    x->call = nrpc_call_ref(c);
    x->loop = nrpc_call_loop(c);
    x->service = s;
    x->job = (nrpc_job) { .done.run = compared, .work = compare_work, .home = x->loop, .key = nrpc_call_number(c) };
    if (nrpc_pool_submit(s->o.pool, &x->job) == 0)
        return;
    error_reply(c, ERROR_QUEUE_FULL, "too much work is waiting");
    comparing_free(x);
}
