#include "tests/unit/engine/verify_fixture_bytes.h"

#include <string.h>

/* ---- pack ------------------------------------------------------------------------------------ */

#define PUSH(n) 0x01, (uint8_t) ((n) &255), (uint8_t) ((n) >> 8 & 255)
#define ARG(n)  0x02, (n)
#define CELL(f) 0x03, (f), 0x00
#define EQ      0x20
#define NE      0x21
#define GE      0x25
#define AND     0x30
#define OR      0x31
#define CODE(f, ...)                                                                               \
    code(f, (const uint8_t[]){ __VA_ARGS__, 0x00 }, sizeof((const uint8_t[]){ __VA_ARGS__, 0x00 }))

static uint32_t code(struct fixture *f, const uint8_t *bytes, size_t size)
{
    uint32_t at = (uint32_t) f->code.size;
    buf_put(&f->code, bytes, size);
    return at;
}

static uint32_t name(struct fixture *f, const char *s)
{
    uint32_t at = (uint32_t) f->strs.size;
    buf_put(&f->strs, s, strlen(s) + 1);
    return at;
}

struct fluent_row {
    const char *name;
    uint8_t sort1, sort2, value, see, flags, law;
    int16_t min, max, assume;
};
static const struct fluent_row fluents[FLUENTS] = {
    [F_AT] = { "at", SORT_CHAR, 0, SORT_PLACE, SEE_HERE, 0, 0x31, 0, 0, -1 },
    [F_AWAKE] = { "awake", SORT_CHAR, 0, 0, SEE_HERE, 0, 0x32, 0, 1, 1 },
    [F_COMM] = { "comm", SORT_CHAR, 0, 0, SEE_OWN, 0, 0x22, 0, 1, 0 },
    [F_HOLDER] = { "holder", SORT_ITEM, 0, SORT_CHAR, SEE_HERE, 0, 0x22, 0, 0, -1 },
    [F_LIES] = { "lies", SORT_ITEM, 0, SORT_PLACE, SEE_HERE, 0, 0x31, 0, 0, -1 },
    [F_END_A] = { "end_a", SORT_LINK, 0, SORT_PLACE, SEE_ALL, FLUENT_STATIC, 0x31, 0, 0, -1 },
    [F_END_B] = { "end_b", SORT_LINK, 0, SORT_PLACE, SEE_ALL, FLUENT_STATIC, 0x31, 0, 0, -1 },
    [F_TRACE_AT] = { "trace_at", SORT_CLUE, 0, SORT_PLACE, SEE_HERE, 0, 0x31, 0, 0, -1 },
    [F_KNOWS] = { "knows", SORT_CHAR, SORT_FACT, 0, SEE_OWN, FLUENT_BELIEF, 0x53, 0, 3, 0 },
    [F_TRUST] = { "trust", SORT_CHAR, SORT_CHAR, 0, SEE_OWN, 0, 0, -100, 100, 0 },
    [F_STANDING] = { "standing", SORT_CHAR, 0, 0, SEE_ALL, FLUENT_STATIC, 0, 0, 100, 0 },
    [F_STAMINA] = { "stamina", SORT_CHAR, 0, 0, SEE_OWN, FLUENT_RESOURCE, 0x22, 0, 100, 50 },
    [F_POWER] = { "power", 0, 0, 0, SEE_ALL, 0, 0x22, 0, 1, 0 },
    [F_OPEN] = { "open", SORT_LINK, 0, 0, SEE_HERE, 0, 0x31, 0, 1, 0 },
    [F_BANNED] = { "banned", 0, 0, 0, SEE_ALL, FLUENT_STATIC, 0x41, 0, 1, 0 },
    [F_STRESS] = { "stress", SORT_CHAR, 0, 0, SEE_OWN, 0, 0, 0, 100, 0 },
    [F_FAVOUR] = { "favour", SORT_CHAR, SORT_CHAR, 0, SEE_OWN, 0, 0x53, 0, 1, 0 },
};

