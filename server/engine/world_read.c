/* world_read.c — what others may know of a world. */
#include "server/engine/world.h"
#include <string.h>

const struct nvl_pack *nvl_world_pack(const struct nvl_world *w)
{
    return w->pack;
}
size_t nvl_world_count(const struct nvl_world *w, enum nvl_sort sort)
{
    return (unsigned) sort < NVL_SORTS ? w->counts[sort] : 0;
}
size_t nvl_world_cast_count(const struct nvl_world *w)
{
    return w->request->cast_count;
}
const struct nvl_entity *nvl_world_entity(const struct nvl_world *w, enum nvl_sort sort, size_t i)
{
    return i < nvl_world_count(w, sort) ? &w->entities[sort][i] : NULL;
}
const struct nvl_profile *nvl_world_profile(const struct nvl_world *w, size_t cast)
{
    return cast < w->request->cast_count ? &w->request->cast[cast] : NULL;
}
const char *nvl_world_frame(const struct nvl_world *w)
{
    return w->pack->frames[w->frame].name;
}
const char *nvl_world_truth(const struct nvl_world *w)
{
    return w->pack->truths[w->truth].name;
}
const char *nvl_world_genre(const struct nvl_world *w)
{
    return w->pack->genres[w->genre];
}
const char *nvl_world_locale(const struct nvl_world *w)
{
    return w->locale;
}
const char *nvl_world_question(const struct nvl_world *w)
{
    return w->question;
}
enum nvl_mood nvl_world_mood(const struct nvl_world *w)
{
    return w->request->mood;
}
uint32_t nvl_world_turns(const struct nvl_world *w)
{
    return w->request->turns;
}
uint64_t nvl_world_seed(const struct nvl_world *w)
{
    return w->request->seed;
}
const char *nvl_world_setting(const struct nvl_world *w, enum nvl_setting_kind *out_kind)
{
    *out_kind = (enum nvl_setting_kind) w->setting_kind;
    return w->setting;
}
const char *nvl_world_saying(const struct nvl_world *w)
{
    return w->saying;
}
size_t nvl_world_noun_count(const struct nvl_world *w)
{
    return w->nouns_count;
}
const char *nvl_world_noun(const struct nvl_world *w, size_t i, bool *out_placed)
{
    if (i >= w->nouns_count)
        return "";
    if (out_placed != NULL)
        *out_placed = w->nouns[i].placed;
    return w->nouns[i].text;
}
size_t nvl_world_cells(const struct nvl_world *w)
{
    return w->cells;
}
const int16_t *nvl_world_initial(const struct nvl_world *w)
{
    return w->initial;
}
bool nvl_world_belief_true(const struct nvl_world *w, unsigned fact, unsigned level)
{
    if (fact >= w->counts[NVL_SORT_FACT] || level == NVL_UNKNOWN || level > NVL_DISBELIEVES)
        return false;
    bool so = world_get(w, w->initial, KNOWN_FACT_TRUE, fact, 0) == 1; /* it is static */
    return so == (level != NVL_DISBELIEVES);
}
int nvl_world_cell(const struct nvl_world *w, size_t fluent, unsigned a, unsigned b)
{
    return fluent < w->pack->counts[SEC_FLUE] ? world_cell(w, (unsigned) fluent, a, b) : -1;
}
int nvl_world_cell_info(const struct nvl_world *w, size_t cell, struct nvl_cell *out)
{
    if (cell >= w->cells)
        return NVL_E_INVALID;
    const struct cell_ref *r = &w->refs[cell];
    const struct pack_fluent *f = &w->pack->fluents[r->fluent];
    *out = (struct nvl_cell){ .fluent = r->fluent,
                              .args_count = (uint8_t) ((f->sorts[0] != 0) + (f->sorts[1] != 0)),
                              .sorts = { f->sorts[0], f->sorts[1] },
                              .args = { r->a, r->b },
                              .value_sort = f->value_sort,
                              .hidden = f->see == SEE_NEVER };
    return NVL_OK;
}

