/* collect.c — the alternatives of a rule key, and what each costs before it is written out. */
#include "server/narrator/teller.h"
#include <string.h>

enum { RIGID_WORDS = 14, SIGNATURE_WORDS = 3, BRIEF_WORDS = 450 };

/* An alternative of a rule, with all of its cost that stays the same through a telling. */
struct piece {
    const char *text;
    size_t size;
    uint64_t id;
    int32_t cost;
};
struct pieces {
    struct piece *items; /* NULL: not cut yet */
    size_t count;
    bool to_self; /* a rule for what is done to oneself */
};

unsigned choice_used(const struct teller *t, const struct draft *d, uint64_t id)
{
    unsigned n = usage_count(t, id);
    for (size_t i = 0; i < d->uses_count; i++)
        n += d->uses[i] == id;
    return n;
}
int32_t choice_luck(const struct teller *t, uint64_t id, unsigned nonce, uint32_t range)
{
    return (int32_t) (((mix64(t->seed ^ mix64(id + nonce)) >> 32) * range) >> 32);
}
static bool divides(char c)
{
    return c == '(' || c == ')' || c == '<' || c == '>' || c == '{' || c == '}' || c == '[' ||
           c == ']' || c == '|' || c == '@';
}
/* Fixed words in a row make two stories alike: what has few branches for its length comes up less
 * often. */
static int32_t rigid_cost(const struct teller *t, uint64_t id, const char *text, size_t size)
{
    int32_t run = 0, over = 0, depth = 0;
    for (size_t i = 0; i <= size; i++) {
        char at = i < size ? text[i] : '|';
        run += at == ' ';
        if (!divides(at))
            continue;
        over += run <= 4 ? 0 : depth > 0 ? (run - 3) / 2 : run - 4; /* one of several: half */
        depth += at == '(' || at == '[';
        depth -= at == ')' || at == ']';
        run = 0;
    }
    if (over <= 0)
        return 0;
    /* A line that is remembered belongs to one of eight groups, of which a story opens two. */
    bool shut = over > SIGNATURE_WORDS && (mix64(t->seed ^ (id | 1)) >> 13 & 7) >= 4;
    return (over > RIGID_WORDS ? RIGID_WORDS : over) * 8 + (shut ? 400 : 0);
}
static int32_t rule_cost(const struct teller *t, const struct prose_rule *r)
{
    bool line = r->kind == PROSE_LINE, ground = r->kind == PROSE_GROUND;
    int32_t own = t->words < BRIEF_WORDS ? 200 : 500; /* what belongs to this very thing */
    return (line && prose_rule_tagged(r, TAG_VOICE) ? 100 : 0) -
           (r->kind == PROSE_SAY && prose_rule_tagged(r, TAG_PLACE) ? own : 0) -
           ((line || ground) && prose_rule_tagged(r, TAG_FRAME) ? 480 : 0);
}
static bool cut(struct teller *t, const struct prose_rule *r, struct pieces *out)
{
    size_t line = 0, offset = 0, size, count = 0;
    const char *text;
    while (prose_alternative(r, &line, &offset, &text, &size))
        count++;
    out->items = arena_zero(&t->scratch, count + 1, sizeof(*out->items));
    if (out->items == NULL) {
        t->nomem = true;
        return false;
    }
    bool free_form = r->kind == PROSE_OPEN || r->kind == PROSE_CLASS;
    line = offset = 0;
    while (out->count < count && prose_alternative(r, &line, &offset, &text, &size)) {
        uint64_t id = morph_hash(text, size) ^ r->kind;
        int32_t cost = rule_cost(t, r) + (free_form ? 0 : rigid_cost(t, id, text, size));
        out->items[out->count++] = (struct piece){ text, size, id, cost };
    }
    out->to_self = prose_rule_tagged(r, TAG_VOICE);
    return true;
}
/* Room for the pieces of every rule, once. */
static bool choice_begin(struct teller *t)
{
    t->pieces = arena_zero(&t->scratch, t->index.count + 1, sizeof(*t->pieces));
    return t->pieces != NULL;
}
size_t choice_collect(struct teller *t, const struct draft *d, unsigned nonce,
                      enum prose_kind kind, const char *key, size_t key_size,
                      const struct prose_facts *facts, struct alternative *out, size_t room)
{
    size_t first, count = 0;
    if (t->pieces == NULL && !choice_begin(t)) {
        t->nomem = true;
        return 0;
    }
    size_t end = prose_index_find(&t->index, kind, key, key_size, &first);
    bool to_self = kind == PROSE_SAY && facts->values[TAG_VOICE] != NULL;
    bool brief = t->words < BRIEF_WORDS; /* who wants a short telling wants short sentences */
    for (size_t i = first; i < end; i++) {
        const struct prose_rule *r = &t->index.rules[i];
        struct pieces *p = &t->pieces[i];
        int match = prose_rule_match(r, facts);
        if (match < 0 || (p->items == NULL && !cut(t, r, p)) || (to_self && !p->to_self))
            continue;
        for (size_t k = 0; k < p->count && count < room; k++) {
            const struct piece *at = &p->items[k];
            unsigned n = choice_used(t, d, at->id);
            if (r->once && n > 0)
                continue;
            int32_t cost = (int32_t) n * 340 - match * 340 + at->cost +
                           choice_luck(t, at->id, nonce * 977, 340) +
                           (brief ? (int32_t) at->size * 4 : 0);
            out[count++] = (struct alternative){ at->text, at->size, at->id, cost, r };
        }
    }
    return count;
}
