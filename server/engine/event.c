/* event.c — canonical event bytes and the .nvlog container (docs/log-format.md, sections 4 and 7).
 */
#include "server/engine/carry.h"
#include "server/engine/edit.h"
#include "server/engine/world.h"
#include <string.h>

struct writer {
    uint8_t *at;
};
static void w8(struct writer *w, unsigned v)
{
    *w->at++ = (uint8_t) v;
}
static void w16(struct writer *w, unsigned v)
{
    w8(w, v & 255), w8(w, v >> 8 & 255);
}
static void w32(struct writer *w, uint32_t v)
{
    w16(w, v & 0xFFFF), w16(w, v >> 16);
}
static void wbytes(struct writer *w, const uint8_t *p, size_t n)
{
    memcpy(w->at, p, n);
    w->at += n;
}
static void write_lists(struct writer *w, const struct nvl_event *e)
{
    w8(w, e->causes_count);
    for (unsigned i = 0; i < e->causes_count; i++)
        w32(w, e->causes[i].sequence), w8(w, e->causes[i].kind), w16(w, e->causes[i].cell);
    w8(w, e->deltas_count);
    for (unsigned i = 0; i < e->deltas_count; i++)
        w16(w, e->deltas[i].cell), w16(w, (uint16_t) e->deltas[i].before),
            w16(w, (uint16_t) e->deltas[i].after);
    w8(w, e->beliefs_count);
    for (unsigned i = 0; i < e->beliefs_count; i++) {
        const struct nvl_belief *b = &e->beliefs[i];
        w8(w, b->character), w8(w, b->fact), w8(w, b->before), w8(w, b->after), w8(w, b->source),
            w8(w, b->informant);
    }
    w8(w, e->threads_count);
    for (unsigned i = 0; i < e->threads_count; i++)
        w8(w, e->threads[i].thread), w8(w, e->threads[i].change), w8(w, e->threads[i].about);
}
size_t nvl_event_encode(const struct nvl_event *e, uint8_t out[static NVL_CANONICAL_MAX])
{
    struct writer w = { out };
    w32(&w, e->sequence), w16(&w, e->turn), w16(&w, e->pass), w32(&w, e->minute);
    w8(&w, e->type), w8(&w, e->phase), w8(&w, e->outcome), w8(&w, e->actor), w16(&w, e->op);
    w8(&w, e->args_count), wbytes(&w, e->args, e->args_count);
    w8(&w, e->place), w32(&w, e->witnesses), w32(&w, e->silent);
    w16(&w, (uint16_t) e->roll), w16(&w, (uint16_t) e->difficulty), w16(&w, (uint16_t) e->skill);
    w8(&w, e->tension_before), w8(&w, e->tension), w8(&w, e->tension_target), w8(&w, e->verdict),
        w8(&w, e->repair);
    w8(&w, e->codes_count), wbytes(&w, e->codes, e->codes_count);
    w16(&w, e->reason), w8(&w, e->goal), w8(&w, e->plan_step), w32(&w, (uint32_t) e->utility);
    for (int i = 0; i < NVL_TERMS; i++)
        w16(&w, (uint16_t) e->terms[i]);
    for (int i = 0; i < 2; i++) {
        const struct nvl_alternative *a = &e->alternatives[i];
        w16(&w, a->op), w8(&w, a->args_count), wbytes(&w, a->args, a->args_count),
            w32(&w, (uint32_t) a->utility);
    }
    write_lists(&w, e);
    if (e->type == NVL_STARTED)
        wbytes(&w, e->header_hash, SHA256_SIZE), wbytes(&w, e->world_digest, SHA256_SIZE);
    if (e->type == NVL_INTERVENTION)
        w8(&w, e->change.kind), w8(&w, e->change.who), w8(&w, e->change.thing),
            w8(&w, e->change.to_sort), w8(&w, e->change.to), w8(&w, e->change.value);
    if (e->type == NVL_FORKED)
        wbytes(&w, e->parent_head, SHA256_SIZE), w32(&w, (uint32_t) e->seed),
            w32(&w, (uint32_t) (e->seed >> 32)), w16(&w, e->turns);
    if (e->type == NVL_COMPLETED)
        w32(&w, e->turns), w8(&w, e->ending);
    return (size_t) (w.at - out);
}

