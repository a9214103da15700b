#include "server/tools/novel-verify-carry.h"

#include <stdio.h>
#include <string.h>

enum { PEOPLE_MAX = 16, LIST_MAX = 15, ITEMS_MAX = 4, THREADS_MAX = 32, CANON_MAX = 12 };
enum { KNOWERS_MAX = 16, CHAPTERS_MAX = 999, BELIEVES = 2, OPEN = 1 };

/* The pack as it is read; the first thing that is not as it must be ends the reading. */
struct reading {
    struct verify_run *run;
    struct verify_cursor c;
    const char *why;
    unsigned chapters;
};

static bool fails(struct reading *r, bool bad, const char *why)
{
    if (r->why == NULL && (bad || r->c.failed))
        r->why = why;
    return r->why != NULL;
}

static struct verify_text take_text(struct reading *r, size_t least, size_t most)
{
    struct verify_text text = verify_str(&r->c);
    bool bad = text.size < least || text.size > most;
    for (size_t i = 0; i < text.size && !r->c.failed; i++)
        bad = bad || (uint8_t) text.data[i] < 0x20 || text.data[i] == 0x7f;
    (void) fails(r, bad, "a text of it is too short, too long or no text");
    return r->why == NULL ? text : (struct verify_text){ "", 0 };
}

