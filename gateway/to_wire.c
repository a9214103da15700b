#include "gateway/to_wire.h"

#include <string.h>

#include "gateway/json_writer.h"
#include "gateway/scalar.h"
#include "gateway/suggest.h"
#include "rpc/base/alloc.h"
#include "rpc/nrpc.h"

struct value {
    enum json_token token;
    const char *text;
    size_t size;
};
enum { WRITTEN = 0, IGNORED = 1 }; /* of the put_ functions; negative: failed */

static int put_value(struct to_wire *t, const struct value *v);

static struct to_wire_frame *top(struct to_wire *t)
{
    return &t->frames[t->n_frames - 1];
}

static bool is_begin(enum json_token token)
{
    return token == JSON_BEGIN_OBJECT || token == JSON_BEGIN_ARRAY;
}

/* ---- frames and regions ---------------------------------------------------------------- */

/* The reader's depth limit bounds the frames: each is pushed by a '{' or '['. */
static struct to_wire_frame *push(struct to_wire *t, enum to_wire_kind kind)
{
    struct to_wire_frame *f = &t->frames[t->n_frames++];
    *f = (struct to_wire_frame){ .kind = (uint8_t) kind, .regions = t->n_regions };
    return f;
}

static int no_deeper(struct to_wire *t)
{
    return json_reader_fail(&t->reader, "messages are nested deeper than %d levels",
                            WIRE_DEPTH_MAX);
}

static int open_region(struct to_wire *t, uint32_t number)
{
    if (t->n_regions == WIRE_DEPTH_MAX)
        return no_deeper(t);
    wire_put_tag(t->out, number, WIRE_BYTES);
    t->groups[t->n_regions] = 0;
    t->regions[t->n_regions++] = wire_region_open(t->out);
    return 0;
}

static int open_group(struct to_wire *t, uint32_t number)
{
    if (t->n_regions == WIRE_DEPTH_MAX)
        return no_deeper(t);
    wire_put_tag(t->out, number, WIRE_GROUP);
    t->groups[t->n_regions++] = number;
    return 0;
}

/* A value of the topmost frame is whole. */
static void value_done(struct to_wire *t)
{
    struct to_wire_frame *f = top(t);
    while (t->n_regions > f->regions) {
        t->n_regions--;
        if (t->groups[t->n_regions] > 0)
            wire_put_tag(t->out, t->groups[t->n_regions], WIRE_END);
        else
            wire_region_close(t->out, t->regions[t->n_regions]);
    }
}

static int push_message(struct to_wire *t, const struct desc_message *m)
{
    struct to_wire_frame *f = push(t, TO_WIRE_MESSAGE);
    size_t bytes = (m->n_fields + m->n_oneofs + 7) / 8;
    f->message = m;
    f->seen = (uint32_t) t->seen.size;
    uint8_t *bits = buf_grow(&t->seen, bytes);
    if (bits == NULL)
        return NRPC_E_NOMEM;
    memset(bits, 0, bytes);
    return WRITTEN;
}

/* Sets a bit of the message's set; false when it was set. */
static bool mark(struct to_wire *t, const struct to_wire_frame *f, size_t bit)
{
    uint8_t *byte = t->seen.data + f->seen + bit / 8, flag = (uint8_t) (1u << bit % 8);
    bool fresh = (*byte & flag) == 0;
    *byte |= flag;
    return fresh;
}

/* ---- values ---------------------------------------------------------------------------- */

