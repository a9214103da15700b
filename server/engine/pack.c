/* pack.c — opening an image: every offset, count and byte code is checked once, so that nothing
 * that runs later has to. */
#include "server/engine/pack.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "rpc/base/alloc.h"

const struct pack_section_info pack_sections[SECTIONS] = {
    { "META", 4 },  { "STRS", 1 },  { "FLUE", 32 }, { "OPER", 128 }, { "PARM", 8 },  { "COND", 8 },
    { "EFCT", 24 }, { "TENS", 8 },  { "CODE", 1 },  { "GOAL", 16 },  { "TOWA", 4 },  { "REAC", 2 },
    { "FRAM", 8 },  { "PLAC", 12 }, { "LINK", 8 },  { "ITEM", 12 },  { "PERS", 12 }, { "FACT", 16 },
    { "TRUT", 12 }, { "CLUE", 20 }, { "ENDI", 16 }, { "GENR", 4 },   { "NAME", 12 }, { "CUES", 8 },
    { "WORD", 8 },  { "SKIL", 8 },  { "TAGS", 8 },  { "RANK", 8 },   { "THRD", 4 },  { "PROS", 24 },
    { "PRLN", 12 },
};
const char *const pack_sort_names[NVL_SORTS] = { "number", "char", "place", "link",
                                                 "item",   "fact", "clue",  "motif" };
const char *const pack_phase_names[6] = { "",       "setup",  "complication",
                                          "crisis", "climax", "resolution" };
const char *const pack_trait_names[NVL_TRAITS] = { "openness",     "conscientiousness",
                                                   "extraversion", "agreeableness",
                                                   "neuroticism",  "honesty" };
const char *const pack_drive_names[NVL_DRIVES] = { "safety", "belonging", "duty",     "curiosity",
                                                   "status", "care",      "autonomy", "gain" };
const char *const pack_emotion_names[PACK_EMOTIONS] = { "stress", "fear", "guilt",
                                                        "anger",  "hope", "grief" };
static const struct {
    const char *name;
    uint8_t sorts[2], value;
} known_fluents[KNOWN_COUNT] = {
    [KNOWN_AT] = { "at", { NVL_SORT_CHAR }, NVL_SORT_PLACE },
    [KNOWN_AWAKE] = { "awake", { NVL_SORT_CHAR }, 0 },
    [KNOWN_COMM] = { "comm", { NVL_SORT_CHAR }, 0 },
    [KNOWN_HOLDER] = { "holder", { NVL_SORT_ITEM }, NVL_SORT_CHAR },
    [KNOWN_LIES] = { "lies", { NVL_SORT_ITEM }, NVL_SORT_PLACE },
    [KNOWN_END_A] = { "end_a", { NVL_SORT_LINK }, NVL_SORT_PLACE },
    [KNOWN_END_B] = { "end_b", { NVL_SORT_LINK }, NVL_SORT_PLACE },
    [KNOWN_TRACE_AT] = { "trace_at", { NVL_SORT_CLUE }, NVL_SORT_PLACE },
    [KNOWN_KNOWS] = { "knows", { NVL_SORT_CHAR, NVL_SORT_FACT }, 0 },
    [KNOWN_TRUST] = { "trust", { NVL_SORT_CHAR, NVL_SORT_CHAR }, 0 },
    [KNOWN_STANDING] = { "standing", { NVL_SORT_CHAR }, 0 },
    [KNOWN_OPEN] = { "open", { NVL_SORT_LINK }, 0 },
    [KNOWN_CLUE_FACT] = { "clue_fact", { NVL_SORT_CLUE }, NVL_SORT_FACT },
    [KNOWN_CLUE_ALT] = { "clue_alt", { NVL_SORT_CLUE }, NVL_SORT_FACT },
    [KNOWN_FACT_TRUE] = { "fact_true", { NVL_SORT_FACT }, 0 },
    [KNOWN_SECRET_OF] = { "secret_of", { NVL_SORT_FACT }, NVL_SORT_CHAR },
};

