/* expand.c — a template becomes words.  Text is written left to right; every mention is realised
 * with what the reader has read up to there. */
#include "server/narrator/teller.h"
#include <string.h>

enum { ALTERNATIVES_MAX = 320, RIGID_WORDS = 14, SIGNATURE_WORDS = 3 };
struct alternative {
    const char *text;
    size_t size;
    uint64_t id;
    int32_t cost;
};
struct cursor {
    struct teller *t;
    const struct env *env;
    struct draft *d;
    unsigned nonce, depth;
};

static bool expand(struct cursor *c, const char *p, const char *end);

/* --- writing
 * ---------------------------------------------------------------------------------------------- */

void draft_begin(const struct teller *t, struct draft *d)
{
    memset(d, 0, sizeof(*d));
    d->discourse = t->discourse;
    d->at_start = true;
    d->speaker = d->listener = -1;
    d->address = "name";
}
static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}
/* Does the text end a sentence here?  Titles like "Dr." do not. */
static bool ends_sentence(const struct draft *d)
{
    size_t n = d->size;
    if (n > 0 && d->text[n - 1] == '"')
        n--;
    if (n == 0 || strchr(".!?", d->text[n - 1]) == NULL)
        return false;
    static const char *const titles[] = { "Dr", "Mr", "Mrs", "Ms", "St", "Capt", "Lt", "Prof" };
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        size_t k = strlen(titles[i]);
        if (n > k && memcmp(d->text + n - 1 - k, titles[i], k) == 0 &&
            (n == k + 1 || d->text[n - 2 - k] == ' '))
            return false;
    }
    return true;
}
static void put_char(struct draft *d, char c)
{
    if (d->size + 2 >= DRAFT_BYTES) {
        d->failed = true;
        return;
    }
    if (c == ' ' && (d->size == 0 || d->text[d->size - 1] == ' ' || d->text[d->size - 1] == '\n' ||
                     (d->in_quote && d->at_start && d->text[d->size - 1] == '"')))
        return;
    if (d->size > 1 && d->text[d->size - 1] == ' ' && strchr(".,;:!?", c) != NULL)
        d->size--; /* what stood before it was left out */
    if (d->comma_due) {
        d->comma_due = false;
        if (c == ' ')
            d->text[d->size++] = ',';
    }
    if (c == ' ' && d->tagged) {
        d->tagged = false;
    } else if (c == ' ' && ends_sentence(d)) {
        d->after_quote = d->text[d->size - 1] == '"' && d->text[d->size - 2] != '.';
        if (!d->in_quote && !d->after_quote)
            refer_sentence(d);
        d->at_start = true;
    } else if (c != ' ' && c != '"' && c != '\n') {
        d->at_start = d->after_quote = false;
    }
    d->text[d->size++] = c;
    d->text[d->size] = 0;
}
/* After a question in quotes a small letter goes on with the sentence ("Why?" she asked); a mention
 * begins a new one. */
static void settle(struct draft *d, bool mention, char next)
{
    if (!d->after_quote)
        return;
    d->after_quote = false;
    if (!mention && is_lower(next))
        d->at_start = false;
    else if (!d->in_quote)
        refer_sentence(d);
}
void draft_puts(struct draft *d, const char *s, size_t size, bool capital)
{
    for (size_t i = 0; i < size; i++) {
        bool up = capital && d->at_start && is_lower(s[i]);
        put_char(d, up ? (char) (s[i] - 'a' + 'A') : s[i]);
    }
}

/* --- bindings
 * --------------------------------------------------------------------------------------------- */

