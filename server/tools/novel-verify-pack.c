#include "server/tools/novel-verify-pack.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/tools/novel-verify-code.h"

enum { SECTIONS_READ = 10, SECTIONS_NEEDED = 8, FLAG_MOVES = 16 };
enum {
    SECTIONS_MAX = 256,
    OPERATORS_MAX = 0xffff, /* 0xFFFF names none */
    FLUENTS_MAX = 0xffff,
    CODE_MAX = 1 << 20,
    RECORDS_MAX = 1 << 18,
    TENS_MAX = 256,
    CONDITIONS_MAX = 256, /* of an operator */
    EFFECTS_MAX = 1024,   /* of an outcome */
};

struct opening {
    struct verify_pack *pack;
    struct arena *arena;
    char *why;
};

__attribute__((format(printf, 2, 3))) static int unsound(struct opening *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void) vsnprintf(o->why, 200, format, args);
    va_end(args);
    return 1;
}

bool verify_law_known(unsigned code)
{
    static const uint8_t subs[6] = { 0, 3, 3, 3, 4, 3 };
    unsigned law = code >> 4, sub = code & 15;
    return law >= 1 && law <= 5 && sub >= 1 && sub <= subs[law];
}

/* ---- records --------------------------------------------------------------------------------- */

struct verify_op verify_pack_op(const struct verify_pack *pack, uint32_t index)
{
    const uint8_t *p = pack->oper.data + (size_t) index * 128;
    struct verify_op op = {
        .name = verify_get_u32(p),
        .family = verify_get_u32(p + 4),
        .parm_first = verify_get_u32(p + 8),
        .parms = p[12],
        .kind = p[13],
        .minutes = p[14],
        .flags = p[15],
        .cond_first = verify_get_u32(p + 16),
        .conds = verify_get_u16(p + 20),
        .source = p[22],
        .skill = verify_get_u32(p + 24),
        .difficulty = verify_get_u32(p + 28),
        .moves = (p[85] & FLAG_MOVES) != 0,
        .toward_first = verify_get_u16(p + 88),
        .toward = p[90],
    };
    for (unsigned i = 0; i < 4; i++) {
        uint16_t count = verify_get_u16(p + 34 + i * 4);
        op.outcomes[OUTCOME_CRITICAL + i] = (struct verify_span){
            verify_get_u16(p + 32 + i * 4),
            count == 0xffff ? 0 : count,
            count != 0xffff,
        };
    }
    return op;
}

struct verify_parm verify_pack_parm(const struct verify_pack *pack, uint32_t index)
{
    const uint8_t *p = pack->parm.data + (size_t) index * 8;
    return (struct verify_parm){ p[4], p[5] };
}

struct verify_cond verify_pack_cond(const struct verify_pack *pack, uint32_t index)
{
    const uint8_t *p = pack->cond.data + (size_t) index * 8;
    return (struct verify_cond){ verify_get_u32(p), p[4], p[5] };
}

struct verify_effect verify_pack_effect(const struct verify_pack *pack, uint32_t index)
{
    const uint8_t *p = pack->efct.data + (size_t) index * 24;
    return (struct verify_effect){
        verify_get_u16(p),
        p[2],
        p[3],
        verify_get_u32(p + 4),
        verify_get_u32(p + 8),
        verify_get_u32(p + 12),
        verify_get_u32(p + 16),
    };
}

struct verify_tens verify_pack_tens(const struct verify_pack *pack, uint32_t index)
{
    const uint8_t *p = pack->tens.data + (size_t) index * 8;
    return (struct verify_tens){ verify_get_u32(p), p[4], p[5] };
}

struct verify_goal verify_pack_goal(const struct verify_pack *pack, uint32_t index)
{
    const uint8_t *p = pack->goal.data + (size_t) index * 16;
    return (struct verify_goal){ verify_get_u32(p), verify_get_u32(p + 4), verify_get_u32(p + 8),
                                 verify_get_u32(p + 12) };
}

