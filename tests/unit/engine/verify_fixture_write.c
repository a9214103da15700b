#include "rpc/base/sha256.h"
#include "tests/unit/engine/verify_fixture_bytes.h"

static void put_args(struct buf *b, unsigned count, const uint8_t *args)
{
    put_u8(b, count);
    buf_put(b, args, count);
}

static void encode_lists(const struct verify_event *e, struct buf *b)
{
    put_u8(b, e->cause_count);
    for (unsigned i = 0; i < e->cause_count; i++) {
        put_u32(b, e->causes[i].sequence);
        put_u8(b, e->causes[i].kind);
        put_u16(b, e->causes[i].cell);
    }
    put_u8(b, e->delta_count);
    for (unsigned i = 0; i < e->delta_count; i++) {
        put_u16(b, e->deltas[i].cell);
        put_u16(b, (uint16_t) e->deltas[i].before);
        put_u16(b, (uint16_t) e->deltas[i].after);
    }
    put_u8(b, e->belief_count);
    for (unsigned i = 0; i < e->belief_count; i++) {
        const struct verify_belief *v = &e->beliefs[i];
        const uint8_t bytes[6] = { v->who, v->fact, v->before, v->after, v->source, v->informant };
        buf_put(b, bytes, 6);
    }
    put_u8(b, e->thread_count);
    for (unsigned i = 0; i < e->thread_count; i++) {
        const uint8_t bytes[3] = { e->threads[i].thread, e->threads[i].change,
                                   e->threads[i].about };
        buf_put(b, bytes, 3);
    }
}

void fixture_encode(const struct verify_event *e, struct buf *b)
{
    put_u32(b, e->sequence);
    put_u16(b, e->turn);
    put_u16(b, e->pass);
    put_u32(b, e->minute);
    const uint8_t head[4] = { e->type, e->phase, e->outcome, e->actor };
    buf_put(b, head, 4);
    put_u16(b, e->op);
    put_args(b, e->arg_count, e->args);
    put_u8(b, e->place);
    put_u32(b, e->witnesses);
    put_u32(b, e->silent);
    put_u16(b, (uint16_t) e->roll);
    put_u16(b, (uint16_t) e->difficulty);
    put_u16(b, (uint16_t) e->skill);
    const uint8_t law[5] = { e->tension_before, e->tension_after, e->target, e->verdict,
                             e->repair };
    buf_put(b, law, 5);
    put_args(b, e->code_count, e->codes);
    put_u16(b, e->reason);
    put_u8(b, e->goal);
    put_u8(b, e->plan_step);
    put_u32(b, (uint32_t) e->utility);
    for (unsigned i = 0; i < TERM_COUNT; i++)
        put_u16(b, (uint16_t) e->terms[i]);
    for (unsigned i = 0; i < 2; i++) {
        put_u16(b, e->alternatives[i].op);
        put_args(b, e->alternatives[i].count, e->alternatives[i].args);
        put_u32(b, (uint32_t) e->alternatives[i].utility);
    }
    encode_lists(e, b);
    if (e->type == EVENT_STARTED) {
        buf_put(b, e->hash_0, 32);
        buf_put(b, e->world_digest, 32);
    } else if (e->type == EVENT_INTERVENTION) {
        const struct verify_edit *c = &e->edit;
        const uint8_t tail[6] = { c->kind, c->who, c->thing, c->to_sort, c->to, c->value };
        buf_put(b, tail, sizeof(tail));
    } else if (e->type == EVENT_FORKED) {
        static const uint8_t none[32];
        buf_put(b, e->parent_head != NULL ? e->parent_head : none, 32);
        put_u64(b, e->seed);
        put_u16(b, e->turns);
    } else if (e->type == EVENT_COMPLETED) {
        put_u32(b, e->turns);
        put_u8(b, e->ending);
    }
}

static void write_image(const struct fixture *f, struct buf *out)
{
    enum { SECTIONS = 11 };
    static const char tags[SECTIONS][5] = { "STRS", "FLUE", "OPER", "PARM", "COND", "EFCT",
                                            "TENS", "CODE", "GOAL", "TOWA", "XTRA" };
    static const uint8_t record[SECTIONS] = { 1, 32, 128, 8, 8, 24, 8, 1, 16, 4, 1 };
    const struct buf *all[SECTIONS] = { &f->strs, &f->flue, &f->oper, &f->parm,
                                        &f->cond, &f->efct, &f->tens, &f->code,
                                        &f->goal, &f->towa, &f->strs };
    uint32_t at = 16 + SECTIONS * 16;
    buf_puts(out, "NVLPACK\n");
    put_u32(out, 1);
    put_u32(out, SECTIONS);
    for (unsigned i = 0; i < SECTIONS; i++) {
        buf_puts(out, tags[i]);
        put_u32(out, at);
        put_u32(out, (uint32_t) all[i]->size / record[i]);
        put_u32(out, (uint32_t) all[i]->size);
        at += (uint32_t) all[i]->size;
    }
    for (unsigned i = 0; i < SECTIONS; i++)
        buf_put(out, all[i]->data, all[i]->size);
}

