#include <string.h>

#include "clients/load/original.h"
#include "clients/load/plot.h"
#include "clients/load/report.h"
#include "rpc/base/alloc.h"

static const char style[] =
    "<style>\n"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 "
    "1em;color:#222;background:#fff}\n"
    "table{border-collapse:collapse;margin:1em 0;font-size:13px;display:block;overflow-x:auto}\n"
    "td,th{border:1px solid #ddd;padding:3px "
    "8px;text-align:left;vertical-align:top}th{background:#f3f3f3}\n"
    "td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    "code{background:#f3f3f3;padding:0 "
    "3px}.bad{color:#b00020;font-weight:600}.good{color:#1d7a3c;font-weight:600}\n"
    "figure{margin:1.5em 0}figcaption{font-weight:600}svg{width:100%;max-width:900px;font:12px "
    "system-ui,sans-serif}\n"
    "svg .grid{stroke:#e4e4e4}svg text{fill:#444}\n"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}th,code{background:#"
    "262626}"
    "td,th{border-color:#3a3a3a}svg .grid{stroke:#333}svg text{fill:#bbb}}\n"
    "</style>\n";

static void put_cell(struct buf *out, const char *tag, const char *text)
{
    bool number = strcmp(tag, "td") == 0 && text[0] >= '0' && text[0] <= '9';
    buf_printf(out, "<%s%s>", tag, number ? " class='n'" : "");
    plot_put_text(out, text);
    buf_printf(out, "</%s>", tag);
}

static void put_section(struct buf *out, const struct results *r, const struct report_section *s)
{
    const char *heads[REPORT_CELLS];
    char cells[REPORT_CELLS][REPORT_CELL];
    size_t n = report_head(s->name, heads);
    buf_printf(out, "<h2>%s</h2>\n<p>%s</p>\n<table><tr>", s->title, s->explanation);
    for (size_t i = 0; i < n; i++)
        put_cell(out, "th", heads[i]);
    buf_puts(out, "</tr>\n");
    for (size_t k = 0; k < r->n_rows; k++) {
        if (strcmp(r->rows[k].section, s->name) != 0)
            continue;
        n = report_cells(&r->rows[k], cells);
        buf_puts(out, "<tr>");
        for (size_t i = 0; i < n; i++)
            put_cell(out, "td", cells[i]);
        buf_puts(out, "</tr>\n");
    }
    buf_puts(out, "</table>\n");
    for (size_t k = 0; k < r->n_rows; k++) {
        const struct row *row = &r->rows[k];
        if (!row->generator_limited || strcmp(row->section, s->name) != 0)
            continue;
        buf_puts(out, "<p>* ");
        plot_put_text(out, row->door);
        buf_putc(out, ' ');
        plot_put_text(out, row->endpoint);
        buf_printf(out, ", %u users: the load generator was the limit: ", row->users);
        plot_put_text(out, row->generator_why);
        buf_puts(out, "</p>\n");
    }
}

/* ---- plots ---- */
static size_t collect_steps(const struct results *r, const char *section, const struct row *like,
                            bool rate, struct plot_point *points)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct row *row = &r->rows[i];
        if (strcmp(row->section, section) == 0 && strcmp(row->door, like->door) == 0 &&
            strcmp(row->endpoint, like->endpoint) == 0)
            points[n++] = (struct plot_point){ row->users, rate ? row->rate : row->latency.p95_ms };
    }
    return n;
}

