/* novel-verify-carry.h — what a chapter brings from the one before (docs/log-format.md, 11). */
#ifndef NOVEL_VERIFY_CARRY_H
#define NOVEL_VERIFY_CARRY_H
#include "server/tools/novel-verify-run.h"

enum { VERIFY_CARRY_MAX = 64 << 10 };
/* Reads the section's bytes and holds the world's initial state against them; opens the threads.
 * Needs header, pack, world and an initialised run.  What is wrong is said. */
void verify_carry_check(struct verify_run *run, const uint8_t *data, size_t size);
/* Of a first chapter: nothing came before. */
void verify_carry_none(struct verify_run *run);

#endif
