/* absence.c — ExplainAbsence: why somebody did not do something in a turn. */
#include <stdio.h>
#include <string.h>

#include "rpc/base/check.h"
#include "server/engine/consider.h"
#include "server/engine/edit.h"
#include "server/service/work.h"

static int ignore(void *ctx, const struct nvl_event *event, const uint8_t *canonical, size_t size,
                  const uint8_t hash[SHA256_SIZE])
{
    (void) ctx, (void) event, (void) canonical, (void) size, (void) hash;
    return 0;
}

static const struct nvl_event *happened(const struct stored_log *log, const NE(ExplainAbsenceRequest) * ask,
                                        bool rejected)
{
    for (size_t i = 0; i < log->count; i++) {
        const struct nvl_event *e = &log->events[i];
        if (e->turn != ask->turn || (e->type == NVL_REJECTED) != rejected || e->type == NVL_INTERVENTION || e->op == NVL_NO_OP ||
            strcmp(nvl_event_actor_id(log->world, e), ask->actor) != 0 ||
            strcmp(nvl_event_op_name(log->world, e), ask->operator_) != 0)
            continue;
        struct nvl_op_info info;
        size_t n = 0;
        bool same = true;
        nvl_pack_op(log->pack, e->op, &info);
        for (unsigned k = 1; k < e->args_count && n < ask->n_targets; k++) {
            if (info.params[k].hidden)
                continue;
            same = same && e->args[k] != NVL_NONE &&
                   strcmp(nvl_entity_id(log->world, (enum nvl_sort) info.params[k].sort, e->args[k]), ask->targets[n]) == 0;
            n++;
        }
        if (same && n == ask->n_targets)
            return e;
    }
    return NULL;
}

static void put_act(const struct stored_log *log, unsigned op, const uint8_t *args, unsigned count, struct buf *out)
{
    struct nvl_op_info info;
    nvl_pack_op(log->pack, op, &info);
    work_put_words(out, info.name);
    for (unsigned k = 1, n = 0; k < count; k++) {
        if (args[k] == NVL_NONE)
            continue;
        buf_puts(out, n++ == 0 ? ": " : ", ");
        work_put_thing(log, (enum nvl_sort) info.params[k].sort, args[k], out);
    }
}

static void put_value(const struct stored_log *log, const struct nvl_cell *cell, int value, struct buf *out)
{
    if (cell->value_sort == NVL_SORT_NONE)
        buf_printf(out, "%d", value);
    else if (value < 0)
        buf_puts(out, cell->value_sort == NVL_SORT_CHAR ? "nobody" : "nowhere");
    else
        work_put_thing(log, (enum nvl_sort) cell->value_sort, (unsigned) value, out);
}

/* "the place of Alex Chen was the dock" */
static void put_cell(const struct stored_log *log, const struct nvl_sim *sim, unsigned cell, struct buf *out)
{
    struct nvl_cell info;
    if (cell == NVL_NO_CELL || nvl_world_cell_info(log->world, cell, &info) != NVL_OK)
        return;
    work_put_cell(log, cell, out);
    buf_puts(out, " was ");
    put_value(log, &info, nvl_sim_state(sim)[cell], out);
}

static void put_gap(const struct nvl_consideration *c, struct buf *out)
{
    int most = -1, gap = 0;
    for (unsigned i = 0; i < NVL_TERMS; i++)
        if (c->chosen_terms[i] - c->terms[i] > gap)
            gap = c->chosen_terms[i] - c->terms[i], most = (int) i;
    if (most >= 0)
        buf_printf(out, " What made most of the difference: %s (%+d against %+d).", work_term_phrase((unsigned) most),
                   (int) c->chosen_terms[most], (int) c->terms[most]);
}

static const char *actor_name(const struct stored_log *log, const char *id)
{
    for (size_t i = 0; i < nvl_world_count(log->world, NVL_SORT_CHAR); i++)
        if (strcmp(nvl_entity_id(log->world, NVL_SORT_CHAR, (unsigned) i), id) == 0)
            return nvl_world_entity(log->world, NVL_SORT_CHAR, (unsigned) i)->name;
    return id;
}

