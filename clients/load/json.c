#include "clients/load/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/c/novel_json.h"
#include "rpc/base/alloc.h"
#include "rpc/base/utf8.h"

/* Strings are collected as offsets while the buffer may move, and become pointers at the end. */
struct parser {
    struct json *j;
    const char *text;
    size_t size, at;
    unsigned depth;
};

static bool fail(struct parser *p, const char *what)
{
    if (p->j->problem[0] == '\0')
        snprintf(p->j->problem, sizeof p->j->problem, "%s at byte %zu", what, p->at);
    return false;
}

static void skip_space(struct parser *p)
{
    while (p->at < p->size && strchr(" \t\r\n", p->text[p->at]) != NULL && p->text[p->at] != '\0')
        p->at++;
}

static uint32_t add_node(struct parser *p, enum json_kind kind)
{
    struct json *j = p->j;
    if (j->count == j->capacity) {
        uint32_t wanted = j->capacity == 0 ? 64 : j->capacity * 2;
        struct json_node *more =
            wanted > JSON_NODES_MAX ? NULL : alloc_resize(j->nodes, wanted * sizeof *more);
        if (more == NULL) {
            fail(p, "too large");
            return 0;
        }
        j->nodes = more;
        j->capacity = wanted;
    }
    j->nodes[j->count] = (struct json_node){ .kind = kind };
    return j->count++;
}

static bool read_hex(struct parser *p, uint32_t *out)
{
    uint32_t value = 0;
    if (p->size - p->at < 4)
        return fail(p, "short escape");
    for (unsigned i = 0; i < 4; i++) {
        char c = p->text[p->at++];
        if (c >= '0' && c <= '9')
            value = value * 16 + (uint32_t) (c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            value = value * 16 + (uint32_t) ((c | 32) - 'a' + 10);
        else
            return fail(p, "bad escape");
    }
    *out = value;
    return true;
}

static void put_code_point(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_putc(b, (char) c);
    } else if (c < 0x800) {
        buf_putc(b, (char) (0xc0 | c >> 6));
        buf_putc(b, (char) (0x80 | (c & 63)));
    } else if (c < 0x10000) {
        buf_putc(b, (char) (0xe0 | c >> 12));
        buf_putc(b, (char) (0x80 | (c >> 6 & 63)));
        buf_putc(b, (char) (0x80 | (c & 63)));
    } else {
        buf_putc(b, (char) (0xf0 | c >> 18));
        buf_putc(b, (char) (0x80 | (c >> 12 & 63)));
        buf_putc(b, (char) (0x80 | (c >> 6 & 63)));
        buf_putc(b, (char) (0x80 | (c & 63)));
    }
}

