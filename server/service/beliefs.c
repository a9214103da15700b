/* beliefs.c — GetBeliefs: what a character came to hold for true, from whom, and where they are
 * mistaken. */
#include <string.h>

#include "rpc/base/check.h"
#include "server/engine/edit.h"
#include "server/service/work.h"

enum { MISTAKES_MAX = 200 };

struct timeline {
    struct work *w;
    unsigned who;
    NE(BeliefState) *out;
    size_t room;
};

static int ignore(void *ctx, const struct nvl_event *event, const uint8_t *canonical, size_t size,
                  const uint8_t hash[SHA256_SIZE])
{
    (void) ctx, (void) event, (void) canonical, (void) size, (void) hash;
    return 0;
}

static const char *brief(const struct stored_log *log, unsigned who)
{
    return nvl_world_entity(log->world, NVL_SORT_CHAR, who)->name;
}

/* A sentence of a card as a clause: small first letter, no full stop. */
static void put_clause(struct buf *out, const char *s)
{
    size_t size = strlen(s), at = out->size;
    while (size > 0 && (s[size - 1] == '.' || s[size - 1] == ' '))
        size--;
    bool word = size > 1 && s[1] >= 'a' && s[1] <= 'z'; /* "He", "They": no name begins a secret */
    buf_put(out, s, size);
    if (word && at < out->size && s[0] >= 'A' && s[0] <= 'Z' &&
        (strncmp(s, "He ", 3) == 0 || strncmp(s, "She ", 4) == 0 || strncmp(s, "They ", 5) == 0 || strncmp(s, "It ", 3) == 0))
        out->data[at] = (uint8_t) (s[0] - 'A' + 'a');
}

static void put_text(struct timeline *t, const struct nvl_belief *b, struct buf *out)
{
    static const char *const verbs[] = { "no longer has an opinion on it", "suspects", "believes", "does not believe" };
    const struct stored_log *log = &t->w->log;
    const struct nvl_entity *fact = nvl_world_entity(log->world, NVL_SORT_FACT, b->fact);
    const char *what = fact == NULL ? "" : fact->detail[0] != '\0' ? fact->detail : fact->name;
    buf_printf(out, "%s %s that ", brief(log, t->who), b->after < 4 ? verbs[b->after] : "");
    put_clause(out, what);
    switch (b->source) {
    case NVL_SAW:
        buf_puts(out, ", having seen it");
        break;
    case NVL_HEARD:
        if (b->informant != NVL_NONE)
            buf_printf(out, ", having it from %s", brief(log, b->informant));
        else
            buf_puts(out, ", having heard it");
        break;
    case NVL_TRACE:
        buf_puts(out, ", by a trace of it");
        break;
    case NVL_INFERRED:
        buf_puts(out, ", having worked it out");
        break;
    case NVL_KNEW:
        buf_puts(out, ", and has from the beginning");
        break;
    default:
        break;
    }
    buf_putc(out, '.');
}

static void add(struct timeline *t, const struct nvl_belief *b, uint32_t sequence, int32_t turn)
{
    struct work *w = t->w;
    NE(BeliefChange) *c = work_get(w, 1, sizeof *c);
    if (c == NULL || t->out->n_beliefs == t->room)
        return;
    struct buf text = { 0 };
    novelengine__v1__belief_change__init(c);
    c->character = (char *) nvl_entity_id(w->log.world, NVL_SORT_CHAR, b->character);
    c->fact = (char *) nvl_entity_id(w->log.world, NVL_SORT_FACT, b->fact);
    c->before = (NE(Belief)) b->before;
    c->after = (NE(Belief)) b->after;
    c->source = (char *) (b->informant != NVL_NONE ? nvl_entity_id(w->log.world, NVL_SORT_CHAR, b->informant)
                                                   : nvl_source_name(b->source));
    c->is_true = nvl_world_belief_true(w->log.world, b->fact, b->after);
    c->sequence = sequence;
    c->turn = turn;
    put_text(t, b, &text);
    c->text = work_text(w, &text);
    t->out->beliefs[t->out->n_beliefs++] = c;
}

static void add_initial(struct timeline *t)
{
    const struct stored_log *log = &t->w->log;
    int knows = nvl_pack_fluent_find(log->pack, "knows");
    size_t facts = nvl_world_count(log->world, NVL_SORT_FACT);
    for (size_t f = 0; f < facts && knows >= 0; f++) {
        int cell = nvl_world_cell(log->world, (size_t) knows, t->who, (unsigned) f);
        int16_t level = cell < 0 ? 0 : nvl_world_initial(log->world)[cell];
        struct nvl_belief b = { (uint8_t) t->who, (uint8_t) f, NVL_UNKNOWN, (uint8_t) level, NVL_KNEW, NVL_NONE };
        if (level > 0)
            add(t, &b, 1, 0);
    }
}

