#include "gateway/json_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/map.h"
#include "rpc/base/utf8.h"
#include "rpc/nrpc.h"

enum state {
    WANT_VALUE,        /* at the start, after ':' or after ',' in an array */
    WANT_VALUE_OR_END, /* after '[' */
    WANT_KEY_OR_END,   /* after '{' */
    WANT_KEY,          /* after ',' in an object */
    WANT_COLON,
    WANT_COMMA_OR_END, /* after a value inside something */
    WANT_NOTHING,      /* after the outermost value */
    IN_STRING,
    IN_ESCAPE,          /* after '\' */
    IN_UNICODE,         /* the four digits of \u */
    WANT_LOW_BACKSLASH, /* after a high surrogate */
    WANT_LOW_U,
    IN_LITERAL,
    NUMBER_MINUS, /* after '-' */
    NUMBER_ZERO,  /* after a leading 0 */
    NUMBER_DIGITS,
    NUMBER_POINT, /* after '.' */
    NUMBER_FRACTION,
    NUMBER_E,    /* after 'e' */
    NUMBER_SIGN, /* after 'e+' */
    NUMBER_EXPONENT,
};

/* ---- the keys of one object ------------------------------------------------------------ */

enum { FEW_KEYS = 12, SET_SLOTS = 128 /* at first */ };
_Static_assert((SET_SLOTS & (SET_SLOTS - 1)) == 0, "probing masks with slots - 1");
/* Hash set of keyed 64-bit hashes: two different keys of a body would have to collide in 64 bits of
 * SipHash under a secret key, so the keys' text need not be kept. */
struct json_key_set {
    size_t count, slots;
    uint64_t slot[];
};

static bool set_holds_or_adds(struct json_key_set *s, uint64_t hash)
{
    size_t i = hash & (s->slots - 1);
    for (; s->slot[i] != 0; i = (i + 1) & (s->slots - 1))
        if (s->slot[i] == hash)
            return true;
    s->slot[i] = hash;
    s->count++;
    return false;
}

static struct json_key_set *set_new(size_t slots)
{
    struct json_key_set *s = alloc_zero(1, sizeof *s + slots * sizeof s->slot[0]);
    if (s != NULL)
        s->slots = slots;
    return s;
}

/* The level's keys so far move into a set of twice the needed size. */
static int set_grow(struct json_reader *r, struct json_level *l)
{
    struct json_key_set *old = l->set;
    struct json_key_set *s = set_new(old == NULL ? SET_SLOTS : old->slots * 2);
    if (s == NULL)
        return NRPC_E_NOMEM;
    if (old == NULL) {
        const uint64_t *keys = (const uint64_t *) (void *) r->keys.data;
        for (size_t i = l->first_key; i < r->keys.size / 8; i++)
            set_holds_or_adds(s, keys[i]);
        r->keys.size = (size_t) l->first_key * 8;
    }
    for (size_t i = 0; old != NULL && i < old->slots; i++)
        if (old->slot[i] != 0)
            set_holds_or_adds(s, old->slot[i]);
    alloc_free(old);
    l->set = s;
    return 0;
}

/* 1: the key is new; 0: it stands there already; negative without memory. */
static int add_key(struct json_reader *r, const char *key, size_t size)
{
    struct json_level *l = &r->levels[r->depth];
    uint64_t hash = map_hash(key, size);
    hash += hash == 0;
    if (l->set != NULL) {
        if (l->set->count * 2 > l->set->slots && set_grow(r, l) < 0)
            return NRPC_E_NOMEM;
        return set_holds_or_adds(l->set, hash) ? 0 : 1;
    }
    const uint64_t *keys = (const uint64_t *) (void *) r->keys.data;
    size_t count = r->keys.size / 8;
    for (size_t i = l->first_key; i < count; i++)
        if (keys[i] == hash)
            return 0;
    buf_put(&r->keys, &hash, sizeof hash);
    if (r->keys.failed)
        return NRPC_E_NOMEM;
    if (count + 1 - l->first_key > FEW_KEYS && set_grow(r, l) < 0)
        return NRPC_E_NOMEM;
    return 1;
}

/* ---- errors ---------------------------------------------------------------------------- */

