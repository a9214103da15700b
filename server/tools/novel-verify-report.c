#include <stdio.h>

#include "rpc/base/sha256.h"
#include "server/tools/novel-verify.h"

void verify_code_name(unsigned code, char out[static 16])
{
    static const char *names[] = { "FORMAT",  "DIGEST",  "CHAIN",   "ORDER",   "TIME",   "PLACE",
                                   "WITNESS", "TENSION", "UTILITY", "VERDICT", "THREAD", "COST",
                                   "GOAL" };
    if (code >= VERIFY_FORMAT && code - VERIFY_FORMAT < sizeof(names) / sizeof(names[0]))
        (void) snprintf(out, 16, "%s", names[code - VERIFY_FORMAT]);
    else
        (void) snprintf(out, 16, "E%03u.%u", code >> 4 & 15, code & 15);
}

const char *verify_code_text(unsigned code)
{
    static const char *const laws[6][5] = {
        [1] = { "", "it lacks a cause that it must have, or names a false one",
                "its actor could not know what it rests on",
                "what it changes does not follow from what was done" },
        [2] = { "", "a value leaves its range", "skill, tool or supply is lacking",
                "an item is in two places, or in none" },
        [3] = { "", "place or way do not allow it", "the body does not allow it",
                "more time or places than one has" },
        [4] = { "", "a rule forbids it", "what is settled for good changes",
                "it is out of character, and nothing presses", "a closed thread moves again" },
        [5] = { "", "it defies somebody of higher standing without motive",
                "it betrays somebody who is trusted, without motive",
                "there is nothing of the kind to speak of" },
    };
    static const char *const others[] = {
        "its bytes are not as the format has them",
        "a digest does not fit what it names",
        "the head is not that of the events",
        "it stands where it can't stand",
        "it has the wrong minute",
        "it has the wrong place",
        "others were there to see it",
        "the tension is another",
        "the reasons do not add up to the choice",
        "the verdict does not fit",
        "a thread moves that is not open",
        "it takes more work than any event may",
        "it is no step to the goal that it names",
    };
    if (code >= VERIFY_FORMAT)
        return code - VERIFY_FORMAT < sizeof(others) / sizeof(others[0])
                   ? others[code - VERIFY_FORMAT]
                   : "";
    const char *text = code >> 4 <= 5 && (code & 15) <= 4 ? laws[code >> 4][code & 15] : NULL;
    return text != NULL ? text : "";
}

static const struct verify_violation *first_bad(const struct verify_report *report)
{
    const struct verify_violation *first = NULL;
    for (size_t i = 0; i < report->listed; i++)
        if (report->list[i].sequence != 0 &&
            (first == NULL || report->list[i].sequence < first->sequence))
            first = &report->list[i];
    return first;
}

uint32_t verify_first_bad(const struct verify_report *report)
{
    const struct verify_violation *first = first_bad(report);
    return first != NULL ? first->sequence : 0;
}

static void put_first(const struct verify_report *report, struct buf *out)
{
    const struct verify_violation *first = first_bad(report);
    char code[16];
    if (first == NULL)
        return;
    verify_code_name(first->code, code);
    buf_printf(out, "  the first bad event is %u: %s, %s\n", first->sequence, code,
               verify_code_text(first->code));
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
    put_first(report, out);
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
    buf_printf(out, "{\"code\":\"%s\",\"meaning\":\"%s\"", code, verify_code_text(v->code));
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
    uint32_t first = verify_first_bad(report);
    if (first != 0)
        buf_printf(out, ",\"first_bad_event\":%u", first);
    else
        buf_puts(out, ",\"first_bad_event\":null");
    buf_printf(out, ",\"violation_count\":%llu,\"violations\":[",
               (unsigned long long) report->violations);
    for (size_t i = 0; i < report->listed; i++) {
        if (i > 0)
            buf_putc(out, ',');
        put_json_violation(&report->list[i], out);
    }
    buf_puts(out, "]}");
}