struct verify_toward verify_pack_toward(const struct verify_pack *pack, uint32_t index)
{
    const uint8_t *p = pack->towa.data + (size_t) index * 4;
    return (struct verify_toward){ verify_get_u16(p), (int16_t) verify_get_u16(p + 2) };
}

struct verify_text verify_pack_string(const struct verify_pack *pack, uint32_t offset)
{
    if (offset >= pack->strs.size)
        return (struct verify_text){ "", 0 };
    const char *s = (const char *) pack->strs.data + offset;
    return (struct verify_text){
        s, strnlen(s, 256)
    }; /* the section ends with a NUL; cut, to stay linear */
}

/* ---- directory ------------------------------------------------------------------------------- */

static int open_sections(struct opening *o, const uint8_t *data, size_t size)
{
    struct verify_pack *pack = o->pack;
    static const uint8_t record[SECTIONS_READ] = { 0, 32, 128, 8, 8, 24, 8, 0, 16, 4 };
    static const char tags[SECTIONS_READ][5] = { "STRS", "FLUE", "OPER", "PARM", "COND",
                                                 "EFCT", "TENS", "CODE", "GOAL", "TOWA" };
    struct verify_table *tables[SECTIONS_READ] = { &pack->strs, &pack->flue, &pack->oper, &pack->parm,
                                                   &pack->cond, &pack->efct, &pack->tens, &pack->code,
                                                   &pack->goal, &pack->towa };
    struct verify_cursor c = verify_cursor_of(data, size);
    const uint8_t *magic = verify_take(&c, 8);
    if (magic == NULL || memcmp(magic, "NVLPACK\n", 8) != 0)
        return unsound(o, "the image does not begin with NVLPACK");
    uint32_t version = verify_u32(&c), sections = verify_u32(&c);
    if (c.failed || version != 1 || sections > SECTIONS_MAX)
        return unsound(o, "version %u or %u sections are not supported", version, sections);
    for (uint32_t i = 0; i < sections; i++) {
        const uint8_t *tag = verify_take(&c, 4);
        uint32_t offset = verify_u32(&c), count = verify_u32(&c), bytes = verify_u32(&c);
        if (c.failed || offset > size || bytes > size - offset)
            return unsound(o, "section %u lies outside the image", i);
        for (unsigned t = 0; t < SECTIONS_READ; t++) {
            if (memcmp(tag, tags[t], 4) != 0)
                continue;
            if (tables[t]->data != NULL)
                return unsound(o, "section %s is there twice", tags[t]);
            if (record[t] != 0 && (count > RECORDS_MAX || count * record[t] != bytes))
                return unsound(o, "section %s: %u records do not make %u bytes", tags[t], count,
                               bytes);
            *tables[t] = (struct verify_table){ data + offset, count, bytes };
        }
    }
    for (unsigned t = 0; t < SECTIONS_NEEDED; t++)
        if (tables[t]->data == NULL)
            return unsound(o, "section %s is missing", tags[t]);
    return 0;
}

static int check_string(struct opening *o, uint32_t offset, const char *what, uint32_t index)
{
    if (offset >= o->pack->strs.size)
        return unsound(o, "%s %u: its name lies outside STRS", what, index);
    return 0;
}

/* ---- fluents --------------------------------------------------------------------------------- */

static int open_fluents(struct opening *o)
{
    struct verify_pack *pack = o->pack;
    if (pack->flue.count == 0 || pack->flue.count > FLUENTS_MAX)
        return unsound(o, "%u fluents are not supported", pack->flue.count);
    pack->fluents = arena_zero(o->arena, pack->flue.count, sizeof(*pack->fluents));
    if (pack->fluents == NULL)
        return -1;
    for (uint32_t i = 0; i < pack->flue.count; i++) {
        const uint8_t *p = pack->flue.data + (size_t) i * 32;
        struct verify_fluent *f = &pack->fluents[i];
        *f = (struct verify_fluent){
            verify_get_u32(p),
            p[4],
            p[5],
            p[6],
            p[7],
            p[8],
            p[9],
            (int16_t) verify_get_u16(p + 10),
            (int16_t) verify_get_u16(p + 12),
            (int16_t) verify_get_u16(p + 14),
            (int16_t) verify_get_u16(p + 16),
        };
        if (check_string(o, f->name, "fluent", i) != 0)
            return 1;
        bool sorts = f->sort1 < SORT_COUNT && f->sort2 < SORT_COUNT && f->value < SORT_COUNT &&
                     !(f->sort1 == SORT_NONE && f->sort2 != SORT_NONE);
        if (!sorts || f->see > SEE_NEVER || f->flags > 15 ||
            (f->law != 0 && !verify_law_known(f->law)))
            return unsound(o, "fluent %u has a sort, view, flag or law that does not exist", i);
        if (f->value == SORT_NONE && f->min > f->max)
            return unsound(o, "fluent %u: its least value is over its greatest", i);
    }
    return 0;
}

