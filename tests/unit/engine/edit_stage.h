/* edit_stage.h — a story that is edited while it is told, for the tests of edits and forks. */
#ifndef EDIT_STAGE_H
#define EDIT_STAGE_H
#include "server/engine/edit.h"
#include "tests/unit/engine/edit_script.h"
#include "tests/unit/engine/engine_fixture.h"

struct kept { /* a log as it comes */
    struct buf bytes;
    struct nvl_span spans[NVL_EVENTS_MAX];
    size_t offsets[NVL_EVENTS_MAX], count;
    uint8_t head[SHA256_SIZE];
    struct nvl_event last;
};
struct stage {
    struct fixture_request request;
    struct nvl_sim *sim;
    struct kept *log;
};
int keep(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
         const uint8_t hash[SHA256_SIZE]); /* a sink; ctx: struct kept */
struct kept *kept_new(void);
void kept_settle(struct kept *k); /* spans point to their bytes */
void kept_free(struct kept *k);
void assert_same(struct kept *a, struct kept *b);
/* What the independent checker says of the log, or "". */
const char *verdict_of(const struct nvl_sim *sim, const struct nvl_pack *pack,
                       const struct nvl_request *request, struct kept *k);
const struct nvl_pack *pack_of(void **state);
/* The crew's story, turns of it, and all of it with the checker's blessing. */
void stage_open(void **state, struct stage *g, uint32_t turns, uint64_t seed);
void stage_turns(struct stage *g, unsigned n);
void stage_end(void **state, struct stage *g);
void stage_done(struct stage *g);
struct nvl_edit edit_of(enum nvl_edit_kind kind, const char *actor, const char *name);
/* The edit must become an INTERVENTION; be refused with that law (0: any) and leave no trace; or
 * name what does not exist in that field, with that word in the message. */
void allowed(struct stage *g, const struct nvl_edit *edit);
void rejected(struct stage *g, const struct nvl_edit *edit, unsigned code);
void invalid(struct stage *g, const struct nvl_edit *edit, const char *field, const char *word);
const char *id_of(const struct stage *g, enum nvl_sort sort, unsigned i);
const char *op_name(void **state, unsigned op);
int cell_value(void **state, const struct stage *g, const char *fluent, unsigned a, unsigned b);
bool has_cause(const struct nvl_event *e, uint32_t sequence, unsigned kind);
/* The first event from index `from` on of a type (0: somebody's choice) and an actor (-1: any). */
bool find_event(struct kept *k, size_t from, unsigned type, int actor, struct nvl_event *out);
int stage_setup(void **state); /* of a group: compiles the frozen pack */
int stage_teardown(void **state);
#endif