static void put_fluents(struct fixture *f)
{
    for (unsigned i = 0; i < FLUENTS; i++) {
        const struct fluent_row *r = &fluents[i];
        put_u32(&f->flue, name(f, r->name));
        const uint8_t bytes[6] = { r->sort1, r->sort2, r->value, r->see, r->flags, r->law };
        buf_put(&f->flue, bytes, 6);
        put_u16(&f->flue, (uint16_t) r->min);
        put_u16(&f->flue, (uint16_t) r->max);
        put_u16(&f->flue, 0);
        put_u16(&f->flue, (uint16_t) r->assume);
        put_zero(&f->flue, 14);
    }
}

static void need(struct fixture *f, uint32_t at, unsigned kind, unsigned law)
{
    put_u32(&f->cond, at);
    put_u8(&f->cond, kind);
    put_u8(&f->cond, law);
    put_zero(&f->cond, 2);
}

/* arg1 0 with over 1 or 2. */
static void effect(struct fixture *f, unsigned fluent, unsigned how, const uint32_t args[2],
                   uint32_t value)
{
    put_u16(&f->efct, fluent);
    put_u8(&f->efct, how & 15);
    put_u8(&f->efct, how >> 4);
    put_u32(&f->efct, args[0]);
    put_u32(&f->efct, args[1]);
    put_u32(&f->efct, value);
    put_u32(&f->efct, 0);
    put_zero(&f->efct, 4);
}
#define EFFECT(f, fluent, how, a, b, value)                                                        \
    effect(f, fluent, how, (const uint32_t[2]){ a, b }, value)
enum { SET = 0, ADD = 1, SUB = 2, ALL = 16, OTHERS = 32 };

struct op_row {
    const char *name, *family;
    const char *sorts; /* c char, p place, l link, i item, f fact */
    uint8_t kind, minutes, flags, source;
};
static const struct op_row ops[OPS] = {
    [O_GO] = { "go", "move", "clp", KIND_ACTION, 10, 0, 0 },
    [O_TAKE] = { "take", "hand", "ci", KIND_ACTION, 5, 0, 0 },
    [O_FORCE] = { "force", "way", "cl", KIND_ACTION, 10, 0, 0 },
    [O_TELL] = { "tell", "talk", "ccf", KIND_SPEECH, 5, OP_RADIO, 2 },
    [O_SHOUT] = { "shout", "talk", "c", KIND_SPEECH, 5, 0, 0 },
    [O_THINK] = { "think", "mind", "c", KIND_THOUGHT, 5, 0, 0 },
    [O_NOD] = { "nod", "talk", "cc", KIND_REACTION, 5, 0, 0 },
    [O_BLACKOUT] = { "blackout", "fate", "", KIND_INCIDENT, 0, OP_NO_ACTOR, 0 },
    [O_DEFY] = { "defy", "talk", "cc", KIND_SPEECH, 5, OP_DEFIES, 0 },
    [O_BETRAY] = { "betray", "harm", "cc", KIND_ACTION, 5, OP_BETRAYS, 0 },
    [O_PRAY] = { "pray", "mind", "c", KIND_ACTION, 5, 0, 0 },
    [O_THANK] = { "thank", "talk", "cc", KIND_SPEECH, 5, 0, 0 },
    [O_WAIT] = { "wait", "mind", "c", KIND_THOUGHT, 5, 0, 0 },
    [O_CROWN] = { "crown", "fate", "c", KIND_ACTION, 5, 0, 0 },
    [O_DRAIN] = { "drain", "fate", "c", KIND_ACTION, 5, 0, 0 },
    [O_JUGGLE] = { "juggle", "hand", "ci", KIND_ACTION, 5, 0, 0 },
    [O_VANISH] = { "vanish", "fate", "c", KIND_ACTION, 5, 0, 0 },
    [O_MARCH] = { "march", "move", "c", KIND_ACTION, 31, 0, 0 },
};

