/* novel-metrics-draw.c — the pictures of the page. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rpc/base/alloc.h"
#include "rpc/base/map.h"
#include "server/tools/novel-metrics-page.h"
#include "server/tools/novel-metrics-plots.h"

/* ---- tension, a frame a picture -------------------------------------------------------------- */

enum { BINS = 20, WIDE = 300, HIGH = 150, PAD = 24, FRAMES_MAX = 64 };

struct curve {
    double target[BINS], mean[BINS], low[BINS], high[BINS];
    size_t stories;
};
static double x_of(unsigned bin)
{
    return PAD + (double) bin * (WIDE - PAD - 8) / (BINS - 1);
}
static double y_of(double tension)
{
    return HIGH - PAD - tension * (HIGH - PAD - 10) / 100;
}
static int by_value(const void *a, const void *b)
{
    return (int) *(const uint8_t *) a - (int) *(const uint8_t *) b;
}
/* Tension at a share of the story, between the turns' ends. */
static uint8_t at_share(const uint8_t *values, unsigned turns, unsigned bin)
{
    double at = (double) bin / (BINS - 1) * (turns - 1);
    unsigned i = (unsigned) at;
    double rest = at - i, next = values[i + 1 < turns ? i + 1 : i];
    return (uint8_t) lround(values[i] * (1 - rest) + next * rest);
}
static int curve_of(const struct samples *s, const char *frame, struct curve *c)
{
    uint8_t *column = alloc_get(s->count + 1);
    memset(c, 0, sizeof(*c));
    if (column == NULL)
        return -1;
    for (unsigned bin = 0; bin < BINS; bin++) {
        size_t n = 0;
        for (size_t i = 0; i < s->count; i++) {
            const struct metrics_play *p = &s->list[i].play;
            if (!s->list[i].has_play || p->turns_played < 3 || strcmp(p->frame, frame) != 0)
                continue;
            column[n] = at_share(p->tension, p->turns_played, bin);
            c->mean[bin] += column[n++];
            c->target[bin] += at_share(p->target, p->turns_played, bin);
        }
        c->stories = n;
        if (n == 0)
            break;
        qsort(column, n, 1, by_value);
        c->mean[bin] /= (double) n;
        c->target[bin] /= (double) n;
        c->low[bin] = column[n / 10];
        c->high[bin] = column[n - 1 - n / 10];
    }
    alloc_free(column);
    return 0;
}
static void line(struct buf *out, const double *values, const char *class)
{
    buf_printf(out, "<polyline class=\"%s\" points=\"", class);
    for (unsigned i = 0; i < BINS; i++)
        buf_printf(out, "%.1f,%.1f ", x_of(i), y_of(values[i]));
    buf_puts(out, "\"/>");
}
static void draw_curve(const struct curve *c, const char *frame, struct buf *out)
{
    buf_puts(out, "<figure><figcaption><b>");
    page_text(out, frame, strlen(frame));
    buf_printf(out, "</b> <i>%zu stories</i></figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\">",
               c->stories, WIDE, HIGH);
    for (int y = 0; y <= 100; y += 50)
        buf_printf(
            out,
            "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"2\" "
            "y=\"%.1f\">%d</text>",
            PAD, WIDE - 8, y_of(y), y_of(y), y_of(y) + 3, y);
    buf_puts(out, "<polygon class=\"band\" points=\"");
    for (unsigned i = 0; i < BINS; i++)
        buf_printf(out, "%.1f,%.1f ", x_of(i), y_of(c->high[i]));
    for (unsigned i = BINS; i-- > 0;)
        buf_printf(out, "%.1f,%.1f ", x_of(i), y_of(c->low[i]));
    buf_puts(out, "\"/>");
    line(out, c->target, "target");
    line(out, c->mean, "actual");
    buf_printf(out,
               "<text x=\"%d\" y=\"%d\">beginning</text><text x=\"%d\" y=\"%d\" "
               "text-anchor=\"end\">end</text></svg></figure>\n",
               PAD, HIGH - 6, WIDE - 8, HIGH - 6);
}
void page_tension(const struct page *p, struct buf *out)
{
    const char *frames[FRAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < p->samples->count && count < FRAMES_MAX; i++) {
        const struct sample *x = &p->samples->list[i];
        bool known = !x->has_play;
        for (size_t k = 0; k < count && !known; k++)
            known = strcmp(frames[k], x->play.frame) == 0;
        if (!known)
            frames[count++] = x->play.frame;
    }
    buf_puts(out, "<div class=\"grid-of\">\n");
    for (size_t k = 0; k < count; k++) {
        struct curve c;
        if (curve_of(p->samples, frames[k], &c) != 0)
            out->failed = true;
        else if (c.stories > 0)
            draw_curve(&c, frames[k], out);
    }
    buf_puts(out, "</div>\n");
}