static int expected(struct to_wire *t, const struct value *v, const char *what)
{
    static const char *const found[] = {
        [JSON_NULL] = "null",          [JSON_FALSE] = "false",
        [JSON_TRUE] = "true",          [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string",    [JSON_BEGIN_OBJECT] = "an object",
        [JSON_BEGIN_ARRAY] = "a list",
    };
    if (v->token == JSON_NUMBER && v->size <= 40)
        return json_reader_fail(&t->reader, "expected %s, found %.*s", what, (int) v->size,
                                v->text);
    return json_reader_fail(&t->reader, "expected %s, found %s", what, found[v->token]);
}

static int unknown_enum(struct to_wire *t, const struct desc_enum *e, const struct value *v)
{
    struct suggest s;
    if (t->options.ignore_unknown)
        return IGNORED;
    suggest_start(&s, v->text, v->size);
    for (size_t i = 0; i < e->n_values; i++)
        suggest_offer(&s, e->values[i].name);
    return s.best == NULL
               ? json_reader_fail(&t->reader, "expected a name of the enum %s", e->full_name)
               : json_reader_fail(&t->reader,
                                  "expected a name of the enum %s; did you mean \"%s\"?",
                                  e->full_name, s.best);
}

static int put_scalar(struct to_wire *t, const struct desc_field *f, uint32_t number,
                      const struct value *v, bool keep_zero);

static int put_without_nul(struct to_wire *t, const struct desc_field *f, uint32_t number,
                           const struct value *v)
{
    struct buf text = { 0 };
    for (size_t i = 0; i < v->size; i++)
        v->text[i] == '\0' ? buf_puts(&text, "\xef\xbf\xbd") : buf_putc(&text, v->text[i]);
    struct value replaced = { JSON_STRING, (const char *) text.data, text.size };
    int r = text.failed ? NRPC_E_NOMEM : put_scalar(t, f, number, &replaced, true);
    buf_done(&text);
    return r;
}

/* number 0: packed, no tag.  keep_zero: write the default value too. */
static int put_scalar(struct to_wire *t, const struct desc_field *f, uint32_t number,
                      const struct value *v, bool keep_zero)
{
    static const enum scalar_form forms[] = {
        [JSON_FALSE] = SCALAR_FALSE,
        [JSON_TRUE] = SCALAR_TRUE,
        [JSON_NUMBER] = SCALAR_NUMBER,
        [JSON_STRING] = SCALAR_TEXT,
    };
    size_t before = t->out->size;
    bool zero;
    const char *why;
    char text[80];
    if (v->token == JSON_NULL && f->type == DESC_ENUM && f->enumeration->is_null_value) {
        static const struct value null_value = { JSON_NUMBER, "0", 1 };
        return put_scalar(t, f, number, &null_value, keep_zero);
    }
    if (t->options.replace_nul && v->token == JSON_STRING && f->type == DESC_STRING &&
        memchr(v->text, '\0', v->size) != NULL)
        return put_without_nul(t, f, number, v);
    if (number > 0)
        wire_put_tag(t->out, number, (enum wire_type) desc_wire_type(f->type));
    bool ok = v->token != JSON_NULL && !is_begin(v->token) &&
              scalar_put_wire(t->out, f, forms[v->token], v->text, v->size, &zero, &why);
    if (ok && (keep_zero || !zero))
        return WRITTEN;
    t->out->size = before;
    if (ok)
        return WRITTEN;
    if (f->type == DESC_ENUM && v->token == JSON_STRING)
        return unknown_enum(t, f->enumeration, v);
    if (v->token == JSON_NULL || is_begin(v->token)) {
        static const struct value nothing = { JSON_STRING, "", 0 };
        scalar_put_wire(t->out, f,
                        f->type == DESC_STRING || f->type == DESC_BYTES ? SCALAR_TRUE : SCALAR_TEXT,
                        nothing.text, 0, &zero, &why);
    }
    return expected(t, v, scalar_expectation(f->type, t->rules, why, text));
}

/* The content of a message; its region is open.  Pushes a frame when the value is a container. */
static int put_content(struct to_wire *t, const struct desc_message *m, const struct value *v)
{
    const char *why;
    switch (m->wkt) {
    case DESC_WRAPPER:
        return put_scalar(t, desc_field_by_number(m, 1), 1, v, false);
    case DESC_TIMESTAMP:
    case DESC_DURATION:
    case DESC_FIELD_MASK:
        if (v->token != JSON_STRING)
            return expected(t, v, "a string");
        return scalar_put_wkt(t->out, m->wkt, v->text, v->size, t->options.accept_snake, &why)
                   ? WRITTEN
                   : expected(t, v, why);
    case DESC_VALUE:
        return put_value(t, v);
    case DESC_LIST_VALUE:
        if (v->token != JSON_BEGIN_ARRAY)
            return expected(t, v, "a list");
        push(t, TO_WIRE_LIST);
        return WRITTEN;
    default:
        break;
    }
    if (v->token != JSON_BEGIN_OBJECT)
        return expected(t, v, "an object");
    if (m->wkt == DESC_PLAIN)
        return push_message(t, m);
    if (m->wkt == DESC_ANY) {
        if (t->any_depth == TO_WIRE_ANY_MAX)
            return json_reader_fail(&t->reader, "Any is nested deeper than %d levels",
                                    TO_WIRE_ANY_MAX);
        buf_reset(&t->capture);
        buf_reset(&t->any_type);
        buf_putc(&t->capture, '{');
        t->capture_comma = t->type_follows = t->has_type = false;
    }
    push(t, m->wkt == DESC_ANY ? TO_WIRE_ANY : TO_WIRE_STRUCT);
    return WRITTEN;
}

/* The content of a google.protobuf.Value. */
static int put_value(struct to_wire *t, const struct value *v)
{
    static const struct desc_field number = { .type = DESC_DOUBLE };
    switch (v->token) {
    case JSON_NULL:
        buf_put(t->out, "\x08", 2); /* null_value = 0 */
        return WRITTEN;
    case JSON_NUMBER:
        t->rules = NULL;
        return put_scalar(t, &number, 2, v, true);
    case JSON_STRING:
        wire_put_bytes(t->out, 3, v->text, v->size);
        return WRITTEN;
    case JSON_FALSE:
    case JSON_TRUE:
        buf_put(t->out, (uint8_t[]){ 4 << 3, v->token == JSON_TRUE }, 2);
        return WRITTEN;
    default:
        if (open_region(t, v->token == JSON_BEGIN_OBJECT ? 5 : 6) < 0)
            return NRPC_E_PROTO;
        push(t, v->token == JSON_BEGIN_OBJECT ? TO_WIRE_STRUCT : TO_WIRE_LIST);
        return WRITTEN;
    }
}

/* One value of f's type, as field `number` (0: packed). */
static int put_single(struct to_wire *t, const struct desc_field *f, uint32_t number,
                      const struct value *v, bool keep_zero)
{
    const struct desc_field *declared =
        top(t)->field; /* of a list or map: the rules of its items */
    t->rules = f->rules;
    if (declared != NULL && declared->repeated && declared->rules != NULL)
        t->rules = declared->rules->items;
    if (f->type != DESC_MESSAGE)
        return put_scalar(t, f, number, v, keep_zero);
    if (v->token == JSON_NULL && f->message->wkt != DESC_VALUE)
        return expected(t, v, "a value");
    int r = f->group ? open_group(t, number) : open_region(t, number);
    return r < 0 ? r : put_content(t, f->message, v);
}

static bool takes_null(const struct desc_field *f)
{
    if (f->repeated)
        return false;
    return f->type == DESC_MESSAGE ? f->message->wkt == DESC_VALUE
                                   : f->type == DESC_ENUM && f->enumeration->is_null_value;
}

/* The value of a field, with its tag: singular, list or map. */
static int put_field(struct to_wire *t, const struct desc_field *f, const struct value *v)
{
    if (v->token == JSON_NULL && !takes_null(f))
        return WRITTEN; /* absent */
    if (!f->repeated)
        return put_single(t, f, f->number, v, f->presence);
    if (v->token != (f->map ? JSON_BEGIN_OBJECT : JSON_BEGIN_ARRAY))
        return expected(t, v, f->map ? "an object" : "a list");
    size_t start = t->out->size;
    if (f->packed && open_region(t, f->number) < 0)
        return NRPC_E_PROTO;
    struct to_wire_frame *frame = push(t, f->map ? TO_WIRE_MAP : TO_WIRE_REPEATED);
    frame->field = f;
    frame->start = start;
    return WRITTEN;
}

/* ---- the mask: which leaves the body names --------------------------------------------- */

static void put_mask_path(struct to_wire *t)
{
    struct buf *mask = t->options.mask;
    wire_put_tag(mask, 1, WIRE_BYTES);
    size_t region = wire_region_open(mask);
    bool first = true;
    for (size_t i = 0; i < t->n_frames; i++) {
        const struct to_wire_frame *f = &t->frames[i];
        if (f->kind != TO_WIRE_MESSAGE || f->field == NULL)
            continue;
        if (!first)
            buf_putc(mask, '.');
        first = false;
        buf_puts(mask, f->field->name);
    }
    wire_region_close(mask, region);
}

static bool is_inner_node(const struct desc_field *f, const struct value *v)
{
    return v->token == JSON_BEGIN_OBJECT && !f->repeated && f->message != NULL &&
           f->message->wkt == DESC_PLAIN;
}

/* ---- tokens ---------------------------------------------------------------------------- */

static int unknown_key(struct to_wire *t, const struct desc_message *m, const char *key,
                       size_t size)
{
    if (t->options.ignore_unknown) {
        t->skip_next = true;
        return 0;
    }
    struct suggest s;
    suggest_start(&s, key, size);
    bool snake = t->options.accept_snake;
    for (size_t i = 0; i < m->n_fields; i++)
        suggest_offer(&s, snake ? m->fields[i].name : m->fields[i].json_name);
    for (size_t i = 0; i < m->n_fields; i++)
        suggest_offer(&s, snake ? m->fields[i].json_name : m->fields[i].name);
    return s.best == NULL
               ? json_reader_fail(&t->reader, "unknown field")
               : json_reader_fail(&t->reader, "unknown field; did you mean \"%s\"?", s.best);
}

static int message_key(struct to_wire *t, struct to_wire_frame *frame, const char *key, size_t size)
{
    if (frame->typed && size == 5 && memcmp(key, "@type", 5) == 0) {
        t->skip_next = true;
        return 0;
    }
    if (frame->typed && frame->message->is_empty && size == 5 && memcmp(key, "value", 5) == 0) {
        frame->field = NULL; /* Empty may stand as "value" too */
        return 0;
    }
    const struct desc_field *f = desc_field_by_name(frame->message, key, size);
    if (f == NULL)
        return unknown_key(t, frame->message, key, size);
    if (!mark(t, frame, f->index))
        return json_reader_fail(&t->reader, "the field stands twice, as \"%s\" and \"%s\"", f->name,
                                f->json_name);
    frame->field = f;
    frame->named = true;
    return 0;
}

static int map_key(struct to_wire *t, struct to_wire_frame *frame, const char *key, size_t size)
{
    const struct desc_field *f = desc_field_by_number(frame->field->message, 1);
    const char *why;
    bool zero;
    frame->start = t->out->size;
    if (open_region(t, frame->field->number) < 0)
        return NRPC_E_PROTO;
    wire_put_tag(t->out, 1, (enum wire_type) desc_wire_type(f->type));
    if (!scalar_put_wire(t->out, f, SCALAR_QUERY, key, size, &zero, &why))
        return json_reader_fail(&t->reader, "the key must be %s", why);
    return 0;
}

static int struct_key(struct to_wire *t, const char *key, size_t size)
{
    if (open_region(t, 1) < 0)
        return NRPC_E_PROTO;
    wire_put_bytes(t->out, 1, key, size);
    return open_region(t, 2);
}

static int on_key(struct to_wire *t, const char *key, size_t size)
{
    struct to_wire_frame *frame = top(t);
    switch (frame->kind) {
    case TO_WIRE_MESSAGE:
        return message_key(t, frame, key, size);
    case TO_WIRE_MAP:
        return map_key(t, frame, key, size);
    case TO_WIRE_STRUCT:
        return struct_key(t, key, size);
    default: /* the object of an Any that holds a well-known type */
        if (size == 5 && memcmp(key, "@type", 5) == 0)
            t->skip_next = true;
        else if (size != 5 || memcmp(key, "value", 5) != 0)
            return json_reader_fail(&t->reader,
                                    "unknown field; the value of this type stands in \"value\"");
        return 0;
    }
}

static int message_value(struct to_wire *t, struct to_wire_frame *frame, const struct value *v)
{
    const struct desc_field *f = frame->field;
    if (f == NULL)
        return v->token == JSON_BEGIN_OBJECT ? push_message(t, frame->message)
                                             : expected(t, v, "an object");
    if (f->oneof >= 0 && (v->token != JSON_NULL || takes_null(f)) &&
        !mark(t, frame, frame->message->n_fields + (size_t) f->oneof))
        return json_reader_fail(&t->reader, "only one field of \"%s\" may be set",
                                frame->message->oneofs[f->oneof]);
    bool inner = frame->masked && is_inner_node(f, v);
    if (frame->masked && !inner)
        put_mask_path(t);
    int r = put_field(t, f, v);
    if (r == WRITTEN && inner)
        top(t)->masked = true;
    return r;
}

static int root_value(struct to_wire *t, struct to_wire_frame *frame, const struct value *v)
{
    bool masked = t->options.mask != NULL;
    if (frame->typed && frame->depth++ == 0) /* the object around "@type" and "value" */
        return v->token == JSON_BEGIN_OBJECT ? WRITTEN : expected(t, v, "an object");
    int r =
        frame->field != NULL ? put_field(t, frame->field, v) : put_content(t, frame->message, v);
    if (r == WRITTEN && top(t)->kind == TO_WIRE_MESSAGE) {
        top(t)->masked = masked;
        top(t)->typed = t->any_depth > 0;
    }
    return r;
}

static int on_value(struct to_wire *t, const struct value *v)
{
    uint8_t frames = t->n_frames;
    struct to_wire_frame *frame = top(t);
    int r = WRITTEN;
    if (t->skip_next) {
        t->skip_next = false;
        if (is_begin(v->token))
            push(t, TO_WIRE_SKIP)->depth = 1;
        return 0;
    }
    switch (frame->kind) {
    case TO_WIRE_ROOT:
        r = root_value(t, frame, v);
        break;
    case TO_WIRE_MESSAGE:
        r = message_value(t, frame, v);
        break;
    case TO_WIRE_REPEATED:
        frame->start = t->out->size;
        r = put_single(t, frame->field, frame->field->packed ? 0 : frame->field->number, v, true);
        break;
    case TO_WIRE_MAP:
        r = put_single(t, desc_field_by_number(frame->field->message, 2), 2, v, true);
        break;
    case TO_WIRE_LIST:
        r = open_region(t, 1);
        if (r == 0)
            r = put_value(t, v);
        break;
    default:
        r = put_value(t, v);
        break;
    }
    if (r == IGNORED && frame->kind == TO_WIRE_MAP) {
        t->out->size = frame->start;
        t->n_regions = frame->regions;
    }
    if (r >= 0 && t->n_frames == frames)
        value_done(t);
    return r < 0 ? r : 0;
}

static int on_end(struct to_wire *t)
{
    struct to_wire_frame *f = top(t);
    if (f->kind == TO_WIRE_ROOT)
        return 0; /* the object around an Any's "value" */
    if (f->kind == TO_WIRE_MESSAGE) {
        t->seen.size = f->seen;
        f->field = NULL;
        if (f->masked && !f->named && t->n_frames > 2)
            put_mask_path(t);
    }
    t->n_frames--;
    /* An empty packed list leaves nothing behind. */
    if (f->kind == TO_WIRE_REPEATED && f->field->packed &&
        t->out->size == t->regions[t->n_regions - 1] + 1) {
        t->out->size = f->start;
        t->n_regions--;
    }
    value_done(t);
    return 0;
}

/* ---- Any: its type may come last, so the object is kept as text ------------------------ */

static void capture_token(struct to_wire *t, enum json_token token, const char *text, size_t size)
{
    static const char *const words[] = {
        [JSON_NULL] = "null", [JSON_FALSE] = "false", [JSON_TRUE] = "true"
    };
    struct buf *b = &t->capture;
    bool ends = token == JSON_END_OBJECT || token == JSON_END_ARRAY;
    if (t->capture_comma && !ends)
        buf_putc(b, ',');
    t->capture_comma = token != JSON_KEY && !is_begin(token);
    switch (token) {
    case JSON_KEY:
    case JSON_STRING:
        json_put_string(b, text, size);
        if (token == JSON_KEY)
            buf_putc(b, ':');
        break;
    case JSON_NUMBER:
        buf_put(b, text, size);
        break;
    case JSON_BEGIN_OBJECT:
    case JSON_BEGIN_ARRAY:
        buf_putc(b, token == JSON_BEGIN_OBJECT ? '{' : '[');
        break;
    case JSON_END_OBJECT:
    case JSON_END_ARRAY:
        buf_putc(b, token == JSON_END_OBJECT ? '}' : ']');
        break;
    default:
        buf_puts(b, words[token]);
    }
}

static void init(struct to_wire *t, struct buf *out, const struct to_wire_options *o);

static int transcode_any(struct to_wire *t, const struct desc_message *m)
{
    struct to_wire *inner = alloc_get(sizeof *inner);
    if (inner == NULL)
        return NRPC_E_NOMEM;
    struct to_wire_options o = t->options;
    o.mask = NULL;
    init(inner, t->out, &o);
    inner->any_depth = (uint8_t) (t->any_depth + 1);
    struct to_wire_frame *root = push(inner, TO_WIRE_ROOT);
    root->message = m;
    root->typed = m->wkt != DESC_PLAIN;
    int r = to_wire_feed(inner, t->capture.data, t->capture.size);
    if (r == 0)
        r = to_wire_finish(inner);
    if (r == NRPC_E_PROTO)
        json_reader_fail(&t->reader, "%s%s%s", inner->reader.error.path,
                         *inner->reader.error.path ? ": " : "", inner->reader.error.message);
    to_wire_done(inner);
    alloc_free(inner);
    return r;
}

static int finish_any(struct to_wire *t)
{
    if (!t->has_type) {
        if (t->capture.size == 2)
            return 0; /* {} is an empty Any */
        return json_reader_fail(&t->reader, "\"@type\" is missing");
    }
    const char *url = (const char *) t->any_type.data;
    size_t size = t->any_type.size, name = size;
    while (name > 0 && url[name - 1] != '/')
        name--;
    const struct desc_message *m =
        name == 0 || t->options.pool == NULL
            ? NULL
            : desc_find_message(t->options.pool, url + name, size - name);
    if (m == NULL)
        return json_reader_fail(&t->reader, "\"@type\" names no known message");
    wire_put_bytes(t->out, 1, url, size);
    size_t region = (wire_put_tag(t->out, 2, WIRE_BYTES), wire_region_open(t->out));
    int r = transcode_any(t, m);
    if (r == 0)
        wire_region_close(t->out, region);
    return r;
}

static int on_any_token(struct to_wire *t, enum json_token token, const char *text, size_t size)
{
    struct to_wire_frame *f = top(t);
    capture_token(t, token, text, size);
    if (t->type_follows) {
        if (token != JSON_STRING)
            return json_reader_fail(
                &t->reader, "expected a type URL such as \"type.googleapis.com/package.Message\"");
        buf_put(&t->any_type, text, size);
        t->has_type = true;
    }
    t->type_follows =
        token == JSON_KEY && f->depth == 0 && size == 5 && memcmp(text, "@type", 5) == 0;
    if (is_begin(token))
        f->depth++;
    if ((token != JSON_END_OBJECT && token != JSON_END_ARRAY) || f->depth-- > 0)
        return t->capture.failed ? NRPC_E_NOMEM : 0;
    int r = t->capture.failed ? NRPC_E_NOMEM : finish_any(t);
    if (r < 0)
        return r;
    return on_end(t);
}

static int on_token(void *ctx, enum json_token token, const char *text, size_t size)
{
    struct to_wire *t = ctx;
    struct to_wire_frame *f = top(t);
    bool ends = token == JSON_END_OBJECT || token == JSON_END_ARRAY;
    if (f->kind == TO_WIRE_ANY)
        return on_any_token(t, token, text, size);
    if (f->kind == TO_WIRE_SKIP) {
        f->depth += is_begin(token);
        f->depth -= ends;
        t->n_frames -= f->depth == 0;
        return 0;
    }
    if (ends)
        return on_end(t);
    if (token == JSON_KEY)
        return on_key(t, text, size);
    return on_value(t, &(struct value){ token, text, size });
}

/* ---- the document ---------------------------------------------------------------------- */

static void init(struct to_wire *t, struct buf *out, const struct to_wire_options *o)
{
    json_reader_init(&t->reader, on_token, t);
    t->options = *o;
    t->out = out;
    t->rules = NULL;
    t->skip_next = false;
    t->n_regions = t->n_frames = t->any_depth = 0;
    t->seen = t->capture = t->any_type = (struct buf){ 0 };
    t->capture_comma = t->type_follows = t->has_type = false;
}

void to_wire_init(struct to_wire *t, const struct desc_message *m, struct buf *out,
                  const struct to_wire_options *o)
{
    init(t, out, o);
    push(t, TO_WIRE_ROOT)->message = m;
}

void to_wire_init_field(struct to_wire *t, const struct desc_field *f, struct buf *out,
                        const struct to_wire_options *o)
{
    init(t, out, o);
    push(t, TO_WIRE_ROOT)->field = f;
}

void to_wire_done(struct to_wire *t)
{
    json_reader_done(&t->reader);
    buf_done(&t->seen);
    buf_done(&t->capture);
    buf_done(&t->any_type);
}

static int check_memory(const struct to_wire *t, int r)
{
    bool failed = t->out->failed || t->seen.failed || t->capture.failed || t->any_type.failed ||
                  (t->options.mask != NULL && t->options.mask->failed);
    return failed ? NRPC_E_NOMEM : r;
}

int to_wire_feed(struct to_wire *t, const void *data, size_t size)
{
    return check_memory(t, json_reader_feed(&t->reader, data, size));
}

int to_wire_finish(struct to_wire *t)
{
    return check_memory(t, json_reader_finish(&t->reader));
}
