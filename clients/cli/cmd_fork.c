/* fork: a simulation's past with another future. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/ctl.h"
#include "clients/cli/director.h"
#include "rpc/base/alloc.h"

struct fork_edits {
    struct director_order orders[ARGS_EDITS_MAX];
    Novelengine__V1__Edit *list[ARGS_EDITS_MAX];
    char *lines[ARGS_EDITS_MAX];
    size_t n;
};

/* "trait:pilot:openness=80" is what a director types as "trait pilot openness 80". */
static bool read_edit(struct fork_edits *e, const char *text)
{
    char *line = alloc_strdup(text);
    struct director_order *o = &e->orders[e->n];
    if (line == NULL) {
        ctl_problem(0, "out of memory");
        return false;
    }
    e->lines[e->n] = line;
    bool value = strncmp(line, "trait:", 6) == 0;
    for (char *at = line; *at != '\0'; at++)
        if (*at == ':' || (value && *at == '='))
            *at = ' ';
    director_read(o, line, NULL);
    bool edit = o->kind == DIRECTOR_SEND &&
                o->command.command_case == NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_EDIT;
    if (!edit) {
        struct buf safe = { 0 };
        term_put_line(&safe, text, 80);
        bool unknown = strstr(o->problem, "'help'") != NULL; /* a director's word, of a prompt that is not here */
        ctl_problem(0, "--edit %s: %s", buf_str(&safe),
                    o->problem[0] != '\0' && !unknown ? o->problem : "that is no edit; see novelctl fork --help");
        buf_done(&safe);
        return false;
    }
    e->list[e->n++] = &o->edit;
    return true;
}

static void edits_done(struct fork_edits *e)
{
    for (size_t i = 0; i < ARGS_EDITS_MAX; i++)
        alloc_free(e->lines[i]);
    alloc_free(e);
}

static int show(struct ctl *c, const Novelengine__V1__Simulation *made)
{
    int turns = made->request != NULL && made->request->turns != NULL ? made->request->turns->value : 0;
    if (args_has(&c->args, FLAG_WAIT)) {
        ctl_hint(c, "%s, a fork of %s", made->simulation_id, made->parent_id);
        return ctl_follow_story(c, made->simulation_id, turns);
    }
    if (c->json)
        return ctl_print_json(&made->base);
    struct buf b = { 0 };
    buf_printf(&b, "%s\n", made->simulation_id);
    int code = ctl_print(&b);
    if (isatty(STDOUT_FILENO))
        ctl_hint(c, "  follow it:    novelctl%s watch %s\n  what differs: novelctl%s compare %s %s",
                 ctl_server_flag(c), made->simulation_id, ctl_server_flag(c), made->parent_id,
                 made->simulation_id);
    return code;
}

static int send_fork(struct ctl *c, struct fork_edits *edits)
{
    Novelengine__V1__ForkSimulationRequest request = NOVELENGINE__V1__FORK_SIMULATION_REQUEST__INIT;
    Google__Protobuf__Int32Value turns = GOOGLE__PROTOBUF__INT32_VALUE__INIT;
    Google__Protobuf__UInt64Value seed = GOOGLE__PROTOBUF__UINT64_VALUE__INIT;
    const char *metadata[] = { "idempotency-key", ctl_text(c, FLAG_KEY), NULL };
    turns.value = (int32_t) c->args.number[FLAG_TURNS];
    seed.value = c->args.number[FLAG_SEED];
    request.simulation_id = (char *) c->args.positional[0];
    request.at_turn = (int32_t) c->args.number[FLAG_AT];
    request.n_edits = edits->n;
    request.edits = edits->list;
    request.turns = args_has(&c->args, FLAG_TURNS) ? &turns : NULL;
    request.seed = args_has(&c->args, FLAG_SEED) ? &seed : NULL;
    if (args_has(&c->args, FLAG_KEY))
        c->options.metadata = metadata;
    nrpc_msg *m;
    const Novelengine__V1__Simulation *made;
    nrpc_code code = novelengine_v1_novel_engine_fork_simulation(c->client, &c->options, &request, &m, &made,
                                                                 &c->status);
    c->options.metadata = NULL;
    if (code != NRPC_OK)
        return ctl_fail(c, &c->status);
    int result = show(c, made);
    nrpc_msg_free(m);
    return result;
}

int cmd_fork(struct ctl *c)
{
    if (!args_has(&c->args, FLAG_AT))
        return ctl_problem(EXIT_USAGE, "fork needs --at TURN: the last turn that both share");
    struct fork_edits *edits = alloc_zero(1, sizeof *edits);
    if (edits == NULL)
        return ctl_problem(EXIT_FAILED, "out of memory");
    bool good = true;
    for (size_t i = 0; i < c->args.n_edits && good; i++)
        good = read_edit(edits, c->args.edits[i]);
    int code = good ? send_fork(c, edits) : EXIT_USAGE;
    edits_done(edits);
    return code;
}
