#include <errno.h>
#include <string.h>

#include "clients/load/original.h"
#include "clients/load/report.h"

/* Cells are our own texts and those of servers: a bar or a newline would break the table. */
static void put_cell(struct buf *out, const char *text)
{
    buf_puts(out, " ");
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '<')
            buf_putc(out, '\\');
        buf_putc(out, *text == '\n' || *text == '\r' ? ' ' : *text);
    }
    buf_puts(out, " |");
}

static void put_section(struct buf *out, const struct results *r, const struct report_section *s)
{
    const char *heads[REPORT_CELLS];
    char cells[REPORT_CELLS][REPORT_CELL];
    bool limited = false;
    size_t n = report_head(s->name, heads);
    buf_printf(out, "## %s\n\n%s\n\n|", s->title, s->explanation);
    for (size_t i = 0; i < n; i++)
        put_cell(out, heads[i]);
    buf_puts(out, "\n|");
    for (size_t i = 0; i < n; i++)
        buf_puts(out, "---|");
    for (size_t k = 0; k < r->n_rows; k++) {
        if (strcmp(r->rows[k].section, s->name) != 0)
            continue;
        limited |= r->rows[k].generator_limited;
        n = report_cells(&r->rows[k], cells);
        buf_puts(out, "\n|");
        for (size_t i = 0; i < n; i++)
            put_cell(out, cells[i]);
    }
    buf_puts(out, "\n\n");
    if (limited)
        buf_puts(out, "\\* The load generator was the limit here, not what it measured:\n\n");
    for (size_t k = 0; limited && k < r->n_rows; k++) {
        const struct row *row = &r->rows[k];
        if (row->generator_limited && strcmp(row->section, s->name) == 0)
            buf_printf(out, "- %s %s, %u users: %s\n", row->door, row->endpoint, row->users,
                       row->generator_why);
    }
    if (limited)
        buf_putc(out, '\n');
}

static void put_first_errors(struct buf *out, const struct results *r)
{
    bool any = false;
    for (size_t k = 0; k < r->n_rows; k++)
        for (size_t i = OUTCOME_OK + 1; i < OUTCOMES; i++) {
            const struct row *row = &r->rows[k];
            if (row->detail[i][0] == '\0')
                continue;
            if (!any)
                buf_puts(out, "## What the errors said\n\nThe first of each kind in each row.\n\n| "
                              "row | kind | first |\n|---|---|---|\n");
            any = true;
            buf_printf(out, "| %s, %s %s, %u users | %s |", row->section, row->door, row->endpoint,
                       row->users, outcome_name((enum outcome) i));
            put_cell(out, row->detail[i]);
            buf_putc(out, '\n');
        }
    if (any)
        buf_putc(out, '\n');
}

static void put_knees(struct buf *out, const struct results *r)
{
    if (r->n_knees == 0)
        return;
    buf_puts(
        out,
        "| endpoint | door | the last step that held | at | the knee |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < r->n_knees; i++) {
        const struct knee *k = &r->knees[i];
        buf_printf(out, "| %s | %s | %u users | %.0f requests/s |", k->endpoint, k->door,
                   k->best_users, k->best_rate);
        if (k->broke)
            buf_printf(out, " **%u users**: %s |\n", k->users, k->why);
        else
            buf_printf(out, " not reached: %s |\n", k->why);
    }
    buf_putc(out, '\n');
}

static void put_resources(struct buf *out, const struct results *r)
{
    if (r->n_processes == 0)
        return;
    buf_printf(out,
               "## Resources\n\nOnce a second, over the whole run. The original: %s.\n\n"
               "| process | CPU %% of a core, mean | most | memory MB, first | most | last | "
               "threads | descriptors, most | "
               "context switches/s, mean | |\n|---|---|---|---|---|---|---|---|---|---|\n",
               original_resources);
    for (size_t i = 0; i < r->n_processes; i++) {
        const struct process *p = &r->processes[i];
        double cpu = 0, cpu_most = 0, rss_most = 0, switches = 0;
        unsigned threads = 0, descriptors = 0;
        for (size_t k = 0; k < p->n_samples; k++) {
            const struct sample *s = &p->samples[k];
            cpu += s->cpu_percent / (double) p->n_samples;
            switches += s->switches_per_s / (double) p->n_samples;
            cpu_most = s->cpu_percent > cpu_most ? s->cpu_percent : cpu_most;
            rss_most = s->rss_mb > rss_most ? s->rss_mb : rss_most;
            threads = s->threads > threads ? s->threads : threads;
            descriptors = s->descriptors > descriptors ? s->descriptors : descriptors;
        }
        if (p->n_samples > 0)
            buf_printf(out, "| %s | %.1f | %.1f | %.1f | %.1f | %.1f | %u | %u | %.0f | %s |\n",
                       p->name, cpu, cpu_most, p->samples[0].rss_mb, rss_most,
                       p->samples[p->n_samples - 1].rss_mb, threads, descriptors, switches,
                       p->ended ? "**ended during the run**" : "");
        else
            buf_printf(out, "| %s | – | – | – | – | – | – | – | – | %s |\n", p->name,
                       p->ended ? "**ended during the run**" : "");
    }
    buf_putc(out, '\n');
}