struct reader {
    const uint8_t *at, *end;
    bool bad;
};
static const uint8_t *take(struct reader *r, size_t n)
{
    static const uint8_t zeros[SHA256_SIZE];
    if ((size_t) (r->end - r->at) < n) {
        r->bad = true;
        return zeros;
    }
    r->at += n;
    return r->at - n;
}
static unsigned r8(struct reader *r, unsigned max)
{
    unsigned v = take(r, 1)[0];
    r->bad |= v > max;
    return v > max ? 0 : v;
}
static unsigned r16(struct reader *r)
{
    return le16(take(r, 2));
}
static void read_args(struct reader *r, uint8_t *count, uint8_t *args)
{
    *count = (uint8_t) r8(r, NVL_ARGS_MAX);
    memcpy(args, take(r, *count), *count);
}
static void read_lists(struct reader *r, struct nvl_event *e)
{
    e->causes_count = (uint8_t) r8(r, NVL_CAUSES_MAX);
    for (unsigned i = 0; i < e->causes_count; i++) {
        e->causes[i].sequence = le32(take(r, 4));
        e->causes[i].kind = (uint8_t) r8(r, NVL_BY_INTERVENTION);
        e->causes[i].cell = (uint16_t) r16(r);
        r->bad |= e->causes[i].kind == 0 || e->causes[i].sequence == 0;
    }
    e->deltas_count = (uint8_t) r8(r, NVL_DELTAS_MAX);
    for (unsigned i = 0; i < e->deltas_count; i++) {
        e->deltas[i].cell = (uint16_t) r16(r);
        e->deltas[i].before = (int16_t) r16(r), e->deltas[i].after = (int16_t) r16(r);
        r->bad |= e->deltas[i].before == e->deltas[i].after ||
                  (i > 0 && e->deltas[i - 1].cell >= e->deltas[i].cell);
    }
    e->beliefs_count = (uint8_t) r8(r, NVL_BELIEFS_MAX);
    for (unsigned i = 0; i < e->beliefs_count; i++) {
        struct nvl_belief *b = &e->beliefs[i];
        b->character = (uint8_t) r8(r, 254), b->fact = (uint8_t) r8(r, 254);
        b->before = (uint8_t) r8(r, NVL_DISBELIEVES), b->after = (uint8_t) r8(r, NVL_DISBELIEVES);
        b->source = (uint8_t) r8(r, NVL_KNEW), b->informant = (uint8_t) r8(r, 255);
        r->bad |= b->source == 0 || b->before == b->after;
    }
    e->threads_count = (uint8_t) r8(r, NVL_THREADS_MAX);
    for (unsigned i = 0; i < e->threads_count; i++) {
        e->threads[i].thread = (uint8_t) r8(r, 254);
        e->threads[i].change = (uint8_t) r8(r, NVL_THREAD_CLOSED);
        e->threads[i].about = (uint8_t) r8(r, 255);
        r->bad |= e->threads[i].change == 0;
    }
}
static void read_change(struct reader *r, struct nvl_change *c)
{
    c->kind = (uint8_t) r8(r, NVL_EDIT_VETO), c->who = (uint8_t) r8(r, 255);
    c->thing = (uint8_t) r8(r, 255), c->to_sort = (uint8_t) r8(r, NVL_SORT_PLACE);
    c->to = (uint8_t) r8(r, 255), c->value = (uint8_t) r8(r, 100);
    r->bad |= c->kind == 0;
}
int nvl_event_decode(const void *canonical, size_t size, struct nvl_event *out)
{
    struct reader r = { canonical, (const uint8_t *) canonical + size, false };
    struct nvl_event e = { .ending = NVL_NONE };
    e.sequence = le32(take(&r, 4)), e.turn = (uint16_t) r16(&r), e.pass = (uint16_t) r16(&r),
    e.minute = le32(take(&r, 4));
    e.type = (uint8_t) r8(&r, NVL_CANCELLED), e.phase = (uint8_t) r8(&r, NVL_RESOLUTION);
    e.outcome = (uint8_t) r8(&r, NVL_FAIL), e.actor = (uint8_t) r8(&r, 255),
    e.op = (uint16_t) r16(&r);
    read_args(&r, &e.args_count, e.args);
    e.place = (uint8_t) r8(&r, 255), e.witnesses = le32(take(&r, 4));
    e.silent = le32(take(&r, 4));
    e.roll = (int16_t) r16(&r), e.difficulty = (int16_t) r16(&r), e.skill = (int16_t) r16(&r);
    e.tension_before = (uint8_t) r8(&r, 100), e.tension = (uint8_t) r8(&r, 100),
    e.tension_target = (uint8_t) r8(&r, 100);
    e.verdict = (uint8_t) r8(&r, NVL_LAW_REJECTED), e.repair = (uint8_t) r8(&r, NVL_HESITATE);
    e.codes_count = (uint8_t) r8(&r, NVL_CODES_MAX);
    memcpy(e.codes, take(&r, e.codes_count), e.codes_count);
    e.reason = (uint16_t) r16(&r), e.goal = (uint8_t) r8(&r, 255),
    e.plan_step = (uint8_t) r8(&r, 255);
    e.utility = (int32_t) le32(take(&r, 4));
    for (int i = 0; i < NVL_TERMS; i++)
        e.terms[i] = (int16_t) r16(&r);
    for (int i = 0; i < 2; i++) {
        e.alternatives[i].op = (uint16_t) r16(&r);
        read_args(&r, &e.alternatives[i].args_count, e.alternatives[i].args);
        e.alternatives[i].utility = (int32_t) le32(take(&r, 4));
    }
    read_lists(&r, &e);
    if (e.type == NVL_STARTED) {
        memcpy(e.header_hash, take(&r, SHA256_SIZE), SHA256_SIZE);
        memcpy(e.world_digest, take(&r, SHA256_SIZE), SHA256_SIZE);
    }
    if (e.type == NVL_INTERVENTION)
        read_change(&r, &e.change);
    if (e.type == NVL_FORKED) {
        memcpy(e.parent_head, take(&r, SHA256_SIZE), SHA256_SIZE);
        e.seed = le64(take(&r, 8)), e.turns = r16(&r);
        r.bad |= e.seed < 1 || e.seed > NVL_SEED_MAX || e.turns < 1 || e.turns > NVL_TURNS_MAX;
    }
    if (e.type == NVL_COMPLETED)
        e.turns = le32(take(&r, 4)), e.ending = (uint8_t) r8(&r, 255);
    if (r.bad || r.at != r.end || e.type == 0 || e.sequence == 0 || e.verdict == 0)
        return NVL_E_CORRUPT;
    *out = e;
    return NVL_OK;
}
void nvl_event_hash(const uint8_t previous[SHA256_SIZE], const void *canonical, size_t size,
                    uint8_t out[SHA256_SIZE])
{
    uint8_t bytes[SHA256_SIZE + NVL_CANONICAL_MAX];
    size_t n = size < NVL_CANONICAL_MAX ? size : NVL_CANONICAL_MAX;
    memcpy(bytes, previous, SHA256_SIZE);
    memcpy(bytes + SHA256_SIZE, canonical, n);
    sha256_of(bytes, SHA256_SIZE + n, out);
}

