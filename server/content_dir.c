#include "server/content_dir.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "rpc/base/arena.h"
#include "server/narrator/narrator.h"

enum { FILES_MAX = 1000, FILE_BYTES_MAX = 1 << 20, DEPTH_MAX = 8 };

struct sources {
    struct arena arena;
    struct nvl_source *list;
    size_t count, folder_size;
    char *why;
    size_t why_size;
};

static int fail(struct sources *s, const char *path, const char *what)
{
    snprintf(s->why, s->why_size, "%s: %s", path, what);
    return -1;
}

static int read_file(struct sources *s, const FTSENT *e)
{
    if (s->count == FILES_MAX)
        return fail(s, e->fts_path, "there are too many files (1,000 are the limit)");
    if (e->fts_statp->st_size > FILE_BYTES_MAX)
        return fail(s, e->fts_path, "is larger than 1 MiB");
    size_t size = (size_t) e->fts_statp->st_size;
    char *text = arena_get(&s->arena, size + 1), *path = arena_strndup(&s->arena, e->fts_path, strlen(e->fts_path));
    FILE *f = fopen(e->fts_accpath, "rb");
    if (f == NULL)
        return fail(s, e->fts_path, strerror(errno));
    size_t got = text == NULL || path == NULL ? 0 : fread(text, 1, size, f);
    fclose(f);
    if (got != size || text == NULL || path == NULL)
        return fail(s, e->fts_path, "cannot be read whole");
    const char *relative = path + s->folder_size;
    while (*relative == '/')
        relative++;
    s->list[s->count++] = (struct nvl_source) { relative, text, size };
    return 0;
}

static int read_all(struct sources *s, const char *folder)
{
    char *paths[] = { (char *) folder, NULL };
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL)
        return fail(s, folder, strerror(errno));
    int r = 0;
    for (FTSENT *e; r == 0 && (e = fts_read(tree)) != NULL;) {
        size_t size = strlen(e->fts_name);
        if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
            r = fail(s, e->fts_path, strerror(e->fts_errno));
        else if (e->fts_info == FTS_D && e->fts_level > DEPTH_MAX)
            r = fail(s, e->fts_path, "is too deep");
        else if (e->fts_info == FTS_F && size > 5 && strcmp(e->fts_name + size - 5, ".tale") == 0)
            r = read_file(s, e);
    }
    fts_close(tree);
    if (r == 0 && s->count == 0)
        return fail(s, folder, "holds no .tale file");
    return r;
}

int content_compile(const char *folder, struct nvl_pack **out, char *why, size_t why_size)
{
    struct sources s = { .folder_size = strlen(folder), .why = why, .why_size = why_size };
    arena_init(&s.arena, 65536);
    s.list = arena_zero(&s.arena, FILES_MAX, sizeof *s.list);
    int r = s.list == NULL ? fail(&s, folder, "out of memory") : read_all(&s, folder);
    if (r == 0) {
        struct nvl_error err = { 0 };
        r = nvl_pack_compile(s.list, s.count, nvl_prose_check_statement, NULL, &err, out) == NVL_OK ? 0 : -1;
        if (r < 0)
            snprintf(why, why_size, "%s/%s:%u:%u: %s", folder, err.file, err.line, err.column, err.message);
    }
    arena_done(&s.arena);
    return r;
}