/* One line for each door and endpoint of the section, over users. */
static void put_steps(struct buf *out, const struct results *r, const char *section, bool rate)
{
    struct plot p = { .title = rate ? "Throughput against users" : "95th percentile against users",
                      .x_label = "users",
                      .y_label = rate ? "good answers a second" : "ms",
                      .x_log = true,
                      .y_log = !rate };
    char names[PLOT_SERIES_MAX][2 * RESULTS_NAME + 2];
    struct plot_point *points[PLOT_SERIES_MAX] = { 0 };
    for (size_t i = 0; i < r->n_rows && p.n < PLOT_SERIES_MAX; i++) {
        const struct row *row = &r->rows[i];
        char name[sizeof names[0]];
        bool known = strcmp(row->section, section) != 0;
        snprintf(name, sizeof name, "%s %s", row->door, row->endpoint);
        for (size_t k = 0; k < p.n; k++)
            known |= strcmp(names[k], name) == 0;
        if (known)
            continue;
        points[p.n] = alloc_zero(r->n_rows, sizeof *points[0]);
        if (points[p.n] == NULL)
            break;
        memcpy(names[p.n], name, sizeof name);
        p.series[p.n] = (struct plot_series){ names[p.n], points[p.n],
                                              collect_steps(r, section, row, rate, points[p.n]) };
        p.n++;
    }
    plot_put(out, &p);
    for (size_t i = 0; i < PLOT_SERIES_MAX; i++)
        alloc_free(points[i]);
}

/* The whole distribution of one row a line: percentiles on a scale that opens towards the rare
 * ones. */
static void put_percentiles(struct buf *out, const struct results *r, const char *section)
{
    struct plot p = { .title = "Latency by percentile, the busiest step of each",
                      .x_label = "one request of so many is slower",
                      .y_label = "ms",
                      .x_log = true,
                      .y_log = true };
    struct plot_point points[PLOT_SERIES_MAX][6];
    char names[PLOT_SERIES_MAX][2 * RESULTS_NAME + 16];
    for (size_t i = 0; i < r->n_rows && p.n < PLOT_SERIES_MAX; i++) {
        const struct row *row = &r->rows[i], *next = i + 1 < r->n_rows ? &r->rows[i + 1] : NULL;
        bool last = next == NULL || strcmp(next->section, section) != 0 ||
                    strcmp(next->door, row->door) != 0 ||
                    strcmp(next->endpoint, row->endpoint) != 0;
        if (strcmp(row->section, section) != 0 || !last)
            continue;
        const struct latency *l = &row->latency;
        const struct plot_point all[6] = {
            { 2, l->p50_ms },
            { 10, l->p90_ms },
            { 20, l->p95_ms },
            { 100, l->p99_ms },
            { 1000, l->p999_ms },
            { row->requests > 1000 ? (double) row->requests : 1001, l->max_ms }
        };
        memcpy(points[p.n], all, sizeof all);
        snprintf(names[p.n], sizeof names[0], "%s %s, %u", row->door, row->endpoint, row->users);
        p.series[p.n] = (struct plot_series){ names[p.n], points[p.n], 6 };
        p.n++;
    }
    plot_put(out, &p);
}

enum over_time { OVER_MEMORY, OVER_CPU };

static void put_over_time(struct buf *out, const struct results *r, enum over_time what)
{
    struct plot p = { .title = what == OVER_MEMORY ? "Memory over time" : "CPU over time",
                      .x_label = "seconds",
                      .y_label = what == OVER_MEMORY ? "MB resident" : "% of a core" };
    struct plot_point *points[RESULTS_PROCESSES] = { 0 };
    for (size_t i = 0; i < r->n_processes; i++) {
        const struct process *s = &r->processes[i];
        points[i] = s->n_samples == 0 ? NULL : alloc_zero(s->n_samples, sizeof *points[0]);
        if (points[i] == NULL)
            continue;
        for (size_t k = 0; k < s->n_samples; k++)
            points[i][k] = (struct plot_point){ s->samples[k].at_s,
                                                what == OVER_MEMORY ? s->samples[k].rss_mb
                                                                    : s->samples[k].cpu_percent };
        p.series[p.n++] = (struct plot_series){ s->name, points[i], s->n_samples };
    }
    plot_put(out, &p);
    for (size_t i = 0; i < RESULTS_PROCESSES; i++)
        alloc_free(points[i]);
}

