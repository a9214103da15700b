#include "server/tools/novel-verify-world.h"

#include <stdio.h>
#include <string.h>

/* ---- the request ----------------------------------------------------------------------------- */

static void skip_list(struct verify_cursor *c)
{
    unsigned count = verify_u8(c);
    for (unsigned i = 0; i < count && !c->failed; i++)
        (void) verify_str(c);
}

static void read_profile(struct verify_cursor *c, struct verify_text *out_id,
                         struct verify_text *out_name)
{
    *out_id = verify_str(c);
    *out_name = verify_str(c);
    for (unsigned i = 0; i < 5; i++) /* pronouns, role, rank, faction, voice */
        (void) verify_str(c);
    (void) verify_take(c, 2 + 6 + 8); /* age, traits, drives */
    unsigned skills = verify_u8(c);
    for (unsigned i = 0; i < skills && !c->failed; i++) {
        (void) verify_str(c);
        (void) verify_u8(c);
    }
    unsigned relations = verify_u8(c);
    for (unsigned i = 0; i < relations && !c->failed; i++) {
        (void) verify_str(c);
        (void) verify_take(c, 5);
    }
    for (unsigned i = 0; i < 6; i++) /* goals, fears, secrets, vows, items, epithets */
        skip_list(c);
}

int verify_header_open(const uint8_t *data, size_t size, struct verify_header *out_header,
                       char out_why[static 200])
{
    struct verify_header h = { 0 };
    struct verify_cursor c = verify_cursor_of(data, size);
    const uint8_t *magic = verify_take(&c, 4);
    unsigned format = verify_u16(&c);
    if (magic == NULL || memcmp(magic, "NVL1", 4) != 0 || format != 1) {
        (void) snprintf(out_why, 200, "the header is not of format 1");
        return 1;
    }
    h.abi = verify_u32(&c);
    h.pack = verify_take(&c, 32);
    h.carry = verify_take(&c, 32);
    h.seed = verify_u64(&c);
    h.turns = verify_u16(&c);
    h.mood = verify_u8(&c);
    (void) verify_str(&c);
    (void) verify_str(&c);
    h.cast = verify_u8(&c);
    bool sound = !c.failed && h.seed >= 1 && h.seed < (1ull << 53) && h.turns >= 1 &&
                 h.turns <= 50 && h.mood <= 3 && h.cast >= 2 && h.cast <= VERIFY_CAST_MAX;
    if (!sound) {
        (void) snprintf(
            out_why, 200,
            "seed, turns, mood or cast of the header is out of range, or it is cut short");
        return 1;
    }
    for (unsigned i = 0; i < h.cast; i++)
        read_profile(&c, &h.ids[i], &h.names[i]);
    if (!verify_ended(&c)) {
        (void) snprintf(out_why, 200,
                        "the header's profiles end too early or too late, or hold bad UTF-8");
        return 1;
    }
    *out_header = h;
    return 0;
}

/* ---- the world ------------------------------------------------------------------------------- */

static int read_entities(struct verify_cursor *c, struct arena *arena, struct verify_world *world)
{
    world->counts[SORT_NONE] = 1;
    for (unsigned sort = SORT_CHAR; sort < SORT_COUNT; sort++) {
        unsigned count = verify_u8(c);
        world->counts[sort] = count;
        world->entities[sort] = arena_zero(arena, count, sizeof(struct verify_entity));
        if (world->entities[sort] == NULL)
            return -1;
        for (unsigned i = 0; i < count; i++) {
            struct verify_entity *e = &world->entities[sort][i];
            e->id = verify_str(c);
            e->name = verify_str(c);
            for (unsigned k = 0; k < 4; k++) /* brief, kind, pronouns, detail */
                (void) verify_str(c);
            unsigned flags = verify_u8(c);
            int owner = verify_i16(c);
            if (c->failed || flags > 7 || owner < -1)
                return 1;
        }
    }
    return 0;
}

