#include "clients/cli/director.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/args.h"
#include "clients/cli/term.h"
#include "rpc/base/check.h"

typedef Novelengine__V1__DirectorUpdate__Stage stage_t;

enum action {
    DO_PAUSE,
    DO_RESUME,
    DO_STEP,
    DO_WHISPER,
    DO_ACT,
    DO_INCIDENT,
    DO_TRAIT,
    DO_ITEM,
    DO_FORBID,
    DO_SWAP,
    DO_VETO,
    DO_FINISH,
    DO_QUIT,
    DO_SHOW
};
static const struct order {
    const char *name, *arguments, *help;
    size_t min, max; /* words behind the name */
    enum action action;
    const char *sort; /* DO_SHOW: of the entities */
} orders[] = {
    { "step", "[N]", "play a turn, or N of them, then wait", 0, 1, DO_STEP, NULL },
    { "resume", "", "let it run; what you order counts at the next turn's end", 0, 0, DO_RESUME,
      NULL },
    { "pause", "", "wait at the next turn's end", 0, 0, DO_PAUSE, NULL },
    { "veto", "N", "this proposal must not be", 1, 1, DO_VETO, NULL },
    { "act", "WHO OPERATOR [TARGET...]", "somebody does this next, whatever it wanted", 2, 12,
      DO_ACT, NULL },
    { "forbid", "WHO|anyone OPERATOR", "somebody never does this from here on", 2, 2, DO_FORBID,
      NULL },
    { "whisper", "WHO FACT [unknown|suspects|believes|disbelieves]",
      "somebody now holds this (believes)", 2, 3, DO_WHISPER, NULL },
    { "trait", "WHO TRAIT VALUE", "a trait becomes 0 to 100", 3, 3, DO_TRAIT, NULL },
    { "item", "ITEM TO", "an item goes to a place or a character", 2, 2, DO_ITEM, NULL },
    { "incident", "NAME", "it strikes as the next turn begins", 1, 1, DO_INCIDENT, NULL },
    { "swap", "OUT IN", "another character takes part, before anything has happened", 2, 2, DO_SWAP,
      NULL },
    { "finish", "", "leave; the simulation runs on to its end", 0, 0, DO_FINISH, NULL },
    { "quit", "", "leave; it waits for what --on-detach says", 0, 0, DO_QUIT, NULL },
    { "who", "", "characters", 0, 0, DO_SHOW, "character" },
    { "where", "", "places", 0, 0, DO_SHOW, "place" },
    { "items", "", "items", 0, 0, DO_SHOW, "item" },
    { "facts", "", "what may be known, and what it says", 0, 0, DO_SHOW, "fact" },
    { "links", "", "ways between places", 0, 0, DO_SHOW, "link" },
    { "clues", "", "traces that tell of facts", 0, 0, DO_SHOW, "clue" },
    { "motifs", "", "what is spoken of", 0, 0, DO_SHOW, "motif" },
    { "operators", "[WORD]", "what characters do, and to what; with WORD in the name", 0, 1,
      DO_SHOW, NULL },
    { "incidents", "", "what may befall them", 0, 0, DO_SHOW, NULL },
    { "traits", "", "traits", 0, 0, DO_SHOW, NULL },
    { "help", "", "this", 0, 0, DO_SHOW, NULL },
};

static bool wrong(struct director_order *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool wrong(struct director_order *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(o->problem, sizeof o->problem, format, args);
    va_end(args);
    o->kind = DIRECTOR_WRONG;
    return false;
}

/* ---- names ---- */

/* Candidates of one kind; at most so many are looked at for a suggestion. */
struct names {
    const char *items[1024];
    size_t n;
};

static void add_name(struct names *names, const char *name)
{
    if (names->n < ARRAY_SIZE(names->items))
        names->items[names->n++] = name;
}

static void add_sort(struct names *names, const stage_t *stage, const char *sort)
{
    for (size_t i = 0; i < stage->n_entities; i++)
        if (strcmp(stage->entities[i]->sort, sort) == 0)
            add_name(names, stage->entities[i]->id);
}

static void add_operators(struct names *names, const stage_t *stage)
{
    for (size_t i = 0; i < stage->n_operators; i++)
        add_name(names, stage->operators[i]->name);
}

static void add_strings(struct names *names, char **items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_name(names, items[i]);
}

/* Begun alike, if only one is; else what is spelt nearly so. */
static const char *meant(const char *word, const char *const *items, size_t n)
{
    const char *only = NULL;
    size_t begun = 0, size = strlen(word);
    for (size_t i = 0; i < n; i++)
        if (size > 0 && strncmp(items[i], word, size) == 0) {
            only = items[i];
            begun++;
        }
    return begun == 1 ? only : args_nearest(word, items, n);
}

static bool known(struct director_order *o, const struct names *names, const char *what,
                  const char *list, const char *word)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i], word) == 0)
            return true;
    const char *near = meant(word, names->items, names->n);
    if (near != NULL)
        return wrong(o, "there is no %s '%.60s'; did you mean '%.60s'?", what, word, near);
    return wrong(o, "there is no %s '%.60s'; '%s' lists them", what, word, list);
}