static void add_changes(struct timeline *t, int32_t at_turn)
{
    const struct stored_log *log = &t->w->log;
    for (size_t i = 0; i < log->count && (at_turn == 0 || log->events[i].turn <= at_turn); i++)
        for (unsigned k = 0; k < log->events[i].beliefs_count; k++)
            if (log->events[i].beliefs[k].character == t->who)
                add(t, &log->events[i].beliefs[k], log->events[i].sequence, log->events[i].turn);
}

/* ---- mistakes ---- */

static char *value_text(struct timeline *t, const struct nvl_cell *c, int value)
{
    struct buf b = { 0 };
    if (c->value_sort == NVL_SORT_NONE)
        buf_printf(&b, "%d", value);
    else if (value >= 0)
        buf_puts(&b, nvl_entity_id(t->w->log.world, (enum nvl_sort) c->value_sort, (unsigned) value));
    return work_text(t->w, &b);
}

/* What is held or is so of a cell, said of the thing that it is about: "is at the dock", "is open". */
static void put_state(const struct stored_log *log, const char *fluent, const struct nvl_cell *c, int value, bool plural,
                      struct buf *out)
{
    static const struct {
        const char *fluent, *none, *some;
    } phrases[] = {
        { "at", "nowhere near", "at " },
        { "lies", "no longer lying about", "at " },
        { "holder", "in nobody's hands", "in the hands of " },
        { "open", "shut", "open" },
        { "lit", "dark", "lit" },
        { "awake", "not awake", "awake" },
        { "pinned", "free", "pinned down" },
        { "found", "not found yet", "found" },
        { "peril", "safe", "dangerous" },
    };
    bool sorted = c->value_sort != NVL_SORT_NONE, none = sorted ? value < 0 : value == 0;
    buf_puts(out, plural ? "are " : "is ");
    for (size_t i = 0; i < ARRAY_SIZE(phrases); i++)
        if (strcmp(phrases[i].fluent, fluent) == 0) {
            buf_puts(out, none ? phrases[i].none : phrases[i].some);
            if (!none && sorted)
                work_put_thing(log, (enum nvl_sort) c->value_sort, (unsigned) value, out);
            return;
        }
    if (!sorted)
        buf_printf(out, "%d", value);
    else if (none)
        buf_puts(out, c->value_sort == NVL_SORT_CHAR ? "nobody" : "nothing");
    else
        work_put_thing(log, (enum nvl_sort) c->value_sort, (unsigned) value, out);
}

static void put_clue(const struct stored_log *log, unsigned clue, struct buf *out)
{
    const struct nvl_entity *e = nvl_world_entity(log->world, NVL_SORT_CLUE, clue);
    buf_puts(out, e == NULL ? "" : e->detail[0] != '\0' ? e->detail : e->name);
}

/* "Jordan Kim thinks that Yarrow is at the gate; Yarrow is at the hub." */
static void put_mistake(const struct stored_log *log, unsigned who, size_t cell, const struct nvl_cell *c, int believed,
                        int actual, struct buf *out)
{
    static const char *const of_a_thing[] = { "at", "lies", "holder", "open", "lit", "awake", "pinned", "found", "peril" };
    const char *fluent = nvl_pack_fluent_name(log->pack, c->fluent);
    struct buf subject = { 0 };
    bool known = false;
    for (size_t i = 0; i < ARRAY_SIZE(of_a_thing); i++)
        known = known || strcmp(of_a_thing[i], fluent) == 0;
    if (known && c->args_count == 1 && c->sorts[0] == NVL_SORT_CLUE)
        put_clue(log, c->args[0], &subject);
    else if (known && c->args_count == 1)
        work_put_thing(log, (enum nvl_sort) c->sorts[0], c->args[0], &subject);
    else
        work_put_cell(log, (unsigned) cell, &subject);
    const struct nvl_entity *thing =
        known && c->args_count == 1 ? nvl_world_entity(log->world, (enum nvl_sort) c->sorts[0], c->args[0]) : NULL;
    bool plural = thing != NULL && thing->plural;
    bool place = strcmp(fluent, "at") == 0 || strcmp(fluent, "lies") == 0;
    const char *again = c->args_count > 0 && c->sorts[0] == NVL_SORT_CHAR ? buf_str(&subject) : plural ? "they" : "it";
    buf_printf(out, "%s ", brief(log, who));
    if (place && believed < 0) {
        buf_printf(out, "does not know where %s %s: %s ", buf_str(&subject), plural ? "are" : "is", again);
    } else {
        buf_printf(out, "thinks that %s ", buf_str(&subject));
        put_state(log, fluent, c, believed, plural, out);
        buf_printf(out, "; %s ", again);
    }
    put_state(log, fluent, c, actual, plural, out);
    buf_putc(out, '.');
    out->failed |= subject.failed;
    buf_done(&subject);
}