/* ---- operators ------------------------------------------------------------------------------- */

struct use {
    const char *name;
    size_t stories, last;
};
static int by_use(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    return x->stories != y->stories ? (x->stories < y->stories ? 1 : -1) : strcmp(x->name, y->name);
}
static void list_unused(const struct page *p, struct buf *out)
{
    size_t unused = 0, all = nvl_pack_op_count(p->pack);
    uint32_t known = (uint32_t) text_table_count(p->samples->operators);
    struct buf names = { 0 };
    for (size_t i = 0; i < all; i++) {
        struct nvl_op_info op;
        nvl_pack_op(p->pack, i, &op);
        if (text_table_id(p->samples->operators, op.name, strlen(op.name)) < known)
            continue;
        buf_printf(&names, "%s<code>", unused++ > 0 ? ", " : "");
        page_text(&names, op.name, strlen(op.name));
        buf_puts(&names, "</code>");
    }
    buf_printf(out, "<p>%zu of %zu operators were never chosen%s", unused, all,
               unused > 0 ? ": " : "");
    buf_put(out, names.data, names.size);
    buf_puts(out, ".</p>\n");
    out->failed |= names.failed;
    buf_done(&names);
}
void page_operators(const struct page *p, struct buf *out)
{
    const struct samples *s = p->samples;
    size_t count = text_table_count(s->operators), stories = 0;
    struct use *uses = alloc_zero(count + 1, sizeof(*uses));
    if (uses == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++)
        uses[i].name = text_table_word(s->operators, (uint32_t) i);
    for (size_t i = 0; i < s->count; i++) {
        stories += s->list[i].has_play;
        for (size_t k = 0; k < s->list[i].play.operators_count; k++) {
            struct use *u = &uses[s->list[i].play.operators[k]];
            u->stories += u->last != i + 1;
            u->last = i + 1;
        }
    }
    qsort(uses, count, sizeof(*uses), by_use);
    buf_puts(out, "<div class=\"bars\">\n");
    for (size_t i = 0; i < count; i++) {
        double share = stories > 0 ? 100.0 * (double) uses[i].stories / (double) stories : 0;
        buf_puts(out, "<div><span>");
        page_text(out, uses[i].name, strlen(uses[i].name));
        buf_printf(out, "</span><i style=\"width:%.1f%%\"></i><b>%.1f&#8239;%%</b></div>\n",
                   share * 0.5, share);
    }
    buf_puts(out, "</div>\n");
    alloc_free(uses);
    list_unused(p, out);
}

/* ---- plots ----------------------------------------------------------------------------------- */

enum { CELL = 11, A_ROW = 50 };

