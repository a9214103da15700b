/* jobs.c — the thread that owns every live simulation: its inbox, its queue, its start and its end.
 */
#include "server/jobs/jobs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/base/log.h"
#include "server/jobs/inner.h"

#define QUEUED_DEFAULT   1000u
#define AWAITING_DEFAULT 10000u
#define RUNNING_DEFAULT  64u
#define RUN_MS_DEFAULT   600000u
#define DIRECTED_DEFAULT 64u
#define WAIT_MS_DEFAULT  60000u
#define RETRY_MS_DEFAULT 250u
#define PURGE_EVERY_NS   (600ull * 1000000000)
#define RESUME_PAGE      200u
#define PARKED_LOOK_MS   50
#define PROBE_EVERY_NS   (5ull * 1000000000) /* while the store can't be written */
#define IDLE_LOOK_MS     5000

void jobs_new_id(char out[static STORE_ID_SIZE])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* Crockford's base 32 */
    uint8_t bytes[16];
    /* 48 bits of milliseconds, 80 of randomness; getrandom of 10 bytes is never short once seeded.
     */
    uint64_t ms = clock_wall_ns() / 1000000;
    for (int i = 0; i < 6; i++)
        bytes[i] = (uint8_t) (ms >> (40 - 8 * i));
    size_t got = 0;
    while (got < 10) {
        ssize_t n = getrandom(bytes + 6 + got, 10 - got, 0);
        CHECK(n > 0 || errno == EINTR);
        got += n > 0 ? (size_t) n : 0;
    }
    memcpy(out, "sim_", 4);
    for (int i = 0; i < 26; i++) {
        /* 130 bits: two zero bits, then the 128. */
        unsigned value = 0;
        for (int b = 0; b < 5; b++) {
            int bit = i * 5 + b - 2;
            value = value << 1 | (bit < 0 ? 0u : (unsigned) (bytes[bit / 8] >> (7 - bit % 8)) & 1u);
        }
        out[4 + i] = digits[value];
    }
    out[30] = '\0';
}

const struct nvl_pack *jobs_pack(const struct jobs *j)
{
    return j->o.pack;
}

void jobs_figures_read(const struct jobs *j, struct jobs_figures *out)
{
    unsigned live = atomic_load(&j->live), running = atomic_load(&j->running_now);
    unsigned awaiting = atomic_load(&j->awaiting_now), out_of_queue = running + awaiting;
    *out = (struct jobs_figures){
        .queued = live > out_of_queue ? live - out_of_queue : 0,
        .awaiting = awaiting,
        .running = running,
        .parked = atomic_load(&j->parked_now),
        .completed = atomic_load(&j->completed),
        .failed = atomic_load(&j->failed),
        .cancelled = atomic_load(&j->cancelled),
        .events = atomic_load(&j->events),
    };
}

static struct sim *find(struct jobs *j, const char *id)
{
    return map_get(&j->sims, id, strlen(id));
}

static void answer(struct jobs_request *r, enum jobs_result result, enum store_result store)
{
    r->result = result;
    r->store = store;
    r->done(r);
}

/* ---- submit ---- */

static void submitted_run(struct mail *m, void *owner)
{
    struct jobs_submit *r = CONTAINER_OF(m, struct jobs_submit, request.mail);
    struct jobs *j = owner;
    j->in_flight--;
    j->submitting--;
    enum store_result result = r->submit.write.result;
    if (result != STORE_OK) {
        answer(&r->request, JOBS_E_STORE, result);
        return;
    }
    struct store_row row = {
        .number = r->submit.number,
        .state = r->submit.director != 0 ? STORE_AWAITING : STORE_QUEUED,
        .director = r->submit.director,
        .epoch = 1,
        .create_us = r->submit.now_us,
        .abi = r->submit.abi,
        .turns = r->submit.turns,
        .turns_done = r->submit.turns_done,
        .last_sequence = r->submit.n_events,
        .request = r->submit.request,
        .header = r->submit.header,
    };
    memcpy(row.id, r->submit.id, sizeof row.id);
    if (r->submit.campaign != NULL)
        snprintf(row.campaign, sizeof row.campaign, "%s", r->submit.campaign);
    memcpy(row.head, r->submit.head, sizeof row.head);
    if (r->submit.parent != NULL)
        strncpy(row.parent, r->submit.parent, sizeof row.parent - 1);
    struct sim *sim = sim_new(j, &row);
    if (sim != NULL)
        sim->submit_mono_ns = clock_mono_ns();
    else /* it is durable, so it is accepted; the next start takes it up */
        log_event(LOG_LEVEL_ERROR, "simulation_not_queued", LOG_S("simulation_id", row.id));
    answer(&r->request, JOBS_OK, STORE_OK);
    sim_admit(j);
}

