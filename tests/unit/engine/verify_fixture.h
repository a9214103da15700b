/* verify_fixture.h — a tiny pack, world and log, put together by hand from docs/log-format.md.  A
 * test changes a field and writes the log again; digests and chain are always made anew, so that
 * only the meaning is wrong. */
#ifndef VERIFY_FIXTURE_H
#define VERIFY_FIXTURE_H
#include <stdint.h>

#include "rpc/base/buf.h"
#include "server/tools/novel-verify-event.h"
#include "server/tools/novel-verify-pack.h"

enum { ANA, BEN, CAL, CHARS };
enum { HALL, YARD };
enum { /* fluents */
       F_AT,
       F_AWAKE,
       F_COMM,
       F_HOLDER,
       F_LIES,
       F_END_A,
       F_END_B,
       F_TRACE_AT,
       F_KNOWS,
       F_TRUST,
       F_STANDING,
       F_STAMINA,
       F_POWER,
       F_OPEN,
       F_BANNED,
       F_STRESS,
       F_FAVOUR,
       FLUENTS
};
enum { /* operators */
       O_GO,
       O_TAKE,
       O_FORCE,
       O_TELL,
       O_SHOUT,
       O_THINK,
       O_NOD,
       O_BLACKOUT,
       O_DEFY,
       O_BETRAY,
       O_PRAY,
       O_THANK,
       O_WAIT,
       O_CROWN,
       O_DRAIN,
       O_JUGGLE,
       O_VANISH,
       O_MARCH,
       OPS
};
enum { /* places of the events in the log, from 0 */
       E_STARTED,
       E_BLACKOUT,
       E_TAKE,
       E_NOD,
       E_FORCE,
       E_CAL_0,
       E_GO,
       E_REJECTED,
       E_REPAIRED,
       E_CAL_1,
       E_TELL,
       E_THINK,
       E_CAL_2,
       E_SHOUT,
       E_WAIT_3,
       E_CAL_3,
       E_THANK,
       E_GO_BEN,
       E_CAL_4,
       E_DEFY,
       E_WAIT_5,
       E_CAL_5,
       E_BETRAY,
       E_WAIT_6,
       E_CAL_6,
       E_WAIT_7A,
       E_WAIT_7B,
       E_CAL_7,
       E_COMPLETED,
       EVENTS
};
enum { FIXTURE_SEED = 6, EVENTS_MAX = 32, CELLS_MAX = 128 };

struct fixture {
    struct buf strs, flue, oper, parm, cond, efct, tens, code, goal, towa; /* sections of the pack */
    uint16_t turns, format;
    uint64_t seed;
    uint8_t mood;
    int16_t cells[CELLS_MAX];
    unsigned cells_count, base[FLUENTS];
    struct verify_event events[EVENTS_MAX];
    unsigned count;
    uint8_t pack_flip, world_flip, head_flip, hash_0_flip; /* xored into the digests */
    uint32_t count_add;                                    /* to the trailer's number of events */
};

void fixture_init(struct fixture *f); /* the sound log */
void fixture_done(struct fixture *f);
/* Writes the container; appends. */
void fixture_write(const struct fixture *f, struct buf *out);
uint16_t fixture_cell(const struct fixture *f, unsigned fluent, unsigned a, unsigned b);
void fixture_encode(const struct verify_event *e, struct buf *out);
/* Takes an event out, the later ones move up and are numbered anew. */
void fixture_remove(struct fixture *f, unsigned index);

struct verify_mutation {
    const char *name;
    unsigned code;                                             /* under which it must be found */
    void (*change)(struct fixture *f, struct verify_event *e); /* e: the events */
};
extern const struct verify_mutation verify_mutations[];
extern const unsigned verify_mutations_count;

#endif