static void add_mistake(struct timeline *t, const struct nvl_sim *sim, size_t cell, const struct nvl_cell *c)
{
    struct work *w = t->w;
    const struct stored_log *log = &w->log;
    NE(BeliefState__Mistake) *m = work_get(w, 1, sizeof *m);
    if (m == NULL)
        return;
    struct buf text = { 0 };
    novelengine__v1__belief_state__mistake__init(m);
    m->fluent = (char *) nvl_pack_fluent_name(log->pack, c->fluent);
    m->arguments = work_get(w, 2, sizeof *m->arguments);
    for (size_t i = 0; i < c->args_count && m->arguments != NULL; i++)
        m->arguments[m->n_arguments++] = (char *) nvl_entity_id(log->world, (enum nvl_sort) c->sorts[i], c->args[i]);
    m->believed = value_text(t, c, nvl_sim_belief(sim, t->who)[cell]);
    m->actual = value_text(t, c, nvl_sim_state(sim)[cell]);
    if (w->st.code != NRPC_OK)
        return;
    put_mistake(log, t->who, cell, c, nvl_sim_belief(sim, t->who)[cell], nvl_sim_state(sim)[cell], &text);
    m->text = work_text(w, &text);
    t->out->mistakes[t->out->n_mistakes++] = m;
}

/* How others feel and are is guessed at by everybody: that is no mistake about the world. */
static bool within_a_person(const struct nvl_cell *c)
{
    return c->args_count > 0 && c->sorts[0] == NVL_SORT_CHAR && c->value_sort == NVL_SORT_NONE;
}

/* Where the belief vector differs from the state, of all that a character can perceive at all. */
static void add_mistakes(struct timeline *t, int32_t at_turn)
{
    struct work *w = t->w;
    const struct stored_log *log = &w->log;
    struct nvl_error err = { 0 };
    struct nvl_sim *sim = NULL;
    uint32_t to = at_turn == 0 ? (uint32_t) log->row.turns_done : (uint32_t) at_turn;
    int rc = nvl_replay(log->pack, nvl_header_request(log->header), log->canonical, log->count, to, ignore, NULL, &err, &sim);
    if (rc != NVL_OK) {
        error_set(&w->st, rc == NVL_E_NOMEM ? ERROR_OUT_OF_MEMORY : ERROR_ENGINE_CHANGED,
                  rc == NVL_E_NOMEM ? "the server is out of memory" : "running '%s' again gives other bytes; verify it", w->id);
        return;
    }
    t->out->mistakes = work_get(w, MISTAKES_MAX, sizeof *t->out->mistakes);
    int knows = nvl_pack_fluent_find(log->pack, "knows");
    for (size_t cell = 0; cell < nvl_world_cells(log->world) && w->st.code == NRPC_OK && t->out->n_mistakes < MISTAKES_MAX;
         cell++) {
        struct nvl_cell c;
        if (nvl_sim_belief(sim, t->who)[cell] == nvl_sim_state(sim)[cell] ||
            nvl_world_cell_info(log->world, cell, &c) != NVL_OK || c.hidden || c.fluent == knows ||
            within_a_person(&c))
            continue;
        add_mistake(t, sim, cell, &c);
    }
    nvl_free(sim);
}

static void get_beliefs(struct work *w)
{
    const NE(GetBeliefsRequest) *ask = (const NE(GetBeliefsRequest) *) w->request;
    const struct stored_log *log = &w->log;
    struct timeline t = { .w = w };
    size_t people = nvl_world_count(log->world, NVL_SORT_CHAR);
    while (t.who < people && strcmp(nvl_entity_id(log->world, NVL_SORT_CHAR, t.who), ask->character_id) != 0)
        t.who++;
    if (t.who == people) {
        error_set_field(&w->st, "character_id", "'%.64s' is nobody of this simulation", ask->character_id);
        return;
    }
    if (ask->at_turn > log->row.turns_done) {
        error_set_field(&w->st, "at_turn", "%d turns are played", (int) log->row.turns_done);
        return;
    }
    t.room = nvl_world_count(log->world, NVL_SORT_FACT);
    for (size_t i = 0; i < log->count; i++)
        t.room += log->events[i].beliefs_count;
    t.out = work_get(w, 1, sizeof *t.out);
    if (t.out == NULL)
        return;
    novelengine__v1__belief_state__init(t.out);
    t.out->beliefs = work_get(w, t.room, sizeof *t.out->beliefs);
    if (t.out->beliefs == NULL)
        return;
    add_initial(&t);
    add_changes(&t, ask->at_turn);
    if (log->count > 0)
        add_mistakes(&t, ask->at_turn);
    w->reply = &t.out->base;
}

void handle_get_beliefs(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    work_start(ctx, c, m, novelengine_v1_novel_engine_get_beliefs_request(m)->simulation_id, 0, get_beliefs);
}