static bool known_sort(struct director_order *o, const stage_t *stage, const char *sort,
                       const char *list, const char *word)
{
    struct names names = { .n = 0 };
    if (stage == NULL)
        return true;
    add_sort(&names, stage, sort);
    return known(o, &names, sort, list, word);
}

static bool known_operator(struct director_order *o, const stage_t *stage, const char *word)
{
    struct names names = { .n = 0 };
    if (stage == NULL)
        return true;
    add_operators(&names, stage);
    return known(o, &names, "operator", "operators", word);
}

static bool known_string(struct director_order *o, char **items, size_t n, const char *what,
                         const char *list, const char *word)
{
    struct names names = { .n = 0 };
    add_strings(&names, items, n);
    return known(o, &names, what, list, word);
}

static bool known_end(struct director_order *o, const stage_t *stage, const char *word)
{
    struct names names = { .n = 0 };
    if (stage == NULL)
        return true;
    add_sort(&names, stage, "character");
    add_sort(&names, stage, "place");
    return known(o, &names, "place or character", "where", word);
}

static bool read_number(struct director_order *o, const char *word, long min, long max,
                        const char *what, long *out)
{
    char *end;
    long n = strtol(word, &end, 10);
    if (*end != '\0' || end == word || n < min || n > max)
        return wrong(o, "%s must be %ld to %ld, not '%.30s'", what, min, max, word);
    *out = n;
    return true;
}

/* ---- edits ---- */

static bool read_whisper(struct director_order *o, const stage_t *stage)
{
    static const char *const levels[] = { "unknown", "suspects", "believes", "disbelieves" };
    Novelengine__V1__Edit__Whisper *w = &o->part.whisper;
    novelengine__v1__edit__whisper__init(w);
    w->character = o->words[1];
    w->fact = o->words[2];
    w->belief = NOVELENGINE__V1__BELIEF__BELIEF_BELIEVES;
    bool found = o->n < 4;
    for (size_t i = 0; o->n == 4 && i < ARRAY_SIZE(levels); i++)
        if (strcmp(o->words[3], levels[i]) == 0) {
            w->belief = (Novelengine__V1__Belief) i;
            found = true;
        }
    if (!found)
        return wrong(o, "'%.30s' is none of unknown, suspects, believes, disbelieves", o->words[3]);
    o->edit.edit_case = NOVELENGINE__V1__EDIT__EDIT_WHISPER;
    o->edit.whisper = w;
    return known_sort(o, stage, "character", "who", w->character) &&
           known_sort(o, stage, "fact", "facts", w->fact);
}

static bool read_act(struct director_order *o, const stage_t *stage)
{
    Novelengine__V1__Edit__Act *a = &o->part.act;
    novelengine__v1__edit__act__init(a);
    a->actor = o->words[1];
    a->operator_ = o->words[2];
    a->n_targets = o->n - 3;
    a->targets = &o->words[3];
    o->edit.edit_case = NOVELENGINE__V1__EDIT__EDIT_ACT;
    o->edit.act = a;
    return known_sort(o, stage, "character", "who", a->actor) &&
           known_operator(o, stage, a->operator_);
}