static void put_readiness(struct buf *out, const struct judgement *j)
{
    char found[300];
    buf_puts(out, "## Readiness by component\n\n| component | grade | checks | decided by | found "
                  "| the original |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < j->rules->n_components; i++) {
        const struct component_result *c = &j->components[i];
        buf_printf(out, "| %s | %s%c%s | %u passed", j->rules->components[i],
                   c->failed_must > 0 ? "**" : "", c->grade, c->failed_must > 0 ? "**" : "",
                   c->passed);
        if (c->failed_must > 0)
            buf_printf(out, ", **%u must failed**", c->failed_must);
        if (c->failed_should > 0)
            buf_printf(out, ", %u should failed", c->failed_should);
        if (c->unmeasured > 0)
            buf_printf(out, ", %u not measured", c->unmeasured);
        buf_puts(out, " |");
        found[0] = '\0';
        if (c->worst != NULL)
            rules_describe(c->worst, found, sizeof found);
        buf_printf(out, " %s%s%s |", c->worst == NULL ? "" : "`",
                   c->worst == NULL ? "" : c->worst->rule->text, c->worst == NULL ? "" : "`");
        put_cell(out, found);
        put_cell(out, original_readiness(j->rules->components[i]));
        buf_putc(out, '\n');
    }
    buf_putc(out, '\n');
}

static void put_failed(struct buf *out, const struct judgement *j)
{
    char found[300];
    bool any = false;
    for (size_t i = 0; i < j->n; i++) {
        const struct check_result *c = &j->checks[i];
        if (c->state != CHECK_FAILED)
            continue;
        rules_describe(c, found, sizeof found);
        buf_printf(out, "%s- %s: `%s`: %s\n", any ? "" : "Checks that failed:\n\n",
                   j->rules->components[c->rule->component], c->rule->text, found);
        any = true;
    }
    if (any)
        buf_putc(out, '\n');
}

static void put_verdict(struct buf *out, const struct judgement *j)
{
    buf_printf(out,
               "**Verdict: %s.** %u checks passed, %u must and %u should failed, %u were not "
               "measured; by the rule `%s`.",
               j->verdict, j->passed, j->failed_must, j->failed_should, j->unmeasured,
               j->verdict_rule);
    buf_printf(out, " (The original's: %s.)\n\n%s", original_verdict, report_meaning(j));
    if (j->unmeasured > 0) {
        buf_puts(out, " Judged: ");
        report_scope(out, j, true);
        buf_puts(out, ". Left out: ");
        report_scope(out, j, false);
        buf_putc(out, '.');
    }
    buf_puts(out, "\n\n");
}

static void put_head(struct buf *out, const struct results *r)
{
    buf_printf(out, "Written by `novel-load %s`.\n\n", r->command);
    buf_printf(out,
               "Run %s to %s (%.0f s)%s on %s, %u cores, %.0f MB, %s; Novel Engine %s%s%s, libcurl "
               "%s, %u load thread%s.\n\n",
               r->started, r->ended, r->seconds, r->interrupted ? ", **interrupted**," : "",
               r->processor, r->cores, r->memory_mb, r->system,
               r->server_version[0] != '\0' ? r->server_version : r->version,
               r->commit[0] != '\0' ? ", commit " : "", r->commit, r->curl, r->workers,
               r->workers == 1 ? "" : "s");
    buf_printf(out,
               "Doors:%s%s%s%s. %llu requests over HTTP, %llu over RPC; bodies were checked, not "
               "only statuses.\n",
               r->http[0] != '\0' ? " HTTP " : "", r->http, r->rpc[0] != '\0' ? " RPC " : "",
               r->rpc, (unsigned long long) r->http_requests, (unsigned long long) r->rpc_requests);
    if (r->n_components > 0)
        buf_puts(out, "The deployment says of itself:");
    for (size_t i = 0; i < r->n_components; i++)
        buf_printf(out, "%s %s %s", i > 0 ? "," : "", r->components[i].name,
                   r->components[i].state);
    buf_puts(out, r->n_components > 0 ? ".\n\n" : "\n");
}

void report_markdown(struct buf *out, const struct results *r, const struct judgement *j)
{
    buf_puts(out, "# Performance report\n\n");
    put_verdict(out, j);
    put_head(out, r);
    put_readiness(out, j);
    put_failed(out, j);
    for (size_t i = 0; i < REPORT_SECTIONS; i++) {
        if (!report_has(r, report_sections[i].name))
            continue;
        put_section(out, r, &report_sections[i]);
        if (strcmp(report_sections[i].name, "stress") == 0)
            put_knees(out, r);
    }
    put_first_errors(out, r);
    put_resources(out, r);
    buf_puts(out, "The rules are `clients/load/rules.txt`, unless `--rules` named others; how this "
                  "is measured: `docs/novel-load.md`.\n");
}