void put8(struct buf *b, unsigned v)
{
    buf_putc(b, (char) v);
}
void put16(struct buf *b, unsigned v)
{
    uint8_t p[2] = { (uint8_t) v, (uint8_t) (v >> 8) };
    buf_put(b, p, 2);
}
void put32(struct buf *b, uint32_t v)
{
    put16(b, v & 0xFFFF);
    put16(b, v >> 16);
}
void put64(struct buf *b, uint64_t v)
{
    put32(b, (uint32_t) v);
    put32(b, (uint32_t) (v >> 32));
}
void nvl_error_set(struct nvl_error *err, const char *field, const char *format, ...)
{
    if (err == NULL)
        return;
    memset(err, 0, sizeof(*err));
    snprintf(err->field, sizeof(err->field), "%s", field);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
}

struct opening {
    struct nvl_pack *pack;
    const uint8_t *data[SECTIONS];
    bool bad;
};
static const char *str_at(struct opening *o, const uint8_t *p)
{
    uint32_t off = le32(p);
    if (off >= o->pack->strs_size) {
        o->bad = true;
        return "";
    }
    return o->pack->strs + off;
}
static void index_below(struct opening *o, uint64_t value, uint64_t limit)
{
    if (value >= limit)
        o->bad = true;
}
static void range_within(struct opening *o, uint64_t first, uint64_t count, uint64_t limit)
{
    if (first + count > limit)
        o->bad = true;
}

/* Walks one expression: known operations, operands inside, a stack that never under- or overflows.
 */
static uint8_t code_check(struct opening *o, uint32_t at, unsigned params)
{
    const uint8_t *c = o->pack->code;
    uint32_t size = o->pack->code_size;
    int depth = 0, level = 0;
    if (at == 0)
        return 0;
    while (at < size) {
        uint8_t op = c[at++];
        int pops = 0;
        switch (op) {
        case CODE_END:
            o->bad |= depth != 1;
            return (uint8_t) level;
        case CODE_PUSH:
            at += 2;
            break;
        case CODE_ARG:
            if (at < size && c[at] != 255) {
                o->bad |= c[at] >= params;
                level = c[at] > level ? c[at] : level;
            }
            at++;
            break;
        case CODE_CELL:
            if (at + 2 > size || le16(c + at) >= o->pack->counts[SEC_FLUE]) {
                o->bad = true;
                return 0;
            }
            pops = (o->pack->fluents[le16(c + at)].sorts[0] != 0) +
                   (o->pack->fluents[le16(c + at)].sorts[1] != 0);
            at += 2;
            break;
        case CODE_NOW:
        case CODE_PHASE:
        case CODE_PASSES:
            break;
        case CODE_SHARE:
        case CODE_NOT:
            pops = 1;
            break;
        default:
            if (!((op >= CODE_ADD && op <= CODE_MAX) || (op >= CODE_EQ && op <= CODE_GE) ||
                  op == CODE_AND || op == CODE_OR)) {
                o->bad = true;
                return 0;
            }
            pops = 2;
        }
        depth -= pops;
        if (depth < 0 || depth + 1 > PACK_STACK) {
            o->bad = true;
            return 0;
        }
        depth++;
    }
    o->bad = true;
    return 0;
}