/* Gives every fluent its cells; false when there are more than an event could name. */
static bool lay_out(struct verify_world *world, const struct verify_pack *pack)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < pack->flue.count; i++) {
        const struct verify_fluent *f = &pack->fluents[i];
        world->base[i] = at;
        at += world->counts[f->sort1] * world->counts[f->sort2];
        if (at > 0xffff)
            return false;
    }
    world->cells = at;
    return true;
}

static int unsound(char *why, const char *text)
{
    (void) snprintf(why, 200, "%s", text);
    return 1;
}

static int read_cells(struct verify_cursor *c, const struct verify_pack *pack, struct arena *arena,
                      struct verify_world *world, char *why)
{
    world->base = arena_zero(arena, pack->flue.count, sizeof(*world->base));
    if (world->base == NULL)
        return -1;
    if (!lay_out(world, pack) || verify_u16(c) != world->cells)
        return unsound(why, "the number of cells is not that of the pack's fluents in this world");
    world->cell_fluent = arena_zero(arena, world->cells, sizeof(*world->cell_fluent));
    world->initial = arena_zero(arena, world->cells, sizeof(*world->initial));
    if (world->cell_fluent == NULL || world->initial == NULL)
        return -1;
    for (uint32_t i = 0; i < pack->flue.count; i++) {
        uint32_t end = i + 1 < pack->flue.count ? world->base[i + 1] : world->cells;
        for (uint32_t cell = world->base[i]; cell < end; cell++)
            world->cell_fluent[cell] = (uint16_t) i;
    }
    for (uint32_t cell = 0; cell < world->cells; cell++)
        world->initial[cell] = verify_i16(c);
    return verify_ended(c) ? 0 : unsound(why, "the world section ends too early or too late");
}

int verify_world_open(const uint8_t *data, size_t size, const struct verify_pack *pack,
                      const struct verify_header *header, struct arena *arena,
                      struct verify_world *out_world, char out_why[static 200])
{
    struct verify_world world = { 0 };
    struct verify_cursor c = verify_cursor_of(data, size);
    for (unsigned i = 0; i < 4; i++) /* frame, truth, genre, locale */
        (void) verify_str(&c);
    int r = read_entities(&c, arena, &world);
    if (r < 0)
        return r;
    if (r > 0)
        return unsound(out_why, "an entity of the world section is cut short or unsound");
    world.cast = verify_u8(&c);
    if (c.failed || world.counts[SORT_CHAR] > VERIFY_CHARS_MAX || world.cast != header->cast ||
        world.cast > world.counts[SORT_CHAR])
        return unsound(out_why,
                       "the cast is not that of the header, or there are more than 32 characters");
    for (unsigned i = 0; i < world.cast; i++)
        if (!verify_text_equal(world.entities[SORT_CHAR][i].id, header->ids[i]))
            return unsound(out_why, "the first characters are not the header's profiles");
    r = read_cells(&c, pack, arena, &world, out_why);
    if (r == 0)
        *out_world = world;
    return r;
}

/* ---- cells ----------------------------------------------------------------------------------- */

bool verify_world_cell(const struct verify_world *world, const struct verify_pack *pack,
                       unsigned fluent, int32_t a, int32_t b, uint16_t *out_cell)
{
    const struct verify_fluent *f = &pack->fluents[fluent];
    if (f->sort1 == SORT_NONE)
        a = 0;
    if (f->sort2 == SORT_NONE)
        b = 0;
    unsigned rows = world->counts[f->sort1], columns = world->counts[f->sort2];
    if (a < 0 || (unsigned) a >= rows || b < 0 || (unsigned) b >= columns)
        return false;
    *out_cell = (uint16_t) (world->base[fluent] + (unsigned) a * columns + (unsigned) b);
    return true;
}

void verify_world_args(const struct verify_world *world, const struct verify_pack *pack,
                       uint16_t cell, unsigned *out_a, unsigned *out_b)
{
    unsigned fluent = world->cell_fluent[cell];
    unsigned columns = world->counts[pack->fluents[fluent].sort2];
    unsigned offset = cell - world->base[fluent];
    *out_a = offset / columns; /* a fluent that has cells has columns */
    *out_b = offset % columns;
}

