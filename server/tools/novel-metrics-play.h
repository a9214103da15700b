/* novel-metrics-play.h — requests, and the stories played from them in this process. */
#ifndef NOVEL_METRICS_PLAY_H
#define NOVEL_METRICS_PLAY_H
#include "server/tools/novel-metrics-sample.h"

enum { PLAY_REQUESTS_MAX = 64, PLAY_TURNS_DEFAULT = 6 };

struct play_request {
    const char *name; /* for people: "ledger" */
    const char *setting, *scenario, *style;
    uint32_t turns;
    enum nvl_mood mood;
    struct nvl_profile cast[NVL_CAST_MAX];
    size_t cast_count;
};
/* The ten that stories are compared over. */
size_t play_requests_count(void);
void play_request_at(size_t i, struct play_request *out);
/* Gives a request so many characters (2 to 6: its own first, then others) and turns. */
void play_request_shape(struct play_request *r, size_t cast, uint32_t turns);
/* Reads a request: lines "setting …", "scenario …", "turns N", "mood M", "style S", "cast alex maya
 * …" (of alex maya jordan wren tomas ilse); # begins a comment.  Strings live in the arena.  0; -1
 * with a sentence in why. */
int play_request_read(const char *name, const char *text, size_t size, struct arena *arena,
                      struct play_request *out, char *why, size_t why_size);

struct player { /* what is used again from story to story */
    struct nvl_pack *pack;
    struct nvl_event *events;
    size_t count;
    struct buf log, text; /* of the last story: .nvlog bytes and text */
    struct verify_report *report;
};
int player_init(struct player *p); /* opens the built-in pack; 0, or -1 */
void player_done(struct player *p);
/* Plays, checks and tells a story; adds it to samples unless that is NULL.  NVL_OK or an nvl_rc. */
int player_story(struct player *p, const struct play_request *request, size_t index, uint64_t seed,
                 struct samples *samples, struct nvl_error *err);

struct player_swapped { /* sums */
    size_t runs, acts, same;
};
/* Plays a request as it is and with the traits of its first two characters swapped, and adds how
 * many acts of the two there are and how many stay as they were.  NVL_OK or an nvl_rc (sum
 * untouched). */
int player_swap(struct player *p, const struct play_request *request, uint64_t seed,
                struct player_swapped *sum, struct nvl_error *err);

#endif