static void open_fluents(struct opening *o)
{
    struct nvl_pack *p = o->pack;
    for (uint32_t i = 0; i < p->counts[SEC_FLUE]; i++) {
        const uint8_t *r = o->data[SEC_FLUE] + 32 * i;
        struct pack_fluent *f = &p->fluents[i];
        f->name = str_at(o, r);
        memcpy(f->sorts, r + 4, 2);
        f->value_sort = r[6], f->see = r[7], f->flags = r[8], f->law = r[9];
        f->min = le16s(r + 10), f->max = le16s(r + 12), f->init = le16s(r + 14),
        f->assume = le16s(r + 16);
        o->bad |= f->sorts[0] >= NVL_SORTS || f->sorts[1] >= NVL_SORTS ||
                  f->value_sort >= NVL_SORTS || f->see > SEE_NEVER ||
                  (f->sorts[0] == 0 && f->sorts[1] != 0);
    }
}
static void open_effects(struct opening *o)
{
    struct nvl_pack *p = o->pack;
    for (uint32_t i = 0; i < p->counts[SEC_EFCT]; i++) {
        const uint8_t *r = o->data[SEC_EFCT] + 24 * i;
        struct pack_effect *e = &p->effects[i];
        e->fluent = (uint16_t) le16(r);
        e->operation = r[2], e->over = r[3];
        e->args[0] = le32(r + 4), e->args[1] = le32(r + 8), e->value = le32(r + 12),
        e->guard = le32(r + 16);
        index_below(o, e->fluent, p->counts[SEC_FLUE]);
        o->bad |= e->operation > 2 || e->over > 2 || e->value == 0;
        if (o->bad)
            return;
        const struct pack_fluent *f = &p->fluents[e->fluent];
        o->bad |= (f->sorts[0] != 0) != (e->args[0] != 0 || e->over != 0) ||
                  (f->sorts[1] != 0) != (e->args[1] != 0);
    }
}
static void open_op_codes(struct opening *o, struct pack_op *op)
{
    for (unsigned k = 0; k < 4; k++) {
        if (op->effect_count[k] == PACK_NO_OUTCOME)
            continue;
        range_within(o, op->effect_first[k], op->effect_count[k], o->pack->counts[SEC_EFCT]);
        for (unsigned i = 0; i < op->effect_count[k] && !o->bad; i++) {
            const struct pack_effect *e = &o->pack->effects[op->effect_first[k] + i];
            code_check(o, e->args[0], op->params_count);
            code_check(o, e->args[1], op->params_count);
            code_check(o, e->value, op->params_count);
            code_check(o, e->guard, op->params_count);
        }
    }
    code_check(o, op->skill, op->params_count);
    code_check(o, op->difficulty, op->params_count);
    code_check(o, op->norm, op->params_count);
    code_check(o, op->weight, op->params_count);
    for (unsigned i = 0; i < op->conds_count && !o->bad; i++) {
        struct pack_cond *c = (struct pack_cond *) &op->conds[i];
        c->level = code_check(o, c->code, op->params_count);
        o->bad |= c->kind == 1 && op->kind != NVL_OP_REACTION && op->kind != NVL_OP_INCIDENT &&
                  op->effect_count[3] == PACK_NO_OUTCOME; /* it may be tried in vain */
    }
    for (unsigned i = 0; i < op->threads_count && !o->bad; i++)
        o->bad |= op->threads[i].thread >= o->pack->counts[SEC_THRD] ||
                  (op->threads[i].param != NVL_NONE && op->threads[i].param >= op->params_count);
}
static void open_op(struct opening *o, struct pack_op *op, const uint8_t *r)
{
    struct nvl_pack *p = o->pack;
    op->name = str_at(o, r), op->family = str_at(o, r + 4);
    op->params_count = r[12], op->kind = r[13], op->minutes = r[14], op->flags = r[15];
    range_within(o, le32(r + 8), op->params_count, p->counts[SEC_PARM]);
    range_within(o, le32(r + 16), le16(r + 20), p->counts[SEC_COND]);
    o->bad |= op->params_count > NVL_ARGS_MAX || op->kind > NVL_OP_INCIDENT;
    if (o->bad)
        return;
    op->params = p->params + le32(r + 8);
    op->conds = p->conds + le32(r + 16);
    unsigned hidden = 0;
    for (unsigned i = 0; i < op->params_count; i++)
        hidden += op->params[i].hidden;
    o->bad |= hidden > 2;
    op->conds_count = (uint16_t) le16(r + 20), op->source = r[22], op->beats = r[23];
    op->skill = le32(r + 24), op->difficulty = le32(r + 28);
    for (unsigned k = 0; k < 4; k++) {
        op->effect_first[k] = (uint16_t) le16(r + 32 + 4 * k);
        op->effect_count[k] = (uint16_t) le16(r + 34 + 4 * k);
        op->plain[k] = str_at(o, r + 48 + 4 * k);
    }
    memcpy(op->serves, r + 64, 8), memcpy(op->likes, r + 72, 6), memcpy(op->feels, r + 78, 6);
    op->warm = (int8_t) r[84], op->engine_flags = r[85], op->cost = r[86], op->cooldown = r[87];
    op->toward_first = (uint16_t) le16(r + 88), op->toward_count = r[90], op->react_count = r[91];
    op->react_first = (uint16_t) le16(r + 92), op->threads_count = r[94];
    range_within(o, op->toward_first, op->toward_count, p->counts[SEC_TOWA]);
    range_within(o, op->react_first, op->react_count, p->counts[SEC_REAC]);
    o->bad |= op->threads_count > PACK_OP_THREADS;
    for (unsigned i = 0; i < PACK_OP_THREADS; i++) {
        const uint8_t *t = r + (i < 3 ? 96 : 104) + 4 * i; /* norm and weight lie between */
        op->threads[i] = (struct pack_op_thread){ t[0], t[1], t[2], t[3] };
    }
    op->norm = le32(r + 108), op->weight = le32(r + 112);
    bool actorless = (op->flags & OP_ACTORLESS) != 0;
    o->bad |= !actorless && (op->params_count == 0 || op->params[0].sort != NVL_SORT_CHAR);
    o->bad |= actorless && op->kind != NVL_OP_INCIDENT;
    open_op_codes(o, op);
}

