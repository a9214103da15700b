/* list, show, story, cancel, delete, export: stored simulations. */
#include "clients/cli/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clients/cli/table.h"
#include "rpc/base/clock.h"

enum { LIMIT_DEFAULT = 20, PAGE_SIZE = 100, STORY_WIDTH_MAX = 88 };

/* ---- list ---- */
static void put_cast(struct buf *b, const Novelengine__V1__Simulation *s)
{
    for (size_t i = 0; s->request != NULL && i < s->request->n_character_names; i++)
        buf_printf(b, "%s%s", i > 0 ? ", " : "", s->request->character_names[i]);
}

static void put_age(struct buf *b, const Google__Protobuf__Timestamp *t)
{
    if (t == NULL)
        return;
    double seconds = (double) (int64_t) (clock_wall_ns() / 1000000000u) - (double) t->seconds;
    if (seconds < 1)
        buf_puts(b, "now");
    else if (seconds < 60)
        buf_printf(b, "%.0f s ago", seconds);
    else if (seconds < 3600)
        buf_printf(b, "%.0f min ago", seconds / 60);
    else if (seconds < 86400)
        buf_printf(b, "%.0f h ago", seconds / 3600);
    else
        buf_printf(b, "%.0f d ago", seconds / 86400);
}

static void add_row(struct table *t, const Novelengine__V1__Simulation *s)
{
    struct buf cells[4] = { { 0 } };
    const Novelengine__V1__SimulationResult *r = s->result;
    if (s->state == NOVELENGINE__V1__SIMULATION__STATE__STATE_RUNNING)
        buf_printf(&cells[0], "running %d %%", s->progress_percent);
    else
        buf_puts(&cells[0], ctl_state_name(s->state));
    buf_printf(&cells[1], "%d", s->turns_done);
    put_age(&cells[2], s->create_time);
    if (r != NULL && r->metadata != NULL && r->metadata->title[0] != '\0')
        buf_printf(&cells[3], "%s: ", r->metadata->title);
    put_cast(&cells[3], s);
    const char *row[] = { s->simulation_id, buf_str(&cells[0]), buf_str(&cells[1]),
                          buf_str(&cells[2]), buf_str(&cells[3]) };
    table_add(t, row);
    for (size_t i = 0; i < 4; i++)
        buf_done(&cells[i]);
}

static bool parse_state(const char *text, Novelengine__V1__Simulation__State *out)
{
    for (int i = NOVELENGINE__V1__SIMULATION__STATE__STATE_QUEUED;
         i <= NOVELENGINE__V1__SIMULATION__STATE__STATE_CANCELLED; i++)
        if (strcmp(text, ctl_state_name((Novelengine__V1__Simulation__State) i)) == 0) {
            *out = (Novelengine__V1__Simulation__State) i;
            return true;
        }
    return false;
}

/* Pages until `left` rows were taken or there are no more.  With --json each page is one line. */
static int list_pages(struct ctl *c, Novelengine__V1__ListSimulationsRequest *request,
                      uint64_t left, struct table *t, bool *out_more)
{
    nrpc_msg *page = NULL;
    int code = EXIT_OK;
    do {
        nrpc_msg *m;
        const Novelengine__V1__ListSimulationsResponse *r;
        request->page_size = left < PAGE_SIZE ? (int32_t) left : PAGE_SIZE;
        if (novelengine_v1_novel_engine_list_simulations(c->client, &c->options, request, &m, &r,
                                                         &c->status) != NRPC_OK) {
            code = ctl_fail(c, &c->status);
            break;
        }
        nrpc_msg_free(page); /* its token was sent */
        page = m;
        for (size_t i = 0; i < r->n_simulations && !c->json; i++)
            add_row(t, r->simulations[i]);
        if (c->json)
            code = ctl_print_json(&r->base);
        left -= r->n_simulations < left ? r->n_simulations : left;
        request->page_token = r->next_page_token;
    } while (code == EXIT_OK && left > 0 && request->page_token[0] != '\0');
    *out_more = request->page_token[0] != '\0';
    nrpc_msg_free(page);
    return code;
}

