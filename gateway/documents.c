#include "gateway/documents.h"

#include <string.h>

#include "docs_app.h"
#include "docs_page.h"
#include "docs_style.h"
#include "gateway/respond.h"

struct document {
    const char *path, *content_type;
    const unsigned char *data;
    const size_t *size;
};

static const struct document documents[] = {
    { "/openapi.json", "application/json", NULL, NULL },
    { "/postman/collection", "application/json", NULL, NULL }, /* where the old API had it */
    { "/docs", "text/html; charset=utf-8", docs_page, &docs_page_size },
    { "/docs/app.js", "text/javascript; charset=utf-8", docs_app, &docs_app_size },
    { "/docs/style.css", "text/css; charset=utf-8", docs_style, &docs_style_size },
};

static const struct document *find(const char *path, size_t size)
{
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++)
        if (strlen(documents[i].path) == size && memcmp(documents[i].path, path, size) == 0)
            return &documents[i];
    return NULL;
}

bool documents_has(const char *path, size_t size)
{
    return find(path, size) != NULL;
}

bool documents_serve(struct exchange *x, const char *path, size_t size)
{
    const struct document *d = find(path, size);
    if (d == NULL)
        return false;
    x->builtin = d->path;
    if (strcmp(x->method, "GET") != 0 && !x->head_only) {
        exchange_fail(x, 405, NRPC_UNIMPLEMENTED, "METHOD_NOT_ALLOWED", "%s is not allowed here",
                      x->method);
        x->problem.headers = "Allow: GET, HEAD, OPTIONS\r\n";
        return true;
    }
    if (exchange_has_body(x))
        x->keep_alive = false; /* its body is not read */
    const struct response r = { .status = 200,
                                .content_type = d->content_type,
                                .cache_control = "no-cache",
                                .etag = x->gl->sha != NULL,
                                .page = d->data != NULL };
    const struct table *t = x->view->table;
    const struct buf *made = strcmp(d->path, "/openapi.json") == 0 ? &t->openapi : &t->collection;
    const void *data = d->data != NULL ? d->data : made->data;
    respond_bytes(x, &r, data, d->data != NULL ? *d->size : made->size);
    exchange_end(x);
    return true;
}
