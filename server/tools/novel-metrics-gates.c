#include "server/tools/novel-metrics-gates.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "rpc/base/alloc.h"
#include "server/tools/novel-metrics-plots.h"

#define NO_LOW  (-INFINITY)
#define NO_HIGH INFINITY

enum { LONG_WORDS = 1400, LONG_TURNS = 25, SET_LEAST = 20 };

struct bounds {
    unsigned which;
    double low, high;
    const char *measure;
};
static const struct bounds text_bounds[] = {
    { ONE_REP4, NO_LOW, 0.010, "rep-4" },
    { ONE_DISTINCT2, 0.865, NO_HIGH, "distinct-2" },
    { ONE_MATTR50, 0.77, 0.86, "MATTR-50" },
    { ONE_MTLD, 67, NO_HIGH, "MTLD" },
    { ONE_ZLIB, NO_LOW, 2.20, "zlib-9 ratio" },
    { ONE_SENTENCE, 9.5, 18, "words a sentence" },
    { ONE_SENTENCE_CV, 0.50, NO_HIGH, "sentence length, CV" },
    { ONE_SHORT, 0.08, 0.46, "sentences of at most 6 words" },
    { ONE_LONG, 0.02, NO_HIGH, "sentences of 25 words or more" },
    { ONE_OPENER, NO_LOW, 0.10, "openers repeated within 5" },
    { ONE_TOP_WORD, NO_LOW, 0.32, "most frequent first word" },
    { ONE_DIALOGUE, 0.12, 0.45, "dialogue" },
    { ONE_PRON_SHARE, 0.40, 0.90, "pronouns among references" },
    { ONE_NAMES, NO_LOW, 0.086, "names per word" },
};
static const struct bounds set_bounds[] = {
    { SET_SHARED5, NO_LOW, 0.16, "5-grams shared" },
    { SET_OWN5, NO_LOW, NO_HIGH, "5-grams shared, without the user's words" },
    { SET_SHARED8, NO_LOW, 0.04, "8-grams shared" },
    { SET_OWN8, NO_LOW, NO_HIGH, "8-grams shared, without the user's words" },
    { SET_SENTENCES, NO_LOW, 0.03, "sentences shared" },
    { SET_SELF_BLEU, NO_LOW, 0.56, "self-BLEU-4" },
    { SET_PAIR_BLEU, NO_LOW, 0.10, "pairwise BLEU-4" },
    { SET_XZ, NO_LOW, 4.5, "xz ratio of the set" },
};
static const struct bounds log_bounds[] = {
    { LOG_VIOLATIONS, NO_LOW, 0, NULL },
    { LOG_CAUSED, 1, NO_HIGH, NULL },
    { LOG_LINKS, 1.35, NO_HIGH, NULL },
    { LOG_BY_OTHERS, 0.70, NO_HIGH, NULL },
    { LOG_ON_PATH, 0.70, NO_HIGH, NULL },
    { LOG_DEAD_ENDS, NO_LOW, 0.20, NULL },
    { LOG_INTENT, 1, NO_HIGH, NULL },
    { LOG_TENSION_R, 0.80, NO_HIGH, NULL },
    { LOG_TENSION_RMSE, NO_LOW, 0.15, NULL },
    { LOG_PEAK, 0.65, NO_HIGH, NULL },
    { LOG_DROP, 0.40, NO_HIGH, NULL },
    { LOG_THREADS, 0.80, NO_HIGH, NULL },
    { LOG_QUESTION, 1, NO_HIGH, NULL },
    { LOG_LEAST_USED, 0.12, NO_HIGH, NULL },
    { LOG_OUT_OF_CHARACTER, NO_LOW, 0.05, NULL },
    { LOG_HESITATE, NO_LOW, 0.03, NULL },
    { LOG_NOUNS, 0.90, NO_HIGH, NULL },
    { LOG_NOUNS_PART, 0.60, NO_HIGH, NULL },
    { LOG_PROVENANCE, 1, NO_HIGH, NULL },
    { LOG_NO_CENTRE, NO_LOW, 0.30, NULL },
    { LOG_ORDER, 0.90, NO_HIGH, NULL },
    { LOG_REWRITTEN, NO_LOW, 0.10, NULL },
};
static const char PART_SET[] = "all texts as a set",
                  PART_MIXED[] = "a text of every seed, requests mixed", PART_PLOTS[] = "plots",
                  PART_RUNS[] = "runs compared";
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static bool within(double value, double low, double high)
{
    const double slack = 1e-9; /* of the sums */
    return value >= low - slack && value <= high + slack;
}
static void add_row(struct gate_table *t, struct gate_row row)
{
    if (t->count == GATE_ROWS_MAX)
        return;
    t->missed += row.state == GATE_MISSED;
    t->rows[t->count++] = row;
}
static enum gate_state state_of(bool bounded, bool holds)
{
    return !bounded ? GATE_NONE : holds ? GATE_OK : GATE_MISSED;
}

