/* story.c — the stored story as Markdown, plain text, a page or an EPUB file. */
#include <string.h>
#include <time.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "server/service/document.h"
#include "server/service/inner.h"

/* The end of the simulation, to the second: stored once, so the same story gives the same file. */
static char *end_stamp(const struct store_row *row, struct arena *a)
{
    time_t seconds = (time_t) (row->end_us / 1000000);
    struct tm day;
    char text[32];
    if (gmtime_r(&seconds, &day) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &day) == 0)
        text[0] = '\0';
    return arena_strndup(a, text, strlen(text));
}

/* Markdown is what was stored, byte by byte: its digest is in the log.  The rest is made of the passages. */
static bool put_story(const struct store_row *row, enum document_format format, struct arena *a, struct buf *out)
{
    if (format == DOCUMENT_MARKDOWN) {
        buf_put(out, row->story.data, row->story.size);
        return !out->failed;
    }
    ProtobufCAllocator allocator = contract_allocator(a);
    NE(StoryDocument) *story =
        novelengine__v1__story_document__unpack(&allocator, row->passages.size, row->passages.data);
    struct document_chapter chapter;
    if (story == NULL || !document_chapter_from_story(story, "", a, &chapter))
        return false;
    struct document d = { .title = story->title,
                          .language = story->telling != NULL ? story->telling->language : "",
                          .identifier = arena_printf(a, "urn:novel-engine:%s", row->id),
                          .modified = end_stamp(row, a),
                          .chapters = &chapter,
                          .chapters_count = 1 };
    if (d.identifier == NULL || d.modified == NULL)
        return false;
    document_write(&d, format, out);
    return !out->failed;
}

/* A story on its way to a worker and back: laying out a page or packing a book is no work for a loop. */
struct story_job {
    nrpc_job job;
    nrpc_call_id call;
    struct store_row row; /* what it lends lives in the arena */
    struct arena arena;
    enum document_format format;
    struct buf out;
    bool made;
};

static void story_free(struct story_job *j)
{
    arena_done(&j->arena);
    buf_done(&j->out);
    alloc_free(j);
}

static void story_work(nrpc_job *job)
{
    struct story_job *j = CONTAINER_OF(job, struct story_job, job);
    j->made = put_story(&j->row, j->format, &j->arena, &j->out);
}

static void reply_story(struct story_job *j, nrpc_call *c)
{
    Google__Api__HttpBody body = GOOGLE__API__HTTP_BODY__INIT;
    body.content_type = (char *) document_content_type(j->format);
    body.data = (ProtobufCBinaryData) { j->out.size, j->out.data };
    if (!j->made)
        error_reply(c, ERROR_OUT_OF_MEMORY, "the story could not be read");
    else
        nrpc_call_reply(c, &body.base);
}

static void story_written(nrpc_task *t, nrpc_loop *loop)
{
    struct story_job *j = CONTAINER_OF(t, struct story_job, job.done);
    nrpc_call *c = nrpc_call_get(loop, j->call);
    if (c != NULL)
        reply_story(j, c);
    story_free(j);
}

/* Takes over what the read has found. */
static void story_begin(struct service_read *r, nrpc_call *c)
{
    struct story_job *j = alloc_zero(1, sizeof *j);
    if (j == NULL) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return;
    }
    j->call = r->call;
    j->row = r->q.row.row;
    j->format = (enum document_format) r->format;
    j->arena = r->q.read.arena;
    arena_init(&r->q.read.arena, 4096);
    j->job = (nrpc_job) {
        .done.run = story_written, .work = story_work, .home = r->loop, .key = nrpc_call_number(c)
    };
    if (j->format == DOCUMENT_MARKDOWN) { /* there is nothing to make of it */
        story_work(&j->job);
        reply_story(j, c);
        story_free(j);
    } else if (nrpc_pool_submit(r->service->o.pool, &j->job) != 0) {
        error_reply(c, ERROR_QUEUE_FULL, "too much work is waiting");
        story_free(j);
    }
}

static void story_read(struct service_read *r, nrpc_call *c)
{
    const struct store_read_row *q = &r->q.row;
    if (c == NULL)
        return;
    if (q->read.result == STORE_E_NOT_FOUND)
        service_reply_jobs(c, JOBS_E_NOT_FOUND, STORE_OK, q->id);
    else if (q->read.result != STORE_OK)
        service_reply_store(c, q->read.result);
    else if (q->row.state == STORE_CANCELLED)
        error_reply(c, ERROR_SIMULATION_CANCELLED, "simulation '%s' was cancelled: it has no story", q->id);
    else if (q->row.state == STORE_FAILED)
        error_reply(c, ERROR_SIMULATION_FAILED, "simulation '%s' failed: it has no story", q->id);
    else if (q->row.state != STORE_COMPLETED)
        error_reply(c, ERROR_STORY_NOT_READY, "simulation '%s' has not ended yet", q->id);
    else
        story_begin(r, c);
}

void handle_get_story(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(GetStoryRequest) *ask = novelengine_v1_novel_engine_get_story_request(m);
    int format = document_format_find(ask->format);
    nrpc_status st = NRPC_STATUS_INIT;
    char id[STORE_ID_SIZE];
    struct service_read *r = NULL;
    if (format < 0) {
        error_set_field(&st, "format", "'%.32s' is none of markdown, text, html, epub", ask->format);
        nrpc_call_finish(c, &st);
        nrpc_status_clear(&st);
    } else if (service_copy_id(c, ask->simulation_id, id)) {
        r = service_read_new(ctx, c, STORE_READ_ROW, story_read);
    }
    if (r != NULL) {
        memcpy(r->q.row.id, id, sizeof id);
        r->q.row.with = STORE_WITH_STORY;
        r->format = format;
        service_read_post(r);
    }
    nrpc_msg_free(m);
}
