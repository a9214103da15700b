/* novel-verify-bytes.h — reads little-endian fields from bytes that nobody vouches for.  A read
 * past the end sets `failed`, gives zero, and so does every later one: check once at the end. */
#ifndef NOVEL_VERIFY_BYTES_H
#define NOVEL_VERIFY_BYTES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct verify_text { /* UTF-8 without NUL, not NUL-ended, lives in the log */
    const char *data;
    size_t size;
};
struct verify_cursor {
    const uint8_t *data;
    size_t size, at;
    bool failed;
};

static inline uint16_t verify_get_u16(const uint8_t *p)
{
    return (uint16_t) (p[0] | p[1] << 8);
}
static inline uint32_t verify_get_u32(const uint8_t *p)
{
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

struct verify_cursor verify_cursor_of(const uint8_t *data, size_t size);
const uint8_t *verify_take(struct verify_cursor *c, size_t size); /* NULL past the end */
uint8_t verify_u8(struct verify_cursor *c);
uint16_t verify_u16(struct verify_cursor *c);
uint32_t verify_u32(struct verify_cursor *c);
uint64_t verify_u64(struct verify_cursor *c);
int16_t verify_i16(struct verify_cursor *c);
int32_t verify_i32(struct verify_cursor *c);
struct verify_text verify_str(struct verify_cursor *c); /* fails on bad UTF-8 or NUL too */
bool verify_ended(const struct verify_cursor *c);       /* all read, nothing failed */
/* Copies as much as fits, cut between code points; control characters become '?', so that a file
 * cannot steer a terminal. */
void verify_text_copy(struct verify_text text, char *out, size_t out_size);
bool verify_text_equal(struct verify_text a, struct verify_text b);

#endif