/* ---- one text -------------------------------------------------------------------------------- */

/* rep-4 grows with length: a long story may have three times as much. */
static double high_for(const struct sample *x, const struct bounds *b)
{
    bool is_long = x->has_play ? x->play.turns >= LONG_TURNS : x->one[ONE_WORDS] > LONG_WORDS;
    return b->which == ONE_REP4 && is_long ? 0.03 : b->high;
}
static void judge_texts(const struct samples *s, struct gate_table *t)
{
    for (size_t k = 0; k < COUNT(text_bounds); k++) {
        const struct bounds *b = &text_bounds[k];
        struct gate_row row = { .part = "one text", .measure = b->measure, .low = b->low };
        for (size_t i = 0; i < s->count; i++) {
            const struct sample *x = &s->list[i];
            if (!x->has_text)
                continue;
            double high = high_for(x, b);
            row.high = row.samples == 0 || high > row.high ? high : row.high;
            row.value += x->one[b->which];
            row.outside += !within(x->one[b->which], b->low, high);
            row.samples++;
        }
        if (row.samples == 0)
            continue;
        row.value /= (double) row.samples;
        row.state = state_of(true, row.outside * 10 <= row.samples);
        add_row(t, row);
    }
}

/* ---- a set ----------------------------------------------------------------------------------- */

struct chosen { /* texts to compare */
    const struct text_doc **docs;
    const uint64_t **own;
    size_t count;
    bool knows;
};
static void choose(struct chosen *c, const struct sample *x)
{
    if (!x->has_text)
        return;
    c->docs[c->count] = &x->doc;
    c->own[c->count++] = x->own;
    c->knows |= x->own != NULL;
}
static void set_rows(struct gate_table *t, const struct chosen *c, const double m[SET_COUNT],
                     const char *part, bool judged)
{
    for (size_t k = 0; k < COUNT(set_bounds); k++) {
        const struct bounds *b = &set_bounds[k];
        bool is_own = b->which == SET_OWN5 || b->which == SET_OWN8;
        struct gate_row row = { .part = part,
                                .measure = b->measure,
                                .value = m[b->which],
                                .low = b->low,
                                .high = b->high,
                                .samples = c->count };
        if ((is_own && !c->knows) || (b->which == SET_XZ && row.value < 0))
            continue;
        row.state = state_of(judged && !is_own, within(row.value, row.low, row.high));
        add_row(t, row);
    }
}
/* A story of every seed, the requests taking turns; and so again, beginning with another request.
 */
