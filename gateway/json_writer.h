/* json_writer.h — JSON text into a buffer.  Pure.  Failures of memory show in the buffer
 * (buf.failed). */
#ifndef NOVEL_GATEWAY_JSON_WRITER_H
#define NOVEL_GATEWAY_JSON_WRITER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/base/buf.h"

/* Writes a quoted string.  False, and nothing written, when it is not valid UTF-8. */
bool json_put_string(struct buf *b, const char *text, size_t size);
/* The same, with U+FFFD for what is not valid: for text of unknown origin in error bodies. */
void json_put_lossy(struct buf *b, const char *text, size_t size);
void json_put_int(struct buf *b, int64_t value);
/* The shortest text that reads back as the same number; "NaN", "Infinity", "-Infinity" in quotes.
 * With point, whole numbers end in ".0" as Python writes floats. */
void json_put_double(struct buf *b, double value, bool point);
void json_put_float(struct buf *b, float value, bool point);
/* Lays out the JSON text that b has from `start` on, which must be valid and without spaces: a line
 * for each member and item, two spaces a level.  Text that would grow more than eightfold stays as it
 * is. */
void json_indent(struct buf *b, size_t start);
/* Quoted standard base64 with padding. */
void json_put_base64(struct buf *b, const uint8_t *data, size_t size);

#endif
