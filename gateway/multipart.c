#include "gateway/multipart.h"

#include <string.h>
#include <strings.h>

#include "rpc/base/utf8.h"
#include "rpc/nrpc.h"

enum state {
    PREAMBLE,  /* before the first delimiter: dropped */
    DATA,      /* of a part */
    DELIMITED, /* behind a delimiter: "--" ends it all, CR LF begins a part */
    DASH,      /* after the first '-' of these */
    LINE_END,  /* after that CR */
    HEAD,
    EPILOGUE /* after the last delimiter: dropped */
};

static int fail(struct multipart *m, const char *error)
{
    if (m->error == NULL)
        m->error = error;
    return m->failed = NRPC_E_PROTO;
}

/* ---- parameters of headers: name=token or name="quoted" -------------------------------- */

static bool is_token_char(char c)
{
    return c > 0x20 && c < 0x7f && strchr("()<>@,;:\\\"/[]?={}", c) == NULL;
}

/* Browsers write %22, %0D and %0A for what may not stand in quotes; others a backslash. */
static void put_quoted_char(const char **at, const char *end, struct buf *out)
{
    static const struct {
        const char *code;
        char c;
    } codes[] = { { "%22", '"' }, { "%0D", '\r' }, { "%0A", '\n' } };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (end - *at >= 3 && strncasecmp(*at, codes[i].code, 3) == 0) {
            buf_putc(out, codes[i].c);
            *at += 3;
            return;
        }
    if (**at == '\\' && end - *at >= 2 && ((*at)[1] == '"' || (*at)[1] == '\\'))
        ++*at;
    buf_putc(out, *(*at)++);
}

/* The value at *at, appended to out; false when it is malformed. */
static bool take_value(const char **at, const char *end, struct buf *out)
{
    if (*at < end && **at == '"') {
        for (++*at; *at < end && **at != '"';)
            put_quoted_char(at, end, out);
        return (*at)++ < end;
    }
    const char *start = *at;
    while (*at < end && is_token_char(**at))
        buf_putc(out, *(*at)++);
    return *at > start;
}

static void skip_space(const char **at, const char *end)
{
    while (*at < end && (**at == ' ' || **at == '\t'))
        ++*at;
}

/* Finds a parameter behind the header's first word; out is emptied first.  -1: malformed; 0:
 * absent; 1: found. */
static int find_parameter(const char *text, size_t size, const char *name, struct buf *out)
{
    const char *at = text, *end = text + size;
    struct buf value = { 0 };
    int found = 0;
    buf_reset(out);
    while (at < end && *at != ';')
        at++;
    while (found >= 0 && at < end) {
        if (*at++ != ';') {
            found = -1;
            break;
        }
        skip_space(&at, end);
        const char *key = at;
        while (at < end && is_token_char(*at))
            at++;
        size_t key_size = (size_t) (at - key);
        bool wanted = key_size == strlen(name) && strncasecmp(key, name, key_size) == 0;
        buf_reset(&value);
        if (at == end || *at++ != '=' || !take_value(&at, end, &value) || (wanted && found > 0))
            found = -1;
        else if (wanted) {
            buf_put(out, value.data, value.size);
            found = 1;
        }
        skip_space(&at, end);
    }
    out->failed |= value.failed;
    buf_done(&value);
    return found;
}

static bool begins_with_word(const char *text, size_t size, const char *word)
{
    size_t n = strlen(word);
    return size >= n && strncasecmp(text, word, n) == 0 &&
           (size == n || strchr("; \t", text[n]) != NULL);
}

bool multipart_init(struct multipart *m, const char *content_type, size_t size,
                    const struct multipart_events *events, void *ctx)
{
    struct buf boundary = { 0 };
    *m = (struct multipart){ .events = events, .ctx = ctx, .state = PREAMBLE };
    bool ok = begins_with_word(content_type, size, "multipart/form-data") &&
              find_parameter(content_type, size, "boundary", &boundary) > 0 && boundary.size > 0 &&
              boundary.size <= MULTIPART_BOUNDARY_MAX && !boundary.failed &&
              memchr(boundary.data, '\r', boundary.size) == NULL &&
              memchr(boundary.data, '\n', boundary.size) == NULL;
    if (ok) {
        memcpy(m->delimiter, "\r\n--", 4);
        memcpy(m->delimiter + 4, boundary.data, boundary.size);
        m->delimiter_size = 4 + boundary.size;
        m->matched = 2; /* the first delimiter may stand at the very beginning */
    }
    buf_done(&boundary);
    return ok;
}

void multipart_done(struct multipart *m)
{
    buf_done(&m->head);
}

/* ---- a part's header ------------------------------------------------------------------- */

struct head {
    struct multipart_part part;
    struct buf name, type, value;
    bool disposed;
};

static int read_disposition(struct multipart *m, struct head *h, const char *text, size_t size)
{
    if (h->disposed)
        return fail(m, "a part has two Content-Disposition headers");
    h->disposed = true;
    if (!begins_with_word(text, size, "form-data") ||
        find_parameter(text, size, "name", &h->name) <= 0)
        return fail(m, "a part does not say which field it is");
    int file = find_parameter(text, size, "filename", &h->value);
    if (file >= 0 && file == 0)
        file = find_parameter(text, size, "filename*", &h->value);
    if (file < 0)
        return fail(m, "a part's Content-Disposition is malformed");
    h->part.file = file > 0;
    return 0;
}