static int judge_mixed(const struct samples *s, unsigned requests, struct chosen *c,
                       struct gate_table *t)
{
    double sum[SET_COUNT] = { 0 }, m[SET_COUNT];
    for (unsigned from = 0; from < requests; from++) {
        c->count = 0;
        for (size_t i = 0; i < s->count; i++)
            if (s->list[i].has_play &&
                s->list[i].request == (s->list[i].play.seed + from) % requests)
                choose(c, &s->list[i]);
        int r = metrics_set(c->docs, c->count, c->own, m);
        if (r != 0)
            return r < 0 ? -1 : 0;
        for (unsigned k = 0; k < SET_COUNT; k++)
            sum[k] += m[k] / requests;
    }
    set_rows(t, c, sum, PART_MIXED, c->count >= SET_LEAST);
    return 0;
}
static int judge_set(const struct samples *s, struct gate_table *t)
{
    struct chosen c = { alloc_zero(s->count + 1, sizeof(*c.docs)),
                        alloc_zero(s->count + 1, sizeof(*c.own)), 0, false };
    unsigned requests = plots_requests(s);
    int r = c.docs == NULL || c.own == NULL ? -1 : 0;
    if (r == 0 && requests > 1)
        r = judge_mixed(s, requests, &c, t);
    c.count = 0;
    for (size_t i = 0; r == 0 && i < s->count; i++)
        choose(&c, &s->list[i]);
    if (r == 0 && c.count > 1 && (r = metrics_set(c.docs, c.count, c.own, t->set)) >= 0)
        t->has_set = r == 0, r = 0;
    /* stories of one request are told, not judged; so are two or three texts */
    if (t->has_set)
        set_rows(t, &c, t->set, PART_SET, requests != 1 && c.count >= SET_LEAST);
    alloc_free(c.docs);
    alloc_free(c.own);
    return r;
}
static int judge_plots(const struct samples *s, struct gate_table *t)
{
    struct plots_measure m;
    int r = plots_measure(s, &m);
    if (r != 0)
        return r < 0 ? -1 : 0;
    bool enough = m.stories >= SET_LEAST;
    struct gate_row signs = { PART_PLOTS,
                              "plots per 100 stories of a request of three",
                              m.signatures_least,
                              40,
                              NO_HIGH,
                              m.stories,
                              0,
                              state_of(m.request_stories >= 100, m.signatures_least >= 40) };
    struct gate_row alike = { PART_PLOTS, "operator bigrams, Jaccard of pairs",
                              m.jaccard,  NO_LOW,
                              0.35,       m.stories,
                              0,          state_of(enough, within(m.jaccard, NO_LOW, 0.35)) };
    struct gate_row across = { PART_PLOTS,
                               "the same of two scenarios, one seed",
                               m.jaccard_across,
                               NO_LOW,
                               0.20,
                               m.stories,
                               0,
                               state_of(enough, within(m.jaccard_across, NO_LOW, 0.20)) };
    if (m.request_stories > 0)
        add_row(t, signs);
    add_row(t, alike);
    if (m.across > 0)
        add_row(t, across);
    return 0;
}

/* ---- logs ------------------------------------------------------------------------------------ */

static void judge_logs(const struct samples *s, struct gate_table *t)
{
    for (size_t k = 0; k < COUNT(log_bounds); k++) {
        const struct bounds *b = &log_bounds[k];
        struct gate_row row = { .part = "log and telling",
                                .measure = metrics_log_name(b->which),
                                .low = b->low,
                                .high = b->high };
        for (size_t i = 0; i < s->count; i++) {
            double v = s->list[i].play.m[b->which];
            if (!s->list[i].has_play || isnan(v))
                continue;
            row.value += v;
            row.outside += !within(v, b->low, b->high);
            row.samples++;
        }
        if (row.samples == 0)
            continue;
        if (b->which != LOG_VIOLATIONS)
            row.value /= (double) row.samples;
        row.state = state_of(true, within(row.value, b->low, b->high));
        add_row(t, row);
    }
}
static void judge_voices(const struct samples *s, struct gate_table *t)
{
    struct gate_row row = { .part = "log and telling",
                            .measure = "speakers told apart (three)",
                            .low = 0.65,
                            .high = NO_HIGH };
    row.value = voice_separability(s, &row.samples);
    if (row.samples == 0)
        return;
    row.outside = row.samples - (size_t) lround(row.value * (double) row.samples);
    row.state = state_of(row.samples >= SET_LEAST, within(row.value, row.low, row.high));
    add_row(t, row);
}
int gates_judge(const struct samples *s, struct gate_table *out)
{
    memset(out, 0, sizeof(*out));
    judge_texts(s, out);
    if (judge_set(s, out) != 0 || judge_plots(s, out) != 0)
        return -1;
    judge_logs(s, out);
    judge_voices(s, out);
    return 0;
}

void gates_add(struct gate_table *t, const char *measure, double value, double low, size_t samples)
{
    struct gate_row row = { .part = PART_RUNS,
                            .measure = measure,
                            .value = value,
                            .low = low,
                            .high = NO_HIGH,
                            .samples = samples,
                            .state = state_of(true, within(value, low, NO_HIGH)) };
    add_row(t, row);
}

/* ---- printing -------------------------------------------------------------------------------- */

