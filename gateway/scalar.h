/* scalar.h — texts of single values and what they mean: numbers, base64, timestamps, durations,
 * field masks.  Pure; shared by JSON bodies, query parameters and path variables. */
#ifndef NOVEL_GATEWAY_SCALAR_H
#define NOVEL_GATEWAY_SCALAR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/descriptors.h"
#include "rpc/base/buf.h"

/* Decimal text with optional fraction and exponent that denotes a whole number ("12", "1.0",
 * "1e3"). */
bool scalar_parse_int(const char *text, size_t size, bool *out_negative, uint64_t *out_magnitude);
/* JSON's number grammar; false when it is another text or over the range of a double. */
bool scalar_parse_double(const char *text, size_t size, double *out_value);
/* Standard and URL-safe alphabet, padding optional; appends the bytes.  False when it is not
 * base64. */
bool scalar_parse_base64(const char *text, size_t size, struct buf *out);

/* RFC 3339 with any offset, years 1 to 9999, up to nine digits of a second. */
bool scalar_parse_timestamp(const char *text, size_t size, int64_t *out_seconds,
                            int32_t *out_nanos);
/* "1.5s", "-3s"; within +-315,576,000,000 seconds. */
bool scalar_parse_duration(const char *text, size_t size, int64_t *out_seconds, int32_t *out_nanos);
/* 0, 3, 6 or 9 digits of a second.  False when out of range. */
bool scalar_put_timestamp(struct buf *b, int64_t seconds, int32_t nanos);
bool scalar_put_duration(struct buf *b, int64_t seconds, int32_t nanos);

/* One path of a field mask: "fooBar.baz" <-> "foo_bar.baz".  False when it does not come back the
 * same. */
bool scalar_put_camel_path(struct buf *b, const char *path, size_t size);
bool scalar_put_snake_path(struct buf *b, const char *path, size_t size, bool accept_snake);

enum scalar_form {
    SCALAR_NUMBER,
    SCALAR_TEXT,
    SCALAR_TRUE,
    SCALAR_FALSE,
    SCALAR_QUERY /* text that may be any */
};
/* Appends the wire value (no tag) that `text` means for a field of this type; DESC_STRING and
 * DESC_BYTES include their length.  On failure nothing is appended and *out_why says what was
 * expected ("a whole number from 0 to 4294967295").  *out_zero tells whether it is the type's
 * default value. */
bool scalar_put_wire(struct buf *b, const struct desc_field *f, enum scalar_form form,
                     const char *text, size_t size, bool *out_zero, const char **out_why);
/* What a field of this type must be, by its rules too: "a whole number from 1 to 50".  `why` when
 * the rules say nothing of it. */
const char *scalar_expectation(enum desc_type type, const Nrpc__FieldRules *rules, const char *why,
                               char out[static 80]);
/* Content of a Timestamp, Duration or FieldMask message, from its text. */
bool scalar_put_wkt(struct buf *b, enum desc_wkt wkt, const char *text, size_t size,
                    bool accept_snake, const char **out_why);

#endif
