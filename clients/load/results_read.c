#include <errno.h>
#include <string.h>

#include "clients/load/json.h"
#include "clients/load/results.h"

enum { FILE_BYTES_MAX = 256 << 20 };

/* ---- helpers: absent members leave what stands there ---- */
static void take_text(const struct json *j, const struct json_node *n, const char *key, char *out,
                      size_t size)
{
    const char *text = json_text(j, n, key, NULL);
    if (text != NULL)
        snprintf(out, size, "%.*s", (int) size - 1, text);
}

static uint64_t take_count(const struct json *j, const struct json_node *n, const char *key)
{
    double value = json_number(j, n, key, 0);
    return value > 0 && value < 1.8e19 ? (uint64_t) value : 0;
}

static unsigned take_small(const struct json *j, const struct json_node *n, const char *key)
{
    uint64_t value = take_count(j, n, key);
    return value > UINT32_MAX ? UINT32_MAX : (unsigned) value;
}

static bool take_bool(const struct json *j, const struct json_node *n, const char *key)
{
    const struct json_node *m = json_get(j, n, key);
    return m != NULL && m->kind == JSON_KIND_BOOL && m->truth;
}

/* ---- rows ---- */
static void take_latency(const struct json *j, const struct json_node *n, struct latency *l)
{
    l->mean_ms = json_number(j, n, "mean", 0);
    l->min_ms = json_number(j, n, "min", 0);
    l->p50_ms = json_number(j, n, "p50", 0);
    l->p90_ms = json_number(j, n, "p90", 0);
    l->p95_ms = json_number(j, n, "p95", 0);
    l->p99_ms = json_number(j, n, "p99", 0);
    l->p999_ms = json_number(j, n, "p999", 0);
    l->max_ms = json_number(j, n, "max", 0);
}

static void take_errors(const struct json *j, const struct json_node *n, struct row *row)
{
    const struct json_node *errors = json_get(j, n, "errors"),
                           *details = json_get(j, n, "first_errors");
    const struct json_node *statuses = json_get(j, n, "statuses");
    row->errors[OUTCOME_OK] = take_count(j, n, "good");
    for (size_t i = OUTCOME_OK + 1; i < OUTCOMES; i++) {
        row->errors[i] = take_count(j, errors, outcome_name((enum outcome) i));
        take_text(j, details, outcome_name((enum outcome) i), row->detail[i],
                  sizeof row->detail[i]);
    }
    size_t k = 0;
    for (const struct json_node *s = json_first(j, statuses); s != NULL && k < TALLY_STATUSES;
         s = json_next(j, s)) {
        if (s->kind != JSON_KIND_NUMBER || s->key == NULL)
            continue;
        snprintf(row->statuses[k].name, sizeof row->statuses[k].name, "%.23s", s->key);
        row->statuses[k++].count = take_count(j, statuses, s->key);
    }
}

static void take_usage(const struct json *j, const struct json_node *n, const struct results *r,
                       struct row *row)
{
    const struct json_node *list = json_get(j, n, "usage");
    for (const struct json_node *u = json_first(j, list); u != NULL; u = json_next(j, u)) {
        int pid = (int) take_small(j, u, "pid");
        for (size_t i = 0; i < r->n_processes; i++)
            if (r->processes[i].pid == pid)
                row->usage[i] =
                    (struct usage){ true, json_number(j, u, "cpu_percent", 0),
                                    json_number(j, u, "rss_mb", 0), take_small(j, u, "threads"),
                                    take_small(j, u, "descriptors") };
    }
}

static void take_slices(const struct json *j, const struct json_node *n, struct row *row)
{
    const struct json_node *list = json_get(j, n, "slices");
    for (const struct json_node *s = json_first(j, list);
         s != NULL && row->n_slices < RESULTS_SLICES; s = json_next(j, s))
        row->slices[row->n_slices++] =
            (struct slice){ json_number(j, s, "at_s", 0), json_number(j, s, "seconds", 0),
                            take_count(j, s, "requests"), take_count(j, s, "errors"),
                            json_number(j, s, "rate", 0), json_number(j, s, "p50", 0),
                            json_number(j, s, "p95", 0),  json_number(j, s, "p99", 0) };
}

static bool take_row(const struct json *j, const struct json_node *n, struct results *r)
{
    const struct json_node *generator = json_get(j, n, "generator");
    struct row *row = results_add_row(r);
    if (row == NULL)
        return false;
    take_text(j, n, "section", row->section, sizeof row->section);
    take_text(j, n, "door", row->door, sizeof row->door);
    take_text(j, n, "endpoint", row->endpoint, sizeof row->endpoint);
    row->users = take_small(j, n, "users");
    row->rate_wanted = json_number(j, n, "rate_wanted", 0);
    row->think_ms = json_number(j, n, "think_ms", 0);
    row->at_s = json_number(j, n, "at_s", 0);
    row->seconds = json_number(j, n, "seconds", 0);
    row->requests = take_count(j, n, "requests");
    row->bytes = take_count(j, n, "bytes");
    row->rate = json_number(j, n, "rate", 0);
    row->error_percent = json_number(j, n, "error_percent", 0);
    take_errors(j, n, row);
    take_latency(j, json_get(j, n, "latency_ms"), &row->latency);
    take_latency(j, json_get(j, n, "first_event_ms"), &row->first);
    row->generator_cpu_percent = json_number(j, generator, "cpu_percent", 0);
    row->generator_wait_percent = json_number(j, generator, "wait_percent", 0);
    row->generator_limited = take_bool(j, generator, "limited");
    take_text(j, generator, "why", row->generator_why, sizeof row->generator_why);
    take_usage(j, n, r, row);
    take_slices(j, n, row);
    return true;
}