static void put_conditions(struct fixture *f, unsigned op)
{
    switch (op) {
    case O_GO:
        need(f,
             CODE(f, ARG(0), CELL(F_AT), ARG(1), CELL(F_END_A), EQ, ARG(0), CELL(F_AT), ARG(1),
                  CELL(F_END_B), EQ, OR),
             0, 0x31);
        need(f, CODE(f, ARG(1), CELL(F_OPEN)), 0, 0x31);
        need(f,
             CODE(f, ARG(2), ARG(1), CELL(F_END_A), EQ, ARG(2), ARG(1), CELL(F_END_B), EQ, OR,
                  ARG(2), ARG(0), CELL(F_AT), NE, AND),
             1, 0x31);
        break;
    case O_TAKE:
        need(f, CODE(f, ARG(1), CELL(F_LIES), ARG(0), CELL(F_AT), EQ), 0, 0x31);
        break;
    case O_TELL:
        need(f, CODE(f, ARG(0), ARG(2), CELL(F_KNOWS), PUSH(2), GE), 0, 0x53);
        break;
    case O_NOD:
        need(f, CODE(f, ARG(1), CELL(F_AWAKE)), 0, 0x32);
        break;
    case O_PRAY:
        need(f, CODE(f, CELL(F_BANNED), PUSH(0), EQ), 0, 0x41);
        break;
    case O_THANK:
        need(f, CODE(f, ARG(0), ARG(1), CELL(F_FAVOUR)), 0, 0); /* law 0: the fluent's */
        break;
    case O_DRAIN:
        need(f, CODE(f, ARG(0), CELL(F_STAMINA), PUSH(20), GE), 0, 0x22);
        break;
    default:
        break;
    }
}

/* Effects of one outcome. */
static void put_effects(struct fixture *f, unsigned op, unsigned outcome)
{
    uint32_t a0 = CODE(f, ARG(0)), a1 = CODE(f, ARG(1)), a2 = CODE(f, ARG(2)),
             one = CODE(f, PUSH(1));
    uint32_t five = CODE(f, PUSH(5)), none = CODE(f, PUSH(-1)), zero = CODE(f, PUSH(0));
    static const uint8_t stress_of[5] = { 0, 0, 5, 20, 30 };
    if (op == O_FORCE) {
        if (outcome <= OUTCOME_OK)
            EFFECT(f, F_OPEN, SET, a1, 0, one);
        if (outcome >= OUTCOME_OK)
            EFFECT(f, F_STRESS, ADD, a0, 0, CODE(f, PUSH(stress_of[outcome])));
        return;
    }
    switch (op) {
    case O_GO:
        EFFECT(f, F_AT, SET, a0, 0, a2);
        break;
    case O_TAKE:
        EFFECT(f, F_HOLDER, SET, a1, 0, a0);
        EFFECT(f, F_LIES, SET, a1, 0, none);
        EFFECT(f, F_STAMINA, SUB, a0, 0, CODE(f, PUSH(10)));
        break;
    case O_TELL:
        EFFECT(f, F_KNOWS, SET, a1, a2, CODE(f, PUSH(2)));
        break;
    case O_SHOUT:
        EFFECT(f, F_STRESS, ADD | OTHERS, 0, 0, five);
        EFFECT(f, F_TRUST, SUB | ALL, 0, a0, one);
        break;
    case O_THINK:
        EFFECT(f, F_STRESS, SUB, a0, 0, five);
        break;
    case O_NOD:
        EFFECT(f, F_TRUST, ADD, a0, a1, five);
        break;
    case O_BLACKOUT:
        EFFECT(f, F_POWER, SET, 0, 0, zero);
        break;
    case O_BETRAY:
        EFFECT(f, F_TRUST, SET, a0, a1, CODE(f, PUSH(10)));
        EFFECT(f, F_STRESS, ADD, a1, 0, CODE(f, PUSH(20)));
        break;
    case O_THANK:
        EFFECT(f, F_FAVOUR, SET, a0, a1, zero);
        break;
    case O_CROWN:
        EFFECT(f, F_STANDING, SET, a0, 0, CODE(f, PUSH(90)));
        break;
    case O_DRAIN:
        EFFECT(f, F_STAMINA, SUB, a0, 0, CODE(f, PUSH(60)));
        break;
    case O_JUGGLE:
        EFFECT(f, F_HOLDER, SET, a1, 0, a0);
        break;
    case O_VANISH:
        EFFECT(f, F_AT, SET, a0, 0, none);
        break;
    default:
        break;
    }
}