/* ---- the verdict ---- */
static void put_components(struct buf *out, const struct judgement *j)
{
    char found[300], text[16];
    buf_puts(out, "<h2>Readiness by "
                  "component</h2>\n<table><tr><th>component</th><th>grade</th><th>passed</"
                  "th><th>must failed</th>"
                  "<th>should failed</th><th>not measured</th><th>decided "
                  "by</th><th>found</th><th>the original</th></tr>\n");
    for (size_t i = 0; i < j->rules->n_components; i++) {
        const struct component_result *c = &j->components[i];
        const unsigned counts[] = { c->passed, c->failed_must, c->failed_should, c->unmeasured };
        buf_puts(out, "<tr>");
        put_cell(out, "td", j->rules->components[i]);
        buf_printf(out, "<td class='%s'>%c</td>", c->failed_must > 0 ? "bad" : "good", c->grade);
        for (size_t k = 0; k < 4; k++) {
            snprintf(text, sizeof text, "%u", counts[k]);
            put_cell(out, "td", text);
        }
        found[0] = '\0';
        if (c->worst != NULL)
            rules_describe(c->worst, found, sizeof found);
        buf_puts(out, "<td><code>");
        plot_put_text(out, c->worst == NULL ? "" : c->worst->rule->text);
        buf_puts(out, "</code></td>");
        put_cell(out, "td", found);
        put_cell(out, "td", original_readiness(j->rules->components[i]));
        buf_puts(out, "</tr>\n");
    }
    buf_puts(out, "</table>\n");
}

static void put_checks(struct buf *out, const struct judgement *j)
{
    static const char *const words[] = { "passed", "FAILED", "not measured" };
    char found[300];
    buf_puts(out,
             "<h2>Every rule</h2>\n<table><tr><th>rule</th><th>outcome</th><th>found</th></tr>\n");
    for (size_t i = 0; i < j->n; i++) {
        const struct check_result *c = &j->checks[i];
        char grade[2] = { c->grade, '\0' };
        rules_describe(c, found, sizeof found);
        buf_puts(out, "<tr><td><code>");
        plot_put_text(out, c->rule->text);
        buf_printf(out, "</code></td><td%s>%s</td>", c->state == CHECK_FAILED ? " class='bad'" : "",
                   c->grade != 0 ? grade : words[c->state]);
        put_cell(out, "td", found);
        buf_puts(out, "</tr>\n");
    }
    buf_puts(out, "</table>\n");
}

static void put_knees(struct buf *out, const struct results *r)
{
    if (r->n_knees == 0)
        return;
    buf_puts(out, "<table><tr><th>endpoint</th><th>door</th><th>users that "
                  "held</th><th>requests/s</th><th>the knee</th></tr>\n");
    for (size_t i = 0; i < r->n_knees; i++) {
        const struct knee *k = &r->knees[i];
        buf_puts(out, "<tr>");
        put_cell(out, "td", k->endpoint);
        put_cell(out, "td", k->door);
        buf_printf(out, "<td class='n'>%u</td><td class='n'>%.0f</td><td>", k->best_users,
                   k->best_rate);
        if (k->broke)
            buf_printf(out, "<strong>%u users</strong>: ", k->users);
        plot_put_text(out, k->why);
        buf_puts(out, "</td></tr>\n");
    }
    buf_puts(out, "</table>\n");
}

static void put_first_errors(struct buf *out, const struct results *r)
{
    bool any = false;
    for (size_t k = 0; k < r->n_rows; k++)
        for (size_t i = OUTCOME_OK + 1; i < OUTCOMES; i++) {
            const struct row *row = &r->rows[k];
            if (row->detail[i][0] == '\0')
                continue;
            buf_puts(out, any ? "" : "<h2>What the errors said</h2>\n<table>");
            buf_puts(out, "<tr><td>");
            plot_put_text(out, row->section);
            buf_puts(out, ", ");
            plot_put_text(out, row->door);
            buf_putc(out, ' ');
            plot_put_text(out, row->endpoint);
            buf_printf(out, ", %u users</td><td>%s</td>", row->users,
                       outcome_name((enum outcome) i));
            put_cell(out, "td", row->detail[i]);
            buf_puts(out, "</tr>\n");
            any = true;
        }
    buf_puts(out, any ? "</table>\n" : "");
}

