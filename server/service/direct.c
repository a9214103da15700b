/* direct.c — DirectSimulation: a stream of commands in, what becomes of them and of the simulation out.
 *
 *   NEW --start|attach--> OPENING --stage--> SEATED --finish, or the client sends no more--> LEFT
 *
 * One command at a time: the next is read once the answer to the one before is out, so that whoever does not
 * read his answers stops himself, and nothing piles up here.  Answers are held until all events that were
 * durable by then are out: what a client reads is in the order in which it happened.  Events are pulled as in
 * watch.c.  The object lives until its seat, its watch and its order have come back. */
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "server/service/direct.h"

/* ---- life ---- */

static void release(struct directing *d)
{
    if (!d->ended || d->seated || d->ordering || d->watching)
        return;
    LIST_EACH(&d->out, link, after)
    {
        struct outgoing *o = LIST_ENTRY(link, struct outgoing, link);
        list_remove(link);
        nrpc_blob_unref(o->blob);
        alloc_free(o);
    }
    for (size_t i = d->sent; i < d->watch.n_items; i++)
        nrpc_blob_unref(d->watch.items[i]);
    nrpc_msg_free(d->command);
    arena_done(&d->arena);
    alloc_free(d);
}

static void leave(struct directing *d)
{
    if (!d->seated || d->leaving || d->ordering)
        return;
    d->leaving = true;
    if (!atomic_load(&d->service->halted)) {
        jobs_seat_leave(d->service->o.jobs, &d->seat);
        return;
    }
    d->seated = false; /* the jobs are gone, and with them the seat */
}

static void on_left(struct jobs_seat *seat, nrpc_loop *loop)
{
    struct directing *d = CONTAINER_OF(seat, struct directing, seat);
    (void) loop;
    d->seated = false;
    release(d);
}

/* ---- events of the simulation ---- */

static void on_batch(struct jobs_watch *w, nrpc_loop *loop)
{
    struct directing *d = CONTAINER_OF(w, struct directing, watch);
    nrpc_call *c = nrpc_call_get(loop, d->call);
    d->have_batch = true;
    d->sent = 0;
    if (c != NULL)
        directing_flush(d, c);
}

static void on_closed(struct jobs_watch *w, nrpc_loop *loop)
{
    struct directing *d = CONTAINER_OF(w, struct directing, watch);
    (void) loop;
    d->watching = false;
    release(d);
}

static void on_proposals(struct jobs_seat *seat, struct jobs_proposals *p)
{
    struct directing *d = CONTAINER_OF(seat, struct directing, seat);
    nrpc_call *c = nrpc_call_get(d->loop, d->call);
    if (c != NULL && d->phase == PHASE_SEATED && !d->finished) {
        directing_queue(d, c, "", TAG_PROPOSALS, nrpc_blob_bytes(p->blob), p->sequence);
        directing_flush(d, c);
    }
    jobs_proposals_free(p);
}

static void open_watch(struct directing *d)
{
    struct jobs_watch *w = &d->watch;
    memcpy(w->id, d->seat.id, sizeof w->id);
    w->cursor = d->shown = d->after;
    w->view = d->view;
    w->loop = d->loop;
    w->on_batch = on_batch;
    w->on_closed = on_closed;
    d->watching = true;
    jobs_watch_open(d->service->o.jobs, w);
    jobs_watch_pull(w);
}

/* ---- orders and their answers ---- */

static void end_command(struct directing *d, nrpc_call *c)
{
    nrpc_msg_free(d->command);
    d->command = NULL;
    arena_reset(&d->arena);
    if (d->half_closed && d->phase == PHASE_SEATED) {
        d->phase = PHASE_LEFT;
        leave(d);
    }
    directing_flush(d, c);
}

static void refuse_open(struct directing *d, nrpc_call *c)
{
    d->finished = true;
    service_reply_jobs(c, d->order.request.result, d->order.request.store, d->seat.id);
}

static void take_stage(struct directing *d, nrpc_call *c)
{
    if (d->order.stage != NULL)
        directing_queue(d, c, directing_command(d)->command_id, TAG_STAGE, nrpc_blob_bytes(d->order.stage), 0);
}

