/* novel-metrics-graph.h — the graph of causes of a log, and what of it is told. */
#ifndef NOVEL_METRICS_GRAPH_H
#define NOVEL_METRICS_GRAPH_H
#include "server/tools/novel-metrics-log.h"

struct log_graph {
    const struct metrics_played *p;
    uint8_t *told;    /* per event: a sentence tells it */
    uint8_t *moves;   /* per event: a change of place and nothing else */
    uint8_t *follows; /* per event: comes of the inciting incident */
    uint8_t *leads;   /* per event: leads to the ending */
    uint8_t *used;    /* per event: leads to another event that is told */
};
/* 0, or -1 without memory. */
int log_graph(const struct metrics_played *played, struct arena *arena, struct log_graph *out);
/* CAUSED .. DEAD_ENDS and INTENT. */
void log_graph_measure(const struct log_graph *g, double m[static LOG_COUNT]);

/* PROVENANCE, NO_CENTRE, ORDER and REWRITTEN: novel-metrics-centre.c.  0, or -1 without memory. */
int log_sentences_measure(const struct metrics_played *played, struct arena *arena,
                          double m[static LOG_COUNT]);

/* Who says what: novel-metrics-speech.c.  Adds to out. */
void log_speech_measure(const struct metrics_played *played, unsigned cast,
                        struct voice out[static NVL_CAST_MAX]);

static inline bool log_is_act(const struct nvl_event *e)
{
    return e->type == NVL_ACTION || e->type == NVL_SPEECH || e->type == NVL_THOUGHT;
}
static inline double log_share(size_t part, size_t whole, double when_none)
{
    return whole > 0 ? (double) part / (double) whole : when_none;
}

#endif