static uint32_t mix(const char *s)
{
    uint32_t h = 2166136261u;
    for (; *s != 0; s++)
        h = (h ^ (unsigned char) *s) * 16777619u;
    return h ^ h >> 15;
}
static void draw_plot(const struct samples *s, size_t i, size_t at, struct map *seen,
                      struct buf *out)
{
    const struct metrics_play *p = &s->list[i].play;
    size_t size = strlen(p->signature);
    bool again = map_get(seen, p->signature, size) != NULL;
    if (map_set(seen, p->signature, size, (void *) p, NULL) < 0)
        out->failed = true;
    unsigned hue = (mix(p->frame) * 7 + mix(p->truth)) % 360, light = 38 + mix(p->ending) % 5 * 8;
    buf_printf(out,
               "<rect x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\" rx=\"2\" "
               "fill=\"hsl(%u 55%% %u%%)\"%s><title>",
               at % A_ROW * CELL, at / A_ROW * CELL, CELL - 2, CELL - 2, hue, light,
               again ? " opacity=\".22\"" : "");
    buf_printf(out, "seed %llu: ", (unsigned long long) p->seed);
    page_text(out, p->signature, size);
    buf_puts(out, "</title></rect>");
}
void page_plots(const struct page *p, struct buf *out)
{
    const struct samples *s = p->samples;
    buf_puts(out, "<div class=\"two-of\">\n");
    for (unsigned r = 0; r < p->requests_count; r++) {
        size_t stories, different = plots_signatures(s, r, &stories), at = 0;
        struct map seen = { 0 };
        if (stories == 0)
            continue;
        buf_puts(out, "<figure><figcaption><b>");
        page_text(out, p->requests[r], strlen(p->requests[r]));
        buf_printf(out, "</b> <i>%zu different of %zu</i></figcaption>", different, stories);
        buf_printf(out, "<svg viewBox=\"0 0 %d %zu\" style=\"max-width:%dpx\">", A_ROW * CELL,
                   (stories + A_ROW - 1) / A_ROW * CELL, A_ROW * CELL);
        for (size_t i = 0; i < s->count; i++)
            if (s->list[i].has_play && s->list[i].request == r)
                draw_plot(s, i, at++, &seen, out);
        buf_puts(out, "</svg></figure>\n");
        map_done(&seen);
    }
    buf_puts(out, "</div>\n");
}

/* ---- sameness -------------------------------------------------------------------------------- */

enum { EACH = 6, CELLS_MAX = 60, DOT = 9 };

/* The first stories of every request, one request after another. */
static size_t pick(const struct page *p, const struct text_doc **docs, const struct sample **out)
{
    const struct samples *s = p->samples;
    size_t n = 0;
    for (unsigned r = 0; r < p->requests_count; r++) {
        size_t of = 0;
        for (size_t i = 0; i < s->count && of < EACH && n < CELLS_MAX; i++)
            if (s->list[i].has_text && s->list[i].request == r) {
                docs[n] = &s->list[i].doc;
                out[n++] = &s->list[i];
                of++;
            }
    }
    return n;
}
static void tell_pair(const struct sample *const *x, size_t n, const float *same, struct buf *out)
{
    size_t a = 0, b = 0;
    float most = -1;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++)
            if (same[i * n + k] > most)
                most = same[i * n + k], a = i, b = k;
    if (most < 0)
        return;
    buf_printf(out, "<p>Most alike: <b>");
    page_text(out, x[a]->name, strlen(x[a]->name));
    buf_puts(out, "</b> and <b>");
    page_text(out, x[b]->name, strlen(x[b]->name));
    buf_printf(out,
               "</b>; %.0f&#8239;%% of the first one's five-word runs stand in the second.</p>\n",
               (double) most * 100);
}
int page_sameness(const struct page *p, struct buf *out)
{
    const struct text_doc *docs[CELLS_MAX];
    const struct sample *x[CELLS_MAX];
    size_t n = pick(p, docs, x);
    float *same = alloc_zero(n * n + 1, sizeof(*same));
    if (same == NULL || n < 2 || metrics_sameness(docs, n, same) != 0) {
        alloc_free(same);
        return n < 2 ? 0 : -1;
    }
    buf_printf(out, "<svg class=\"map\" viewBox=\"0 0 %zu %zu\" style=\"max-width:%zupx\">",
               n * DOT, n * DOT, n * DOT);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            double v = i == k ? 0 : (double) same[i * n + k];
            double shade = v >= 0.2 ? 1 : v / 0.2;
            buf_printf(out,
                       "<rect x=\"%zu\" y=\"%zu\" width=\"8\" height=\"8\" fill-opacity=\"%.2f\">",
                       k * DOT, i * DOT, i == k ? 0.0 : 0.04 + 0.96 * shade);
            if (v >= 0.05) {
                buf_printf(out, "<title>%.0f%%: ", v * 100);
                page_text(out, x[i]->name, strlen(x[i]->name));
                buf_puts(out, " / ");
                page_text(out, x[k]->name, strlen(x[k]->name));
                buf_puts(out, "</title>");
            }
            buf_puts(out, "</rect>");
        }
    buf_puts(out, "</svg>\n");
    tell_pair(x, n, same, out);
    alloc_free(same);
    return 0;
}