static bool read_trait(struct director_order *o, const stage_t *stage)
{
    Novelengine__V1__Edit__SetTrait *t = &o->part.trait;
    long value = 0;
    novelengine__v1__edit__set_trait__init(t);
    if (!read_number(o, o->words[3], 0, 100, "a trait", &value))
        return false;
    t->character = o->words[1];
    t->trait = o->words[2];
    t->value = (int32_t) value;
    o->edit.edit_case = NOVELENGINE__V1__EDIT__EDIT_TRAIT;
    o->edit.trait = t;
    return known_sort(o, stage, "character", "who", t->character) &&
           (stage == NULL ||
            known_string(o, stage->traits, stage->n_traits, "trait", "traits", t->trait));
}

static bool read_item(struct director_order *o, const stage_t *stage)
{
    Novelengine__V1__Edit__MoveItem *m = &o->part.item;
    novelengine__v1__edit__move_item__init(m);
    m->item = o->words[1];
    m->to = o->words[2];
    o->edit.edit_case = NOVELENGINE__V1__EDIT__EDIT_ITEM;
    o->edit.item = m;
    return known_sort(o, stage, "item", "items", m->item) && known_end(o, stage, m->to);
}

static bool read_incident(struct director_order *o, const stage_t *stage)
{
    o->edit.edit_case = NOVELENGINE__V1__EDIT__EDIT_INCIDENT;
    o->edit.incident = o->words[1];
    return stage == NULL || known_string(o, stage->incidents, stage->n_incidents, "incident",
                                         "incidents", o->words[1]);
}

static bool read_forbid(struct director_order *o, const stage_t *stage)
{
    Novelengine__V1__Edit__ForbidOperator *f = &o->part.forbid;
    novelengine__v1__edit__forbid_operator__init(f);
    bool anyone = strcmp(o->words[1], "anyone") == 0;
    f->actor = anyone ? (char *) "" : o->words[1];
    f->operator_ = o->words[2];
    o->edit.edit_case = NOVELENGINE__V1__EDIT__EDIT_FORBID;
    o->edit.forbid = f;
    return (anyone || known_sort(o, stage, "character", "who", f->actor)) &&
           known_operator(o, stage, f->operator_);
}

static bool read_swap(struct director_order *o, const stage_t *stage)
{
    Novelengine__V1__Edit__SwapCharacter *s = &o->part.swap;
    novelengine__v1__edit__swap_character__init(s);
    s->out = o->words[1];
    s->in = o->words[2];
    o->edit.edit_case = NOVELENGINE__V1__EDIT__EDIT_SWAP;
    o->edit.swap = s;
    return known_sort(o, stage, "character", "who", s->out);
}

static bool read_edit(struct director_order *o, enum action action, const stage_t *stage)
{
    novelengine__v1__edit__init(&o->edit);
    o->command.command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_EDIT;
    o->command.edit = &o->edit;
    switch (action) {
    case DO_WHISPER:
        return read_whisper(o, stage);
    case DO_ACT:
        return read_act(o, stage);
    case DO_TRAIT:
        return read_trait(o, stage);
    case DO_ITEM:
        return read_item(o, stage);
    case DO_INCIDENT:
        return read_incident(o, stage);
    case DO_FORBID:
        return read_forbid(o, stage);
    default:
        return read_swap(o, stage);
    }
}

/* ---- lines ---- */

static bool read_plain(struct director_order *o, enum action action)
{
    Novelengine__V1__DirectorCommand *c = &o->command;
    long n = 1;
    google__protobuf__empty__init(&o->part.empty);
    switch (action) {
    case DO_PAUSE:
        c->command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_PAUSE;
        c->pause = &o->part.empty;
        return true;
    case DO_RESUME:
        c->command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_RESUME;
        c->resume = &o->part.empty;
        return true;
    case DO_FINISH:
        c->command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_FINISH;
        c->finish = &o->part.empty;
        return true;
    case DO_STEP:
        if (o->n > 1 && !read_number(o, o->words[1], 1, 50, "the number of turns", &n))
            return false;
        c->command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_STEP_TURNS;
        c->step_turns = (int32_t) n;
        return true;
    default:
        if (!read_number(o, o->words[1], 1, INT32_MAX, "a proposal", &n))
            return false;
        novelengine__v1__director_command__veto__init(&o->part.veto);
        o->part.veto.proposal = (uint32_t) n;
        c->command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_VETO;
        c->veto = &o->part.veto;
        return true;
    }
}

