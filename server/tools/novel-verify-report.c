#include <stdio.h>

#include "rpc/base/sha256.h"
#include "server/tools/novel-verify.h"

void verify_code_name(unsigned code, char out[static 16])
{
    static const char *names[] = { "FORMAT",  "DIGEST",  "CHAIN",   "ORDER",   "TIME",   "PLACE",
                                   "WITNESS", "TENSION", "UTILITY", "VERDICT", "THREAD", "COST" };
    if (code >= VERIFY_FORMAT && code - VERIFY_FORMAT < sizeof(names) / sizeof(names[0]))
        (void) snprintf(out, 16, "%s", names[code - VERIFY_FORMAT]);
    else
        (void) snprintf(out, 16, "E%03u.%u", code >> 4 & 15, code & 15);
}

static void put_violation(const struct verify_violation *v, struct buf *out)
{
    char code[16];
    verify_code_name(v->code, code);
    if (v->sequence != 0) {
        buf_printf(out, "  event %u (turn %u, pass %u), ", v->sequence, v->turn, v->pass);
        if (v->actor[0] != '\0')
            buf_printf(out, "%s, ", v->actor);
        buf_printf(out, "%s: ", v->op);
    } else {
        buf_puts(out, "  the file: ");
    }
    buf_printf(out, "%s: %s\n", code, v->text);
}

void verify_report_text(const struct verify_report *report, const char *file, struct buf *out)
{
    char head[65], story[65];
    sha256_hex(report->head, head);
    sha256_hex(report->story, story);
    buf_printf(out, "%s: %s%s: %u event%s, head %s, story digest %s, %llu violation%s\n", file,
               report->violations == 0 ? "verified" : "NOT VERIFIED",
               report->complete ? "" : " (unfinished)", report->events,
               report->events == 1 ? "" : "s", head, report->has_story ? story : "none",
               (unsigned long long) report->violations, report->violations == 1 ? "" : "s");
    for (size_t i = 0; i < report->listed; i++)
        put_violation(&report->list[i], out);
    if (report->violations > report->listed)
        buf_printf(out, "  and %llu more\n",
                   (unsigned long long) (report->violations - report->listed));
}

/* Texts hold no control characters but may hold quotes, backslashes, and in a file's name any byte.
 */
static void put_json_string(const char *s, struct buf *out)
{
    buf_putc(out, '"');
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char) *s;
        if (c == '"' || c == '\\')
            buf_putc(out, '\\');
        if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_putc(out, (char) c);
    }
    buf_putc(out, '"');
}

static void put_json_violation(const struct verify_violation *v, struct buf *out)
{
    char code[16];
    verify_code_name(v->code, code);
    buf_printf(out, "{\"code\":\"%s\"", code);
    if (v->sequence != 0) {
        buf_printf(out, ",\"sequence\":%u,\"turn\":%u,\"pass\":%u", v->sequence, v->turn, v->pass);
        if (v->actor[0] != '\0') {
            buf_puts(out, ",\"actor\":");
            put_json_string(v->actor, out);
        }
        buf_puts(out, ",\"operator\":");
        put_json_string(v->op, out);
    }
    buf_puts(out, ",\"text\":");
    put_json_string(v->text, out);
    buf_putc(out, '}');
}

void verify_report_json(const struct verify_report *report, const char *file, struct buf *out)
{
    char hex[65];
    buf_puts(out, "{\"file\":");
    put_json_string(file, out);
    sha256_hex(report->head, hex);
    buf_printf(out,
               ",\"verified\":%s,\"complete\":%s,\"events\":%u,\"head\":\"%s\",\"story_digest\":",
               report->violations == 0 ? "true" : "false", report->complete ? "true" : "false",
               report->events, hex);
    sha256_hex(report->story, hex);
    buf_printf(out, report->has_story ? "\"%s\"" : "null", hex);
    buf_printf(out, ",\"violation_count\":%llu,\"violations\":[",
               (unsigned long long) report->violations);
    for (size_t i = 0; i < report->listed; i++) {
        if (i > 0)
            buf_putc(out, ',');
        put_json_violation(&report->list[i], out);
    }
    buf_puts(out, "]}");
}