static bool read_unicode(struct parser *p)
{
    uint32_t c, low;
    if (!read_hex(p, &c))
        return false;
    if (c >= 0xd800 && c < 0xdc00) {
        if (p->size - p->at < 6 || p->text[p->at] != '\\' || p->text[p->at + 1] != 'u')
            return fail(p, "lone surrogate");
        p->at += 2;
        if (!read_hex(p, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(p, "lone surrogate");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    } else if (c >= 0xdc00 && c < 0xe000) {
        return fail(p, "lone surrogate");
    }
    if (c == 0)
        return fail(p, "NUL in a string");
    put_code_point(&p->j->texts, c);
    return true;
}

static bool read_escape(struct parser *p)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (p->at == p->size)
        return fail(p, "the string has no end");
    char c = p->text[p->at++];
    if (c == 'u')
        return read_unicode(p);
    const char *found = c == '\0' ? NULL : strchr(from, c);
    if (found == NULL)
        return fail(p, "bad escape");
    buf_putc(&p->j->texts, to[found - from]);
    return true;
}

/* At the opening quote.  *out_at and *out_size: where it stands in texts. */
static bool read_string(struct parser *p, size_t *out_at, size_t *out_size)
{
    struct buf *b = &p->j->texts;
    *out_at = b->size;
    p->at++;
    for (;;) {
        size_t start = p->at;
        while (p->at < p->size && p->text[p->at] != '"' && p->text[p->at] != '\\' &&
               (unsigned char) p->text[p->at] >= 0x20)
            p->at++;
        buf_put(b, p->text + start, p->at - start);
        if (p->at == p->size)
            return fail(p, "the string has no end");
        char c = p->text[p->at++];
        if (c == '"')
            break;
        if (c != '\\')
            return fail(p, "control character in a string");
        if (!read_escape(p))
            return false;
    }
    *out_size = b->size - *out_at;
    if (!b->failed && utf8_valid_prefix((const char *) b->data + *out_at, *out_size) != *out_size)
        return fail(p, "invalid UTF-8");
    buf_putc(b, '\0');
    return !b->failed || fail(p, "out of memory");
}

static size_t digits(struct parser *p)
{
    size_t start = p->at;
    while (p->at < p->size && p->text[p->at] >= '0' && p->text[p->at] <= '9')
        p->at++;
    return p->at - start;
}

static bool read_number(struct parser *p, uint32_t node)
{
    char copy[64];
    size_t start = p->at;
    if (p->text[p->at] == '-')
        p->at++;
    bool zero = p->at < p->size && p->text[p->at] == '0';
    size_t n = digits(p);
    if (n == 0 || (zero && n > 1))
        return fail(p, "bad number");
    if (p->at < p->size && p->text[p->at] == '.') {
        p->at++;
        if (digits(p) == 0)
            return fail(p, "bad number");
    }
    if (p->at < p->size && (p->text[p->at] | 32) == 'e') {
        p->at++;
        if (p->at < p->size && (p->text[p->at] == '+' || p->text[p->at] == '-'))
            p->at++;
        if (digits(p) == 0)
            return fail(p, "bad number");
    }
    if (p->at - start >= sizeof copy)
        return fail(p, "number too long");
    memcpy(copy, p->text + start, p->at - start);
    copy[p->at - start] = '\0';
    p->j->nodes[node].number = strtod(copy, NULL);
    return true;
}

static bool read_word(struct parser *p, const char *word)
{
    size_t size = strlen(word);
    if (p->size - p->at < size || memcmp(p->text + p->at, word, size) != 0)
        return fail(p, "unknown word");
    p->at += size;
    return true;
}

static uint32_t read_value(struct parser *p);

/* Behind the opening bracket: items, or members with keys. */
static bool read_items(struct parser *p, uint32_t parent, char end)
{
    uint32_t last = 0;
    skip_space(p);
    if (p->at < p->size && p->text[p->at] == end) {
        p->at++;
        return true;
    }
    for (;;) {
        size_t key_at = 0, key_size = 0;
        skip_space(p);
        if (end == '}') {
            if (p->at == p->size || p->text[p->at] != '"')
                return fail(p, "a key is missing");
            if (!read_string(p, &key_at, &key_size))
                return false;
            skip_space(p);
            if (p->at == p->size || p->text[p->at++] != ':')
                return fail(p, "a colon is missing");
        }
        uint32_t item = read_value(p);
        if (item == 0)
            return false;
        struct json_node *nodes = p->j->nodes;
        if (end == '}')
            nodes[item].key = (const char *) (key_at + 1); /* an offset until the end */
        if (last == 0)
            nodes[parent].first = item;
        else
            nodes[last].next = item;
        last = item;
        nodes[parent].size++;
        skip_space(p);
        if (p->at == p->size)
            return fail(p, "an end is missing");
        char c = p->text[p->at++];
        if (c == end)
            return true;
        if (c != ',')
            return fail(p, "a comma is missing");
    }
}

/* The node, or 0.  Depth is bounded, so recursion is. */
static uint32_t read_value(struct parser *p)
{
    skip_space(p);
    if (p->at == p->size) {
        fail(p, "a value is missing");
        return 0;
    }
    char c = p->text[p->at];
    uint32_t node = add_node(p, JSON_KIND_NULL);
    bool good = node != 0;
    if (!good)
        return 0;
    if (c == '{' || c == '[') {
        p->j->nodes[node].kind = c == '{' ? JSON_KIND_OBJECT : JSON_KIND_ARRAY;
        p->at++;
        good = p->depth < JSON_TREE_DEPTH || fail(p, "too deep");
        p->depth++;
        good = good && read_items(p, node, c == '{' ? '}' : ']');
        p->depth--;
    } else if (c == '"') {
        size_t at, size;
        good = read_string(p, &at, &size);
        if (good)
            p->j->nodes[node] = (struct json_node){ .kind = JSON_KIND_STRING,
                                                    .text = (const char *) (at + 1),
                                                    .size = size };
    } else if (c == 't' || c == 'f') {
        p->j->nodes[node].kind = JSON_KIND_BOOL;
        p->j->nodes[node].truth = c == 't';
        good = read_word(p, c == 't' ? "true" : "false");
    } else if (c == 'n') {
        good = read_word(p, "null");
    } else if (c != '-' && (c < '0' || c > '9')) {
        good = fail(p, "unknown word");
    } else {
        p->j->nodes[node].kind = JSON_KIND_NUMBER;
        good = read_number(p, node);
    }
    return good ? node : 0;
}

bool json_parse(struct json *j, const char *text, size_t size)
{
    struct parser p = { .j = j, .text = text, .size = size };
    j->problem[0] = '\0';
    j->count = 0;
    buf_reset(&j->texts);
    bool good = add_node(&p, JSON_KIND_NULL) == 0 && j->capacity > 0 && read_value(&p) != 0;
    skip_space(&p);
    if (good && p.at != size)
        good = fail(&p, "something follows the value");
    if (!good) {
        j->count = 0;
        return fail(&p, "not JSON");
    }
    for (uint32_t i = 1; i < j->count; i++) {
        struct json_node *n = &j->nodes[i];
        if (n->key != NULL)
            n->key = (const char *) j->texts.data + ((size_t) n->key - 1);
        if (n->text != NULL)
            n->text = (const char *) j->texts.data + ((size_t) n->text - 1);
    }
    return true;
}

void json_done(struct json *j)
{
    alloc_free(j->nodes);
    buf_done(&j->texts);
    *j = (struct json){ 0 };
}

const struct json_node *json_root(const struct json *j)
{
    return j->count > 1 ? &j->nodes[1] : NULL;
}

const struct json_node *json_first(const struct json *j, const struct json_node *node)
{
    return node == NULL || node->first == 0 ? NULL : &j->nodes[node->first];
}

const struct json_node *json_next(const struct json *j, const struct json_node *node)
{
    return node == NULL || node->next == 0 ? NULL : &j->nodes[node->next];
}

const struct json_node *json_get(const struct json *j, const struct json_node *node,
                                 const char *key)
{
    if (node == NULL || node->kind != JSON_KIND_OBJECT)
        return NULL;
    for (const struct json_node *m = json_first(j, node); m != NULL; m = json_next(j, m))
        if (strcmp(m->key, key) == 0)
            return m;
    return NULL;
}

double json_number(const struct json *j, const struct json_node *node, const char *key,
                   double fallback)
{
    const struct json_node *m = json_get(j, node, key);
    return m != NULL && m->kind == JSON_KIND_NUMBER ? m->number : fallback;
}

const char *json_text(const struct json *j, const struct json_node *node, const char *key,
                      const char *fallback)
{
    const struct json_node *m = json_get(j, node, key);
    return m != NULL && m->kind == JSON_KIND_STRING ? m->text : fallback;
}

bool json_is_text(const struct json_node *node, const char *text)
{
    return node != NULL && node->kind == JSON_KIND_STRING && strcmp(node->text, text) == 0;
}

/* ---- writing ---- */
static void put_line(struct json_out *w)
{
    if (w->depth == 0)
        return;
    buf_putc(w->out, '\n');
    for (unsigned i = 0; i < w->depth; i++)
        buf_puts(w->out, "  ");
}

static void put_key(struct json_out *w, const char *key)
{
    if (!w->fresh && w->depth > 0)
        buf_putc(w->out, ',');
    w->fresh = false;
    put_line(w);
    if (key != NULL) {
        novel_json_put_string(w->out, key, strlen(key));
        buf_puts(w->out, ": ");
    }
}

void json_open(struct json_out *w, const char *key, char bracket)
{
    put_key(w, key);
    buf_putc(w->out, bracket);
    w->depth++;
    w->fresh = true;
}

void json_close(struct json_out *w, char bracket)
{
    w->depth--;
    if (!w->fresh) {
        if (w->depth == 0)
            buf_putc(w->out, '\n');
        else
            put_line(w);
    }
    buf_putc(w->out, bracket);
    w->fresh = false;
}

void json_put_number(struct json_out *w, const char *key, double value, unsigned decimals)
{
    put_key(w, key);
    if (!isfinite(value))
        buf_puts(w->out, "null");
    else
        buf_printf(w->out, "%.*f", (int) decimals, value);
}

void json_put_count(struct json_out *w, const char *key, uint64_t value)
{
    put_key(w, key);
    buf_put_u64(w->out, value);
}

void json_put_bool(struct json_out *w, const char *key, bool value)
{
    put_key(w, key);
    buf_puts(w->out, value ? "true" : "false");
}

void json_put_text(struct json_out *w, const char *key, const char *value)
{
    put_key(w, key);
    if (value == NULL)
        buf_puts(w->out, "null");
    else
        novel_json_put_string(w->out, value, strlen(value));
}
