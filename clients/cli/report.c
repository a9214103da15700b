/* How novelctl talks: output, errors with what to do next, hints. */
#include "clients/cli/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/c/novel_json.h"
#include "rpc/base/check.h"

char *ctl_text(const struct ctl *c, enum flag_id id)
{
    return (char *) (args_has(&c->args, id) ? c->args.text[id] : "");
}

const char *ctl_server_flag(const struct ctl *c)
{
    static const enum flag_id repeated[] = { FLAG_SERVER, FLAG_TLS,      FLAG_CA,
                                             FLAG_CERT,   FLAG_CERT_KEY, FLAG_SERVER_NAME };
    static char text[1024];
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(repeated) && size < sizeof text; i++) {
        const struct flag *f = &args_flags[repeated[i]];
        if (args_has(&c->args, f->id))
            size += (size_t) snprintf(text + size, sizeof text - size, " --%s%s%s", f->name,
                                      f->value == NULL ? "" : " ",
                                      f->value == NULL ? "" : c->args.text[f->id]);
    }
    return text;
}

int ctl_print(struct buf *b)
{
    bool good = !b->failed;
    if (!good)
        ctl_problem(EXIT_FAILED, "out of memory");
    else if (fwrite(b->data, 1, b->size, stdout) != b->size || fflush(stdout) != 0) {
        good = false;
        if (errno != EPIPE) /* the reader had enough: head, less */
            ctl_problem(EXIT_FAILED, "cannot write: %s", strerror(errno));
    }
    buf_done(b);
    return good ? EXIT_OK : EXIT_FAILED;
}

int ctl_print_json(const ProtobufCMessage *m)
{
    struct buf b = { 0 };
    novel_json_put(&b, m, -1);
    buf_putc(&b, '\n');
    return ctl_print(&b);
}

int ctl_problem(int code, const char *format, ...)
{
    struct buf b = { 0 }, safe = { 0 };
    va_list args;
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    term_put_styled(&safe, TERM_RED, term_colors(STDERR_FILENO), "novelctl: ");
    term_put_safe(&safe, buf_str(&b));
    fprintf(stderr, "%s\n", buf_str(&safe));
    buf_done(&b);
    buf_done(&safe);
    return code;
}

void ctl_hint(const struct ctl *c, const char *format, ...)
{
    if (c->json)
        return;
    struct buf b = { 0 }, line = { 0 };
    va_list args;
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    term_put_styled(&line, TERM_DIM, c->color_err, buf_str(&b));
    fprintf(stderr, "%s\n", buf_str(&line));
    buf_done(&b);
    buf_done(&line);
}

void ctl_put_duration(struct buf *b, double seconds)
{
    unsigned long long s = seconds > 0 ? (unsigned long long) seconds : 0;
    if (seconds < 10)
        buf_printf(b, "%.*f s", seconds < 1 ? 3 : 1, seconds);
    else if (s < 60)
        buf_printf(b, "%llu s", s);
    else if (s < 3600)
        buf_printf(b, "%llu min %llu s", s / 60, s % 60);
    else if (s < 86400)
        buf_printf(b, "%llu h %llu min", s / 3600, s / 60 % 60);
    else
        buf_printf(b, "%llu d %llu h", s / 86400, s / 3600 % 24);
}