struct named_shape {
    const char *name;
    uint8_t sort1, sort2, value;
    bool needed;
};
static const struct named_shape named[NAMED_COUNT] = {
    [NAMED_AT] = { "at", SORT_CHAR, 0, SORT_PLACE, true },
    [NAMED_AWAKE] = { "awake", SORT_CHAR, 0, 0, true },
    [NAMED_COMM] = { "comm", SORT_CHAR, 0, 0, false },
    [NAMED_HOLDER] = { "holder", SORT_ITEM, 0, SORT_CHAR, false },
    [NAMED_LIES] = { "lies", SORT_ITEM, 0, SORT_PLACE, false },
    [NAMED_END_A] = { "end_a", SORT_LINK, 0, SORT_PLACE, false },
    [NAMED_END_B] = { "end_b", SORT_LINK, 0, SORT_PLACE, false },
    [NAMED_TRACE_AT] = { "trace_at", SORT_CLUE, 0, SORT_PLACE, false },
    [NAMED_KNOWS] = { "knows", SORT_CHAR, SORT_FACT, 0, false },
    [NAMED_TRUST] = { "trust", SORT_CHAR, SORT_CHAR, 0, false },
    [NAMED_STANDING] = { "standing", SORT_CHAR, 0, 0, false },
    [NAMED_CLIMAX_STARTS] = { "climax_starts", 0, 0, 0, false },
    [NAMED_CLIMAX_ENDS] = { "climax_ends", 0, 0, 0, false },
    [NAMED_OPEN] = { "open", SORT_LINK, 0, 0, false },
    [NAMED_OPENNESS] = { "openness", SORT_CHAR, 0, 0, false },
    [NAMED_OPENNESS + 1] = { "conscientiousness", SORT_CHAR, 0, 0, false },
    [NAMED_OPENNESS + 2] = { "extraversion", SORT_CHAR, 0, 0, false },
    [NAMED_OPENNESS + 3] = { "agreeableness", SORT_CHAR, 0, 0, false },
    [NAMED_OPENNESS + 4] = { "neuroticism", SORT_CHAR, 0, 0, false },
    [NAMED_HONESTY] = { "honesty", SORT_CHAR, 0, 0, false },
};

static int find_named(struct opening *o)
{
    struct verify_pack *pack = o->pack;
    for (unsigned n = 0; n < NAMED_COUNT; n++)
        pack->named[n] = -1;
    for (uint32_t i = 0; i < pack->flue.count; i++) {
        const struct verify_fluent *f = &pack->fluents[i];
        struct verify_text name = verify_pack_string(pack, f->name);
        int which = -1;
        for (unsigned n = 0; n < NAMED_COUNT; n++)
            if (verify_text_equal(name,
                                  (struct verify_text){ named[n].name, strlen(named[n].name) }))
                which = (int) n;
        if ((f->flags & FLUENT_BELIEF) != 0 && which != NAMED_KNOWS)
            return unsound(o, "fluent %u is flagged belief and is not knows", i);
        if (which < 0)
            continue;
        const struct named_shape *s = &named[which];
        bool fits = f->sort1 == s->sort1 && f->sort2 == s->sort2 && f->value == s->value;
        if (!fits && which >= NAMED_CLIMAX_STARTS)
            continue; /* another fluent of that name: edits leave it alone */
        if (pack->named[which] >= 0 || f->sort1 != s->sort1 || f->sort2 != s->sort2 ||
            f->value != s->value)
            return unsound(
                o, "fluent %s is there twice or has other arguments than the format says", s->name);
        if (which == NAMED_KNOWS && ((f->flags & FLUENT_BELIEF) == 0 || f->min < 0 || f->max > 3))
            return unsound(o, "fluent knows is not flagged belief with levels 0 to 3");
        pack->named[which] = (int) i;
    }
    for (unsigned n = 0; n < NAMED_COUNT; n++)
        if (named[n].needed && pack->named[n] < 0)
            return unsound(o, "fluent %s is missing", named[n].name);
    return 0;
}

