#include "clients/load/plot.h"

#include <math.h>
#include <stdbool.h>

enum { WIDTH = 760, HEIGHT = 340, LEFT = 70, RIGHT = 190, TOP = 16, BOTTOM = 46, TICKS = 5,
       TICKS_MAX = 40 };

/* Told apart without colour by the eye's help: the legend stands in the lines' order at their
 * right. */
static const char *const colours[PLOT_SERIES_MAX] = { "#1b6ca8", "#c8553d", "#2e8b57", "#8a4fbf",
                                                      "#b8860b", "#444444", "#008b8b", "#d4568c",
                                                      "#6b8e23", "#5f6f9c", "#a0522d", "#999999" };

void plot_put_text(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            buf_puts(out, "&lt;");
            break;
        case '>':
            buf_puts(out, "&gt;");
            break;
        case '&':
            buf_puts(out, "&amp;");
            break;
        case '"':
            buf_puts(out, "&quot;");
            break;
        default:
            buf_putc(out, *text);
        }
    }
}

struct axis {
    double low, high;
    bool log;
    double from, size; /* pixels */
};

static bool is_drawn(const struct plot *p, const struct plot_point *at)
{
    return isfinite(at->x) && isfinite(at->y) && (!p->x_log || at->x > 0) &&
           (!p->y_log || at->y > 0);
}

static double place(const struct axis *a, double value)
{
    double low = a->log ? log10(a->low) : a->low, high = a->log ? log10(a->high) : a->high;
    double at = a->log ? log10(value) : value;
    return a->from + (high > low ? (at - low) / (high - low) : 0.5) * a->size;
}

/* 1, 2 or 5 times a power of ten, at least the value. */
static double round_up(double value)
{
    if (value <= 0)
        return 1;
    double power = pow(10, floor(log10(value)));
    double first = value / power;
    return power * (first <= 1 ? 1 : first <= 2 ? 2 : first <= 5 ? 5 : 10);
}

static bool find_range(const struct plot *p, bool of_x, struct axis *a)
{
    bool any = false;
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < p->series[i].n; k++) {
            const struct plot_point *at = &p->series[i].points[k];
            double v = of_x ? at->x : at->y;
            if (!is_drawn(p, at))
                continue;
            a->low = !any || v < a->low ? v : a->low;
            a->high = !any || v > a->high ? v : a->high;
            any = true;
        }
    a->log = of_x ? p->x_log : p->y_log;
    if (a->log && any) {
        a->low = pow(10, floor(log10(a->low)));
        a->high = pow(10, ceil(log10(a->high)));
        if (a->high <= a->low)
            a->high = a->low * 10;
    } else if (any) {
        a->low = of_x ? a->low : 0;
        if (!of_x)
            a->high = round_up(a->high);
        if (a->high <= a->low)
            a->high = a->low + 1;
    }
    return any;
}

static void put_tick_text(struct buf *out, double v)
{
    if (fabs(v) >= 10000)
        buf_printf(out, "%.0fk", v / 1000);
    else
        buf_printf(out, fabs(v) >= 100 ? "%.0f" : "%.3g", v);
}

static void put_tick(struct buf *out, const struct axis *a, bool of_x, double v)
{
    double at = place(a, v);
    if (of_x)
        buf_printf(out,
                   "<line x1='%.1f' x2='%.1f' y1='%d' y2='%d' class='grid'/><text x='%.1f' y='%d' "
                   "text-anchor='middle'>",
                   at, at, TOP, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 16);
    else
        buf_printf(out,
                   "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' class='grid'/><text x='%d' y='%.1f' "
                   "text-anchor='end'>",
                   LEFT, WIDTH - RIGHT, at, at, LEFT - 6, at + 4);
    put_tick_text(out, v);
    buf_puts(out, "</text>\n");
}

/* However far apart the ends are: they may come from a file. */
static void put_axis(struct buf *out, const struct axis *a, bool of_x)
{
    if (a->log) {
        double v = a->low;
        for (unsigned i = 0; i < TICKS_MAX && v <= a->high * 1.0001; i++, v *= 10)
            put_tick(out, a, of_x, v);
        return;
    }
    double step = round_up((a->high - a->low) / TICKS), first = ceil(a->low / step) * step;
    for (unsigned i = 0; i < TICKS_MAX && first + i * step <= a->high + step / 1000; i++)
        put_tick(out, a, of_x, first + i * step);
}

static void put_line(struct buf *out, const struct plot *p, size_t i, const struct axis *x,
                     const struct axis *y)
{
    const struct plot_series *s = &p->series[i];
    buf_printf(out, "<polyline fill='none' stroke='%s' stroke-width='2' points='", colours[i]);
    for (size_t k = 0; k < s->n; k++)
        if (is_drawn(p, &s->points[k]))
            buf_printf(out, "%.1f,%.1f ", place(x, s->points[k].x), place(y, s->points[k].y));
    buf_puts(out, "'/>\n");
    for (size_t k = 0; k < s->n && s->n <= 40; k++)
        if (is_drawn(p, &s->points[k])) {
            buf_printf(out, "<circle r='3' fill='%s' cx='%.1f' cy='%.1f'><title>", colours[i],
                       place(x, s->points[k].x), place(y, s->points[k].y));
            plot_put_text(out, s->name);
            buf_printf(out, ": %.4g, %.4g</title></circle>\n", s->points[k].x, s->points[k].y);
        }
    int at = TOP + 10 + (int) i * 18;
    buf_printf(out, "<rect x='%d' y='%d' width='14' height='4' fill='%s'/><text x='%d' y='%d'>",
               WIDTH - RIGHT + 12, at - 5, colours[i], WIDTH - RIGHT + 32, at);
    plot_put_text(out, s->name);
    buf_puts(out, "</text>\n");
}

void plot_put(struct buf *out, const struct plot *p)
{
    struct axis x = { .from = LEFT, .size = WIDTH - RIGHT - LEFT },
                y = { .from = HEIGHT - BOTTOM, .size = TOP - (HEIGHT - BOTTOM) };
    if (!find_range(p, true, &x) || !find_range(p, false, &y))
        return;
    buf_puts(out, "<figure><figcaption>");
    plot_put_text(out, p->title);
    buf_printf(out, "</figcaption>\n<svg viewBox='0 0 %d %d' role='img' aria-label=\"", WIDTH,
               HEIGHT);
    plot_put_text(out, p->title);
    buf_puts(out, "\">\n");
    put_axis(out, &x, true);
    put_axis(out, &y, false);
    for (size_t i = 0; i < p->n; i++)
        put_line(out, p, i, &x, &y);
    buf_printf(out, "<text x='%d' y='%d' text-anchor='middle'>", (LEFT + WIDTH - RIGHT) / 2,
               HEIGHT - 8);
    plot_put_text(out, p->x_label);
    buf_printf(out, "</text><text transform='translate(16 %d) rotate(-90)' text-anchor='middle'>",
               (TOP + HEIGHT - BOTTOM) / 2);
    plot_put_text(out, p->y_label);
    buf_puts(out, "</text>\n</svg></figure>\n");
}
