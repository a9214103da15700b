#include "tests/unit/rpc/wire_peer.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/check.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum { LINE_MAX_BYTES = 32768 };
enum { DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION };
static const char *const types[] = { "DATA", "HEADERS", "PRIORITY", "RST",    "SETTINGS",
                                     "PUSH", "PING",    "GOAWAY",   "WINDOW", "CONTINUATION" };

/* ---- writing ---- */
static void put_integer(struct buf *b, size_t value)
{
    if (value < 127) {
        buf_putc(b, (char) value);
        return;
    }
    buf_putc(b, 127);
    for (value -= 127; value >= 128; value /= 128)
        buf_putc(b, (char) (value % 128 | 128));
    buf_putc(b, (char) value);
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static void put_field(struct buf *b, const char *name, size_t name_size, const char *value)
{
    struct buf bytes = { 0 };
    for (const char *v = value; *v != '\0'; v++) {
        if (v[0] == '%') {
            buf_putc(&bytes, (char) (hex(v[1]) << 4 | hex(v[2])));
            v += 2;
        } else {
            buf_putc(&bytes, *v);
        }
    }
    buf_putc(b, 0);
    put_integer(b, name_size);
    buf_put(b, name, name_size);
    put_integer(b, bytes.size);
    buf_put(b, bytes.data, bytes.size);
    buf_done(&bytes);
}

/* The standard head, without the fields that the rest of the line names with "!". */
static void put_grpc(struct buf *b, const char *line)
{
    static const char *const fields[][2] = {
        { ":method", "POST" },    { ":scheme", "http" }, { ":path", "/test.Echo/Unary" },
        { ":authority", "test" }, { "te", "trailers" },  { "content-type", "application/grpc" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        char without[32];
        snprintf(without, sizeof without, "!%s", fields[i][0]);
        const char *at = strstr(line, without);
        size_t size = strlen(without);
        if (at == NULL || (at[size] != ' ' && at[size] != '\0'))
            put_field(b, fields[i][0], strlen(fields[i][0]), fields[i][1]);
    }
}

static void put_u32(struct buf *b, uint32_t v)
{
    buf_put(b,
            (const uint8_t[]){ (uint8_t) (v >> 24), (uint8_t) (v >> 16), (uint8_t) (v >> 8),
                               (uint8_t) v },
            4);
}

static void put_word(struct buf *b, const char *word, const char *line)
{
    unsigned long n = strchr(word, ':') == NULL ? 0 : strtoul(strchr(word, ':') + 1, NULL, 10);
    if (strcmp(word, "@grpc") == 0) {
        put_grpc(b, line);
    } else if (word[0] == '!' || strncmp(word, "len:", 4) == 0) {
    } else if (strchr(word, '=') != NULL) {
        size_t size = strcspn(word + 1, "=") + 1;
        put_field(b, word, size, word + size + 1);
    } else if (word[0] == 'x') {
        for (const char *p = word + 1; *p != '\0'; p += 2)
            buf_putc(b, (char) (hex(p[0]) << 4 | hex(p[1])));
    } else if (strncmp(word, "zeros:", 6) == 0) {
        for (; n > 0; n--)
            buf_putc(b, 0);
    } else if (strncmp(word, "u32:", 4) == 0) {
        put_u32(b, (uint32_t) n);
    } else if (strncmp(word, "u16:", 4) == 0) {
        buf_put(b, (const uint8_t[]){ (uint8_t) (n >> 8), (uint8_t) n }, 2);
    } else if (strncmp(word, "text:", 5) == 0) {
        buf_puts(b, word + 5);
    } else if (strncmp(word, "msg:", 4) == 0) {
        buf_putc(b, 0);
        put_u32(b, (uint32_t) strlen(word + 4));
        buf_puts(b, word + 4);
    } else {
        fail_msg("what is \"%s\"?", word);
    }
}

static uint8_t flags_of(const char *word)
{
    static const char letters[] = "ehprf";
    static const uint8_t bits[] = { 1, 4, 8, 32, 0xd2 };
    uint8_t flags = 0;
    for (size_t i = 0; i < sizeof letters - 1; i++)
        if (strchr(word, letters[i]) != NULL)
            flags |= bits[i];
    return flags;
}

static int type_of(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (strcmp(word, types[i]) == 0)
            return (int) i;
    return atoi(word);
}

/* One line to bytes. */
static void compose_line(struct buf *out, const char *line)
{
    char copy[LINE_MAX_BYTES], *rest = copy;
    assert_true(snprintf(copy, sizeof copy, "%s", line) < (int) sizeof copy);
    const char *type = strsep(&rest, " ");
    if (strcmp(type, "PREFACE") == 0) {
        buf_puts(out, preface);
        return;
    }
    bool raw = strcmp(type, "RAW") == 0;
    uint32_t id = raw ? 0 : (uint32_t) strtoul(strsep(&rest, " "), NULL, 10);
    uint8_t flags = raw ? 0 : flags_of(strsep(&rest, " "));
    const char *word, *claim = strstr(line, "len:");
    struct buf payload = { 0 };
    while ((word = strsep(&rest, " ")) != NULL)
        put_word(&payload, word, line);
    if (!raw) {
        size_t size = claim == NULL ? payload.size : strtoul(claim + 4, NULL, 10);
        buf_put(out,
                (const uint8_t[]){ (uint8_t) (size >> 16), (uint8_t) (size >> 8), (uint8_t) size,
                                   (uint8_t) type_of(type), flags },
                5);
        put_u32(out, id);
    }
    buf_put(out, payload.data, payload.size);
    buf_done(&payload);
}

/* ---- reading ---- */
static void note_block(struct wire_peer *p, struct wire_stream *st, const uint8_t *data,
                       size_t size)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(p->inflater, &nv, &flags, data, size, 1);
        assert_true(n >= 0);
        data += n;
        size -= (size_t) n;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            buf_put(&st->head, nv.name, nv.namelen);
            buf_putc(&st->head, '=');
            buf_put(&st->head, nv.value, nv.valuelen);
            buf_putc(&st->head, '\n');
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            nghttp2_hd_inflate_end_headers(p->inflater);
            return;
        }
    }
}