static void write_header(const struct fixture *f, const uint8_t pack[32], struct buf *out)
{
    buf_puts(out, "NVL1");
    put_u16(out, f->format);
    put_u32(out, 1);
    buf_put(out, pack, 32);
    put_zero(out, 32);
    put_u64(out, f->seed);
    put_u16(out, f->turns);
    put_u8(out, f->mood);
    put_str(out, "a quiet house");
    put_str(out, "somebody owes something");
    put_u8(out, 2);
    for (unsigned c = 0; c < 2; c++) {
        put_str(out, entities[SORT_CHAR][c]);
        put_str(out, c == ANA ? "Ana" : "Ben");
        for (unsigned i = 0; i < 5; i++)
            put_str(out, "");
        put_zero(out, 2 + 6 + 8);
        put_u8(out, 1);
        put_str(out, "cooking");
        put_u8(out, 30);
        put_u8(out, 1);
        put_str(out, "ben");
        put_zero(out, 5);
        put_u8(out, 1);
        put_str(out, "sleep");
        put_zero(out, 5);
    }
}

static void write_world(const struct fixture *f, struct buf *out)
{
    for (unsigned i = 0; i < 4; i++)
        put_str(out, "plain");
    for (unsigned sort = SORT_CHAR; sort < SORT_COUNT; sort++) {
        put_u8(out, entity_count(sort));
        for (unsigned i = 0; i < entity_count(sort); i++) {
            for (unsigned k = 0; k < 6; k++)
                put_str(out, entities[sort][i]);
            put_u8(out, 0);
            put_u16(out, 0xffff);
        }
    }
    put_u8(out, 2);
    put_u16(out, f->cells_count);
    for (unsigned i = 0; i < f->cells_count; i++)
        put_u16(out, (uint16_t) f->cells[i]);
}

static void section(struct buf *out, const char *tag, const struct buf *bytes)
{
    buf_puts(out, tag);
    put_u32(out, (uint32_t) bytes->size);
    buf_put(out, bytes->data, bytes->size);
}

static void write_events(const struct fixture *f, const uint8_t hash_0[32], const uint8_t world[32],
                         struct buf *out, uint8_t head[32])
{
    struct sha256 *sha = sha256_new();
    memcpy(head, hash_0, 32);
    for (unsigned i = 0; i < f->count; i++) {
        struct verify_event e = f->events[i];
        uint8_t first[32];
        memcpy(first, hash_0, 32);
        first[0] ^= f->hash_0_flip;
        e.hash_0 = first;
        e.world_digest = world;
        struct buf bytes = { 0 };
        fixture_encode(&e, &bytes);
        section(out, "EVNT", &bytes);
        sha256_start(sha);
        sha256_add(sha, head, 32);
        sha256_add(sha, bytes.data, bytes.size);
        sha256_finish(sha, head);
        buf_done(&bytes);
    }
    sha256_free(sha);
}

void fixture_write(const struct fixture *f, struct buf *out)
{
    struct buf image = { 0 }, header = { 0 }, world = { 0 }, tail = { 0 };
    uint8_t digest[32], hash_0[32], head[32];
    write_image(f, &image);
    sha256_of(image.data, image.size, digest);
    digest[5] ^= f->pack_flip;
    write_header(f, digest, &header);
    sha256_of(header.data, header.size, hash_0);
    write_world(f, &world);
    sha256_of(world.data, world.size, digest);
    digest[5] ^= f->world_flip;
    buf_puts(out, "NVLOG1\r\n");
    section(out, "HEAD", &header);
    section(out, "PACK", &image);
    section(out, "WRLD", &world);
    write_events(f, hash_0, digest, out, head);
    put_u32(&tail, f->count + f->count_add);
    head[9] ^= f->head_flip;
    buf_put(&tail, head, 32);
    put_u8(&tail, 0);
    section(out, "TAIL", &tail);
    buf_done(&image);
    buf_done(&header);
    buf_done(&world);
    buf_done(&tail);
}