/* What the operator is worth to the one goal there is. */
static void put_toward(struct fixture *f, unsigned op)
{
    int value = op == O_TAKE ? 100 : op == O_DEFY ? 200 : op == O_BETRAY ? 300 : 0;
    put_u16(&f->oper, (unsigned) f->towa.size / 4);
    put_u16(&f->oper, value != 0);
    if (value == 0)
        return;
    put_u16(&f->towa, 0);
    put_u16(&f->towa, (unsigned) value);
}

static void put_op(struct fixture *f, unsigned op)
{
    const struct op_row *r = &ops[op];
    unsigned parm_first = (unsigned) f->parm.size / 8, cond_first = (unsigned) f->cond.size / 8;
    static const char letters[] = "-cplif";
    for (const char *s = r->sorts; *s != '\0'; s++) {
        put_u32(&f->parm, 0);
        put_u8(&f->parm, (unsigned) (strchr(letters, *s) - letters));
        put_zero(&f->parm, 3);
    }
    put_conditions(f, op);
    unsigned conds = (unsigned) f->cond.size / 8 - cond_first;
    put_u32(&f->oper, name(f, r->name));
    put_u32(&f->oper, name(f, r->family));
    put_u32(&f->oper, parm_first);
    const uint8_t bytes[4] = { (uint8_t) strlen(r->sorts), r->kind, r->minutes, r->flags };
    buf_put(&f->oper, bytes, 4);
    put_u32(&f->oper, cond_first);
    put_u16(&f->oper, conds);
    put_u8(&f->oper, r->source);
    put_u8(&f->oper, 0);
    put_u32(&f->oper, op == O_FORCE ? CODE(f, ARG(0), CELL(F_STAMINA)) : 0);
    put_u32(&f->oper, op == O_FORCE ? CODE(f, PUSH(40)) : 0);
    for (unsigned outcome = OUTCOME_CRITICAL; outcome <= OUTCOME_FAIL; outcome++) {
        unsigned first = (unsigned) f->efct.size / 24;
        bool possible = outcome == OUTCOME_OK || op == O_FORCE;
        if (possible)
            put_effects(f, op, outcome);
        put_u16(&f->oper, first);
        put_u16(&f->oper, possible ? (unsigned) f->efct.size / 24 - first : 0xffff);
    }
    put_zero(&f->oper, 88 - 48);
    put_toward(f, op);
    put_zero(&f->oper, 128 - 92);
}

static void put_pack(struct fixture *f)
{
    put_u8(&f->strs, 0);
    put_u8(&f->code, 0);
    put_fluents(f);
    for (unsigned i = 0; i < OPS; i++)
        put_op(f, i);
    put_u32(&f->goal, name(f, "have_own_way"));
    put_u32(&f->goal, CODE(f, ARG(0), CELL(F_AWAKE)));
    put_u32(&f->goal, CODE(f, PUSH(100)));
    put_u32(&f->goal, 0);
    put_u32(&f->tens, CODE(f, ARG(0), CELL(F_STRESS)));
    put_u8(&f->tens, 100);
    put_zero(&f->tens, 3);
}

/* ---- world ----------------------------------------------------------------------------------- */

uint16_t fixture_cell(const struct fixture *f, unsigned fluent, unsigned a, unsigned b)
{
    return (uint16_t) (f->base[fluent] + a * entity_count(fluents[fluent].sort2) + b);
}

static void set(struct fixture *f, unsigned fluent, unsigned a, unsigned b, int value)
{
    f->cells[fixture_cell(f, fluent, a, b)] = (int16_t) value;
}

