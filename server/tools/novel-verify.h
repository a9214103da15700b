/* novel-verify.h — the independent checker of story logs.  Written from docs/log-format.md alone:
 * it shares no code with the engine, so that a mistake of the engine cannot hide in its judge.
 * Reads hostile files: every offset is checked, every loop is bounded by a limit below, no
 * recursion.  Functions are pure; any thread. */
#ifndef NOVEL_VERIFY_H
#define NOVEL_VERIFY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/base/buf.h"

enum {
    VERIFY_FILE_MAX = 64 << 20,  /* bytes of a log */
    VERIFY_EVENTS_MAX = 8192,    /* the engine's own hard limit */
    VERIFY_LISTED_MAX = 20,      /* violations kept with their sentence; all are counted */
    VERIFY_EVENT_FUEL = 200000,  /* byte code steps that one event may cost */
    VERIFY_CODE_STEPS_MAX = 512, /* instructions of one expression */
};

enum verify_result {
    VERIFY_DONE = 0, /* the report says how it went */
    VERIFY_NO_MEMORY = -1,
    VERIFY_NOT_A_LOG = -2, /* does not begin like a log */
};

/* A law's code is law * 16 + sub-code (docs/log-format.md, 9); the others have names. */
enum verify_code {
    VERIFY_CAUSE = 0x11,
    VERIFY_UNKNOWABLE = 0x12,
    VERIFY_EFFECT = 0x13,
    VERIFY_RANGE = 0x21,
    VERIFY_SUPPLY = 0x22,
    VERIFY_ITEM = 0x23,
    VERIFY_WAY = 0x31,
    VERIFY_BODY = 0x32,
    VERIFY_TWICE = 0x33,
    VERIFY_BAN = 0x41,
    VERIFY_CANON = 0x42,
    VERIFY_PERSONA = 0x43,
    VERIFY_REOPENED = 0x44,
    VERIFY_DEFIES = 0x51,
    VERIFY_BETRAYS = 0x52,
    VERIFY_SPEECH = 0x53,
    VERIFY_FORMAT = 0x100, /* the bytes are not what the format allows */
    VERIFY_DIGEST,         /* a digest does not fit what it names */
    VERIFY_CHAIN,          /* the head is not that of the events */
    VERIFY_ORDER,          /* sequence, pass, turn, phase, or who acts when */
    VERIFY_TIME,           /* the minute */
    VERIFY_PLACE,          /* the event's place */
    VERIFY_WITNESS,        /* the witnesses */
    VERIFY_TENSION,        /* a tension value */
    VERIFY_UTILITY,        /* sum of the terms, order of the alternatives */
    VERIFY_VERDICT,        /* verdict, repair, codes or reason */
    VERIFY_THREAD,         /* a thread that moves without being open */
    VERIFY_COST,           /* more work than a log of this size may ask for */
    VERIFY_GOAL,           /* an act that is no step to the goal it names */
};

struct verify_violation {
    uint32_t sequence; /* 0: the file, no event */
    uint16_t turn, pass;
    uint16_t code;  /* enum verify_code */
    char actor[64]; /* "" without one */
    char op[64];    /* operator's name, or the event's type */
    char text[320];
};

struct verify_report {
    bool complete; /* ends with COMPLETED or CANCELLED */
    bool has_story;
    uint32_t events;   /* that were read */
    uint8_t head[32];  /* computed from the events */
    uint8_t story[32]; /* as the trailer says */
    uint64_t violations;
    size_t listed;
    struct verify_violation list[VERIFY_LISTED_MAX];
};

/* Checks a whole log.  *out_report is written for VERIFY_DONE only. */
int verify_log_check(const uint8_t *data, size_t size, struct verify_report *out_report);

/* "E003.1", or "FORMAT" and the like. */
void verify_code_name(unsigned code, char out[static 16]);
/* What the code is about, for people: "an act that is no step to the goal it names". */
const char *verify_code_text(unsigned code);
/* The first event that something is said of; 0: none, or only the file. */
uint32_t verify_first_bad(const struct verify_report *report);
/* One line for a sound log; for a broken one a line, one that names the first bad
 * event and the law it breaks, and one more per listed violation. */
void verify_report_text(const struct verify_report *report, const char *file, struct buf *out);
/* One JSON object, no newline at its end. */
void verify_report_json(const struct verify_report *report, const char *file, struct buf *out);

#endif
