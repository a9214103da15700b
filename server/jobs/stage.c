/* stage.c — what a director is shown: every name that can be used, and what the next turn would
 * bring. */
#include <string.h>

#include "rpc/base/check.h"
#include "server/jobs/inner.h"

static const char *const sort_names[NVL_SORTS] = { "",     "character", "place", "link",
                                                   "item", "fact",      "clue",  "motif" };
/* In the order of enum nvl_trait. */
static const char *const trait_names[NVL_TRAITS] = { "openness",     "conscientiousness",
                                                     "extraversion", "agreeableness",
                                                     "neuroticism",  "honesty" };

static bool put_entities(const struct nvl_world *w, struct arena *a,
                         NE(DirectorUpdate__Stage) * out)
{
    size_t count = 0, at = 0;
    for (int sort = NVL_SORT_CHAR; sort < NVL_SORTS; sort++)
        count += nvl_world_count(w, (enum nvl_sort) sort);
    NE(DirectorUpdate__Entity) **list = arena_zero(a, count + 1, sizeof *list);
    NE(DirectorUpdate__Entity) *items = arena_zero(a, count + 1, sizeof *items);
    if (list == NULL || items == NULL)
        return false;
    for (int sort = NVL_SORT_CHAR; sort < NVL_SORTS; sort++)
        for (size_t i = 0; i < nvl_world_count(w, (enum nvl_sort) sort); i++, at++) {
            const struct nvl_entity *e = nvl_world_entity(w, (enum nvl_sort) sort, i);
            NE(DirectorUpdate__Entity) *to = list[at] = &items[at];
            novelengine__v1__director_update__entity__init(to);
            to->sort = (char *) sort_names[sort];
            to->id = (char *) e->id;
            to->name = (char *) e->name;
            to->detail = (char *) e->detail;
        }
    out->n_entities = count;
    out->entities = list;
    return true;
}

/* Sorts of the parameters that an actor binds, after the actor. */
static bool put_targets(const struct nvl_op_info *op, struct arena *a,
                        NE(DirectorUpdate__Operator) * out)
{
    out->targets = arena_zero(a, NVL_ARGS_MAX, sizeof *out->targets);
    if (out->targets == NULL)
        return false;
    for (size_t i = 1; i < op->params_count; i++)
        if (!op->params[i].hidden)
            out->targets[out->n_targets++] = (char *) sort_names[op->params[i].sort];
    return true;
}

static bool put_operators(const struct nvl_world *w, struct arena *a,
                          NE(DirectorUpdate__Stage) * out)
{
    const struct nvl_pack *pack = nvl_world_pack(w);
    size_t count = nvl_pack_op_count(pack);
    NE(DirectorUpdate__Operator) **list = arena_zero(a, count + 1, sizeof *list);
    NE(DirectorUpdate__Operator) *items = arena_zero(a, count + 1, sizeof *items);
    char **incidents = arena_zero(a, count + 1, sizeof *incidents);
    if (list == NULL || items == NULL || incidents == NULL)
        return false;
    out->operators = list;
    out->incidents = incidents;
    for (size_t i = 0; i < count; i++) {
        struct nvl_op_info op;
        nvl_pack_op(pack, i, &op);
        if (op.kind == NVL_OP_INCIDENT) {
            incidents[out->n_incidents++] = (char *) op.name;
            continue;
        }
        NE(DirectorUpdate__Operator) *to = &items[out->n_operators];
        novelengine__v1__director_update__operator__init(to);
        to->name = (char *) op.name;
        to->reaction = op.kind == NVL_OP_REACTION;
        if (!put_targets(&op, a, to))
            return false;
        list[out->n_operators++] = to;
    }
    return true;
}

nrpc_blob *stage_pack(const struct sim *sim, struct arena *scratch)
{
    const struct nvl_world *w = nvl_sim_world(sim->engine);
    NE(DirectorUpdate__Stage) stage = NOVELENGINE__V1__DIRECTOR_UPDATE__STAGE__INIT;
    stage.simulation_id = (char *) sim->id;
    stage.turns = sim->turns;
    stage.turns_done = (int32_t) nvl_turns_done(sim->engine);
    stage.n_traits = NVL_TRAITS;
    stage.traits = (char **) trait_names;
    if (!put_entities(w, scratch, &stage) || !put_operators(w, scratch, &stage))
        return NULL;
    return nrpc_blob_pack(&stage.base);
}

/* What of a proposal its actor chose: ids of the open parameters after the actor. */
static size_t targets_of(const struct nvl_world *w, const struct nvl_proposal *p,
                         const char *out[static NVL_ARGS_MAX])
{
    struct nvl_op_info op;
    size_t n = 0;
    nvl_pack_op(nvl_world_pack(w), p->op, &op);
    for (size_t i = 1; i < p->args_count && i < op.params_count; i++)
        if (!op.params[i].hidden && p->args[i] != NVL_NONE)
            out[n++] = nvl_entity_id(w, (enum nvl_sort) op.params[i].sort, p->args[i]);
    return n;
}

static const char *operator_name(const struct nvl_world *w, const struct nvl_proposal *p)
{
    struct nvl_op_info op;
    nvl_pack_op(nvl_world_pack(w), p->op, &op);
    return op.name;
}

nrpc_blob *stage_pack_proposals(const struct sim *sim, const struct nvl_proposal *list,
                                size_t count, uint32_t first, struct arena *scratch)
{
    const struct nvl_world *w = nvl_sim_world(sim->engine);
    NE(DirectorUpdate__Proposals) all = NOVELENGINE__V1__DIRECTOR_UPDATE__PROPOSALS__INIT;
    NE(DirectorUpdate__Proposal) *items = arena_zero(scratch, count + 1, sizeof *items);
    all.proposals = arena_zero(scratch, count + 1, sizeof *all.proposals);
    if (items == NULL || all.proposals == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        NE(DirectorUpdate__Proposal) *to = &items[i];
        novelengine__v1__director_update__proposal__init(to);
        const char **targets = arena_zero(scratch, NVL_ARGS_MAX, sizeof *targets);
        if (targets == NULL)
            return NULL;
        to->proposal = first + (uint32_t) i;
        to->actor = (char *) nvl_entity_id(w, NVL_SORT_CHAR, list[i].actor);
        to->operator_ = (char *) operator_name(w, &list[i]);
        to->n_targets = targets_of(w, &list[i], targets);
        to->targets = (char **) targets;
        to->utility = list[i].utility;
        all.proposals[all.n_proposals++] = to;
    }
    return nrpc_blob_pack(&all.base);
}

bool stage_veto(const struct sim *sim, const struct nvl_proposal *p, struct arena *a,
                struct nvl_edit *out)
{
    const struct nvl_world *w = nvl_sim_world(sim->engine); /* outlives the slice */
    const char **targets = arena_zero(a, NVL_ARGS_MAX, sizeof *targets);
    if (targets == NULL)
        return false;
    *out = (struct nvl_edit){ .kind = NVL_EDIT_VETO,
                              .actor = nvl_entity_id(w, NVL_SORT_CHAR, p->actor),
                              .name = operator_name(w, p),
                              .to = "",
                              .targets = { targets, targets_of(w, p, targets) } };
    return true;
}
