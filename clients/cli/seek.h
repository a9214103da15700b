/* seek.h — what a story is made of, conditions on it, and which of many differ most.  No connection. */
#ifndef NOVELCTL_SEEK_H
#define NOVELCTL_SEEK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <novelengine/v1/novel_engine.pb-c.h>
#include "clients/cli/args.h"

struct seek_condition {
    enum { SEEK_ENDING, SEEK_NOBODY_HURT, SEEK_HAS, SEEK_LACKS, SEEK_KNOWS } kind;
    char name[64], fact[64]; /* KNOWS: the character, the fact */
};
/* False when it is none; *out untouched then. */
bool seek_condition_read(const char *text, struct seek_condition *out);

/* A story as it goes by: zero-initialise, note every event, then the end; seek_story_done frees. */
struct seek_story {
    uint64_t *steps; /* sorted and unique once it has ended */
    size_t n_steps, capacity;
    uint64_t last; /* the deed before */
    bool failed;   /* memory ran out */
    bool met[ARGS_WHERE_MAX];
    char ending[64];
};
void seek_note(struct seek_story *s, const Novelengine__V1__SimulationEvent *e,
               const struct seek_condition *conditions, size_t n);
void seek_end(struct seek_story *s, const char *ending, const struct seek_condition *conditions, size_t n);
void seek_story_done(struct seek_story *s);
/* Whether every condition is met. */
bool seek_met(const struct seek_story *s, const struct seek_condition *conditions, size_t n);

/* The share of steps that only one of the two has, in thousandths: 0 the same, 1000 nothing in common. */
unsigned seek_distance(const struct seek_story *a, const struct seek_story *b);
/* Picks up to k of n, in the order of picking; picked[i] is an index.  How many. */
size_t seek_most_different(const struct seek_story *const *stories, size_t n, size_t k, size_t *picked);
#endif
