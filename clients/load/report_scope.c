/* What a run judged and what it left out, by the sections of the rules. */
#include <string.h>

#include "clients/load/report.h"

static const struct rule *rule_at(const struct judgement *j, size_t i)
{
    return j->checks[i].rule;
}

static bool is_in(const struct judgement *j, size_t i, bool measured)
{
    return (j->checks[i].state != CHECK_UNMEASURED) == measured;
}

static bool is_whole(const struct judgement *j, const char *section, bool measured)
{
    for (size_t i = 0; i < j->n; i++)
        if (strcmp(rule_at(j, i)->section, section) == 0 && !is_in(j, i, measured))
            return false;
    return true;
}

/* Rules that name the same section and, unless that is NULL, the same endpoint: is i the first of
 * them that was measured, or was not? */
static bool is_first(const struct judgement *j, size_t i, bool measured, const char *endpoint)
{
    if (!is_in(j, i, measured))
        return false;
    for (size_t k = 0; k < i; k++)
        if (is_in(j, k, measured) && strcmp(rule_at(j, k)->section, rule_at(j, i)->section) == 0 &&
            (endpoint == NULL || strcmp(rule_at(j, k)->endpoint, endpoint) == 0))
            return false;
    return true;
}

/* As people call it who have not read the rules. */
static const char *section_words(const char *section)
{
    if (strcmp(section, "knee") == 0)
        return "the knee of stress";
    return strcmp(section, "process") == 0 ? "processes (--ready, --pid)" : section;
}

static void put_endpoints(struct buf *out, const struct judgement *j, const char *section,
                          bool measured)
{
    const char *between = " ";
    for (size_t i = 0; i < j->n; i++) {
        const struct rule *rule = rule_at(j, i);
        if (strcmp(rule->section, section) != 0 || !is_first(j, i, measured, rule->endpoint))
            continue;
        buf_printf(out, "%s%s", between, rule->endpoint);
        between = " and ";
    }
}

void report_scope(struct buf *out, const struct judgement *j, bool measured)
{
    const char *between = "";
    for (size_t i = 0; i < j->n; i++) {
        if (!is_first(j, i, measured, NULL))
            continue;
        const char *section = rule_at(j, i)->section;
        buf_printf(out, "%s%s", between, section_words(section));
        if (!is_whole(j, section, measured))
            put_endpoints(out, j, section, measured);
        between = ", ";
    }
    if (*between == '\0')
        buf_puts(out, "nothing");
}

const char *report_meaning(const struct judgement *j)
{
    unsigned failed = j->failed_must + j->failed_should;
    if (j->unmeasured == 0)
        return failed > 0 ? "All checks were made." : "All checks were made, and none failed.";
    if (j->unmeasured == j->n)
        return "This run judged nothing.";
    if (j->unmeasured_must > 0)
        return failed > 0
                   ? "This run is only a part of what the verdict needs."
                   : "Nothing that was looked at failed. This run is only a part of what the "
                     "verdict needs; novel-load all is the whole.";
    return failed > 0 ? "All that a deployment must do was looked at, not all that it should."
                      : "Nothing that was looked at failed: all that a deployment must do, not all "
                        "that it should.";
}
