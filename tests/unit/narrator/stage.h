/* stage.h — for the narrator's tests: the shipped pack, a cast, and finished simulations to tell.
 */
#ifndef NARRATOR_STAGE_H
#define NARRATOR_STAGE_H
#include "server/narrator/narrator.h"

struct stage_run {
    struct nvl_sim *sim;
    const struct nvl_world *world;
    struct nvl_event *events;
    size_t count, capacity;
};
/* Compiles the .tale files in root and root/prose (from the project folder) with the narrator's
 * check; prints why not. */
struct nvl_pack *stage_pack(const char *root);
enum { STAGE_CAST = 8 };
/* pilot, scientist, engineer, smuggler, test, and three with hostile or sparse cards. */
const struct nvl_profile *stage_profile(size_t i);
int stage_find(const char *id); /* -1: none */
/* Plays it to the end; 0 or an nvl_rc. */
int stage_play(const struct nvl_pack *pack, const struct nvl_request *request,
               struct stage_run *out);
/* The same; before_turn may edit the story between its turns. */
typedef int (*stage_edit)(struct nvl_sim *sim, nvl_sink sink, void *ctx);
int stage_play_edited(const struct nvl_pack *pack, const struct nvl_request *request,
                      stage_edit before_turn, struct stage_run *out);
void stage_run_done(struct stage_run *run);

#endif
