/* Every frame of the shipped pack, played many times: each log is sound by the independent checker,
 * each frame reaches several of its endings and truths, and its question is answered.
 * FRAMES_SEEDS=n plays n stories of each; FRAMES_SHOW=1 prints what was played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include "server/tools/novel-verify.h"
#include "tests/unit/narrator/stage.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SEEDS = 10 };
#else
enum { SEEDS = 80 };
#endif
enum { NAMES_MAX = 24, OPS_MAX = 512 };

static struct nvl_pack *pack;
struct tally {
    char names[NAMES_MAX][48];
    unsigned count[NAMES_MAX], used;
};
static void tally_add(struct tally *t, const char *name)
{
    unsigned i = 0;
    while (i < t->used && strcmp(t->names[i], name) != 0)
        i++;
    if (i == NAMES_MAX)
        return;
    if (i == t->used)
        snprintf(t->names[t->used++], sizeof(t->names[0]), "%s", name);
    t->count[i]++;
}
struct played {
    struct tally endings, truths;
    unsigned stories, events, acts, hesitations, broken, opened, closed, ops[OPS_MAX];
    unsigned ledger[32]
                   [2]; /* per thread: opened, of these closed at the end; five turns and more */
    unsigned open_question; /* stories that end by the ending that needs nothing */
    double fit,
        error;     /* sums over stories: correlation with the wanted tension, distance from it */
    unsigned late; /* stories whose tension is highest in the last 35 % of their passes */
};

static void check_log(const struct nvl_request *q, const struct stage_run *run, struct played *p)
{
    struct buf log = { 0 }, header = { 0 };
    uint8_t hash[SHA256_SIZE], bytes[NVL_CANONICAL_MAX];
    struct verify_report report;
    assert_int_equal(nvl_header_encode(q, nvl_pack_digest(pack), &header, hash, NULL), NVL_OK);
    assert_int_equal(nvl_log_begin(&log, header.data, header.size, run->world), NVL_OK);
    for (size_t i = 0; i < run->count; i++)
        assert_int_equal(nvl_log_event(&log, bytes, nvl_event_encode(&run->events[i], bytes)),
                         NVL_OK);
    assert_int_equal(nvl_log_end(&log, (uint32_t) run->count, nvl_head(run->sim), NULL), NVL_OK);
    assert_int_equal(verify_log_check(log.data, log.size, &report), VERIFY_DONE);
    if (report.violations > 0 || !report.complete) {
        struct buf text = { 0 };
        verify_report_text(&report, nvl_world_frame(run->world), &text);
        print_message("seed %llu: %s", (unsigned long long) q->seed, buf_str(&text));
        buf_done(&text);
        p->broken++;
    }
    buf_done(&log);
    buf_done(&header);
}
static void close_ledger(const struct stage_run *run, struct played *p)
{
    uint8_t state[32][256] = { 0 };
    for (size_t i = 0; i < run->count; i++)
        for (unsigned k = 0; k < run->events[i].threads_count; k++) {
            const struct nvl_thread_ref *t = &run->events[i].threads[k];
            uint8_t *s = &state[t->thread & 31][t->about];
            *s = t->change == NVL_THREAD_CLOSED ? 2 : *s == 0 ? 1 : *s;
        }
    for (unsigned t = 0; t < 32; t++)
        for (unsigned a = 0; a < 256; a++)
            p->ledger[t][0] += state[t][a] > 0, p->ledger[t][1] += state[t][a] == 2;
}
/* How the tension after each pass lies to the wanted one. */
static void measure_tension(const struct stage_run *run, struct played *p)
{
    double x[64], y[64], mx = 0, my = 0, xx = 0, yy = 0, xy = 0, e = 0;
    unsigned n = 0;
    for (size_t i = 1; i < run->count; i++)
        if (i + 1 == run->count || run->events[i + 1].pass != run->events[i].pass)
            x[n] = run->events[i].tension, y[n] = run->events[i].tension_target, n += n < 63;
    unsigned peak = 0;
    for (unsigned i = 0; i < n; i++) {
        mx += x[i] / n, my += y[i] / n;
        peak = x[i] >= x[peak] ? i : peak;
    }
    for (unsigned i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx), yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my), e += (x[i] - y[i]) * (x[i] - y[i]);
    }
    p->fit += xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
    p->error += sqrt(e / n) / 100;
    p->late += (peak + 1) * 100 >= n * 65;
}
static void count_events(const struct stage_run *run, struct played *p)
{
    int hesitate = nvl_pack_op_find(pack, "hesitate");
    size_t cast = nvl_world_cast_count(run->world);
    for (size_t i = 0; i < run->count; i++) {
        const struct nvl_event *e = &run->events[i];
        bool act = e->type == NVL_ACTION || e->type == NVL_SPEECH || e->type == NVL_THOUGHT;
        p->acts += act && e->actor < cast;
        p->hesitations += act && e->actor < cast && e->op == hesitate;
        if (e->op < OPS_MAX && e->type != NVL_REJECTED)
            p->ops[e->op]++;
        for (unsigned k = 0; k < e->threads_count; k++) {
            p->opened += e->threads[k].change == NVL_THREAD_OPENED;
            p->closed += e->threads[k].change == NVL_THREAD_CLOSED;
        }
    }
    p->events += (unsigned) run->count;
    measure_tension(run, p);
    if (nvl_world_turns(run->world) >= 5)
        close_ledger(run, p);
}
static void play(const char *scenario, const char *frame, uint64_t seed, uint32_t turns,
                 size_t cast_count, struct played *p)
{
    struct nvl_profile cast[NVL_CAST_MAX];
    struct nvl_request q = { .turns = turns,
                             .seed = seed,
                             .mood = (enum nvl_mood)(seed % NVL_MOODS),
                             .setting = "",
                             .scenario = scenario,
                             .cast = cast,
                             .cast_count = cast_count };
    struct stage_run run;
    for (size_t i = 0; i < cast_count; i++)
        cast[i] = *stage_profile(i > 4 ? 5 + seed % 3 : (seed + i) % 5);
    assert_int_equal(stage_play(pack, &q, &run), NVL_OK);
    assert_string_equal(nvl_world_frame(run.world), frame);
    check_log(&q, &run, p);
    count_events(&run, p);
    unsigned ending = run.events[run.count - 1].ending;
    tally_add(&p->endings, nvl_pack_name_at(pack, NVL_NAME_ENDING, ending));
    tally_add(&p->truths, nvl_world_truth(run.world));
    p->stories++;
    stage_run_done(&run);
}