static void open_story(struct opening *o)
{
    struct nvl_pack *p = o->pack;
    const uint32_t *n = p->counts;
    for (uint32_t i = 0; i < n[SEC_FRAM]; i++)
        p->frames[i] = (struct pack_frame){ str_at(o, o->data[SEC_FRAM] + 8 * i),
                                            str_at(o, o->data[SEC_FRAM] + 8 * i + 4) };
    for (uint32_t i = 0; i < n[SEC_PLAC]; i++) {
        const uint8_t *r = o->data[SEC_PLAC] + 12 * i;
        p->places[i] = (struct pack_place){ str_at(o, r), str_at(o, r + 4), r[8] };
    }
    for (uint32_t i = 0; i < n[SEC_LINK]; i++) {
        const uint8_t *r = o->data[SEC_LINK] + 8 * i;
        p->links[i] = (struct pack_link){ str_at(o, r), r[4], r[5], r[6], r[7] };
    }
    for (uint32_t i = 0; i < n[SEC_ITEM]; i++) {
        const uint8_t *r = o->data[SEC_ITEM] + 12 * i;
        p->items[i] = (struct pack_item){ str_at(o, r), str_at(o, r + 4), r[8], r[9] };
    }
    for (uint32_t i = 0; i < n[SEC_PERS]; i++) {
        const uint8_t *r = o->data[SEC_PERS] + 12 * i;
        p->persons[i] = (struct pack_person){ str_at(o, r), str_at(o, r + 4), r[8], r[9] };
    }
    for (uint32_t i = 0; i < n[SEC_FACT]; i++) {
        const uint8_t *r = o->data[SEC_FACT] + 16 * i;
        p->facts[i] = (struct pack_fact){ str_at(o, r), str_at(o, r + 4), le32(r + 8), r[12] };
    }
    for (uint32_t i = 0; i < n[SEC_TRUT]; i++) {
        const uint8_t *r = o->data[SEC_TRUT] + 12 * i;
        p->truths[i] = (struct pack_truth){ str_at(o, r), (uint16_t) le16(r + 4),
                                            (uint16_t) le16(r + 6), r[8], r[9] };
        uint32_t of_frame = 0; /* they are told apart by a bit each, counted within their frame */
        for (uint32_t k = 0; k < i; k++)
            of_frame += p->truths[k].frame == p->truths[i].frame;
        o->bad |= of_frame >= 32;
        range_within(o, le16(r + 4), le16(r + 6), n[SEC_EFCT]);
        for (unsigned k = 0; k < le16(r + 6) && !o->bad; k++) {
            const struct pack_effect *e = &p->effects[le16(r + 4) + k];
            code_check(o, e->args[0], 0), code_check(o, e->args[1], 0), code_check(o, e->value, 0),
                code_check(o, e->guard, 0);
        }
    }
    for (uint32_t i = 0; i < n[SEC_CLUE]; i++) {
        const uint8_t *r = o->data[SEC_CLUE] + 20 * i;
        p->clues[i] = (struct pack_clue){
            str_at(o, r), str_at(o, r + 4), le32(r + 8), le32(r + 12), r[16], r[17], r[18]
        };
    }
    for (uint32_t i = 0; i < n[SEC_ENDI]; i++) {
        const uint8_t *r = o->data[SEC_ENDI] + 16 * i;
        p->endings[i] = (struct pack_ending){ str_at(o, r), str_at(o, r + 4), le32(r + 8),
                                              (int8_t) r[12], r[13] };
        code_check(o, le32(r + 8), 0);
    }
}
static void open_words(struct opening *o, enum pack_section sec, struct pack_word *table)
{
    for (uint32_t i = 0; i < o->pack->counts[sec]; i++) {
        const uint8_t *r = o->data[sec] + 8 * i;
        table[i] = (struct pack_word){ str_at(o, r), (int32_t) le32(r + 4) };
        if (i > 0)
            o->bad |= strcmp(table[i - 1].word, table[i].word) > 0;
        if (sec == SEC_SKIL || sec == SEC_TAGS)
            index_below(o, le32(r + 4), o->pack->counts[SEC_FLUE]);
    }
}
static uint32_t code_size(const uint8_t *code, uint32_t at)
{
    for (uint32_t from = at;;) {
        uint8_t op = code[at++];
        if (op == CODE_END)
            return at - from;
        at += op == CODE_PUSH || op == CODE_CELL ? 2 : op == CODE_ARG ? 1 : 0;
    }
}
/* Conditions that ask the same thing, by their code.  Only what operators use was checked, and only
 * that is looked at. */