void verify_world_range(const struct verify_world *world, const struct verify_fluent *f,
                        int *out_min, int *out_max)
{
    *out_min = f->value == SORT_NONE ? f->min : -1;
    *out_max = f->value == SORT_NONE ? f->max : (int) world->counts[f->value] - 1;
}

int verify_world_named(const struct verify_world *world, const struct verify_pack *pack,
                       const int16_t *cells, enum verify_named which, int a, int b, int absent)
{
    uint16_t cell;
    if (pack->named[which] < 0 ||
        !verify_world_cell(world, pack, (unsigned) pack->named[which], a, b, &cell))
        return absent;
    return cells[cell];
}

static int place_of(const struct verify_world *world, const struct verify_pack *pack,
                    const int16_t *cells, enum verify_named which, unsigned a)
{
    return verify_world_named(world, pack, cells, which, (int) a, 0, -1);
}

/* Whether entity a of `sort` is at the place where c is. */
static bool is_here(const struct verify_world *world, const struct verify_pack *pack,
                    const int16_t *cells, unsigned c, enum verify_sort sort, unsigned a)
{
    if (sort == SORT_CHAR && a == c)
        return true;
    int here = place_of(world, pack, cells, NAMED_AT, c), holder;
    if (here < 0)
        return false;
    switch (sort) {
    case SORT_PLACE:
        return (int) a == here;
    case SORT_CHAR:
        return place_of(world, pack, cells, NAMED_AT, a) == here;
    case SORT_LINK:
        return place_of(world, pack, cells, NAMED_END_A, a) == here ||
               place_of(world, pack, cells, NAMED_END_B, a) == here;
    case SORT_CLUE:
        return place_of(world, pack, cells, NAMED_TRACE_AT, a) == here;
    case SORT_ITEM:
        if (place_of(world, pack, cells, NAMED_LIES, a) >= 0)
            return place_of(world, pack, cells, NAMED_LIES, a) == here;
        holder = place_of(world, pack, cells, NAMED_HOLDER, a);
        return holder >= 0 && place_of(world, pack, cells, NAMED_AT, (unsigned) holder) == here;
    default:
        return false;
    }
}

bool verify_world_sees(const struct verify_world *world, const struct verify_pack *pack,
                       const int16_t *cells, unsigned c, uint16_t cell)
{
    const struct verify_fluent *f = &pack->fluents[world->cell_fluent[cell]];
    unsigned a, b;
    verify_world_args(world, pack, cell, &a, &b);
    switch (f->see) {
    case SEE_ALL:
        return true;
    case SEE_OWN:
        return f->sort1 == SORT_CHAR && a == c;
    case SEE_HERE:
        return is_here(world, pack, cells, c, f->sort1, a);
    default:
        return false;
    }
}

void verify_world_describe(const struct verify_world *world, const struct verify_pack *pack,
                           uint16_t cell, char out[static 96])
{
    char name[40], first[24] = "", second[24] = "";
    if (cell >= world->cells) {
        (void) snprintf(out, 96, "cell %u", cell);
        return;
    }
    const struct verify_fluent *f = &pack->fluents[world->cell_fluent[cell]];
    unsigned a, b;
    verify_world_args(world, pack, cell, &a, &b);
    verify_text_copy(verify_pack_string(pack, f->name), name, sizeof(name));
    if (f->sort1 != SORT_NONE)
        verify_text_copy(world->entities[f->sort1][a].id, first, sizeof(first));
    if (f->sort2 != SORT_NONE)
        verify_text_copy(world->entities[f->sort2][b].id, second, sizeof(second));
    (void) snprintf(out, 96,
                    f->sort1 == SORT_NONE   ? "%s"
                    : f->sort2 == SORT_NONE ? "%s(%s)"
                                            : "%s(%s, %s)",
                    name, first, second);
}
