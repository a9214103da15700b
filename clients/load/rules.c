#include "clients/load/rules.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "load_rules_image.h"
#include "rpc/base/check.h"

enum { LINE_MAX_BYTES = 400, WORDS_MAX = 16 };

struct line {
    char text[LINE_MAX_BYTES];
    char *words[WORDS_MAX];
    size_t n;
    unsigned number;
};

static bool fail(const struct line *l, char *why, size_t size, const char *what)
{
    snprintf(why, size, "line %u: %s", l->number, what);
    return false;
}

/* ---- reading ---- */
/* Cuts the copy into words; what stands in double quotes is one. */
static bool split(struct line *l, char *copy)
{
    l->n = 0;
    for (char *at = copy; *(at += strspn(at, " \t\r")) != '\0';) {
        if (l->n == WORDS_MAX)
            return false;
        char end = ' ';
        if (*at == '"') {
            at++;
            end = '"';
        }
        l->words[l->n++] = at;
        at += end == '"' ? strcspn(at, "\"") : strcspn(at, " \t\r");
        if (*at != '\0')
            *at++ = '\0';
    }
    return true;
}

static bool read_number(const char *word, double *out)
{
    char *end;
    *out = strtod(word, &end);
    return end != word && *end == '\0' && isfinite(*out);
}

static const char *const sections[] = { "baseline", "load", "stress", "simulations",
                                        "soak",     "knee", "process" };
static const char *const row_metrics[] = { "error_percent", "p50_ms",        "p95_ms",
                                           "p99_ms",        "mean_ms",       "max_ms",
                                           "rate",          "first_p95_ms",  "cpu_percent",
                                           "rss_mb",        "rss_growth_mb", "p95_drift_percent" };
static const char *const knee_metrics[] = { "users", "rate" };
static const char *const process_metrics[] = { "rss_mb", "cpu_percent", "alive" };

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

static bool knows_metric(const char *section, const char *metric)
{
    if (strcmp(section, "knee") == 0)
        return is_one_of(metric, knee_metrics, ARRAY_SIZE(knee_metrics));
    if (strcmp(section, "process") == 0)
        return is_one_of(metric, process_metrics, ARRAY_SIZE(process_metrics));
    return is_one_of(metric, row_metrics, ARRAY_SIZE(row_metrics));
}

/* "users A..B" at words[at]. */
static bool read_users(const struct line *l, size_t at, struct rule *rule)
{
    rule->users_max = UINT32_MAX;
    if (at == l->n)
        return true;
    char tail;
    return l->n == at + 2 && strcmp(l->words[at], "users") == 0 &&
           sscanf(l->words[at + 1], "%u..%u%c", &rule->users_min, &rule->users_max, &tail) == 2 &&
           rule->users_min <= rule->users_max;
}

static bool read_check(const struct line *l, struct rule *rule, char *why, size_t size)
{
    if (l->n < 6)
        return fail(l, why, size, "needs SECTION ENDPOINT METRIC <= NUMBER");
    rule->at_least = strcmp(l->words[4], ">=") == 0;
    if (!rule->at_least && strcmp(l->words[4], "<=") != 0)
        return fail(l, why, size, "needs <= or >=");
    if (!read_number(l->words[5], &rule->limit))
        return fail(l, why, size, "the limit is no number");
    return read_users(l, 6, rule) ||
           fail(l, why, size, "what follows the limit must be: users A..B");
}

static bool read_grade(const struct line *l, struct rule *rule, char *why, size_t size)
{
    if (l->n < 8)
        return fail(l, why, size, "needs SECTION ENDPOINT METRIC and four limits");
    for (size_t i = 0; i < RULE_GRADES; i++)
        if (!read_number(l->words[4 + i], &rule->grades[i]) ||
            (i > 0 && rule->grades[i] < rule->grades[i - 1]))
            return fail(l, why, size, "the four limits must be rising numbers");
    return read_users(l, 8, rule) ||
           fail(l, why, size, "what follows the limits must be: users A..B");
}

static bool read_rule(struct rules *r, const struct line *l, enum rule_kind kind, char *why,
                      size_t size)
{
    if (r->n_components == 0)
        return fail(l, why, size, "a component must come first");
    if (r->n == RULES_MAX)
        return fail(l, why, size, "too many rules");
    struct rule *rule = &r->list[r->n++];
    *rule = (struct rule){ .kind = kind,
                           .component = (unsigned) r->n_components - 1,
                           .line = l->number };
    snprintf(rule->text, sizeof rule->text, "%.159s", l->text);
    bool good =
        kind == RULE_GRADE ? read_grade(l, rule, why, size) : read_check(l, rule, why, size);
    if (!good)
        return false;
    if (!is_one_of(l->words[1], sections, ARRAY_SIZE(sections)))
        return fail(l, why, size, "unknown section");
    if (!knows_metric(l->words[1], l->words[3]))
        return fail(l, why, size, "unknown metric of this section");
    snprintf(rule->section, sizeof rule->section, "%s", l->words[1]);
    snprintf(rule->endpoint, sizeof rule->endpoint, "%s", l->words[2]);
    snprintf(rule->metric, sizeof rule->metric, "%s", l->words[3]);
    return true;
}

