#include "server/tools/novel-metrics-log.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include "server/tools/novel-metrics-graph.h"

static const char *const names[LOG_COUNT] = {
    "law violations",
    "acts with a cause",
    "causal links per told event",
    "acts caused by others",
    "told events on the path",
    "told dead ends",
    "acts with a motive",
    "tension fit r",
    "tension fit RMSE",
    "tension peak at",
    "tension's final drop",
    "threads closed",
    "question settled",
    "least used of the cast",
    "out of character",
    "hesitations",
    "nouns of the user told",
    "nouns of the user at work",
    "sentences with provenance",
    "sentences without a centre",
    "order beats shuffles",
    "rewritten by self-audit",
};
const char *metrics_log_name(enum metrics_log which)
{
    return which < LOG_COUNT ? names[which] : "";
}

enum { LONG_ENOUGH = 5, SMALL_CAST = 4 };

/* ---- tension --------------------------------------------------------------------------------- */

static void tension_follow(const struct metrics_played *p, struct metrics_play *out)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct nvl_event *e = &p->events[i];
        if (e->turn < 1 || e->turn > NVL_TURNS_MAX || e->type == NVL_COMPLETED ||
            e->type == NVL_CANCELLED)
            continue;
        out->tension[e->turn - 1] = e->tension;
        out->target[e->turn - 1] = e->tension_target;
        out->turns_played = e->turn > out->turns_played ? e->turn : out->turns_played;
    }
}
static void tension_measure(struct metrics_play *out)
{
    double n = out->turns_played, a = 0, b = 0, ab = 0, aa = 0, bb = 0, off = 0;
    unsigned peak = 0, least = 100, most = 0;
    if (out->turns_played < LONG_ENOUGH)
        return;
    for (unsigned i = 0; i < out->turns_played; i++) {
        a += out->tension[i] / n, b += out->target[i] / n;
        peak = out->tension[i] >= out->tension[peak] ? i : peak;
        least = out->tension[i] < least ? out->tension[i] : least;
        most = out->tension[i] > most ? out->tension[i] : most;
    }
    for (unsigned i = 0; i < out->turns_played; i++) {
        double x = out->tension[i] - a, y = out->target[i] - b;
        double d = (double) out->tension[i] - out->target[i];
        ab += x * y, aa += x * x, bb += y * y, off += d * d;
    }
    out->m[LOG_TENSION_R] = aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
    out->m[LOG_TENSION_RMSE] = sqrt(off / n) / 100;
    out->m[LOG_PEAK] = (peak + 1) / n;
    out->m[LOG_DROP] =
        most > least ? (double) (most - out->tension[out->turns_played - 1]) / (most - least) : 0;
}

/* ---- people and threads ---------------------------------------------------------------------- */

static void acts_measure(const struct metrics_played *p, const struct log_graph *g,
                         struct metrics_play *out)
{
    size_t acts = 0, odd = 0, hesitations = 0, told[NVL_CAST_MAX] = { 0 }, all = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct nvl_event *e = &p->events[i];
        if (!log_is_act(e) && e->type != NVL_REACTION)
            continue;
        if (g->told[i] && e->actor < out->cast)
            told[e->actor]++, all++;
        if (!log_is_act(e))
            continue;
        acts++;
        hesitations += strcmp(nvl_event_op_name(p->world, e), "hesitate") == 0;
        odd += e->terms[2] < -120 && e->terms[0] + e->terms[1] + e->terms[3] + e->terms[5] < 150;
    }
    size_t least = all;
    for (size_t c = 0; c < out->cast; c++)
        least = told[c] < least ? told[c] : least;
    out->m[LOG_HESITATE] = log_share(hesitations, acts, 0);
    out->m[LOG_OUT_OF_CHARACTER] = log_share(odd, acts, 0);
    if (out->cast <= SMALL_CAST)
        out->m[LOG_LEAST_USED] = log_share(least, all, 0);
}
static void threads_measure(const struct metrics_played *p, struct metrics_play *out)
{
    uint8_t state[256][256] = { { 0 } }; /* 1 open, 2 closed */
    size_t opened = 0, closed = 0;
    for (size_t i = 0; i < p->count; i++)
        for (unsigned k = 0; k < p->events[i].threads_count; k++) {
            const struct nvl_thread_ref *t = &p->events[i].threads[k];
            uint8_t *s = &state[t->thread][t->about];
            opened += t->change == NVL_THREAD_OPENED && *s == 0;
            closed += t->change == NVL_THREAD_CLOSED && *s == 1;
            *s = t->change == NVL_THREAD_CLOSED ? 2 : *s == 0 ? 1 : *s;
        }
    if (out->turns_played >= LONG_ENOUGH)
        out->m[LOG_THREADS] = log_share(closed, opened, 1);
}

/* ---- the telling ----------------------------------------------------------------------------- */

