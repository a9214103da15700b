/* bench_forks — how long a thousand forks of one log take on one core, through the engine alone: the prefix is
 * played again (or a copy taken), FORKED, an edit, the rest, and the story told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core_pack.h"
#include "rpc/base/alloc.h"
#include "rpc/base/arena.h"
#include "rpc/base/check.h"
#include "server/cards/catalogue.h"
#include "server/cards/profile.h"
#include "server/engine/edit.h"
#include "server/narrator/narrator.h"

enum { TURNS = 10, EVENTS_MAX = 4096 };

struct log {
    struct arena *arena;
    struct nvl_span spans[EVENTS_MAX];
    struct nvl_event events[EVENTS_MAX];
    size_t count;
};

static int keep(void *ctx, const struct nvl_event *event, const uint8_t *canonical, size_t size, const uint8_t hash[SHA256_SIZE])
{
    struct log *l = ctx;
    (void) hash;
    CHECK(l->count < EVENTS_MAX);
    uint8_t *copy = arena_copy(l->arena, canonical, size);
    CHECK(copy != NULL);
    l->events[l->count] = *event;
    l->spans[l->count++] = (struct nvl_span) { copy, size };
    return 0;
}

static void finish(struct nvl_sim *sim, struct log *l)
{
    while (!nvl_ended(sim))
        CHECK(nvl_turn(sim, keep, l) == NVL_OK);
}

static size_t tell(const struct nvl_sim *sim, const struct log *l, struct arena *a)
{
    const struct nvl_telling telling = { 0 };
    struct nvl_story story;
    CHECK(nvl_tell(nvl_sim_world(sim), l->events, l->count, &telling, a, NULL, &story) == NVL_OK);
    return story.word_count;
}

struct bench {
    const struct nvl_pack *pack;
    const struct nvl_request *request;
    struct log parent, child;
    struct nvl_sim *at[TURNS]; /* with copies: the parent after each turn */
    size_t words;
    double telling; /* of it, seconds */
};

/* Of this process: what the machine does beside is no part of it. */
static double cpu_seconds(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void fork_once(struct bench *b, uint32_t turn, int32_t value, struct arena *a)
{
    struct nvl_sim *sim = NULL;
    b->child = (struct log) { .arena = a };
    if (b->at[turn] != NULL) {
        CHECK(nvl_clone(b->at[turn], &sim) == NVL_OK);
        for (; b->child.count < b->parent.count && b->parent.events[b->child.count].turn <= turn; b->child.count++)
            b->child.events[b->child.count] = b->parent.events[b->child.count];
    } else {
        CHECK(nvl_replay(b->pack, b->request, b->parent.spans, b->parent.count, turn, keep, &b->child, NULL, &sim) == NVL_OK);
    }
    const struct nvl_edit edit = { .kind = NVL_EDIT_TRAIT, .actor = "pilot", .name = "openness", .to = "", .value = value };
    struct nvl_judgement verdict;
    CHECK(nvl_fork(sim, 0, 0, NULL, keep, &b->child, NULL) == NVL_OK);
    CHECK(nvl_intervene(sim, &edit, keep, &b->child, &verdict, NULL) == NVL_OK);
    finish(sim, &b->child);
    double begin = cpu_seconds();
    b->words += tell(sim, &b->child, a);
    b->telling += cpu_seconds() - begin;
    nvl_free(sim);
}

static void run(struct bench *b, int count, const char *how)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    double begin = cpu_seconds();
    b->telling = 0;
    for (int i = 0; i < count; i++) {
        fork_once(b, (uint32_t) i % TURNS, i % 101, &a);
        arena_reset(&a);
    }
    printf("%d forks by %s, run and told: %.2f s of one core, %.2f s of them for telling\n", count, how,
           cpu_seconds() - begin, b->telling);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 1000;
    struct bench *b = alloc_zero(1, sizeof *b);
    struct nvl_pack *pack;
    struct nvl_error err;
    struct arena a;
    struct catalogue *k;
    struct card_error card_error;
    struct nvl_profile cast[3];
    static const char *const names[] = { "engineer", "pilot", "scientist" };
    arena_init(&a, 1 << 20);
    CHECK(b != NULL && nvl_pack_open(core_pack, core_pack_size, &err, &pack) == NVL_OK);
    CHECK(catalogue_load(NULL, &k, &card_error) == 0);
    for (size_t i = 0; i < 3; i++)
        CHECK(profile_make(catalogue_find(k, names[i])->message, k, &a, &cast[i]) == 0);
    const struct nvl_request request = { .turns = TURNS, .seed = 7, .setting = "", .cast = cast, .cast_count = 3,
                                         .scenario = "a distress signal from an abandoned mining station" };
    b->pack = pack;
    b->request = &request;
    b->parent.arena = &a;
    struct nvl_sim *sim;
    CHECK(nvl_open(pack, &request, keep, &b->parent, &err, &sim) == NVL_OK);
    finish(sim, &b->parent);
    nvl_free(sim);
    run(b, count, "playing the prefix again");
    for (uint32_t t = 0; t < TURNS; t++)
        CHECK(nvl_replay(pack, &request, b->parent.spans, b->parent.count, t, NULL, NULL, NULL, &b->at[t]) == NVL_OK);
    run(b, count, "copies of the parent");
    for (uint32_t t = 0; t < TURNS; t++)
        nvl_free(b->at[t]);
    printf("%zu words in all\n", b->words);
    nvl_pack_free(pack);
    catalogue_unref(k);
    arena_done(&a);
    alloc_free(b);
    return 0;
}
