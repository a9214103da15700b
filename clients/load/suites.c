#include "clients/load/suites.h"

#include <string.h>
#include <sys/resource.h>

#include "clients/load/tidy.h"
#include "rpc/base/check.h"

#define ENDLESS UINT64_MAX
enum { DESCRIPTORS_SPARE = 64, STRESS_ROUND = 15 };

static uint64_t from_seconds(double s)
{
    return (uint64_t) (s * 1e9);
}

static struct step make_step(struct suites *s, const struct target *t, const struct endpoint *e,
                             unsigned users)
{
    const struct settings *o = s->settings;
    bool simulation =
        e->requests[0]->kind == REQUEST_SIMULATION || e->requests[0]->kind == REQUEST_STREAM;
    double timeout_s = o->timeout_s > 0 ? o->timeout_s : simulation ? 120 : 30;
    return (struct step){
        .target = t,
        .endpoint = e,
        .users = users,
        .duration_ns = ENDLESS,
        .timeout_ns = from_seconds(timeout_s),
        .turns = (int32_t) o->turns,
        .seed = s->next_seed,
    };
}

static unsigned users_possible(unsigned wanted);

static int check_users(struct suites *s, unsigned users)
{
    unsigned most = users_possible(users);
    if (most >= users)
        return 0;
    snprintf(s->run->problem, sizeof s->run->problem,
             "%u users need more descriptors than there may be: %u are possible (ulimit -n)", users, most);
    return NRPC_E_INVAL;
}

static bool is_over(const struct suites *s)
{
    return *s->run->interrupted != 0;
}

static const struct endpoint *const each_one[] = { &endpoint_health, &endpoint_characters,
                                                   &endpoint_engineer, &endpoint_pilot,
                                                   &endpoint_scientist };
static const struct endpoint *const by_kind[] = { &endpoint_health, &endpoint_characters,
                                                  &endpoint_details };
static const struct endpoint *const stress_two[] = { &endpoint_health, &endpoint_characters };
static const struct endpoint *const only_mixed[] = { &endpoint_mixed };
static const struct endpoint *const only_health[] = { &endpoint_health };

struct plan {
    const char *section;
    const struct endpoint *const *endpoints;
    size_t n_endpoints;
    const unsigned *users;
    size_t n_users;
    double duration_s, think_ms;
};

/* The person's wishes over the plan's. */
static void apply(struct plan *p, const struct settings *o)
{
    if (o->n_endpoints > 0) {
        p->endpoints = o->endpoints;
        p->n_endpoints = o->n_endpoints;
    }
    if (o->n_users > 0) {
        p->users = o->users;
        p->n_users = o->n_users;
    }
    p->duration_s = o->duration_s > 0 ? o->duration_s : p->duration_s;
    p->think_ms = o->think_ms >= 0 ? o->think_ms : o->rate > 0 ? 0 : p->think_ms;
}

/* ---- baseline ---- */
static int run_baseline(struct suites *s)
{
    struct plan p = { "baseline", each_one, ARRAY_SIZE(each_one), NULL, 0, 0, 0 };
    struct row *row;
    apply(&p, s->settings);
    for (size_t t = 0; t < s->n_targets; t++)
        for (size_t e = 0; e < p.n_endpoints && !is_over(s); e++) {
            struct step step = make_step(s, &s->targets[t], p.endpoints[e], 1);
            step.requests_per_user = s->settings->requests;
            step.think_ns =
                from_seconds(s->settings->think_ms > 0 ? s->settings->think_ms / 1000 : 0);
            int r = run_step(s->run, p.section, &step, &row);
            if (r < 0)
                return r;
        }
    return 0;
}

