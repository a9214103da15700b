#include "clients/load/json.h"
#include "clients/load/results.h"
#include "clients/load/rules.h"

static void put_environment(struct json_out *w, const struct results *r)
{
    json_open(w, "environment", '{');
    json_put_text(w, "version", r->version);
    json_put_text(w, "commit", r->commit[0] == '\0' ? NULL : r->commit);
    json_put_text(w, "libcurl", r->curl);
    json_put_text(w, "system", r->system);
    json_put_text(w, "processor", r->processor);
    json_put_count(w, "cores", r->cores);
    json_put_number(w, "memory_mb", r->memory_mb, 0);
    json_put_count(w, "load_threads", r->workers);
    json_put_text(w, "server_version", r->server_version[0] == '\0' ? NULL : r->server_version);
    json_close(w, '}');
}

static void put_latency(struct json_out *w, const char *key, const struct latency *l)
{
    json_open(w, key, '{');
    json_put_number(w, "mean", l->mean_ms, 6);
    json_put_number(w, "min", l->min_ms, 6);
    json_put_number(w, "p50", l->p50_ms, 6);
    json_put_number(w, "p90", l->p90_ms, 6);
    json_put_number(w, "p95", l->p95_ms, 6);
    json_put_number(w, "p99", l->p99_ms, 6);
    json_put_number(w, "p999", l->p999_ms, 6);
    json_put_number(w, "max", l->max_ms, 6);
    json_close(w, '}');
}

static void put_errors(struct json_out *w, const struct row *row)
{
    json_open(w, "errors", '{');
    for (size_t i = OUTCOME_OK + 1; i < OUTCOMES; i++)
        json_put_count(w, outcome_name((enum outcome) i), row->errors[i]);
    json_close(w, '}');
    json_open(w, "statuses", '{');
    for (size_t i = 0; i < TALLY_STATUSES; i++)
        if (row->statuses[i].count > 0)
            json_put_count(w, row->statuses[i].name, row->statuses[i].count);
    json_close(w, '}');
    json_open(w, "first_errors", '{');
    for (size_t i = OUTCOME_OK + 1; i < OUTCOMES; i++)
        if (row->detail[i][0] != '\0')
            json_put_text(w, outcome_name((enum outcome) i), row->detail[i]);
    json_close(w, '}');
}

static void put_usage(struct json_out *w, const struct results *r, const struct row *row)
{
    json_open(w, "usage", '[');
    for (size_t i = 0; i < r->n_processes; i++) {
        const struct usage *u = &row->usage[i];
        if (!u->known)
            continue;
        json_open(w, NULL, '{');
        json_put_text(w, "process", r->processes[i].name);
        json_put_count(w, "pid", (uint64_t) r->processes[i].pid);
        json_put_number(w, "cpu_percent", u->cpu_percent, 3);
        json_put_number(w, "rss_mb", u->rss_mb, 3);
        json_put_count(w, "threads", u->threads);
        json_put_count(w, "descriptors", u->descriptors);
        json_close(w, '}');
    }
    json_close(w, ']');
}

static void put_slices(struct json_out *w, const struct row *row)
{
    json_open(w, "slices", '[');
    for (unsigned i = 0; i < row->n_slices; i++) {
        const struct slice *s = &row->slices[i];
        json_open(w, NULL, '{');
        json_put_number(w, "at_s", s->at_s, 3);
        json_put_number(w, "seconds", s->seconds, 4);
        json_put_count(w, "requests", s->requests);
        json_put_count(w, "errors", s->errors);
        json_put_number(w, "rate", s->rate, 3);
        json_put_number(w, "p50", s->p50_ms, 6);
        json_put_number(w, "p95", s->p95_ms, 6);
        json_put_number(w, "p99", s->p99_ms, 6);
        json_close(w, '}');
    }
    json_close(w, ']');
}

static void put_row(struct json_out *w, const struct results *r, const struct row *row)
{
    json_open(w, NULL, '{');
    json_put_text(w, "section", row->section);
    json_put_text(w, "door", row->door);
    json_put_text(w, "endpoint", row->endpoint);
    json_put_count(w, "users", row->users);
    json_put_number(w, "rate_wanted", row->rate_wanted, 3);
    json_put_number(w, "think_ms", row->think_ms, 3);
    json_put_number(w, "at_s", row->at_s, 3);
    json_put_number(w, "seconds", row->seconds, 6);
    json_put_count(w, "requests", row->requests);
    json_put_count(w, "good", row->errors[OUTCOME_OK]);
    json_put_count(w, "bytes", row->bytes);
    json_put_number(w, "rate", row->rate, 3);
    json_put_number(w, "error_percent", row->error_percent, 4);
    put_errors(w, row);
    put_latency(w, "latency_ms", &row->latency);
    if (row->first.max_ms > 0)
        put_latency(w, "first_event_ms", &row->first);
    json_open(w, "generator", '{');
    json_put_number(w, "cpu_percent", row->generator_cpu_percent, 2);
    json_put_number(w, "wait_percent", row->generator_wait_percent, 2);
    json_put_bool(w, "limited", row->generator_limited);
    json_put_text(w, "why", row->generator_limited ? row->generator_why : NULL);
    json_close(w, '}');
    put_usage(w, r, row);
    put_slices(w, row);
    json_close(w, '}');
}

