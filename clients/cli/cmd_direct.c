/* direct: a director at the terminal, or a script in his place.
 *
 * Two threads: one reads lines, one at a time, and hands each to the client's loop, where
 * everything else happens.  A line is taken once the order before it was answered, so a script
 * needs no pauses. */
#include "clients/cli/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/c/novel_json.h"
#include "clients/cli/director.h"
#include "clients/cli/progress.h"
#include "rpc/base/alloc.h"
#include "rpc/base/check.h"

enum { LINE_MAX_BYTES = 4096 };

/* A line on its way from the reader to the loop; NULL text: there are no more. */
struct line {
    nrpc_task task;
    struct session *session;
    unsigned number;
    bool too_long;
    char *text;
};
struct session {
    struct ctl *c;
    nrpc_call *call; /* NULL: not open, or over */
    bool over;       /* set once the client returned: lines only free themselves */
    bool terminal, prompted;
    Novelengine__V1__DirectorCommand first;
    Novelengine__V1__DirectorUpdate__Stage *stage; /* of the last that came */
    nrpc_msg *stage_message;                       /* it lives in */
    uint64_t last_sequence;
    /* the order that waits for its answer */
    bool busy;
    char name[16], id[16];
    unsigned order_line, orders;
    bool stepping;           /* a script goes on when the turns were played */
    bool running, finished;  /* the story runs by itself; the seat is given up */
    bool quit, end_of_input; /* why the call was ended; nothing more is typed */
    unsigned wrong;          /* lines that were errors */
    bool ended;              /* the simulation did */
    int output_code;
    char ending[300];
    char id_text[64];
    struct line *line; /* that waits */
    /* the reader */
    pthread_t reader;
    sem_t taken;
    atomic_bool stop;
    int wake[2];
    unsigned lines_read;
};

/* ---- output ---- */

static void put(struct session *s, struct buf *b)
{
    if (s->prompted)
        fputs("\r\x1b[K", stdout);
    s->prompted = false;
    if (ctl_print(b) != EXIT_OK)
        s->output_code = EXIT_FAILED;
}

static void prompt(struct session *s)
{
    if (!s->terminal || s->prompted || s->busy || s->ended || s->end_of_input || s->stage == NULL)
        return;
    fputs(s->c->color_out ? "\x1b[1mdirect>\x1b[0m " : "direct> ", stdout);
    (void) fflush(stdout);
    s->prompted = true;
}

/* Something was wrong with a line: of a script, its number helps. */
static void complain(struct session *s, unsigned line, const char *text)
{
    s->wrong++;
    if (s->prompted)
        fputs("\r\x1b[K", stdout);
    s->prompted = false;
    if (s->terminal)
        (void) ctl_problem(0, "%s", text);
    else
        (void) ctl_problem(0, "line %u: %s", line, text);
}

/* ---- lines ---- */

static void free_line(struct line *l)
{
    alloc_free(l->text);
    alloc_free(l);
}

static void release_line(struct session *s)
{
    if (s->line == NULL)
        return;
    free_line(s->line);
    s->line = NULL;
    (void) sem_post(&s->taken);
}

static void end_call(struct session *s)
{
    nrpc_call *c = s->call;
    s->call = NULL;
    if (c != NULL)
        nrpc_call_cancel(c);
}

static void send_order(struct session *s, struct director_order *o)
{
    snprintf(s->id, sizeof s->id, "%u", ++s->orders);
    snprintf(s->name, sizeof s->name, "%s", o->name);
    o->command.command_id = s->id;
    s->busy = true;
    s->order_line = s->line->number;
    int r = novelengine_v1_novel_engine_direct_simulation_send(s->call, &o->command);
    if (r < 0 && r != NRPC_E_STATE) {
        s->busy = false;
        complain(s, s->line->number, nrpc_strerror(r));
    }
}

