#include "gateway/access_log.h"

#include <string.h>
#include <unistd.h>

#include "gateway/json_writer.h"
#include "rpc/base/clock.h"
#include "rpc/base/log.h"

enum { FLUSH_BYTES = 32768, FLUSH_MS = 100 };

void access_log_flush(struct gateway_loop *gl)
{
    timer_stop(&gl->log_timer);
    /* A log that cannot be written stops nothing. */
    if (gl->log.size > 0 && !gl->log.failed &&
        write(STDOUT_FILENO, gl->log.data, gl->log.size) < 0) {
    }
    buf_reset(&gl->log);
}

static void on_timer(struct timer *t)
{
    access_log_flush(LIST_ENTRY(t, struct gateway_loop, log_timer));
}

void access_log_start(struct gateway_loop *gl)
{
    timer_init(&gl->log_timer, gl->loop, on_timer);
}

static void put_text(struct buf *b, const char *key, const char *value)
{
    buf_puts(b, key);
    json_put_lossy(b, value, strlen(value));
}

void access_log_add(struct gateway_loop *gl, const struct access_entry *e)
{
    struct buf *b = &gl->log;
    uint64_t now_ms = loop_now_ns(gl->loop) / 1000000;
    if (!log_enabled(LOG_LEVEL_INFO))
        return;
    if (now_ms != gl->log_time_ms || gl->log_time[0] == '\0') {
        clock_format_rfc3339(clock_wall_ns(), gl->log_time);
        gl->log_time_ms = now_ms;
    }
    buf_puts(b, "{\"timestamp\":\"");
    buf_puts(b, gl->log_time);
    buf_puts(b, "\",\"severity\":\"info\",\"program\":\"novel-gateway\",\"event\":\"request\"");
    put_text(b, ",\"method\":", e->method);
    put_text(b, ",\"route\":", e->route);
    buf_puts(b, ",\"status\":");
    buf_put_u64(b, (uint64_t) e->status);
    buf_puts(b, ",\"bytes\":");
    buf_put_u64(b, e->bytes);
    buf_printf(b, ",\"duration_ms\":%u.%03u", (unsigned) (e->duration_us / 1000),
               (unsigned) (e->duration_us % 1000));
    put_text(b, ",\"request_id\":", e->request_id);
    put_text(b, ",\"peer\":", e->peer);
    buf_puts(b, "}\n");
    if (b->size >= FLUSH_BYTES || b->failed)
        access_log_flush(gl);
    else if (!timer_running(&gl->log_timer))
        timer_start(&gl->log_timer, FLUSH_MS);
}