static void opened(struct directing *d, nrpc_call *c)
{
    if (d->order.request.result != JOBS_OK) {
        refuse_open(d, c);
        return;
    }
    d->phase = PHASE_SEATED;
    nrpc_call_send_headers(c);
    take_stage(d, c);
    open_watch(d);
}

static void invalid(struct directing *d, nrpc_call *c)
{
    nrpc_status st = NRPC_STATUS_INIT;
    char inner[64], path[80];
    if (d->order.kind == JOBS_EDIT) {
        edit_field(d->order.edit.kind, d->order.field, inner, sizeof inner);
        snprintf(path, sizeof path, "edit.%s", inner);
    } else {
        snprintf(path, sizeof path, "veto.proposal");
    }
    error_set_field(&st, path, "%s", d->order.message);
    directing_queue_error(d, c, &st);
}

static void answered(struct directing *d, nrpc_call *c)
{
    const struct jobs_order *o = &d->order;
    nrpc_status st = NRPC_STATUS_INIT;
    if (o->kind == JOBS_ATTACH) {
        opened(d, c);
    } else if (o->request.result == JOBS_E_INVALID) {
        invalid(d, c);
    } else if (o->request.result != JOBS_OK) {
        service_set_jobs(&st, o->request.result, o->request.store, d->seat.id);
        directing_queue_error(d, c, &st);
    } else {
        directing_queue_verdict(d, c, &o->verdict, o->sequence);
        take_stage(d, c);
        if (o->kind == JOBS_FINISH) {
            d->phase = PHASE_LEFT;
            leave(d);
        }
    }
    if (!d->finished)
        end_command(d, c);
}

static void order_on_loop(nrpc_task *t, nrpc_loop *loop)
{
    struct directing *d = CONTAINER_OF(t, struct directing, order_task);
    nrpc_call *c = d->ended ? NULL : nrpc_call_get(loop, d->call);
    d->ordering = false;
    if (c != NULL)
        answered(d, c);
    nrpc_blob_unref(d->order.stage);
    d->order.stage = NULL;
    if (d->ended)
        leave(d);
    release(d);
}

static void order_done(struct jobs_request *r)
{
    struct directing *d = CONTAINER_OF(r, struct directing, order.request);
    d->order_task.run = order_on_loop;
    nrpc_loop_post(d->loop, &d->order_task);
}

static void post_order(struct directing *d, enum jobs_order_kind kind)
{
    d->order.kind = kind;
    d->order.seat = &d->seat;
    d->order.request.done = order_done;
    d->ordering = true;
    jobs_post_order(d->service->o.jobs, &d->order);
}

/* ---- the first command ---- */

static void take_seat(struct directing *d, const char *id, NE(DirectorCommand__OnDetach) on_detach, uint64_t after)
{
    snprintf(d->seat.id, sizeof d->seat.id, "%s", id);
    d->seat.on_detach = on_detach == NOVELENGINE__V1__DIRECTOR_COMMAND__ON_DETACH__ON_DETACH_UNSPECIFIED
                            ? JOBS_DETACH_CONTINUE
                            : (enum jobs_detach) on_detach;
    d->seat.loop = d->loop;
    d->seat.on_proposals = on_proposals;
    d->seat.on_left = on_left;
    d->seated = true;
    d->after = after;
    post_order(d, JOBS_ATTACH);
}

static void started(struct submission *s, nrpc_call *c)
{
    struct directing *d = nrpc_call_state(c);
    if (!d->finished)
        take_seat(d, s->simulation_id, directing_command(d)->on_detach, 0);
    submission_free(s);
}

static void attach_read(struct service_read *r, nrpc_call *c)
{
    struct directing *d = c != NULL ? nrpc_call_state(c) : NULL;
    if (d == NULL || d->finished)
        return;
    const NE(DirectorCommand__Attach) *a = directing_command(d)->attach;
    if (r->q.row.read.result == STORE_OK && !store_state_final(r->q.row.row.state)) {
        take_seat(d, r->q.row.id, a->on_detach, a->after_sequence);
        return;
    }
    d->finished = true;
    if (r->q.row.read.result == STORE_OK)
        service_reply_jobs(c, JOBS_E_FINISHED, STORE_OK, r->q.row.id);
    else if (r->q.row.read.result == STORE_E_NOT_FOUND)
        service_reply_jobs(c, JOBS_E_NOT_FOUND, STORE_OK, r->q.row.id);
    else
        service_reply_store(c, r->q.row.read.result);
}