static bool find_same(struct opening *o)
{
    enum { SAME_MAX = 4096 };
    struct nvl_pack *p = o->pack;
    uint32_t n = p->counts[SEC_COND], *hash = arena_zero(&p->arena, n + 1, sizeof(*hash));
    for (uint32_t i = 0; i < n; i++)
        p->conds[i].same = i;
    if (hash == NULL)
        return false;
    if (o->bad || n > SAME_MAX)
        return true; /* nothing is shared, and all is well */
    for (uint32_t op = 0; op < p->counts[SEC_OPER]; op++)
        for (uint32_t k = 0; k < p->ops[op].conds_count; k++) {
            uint32_t i = (uint32_t) (p->ops[op].conds - p->conds) + k, h = 2166136261u;
            uint32_t size = code_size(p->code, p->conds[i].code);
            for (uint32_t b = 0; b < size; b++)
                h = (h ^ p->code[p->conds[i].code + b]) * 16777619u;
            hash[i] = h | 1;
        }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < i && hash[i] != 0; k++)
            if (hash[k] == hash[i] &&
                code_size(p->code, p->conds[k].code) == code_size(p->code, p->conds[i].code) &&
                memcmp(p->code + p->conds[k].code, p->code + p->conds[i].code,
                       code_size(p->code, p->conds[i].code)) == 0) {
                p->conds[i].same = k;
                break;
            }
    return true;
}
static void open_language(struct opening *o)
{
    struct nvl_pack *p = o->pack;
    const uint32_t *n = p->counts;
    for (uint32_t i = 0; i < n[SEC_GENR]; i++)
        p->genres[i] = str_at(o, o->data[SEC_GENR] + 4 * i);
    for (uint32_t i = 0; i < n[SEC_THRD]; i++)
        p->threads[i] = str_at(o, o->data[SEC_THRD] + 4 * i);
    for (uint32_t i = 0; i < n[SEC_NAME]; i++) {
        const uint8_t *r = o->data[SEC_NAME] + 12 * i;
        p->names[i] = (struct pack_name){ str_at(o, r), str_at(o, r + 4), r[8] };
    }
    for (uint32_t i = 0; i < n[SEC_CUES]; i++) {
        const uint8_t *r = o->data[SEC_CUES] + 8 * i;
        p->cues[i] = (struct pack_cue){ str_at(o, r), r[4], r[5], le16s(r + 6) };
        index_below(o, r[5],
                    r[4] == CUE_FRAME  ? n[SEC_FRAM]
                    : r[4] == CUE_HINT ? n[SEC_FLUE]
                                       : n[SEC_GENR]);
    }
    open_words(o, SEC_WORD, p->words);
    open_words(o, SEC_SKIL, p->skills);
    open_words(o, SEC_TAGS, p->tags);
    open_words(o, SEC_RANK, p->ranks);
    for (uint32_t i = 0; i < n[SEC_PRLN]; i++) {
        const uint8_t *r = o->data[SEC_PRLN] + 12 * i;
        p->prose_lines[i] = (struct nvl_prose_line){ str_at(o, r), le32(r + 4), le32(r + 8) };
    }
    for (uint32_t i = 0; i < n[SEC_PROS]; i++) {
        const uint8_t *r = o->data[SEC_PROS] + 24 * i;
        range_within(o, le32(r + 16), le32(r + 20), n[SEC_PRLN]);
        if (o->bad)
            return;
        p->prose[i] =
            (struct nvl_prose){ str_at(o, r), str_at(o, r + 4), str_at(o, r + 8),
                                le32(r + 12), le32(r + 20),     p->prose_lines + le32(r + 16) };
    }
}
static void open_records(struct opening *o)
{
    struct nvl_pack *p = o->pack;
    open_fluents(o);
    for (uint32_t i = 0; i < p->counts[SEC_PARM]; i++) {
        const uint8_t *r = o->data[SEC_PARM] + 8 * i;
        p->params[i] = (struct pack_param){ str_at(o, r), r[4], r[5] };
        o->bad |= r[4] == 0 || r[4] >= NVL_SORTS;
    }
    for (uint32_t i = 0; i < p->counts[SEC_COND]; i++) {
        const uint8_t *r = o->data[SEC_COND] + 8 * i;
        p->conds[i] = (struct pack_cond){ le32(r), r[4], r[5], 0 };
        o->bad |= le32(r) == 0;
    }
    open_effects(o);
    for (uint32_t i = 0; i < p->counts[SEC_TOWA]; i++) {
        p->towards[i] = (struct pack_toward){ (uint16_t) le16(o->data[SEC_TOWA] + 4 * i),
                                              le16s(o->data[SEC_TOWA] + 4 * i + 2) };
        index_below(o, p->towards[i].goal, p->counts[SEC_GOAL]);
    }
    for (uint32_t i = 0; i < p->counts[SEC_REAC]; i++) {
        p->reacts[i] = (uint16_t) le16(o->data[SEC_REAC] + 2 * i);
        index_below(o, p->reacts[i], p->counts[SEC_OPER]);
    }
    for (uint32_t i = 0; i < p->counts[SEC_TENS] && !o->bad; i++) {
        const uint8_t *r = o->data[SEC_TENS] + 8 * i;
        p->tensions[i] = (struct pack_tension){ le32(r), r[4], r[5], r[6] };
        code_check(o, le32(r), 1);
    }
    for (uint32_t i = 0; i < p->counts[SEC_GOAL] && !o->bad; i++) {
        const uint8_t *r = o->data[SEC_GOAL] + 16 * i;
        p->goals[i] = (struct pack_goal){ str_at(o, r), le32(r + 4), le32(r + 8), le32(r + 12) };
        code_check(o, le32(r + 4), 1), code_check(o, le32(r + 8), 1),
            code_check(o, le32(r + 12), 1);
    }
    for (uint32_t i = 0; i < p->counts[SEC_OPER] && !o->bad; i++)
        open_op(o, &p->ops[i], o->data[SEC_OPER] + 128 * i);
    if (!o->bad)
        open_story(o);
    if (!o->bad)
        open_language(o);
}

