#include "tests/unit/engine/edit_script.h"
#include <string.h>

static const char *const traits[NVL_TRAITS + 1] = { "openness",     "conscientiousness",
                                                    "extraversion", "agreeableness",
                                                    "neuroticism",  "honesty",
                                                    "courage" };

uint32_t script_draw(struct script *s, uint32_t below)
{
    if (s->at + 1 < s->size) {
        uint32_t v = (uint32_t) s->bytes[s->at] | (uint32_t) s->bytes[s->at + 1] << 8;
        s->at += 2;
        return v % below;
    }
    s->state = s->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (((s->state >> 33) * below) >> 31);
}
static const char *some_id(struct script *s, const struct nvl_world *w, enum nvl_sort sort)
{
    size_t count = nvl_world_count(w, sort);
    if (count == 0 || script_draw(s, 60) == 0)
        return script_draw(s, 2) ? "nobody at all" : "";
    return nvl_entity_id(w, sort, script_draw(s, (uint32_t) count));
}
/* Targets of the operator, sometimes fewer, now and then one too many. */
static size_t some_targets(struct script *s, const struct nvl_world *w, int op,
                           const char *out[NVL_ARGS_MAX + 1])
{
    struct nvl_op_info info;
    size_t n = 0;
    if (op < 0)
        return 0;
    nvl_pack_op(nvl_world_pack(w), (size_t) op, &info);
    for (unsigned i = info.kind == NVL_OP_INCIDENT ? 0 : 1; i < info.params_count; i++)
        if (!info.params[i].hidden)
            out[n++] = some_id(s, w, (enum nvl_sort) info.params[i].sort);
    if (script_draw(s, 3) == 0)
        n = script_draw(s, (uint32_t) n + 1);
    if (script_draw(s, 80) == 0)
        out[n++] = "one too many";
    return n;
}
/* Whether the incident could strike now; asked of a copy. */
static bool could_strike(const struct nvl_sim *sim, const char *name)
{
    struct nvl_edit edit = { .kind = NVL_EDIT_INCIDENT, .name = name };
    struct nvl_judgement said = { 0 };
    struct nvl_sim *copy;
    if (nvl_clone(sim, &copy) != NVL_OK)
        return false;
    bool valid =
        nvl_intervene(copy, &edit, NULL, NULL, &said, NULL) == NVL_OK && said.verdict == NVL_VALID;
    nvl_free(copy);
    return valid;
}
/* Operators that could be thought of come up more often than any operator. */
static const char *some_op(struct script *s, const struct nvl_sim *sim, bool incident, int *out_op)
{
    const struct nvl_pack *pack = nvl_world_pack(nvl_sim_world(sim));
    struct nvl_proposal likely[64];
    struct nvl_op_info info = { .name = "juggle" };
    size_t count = 0;
    *out_op = -1;
    if (script_draw(s, 60) == 0)
        return info.name;
    if (!incident && script_draw(s, 2) && nvl_propose(sim, likely, 64, &count) == NVL_OK &&
        count > 0) {
        *out_op = likely[script_draw(s, (uint32_t) count)].op;
    } else {
        bool any = script_draw(s, 2) == 0;
        for (unsigned i = 0; i < 60; i++) {
            *out_op = (int) script_draw(s, (uint32_t) nvl_pack_op_count(pack));
            nvl_pack_op(pack, (size_t) *out_op, &info);
            if ((info.kind == NVL_OP_INCIDENT) == incident &&
                (any || !incident || could_strike(sim, info.name)))
                break;
        }
    }
    nvl_pack_op(pack, (size_t) *out_op, &info);
    return info.name;
}
int script_edit(struct script *s, struct nvl_sim *sim, nvl_sink sink, void *ctx,
                struct nvl_judgement *out)
{
    const struct nvl_world *w = nvl_sim_world(sim);
    const char *targets[NVL_ARGS_MAX + 1];
    struct nvl_edit edit = { .kind = (enum nvl_edit_kind)(1 + script_draw(s, NVL_EDIT_VETO)) };
    struct nvl_error err;
    int op = -1;
    edit.actor = some_id(s, w, NVL_SORT_CHAR);
    edit.value = (int32_t) script_draw(s, 103) - 1;
    if (edit.kind == NVL_EDIT_WHISPER) {
        edit.name = some_id(s, w, NVL_SORT_FACT);
        edit.value = (int32_t) script_draw(s, 5);
    } else if (edit.kind == NVL_EDIT_TRAIT) {
        edit.name = traits[script_draw(s, 20) == 0 ? NVL_TRAITS : script_draw(s, NVL_TRAITS)];
    } else if (edit.kind == NVL_EDIT_ITEM) {
        edit.name = some_id(s, w, NVL_SORT_ITEM);
        edit.to = some_id(s, w, script_draw(s, 2) ? NVL_SORT_CHAR : NVL_SORT_PLACE);
    } else if (edit.kind == NVL_EDIT_FORBID) {
        if (script_draw(s, 3) == 0)
            edit.actor = "";
        edit.name = some_op(s, sim, edit.actor[0] == 0 && script_draw(s, 2), &op);
    } else {
        edit.name = some_op(s, sim, edit.kind == NVL_EDIT_INCIDENT, &op);
        edit.targets.items = targets;
        edit.targets.count = some_targets(s, w, op, targets);
        if (edit.kind == NVL_EDIT_INCIDENT && script_draw(s, 2))
            edit.targets.count = 0;
    }
    int rc = nvl_intervene(sim, &edit, sink, ctx, out, &err);
    if (rc == NVL_OK && out->verdict == NVL_VALID)
        s->valid[edit.kind]++;
    else if (rc == NVL_OK)
        s->rejected[edit.kind]++;
    s->unknown += rc == NVL_E_INVALID;
    return rc;
}
int script_fork(struct script *s, struct nvl_sim *sim, nvl_sink sink, void *ctx)
{
    struct nvl_error err;
    uint64_t seed = script_draw(s, 3) ? 1 + script_draw(s, 1000) : 0;
    uint32_t turns = script_draw(s, 3) ? script_draw(s, 3) ? 1 + script_draw(s, 14)
                                                           : 1 + script_draw(s, NVL_TURNS_MAX)
                                       : 0;
    int rc = nvl_fork(sim, seed, turns, NULL, sink, ctx, &err);
    s->forks += rc == NVL_OK;
    s->forks_refused += rc == NVL_E_INVALID;
    return rc;
}
int script_play(struct script *s, struct nvl_sim *sim, unsigned most, nvl_sink sink, void *ctx)
{
    struct nvl_judgement said;
    int rc = NVL_OK;
    while (rc == NVL_OK && !nvl_ended(sim)) {
        for (unsigned n = script_draw(s, most + 1); n > 0 && rc == NVL_OK; n--) {
            rc = script_draw(s, 12) == 0 ? script_fork(s, sim, sink, ctx)
                                         : script_edit(s, sim, sink, ctx, &said);
            rc = rc == NVL_E_INVALID ? NVL_OK : rc;
        }
        if (rc == NVL_OK)
            rc = script_draw(s, 200) == 0 ? nvl_cancel(sim, sink, ctx) : nvl_turn(sim, sink, ctx);
    }
    return rc;
}