static void handle_line(struct session *s)
{
    struct director_order o;
    struct line *l = s->line;
    if (l->text == NULL) { /* the end: what runs is seen to its end, what waits is left */
        s->end_of_input = true;
        release_line(s);
        if (s->terminal || !(s->running || s->finished)) {
            s->quit = true;
            end_call(s);
        }
        return;
    }
    if (l->too_long) {
        complain(s, l->number, "the line is too long");
        release_line(s);
        return;
    }
    director_read(&o, l->text, s->stage);
    struct buf b = { 0 };
    switch (o.kind) {
    case DIRECTOR_SEND:
        send_order(s, &o);
        break;
    case DIRECTOR_SHOW:
        director_put_shown(&b, &o, s->stage, s->c->color_out);
        put(s, &b);
        break;
    case DIRECTOR_QUIT:
        s->quit = true;
        end_call(s);
        break;
    case DIRECTOR_WRONG:
        complain(s, l->number, o.problem);
        break;
    case DIRECTOR_NOTHING:
        break;
    }
    release_line(s);
}

/* Takes the line that waits, if its time has come. */
static void go_on(struct session *s)
{
    bool held = s->stepping && !s->terminal;
    if (s->line != NULL && s->call != NULL && s->stage != NULL && !s->busy && !held)
        handle_line(s);
    prompt(s);
}

static void on_line(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct line *l = CONTAINER_OF(t, struct line, task);
    struct session *s = l->session;
    if (s->over) {
        free_line(l);
        return;
    }
    s->prompted = false; /* the reader's Enter has ended it */
    s->line = l;
    go_on(s);
}

/* ---- what comes back ---- */

static void note_event(struct session *s, const Novelengine__V1__SimulationEvent *e)
{
    struct buf b = { 0 };
    progress_put_event(&b, e, isatty(STDOUT_FILENO) ? s->c->width_out : 0, s->c->color_out);
    buf_putc(&b, '\n');
    put(s, &b);
}

static void note_simulation(struct session *s, const Novelengine__V1__SimulationUpdate *u)
{
    switch (u->update_case) {
    case NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT:
        s->last_sequence = u->sequence;
        if (!s->c->json)
            note_event(s, u->event);
        break;
    case NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_RESULT:
        s->ended = true;
        break;
    case NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_ERROR:
        s->ended = true;
        snprintf(s->ending, sizeof s->ending, "the simulation ended: %s", u->error->message);
        break;
    default:
        break;
    }
    if (s->ended)
        s->stepping = false;
}

/* True when the message is kept. */
static bool note_stage(struct session *s, nrpc_msg *m,
                       Novelengine__V1__DirectorUpdate__Stage *stage)
{
    nrpc_msg_free(s->stage_message);
    s->stage_message = m;
    s->stage = stage;
    snprintf(s->id_text, sizeof s->id_text, "%s", stage->simulation_id);
    if (!s->c->json) {
        struct buf b = { 0 };
        director_put_stage(&b, stage, s->c->color_out);
        put(s, &b);
        if (s->terminal && s->orders == 0)
            ctl_hint(s->c, "It waits for you. Type help for what you can say.");
    }
    return true;
}

static void note_verdict(struct session *s, const Novelengine__V1__LawVerdict *v)
{
    s->stepping = strcmp(s->name, "step") == 0;
    if (strcmp(s->name, "resume") == 0)
        s->running = true;
    else if (s->stepping || strcmp(s->name, "pause") == 0)
        s->running = false;
    s->finished = s->finished || strcmp(s->name, "finish") == 0;
    struct buf b = { 0 };
    director_put_verdict(&b, s->name, v, s->c->color_out);
    if (!s->c->json && b.size > 0)
        put(s, &b);
    buf_done(&b);
}

static bool on_message(void *ctx, nrpc_msg *m)
{
    struct session *s = ctx;
    const Novelengine__V1__DirectorUpdate *u =
        novelengine_v1_novel_engine_direct_simulation_response(m);
    struct buf b = { 0 };
    bool kept = false;
    if (s->c->json && ctl_print_json(&u->base) != EXIT_OK)
        s->output_code = EXIT_FAILED;
    if (s->busy && strcmp(u->command_id, s->id) == 0)
        s->busy = false;
    switch (u->update_case) {
    case NOVELENGINE__V1__DIRECTOR_UPDATE__UPDATE_SIMULATION:
        note_simulation(s, u->simulation);
        break;
    case NOVELENGINE__V1__DIRECTOR_UPDATE__UPDATE_VERDICT:
        note_verdict(s, u->verdict);
        break;
    case NOVELENGINE__V1__DIRECTOR_UPDATE__UPDATE_ERROR:
        complain(s, s->order_line, u->error->message);
        break;
    case NOVELENGINE__V1__DIRECTOR_UPDATE__UPDATE_STAGE:
        kept = note_stage(s, m, u->stage);
        break;
    case NOVELENGINE__V1__DIRECTOR_UPDATE__UPDATE_PROPOSALS:
        s->stepping = s->running = false;
        if (!s->c->json) {
            director_put_proposals(&b, u->proposals, s->c->color_out);
            put(s, &b);
        }
        break;
    default:
        break;
    }
    if (!kept)
        nrpc_msg_free(m);
    if (s->output_code != EXIT_OK)
        s->call = NULL;
    else
        go_on(s);
    return s->output_code == EXIT_OK;
}

