/* seek: many seeds, and the stories that one looks for. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/ctl.h"
#include "clients/cli/seek.h"
#include "clients/cli/table.h"
#include "rpc/base/alloc.h"

enum { SEEDS_DEFAULT = 100, THREADS = 8, TRIES_MAX = 20 };
#define SEED_MAX ((UINT64_C(1) << 53) - 1)

struct found {
    struct seek_story story;
    char id[64], title[160];
    uint64_t seed;
    bool done, chosen;
};
struct seek {
    struct ctl *c;
    const struct request *request;
    struct seek_condition conditions[ARGS_WHERE_MAX];
    size_t n_conditions;
    struct found *list;
    size_t n;
    atomic_size_t next, finished;
    atomic_bool failed;      /* a thread has put its status below */
    nrpc_status status;
    bool deletes;            /* second round: what was not chosen goes */
};
/* One seed under way, on one thread. */
struct seeking {
    struct seek *seek;
    struct found *found;
    const char *problem; /* it ended otherwise */
};

static bool on_update(void *ctx, const Novelengine__V1__SimulationUpdate *u)
{
    struct seeking *s = ctx;
    const struct seek *k = s->seek;
    if (u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT) {
        seek_note(&s->found->story, u->event, k->conditions, k->n_conditions);
    } else if (u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_RESULT && u->result->metadata != NULL) {
        const Novelengine__V1__StoryMetadata *d = u->result->metadata;
        seek_end(&s->found->story, d->ending, k->conditions, k->n_conditions);
        snprintf(s->found->title, sizeof s->found->title, "%s", d->title);
        s->found->done = true;
    }
    return !s->found->story.failed && !ctl_interrupted() && !atomic_load(&s->seek->failed);
}

static bool stopped(void *ctx)
{
    (void) ctx;
    return ctl_interrupted();
}

static void give_up(struct seek *k, nrpc_status *st)
{
    if (!atomic_exchange(&k->failed, true))
        nrpc_status_copy(&k->status, st);
    nrpc_status_clear(st);
}

/* A full queue is no failure: others' simulations go first, then ours. */
static nrpc_code run_once(struct seek *k, nrpc_client *client, struct found *f, nrpc_status *st)
{
    struct seeking s = { .seek = k, .found = f };
    struct novel_follow follow = { .on_update = on_update, .stopped = stopped, .ctx = &s, .patience_ms = 10000 };
    Novelengine__V1__SimulationRequest request = k->request->proto;
    Google__Protobuf__UInt64Value seed = GOOGLE__PROTOBUF__UINT64_VALUE__INIT;
    seed.value = f->seed;
    request.seed = &seed;
    nrpc_code code = novel_follow_start(client, &follow, &request, NULL, st);
    memcpy(f->id, follow.simulation_id, sizeof f->id - 1);
    return code;
}

static void run_seed(struct seek *k, nrpc_client *client, struct found *f)
{
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_code code = NRPC_RESOURCE_EXHAUSTED;
    for (int tries = 0; tries < TRIES_MAX && code == NRPC_RESOURCE_EXHAUSTED && !ctl_interrupted(); tries++) {
        if (tries > 0)
            (void) usleep(100000u * (unsigned) tries);
        nrpc_status_clear(&st);
        seek_story_done(&f->story);
        code = run_once(k, client, f, &st);
    }
    if (code == NRPC_OK && f->done && !f->story.failed) {
        nrpc_status_clear(&st);
        return;
    }
    if (code == NRPC_OK)
        nrpc_status_set(&st, NRPC_INTERNAL, "seed %" PRIu64 " ended without a story", f->seed);
    f->done = false;
    give_up(k, &st);
}