/* Whether a word of the text begins with the noun, in any case: its plural counts. */
static bool stands_in(const char *text, const char *noun)
{
    for (const char *at = text; (at = strcasestr(at, noun)) != NULL; at++)
        if (at == text || !isalnum((unsigned char) at[-1]))
            return true;
    return false;
}
static bool passage_has(const struct nvl_passage *p, const char *noun)
{
    for (size_t k = 0; k < p->sentences_count; k++)
        if (stands_in(p->sentences[k].text, noun))
            return true;
    return false;
}
/* Whether something made of the noun takes part in an event. */
static bool takes_part(const struct metrics_played *p, const char *noun)
{
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < p->events[i].args_count; k++) {
            enum nvl_sort sort = nvl_event_arg_sort(p->world, &p->events[i], k);
            if (sort == NVL_SORT_NONE || p->events[i].args[k] >= nvl_world_count(p->world, sort))
                continue;
            const struct nvl_entity *e = nvl_world_entity(p->world, sort, p->events[i].args[k]);
            if (e != NULL && e->from_user && stands_in(e->name, noun))
                return true;
        }
    return false;
}
static void nouns_measure(const struct metrics_played *p, struct metrics_play *out)
{
    size_t nouns = nvl_world_noun_count(p->world), told = 0, work = 0;
    for (size_t i = 0; i < nouns; i++) {
        bool placed;
        const char *noun = nvl_world_noun(p->world, i, &placed);
        size_t scenes = 0;
        for (size_t k = 0; k < p->story->passages_count; k++)
            scenes += passage_has(&p->story->passages[k], noun);
        told += scenes > 0;
        work += scenes > 1 || takes_part(p, noun);
    }
    out->m[LOG_NOUNS] = log_share(told, nouns, NAN);
    out->m[LOG_NOUNS_PART] = log_share(work, nouns, NAN);
}

/* ---- plot ------------------------------------------------------------------------------------ */

/* The last value of fluent(a), or the first that is not what it began with. */
static int cell_value(const struct metrics_played *p, const char *fluent, unsigned a, bool first)
{
    int f = nvl_pack_fluent_find(nvl_world_pack(p->world), fluent);
    int cell = f < 0 ? -1 : nvl_world_cell(p->world, (size_t) f, a, 0);
    if (cell < 0)
        return 0;
    int value = nvl_world_initial(p->world)[cell];
    for (size_t i = 0; i < p->count; i++)
        for (unsigned k = 0; k < p->events[i].deltas_count; k++)
            if (p->events[i].deltas[k].cell == cell) {
                value = p->events[i].deltas[k].after;
                if (first)
                    return value;
            }
    return value;
}
static const char *sign(const struct metrics_played *p, struct arena *arena,
                        const struct metrics_play *play)
{
    char payers[NVL_CAST_MAX + 1] = { 0 };
    for (unsigned c = 0; c < play->cast && c < NVL_CAST_MAX; c++)
        payers[c] = cell_value(p, "paid", c, false) > 0 ? (char) ('1' + c) : '-';
    return arena_printf(arena, "%s / %s / %s / arc %d / paid %s", play->frame, play->truth,
                        play->ending, cell_value(p, "arc", 0, true), payers);
}
static int operators_list(const struct metrics_played *p, struct text_table *table,
                          struct arena *arena, struct metrics_play *out)
{
    out->operators = arena_zero(arena, p->count + 1, sizeof(*out->operators));
    if (out->operators == NULL)
        return -1;
    for (size_t i = 0; i < p->count; i++) {
        const struct nvl_event *e = &p->events[i];
        if (e->op == NVL_NO_OP || e->type == NVL_REJECTED)
            continue;
        const char *name = nvl_event_op_name(p->world, e);
        uint32_t id = text_table_id(table, name, strlen(name));
        if (id == UINT32_MAX)
            return -1;
        out->operators[out->operators_count++] = id;
    }
    return 0;
}
static const char *kept(struct arena *arena, const char *s)
{
    return arena_strndup(arena, s, strlen(s));
}
int metrics_log(const struct metrics_played *p, struct text_table *operators, struct arena *arena,
                struct metrics_play *out)
{
    struct metrics_play play = { .seed = nvl_world_seed(p->world),
                                 .turns = nvl_world_turns(p->world),
                                 .cast = (uint32_t) nvl_world_cast_count(p->world) };
    struct log_graph g;
    for (size_t c = 0; c < play.cast; c++)
        for (const char *id = nvl_entity_id(p->world, NVL_SORT_CHAR, (unsigned) c);; id++) {
            play.people = (play.people ^ (unsigned char) *id) * 0x100000001b3u;
            if (*id == 0)
                break;
        }
    for (size_t i = 0; i < LOG_COUNT; i++)
        play.m[i] = NAN;
    play.frame = kept(arena, nvl_world_frame(p->world));
    play.truth = kept(arena, nvl_world_truth(p->world));
    play.ending = kept(arena, p->story->ending);
    play.title = kept(arena, p->story->title);
    if (play.frame == NULL || play.truth == NULL || play.ending == NULL || play.title == NULL ||
        (play.signature = sign(p, arena, &play)) == NULL || log_graph(p, arena, &g) != 0 ||
        operators_list(p, operators, arena, &play) != 0)
        return -1;
    play.m[LOG_VIOLATIONS] = (double) p->violations;
    play.m[LOG_QUESTION] = play.ending[0] != 0;
    log_graph_measure(&g, play.m);
    log_speech_measure(p, play.cast, play.voices);
    tension_follow(p, &play);
    tension_measure(&play);
    acts_measure(p, &g, &play);
    threads_measure(p, &play);
    if (log_sentences_measure(p, arena, play.m) != 0)
        return -1;
    nouns_measure(p, &play);
    *out = play;
    return 0;
}
