#include "rpc/base/log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rpc/base/buf.h"
#include "rpc/base/clock.h"
#include "rpc/base/utf8.h"

static const char *const names[] = { "debug", "info", "warn", "error", "off" };
static const char *log_program = "novel";
static int log_fd = 1;
static enum log_level log_least = LOG_LEVEL_INFO;

void log_setup(const char *program, int fd, enum log_level level)
{
    log_program = program;
    log_fd = fd;
    log_least = level;
}

bool log_enabled(enum log_level level)
{
    return level >= log_least && log_least != LOG_LEVEL_OFF;
}

int log_level_parse(const char *name)
{
    for (int i = 0; i < 5; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

static void put_string(struct buf *b, const char *s)
{
    if (s == NULL) {
        buf_puts(b, "null");
        return;
    }
    buf_putc(b, '"');
    for (size_t left = strlen(s); left > 0;) {
        size_t n;
        uint32_t c = utf8_decode(s, left, &n);
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", (char) c);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\u%04x", (unsigned) c);
        else if (c == 0xfffd)
            buf_puts(b, "\xef\xbf\xbd");
        else
            buf_put(b, s, n);
        s += n;
        left -= n;
    }
    buf_putc(b, '"');
}

static void put_field(struct buf *b, const struct log_field *f)
{
    buf_putc(b, ',');
    put_string(b, f->key);
    buf_putc(b, ':');
    switch (f->kind) {
    case LOG_STRING:
        put_string(b, f->value.s);
        break;
    case LOG_INT:
        buf_printf(b, "%lld", (long long) f->value.i);
        break;
    case LOG_UINT:
        buf_put_u64(b, f->value.u);
        break;
    case LOG_DOUBLE:
        if (isfinite(f->value.d))
            buf_printf(b, "%.6g", f->value.d);
        else
            buf_puts(b, "null");
        break;
    case LOG_BOOL:
        buf_puts(b, f->value.b ? "true" : "false");
        break;
    case LOG_END_OF_FIELDS:
        break;
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    struct buf b = { 0 };
    char now[32];
    clock_format_rfc3339(clock_wall_ns(), now);
    buf_printf(&b, "{\"timestamp\":\"%s\",\"severity\":\"%s\",\"program\":\"%s\",\"event\":", now,
               names[level], log_program);
    put_string(&b, event);
    for (; fields->kind != LOG_END_OF_FIELDS; fields++)
        put_field(&b, fields);
    buf_puts(&b, "}\n");
    /* One write keeps lines whole among threads; a log that cannot be written stops nothing. */
    if (!b.failed && write(log_fd, b.data, b.size) < 0) {
    }
    buf_done(&b);
}
