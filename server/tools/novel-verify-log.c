#include <stdio.h>
#include <string.h>

#include "rpc/base/arena.h"
#include "rpc/base/sha256.h"
#include "server/tools/novel-verify-run.h"

static const uint8_t magic[8] = { 'N', 'V', 'L', 'O', 'G', '1', '\r', '\n' };

struct section {
    const uint8_t *tag, *data;
    uint32_t size;
};

/* False at the end, and when a section is cut short (then the cursor has failed). */
static bool next_section(struct verify_cursor *c, struct section *out_section)
{
    if (c->at == c->size)
        return false;
    out_section->tag = verify_take(c, 4);
    out_section->size = verify_u32(c);
    out_section->data = verify_take(c, out_section->size);
    return !c->failed;
}

static bool is(const struct section *s, const char *tag)
{
    return memcmp(s->tag, tag, 4) == 0;
}

/* ---- before the events ----------------------------------------------------------------------- */

/* Takes the next section, which must have this tag. */
static bool expect(struct verify_run *run, struct verify_cursor *c, const char *tag,
                   struct section *out_section)
{
    if (next_section(c, out_section) && is(out_section, tag))
        return true;
    verify_say(run, VERIFY_FORMAT, "section %s does not stand where it must, or is cut short", tag);
    return false;
}

/* 0 when there is a world to replay in, 1 when a violation says why not, or VERIFY_NO_MEMORY. */
static int open_log(struct verify_run *run, struct verify_cursor *c, struct arena *arena)
{
    struct section head, pack, world;
    uint8_t digest[32];
    char why[200];
    struct section carry = { 0 };
    if (!expect(run, c, "HEAD", &head))
        return 1;
    size_t before = c->at;
    if (!next_section(c, &carry) || !is(&carry, "CARY")) {
        carry.data = NULL;
        c->at = before;
    }
    if (!expect(run, c, "PACK", &pack) || !expect(run, c, "WRLD", &world))
        return 1;
    int r = verify_header_open(head.data, head.size, &run->header, why);
    if (r == 0) {
        sha256_of(head.data, head.size, run->hash_0);
        sha256_of(world.data, world.size, run->world_digest);
        sha256_of(pack.data, pack.size, digest);
        if (memcmp(digest, run->header.pack, 32) != 0)
            verify_say(run, VERIFY_DIGEST, "the pack is not the one that the header names");
        r = verify_pack_open(pack.data, pack.size, arena, &run->pack, why);
    }
    if (r == 0)
        r = verify_world_open(world.data, world.size, &run->pack, &run->header, arena, &run->world,
                              why);
    if (r > 0)
        verify_say(run, VERIFY_FORMAT, "%s", why);
    if (r == 0)
        r = verify_run_init(run, arena);
    if (r == 0)
        verify_carry_check(run, carry.data, carry.size);
    return r;
}

/* ---- events and trailer ---------------------------------------------------------------------- */

/* hash_i = SHA-256(hash_(i-1) || canonical_i) */
static void chain_add(struct sha256 *sha, uint8_t head[32], const struct section *event)
{
    sha256_start(sha);
    sha256_add(sha, head, 32);
    sha256_add(sha, event->data, event->size);
    sha256_finish(sha, head);
}

static void check_trailer(struct verify_run *run, const struct section *tail)
{
    struct verify_report *report = run->report;
    struct verify_cursor c = verify_cursor_of(tail->data, tail->size);
    uint32_t events = verify_u32(&c);
    const uint8_t *head = verify_take(&c, 32);
    unsigned has = verify_u8(&c);
    const uint8_t *story = has == 1 ? verify_take(&c, 32) : NULL;
    if (!verify_ended(&c) || has > 1) {
        verify_say(run, VERIFY_FORMAT, "the trailer is cut short or too long");
        return;
    }
    if (events != report->events)
        verify_say(run, VERIFY_CHAIN, "the trailer counts %u events, there are %u", events,
                   report->events);
    if (memcmp(head, report->head, 32) != 0)
        verify_say(run, VERIFY_CHAIN,
                   "the trailer's head is not that of these events: something was changed");
    if (story != NULL) {
        report->has_story = true;
        memcpy(report->story, story, 32);
    }
}

/* False when the events that follow can't be replayed. */
static bool take_event(struct verify_run *run, const struct section *section)
{
    struct verify_event e;
    const char *why;
    if (run->report->events > VERIFY_EVENTS_MAX) {
        verify_say(run, VERIFY_COST, "there are more than %d events", VERIFY_EVENTS_MAX);
        return false;
    }
    if (!verify_event_decode(section->data, section->size, &e, &why)) {
        run->e = &e;
        run->has_op = e.op < run->pack.oper.count;
        if (run->has_op)
            run->op = verify_pack_op(&run->pack, e.op);
        e.sequence = run->report->events; /* the place counts, not what the bytes say */
        verify_say(run, VERIFY_FORMAT, "the event can't be read: %s", why);
        run->e = NULL;
        return false;
    }
    run->report->complete = e.type == EVENT_COMPLETED || e.type == EVENT_CANCELLED;
    return verify_run_event(run, &e);
}

static void check_events(struct verify_run *run, struct verify_cursor *c, struct sha256 *sha)
{
    struct section section = { 0 };
    bool replay = true, tail = false;
    memcpy(run->report->head, run->hash_0, 32);
    while (!tail && next_section(c, &section)) {
        tail = is(&section, "TAIL");
        if (!tail && !is(&section, "EVNT"))
            break;
        if (tail)
            continue;
        run->report->events++;
        memcpy(run->head, run->report->head, sizeof(run->head));
        chain_add(sha, run->report->head, &section);
        replay = replay && take_event(run, &section);
    }
    if (run->report->events == 0)
        verify_say(run, VERIFY_FORMAT, "there is no event");
    if (!tail) {
        verify_say(run, VERIFY_FORMAT, "the log does not end with its trailer");
        return;
    }
    check_trailer(run, &section);
    if (c->at != c->size)
        verify_say(run, VERIFY_FORMAT, "%zu bytes follow the trailer", c->size - c->at);
}

int verify_log_check(const uint8_t *data, size_t size, struct verify_report *out_report)
{
    if (size < sizeof(magic) || memcmp(data, magic, sizeof(magic)) != 0 || size > VERIFY_FILE_MAX)
        return VERIFY_NOT_A_LOG;
    struct arena arena;
    struct verify_report report = { 0 };
    struct verify_cursor c = verify_cursor_of(data, size);
    (void) verify_take(&c, sizeof(magic));
    arena_init(&arena, 64 << 10);
    struct sha256 *sha = sha256_new();
    struct verify_run *run = arena_zero(&arena, 1, sizeof(*run));
    int r = run == NULL || sha == NULL ? VERIFY_NO_MEMORY : 0;
    if (r == 0) {
        run->report = &report;
        r = open_log(run, &c, &arena);
    }
    if (r == 0)
        check_events(run, &c, sha);
    sha256_free(sha);
    arena_done(&arena);
    if (r < 0)
        return VERIFY_NO_MEMORY;
    *out_report = report;
    return VERIFY_DONE;
}
