#include "gateway/scalar.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/wire.h"
#include "rpc/base/check.h"
#include "rpc/base/utf8.h"

enum { NUMBER_TEXT_MAX = 1024, EXPONENT_MAX = 4096 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- numbers --------------------------------------------------------------------------- */

/* -? int frac? exp?, as RFC 8259 section 6 has it. */
struct number_parts {
    bool negative;
    const char *whole, *fraction;
    size_t whole_size, fraction_size;
    long exponent; /* clipped */
};

static size_t digits_at(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && is_digit(text[n]))
        n++;
    return n;
}

static bool split_exponent(const char *text, size_t size, long *out)
{
    bool negative = size > 0 && text[0] == '-';
    if (size > 0 && (text[0] == '-' || text[0] == '+')) {
        text++;
        size--;
    }
    if (size == 0 || digits_at(text, size) != size)
        return false;
    long value = 0;
    for (size_t i = 0; i < size; i++)
        value = value > EXPONENT_MAX ? value : value * 10 + (text[i] - '0');
    *out = negative ? -value : value;
    return true;
}

static bool split_number(const char *text, size_t size, struct number_parts *p)
{
    *p = (struct number_parts){ .negative = size > 0 && text[0] == '-' };
    text += p->negative;
    size -= p->negative;
    p->whole = text;
    p->whole_size = digits_at(text, size);
    if (p->whole_size == 0 || (text[0] == '0' && p->whole_size > 1))
        return false;
    text += p->whole_size;
    size -= p->whole_size;
    if (size > 0 && text[0] == '.') {
        p->fraction = text + 1;
        p->fraction_size = digits_at(text + 1, size - 1);
        if (p->fraction_size == 0)
            return false;
        text += 1 + p->fraction_size;
        size -= 1 + p->fraction_size;
    }
    if (size > 0 && (text[0] == 'e' || text[0] == 'E'))
        return split_exponent(text + 1, size - 1, &p->exponent);
    return size == 0;
}

static bool push_digit(uint64_t *magnitude, char digit)
{
    return !__builtin_mul_overflow(*magnitude, 10, magnitude) &&
           !__builtin_add_overflow(*magnitude, (uint64_t) (digit - '0'), magnitude);
}

bool scalar_parse_int(const char *text, size_t size, bool *out_negative, uint64_t *out_magnitude)
{
    struct number_parts p;
    if (size > NUMBER_TEXT_MAX || !split_number(text, size, &p))
        return false;
    /* The decimal point stands after the first `point` digits of whole + fraction. */
    long point = (long) p.whole_size + p.exponent, total = (long) (p.whole_size + p.fraction_size);
    uint64_t magnitude = 0;
    for (long i = 0; i < total; i++) {
        char digit = i < (long) p.whole_size ? p.whole[i] : p.fraction[i - (long) p.whole_size];
        if (i >= point ? digit != '0' : !push_digit(&magnitude, digit))
            return false;
    }
    for (long i = total; i < point && magnitude != 0; i++)
        if (!push_digit(&magnitude, '0'))
            return false;
    *out_negative = p.negative;
    *out_magnitude = magnitude;
    return true;
}

bool scalar_parse_double(const char *text, size_t size, double *out_value)
{
    struct number_parts p;
    char copy[NUMBER_TEXT_MAX + 1];
    if (size > NUMBER_TEXT_MAX || !split_number(text, size, &p))
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    double value = strtod(copy, NULL);
    if (!isfinite(value))
        return false;
    *out_value = value;
    return true;
}

/* ---- base64 ---------------------------------------------------------------------------- */

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (is_digit(c))
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

bool scalar_parse_base64(const char *text, size_t size, struct buf *out)
{
    size_t padding = 0, before = out->size;
    while (size > 0 && text[size - 1] == '=' && padding < 2) {
        size--;
        padding++;
    }
    if (size % 4 == 1 || (padding > 0 && (size + padding) % 4 != 0))
        return false;
    uint32_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        int v = base64_value(text[i]);
        if (v < 0) {
            out->size = before;
            return false;
        }
        bits = bits << 6 | (uint32_t) v;
        if (i % 4 == 3)
            buf_put(out,
                    (uint8_t[]){ (uint8_t) (bits >> 16), (uint8_t) (bits >> 8), (uint8_t) bits },
                    3);
    }
    if (size % 4 == 2)
        buf_putc(out, (char) (bits >> 4));
    if (size % 4 == 3)
        buf_put(out, (uint8_t[]){ (uint8_t) (bits >> 10), (uint8_t) (bits >> 2) }, 2);
    return true;
}

