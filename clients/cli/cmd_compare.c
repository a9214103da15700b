/* compare: two simulations side by side. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/ctl.h"

enum { SHOWN_MAX = 30, COLUMN_MIN = 24, COLUMN_MAX = 70, WIDTH_ELSEWHERE = 140, HEAD = 6 };
typedef Novelengine__V1__SimulationEvent event_t;
typedef Novelengine__V1__Comparison__Difference difference_t;

struct sheet {
    struct buf out;
    unsigned column;
    bool color;
};

static void put_cell(struct sheet *s, const char *text, enum term_style style, bool last)
{
    struct buf cell = { 0 };
    term_put_line(&cell, text, s->column);
    term_put_styled(&s->out, style, s->color, buf_str(&cell));
    for (size_t at = term_columns(buf_str(&cell), cell.size); !last && at < s->column + 2; at++)
        buf_putc(&s->out, ' ');
    s->out.failed |= cell.failed;
    buf_done(&cell);
}

static void put_edits(struct sheet *s, const char *whose, event_t *const *edits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct buf text = { 0 };
        buf_printf(&text, "%s #%" PRIu64 ", after turn %d: %s", whose, edits[i]->sequence, edits[i]->turn,
                   edits[i]->text);
        term_put_line(&s->out, buf_str(&text), 400);
        buf_putc(&s->out, '\n');
        s->out.failed |= text.failed;
        buf_done(&text);
    }
}

static void put_because(struct sheet *s, const difference_t *d)
{
    struct buf text = { 0 };
    if (d->n_because < 2)
        return;
    buf_puts(&text, "      because of ");
    for (size_t i = 0; i < d->n_because; i++)
        buf_printf(&text, "%s#%" PRIu64, i > 0 ? " > " : "", d->because[i]);
    buf_puts(&text, d->because_in_other ? " (right)\n" : " (left)\n");
    term_put_styled(&s->out, TERM_DIM, s->color, buf_str(&text));
    s->out.failed |= text.failed;
    buf_done(&text);
}

static void put_event(struct sheet *s, const event_t *e, enum term_style style, bool last)
{
    struct buf text = { 0 };
    if (e != NULL)
        buf_printf(&text, "#%" PRIu64 " %s", e->sequence, e->text);
    put_cell(s, e != NULL ? buf_str(&text) : "-", e != NULL ? style : TERM_DIM, last);
    s->out.failed |= text.failed;
    buf_done(&text);
}

static void put_difference(struct sheet *s, const difference_t *d)
{
    const event_t *any = d->event != NULL ? d->event : d->other;
    enum term_style style = d->unseen ? TERM_DIM : TERM_PLAIN;
    buf_printf(&s->out, "%4d  ", any != NULL ? any->turn : 0);
    put_event(s, d->event, style, false);
    put_event(s, d->other, style, true);
    buf_putc(&s->out, '\n');
    if (d->unseen)
        term_put_styled(&s->out, TERM_DIM, s->color, "      the same, weighed otherwise\n");
    put_because(s, d);
}

static void put_differences(struct sheet *s, const Novelengine__V1__Comparison *r, bool full)
{
    size_t shown = 0, unseen = 0, left = 0;
    for (size_t i = 0; i < r->n_differences; i++) {
        const difference_t *d = r->differences[i];
        if (d->unseen && !full)
            unseen++;
        else if (!full && shown == SHOWN_MAX)
            left++;
        else {
            put_difference(s, d);
            shown++;
        }
    }
    left += (size_t) r->omitted;
    if (left > 0)
        buf_printf(&s->out, "      ... and %zu more%s\n", left, full ? "" : " (--full shows more)");
    if (unseen > 0)
        buf_printf(&s->out, "      %zu events are the same but were weighed otherwise (--full)\n", unseen);
}

/* The end of each; "" is one that has none yet. */
static void put_endings(struct sheet *s, const Novelengine__V1__Comparison *r)
{
    buf_puts(&s->out, "end   ");
    put_cell(s, r->ending[0] != '\0' ? r->ending : "(not completed)", TERM_BOLD, false);
    put_cell(s, r->other_ending[0] != '\0' ? r->other_ending : "(not completed)", TERM_BOLD, true);
    buf_putc(&s->out, '\n');
}

static void put_sheet(struct sheet *s, struct ctl *c, const Novelengine__V1__Comparison *r)
{
    put_edits(s, "left ", r->edits, r->n_edits);
    put_edits(s, "right", r->other_edits, r->n_other_edits);
    if (!r->same_beginning)
        buf_puts(&s->out, "These two were begun otherwise (cast, request or content): everything differs.\n");
    if (r->n_differences == 0) {
        buf_printf(&s->out, "They are the same: %d events.\n", r->same_events);
        return;
    }
    const difference_t *first = r->differences[0];
    for (size_t i = 0; first->unseen && i < r->n_differences; i++)
        if (!r->differences[i]->unseen)
            first = r->differences[i];
    const event_t *event = first->event != NULL ? first->event : first->other;
    buf_printf(&s->out, "They part in turn %d; %d events are the same.\n\nturn  ", event->turn, r->same_events);
    put_cell(s, c->args.positional[0], TERM_BOLD, false);
    put_cell(s, c->args.positional[1], TERM_BOLD, true);
    buf_putc(&s->out, '\n');
    put_differences(s, r, args_has(&c->args, FLAG_FULL));
    put_endings(s, r);
}

int cmd_compare(struct ctl *c)
{
    Novelengine__V1__CompareSimulationsRequest request = NOVELENGINE__V1__COMPARE_SIMULATIONS_REQUEST__INIT;
    request.simulation_id = (char *) c->args.positional[0];
    request.other_id = (char *) c->args.positional[1];
    nrpc_msg *m;
    const Novelengine__V1__Comparison *r;
    if (novelengine_v1_novel_engine_compare_simulations(c->client, &c->options, &request, &m, &r, &c->status) !=
        NRPC_OK)
        return ctl_fail(c, &c->status);
    int code;
    if (c->json) {
        code = ctl_print_json(&r->base);
    } else {
        unsigned width = isatty(STDOUT_FILENO) ? c->width_out : WIDTH_ELSEWHERE;
        unsigned column = width > HEAD + 3 ? (width - HEAD - 3) / 2 : 0;
        struct sheet s = { .color = c->color_out };
        s.column = column < COLUMN_MIN ? COLUMN_MIN : column > COLUMN_MAX ? COLUMN_MAX : column;
        put_sheet(&s, c, r);
        code = ctl_print(&s.out);
    }
    nrpc_msg_free(m);
    return code;
}