static bool known_detach(NE(DirectorCommand__OnDetach) on)
{
    return (int) on >= 0 && on <= NOVELENGINE__V1__DIRECTOR_COMMAND__ON_DETACH__ON_DETACH_CANCEL;
}

static void fail_field(struct directing *d, nrpc_call *c, const char *field, const char *why)
{
    nrpc_status st = NRPC_STATUS_INIT;
    d->finished = true;
    error_set_field(&st, field, "%s", why);
    nrpc_call_finish(c, &st);
    nrpc_status_clear(&st);
}

static void start(struct directing *d, nrpc_call *c, const NE(DirectorCommand) * m)
{
    struct submission *s = submission_new(d->service, c, m->start);
    if (s == NULL) {
        d->finished = true;
        return;
    }
    s->submit.submit.director = m->on_detach == 0 ? JOBS_DETACH_CONTINUE : (int) m->on_detach;
    submission_post(s, started);
}

static void attach(struct directing *d, nrpc_call *c, const NE(DirectorCommand__Attach) * a)
{
    char id[STORE_ID_SIZE];
    struct service_read *r = NULL;
    if (service_copy_id(c, a->simulation_id, id))
        r = service_read_new(d->service, c, STORE_READ_ROW, attach_read);
    if (r == NULL) {
        d->finished = true;
        return;
    }
    memcpy(r->q.row.id, id, sizeof id);
    service_read_post(r);
}

static void open_with(struct directing *d, nrpc_call *c, const NE(DirectorCommand) * m)
{
    bool starts = m->command_case == NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_START;
    d->phase = PHASE_OPENING;
    d->view = m->view == NOVELENGINE__V1__EVENT_VIEW__EVENT_VIEW_FULL ? JOBS_FULL : JOBS_BASIC;
    if (!starts && m->command_case != NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_ATTACH)
        fail_field(d, c, "command", "the first must be start or attach");
    else if (!service_valid(c, &m->base))
        d->finished = true;
    else if (!known_detach(starts ? m->on_detach : m->attach->on_detach))
        fail_field(d, c, starts ? "on_detach" : "attach.on_detach", "is none of the contract's values");
    else if (starts)
        start(d, c, m);
    else
        attach(d, c, m->attach);
}

/* ---- the others ---- */

static void swap_read(struct service_read *r, nrpc_call *c)
{
    struct directing *d = c != NULL ? nrpc_call_state(c) : NULL;
    if (d == NULL || d->finished)
        return;
    nrpc_status st = NRPC_STATUS_INIT;
    bool ok = r->q.row.read.result == STORE_OK;
    if (!ok)
        service_set_store(&st, r->q.row.read.result);
    else if (r->q.row.row.last_sequence > 0 || store_state_final(r->q.row.row.state)) {
        service_set_jobs(&st, r->q.row.row.last_sequence > 0 ? JOBS_E_BEGUN : JOBS_E_FINISHED, STORE_OK, d->seat.id);
        ok = false;
    } else {
        ok = edit_swap(&r->q.row.row, directing_command(d)->edit->swap, service_catalogue(d->service, c), "edit.swap.",
                       &d->arena, &d->order.swap_request, &d->order.swap_header, &st);
    }
    if (ok) {
        post_order(d, JOBS_SWAP);
        return;
    }
    directing_queue_error(d, c, &st);
    if (!d->finished)
        end_command(d, c);
}

/* False with *st set: the command cannot be carried out. */
static bool edit(struct directing *d, nrpc_call *c, const NE(Edit) * e, nrpc_status *st)
{
    const char *missing;
    if (e->edit_case != NOVELENGINE__V1__EDIT__EDIT_SWAP) {
        if (edit_from(e, &d->order.edit, &missing)) {
            post_order(d, JOBS_EDIT);
            return true;
        }
        error_set_field(st, missing, "names no change");
        return false;
    }
    struct service_read *r = service_read_new(d->service, c, STORE_READ_ROW, swap_read);
    if (r == NULL) { /* the call has been ended */
        d->finished = true;
        return true;
    }
    memcpy(r->q.row.id, d->seat.id, sizeof r->q.row.id);
    r->q.row.with = STORE_WITH_HEADER;
    service_read_post(r);
    return true;
}

