/* edit.c — an edit in words becomes one in indices, is judged, and is carried out. */
#include "server/engine/edit.h"
#include <stdio.h>
#include <string.h>
#include "server/engine/edit_name.h"

static const char *text_of(const char *s)
{
    return s != NULL ? s : "";
}
static int bad(struct nvl_error *err, const char *field, const char *what)
{
    nvl_error_set(err, field, "%s", what);
    return NVL_E_INVALID;
}
struct reading { /* an edit being read into its event */
    const struct nvl_sim *s;
    const struct nvl_edit *edit;
    struct nvl_event *e;
    struct nvl_error *err;
};

static int read_who(const struct reading *r)
{
    const char *id = text_of(r->edit->actor);
    int who = name_entity(r->s->w, NVL_SORT_CHAR, id);
    if (who < 0)
        return name_unknown_entity(r->s->w, NVL_SORT_CHAR, id, "actor", r->err);
    r->e->change.who = (uint8_t) who;
    return NVL_OK;
}
static int read_thing(const struct reading *r, enum nvl_sort sort)
{
    const char *id = text_of(r->edit->name);
    int thing = name_entity(r->s->w, sort, id);
    if (thing < 0)
        return name_unknown_entity(r->s->w, sort, id, "name", r->err);
    r->e->change.thing = (uint8_t) thing;
    return NVL_OK;
}
static int read_op(const struct reading *r, bool incident)
{
    const struct nvl_pack *p = r->s->w->pack;
    const char *name = text_of(r->edit->name);
    int op = nvl_pack_op_find(p, name);
    if (op < 0)
        return name_unknown_op(p, incident, name, "name", r->err);
    if (incident != (p->ops[op].kind == NVL_OP_INCIDENT))
        return bad(r->err, "name",
                   incident ? "is what characters do, not an incident"
                            : "is an incident: it happens, nobody does it");
    r->e->op = (uint16_t) op;
    return NVL_OK;
}
static int read_target(const struct reading *r, size_t i, unsigned param)
{
    const struct nvl_strings *targets = &r->edit->targets;
    const struct pack_op *op = &r->s->w->pack->ops[r->e->op];
    const char *id = text_of(targets->items[i]);
    char field[32];
    snprintf(field, sizeof(field), "targets[%zu]", i);
    int entity = name_entity(r->s->w, (enum nvl_sort) op->params[param].sort, id);
    if (entity < 0)
        return name_unknown_entity(r->s->w, (enum nvl_sort) op->params[param].sort, id, field,
                                   r->err);
    for (unsigned k = 0; k < param; k++)
        if (op->params[k].sort == op->params[param].sort && r->e->args[k] == entity)
            return bad(r->err, field, "names the same one twice");
    r->e->args[param] = (uint8_t) entity;
    return NVL_OK;
}
/* The open parameters after the actor take the targets, in order. */
static int read_targets(const struct reading *r)
{
    const struct pack_op *op = &r->s->w->pack->ops[r->e->op];
    size_t used = 0;
    int rc = NVL_OK;
    r->e->args_count = op->params_count;
    if (!(op->flags & OP_ACTORLESS))
        r->e->args[0] = r->e->change.who;
    for (unsigned i = op->flags & OP_ACTORLESS ? 0 : 1; rc == NVL_OK && i < op->params_count; i++)
        if (!op->params[i].hidden && used < r->edit->targets.count)
            rc = read_target(r, used++, i);
    if (rc == NVL_OK && used < r->edit->targets.count) {
        char field[32];
        snprintf(field, sizeof(field), "targets[%zu]", used);
        nvl_error_set(r->err, field, "is one too many: \"%s\" has %zu", op->name, used);
        return NVL_E_INVALID;
    }
    return rc;
}
static int read_act(const struct reading *r, bool reactions)
{
    int rc = read_who(r);
    if (rc == NVL_OK)
        rc = read_op(r, false);
    if (rc == NVL_OK && !reactions && r->s->w->pack->ops[r->e->op].kind == NVL_OP_REACTION)
        return bad(r->err, "name", "is only ever done in answer to another act");
    return rc == NVL_OK ? read_targets(r) : rc;
}
static int read_whisper(const struct reading *r)
{
    int rc = read_who(r);
    if (rc == NVL_OK)
        rc = read_thing(r, NVL_SORT_FACT);
    if (rc != NVL_OK)
        return rc;
    if (r->edit->value < NVL_SUSPECTS || r->edit->value > NVL_DISBELIEVES)
        return bad(r->err, "value",
                   "must be suspects (1), believes (2) or disbelieves (3): nobody is told to "
                   "forget");
    r->e->change.value = (uint8_t) r->edit->value;
    return NVL_OK;
}
static int read_trait(const struct reading *r)
{
    const char *name = text_of(r->edit->name);
    unsigned k = 0;
    int rc = read_who(r);
    if (rc != NVL_OK)
        return rc;
    while (k < NVL_TRAITS && strcmp(pack_trait_names[k], name) != 0)
        k++;
    if (k == NVL_TRAITS)
        return name_unknown_trait(name, "name", r->err);
    if (r->edit->value < 0 || r->edit->value > 100)
        return bad(r->err, "value", "must lie in 0..100");
    r->e->change.thing = (uint8_t) k, r->e->change.value = (uint8_t) r->edit->value;
    return NVL_OK;
}
static int read_item(const struct reading *r)
{
    const struct nvl_world *w = r->s->w;
    const char *to = text_of(r->edit->to);
    int rc = read_thing(r, NVL_SORT_ITEM), entity = name_entity(w, NVL_SORT_CHAR, to);
    if (rc != NVL_OK)
        return rc;
    r->e->change.to_sort = NVL_SORT_CHAR;
    if (entity < 0) {
        entity = name_entity(w, NVL_SORT_PLACE, to);
        r->e->change.to_sort = NVL_SORT_PLACE;
    }
    if (entity < 0)
        return name_unknown_entity(w, NVL_SORT_PLACE, to, "to", r->err);
    r->e->change.to = (uint8_t) entity;
    return NVL_OK;
}
static int read_forbid(const struct reading *r)
{
    const struct nvl_pack *p = r->s->w->pack;
    int op = nvl_pack_op_find(p, text_of(r->edit->name));
    if (text_of(r->edit->actor)[0] != 0) {
        int rc = read_who(r);
        return rc == NVL_OK ? read_op(r, false) : rc;
    }
    return read_op(r, op >= 0 && p->ops[op].kind == NVL_OP_INCIDENT);
}
static int read_edit(const struct reading *r)
{
    int rc;
    if (r->edit->targets.count > 0 && r->edit->kind != NVL_EDIT_ACT &&
        r->edit->kind != NVL_EDIT_VETO && r->edit->kind != NVL_EDIT_INCIDENT)
        return bad(r->err, "targets[0]", "has no meaning for this kind of edit");
    switch (r->edit->kind) {
    case NVL_EDIT_ACT:
        return read_act(r, false);
    case NVL_EDIT_VETO:
        return read_act(r, true);
    case NVL_EDIT_WHISPER:
        return read_whisper(r);
    case NVL_EDIT_TRAIT:
        return read_trait(r);
    case NVL_EDIT_ITEM:
        return read_item(r);
    case NVL_EDIT_INCIDENT:
        rc = read_op(r, true);
        return rc == NVL_OK ? read_targets(r) : rc;
    case NVL_EDIT_FORBID:
        return read_forbid(r);
    }
    return bad(r->err, "kind", "is no kind of edit");
}