/* ---- load, soak ---- */
static int run_timed(struct suites *s, struct plan p)
{
    struct row *row;
    apply(&p, s->settings);
    for (size_t t = 0; t < s->n_targets; t++)
        for (size_t e = 0; e < p.n_endpoints; e++)
            for (size_t u = 0; u < p.n_users && !is_over(s); u++) {
                struct step step = make_step(s, &s->targets[t], p.endpoints[e], p.users[u]);
                step.duration_ns = from_seconds(p.duration_s);
                step.think_ns = from_seconds(p.think_ms / 1000);
                step.rate = s->settings->rate;
                int r = check_users(s, p.users[u]);
                r = r < 0 ? r : run_step(s->run, p.section, &step, &row);
                if (r < 0)
                    return r;
            }
    return 0;
}

static int run_load(struct suites *s)
{
    static const unsigned users[] = { 5, 10, 25, 50 };
    return run_timed(s, (struct plan){ "load", by_kind, ARRAY_SIZE(by_kind), users,
                                       ARRAY_SIZE(users), 20, 100 });
}

static int run_soak(struct suites *s)
{
    static const unsigned users[] = { 25 };
    return run_timed(s, (struct plan){ "soak", only_mixed, 1, users, 1, 600, 100 });
}

/* ---- stress ---- */
/* Descriptors that users may have; the soft limit is raised to the hard one. */
static unsigned users_possible(unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return wanted;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = { limit.rlim_max, limit.rlim_max };
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    /* A user has a connection; over HTTP ten of them share three descriptors of libcurl's. */
    rlim_t most = limit.rlim_cur > DESCRIPTORS_SPARE ? (limit.rlim_cur - DESCRIPTORS_SPARE) / 4 * 3 : 1;
    return wanted < most ? wanted : (unsigned) most;
}

/* Behind the listed steps: half as many again, in fifteens. */
static unsigned next_users(const struct plan *p, size_t i, unsigned last, unsigned most)
{
    if (i < p->n_users)
        return p->users[i];
    unsigned next = (last + last / 2 + STRESS_ROUND - 1) / STRESS_ROUND * STRESS_ROUND;
    return last < most && next > most ? most : next;
}

static bool breaks(const struct settings *o, const struct row *row, struct knee *k)
{
    bool slow = row->latency.p95_ms > o->p95_ms, wrong = row->error_percent > o->error_percent;
    if (slow)
        snprintf(k->why, sizeof k->why, "p95 %.1f ms is over %g ms%s", row->latency.p95_ms,
                 o->p95_ms,
                 row->generator_limited ? "; the load generator was at its own limit as well" : "");
    else if (wrong)
        snprintf(k->why, sizeof k->why, "%.2f %% errors are over %g %%", row->error_percent,
                 o->error_percent);
    return slow || wrong;
}

static struct knee *add_knee(struct suites *s, const struct target *t, const struct endpoint *e)
{
    struct results *r = s->run->results;
    if (r->n_knees == ARRAY_SIZE(r->knees))
        return NULL;
    struct knee *k = &r->knees[r->n_knees++];
    snprintf(k->door, sizeof k->door, "%s", t->door->name);
    snprintf(k->endpoint, sizeof k->endpoint, "%s", e->name);
    return k;
}

static int run_series(struct suites *s, const struct plan *p, const struct target *t,
                      const struct endpoint *e)
{
    unsigned most = users_possible(s->settings->max_users), users = 0;
    struct knee none = { 0 }, *k = add_knee(s, t, e);
    struct row *row;
    if (k == NULL)
        k = &none;
    for (size_t i = 0; !is_over(s); i++) {
        users = next_users(p, i, users, most);
        if (users > most) {
            snprintf(k->why, sizeof k->why,
                     "no limit broke up to %u users, the most that were allowed", most);
            return 0;
        }
        struct step step = make_step(s, t, e, users);
        step.duration_ns = from_seconds(p->duration_s);
        step.think_ns = from_seconds(p->think_ms / 1000);
        int r = run_step(s->run, p->section, &step, &row);
        if (r < 0)
            return r;
        if (is_over(s))
            return 0;
        if (breaks(s->settings, row, k)) {
            k->broke = true;
            k->users = users;
            view_note(&s->run->view, "the knee of %s %s: %u users: %s", k->door, k->endpoint, users,
                      k->why);
            return 0;
        }
        if (i >= p->n_users && row->generator_limited && row->rate < k->best_rate * 1.02) {
            snprintf(k->why, sizeof k->why,
                     "no limit broke, but the load generator was the limit at %u users: %.150s",
                     users, row->generator_why);
            return 0;
        }
        k->best_users = users;
        k->best_rate = row->rate;
    }
    return 0;
}