static bool carry_out(struct directing *d, nrpc_call *c, const NE(DirectorCommand) * m, nrpc_status *st)
{
    switch (m->command_case) {
    case NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_EDIT:
        return edit(d, c, m->edit, st);
    case NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_PAUSE:
        post_order(d, JOBS_PAUSE);
        return true;
    case NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_RESUME:
        post_order(d, JOBS_RESUME);
        return true;
    case NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_STEP_TURNS:
        d->order.number = (uint32_t) m->step_turns;
        post_order(d, JOBS_STEP);
        return true;
    case NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_VETO:
        d->order.number = m->veto->proposal;
        post_order(d, JOBS_VETO);
        return true;
    case NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_FINISH:
        post_order(d, JOBS_FINISH);
        return true;
    case NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_START:
    case NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_ATTACH:
        error_set_field(st, "command", "only the first may start or attach");
        return false;
    default:
        error_set_field(st, "command", "is missing");
        return false;
    }
}

static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct directing *d = state;
    d->wanted = false;
    if (d->finished) {
        nrpc_msg_free(m);
        return;
    }
    d->command = m;
    const NE(DirectorCommand) *command = directing_command(d);
    if (d->phase == PHASE_NEW) {
        open_with(d, c, command);
        return;
    }
    nrpc_status st = NRPC_STATUS_INIT;
    bool done = true;
    if (d->phase == PHASE_LEFT)
        error_set(&st, ERROR_DIRECTION_FINISHED, "the director has left simulation '%s'", d->seat.id);
    else if (nrpc_validate(&novelengine_v1_novel_engine_rules, &command->base, NOVEL_DOMAIN, &st) == 0)
        done = !carry_out(d, c, command, &st);
    if (!done || d->finished)
        return;
    directing_queue_error(d, c, &st);
    if (!d->finished)
        end_command(d, c);
}

/* ---- the call ---- */

static nrpc_code on_start(nrpc_call *c, void *service_ctx, void **out_state, nrpc_status *st)
{
    struct directing *d = alloc_zero(1, sizeof *d);
    if (d == NULL) {
        error_set(st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return st->code;
    }
    d->service = service_ctx;
    d->call = nrpc_call_ref(c);
    d->loop = nrpc_call_loop(c);
    list_init(&d->out);
    arena_init(&d->arena, 1024);
    list_init(&d->link);
    list_add_tail(&service_loop_of(d->service, d->loop)->directing, &d->link);
    *out_state = d;
    return NRPC_OK;
}

/* Whoever sends no more directs no more; he may go on watching. */
static void on_half_close(nrpc_call *c, void *state)
{
    struct directing *d = state;
    d->half_closed = true;
    if (d->finished)
        return;
    if (d->phase == PHASE_NEW) {
        fail_field(d, c, "command", "the first must be start or attach");
    } else if (d->phase == PHASE_SEATED && d->command == NULL) {
        d->phase = PHASE_LEFT;
        leave(d);
    }
}

static void on_writable(nrpc_call *c, void *state)
{
    struct directing *d = state;
    d->blocked = false;
    directing_flush(d, c);
}

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    struct directing *d = state;
    (void) c;
    (void) st;
    if (d == NULL)
        return; /* refused at its start */
    list_remove(&d->link);
    d->ended = d->finished = true;
    if (d->watching)
        jobs_watch_close(&d->watch);
    leave(d); /* or once its order has come back */
    release(d);
}

/* A stream that waits for its director would hold the drain up to the end of its grace. */
void direct_on_drain(void *ctx, nrpc_loop *loop)
{
    struct service_loop *l = service_loop_of(ctx, loop);
    LIST_EACH(&l->directing, link, after)
    {
        struct directing *d = LIST_ENTRY(link, struct directing, link);
        nrpc_call *c = nrpc_call_get(loop, d->call);
        if (c != NULL && !d->finished) {
            d->finished = true;
            error_reply(c, ERROR_SHUTTING_DOWN, "the server is shutting down; the simulation waits for you");
        }
    }
}

const nrpc_events direct_events = {
    .on_start = on_start,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_writable = on_writable,
    .on_end = on_end,
};
