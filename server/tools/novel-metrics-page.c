#include "server/tools/novel-metrics-page.h"

#include <math.h>
#include <string.h>

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\"><title>Story report</title>\n<style>\n"
    ":root{--ink:#22262b;--soft:#6b7280;--paper:#fbfaf7;--card:#fff;--edge:#e4e1d8;--a:#b4432f;"
    "--b:#2f6f8f;--ok:#3d7a4a;--no:#b4432f}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e3dc;--soft:#9aa0a6;--paper:#17191c;"
    "--card:#1f2226;--edge:#33373c;--a:#e07a63;--b:#6db3d1;--ok:#7fbf8b;--no:#e07a63}}\n"
    "body{margin:0 auto;max-width:1080px;padding:2.5rem 1.25rem 5rem;background:var(--paper);"
    "color:var(--ink);font:16px/1.6 Georgia,serif}\n"
    "h1{font-size:2.3rem;margin:0}h2{margin:3rem 0 .2rem;font-size:1.45rem}\n"
    "p{max-width:44rem}p.lead{font-size:1.15rem}i{color:var(--soft);font-style:normal}\n"
    "svg text,.bars,table,.chips,figcaption i,code{font-family:system-ui,sans-serif}\n"
    "svg text{font-size:9px;fill:var(--soft)}svg{display:block;width:100%}\n"
    "figure{margin:0;background:var(--card);border:1px solid var(--edge);border-radius:8px;"
    "padding:.7rem .9rem}\n"
    "figcaption{font-size:.95rem;margin-bottom:.3rem}figcaption i{font-size:.8rem}\n"
    ".grid-of{display:grid;grid-template-columns:repeat(auto-fill,minmax(290px,1fr));gap:.9rem}\n"
    ".two-of{display:grid;grid-template-columns:repeat(auto-fit,minmax(430px,1fr));gap:.9rem}"
    "ol.often{font-size:.95rem}ol.often i{font:.8rem system-ui,sans-serif}\n"
    ".grid{stroke:var(--edge)}.band{fill:var(--a);opacity:.16}\n"
    ".target{fill:none;stroke:var(--b);stroke-width:1.6;stroke-dasharray:4 3}\n"
    ".actual{fill:none;stroke:var(--a);stroke-width:2.2}.map rect{fill:var(--a)}\n"
    ".key b{display:inline-block;width:1.6rem;height:0;border-top:3px solid var(--a);"
    "vertical-align:middle;margin:0 .35rem 0 1rem}.key b.t{border-top:2px dashed var(--b)}\n"
    ".bars{columns:20rem;column-gap:2rem;font-size:.78rem;line-height:1.45}\n"
    ".bars div{display:flex;align-items:center;break-inside:avoid;gap:.4rem}\n"
    ".bars span{width:8.5rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}\n"
    ".bars i{height:.55rem;background:var(--b);border-radius:2px;min-width:1px}\n"
    ".bars b{font-weight:400;color:var(--soft)}code{font-size:.8rem}\n"
    ".chips{display:flex;flex-wrap:wrap;gap:.6rem;margin:1.2rem 0}.chips "
    "div{background:var(--card);"
    "border:1px solid var(--edge);border-radius:8px;padding:.5rem .9rem;font-size:.8rem;"
    "color:var(--soft)}.chips b{display:block;font-size:1.4rem;color:var(--ink)}\n"
    "table{border-collapse:collapse;width:100%;font-size:.86rem}td,th{padding:.28rem .6rem;"
    "text-align:left;border-bottom:1px solid var(--edge)}td.n{text-align:right;"
    "font-variant-numeric:tabular-nums}th{color:var(--soft);font-weight:600;padding-top:1.1rem}\n"
    ".ok{color:var(--ok)}.missed{color:var(--no);font-weight:700}\n"
    "details{background:var(--card);border:1px solid var(--edge);border-radius:8px;margin:.5rem 0;"
    "padding:.7rem 1rem}summary{cursor:pointer}details p{margin:.6rem 0}\n"
    "</style></head><body>\n";