static const struct order *find_order(struct director_order *o)
{
    struct names names = { .n = 0 };
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
        if (strcmp(orders[i].name, o->words[0]) == 0)
            return &orders[i];
        add_name(&names, orders[i].name);
    }
    const char *near = meant(o->words[0], names.items, names.n);
    if (near != NULL)
        (void) wrong(o, "there is no order '%.30s'; did you mean '%s'?", o->words[0], near);
    else
        (void) wrong(o, "there is no order '%.30s'; 'help' lists them", o->words[0]);
    return NULL;
}

static bool cut(struct director_order *o, char *line)
{
    char *rest = NULL;
    o->n = 0;
    for (char *word = strtok_r(line, " \t\r\n", &rest); word != NULL;
         word = strtok_r(NULL, " \t\r\n", &rest)) {
        if (o->n == 0 && word[0] == '#')
            break;
        if (o->n == DIRECTOR_WORDS_MAX)
            return wrong(o, "these are too many words");
        o->words[o->n++] = word;
    }
    return true;
}

void director_read(struct director_order *o, char *line, const stage_t *stage)
{
    o->kind = DIRECTOR_NOTHING;
    o->name = "";
    o->problem[0] = '\0';
    novelengine__v1__director_command__init(&o->command);
    if (!cut(o, line) || o->n == 0)
        return;
    const struct order *found = find_order(o);
    if (found == NULL)
        return;
    o->name = found->name;
    if (o->n - 1 < found->min || o->n - 1 > found->max) {
        (void) wrong(o, "say it so: %s %s", found->name, found->arguments);
        return;
    }
    bool good = true;
    enum director_kind kind = DIRECTOR_SEND;
    if (found->action == DO_SHOW)
        kind = DIRECTOR_SHOW;
    else if (found->action == DO_QUIT)
        kind = DIRECTOR_QUIT;
    else if (found->action >= DO_WHISPER && found->action <= DO_SWAP)
        good = read_edit(o, found->action, stage);
    else
        good = read_plain(o, found->action);
    if (good)
        o->kind = kind;
}

/* ---- what is shown ---- */

static void put_help(struct buf *out, bool color)
{
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
        char left[80];
        snprintf(left, sizeof left, "%s%s%s", orders[i].name,
                 orders[i].arguments[0] != '\0' ? " " : "", orders[i].arguments);
        buf_puts(out, "  ");
        term_put_styled(out, TERM_BOLD, color, left);
        buf_printf(out, "%*s  %s\n", strlen(left) < 32 ? (int) (32 - strlen(left)) : 0, "",
                   orders[i].help);
    }
}

static void put_safe_column(struct buf *out, const char *text, int width)
{
    struct buf cell = { 0 };
    term_put_line(&cell, text, 60);
    buf_puts(out, buf_str(&cell));
    for (int at = (int) term_columns(buf_str(&cell), cell.size); at < width; at++)
        buf_putc(out, ' ');
    out->failed |= cell.failed;
    buf_done(&cell);
}

static void put_entities(struct buf *out, const stage_t *stage, const char *sort)
{
    size_t shown = 0;
    for (size_t i = 0; i < stage->n_entities; i++) {
        const Novelengine__V1__DirectorUpdate__Entity *e = stage->entities[i];
        if (strcmp(e->sort, sort) != 0)
            continue;
        buf_puts(out, "  ");
        put_safe_column(out, e->id, 22);
        buf_putc(out, ' ');
        struct buf text = { 0 };
        bool named = strcmp(e->name, e->id) != 0;
        buf_puts(&text, named ? e->name : "");
        if (e->detail[0] != '\0')
            buf_printf(&text, "%s%s", named && e->name[0] != '\0' ? ": " : "", e->detail);
        term_put_line(out, buf_str(&text), 300);
        buf_done(&text);
        buf_putc(out, '\n');
        shown++;
    }
    if (shown == 0)
        buf_puts(out, "  none\n");
}