static void on_open(void *ctx, nrpc_call *c)
{
    struct session *s = ctx;
    s->call = c;
    (void) novelengine_v1_novel_engine_direct_simulation_send(
        c, &s->first); /* its end says what went wrong */
}

/* ---- the reader ---- */

static bool give_line(struct session *s, const char *text, size_t size, bool too_long)
{
    struct line *l = alloc_zero(1, sizeof *l);
    if (l == NULL)
        return false;
    l->task.run = on_line;
    l->session = s;
    l->too_long = too_long;
    l->number = ++s->lines_read;
    l->text = text != NULL ? alloc_strndup(text, size) : NULL;
    if (text != NULL && l->text == NULL) {
        alloc_free(l);
        return false;
    }
    nrpc_client_post(s->c->client, &l->task);
    while (sem_wait(&s->taken) < 0)
        continue;
    return !atomic_load(&s->stop);
}

/* Bytes of standard input; 0 at its end, or when the session is over. */
static size_t read_some(struct session *s, char *to, size_t size)
{
    struct pollfd fds[] = { { STDIN_FILENO, POLLIN, 0 }, { s->wake[0], POLLIN, 0 } };
    for (;;) {
        if (poll(fds, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return 0;
        }
        if (fds[1].revents != 0)
            return 0;
        ssize_t n = read(STDIN_FILENO, to, size);
        if (n >= 0)
            return (size_t) n;
        if (errno != EINTR && errno != EAGAIN)
            return 0;
    }
}

static void *read_lines(void *arg)
{
    struct session *s = arg;
    char line[LINE_MAX_BYTES], bytes[LINE_MAX_BYTES];
    size_t size = 0, n;
    bool too_long = false, go = true;
    while (go && (n = read_some(s, bytes, sizeof bytes)) > 0)
        for (size_t i = 0; go && i < n; i++) {
            if (bytes[i] == '\n') {
                go = give_line(s, line, size, too_long);
                size = 0;
                too_long = false;
            } else if (size < sizeof line) {
                line[size++] = bytes[i];
            } else {
                too_long = true;
            }
        }
    if (go && size > 0)
        go = give_line(s, line, size, too_long);
    if (go && !atomic_load(&s->stop))
        (void) give_line(s, NULL, 0, false);
    return NULL;
}

static bool start_reader(struct session *s)
{
    if (sem_init(&s->taken, 0, 0) < 0 || pipe(s->wake) < 0)
        return false;
    if (pthread_create(&s->reader, NULL, read_lines, s) == 0)
        return true;
    (void) close(s->wake[0]);
    (void) close(s->wake[1]);
    return false;
}

static void stop_reader(struct session *s)
{
    atomic_store(&s->stop, true);
    (void) sem_post(&s->taken);
    (void) !write(s->wake[1], "", 1);
    (void) pthread_join(s->reader, NULL);
    (void) close(s->wake[0]);
    (void) close(s->wake[1]);
    (void) sem_destroy(&s->taken);
}

/* ---- the command ---- */

static bool read_detach(struct ctl *c, Novelengine__V1__DirectorCommand__OnDetach *out)
{
    static const char *const words[] = { "", "continue", "pause", "cancel" };
    const char *text = ctl_text(c, FLAG_ON_DETACH);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(words[i], text) == 0) {
            *out = (Novelengine__V1__DirectorCommand__OnDetach) i;
            return true;
        }
    return false;
}

