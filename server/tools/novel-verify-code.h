/* novel-verify-code.h — expressions of the pack: checked once, then run on a stack of 16 values. */
#ifndef NOVEL_VERIFY_CODE_H
#define NOVEL_VERIFY_CODE_H
#include "server/tools/novel-verify-world.h"

enum { VERIFY_STACK = 16, VERIFY_ARG_RUNNING = 255 };

/* Cells that expressions have read, since the last verify_reads_start. */
struct verify_reads {
    uint32_t *stamps; /* one per cell */
    uint32_t stamp;
    uint16_t first; /* the first cell read since it was set to 0xFFFF */
    const uint32_t *writer;
    uint32_t latest; /* highest writer of a cell that was read */
};

/* What an expression sees. */
struct verify_frame {
    const struct verify_pack *pack;
    const struct verify_world *world;
    const int16_t *cells; /* the state, or somebody's beliefs */
    const uint8_t *args;  /* 255: unbound */
    unsigned arg_count;
    int running; /* the character an effect runs for, or -1 */
    uint16_t pass, passes;
    uint8_t phase;
    struct verify_reads *reads; /* may be NULL */
    int64_t *fuel;              /* counts down; below zero all values are 0 */
};

/* Whether the expression at `offset` ends, stays in its section and within the stack, and names
 * real fluents. */
bool verify_code_check(struct verify_pack *pack, uint32_t offset);
/* Only for expressions that passed verify_code_check. */
int32_t verify_code_run(const struct verify_frame *frame, uint32_t offset);

/* The highest argument that the expression reads, 0 without one; each step read costs fuel. */
unsigned verify_code_level(const struct verify_pack *pack, uint32_t offset, int64_t *fuel);
/* The fluents whose cells it reads, in order, at most `max`; how many. */
unsigned verify_code_fluents(const struct verify_pack *pack, uint32_t offset, uint16_t *out,
                             unsigned max);

#endif