static bool read_verdict(struct rules *r, const struct line *l, char *why, size_t size)
{
    static const struct {
        const char *first, *second;
        enum verdict_condition when;
    } conditions[] = { { "must", "failed", WHEN_MUST_FAILED },
                       { "must", "unmeasured", WHEN_MUST_UNMEASURED },
                       { "should", "failed", WHEN_SHOULD_FAILED },
                       { "always", "", WHEN_ALWAYS } };
    if (r->n_verdicts == RULES_VERDICTS)
        return fail(l, why, size, "too many verdicts");
    for (size_t i = 0; l->n >= 4 && strcmp(l->words[2], "when") == 0 && i < ARRAY_SIZE(conditions);
         i++) {
        if (strcmp(l->words[3], conditions[i].first) != 0 ||
            strcmp(l->n > 4 ? l->words[4] : "", conditions[i].second) != 0)
            continue;
        snprintf(r->verdicts[r->n_verdicts].name, RESULTS_NAME, "%s", l->words[1]);
        snprintf(r->verdicts[r->n_verdicts].text, sizeof r->verdicts[0].text, "%.159s", l->text);
        r->verdicts[r->n_verdicts++].when = conditions[i].when;
        return true;
    }
    return fail(l, why, size,
                "needs: verdict NAME when must failed | must unmeasured | should failed | always");
}

static bool read_component(struct rules *r, const struct line *l, char *why, size_t size)
{
    if (r->n_components == RULES_COMPONENTS)
        return fail(l, why, size, "too many components");
    const char *name = l->text + strspn(l->text, " \t");
    name += strlen("component");
    name += strspn(name, " \t");
    if (*name == '\0')
        return fail(l, why, size, "the component has no name");
    snprintf(r->components[r->n_components++], RESULTS_NAME, "%s", name);
    return true;
}

static bool read_line(struct rules *r, struct line *l, char *why, size_t size)
{
    char copy[LINE_MAX_BYTES];
    memcpy(copy, l->text, sizeof copy);
    if (!split(l, copy))
        return fail(l, why, size, "too many words");
    if (l->n == 0)
        return true;
    if (strcmp(l->words[0], "component") == 0)
        return read_component(r, l, why, size);
    if (strcmp(l->words[0], "must") == 0)
        return read_rule(r, l, RULE_MUST, why, size);
    if (strcmp(l->words[0], "should") == 0)
        return read_rule(r, l, RULE_SHOULD, why, size);
    if (strcmp(l->words[0], "grade") == 0)
        return read_rule(r, l, RULE_GRADE, why, size);
    if (strcmp(l->words[0], "verdict") == 0)
        return read_verdict(r, l, why, size);
    return fail(l, why, size, "must begin with component, must, should, grade or verdict");
}

bool rules_parse(struct rules *r, const char *text, size_t size, char *why, size_t why_size)
{
    struct line l = { .number = 0 };
    memset(r, 0, sizeof *r);
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t n = end == NULL ? size - at : (size_t) (end - (text + at));
        l.number++;
        if (n >= sizeof l.text)
            return fail(&l, why, why_size, "too long");
        memset(l.text, 0, sizeof l.text);
        memcpy(l.text, text + at, n);
        char *comment = strchr(l.text, '#');
        if (comment != NULL)
            *comment = '\0';
        for (size_t k = strlen(l.text); k > 0 && strchr(" \t\r", l.text[k - 1]) != NULL; k--)
            l.text[k - 1] = '\0';
        if (!read_line(r, &l, why, why_size))
            return false;
        at += n + 1;
    }
    if (r->n_verdicts == 0 || r->verdicts[r->n_verdicts - 1].when != WHEN_ALWAYS) {
        snprintf(why, why_size, "the last verdict must be one that holds always");
        return false;
    }
    return true;
}

bool rules_load(struct rules *r, const char *path, char *why, size_t why_size)
{
    char text[65536], inner[200];
    if (path == NULL)
        return rules_parse(r, (const char *) load_rules_image, load_rules_image_size, why,
                           why_size);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        snprintf(why, why_size, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    size_t n = fread(text, 1, sizeof text, f);
    bool good = ferror(f) == 0 && n < sizeof text;
    fclose(f);
    if (!good)
        snprintf(inner, sizeof inner, "cannot be read, or is over 64 KiB");
    good = good && rules_parse(r, text, n, inner, sizeof inner);
    if (!good)
        snprintf(why, why_size, "%s: %s", path, inner);
    return good;
}

/* ---- judging ---- */
static bool matches(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);
    if (n > 0 && pattern[n - 1] == '*')
        return strncmp(pattern, name, n - 1) == 0;
    return strcmp(pattern, name) == 0;
}