static void put_process(struct json_out *w, const struct process *p)
{
    json_open(w, NULL, '{');
    json_put_text(w, "name", p->name);
    json_put_count(w, "pid", (uint64_t) p->pid);
    json_put_bool(w, "ended", p->ended);
    json_open(w, "samples", '[');
    for (size_t i = 0; i < p->n_samples; i++) {
        const struct sample *s = &p->samples[i];
        json_open(w, NULL, '{');
        json_put_number(w, "at_s", s->at_s, 3);
        json_put_number(w, "cpu_percent", s->cpu_percent, 3);
        json_put_number(w, "rss_mb", s->rss_mb, 3);
        json_put_count(w, "threads", s->threads);
        json_put_count(w, "descriptors", s->descriptors);
        json_put_number(w, "switches_per_s", s->switches_per_s, 1);
        json_close(w, '}');
    }
    json_close(w, ']');
    json_close(w, '}');
}

static void put_knees(struct json_out *w, const struct results *r)
{
    json_open(w, "knees", '[');
    for (size_t i = 0; i < r->n_knees; i++) {
        const struct knee *k = &r->knees[i];
        json_open(w, NULL, '{');
        json_put_text(w, "door", k->door);
        json_put_text(w, "endpoint", k->endpoint);
        json_put_bool(w, "broke", k->broke);
        json_put_count(w, "users", k->users);
        json_put_count(w, "best_users", k->best_users);
        json_put_number(w, "best_rate", k->best_rate, 3);
        json_put_text(w, "why", k->why);
        json_close(w, '}');
    }
    json_close(w, ']');
}

static void put_judgement(struct json_out *w, const struct judgement *j)
{
    static const char *const states[] = { "passed", "failed", "unmeasured" };
    static const char *const kinds[] = { "must", "should", "grade" };
    char text[300];
    json_open(w, "judgement", '{');
    json_put_text(w, "verdict", j->verdict);
    json_put_text(w, "rule", j->verdict_rule);
    json_open(w, "components", '[');
    for (size_t i = 0; i < j->rules->n_components; i++) {
        const struct component_result *c = &j->components[i];
        char grade[2] = { c->grade, '\0' };
        json_open(w, NULL, '{');
        json_put_text(w, "name", j->rules->components[i]);
        json_put_text(w, "grade", c->grade == '-' ? NULL : grade);
        json_put_count(w, "passed", c->passed);
        json_put_count(w, "failed_must", c->failed_must);
        json_put_count(w, "failed_should", c->failed_should);
        json_put_count(w, "unmeasured", c->unmeasured);
        json_put_text(w, "decided_by", c->worst == NULL ? NULL : c->worst->rule->text);
        json_close(w, '}');
    }
    json_close(w, ']');
    json_open(w, "checks", '[');
    for (size_t i = 0; i < j->n; i++) {
        const struct check_result *c = &j->checks[i];
        char grade[2] = { c->grade, '\0' };
        rules_describe(c, text, sizeof text);
        json_open(w, NULL, '{');
        json_put_text(w, "component", j->rules->components[c->rule->component]);
        json_put_text(w, "kind", kinds[c->rule->kind]);
        json_put_text(w, "rule", c->rule->text);
        json_put_text(w, "state", states[c->state]);
        json_put_text(w, "grade", c->grade == 0 ? NULL : grade);
        json_put_text(w, "found", text);
        json_close(w, '}');
    }
    json_close(w, ']');
    json_close(w, '}');
}

void results_write(struct buf *out, const struct results *r, const struct judgement *j)
{
    struct json_out w = { .out = out };
    json_open(&w, NULL, '{');
    json_put_text(&w, "schema", RESULTS_SCHEMA);
    json_put_text(&w, "command", r->command);
    json_put_text(&w, "started", r->started);
    json_put_text(&w, "ended", r->ended);
    json_put_number(&w, "seconds", r->seconds, 3);
    json_put_bool(&w, "interrupted", r->interrupted);
    put_environment(&w, r);
    json_open(&w, "targets", '{');
    json_put_text(&w, "http", r->http[0] == '\0' ? NULL : r->http);
    json_put_text(&w, "rpc", r->rpc[0] == '\0' ? NULL : r->rpc);
    json_put_count(&w, "http_requests", r->http_requests);
    json_put_count(&w, "rpc_requests", r->rpc_requests);
    json_open(&w, "components", '[');
    for (size_t i = 0; i < r->n_components; i++) {
        json_open(&w, NULL, '{');
        json_put_text(&w, "name", r->components[i].name);
        json_put_text(&w, "state", r->components[i].state);
        json_close(&w, '}');
    }
    json_close(&w, ']');
    json_close(&w, '}');
    json_open(&w, "rows", '[');
    for (size_t i = 0; i < r->n_rows; i++)
        put_row(&w, r, &r->rows[i]);
    json_close(&w, ']');
    put_knees(&w, r);
    json_open(&w, "processes", '[');
    for (size_t i = 0; i < r->n_processes; i++)
        put_process(&w, &r->processes[i]);
    json_close(&w, ']');
    if (j != NULL)
        put_judgement(&w, j);
    json_close(&w, '}');
    buf_putc(out, '\n');
}
