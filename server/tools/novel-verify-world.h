/* novel-verify-world.h — the request (header) and the world section of a log: who and what there
 * is, the cells of the state vector and what they held at first (docs/log-format.md, 2 and 6). */
#ifndef NOVEL_VERIFY_WORLD_H
#define NOVEL_VERIFY_WORLD_H
#include "server/tools/novel-verify-pack.h"

enum { VERIFY_CHARS_MAX = 32, VERIFY_CAST_MAX = 6 };

struct verify_header {
    uint32_t abi;
    const uint8_t *pack, *carry; /* digests; carry: zeros when there is none */
    uint64_t seed;
    uint16_t turns;
    uint8_t mood, cast;
    struct verify_text ids[VERIFY_CAST_MAX], names[VERIFY_CAST_MAX];
};

struct verify_entity {
    struct verify_text id, name;
};
struct verify_world {
    unsigned counts[SORT_COUNT]; /* [SORT_NONE] is 1: a missing argument counts one */
    struct verify_entity *entities[SORT_COUNT];
    unsigned cast;
    uint32_t cells;
    uint32_t *base;        /* first cell, per fluent */
    uint16_t *cell_fluent; /* per cell */
    int16_t *initial;
};

/* As verify_pack_open. */
int verify_header_open(const uint8_t *data, size_t size, struct verify_header *out_header,
                       char out_why[static 200]);
int verify_world_open(const uint8_t *data, size_t size, const struct verify_pack *pack,
                      const struct verify_header *header, struct arena *arena,
                      struct verify_world *out_world, char out_why[static 200]);
/* False when an argument is out of range; unused arguments are ignored. */
bool verify_world_cell(const struct verify_world *world, const struct verify_pack *pack,
                       unsigned fluent, int32_t a, int32_t b, uint16_t *out_cell);
/* The arguments of a cell. */
void verify_world_args(const struct verify_world *world, const struct verify_pack *pack,
                       uint16_t cell, unsigned *out_a, unsigned *out_b);
/* The least and the greatest value of a fluent in this world. */
void verify_world_range(const struct verify_world *world, const struct verify_fluent *f,
                        int *out_min, int *out_max);
/* Value of a named fluent for entity a (and b) in `cells`; `absent` when pack or world has no such
 * cell. */
int verify_world_named(const struct verify_world *world, const struct verify_pack *pack,
                       const int16_t *cells, enum verify_named which, int a, int b, int absent);
/* Whether character c perceives the cell in the given state (section 8, Looking). */
bool verify_world_sees(const struct verify_world *world, const struct verify_pack *pack,
                       const int16_t *cells, unsigned c, uint16_t cell);
/* "fluent(first, second)" for people. */
void verify_world_describe(const struct verify_world *world, const struct verify_pack *pack,
                           uint16_t cell, char out[static 96]);

#endif