/* From the second quarter of the row's time to its last; the first is for warming up. */
static double rss_growth(const struct results *r, const struct row *row)
{
    double growth = NAN;
    for (size_t i = 0; i < r->n_processes; i++) {
        const struct process *p = &r->processes[i];
        double sums[2] = { 0, 0 };
        size_t counts[2] = { 0, 0 };
        for (size_t k = 0; k < p->n_samples && strcmp(p->name, "novel-load") != 0; k++) {
            double share = row->seconds > 0 ? (p->samples[k].at_s - row->at_s) / row->seconds : -1;
            bool early = share >= 0.25 && share < 0.5, late = share >= 0.75 && share <= 1;
            if (!early && !late)
                continue;
            sums[late] += p->samples[k].rss_mb;
            counts[late]++;
        }
        if (counts[0] == 0 || counts[1] == 0)
            continue;
        double mine = sums[1] / (double) counts[1] - sums[0] / (double) counts[0];
        growth = isnan(growth) ? mine : growth + mine;
    }
    return growth;
}

static double p95_drift(const struct row *row)
{
    double sums[2] = { 0, 0 };
    size_t counts[2] = { 0, 0 };
    for (unsigned i = 0; i < row->n_slices; i++) {
        unsigned quarter = i * 4 / row->n_slices;
        if (quarter % 2 == 0 || row->slices[i].requests == row->slices[i].errors)
            continue;
        sums[quarter / 2] += row->slices[i].p95_ms;
        counts[quarter / 2]++;
    }
    if (row->n_slices < 8 || counts[0] == 0 || counts[1] == 0 || sums[0] == 0)
        return NAN;
    return 100 * (sums[1] / (double) counts[1] / (sums[0] / (double) counts[0]) - 1);
}

/* NAN: not known of this row. */
static double row_value(const struct results *r, const struct row *row, const char *metric)
{
    if (strcmp(metric, "error_percent") == 0)
        return row->error_percent;
    if (strcmp(metric, "rate") == 0)
        return row->rate;
    if (strcmp(metric, "rss_growth_mb") == 0)
        return rss_growth(r, row);
    if (strcmp(metric, "p95_drift_percent") == 0)
        return p95_drift(row);
    if (strcmp(metric, "cpu_percent") == 0 || strcmp(metric, "rss_mb") == 0) {
        double sum = NAN;
        for (size_t i = 0; i < r->n_processes; i++) {
            if (!row->usage[i].known || strcmp(r->processes[i].name, "novel-load") == 0)
                continue;
            double v = metric[0] == 'c' ? row->usage[i].cpu_percent : row->usage[i].rss_mb;
            sum = isnan(sum) ? v : sum + v;
        }
        return sum;
    }
    /* Durations are of good answers; without one there is nothing that could be fast enough. */
    if (row->errors[OUTCOME_OK] == 0)
        return INFINITY;
    if (strcmp(metric, "p50_ms") == 0)
        return row->latency.p50_ms;
    if (strcmp(metric, "p95_ms") == 0)
        return row->latency.p95_ms;
    if (strcmp(metric, "p99_ms") == 0)
        return row->latency.p99_ms;
    if (strcmp(metric, "mean_ms") == 0)
        return row->latency.mean_ms;
    return strcmp(metric, "max_ms") == 0 ? row->latency.max_ms : row->first.p95_ms;
}

static double process_value(const struct process *p, const char *metric)
{
    double most = 0;
    if (strcmp(metric, "alive") == 0)
        return p->ended ? 0 : 1;
    for (size_t i = 0; i < p->n_samples; i++) {
        double v = metric[0] == 'c' ? p->samples[i].cpu_percent : p->samples[i].rss_mb;
        most = v > most ? v : most;
    }
    return p->n_samples == 0 ? NAN : most;
}

static void look(struct check_result *c, double value, const char *where)
{
    if (isnan(value))
        return;
    bool worse = c->rule->at_least ? value < c->value : value > c->value;
    if (c->state != CHECK_UNMEASURED && !worse)
        return;
    c->state = CHECK_PASSED; /* measured; the caller judges the worst */
    c->value = value;
    snprintf(c->where, sizeof c->where, "%s", where);
}

