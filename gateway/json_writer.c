#include "gateway/json_writer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/base/utf8.h"

/* 0: stands for itself; 'u': \u00XX; else the letter after the backslash. */
static const char escapes[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
    ['\t'] = 't', [0x00] = 'u',  [0x01] = 'u', [0x02] = 'u', [0x03] = 'u', [0x04] = 'u',
    [0x05] = 'u', [0x06] = 'u',  [0x07] = 'u', [0x0b] = 'u', [0x0e] = 'u', [0x0f] = 'u',
    [0x10] = 'u', [0x11] = 'u',  [0x12] = 'u', [0x13] = 'u', [0x14] = 'u', [0x15] = 'u',
    [0x16] = 'u', [0x17] = 'u',  [0x18] = 'u', [0x19] = 'u', [0x1a] = 'u', [0x1b] = 'u',
    [0x1c] = 'u', [0x1d] = 'u',  [0x1e] = 'u', [0x1f] = 'u', [0x7f] = 'u',
};

/* Do eight bytes stand for themselves?  May say no where they do (DEL and all above ASCII). */
static bool is_plain(const char *text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t word;
    memcpy(&word, text, sizeof word);
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\'), del = word ^ (ones * 0x7f);
    /* A byte that is too small sets its own top bit, whatever it borrows from the next. */
    uint64_t odd = word | (word - ones * 0x20) | (quote - ones) | (slash - ones) | (del - ones);
    return (odd & tops) == 0;
}

static void put_escaped(struct buf *b, const char *text, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    size_t start = 0;
    for (size_t i = 0; i < size; i++) {
        while (size - i >= 8 && is_plain(text + i))
            i += 8;
        if (i == size)
            break;
        uint8_t c = (uint8_t) text[i];
        if (escapes[c] == 0)
            continue;
        buf_put(b, text + start, i - start);
        start = i + 1;
        if (escapes[c] == 'u')
            buf_put(b, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
        else
            buf_put(b, (char[]){ '\\', escapes[c] }, 2);
    }
    buf_put(b, text + start, size - start);
}

bool json_put_string(struct buf *b, const char *text, size_t size)
{
    if (!utf8_valid(text, size))
        return false;
    buf_putc(b, '"');
    put_escaped(b, text, size);
    buf_putc(b, '"');
    return true;
}

void json_put_lossy(struct buf *b, const char *text, size_t size)
{
    buf_putc(b, '"');
    while (size > 0) {
        size_t valid = utf8_valid_prefix(text, size);
        put_escaped(b, text, valid);
        text += valid;
        size -= valid;
        if (size > 0) {
            buf_puts(b, "\xef\xbf\xbd");
            text++;
            size--;
        }
    }
    buf_putc(b, '"');
}

void json_put_int(struct buf *b, int64_t value)
{
    if (value < 0)
        buf_putc(b, '-');
    buf_put_u64(b, value < 0 ? -(uint64_t) value : (uint64_t) value);
}

static bool put_special(struct buf *b, double value)
{
    if (isnan(value))
        buf_puts(b, "\"NaN\"");
    else if (isinf(value))
        buf_puts(b, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else
        return false;
    return true;
}

static void put_number_text(struct buf *b, const char *text, bool point)
{
    buf_puts(b, text);
    if (point && strpbrk(text, ".e") == NULL)
        buf_puts(b, ".0");
}

/* A number of at most six decimals, as most are, without a trip through printf.  What divides back
 * to the same double has fewer than 16 digits, so it is the text that %.15g gives. */
static bool put_short(struct buf *b, double value)
{
    static const double powers[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6 };
    double size = fabs(value);
    if (!(size >= 1e-4 && size < 1e9))
        return false;
    for (unsigned places = 1; places < sizeof powers / sizeof *powers; places++) {
        uint64_t digits = (uint64_t) (size * powers[places] + 0.5);
        if ((double) digits / powers[places] != size)
            continue;
        char text[8];
        uint64_t whole = digits / (uint64_t) powers[places];
        uint64_t part = digits % (uint64_t) powers[places];
        for (unsigned i = places; i > 0; i--, part /= 10)
            text[i - 1] = (char) ('0' + part % 10);
        if (value < 0)
            buf_putc(b, '-');
        buf_put_u64(b, whole);
        buf_putc(b, '.');
        buf_put(b, text, places);
        return true;
    }
    return false;
}

void json_put_double(struct buf *b, double value, bool point)
{
    char text[32];
    if (put_special(b, value))
        return;
    if (value == 0 && signbit(value)) { /* "-0" is a whole number to many readers, and 0 then */
        buf_puts(b, "-0.0");
        return;
    }
    if (fabs(value) < 1e15 && value == (double) (int64_t) value) {
        json_put_int(b, (int64_t) value);
        if (point)
            buf_puts(b, ".0");
        return;
    }
    if (put_short(b, value))
        return;
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (digits == 17 || strtod(text, NULL) == value)
            break;
    }
    put_number_text(b, text, point);
}

void json_put_float(struct buf *b, float value, bool point)
{
    char text[32];
    if (put_special(b, value))
        return;
    if (value == 0 && signbit(value)) {
        buf_puts(b, "-0.0");
        return;
    }
    if (fabsf(value) == FLT_MAX) { /* its shortest text is over the range when read as a double */
        buf_puts(b, value > 0 ? "3.4028234663852886e+38" : "-3.4028234663852886e+38");
        return;
    }
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double) value);
        if (digits == 9 || strtof(text, NULL) == value)
            break;
    }
    put_number_text(b, text, point);
}

