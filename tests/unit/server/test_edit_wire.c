/* What watchers see of an edit: its type, the director, the operator, whom and what it is about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core_pack.h"
#include "server/engine/edit.h"
#include "server/jobs/wire.h"

struct last {
    struct nvl_event event;
    uint8_t canonical[NVL_CANONICAL_MAX], hash[SHA256_SIZE];
    size_t size;
};
static int keep(void *ctx, const struct nvl_event *event, const uint8_t *canonical, size_t size,
                const uint8_t hash[SHA256_SIZE])
{
    struct last *l = ctx;
    l->event = *event, l->size = size;
    memcpy(l->canonical, canonical, size);
    memcpy(l->hash, hash, SHA256_SIZE);
    return 0;
}

static NE(SimulationUpdate) * packed(const struct nvl_sim *sim, const struct last *l)
{
    struct arena scratch;
    struct wire_event e = { .world = nvl_sim_world(sim),
                            .event = &l->event,
                            .canonical = l->canonical,
                            .canonical_size = l->size,
                            .hash = l->hash,
                            .simulation_id = "s" };
    arena_init(&scratch, 4096);
    nrpc_blob *blob = wire_event_pack(&e, JOBS_BASIC, &scratch);
    assert_non_null(blob);
    nrpc_slice bytes = nrpc_blob_bytes(blob);
    NE(SimulationUpdate) *u =
        novelengine__v1__simulation_update__unpack(NULL, bytes.size, bytes.data);
    nrpc_blob_unref(blob);
    arena_done(&scratch);
    assert_non_null(u);
    return u;
}

static void shows(struct nvl_sim *sim, const struct nvl_edit *edit, const char *operator,
                  const char * const * targets, size_t count)
{
    struct last last;
    struct nvl_judgement said;
    assert_int_equal(nvl_intervene(sim, edit, keep, &last, &said, NULL), NVL_OK);
    assert_int_equal(said.verdict, NVL_VALID);
    NE(SimulationUpdate) *u = packed(sim, &last);
    assert_int_equal(u->event->type, NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_INTERVENTION);
    assert_string_equal(u->event->actor, "director");
    assert_string_equal(u->event->operator_, operator);
    assert_int_equal(u->event->n_targets, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(u->event->targets[i], targets[i]);
    assert_true(strlen(u->event->text) > 10);
    assert_null(u->event->decision);
    novelengine__v1__simulation_update__free_unpacked(u, NULL);
}

static void test_edits_and_forks(void **state)
{
    (void) state;
    struct nvl_pack *pack = NULL;
    struct nvl_sim *sim;
    struct nvl_error err;
    struct last last;
    struct nvl_profile cast[2] = { { .id = "ana" }, { .id = "ben" } };
    struct nvl_request request = { .turns = 3, .seed = 5, .cast = cast, .cast_count = 2 };
    assert_int_equal(nvl_pack_open(core_pack, core_pack_size, &err, &pack), NVL_OK);
    assert_int_equal(nvl_open(pack, &request, keep, &last, &err, &sim), NVL_OK);
    const struct nvl_world *w = nvl_sim_world(sim);
    const char *fact = nvl_entity_id(w, NVL_SORT_FACT, 0),
               *item = nvl_entity_id(w, NVL_SORT_ITEM, 0),
               *place = nvl_entity_id(w, NVL_SORT_PLACE, 1);
    shows(sim, &(struct nvl_edit){ .kind = NVL_EDIT_ACT, .actor = "ben", .name = "hesitate" },
          "hesitate", (const char *const[]){ "ben" }, 1);
    shows(sim,
          &(struct nvl_edit){ .kind = NVL_EDIT_WHISPER, .actor = "ana", .name = fact, .value = 2 },
          "", (const char *const[]){ "ana", fact }, 2);
    shows(sim, &(struct nvl_edit){ .kind = NVL_EDIT_ITEM, .name = item, .to = place }, "",
          (const char *const[]){ item, place }, 2);
    shows(sim, &(struct nvl_edit){ .kind = NVL_EDIT_FORBID, .actor = "ana", .name = "go" }, "go",
          (const char *const[]){ "ana" }, 1);
    shows(sim, &(struct nvl_edit){ .kind = NVL_EDIT_FORBID, .name = "go" }, "go", NULL, 0);
    assert_int_equal(nvl_fork(sim, 9, 4, NULL, keep, &last, &err), NVL_OK);
    NE(SimulationUpdate) *u = packed(sim, &last);
    assert_int_equal(u->event->type, NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_FORKED);
    assert_string_equal(u->event->actor, "director");
    assert_string_equal(u->event->text, "The story forks here, to be told in 4 turns.");
    novelengine__v1__simulation_update__free_unpacked(u, NULL);
    nvl_free(sim);
    nvl_pack_free(pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_edits_and_forks) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