static int open_tables(struct nvl_pack *p)
{
    struct {
        void **to;
        enum pack_section sec;
        size_t size;
    } tables[] = {
        { (void **) &p->fluents, SEC_FLUE, sizeof(*p->fluents) },
        { (void **) &p->ops, SEC_OPER, sizeof(*p->ops) },
        { (void **) &p->params, SEC_PARM, sizeof(*p->params) },
        { (void **) &p->conds, SEC_COND, sizeof(*p->conds) },
        { (void **) &p->effects, SEC_EFCT, sizeof(*p->effects) },
        { (void **) &p->tensions, SEC_TENS, sizeof(*p->tensions) },
        { (void **) &p->goals, SEC_GOAL, sizeof(*p->goals) },
        { (void **) &p->towards, SEC_TOWA, sizeof(*p->towards) },
        { (void **) &p->reacts, SEC_REAC, sizeof(*p->reacts) },
        { (void **) &p->frames, SEC_FRAM, sizeof(*p->frames) },
        { (void **) &p->places, SEC_PLAC, sizeof(*p->places) },
        { (void **) &p->links, SEC_LINK, sizeof(*p->links) },
        { (void **) &p->items, SEC_ITEM, sizeof(*p->items) },
        { (void **) &p->persons, SEC_PERS, sizeof(*p->persons) },
        { (void **) &p->facts, SEC_FACT, sizeof(*p->facts) },
        { (void **) &p->truths, SEC_TRUT, sizeof(*p->truths) },
        { (void **) &p->clues, SEC_CLUE, sizeof(*p->clues) },
        { (void **) &p->endings, SEC_ENDI, sizeof(*p->endings) },
        { (void **) &p->genres, SEC_GENR, sizeof(*p->genres) },
        { (void **) &p->threads, SEC_THRD, sizeof(*p->threads) },
        { (void **) &p->names, SEC_NAME, sizeof(*p->names) },
        { (void **) &p->cues, SEC_CUES, sizeof(*p->cues) },
        { (void **) &p->words, SEC_WORD, sizeof(*p->words) },
        { (void **) &p->skills, SEC_SKIL, sizeof(*p->skills) },
        { (void **) &p->tags, SEC_TAGS, sizeof(*p->tags) },
        { (void **) &p->ranks, SEC_RANK, sizeof(*p->ranks) },
        { (void **) &p->prose, SEC_PROS, sizeof(*p->prose) },
        { (void **) &p->prose_lines, SEC_PRLN, sizeof(*p->prose_lines) },
    };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        if ((*tables[i].to = arena_zero(&p->arena, p->counts[tables[i].sec] + 1, tables[i].size)) ==
            NULL)
            return NVL_E_NOMEM;
    return NVL_OK;
}