static void fill_outscored(struct work *w, const struct nvl_consideration *c, NE(AbsenceExplanation) * x)
{
    struct nvl_op_info info;
    x->utility = c->utility;
    x->chosen_utility = c->chosen_utility;
    x->terms = work_get(w, NVL_TERMS, sizeof *x->terms);
    NE(Decision__Term) *terms = work_get(w, NVL_TERMS, sizeof *terms);
    x->chosen = work_get(w, 1, sizeof *x->chosen);
    if (w->st.code != NRPC_OK)
        return;
    for (unsigned i = 0; i < NVL_TERMS; i++) {
        if (c->terms[i] == 0)
            continue;
        novelengine__v1__decision__term__init(&terms[i]);
        terms[i].name = (char *) nvl_term_name(i);
        terms[i].value = c->terms[i];
        x->terms[x->n_terms++] = &terms[i];
    }
    novelengine__v1__decision__alternative__init(x->chosen);
    if (c->chosen_op == NVL_NO_OP)
        return;
    nvl_pack_op(w->log.pack, c->chosen_op, &info);
    x->chosen->operator_ = (char *) info.name;
    x->chosen->utility = c->chosen_utility;
    x->chosen->targets = work_get(w, NVL_ARGS_MAX, sizeof *x->chosen->targets);
    for (unsigned k = 1; k < c->chosen_args_count && x->chosen->targets != NULL; k++)
        if (c->chosen_args[k] != NVL_NONE)
            x->chosen->targets[x->chosen->n_targets++] =
                (char *) nvl_entity_id(w->log.world, (enum nvl_sort) info.params[k].sort, c->chosen_args[k]);
}

static void fill(struct work *w, const struct nvl_sim *sim, const struct nvl_consideration *c, NE(AbsenceExplanation) * x)
{
    const NE(ExplainAbsenceRequest) *ask = (const NE(ExplainAbsenceRequest) *) w->request;
    const struct stored_log *log = &w->log;
    const char *name = actor_name(log, ask->actor);
    struct buf text = { 0 }, detail = { 0 };
    char code[8];
    put_cell(log, sim, c->cell, &detail);
    switch (c->absence) {
    case NVL_ABSENT_NEED:
        x->reason = NOVELENGINE__V1__ABSENCE_EXPLANATION__REASON__REASON_PRECONDITION;
        buf_printf(&text, "%s could not: ", name);
        if (detail.size > 0)
            buf_printf(&text, "when the turn began, %s, and that is not what it takes.", buf_str(&detail));
        else
            buf_puts(&text, "there was nobody awake, or nothing there, to do it with.");
        break;
    case NVL_ABSENT_UNKNOWN:
        x->reason = NOVELENGINE__V1__ABSENCE_EXPLANATION__REASON__REASON_UNKNOWN_FACT;
        buf_printf(&text, "It could have been done, but %s did not know it: %s, and %s believed otherwise.", name,
                   buf_str(&detail), name);
        break;
    case NVL_ABSENT_FORBIDDEN:
        x->reason = NOVELENGINE__V1__ABSENCE_EXPLANATION__REASON__REASON_FORBIDDEN;
        nvl_law_code(c->code, code);
        if (c->code == 0)
            buf_printf(&text, "A director had forbidden it to %s.", name);
        else
            buf_printf(&text, "%s was held back by law %s%s%s.", name, code, detail.size > 0 ? ": " : "", buf_str(&detail));
        buf_reset(&detail);
        buf_puts(&detail, c->code == 0 ? "director" : code);
        break;
    default:
        x->reason = NOVELENGINE__V1__ABSENCE_EXPLANATION__REASON__REASON_OUTSCORED;
        fill_outscored(w, c, x);
        buf_reset(&detail);
        buf_printf(&detail, "%d behind", (int) (c->chosen_utility - c->utility));
        if (c->chosen_op == NVL_NO_OP) {
            buf_printf(&text, "%s did nothing at all in that pass.", name);
        } else if (c->absence == NVL_ABSENT_NOT) {
            buf_printf(&text, "%s chose it, but something came between before it was done.", name);
        } else {
            buf_printf(&text, "%s could have, and thought something else worth more: ", name);
            put_act(log, c->chosen_op, c->chosen_args, c->chosen_args_count, &text);
            buf_printf(&text, " (%d against %d).", (int) c->chosen_utility, (int) c->utility);
            put_gap(c, &text);
        }
        break;
    }
    x->detail = work_text(w, &detail);
    x->text = work_text(w, &text);
}