/* ---- the README's section ---- */
static bool belongs(const struct row *row)
{
    if (strcmp(row->section, "baseline") == 0)
        return true;
    if (strcmp(row->section, "stress") == 0)
        return row->users == 75;
    if (strcmp(row->section, "load") == 0)
        return row->users == 50;
    return strcmp(row->section, "simulations") == 0 && (row->users == 8 || row->users == 100);
}

static void put_summary(struct buf *out, const struct results *r, const struct judgement *j,
                        const char *link)
{
    char errors[REPORT_CELL];
    buf_printf(out,
               "Verdict of `novel-load %s`: **%s** (%u checks passed, %u failed, %u not "
               "measured). Run %s on %s, %u cores",
               r->command, j->verdict, j->passed, j->failed_must + j->failed_should, j->unmeasured,
               r->started,
               r->processor, r->cores);
    if (link != NULL)
        buf_printf(out, "; the whole of it: [%s](%s)", link, link);
    buf_puts(out, ".\n\n| what | door | users | requests/s | avg ms | p95 ms | errors | the "
                  "original |\n|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct row *row = &r->rows[i];
        if (!belongs(row))
            continue;
        report_errors(row, errors, sizeof errors);
        buf_printf(out, "| %s %s | %s | %u | %.1f%s | %.2f | %.2f | %s | %s |\n", row->section,
                   row->endpoint, row->door, row->users, row->rate,
                   row->generator_limited ? " *" : "", row->latency.mean_ms, row->latency.p95_ms,
                   errors, original_figure(row));
    }
    buf_puts(out, r->n_knees > 0 ? "\nThe knee of each stress series:\n\n" : "");
    for (size_t i = 0; i < r->n_knees; i++) {
        const struct knee *k = &r->knees[i];
        buf_printf(out, "- %s %s: %u users at %.0f requests/s held", k->door, k->endpoint,
                   k->best_users, k->best_rate);
        if (k->broke)
            buf_printf(out, "; at %u users %s\n", k->users, k->why);
        else
            buf_printf(out, "; %s\n", k->why);
    }
}

static const char begin_mark[] = "<!-- performance: begin -->",
                  end_mark[] = "<!-- performance: end -->";

bool report_readme(struct buf *out, const char *path, const struct results *r,
                   const struct judgement *j, const char *link, char *why, size_t size)
{
    static char text[1 << 20];
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        snprintf(why, size, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    bool whole = ferror(f) == 0 && n < sizeof text - 1;
    fclose(f);
    text[n] = '\0';
    char *begin = strstr(text, begin_mark), *end = begin == NULL ? NULL : strstr(begin, end_mark);
    if (!whole || end == NULL) {
        snprintf(why, size, "%s is over 1 MiB, or has not the two lines '%s' and '%s'", path,
                 begin_mark, end_mark);
        return false;
    }
    buf_put(out, text, (size_t) (begin - text) + sizeof begin_mark - 1);
    buf_puts(out, "\n");
    put_summary(out, r, j, link);
    buf_puts(out, end);
    return true;
}

/* ---- the terminal ---- */
void report_text(struct buf *out, const struct results *r, const struct judgement *j)
{
    char found[300];
    buf_printf(out, "\n%-20s %-6s %s\n", "component", "grade", "checks");
    for (size_t i = 0; i < j->rules->n_components; i++) {
        const struct component_result *c = &j->components[i];
        buf_printf(out, "%-20s %-6c %u passed", j->rules->components[i], c->grade, c->passed);
        if (c->failed_must + c->failed_should > 0)
            buf_printf(out, ", %u FAILED", c->failed_must + c->failed_should);
        if (c->unmeasured > 0)
            buf_printf(out, ", %u not measured", c->unmeasured);
        buf_putc(out, '\n');
    }
    for (size_t i = 0; i < j->n; i++) {
        const struct check_result *c = &j->checks[i];
        if (c->state != CHECK_FAILED)
            continue;
        rules_describe(c, found, sizeof found);
        buf_printf(out, "\nfailed: %s\n        %s", c->rule->text, found);
    }
    for (size_t i = 0; i < r->n_processes; i++)
        if (r->processes[i].ended)
            buf_printf(out, "\n%s (process %d) ended during the run", r->processes[i].name,
                       r->processes[i].pid);
    buf_printf(out, "\nverdict: %s   (%s)\n%s\n", j->verdict, j->verdict_rule, report_meaning(j));
    if (j->unmeasured == 0)
        return;
    buf_puts(out, "  judged    ");
    report_scope(out, j, true);
    buf_puts(out, "\n  left out  ");
    report_scope(out, j, false);
    buf_putc(out, '\n');
}