void page_text(struct buf *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '<')
            buf_puts(out, "&lt;");
        else if (c == '>')
            buf_puts(out, "&gt;");
        else if (c == '&')
            buf_puts(out, "&amp;");
        else if (c == '"')
            buf_puts(out, "&quot;");
        else
            buf_putc(out, c);
    }
}
static void chip(struct buf *out, const char *value, const char *what)
{
    buf_printf(out, "<div><b>%s</b>%s</div>", value, what);
}
static void write_lead(const struct page *p, struct buf *out)
{
    const struct samples *s = p->samples;
    double words = 0, violations = 0;
    struct buf n = { 0 };
    size_t judged = gates_judged(p->gates);
    for (size_t i = 0; i < s->count; i++) {
        words += s->list[i].one[ONE_WORDS];
        violations += s->list[i].has_play ? s->list[i].play.m[LOG_VIOLATIONS] : 0;
    }
    buf_printf(out,
               "<h1>Story report</h1>\n<p class=\"lead\">%zu stories: %zu request%s, %u seed%s "
               "each. What they do, how the tension runs, how much they resemble one another, and "
               "where they fall short.</p>\n<div class=\"chips\">",
               s->count, p->requests_count, p->requests_count == 1 ? "" : "s", p->seeds,
               p->seeds == 1 ? "" : "s");
    buf_printf(&n, "%.0f", words);
    chip(out, buf_str(&n), "words");
    buf_reset(&n), buf_printf(&n, "%.0f", violations);
    chip(out, buf_str(&n), "laws broken");
    buf_reset(&n), buf_printf(&n, "%zu of %zu", judged - p->gates->missed, judged);
    chip(out, buf_str(&n), "gates hold");
    buf_reset(&n), buf_printf(&n, "%.0f %%", p->gates->set[SET_SHARED5] * 100);
    chip(out, buf_str(&n), "of five-word runs stand in another story");
    buf_puts(out, "</div>\n");
    out->failed |= n.failed;
    buf_done(&n);
}
static void write_gates(const struct gate_table *t, struct buf *out)
{
    const char *part = "";
    buf_puts(out, "<table>\n");
    for (size_t i = 0; i < t->count; i++) {
        const struct gate_row *r = &t->rows[i];
        char bounds[32];
        gate_bounds_text(r, bounds);
        if (strcmp(part, r->part) != 0)
            buf_printf(out,
                       "<tr><th>%s</th><th>value</th><th>gate</th><th></th><th>stories "
                       "outside</th></tr>\n",
                       r->part);
        part = r->part;
        buf_puts(out, "<tr><td>");
        page_text(out, r->measure, strlen(r->measure));
        buf_printf(out, "</td><td class=\"n\">%.3f</td><td>", r->value);
        page_text(out, bounds, strlen(bounds));
        buf_printf(out, "</td><td class=\"%s\">%s</td><td>",
                   r->state == GATE_MISSED ? "missed" : "ok",
                   r->state == GATE_MISSED ? "missed"
                   : r->state == GATE_OK   ? "ok"
                                           : "");
        if (gate_counts(r))
            buf_printf(out, "%zu of %zu", r->outside, r->samples);
        buf_puts(out, "</td></tr>\n");
    }
    buf_puts(out, "</table>\n");
}
/* The whole story, paragraph by paragraph. */
static void write_story(const struct sample *x, struct buf *out)
{
    const struct text_doc *d = &x->doc;
    buf_puts(out, "<details><summary><b>");
    page_text(out, x->play.title, strlen(x->play.title));
    buf_puts(out, "</b> <i>");
    page_text(out, x->name, strlen(x->name));
    buf_puts(out, "</i></summary>");
    for (size_t i = 0; i < d->sentences_count; i++) {
        bool starts = i == 0 || d->sentences[i].paragraph != d->sentences[i - 1].paragraph;
        buf_puts(out, starts ? (i > 0 ? "</p>\n<p>" : "\n<p>") : " ");
        page_text(out, d->sentences[i].data, d->sentences[i].size);
    }
    buf_puts(out, "</p></details>\n");
}
static void write_stories(const struct page *p, struct buf *out)
{
    for (unsigned r = 0; r < p->requests_count; r++)
        for (size_t i = 0; i < p->samples->count; i++)
            if (p->samples->list[i].has_text && p->samples->list[i].has_play &&
                p->samples->list[i].request == r) {
                write_story(&p->samples->list[i], out);
                break;
            }
}
static void section(struct buf *out, const char *title, const char *text)
{
    buf_printf(out, "<h2>%s</h2>\n<p>%s</p>\n", title, text);
}
int page_write(const struct page *p, struct buf *out)
{
    buf_puts(out, head);
    write_lead(p, out);
    section(out, "How the tension runs",
            "Each picture is a kind of story. The band holds eight stories of ten. "
            "<span class=\"key\"><b class=\"t\"></b>meant <b></b>as it came</span>");
    page_tension(p, out);
    section(
        out, "Plots",
        "A square is a story; its colour is what was true and how it ended. Pale squares repeat "
        "a plot that stands before them. Rest the pointer on one to see what happened.");
    page_plots(p, out);
    section(out, "Sameness",
            "The first stories of each request against one another: the darker, the more "
            "five-word runs of the story in the row stand in the story of the column too. Blocks "
            "along the diagonal are stories of one request.");
    if (page_sameness(p, out) != 0)
        return -1;
    section(out, "Told again and again",
            "The sentences of five words or more that stand in most stories. Each is a line that a "
            "writer could give more alternatives.");
    if (page_repeats(p, out) != 0)
        return -1;
    section(out, "What they do",
            "Every operator, and the share of stories in which it happens. Flat "
            "is good.");
    page_operators(p, out);
    section(out, "Gates",
            "Measured over all stories. A text measure holds when nine stories of ten "
            "lie within its bounds, which are those of nine tenths of printed fiction; "
            "a measure of the logs holds by its mean, broken laws by their number.");
    write_gates(p->gates, out);
    section(out, "Read some", "The first of each request, whole.");
    write_stories(p, out);
    buf_puts(out, "</body></html>\n");
    return out->failed ? -1 : 0;
}