static uint32_t get_u32(const uint8_t *b)
{
    return (uint32_t) b[0] << 24 | (uint32_t) b[1] << 16 | (uint32_t) b[2] << 8 | b[3];
}

static void on_frame(struct wire_peer *p, uint8_t type, uint8_t flags, uint32_t id,
                     const uint8_t *data, size_t size)
{
    struct wire_stream *st = &p->streams[id / 2 % WIRE_STREAMS];
    switch (type) {
    case DATA:
        buf_put(&st->body, data, size);
        break;
    case HEADERS:
        assert_true((flags & 4) != 0);
        note_block(p, st, data, size);
        break;
    case RST:
        st->reset = true;
        st->code = get_u32(data);
        break;
    case SETTINGS:
        p->settings += (flags & 1) == 0;
        p->settings_acks += flags & 1;
        break;
    case PING:
        p->pings += (flags & 1) == 0;
        p->ping_acks += flags & 1;
        break;
    case GOAWAY:
        p->goaways++;
        p->last_id = get_u32(data);
        p->goaway_code = get_u32(data + 4);
        buf_reset(&p->reason);
        buf_put(&p->reason, data + 8, size - 8);
        break;
    default:
        break;
    }
    if ((type == DATA || type == HEADERS) && (flags & 1) != 0)
        st->ended = true;
}

static void read_frames(struct wire_peer *p)
{
    for (;;) {
        const uint8_t *b = p->in.data;
        size_t size = p->in.size < 9 ? 0 : (size_t) b[0] << 16 | (size_t) b[1] << 8 | b[2];
        if (p->in.size >= 4 && memcmp(b, "HTTP", 4) == 0) {
            buf_put(&p->text, b, p->in.size);
            buf_drop(&p->in, p->in.size);
            return;
        }
        if (p->in.size < 9 || p->in.size - 9 < size)
            return;
        on_frame(p, b[3], b[4], get_u32(b + 5) & INT32_MAX, b + 9, size);
        buf_drop(&p->in, 9 + size);
    }
}