static void put_str(struct buf *b, const char *s)
{
    size_t n = strlen(s);
    put16(b, (unsigned) n);
    buf_put(b, s, n);
}
int nvl_world_encode(const struct nvl_world *w, struct buf *out)
{
    put_str(out, nvl_world_frame(w)), put_str(out, nvl_world_truth(w)),
        put_str(out, nvl_world_genre(w));
    put_str(out, w->locale);
    for (unsigned sort = 1; sort < NVL_SORTS; sort++) {
        put8(out, w->counts[sort]);
        for (unsigned i = 0; i < w->counts[sort]; i++) {
            const struct nvl_entity *e = &w->entities[sort][i];
            put_str(out, e->id), put_str(out, e->name), put_str(out, e->brief),
                put_str(out, e->kind);
            put_str(out, e->pronouns), put_str(out, e->detail);
            put8(out, (unsigned) (e->proper | e->plural << 1 | e->from_user << 2)),
                put16(out, (uint16_t) e->owner);
        }
    }
    put8(out, (unsigned) w->request->cast_count), put16(out, w->cells);
    for (uint32_t i = 0; i < w->cells; i++)
        put16(out, (uint16_t) w->initial[i]);
    return out->failed ? NVL_E_NOMEM : NVL_OK;
}

/* --- names
 * ------------------------------------------------------------------------------------------------
 */

const char *nvl_entity_id(const struct nvl_world *w, enum nvl_sort sort, unsigned i)
{
    const struct nvl_entity *e = nvl_world_entity(w, sort, i);
    return e != NULL ? e->id : "";
}
const char *nvl_event_op_name(const struct nvl_world *w, const struct nvl_event *e)
{
    return e->op < w->pack->counts[SEC_OPER] ? w->pack->ops[e->op].name : "";
}
enum nvl_sort nvl_event_arg_sort(const struct nvl_world *w, const struct nvl_event *e, size_t arg)
{
    if (e->op >= w->pack->counts[SEC_OPER] || arg >= w->pack->ops[e->op].params_count)
        return NVL_SORT_NONE;
    return (enum nvl_sort) w->pack->ops[e->op].params[arg].sort;
}
const char *nvl_event_actor_id(const struct nvl_world *w, const struct nvl_event *e)
{
    return e->actor == NVL_ACTOR_WORLD      ? "world"
           : e->actor == NVL_ACTOR_DIRECTOR ? "director"
                                            : nvl_entity_id(w, NVL_SORT_CHAR, e->actor);
}
const char *nvl_beat_name(const struct nvl_world *w, const struct nvl_event *e)
{
    (void) w;
    return nvl_phase_name(e->phase);
}
const char *nvl_thread_name(const struct nvl_world *w, unsigned thread)
{
    return thread < w->pack->counts[SEC_THRD] ? w->pack->threads[thread] : "";
}
const char *nvl_ending_name(const struct nvl_world *w, unsigned ending)
{
    return ending < w->pack->counts[SEC_ENDI] ? w->pack->endings[ending].name : "";
}
int nvl_ending_tone(const struct nvl_world *w, unsigned ending)
{
    return ending < w->pack->counts[SEC_ENDI] ? w->pack->endings[ending].tone : 0;
}
const char *nvl_goal_name(const struct nvl_world *w, unsigned goal)
{
    return goal < w->pack->counts[SEC_GOAL] ? w->pack->goals[goal].name : "";
}
static const char *pick(const char *const *list, size_t count, unsigned i)
{
    return i < count ? list[i] : "";
}
#define PICK(list, i) pick(list, sizeof(list) / sizeof((list)[0]), i)
const char *nvl_term_name(unsigned term)
{
    static const char *const names[] = { "goal", "drive",    "trait", "emotion", "relation",
                                         "norm", "director", "cost",  "novelty", "luck" };
    return PICK(names, term);
}
const char *nvl_phase_name(unsigned phase)
{
    return PICK(pack_phase_names, phase);
}
const char *nvl_outcome_name(unsigned outcome)
{
    static const char *const names[] = { "", "critical", "ok", "partial", "fail" };
    return PICK(names, outcome);
}
const char *nvl_cause_kind_name(unsigned kind)
{
    static const char *const names[] = { "",       "enables",  "motivates",   "informs",
                                         "reacts", "prevents", "foreshadows", "intervention" };
    return PICK(names, kind);
}
const char *nvl_repair_name(unsigned repair)
{
    static const char *const names[] = { "", "rebind", "lower", "sibling", "next", "hesitate" };
    return PICK(names, repair);
}
const char *nvl_source_name(unsigned source)
{
    static const char *const names[] = { "", "saw", "heard", "trace", "inferred", "knew" };
    return PICK(names, source);
}
void nvl_law_code(unsigned code, char out[static 8])
{
    out[0] = 'E', out[1] = out[2] = '0', out[3] = (char) ('0' + (code >> 4 & 7)), out[4] = '.';
    out[5] = (char) ('0' + (code & 7)), out[6] = 0, out[7] = 0;
}
void nvl_cell_text(const struct nvl_world *w, unsigned cell, struct buf *out)
{
    struct nvl_cell c;
    if (nvl_world_cell_info(w, cell, &c) != NVL_OK)
        return;
    buf_puts(out, w->pack->fluents[c.fluent].name);
    for (unsigned i = 0; i < c.args_count; i++) {
        buf_puts(out, i == 0 ? "(" : ", ");
        buf_puts(out, nvl_entity_id(w, (enum nvl_sort) c.sorts[i], c.args[i]));
    }
    if (c.args_count > 0)
        buf_putc(out, ')');
}

