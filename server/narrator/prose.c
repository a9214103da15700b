#include "server/narrator/prose.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[PROSE_KINDS] = {
    "say",  "line",  "class", "do",    "open", "entry",  "exit",  "shift", "close", "title",
    "muse", "intro", "weigh", "image", "echo", "ground", "cause", "voice", "vary",
    "aim",  "want",
};
static const char *const tag_names[TAGS] = {
    "style", "genre", "voice", "phase", "mood", "frame", "truth", "ending", "kind", "focal", "doom",
    "once",  "topic", "answers",
};

const char *prose_kind_name(enum prose_kind kind)
{
    return kind < PROSE_KINDS ? kind_names[kind] : "";
}
int prose_kind_of(const char *keyword)
{
    for (int i = 0; i < PROSE_KINDS; i++)
        if (kind_names[i][0] == keyword[0] && strcmp(kind_names[i], keyword) == 0)
            return i;
    return -1;
}

static bool head_fail(const struct nvl_prose *s, const char *at, struct nvl_error *err,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
static bool head_fail(const struct nvl_prose *s, const char *at, struct nvl_error *err,
                      const char *format, ...)
{
    if (err == NULL)
        return false;
    err->line = s->line;
    err->column = (uint32_t) (strlen(s->keyword) + 2 + (size_t) (at - s->head));
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    return false;
}
static size_t head_word(const char **p, const char **out)
{
    while (**p == ' ' || **p == '\t')
        ++*p;
    *out = *p;
    while (**p != 0 && **p != ' ' && **p != '\t')
        ++*p;
    return (size_t) (*p - *out);
}
static int tag_of(const char *w, size_t n)
{
    for (int i = 0; i < TAGS; i++)
        if (tag_names[i][0] == w[0] && strncmp(tag_names[i], w, n) == 0 && tag_names[i][n] == 0)
            return i;
    return -1;
}

bool prose_head(const struct nvl_prose *s, struct prose_rule *out, struct nvl_error *err)
{
    memset(out, 0, sizeof(*out));
    int kind = prose_kind_of(s->keyword);
    const char *p = s->head, *w;
    if (kind < 0)
        return head_fail(s, p, err, "unknown prose statement \"%s\"", s->keyword);
    out->statement = s;
    out->kind = (uint8_t) kind;
    size_t n = head_word(&p, &w);
    if (n == 0 || n > PROSE_KEY_MAX)
        return head_fail(s, w, err, "\"%s\" needs a name", s->keyword);
    out->key = w;
    out->key_size = (uint8_t) n;
    if (kind == PROSE_VOICE)
        return true; /* its own words, read by prose_voice_find */
    while ((n = head_word(&p, &w)) > 0) {
        int tag = tag_of(w, n);
        if (tag < 0)
            return head_fail(s, w, err, "unknown tag \"%.*s\"", (int) n, w);
        if (tag == TAG_ONCE) {
            out->once = true;
            continue;
        }
        const char *name = w;
        if ((n = head_word(&p, &w)) == 0 || n > PROSE_KEY_MAX)
            return head_fail(s, name, err, "tag \"%s\" needs a value", tag_names[tag]);
        if (out->tags_count == PROSE_TAGS_MAX)
            return head_fail(s, name, err, "more than %d tags", PROSE_TAGS_MAX);
        out->tags[out->tags_count++] = (struct prose_tag_value){ (uint8_t) tag, w, (uint8_t) n };
    }
    return true;
}

static int key_compare(const struct prose_rule *r, int kind, const char *key, size_t size)
{
    if (r->kind != kind)
        return r->kind < kind ? -1 : 1;
    size_t n = r->key_size < size ? r->key_size : size;
    int c = memcmp(r->key, key, n);
    return c != 0 ? c : (r->key_size > size) - (r->key_size < size);
}
/* A rule's place: its kind and the first bytes of its key tell most of them apart. */
struct place {
    uint64_t front;
    const struct prose_rule *rule;
};
static uint64_t front_of(const struct prose_rule *r)
{
    uint64_t front = r->kind;
    for (size_t i = 0; i < 7; i++)
        front = front << 8 | (i < r->key_size ? (unsigned char) r->key[i] : 0);
    return front;
}
static int place_compare(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    if (p->front != q->front)
        return p->front < q->front ? -1 : 1;
    const struct prose_rule *x = p->rule, *y = q->rule;
    int c = key_compare(x, y->kind, y->key, y->key_size);
    /* Rules were read in source order. */
    return c != 0 ? c : (x > y) - (x < y);
}

bool prose_index_build(const struct nvl_pack *pack, struct arena *arena, struct prose_index *out)
{
    size_t n = nvl_pack_prose_count(pack);
    struct prose_rule *read = arena_zero(arena, n + 1, sizeof(*read)),
                      *rules = arena_zero(arena, n + 1, sizeof(*rules));
    struct place *places = arena_zero(arena, n + 1, sizeof(*places));
    if (read == NULL || rules == NULL || places == NULL)
        return false;
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (prose_head(nvl_pack_prose(pack, i), &read[count], NULL)) {
            places[count] = (struct place){ front_of(&read[count]), &read[count] };
            count++;
        }
    qsort(places, count, sizeof(*places), place_compare);
    for (size_t i = 0; i < count; i++)
        rules[i] = *places[i].rule;
    *out = (struct prose_index){ rules, count };
    return true;
}

size_t prose_index_find(const struct prose_index *x, enum prose_kind kind, const char *key,
                        size_t size, size_t *out_first)
{
    size_t low = 0, high = x->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (key_compare(&x->rules[mid], (int) kind, key, size) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *out_first = low;
    while (low < x->count && key_compare(&x->rules[low], (int) kind, key, size) == 0)
        low++;
    return low;
}

int prose_rule_match(const struct prose_rule *rule, const struct prose_facts *facts)
{
    uint32_t asked = 0, met = 0;
    for (unsigned i = 0; i < rule->tags_count; i++) {
        const struct prose_tag_value *t = &rule->tags[i];
        const char *v = facts->values[t->tag];
        if (t->tag == TAG_TOPIC)
            continue;
        asked |= 1u << t->tag;
        if (v != NULL && v[0] == t->value[0] && strncmp(v, t->value, t->size) == 0 &&
            v[t->size] == 0)
            met |= 1u << t->tag;
    }
    return asked == met ? __builtin_popcount(met & ~(1u << TAG_FRAME)) : -1;
}

bool prose_rule_tagged(const struct prose_rule *rule, enum prose_tag tag)
{
    for (unsigned i = 0; i < rule->tags_count; i++)
        if (rule->tags[i].tag == tag)
            return true;
    return false;
}

void prose_voice_find(const struct prose_index *x, const char *name, struct prose_voice *out)
{
    *out = (struct prose_voice){ .address = "name" };
    size_t first, end = prose_index_find(x, PROSE_VOICE, name, strlen(name), &first);
    if (first == end)
        return;
    const char *p = x->rules[first].statement->head, *w;
    head_word(&p, &w);
    size_t n;
    while ((n = head_word(&p, &w)) > 0) {
        if (n == 4 && memcmp(w, "full", 4) == 0)
            out->full = true;
        else if (n == 5 && memcmp(w, "terse", 5) == 0)
            out->terse = true;
        else if (n == 6 && memcmp(w, "joined", 6) == 0)
            out->joined = true;
        else if (n == 4 && memcmp(w, "like", 4) == 0 && (n = head_word(&p, &w)) > 0 &&
                 n < sizeof(out->like))
            memcpy(out->like, w, n), out->like[n] = 0;
        else if (n == 7 && memcmp(w, "address", 7) == 0 && (n = head_word(&p, &w)) > 0)
            out->address = n == 4 && memcmp(w, "rank", 4) == 0      ? "rank"
                           : n == 7 && memcmp(w, "surname", 7) == 0 ? "surname"
                                                                    : "name";
    }
}

const char *prose_bracket_end(const char *p, const char *end)
{
    char open = *p, close = open == '(' ? ')' : open == '[' ? ']' : open == '{' ? '}' : '>';
    int depth = 0;
    for (; p < end; p++) {
        depth += *p == open;
        depth -= *p == close;
        if (depth == 0)
            return p;
    }
    return NULL;
}

bool prose_alternative(const struct prose_rule *rule, size_t *line, size_t *offset,
                       const char **out, size_t *out_size)
{
    const struct nvl_prose *s = rule->statement;
    if (*line >= s->lines_count)
        return false;
    const char *text = s->lines[*line].text, *end = text + strlen(text), *p = text + *offset;
    if (rule->kind != PROSE_CLASS && rule->kind != PROSE_VARY) {
        *out = text;
        *out_size = (size_t) (end - text);
        ++*line;
        return true;
    }
    while (p < end && *p == ' ')
        p++;
    const char *q = p;
    while (q < end && *q != '|') {
        const char *close =
            *q == '(' || *q == '[' || *q == '{' || *q == '<' ? prose_bracket_end(q, end) : NULL;
        q = close != NULL ? close + 1 : q + 1;
    }
    *out = p;
    const char *stop = q;
    while (stop > p && stop[-1] == ' ')
        stop--;
    *out_size = (size_t) (stop - p);
    if (q >= end) {
        ++*line;
        *offset = 0;
    } else {
        *offset = (size_t) (q + 1 - text);
    }
    return true;
}
