/* print_story.c — prints a story for reading: print_story [-s STYLE] [-p PERSPECTIVE] [-f
 * FOCALISER] [-t TURNS]
 * [-r SEED] [-S SETTING] [-x SCENARIO] [-m MOOD] [-e] ID ID...   (-e: the events too) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/unit/narrator/stage.h"

static void print_events(const struct stage_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct buf b = { 0 };
        const struct nvl_event *e = &run->events[i];
        nvl_event_text(run->world, e, true, &b);
        fprintf(stderr, "%3u t%u p%u %-12s %-10s %-9s %-8s w%02x T%u  %s\n", e->sequence, e->turn,
                e->pass, nvl_phase_name(e->phase), nvl_event_op_name(run->world, e),
                nvl_outcome_name(e->outcome), nvl_event_actor_id(run->world, e), e->witnesses,
                e->tension, buf_str(&b));
        buf_done(&b);
    }
}
int main(int argc, char **argv)
{
    struct nvl_telling telling = { 0 };
    struct nvl_profile cast[NVL_CAST_MAX];
    struct nvl_request q = { .turns = 3, .seed = 7, .setting = "", .scenario = "", .cast = cast };
    bool events = false;
    for (int c; (c = getopt(argc, argv, "s:p:f:t:r:S:x:m:w:e")) != -1;) {
        switch (c) {
        case 's':
            telling.narrative_style = optarg;
            break;
        case 'p':
            telling.perspective = optarg;
            break;
        case 'f':
            telling.focaliser = optarg;
            break;
        case 't':
            q.turns = (uint32_t) atoi(optarg);
            break;
        case 'r':
            q.seed = strtoull(optarg, NULL, 10);
            break;
        case 'S':
            q.setting = optarg;
            break;
        case 'x':
            q.scenario = optarg;
            break;
        case 'w':
            telling.words = (uint32_t) atoi(optarg);
            break;
        case 'm':
            if (nvl_mood_parse(optarg, &q.mood) != NVL_OK)
                return 2;
            break;
        case 'e':
            events = true;
            break;
        default:
            return 2;
        }
    }
    for (int i = optind; i < argc && q.cast_count < NVL_CAST_MAX; i++)
        if (stage_find(argv[i]) >= 0)
            cast[q.cast_count++] = *stage_profile((size_t) stage_find(argv[i]));
    struct nvl_pack *pack =
        stage_pack(getenv("NOVEL_CONTENT") != NULL ? getenv("NOVEL_CONTENT") : "server/content");
    struct stage_run run;
    if (pack == NULL || stage_play(pack, &q, &run) != NVL_OK)
        return 1;
    if (events)
        print_events(&run);
    struct arena arena;
    struct nvl_story story;
    struct nvl_error err = { 0 };
    struct buf b = { 0 };
    arena_init(&arena, 65536);
    int rc = nvl_tell(run.world, run.events, run.count, &telling, &arena, &err, &story);
    if (rc == NVL_OK)
        nvl_story_markdown(&story, &b);
    printf("%s", buf_str(&b));
    fprintf(stderr,
            "rc %d %s %s; frame %s truth %s genre %s ending %s; %u words, coverage %u, %zu events, "
            "%zu scenes\n",
            rc, err.field, err.message, nvl_world_frame(run.world), nvl_world_truth(run.world),
            nvl_world_genre(run.world), rc == NVL_OK ? story.ending : "",
            rc == NVL_OK ? story.word_count : 0, rc == NVL_OK ? story.scenario_coverage : 0,
            run.count, rc == NVL_OK ? story.passages_count : 0);
    static const enum nvl_sort named[] = { NVL_SORT_PLACE, NVL_SORT_ITEM, NVL_SORT_CHAR,
                                           NVL_SORT_MOTIF };
    for (size_t k = 0; k < sizeof(named) / sizeof(named[0]); k++)
        for (size_t i = 0; i < nvl_world_count(run.world, named[k]); i++) {
            const struct nvl_entity *e = nvl_world_entity(run.world, named[k], i);
            if (e->from_user)
                fprintf(stderr, "the user's: %s (%s)\n", e->name, e->kind);
        }
    buf_done(&b);
    arena_done(&arena);
    stage_run_done(&run);
    nvl_pack_free(pack);
    return rc == NVL_OK ? 0 : 1;
}
