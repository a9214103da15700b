/* sim_consider.c — an act that did not happen, held against every pass of a turn. */
#include "server/engine/consider.h"
#include <string.h>
#include "server/engine/edit.h"
#include "server/engine/edit_name.h"

enum { BINDINGS_MAX = 4096 };

struct considering {
    struct nvl_sim *s;
    unsigned actor, op;
    uint8_t asked[NVL_ARGS_MAX]; /* NVL_NONE: any */
    unsigned bindings;
    unsigned met; /* conditions that hold, of the nearest */
    struct nvl_consideration best;
    bool any;
};

static unsigned conditions_met(const struct nvl_sim *s, unsigned op, const uint8_t *args)
{
    const struct pack_op *p = &s->w->pack->ops[op];
    unsigned met = 0;
    for (unsigned i = 0; i < p->conds_count; i++) {
        struct code_env env = judge_env(s, s->state, args);
        met += p->conds[i].kind != 0 || code_run(&env, p->conds[i].code) != 0;
    }
    return met;
}
static void weigh(struct considering *x, const uint8_t *args, struct nvl_consideration *c)
{
    struct nvl_sim *s = x->s;
    struct candidate it = { .op = (uint16_t) x->op };
    memcpy(it.args, args, sizeof(it.args));
    choice_weigh(s, x->actor, &it);
    c->utility = it.utility;
    memcpy(c->terms, it.terms, sizeof(c->terms));
    uint16_t cell;
    unsigned code = judge_law(s, x->actor, &it, &cell);
    bool barred = (s->edits.barred[x->op] >> x->actor & 1) != 0 ||
                  edit_bar(s, x->actor, x->op, args) != 0;
    if (code != 0 || barred) {
        c->absence = NVL_ABSENT_FORBIDDEN;
        c->code = (uint8_t) (barred ? 0 : code), c->cell = barred ? NVL_NO_CELL : cell;
    } else {
        c->absence = NVL_ABSENT_OUTSCORED;
    }
}
static void judge_binding(struct considering *x, const uint8_t *args)
{
    struct nvl_sim *s = x->s;
    struct nvl_consideration c = { .pass = (uint16_t) s->pass, .cell = NVL_NO_CELL };
    unsigned met = conditions_met(s, x->op, args);
    c.args_count = s->w->pack->ops[x->op].params_count;
    memcpy(c.args, args, sizeof(c.args));
    if (judge_failing(s, x->op, args, s->state, false, &c.cell) != 0)
        c.absence = NVL_ABSENT_NEED;
    else if (judge_failing(s, x->op, args, s->belief[x->actor], false, &c.cell) != 0)
        c.absence = NVL_ABSENT_UNKNOWN;
    else
        weigh(x, args, &c);
    bool nearer = !x->any || c.absence > x->best.absence ||
                  (c.absence == x->best.absence &&
                   (c.absence == NVL_ABSENT_OUTSCORED
                        ? c.utility - s->choices[x->actor].best[0].utility >
                              x->best.utility - x->best.chosen_utility
                        : met > x->met));
    if (!nearer)
        return;
    const struct choices *all = &s->choices[x->actor];
    c.chosen_op = NVL_NO_OP;
    if (all->count > 0) {
        const struct candidate *b = &all->best[0];
        c.chosen_op = b->op, c.chosen_utility = b->utility;
        c.chosen_args_count = s->w->pack->ops[b->op].params_count;
        memcpy(c.chosen_args, b->args, sizeof(c.chosen_args));
        memcpy(c.chosen_terms, b->terms, sizeof(c.chosen_terms));
        if (b->op == x->op && memcmp(b->args, args, sizeof(b->args)) == 0)
            c.absence = NVL_ABSENT_NOT;
    }
    x->best = c, x->met = met, x->any = true;
}
/* Every binding that fits what was asked; those with an entity twice are none. */
static void bind(struct considering *x, unsigned level, uint8_t *args)
{
    const struct pack_op *op = &x->s->w->pack->ops[x->op];
    while (level < op->params_count && op->params[level].hidden)
        level++;
    if (level == op->params_count) {
        if (x->bindings++ < BINDINGS_MAX)
            judge_binding(x, args);
        return;
    }
    unsigned sort = op->params[level].sort, count = x->s->w->counts[sort];
    for (unsigned v = 0; v < count && x->bindings < BINDINGS_MAX; v++) {
        bool taken = x->asked[level] != NVL_NONE && x->asked[level] != v;
        for (unsigned k = 0; k < level; k++)
            taken |= op->params[k].sort == sort && args[k] == v;
        if (taken)
            continue;
        args[level] = (uint8_t) v;
        bind(x, level + 1, args);
    }
    args[level] = NVL_NONE;
}
static void look(void *ctx, struct nvl_sim *s)
{
    struct considering *x = ctx;
    uint8_t args[NVL_ARGS_MAX];
    x->s = s;
    x->bindings = 0;
    if (!sim_awake(s, s->state, x->actor) || x->best.absence == NVL_ABSENT_NOT)
        return;
    memset(args, NVL_NONE, sizeof(args));
    args[0] = (uint8_t) x->actor;
    bind(x, 1, args);
}