static void put_operators(struct buf *out, const stage_t *stage, const char *word)
{
    for (size_t i = 0; i < stage->n_operators; i++) {
        const Novelengine__V1__DirectorUpdate__Operator *op = stage->operators[i];
        if (word != NULL && strstr(op->name, word) == NULL)
            continue;
        buf_puts(out, "  ");
        put_safe_column(out, op->name, 22);
        for (size_t k = 0; k < op->n_targets; k++) {
            buf_putc(out, ' ');
            put_safe_column(out, op->targets[k], 0);
        }
        buf_puts(out, op->reaction ? "  (in answer to another act)\n" : "\n");
    }
}

static void put_strings(struct buf *out, char **items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, "  ");
        put_safe_column(out, items[i], 0);
        buf_putc(out, '\n');
    }
}

void director_put_shown(struct buf *out, const struct director_order *o, const stage_t *stage,
                        bool color)
{
    if (strcmp(o->name, "help") == 0) {
        put_help(out, color);
        return;
    }
    if (stage == NULL)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
        if (strcmp(orders[i].name, o->name) == 0 && orders[i].sort != NULL)
            put_entities(out, stage, orders[i].sort);
    if (strcmp(o->name, "operators") == 0)
        put_operators(out, stage, o->n > 1 ? o->words[1] : NULL);
    else if (strcmp(o->name, "incidents") == 0)
        put_strings(out, stage->incidents, stage->n_incidents);
    else if (strcmp(o->name, "traits") == 0)
        put_strings(out, stage->traits, stage->n_traits);
}

void director_put_stage(struct buf *out, const stage_t *stage, bool color)
{
    struct buf cast = { 0 };
    for (size_t i = 0; i < stage->n_entities && strcmp(stage->entities[i]->sort, "character") == 0;
         i++)
        buf_printf(&cast, "%s%s", i > 0 ? ", " : "", stage->entities[i]->id);
    term_put_styled(out, TERM_BOLD, color, stage->simulation_id);
    buf_printf(out, ": %d of %d turns played. With ", stage->turns_done, stage->turns);
    term_put_line(out, buf_str(&cast), 300);
    buf_puts(out, ".\n");
    buf_done(&cast);
}

void director_put_proposals(struct buf *out, const Novelengine__V1__DirectorUpdate__Proposals *p,
                            bool color)
{
    term_put_styled(out, TERM_DIM, color, "Next, unless you say otherwise:");
    buf_putc(out, '\n');
    for (size_t i = 0; i < p->n_proposals; i++) {
        const Novelengine__V1__DirectorUpdate__Proposal *one = p->proposals[i];
        char number[16];
        snprintf(number, sizeof number, "%5u", one->proposal);
        term_put_styled(out, TERM_CYAN, color, number);
        buf_puts(out, "  ");
        put_safe_column(out, one->actor, 14);
        buf_putc(out, ' ');
        put_safe_column(out, one->operator_, 0);
        for (size_t k = 0; k < one->n_targets; k++) {
            buf_putc(out, ' ');
            put_safe_column(out, one->targets[k], 0);
        }
        buf_putc(out, '\n');
    }
}

void director_put_verdict(struct buf *out, const char *name, const Novelengine__V1__LawVerdict *v,
                          bool color)
{
    static const char *const words[][2] = {
        { "pause", "It waits." },
        { "resume", "It runs." },
        { "finish", "You have left; it runs on to its end." },
        { "step", "" },
        { "veto", "It will not be." },
        { "swap", "The cast is changed." },
    };
    if (v->verdict == NOVELENGINE__V1__LAW_VERDICT__VERDICT__VERDICT_REJECTED) {
        struct buf line = { 0 };
        buf_puts(&line, "The laws forbid it (");
        for (size_t i = 0; i < v->n_codes; i++)
            buf_printf(&line, "%s%s", i > 0 ? ", " : "", v->codes[i]);
        buf_printf(&line, "): %s", v->reason);
        struct buf safe = { 0 };
        term_put_line(&safe, buf_str(&line), 400);
        term_put_styled(out, TERM_RED, color, buf_str(&safe));
        buf_putc(out, '\n');
        buf_done(&safe);
        buf_done(&line);
        return;
    }
    const char *text = "Done; it is in the log.";
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(words[i][0], name) == 0)
            text = words[i][1];
    if (text[0] == '\0')
        return;
    term_put_styled(out, TERM_GREEN, color, text);
    buf_putc(out, '\n');
}