/* ---- operators ------------------------------------------------------------------------------- */

static int check_op_parms(struct opening *o, const struct verify_op *op, uint32_t index)
{
    const struct verify_pack *pack = o->pack;
    if (op->parms > 6 || op->parm_first > pack->parm.count ||
        op->parms > pack->parm.count - op->parm_first)
        return unsound(o, "operator %u: its parameters lie outside PARM", index);
    unsigned hidden = 0;
    for (unsigned i = 0; i < op->parms; i++) {
        struct verify_parm parm = verify_pack_parm(pack, op->parm_first + i);
        hidden += parm.hidden;
        if (parm.sort == SORT_NONE || parm.sort >= SORT_COUNT || parm.hidden > 1)
            return unsound(o, "operator %u: parameter %u has no such sort", index, i);
    }
    if (hidden > 1)
        return unsound(o, "operator %u has more than one hidden parameter", index);
    if ((op->flags & OP_NO_ACTOR) == 0 &&
        (op->parms == 0 || verify_pack_parm(pack, op->parm_first).sort != SORT_CHAR))
        return unsound(o, "operator %u: its first parameter is no character", index);
    return 0;
}

static int check_op(struct opening *o, uint32_t index)
{
    struct verify_pack *pack = o->pack;
    struct verify_op op = verify_pack_op(pack, index);
    if (check_string(o, op.name, "operator", index) != 0 ||
        check_string(o, op.family, "operator", index) != 0)
        return 1;
    if (op.kind > KIND_INCIDENT || op.flags > 15 || op.source > 5)
        return unsound(o, "operator %u has a kind, flag or belief source that does not exist",
                       index);
    if (check_op_parms(o, &op, index) != 0)
        return 1;
    if (op.conds > CONDITIONS_MAX || op.cond_first > pack->cond.count ||
        op.conds > pack->cond.count - op.cond_first)
        return unsound(o, "operator %u: its conditions are too many or lie outside COND", index);
    if (op.skill != 0 &&
        (!verify_code_check(pack, op.skill) || !verify_code_check(pack, op.difficulty)))
        return unsound(o, "operator %u: an expression of its roll is unsound", index);
    if (op.toward > 0 &&
        (op.toward_first > pack->towa.count || op.toward > pack->towa.count - op.toward_first))
        return unsound(o, "operator %u: what it leads to lies outside TOWA", index);
    bool possible = false;
    for (unsigned i = OUTCOME_CRITICAL; i <= OUTCOME_FAIL; i++) {
        const struct verify_span *s = &op.outcomes[i];
        possible = possible || s->possible;
        if (s->count > EFFECTS_MAX)
            return unsound(o, "operator %u has more than %d effects", index, EFFECTS_MAX);
        if (s->count > 0 && (s->first > pack->efct.count || s->count > pack->efct.count - s->first))
            return unsound(o, "operator %u: effects lie outside EFCT", index);
    }
    if (!possible)
        return unsound(o, "operator %u has no outcome", index);
    return 0;
}