static void refuse_field(struct work *w, const struct nvl_error *err)
{
    error_set_field(&w->st, err->field, "%s", err->message);
}

static struct nvl_sim *replay_to(struct work *w, int32_t turn)
{
    const struct stored_log *log = &w->log;
    struct nvl_error err = { 0 };
    struct nvl_sim *sim = NULL;
    int rc = nvl_replay(log->pack, nvl_header_request(log->header), log->canonical, log->count, (uint32_t) turn, ignore,
                        NULL, &err, &sim);
    if (rc == NVL_E_NOMEM)
        error_set(&w->st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    else if (rc != NVL_OK)
        error_set(&w->st, ERROR_ENGINE_CHANGED, "running '%s' again gives other bytes from event %u on; verify it", w->id,
                  (unsigned) err.line);
    return sim;
}

/* They set out to do it, and the log says what stood against it. */
static void fill_rejected(struct work *w, const struct nvl_event *e, NE(AbsenceExplanation) * x)
{
    const struct stored_log *log = &w->log;
    struct buf text = { 0 }, detail = { 0 };
    char code[8] = "";
    bool director = false;
    for (unsigned i = 0; i < e->causes_count; i++)
        director = director ||
                   (e->causes[i].kind == NVL_PREVENTS && e->causes[i].cell == NVL_NO_CELL &&
                    e->causes[i].sequence <= log->count &&
                    log->events[e->causes[i].sequence - 1].type == NVL_INTERVENTION);
    if (e->codes_count > 0)
        nvl_law_code(e->codes[0], code);
    x->reason = NOVELENGINE__V1__ABSENCE_EXPLANATION__REASON__REASON_FORBIDDEN;
    x->event = work_event(w, e->sequence - 1);
    buf_printf(&text, "It was chosen, and %s forbade it (event %u): ", director ? "a director" : code,
               (unsigned) e->sequence);
    nvl_event_text(log->world, e, true, &text);
    buf_puts(&detail, director ? "director" : code);
    x->text = work_text(w, &text);
    x->detail = work_text(w, &detail);
}

static void explain_absence(struct work *w)
{
    const NE(ExplainAbsenceRequest) *ask = (const NE(ExplainAbsenceRequest) *) w->request;
    const struct stored_log *log = &w->log;
    NE(AbsenceExplanation) *x = work_get(w, 1, sizeof *x);
    if (x == NULL)
        return;
    novelengine__v1__absence_explanation__init(x);
    if (ask->turn > log->row.turns_done) {
        error_set_field(&w->st, "turn", "%d turns are played", (int) log->row.turns_done);
        return;
    }
    const struct nvl_event *e = happened(log, ask, false);
    if (e != NULL) {
        struct buf text = { 0 };
        x->reason = NOVELENGINE__V1__ABSENCE_EXPLANATION__REASON__REASON_IT_HAPPENED;
        x->event = work_event(w, e->sequence - 1);
        buf_printf(&text, "It did happen, as event %u: ", (unsigned) e->sequence);
        nvl_event_text(log->world, e, true, &text);
        x->text = work_text(w, &text);
        w->reply = &x->base;
        return;
    }
    e = happened(log, ask, true);
    if (e != NULL) {
        fill_rejected(w, e, x);
        w->reply = &x->base;
        return;
    }
    struct nvl_sim *sim = replay_to(w, ask->turn - 1);
    if (sim == NULL)
        return;
    struct nvl_strings targets = { (const char *const *) ask->targets, ask->n_targets };
    struct nvl_consideration c;
    struct nvl_error err = { 0 };
    int rc = nvl_consider(sim, ask->actor, ask->operator_, &targets, &c, &err);
    if (rc == NVL_OK) {
        fill(w, sim, &c, x);
        w->reply = &x->base;
    } else if (rc == NVL_E_INVALID) {
        refuse_field(w, &err);
    } else if (rc == NVL_E_ENDED) {
        error_set_field(&w->st, "turn", "no turn %d was played", (int) ask->turn);
    } else {
        error_set(&w->st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    }
    nvl_free(sim);
}

void handle_explain_absence(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    work_start(ctx, c, m, novelengine_v1_novel_engine_explain_absence_request(m)->simulation_id, 0, explain_absence);
}