static void hint_left(struct session *s)
{
    static const char *const then[] = { "goes on after a while", "goes on after a while", "waits",
                                        "is cancelled after a while" };
    size_t what = s->first.command_case == NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_ATTACH
                      ? (size_t) s->first.attach->on_detach
                      : (size_t) s->first.on_detach;
    if (s->id_text[0] == '\0')
        return;
    ctl_hint(s->c,
             "Without you it %s.\n  come back:  novelctl%s direct --attach %s --after %" PRIu64
             "\n  watch it:   novelctl%s watch %s",
             s->finished ? "runs on to its end" : then[what], ctl_server_flag(s->c), s->id_text,
             s->last_sequence, ctl_server_flag(s->c), s->id_text);
}

static int end(struct session *s, nrpc_code code)
{
    struct ctl *c = s->c;
    if (s->prompted)
        fputs("\r\x1b[K", stdout);
    if (s->output_code != EXIT_OK) {
        nrpc_status_clear(&c->status);
        return s->output_code;
    }
    if (s->quit && code == NRPC_CANCELLED) {
        nrpc_status_clear(&c->status);
        hint_left(s);
    } else if (code != NRPC_OK) {
        int failed = ctl_fail(c, &c->status);
        hint_left(s);
        return failed;
    } else if (s->ending[0] != '\0') {
        return ctl_problem(EXIT_FAILED, "%s", s->ending);
    } else {
        ctl_hint(c, "The story is told.\n  read it:  novelctl%s story %s", ctl_server_flag(c),
                 s->id_text);
    }
    return s->wrong > 0 && !s->terminal ? EXIT_INVALID : EXIT_OK;
}

static int run(struct session *s)
{
    struct ctl *c = s->c;
    const char *metadata[] = { "idempotency-key", ctl_text(c, FLAG_KEY), NULL };
    nrpc_client_options options = { .metadata = args_has(&c->args, FLAG_KEY) ? metadata : NULL };
    s->terminal = !c->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (!start_reader(s))
        return ctl_problem(EXIT_FAILED, "cannot read standard input: %s", strerror(errno));
    const nrpc_method *method = &novelengine_v1_novel_engine_service
                                     .methods[NOVELENGINE_V1_NOVEL_ENGINE_METHOD_DIRECT_SIMULATION];
    nrpc_code code =
        nrpc_client_duplex(c->client, method, &options, on_open, on_message, s, &c->status);
    s->call = NULL;
    s->over = true;
    stop_reader(s);
    release_line(s);
    int result = end(s, code);
    nrpc_msg_free(s->stage_message);
    return result;
}

int cmd_direct(struct ctl *c)
{
    static struct session session; /* lines that come late look at it, up to the client's end */
    struct session *s = &session;
    struct request request;
    Novelengine__V1__DirectorCommand__Attach attach =
        NOVELENGINE__V1__DIRECTOR_COMMAND__ATTACH__INIT;
    Novelengine__V1__DirectorCommand__OnDetach on_detach;
    memset(s, 0, sizeof *s);
    s->c = c;
    novelengine__v1__director_command__init(&s->first);
    if (!read_detach(c, &on_detach))
        return ctl_problem(EXIT_USAGE, "--on-detach is continue, pause or cancel, not '%s'",
                           ctl_text(c, FLAG_ON_DETACH));
    bool attaches = args_has(&c->args, FLAG_ATTACH);
    if (attaches == (c->args.n > 0))
        return ctl_problem(EXIT_USAGE, attaches
                                           ? "give characters or --attach, not both"
                                           : "give characters, or a simulation with --attach ID");
    if (args_has(&c->args, FLAG_FULL))
        s->first.view = NOVELENGINE__V1__EVENT_VIEW__EVENT_VIEW_FULL;
    if (attaches) {
        attach.simulation_id = ctl_text(c, FLAG_ATTACH);
        attach.after_sequence = s->last_sequence = c->args.number[FLAG_AFTER];
        attach.on_detach = on_detach;
        s->first.command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_ATTACH;
        s->first.attach = &attach;
    } else {
        request_init(&request, c);
        s->first.on_detach = on_detach;
        s->first.command_case = NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_START;
        s->first.start = &request.proto;
    }
    return run(s);
}
