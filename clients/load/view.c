#include "clients/load/view.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/c/novel_json.h"
#include "clients/cli/term.h"

enum { BAR_COLUMNS = 30, LINE_EVERY_S = 10 };

void view_init(struct view *v, bool json, bool plain)
{
    const char *term = getenv("TERM");
    bool terminal = isatty(STDERR_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
    *v = (struct view){ .kind = json                 ? VIEW_JSON
                                : plain || !terminal ? VIEW_LINES
                                                     : VIEW_LIVE,
                        .utf8 = term_utf8(),
                        .color = term_colors(STDERR_FILENO) };
}

void view_sparkline(struct buf *out, const double *values, size_t n, bool utf8)
{
    static const char *const fine[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    static const char *const coarse[] = { "_", "_", ".", ".", "-", "=", "*", "#" };
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = values[i] > most ? values[i] : most;
    for (size_t i = 0; i < n; i++) {
        unsigned level = most <= 0 ? 0 : (unsigned) (values[i] / most * 7 + 0.5);
        buf_puts(out, (utf8 ? fine : coarse)[level > 7 ? 7 : level]);
    }
}

static void erase(struct view *v)
{
    for (; v->drawn > 0; v->drawn--)
        fputs("\x1b[1A\x1b[2K", stderr);
}

static void put(struct view *v, struct buf *b)
{
    erase(v);
    fputs(buf_str(b), stderr);
    fflush(stderr);
    buf_done(b);
}

static void put_title(struct buf *b, const struct row *row)
{
    buf_printf(b, "%-11s %-4s %-22s %5u user%s", row->section, row->door, row->endpoint, row->users,
               row->users == 1 ? " " : "s");
    if (row->rate_wanted > 0)
        buf_printf(b, " at %.0f/s", row->rate_wanted);
}

static void put_errors(struct buf *b, const struct row *row)
{
    uint64_t errors = row_errors(row);
    if (errors == 0) {
        buf_puts(b, "no errors");
        return;
    }
    buf_printf(b, "%llu errors (%.2f %%):", (unsigned long long) errors, row->error_percent);
    for (size_t i = OUTCOME_OK + 1; i < OUTCOMES; i++)
        if (row->errors[i] > 0)
            buf_printf(b, " %s %llu", outcome_name((enum outcome) i),
                       (unsigned long long) row->errors[i]);
}

static void put_json_line(const char *event, const struct row *row, const struct slice *now)
{
    struct buf b = { 0 };
    buf_printf(
        &b, "{\"event\":\"%s\",\"section\":\"%s\",\"door\":\"%s\",\"endpoint\":\"%s\",\"users\":%u",
        event, row->section, row->door, row->endpoint, row->users);
    if (now != NULL)
        buf_printf(&b,
                   ",\"at_s\":%.3f,\"requests\":%llu,\"errors\":%llu,\"rate\":%.1f,\"p50_ms\":%.3f,"
                   "\"p95_ms\":%.3f,\"p99_ms\":%.3f",
                   now->at_s, (unsigned long long) now->requests, (unsigned long long) now->errors,
                   now->rate, now->p50_ms, now->p95_ms, now->p99_ms);
    buf_puts(&b, "}\n");
    fputs(buf_str(&b), stderr);
    buf_done(&b);
}

void view_begin(struct view *v, const struct row *row, double planned_s)
{
    v->n_rates = 0;
    v->last_line_s = 0;
    if (v->kind == VIEW_JSON) {
        put_json_line("begin", row, NULL);
    } else if (v->kind == VIEW_LINES && planned_s >= LINE_EVERY_S) {
        struct buf b = { 0 };
        put_title(&b, row);
        buf_printf(&b, "  for %.0f s\n", planned_s);
        put(v, &b);
    }
}

static void put_bar(struct buf *b, double share, bool utf8)
{
    unsigned full = (unsigned) (share * BAR_COLUMNS + 0.5);
    for (unsigned i = 0; i < BAR_COLUMNS; i++)
        buf_puts(b, i < full ? (utf8 ? "━" : "=") : (utf8 ? "─" : "."));
    buf_printf(b, " %3.0f %%", share * 100);
}

static void draw(struct view *v, const struct row *row, const struct slice *now, double share,
                 const struct results *results)
{
    struct buf b = { 0 };
    buf_puts(
        &b,
        "\x1b[?7l"); /* a line that is too long is cut, not wrapped: the block stays five lines */
    buf_puts(&b, v->color ? "\x1b[1m" : "");
    put_title(&b, row);
    buf_printf(&b, "%s\n  ", v->color ? "\x1b[0m" : "");
    if (share >= 0)
        put_bar(&b, share > 1 ? 1 : share, v->utf8);
    buf_printf(&b, "\n  %9.1f/s  p50 %.2f  p95 %.2f  p99 %.2f ms   ", now->rate, now->p50_ms,
               now->p95_ms, now->p99_ms);
    put_errors(&b, row);
    buf_puts(&b, "\n  ");
    view_sparkline(&b, v->rates, v->n_rates, v->utf8);
    buf_puts(&b, "\n  ");
    for (size_t i = 0; i < results->n_processes; i++) {
        const struct process *p = &results->processes[i];
        if (p->ended)
            buf_printf(&b, "%s ENDED   ", p->name);
        else if (p->n_samples > 0)
            buf_printf(&b, "%s %.0f %% %.0f MB   ", p->name,
                       p->samples[p->n_samples - 1].cpu_percent,
                       p->samples[p->n_samples - 1].rss_mb);
    }
    buf_puts(&b, "\n\x1b[?7h");
    put(v, &b);
    v->drawn = 5;
}

void view_tick(struct view *v, const struct row *row, const struct slice *now, double share,
               const struct results *results)
{
    if (v->n_rates == VIEW_SPARKS) {
        memmove(v->rates, v->rates + 1, (VIEW_SPARKS - 1) * sizeof v->rates[0]);
        v->n_rates--;
    }
    v->rates[v->n_rates++] = now->rate;
    if (v->kind == VIEW_JSON)
        put_json_line("tick", row, now);
    else if (v->kind == VIEW_LIVE)
        draw(v, row, now, share, results);
    else if (now->at_s - v->last_line_s >= LINE_EVERY_S) {
        struct buf b = { 0 };
        v->last_line_s = now->at_s;
        buf_printf(&b, "  %5.0f s %9.1f/s  p50 %.2f  p95 %.2f  p99 %.2f ms  ", now->at_s, now->rate,
                   now->p50_ms, now->p95_ms, now->p99_ms);
        put_errors(&b, row);
        buf_putc(&b, '\n');
        put(v, &b);
    }
}

void view_end(struct view *v, const struct row *row)
{
    struct buf b = { 0 };
    if (v->kind == VIEW_JSON) {
        const struct slice all = { row->seconds,        row->seconds,       row->requests,
                                   row_errors(row),     row->rate,          row->latency.p50_ms,
                                   row->latency.p95_ms, row->latency.p99_ms };
        put_json_line("end", row, &all);
        return;
    }
    put_title(&b, row);
    buf_printf(&b, "  %9.1f/s  p50 %8.2f  p95 %8.2f  p99 %8.2f ms  ", row->rate,
               row->latency.p50_ms, row->latency.p95_ms, row->latency.p99_ms);
    put_errors(&b, row);
    if (row->generator_limited)
        buf_puts(&b, "  [the load generator was the limit]");
    buf_putc(&b, '\n');
    put(v, &b);
}

void view_note(struct view *v, const char *format, ...)
{
    struct buf b = { 0 };
    va_list args;
    va_start(args, format);
    if (v->kind == VIEW_JSON) {
        char text[512];
        vsnprintf(text, sizeof text, format, args);
        buf_puts(&b, "{\"event\":\"note\",\"text\":");
        novel_json_put_string(&b, text, strlen(text));
        buf_putc(&b, '}');
    } else {
        buf_vprintf(&b, format, args);
    }
    va_end(args);
    buf_putc(&b, '\n');
    put(v, &b);
}