static void put_initial(struct fixture *f)
{
    for (unsigned i = 0; i < FLUENTS; i++) {
        f->base[i] = f->cells_count;
        f->cells_count += entity_count(fluents[i].sort1) * entity_count(fluents[i].sort2);
    }
    static const int16_t people[CHARS][6] = { /* at, awake, comm, standing, stamina, stress */
                                              { HALL, 1, 1, 10, 50, 10 },
                                              { HALL, 1, 0, 50, 50, 20 },
                                              { YARD, 1, 1, 0, 50, 0 }
    };
    static const uint8_t of[6] = { F_AT, F_AWAKE, F_COMM, F_STANDING, F_STAMINA, F_STRESS };
    for (unsigned c = 0; c < CHARS; c++)
        for (unsigned i = 0; i < 6; i++)
            set(f, of[i], c, 0, people[c][i]);
    set(f, F_HOLDER, 0, 0, -1);
    set(f, F_LIES, 0, 0, HALL);
    set(f, F_END_A, 0, 0, HALL);
    set(f, F_END_B, 0, 0, YARD);
    set(f, F_TRACE_AT, 0, 0, YARD);
    set(f, F_KNOWS, ANA, 0, 2);
    set(f, F_TRUST, ANA, BEN, 70);
    set(f, F_POWER, 0, 0, 1);
    set(f, F_BANNED, 0, 0, 1);
    set(f, F_FAVOUR, ANA, BEN, 1);
}

/* ---- events ---------------------------------------------------------------------------------- */

static struct verify_event *add(struct fixture *f, unsigned type, unsigned pass, unsigned actor)
{
    static const uint8_t turn_of[8] = { 1, 1, 1, 1, 2, 2, 2, 2 },
                         phase_of[8] = { 1, 1, 2, 2, 4, 4, 5, 5 };
    struct verify_event *e = &f->events[f->count++];
    *e = (struct verify_event){
        .sequence = f->count,
        .turn = turn_of[pass],
        .pass = (uint16_t) pass,
        .minute = pass * 30,
        .type = (uint8_t) type,
        .phase = phase_of[pass],
        .actor = (uint8_t) actor,
        .op = NONE_U16,
        .place = NONE_U8,
        .verdict = VERDICT_VALID,
        .reason = NONE_U16,
        .goal = NONE_U8,
        .alternatives = { { .op = NONE_U16 }, { .op = NONE_U16 } },
        .ending = 0,
    };
    e->tension_before = e->tension_after = f->count > 1 ? e[-1].tension_after : 20;
    e->target = 30;
    return e;
}

static void cause(struct verify_event *e, uint32_t sequence, unsigned kind, unsigned cell)
{
    e->causes[e->cause_count++] =
        (struct verify_cause){ sequence, (uint8_t) kind, (uint16_t) cell };
}

static void delta(struct verify_event *e, unsigned cell, int before, int after)
{
    e->deltas[e->delta_count++] =
        (struct verify_delta){ (uint16_t) cell, (int16_t) before, (int16_t) after };
}

/* An act in the open: motivated by the beginning, done well. */
static struct verify_event *act(struct fixture *f, unsigned type, unsigned pass, unsigned op,
                                const uint8_t *args)
{
    struct verify_event *e = add(f, type, pass, args[0]);
    e->op = (uint16_t) op;
    e->arg_count = (uint8_t) strlen(ops[op].sorts);
    memcpy(e->args, args, e->arg_count);
    e->outcome = type == EVENT_REJECTED ? OUTCOME_NONE : OUTCOME_OK;
    if (type != EVENT_REACTION && type != EVENT_REJECTED)
        cause(e, 1, CAUSE_MOTIVATES, NONE_U16);
    return e;
}
#define ACT(f, type, pass, op, ...) act(f, type, pass, op, (const uint8_t[]){ __VA_ARGS__ })

static void where(struct verify_event *e, unsigned place, uint32_t witnesses)
{
    e->place = (uint8_t) place;
    e->witnesses = witnesses;
}