static void turn(struct wire_peer *p)
{
    static uint8_t bytes[65536];
    struct pollfd w = { p->fd, POLLIN, 0 };
    if (poll(&w, 1, 20000) != 1)
        fail_msg("the server is silent");
    ssize_t n = recv(p->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n <= 0) {
        p->closed = true;
        return;
    }
    buf_put(&p->in, bytes, (size_t) n);
    read_frames(p);
}

/* ---- a peer ---- */
static void put_bytes(struct wire_peer *p, const uint8_t *data, size_t size, size_t step)
{
    while (size > 0 && !p->closed) {
        size_t part = step == 0 || step > size ? size : step;
        ssize_t n = send(p->fd, data, part, MSG_NOSIGNAL);
        if (n <= 0) { /* what the server said before is still to be read */
            return;
        }
        data += n;
        size -= (size_t) n;
        if (step != 0)
            sched_yield(); /* so that most pieces arrive alone */
    }
}

void wire_open(struct wire_peer *p, const struct sockaddr_in *to, bool with_preface)
{
    *p = (struct wire_peer){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
    assert_true(p->fd >= 0);
    assert_int_equal(connect(p->fd, (const struct sockaddr *) to, sizeof *to), 0);
    int one = 1;
    assert_int_equal(setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    assert_int_equal(nghttp2_hd_inflate_new(&p->inflater), 0);
    if (with_preface)
        wire_send(p, "PREFACE; SETTINGS 0 -", 0);
}

void wire_done(struct wire_peer *p)
{
    close(p->fd);
    nghttp2_hd_inflate_del(p->inflater);
    for (size_t i = 0; i < WIRE_STREAMS; i++) {
        buf_done(&p->streams[i].head);
        buf_done(&p->streams[i].body);
    }
    buf_done(&p->in);
    buf_done(&p->block);
    buf_done(&p->text);
    buf_done(&p->reason);
}

static void each_line(const char *script, void (*fn)(void *ctx, const char *line), void *ctx)
{
    for (const char *end; *script != '\0'; script = *end == '\0' ? end : end + 2) {
        char line[LINE_MAX_BYTES];
        end = strstr(script, "; ");
        if (end == NULL)
            end = script + strlen(script);
        assert_true((size_t) (end - script) < sizeof line);
        memcpy(line, script, (size_t) (end - script));
        line[end - script] = '\0';
        fn(ctx, line);
    }
}

static void compose_to(void *ctx, const char *line)
{
    compose_line(ctx, line);
}

void wire_compose(struct buf *out, const char *script)
{
    each_line(script, compose_to, out);
}

struct sending {
    struct wire_peer *peer;
    struct buf bytes;
    size_t step;
};
static void send_line(void *ctx, const char *line)
{
    struct sending *s = ctx;
    if (strncmp(line, "WAIT ", 5) != 0) {
        compose_line(&s->bytes, line);
        return;
    }
    put_bytes(s->peer, s->bytes.data, s->bytes.size, s->step);
    buf_reset(&s->bytes);
    wire_wait(s->peer, (uint32_t) atoi(line + 5));
}

void wire_send(struct wire_peer *p, const char *script, size_t step)
{
    struct sending s = { .peer = p, .step = step };
    each_line(script, send_line, &s);
    put_bytes(p, s.bytes.data, s.bytes.size, step);
    buf_done(&s.bytes);
}

void wire_sync(struct wire_peer *p)
{
    unsigned before = p->ping_acks;
    wire_send(p, "PING 0 - x6e72706373796e63", 0);
    while (p->ping_acks == before && !p->closed)
        turn(p);
}

void wire_wait(struct wire_peer *p, uint32_t id)
{
    const struct wire_stream *st = &p->streams[id / 2 % WIRE_STREAMS];
    while (!st->ended && !st->reset && !p->closed)
        turn(p);
}

void wire_wait_closed(struct wire_peer *p)
{
    while (!p->closed)
        turn(p);
}