void env_add(struct env *env, const char *name, unsigned sort, unsigned index)
{
    if (env->count < BINDS_MAX)
        env->binds[env->count++] = (struct bind){ name, (uint8_t) sort, (uint8_t) index, NULL };
}
void env_text(struct env *env, const char *name, const char *text)
{
    if (env->count < BINDS_MAX && text != NULL)
        env->binds[env->count++] = (struct bind){ name, NVL_SORT_NONE, 0, text };
}
static const struct bind *env_find(const struct env *env, const char *name, size_t size)
{
    for (size_t i = env->count; i-- > 0;)
        if (strlen(env->binds[i].name) == size && memcmp(env->binds[i].name, name, size) == 0)
            return &env->binds[i];
    return NULL;
}
void env_story(const struct teller *t, struct env *env)
{
    memset(env, 0, sizeof(*env));
    const char **v = env->facts.values;
    v[TAG_STYLE] = nvl_style_name(t->style);
    v[TAG_GENRE] = nvl_world_genre(t->world);
    static const char *const moods[] = { "neutral", "dark", "hopeful", "wry" };
    v[TAG_MOOD] = moods[nvl_world_mood(t->world) % NVL_MOODS];
    v[TAG_FRAME] = nvl_world_frame(t->world);
    v[TAG_TRUTH] = nvl_world_truth(t->world);
    v[TAG_ENDING] = t->ending;
    env_text(env, "LOCALE", nvl_world_locale(t->world));
    if (t->place >= 0) {
        env_add(env, "HERE", NVL_SORT_PLACE, (unsigned) t->place);
        const struct nvl_entity *e =
            nvl_world_entity(t->world, NVL_SORT_PLACE, (unsigned) t->place);
        v[TAG_PLACE] = e != NULL ? e->kind : NULL;
    }
    if (t->people > t->cast)
        env_add(env, "CALLER", NVL_SORT_CHAR, (unsigned) t->cast);
    if (t->focaliser >= 0)
        env_add(env, "F", NVL_SORT_CHAR, (unsigned) t->focaliser);
}
void env_event(const struct teller *t, const struct nvl_event *e, struct env *env)
{
    struct nvl_op_info info;
    if (e->op == NVL_NO_OP || e->op >= nvl_pack_op_count(t->pack))
        return;
    nvl_pack_op(t->pack, e->op, &info);
    for (unsigned i = 0; i < info.params_count && i < e->args_count; i++) {
        unsigned sort = info.params[i].sort;
        const struct nvl_entity *thing =
            sort == NVL_SORT_LINK || sort == NVL_SORT_ITEM || sort == NVL_SORT_CLUE
                ? nvl_world_entity(t->world, (enum nvl_sort) sort, e->args[i])
                : NULL;
        if (thing != NULL) /* what it is done to, or what is found */
            env->facts.values[TAG_PLACE] = sort == NVL_SORT_CLUE ? thing->id : thing->kind;
        env_add(env, info.params[i].name, info.params[i].sort, e->args[i]);
    }
    if (e->args_count > 1 && info.params_count > 1 && info.params[1].sort == NVL_SORT_CHAR &&
        e->args[1] == e->args[0] && info.params[0].sort == NVL_SORT_CHAR)
        env->facts.values[TAG_VOICE] = "self"; /* done to oneself: another sentence altogether */
    env->facts.values[TAG_PHASE] = nvl_phase_name(e->phase);
    env->facts.values[TAG_FOCAL] = e->actor == (uint8_t) t->focaliser ? "yes" : "no";
}

/* --- choosing
 * --------------------------------------------------------------------------------------------- */

static void use(struct draft *d, uint64_t id)
{
    if (d->uses_count < DRAFT_USES)
        d->uses[d->uses_count++] = id;
}
static unsigned used(const struct cursor *c, uint64_t id)
{
    unsigned n = usage_count(c->t, id);
    for (size_t i = 0; i < c->d->uses_count; i++)
        n += c->d->uses[i] == id;
    return n;
}
static int32_t luck(const struct teller *t, uint64_t id, unsigned nonce, uint32_t range)
{
    return (int32_t) (((mix64(t->seed ^ mix64(id + nonce)) >> 32) * range) >> 32);
}
/* Fixed words in a row make two stories alike: what has few branches for its length comes up less
 * often. */
