/* world.h — a world's inside, and running byte code on a state vector.  Internal to the engine. */
#ifndef NVL_WORLD_H
#define NVL_WORLD_H
#include "server/engine/pack.h"
#include "server/engine/past.h"
#include "server/engine/rng.h"

enum {
    WORLD_CHARS_MAX = 16,
    WORLD_PASSES_MAX = 96,
    WORLD_PASS_MINUTES = 30,
    WORLD_NOUNS_MAX = 48,
    CODE_READS_MAX = 24
};

struct cell_ref {
    uint16_t fluent;
    uint8_t a, b;
};
/* The passes of a story, in order. */
struct pass_plan {
    uint8_t phase[WORLD_PASSES_MAX];
    uint16_t turn[WORLD_PASSES_MAX];
    unsigned count;
};
struct world_noun {
    const char *text;
    bool placed;
};
struct nvl_world {
    _Atomic unsigned sharers; /* beside the first holder */
    struct arena arena;
    const struct nvl_pack *pack;
    struct nvl_header *header; /* the request, owned */
    const struct nvl_request *request;
    struct past past; /* chapter 0: none */
    unsigned frame, truth, genre; /* pack indices */
    const char *locale, *question;
    const char *setting, *saying; /* the user's own phrases, or "" */
    uint8_t setting_kind;
    struct nvl_entity *entities[NVL_SORTS];
    uint8_t counts[NVL_SORTS];
    uint8_t clue_of[32]; /* clue entity -> pack clue */
    uint16_t *base;      /* first cell per fluent */
    struct cell_ref *refs;
    uint32_t cells;
    int16_t *initial;
    struct pass_plan plan; /* as the request has it; a simulation may have been given another */
    struct world_noun nouns[WORLD_NOUNS_MAX];
    size_t nouns_count;
    uint8_t *traits; /* quantised, per character, NVL_TRAITS each; the frame's people too */
    uint8_t *drives;
};

/* What an expression runs on. */
struct code_env {
    const struct nvl_world *world;
    const int16_t *state;
    uint8_t args[NVL_ARGS_MAX];
    uint8_t each;
    unsigned pass, passes, phase;
    uint16_t *reads; /* NULL, or CODE_READS_MAX cells that were read */
    unsigned reads_count;
};
int32_t code_run(struct code_env *env, uint32_t code);

/* Cell of fluent(a, b), or -1. */
static inline int world_cell(const struct nvl_world *w, unsigned fluent, unsigned a, unsigned b)
{
    const struct pack_fluent *f = &w->pack->fluents[fluent];
    unsigned na = f->sorts[0] != 0 ? w->counts[f->sorts[0]] : 1,
             nb = f->sorts[1] != 0 ? w->counts[f->sorts[1]] : 1;
    return a < na && b < nb ? (int) (w->base[fluent] + a * nb + b) : -1;
}
static inline int16_t world_get(const struct nvl_world *w, const int16_t *state,
                                enum known_fluent f, unsigned a, unsigned b)
{
    int cell = world_cell(w, (unsigned) w->pack->known[f], a, b);
    return cell < 0 ? -1 : state[cell];
}
/* Greatest value of a fluent in this world: an entity's index, or the declared one. */
static inline int16_t world_max(const struct nvl_world *w, const struct pack_fluent *f)
{
    return f->value_sort != 0 ? (int16_t) (w->counts[f->value_sort] - 1) : f->max;
}
/* Applies one effect to state.  present: who "all" means.  Every cell set is appended to touched
 * (which has room for `room`).  Returns how many, or -1 when a resource would leave its range. */
int effect_apply(struct code_env *env, int16_t *state, const struct pack_effect *e,
                 uint32_t present, unsigned actor, uint16_t *touched, int room);
/* Another holder of the same world; each gives it back with nvl_world_free. */
struct nvl_world *world_share(struct nvl_world *w);
/* Appends an entity as it is told: "the dock", "Alex Chen". */
void world_put_entity(const struct nvl_world *w, enum nvl_sort sort, unsigned i, bool spoilers,
                      struct buf *out);
/* Appends the plain line of an INTERVENTION or FORKED. */
void world_edit_text(const struct nvl_world *w, const struct nvl_event *e, bool spoilers,
                     struct buf *out);
/* Why an act could not be, for a reader; the law text beside it names the cell. */
const char *world_refusal(unsigned code);
/* Phases of the passes for a number of turns. */
void world_plan(unsigned turns, struct pass_plan *out);
/* First and last pass of the last run of climax passes. */
void world_climax(const struct pass_plan *plan, unsigned *out_first, unsigned *out_last);
/* Where an entity is, or -1; links have a second place. */
int world_where(const struct nvl_world *w, const int16_t *state, unsigned sort, unsigned i,
                int *second);
bool world_perceives(const struct nvl_world *w, const int16_t *state, unsigned c, unsigned cell);

/* ground.c: the user's text, cleaned and cut into words. */
struct ground_noun {
    char text[64]; /* as told: "abandoned mining station" -> "mining station" */
    char head[32]; /* lower case, singular: "station" */
    uint8_t kind;  /* enum word_kind, or 0 */
    bool proper, negated, plural, used;
    int16_t position;
};
struct ground {
    struct ground_noun nouns[WORLD_NOUNS_MAX];
    size_t count;
    int32_t frame_score[32], genre_score[32];
    int16_t hints[256]; /* per fluent; 0: none */
    char words[64][24]; /* qualities met, in order */
    size_t words_count;
    char setting[104];    /* the setting as a phrase with its article, or "" */
    uint8_t setting_kind; /* enum nvl_setting_kind */
    char saying[104];     /* the scenario, when it is one plain sentence, without its stop; or "" */
};
void ground_read(const struct nvl_pack *pack, const char *setting, const char *scenario,
                 struct ground *out);
/* The text without markup, templates, URLs and control tokens; at most size - 1 bytes. */
void ground_clean(const char *text, char *out, size_t size);
#endif