static void delete_it(struct seek *k, nrpc_client *client, struct found *f)
{
    Novelengine__V1__DeleteSimulationRequest request = NOVELENGINE__V1__DELETE_SIMULATION_REQUEST__INIT;
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_msg *m;
    const Google__Protobuf__Empty *empty;
    if (f->chosen || f->id[0] == '\0')
        return;
    request.simulation_id = f->id;
    request.force = true;
    if (novelengine_v1_novel_engine_delete_simulation(client, &k->c->options, &request, &m, &empty, &st) == NRPC_OK)
        nrpc_msg_free(m);
    nrpc_status_clear(&st); /* what stays is harmless, and listed */
}

static void *work(void *arg)
{
    struct seek *k = arg;
    nrpc_client *client = NULL;
    if (ctl_open(k->c, &client) != EXIT_OK) {
        nrpc_status st = NRPC_STATUS_INIT;
        nrpc_status_set(&st, NRPC_INTERNAL, "cannot start a client");
        give_up(k, &st);
        return NULL;
    }
    for (size_t i; (k->deletes || (!atomic_load(&k->failed) && !ctl_interrupted())) &&
                   (i = atomic_fetch_add(&k->next, 1)) < k->n;) {
        if (k->deletes)
            delete_it(k, client, &k->list[i]);
        else
            run_seed(k, client, &k->list[i]);
        atomic_fetch_add(&k->finished, 1);
    }
    nrpc_client_free(client);
    return NULL;
}

static void draw(const struct seek *k, bool last)
{
    size_t done = atomic_load(&k->finished);
    unsigned width = term_width(STDERR_FILENO), cells = width > 60 ? 30 : 10;
    if (k->c->json || !isatty(STDERR_FILENO) || k->deletes)
        return;
    fputs("\r\x1b[K", stderr);
    for (unsigned i = 0; !last && i < cells; i++)
        fputs(i < cells * done / k->n ? (term_utf8() ? "█" : "#") : (term_utf8() ? "░" : "."), stderr);
    if (!last)
        fprintf(stderr, " %zu of %zu seeds", done, k->n);
    fflush(stderr);
}

/* All seeds, a few at a time; this thread shows how far it is. */
static void run_all(struct seek *k)
{
    pthread_t threads[THREADS];
    size_t started = 0, most = k->n < THREADS ? k->n : THREADS;
    atomic_store(&k->next, 0);
    atomic_store(&k->finished, 0);
    while (started < most && pthread_create(&threads[started], NULL, work, k) == 0)
        started++;
    if (started == 0)
        (void) work(k);
    while (started > 0 && atomic_load(&k->finished) < k->n && !atomic_load(&k->failed) && !ctl_interrupted()) {
        draw(k, false);
        (void) usleep(50000);
    }
    for (size_t i = 0; i < started; i++)
        (void) pthread_join(threads[i], NULL);
    draw(k, true);
}

static int put_found(struct seek *k, const struct found *const *chosen, size_t n)
{
    struct ctl *c = k->c;
    int code = EXIT_OK;
    struct table t;
    table_init(&t, 4);
    table_add(&t, (const char *[]) { "SEED", "ENDING", "ID", "TITLE" });
    for (size_t i = 0; i < n && code == EXIT_OK; i++) {
        const struct found *f = chosen[i];
        char seed[24];
        snprintf(seed, sizeof seed, "%" PRIu64, f->seed);
        if (c->json) {
            Novelengine__V1__SimulationResult result = NOVELENGINE__V1__SIMULATION_RESULT__INIT;
            Novelengine__V1__StoryMetadata data = NOVELENGINE__V1__STORY_METADATA__INIT;
            result.simulation_id = (char *) f->id;
            result.seed = f->seed;
            result.status = (char *) "completed";
            result.metadata = &data;
            data.title = (char *) f->title;
            data.ending = (char *) f->story.ending;
            code = ctl_print_json(&result.base);
        }
        table_add(&t, (const char *[]) { seed, f->story.ending, f->id, f->title });
    }
    struct buf b = { 0 };
    table_put(&t, &b, isatty(STDOUT_FILENO) ? c->width_out : 0, c->color_out);
    if (c->json || n == 0) {
        buf_done(&b);
        return code;
    }
    return ctl_print(&b);
}

