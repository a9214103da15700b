/* expand.c — a template becomes words.  Text is written left to right; every mention is realised
 * with what the reader has read up to there. */
#include "server/narrator/teller.h"
#include <stddef.h>
#include <string.h>

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
    memset(d, 0, offsetof(struct draft, quotes));
    d->text[0] = 0;
    d->discourse = t->discourse;
    d->at_start = true;
    d->speaker = d->listener = -1;
    d->address = "name";
    memcpy(d->topic, t->topic, sizeof(d->topic));
}
void draft_copy(struct draft *to, const struct draft *from)
{
    memcpy(to, from, offsetof(struct draft, quotes));
    memcpy(to->quotes, from->quotes, from->quotes_count * sizeof(from->quotes[0]));
    memcpy(to->named, from->named, from->named_count * sizeof(from->named[0]));
    memcpy(to->uses, from->uses, from->uses_count * sizeof(from->uses[0]));
    memcpy(to->text, from->text, from->size);
    to->text[to->size] = 0;
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
    if (n == 0 || !morph_stops(d->text[n - 1]))
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
static bool closes_up(char c)
{
    return morph_stops(c) || c == ',' || c == ';' || c == ':';
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
    if (d->size > 1 && d->text[d->size - 1] == ' ' && closes_up(c))
        d->size--; /* what stood before it was left out */
    if (c == ',' && d->size > 0 && d->text[d->size - 1] == ',' && !d->comma_due)
        return; /* an apposition has put it already */
    if (d->comma_due) {
        d->comma_due = false;
        if (c == ' ')
            d->text[d->size++] = ',';
    }
    d->open_quote ^= c == '"';
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
bool env_role(const struct teller *t, const char *name, size_t size, struct bind *out)
{
    char fluent[24];
    struct nvl_cell info;
    if (size < 3 || size >= sizeof(fluent))
        return false;
    for (size_t i = 0; i < size; i++)
        if ((name[i] < 'A' || name[i] > 'Z') && name[i] != '_')
            return false;
        else
            fluent[i] = morph_lower(name[i]);
    fluent[size] = 0;
    int f = nvl_pack_fluent_find(t->pack, fluent);
    int cell = f < 0 ? -1 : nvl_world_cell(t->world, (size_t) f, 0, 0);
    if (cell < 0 || nvl_world_cell_info(t->world, (size_t) cell, &info) != 0 ||
        info.args_count != 0 || info.value_sort == NVL_SORT_NONE)
        return false;
    int16_t index = nvl_world_initial(t->world)[cell];
    if (index < 0 || index >= THINGS_MAX)
        return false;
    *out = (struct bind){ NULL, info.value_sort, (uint8_t) index, NULL };
    return true;
}
static const struct bind *env_find(const struct env *env, const char *name, size_t size)
{
    for (size_t i = env->count; i-- > 0;) {
        const char *known = env->binds[i].name;
        if (strncmp(known, name, size) == 0 && known[size] == 0)
            return &env->binds[i];
    }
    return NULL;
}
/* "{TRUTH}": what a case comes to, for one who is bound by nobody's knowledge. */
static void env_truth(const struct teller *t, struct env *env)
{
    int who = t->limited ? -1 : nvl_pack_fluent_find(t->pack, "who_fact");
    int cell = who < 0 ? -1 : nvl_world_cell(t->world, (size_t) who, 0, 0);
    int fact = cell < 0 ? -1 : nvl_world_initial(t->world)[cell];
    if (fact >= 0 && nvl_world_entity(t->world, NVL_SORT_FACT, (unsigned) fact) != NULL)
        env_add(env, "TRUTH", NVL_SORT_FACT, (unsigned) fact);
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
    v[TAG_TRUTH] = t->limited ? NULL : nvl_world_truth(t->world); /* hidden from one who lives in it */
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
    env_doom(t, env);
    env_truth(t, env);
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
    return choice_used(c->t, c->d, id);
}
static size_t collect(const struct cursor *c, enum prose_kind kind, const char *key,
                      size_t key_size, const struct prose_facts *facts, struct alternative *out,
                      size_t room)
{
    return choice_collect(c->t, c->d, c->nonce, kind, key, key_size, facts, out, room);
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
    struct bind role;
    char form[24] = "";
    size_t n = dot != NULL ? (size_t) (end - dot - 1) : 0;
    if (b == NULL && env_role(c->t, p, (size_t) ((dot != NULL ? dot : end) - p), &role))
        b = &role;
    if (b == NULL || n >= sizeof(form))
        return false;
    if (n > 0)
        memcpy(form, dot + 1, n);
    settle(c->d, true, 0);
    quote_part(c->d, b, form);
    if (b->sort == NVL_SORT_NONE) {
        const char *noun = strcmp(b->name, "SETTING") == 0 ? strchr(b->text, ' ') : NULL;
        if (noun != NULL)
            refer_suit(c->d, noun + 1);
        draft_puts(c->d, b->text, strlen(b->text), true);
        return b->text[0] != 0;
    }
    c->d->ahead = end + 1;
    bool put = b->index != NVL_NONE && refer_put(c->t, c->d, b->sort, b->index, form);
    c->d->ahead = NULL;
    return put;
}
/* How a voice leads in and ends: a habit of speech that is heard twice is a tic. */
static bool once_a_story(const char *p, const char *end)
{
    size_t n = (size_t) (end - p);
    return n == 6 && (memcmp(p, "v_lead", 6) == 0 || memcmp(p, "v_tail", 6) == 0);
}
static bool expand_class(struct cursor *c, const char *p, const char *end)
{
    struct alternative a[ALTERNATIVES_MAX];
    size_t count = collect(c, PROSE_CLASS, p, (size_t) (end - p), &c->env->facts, a, ALTERNATIVES_MAX);
    int i = best_of(a, count);
    if (i < 0 || (once_a_story(p, end) && used(c, a[i].id) > 0))
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
                                               choice_luck(c->t, id ^ c->d->size, c->nonce * 31, 60),
                                           NULL };
        p = q + 1;
    }
    int i = best_of(a, count);
    use(c->d, a[i].id);
    return expand(c, a[i].text, a[i].text + a[i].size);
}
static bool expand_optional(struct cursor *c, const char *p, const char *end)
{
    uint64_t id = morph_hash(p, (size_t) (end - p)) * 5;
    if (used(c, id) > 0 || choice_luck(c->t, id ^ c->t->discourse.sentence, c->nonce, 100) < 50)
        return true;
    use(c->d, id);
    struct draft before; /* an optional that cannot be said is left out */
    draft_copy(&before, c->d);
    if (!expand(c, p, end))
        draft_copy(c->d, &before);
    return true;
}

