/* verify.c — VerifySimulation: the chain from the stored bytes, the laws by the independent checker,
 * the replay by the engine. */
#include <stdio.h>
#include <string.h>

#include "rpc/base/check.h"
#include "server/engine/edit.h"
#include "server/service/work.h"
#include "server/tools/novel-verify.h"

struct proof {
    struct work *w;
    NE(Verification) *v;
    char *lines[VERIFY_LISTED_MAX + 2];
};

static void say(struct proof *p, uint64_t sequence, struct buf *text)
{
    char *line = work_text(p->w, text);
    p->v->violation_count++;
    if (line != NULL && p->v->n_violations < ARRAY_SIZE(p->lines))
        p->lines[p->v->n_violations++] = line;
    if (sequence != 0 && (p->v->first_bad_event == 0 || sequence < p->v->first_bad_event))
        p->v->first_bad_event = sequence;
}

/* The head of the stored bytes, from the header on; the row's head must be the same. */
static void check_chain(struct proof *p)
{
    const struct stored_log *log = &p->w->log;
    uint8_t hash[STORE_DIGEST_SIZE];
    char *hex = work_get(p->w, 1, 65);
    stored_log_head(log, hash);
    p->v->events_checked = log->count;
    p->v->chain_intact = log->count == log->row.last_sequence &&
                         (log->count == 0 || memcmp(hash, log->row.head, sizeof hash) == 0);
    if (hex == NULL)
        return;
    sha256_hex(hash, hex);
    p->v->chain_head = hex;
    if (p->v->chain_intact)
        return;
    struct buf text = { 0 };
    if (log->count != log->row.last_sequence)
        buf_printf(&text, "CHAIN: %zu events are stored, %llu were written", log->count,
                   (unsigned long long) log->row.last_sequence);
    else
        buf_printf(&text, "CHAIN: the stored events do not lead to the head that was written with them");
    say(p, 0, &text);
}

static void check_laws(struct proof *p)
{
    const struct stored_log *log = &p->w->log;
    struct buf file = { 0 };
    struct verify_report *report = work_get(p->w, 1, sizeof *report);
    uint8_t head[SHA256_SIZE];
    memcpy(head, log->row.head, sizeof head);
    int rc = nvl_log_begin(&file, log->row.header.data, log->row.header.size, log->world);
    for (size_t i = 0; rc == NVL_OK && i < log->count; i++)
        rc = nvl_log_event(&file, log->canonical[i].data, log->canonical[i].size);
    if (rc == NVL_OK)
        rc = nvl_log_end(&file, (uint32_t) log->count, head, NULL);
    if (report != NULL && rc == NVL_OK && !file.failed &&
        verify_log_check(file.data, file.size, report) == VERIFY_DONE) {
        p->v->laws_checked = true;
        for (size_t i = 0; i < report->listed; i++) {
            const struct verify_violation *x = &report->list[i];
            char code[16];
            struct buf text = { 0 };
            if (x->code == VERIFY_CHAIN && !p->v->chain_intact)
                continue; /* said already */
            verify_code_name(x->code, code);
            if (x->sequence != 0)
                buf_printf(&text, "event %u (turn %u, %s%s%s): ", x->sequence, x->turn, x->actor,
                           x->actor[0] != '\0' ? ", " : "", x->op);
            buf_printf(&text, "%s: %s", code, x->text);
            say(p, x->sequence, &text);
        }
        if (report->violations > p->v->violation_count)
            p->v->violation_count = report->violations;
    } else {
        error_set(&p->w->st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    }
    buf_done(&file);
}

static int ignore(void *ctx, const struct nvl_event *event, const uint8_t *canonical, size_t size,
                  const uint8_t hash[SHA256_SIZE])
{
    (void) ctx, (void) event, (void) canonical, (void) size, (void) hash;
    return 0;
}

static void check_replay(struct proof *p)
{
    const struct stored_log *log = &p->w->log;
    struct nvl_error err = { 0 };
    struct nvl_sim *sim = NULL;
    p->v->replay = NOVELENGINE__V1__VERIFICATION__REPLAY__REPLAY_MATCH;
    if (log->count == 0)
        return;
    int rc = nvl_replay(log->pack, nvl_header_request(log->header), log->canonical, log->count, UINT32_MAX, ignore, NULL,
                        &err, &sim);
    if (rc == NVL_OK && memcmp(nvl_head(sim), log->row.head, SHA256_SIZE) != 0)
        rc = NVL_E_CORRUPT;
    nvl_free(sim);
    if (rc == NVL_OK)
        return;
    if (rc == NVL_E_NOMEM) {
        error_set(&p->w->st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return;
    }
    struct buf text = { 0 };
    p->v->replay = NOVELENGINE__V1__VERIFICATION__REPLAY__REPLAY_MISMATCH;
    buf_puts(&text, "REPLAY: running it again gives other bytes");
    if (err.line != 0)
        buf_printf(&text, " from event %u on", err.line);
    say(p, err.line, &text);
}

static void verify(struct work *w)
{
    struct proof p = { .w = w, .v = work_get(w, 1, sizeof *p.v) };
    char why[160] = "";
    if (p.v == NULL)
        return;
    novelengine__v1__verification__init(p.v);
    check_chain(&p);
    enum store_result r = stored_log_open(w->service, &w->log, &w->arena, why, sizeof why);
    if (r == STORE_OK) {
        check_laws(&p);
        check_replay(&p);
    } else if (r == STORE_E_STALE && w->log.world != NULL) { /* an event that does not decode */
        check_laws(&p);
        p.v->replay = NOVELENGINE__V1__VERIFICATION__REPLAY__REPLAY_MISMATCH;
    } else if (r == STORE_E_STALE) {
        p.v->replay = w->log.row.abi != NVL_ENGINE_ABI ? NOVELENGINE__V1__VERIFICATION__REPLAY__REPLAY_ENGINE_DIFFERS
                                                       : NOVELENGINE__V1__VERIFICATION__REPLAY__REPLAY_MISMATCH;
        if (w->log.row.abi == NVL_ENGINE_ABI) {
            struct buf text = { 0 };
            buf_printf(&text, "FORMAT: %s", why);
            say(&p, 0, &text);
        }
    } else {
        error_set(&w->st, r == STORE_E_NOMEM ? ERROR_OUT_OF_MEMORY : ERROR_STORE_FAILED, "the log could not be read (%s)",
                  store_result_name(r));
    }
    p.v->violations = work_get(w, ARRAY_SIZE(p.lines), sizeof *p.v->violations);
    if (p.v->violations == NULL)
        return;
    memcpy(p.v->violations, p.lines, p.v->n_violations * sizeof p.lines[0]);
    w->reply = &p.v->base;
}

void handle_verify_simulation(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    work_start(ctx, c, m, novelengine_v1_novel_engine_verify_simulation_request(m)->simulation_id, STORED_RAW, verify);
}
