/* novel-tale — packs for writers: build an image, lint the sources, look at what an image holds, or
 * play one story and print its log.  Exit: 0 fine, 1 the sources are wrong, 2 the call is wrong. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "rpc/base/alloc.h"
#include "rpc/base/arena.h"
#include "server/engine/nvl.h"
#include "server/narrator/narrator.h"
#include "server/tools/novel-tale-coverage.h"

enum { FILES_MAX = 512, FILE_BYTES = 8 * 1024 * 1024, DEPTH_MAX = 8 };
struct sources {
    struct arena arena;
    struct nvl_source files[FILES_MAX];
    size_t count;
};

static const char usage[] =
    "usage: novel-tale build DIR IMAGE     compile DIR's .tale files into an image\n"
    "       novel-tale lint DIR            report every problem of the sources\n"
    "       novel-tale show DIR            list operators, endings and truths\n"
    "       novel-tale coverage DIR [SEEDS]   how often each line is told, over ten requests\n"
    "       novel-tale play DIR SEED TURNS [SCENARIO [SETTING]]   print a log, a line an event\n";

static bool read_file(struct sources *s, const char *path, const char *name)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || s->count == FILES_MAX) {
        fprintf(stderr, "novel-tale: cannot read %s: %s\n", path,
                f == NULL ? strerror(errno) : "too many files");
        if (f != NULL)
            fclose(f);
        return false;
    }
    struct buf bytes = { 0 };
    uint8_t block[16384];
    for (size_t n; (n = fread(block, 1, sizeof(block), f)) > 0 && bytes.size < FILE_BYTES;)
        buf_put(&bytes, block, n);
    bool ok = !ferror(f) && !bytes.failed && bytes.size < FILE_BYTES;
    fclose(f);
    char *copy_name = arena_strndup(&s->arena, name, strlen(name));
    char *text =
        ok ? arena_strndup(&s->arena, bytes.size > 0 ? (const char *) bytes.data : "", bytes.size)
           : NULL;
    if (text == NULL || copy_name == NULL)
        fprintf(stderr, "novel-tale: cannot read %s\n", path);
    else
        s->files[s->count++] = (struct nvl_source){ copy_name, text, bytes.size };
    buf_done(&bytes);
    return text != NULL && copy_name != NULL;
}
static bool read_folder(struct sources *s, const char *root, const char *below, int depth)
{
    char *folder = arena_printf(&s->arena, "%s%s%s", root, below[0] != 0 ? "/" : "", below);
    DIR *dir = folder != NULL ? opendir(folder) : NULL;
    if (dir == NULL) {
        fprintf(stderr, "novel-tale: cannot open %s: %s\n", root, strerror(errno));
        return false;
    }
    bool ok = depth < DEPTH_MAX;
    for (struct dirent *d; ok && (d = readdir(dir)) != NULL;) {
        if (d->d_name[0] == '.')
            continue;
        char *name = arena_printf(&s->arena, "%s%s%s", below, below[0] != 0 ? "/" : "", d->d_name);
        char *path = arena_printf(&s->arena, "%s/%s", folder, d->d_name);
        struct stat st;
        size_t n = strlen(d->d_name);
        if (name == NULL || path == NULL || stat(path, &st) != 0)
            ok = false;
        else if (S_ISDIR(st.st_mode))
            ok = read_folder(s, root, name, depth + 1);
        else if (n > 5 && strcmp(d->d_name + n - 5, ".tale") == 0)
            ok = read_file(s, path, name);
    }
    closedir(dir);
    return ok;
}
static int compile(const char *root, struct nvl_pack **out)
{
    struct sources *s = alloc_zero(1, sizeof(*s));
    struct nvl_error err = { 0 };
    if (s == NULL)
        return 1;
    arena_init(&s->arena, 64 * 1024);
    int rc = read_folder(s, root, "", 0) ? NVL_OK : NVL_E_PACK;
    if (rc == NVL_OK && (rc = nvl_pack_compile(s->files, s->count, nvl_prose_check_statement, NULL,
                                               &err, out)) != NVL_OK) {
        if (err.line != 0)
            fprintf(stderr, "%s/%s:%u:%u: %s\n", root, err.file, err.line, err.column, err.message);
        else
            fprintf(stderr, "novel-tale: %s\n", rc == NVL_E_NOMEM ? "out of memory" : err.message);
    }
    arena_done(&s->arena);
    alloc_free(s);
    return rc == NVL_OK ? 0 : 1;
}
static int build(const struct nvl_pack *pack, const char *path)
{
    size_t size;
    const uint8_t *image = nvl_pack_image(pack, &size);
    FILE *f = fopen(path, "wb");
    bool ok = f != NULL && fwrite(image, 1, size, f) == size;
    if (f != NULL && fclose(f) != 0)
        ok = false;
    if (!ok)
        fprintf(stderr, "novel-tale: cannot write %s: %s\n", path, strerror(errno));
    return ok ? 0 : 1;
}
static int lint(const struct nvl_pack *pack)
{
    struct buf out = { 0 };
    size_t n = nvl_prose_lint(pack, &out);
    fputs(buf_str(&out), stdout);
    printf("%zu problem%s\n", n, n == 1 ? "" : "s");
    buf_done(&out);
    return n == 0 ? 0 : 1;
}
static int show(const struct nvl_pack *pack)
{
    for (size_t i = 0; i < nvl_pack_op_count(pack); i++) {
        struct nvl_op_info op;
        nvl_pack_op(pack, i, &op);
        printf("%-18s %-10s", op.name, op.family);
        for (unsigned k = 0; k < op.params_count; k++)
            printf(" %s", op.params[k].name);
        printf("\n");
        for (unsigned k = 1; k < 5; k++)
            if (op.plain[k] != NULL)
                printf("    %-8s %s\n", nvl_outcome_name(k), op.plain[k]);
    }
    for (size_t i = 0; i < nvl_pack_name_count(pack, NVL_NAME_ENDING); i++)
        printf("ending %s\n", nvl_pack_name_at(pack, NVL_NAME_ENDING, i));
    for (size_t i = 0; i < nvl_pack_name_count(pack, NVL_NAME_TRUTH); i++)
        printf("truth %s\n", nvl_pack_name_at(pack, NVL_NAME_TRUTH, i));
    return 0;
}

struct playing {
    const struct nvl_world *world;
    FILE *log;
    struct buf bytes;
};
static int print_event(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                       const uint8_t hash[SHA256_SIZE])
{
    struct playing *p = ctx;
    struct buf text = { 0 };
    (void) hash;
    nvl_log_event(&p->bytes, canonical, size);
    if (p->world != NULL) {
        nvl_event_text(p->world, e, true, &text);
        printf("%4u t%-2u p%-2u %-12s T%3d/%-3d %-18s ", e->sequence, e->turn, e->pass,
               nvl_phase_name(e->phase), e->tension, e->tension_target,
               nvl_event_op_name(p->world, e));
        for (unsigned i = 0; i < e->causes_count; i++)
            printf("<%u%c", e->causes[i].sequence, "?EMIRPFX"[e->causes[i].kind & 7]);
        printf("  %s\n", buf_str(&text));
    }
    buf_done(&text);
    return 0;
}
static int play(const struct nvl_pack *pack, int argc, char **argv)
{
    static const char *const items_a[] = { "Survival Knife" },
                             *const items_b[] = { "Bio-Scanner", "Medkit" },
                             *const items_c[] = { "Plasma Cutter" };
    static const struct nvl_skill skills_a[] = { { "piloting", 95 }, { "leadership", 80 } },
                                  skills_b[] = { { "research", 95 }, { "medicine", 60 } },
                                  skills_c[] = { { "engineering", 90 }, { "systems", 85 } };
    const struct nvl_profile cast[] = {
        { .id = "pilot",
          .name = "Alex Chen",
          .pronouns = "he",
          .role = "pilot",
          .rank = "Squadron Leader",
          .traits = { 50, 60, 75, 50, 35, 65 },
          .drives = { 40, 60, 85, 45, 65, 55, 60, 30 },
          .skills = skills_a,
          .skills_count = 2,
          .items = { items_a, 1 } },
        { .id = "scientist",
          .name = "Dr. Maya Patel",
          .pronouns = "she",
          .role = "scientist",
          .rank = "Senior",
          .traits = { 90, 75, 40, 65, 45, 85 },
          .drives = { 50, 40, 60, 95, 45, 80, 50, 20 },
          .skills = skills_b,
          .skills_count = 2,
          .items = { items_b, 2 } },
        { .id = "engineer",
          .name = "Jordan Kim",
          .pronouns = "they",
          .role = "engineer",
          .rank = "Specialist",
          .traits = { 55, 90, 35, 45, 50, 75 },
          .drives = { 75, 50, 70, 55, 45, 50, 65, 40 },
          .skills = skills_c,
          .skills_count = 2,
          .items = { items_c, 1 } },
    };
    struct nvl_request request = { .seed = strtoull(argv[3], NULL, 10),
                                   .turns = (uint32_t) strtoul(argv[4], NULL, 10),
                                   .scenario = argc > 5 ? argv[5] : "",
                                   .setting = argc > 6 ? argv[6] : "",
                                   .cast = cast,
                                   .cast_count = 3 };
    struct playing p = { 0 };
    struct nvl_error err = { 0 };
    struct nvl_sim *sim;
    int rc = nvl_open(pack, &request, print_event, &p, &err, &sim);
    if (rc != NVL_OK) {
        fprintf(stderr, "novel-tale: %s: %s\n", err.field, err.message);
        return 1;
    }
    p.world = nvl_sim_world(sim);
    printf("%s at %s, truth %s, genre %s\n", nvl_world_frame(p.world), nvl_world_locale(p.world),
           nvl_world_truth(p.world), nvl_world_genre(p.world));
    while (rc == NVL_OK && !nvl_ended(sim))
        rc = nvl_turn(sim, print_event, &p);
    const char *path = getenv("NOVEL_TALE_LOG"); /* where to leave the .nvlog, for novel-verify */
    FILE *f = path != NULL ? fopen(path, "wb") : NULL;
    if (f != NULL) {
        struct buf file = { 0 }, header = { 0 };
        uint8_t hash[SHA256_SIZE];
        nvl_header_encode(&request, nvl_pack_digest(pack), &header, hash, NULL);
        nvl_log_begin(&file, header.data, header.size, p.world);
        buf_put(&file, p.bytes.data, p.bytes.size);
        nvl_log_end(&file, nvl_last_sequence(sim), nvl_head(sim), NULL);
        rc |= fwrite(file.data, 1, file.size, f) != file.size || fclose(f) != 0;
        buf_done(&file), buf_done(&header);
    }
    buf_done(&p.bytes);
    nvl_free(sim);
    return rc == NVL_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[1] : "";
    bool known =
        (strcmp(verb, "build") == 0 && argc == 4) || (strcmp(verb, "lint") == 0 && argc == 3) ||
        (strcmp(verb, "show") == 0 && argc == 3) || (strcmp(verb, "coverage") == 0 && argc <= 4) ||
        (strcmp(verb, "play") == 0 && argc >= 5 && argc <= 7);
    if (!known) {
        bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
        fputs(usage, help ? stdout : stderr);
        return help ? 0 : 2;
    }
    struct nvl_pack *pack = NULL;
    int rc = compile(argv[2], &pack);
    if (rc == 0)
        rc = verb[0] == 'b'   ? build(pack, argv[3])
             : verb[0] == 'l' ? lint(pack)
             : verb[0] == 's' ? show(pack)
             : verb[0] == 'c'
                 ? novel_tale_coverage(pack, argc > 3 ? (unsigned) strtoul(argv[3], NULL, 10) : 20)
                 : play(pack, argc, argv);
    nvl_pack_free(pack);
    return rc;
}
