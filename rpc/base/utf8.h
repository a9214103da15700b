/* utf8.h — strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing over U+10FFFF. */
#ifndef NRPC_BASE_UTF8_H
#define NRPC_BASE_UTF8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Number of leading bytes that are valid; == size when all are. */
size_t utf8_valid_prefix(const void *data, size_t size);
bool utf8_valid(const void *data, size_t size);
/* Code points of valid UTF-8. */
size_t utf8_count(const void *data, size_t size);
/* Decodes one code point of valid UTF-8 at data[0..size); *out_size is its length.  0xFFFD and 1 when invalid. */
uint32_t utf8_decode(const void *data, size_t size, size_t *out_size);
/* Writes 1..4 bytes; returns how many.  Not for surrogates. */
size_t utf8_encode(uint32_t code_point, uint8_t out[static 4]);

#endif
