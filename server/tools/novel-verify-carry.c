/* novel-verify-carry.c — the carry pack of a log (docs/log-format.md, 11): it must be the one that
 * the header names, and the initial state must hold what it says. */
#include <stdio.h>
#include <string.h>

#include "rpc/base/sha256.h"
#include "server/tools/novel-verify-run.h"

enum { FORMAT = 1, MEMBERS_MAX = 6, FLAG_CARRY = 8 };

struct carry {
    struct verify_run *run;
    struct verify_cursor c;
    unsigned members;
    int now[MEMBERS_MAX]; /* the member's index in this cast; -1: not of it */
};

static int find_member(const struct verify_run *run, struct verify_text id)
{
    for (unsigned i = 0; i < run->world.cast; i++)
        if (verify_text_equal(run->world.entities[SORT_CHAR][i].id, id))
            return (int) i;
    return -1;
}

static int find_fluent(const struct verify_run *run, struct verify_text name)
{
    for (uint32_t f = 0; f < run->pack.flue.count; f++)
        if (verify_text_equal(verify_pack_string(&run->pack, run->pack.fluents[f].name), name))
            return (int) f;
    return -1;
}

static unsigned take_member(struct carry *x)
{
    unsigned v = verify_u8(&x->c);
    x->c.failed = x->c.failed || v >= x->members;
    return x->c.failed ? 0 : v;
}

static void check_cell(struct carry *x, uint16_t cell, int value)
{
    char what[96];
    int low, high;
    const struct verify_fluent *f = &x->run->pack.fluents[x->run->world.cell_fluent[cell]];
    verify_world_range(&x->run->world, f, &low, &high);
    value = value < low ? low : value > high ? high : value;
    if (x->run->world.initial[cell] == value)
        return;
    verify_world_describe(&x->run->world, &x->run->pack, cell, what);
    verify_say(x->run, VERIFY_CANON, "%s begins at %d, the chapter before left it at %d", what,
               x->run->world.initial[cell], value);
}

static void take_cells(struct carry *x)
{
    for (unsigned n = verify_u16(&x->c); n > 0 && !x->c.failed; n--) {
        struct verify_text name = verify_str(&x->c);
        unsigned args = verify_u8(&x->c), a = take_member(x), b = args == 2 ? take_member(x) : 0;
        int value = verify_i16(&x->c), f = x->c.failed ? -1 : find_fluent(x->run, name);
        uint16_t cell;
        x->c.failed = x->c.failed || args < 1 || args > 2;
        if (f < 0 || x->c.failed || x->now[a] < 0 || (args == 2 && x->now[b] < 0))
            continue; /* it is not of this cast, or of this pack */
        const struct verify_fluent *fluent = &x->run->pack.fluents[f];
        if ((fluent->flags & FLAG_CARRY) != 0 && (fluent->sort2 != SORT_NONE) == (args == 2) &&
            verify_world_cell(&x->run->world, &x->run->pack, (unsigned) f, x->now[a],
                              args == 2 ? x->now[b] : 0, &cell))
            check_cell(x, cell, value);
    }
}

static void take_secrets(struct carry *x)
{
    struct verify_run *run = x->run;
    int owner_of = find_fluent(run, (struct verify_text){ "secret_of", 9 });
    for (unsigned n = verify_u16(&x->c); n > 0 && !x->c.failed; n--) {
        unsigned knower = take_member(x), owner = take_member(x), level = verify_u8(&x->c);
        x->c.failed = x->c.failed || level < 1 || level > 3;
        for (unsigned f = 0; f < run->world.counts[SORT_FACT] && !x->c.failed && owner_of >= 0; f++) {
            uint16_t cell, known;
            if (x->now[knower] >= 0 && x->now[owner] >= 0 &&
                verify_world_cell(&run->world, &run->pack, (unsigned) owner_of, (int32_t) f, 0, &cell) &&
                run->world.initial[cell] == x->now[owner] &&
                verify_world_cell(&run->world, &run->pack, (unsigned) run->pack.named[NAMED_KNOWS],
                                  x->now[knower], (int32_t) f, &known))
                check_cell(x, known, (int) level);
        }
    }
}

/* What a thread that was left open is about may move without being opened again. */
static void take_threads(struct carry *x)
{
    for (unsigned n = verify_u16(&x->c); n > 0 && !x->c.failed; n--) {
        (void) verify_str(&x->c);
        unsigned about = verify_u8(&x->c);
        if (about == NONE_U8)
            x->run->carried_threads[NONE_U8] = true;
        else if (about >= x->members)
            x->c.failed = true;
        else if (x->now[about] >= 0)
            x->run->carried_threads[x->now[about]] = true;
    }
}

static void take_rest(struct carry *x, unsigned chapter)
{
    for (unsigned n = verify_u16(&x->c); n > 0 && !x->c.failed; n--) { /* items */
        (void) take_member(x);
        (void) verify_str(&x->c);
    }
    take_threads(x);
    unsigned canon = verify_u16(&x->c);
    x->c.failed = x->c.failed || canon == 0;
    for (; canon > 0 && !x->c.failed; canon--) {
        unsigned of = verify_u16(&x->c);
        (void) verify_str(&x->c);
        (void) verify_str(&x->c);
        x->c.failed = x->c.failed || of == 0 || of > chapter;
    }
}

void verify_carry_check(struct verify_run *run, const uint8_t *data, size_t size)
{
    static const uint8_t none[32];
    uint8_t digest[32];
    bool named = memcmp(run->header.carry, none, 32) != 0;
    if (data == NULL) {
        if (named)
            verify_say(run, VERIFY_DIGEST, "the header names a carry pack, and there is none");
        return;
    }
    sha256_of(data, size, digest);
    if (!named || memcmp(digest, run->header.carry, 32) != 0) {
        verify_say(run, VERIFY_DIGEST, "the carry pack is not the one that the header names");
        return;
    }
    struct carry x = { .run = run, .c = verify_cursor_of(data, size) };
    const uint8_t *magic = verify_take(&x.c, 4);
    unsigned format = verify_u16(&x.c), chapter = verify_u16(&x.c);
    (void) verify_take(&x.c, 32);
    x.members = verify_u8(&x.c);
    if (x.c.failed || memcmp(magic, "NVC1", 4) != 0 || format != FORMAT || chapter == 0 ||
        x.members < 2 || x.members > MEMBERS_MAX) {
        verify_say(run, VERIFY_FORMAT, "the carry pack does not begin like one");
        return;
    }
    for (unsigned i = 0; i < x.members; i++)
        x.now[i] = find_member(run, verify_str(&x.c));
    take_cells(&x);
    take_secrets(&x);
    take_rest(&x, chapter);
    if (!verify_ended(&x.c))
        verify_say(run, VERIFY_FORMAT, "the carry pack is cut short, too long, or names nobody");
}