/* Which are shown; they are kept. */
static size_t choose(struct seek *k, const struct found **chosen, const struct seek_story **stories, size_t *picked)
{
    size_t n = 0;
    for (size_t i = 0; i < k->n; i++)
        if (k->list[i].done && seek_met(&k->list[i].story, k->conditions, k->n_conditions)) {
            chosen[n] = &k->list[i];
            stories[n++] = &k->list[i].story;
        }
    if (args_has(&k->c->args, FLAG_MOST_DIFFERENT)) {
        size_t count = seek_most_different(stories, n, (size_t) k->c->args.number[FLAG_MOST_DIFFERENT], picked);
        for (size_t i = 0; i < count; i++)
            stories[i] = &chosen[picked[i]]->story;
        for (size_t i = 0; i < count; i++) /* the story is the first member */
            chosen[i] = (const struct found *) (const void *) stories[i];
        n = count;
    }
    for (size_t i = 0; i < n; i++)
        k->list[chosen[i] - k->list].chosen = true;
    return n;
}

static int report(struct seek *k)
{
    struct ctl *c = k->c;
    const struct found **chosen = alloc_zero(k->n, sizeof *chosen);
    const struct seek_story **stories = alloc_zero(k->n, sizeof *stories);
    size_t *picked = alloc_zero(k->n, sizeof *picked);
    int code = EXIT_FAILED;
    if (chosen == NULL || stories == NULL || picked == NULL) {
        ctl_problem(0, "out of memory");
    } else {
        size_t n = choose(k, chosen, stories, picked);
        code = put_found(k, chosen, n);
        if (n == 0)
            ctl_hint(c, "None of %zu seeds has such a story.", k->n);
        else
            ctl_hint(c, "%zu seeds tried.\n  read one:  novelctl%s story %s", k->n, ctl_server_flag(c), chosen[0]->id);
        if (code == EXIT_OK && n == 0)
            code = EXIT_NOT_FOUND;
    }
    alloc_free(chosen);
    alloc_free(stories);
    alloc_free(picked);
    return code;
}

static int seek_all(struct seek *k)
{
    run_all(k);
    int code = EXIT_OK;
    if (atomic_load(&k->failed))
        code = ctl_fail(k->c, &k->status);
    else if (ctl_interrupted())
        code = EXIT_INTERRUPTED;
    else
        code = report(k);
    k->deletes = true;
    if (!args_has(&k->c->args, FLAG_KEEP))
        run_all(k);
    return code;
}

int cmd_seek(struct ctl *c)
{
    struct request request;
    struct seek k = { .c = c, .request = &request, .n_conditions = c->args.n_wheres };
    request_init(&request, c);
    uint64_t first = args_has(&c->args, FLAG_SEED) ? c->args.number[FLAG_SEED] : 1;
    k.n = args_has(&c->args, FLAG_SEEDS) ? (size_t) c->args.number[FLAG_SEEDS] : SEEDS_DEFAULT;
    for (size_t i = 0; i < k.n_conditions; i++)
        if (!seek_condition_read(c->args.wheres[i], &k.conditions[i]))
            return ctl_problem(EXIT_USAGE, "--where must be ending=NAME, nobody-hurt, has=OPERATOR, lacks=OPERATOR or "
                                           "knows=WHO:FACT, not '%s'", c->args.wheres[i]);
    if (first < 1 || first > SEED_MAX - k.n)
        return ctl_problem(EXIT_USAGE, "--seed must leave room for %zu seeds below 2^53", k.n);
    k.list = alloc_zero(k.n, sizeof *k.list);
    if (k.list == NULL)
        return ctl_problem(EXIT_FAILED, "out of memory");
    for (size_t i = 0; i < k.n; i++)
        k.list[i].seed = first + i;
    int code = seek_all(&k);
    for (size_t i = 0; i < k.n; i++)
        seek_story_done(&k.list[i].story);
    alloc_free(k.list);
    return code;
}