int cmd_list(struct ctl *c)
{
    Novelengine__V1__ListSimulationsRequest request =
        NOVELENGINE__V1__LIST_SIMULATIONS_REQUEST__INIT;
    if (args_has(&c->args, FLAG_STATE) && !parse_state(c->args.text[FLAG_STATE], &request.state))
        return ctl_problem(
            EXIT_USAGE, "--state must be queued, running, completed, failed or cancelled, not '%s'",
            c->args.text[FLAG_STATE]);
    struct table t;
    table_init(&t, 5);
    table_add(&t, (const char *[]){ "ID", "STATE", "TURNS", "MADE", "STORY" });
    bool more = false;
    uint64_t limit = args_has(&c->args, FLAG_LIMIT) ? c->args.number[FLAG_LIMIT] : LIMIT_DEFAULT;
    int code = list_pages(c, &request, limit, &t, &more);
    bool empty = t.first == NULL || t.first->next == NULL;
    struct buf b = { 0 };
    table_put(&t, &b, isatty(STDOUT_FILENO) ? c->width_out : 0, c->color_out);
    if (code == EXIT_OK && !c->json && empty)
        ctl_hint(c, "There are none yet. Make one:  novelctl simulate pilot scientist");
    else if (code == EXIT_OK && !c->json)
        code = ctl_print(&b);
    if (code == EXIT_OK && more && !empty)
        ctl_hint(c, "There are more: novelctl list --limit N");
    buf_done(&b);
    return code;
}

/* ---- show ---- */
static void put_request(struct buf *b, const Novelengine__V1__SimulationRequest *r)
{
    if (r->campaign_id[0] != '\0')
        buf_printf(b, "chapter of  %s\n", r->campaign_id);
    if (r->setting[0] != '\0')
        buf_printf(b, "setting     %s\n", r->setting);
    if (r->scenario[0] != '\0')
        buf_printf(b, "scenario    %s\n", r->scenario);
    if (r->mood[0] != '\0')
        buf_printf(b, "mood        %s\n", r->mood);
    if (r->turns != NULL)
        buf_printf(b, "turns       %d\n", r->turns->value);
    if (r->seed != NULL)
        buf_printf(b, "seed        %" PRIu64 "\n", r->seed->value);
}

static void put_simulation(struct buf *b, const Novelengine__V1__Simulation *s)
{
    buf_printf(b, "id          %s\nstate       %s", s->simulation_id, ctl_state_name(s->state));
    if (s->state == NOVELENGINE__V1__SIMULATION__STATE__STATE_RUNNING)
        buf_printf(b, ", %d %%", s->progress_percent);
    buf_puts(b, "\ncast        ");
    put_cast(b, s);
    buf_putc(b, '\n');
    if (s->parent_id[0] != '\0')
        buf_printf(b, "fork of     %s, after turn %d\n", s->parent_id, s->fork_turn);
    if (s->request != NULL)
        put_request(b, s->request);
    buf_printf(b, "done        %d turns, %" PRIu64 " events\n", s->turns_done, s->last_sequence);
    if (s->create_time != NULL) {
        buf_puts(b, "made        ");
        put_age(b, s->create_time);
        buf_putc(b, '\n');
    }
    if (s->error != NULL)
        buf_printf(b, "error       %s\n", s->error->message);
    if (s->result != NULL && s->result->metadata != NULL) {
        const Novelengine__V1__StoryMetadata *d = s->result->metadata;
        buf_printf(b, "title       %s\nending      %s\nwords       %d\n", d->title, d->ending,
                   d->word_count);
        buf_puts(b, "took        ");
        ctl_put_duration(b, s->result->duration_seconds);
        buf_putc(b, '\n');
    }
    if (s->chain_head[0] != '\0')
        buf_printf(b, "chain head  %s\n", s->chain_head);
}

static int print_simulation(struct ctl *c, const Novelengine__V1__Simulation *s)
{
    if (c->json)
        return ctl_print_json(&s->base);
    struct buf text = { 0 }, safe = { 0 };
    put_simulation(&text, s);
    term_put_safe(&safe, buf_str(&text));
    safe.failed |= text.failed;
    buf_done(&text);
    return ctl_print(&safe);
}

