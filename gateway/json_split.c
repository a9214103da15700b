#include "gateway/json_split.h"

#include <string.h>

/* BETWEEN: no value is open; after a comma of an array one must follow.  COMPOUND: inside {}, [] or
 * "".  BARE: inside a number or a word, which ends where something else begins.  WHOLE: all of a
 * value was handed out. */
enum { START, BETWEEN, AFTER_COMMA, AFTER_VALUE, COMPOUND, BARE, WHOLE, CLOSED, BROKEN };
enum { DEPTH_MAX = 1000000 }; /* the reader's own limit is far below */

void json_split_init(struct json_split *s)
{
    *s = (struct json_split){ .state = START };
}

static enum json_split_result bad(struct json_split *s, const char *error)
{
    s->state = BROKEN;
    s->error = error;
    return JSON_SPLIT_BAD;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool ends_bare(char c)
{
    return is_space(c) || c == ',' || c == ']' || c == '[' || c == '{' || c == '}' || c == '"' ||
           c == ':';
}

static void value_ended(struct json_split *s)
{
    s->any = true;
    s->state = s->is_array ? AFTER_VALUE : BETWEEN;
}

/* One character between values; true when a value begins with it, which is not used then. */
static bool begins_value(struct json_split *s, char c, enum json_split_result *out)
{
    *out = JSON_SPLIT_MORE;
    if (is_space(c))
        return false;
    if (s->state == CLOSED) {
        *out = bad(s, "there is something behind the array");
    } else if (s->state == START && c == '[') {
        s->is_array = true;
        s->state = BETWEEN;
    } else if (s->is_array && c == ']' && s->state != AFTER_COMMA) {
        s->state = CLOSED;
    } else if (s->state == AFTER_VALUE && c == ',') {
        s->state = AFTER_COMMA;
    } else if (s->state == AFTER_VALUE) {
        *out = bad(s, "a comma or the end of the array is missing between two values");
    } else if (c == ',' || c == ']' || c == '}' || c == ':') {
        *out = bad(s, "a value is missing");
    } else {
        return true;
    }
    return false;
}

/* How much of data belongs to the open compound value; its end sets depth to 0. */
static size_t scan_compound(struct json_split *s, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = data[i];
        if (s->in_string) {
            if (s->escaped)
                s->escaped = false;
            else if (c == '\\')
                s->escaped = true;
            else if (c == '"')
                s->in_string = false;
        } else if (c == '"') {
            s->in_string = true;
        } else if (c == '{' || c == '[') {
            s->depth++;
        } else if (c == '}' || c == ']') {
            s->depth--;
        }
        if (!s->in_string && s->depth == 0)
            return i + 1;
        if (s->depth > DEPTH_MAX)
            return i;
    }
    return size;
}

static void open_value(struct json_split *s, char first)
{
    s->depth = 0;
    s->in_string = s->escaped = false;
    s->state = first == '{' || first == '[' || first == '"' ? COMPOUND : BARE;
}

/* The part of data that belongs to the open value; 0 when it has ended. */
static size_t scan_value(struct json_split *s, const char *data, size_t size)
{
    size_t n = 0;
    if (s->state == BARE) {
        while (n < size && !ends_bare(data[n]))
            n++;
        return n;
    }
    n = scan_compound(s, data, size);
    if (!s->in_string && s->depth == 0)
        s->state = WHOLE;
    return n;
}

enum json_split_result json_split_feed(struct json_split *s, const char *data, size_t size,
                                       size_t *out_used, const char **out_piece,
                                       size_t *out_piece_size)
{
    size_t at = 0;
    *out_used = 0;
    if (s->state == BROKEN)
        return JSON_SPLIT_BAD;
    while (s->state != COMPOUND && s->state != BARE && s->state != WHOLE) {
        enum json_split_result r;
        if (at == size) {
            *out_used = at;
            return JSON_SPLIT_MORE;
        }
        if (begins_value(s, data[at], &r)) {
            open_value(s, data[at]);
            break;
        }
        if (r == JSON_SPLIT_BAD)
            return r;
        at++;
    }
    *out_used = at;
    if (s->state != WHOLE && at == size)
        return JSON_SPLIT_MORE;
    size_t n = s->state == WHOLE ? 0 : scan_value(s, data + at, size - at);
    if (s->depth > DEPTH_MAX)
        return bad(s, "a value is nested too deeply");
    if (n == 0) {
        value_ended(s);
        return JSON_SPLIT_END;
    }
    *out_piece = data + at;
    *out_piece_size = n;
    *out_used = at + n;
    return JSON_SPLIT_PIECE;
}

enum json_split_result json_split_finish(struct json_split *s)
{
    if (s->state == BROKEN)
        return JSON_SPLIT_BAD;
    if (s->state == COMPOUND || (s->is_array && s->state != CLOSED && s->state != WHOLE))
        return bad(s, "the body ends inside a value");
    if (s->state == BARE || s->state == WHOLE) {
        if (s->is_array)
            return bad(s, "the body ends inside an array");
        value_ended(s);
        return JSON_SPLIT_END;
    }
    return JSON_SPLIT_MORE;
}
