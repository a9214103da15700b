/* simulate, submit, watch: running and following. */
#include "clients/cli/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/c/novel_json.h"
#include "clients/cli/progress.h"
#include "rpc/base/alloc.h"

enum { PATIENCE_DEFAULT_MS = 60000, TURNS_DEFAULT = 3, STORY_WIDTH_MAX = 88 };

/* One followed simulation on the screen. */
struct screen {
    struct ctl *c;
    struct progress progress;
    bool events;     /* a line for each */
    FILE *events_to; /* where they go */
    bool bar;        /* redraw on stderr */
    bool drawn;      /* the bar is on the screen */
    bool said_lost;
    int said_turn; /* plain progress: the last turn that was told */
    int output_code;
    uint64_t seed;
    char *story;
    char ending[300]; /* why it did not complete */
    int32_t words, event_count, turns_executed;
    double seconds;
};

/* ---- requests ---- */
void request_init(struct request *r, struct ctl *c)
{
    novelengine__v1__simulation_request__init(&r->proto);
    google__protobuf__int32_value__init(&r->turns);
    google__protobuf__uint64_value__init(&r->seed);
    google__protobuf__uint32_value__init(&r->words);
    novelengine__v1__telling__init(&r->telling);
    r->proto.character_names = (char **) c->args.positional;
    r->proto.n_character_names = c->args.n;
    r->proto.setting = ctl_text(c, FLAG_SETTING);
    r->proto.scenario = ctl_text(c, FLAG_SCENARIO);
    r->proto.mood = ctl_text(c, FLAG_MOOD);
    r->proto.campaign_id = ctl_text(c, FLAG_CAMPAIGN);
    r->telling.narrative_style = ctl_text(c, FLAG_STYLE);
    r->telling.perspective = ctl_text(c, FLAG_PERSPECTIVE);
    r->telling.focaliser = ctl_text(c, FLAG_FOCALISER);
    r->turns.value = (int32_t) c->args.number[FLAG_TURNS];
    r->seed.value = c->args.number[FLAG_SEED];
    r->words.value = (uint32_t) c->args.number[FLAG_WORDS];
    r->proto.turns = args_has(&c->args, FLAG_TURNS) ? &r->turns : NULL;
    r->proto.seed = args_has(&c->args, FLAG_SEED) ? &r->seed : NULL;
    r->telling.words = args_has(&c->args, FLAG_WORDS) ? &r->words : NULL;
    if ((c->args.given &
         (FLAG_BIT(FLAG_STYLE) | FLAG_BIT(FLAG_PERSPECTIVE) | FLAG_BIT(FLAG_FOCALISER) |
          FLAG_BIT(FLAG_WORDS))) != 0)
        r->proto.telling = &r->telling;
}

/* ---- the screen ---- */
static void screen_clear(struct screen *s)
{
    if (s->drawn)
        fputs("\r\x1b[K\x1b[1A\r\x1b[K", stderr);
    s->drawn = false;
}

static void screen_draw(struct screen *s)
{
    if (!s->bar)
        return;
    struct buf b = { 0 };
    buf_puts(&b, s->drawn ? "\x1b[1A\r\x1b[K" : "\r\x1b[K");
    struct buf lines = { 0 };
    progress_put_bar(&lines, &s->progress, term_width(STDERR_FILENO), s->c->color_err, term_utf8());
    const char *text = buf_str(&lines);
    size_t first = strcspn(text, "\n");
    buf_put(&b, text, first);
    buf_puts(&b, "\n\x1b[K");
    buf_puts(&b, text[first] == '\n' ? text + first + 1 : "");
    fwrite(b.data, 1, b.failed ? 0 : b.size, stderr);
    fflush(stderr);
    s->drawn = true;
    buf_done(&lines);
    buf_done(&b);
}

/* The bar's last state stays, on one line. */
static void screen_finish(struct screen *s)
{
    if (!s->drawn)
        return;
    screen_clear(s);
    s->progress.text[0] = '\0';
    struct buf b = { 0 };
    progress_put_bar(&b, &s->progress, term_width(STDERR_FILENO), s->c->color_err, term_utf8());
    const char *text = buf_str(&b);
    fprintf(stderr, "%.*s\n\n", (int) strcspn(text, "\n"), text);
    buf_done(&b);
}

static void put_event_line(struct screen *s, const Novelengine__V1__SimulationEvent *e)
{
    struct buf b = { 0 };
    bool out = s->events_to == stdout;
    unsigned width = isatty(out ? STDOUT_FILENO : STDERR_FILENO)
                         ? term_width(out ? STDOUT_FILENO : STDERR_FILENO)
                         : 0;
    screen_clear(s);
    progress_put_event(&b, e, width, out ? s->c->color_out : s->c->color_err);
    buf_putc(&b, '\n');
    if (out)
        s->output_code = ctl_print(&b);
    else
        fputs(buf_str(&b), stderr);
    buf_done(&b);
}

