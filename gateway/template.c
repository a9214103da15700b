#include "gateway/template.h"

#include <string.h>

#include "rpc/base/utf8.h"

struct parser {
    const char *at;
    const char *error;
    struct template *out;
};

static bool fail(struct parser *p, const char *error)
{
    p->error = error;
    return false;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_literal_char(char c)
{
    return is_name_char(c) || (c != '\0' && strchr("-.~%!$&'()+,;=@", c) != NULL);
}

static struct template_slice take_literal(struct parser *p, bool in_variable)
{
    struct template_slice s = { p->at, 0 };
    while (is_literal_char(*p->at) && !(in_variable && *p->at == '='))
        p->at++;
    s.size = (size_t) (p->at - s.text);
    return s;
}

static bool add_segment(struct parser *p, enum template_kind kind, struct template_slice literal)
{
    struct template *t = p->out;
    if (t->n_segments == TEMPLATE_SEGMENTS_MAX)
        return fail(p, "too many segments");
    if (t->n_segments > 0 && t->segments[t->n_segments - 1].kind == TEMPLATE_REST)
        return fail(p, "** must be the last segment");
    t->segments[t->n_segments++] = (struct template_segment){ kind, literal };
    return true;
}

/* "*", "**" or a literal. */
static bool parse_plain(struct parser *p)
{
    if (*p->at == '*') {
        bool rest = p->at[1] == '*';
        p->at += rest ? 2 : 1;
        return add_segment(p, rest ? TEMPLATE_REST : TEMPLATE_ONE,
                           (struct template_slice){ p->at, 0 });
    }
    struct template_slice s = take_literal(p, false);
    return s.size == 0 ? fail(p, "a segment is empty or holds a character that is not allowed")
                       : add_segment(p, TEMPLATE_LITERAL, s);
}

static bool parse_field_path(struct parser *p, struct template_slice *out)
{
    const char *start = p->at;
    while (is_name_char(*p->at) || (*p->at == '.' && p->at > start && p->at[-1] != '.'))
        p->at++;
    *out = (struct template_slice){ start, (size_t) (p->at - start) };
    return out->size > 0 && p->at[-1] != '.' ? true
                                             : fail(p, "a variable has no proper field path");
}

static bool parse_variable(struct parser *p)
{
    struct template *t = p->out;
    struct template_variable v = { .first = (uint8_t) t->n_segments };
    p->at++;
    if (t->n_variables == TEMPLATE_VARIABLES_MAX)
        return fail(p, "too many variables");
    if (!parse_field_path(p, &v.field))
        return false;
    if (*p->at == '=') {
        do {
            p->at++;
            if (*p->at == '{')
                return fail(p, "a variable holds a variable");
            if (!parse_plain(p))
                return false;
        } while (*p->at == '/');
    } else if (!add_segment(p, TEMPLATE_ONE, v.field)) {
        return false;
    }
    if (*p->at++ != '}')
        return fail(p, "a variable is not closed");
    v.count = (uint8_t) (t->n_segments - v.first);
    t->variables[t->n_variables++] = v;
    return true;
}

static bool parse(struct parser *p)
{
    if (*p->at != '/')
        return fail(p, "a template must begin with /");
    if (p->at[1] == '\0')
        return true;
    do {
        p->at++;
        if (!(*p->at == '{' ? parse_variable(p) : parse_plain(p)))
            return false;
    } while (*p->at == '/');
    if (*p->at == ':') {
        p->at++;
        p->out->verb = take_literal(p, false);
        if (p->out->verb.size == 0)
            return fail(p, "the verb is empty");
    }
    return *p->at == '\0' ? true : fail(p, "a character is not allowed here");
}

int template_parse(const char *text, struct template *out, const char **out_error)
{
    struct template parsed = { .n_segments = 0 };
    struct parser p = { .at = text, .out = &parsed };
    if (!parse(&p)) {
        *out_error = p.error;
        return -1;
    }
    *out = parsed;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(const char *text, size_t size, bool keep_slash, bool plus, struct buf *out)
{
    size_t before = out->size;
    uint8_t *to = buf_grow(out, size);
    if (to == NULL)
        return false;
    uint8_t *start = to;
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '%') {
            *to++ = plus && text[i] == '+' ? ' ' : (uint8_t) text[i];
            continue;
        }
        int high = size - i > 2 ? hex_digit(text[i + 1]) : -1;
        int low = size - i > 2 ? hex_digit(text[i + 2]) : -1;
        int byte = high < 0 || low < 0 ? -1 : high * 16 + low;
        if (byte == '/' && keep_slash) {
            memcpy(to, text + i, 3);
            to += 3;
        } else if (byte > 0) {
            *to++ = (uint8_t) byte;
        } else {
            out->size = before;
            return false;
        }
        i += 2;
    }
    size_t decoded = (size_t) (to - start);
    bool valid = utf8_valid(start, decoded);
    out->size = before + (valid ? decoded : 0);
    return valid;
}

bool path_decode(const char *text, size_t size, bool keep_slash, struct buf *out)
{
    return size == 0 || decode(text, size, keep_slash, false, out);
}

bool query_decode(const char *text, size_t size, struct buf *out)
{
    return size == 0 || decode(text, size, false, true, out);
}
