/* view.h — what a person sees while it runs: a live block on a terminal, lines elsewhere, JSON
 * lines for machines.  To standard error; the main thread's. */
#ifndef NOVEL_LOAD_VIEW_H
#define NOVEL_LOAD_VIEW_H
#include "clients/load/results.h"

enum view_kind { VIEW_LIVE, VIEW_LINES, VIEW_JSON };
enum { VIEW_SPARKS = 40 };
struct view {
    enum view_kind kind;
    bool utf8, color;
    unsigned drawn; /* lines of the live block that stand on the screen */
    double rates[VIEW_SPARKS];
    size_t n_rates;
    double last_line_s; /* when the last plain line was written */
};
void view_init(struct view *v, bool json, bool plain);
void view_begin(struct view *v, const struct row *row, double planned_s);
/* The latest part, what was measured so far, how much of the step is over (0..1; below 0: unknown),
 * and the processes. */
void view_tick(struct view *v, const struct row *row, const struct slice *now, double share,
               const struct results *results);
void view_end(struct view *v, const struct row *row);
void view_note(struct view *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "▁▂▇" of the values, or "_.-=*#" without UTF-8. */
void view_sparkline(struct buf *out, const double *values, size_t n, bool utf8);

#endif