/* ---- the rest ---- */
static bool take_process(const struct json *j, const struct json_node *n, struct results *r)
{
    if (r->n_processes == RESULTS_PROCESSES)
        return true;
    struct process *p = &r->processes[r->n_processes++];
    take_text(j, n, "name", p->name, sizeof p->name);
    p->pid = (int) take_small(j, n, "pid");
    p->ended = take_bool(j, n, "ended");
    const struct json_node *list = json_get(j, n, "samples");
    for (const struct json_node *s = json_first(j, list); s != NULL; s = json_next(j, s)) {
        const struct sample sample = {
            json_number(j, s, "at_s", 0),   json_number(j, s, "cpu_percent", 0),
            json_number(j, s, "rss_mb", 0), json_number(j, s, "switches_per_s", 0),
            take_small(j, s, "threads"),    take_small(j, s, "descriptors")
        };
        if (results_add_sample(p, &sample) < 0)
            return false;
    }
    return true;
}

static void take_knee(const struct json *j, const struct json_node *n, struct results *r)
{
    if (r->n_knees == sizeof r->knees / sizeof r->knees[0])
        return;
    struct knee *k = &r->knees[r->n_knees++];
    take_text(j, n, "door", k->door, sizeof k->door);
    take_text(j, n, "endpoint", k->endpoint, sizeof k->endpoint);
    take_text(j, n, "why", k->why, sizeof k->why);
    k->broke = take_bool(j, n, "broke");
    k->users = take_small(j, n, "users");
    k->best_users = take_small(j, n, "best_users");
    k->best_rate = json_number(j, n, "best_rate", 0);
}

static void take_head(const struct json *j, const struct json_node *root, struct results *r)
{
    const struct json_node *e = json_get(j, root, "environment"), *t = json_get(j, root, "targets");
    take_text(j, root, "command", r->command, sizeof r->command);
    take_text(j, root, "started", r->started, sizeof r->started);
    take_text(j, root, "ended", r->ended, sizeof r->ended);
    r->seconds = json_number(j, root, "seconds", 0);
    r->interrupted = take_bool(j, root, "interrupted");
    take_text(j, e, "version", r->version, sizeof r->version);
    take_text(j, e, "commit", r->commit, sizeof r->commit);
    take_text(j, e, "libcurl", r->curl, sizeof r->curl);
    take_text(j, e, "system", r->system, sizeof r->system);
    take_text(j, e, "processor", r->processor, sizeof r->processor);
    take_text(j, e, "server_version", r->server_version, sizeof r->server_version);
    r->cores = take_small(j, e, "cores");
    r->workers = take_small(j, e, "load_threads");
    r->memory_mb = json_number(j, e, "memory_mb", 0);
    take_text(j, t, "http", r->http, sizeof r->http);
    take_text(j, t, "rpc", r->rpc, sizeof r->rpc);
    r->http_requests = take_count(j, t, "http_requests");
    r->rpc_requests = take_count(j, t, "rpc_requests");
    const struct json_node *list = json_get(j, t, "components");
    for (const struct json_node *c = json_first(j, list);
         c != NULL && r->n_components < RESULTS_COMPONENTS; c = json_next(j, c)) {
        struct component *to = &r->components[r->n_components++];
        take_text(j, c, "name", to->name, sizeof to->name);
        take_text(j, c, "state", to->state, sizeof to->state);
    }
}

static bool take_all(const struct json *j, const struct json_node *root, struct results *r)
{
    bool good = true;
    take_head(j, root, r);
    const struct json_node *list = json_get(j, root, "processes");
    for (const struct json_node *p = json_first(j, list); p != NULL && good; p = json_next(j, p))
        good = take_process(j, p, r);
    list = json_get(j, root, "knees");
    for (const struct json_node *k = json_first(j, list); k != NULL; k = json_next(j, k))
        take_knee(j, k, r);
    list = json_get(j, root, "rows");
    for (const struct json_node *n = json_first(j, list); n != NULL && good; n = json_next(j, n))
        good = take_row(j, n, r);
    return good;
}

bool results_read(struct results *r, const char *text, size_t size, char *why, size_t why_size)
{
    struct json j = { 0 };
    memset(r, 0, sizeof *r);
    bool good = json_parse(&j, text, size);
    if (!good)
        snprintf(why, why_size, "%s", j.problem);
    const char *schema = json_text(&j, json_root(&j), "schema", "");
    if (good && strcmp(schema, RESULTS_SCHEMA) != 0) {
        snprintf(why, why_size,
                 "it is no results file of this version: its schema is '%.40s', not '%s'", schema,
                 RESULTS_SCHEMA);
        good = false;
    }
    if (good && !take_all(&j, json_root(&j), r)) {
        snprintf(why, why_size, "it has too many rows, or memory ran out");
        good = false;
    }
    json_done(&j);
    return good;
}

bool results_load(struct results *r, const char *path, char *why, size_t why_size)
{
    struct buf b = { 0 };
    char inner[200];
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        snprintf(why, why_size, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    char *at;
    size_t n = 1;
    while (n > 0 && b.size < FILE_BYTES_MAX && (at = (char *) buf_grow(&b, 65536)) != NULL) {
        n = fread(at, 1, 65536, f);
        b.size -= 65536 - n;
    }
    bool good = ferror(f) == 0 && !b.failed && b.size < FILE_BYTES_MAX;
    fclose(f);
    if (!good)
        snprintf(inner, sizeof inner, "it cannot be read, or is over 256 MiB");
    good = good && results_read(r, (const char *) b.data, b.size, inner, sizeof inner);
    if (!good)
        snprintf(why, why_size, "%s: %s", path, inner);
    buf_done(&b);
    return good;
}