static void look_at_rows(struct check_result *c, const struct results *r)
{
    const struct rule *rule = c->rule;
    char where[128];
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct row *row = &r->rows[i];
        if (strcmp(row->section, rule->section) != 0 || !matches(rule->endpoint, row->endpoint) ||
            row->users < rule->users_min || row->users > rule->users_max)
            continue;
        snprintf(where, sizeof where, "%s %s, %u user%s", row->door, row->endpoint, row->users,
                 row->users == 1 ? "" : "s");
        look(c, row_value(r, row, rule->metric), where);
    }
}

static void look_at_knees(struct check_result *c, const struct results *r)
{
    char where[128];
    for (size_t i = 0; i < r->n_knees; i++) {
        const struct knee *k = &r->knees[i];
        if (!matches(c->rule->endpoint, k->endpoint))
            continue;
        snprintf(where, sizeof where, "%s %s", k->door, k->endpoint);
        look(c, strcmp(c->rule->metric, "users") == 0 ? k->best_users : k->best_rate, where);
    }
}

static void look_at_processes(struct check_result *c, const struct results *r)
{
    for (size_t i = 0; i < r->n_processes; i++)
        if (matches(c->rule->endpoint, r->processes[i].name))
            look(c, process_value(&r->processes[i], c->rule->metric), r->processes[i].name);
}

static void check(const struct rule *rule, const struct results *r, struct check_result *c)
{
    *c = (struct check_result){ .rule = rule, .state = CHECK_UNMEASURED };
    if (strcmp(rule->section, "knee") == 0)
        look_at_knees(c, r);
    else if (strcmp(rule->section, "process") == 0)
        look_at_processes(c, r);
    else
        look_at_rows(c, r);
    if (c->state == CHECK_UNMEASURED)
        return;
    if (rule->kind == RULE_GRADE) {
        c->grade = 'F';
        for (size_t i = RULE_GRADES; i > 0; i--)
            if (c->value <= rule->grades[i - 1])
                c->grade = (char) ('A' + (i - 1));
    } else if (rule->at_least ? c->value < rule->limit : c->value > rule->limit) {
        c->state = CHECK_FAILED;
    }
}

static void count(struct judgement *j, const struct check_result *c)
{
    struct component_result *k = &j->components[c->rule->component];
    bool must = c->rule->kind == RULE_MUST;
    if (c->state == CHECK_UNMEASURED) {
        k->unmeasured++;
        j->unmeasured++;
        j->unmeasured_must += must;
    } else if (c->rule->kind == RULE_GRADE) {
        if (k->grade == '-' || c->grade > k->grade) {
            k->grade = c->grade;
            k->worst = c;
        }
    } else if (c->state == CHECK_PASSED) {
        k->passed++;
        j->passed++;
    } else {
        k->failed_must += must;
        k->failed_should += !must;
        j->failed_must += must;
        j->failed_should += !must;
    }
}

/* A failed must makes the grade, whatever the figures are. */
static void let_failures_decide(struct judgement *j)
{
    for (size_t i = j->n; i > 0; i--) {
        const struct check_result *c = &j->checks[i - 1];
        struct component_result *k = &j->components[c->rule->component];
        if (c->state != CHECK_FAILED || (c->rule->kind != RULE_MUST && k->failed_must > 0))
            continue;
        k->worst = c;
        if (c->rule->kind == RULE_MUST)
            k->grade = 'F';
    }
}

static bool holds(const struct judgement *j, enum verdict_condition when)
{
    switch (when) {
    case WHEN_MUST_FAILED:
        return j->failed_must > 0;
    case WHEN_MUST_UNMEASURED:
        return j->unmeasured_must > 0;
    case WHEN_SHOULD_FAILED:
        return j->failed_should > 0;
    case WHEN_ALWAYS:
        break;
    }
    return true;
}

void rules_judge(const struct rules *rules, const struct results *results, struct judgement *j)
{
    memset(j, 0, sizeof *j);
    j->rules = rules;
    for (size_t i = 0; i < rules->n_components; i++)
        j->components[i].grade = '-';
    for (; j->n < rules->n; j->n++) {
        check(&rules->list[j->n], results, &j->checks[j->n]);
        count(j, &j->checks[j->n]);
    }
    let_failures_decide(j);
    for (size_t i = 0; i < rules->n_verdicts && j->verdict == NULL; i++)
        if (holds(j, rules->verdicts[i].when)) {
            j->verdict = rules->verdicts[i].name;
            j->verdict_rule = rules->verdicts[i].text;
        }
}

void rules_describe(const struct check_result *c, char *out, size_t size)
{
    if (c->state == CHECK_UNMEASURED)
        snprintf(out, size, "not measured");
    else if (isinf(c->value))
        snprintf(out, size, "no good answer (%s)", c->where);
    else
        snprintf(out, size, "%s is %.4g (%s)", c->rule->metric, c->value, c->where);
}
