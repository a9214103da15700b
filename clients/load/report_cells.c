/* What the Markdown and the HTML report share: which tables there are and what stands in them. */
#include <string.h>

#include "clients/load/original.h"
#include "clients/load/report.h"

const struct report_section report_sections[REPORT_SECTIONS] = {
    { "baseline", "Baseline: one user, one request after the other",
      "Each endpoint by itself, over one connection; the first request also makes the "
      "connection." },
    { "load", "Load", "So many users at once; each waits for its answer, pauses, and asks again." },
    { "stress", "Stress", "More and more users until a limit breaks." },
    { "simulations", "Story generation",
      "So many stories are asked for at the same moment. A streamed one is over with its last "
      "event; beside that, how soon "
      "its first event came." },
    { "soak", "Soak", "The same load for long." },
};

bool report_has(const struct results *r, const char *section)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (strcmp(r->rows[i].section, section) == 0)
            return true;
    return false;
}

void report_errors(const struct row *row, char *out, size_t size)
{
    struct buf b = { 0 };
    for (size_t i = OUTCOME_OK + 1; i < OUTCOMES; i++) {
        if (row->errors[i] == 0)
            continue;
        buf_printf(&b, "%s%llu %s", b.size > 0 ? ", " : "", (unsigned long long) row->errors[i],
                   i == OUTCOME_BAD_BODY ? "bad body" : outcome_name((enum outcome) i));
        for (size_t k = 0; i == OUTCOME_STATUS && k < TALLY_STATUSES && row->statuses[k].count > 0;
             k++)
            buf_printf(&b, "%s%s: %llu%s", k == 0 ? " (" : ", ", row->statuses[k].name,
                       (unsigned long long) row->statuses[k].count,
                       k + 1 == TALLY_STATUSES || row->statuses[k + 1].count == 0 ? ")" : "");
    }
    snprintf(out, size, "%s", b.size == 0 ? "none" : buf_str(&b));
    buf_done(&b);
}

static bool is_simulations(const char *section)
{
    return strcmp(section, "simulations") == 0;
}

size_t report_head(const char *section, const char *heads[REPORT_CELLS])
{
    static const char *const timed[] = { "endpoint",   "door",   "users",  "requests",
                                         "requests/s", "avg ms", "p50 ms", "p95 ms",
                                         "p99 ms",     "max ms", "errors", "the original" };
    static const char *const stories[] = { "form",     "door",          "at once",
                                           "finished", "all done in s", "avg ms",
                                           "p95 ms",   "max ms",        "first event p95 ms",
                                           "errors",   "the original" };
    size_t n =
        is_simulations(section) ? sizeof stories / sizeof *stories : sizeof timed / sizeof *timed;
    memcpy(heads, is_simulations(section) ? stories : timed, n * sizeof *heads);
    return n;
}

static void put_ms(char *cell, double ms, bool known)
{
    if (!known)
        snprintf(cell, REPORT_CELL, "–");
    else
        snprintf(cell, REPORT_CELL, ms < 1 ? "%.3f" : ms < 100 ? "%.2f" : "%.0f", ms);
}

static size_t story_cells(const struct row *row, char cells[REPORT_CELLS][REPORT_CELL])
{
    bool good = row->errors[OUTCOME_OK] > 0;
    snprintf(cells[0], REPORT_CELL, "%s",
             strcmp(row->endpoint, "/simulations") == 0 ? "unary" : "streamed");
    snprintf(cells[1], REPORT_CELL, "%s", row->door);
    snprintf(cells[2], REPORT_CELL, "%u", row->users);
    snprintf(cells[3], REPORT_CELL, "%llu of %llu", (unsigned long long) row->errors[OUTCOME_OK],
             (unsigned long long) row->requests);
    snprintf(cells[4], REPORT_CELL, "%.2f", row->seconds);
    put_ms(cells[5], row->latency.mean_ms, good);
    put_ms(cells[6], row->latency.p95_ms, good);
    put_ms(cells[7], row->latency.max_ms, good);
    put_ms(cells[8], row->first.p95_ms, row->first.max_ms > 0);
    report_errors(row, cells[9], REPORT_CELL);
    snprintf(cells[10], REPORT_CELL, "%s", original_figure(row));
    return 11;
}

size_t report_cells(const struct row *row, char cells[REPORT_CELLS][REPORT_CELL])
{
    bool good = row->errors[OUTCOME_OK] > 0;
    if (is_simulations(row->section))
        return story_cells(row, cells);
    snprintf(cells[0], REPORT_CELL, "%s", row->endpoint);
    snprintf(cells[1], REPORT_CELL, "%s", row->door);
    snprintf(cells[2], REPORT_CELL, row->rate_wanted > 0 ? "%u, %.0f/s due" : "%u", row->users,
             row->rate_wanted);
    snprintf(cells[3], REPORT_CELL, "%llu", (unsigned long long) row->requests);
    snprintf(cells[4], REPORT_CELL, "%.1f%s", row->rate, row->generator_limited ? " *" : "");
    put_ms(cells[5], row->latency.mean_ms, good);
    put_ms(cells[6], row->latency.p50_ms, good);
    put_ms(cells[7], row->latency.p95_ms, good);
    put_ms(cells[8], row->latency.p99_ms, good);
    put_ms(cells[9], row->latency.max_ms, good);
    report_errors(row, cells[10], REPORT_CELL);
    snprintf(cells[11], REPORT_CELL, "%s", original_figure(row));
    return 12;
}
