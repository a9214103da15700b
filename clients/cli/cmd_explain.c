/* why, why-not, beliefs, verify: questions about a stored log. */
#include "clients/cli/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/table.h"

enum { PROSE_MAX = 88 }; /* columns that are good to read */

/* A whole number from least to most; false and a problem is printed. */
static bool read_number(const char *text, const char *what, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && v >= least && v <= most) {
        *out = v;
        return true;
    }
    ctl_problem(EXIT_USAGE, "%s is a number from %" PRIu64 " to %" PRIu64 ", not '%s'", what, least, most, text);
    return false;
}

/* Prose behind a head of its own: wrapped on a terminal, a paragraph a line elsewhere. */
static void put_prose(const struct ctl *c, struct buf *out, const char *head, const char *text)
{
    unsigned width = isatty(STDOUT_FILENO) ? (c->width_out > PROSE_MAX ? PROSE_MAX : c->width_out - 1) : 0;
    buf_puts(out, head);
    term_put_wrapped(out, text, width, (unsigned) strlen(head));
    buf_putc(out, '\n');
}

int cmd_why(struct ctl *c)
{
    Novelengine__V1__ExplainEventRequest ask = NOVELENGINE__V1__EXPLAIN_EVENT_REQUEST__INIT;
    const Novelengine__V1__Explanation *x;
    nrpc_msg *m;
    if (!read_number(c->args.positional[1], "EVENT", 1, UINT32_MAX, &ask.sequence))
        return EXIT_USAGE;
    ask.simulation_id = (char *) c->args.positional[0];
    if (novelengine_v1_novel_engine_explain_event(c->client, &c->options, &ask, &m, &x, &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code;
    if (c->json) {
        code = ctl_print_json(&x->base);
    } else {
        struct buf b = { 0 };
        put_prose(c, &b, "", x->text);
        for (size_t i = 0; i < x->n_told; i++) {
            buf_puts(&b, i == 0 ? "\nThe story says:\n" : "");
            put_prose(c, &b, "  ", x->told[i]->text);
        }
        if (x->untold[0] != '\0') {
            buf_putc(&b, '\n');
            put_prose(c, &b, "", x->untold);
        }
        code = ctl_print(&b);
        if (x->n_nodes > 0)
            ctl_hint(c, "%zu %s back from it: --json shows the tree.", x->n_nodes,
                     x->n_nodes == 1 ? "cause reaches" : "causes reach");
    }
    nrpc_msg_free(m);
    return code;
}

int cmd_why_not(struct ctl *c)
{
    Novelengine__V1__ExplainAbsenceRequest ask = NOVELENGINE__V1__EXPLAIN_ABSENCE_REQUEST__INIT;
    const Novelengine__V1__AbsenceExplanation *x;
    nrpc_msg *m;
    uint64_t turn;
    if (!read_number(c->args.positional[1], "TURN", 1, 50, &turn))
        return EXIT_USAGE;
    ask.simulation_id = (char *) c->args.positional[0];
    ask.turn = (int32_t) turn;
    ask.actor = (char *) c->args.positional[2];
    ask.operator_ = (char *) c->args.positional[3];
    ask.n_targets = c->args.n - 4;
    ask.targets = (char **) (c->args.positional + 4);
    if (novelengine_v1_novel_engine_explain_absence(c->client, &c->options, &ask, &m, &x, &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code;
    if (c->json) {
        code = ctl_print_json(&x->base);
    } else {
        struct buf b = { 0 };
        put_prose(c, &b, "", x->text);
        code = ctl_print(&b);
    }
    nrpc_msg_free(m);
    return code;
}

int cmd_beliefs(struct ctl *c)
{
    Novelengine__V1__GetBeliefsRequest ask = NOVELENGINE__V1__GET_BELIEFS_REQUEST__INIT;
    const Novelengine__V1__BeliefState *x;
    nrpc_msg *m;
    uint64_t turn = 0;
    if (c->args.n > 2 && !read_number(c->args.positional[2], "TURN", 0, 50, &turn))
        return EXIT_USAGE;
    ask.simulation_id = (char *) c->args.positional[0];
    ask.character_id = (char *) c->args.positional[1];
    ask.at_turn = (int32_t) turn;
    if (novelengine_v1_novel_engine_get_beliefs(c->client, &c->options, &ask, &m, &x, &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code;
    if (c->json) {
        code = ctl_print_json(&x->base);
    } else {
        struct buf b = { 0 };
        for (size_t i = 0; i < x->n_beliefs; i++) {
            struct buf line = { 0 };
            char head[64];
            snprintf(head, sizeof head, "turn %-2d  event %-4" PRIu64 "  ", x->beliefs[i]->turn, x->beliefs[i]->sequence);
            buf_printf(&line, "%s%s", x->beliefs[i]->text, x->beliefs[i]->is_true ? "" : " (not so)");
            put_prose(c, &b, head, buf_str(&line));
            b.failed |= line.failed;
            buf_done(&line);
        }
        for (size_t i = 0; i < x->n_mistakes; i++) {
            buf_puts(&b, i == 0 ? "\nNot known, or held wrongly:\n" : "");
            put_prose(c, &b, "  ", x->mistakes[i]->text);
        }
        if (x->n_beliefs + x->n_mistakes == 0)
            buf_puts(&b, "Nothing has been learned by this turn, and nothing is mistaken.\n");
        code = ctl_print(&b);
    }
    nrpc_msg_free(m);
    return code;
}

int cmd_verify(struct ctl *c)
{
    static const char *const replays[] = { "not run", "the same to the byte", "DIFFERENT",
                                           "not run: another engine wrote it" };
    Novelengine__V1__VerifySimulationRequest ask = NOVELENGINE__V1__VERIFY_SIMULATION_REQUEST__INIT;
    const Novelengine__V1__Verification *v;
    nrpc_msg *m;
    ask.simulation_id = (char *) c->args.positional[0];
    if (novelengine_v1_novel_engine_verify_simulation(c->client, &c->options, &ask, &m, &v, &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    bool sound = v->chain_intact && v->violation_count == 0 &&
                 v->replay != NOVELENGINE__V1__VERIFICATION__REPLAY__REPLAY_MISMATCH;
    int code;
    if (c->json) {
        code = ctl_print_json(&v->base);
    } else {
        struct buf b = { 0 };
        buf_printf(&b, "%s\n", sound ? "sound" : "NOT SOUND");
        buf_printf(&b, "  chain   %s, %" PRIu64 " events, head ", v->chain_intact ? "intact" : "BROKEN", v->events_checked);
        term_put_safe(&b, v->chain_head);
        buf_putc(&b, '\n');
        buf_printf(&b, "  laws    %s\n", !v->laws_checked ? "not checked" : v->violation_count == 0 ? "all kept" : "BROKEN");
        buf_printf(&b, "  replay  %s\n", (unsigned) v->replay < 4 ? replays[v->replay] : "");
        for (size_t i = 0; i < v->n_violations; i++) {
            buf_puts(&b, "  ");
            term_put_safe(&b, v->violations[i]);
            buf_putc(&b, '\n');
        }
        if (v->violation_count > v->n_violations)
            buf_printf(&b, "  and %" PRIu64 " more\n", v->violation_count - v->n_violations);
        code = ctl_print(&b);
    }
    nrpc_msg_free(m);
    return code != EXIT_OK ? code : sound ? EXIT_OK : EXIT_FAILED;
}