static void cal_waits(struct fixture *f, unsigned pass, uint32_t witnesses)
{
    where(ACT(f, EVENT_THOUGHT, pass, O_WAIT, CAL), YARD, witnesses);
}

static void first_turn(struct fixture *f)
{
    struct verify_event *e = add(f, EVENT_STARTED, 0, ACTOR_DIRECTOR);
    e->turn = 0;
    e = add(f, EVENT_INCIDENT, 0, ACTOR_WORLD);
    e->op = O_BLACKOUT;
    e->outcome = OUTCOME_OK;
    e->witnesses = 7;
    cause(e, 1, CAUSE_FORESHADOWS, NONE_U16);
    delta(e, fixture_cell(f, F_POWER, 0, 0), 1, 0);
    e = ACT(f, EVENT_ACTION, 0, O_TAKE, ANA, 0);
    where(e, HALL, 3);
    cause(e, 1, CAUSE_ENABLES, fixture_cell(f, F_LIES, 0, 0));
    delta(e, fixture_cell(f, F_HOLDER, 0, 0), -1, ANA);
    delta(e, fixture_cell(f, F_LIES, 0, 0), HALL, -1);
    delta(e, fixture_cell(f, F_STAMINA, ANA, 0), 50, 40);
    e->goal = 0;
    e->plan_step = 1;
    e->terms[TERM_GOAL] = 100;
    e->terms[TERM_LUCK] = 7;
    e->utility = 107;
    e->alternatives[0] = (struct verify_choice){ O_WAIT, 1, { ANA }, 50 };
    e->alternatives[1] = (struct verify_choice){ O_THINK, 1, { ANA }, 20 };
    e = ACT(f, EVENT_REACTION, 0, O_NOD, BEN, ANA);
    where(e, HALL, 3);
    cause(e, 3, CAUSE_REACTS, NONE_U16);
    delta(e, fixture_cell(f, F_TRUST, BEN, ANA), 0, 5);
    e = ACT(f, EVENT_ACTION, 0, O_FORCE, BEN, 0);
    where(e, HALL, 3);
    e->roll = 37;
    e->skill = 50;
    e->difficulty = 40;
    delta(e, fixture_cell(f, F_OPEN, 0, 0), 0, 1);
    delta(e, fixture_cell(f, F_STRESS, BEN, 0), 20, 25);
    e->tension_after = 25;
    cal_waits(f, 0, 4);
    e = ACT(f, EVENT_ACTION, 1, O_GO, ANA, 0, YARD);
    where(e, HALL, 7);
    cause(e, 5, CAUSE_ENABLES, fixture_cell(f, F_OPEN, 0, 0));
    delta(e, fixture_cell(f, F_AT, ANA, 0), HALL, YARD);
    e = ACT(f, EVENT_REJECTED, 1, O_TAKE, BEN, 0);
    where(e, HALL, 2);
    cause(e, 3, CAUSE_PREVENTS, fixture_cell(f, F_LIES, 0, 0));
    e->verdict = VERDICT_REJECTED;
    e->code_count = 1;
    e->codes[0] = 0x31;
    e->reason = fixture_cell(f, F_LIES, 0, 0);
    e = ACT(f, EVENT_THOUGHT, 1, O_WAIT, BEN);
    where(e, HALL, 2);
    e->verdict = VERDICT_REPAIRED;
    e->repair = REPAIR_HESITATE;
    e->code_count = 1;
    e->codes[0] = 0x31;
    cal_waits(f, 1, 5);
    e = ACT(f, EVENT_SPEECH, 2, O_TELL, ANA, CAL, 0);
    where(e, YARD, 5);
    cause(e, 1, CAUSE_INFORMS, fixture_cell(f, F_KNOWS, ANA, 0));
    e->belief_count = 1;
    e->beliefs[0] = (struct verify_belief){ CAL, 0, 0, 2, 2, ANA };
}