/* --- plain lines
 * ------------------------------------------------------------------------------------------ */

void world_put_entity(const struct nvl_world *w, enum nvl_sort sort, unsigned i, bool spoilers,
                      struct buf *out)
{
    const struct nvl_entity *e = nvl_world_entity(w, sort, i);
    if (e == NULL) {
        buf_puts(out, "nothing");
        return;
    }
    if (sort == NVL_SORT_CHAR) {
        buf_printf(out, "%s%s", e->proper ? "" : "the ", e->name);
    } else if (sort == NVL_SORT_FACT) {
        bool secret = strcmp(e->kind, "secret") == 0;
        buf_puts(out, !secret                         ? e->detail
                      : spoilers && e->detail[0] != 0 ? e->detail
                                                      : "something best not said here");
    } else if (sort == NVL_SORT_CLUE) {
        buf_puts(out, e->name);
    } else {
        buf_puts(out, e->proper ? "" : "the ");
        buf_puts(out, e->name);
    }
}
static const char *pronoun(const struct nvl_entity *e, const char *form)
{
    static const struct {
        const char *subject, *object, *possessive, *self;
    } table[] = { { "he", "him", "his", "himself" },
                  { "she", "her", "her", "herself" },
                  { "they", "them", "their", "themself" },
                  { "it", "it", "its", "itself" } };
    size_t k = 3;
    for (size_t i = 0; e != NULL && i < 4; i++)
        if (strcmp(table[i].subject, e->pronouns) == 0)
            k = i;
    return strcmp(form, "obj") == 0    ? table[k].object
           : strcmp(form, "poss") == 0 ? table[k].possessive
           : strcmp(form, "self") == 0 ? table[k].self
                                       : table[k].subject;
}
/* {A} names argument A; {A.pron}, {A.obj}, {A.poss}, {A.self} its pronouns.  Unknown slots are left
 * out. */