static int run_stress(struct suites *s)
{
    static const unsigned users[] = { 15, 30, 45, 60, 75 };
    struct plan p = { "stress", stress_two, ARRAY_SIZE(stress_two), users, ARRAY_SIZE(users),
                      10,       100 };
    int r = 0;
    apply(&p, s->settings);
    for (size_t t = 0; t < s->n_targets; t++)
        for (size_t e = 0; e < p.n_endpoints && r == 0 && !is_over(s); e++)
            r = run_series(s, &p, &s->targets[t], p.endpoints[e]);
    return r;
}

/* ---- simulations ---- */
/* A deployment is left as it was found. */
static void tidy_up(struct suites *s, const struct target *t)
{
    char why[200] = "";
    const struct buf *ids = &s->run->simulations;
    size_t left = t->door == &door_http ? tidy_http(s->run->results, t, ids, why, sizeof why)
                                        : tidy_rpc(s->run->results, t, ids, why, sizeof why);
    if (left > 0)
        view_note(&s->run->view, "%zu simulations could not be deleted and stay: %s", left, why);
}

/* Each is asked for once, all at the same moment. */
static int run_wave(struct suites *s, const struct target *t, const struct endpoint *e,
                    unsigned at_once)
{
    struct row *row;
    struct step step = make_step(s, t, e, at_once);
    step.requests_per_user = 1;
    s->next_seed += at_once;
    int r = check_users(s, at_once);
    r = r < 0 ? r : run_step(s->run, "simulations", &step, &row);
    if (r == 0 && !s->settings->keep)
        tidy_up(s, t);
    return r;
}

static int run_waves(struct suites *s, const unsigned *at_once, size_t n)
{
    static const struct endpoint *const forms[] = { &endpoint_simulation, &endpoint_stream };
    const struct settings *o = s->settings;
    if (o->n_users > 0) {
        at_once = o->users;
        n = o->n_users;
    }
    int r = 0;
    for (size_t t = 0; t < s->n_targets; t++)
        for (size_t e = 0; e < ARRAY_SIZE(forms); e++)
            for (size_t i = 0; i < n && r == 0 && !is_over(s); i++)
                r = run_wave(s, &s->targets[t], forms[e], at_once[i]);
    return r;
}

static int run_simulations(struct suites *s)
{
    static const unsigned at_once[] = { 3, 5, 8, 20, 50, 100 };
    return run_waves(s, at_once, ARRAY_SIZE(at_once));
}

/* ---- quick, all ---- */
static int run_quick(struct suites *s)
{
    static const unsigned five[] = { 5 }, three[] = { 3 };
    int r = run_baseline(s);
    if (r == 0)
        r = run_timed(s, (struct plan){ "load", only_health, 1, five, 1, 1, 100 });
    return r < 0 ? r : run_waves(s, three, 1);
}

static int run_all(struct suites *s)
{
    int r = run_baseline(s);
    r = r < 0 ? r : run_load(s);
    r = r < 0 ? r : run_stress(s);
    return r < 0 ? r : run_simulations(s);
}

int suites_run(struct suites *s)
{
    (void) users_possible(0); /* raises the limit of descriptors */
    switch (s->settings->command) {
    case COMMAND_QUICK:
        return run_quick(s);
    case COMMAND_BASELINE:
        return run_baseline(s);
    case COMMAND_LOAD:
        return run_load(s);
    case COMMAND_STRESS:
        return run_stress(s);
    case COMMAND_SIMULATIONS:
        return run_simulations(s);
    case COMMAND_SOAK:
        return run_soak(s);
    case COMMAND_ALL:
        return run_all(s);
    default:
        return NRPC_E_INVAL;
    }
}