static const struct {
    const char *frame, *scenario;
} frames[] = {
    { "distress", "a distress signal from an abandoned mining station" },
    { "mystery", "a stolen logbook sets the crew against the harbour master" },
    { "disaster", "the dam above the town is failing and the river is rising" },
    { "hunt", "something stalks the trappers in the snowbound valley" },
    { "murder", "the old countess has been poisoned at dinner" },
    { "heist", "they must steal the jewel from the casino vault" },
    { "contagion", "a plague spreads through the harbour town and the cure is missing" },
    { "stranded", "stranded on the ice after the crash" },
    { "sabotage", "a saboteur among the crew has cut the reactor's coolant line" },
};
static void show(const struct played *p)
{
    const struct tally *const lists[] = { &p->truths, &p->endings };
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < lists[k]->used; i++)
            print_message("    %-24s %5u\n", lists[k]->names[i], lists[k]->count[i]);
    for (unsigned t = 0; t < 32; t++)
        if (p->ledger[t][0] > 0)
            print_message("    thread %-17u %5u of %5u closed\n", t, p->ledger[t][1],
                          p->ledger[t][0]);
    for (size_t op = 0; op < nvl_pack_op_count(pack) && getenv("FRAMES_OPS") != NULL; op++) {
        struct nvl_op_info info;
        nvl_pack_op(pack, op, &info);
        if (p->ops[op] > 0)
            print_message("      %-20s %6u\n", info.name, p->ops[op]);
    }
}
static void test_frames(void **state)
{
    static const uint32_t turns[] = { 6, 1, 3, 10, 2, 4, 5, 8 };
    const char *only = getenv("FRAMES_ONLY"), *seeds = getenv("FRAMES_SEEDS"),
               *fixed = getenv("FRAMES_TURNS");
    unsigned n = seeds != NULL ? (unsigned) atoi(seeds) : SEEDS;
    (void) state;
    for (size_t f = 0; f < sizeof(frames) / sizeof(frames[0]); f++) {
        if (only != NULL && strcmp(only, frames[f].frame) != 0)
            continue;
        static struct played p;
        memset(&p, 0, sizeof(p));
        for (unsigned i = 0; i < n; i++)
            play(frames[f].scenario, frames[f].frame, 1 + i * 7919u,
                 fixed != NULL ? (uint32_t) atoi(fixed) : turns[i % 8], 2 + i / 3 % 5, &p);
        print_message("%s: %u stories, %u events, %u of %u threads closed, %.1f %% hesitate, "
                      "%u truths, %u endings\n",
                      frames[f].frame, p.stories, p.events, p.closed, p.opened,
                      100.0 * p.hesitations / (p.acts + 1), p.truths.used, p.endings.used);
        print_message("  tension: r %.2f, rmse %.2f, %u of %u peak late\n", p.fit / n, p.error / n,
                      p.late, n);
        if (getenv("FRAMES_SHOW") != NULL)
            show(&p);
        assert_int_equal(p.broken, 0);
        if (n >= 40)
            assert_true(p.truths.used >= 3 && p.endings.used >= 4);
        assert_true(p.hesitations * 100 <= p.acts * 3);
    }
}