static int fail_at(struct json_reader *r, uint64_t offset, uint64_t line, uint64_t column,
                   const char *format, va_list args)
{
    struct json_error *e = &r->error;
    vsnprintf(e->message, sizeof e->message, format, args);
    /* A clipped message must not end in half a character. */
    e->message[utf8_valid_prefix(e->message, strlen(e->message))] = '\0';
    size_t n = r->path.size < sizeof e->path - 1 ? r->path.size : sizeof e->path - 1;
    if (n > 0)
        memcpy(e->path, r->path.data, n);
    e->path[utf8_valid_prefix(e->path, n)] = '\0';
    e->offset = offset;
    e->line = line;
    e->column = column;
    return r->failed = NRPC_E_PROTO;
}

int json_reader_fail(struct json_reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int result = fail_at(r, r->token_offset, r->token_line, r->token_column, format, args);
    va_end(args);
    return result;
}

static int fail_here(struct json_reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int fail_here(struct json_reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int result = fail_at(r, r->offset, r->line, r->offset - r->line_start + 1, format, args);
    va_end(args);
    return result;
}

static int unexpected(struct json_reader *r, uint8_t c, const char *wanted)
{
    if (c > 0x20 && c < 0x7f)
        return fail_here(r, "expected %s, found '%c'", wanted, c);
    return fail_here(r, "expected %s, found byte 0x%02x", wanted, c);
}

/* ---- the path to the value being read -------------------------------------------------- */

static bool is_plain_name(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '@' || c == '-'))
            return false;
    }
    return size > 0;
}

static void path_to_key(struct json_reader *r, const char *key, size_t size)
{
    enum { KEPT = 128 }; /* of one key: the path is for people */
    size_t kept = size > KEPT ? KEPT : size;
    r->path.size = r->levels[r->depth].path_size;
    if (is_plain_name(key, size)) {
        if (r->path.size > 0)
            buf_putc(&r->path, '.');
        buf_put(&r->path, key, kept);
    } else {
        buf_puts(&r->path, "[\"");
        buf_put(&r->path, key, kept);
        buf_puts(&r->path, "\"]");
    }
}

static void path_to_element(struct json_reader *r)
{
    struct json_level *l = &r->levels[r->depth];
    r->path.size = l->path_size;
    buf_putc(&r->path, '[');
    buf_put_u64(&r->path, l->index);
    buf_putc(&r->path, ']');
}

/* ---- tokens ---------------------------------------------------------------------------- */

static int emit(struct json_reader *r, enum json_token token, const char *text, size_t size)
{
    if (r->path.failed || r->text.failed)
        return r->failed = NRPC_E_NOMEM;
    int result = r->fn(r->ctx, token, text, size);
    if (result < 0)
        r->failed = result;
    return r->failed;
}

static void value_ended(struct json_reader *r)
{
    r->state = r->depth == 0 ? WANT_NOTHING : WANT_COMMA_OR_END;
}

static int begin(struct json_reader *r, bool array)
{
    if (r->depth == JSON_DEPTH_MAX)
        return fail_here(r, "nested deeper than %d levels", JSON_DEPTH_MAX);
    if (emit(r, array ? JSON_BEGIN_ARRAY : JSON_BEGIN_OBJECT, "", 0) < 0)
        return r->failed;
    r->levels[++r->depth] = (struct json_level){ .array = array,
                                                 .path_size = (uint32_t) r->path.size,
                                                 .first_key = (uint32_t) (r->keys.size / 8) };
    r->state = array ? WANT_VALUE_OR_END : WANT_KEY_OR_END;
    return 0;
}

static int end(struct json_reader *r)
{
    struct json_level *l = &r->levels[r->depth];
    bool array = l->array;
    r->path.size = l->path_size;
    r->keys.size = (size_t) l->first_key * 8;
    alloc_free(l->set);
    l->set = NULL;
    r->depth--;
    value_ended(r);
    return emit(r, array ? JSON_END_ARRAY : JSON_END_OBJECT, "", 0);
}

static void mark_token(struct json_reader *r)
{
    r->token_offset = r->offset;
    r->token_line = r->line;
    r->token_column = r->offset - r->line_start + 1;
}

