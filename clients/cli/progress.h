/* progress.h — how far a simulation is: a two-line bar for terminals, single lines elsewhere. */
#ifndef NOVELCTL_PROGRESS_H
#define NOVELCTL_PROGRESS_H
#include <stdbool.h>
#include <stdint.h>
#include <novelengine/v1/novel_engine.pb-c.h>
#include "rpc/base/buf.h"

struct progress {
    int percent, turn, turns; /* turns 0: not known */
    int tension;              /* 0..100; < 0: none yet */
    Novelengine__V1__SimulationEvent__Phase phase;
    char text[400]; /* of the last event */
    bool lost;      /* waiting for the server */
};

/* Takes what an update says. */
void progress_note(struct progress *p, const Novelengine__V1__SimulationUpdate *u);
/* The two lines, without a newline behind the last; each at most width - 1 columns. */
void progress_put_bar(struct buf *out, const struct progress *p, unsigned width, bool color,
                      bool utf8);
/* One event without a newline behind it: "  12  turn 2  crisis   62  text", wrapped at width; 0: in
 * one line. */
void progress_put_event(struct buf *out, const Novelengine__V1__SimulationEvent *e, unsigned width,
                        bool color);
/* "crisis"; "" for none. */
const char *progress_phase_name(Novelengine__V1__SimulationEvent__Phase phase);

#endif
