#include "gateway/cached.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/coherence.h"
#include "gateway/wire.h"

#define NS_PER_SECOND 1000000000ull

/* ---- out of the cache ------------------------------------------------------------------ */

static bool header_says(const struct exchange *x, const char *name, const char *word)
{
    struct http1_text h = exchange_header(x, name);
    size_t size = strlen(word);
    for (size_t i = 0; h.data != NULL && i + size <= h.size; i++)
        if (strncasecmp(h.data + i, word, size) == 0)
            return true;
    return false;
}

/* May this request be answered from, or its answer go into, the cache? */
static bool is_candidate(struct exchange *x)
{
    return (strcmp(x->method, "GET") == 0 || x->head_only) && !exchange_has_body(x) &&
           x->gl->cache.max_bytes > 0 && exchange_header(x, "authorization").data == NULL &&
           !header_says(x, "cache-control", "no-store") && coherence_holds(x->gl->coherence);
}

/* The body in the client's coding, made once; x->encoding is what it is in. */
static const struct buf *coded_body(struct exchange *x, struct cache_entry *e)
{
    struct buf *coded = &e->body[x->encoding];
    if (!e->tried[x->encoding]) {
        const struct buf *plain = &e->body[ENCODING_IDENTITY];
        struct encoder *encoder = plain->size < ENCODE_MIN_BYTES || !encoding_suits(e->content_type)
                                      ? NULL
                                      : encoder_new(x->encoding, false);
        e->tried[x->encoding] = true;
        if (encoder != NULL && (encoder_put(encoder, plain->data, plain->size, true, coded) < 0 ||
                                coded->size >= plain->size))
            buf_done(coded);
        encoder_free(encoder);
    }
    if (coded->size > 0)
        return coded;
    x->encoding = ENCODING_IDENTITY;
    return &e->body[ENCODING_IDENTITY];
}

bool cached_serve(struct exchange *x)
{
    struct http1_text target = http1_target(&x->http);
    if (!is_candidate(x))
        return false;
    x->cacheable = true;
    x->cache_epoch = x->gl->cache.epoch;
    if (header_says(x, "cache-control", "no-cache") || target.size == 0 || *target.data != '/')
        return false;
    struct cache_entry *e =
        cache_find(&x->gl->cache, target.data, target.size, loop_now_ns(x->gl->loop));
    if (e == NULL)
        return false;
    x->route = e->route;
    const struct buf *body = coded_body(x, e);
    const struct response r = { .status = 200,
                                .content_type = e->content_type,
                                .cache_control = "no-cache",
                                .tag = e->etag,
                                .etag = true,
                                .varies = true };
    respond_ready(x, &r, body->data, body->size);
    exchange_end(x);
    return true;
}

/* ---- into the cache -------------------------------------------------------------------- */

bool cached_wanted(const struct exchange *x)
{
    const struct desc_method *m = x->route->method;
    return x->cacheable && m->route->cache != NULL && *m->route->accept_field == '\0' &&
           x->cache_epoch == x->gl->cache.epoch && coherence_holds(x->gl->coherence);
}

/* A variable of a tag: of the path, or a field of the answer. */
static bool put_variable(struct exchange *x, const char *name, size_t size, nrpc_slice message,
                         struct buf *out)
{
    const struct route *r = x->route;
    for (size_t i = 0; i < r->n_variables; i++) {
        const struct route_variable *v = &r->variables[i];
        const char *last = v->path[v->n_path - 1]->name;
        if (v->n_path == 1 && strlen(last) == size && memcmp(last, name, size) == 0)
            return route_value(&x->match, i, out);
    }
    const struct desc_field *f = desc_field_by_name(r->method->output, name, size);
    struct wire_reader reader = wire_reader_of(message.data, message.size);
    struct wire_field v, found = { 0 };
    while (f != NULL && wire_next(&reader, &v) > 0)
        if (v.number == f->number && v.type == WIRE_BYTES)
            found = v;
    buf_put(out, found.data, found.size);
    return found.data != NULL;
}

/* "character:{character_id}" filled in; NULL when it cannot be. */
static const char *make_tag(struct exchange *x, const char *template, nrpc_slice message)
{
    struct buf b = { 0 };
    const char *tag = NULL;
    bool good = true;
    for (const char *at = template; good && *at != '\0';) {
        const char *close = *at == '{' ? strchr(at, '}') : NULL;
        if (close == NULL) {
            buf_putc(&b, *at++);
        } else {
            good = put_variable(x, at + 1, (size_t) (close - at - 1), message, &b);
            at = close + 1;
        }
    }
    if (good && !b.failed && b.size > 0 && b.size < CACHE_TAG_SIZE &&
        memchr(b.data, '\0', b.size) == NULL)
        tag = arena_strndup(&x->arena, (const char *) b.data, b.size);
    buf_done(&b);
    return tag;
}

void cached_keep(struct exchange *x, const struct response *r, const char *tag, nrpc_slice message,
                 const void *body, size_t size)
{
    const Nrpc__RouteOptions__Cache *rule = x->route->method->route->cache;
    struct http1_text target = http1_target(&x->http);
    const char *tags[CACHE_TAGS_MAX];
    size_t n = 0;
    for (; n < rule->n_tags && n < CACHE_TAGS_MAX; n++)
        if ((tags[n] = make_tag(x, rule->tags[n], message)) == NULL)
            return; /* what could not be forgotten is not kept */
    if (n < rule->n_tags || x->head_only || rule->max_age_seconds <= 0)
        return;
    const struct cache_item item = {
        .key = target.data,
        .key_size = target.size,
        .content_type = r->content_type,
        .etag = tag,
        .body = body,
        .body_size = size,
        .route = x->route,
        .tags = tags,
        .n_tags = n,
        .expires_ns = loop_now_ns(x->gl->loop) + (uint64_t) rule->max_age_seconds * NS_PER_SECOND,
    };
    cache_store(&x->gl->cache, &item);
}