static void submitted(struct store_write *w)
{
    struct jobs_submit *r = CONTAINER_OF(w, struct jobs_submit, submit.write);
    r->request.mail.run = submitted_run;
    inbox_post(&r->jobs->box, &r->request.mail);
}

/* What waits for a director has its state on the disk only and takes no place from those that run:
 * it has a limit of its own. */
static bool queue_full(const struct jobs *j, const struct jobs_submit *r)
{
    unsigned awaiting = atomic_load(&j->awaiting_now), live = atomic_load(&j->live);
    return live - awaiting + j->submitting >= j->o.max_queued ||
           (r->submit.director != 0 && awaiting + j->submitting >= j->o.max_awaiting);
}

static void submit_run(struct mail *m, void *owner)
{
    struct jobs_submit *r = CONTAINER_OF(m, struct jobs_submit, request.mail);
    struct jobs *j = owner;
    if (j->stopping) {
        answer(&r->request, JOBS_E_STOPPING, STORE_OK);
    } else if (queue_full(j, r)) {
        answer(&r->request, JOBS_E_QUEUE_FULL, STORE_OK);
    } else {
        r->submit.write.kind = STORE_WRITE_SUBMIT;
        r->submit.write.done = submitted;
        j->submitting++;
        j->in_flight++;
        store_write_post(j->o.store, &r->submit.write);
    }
}

void jobs_post_submit(struct jobs *j, struct jobs_submit *r)
{
    r->jobs = j;
    r->request.mail.run = submit_run;
    inbox_post(&j->box, &r->request.mail);
}

/* ---- cancel ---- */

static void cancel_looked(struct mail *m, void *owner)
{
    struct jobs_cancel *r = CONTAINER_OF(m, struct jobs_cancel, row.read.mail);
    struct jobs *j = owner;
    j->in_flight--;
    enum store_result result = r->row.read.result;
    int state = r->row.row.state;
    arena_done(&r->row.read.arena);
    if (result == STORE_E_NOT_FOUND)
        answer(&r->request, JOBS_E_NOT_FOUND, result);
    else if (result != STORE_OK)
        answer(&r->request, JOBS_E_STORE, result);
    else
        answer(&r->request,
               state == STORE_CANCELLED   ? JOBS_OK
               : store_state_final(state) ? JOBS_E_FINISHED
                                          : JOBS_E_STOPPING,
               STORE_OK);
}

static void cancel_read_done(struct store_read *read)
{
    struct jobs_cancel *r = CONTAINER_OF(read, struct jobs_cancel, row.read);
    read->mail.run = cancel_looked;
    inbox_post(&r->jobs->box, &read->mail);
}

static void cancel_run(struct mail *m, void *owner)
{
    struct jobs_cancel *r = CONTAINER_OF(m, struct jobs_cancel, request.mail);
    struct jobs *j = owner;
    struct sim *sim = find(j, r->id);
    if (j->stopping) {
        answer(&r->request, JOBS_E_STOPPING, STORE_OK);
        return;
    }
    if (sim != NULL && sim->state != SIM_ENDED) {
        list_init(&r->link);
        list_add_tail(&sim->cancels, &r->link);
        sim_cancel(sim);
        return;
    }
    r->row = (struct store_read_row){ .read.kind = STORE_READ_ROW, .read.done = cancel_read_done };
    memcpy(r->row.id, r->id, sizeof r->row.id);
    arena_init(&r->row.read.arena, 1024);
    j->in_flight++;
    store_read_post(j->o.store, &r->row.read);
}

void jobs_post_cancel(struct jobs *j, struct jobs_cancel *r)
{
    r->jobs = j;
    r->request.mail.run = cancel_run;
    inbox_post(&j->box, &r->request.mail);
}

/* ---- delete ---- */

