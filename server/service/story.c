/* story.c — the stored story as Markdown, plain text or HTML. */
#include <cmark.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "server/service/inner.h"

static const struct {
    const char *name, *content_type;
} formats[] = {
    { "markdown", "text/markdown; charset=utf-8" },
    { "text", "text/plain; charset=utf-8" },
    { "html", "text/html; charset=utf-8" },
    { "epub", "application/epub+zip" },
};
enum { FORMAT_MARKDOWN, FORMAT_TEXT, FORMAT_HTML, FORMAT_EPUB };

static int format_find(const char *name)
{
    if (name[0] == '\0')
        return FORMAT_MARKDOWN;
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (strcmp(name, formats[i].name) == 0)
            return (int) i;
    return -1;
}

/* The story's first line is its title behind "# ". */
static size_t title_mark(const struct store_bytes *story)
{
    return story->size > 2 && memcmp(story->data, "# ", 2) == 0 ? 2 : 0;
}

static void put_html(struct buf *out, const struct store_bytes *story)
{
    size_t mark = title_mark(story);
    const uint8_t *end = memchr(story->data, '\n', story->size);
    size_t title = end == NULL ? story->size : (size_t) (end - story->data);
    char *body = cmark_markdown_to_html((const char *) story->data, story->size, CMARK_OPT_SMART);
    if (body == NULL) {
        out->failed = true;
        return;
    }
    buf_puts(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>");
    for (size_t i = mark; i < title; i++) {
        char ch = (char) story->data[i];
        if (ch == '<' || ch == '&')
            buf_puts(out, ch == '<' ? "&lt;" : "&amp;");
        else
            buf_putc(out, ch);
    }
    buf_puts(out, "</title>\n</head>\n<body>\n");
    buf_puts(out, body);
    buf_puts(out, "</body>\n</html>\n");
    free(body); /* cmark's allocator is the C library's */
}

static void reply_story(nrpc_call *c, int format, const struct store_bytes *story)
{
    struct buf out = { 0 };
    if (format == FORMAT_HTML)
        put_html(&out, story);
    else
        buf_put(&out, story->data + (format == FORMAT_TEXT ? title_mark(story) : 0),
                story->size - (format == FORMAT_TEXT ? title_mark(story) : 0));
    Google__Api__HttpBody body = GOOGLE__API__HTTP_BODY__INIT;
    body.content_type = (char *) formats[format].content_type;
    body.data = (ProtobufCBinaryData) { out.size, out.data };
    if (out.failed)
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    else
        nrpc_call_reply(c, &body.base);
    buf_done(&out);
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
        reply_story(c, r->format, &q->row.story);
}

void handle_get_story(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(GetStoryRequest) *ask = novelengine_v1_novel_engine_get_story_request(m);
    int format = format_find(ask->format);
    nrpc_status st = NRPC_STATUS_INIT;
    char id[STORE_ID_SIZE];
    struct service_read *r = NULL;
    if (format < 0) {
        error_set_field(&st, "format", "'%.32s' is none of markdown, text, html, epub", ask->format);
        nrpc_call_finish(c, &st);
        nrpc_status_clear(&st);
    } else if (format == FORMAT_EPUB) {
        error_reply(c, ERROR_FORMAT_NOT_AVAILABLE, "this server does not make EPUB files yet");
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
