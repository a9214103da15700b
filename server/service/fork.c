/* fork.c — ForkSimulation: the parent's row → the child's beginning (on a worker) → submitted like any other. */
#include <stdio.h>
#include <string.h>

#include "google/rpc/error_details.pb-c.h"
#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "server/jobs/fork.h"
#include "server/service/inner.h"

struct forking {
    struct submission *made; /* its arena holds all that is lent on */
    nrpc_msg *m;             /* the request: edits lend its strings */
    const NE(ForkSimulationRequest) * request;
    struct store_read_row parent;
    nrpc_task task;
    nrpc_job job;
    struct nvl_edit *edits;
    size_t *places; /* of each in the request: swaps are none of the engine's */
    struct fork_in in;
    struct fork_out out;
};

static void forking_free(struct forking *f)
{
    arena_done(&f->parent.read.arena);
    nrpc_msg_free(f->m);
    submission_free(f->made);
    alloc_free(f);
}

/* Ends the call with st, and what was begun. */
static void refuse(struct forking *f, nrpc_call *c, nrpc_status *st)
{
    nrpc_call_finish(c, st);
    nrpc_status_clear(st);
    forking_free(f);
}

static bool no_memory(nrpc_status *st)
{
    error_set(st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    return false;
}

/* ---- the answer ---- */

static void fork_submitted(struct submission *s, nrpc_call *c)
{
    service_reply_simulation(s->service, c, s->simulation_id);
    submission_free(s);
}

static void say_edit(const struct forking *f, nrpc_status *st)
{
    size_t i = f->out.edit;
    char field[96], path[128];
    edit_field(f->edits[i].kind, f->out.error.field, field, sizeof field);
    snprintf(path, sizeof path, "edits[%zu].%s", f->places[i], field);
    error_set_field(st, path, "%s", f->out.error.message);
}

static void say_rejected(const struct forking *f, nrpc_status *st)
{
    const struct nvl_judgement *v = &f->out.verdict;
    char code[8] = "", subject[32];
    if (v->codes_count > 0)
        nvl_law_code(v->codes[0], code);
    snprintf(subject, sizeof subject, "edits[%zu]", f->places[f->out.edit]);
    error_set(st, ERROR_EDIT_REJECTED, "%s is forbidden by %s: %s", subject, code, v->reason);
    Google__Rpc__PreconditionFailure__Violation violation = GOOGLE__RPC__PRECONDITION_FAILURE__VIOLATION__INIT;
    Google__Rpc__PreconditionFailure__Violation *list[] = { &violation };
    Google__Rpc__PreconditionFailure failure = GOOGLE__RPC__PRECONDITION_FAILURE__INIT;
    violation.type = code;
    violation.subject = subject;
    violation.description = (char *) v->reason;
    failure.n_violations = 1;
    failure.violations = list;
    (void) nrpc_status_add_detail(st, &failure.base); /* the message has it too */
}

static void say_why_not(const struct forking *f, nrpc_status *st)
{
    const char *id = f->parent.id;
    bool at_end = f->request->turns == NULL;
    switch (f->out.result) {
    case FORK_E_STORE:
        if (f->out.store == STORE_E_NOT_FOUND)
            service_set_jobs(st, JOBS_E_NOT_FOUND, STORE_OK, id);
        else
            service_set_store(st, f->out.store);
        break;
    case FORK_E_DAMAGED:
        error_set(st, ERROR_STORE_FAILED, "the log of '%s' does not come out again: %s", id, f->out.error.message);
        break;
    case FORK_E_PACK:
        error_set(st, ERROR_STORE_FAILED, "the content pack that '%s' was begun with cannot be read", id);
        break;
    case FORK_E_BEGUN:
        service_set_jobs(st, JOBS_E_BEGUN, STORE_OK, id);
        break;
    case FORK_E_ENDED:
    case FORK_E_INVALID:
        if (f->out.result == FORK_E_INVALID && strcmp(f->out.error.field, "seed") == 0)
            error_set_field(st, "seed", "%s", f->out.error.message);
        else if (at_end)
            error_set_field(st, "at_turn", "is the last turn: nothing comes after it unless turns is more");
        else
            error_set_field(st, "turns", "%s", f->out.error.message);
        break;
    case FORK_E_EDIT:
        say_edit(f, st);
        break;
    case FORK_E_REJECTED:
        say_rejected(f, st);
        break;
    default:
        (void) no_memory(st);
        break;
    }
}

static void submit(struct forking *f)
{
    struct submission *made = f->made;
    struct store_submit *s = &made->submit.submit;
    s->turns = (int32_t) f->out.turns;
    s->turns_done = (int32_t) f->out.turns_done;
    s->fork_turn = (int32_t) f->in.at_turn;
    s->parent = arena_strndup(&made->arena, f->parent.id, strlen(f->parent.id));
    s->header = (struct store_bytes) { arena_copy(&made->arena, f->in.header.data, f->in.header.size),
                                       f->in.header.size };
    s->events = f->out.events;
    s->n_events = f->out.n_events;
    memcpy(s->head, f->out.head, sizeof s->head);
    s->now_us = f->in.now_us;
}

static void fork_made(nrpc_task *t, nrpc_loop *loop)
{
    struct forking *f = CONTAINER_OF(t, struct forking, job.done);
    nrpc_call *c = nrpc_call_get(loop, f->made->call);
    nrpc_status st = NRPC_STATUS_INIT;
    if (c == NULL) {
        forking_free(f);
        return;
    }
    if (f->out.result != FORK_OK) {
        say_why_not(f, &st);
        refuse(f, c, &st);
        return;
    }
    submit(f);
    struct submission *made = f->made;
    if (made->submit.submit.parent == NULL || made->submit.submit.header.data == NULL) {
        (void) no_memory(&st);
        refuse(f, c, &st);
        return;
    }
    f->made = NULL;
    forking_free(f);
    submission_post(made, fork_submitted);
}

static void fork_work(nrpc_job *job)
{
    struct forking *f = CONTAINER_OF(job, struct forking, job);
    fork_make(&f->in, &f->made->arena, &f->out);
}

/* ---- the request, once the parent is known ---- */

static bool check_parent(const struct forking *f, nrpc_status *st)
{
    const struct store_row *row = &f->parent.row;
    int32_t at_turn = f->request->at_turn;
    if (row->abi != NVL_ENGINE_ABI) {
        error_set(st, ERROR_ENGINE_CHANGED, "'%s' was written by engine %u; this server has engine %u", row->id,
                  (unsigned) row->abi, (unsigned) NVL_ENGINE_ABI);
        return false;
    }
    if (at_turn > row->turns) {
        error_set_field(st, "at_turn", "'%s' has %d turns", row->id, (int) row->turns);
        return false;
    }
    if (at_turn > row->turns_done || row->last_sequence == 0) {
        error_set(st, ERROR_TURN_NOT_DONE, "turn %d of '%s' is not over yet: %d are done", (int) at_turn, row->id,
                  (int) row->turns_done);
        return false;
    }
    return true;
}

/* Exchanges one member of the cast: the row's request and header are those of the child from then on. */
static bool swap(struct forking *f, nrpc_call *c, size_t i, nrpc_status *st)
{
    char prefix[48];
    const NE(Edit__SwapCharacter) *swap = f->request->edits[i]->swap;
    struct store_bytes request, header;
    snprintf(prefix, sizeof prefix, "edits[%zu].swap", i);
    if (f->request->at_turn != 0) {
        error_set_field(st, prefix, "the cast is exchanged only before the first turn: at_turn must be 0");
        return false;
    }
    snprintf(prefix, sizeof prefix, "edits[%zu].swap.", i);
    struct store_row row = f->parent.row;
    row.header = f->in.header;
    row.request = f->made->submit.submit.request;
    if (!edit_swap(&row, swap, service_catalogue(f->made->service, c), prefix, &f->made->arena, &request, &header, st))
        return false;
    f->in.header = header;
    f->made->submit.submit.request = request;
    f->in.swapped = true;
    return true;
}

static bool take_edits(struct forking *f, nrpc_call *c, nrpc_status *st)
{
    const NE(ForkSimulationRequest) *r = f->request;
    f->edits = arena_zero(&f->made->arena, r->n_edits + 1, sizeof *f->edits);
    f->places = arena_zero(&f->made->arena, r->n_edits + 1, sizeof *f->places);
    if (f->edits == NULL || f->places == NULL)
        return no_memory(st);
    for (size_t i = 0; i < r->n_edits; i++) {
        const char *missing;
        char field[48];
        if (r->edits[i]->edit_case == NOVELENGINE__V1__EDIT__EDIT_SWAP) {
            if (!swap(f, c, i, st))
                return false;
            continue;
        }
        if (!edit_from(r->edits[i], &f->edits[f->in.n_edits], &missing)) {
            snprintf(field, sizeof field, "edits[%zu].%s", i, missing);
            error_set_field(st, field, "says nothing of what is to change");
            return false;
        }
        f->places[f->in.n_edits++] = i;
    }
    return true;
}

/* The request as it is shown: the parent's, with what the fork changes. */
static bool show_request(struct forking *f, nrpc_status *st)
{
    const NE(ForkSimulationRequest) *r = f->request;
    struct arena *a = &f->made->arena;
    struct store_bytes *bytes = &f->made->submit.submit.request;
    ProtobufCAllocator allocator = contract_allocator(a);
    NE(SimulationRequest) *shown = novelengine__v1__simulation_request__unpack(&allocator, bytes->size, bytes->data);
    if (shown == NULL)
        return no_memory(st);
    if (r->turns != NULL)
        shown->turns = r->turns;
    if (r->seed != NULL)
        shown->seed = r->seed;
    size_t size = protobuf_c_message_get_packed_size(&shown->base);
    uint8_t *copy = arena_get(a, size);
    if (copy == NULL)
        return no_memory(st);
    protobuf_c_message_pack(&shown->base, copy);
    *bytes = (struct store_bytes) { copy, size };
    return true;
}

static bool prepare(struct forking *f, nrpc_call *c, nrpc_status *st)
{
    const NE(ForkSimulationRequest) *r = f->request;
    struct service *s = f->made->service;
    struct store_submit *out = &f->made->submit.submit;
    if (!check_parent(f, st))
        return false;
    jobs_new_id(out->id);
    out->abi = NVL_ENGINE_ABI;
    memcpy(out->pack_digest, f->parent.row.pack_digest, sizeof out->pack_digest);
    /* The pack is there under its digest, since the parent is: only the server's own may have to be kept. */
    out->pack.data = nvl_pack_image(s->o.pack, &out->pack.size);
    if (memcmp(out->pack_digest, nvl_pack_digest(s->o.pack), sizeof out->pack_digest) != 0)
        out->pack = (struct store_bytes) { 0 };
    out->request = f->parent.row.request;
    f->in = (struct fork_in) {
        .store = s->o.store,
        .pack = s->o.pack,
        .parent = &f->parent.row,
        .header = f->parent.row.header,
        .id = out->id,
        .at_turn = (uint32_t) r->at_turn,
        .turns = r->turns != NULL ? (uint32_t) r->turns->value : 0,
        .seed = r->seed != NULL ? r->seed->value : 0,
        .now_us = service_wall_us(),
    };
    if (!take_edits(f, c, st) || !show_request(f, st))
        return false;
    f->in.edits = f->edits;
    return true;
}

static void parent_read(nrpc_task *t, nrpc_loop *loop)
{
    struct forking *f = CONTAINER_OF(t, struct forking, task);
    nrpc_call *c = nrpc_call_get(loop, f->made->call);
    nrpc_status st = NRPC_STATUS_INIT;
    bool ok = false;
    if (c == NULL) {
        forking_free(f);
        return;
    }
    if (f->parent.read.result == STORE_E_NOT_FOUND)
        service_set_jobs(&st, JOBS_E_NOT_FOUND, STORE_OK, f->parent.id);
    else if (f->parent.read.result != STORE_OK)
        service_set_store(&st, f->parent.read.result);
    else
        ok = prepare(f, c, &st);
    f->job = (nrpc_job) { .done.run = fork_made, .work = fork_work, .home = loop, .key = nrpc_call_number(c) };
    if (ok && nrpc_pool_submit(f->made->service->o.pool, &f->job) == 0)
        return;
    if (ok)
        error_set(&st, ERROR_QUEUE_FULL, "too much work is waiting");
    refuse(f, c, &st);
}

static void parent_read_done(struct store_read *r)
{
    struct forking *f = CONTAINER_OF(r, struct forking, parent.read);
    f->task.run = parent_read;
    nrpc_loop_post(f->made->loop, &f->task);
}

static void begin(struct service *s, nrpc_call *c, nrpc_msg *m, const char *id)
{
    nrpc_status st = NRPC_STATUS_INIT;
    struct forking *f = alloc_zero(1, sizeof *f);
    if (f == NULL) {
        nrpc_msg_free(m);
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return;
    }
    f->m = m;
    f->request = novelengine_v1_novel_engine_fork_simulation_request(m);
    f->parent.read.kind = STORE_READ_ROW;
    f->parent.read.done = parent_read_done;
    f->parent.with = STORE_WITH_HEADER;
    arena_init(&f->parent.read.arena, 4096);
    memcpy(f->parent.id, id, STORE_ID_SIZE);
    f->made = submission_begin(s, c, &f->request->base, &st);
    if (f->made == NULL)
        refuse(f, c, &st);
    else
        store_read_post(s->o.store, &f->parent.read);
}

void handle_fork_simulation(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(ForkSimulationRequest) *r = novelengine_v1_novel_engine_fork_simulation_request(m);
    char id[STORE_ID_SIZE] = "";
    if (service_valid(c, &r->base) && service_copy_id(c, r->simulation_id, id))
        begin(ctx, c, m, id);
    else
        nrpc_msg_free(m);
}