static void deleted_run(struct mail *m, void *owner)
{
    struct jobs_delete *r = CONTAINER_OF(m, struct jobs_delete, request.mail);
    struct jobs *j = owner;
    j->in_flight--;
    enum store_result result = r->write.write.result;
    if (result == STORE_OK) {
        struct sim *sim = find(j, r->id);
        if (sim != NULL) {
            hub_expel(sim, JOBS_E_NOT_FOUND);
            sim_release(sim);
        }
    }
    answer(&r->request,
           result == STORE_OK            ? JOBS_OK
           : result == STORE_E_NOT_FOUND ? JOBS_E_NOT_FOUND
           : result == STORE_E_STALE     ? JOBS_E_RUNNING
           : result == STORE_E_EXISTS    ? JOBS_E_CONTINUED
                                         : JOBS_E_STORE,
           result);
}

static void delete_written(struct store_write *w)
{
    struct jobs_delete *r = CONTAINER_OF(w, struct jobs_delete, write.write);
    r->request.mail.run = deleted_run;
    inbox_post(&r->jobs->box, &r->request.mail);
}

static void delete_write(struct jobs *j, struct jobs_delete *r)
{
    r->write =
        (struct store_delete){ .write.kind = STORE_WRITE_DELETE, .write.done = delete_written };
    memcpy(r->write.id, r->id, sizeof r->write.id);
    r->write.now_us = jobs_wall_us();
    j->in_flight++;
    store_write_post(j->o.store, &r->write.write);
}

static void delete_cancelled(struct jobs_request *request)
{
    struct jobs_delete *r = CONTAINER_OF(request, struct jobs_delete, cancel.request);
    if (request->result == JOBS_OK || request->result == JOBS_E_FINISHED)
        delete_write(r->jobs, r);
    else
        answer(&r->request, request->result, request->store);
}

static void delete_run(struct mail *m, void *owner)
{
    struct jobs_delete *r = CONTAINER_OF(m, struct jobs_delete, request.mail);
    struct jobs *j = owner;
    struct sim *sim = find(j, r->id);
    bool runs = sim != NULL && sim->state != SIM_ENDED;
    if (j->stopping) {
        answer(&r->request, JOBS_E_STOPPING, STORE_OK);
    } else if (runs && !r->force) {
        answer(&r->request, JOBS_E_RUNNING, STORE_OK);
    } else if (runs) {
        memcpy(r->cancel.id, r->id, sizeof r->cancel.id);
        r->cancel.request.done = delete_cancelled;
        r->cancel.jobs = j;
        cancel_run(&r->cancel.request.mail, j);
    } else {
        delete_write(j, r);
    }
}

void jobs_post_delete(struct jobs *j, struct jobs_delete *r)
{
    r->jobs = j;
    r->request.mail.run = delete_run;
    inbox_post(&j->box, &r->request.mail);
}

/* ---- the thread ---- */

static void purged_run(struct mail *m, void *owner)
{
    (void) m;
    struct jobs *j = owner;
    j->in_flight--;
    j->purging = false;
    j->purged_ns = clock_mono_ns();
}

static void purged(struct store_write *w)
{
    struct jobs *j = CONTAINER_OF(w, struct jobs, purge.write);
    w->mail.run = purged_run;
    inbox_post(&j->box, &w->mail);
}

static void jobs_purge(struct jobs *j, uint64_t now_ns)
{
    /* It tries the disk too: a full one that has room again is noticed without a request. */
    bool well = store_get_health(j->o.store) == STORE_WRITABLE;
    if (j->purging || j->stopping ||
        (j->purged_ns != 0 && now_ns - j->purged_ns < (well ? PURGE_EVERY_NS : PROBE_EVERY_NS)))
        return;
    j->purge = (struct store_purge){ .write.kind = STORE_WRITE_PURGE,
                                     .write.done = purged,
                                     .now_us = jobs_wall_us() };
    j->purging = true;
    j->in_flight++;
    store_write_post(j->o.store, &j->purge.write);
}

static void *jobs_main(void *arg)
{
    struct jobs *j = arg;
    sim_admit(j);
    while (!j->stopping || j->in_flight > 0) {
        int timeout = !list_empty(&j->parked) && !j->stopping ? PARKED_LOOK_MS : IDLE_LOOK_MS;
        timeout = direct_timeout(j, clock_mono_ns(), timeout);
        for (struct mail *m = inbox_wait(&j->box, timeout); m != NULL;) {
            struct mail *next = m->next; /* run may free m */
            m->run(m, j);
            m = next;
        }
        uint64_t now = clock_mono_ns();
        sim_retry_parked(j, now);
        direct_expire(j, now);
        jobs_purge(j, now);
    }
    return NULL;
}

