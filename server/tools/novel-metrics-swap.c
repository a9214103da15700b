/* novel-metrics-swap.c — whether character matters: two of the cast swap their traits, the seed
 * stays, and what the two do is compared pass by pass. */
#include <string.h>
#include "rpc/base/alloc.h"
#include "server/tools/novel-metrics-play.h"

enum { ACTS_MAX = 512 }; /* of two people in 50 passes */

struct act {
    uint16_t pass, op;
    uint8_t actor, args_count, args[NVL_ARGS_MAX];
};
struct acts {
    struct act list[ACTS_MAX];
    size_t count;
};
static int note(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                const uint8_t hash[SHA256_SIZE])
{
    struct acts *a = ctx;
    (void) canonical, (void) size, (void) hash;
    bool act = e->type == NVL_ACTION || e->type == NVL_SPEECH || e->type == NVL_THOUGHT;
    if (!act || e->actor > 1 || a->count == ACTS_MAX)
        return 0;
    struct act *x = &a->list[a->count++];
    *x = (struct act){ .pass = e->pass, .op = e->op, .actor = e->actor };
    x->args_count = e->args_count;
    memcpy(x->args, e->args, sizeof(x->args));
    return 0;
}
static int play(const struct nvl_pack *pack, const struct play_request *r, uint64_t seed,
                struct acts *out, struct nvl_error *err)
{
    struct nvl_request q = { .turns = r->turns,
                             .seed = seed,
                             .mood = r->mood,
                             .setting = r->setting,
                             .scenario = r->scenario,
                             .cast = r->cast,
                             .cast_count = r->cast_count };
    struct nvl_sim *sim = NULL;
    out->count = 0;
    int rc = nvl_open(pack, &q, note, out, err, &sim);
    while (rc == NVL_OK && !nvl_ended(sim))
        rc = nvl_turn(sim, note, out);
    nvl_free(sim);
    return rc;
}
static bool done_too(const struct acts *a, const struct act *x)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->list[i].pass == x->pass && a->list[i].actor == x->actor && a->list[i].op == x->op &&
            a->list[i].args_count == x->args_count &&
            memcmp(a->list[i].args, x->args, x->args_count) == 0)
            return true;
    return false;
}
int player_swap(struct player *p, const struct play_request *request, uint64_t seed,
                struct player_swapped *sum, struct nvl_error *err)
{
    struct acts *before = alloc_zero(2, sizeof(*before)), *after = before + 1;
    struct play_request swapped = *request;
    if (before == NULL)
        return NVL_E_NOMEM;
    memcpy(swapped.cast[0].traits, request->cast[1].traits, sizeof(swapped.cast[0].traits));
    memcpy(swapped.cast[1].traits, request->cast[0].traits, sizeof(swapped.cast[1].traits));
    int rc = play(p->pack, request, seed, before, err);
    if (rc == NVL_OK)
        rc = play(p->pack, &swapped, seed, after, err);
    if (rc == NVL_OK) {
        for (size_t i = 0; i < before->count; i++)
            sum->same += done_too(after, &before->list[i]);
        sum->acts += before->count;
        sum->runs++;
    }
    alloc_free(before);
    return rc;
}
