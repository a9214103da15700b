#include "server/tools/novel-metrics-graph.h"

#include <math.h>
#include <string.h>

static bool of_family(const struct metrics_played *p, const struct nvl_event *e, const char *family)
{
    struct nvl_op_info info;
    if (e->op == NVL_NO_OP)
        return false;
    nvl_pack_op(nvl_world_pack(p->world), e->op, &info);
    return strcmp(info.family, family) == 0;
}
static void mark_told(struct log_graph *g)
{
    const struct nvl_story *s = g->p->story;
    for (size_t i = 0; i < s->passages_count; i++)
        for (size_t k = 0; k < s->passages[i].sentences_count; k++) {
            const struct nvl_sentence *x = &s->passages[i].sentences[k];
            for (size_t n = 0; n < x->events_count; n++)
                if (x->events[n] >= 1 && x->events[n] <= g->p->count)
                    g->told[x->events[n] - 1] = 1;
        }
}
/* The event that opened a thread which event `end` closes; 0 (STARTED) when there is none. */
static size_t opener_of(const struct metrics_played *p, size_t end)
{
    const struct nvl_event *e = &p->events[end];
    for (size_t i = 1; i < end; i++)
        for (unsigned k = 0; k < p->events[i].threads_count; k++)
            for (unsigned n = 0; n < e->threads_count; n++)
                if (e->threads[n].change == NVL_THREAD_CLOSED &&
                    p->events[i].threads[k].change == NVL_THREAD_OPENED &&
                    p->events[i].threads[k].thread == e->threads[n].thread)
                    return i;
    return 0;
}
/* The inciting incident is what raised the question that the ending settles; where no ending says
 * so, it is the first incident of the story. */
static size_t mark_ends(struct log_graph *g)
{
    const struct nvl_event *events = g->p->events;
    size_t first = 0, last = 0, inciting = 0;
    bool settled = false;
    for (size_t i = 0; i < g->p->count; i++) {
        if (first == 0 && events[i].type == NVL_INCIDENT && events[i].turn >= 1)
            first = i;
        if (g->told[i])
            last = i;
        if (!of_family(g->p, &events[i], "ending") || events[i].outcome == NVL_FAIL)
            continue;
        g->leads[i] = settled = true;
        if (inciting == 0)
            inciting = opener_of(g->p, i);
    }
    if (!settled)
        g->leads[last] = 1;
    return inciting != 0 ? inciting : first;
}
/* Causes always precede: one walk forward, one back. */
static void mark_paths(struct log_graph *g)
{
    const struct nvl_event *events = g->p->events;
    size_t count = g->p->count;
    if (count == 0)
        return;
    g->follows[mark_ends(g)] = 1;
    for (size_t i = 0; i < count; i++)
        for (unsigned k = 0; k < events[i].causes_count; k++) {
            uint32_t s = events[i].causes[k].sequence;
            if (s >= 1 && s <= i)
                g->follows[i] |= g->follows[s - 1];
        }
    for (size_t i = count; i-- > 0;)
        for (unsigned k = 0; k < events[i].causes_count; k++) {
            uint32_t s = events[i].causes[k].sequence;
            if (s < 1 || s > i)
                continue;
            g->leads[s - 1] |= g->leads[i];
            g->used[s - 1] |= g->told[i] | g->used[i];
        }
}
int log_graph(const struct metrics_played *played, struct arena *arena, struct log_graph *out)
{
    struct log_graph g = { .p = played };
    uint8_t **all[] = { &g.told, &g.moves, &g.follows, &g.leads, &g.used };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if ((*all[i] = arena_zero(arena, played->count + 1, 1)) == NULL)
            return -1;
    for (size_t i = 0; i < played->count; i++)
        g.moves[i] = of_family(played, &played->events[i], "movement");
    mark_told(&g);
    mark_paths(&g);
    *out = g;
    return 0;
}

/* Distinct events of the story itself that a told event names as causes and that are told too. */
static size_t links_of(const struct log_graph *g, size_t i)
{
    const struct nvl_event *e = &g->p->events[i];
    size_t links = 0;
    for (unsigned k = 0; k < e->causes_count; k++) {
        uint32_t s = e->causes[k].sequence;
        bool again = false;
        for (unsigned j = 0; j < k; j++)
            again |= e->causes[j].sequence == s;
        links += !again && s >= 1 && s <= i && g->p->events[s - 1].turn >= 1 && g->told[s - 1] &&
                 !g->moves[s - 1];
    }
    return links;
}
static bool by_others(const struct log_graph *g, size_t i)
{
    const struct nvl_event *e = &g->p->events[i];
    for (unsigned k = 0; k < e->causes_count; k++) {
        uint32_t s = e->causes[k].sequence;
        if (s >= 1 && s <= i && g->p->events[s - 1].turn >= 1 &&
            g->p->events[s - 1].actor != e->actor)
            return true;
    }
    return false;
}
static bool has_motive(const struct nvl_event *e)
{
    for (unsigned k = 0; k < e->causes_count; k++)
        if (e->causes[k].kind == NVL_MOTIVATES)
            return true;
    return e->goal != NVL_NONE && e->plan_step > 0;
}
void log_graph_measure(const struct log_graph *g, double m[static LOG_COUNT])
{
    size_t made = 0, caused = 0, acts = 0, others = 0, meant = 0, told = 0, path = 0, dead = 0,
           linked = 0, links = 0;
    for (size_t i = 0; i < g->p->count; i++) {
        const struct nvl_event *e = &g->p->events[i];
        if (log_is_act(e) || e->type == NVL_REACTION) {
            made++;
            caused += e->causes_count > 0;
        }
        if (log_is_act(e)) {
            acts++;
            meant += has_motive(e);
            others += by_others(g, i);
        }
        if (!g->told[i] || e->op == NVL_NO_OP)
            continue;
        told++;
        path += g->follows[i] && g->leads[i];
        dead += !g->used[i] && e->phase != NVL_RESOLUTION;
        if (!g->moves[i]) {
            linked++;
            links += links_of(g, i);
        }
    }
    m[LOG_CAUSED] = log_share(caused, made, 1);
    m[LOG_INTENT] = log_share(meant, acts, 1);
    m[LOG_BY_OTHERS] = log_share(others, acts, NAN);
    m[LOG_LINKS] = log_share(links, linked, NAN);
    m[LOG_ON_PATH] = log_share(path, told, NAN);
    m[LOG_DEAD_ENDS] = log_share(dead, told, NAN);
}