static void put_slot(const struct nvl_world *w, const struct nvl_event *e, const char *slot,
                     size_t size, bool spoilers, struct buf *out)
{
    const struct pack_op *op = &w->pack->ops[e->op];
    const char *dot = memchr(slot, '.', size);
    size_t n = dot != NULL ? (size_t) (dot - slot) : size;
    for (unsigned i = 0; i < op->params_count; i++) {
        if (strlen(op->params[i].name) != n || memcmp(op->params[i].name, slot, n) != 0)
            continue;
        char form[8] = "";
        if (dot == NULL) {
            world_put_entity(w, (enum nvl_sort) op->params[i].sort, e->args[i], spoilers, out);
        } else if (size - n - 1 < sizeof(form)) {
            memcpy(form, dot + 1, size - n - 1);
            buf_puts(
                out,
                pronoun(nvl_world_entity(w, (enum nvl_sort) op->params[i].sort, e->args[i]), form));
        }
    }
}
static void put_plain(const struct nvl_world *w, const struct nvl_event *e, const char *plain,
                      bool spoilers, struct buf *out)
{
    size_t start = out->size;
    for (const char *p = plain; *p != 0; p++) {
        const char *close = *p == '{' ? strchr(p, '}') : NULL;
        if (close != NULL) {
            put_slot(w, e, p + 1, (size_t) (close - p - 1), spoilers, out);
            p = close;
        } else {
            buf_putc(out, *p);
        }
    }
    if (out->size > start && out->data[start] >= 'a' && out->data[start] <= 'z')
        out->data[start] = (uint8_t) (out->data[start] - 'a' + 'A');
}
void nvl_law_text(const struct nvl_world *w, const struct nvl_event *e, struct buf *out)
{
    static const char *const laws[6] = { "",
                                         "nothing leads to it",
                                         "what it takes is not there",
                                         "place or body do not allow it",
                                         "it breaks what was laid down",
                                         "rank, trust or occasion forbid it" };
    if (e->codes_count == 0)
        return;
    buf_puts(out, laws[e->codes[0] >> 4 <= 5 ? e->codes[0] >> 4 : 0]);
    if (e->reason != NVL_NO_CELL) {
        buf_puts(out, ": ");
        nvl_cell_text(w, e->reason, out);
    }
}
const char *world_refusal(unsigned code)
{
    switch (code) {
    case 0x31:
        return "it cannot be done from there";
    case 0x32:
        return "the body will not do it";
    case 0x33:
        return "there is no time left for it";
    case 0x42:
        return "it would deny what has been told already";
    case 0x51:
        return "it would go against someone of higher standing";
    case 0x52:
        return "it would break a trust that is worth more";
    case 0x53:
        return "there is nothing of the kind to speak of";
    }
    switch (code >> 4) {
    case 1:
        return "there is no reason to think it would work";
    case 2:
        return "what it takes is not at hand";
    case 4:
        return "that is settled already";
    }
    return "it cannot be";
}

void nvl_event_text(const struct nvl_world *w, const struct nvl_event *e, bool spoilers,
                    struct buf *out)
{
    if (e->type == NVL_STARTED) {
        buf_puts(out, "The story begins near ");
        buf_puts(out, w->locale);
        buf_putc(out, '.');
    } else if (e->type == NVL_COMPLETED) {
        const char *clause =
            e->ending < w->pack->counts[SEC_ENDI] ? w->pack->endings[e->ending].clause : "";
        buf_puts(out, clause[0] != 0 ? clause : "The story ends.");
    } else if (e->type == NVL_INTERVENTION || e->type == NVL_FORKED) {
        world_edit_text(w, e, spoilers, out);
    } else if (e->type == NVL_CANCELLED) {
        buf_puts(out, "The story is broken off.");
    } else if (e->op >= w->pack->counts[SEC_OPER]) {
        buf_puts(out, "Something happens.");
    } else if (e->type == NVL_REJECTED) {
        world_put_entity(w, NVL_SORT_CHAR, e->actor, spoilers, out);
        buf_puts(out, " has to let it be (");
        for (const char *p = w->pack->ops[e->op].name; *p != 0; p++)
            buf_putc(out, *p == '_' ? ' ' : *p);
        buf_puts(out, "): ");
        buf_puts(out, world_refusal(e->codes_count > 0 ? e->codes[0] : 0));
        buf_putc(out, '.');
    } else {
        unsigned k = e->outcome >= 1 && e->outcome <= 4 ? e->outcome - 1u : 1u;
        put_plain(w, e, w->pack->ops[e->op].plain[k], spoilers, out);
    }
}
