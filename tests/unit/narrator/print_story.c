/* print_story.c — prints a story for reading: print_story [-s STYLE] [-p PERSPECTIVE] [-f
 * FOCALISER] [-t TURNS]
 * [-r SEED] [-S SETTING] [-x SCENARIO] [-m MOOD] [-n COUNT] [-o FOLDER] [-e] ID ID...
 * (-e: the events too; -n: as many seeds from SEED on; -o: a file a story) */
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
/* Tells one run into path, or to stdout with a line of facts on stderr. */
static int tell_one(const struct stage_run *run, const struct nvl_telling *telling,
                    const char *path)
{
    struct arena arena;
    struct nvl_story story;
    struct nvl_error err = { 0 };
    struct buf b = { 0 };
    arena_init(&arena, 65536);
    int rc = nvl_tell(run->world, run->events, run->count, telling, &arena, &err, &story);
    if (rc == NVL_OK)
        nvl_story_markdown(&story, &b);
    FILE *f = path != NULL ? fopen(path, "wb") : stdout;
    if (f != NULL)
        fputs(buf_str(&b), f);
    if (f != NULL && path != NULL)
        fclose(f);
    if (path == NULL)
        fprintf(stderr,
                "rc %d %s %s; frame %s truth %s genre %s ending %s; %u words, coverage %u, "
                "%zu events, %zu scenes, %u rewritten\n",
                rc, err.field, err.message, nvl_world_frame(run->world),
                nvl_world_truth(run->world), nvl_world_genre(run->world),
                rc == NVL_OK ? story.ending : "", rc == NVL_OK ? story.word_count : 0,
                rc == NVL_OK ? story.scenario_coverage : 0, run->count,
                rc == NVL_OK ? story.passages_count : 0, rc == NVL_OK ? story.rewritten : 0);
    buf_done(&b);
    arena_done(&arena);
    return f != NULL ? rc : 1;
}
int main(int argc, char **argv)
{
    struct nvl_telling telling = { 0 };
    struct nvl_profile cast[NVL_CAST_MAX];
    struct nvl_request q = { .turns = 3, .seed = 7, .setting = "", .scenario = "", .cast = cast };
    bool events = false;
    unsigned count = 1;
    const char *folder = NULL;
    for (int c; (c = getopt(argc, argv, "s:p:f:t:r:S:x:m:w:n:o:e")) != -1;) {
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
        case 'n':
            count = (unsigned) atoi(optarg);
            break;
        case 'o':
            folder = optarg;
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
    int rc = pack == NULL;
    for (unsigned n = 0; n < count && rc == 0; n++, q.seed++) {
        struct stage_run run;
        char path[512];
        snprintf(path, sizeof(path), "%s/%llu.txt", folder != NULL ? folder : "",
                 (unsigned long long) q.seed);
        if (stage_play(pack, &q, &run) != NVL_OK)
            return 1;
        if (events)
            print_events(&run);
        rc = tell_one(&run, &telling, folder != NULL ? path : NULL);
        stage_run_done(&run);
    }
    nvl_pack_free(pack);
    return rc;
}
