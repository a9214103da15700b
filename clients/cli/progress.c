#include "clients/cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients/cli/term.h"
#include "rpc/base/utf8.h"

enum { BAR_MIN = 8, BAR_MAX = 30, HEAD_COLUMNS = 44 };

const char *progress_phase_name(Novelengine__V1__SimulationEvent__Phase phase)
{
    static const char *const names[] = { "",       "setup",  "complication",
                                         "crisis", "climax", "resolution" };
    return (unsigned) phase < sizeof names / sizeof names[0] ? names[phase] : "";
}

void progress_note(struct progress *p, const Novelengine__V1__SimulationUpdate *u)
{
    p->lost = false;
    if (u->progress_percent > p->percent)
        p->percent = u->progress_percent > 100 ? 100 : u->progress_percent;
    if (u->update_case != NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT || u->event == NULL)
        return;
    const Novelengine__V1__SimulationEvent *e = u->event;
    p->turn = e->turn;
    p->tension = e->tension;
    if (e->phase != NOVELENGINE__V1__SIMULATION_EVENT__PHASE__PHASE_UNSPECIFIED)
        p->phase = e->phase;
    size_t size = strlen(e->text);
    if (size >= sizeof p->text)
        size = utf8_valid_prefix(e->text, sizeof p->text - 1);
    memcpy(p->text, e->text, size);
    p->text[size] = '\0';
}

/* A bar of `columns` cells; eighths of a cell where the terminal can show them. */
static void put_cells(struct buf *out, int percent, unsigned columns, bool utf8)
{
    static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    unsigned filled = (unsigned) percent * columns * 8 / 100, whole = filled / 8,
             rest = utf8 ? filled % 8 : 0;
    for (unsigned i = 0; i < whole; i++)
        buf_puts(out, utf8 ? "█" : "#");
    buf_puts(out, eighths[rest]);
    for (unsigned i = whole + (rest > 0); i < columns; i++)
        buf_puts(out, utf8 ? "░" : ".");
}

static enum term_style tension_style(int tension)
{
    return tension >= 70 ? TERM_RED : tension >= 40 ? TERM_YELLOW : TERM_GREEN;
}

static void put_head(struct buf *out, const struct progress *p, unsigned width, bool color)
{
    char text[96];
    const char *phase = progress_phase_name(p->phase);
    if (p->turns > 0)
        snprintf(text, sizeof text, " %3d %%  turn %d of %d", p->percent, p->turn, p->turns);
    else
        snprintf(text, sizeof text, " %3d %%  turn %d", p->percent, p->turn);
    buf_puts(out, text);
    if (width < 60 && !p->lost)
        return;
    if (p->lost) {
        term_put_styled(out, TERM_YELLOW, color, "  connecting again");
        return;
    }
    if (phase[0] != '\0') {
        buf_puts(out, "  ");
        term_put_styled(out, TERM_CYAN, color, phase);
    }
    if (p->tension >= 0) {
        snprintf(text, sizeof text, "tension %d", p->tension);
        buf_puts(out, "  ");
        term_put_styled(out, tension_style(p->tension), color, text);
    }
}

void progress_put_bar(struct buf *out, const struct progress *p, unsigned width, bool color,
                      bool utf8)
{
    unsigned room = width > HEAD_COLUMNS + BAR_MIN ? width - 1 - HEAD_COLUMNS - 8 : BAR_MIN;
    put_cells(out, p->percent, room > BAR_MAX ? BAR_MAX : room < BAR_MIN ? BAR_MIN : room, utf8);
    put_head(out, p, width, color);
    buf_putc(out, '\n');
    buf_puts(out, color ? "\x1b[2m" : "");
    term_put_line(out, p->text, width - 1);
    buf_puts(out, color ? "\x1b[0m" : "");
}

static enum term_style event_style(const Novelengine__V1__SimulationEvent *e)
{
    switch (e->type) {
    case NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_INCIDENT:
        return TERM_YELLOW;
    case NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_REJECTED:
    case NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_FAILED:
        return TERM_RED;
    case NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_THOUGHT:
        return TERM_DIM;
    case NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_STARTED:
    case NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_COMPLETED:
        return TERM_BOLD;
    default:
        return TERM_PLAIN;
    }
}

void progress_put_event(struct buf *out, const Novelengine__V1__SimulationEvent *e, unsigned width,
                        bool color)
{
    char head[64];
    int n = snprintf(head, sizeof head, "%4" PRIu64 "  turn %-2" PRId32 "  %-12s %3" PRId32 "  ",
                     e->sequence, e->turn, progress_phase_name(e->phase), e->tension);
    term_put_styled(out, TERM_DIM, color, head);
    struct buf text = { 0 };
    term_put_wrapped(&text, e->text, width, (unsigned) n);
    term_put_styled(out, event_style(e), color, buf_str(&text));
    out->failed |= text.failed;
    buf_done(&text);
}