/* docs/tale.md: a genre, an operator and a frame added as two more files beside the shipped ones.
 */
static void lay(const char *from, const char *folder, const char *name)
{
    char cwd[512], target[1400], path[1400];
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    snprintf(target, sizeof(target), "%s/%s", cwd, from);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(symlink(target, path), 0);
}
/* Links the shipped files of one folder, and the added one, into a new folder. */
static void lay_folder(const char *root, const char *part, const char *added)
{
    char folder[300], from[700];
    snprintf(folder, sizeof(folder), "%s/%s", root, part);
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(from, sizeof(from), "server/content/%s", part);
    DIR *d = opendir(from);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') {
            snprintf(from, sizeof(from), "server/content/%s/%s", part, e->d_name);
            lay(from, folder, e->d_name);
        }
    closedir(d);
    lay(added, folder, "zz_added.tale");
}
static void clear_folder(const char *root, const char *part)
{
    char folder[300], path[700];
    snprintf(folder, sizeof(folder), "%s/%s", root, part);
    DIR *d = opendir(folder);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            unlink(path);
    }
    if (d != NULL)
        closedir(d);
    rmdir(folder);
}
static void test_added_from_data(void **state)
{
    char root[] = "/tmp/added-XXXXXX";
    struct nvl_pack *shipped = pack;
    static struct played p;
    (void) state;
    assert_non_null(mkdtemp(root));
    lay_folder(root, "world", "tests/unit/engine/added.tale");
    lay_folder(root, "prose", "tests/unit/engine/added_prose.tale");
    pack = stage_pack(root);
    clear_folder(root, "world");
    clear_folder(root, "prose");
    rmdir(root);
    assert_non_null(pack);
    memset(&p, 0, sizeof(p));
    for (uint64_t seed = 1; seed <= 20; seed++)
        play("a vigil in the wasteland", "vigil", seed, 6, 3, &p);
    assert_int_equal(p.broken, 0);
    assert_true(p.endings.used >= 1 && p.truths.used == 2);
    int pipe = nvl_pack_op_find(pack, "light_pipe"), sit = nvl_pack_op_find(pack, "sit_through");
    assert_true(pipe >= 0 && pipe < OPS_MAX && p.ops[pipe] > 0);
    assert_true(sit >= 0 && sit < OPS_MAX && p.ops[sit] > 0);
    nvl_pack_free(pack);
    pack = shipped;
}

static int setup(void **state)
{
    (void) state;
    pack = stage_pack("server/content");
    return pack == NULL;
}
static int teardown(void **state)
{
    (void) state;
    nvl_pack_free(pack);
    return 0;
}
int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_frames),
                                        cmocka_unit_test(test_added_from_data) };
    return cmocka_run_group_tests(tests, setup, teardown);
}