static int fill_error(struct nvl_error *err, const char *field, const char *message)
{
    if (err != NULL) {
        *err = (struct nvl_error){ .line = 0 };
        strncpy(err->field, field, sizeof(err->field) - 1);
        strncpy(err->message, message, sizeof(err->message) - 1);
    }
    return NVL_E_INVALID;
}
static int read_targets(struct considering *x, const struct nvl_world *w,
                        const struct nvl_strings *targets, struct nvl_error *err)
{
    static const char *const fields[NVL_ARGS_MAX] = { "targets[0]", "targets[1]", "targets[2]",
                                                      "targets[3]", "targets[4]", "targets[5]" };
    const struct pack_op *op = &w->pack->ops[x->op];
    size_t n = 0;
    memset(x->asked, NVL_NONE, sizeof(x->asked));
    for (unsigned i = 1; i < op->params_count && n < targets->count; i++) {
        if (op->params[i].hidden)
            continue;
        enum nvl_sort sort = (enum nvl_sort) op->params[i].sort;
        int v = name_entity(w, sort, targets->items[n]);
        if (v < 0)
            return name_unknown_entity(w, sort, targets->items[n], fields[n], err);
        x->asked[i] = (uint8_t) v;
        n++;
    }
    return n == targets->count ? NVL_OK
                               : fill_error(err, "targets", "the operator takes fewer targets");
}
static int quiet(void *ctx, const struct nvl_event *event, const uint8_t *canonical, size_t size,
                 const uint8_t hash[SHA256_SIZE])
{
    (void) ctx, (void) event, (void) canonical, (void) size, (void) hash;
    return 0;
}
int nvl_consider(const struct nvl_sim *sim, const char *actor, const char *op,
                 const struct nvl_strings *targets, struct nvl_consideration *out,
                 struct nvl_error *err)
{
    const struct nvl_world *w = nvl_sim_world(sim);
    struct considering x = { .any = false };
    int who = name_entity(w, NVL_SORT_CHAR, actor), what = nvl_pack_op_find(w->pack, op);
    if (who < 0)
        return name_unknown_entity(w, NVL_SORT_CHAR, actor, "actor", err);
    if (what < 0 || w->pack->ops[what].kind == NVL_OP_INCIDENT)
        return name_unknown_op(w->pack, false, op, "operator", err);
    x.actor = (unsigned) who, x.op = (unsigned) what;
    int rc = read_targets(&x, w, targets, err);
    if (rc != NVL_OK)
        return rc;
    struct nvl_sim *copy = NULL;
    rc = nvl_clone(sim, &copy);
    if (rc != NVL_OK)
        return rc;
    copy->on_choices = look, copy->on_choices_ctx = &x;
    rc = nvl_turn(copy, quiet, NULL);
    nvl_free(copy);
    if (rc != NVL_OK)
        return rc;
    if (!x.any) /* asleep all the turn, or nobody there to do it to */
        x.best = (struct nvl_consideration){ .absence = NVL_ABSENT_NEED,
                                             .cell = NVL_NO_CELL,
                                             .chosen_op = NVL_NO_OP };
    *out = x.best;
    return NVL_OK;
}
