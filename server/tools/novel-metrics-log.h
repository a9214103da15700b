/* novel-metrics-log.h — the measures that need a log: causes, intent, tension, threads, and what of
 * it the telling used. */
#ifndef NOVEL_METRICS_LOG_H
#define NOVEL_METRICS_LOG_H
#include "server/narrator/narrator.h"
#include "server/tools/novel-metrics-text.h"
#include "server/tools/novel-metrics-voice.h"

enum metrics_log {
    LOG_VIOLATIONS, /* found by the checker, which also recomputes every tension value */
    LOG_CAUSED,
    LOG_LINKS,
    LOG_BY_OTHERS,
    LOG_ON_PATH,
    LOG_DEAD_ENDS,
    LOG_INTENT,
    LOG_TENSION_R,
    LOG_TENSION_RMSE,
    LOG_PEAK,
    LOG_DROP,
    LOG_THREADS,
    LOG_QUESTION,
    LOG_LEAST_USED,
    LOG_OUT_OF_CHARACTER,
    LOG_HESITATE,
    LOG_NOUNS,
    LOG_NOUNS_PART,
    LOG_PROVENANCE,
    LOG_NO_CENTRE,
    LOG_ORDER,
    LOG_REWRITTEN,
    LOG_COUNT
};
const char *metrics_log_name(enum metrics_log which);

struct metrics_play {    /* strings and arrays live in the arena */
    double m[LOG_COUNT]; /* NAN: does not apply to this story */
    const char *frame, *truth, *ending, *title;
    const char *signature; /* frame, truth, ending, relationship arc, who paid */
    uint64_t seed;
    uint32_t turns, cast;
    uint64_t people; /* the same for stories of the same cast in the same order */
    uint8_t tension[NVL_TURNS_MAX], target[NVL_TURNS_MAX]; /* after each turn */
    uint32_t turns_played;
    uint32_t *operators; /* what happened, in order: numbers of the operator table */
    size_t operators_count;
    struct voice voices[NVL_CAST_MAX]; /* of the cast */
};

struct metrics_played { /* one log and its telling */
    const struct nvl_world *world;
    const struct nvl_event *events; /* sequence 1 first, no gap */
    size_t count;
    const struct nvl_story *story;
    uint64_t violations;
};
/* Operators are numbered by name in `operators`.  0, or -1 without memory. */
int metrics_log(const struct metrics_played *played, struct text_table *operators,
                struct arena *arena, struct metrics_play *out);

#endif