/* Puts what fn makes of the speech since start in its place. */
static void speech_rewrite(struct draft *d, size_t start, struct teller *t,
                           void (*fn)(struct buf *, const char *, size_t))
{
    struct buf b = { 0 };
    fn(&b, d->text + start, d->size - start);
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
static void voice_finish(struct draft *d, size_t start, const struct prose_voice *v,
                         struct teller *t)
{
    if (v->terse)
        speech_rewrite(d, start, t, speech_cut);
    if (v->joined)
        speech_rewrite(d, start, t, speech_join);
    if (v->full)
        speech_rewrite(d, start, t, morph_expand);
}
/* What was said last, if somebody else said it: an answer may go by it. */
static const char *topic_before(const struct teller *t, const struct draft *d)
{
    size_t n = d->quotes_count;
    int16_t who = n > 1 ? d->quotes[n - 2].speaker : t->quote_speaker;
    return d->topic[0] != 0 && who >= 0 && who != d->speaker ? d->topic : NULL;
}
static void topic_set(struct draft *d, const struct prose_rule *r)
{
    d->topic[0] = 0;
    for (unsigned i = 0; i < r->tags_count; i++)
        if (r->tags[i].tag == TAG_TOPIC && r->tags[i].size < TOPIC_BYTES) {
            memcpy(d->topic, r->tags[i].value, r->tags[i].size);
            d->topic[r->tags[i].size] = 0;
        }
}
static bool say_line(struct cursor *c, const char *act, size_t act_size, struct prose_voice *voice,
                     const char *voice_name)
{
    struct alternative a[ALTERNATIVES_MAX];
    struct prose_facts facts = c->env->facts;
    char topic[TOPIC_BYTES];
    const char *before_it = topic_before(c->t, c->d);
    memcpy(topic, c->d->topic, sizeof(topic));
    facts.values[TAG_ANSWERS] = before_it != NULL ? topic : NULL;
    facts.values[TAG_VOICE] = voice_name;
    size_t count = collect(c, PROSE_LINE, act, act_size, &facts, a, ALTERNATIVES_MAX);
    if (voice->like[0] != 0 && count < ALTERNATIVES_MAX / 2) {
        facts.values[TAG_VOICE] = voice->like;
        count += collect(c, PROSE_LINE, act, act_size, &facts, a + count, ALTERNATIVES_MAX - count);
    }
    for (unsigned tries = 0; tries < 24; tries++) {
        int i = best_of(a, count);
        if (i < 0)
            return false;
        struct draft before;
        draft_copy(&before, c->d);
        use(c->d, a[i].id);
        if (expand(c, a[i].text, a[i].text + a[i].size) && !c->d->failed) {
            topic_set(c->d, a[i].rule);
            return true;
        }
        draft_copy(c->d, &before);
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
    voice_finish(d, start, &voice, c->t);
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
static bool before_word(char c)
{
    return c == ' ' || c == '\n' || c == '"' || c == '(';
}
/* The small letters that a word goes on with: none of them changes anything but the text. */
static size_t put_letters(struct draft *d, const char *p, const char *end)
{
    size_t n = 0, room = DRAFT_BYTES - 2 - d->size;
    while (p + n < end && n < room && is_lower(p[n]))
        n++;
    memcpy(d->text + d->size, p, n);
    d->size += n;
    d->text[d->size] = 0;
    return n;
}
/* Writes what stands at p as it is, or what may stand for it; returns how much was read. */
static size_t put_plain(struct cursor *c, const char *p, const char *end)
{
    struct draft *d = c->d;
    const char *said;
    size_t said_size, n = 0;
    if (d->drop_s && *p == '\'' && p + 1 < end && p[1] == 's') {
        d->drop_s = false;
        return 2;
    }
    d->drop_s = false;
    bool at_word = d->size == 0 || before_word(d->text[d->size - 1]);
    if (at_word && (n = person_word(c->t, d, p, end, &said)) > 0) {
        draft_puts(d, said, strlen(said), true);
        return n;
    }
    if (at_word)
        n = vary_find(c->t, p, (size_t) (end - p), mix64(c->nonce * 64 + d->size), &said,
                      &said_size);
    if (n == 0) {
        draft_puts(d, p, 1, c->depth > 0);
        bool letter = d->size > 0 && is_lower(*p) && !d->failed;
        return letter ? 1 + put_letters(d, p + 1, end) : 1;
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

/* "They" are the people of a place where an opening tells of one (a shipwreck has nobody but us)
 * or the ground of a country is given, and anybody in what a style makes of things. */
static bool tells_of_others(const struct teller *t, enum prose_kind kind, const char *key)
{
    if (kind == PROSE_MUSE)
        return t->style != NVL_STYLE_LITERARY;
    if (kind == PROSE_GROUND)
        return strcmp(key, "region") == 0 || strcmp(key, "wide") == 0;
    return kind == PROSE_OPEN && strcmp(nvl_world_frame(t->world), "stranded") != 0;
}
bool expand_chunk(struct teller *t, const struct env *env, enum prose_kind kind, const char *key,
                  struct draft *out)
{
    struct alternative a[ALTERNATIVES_MAX];
    struct draft d;
    struct words words;
    draft_begin(t, &d);
    struct cursor c = { t, env, &d, 0, 0 };
    size_t count = collect(&c, kind, key, strlen(key), &env->facts, a, ALTERNATIVES_MAX);
    int32_t best = INT32_MAX;
    unsigned made = 0, chosen = 0;
    bool offends = false; /* what was said first */
    for (unsigned tries = 0; tries < 2 * DRAFTS && made < DRAFTS; tries++) {
        int i = best_of(a, count);
        if (i < 0)
            break;
        draft_begin(t, &d);
        d.own_they = tells_of_others(t, kind, key);
        c.nonce = tries;
        use(&d, a[i].id);
        int32_t cost = a[i].cost;
        a[i].cost = tries + 1 < DRAFTS && count <= tries + 1 ? a[i].cost + 30 : INT32_MAX;
        if (!expand(&c, a[i].text, a[i].text + a[i].size) || d.size == 0)
            continue;
        if (t->limited && !know_allows(t, &d))
            continue;
        made++;
        join_short(t, &d);
        cost += d.crew > 0 && know_alone(t) ? 600 : 0;
        cost += journal_cost(t, &d);
        cost += kind == PROSE_OPEN ? 0 : centre_cost(t, &d, kind == PROSE_ENTRY);
        usage_read(&d, &words);
        int32_t faults = quote_cost(t, &d) + (int32_t) usage_known(t, &words) * 2000;
        offends |= made == 1 && (faults > 0 || usage_echoes(t, &words));
        cost += faults;
        cost += usage_cost(t, &words, best == INT32_MAX ? best : best - cost);
        if (cost < best) {
            best = cost;
            draft_copy(out, &d);
            chosen = made;
        }
    }
    t->rewritten += offends && chosen > 1 ? 1u : 0u;
    return made > 0;
}