static int string_ended(struct json_reader *r, const char *text, size_t size)
{
    if (!r->text_is_key) {
        value_ended(r);
        return emit(r, JSON_STRING, text, size);
    }
    path_to_key(r, text, size);
    int fresh = add_key(r, text, size);
    if (fresh < 0)
        return r->failed = fresh;
    if (fresh == 0)
        return json_reader_fail(r, "the key stands twice in this object");
    r->state = WANT_COLON;
    return emit(r, JSON_KEY, text, size);
}

static int number_ended(struct json_reader *r)
{
    value_ended(r);
    return emit(r, JSON_NUMBER, (const char *) r->text.data, r->text.size);
}

static void start_text(struct json_reader *r, bool is_key, enum state state)
{
    mark_token(r);
    buf_reset(&r->text);
    r->text_is_key = is_key;
    r->text_copied = false;
    r->state = state;
}

static const char *const literals[] = { "null", "false", "true" }; /* by token */

static int start_value(struct json_reader *r, uint8_t c)
{
    if (r->depth > 0 && r->levels[r->depth].array)
        path_to_element(r);
    mark_token(r);
    switch (c) {
    case '{':
    case '[':
        return begin(r, c == '[');
    case '"':
        start_text(r, false, IN_STRING);
        return 0;
    case 'n':
    case 'f':
    case 't':
        r->literal = c == 'n' ? JSON_NULL : c == 'f' ? JSON_FALSE : JSON_TRUE;
        r->literal_at = 1;
        r->state = IN_LITERAL;
        return 0;
    case '-':
        start_text(r, false, NUMBER_MINUS);
        break;
    case '0':
        start_text(r, false, NUMBER_ZERO);
        break;
    default:
        if (c < '1' || c > '9')
            return unexpected(r, c, "a value");
        start_text(r, false, NUMBER_DIGITS);
    }
    buf_putc(&r->text, (char) c);
    return 0;
}

static int in_literal(struct json_reader *r, uint8_t c)
{
    const char *word = literals[r->literal];
    if (c != (uint8_t) word[r->literal_at])
        return unexpected(r, c, word);
    if (word[++r->literal_at] != '\0')
        return 0;
    value_ended(r);
    return emit(r, (enum json_token) r->literal, "", 0);
}

/* Moves on by one character of a number.  1: c belongs to it; 0: the number ended before c;
 * negative: wrong. */
static int number_step(struct json_reader *r, uint8_t c)
{
    bool digit = c >= '0' && c <= '9';
    switch (r->state) {
    case NUMBER_MINUS:
        if (!digit)
            return unexpected(r, c, "a digit");
        r->state = c == '0' ? NUMBER_ZERO : NUMBER_DIGITS;
        return 1;
    case NUMBER_ZERO:
    case NUMBER_DIGITS:
        if (digit)
            return r->state == NUMBER_DIGITS ? 1 : fail_here(r, "a number must not begin with 0");
        if (c != '.' && c != 'e' && c != 'E')
            return 0;
        r->state = c == '.' ? NUMBER_POINT : NUMBER_E;
        return 1;
    case NUMBER_POINT:
        r->state = NUMBER_FRACTION;
        return digit ? 1 : unexpected(r, c, "a digit");
    case NUMBER_FRACTION:
        if (c == 'e' || c == 'E')
            r->state = NUMBER_E;
        return digit || c == 'e' || c == 'E';
    case NUMBER_E:
        r->state = digit ? NUMBER_EXPONENT : NUMBER_SIGN;
        return digit || c == '+' || c == '-' ? 1 : unexpected(r, c, "an exponent");
    case NUMBER_SIGN:
        r->state = NUMBER_EXPONENT;
        return digit ? 1 : unexpected(r, c, "a digit");
    default:
        return digit;
    }
}

/* ---- strings --------------------------------------------------------------------------- */

/* One byte >= 0x80, or any byte inside a sequence.  The ranges are RFC 3629's table. */
static int utf8_step(struct json_reader *r, uint8_t c)
{
    if (r->utf8_left > 0) {
        if (c < r->utf8_low || c > r->utf8_high)
            return fail_here(r, "the string is not valid UTF-8 (byte 0x%02x)", c);
        r->utf8_left--;
        r->utf8_low = 0x80;
        r->utf8_high = 0xbf;
        return 0;
    }
    r->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    r->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (c >= 0xc2 && c <= 0xdf)
        r->utf8_left = 1;
    else if (c >= 0xe0 && c <= 0xef)
        r->utf8_left = 2;
    else if (c >= 0xf0 && c <= 0xf4)
        r->utf8_left = 3;
    else
        return fail_here(r, "the string is not valid UTF-8 (byte 0x%02x)", c);
    return 0;
}