static void last_turn(struct fixture *f)
{
    struct verify_event *e = ACT(f, EVENT_THOUGHT, 2, O_THINK, BEN);
    where(e, HALL, 2);
    cause(e, 5, CAUSE_MOTIVATES, fixture_cell(f, F_STRESS, BEN, 0));
    delta(e, fixture_cell(f, F_STRESS, BEN, 0), 25, 20);
    e->tension_after = 20;
    cal_waits(f, 2, 5);
    e = ACT(f, EVENT_SPEECH, 3, O_SHOUT, ANA);
    where(e, YARD, 5);
    delta(e, fixture_cell(f, F_TRUST, ANA, ANA), 0, -1);
    delta(e, fixture_cell(f, F_TRUST, CAL, ANA), 0, -1);
    delta(e, fixture_cell(f, F_STRESS, CAL, 0), 0, 5);
    where(ACT(f, EVENT_THOUGHT, 3, O_WAIT, BEN), HALL, 2);
    cal_waits(f, 3, 5);
    e = ACT(f, EVENT_SPEECH, 4, O_THANK, ANA, BEN);
    where(e, YARD, 5);
    delta(e, fixture_cell(f, F_FAVOUR, ANA, BEN), 1, 0);
    e->thread_count = 1;
    e->threads[0] = (struct verify_thread){ 0, 1, ANA };
    e = ACT(f, EVENT_ACTION, 4, O_GO, BEN, 0, YARD);
    where(e, HALL, 7);
    cause(e, 5, CAUSE_ENABLES, fixture_cell(f, F_OPEN, 0, 0));
    delta(e, fixture_cell(f, F_AT, BEN, 0), HALL, YARD);
    cal_waits(f, 4, 7);
    e = ACT(f, EVENT_SPEECH, 5, O_DEFY, ANA, BEN);
    where(e, YARD, 7);
    e->goal = 0;
    e->plan_step = 1;
    e->terms[TERM_GOAL] = 200;
    e->utility = 200;
    where(ACT(f, EVENT_THOUGHT, 5, O_WAIT, BEN), YARD, 7);
    cal_waits(f, 5, 7);
    e = ACT(f, EVENT_ACTION, 6, O_BETRAY, ANA, BEN);
    where(e, YARD, 7);
    e->goal = 0;
    e->plan_step = 1;
    e->terms[TERM_GOAL] = 300;
    e->terms[TERM_TRAIT] = -130;
    e->utility = 170;
    delta(e, fixture_cell(f, F_TRUST, ANA, BEN), 70, 10);
    delta(e, fixture_cell(f, F_STRESS, BEN, 0), 20, 40);
    e->tension_after = 40;
    e->thread_count = 1;
    e->threads[0] = (struct verify_thread){ 0, 3, ANA };
    where(ACT(f, EVENT_THOUGHT, 6, O_WAIT, BEN), YARD, 7);
    cal_waits(f, 6, 7);
    where(ACT(f, EVENT_THOUGHT, 7, O_WAIT, ANA), YARD, 7);
    where(ACT(f, EVENT_THOUGHT, 7, O_WAIT, BEN), YARD, 7);
    cal_waits(f, 7, 7);
    e = add(f, EVENT_COMPLETED, 7, ACTOR_DIRECTOR);
    e->turns = 2;
}

void fixture_init(struct fixture *f)
{
    *f = (struct fixture){ .turns = 2, .format = 1, .seed = FIXTURE_SEED };
    put_pack(f);
    put_initial(f);
    first_turn(f);
    last_turn(f);
}

void fixture_done(struct fixture *f)
{
    struct buf *all[] = { &f->strs, &f->flue, &f->oper, &f->parm,
                          &f->cond, &f->efct, &f->tens, &f->code,
                          &f->goal, &f->towa };
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_done(all[i]);
}

void fixture_remove(struct fixture *f, unsigned index)
{
    f->count--;
    for (unsigned i = index; i < f->count; i++) {
        f->events[i] = f->events[i + 1];
        f->events[i].sequence = i + 1;
    }
}