static int32_t rigid_cost(const struct teller *t, uint64_t id, const char *text, size_t size)
{
    int32_t run = 0, over = 0, depth = 0;
    for (size_t i = 0; i <= size; i++) {
        char at = i < size ? text[i] : '|';
        run += at == ' ';
        if (strchr("()<>{}[]|@", at) == NULL)
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
static size_t collect(const struct cursor *c, enum prose_kind kind, const char *key,
                      size_t key_size, const struct prose_facts *facts, struct alternative *out)
{
    size_t first, count = 0;
    size_t end = prose_index_find(&c->t->index, kind, key, key_size, &first);
    for (size_t i = first; i < end; i++) {
        const struct prose_rule *r = &c->t->index.rules[i];
        int match = prose_rule_match(r, facts);
        bool to_self = kind == PROSE_SAY && facts->values[TAG_VOICE] != NULL;
        if (match < 0 || (to_self && !prose_rule_tagged(r, TAG_VOICE)))
            continue;
        size_t line = 0, offset = 0, size;
        const char *text;
        while (count < ALTERNATIVES_MAX && prose_alternative(r, &line, &offset, &text, &size)) {
            uint64_t id = morph_hash(text, size) ^ kind;
            unsigned n = used(c, id);
            if (r->once && n > 0)
                continue;
            int32_t cost =
                (int32_t) n * 340 - match * 340 -
                (kind == PROSE_SAY && prose_rule_tagged(r, TAG_PLACE) ? 200 : 0) +
                (kind == PROSE_OPEN || kind == PROSE_CLASS ? 0 : rigid_cost(c->t, id, text, size)) +
                (kind == PROSE_LINE && prose_rule_tagged(r, TAG_VOICE) ? 250 : 0) -
                ((kind == PROSE_LINE || kind == PROSE_GROUND) && prose_rule_tagged(r, TAG_FRAME)
                     ? 480
                     : 0) +
                luck(c->t, id, c->nonce * 977, 340);
            out[count++] = (struct alternative){ text, size, id, cost };
        }
    }
    return count;
}
static int best_of(struct alternative *a, size_t count)
{
    int best = -1;
    for (size_t i = 0; i < count; i++)
        if (a[i].cost < INT32_MAX && (best < 0 || a[i].cost < a[best].cost))
            best = (int) i;
    return best;
}

/* --- the parts of a template
 * ------------------------------------------------------------------------------ */

static bool expand_slot(struct cursor *c, const char *p, const char *end)
{
    const char *dot = memchr(p, '.', (size_t) (end - p));
    const struct bind *b = env_find(c->env, p, (size_t) ((dot != NULL ? dot : end) - p));
    char form[24] = "";
    size_t n = dot != NULL ? (size_t) (end - dot - 1) : 0;
    if (b == NULL || n >= sizeof(form))
        return false;
    if (n > 0)
        memcpy(form, dot + 1, n);
    settle(c->d, true, 0);
    quote_part(c->d, b, form);
    if (b->sort == NVL_SORT_NONE) {
        draft_puts(c->d, b->text, strlen(b->text), true);
        return b->text[0] != 0;
    }
    return b->index != NVL_NONE && refer_put(c->t, c->d, b->sort, b->index, form);
}
static bool expand_class(struct cursor *c, const char *p, const char *end)
{
    struct alternative a[ALTERNATIVES_MAX];
    size_t count = collect(c, PROSE_CLASS, p, (size_t) (end - p), &c->env->facts, a);
    int i = best_of(a, count);
    if (i < 0)
        return false;
    use(c->d, a[i].id);
    return expand(c, a[i].text, a[i].text + a[i].size);
}
/* (a|b): the option least used so far. */
static bool expand_choice(struct cursor *c, const char *p, const char *end)
{
    struct alternative a[24];
    size_t count = 0;
    while (p <= end && count < 24) {
        const char *q = p;
        while (q < end && *q != '|') {
            const char *close =
                *q == '(' || *q == '[' || *q == '{' || *q == '<' ? prose_bracket_end(q, end) : NULL;
            q = close != NULL ? close + 1 : q + 1;
        }
        uint64_t id = morph_hash(p, (size_t) (q - p)) * 3;
        a[count++] = (struct alternative){ p, (size_t) (q - p), id,
                                           (int32_t) used(c, id) * 80 +
                                               luck(c->t, id ^ c->d->size, c->nonce * 31, 60) };
        p = q + 1;
    }
    int i = best_of(a, count);
    use(c->d, a[i].id);
    return expand(c, a[i].text, a[i].text + a[i].size);
}
static bool expand_optional(struct cursor *c, const char *p, const char *end)
{
    uint64_t id = morph_hash(p, (size_t) (end - p)) * 5;
    if (used(c, id) > 0 || luck(c->t, id ^ c->t->discourse.sentence, c->nonce, 100) < 50)
        return true;
    use(c->d, id);
    struct draft *d = c->d;
    struct draft before = *d; /* an optional that cannot be said is left out */
    if (expand(c, p, end))
        return true;
    *d = before;
    return true;
}

static void voice_finish(struct draft *d, size_t start, bool full, struct teller *t)
{
    if (!full)
        return;
    struct buf b = { 0 };
    morph_expand(&b, d->text + start, d->size - start);
    if (b.failed || start + b.size + 2 >= DRAFT_BYTES) {
        t->nomem |= b.failed;
        d->failed = true;
    } else {
        memcpy(d->text + start, b.data, b.size);
        d->size = start + b.size;
        d->text[d->size] = 0;
    }
    buf_done(&b);
}
static bool say_line(struct cursor *c, const char *act, size_t act_size, struct prose_voice *voice,
                     const char *voice_name)
{
    struct alternative a[ALTERNATIVES_MAX];
    struct prose_facts facts = c->env->facts;
    facts.values[TAG_VOICE] = voice_name;
    size_t count = collect(c, PROSE_LINE, act, act_size, &facts, a);
    if (voice->like[0] != 0 && count < ALTERNATIVES_MAX / 2) {
        facts.values[TAG_VOICE] = voice->like;
        count += collect(c, PROSE_LINE, act, act_size, &facts, a + count);
    }
    for (unsigned tries = 0; tries < 8; tries++) {
        int i = best_of(a, count);
        if (i < 0)
            return false;
        struct draft before = *c->d;
        use(c->d, a[i].id);
        if (expand(c, a[i].text, a[i].text + a[i].size) && !c->d->failed)
            return true;
        *c->d = before;
        a[i].cost = INT32_MAX;
    }
    return false;
}
/* @act(S,T): what S says to T, in S's voice.  Moves *p past the call, and past a comma that follows
 * it. */
static bool expand_said(struct cursor *c, const char **p, const char *end)
{
    const char *open = memchr(*p, '(', (size_t) (end - *p));
    const char *close = open != NULL ? prose_bracket_end(open, end) : NULL;
    if (close == NULL || c->d->in_quote)
        return false;
    const char *comma = memchr(open, ',', (size_t) (close - open));
    const char *name_end = comma != NULL ? comma : close;
    const struct bind *s = env_find(c->env, open + 1, (size_t) (name_end - open - 1));
    const struct bind *l =
        comma != NULL ? env_find(c->env, comma + 1, (size_t) (close - comma - 1)) : NULL;
    if (s == NULL || s->sort != NVL_SORT_CHAR || s->index >= c->t->people)
        return false;
    const char *name = c->t->voice[s->index];
    struct prose_voice voice;
    prose_voice_find(&c->t->index, name != NULL ? name : "", &voice);
    struct env inner = *c->env;
    env_add(&inner, "S", NVL_SORT_CHAR, s->index);
    int16_t listener = l != NULL && l->index != NVL_NONE ? (int16_t) l->index : -1;
    if (listener >= 0)
        env_add(&inner, "T", NVL_SORT_CHAR, l->index);
    struct cursor in = { c->t, &inner, c->d, c->nonce, c->depth + 1 };
    struct draft *d = c->d;
    if (d->after_quote)
        settle(d, true, 0);
    draft_puts(d, "\"", 1, false);
    size_t start = d->size;
    if (d->quotes_count < QUOTES_MAX)
        d->quotes[d->quotes_count++] =
            (struct quote){ (uint16_t) start, (int16_t) s->index, listener };
    d->in_quote = d->at_start = true;
    d->speaker = (int16_t) s->index;
    d->listener = listener;
    d->address = voice.address;
    inner.facts.values[TAG_VOICE] = name; /* its classes too speak in this voice */
    const char *act = *p + 1;
    if (!say_line(&in, act, (size_t) (open - act), &voice, name) || d->size == start)
        return false;
    voice_finish(d, start, voice.full, c->t);
    d->in_quote = false;
    d->at_start = false;
    if (d->discourse.people[s->index].last >= d->discourse.sentence - 2)
        d->discourse.people[s->index].last = d->discourse.sentence; /* who spoke is still meant */
    *p = close + 1;
    if (*p < end && **p == ',') {
        if (d->text[d->size - 1] == '.')
            d->text[d->size - 1] = ',';
        ++*p;
        draft_puts(d, "\"", 1, false);
        d->tagged = true;
    } else {
        draft_puts(d, "\"", 1, false);
    }
    return !d->failed;
}

static bool expand_bracket(struct cursor *c, const char **p, const char *end)
{
    const char *close = prose_bracket_end(*p, end);
    if (close == NULL)
        return false;
    const char *from = *p + 1;
    char open = **p;
    *p = close + 1;
    if (++c->depth > PROSE_DEPTH_MAX)
        return false;
    bool ok = open == '{'   ? expand_slot(c, from, close)
              : open == '<' ? expand_class(c, from, close)
              : open == '(' ? expand_choice(c, from, close)
                            : expand_optional(c, from, close);
    c->depth--;
    return ok;
}
/* Writes what stands at p as it is, or what may stand for it; returns how much was read. */
static size_t put_plain(struct cursor *c, const char *p, const char *end)
{
    struct draft *d = c->d;
    const char *said;
    size_t said_size, n = 0;
    bool at_word = d->size == 0 || strchr(" \n\"(", d->text[d->size - 1]) != NULL;
    if (at_word)
        n = vary_find(c->t, p, (size_t) (end - p), mix64(c->nonce * 64 + d->size), &said,
                      &said_size);
    if (n == 0) {
        draft_puts(d, p, 1, c->depth > 0);
        return 1;
    }
    bool large = *p >= 'A' && *p <= 'Z';
    char first = large ? (char) (said[0] - 'a' + 'A') : said[0];
    draft_puts(d, &first, 1, c->depth > 0);
    draft_puts(d, said + 1, said_size - 1, false);
    return n;
}
static bool expand(struct cursor *c, const char *p, const char *end)
{
    while (p < end && !c->d->failed) {
        if (*p == '{' || *p == '<' || *p == '(' || *p == '[') {
            if (!expand_bracket(c, &p, end))
                return false;
        } else if (*p == '@') {
            if (!expand_said(c, &p, end))
                return false;
        } else if (*p == '/' && p + 1 < end && p[1] == '/') {
            struct draft *d = c->d;
            while (d->size > 0 && d->text[d->size - 1] == ' ')
                d->size--;
            draft_puts(d, "\n", 1, false);
            refer_sentence(d);
            d->discourse.paragraph_start = d->discourse.sentence;
            d->at_start = true, d->after_quote = false;
            p += 2;
        } else {
            settle(c->d, *p == '"', *p);
            p += put_plain(c, p, end);
        }
    }
    return !c->d->failed;
}
bool expand_text(struct teller *t, const struct env *env, struct draft *d, const char *text,
                 size_t size, unsigned nonce)
{
    struct cursor c = { t, env, d, nonce, 0 };
    return expand(&c, text, text + size);
}

bool expand_chunk(struct teller *t, const struct env *env, enum prose_kind kind, const char *key,
                  struct draft *out)
{
    struct alternative a[ALTERNATIVES_MAX];
    struct draft d;
    draft_begin(t, &d);
    struct cursor c = { t, env, &d, 0, 0 };
    size_t count = collect(&c, kind, key, strlen(key), &env->facts, a);
    int32_t best = INT32_MAX;
    unsigned made = 0, chosen = 0;
    bool offends = false; /* what was said first */
    for (unsigned tries = 0; tries < 2 * DRAFTS && made < DRAFTS; tries++) {
        int i = best_of(a, count);
        if (i < 0)
            break;
        draft_begin(t, &d);
        c.nonce = tries;
        use(&d, a[i].id);
        int32_t cost = a[i].cost;
        a[i].cost = tries + 1 < DRAFTS && count <= tries + 1 ? a[i].cost + 30 : INT32_MAX;
        if (!expand(&c, a[i].text, a[i].text + a[i].size) || d.size == 0)
            continue;
        made++;
        join_short(t, &d);
        int32_t faults = quote_cost(t, &d) + (int32_t) usage_repeats(t, &d) * 2000;
        offends |= made == 1 && (faults > 0 || usage_echoes(t, &d));
        cost += usage_cost(t, &d) + faults;
        if (cost < best) {
            best = cost;
            *out = d;
            chosen = made;
        }
    }
    t->rewritten += offends && chosen > 1 ? 1u : 0u;
    return made > 0;
}