/* ---- time ------------------------------------------------------------------------------ */

static const int64_t TIMESTAMP_MIN = -62135596800, TIMESTAMP_MAX = 253402300799,
                     DURATION_MAX = 315576000000;

/* Days since 1970-01-01 of a date of the Gregorian calendar: eras of 400 years, years from March.
 */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned of_era = (unsigned) (year - era * 400);
    unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + (int64_t) (of_era * 365 + of_era / 4 - of_era / 100 + of_year) - 719468;
}

static void civil_from_days(int64_t days, int *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = (unsigned) (days - era * 146097);
    unsigned y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * y + y / 4 - y / 100);
    unsigned m = (5 * of_year + 2) / 153;
    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = (int) (y + era * 400) + (*month <= 2);
}

/* Reads exactly n digits. */
static bool read_digits(const char **at, const char *end, size_t n, unsigned *out)
{
    if ((size_t) (end - *at) < n || digits_at(*at, n) != n)
        return false;
    *out = 0;
    for (size_t i = 0; i < n; i++)
        *out = *out * 10 + (unsigned) (*(*at)++ - '0');
    return true;
}

static bool read_char(const char **at, const char *end, const char *any_of)
{
    if (*at == end || **at == '\0' || strchr(any_of, **at) == NULL)
        return false;
    ++*at;
    return true;
}

/* ".123" as nanoseconds; one to nine digits. */
static bool read_fraction(const char **at, const char *end, int32_t *out_nanos)
{
    *out_nanos = 0;
    if (!read_char(at, end, "."))
        return true;
    size_t n = digits_at(*at, (size_t) (end - *at));
    if (n < 1 || n > 9)
        return false;
    for (size_t i = 0; i < 9; i++)
        *out_nanos = *out_nanos * 10 + (i < n ? *(*at)++ - '0' : 0);
    return true;
}

