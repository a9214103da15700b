/* novel-metrics-gates.h — the gates: every measure with its value over all samples, what it must be
 * and whether it is.  A gate that is missed is a row like any other; nothing is left out. */
#ifndef NOVEL_METRICS_GATES_H
#define NOVEL_METRICS_GATES_H
#include "server/tools/novel-metrics-sample.h"
#include "server/tools/novel-metrics-set.h"

enum gate_state { GATE_NONE, GATE_OK, GATE_MISSED };
struct gate_row {
    const char *part; /* "one text", "all texts as a set" … */
    const char *measure;
    double value;            /* of one sample; over several: the mean */
    double low, high;        /* -INFINITY, INFINITY: no bound */
    size_t samples, outside; /* that have the value; that lie outside the bounds */
    enum gate_state state;
};
enum { GATE_ROWS_MAX = 96 };
struct gate_table {
    struct gate_row rows[GATE_ROWS_MAX];
    size_t count, missed;
    double set[SET_COUNT];
    bool has_set;
};
/* How one row of several samples is judged: a text measure's bounds are the 5th and 95th percentile
 * of printed fiction, so that nine texts of ten must lie within; a measure of logs holds by its
 * mean, law violations by their sum.  0, or -1 without memory. */
int gates_judge(const struct samples *s, struct gate_table *out);
bool gate_counts(const struct gate_row *row); /* whether `outside` says something */
size_t gates_judged(const struct gate_table *t);
/* Adds a row that the samples do not show; bounds as in struct gate_row. */
void gates_add(struct gate_table *t, const char *measure, double value, double low, size_t samples);
void gate_bounds_text(const struct gate_row *row, char out[static 32]); /* ">= 0.865" */
void gates_text(const struct gate_table *t, struct buf *out);
/* One object: texts with all measures, the set's, the gates. */
void gates_json(const struct samples *s, const struct gate_table *t, struct buf *out);

#endif