int cmd_show(struct ctl *c)
{
    Novelengine__V1__GetSimulationRequest request = NOVELENGINE__V1__GET_SIMULATION_REQUEST__INIT;
    request.simulation_id = (char *) c->args.positional[0];
    nrpc_msg *m;
    const Novelengine__V1__Simulation *s;
    if (novelengine_v1_novel_engine_get_simulation(c->client, &c->options, &request, &m, &s,
                                                   &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code = print_simulation(c, s);
    nrpc_msg_free(m);
    return code;
}

int cmd_cancel(struct ctl *c)
{
    Novelengine__V1__CancelSimulationRequest request =
        NOVELENGINE__V1__CANCEL_SIMULATION_REQUEST__INIT;
    request.simulation_id = (char *) c->args.positional[0];
    nrpc_msg *m;
    const Novelengine__V1__Simulation *s;
    if (novelengine_v1_novel_engine_cancel_simulation(c->client, &c->options, &request, &m, &s,
                                                      &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code = EXIT_OK;
    if (c->json)
        code = ctl_print_json(&s->base);
    else
        printf("%s %s\n", request.simulation_id,
               s->state == NOVELENGINE__V1__SIMULATION__STATE__STATE_CANCELLED
                   ? "cancelled"
                   : "stops within a turn");
    nrpc_msg_free(m);
    return code;
}

int cmd_delete(struct ctl *c)
{
    Novelengine__V1__DeleteSimulationRequest request =
        NOVELENGINE__V1__DELETE_SIMULATION_REQUEST__INIT;
    request.simulation_id = (char *) c->args.positional[0];
    request.force = args_has(&c->args, FLAG_FORCE);
    nrpc_msg *m;
    const Google__Protobuf__Empty *empty;
    if (novelengine_v1_novel_engine_delete_simulation(c->client, &c->options, &request, &m, &empty,
                                                      &c->status) != NRPC_OK) {
        bool running = c->status.code == NRPC_FAILED_PRECONDITION && !request.force;
        int code = ctl_fail(c, &c->status);
        if (running)
            ctl_hint(c, "Hint: --force cancels it first.");
        return code;
    }
    int code = EXIT_OK;
    if (c->json)
        code = ctl_print_json(&empty->base);
    else
        printf("%s deleted\n", request.simulation_id);
    nrpc_msg_free(m);
    return code;
}

/* ---- bytes to a file or stdout ---- */
struct sink {
    FILE *file;
    const char *name; /* for messages */
    char part[4096];  /* an ordinary file grows under this name until it is whole; "": written in
                         place */
    uint64_t bytes;
    int error; /* errno of the first failed write */
};

static bool sink_open(struct ctl *c, struct sink *s)
{
    s->file = stdout;
    s->name = "standard output";
    s->part[0] = '\0';
    if (!args_has(&c->args, FLAG_OUTPUT))
        return true;
    s->name = c->args.text[FLAG_OUTPUT];
    struct stat info;
    if (stat(s->name, &info) != 0 || S_ISREG(info.st_mode))
        snprintf(s->part, sizeof s->part, "%s.part", s->name);
    s->file = fopen(s->part[0] != '\0' ? s->part : s->name, "wb");
    if (s->file == NULL)
        ctl_problem(EXIT_FAILED, "cannot write %s: %s", s->name, strerror(errno));
    return s->file != NULL;
}

static bool sink_put(struct sink *s, const void *data, size_t size)
{
    errno = 0;
    if (fwrite(data, 1, size, s->file) != size) {
        s->error = errno != 0 ? errno : EIO;
        return false;
    }
    s->bytes += size;
    return true;
}

/* Flushes, closes, and gives a whole file its name; what is not whole (or not wanted) goes.  The
 * exit code. */
static int sink_close(struct sink *s, bool wanted)
{
    errno = 0;
    if (s->error == 0 && fflush(s->file) != 0)
        s->error = errno;
    if (s->file != stdout && fclose(s->file) != 0 && s->error == 0)
        s->error = errno;
    if (s->part[0] != '\0') {
        if (s->error != 0 || !wanted)
            remove(s->part);
        else if (rename(s->part, s->name) != 0)
            s->error = errno;
    }
    if (s->error == 0)
        return EXIT_OK;
    return s->error == EPIPE
               ? EXIT_FAILED
               : ctl_problem(EXIT_FAILED, "cannot write %s: %s", s->name, strerror(s->error));
}

static bool is_text(const char *content_type)
{
    return strncmp(content_type, "text/", 5) == 0;
}

static int print_story(struct ctl *c, const void *data, size_t size)
{
    struct buf text = { 0 }, b = { 0 };
    buf_put(&text, data, size);
    if (args_has(&c->args, FLAG_FORMAT))
        term_put_safe(&b, buf_str(&text));
    else
        term_put_story(&b, buf_str(&text),
                       c->width_out > STORY_WIDTH_MAX ? STORY_WIDTH_MAX : c->width_out - 1,
                       c->color_out);
    b.failed |= text.failed;
    buf_done(&text);
    return ctl_print(&b);
}

int ctl_put_story(struct ctl *c, const void *data, size_t size, const char *content_type)
{
    bool terminal = !args_has(&c->args, FLAG_OUTPUT) && isatty(STDOUT_FILENO);
    if (terminal && !is_text(content_type))
        return ctl_problem(EXIT_USAGE, "that is binary (%s): name a file with --output FILE",
                           content_type);
    if (terminal)
        return print_story(c, data, size);
    struct sink s = { 0 };
    if (!sink_open(c, &s))
        return EXIT_FAILED;
    sink_put(&s, data, size);
    return sink_close(&s, true);
}

int cmd_story(struct ctl *c)
{
    Novelengine__V1__GetStoryRequest request = NOVELENGINE__V1__GET_STORY_REQUEST__INIT;
    request.simulation_id = (char *) c->args.positional[0];
    request.format = ctl_text(c, FLAG_FORMAT);
    if (request.format[0] == '\0')
        request.format = "markdown";
    nrpc_msg *m;
    const Google__Api__HttpBody *body;
    if (novelengine_v1_novel_engine_get_story(c->client, &c->options, &request, &m, &body,
                                              &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code = c->json ? ctl_print_json(&body->base)
                       : ctl_put_story(c, body->data.data, body->data.len, body->content_type);
    nrpc_msg_free(m);
    return code;
}

static bool on_export(void *ctx, nrpc_msg *m)
{
    const Google__Api__HttpBody *body = novelengine_v1_novel_engine_export_simulation_response(m);
    bool good = sink_put(ctx, body->data.data, body->data.len);
    nrpc_msg_free(m);
    return good;
}

int cmd_export(struct ctl *c)
{
    const char *id = c->args.positional[0];
    if (!args_has(&c->args, FLAG_OUTPUT) && isatty(STDOUT_FILENO))
        return ctl_problem(EXIT_USAGE, "a log is binary: novelctl%s export %s > %s.nvlog",
                           ctl_server_flag(c), id, id);
    Novelengine__V1__ExportSimulationRequest request =
        NOVELENGINE__V1__EXPORT_SIMULATION_REQUEST__INIT;
    request.simulation_id = (char *) id;
    struct sink s = { 0 };
    if (!sink_open(c, &s))
        return EXIT_FAILED;
    nrpc_client_options options = { 0 };
    if (args_has(&c->args, FLAG_TIMEOUT))
        options = c->options;
    nrpc_code result = novelengine_v1_novel_engine_export_simulation(c->client, &options, &request,
                                                                     on_export, &s, &c->status);
    bool write_failed = s.error != 0;
    int code = sink_close(&s, result == NRPC_OK);
    if (result != NRPC_OK && !write_failed)
        code = ctl_fail(c, &c->status);
    if (code == EXIT_OK)
        ctl_hint(c, "%" PRIu64 " bytes; check it:  novel-verify %s", s.bytes,
                 args_has(&c->args, FLAG_OUTPUT) ? s.name : "FILE");
    return code;
}