/* --- .nvlog
 * ------------------------------------------------------------------------------------------------
 */

static const char log_magic[] = "NVLOG1\r\n";
static void put_section(struct buf *b, const char *tag, const void *data, size_t size)
{
    buf_put(b, tag, 4);
    put32(b, (uint32_t) size);
    buf_put(b, data, size);
}
int nvl_log_begin(struct buf *out, const void *header, size_t header_size,
                  const struct nvl_world *w)
{
    struct buf world = { 0 };
    int rc = nvl_world_encode(w, &world);
    if (rc == NVL_OK) {
        buf_put(out, log_magic, 8);
        size_t carry_size;
        const void *carry = nvl_world_carry(w, &carry_size);
        put_section(out, "HEAD", header, header_size);
        if (carry != NULL)
            put_section(out, "CARY", carry, carry_size);
        put_section(out, "PACK", w->pack->image, w->pack->image_size);
        put_section(out, "WRLD", world.data, world.size);
    }
    buf_done(&world);
    return rc != NVL_OK || out->failed ? NVL_E_NOMEM : NVL_OK;
}
int nvl_log_event(struct buf *out, const void *canonical, size_t size)
{
    put_section(out, "EVNT", canonical, size);
    return out->failed ? NVL_E_NOMEM : NVL_OK;
}
int nvl_log_end(struct buf *out, uint32_t events, const uint8_t head[SHA256_SIZE],
                const uint8_t *story_digest)
{
    buf_put(out, "TAIL", 4);
    put32(out, 4 + SHA256_SIZE + 1 + (story_digest != NULL ? SHA256_SIZE : 0));
    put32(out, events);
    buf_put(out, head, SHA256_SIZE);
    put8(out, story_digest != NULL);
    if (story_digest != NULL)
        buf_put(out, story_digest, SHA256_SIZE);
    return out->failed ? NVL_E_NOMEM : NVL_OK;
}
static bool next_section(struct reader *r, const char *tag, struct nvl_span *out)
{
    if (r->end - r->at < 8 || memcmp(r->at, tag, 4) != 0)
        return false;
    size_t size = le32(r->at + 4);
    if ((size_t) (r->end - r->at) - 8 < size)
        return false;
    *out = (struct nvl_span){ r->at + 8, size };
    r->at += 8 + size;
    return true;
}
int nvl_log_open(const void *bytes, size_t size, struct nvl_log *out)
{
    struct reader r = { bytes, (const uint8_t *) bytes + size, false };
    struct nvl_log log = { 0 };
    struct nvl_span span, tail;
    uint8_t digest[SHA256_SIZE];
    if (size < 8 || memcmp(bytes, log_magic, 8) != 0)
        return NVL_E_CORRUPT;
    r.at += 8;
    if (!next_section(&r, "HEAD", &log.header))
        return NVL_E_CORRUPT;
    (void) next_section(&r, "CARY", &log.carry);
    if (!next_section(&r, "PACK", &log.pack) || !next_section(&r, "WRLD", &log.world))
        return NVL_E_CORRUPT;
    log.events.data = r.at;
    while (next_section(&r, "EVNT", &span))
        log.events_count++;
    log.events.size = (size_t) (r.at - log.events.data);
    if (!next_section(&r, "TAIL", &tail) || r.at != r.end || tail.size < 5 + SHA256_SIZE ||
        le32(tail.data) != log.events_count || tail.data[4 + SHA256_SIZE] > 1 ||
        tail.size != 5u + SHA256_SIZE + (tail.data[4 + SHA256_SIZE] ? SHA256_SIZE : 0u))
        return NVL_E_CORRUPT;
    sha256_of(log.pack.data, log.pack.size, digest);
    if (log.header.size < 10 + SHA256_SIZE ||
        memcmp(digest, log.header.data + 10, SHA256_SIZE) != 0)
        return NVL_E_CORRUPT;
    log.head = tail.data + 4;
    log.story_digest = tail.data[4 + SHA256_SIZE] ? tail.data + 5 + SHA256_SIZE : NULL;
    *out = log;
    return NVL_OK;
}
bool nvl_log_next(const struct nvl_log *log, size_t *offset, struct nvl_span *out_canonical)
{
    struct reader r = { log->events.data + *offset, log->events.data + log->events.size, false };
    if (!next_section(&r, "EVNT", out_canonical))
        return false;
    *offset = (size_t) (r.at - log->events.data);
    return true;
}