/* Elsewhere than on a terminal: a line a turn. */
static void put_turn_line(struct screen *s, const Novelengine__V1__SimulationEvent *e)
{
    if (e->turn == s->said_turn || e->turn == 0)
        return;
    s->said_turn = e->turn;
    struct buf b = { 0 };
    if (s->progress.turns > 0)
        buf_printf(&b, "turn %d of %d", s->progress.turn, s->progress.turns);
    else
        buf_printf(&b, "turn %d", s->progress.turn);
    buf_printf(&b, ", %s, tension %d: ", progress_phase_name(s->progress.phase),
               s->progress.tension);
    term_put_line(&b, s->progress.text, 200);
    fprintf(stderr, "%s\n", buf_str(&b));
    buf_done(&b);
}

static void note_event(struct screen *s, const Novelengine__V1__SimulationEvent *e)
{
    if (s->events)
        put_event_line(s, e);
    else if (!s->bar && !s->c->json)
        put_turn_line(s, e);
    if (e->type == NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_CANCELLED)
        snprintf(s->ending, sizeof s->ending, "the simulation was cancelled in turn %d", e->turn);
    else if (e->type == NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_FAILED)
        snprintf(s->ending, sizeof s->ending, "the simulation failed: %s", e->text);
}

static bool note_result(struct screen *s, const Novelengine__V1__SimulationResult *r)
{
    s->progress.percent = 100;
    s->seed = r->seed;
    s->turns_executed = r->turns_executed;
    s->seconds = r->duration_seconds;
    s->words = r->metadata != NULL ? r->metadata->word_count : 0;
    s->event_count = r->metadata != NULL ? r->metadata->event_count : 0;
    alloc_free(s->story);
    s->story = alloc_strdup(r->story);
    s->ending[0] = '\0';
    return s->story != NULL;
}

static bool on_update(void *ctx, const Novelengine__V1__SimulationUpdate *u)
{
    struct screen *s = ctx;
    s->said_lost = false;
    progress_note(&s->progress, u);
    if (s->c->json)
        s->output_code = ctl_print_json(&u->base);
    bool good = true;
    switch (u->update_case) {
    case NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT:
        note_event(s, u->event);
        break;
    case NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_RESULT:
        good = note_result(s, u->result);
        break;
    case NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_ERROR:
        snprintf(s->ending, sizeof s->ending, "the simulation failed: %s", u->error->message);
        break;
    default:
        break;
    }
    screen_draw(s);
    return good && s->output_code == EXIT_OK;
}

static void on_lost(void *ctx, const nrpc_status *why, unsigned delay_ms)
{
    struct screen *s = ctx;
    (void) delay_ms;
    s->progress.lost = true;
    screen_draw(s);
    if (!s->said_lost && !s->bar)
        ctl_hint(s->c, "connection lost (%s); connecting again",
                 why->message != NULL ? why->message : "closed");
    s->said_lost = true;
}

static bool stopped(void *ctx)
{
    (void) ctx;
    return ctl_interrupted();
}

static void screen_init(struct screen *s, struct ctl *c, int turns)
{
    memset(s, 0, sizeof *s);
    s->c = c;
    s->progress.turns = turns;
    s->progress.tension = -1;
    s->bar = !c->json && isatty(STDERR_FILENO);
    s->events_to = stderr;
}

static void follow_init(struct novel_follow *f, struct screen *s)
{
    const struct args *a = &s->c->args;
    memset(f, 0, sizeof *f);
    f->on_update = on_update;
    f->on_lost = on_lost;
    f->stopped = stopped;
    f->ctx = s;
    f->patience_ms = args_has(a, FLAG_PATIENCE) ? (unsigned) a->number[FLAG_PATIENCE]
                                                : (unsigned) PATIENCE_DEFAULT_MS;
}

/* ---- endings ---- */
/* How to see it again or go on, when there is something to go on with. */
static void hint_go_on(struct ctl *c, const struct novel_follow *f)
{
    if (f->simulation_id[0] == '\0')
        return;
    ctl_hint(
        c,
        "The simulation goes on without you.\n  follow it:  novelctl%s watch %s --after %" PRIu64
        "\n  stop it:    novelctl%s cancel %s",
        ctl_server_flag(c), f->simulation_id, f->last_sequence, ctl_server_flag(c),
        f->simulation_id);
}

static int end_badly(struct screen *s, const struct novel_follow *f, nrpc_status *st)
{
    screen_clear(s);
    if (s->output_code != EXIT_OK) { /* told already */
        nrpc_status_clear(st);
        return s->output_code;
    }
    bool lost = st->code == NRPC_UNAVAILABLE || st->code == NRPC_CANCELLED ||
                st->code == NRPC_DEADLINE_EXCEEDED;
    bool gone = s->ending[0] != '\0';
    int code = gone ? ctl_problem(EXIT_FAILED, "%s", s->ending) : ctl_fail(s->c, st);
    nrpc_status_clear(st);
    if (lost && !gone)
        hint_go_on(s->c, f);
    return code;
}