static int check_effect(struct opening *o, uint32_t index)
{
    struct verify_pack *pack = o->pack;
    struct verify_effect e = verify_pack_effect(pack, index);
    if (e.fluent >= pack->flue.count || e.operation > 2 || e.over > 2)
        return unsound(o, "effect %u has a fluent or operation that does not exist", index);
    const struct verify_fluent *f = &pack->fluents[e.fluent];
    if (e.over != 0 && (f->sort1 != SORT_CHAR || e.arg1 != 0))
        return unsound(o, "effect %u runs over witnesses, its fluent's first argument does not",
                       index);
    bool ok =
        verify_code_check(pack, e.value) && (e.guard == 0 || verify_code_check(pack, e.guard)) &&
        (e.over != 0 || (f->sort1 == SORT_NONE ? e.arg1 == 0 : verify_code_check(pack, e.arg1))) &&
        (f->sort2 == SORT_NONE ? e.arg2 == 0 : verify_code_check(pack, e.arg2));
    return ok ? 0 : unsound(o, "effect %u has an unsound expression", index);
}

/* Goals and what leads to them; a pack without them has none. */
static int check_goals(struct opening *o)
{
    struct verify_pack *pack = o->pack;
    if (pack->goal.count >= 255) /* 255 names none */
        return unsound(o, "%u goals are too many", pack->goal.count);
    for (uint32_t i = 0; i < pack->goal.count; i++) {
        struct verify_goal goal = verify_pack_goal(pack, i);
        if (check_string(o, goal.name, "goal", i) != 0)
            return 1;
        if (!verify_code_check(pack, goal.when) || !verify_code_check(pack, goal.weight) ||
            (goal.at != 0 && !verify_code_check(pack, goal.at)))
            return unsound(o, "goal %u has an unsound expression", i);
    }
    for (uint32_t i = 0; i < pack->towa.count; i++)
        if (verify_pack_toward(pack, i).goal >= pack->goal.count)
            return unsound(o, "TOWA record %u names no goal", i);
    return 0;
}

static int check_tables(struct opening *o)
{
    struct verify_pack *pack = o->pack;
    if (pack->oper.count > OPERATORS_MAX || pack->tens.count > TENS_MAX)
        return unsound(o, "%u operators or %u tension records are too many", pack->oper.count,
                       pack->tens.count);
    int r = check_goals(o);
    for (uint32_t i = 0; i < pack->oper.count && r == 0; i++)
        r = check_op(o, i);
    for (uint32_t i = 0; i < pack->cond.count && r == 0; i++) {
        struct verify_cond cond = verify_pack_cond(pack, i);
        if (cond.kind > 1 || (cond.law != 0 && !verify_law_known(cond.law)) ||
            !verify_code_check(pack, cond.code))
            r = unsound(o, "condition %u has a kind, law or expression that is unsound", i);
    }
    for (uint32_t i = 0; i < pack->efct.count && r == 0; i++)
        r = check_effect(o, i);
    for (uint32_t i = 0; i < pack->tens.count && r == 0; i++) {
        struct verify_tens tens = verify_pack_tens(pack, i);
        if (tens.mode > 1 || !verify_code_check(pack, tens.code))
            r = unsound(o, "tension record %u has a mode or expression that is unsound", i);
    }
    return r;
}

int verify_pack_open(const uint8_t *data, size_t size, struct arena *arena,
                     struct verify_pack *out_pack, char out_why[static 200])
{
    struct verify_pack pack = { 0 };
    struct opening o = { &pack, arena, out_why };
    if (open_sections(&o, data, size) != 0)
        return 1;
    if (pack.strs.size == 0 || pack.strs.data[0] != 0 || pack.strs.data[pack.strs.size - 1] != 0)
        return unsound(&o, "section STRS does not begin and end with NUL");
    if (pack.code.size == 0 || pack.code.size > CODE_MAX)
        return unsound(&o, "section CODE has %u bytes", pack.code.size);
    pack.code_seen = arena_zero(arena, pack.code.size, 1);
    if (pack.code_seen == NULL)
        return -1;
    int r = open_fluents(&o);
    if (r == 0)
        r = find_named(&o);
    if (r == 0)
        r = check_tables(&o);
    if (r == 0)
        *out_pack = pack;
    return r;
}