static int string_byte(struct json_reader *r, uint8_t c)
{
    if (c >= 0x80 || r->utf8_left > 0)
        return utf8_step(r, c);
    return c < 0x20 ? fail_here(r, "a control character (0x%02x) must be written as an escape", c)
                    : 0;
}

/* Plain characters need no look at a state: what most of a string is made of. */
static inline bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Reads string bytes from data[*at]; stops after the quote, at an escape, or at the end of the
 * piece. */
static int in_string(struct json_reader *r, const uint8_t *data, size_t size, size_t *at)
{
    size_t start = *at, i = start;
    for (; i < size; i++, r->offset++) {
        uint8_t c = data[i];
        if (is_plain(c) && r->utf8_left == 0)
            continue;
        if ((c == '"' || c == '\\') && r->utf8_left == 0)
            break;
        if (string_byte(r, c) < 0)
            return r->failed;
    }
    *at = i;
    if (i < size && data[i] == '"' && !r->text_copied) {
        *at = i + 1;
        r->offset++;
        return string_ended(r, (const char *) data + start, i - start);
    }
    buf_put(&r->text, data + start, i - start);
    r->text_copied = true;
    if (i == size)
        return 0;
    *at = i + 1;
    r->offset++;
    if (data[i] == '\\') {
        r->state = IN_ESCAPE;
        return 0;
    }
    return string_ended(r, r->text.size == 0 ? "" : (const char *) r->text.data, r->text.size);
}

static int in_escape(struct json_reader *r, uint8_t c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (c == 'u') {
        r->escape = r->surrogate_digits = 0;
        r->state = IN_UNICODE;
        return 0;
    }
    const char *found = c == 0 ? NULL : strchr(from, c);
    if (found == NULL)
        return unexpected(r, c, "an escape character");
    buf_putc(&r->text, to[found - from]);
    r->state = IN_STRING;
    return 0;
}

static void put_code_point(struct json_reader *r, uint32_t code_point)
{
    uint8_t bytes[4];
    buf_put(&r->text, bytes, utf8_encode(code_point, bytes));
    r->state = IN_STRING;
}