static int print_story(struct screen *s)
{
    struct ctl *c = s->c;
    struct buf b = { 0 };
    if (isatty(STDOUT_FILENO)) {
        term_put_story(&b, s->story,
                       c->width_out > STORY_WIDTH_MAX ? STORY_WIDTH_MAX : c->width_out - 1,
                       c->color_out);
    } else {
        buf_puts(&b, s->story);
        if (b.size > 0 && b.data[b.size - 1] != '\n')
            buf_putc(&b, '\n');
    }
    return ctl_print(&b);
}

static void print_summary(struct screen *s, const struct novel_follow *f)
{
    struct buf b = { 0 };
    buf_printf(&b, "%s: seed %" PRIu64 ", %d turns, %d events, %d words, ", f->simulation_id,
               s->seed, s->turns_executed, s->event_count, s->words);
    ctl_put_duration(&b, s->seconds);
    ctl_hint(s->c, "%s%s", isatty(STDOUT_FILENO) ? "\n" : "", buf_str(&b));
    buf_done(&b);
}

int cmd_simulate(struct ctl *c)
{
    struct request request;
    struct screen s;
    struct novel_follow f;
    request_init(&request, c);
    screen_init(&s, c, request.proto.turns != NULL ? request.turns.value : TURNS_DEFAULT);
    s.events = args_has(&c->args, FLAG_EVENTS) && !c->json;
    follow_init(&f, &s);
    const char *key = args_has(&c->args, FLAG_KEY) ? c->args.text[FLAG_KEY] : NULL;
    int code = EXIT_OK;
    if (novel_follow_start(c->client, &f, &request.proto, key, &c->status) != NRPC_OK ||
        s.story == NULL) {
        if (c->status.code == NRPC_OK && s.ending[0] == '\0')
            snprintf(s.ending, sizeof s.ending,
                     "the stream ended without a story; novelctl show %s says more",
                     f.simulation_id);
        code = end_badly(&s, &f, &c->status);
    } else {
        screen_finish(&s);
        code = c->json ? EXIT_OK : print_story(&s);
        print_summary(&s, &f);
    }
    alloc_free(s.story);
    return code;
}

static int follow_story(struct screen *s, struct novel_follow *f)
{
    struct ctl *c = s->c;
    if (novel_follow_watch(c->client, f, &c->status) != NRPC_OK || s->story == NULL) {
        if (c->status.code == NRPC_OK && s->ending[0] == '\0')
            snprintf(s->ending, sizeof s->ending, "it ended without a story; novelctl show %s says more",
                     f->simulation_id);
        return end_badly(s, f, &c->status);
    }
    screen_finish(s);
    int code = c->json ? EXIT_OK : print_story(s);
    print_summary(s, f);
    return code;
}

int ctl_follow_story(struct ctl *c, const char *id, int turns)
{
    struct screen s;
    struct novel_follow f;
    screen_init(&s, c, turns);
    follow_init(&f, &s);
    snprintf(f.simulation_id, sizeof f.simulation_id, "%s", id);
    int code = follow_story(&s, &f);
    alloc_free(s.story);
    return code;
}

int cmd_watch(struct ctl *c)
{
    struct screen s;
    struct novel_follow f;
    screen_init(&s, c, 0);
    s.bar = false;
    s.events = !c->json;
    s.events_to = stdout;
    follow_init(&f, &s);
    const char *id = c->args.positional[0];
    if (strlen(id) >= sizeof f.simulation_id)
        return ctl_problem(EXIT_NOT_FOUND, "there is no simulation with such a long id");
    memcpy(f.simulation_id, id, strlen(id) + 1);
    f.last_sequence = c->args.number[FLAG_AFTER];
    if (args_has(&c->args, FLAG_FULL))
        f.view = NOVELENGINE__V1__EVENT_VIEW__EVENT_VIEW_FULL;
    int code = EXIT_OK;
    if (novel_follow_watch(c->client, &f, &c->status) != NRPC_OK || s.ending[0] != '\0') {
        code = end_badly(&s, &f, &c->status);
    } else if (s.story != NULL) {
        print_summary(&s, &f);
        ctl_hint(c, "  read it:  novelctl%s story %s", ctl_server_flag(c), f.simulation_id);
    }
    alloc_free(s.story);
    return code;
}

int cmd_submit(struct ctl *c)
{
    struct request request;
    request_init(&request, c);
    const char *metadata[] = { "idempotency-key", ctl_text(c, FLAG_KEY), NULL };
    if (args_has(&c->args, FLAG_KEY))
        c->options.metadata = metadata;
    nrpc_msg *m;
    const Novelengine__V1__Simulation *made;
    if (novelengine_v1_novel_engine_submit_simulation(c->client, &c->options, &request.proto, &m,
                                                      &made, &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code;
    if (c->json) {
        code = ctl_print_json(&made->base);
    } else {
        struct buf b = { 0 };
        buf_printf(&b, "%s\n", made->simulation_id);
        code = ctl_print(&b);
        if (isatty(STDOUT_FILENO))
            ctl_hint(c, "  follow it:  novelctl%s watch %s", ctl_server_flag(c),
                     made->simulation_id);
    }
    nrpc_msg_free(m);
    return code;
}