/* Finds the sections; true when each is inside the image and whole. */
static bool open_directory(struct opening *o)
{
    struct nvl_pack *p = o->pack;
    const uint8_t *image = p->image;
    uint32_t sections = le32(image + 12), seen = 0;
    if (sections > 256 || p->image_size < 16 + 16 * (size_t) sections)
        return false;
    for (uint32_t i = 0; i < sections; i++) {
        const uint8_t *d = image + 16 + 16 * i;
        uint64_t offset = le32(d + 4), count = le32(d + 8), size = le32(d + 12);
        if (offset + size > p->image_size)
            return false;
        for (unsigned s = 0; s < SECTIONS; s++)
            if (memcmp(d, pack_sections[s].tag, 4) == 0) {
                if (o->data[s] != NULL || size != count * pack_sections[s].record)
                    return false;
                o->data[s] = image + offset;
                p->counts[s] = (uint32_t) count;
                seen++;
            }
    }
    if (seen != SECTIONS || p->counts[SEC_META] != 1 || p->counts[SEC_STRS] == 0 ||
        p->counts[SEC_OPER] >= NVL_NO_OP)
        return false;
    p->strs = (const char *) o->data[SEC_STRS], p->strs_size = p->counts[SEC_STRS];
    p->code = o->data[SEC_CODE], p->code_size = p->counts[SEC_CODE];
    return p->strs[p->strs_size - 1] == 0 && p->counts[SEC_FRAM] > 0 && p->counts[SEC_GENR] > 0 &&
           p->counts[SEC_TRUT] > 0 && p->counts[SEC_TRUT] < 255 && p->counts[SEC_ENDI] > 0 &&
           p->counts[SEC_GOAL] < 255 && p->counts[SEC_THRD] < 255 && p->counts[SEC_ENDI] < 255;
}
/* The fluents that the engine reads must be there, with the sorts it reads them by; only knows is a
 * belief. */