static int in_unicode(struct json_reader *r, uint8_t c)
{
    uint8_t digit;
    if (c >= '0' && c <= '9')
        digit = (uint8_t) (c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        digit = (uint8_t) ((c | 0x20) - 'a' + 10);
    else
        return unexpected(r, c, "a hexadecimal digit");
    r->escape = r->escape << 4 | digit;
    if (++r->surrogate_digits < 4)
        return 0;
    uint32_t unit = r->escape;
    bool low = unit >= 0xdc00 && unit <= 0xdfff;
    if (r->high_surrogate != 0) {
        if (!low)
            return fail_here(r, "a high surrogate must be followed by a low one");
        uint32_t high = r->high_surrogate;
        r->high_surrogate = 0;
        put_code_point(r, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
        return 0;
    }
    if (low)
        return fail_here(r, "a low surrogate stands alone");
    if (unit >= 0xd800 && unit <= 0xdbff) {
        r->high_surrogate = unit;
        r->state = WANT_LOW_BACKSLASH;
        return 0;
    }
    put_code_point(r, unit);
    return 0;
}

/* ---- the machine ----------------------------------------------------------------------- */

static int comma_or_end(struct json_reader *r, uint8_t c)
{
    struct json_level *l = &r->levels[r->depth];
    if (c == (l->array ? ']' : '}')) {
        mark_token(r);
        return end(r);
    }
    if (c != ',')
        return unexpected(r, c, l->array ? "',' or ']'" : "',' or '}'");
    l->index++;
    r->state = l->array ? WANT_VALUE : WANT_KEY;
    return 0;
}

static int want_key(struct json_reader *r, uint8_t c)
{
    r->path.size = r->levels[r->depth].path_size;
    if (c == '"') {
        start_text(r, true, IN_STRING);
        return 0;
    }
    mark_token(r);
    if (c == '}' && r->state == WANT_KEY_OR_END)
        return end(r);
    return unexpected(r, c, r->state == WANT_KEY ? "a key in quotes" : "a key in quotes or '}'");
}

static bool skips_space(enum state s)
{
    return s <= WANT_NOTHING;
}

static int step(struct json_reader *r, uint8_t c)
{
    switch ((enum state) r->state) {
    case WANT_VALUE_OR_END:
        if (c == ']') {
            mark_token(r);
            return end(r);
        }
        return start_value(r, c);
    case WANT_VALUE:
        return start_value(r, c);
    case WANT_KEY_OR_END:
    case WANT_KEY:
        return want_key(r, c);
    case WANT_COLON:
        r->state = WANT_VALUE;
        return c == ':' ? 0 : unexpected(r, c, "':'");
    case WANT_COMMA_OR_END:
        return comma_or_end(r, c);
    case WANT_NOTHING:
        return unexpected(r, c, "nothing after the value");
    case IN_ESCAPE:
        return in_escape(r, c);
    case IN_UNICODE:
        return in_unicode(r, c);
    case WANT_LOW_BACKSLASH:
        r->state = WANT_LOW_U;
        return c == '\\' ? 0 : fail_here(r, "a high surrogate must be followed by a low one");
    case WANT_LOW_U:
        r->escape = r->surrogate_digits = 0;
        r->state = IN_UNICODE;
        return c == 'u' ? 0 : fail_here(r, "a high surrogate must be followed by a low one");
    case IN_LITERAL:
        return in_literal(r, c);
    default:
        return 0; /* strings and numbers are read by their own loops */
    }
}

/* Reads a number from data[*at]; it ends before the first byte that is not its own. */
static int in_number(struct json_reader *r, const uint8_t *data, size_t size, size_t *at)
{
    while (*at < size) {
        int taken = number_step(r, data[*at]);
        if (taken < 0)
            return taken;
        if (taken == 0)
            return number_ended(r);
        if (r->text.size == JSON_NUMBER_MAX)
            return fail_here(r, "a number is longer than %d characters", JSON_NUMBER_MAX);
        buf_putc(&r->text, (char) data[*at]);
        ++*at;
        r->offset++;
    }
    return 0;
}

int json_reader_feed(struct json_reader *r, const void *bytes, size_t size)
{
    const uint8_t *data = bytes;
    for (size_t at = 0; at < size && r->failed == 0;) {
        uint8_t c = data[at];
        if (r->state == IN_STRING) {
            in_string(r, data, size, &at);
        } else if (r->state >= NUMBER_MINUS) {
            in_number(r, data, size, &at);
        } else if (skips_space(r->state) && (c == ' ' || c == '\n' || c == '\t' || c == '\r')) {
            at++;
            r->offset++;
            if (c == '\n') {
                r->line++;
                r->line_start = r->offset;
            }
        } else if (step(r, c) == 0) {
            at++;
            r->offset++;
        }
    }
    return r->failed;
}

int json_reader_finish(struct json_reader *r)
{
    if (r->failed != 0)
        return r->failed;
    if (r->state == NUMBER_ZERO || r->state == NUMBER_DIGITS || r->state == NUMBER_FRACTION ||
        r->state == NUMBER_EXPONENT)
        number_ended(r);
    if (r->failed == 0 && r->state != WANT_NOTHING)
        return fail_here(r,
                         r->offset == 0 ? "the document is empty" : "the document ends too early");
    return r->failed;
}

void json_reader_init(struct json_reader *r, json_token_fn *fn, void *ctx)
{
    /* The levels are set as they open; zeroing four kilobytes a request would be for nothing. */
    memset(r, 0, offsetof(struct json_reader, levels));
    memset((char *) r + offsetof(struct json_reader, text), 0,
           sizeof *r - offsetof(struct json_reader, text));
    r->levels[0] = (struct json_level){ 0 };
    r->fn = fn;
    r->ctx = ctx;
    r->line = 1;
    r->token_line = r->token_column = 1;
}

void json_reader_done(struct json_reader *r)
{
    for (size_t i = 1; i <= r->depth; i++)
        alloc_free(r->levels[i].set);
    r->depth = 0;
    buf_done(&r->text);
    buf_done(&r->path);
    buf_done(&r->keys);
}
