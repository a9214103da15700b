/* ctl.h — what novelctl's commands share. */
#ifndef NOVELCTL_CTL_H
#define NOVELCTL_CTL_H
#include <novelengine/v1/novel_engine.nrpc.h>
#include "clients/c/novel_client.h"
#include "clients/cli/args.h"
#include "clients/cli/term.h"
#include "rpc/base/buf.h"

enum ctl_exit {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_UNAVAILABLE = 4,
    EXIT_INVALID = 5,
    EXIT_CONFLICT = 6,
    EXIT_TIMEOUT = 7,
    EXIT_BUSY = 8,
    EXIT_INTERRUPTED = 130
};

struct ctl {
    struct args args;
    const char *server; /* as given, or the default */
    bool json, color_out, color_err;
    unsigned width_out; /* of standard output; for wrapping */
    nrpc_client *client;
    nrpc_client_options options; /* of unary calls */
    nrpc_status status;          /* of the last call; cleared when the command is done */
};

/* Prints what a failed call means and what to do next to stderr (JSON with --json); clears st; the
 * exit code. */
int ctl_fail(struct ctl *c, nrpc_status *st);
/* "novelctl: ..." on stderr; returns the code. */
int ctl_problem(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A dim line on stderr that helps a person; silent with --json. */
void ctl_hint(const struct ctl *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "" or " --server ADDR" and what of TLS was given, for commands in hints; static storage. */
const char *ctl_server_flag(const struct ctl *c);
/* Writes b to stdout, frees it; EXIT_OK, or EXIT_FAILED when the buffer or the write failed. */
int ctl_print(struct buf *b);
/* m as JSON and a newline on stdout. */
int ctl_print_json(const ProtobufCMessage *m);
/* Writes a story to standard output or --output: wrapped on a terminal unless --format was given. */
int ctl_put_story(struct ctl *c, const void *data, size_t size, const char *content_type);
/* The flag's text, or "". */
char *ctl_text(const struct ctl *c, enum flag_id id);
/* "2 min 5 s" */
void ctl_put_duration(struct buf *b, double seconds);
/* "completed" */
const char *ctl_state_name(Novelengine__V1__Simulation__State state);
/* True once Ctrl-C was pressed. */
bool ctl_interrupted(void);

/* Another client for the same server, for a thread of its own; nrpc_client_free.  An exit code, told. */
int ctl_open(const struct ctl *c, nrpc_client **out_client);
/* cmd_simulate.c: follows a simulation to its end and prints its story as `simulate` does. */
int ctl_follow_story(struct ctl *c, const char *id, int turns);

/* help.c */
void help_overview(bool color);
void help_command(const struct command *command, bool color);
void help_group(const char *name, bool color);

/* A SimulationRequest of the command line's; lives where the caller puts it. */
struct request {
    Novelengine__V1__SimulationRequest proto;
    Google__Protobuf__Int32Value turns;
    Google__Protobuf__UInt64Value seed;
    Google__Protobuf__UInt32Value words;
    Novelengine__V1__Telling telling;
};
void request_init(struct request *r, struct ctl *c);

/* The commands. */
int cmd_health(struct ctl *c);
int cmd_info(struct ctl *c);
int cmd_characters_list(struct ctl *c);
int cmd_characters_show(struct ctl *c);
int cmd_characters_create(struct ctl *c);
int cmd_characters_update(struct ctl *c);
int cmd_characters_delete(struct ctl *c);
int cmd_characters_reset(struct ctl *c);
int cmd_campaigns_list(struct ctl *c);
int cmd_campaigns_create(struct ctl *c);
int cmd_campaigns_show(struct ctl *c);
int cmd_campaigns_update(struct ctl *c);
int cmd_campaigns_delete(struct ctl *c);
int cmd_campaigns_manuscript(struct ctl *c);
int cmd_simulate(struct ctl *c);
int cmd_submit(struct ctl *c);
int cmd_watch(struct ctl *c);
int cmd_direct(struct ctl *c);
int cmd_list(struct ctl *c);
int cmd_show(struct ctl *c);
int cmd_story(struct ctl *c);
int cmd_tell(struct ctl *c);
int cmd_cancel(struct ctl *c);
int cmd_delete(struct ctl *c);
int cmd_export(struct ctl *c);
int cmd_fork(struct ctl *c);
int cmd_compare(struct ctl *c);
int cmd_seek(struct ctl *c);
int cmd_why(struct ctl *c);
int cmd_why_not(struct ctl *c);
int cmd_beliefs(struct ctl *c);
int cmd_verify(struct ctl *c);

#endif