static bool read_offset(const char **at, const char *end, int64_t *out_seconds)
{
    unsigned hours, minutes;
    *out_seconds = 0;
    if (read_char(at, end, "Z"))
        return true;
    bool west = *at < end && **at == '-';
    if (!read_char(at, end, "+-") || !read_digits(at, end, 2, &hours) || !read_char(at, end, ":") ||
        !read_digits(at, end, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *out_seconds = ((int64_t) hours * 60 + minutes) * 60 * (west ? -1 : 1);
    return true;
}

bool scalar_parse_timestamp(const char *text, size_t size, int64_t *out_seconds, int32_t *out_nanos)
{
    static const unsigned lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    const char *at = text, *end = text + size;
    unsigned year, month, day, hour, minute, second;
    int32_t nanos;
    int64_t offset;
    if (!read_digits(&at, end, 4, &year) || !read_char(&at, end, "-") ||
        !read_digits(&at, end, 2, &month) || !read_char(&at, end, "-") ||
        !read_digits(&at, end, 2, &day) || !read_char(&at, end, "T") ||
        !read_digits(&at, end, 2, &hour) || !read_char(&at, end, ":") ||
        !read_digits(&at, end, 2, &minute) || !read_char(&at, end, ":") ||
        !read_digits(&at, end, 2, &second) || !read_fraction(&at, end, &nanos) ||
        !read_offset(&at, end, &offset) || at != end)
        return false;
    if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > lengths[month - 1] + (month == 2 && leap))
        return false;
    int64_t seconds =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    if (seconds < TIMESTAMP_MIN || seconds > TIMESTAMP_MAX)
        return false;
    *out_seconds = seconds;
    *out_nanos = nanos;
    return true;
}

bool scalar_parse_duration(const char *text, size_t size, int64_t *out_seconds, int32_t *out_nanos)
{
    const char *at = text, *end = text + size;
    bool negative = read_char(&at, end, "-");
    size_t n = digits_at(at, (size_t) (end - at));
    if (n < 1 || n > 12)
        return false;
    int64_t seconds = 0;
    int32_t nanos;
    while (n-- > 0)
        seconds = seconds * 10 + (*at++ - '0');
    if (!read_fraction(&at, end, &nanos) || !read_char(&at, end, "s") || at != end ||
        seconds > DURATION_MAX)
        return false;
    *out_seconds = negative ? -seconds : seconds;
    *out_nanos = negative ? -nanos : nanos;
    return true;
}

static void put_nanos(struct buf *b, int32_t nanos)
{
    if (nanos == 0)
        return;
    if (nanos % 1000000 == 0)
        buf_printf(b, ".%03d", nanos / 1000000);
    else if (nanos % 1000 == 0)
        buf_printf(b, ".%06d", nanos / 1000);
    else
        buf_printf(b, ".%09d", nanos);
}

bool scalar_put_timestamp(struct buf *b, int64_t seconds, int32_t nanos)
{
    if (seconds < TIMESTAMP_MIN || seconds > TIMESTAMP_MAX || nanos < 0 || nanos > 999999999)
        return false;
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    int rest = (int) (seconds - days * 86400), year;
    unsigned month, day;
    civil_from_days(days, &year, &month, &day);
    buf_printf(b, "%04d-%02u-%02uT%02d:%02d:%02d", year, month, day, rest / 3600, rest / 60 % 60,
               rest % 60);
    put_nanos(b, nanos);
    buf_putc(b, 'Z');
    return true;
}

bool scalar_put_duration(struct buf *b, int64_t seconds, int32_t nanos)
{
    if (seconds < -DURATION_MAX || seconds > DURATION_MAX || nanos < -999999999 ||
        nanos > 999999999 || (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0))
        return false;
    bool negative = seconds < 0 || nanos < 0;
    buf_printf(b, "%s%lld", negative ? "-" : "", (long long) (negative ? -seconds : seconds));
    put_nanos(b, negative ? -nanos : nanos);
    buf_putc(b, 's');
    return true;
}

/* ---- field masks ----------------------------------------------------------------------- */

bool scalar_put_camel_path(struct buf *b, const char *path, size_t size)
{
    bool raise = false;
    for (size_t i = 0; i < size; i++) {
        char c = path[i];
        bool lower = c >= 'a' && c <= 'z';
        if (!lower && !is_digit(c) && c != '.' && c != '_')
            return false;
        if (raise && !lower)
            return false;
        if (c == '_') {
            raise = true;
            continue;
        }
        buf_putc(b, raise ? (char) (c - 32) : c);
        raise = false;
    }
    return !raise && size > 0;
}

bool scalar_put_snake_path(struct buf *b, const char *path, size_t size, bool accept_snake)
{
    for (size_t i = 0; i < size; i++) {
        char c = path[i];
        bool upper = c >= 'A' && c <= 'Z';
        if (!upper && !(c >= 'a' && c <= 'z') && !is_digit(c) && c != '.' &&
            !(c == '_' && accept_snake))
            return false;
        if (upper)
            buf_putc(b, '_');
        buf_putc(b, upper ? (char) (c | 0x20) : c);
    }
    return size > 0;
}

static bool put_mask(struct buf *b, const char *text, size_t size, bool accept_snake)
{
    size_t before = b->size;
    while (size > 0) {
        const char *comma = memchr(text, ',', size);
        size_t n = comma == NULL ? size : (size_t) (comma - text);
        wire_put_tag(b, 1, WIRE_BYTES);
        size_t mark = wire_region_open(b);
        if (!scalar_put_snake_path(b, text, n, accept_snake) || (comma != NULL && n + 1 == size)) {
            b->size = before;
            return false;
        }
        wire_region_close(b, mark);
        n += comma != NULL;
        text += n;
        size -= n;
    }
    return true;
}

static void put_time(struct buf *b, int64_t seconds, int32_t nanos)
{
    if (seconds != 0) {
        wire_put_tag(b, 1, WIRE_VARINT);
        wire_put_varint(b, (uint64_t) seconds);
    }
    if (nanos != 0) {
        wire_put_tag(b, 2, WIRE_VARINT);
        wire_put_varint(b, (uint64_t) (int64_t) nanos);
    }
}

bool scalar_put_wkt(struct buf *b, enum desc_wkt wkt, const char *text, size_t size,
                    bool accept_snake, const char **out_why)
{
    int64_t seconds;
    int32_t nanos;
    if (wkt == DESC_FIELD_MASK) {
        *out_why = "field paths joined by commas";
        return put_mask(b, text, size, accept_snake);
    }
    *out_why = wkt == DESC_TIMESTAMP ? "an RFC 3339 time such as \"2030-01-31T12:00:00Z\""
                                     : "a duration such as \"1.5s\"";
    if (wkt == DESC_TIMESTAMP ? !scalar_parse_timestamp(text, size, &seconds, &nanos)
                              : !scalar_parse_duration(text, size, &seconds, &nanos))
        return false;
    put_time(b, seconds, nanos);
    return true;
}

/* ---- wire values ----------------------------------------------------------------------- */

static bool put_signed(struct buf *b, enum desc_type type, const char *text, size_t size,
                       bool *out_zero)
{
    bool negative, wide = type == DESC_INT64 || type == DESC_SINT64 || type == DESC_SFIXED64;
    uint64_t magnitude, limit = wide ? (uint64_t) INT64_MAX : INT32_MAX;
    if (!scalar_parse_int(text, size, &negative, &magnitude) || magnitude > limit + negative)
        return false;
    int64_t value = negative ? (int64_t) -magnitude : (int64_t) magnitude;
    *out_zero = value == 0;
    if (type == DESC_SINT32 || type == DESC_SINT64)
        wire_put_varint(b, wire_zigzag(value));
    else if (type == DESC_SFIXED32)
        wire_put_fixed32(b, (uint32_t) value);
    else if (type == DESC_SFIXED64)
        wire_put_fixed64(b, (uint64_t) value);
    else
        wire_put_varint(b, (uint64_t) value);
    return true;
}

static bool put_unsigned(struct buf *b, enum desc_type type, const char *text, size_t size,
                         bool *out_zero)
{
    bool negative, wide = type == DESC_UINT64 || type == DESC_FIXED64;
    uint64_t value;
    if (!scalar_parse_int(text, size, &negative, &value) || (negative && value != 0) ||
        (!wide && value > UINT32_MAX))
        return false;
    *out_zero = value == 0;
    if (type == DESC_FIXED32)
        wire_put_fixed32(b, (uint32_t) value);
    else if (type == DESC_FIXED64)
        wire_put_fixed64(b, value);
    else
        wire_put_varint(b, value);
    return true;
}

static bool is_text(const char *text, size_t size, const char *word)
{
    return size == strlen(word) && memcmp(text, word, size) == 0;
}

static bool put_floating(struct buf *b, enum desc_type type, enum scalar_form form,
                         const char *text, size_t size, bool *out_zero)
{
    double value;
    if (form != SCALAR_NUMBER && is_text(text, size, "NaN"))
        value = NAN;
    else if (form != SCALAR_NUMBER && is_text(text, size, "Infinity"))
        value = INFINITY;
    else if (form != SCALAR_NUMBER && is_text(text, size, "-Infinity"))
        value = -INFINITY;
    else if (!scalar_parse_double(text, size, &value))
        return false;
    if (type == DESC_DOUBLE) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        *out_zero = bits == 0;
        wire_put_fixed64(b, bits);
        return true;
    }
    if (isfinite(value) && fabs(value) > (double) FLT_MAX && !isfinite((float) value))
        return false;
    float narrow = (float) value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    *out_zero = bits == 0;
    wire_put_fixed32(b, bits);
    return true;
}