void json_put_base64(struct buf *b, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buf_putc(b, '"');
    uint8_t *out = buf_grow(b, (size + 2) / 3 * 4);
    if (out == NULL)
        return;
    for (; size >= 3; data += 3, size -= 3, out += 4) {
        out[0] = (uint8_t) digits[data[0] >> 2];
        out[1] = (uint8_t) digits[(data[0] & 3) << 4 | data[1] >> 4];
        out[2] = (uint8_t) digits[(data[1] & 15) << 2 | data[2] >> 6];
        out[3] = (uint8_t) digits[data[2] & 63];
    }
    if (size > 0) {
        uint8_t second = size > 1 ? data[1] : 0;
        out[0] = (uint8_t) digits[data[0] >> 2];
        out[1] = (uint8_t) digits[(data[0] & 3) << 4 | second >> 4];
        out[2] = size > 1 ? (uint8_t) digits[(second & 15) << 2] : '=';
        out[3] = '=';
    }
    buf_putc(b, '"');
}

/* ---- laying out ------------------------------------------------------------------------ */

static void new_line(struct buf *b, size_t depth)
{
    buf_putc(b, '\n');
    for (size_t i = 0; i < depth; i++)
        buf_puts(b, "  ");
}

/* Behind the string that begins at text. */
static size_t string_size(const char *text, size_t size)
{
    size_t i = 1;
    while (i < size && text[i] != '"')
        i += text[i] == '\\' ? 2 : 1;
    return i < size ? i + 1 : size;
}

/* One token of text; how long it is. */
static size_t lay_out(struct buf *b, const char *text, size_t size, size_t *depth)
{
    bool empty = size > 1 && (text[1] == '}' || text[1] == ']');
    switch (*text) {
    case '"': {
        size_t n = string_size(text, size);
        buf_put(b, text, n);
        return n;
    }
    case '{':
    case '[':
        if (empty) {
            buf_put(b, text, 2);
            return 2;
        }
        buf_putc(b, *text);
        new_line(b, ++*depth);
        return 1;
    case '}':
    case ']':
        new_line(b, *depth == 0 ? 0 : --*depth);
        buf_putc(b, *text);
        return 1;
    case ',':
        buf_putc(b, ',');
        new_line(b, *depth);
        return 1;
    case ':':
        buf_puts(b, ": ");
        return 1;
    default:
        buf_putc(b, *text);
        return 1;
    }
}

void json_indent(struct buf *b, size_t start)
{
    enum { GROWTH_MAX = 8, SMALL = 65536 };
    if (b->failed || b->size <= start)
        return;
    const char *text = (const char *) b->data + start;
    size_t size = b->size - start, depth = 0;
    struct buf out = { 0 };
    for (size_t i = 0; i < size && !out.failed && out.size <= size * GROWTH_MAX + SMALL;)
        i += lay_out(&out, text + i, size - i, &depth);
    bool fits = out.size <= size * GROWTH_MAX + SMALL;
    if (fits && !out.failed) {
        b->size = start;
        buf_putc(&out, '\n');
        buf_put(b, out.data, out.size);
    }
    if (out.failed)
        b->failed = true;
    buf_done(&out);
}
