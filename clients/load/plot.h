/* plot.h — line plots as inline SVG, for the HTML report.  Pure. */
#ifndef NOVEL_LOAD_PLOT_H
#define NOVEL_LOAD_PLOT_H
#include <stdbool.h>
#include <stddef.h>
#include "rpc/base/buf.h"

enum { PLOT_SERIES_MAX = 12 };
struct plot_point {
    double x, y;
};
struct plot_series {
    const char *name;
    const struct plot_point *points; /* lent; x rising */
    size_t n;
};
struct plot {
    const char *title, *x_label, *y_label;
    bool x_log, y_log; /* only points above 0 are drawn then */
    struct plot_series series[PLOT_SERIES_MAX];
    size_t n;
};
/* Appends <figure>...</figure>; nothing when there is no point to draw. */
void plot_put(struct buf *out, const struct plot *p);
/* Appends text with what HTML would read as markup escaped. */
void plot_put_text(struct buf *out, const char *text);

#endif