static bool put_bool(struct buf *b, enum scalar_form form, const char *text, size_t size,
                     bool *out_zero)
{
    bool value = form == SCALAR_TRUE || (form == SCALAR_QUERY && is_text(text, size, "true"));
    if (!value && form != SCALAR_FALSE && !(form == SCALAR_QUERY && is_text(text, size, "false")))
        return false;
    *out_zero = !value;
    wire_put_varint(b, value);
    return true;
}

/* In any letter case, when that names one value. */
static const struct desc_enum_value *enum_by_any_case(const struct desc_enum *e, const char *text,
                                                      size_t size)
{
    const struct desc_enum_value *found = NULL;
    for (size_t i = 0; i < e->n_values; i++) {
        const struct desc_enum_value *v = &e->values[i];
        if (strncasecmp(v->name, text, size) != 0 || v->name[size] != '\0')
            continue;
        if (found != NULL && found->number != v->number)
            return NULL;
        found = v;
    }
    return found;
}

static bool put_enum(struct buf *b, const struct desc_enum *e, enum scalar_form form,
                     const char *text, size_t size, bool *out_zero)
{
    const struct desc_enum_value *v =
        form == SCALAR_NUMBER ? NULL : desc_enum_by_name(e, text, size);
    if (v == NULL && form == SCALAR_QUERY && memchr(text, '\0', size) == NULL)
        v = enum_by_any_case(e, text, size);
    if (v != NULL) {
        *out_zero = v->number == 0;
        wire_put_varint(b, (uint64_t) (int64_t) v->number);
        return true;
    }
    return form != SCALAR_TEXT && put_signed(b, DESC_INT32, text, size, out_zero);
}