static int read_line(struct multipart *m, struct head *h, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (colon == NULL || colon == line || memchr(line, '\0', size) != NULL)
        return fail(m, "a part's header is malformed");
    size_t key = (size_t) (colon - line);
    const char *value = colon + 1, *end = line + size;
    skip_space(&value, end);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t n = (size_t) (end - value);
    if (key == 19 && strncasecmp(line, "content-disposition", key) == 0)
        return read_disposition(m, h, value, n);
    if (key == 12 && strncasecmp(line, "content-type", key) == 0) {
        buf_reset(&h->type);
        buf_put(&h->type, value, n);
    }
    if (key == 25 && strncasecmp(line, "content-transfer-encoding", key) == 0 &&
        !(n == 6 && strncasecmp(value, "binary", n) == 0) &&
        !(n == 4 && (strncasecmp(value, "8bit", n) == 0 || strncasecmp(value, "7bit", n) == 0)))
        return fail(m, "a part has a transfer encoding");
    return 0;
}

/* m->head holds all lines, each with its CR LF. */
static int read_head(struct multipart *m)
{
    struct head h = { .disposed = false };
    const char *at = (const char *) m->head.data, *end = at + m->head.size;
    int r = 0;
    while (r == 0 && at < end) {
        const char *line_end = memmem(at, (size_t) (end - at), "\r\n", 2);
        r = read_line(m, &h, at, (size_t) (line_end - at));
        at = line_end + 2;
    }
    if (r == 0 && !h.disposed)
        r = fail(m, "a part does not say which field it is");
    if (r == 0 && (!utf8_valid(h.name.data, h.name.size) || h.name.size == 0 ||
                   memchr(h.name.data, '\0', h.name.size) != NULL))
        r = fail(m, "a part's name is empty or not UTF-8");
    if (r == 0 && m->parts++ == MULTIPART_PARTS_MAX)
        r = fail(m, "the form has too many parts");
    h.part.name = buf_str(&h.name);
    h.part.name_size = h.name.size;
    h.part.content_type = h.type.size == 0 ? "" : buf_str(&h.type);
    if (r == 0 && (h.name.failed || h.type.failed || h.value.failed))
        r = m->failed = NRPC_E_NOMEM;
    if (r == 0 && (r = m->events->on_part(m->ctx, &h.part)) < 0)
        m->failed = r;
    buf_done(&h.name);
    buf_done(&h.type);
    buf_done(&h.value);
    return r;
}

/* ---- the machine ----------------------------------------------------------------------- */

static int emit(struct multipart *m, const void *data, size_t size)
{
    if (m->state != DATA || size == 0)
        return 0;
    int r = m->events->on_data(m->ctx, data, size);
    return r < 0 ? m->failed = r : 0;
}

static int delimiter_found(struct multipart *m)
{
    int r = m->state == DATA ? m->events->on_part_end(m->ctx) : 0;
    if (r < 0)
        return m->failed = r;
    m->state = DELIMITED;
    m->matched = 0;
    return 0;
}

/* CR stands nowhere in a delimiter but at its start: what matched so far was data when the next
 * byte does not fit, and only a CR begins anew. */
static int in_data(struct multipart *m, const uint8_t *data, size_t size, size_t *at)
{
    while (*at < size) {
        if (m->matched == 0) {
            const uint8_t *cr = memchr(data + *at, '\r', size - *at);
            size_t n = cr == NULL ? size - *at : (size_t) (cr - data) - *at;
            if (emit(m, data + *at, n) < 0)
                return m->failed;
            *at += n;
            if (cr == NULL)
                return 0;
        }
        if (data[*at] == (uint8_t) m->delimiter[m->matched]) {
            ++*at;
            if (++m->matched == m->delimiter_size)
                return delimiter_found(m);
            continue;
        }
        size_t held = m->matched;
        m->matched = 0;
        if (emit(m, m->delimiter, held) < 0)
            return m->failed;
    }
    return 0;
}

static bool ends_with(const struct buf *b, const char *text)
{
    size_t n = strlen(text);
    return b->size >= n && memcmp(b->data + b->size - n, text, n) == 0;
}

static int in_head(struct multipart *m, uint8_t c)
{
    if (m->head.size == MULTIPART_HEAD_MAX)
        return fail(m, "a part's header is too long");
    buf_putc(&m->head, (char) c);
    if (m->head.failed)
        return m->failed = NRPC_E_NOMEM;
    if (c != '\n')
        return 0;
    if (!ends_with(&m->head, "\r\n"))
        return fail(m, "a part's header has a bare line feed");
    if (m->head.size > 2 && !ends_with(&m->head, "\r\n\r\n"))
        return 0;
    m->head.size -= 2;
    m->state = DATA;
    return read_head(m);
}

static int step(struct multipart *m, uint8_t c)
{
    switch ((enum state) m->state) {
    case DELIMITED:
        if (c == ' ' || c == '\t')
            return 0;
        m->state = c == '-' ? DASH : LINE_END;
        return c == '-' || c == '\r' ? 0 : fail(m, "a boundary is not followed by a line end");
    case DASH:
        m->state = EPILOGUE;
        return c == '-' ? 0 : fail(m, "a boundary is not followed by a line end");
    case LINE_END:
        m->state = HEAD;
        buf_reset(&m->head);
        return c == '\n' ? 0 : fail(m, "a boundary is not followed by a line end");
    default:
        return in_head(m, c);
    }
}

int multipart_feed(struct multipart *m, const void *bytes, size_t size)
{
    const uint8_t *data = bytes;
    for (size_t at = 0; at < size && m->failed == 0 && m->state != EPILOGUE;) {
        if (m->state == PREAMBLE || m->state == DATA)
            in_data(m, data, size, &at);
        else
            step(m, data[at++]);
    }
    return m->failed;
}

int multipart_finish(struct multipart *m)
{
    if (m->failed == 0 && m->state != EPILOGUE)
        return fail(m, m->parts == 0 ? "the form has no parts" : "the form ends too early");
    return m->failed;
}