const char *ctl_state_name(Novelengine__V1__Simulation__State state)
{
    static const char *const names[] = { "unknown",   "queued", "running",  "awaiting director",
                                         "completed", "failed", "cancelled" };
    return (unsigned) state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

/* ---- errors ---- */
static int exit_of(nrpc_code code)
{
    switch (code) {
    case NRPC_CANCELLED:
        return ctl_interrupted() ? EXIT_INTERRUPTED : EXIT_FAILED;
    case NRPC_INVALID_ARGUMENT:
    case NRPC_OUT_OF_RANGE:
        return EXIT_INVALID;
    case NRPC_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case NRPC_UNAVAILABLE:
        return EXIT_UNAVAILABLE;
    case NRPC_ALREADY_EXISTS:
    case NRPC_FAILED_PRECONDITION:
    case NRPC_ABORTED:
        return EXIT_CONFLICT;
    case NRPC_DEADLINE_EXCEEDED:
        return EXIT_TIMEOUT;
    case NRPC_RESOURCE_EXHAUSTED:
        return EXIT_BUSY;
    default:
        return EXIT_FAILED;
    }
}

static void put_violations(const Google__Rpc__BadRequest *bad)
{
    for (size_t i = 0; i < bad->n_field_violations; i++) {
        struct buf line = { 0 };
        buf_puts(&line, "  ");
        term_put_safe(&line, bad->field_violations[i]->field);
        buf_puts(&line, ": ");
        term_put_safe(&line, bad->field_violations[i]->description);
        fprintf(stderr, "%s\n", buf_str(&line));
        buf_done(&line);
    }
}

/* What to do about it; NULL when there is nothing sure to say. */
static const char *advice(const struct ctl *c, nrpc_code code, const Google__Rpc__BadRequest *bad)
{
    bool characters = strcmp(c->args.command->name, "characters") == 0;
    bool request = strcmp(c->args.command->name, "simulate") == 0 ||
                   strcmp(c->args.command->name, "submit") == 0 ||
                   (strcmp(c->args.command->name, "direct") == 0 &&
                    !args_has(&c->args, FLAG_ATTACH));
    switch (code) {
    case NRPC_NOT_FOUND:
        return characters || request ? "novelctl characters lists who can take part"
                                     : "novelctl list shows what there is";
    case NRPC_INVALID_ARGUMENT:
        if (request && bad != NULL && bad->n_field_violations > 0 &&
            strncmp(bad->field_violations[0]->field, "character_names", 15) == 0)
            return "give two to six different characters; novelctl characters lists them";
        return request ? "novelctl help simulate shows what can be given" : NULL;
    case NRPC_DEADLINE_EXCEEDED:
        return "give it more time with --timeout SECONDS";
    case NRPC_RESOURCE_EXHAUSTED:
        return "the server is busy or full: try again later";
    case NRPC_ABORTED:
        return "somebody changed it meanwhile: look at it again, then repeat the change";
    case NRPC_UNIMPLEMENTED:
        return "this server does not offer that; novelctl info shows its version";
    default:
        return NULL;
    }
}

static void put_error_json(const nrpc_status *st, const Google__Rpc__Status *details)
{
    Google__Rpc__Status plain = GOOGLE__RPC__STATUS__INIT;
    plain.code = st->code;
    plain.message = st->message != NULL ? st->message : "";
    struct buf b = { 0 };
    novel_json_put(&b, details != NULL ? &details->base : &plain.base, -1);
    fprintf(stderr, "%s\n", buf_str(&b));
    buf_done(&b);
}

static void put_error_text(const struct ctl *c, const nrpc_status *st,
                           const Google__Rpc__Status *details)
{
    const char *message =
        st->message != NULL && st->message[0] != '\0' ? st->message : nrpc_code_name(st->code);
    Google__Rpc__BadRequest *bad = (Google__Rpc__BadRequest *) novel_error_find(
        details, &google__rpc__bad_request__descriptor);
    if (st->code == NRPC_UNAVAILABLE) {
        ctl_problem(0, "no answer from novel-server at %s: %s", c->server, message);
        if (strstr(message, "TLS") == NULL && strstr(message, "certificate") == NULL)
            ctl_hint(c, "Start it with novel-server (or script/serve), or name another one with "
                        "--server or NOVELCTL_SERVER.");
    } else if (bad != NULL && bad->n_field_violations > 1) {
        ctl_problem(0, "the server refused the request:");
        put_violations(bad);
    } else {
        ctl_problem(0, "%s", message);
    }
    const char *next = advice(c, st->code, bad);
    if (next != NULL)
        ctl_hint(c, "Hint: %s.", next);
    if (bad != NULL)
        protobuf_c_message_free_unpacked(&bad->base, NULL);
}

int ctl_fail(struct ctl *c, nrpc_status *st)
{
    int code = exit_of(st->code);
    Google__Rpc__Status *details = novel_error_details(st);
    if (code == EXIT_INTERRUPTED)
        ctl_problem(0, "interrupted");
    else if (c->json)
        put_error_json(st, details);
    else
        put_error_text(c, st, details);
    if (details != NULL)
        google__rpc__status__free_unpacked(details, NULL);
    nrpc_status_clear(st);
    return code;
}