static bool put_text(struct buf *b, enum desc_type type, enum scalar_form form, const char *text,
                     size_t size, bool *out_zero)
{
    if (form != SCALAR_TEXT && form != SCALAR_QUERY)
        return false;
    *out_zero = size == 0;
    if (type == DESC_STRING) {
        if (!utf8_valid(text, size))
            return false;
        wire_put_varint(b, size);
        buf_put(b, text, size);
        return true;
    }
    size_t mark = wire_region_open(b);
    if (!scalar_parse_base64(text, size, b)) {
        b->size = mark;
        return false;
    }
    wire_region_close(b, mark);
    return true;
}

static const char *expected(enum desc_type type)
{
    switch (type) {
    case DESC_INT32:
    case DESC_SINT32:
    case DESC_SFIXED32:
        return "a whole number from -2147483648 to 2147483647";
    case DESC_INT64:
    case DESC_SINT64:
    case DESC_SFIXED64:
        return "a whole number of 64 bits";
    case DESC_UINT32:
    case DESC_FIXED32:
        return "a whole number from 0 to 4294967295";
    case DESC_UINT64:
    case DESC_FIXED64:
        return "a whole number from 0 to 18446744073709551615";
    case DESC_DOUBLE:
    case DESC_FLOAT:
        return "a number";
    case DESC_BOOL:
        return "true or false";
    case DESC_STRING:
        return "a string";
    case DESC_BYTES:
        return "a base64 string";
    case DESC_ENUM:
        return "a name of the enum";
    default:
        return "an object";
    }
}

bool scalar_put_wire(struct buf *b, const struct desc_field *f, enum scalar_form form,
                     const char *text, size_t size, bool *out_zero, const char **out_why)
{
    bool zero = false, ok = false, literal = form == SCALAR_TRUE || form == SCALAR_FALSE;
    switch (f->type) {
    case DESC_INT32:
    case DESC_SINT32:
    case DESC_SFIXED32:
    case DESC_INT64:
    case DESC_SINT64:
    case DESC_SFIXED64:
        ok = !literal && put_signed(b, f->type, text, size, &zero);
        break;
    case DESC_UINT32:
    case DESC_FIXED32:
    case DESC_UINT64:
    case DESC_FIXED64:
        ok = !literal && put_unsigned(b, f->type, text, size, &zero);
        break;
    case DESC_DOUBLE:
    case DESC_FLOAT:
        ok = !literal && put_floating(b, f->type, form, text, size, &zero);
        break;
    case DESC_BOOL:
        ok = put_bool(b, form, text, size, &zero);
        break;
    case DESC_ENUM:
        ok = !literal && put_enum(b, f->enumeration, form, text, size, &zero);
        break;
    case DESC_STRING:
    case DESC_BYTES:
        ok = put_text(b, f->type, form, text, size, &zero);
        break;
    default:
        break;
    }
    if (ok)
        *out_zero = zero;
    else
        *out_why = expected(f->type);
    return ok;
}

const char *scalar_expectation(enum desc_type type, const Nrpc__FieldRules *rules, const char *why,
                               char out[static 80])
{
    bool real = type == DESC_DOUBLE || type == DESC_FLOAT;
    if (rules == NULL || type == DESC_BOOL || type == DESC_ENUM || type == DESC_STRING ||
        type == DESC_BYTES || type == DESC_MESSAGE)
        return why;
    const char *what = real ? "a number" : "a whole number";
    bool low = rules->lower_case == NRPC__FIELD_RULES__LOWER_MIN,
         high = rules->upper_case == NRPC__FIELD_RULES__UPPER_MAX;
    if (low && high)
        snprintf(out, 80, "%s from %lld to %lld", what, (long long) rules->min,
                 (long long) rules->max);
    else if (low || high)
        snprintf(out, 80, "%s of at %s %lld", what, low ? "least" : "most",
                 (long long) (low ? rules->min : rules->max));
    return low || high ? out : why;
}