/* "it cannot be done from there: at(pilot)." */
static void explain(const struct nvl_sim *s, unsigned code, unsigned cell,
                    struct nvl_judgement *out)
{
    struct buf text = { 0 };
    struct nvl_cell info;
    buf_puts(&text, world_refusal(code));
    if (nvl_world_cell_info(s->w, cell, &info) == NVL_OK && !info.hidden) {
        buf_puts(&text, ": ");
        nvl_cell_text(s->w, cell, &text);
    }
    buf_putc(&text, '.');
    const char *said = buf_str(&text);
    snprintf(out->reason, sizeof(out->reason), "%s", said != NULL ? said : "");
    buf_done(&text);
}
int nvl_intervene(struct nvl_sim *s, const struct nvl_edit *edit, nvl_sink sink, void *ctx,
                  struct nvl_judgement *out, struct nvl_error *err)
{
    uint8_t code = 0;
    uint16_t cell = NVL_NO_CELL;
    if (s->ended || s->turns_done == s->turns)
        return NVL_E_ENDED;
    if (s->broken)
        return NVL_E_SINK;
    struct nvl_event e = sim_between(s, NVL_INTERVENTION);
    e.change = (struct nvl_change){ (uint8_t) edit->kind, NVL_NONE, NVL_NONE, 0, NVL_NONE, 0 };
    memset(e.args, NVL_NONE, sizeof(e.args));
    struct reading r = { s, edit, &e, err };
    int rc = read_edit(&r);
    if (rc == NVL_OK)
        rc = edit_judge(s, &e, &code, &cell);
    if (rc != NVL_OK)
        return rc;
    struct nvl_judgement verdict = { .verdict = code == 0 ? NVL_VALID : NVL_LAW_REJECTED };
    if (code != 0) {
        verdict.codes[verdict.codes_count++] = code;
        explain(s, code, cell, &verdict);
    } else {
        s->sink = sink, s->sink_ctx = ctx;
        rc = edit_apply(s, &e);
    }
    if (rc == NVL_OK)
        *out = verdict;
    return rc;
}