static int order_of(struct verify_text a, struct verify_text b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    int order = n == 0 ? 0 : memcmp(a.data, b.data, n);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* An id that must come after the one before it in its list (`before->data` NULL: the first). */
static struct verify_text take_id(struct reading *r, struct verify_text *before)
{
    struct verify_text id = take_text(r, 1, 63);
    (void) fails(r, before->data != NULL && order_of(*before, id) >= 0,
                 "ids of it are out of order");
    *before = id;
    return id;
}

static unsigned take_number(struct reading *r, unsigned max)
{
    unsigned v = verify_u8(&r->c);
    return fails(r, v > max, "a number of it is out of range") ? 0 : v;
}

/* Index in this chapter's cast, or -1. */
static int cast_of(const struct verify_run *run, struct verify_text id)
{
    for (unsigned i = 0; i < run->header.cast; i++)
        if (verify_text_equal(run->header.ids[i], id))
            return (int) i;
    return -1;
}

static int fluent_of(const struct verify_run *run, const char *name)
{
    struct verify_text want = { name, strlen(name) };
    for (uint32_t i = 0; i < run->pack.flue.count; i++)
        if (verify_text_equal(verify_pack_string(&run->pack, run->pack.fluents[i].name), want))
            return (int) i;
    return -1;
}

/* Holds a cell of the initial state against what was carried; a pack without such a fluent, or a
 * world without such a cell, has nothing to hold. */
static void hold(struct reading *r, const char *name, int a, int b, int value, bool least)
{
    struct verify_run *run = r->run;
    int fluent = a < 0 || b < 0 ? -1 : fluent_of(run, name), min, max;
    uint16_t cell;
    char what[96];
    if (fluent < 0 || !verify_world_cell(&run->world, &run->pack, (unsigned) fluent, a, b, &cell))
        return;
    verify_world_range(&run->world, &run->pack.fluents[fluent], &min, &max);
    value = value < min ? min : value > max ? max : value;
    int held = run->world.initial[cell];
    if (held == value || (least && held > value))
        return;
    verify_world_describe(&run->world, &run->pack, cell, what);
    verify_say(run, VERIFY_CANON, "the chapter before left %s at %d, this one begins with %d", what,
               value, held);
}

/* The fact that is the secret of a cast member: the facts named so, one per member. */
static int secret_of(const struct verify_run *run, int who)
{
    for (unsigned i = 0; who >= 0 && i < run->world.counts[SORT_FACT]; i++) {
        const struct verify_entity *e = &run->world.entities[SORT_FACT][i];
        if (verify_text_equal(e->kind, (struct verify_text){ "secret", 6 }) && e->owner == who)
            return (int) i;
    }
    return -1;
}

static void read_bonds(struct reading *r, int who, struct verify_text self)
{
    static const char *const axes[] = { "trust", "affection", "respect", "dread", "debt" };
    static const char *const marks[] = { "grudge", "doubts", "wronged", "vowed" };
    struct verify_text before = { NULL, 0 };
    unsigned count = take_number(r, LIST_MAX);
    for (unsigned i = 0; i < count && r->why == NULL; i++) {
        struct verify_text id = take_id(r, &before);
        int other = cast_of(r->run, id), debt = 0;
        (void) fails(r, verify_text_equal(id, self), "somebody in it has a bond with themselves");
        for (unsigned k = 0; k < 5; k++) {
            int v = (int8_t) verify_u8(&r->c);
            if (fails(r, v < -100 || v > 100, "a bond of it is out of range"))
                return;
            hold(r, axes[k], who, other, debt = v, false);
        }
        unsigned set = take_number(r, 15);
        for (unsigned k = 0; k < 4 && r->why == NULL; k++)
            hold(r, marks[k], who, other, (int) (set >> k & 1), false);
        if (r->why == NULL)
            hold(r, "owed", who, other, debt > 0 ? debt : 0, false);
    }
}

/* Somebody of the cast has in hand what they had at the end. */
static void hold_item(struct reading *r, int who, struct verify_text owner, struct verify_text name)
{
    struct verify_run *run = r->run;
    char text[96];
    int of = cast_of(run, owner);
    if (name.size > 0 && name.data[0] == '~')
        name.data++, name.size--;
    for (unsigned i = 0; i < run->world.counts[SORT_ITEM]; i++) {
        const struct verify_entity *e = &run->world.entities[SORT_ITEM][i];
        if (verify_world_named(&run->world, &run->pack, run->world.initial, NAMED_HOLDER, (int) i,
                               0, -1) == who &&
            (verify_text_equal(e->name, name) || (of >= 0 && e->owner == of)))
            return;
    }
    verify_text_copy(name, text, sizeof(text));
    verify_say(run, VERIFY_CANON, "the chapter before left character %d holding \"%s\"", who, text);
}

static void read_items(struct reading *r, int who)
{
    unsigned count = take_number(r, ITEMS_MAX);
    for (unsigned i = 0; i < count && r->why == NULL; i++) {
        struct verify_text owner = take_text(r, 0, 63), name = take_text(r, 1, 400);
        (void) take_text(r, 1, 63);
        (void) fails(r, name.size == 1 && name.data[0] == '~', "a thing of it has no name");
        if (r->why == NULL && who >= 0)
            hold_item(r, who, owner, name);
    }
}

static void read_secrets(struct reading *r, int who, struct verify_text self)
{
    struct verify_text before = { NULL, 0 };
    unsigned count = take_number(r, LIST_MAX);
    for (unsigned i = 0; i < count && r->why == NULL; i++) {
        struct verify_text id = take_id(r, &before);
        unsigned level = take_number(r, 3);
        if (fails(r, level == 0 || verify_text_equal(id, self), "a secret of it is nobody's"))
            return;
        int fact = secret_of(r->run, cast_of(r->run, id));
        hold(r, "knows", who, fact, (int) level, false);
        hold(r, "knew", who, fact, level == BELIEVES, false);
    }
}

static void read_person(struct reading *r, struct verify_text *before)
{
    static const char *const emotions[] = { "stress", "fear", "guilt", "anger", "hope", "grief" };
    struct verify_text id = take_id(r, before);
    (void) take_text(r, 1, 400);
    int who = cast_of(r->run, id);
    unsigned hurt = take_number(r, 3), out = take_number(r, 1);
    if (r->why == NULL)
        hold(r, "hurt", who, 0, (int) hurt, false);
    if (r->why == NULL && out != 0)
        hold(r, "shared", secret_of(r->run, who), 0, 1, false);
    for (unsigned k = 0; k < 6; k++) {
        unsigned v = take_number(r, 100);
        if (r->why == NULL && v > 0)
            hold(r, emotions[k], who, 0, (int) v, true);
    }
    read_bonds(r, who, id);
    read_items(r, who);
    read_secrets(r, who, id);
}

static void read_threads(struct reading *r)
{
    struct verify_run *run = r->run;
    struct verify_text name = { NULL, 0 }, about = { NULL, 0 };
    unsigned count = take_number(r, THREADS_MAX);
    for (unsigned i = 0; i < count && r->why == NULL; i++) {
        struct verify_text n = take_text(r, 1, 63), a = take_text(r, 1, 63);
        int order = name.data == NULL ? -1 : order_of(name, n);
        if (fails(r, order > 0 || (order == 0 && order_of(about, a) >= 0),
                  "threads of it are out of order"))
            return;
        name = n, about = a;
        int who = cast_of(run, a), thread = verify_pack_thread(&run->pack, n);
        if (who >= 0 && thread >= 0)
            run->threads[thread][who] = OPEN;
    }
}

/* Every proposition of the canon is a fact of this world, true, and known to those who knew it. */
static void read_canon(struct reading *r)
{
    struct verify_run *run = r->run;
    unsigned count = take_number(r, CANON_MAX), last = 0, first = 0;
    while (first < run->world.counts[SORT_FACT] &&
           !verify_text_equal(run->world.entities[SORT_FACT][first].kind,
                              (struct verify_text){ "canon", 5 }))
        first++;
    for (unsigned i = 0; i < count && r->why == NULL; i++) {
        unsigned chapter = verify_u16(&r->c), kind = verify_u8(&r->c), fact = first + i;
        struct verify_text clause = take_text(r, 1, 600), before = { NULL, 0 };
        unsigned knowers = take_number(r, KNOWERS_MAX);
        if (fails(r, chapter < 1 || chapter < last || chapter > r->chapters || kind < 1 || kind > 3,
                  "the canon of it is out of order"))
            return;
        last = chapter;
        bool there = fact < run->world.counts[SORT_FACT] &&
                     verify_text_equal(run->world.entities[SORT_FACT][fact].detail, clause);
        if (!there)
            verify_say(run, VERIFY_CANON, "fact %u of the canon is not in this world", i + 1);
        for (unsigned k = 0; k < knowers && r->why == NULL; k++) {
            int who = cast_of(run, take_id(r, &before));
            if (there && r->why == NULL)
                hold(r, "knows", who, (int) fact, BELIEVES, false);
        }
        if (there)
            hold(r, "fact_true", (int) fact, 0, 1, false);
        if (there)
            hold(r, "canon", (int) fact, 0, (int) chapter, false);
    }
    if (r->why == NULL && first + count != run->world.counts[SORT_FACT] && count > 0)
        verify_say(run, VERIFY_CANON, "there are facts behind the canon");
    run->canon_first = (uint8_t) first, run->canon_count = (uint8_t) count;
}

void verify_carry_check(struct verify_run *run, const uint8_t *data, size_t size)
{
    struct reading r = { .run = run, .c = verify_cursor_of(data, size) };
    struct verify_text before = { NULL, 0 };
    const uint8_t *magic = verify_take(&r.c, 4);
    unsigned format = verify_u16(&r.c);
    (void) verify_u32(&r.c);
    r.chapters = verify_u16(&r.c);
    (void) verify_take(&r.c, 32);
    (void) fails(&r, magic == NULL || memcmp(magic, "NVLC", 4) != 0 || format != 1,
                 "it is not of format 1");
    (void) fails(&r, r.chapters < 1 || r.chapters > CHAPTERS_MAX || size > VERIFY_CARRY_MAX,
                 "its chapters or its size are out of range");
    (void) take_text(&r, 1, 63);
    (void) take_text(&r, 0, 63);
    (void) take_text(&r, 0, 63);
    (void) take_text(&r, 0, 400);
    if (r.why == NULL)
        hold(&r, "came_before", 0, 0, (int) r.chapters, false);
    unsigned people = take_number(&r, PEOPLE_MAX);
    for (unsigned i = 0; i < people && r.why == NULL; i++)
        read_person(&r, &before);
    read_threads(&r);
    read_canon(&r);
    (void) fails(&r, !verify_ended(&r.c), "it ends too early or too late");
    if (r.why != NULL)
        verify_say(run, VERIFY_FORMAT, "the carry pack can't be read: %s", r.why);
}

void verify_carry_none(struct verify_run *run)
{
    struct reading r = { .run = run };
    hold(&r, "came_before", 0, 0, 0, false);
}