void gate_bounds_text(const struct gate_row *row, char out[static 32])
{
    if (isinf(row->low) && isinf(row->high))
        snprintf(out, 32, "-");
    else if (isinf(row->low))
        snprintf(out, 32, "<= %g", row->high);
    else if (isinf(row->high))
        snprintf(out, 32, ">= %g", row->low);
    else
        snprintf(out, 32, "%g .. %g", row->low, row->high);
}
size_t gates_judged(const struct gate_table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++)
        n += t->rows[i].state != GATE_NONE;
    return n;
}
bool gate_counts(const struct gate_row *row)
{
    return row->samples > 1 && row->part != PART_SET && row->part != PART_MIXED &&
           row->part != PART_PLOTS && row->part != PART_RUNS;
}
static const char *state_name(enum gate_state state)
{
    return state == GATE_OK ? "ok" : state == GATE_MISSED ? "missed" : "-";
}
void gates_text(const struct gate_table *t, struct buf *out)
{
    const char *part = "";
    for (size_t i = 0; i < t->count; i++) {
        const struct gate_row *r = &t->rows[i];
        char bounds[32];
        if (strcmp(part, r->part) != 0)
            buf_printf(out, "%s%-46s %9s  %-14s %-7s %s\n", i > 0 ? "\n" : "", r->part, "value",
                       "gate", "", "outside");
        part = r->part;
        gate_bounds_text(r, bounds);
        buf_printf(out, "  %-44s %9.3f  %-14s %-7s", r->measure, r->value, bounds,
                   state_name(r->state));
        if (gate_counts(r))
            buf_printf(out, " %zu of %zu", r->outside, r->samples);
        buf_putc(out, '\n');
    }
    buf_printf(out, "\n%zu of %zu gates missed\n", t->missed, gates_judged(t));
}
static void json_string(struct buf *out, const char *s)
{
    buf_putc(out, '"');
    for (; *s != 0; s++) {
        if (*s == '"' || *s == '\\')
            buf_putc(out, '\\');
        if ((unsigned char) *s < 0x20)
            buf_printf(out, "\\u%04x", (unsigned char) *s);
        else
            buf_putc(out, *s);
    }
    buf_putc(out, '"');
}
static void json_number(struct buf *out, const char *name, double value, bool first)
{
    if (!first)
        buf_putc(out, ',');
    json_string(out, name);
    if (isfinite(value))
        buf_printf(out, ":%.12g", value);
    else
        buf_puts(out, ":null");
}
static void json_sample(const struct sample *x, struct buf *out)
{
    buf_puts(out, "{\"name\":");
    json_string(out, x->name);
    if (x->has_text) {
        buf_puts(out, ",\"text\":{");
        for (unsigned k = 0; k < ONE_COUNT; k++)
            json_number(out, metrics_one_name(k), x->one[k], k == 0);
        buf_putc(out, '}');
    }
    if (x->has_play) {
        buf_puts(out, ",\"plot\":");
        json_string(out, x->play.signature);
        buf_puts(out, ",\"log\":{");
        for (unsigned k = 0; k < LOG_COUNT; k++)
            json_number(out, metrics_log_name(k), x->play.m[k], k == 0);
        buf_putc(out, '}');
    }
    buf_putc(out, '}');
}
void gates_json(const struct samples *s, const struct gate_table *t, struct buf *out)
{
    buf_puts(out, "{\"texts\":[");
    for (size_t i = 0; i < s->count; i++) {
        if (i > 0)
            buf_putc(out, ',');
        json_sample(&s->list[i], out);
    }
    buf_putc(out, ']');
    if (t->has_set) {
        buf_puts(out, ",\"set\":{");
        for (unsigned k = 0; k < SET_FROZEN_COUNT; k++)
            json_number(out, metrics_set_name(k), k == SET_XZ && t->set[k] < 0 ? NAN : t->set[k],
                        k == 0);
        buf_putc(out, '}');
    }
    buf_puts(out, ",\"gates\":[");
    for (size_t i = 0; i < t->count; i++) {
        const struct gate_row *r = &t->rows[i];
        buf_puts(out, i > 0 ? ",{\"part\":" : "{\"part\":");
        json_string(out, r->part);
        buf_puts(out, ",\"measure\":");
        json_string(out, r->measure);
        json_number(out, "value", r->value, false);
        json_number(out, "low", r->low, false);
        json_number(out, "high", r->high, false);
        buf_printf(out, ",\"samples\":%zu,\"outside\":%zu,\"state\":", r->samples, r->outside);
        json_string(out, r->state == GATE_NONE ? "told" : state_name(r->state));
        buf_putc(out, '}');
    }
    buf_printf(out, "],\"missed\":%zu}\n", t->missed);
}