static void put_processes(struct buf *out, const struct results *r)
{
    for (size_t i = 0; i < r->n_processes; i++) {
        if (!r->processes[i].ended)
            continue;
        buf_printf(out, "<p class='bad'>Process %d ended during the run: ", r->processes[i].pid);
        plot_put_text(out, r->processes[i].name);
        buf_puts(out, "</p>\n");
    }
    buf_printf(out, "<p>The original: %s.</p>\n", original_resources);
}

static void put_meaning(struct buf *out, const struct judgement *j)
{
    struct buf scope = { 0 };
    if (j->unmeasured > 0) {
        buf_puts(&scope, " Judged: ");
        report_scope(&scope, j, true);
        buf_puts(&scope, ". Left out: ");
        report_scope(&scope, j, false);
        buf_putc(&scope, '.');
    }
    buf_printf(out, "<p>%s", report_meaning(j));
    plot_put_text(out, buf_str(&scope));
    buf_puts(out, "</p>\n");
    buf_done(&scope);
}

static void put_head(struct buf *out, const struct results *r, const struct judgement *j)
{
    buf_puts(out, "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>Performance "
                  "report</title>\n"
                  "<meta name='viewport' content='width=device-width'>\n");
    buf_puts(out, style);
    buf_puts(out, "</head><body>\n<h1>Performance report</h1>\n<p>Verdict: <strong>");
    plot_put_text(out, j->verdict);
    buf_printf(out,
               "</strong>. %u checks passed, %u must and %u should failed, %u were not measured; "
               "by the rule <code>",
               j->passed, j->failed_must, j->failed_should, j->unmeasured);
    plot_put_text(out, j->verdict_rule);
    buf_printf(out, "</code>. (The original's: %s.)</p>\n", original_verdict);
    put_meaning(out, j);
    buf_printf(out, "<p>%s<code>novel-load ",
               r->interrupted ? "<strong>The run was interrupted.</strong> " : "");
    plot_put_text(out, r->command);
    buf_puts(out, "</code>, ");
    plot_put_text(out, r->started);
    buf_puts(out, " to ");
    plot_put_text(out, r->ended);
    buf_printf(out, " (%.0f s), on ", r->seconds);
    plot_put_text(out, r->processor);
    buf_printf(out, ", %u cores, %.0f MB, ", r->cores, r->memory_mb);
    plot_put_text(out, r->system);
    buf_puts(out, "; Novel Engine ");
    plot_put_text(out, r->server_version[0] != '\0' ? r->server_version : r->version);
    buf_puts(out, r->commit[0] != '\0' ? ", commit " : "");
    plot_put_text(out, r->commit);
    buf_printf(out, "; %llu requests over HTTP, %llu over RPC.</p>\n",
               (unsigned long long) r->http_requests, (unsigned long long) r->rpc_requests);
}

void report_html(struct buf *out, const struct results *r, const struct judgement *j)
{
    put_head(out, r, j);
    put_components(out, j);
    for (size_t i = 0; i < REPORT_SECTIONS; i++) {
        const char *name = report_sections[i].name;
        bool timed =
            strcmp(name, "load") == 0 || strcmp(name, "stress") == 0 || strcmp(name, "soak") == 0;
        if (!report_has(r, name))
            continue;
        put_section(out, r, &report_sections[i]);
        if (strcmp(name, "stress") == 0)
            put_knees(out, r);
        if (timed) {
            put_steps(out, r, name, true);
            put_steps(out, r, name, false);
            put_percentiles(out, r, name);
        }
    }
    put_first_errors(out, r);
    buf_puts(out, "<h2>Resources</h2>\n");
    put_processes(out, r);
    put_over_time(out, r, OVER_MEMORY);
    put_over_time(out, r, OVER_CPU);
    put_checks(out, j);
    buf_puts(out, "</body></html>\n");
}