/* Takes up what an earlier process left unfinished. */
static int jobs_resume(struct jobs *j, char *why, size_t why_size)
{
    if (store_get_health(j->o.store) == STORE_READ_ONLY)
        return 0; /* nothing can be run, but all of it can be read */
    struct store_claim claim = { .write.kind = STORE_WRITE_CLAIM };
    store_write_wait(j->o.store, &claim.write);
    if (claim.write.result != STORE_OK) {
        snprintf(why, why_size, "cannot take over the unfinished simulations: %s",
                 store_result_name(claim.write.result));
        return -1;
    }
    int64_t after = 0;
    size_t count = 0;
    for (bool more = true; more;) {
        struct store_read_list q = { .read.kind = STORE_READ_LIST,
                                     .before = after,
                                     .unfinished = true,
                                     .limit = RESUME_PAGE,
                                     .with = STORE_WITH_HEADER };
        arena_init(&q.read.arena, 65536);
        store_read_wait(j->o.store, &q.read);
        more = q.more;
        int r = q.read.result == STORE_OK ? 0 : -1;
        for (size_t i = 0; r == 0 && i < q.n_rows; i++, count++) {
            after = q.rows[i].number;
            r = sim_new(j, &q.rows[i]) != NULL ? 0 : -1;
        }
        arena_done(&q.read.arena);
        if (r < 0) {
            snprintf(why, why_size, "cannot read the unfinished simulations: %s",
                     store_result_name(q.read.result));
            return -1;
        }
    }
    if (count > 0)
        log_event(LOG_LEVEL_INFO, "simulations_resumed", LOG_U("count", count));
    return 0;
}

static void jobs_free(struct jobs *j)
{
    while (j->sims.count > 0)
        sim_free(j->sims.entries[0].value);
    map_done(&j->sims);
    inbox_done(&j->box);
    alloc_free(j);
}

int jobs_start(const struct jobs_options *o, struct jobs **out_jobs, char *why, size_t why_size)
{
    struct jobs *j = alloc_zero(1, sizeof *j);
    if (j == NULL) {
        snprintf(why, why_size, "out of memory");
        return -1;
    }
    j->o = *o;
    j->o.max_queued = o->max_queued > 0 ? o->max_queued : QUEUED_DEFAULT;
    j->o.max_running = o->max_running > 0 ? o->max_running : RUNNING_DEFAULT;
    j->o.max_run_ms = o->max_run_ms > 0 ? o->max_run_ms : RUN_MS_DEFAULT;
    j->o.retry_ms = o->retry_ms > 0 ? o->retry_ms : RETRY_MS_DEFAULT;
    j->o.max_directed = o->max_directed > 0 ? o->max_directed : DIRECTED_DEFAULT;
    j->o.max_awaiting = o->max_awaiting > 0 ? o->max_awaiting : AWAITING_DEFAULT;
    j->o.director_wait_ms = o->director_wait_ms > 0 ? o->director_wait_ms : WAIT_MS_DEFAULT;
    list_init(&j->queued);
    list_init(&j->parked);
    list_init(&j->awaiting);
    if (inbox_init(&j->box) < 0) {
        snprintf(why, why_size, "cannot make an eventfd: %s", strerror(errno));
        alloc_free(j);
        return -1;
    }
    int failed = jobs_resume(j, why, why_size) < 0 ? -1 : 0;
    if (failed == 0 && (failed = pthread_create(&j->thread, NULL, jobs_main, j)) != 0)
        snprintf(why, why_size, "cannot start the jobs' thread: %s", strerror(failed));
    if (failed != 0) {
        jobs_free(j);
        return -1;
    }
    *out_jobs = j;
    return 0;
}

static void stop_run(struct mail *m, void *owner)
{
    (void) m;
    struct jobs *j = owner;
    j->stopping = true;
    /* Whoever waits for a cancel hears that it will not come from here. */
    for (size_t i = 0; i < j->sims.count; i++) {
        struct sim *sim = j->sims.entries[i].value;
        while (!list_empty(&sim->cancels)) {
            struct jobs_cancel *c = LIST_ENTRY(list_take(&sim->cancels), struct jobs_cancel, link);
            answer(&c->request, JOBS_E_STOPPING, STORE_OK);
        }
        direct_stop(sim);
    }
}

void jobs_stop(struct jobs *j)
{
    if (j == NULL)
        return;
    struct mail stop = { NULL, stop_run };
    inbox_post(&j->box, &stop);
    (void) pthread_join(j->thread, NULL);
    jobs_free(j);
}