static bool open_known(struct opening *o, struct nvl_error *err)
{
    struct nvl_pack *p = o->pack;
    for (unsigned k = 0; k < KNOWN_COUNT; k++) {
        int f = nvl_pack_fluent_find(p, known_fluents[k].name);
        if (f < 0 || memcmp(p->fluents[f].sorts, known_fluents[k].sorts, 2) != 0 ||
            p->fluents[f].value_sort != known_fluents[k].value) {
            nvl_error_set(err, "", "the pack declares no fluent \"%s\" of the sorts it must have",
                          known_fluents[k].name);
            return false;
        }
        p->known[k] = f;
    }
    for (unsigned k = 0; k < PACK_EMOTIONS; k++)
        p->emotions[k] = nvl_pack_fluent_find(p, pack_emotion_names[k]);
    for (uint32_t f = 0; f < p->counts[SEC_FLUE]; f++)
        if (((p->fluents[f].flags & FLUENT_BELIEF) != 0) != ((int) f == p->known[KNOWN_KNOWS])) {
            nvl_error_set(err, "", "only \"knows\" is a belief, and it must be one");
            return false;
        }
    if (nvl_pack_op_find(p, "hesitate") < 0) {
        nvl_error_set(err, "", "the pack declares no operator \"hesitate\"");
        return false;
    }
    return true;
}

int nvl_pack_open(const void *image, size_t size, struct nvl_error *err, struct nvl_pack **out)
{
    if (size < 16 || memcmp(image, "NVLPACK\n", 8) != 0 ||
        le32((const uint8_t *) image + 8) != PACK_VERSION) {
        nvl_error_set(err, "", "not a pack image of version %d", PACK_VERSION);
        return NVL_E_PACK;
    }
    struct nvl_pack *p = alloc_zero(1, sizeof(*p));
    if (p == NULL)
        return NVL_E_NOMEM;
    arena_init(&p->arena, 64 * 1024);
    struct opening o = { .pack = p };
    int rc = NVL_E_NOMEM;
    p->image = arena_copy(&p->arena, image, size);
    p->image_size = size;
    if (p->image == NULL)
        goto fail;
    rc = NVL_E_PACK;
    nvl_error_set(err, "", "damaged pack image, or a pack without frame, genre, truth or ending");
    if (!open_directory(&o))
        goto fail;
    if ((rc = open_tables(p)) != NVL_OK)
        goto fail;
    open_records(&o);
    rc = NVL_E_NOMEM;
    if (!find_same(&o))
        goto fail;
    p->name = str_at(&o, o.data[SEC_META]);
    rc = NVL_E_PACK;
    if (o.bad || !open_known(&o, err))
        goto fail;
    bool fits;
    if (!code_make(p, &fits)) {
        rc = NVL_E_NOMEM;
        goto fail;
    }
    if (!fits)
        goto fail;
    sha256_of(p->image, size, p->digest);
    *out = p;
    return NVL_OK;
fail:
    nvl_pack_free(p);
    return rc;
}

void nvl_pack_free(struct nvl_pack *p)
{
    if (p == NULL)
        return;
    arena_done(&p->arena);
    alloc_free(p);
}
