#include "server/tools/novel-metrics-sample.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "rpc/base/alloc.h"
#include "rpc/base/utf8.h"
#include "server/tools/novel-verify.h"

enum { FILE_BYTES = 64 << 20, FILES_MAX = 20000 };

int samples_init(struct samples *s, size_t window)
{
    *s = (struct samples){ .window = window,
                           .words = text_table_new(),
                           .operators = text_table_new() };
    arena_init(&s->arena, 64 << 10);
    if (s->words != NULL && s->operators != NULL)
        return 0;
    samples_done(s);
    return -1;
}
void samples_done(struct samples *s)
{
    text_table_free(s->words);
    text_table_free(s->operators);
    alloc_free(s->list);
    arena_done(&s->arena);
}

static struct sample *add(struct samples *s, const char *name)
{
    if (s->count == s->capacity) {
        size_t more = s->capacity == 0 ? 64 : 2 * s->capacity;
        struct sample *list = alloc_resize(s->list, more * sizeof(*list));
        if (list == NULL)
            return NULL;
        s->list = list;
        s->capacity = more;
    }
    const char *copy = arena_strndup(&s->arena, name, strlen(name));
    if (copy == NULL)
        return NULL;
    s->list[s->count] = (struct sample){ .name = copy };
    return &s->list[s->count++];
}
static int take_text(struct samples *s, struct sample *x, const void *text, size_t size)
{
    const char *copy = size > 0 ? arena_copy(&s->arena, text, size) : "";
    if (copy == NULL || text_read(copy, size, s->window, s->words, &s->arena, &x->doc) != 0)
        return -1;
    x->doc.name = x->name;
    int r = metrics_one(&x->doc, s->words, x->one);
    x->has_text = r == 0;
    return r < 0 ? -1 : 0;
}
struct sample *samples_add_text(struct samples *s, const char *name, const void *text, size_t size)
{
    struct sample *x = add(s, name);
    return x != NULL && take_text(s, x, text, size) == 0 ? x : NULL;
}

/* ---- what was played ------------------------------------------------------------------------- */

void sample_story_text(const struct nvl_story *story, struct buf *out)
{
    for (size_t i = 0; i < story->passages_count; i++)
        for (size_t k = 0; k < story->passages[i].sentences_count; k++) {
            const struct nvl_sentence *x = &story->passages[i].sentences[k];
            if (out->size > 0)
                buf_puts(out, k == 0 || x->paragraph_start ? "\n\n" : " ");
            buf_puts(out, x->text);
        }
    buf_putc(out, '\n');
}
static void mark_words(struct samples *s, uint64_t *own, size_t numbers, const char *text)
{
    struct text_doc d;
    if (text_read(text, strlen(text), 0, s->words, &s->arena, &d) != 0)
        return;
    for (size_t i = 0; i < d.words_count; i++)
        if (d.words[i].id < numbers) /* a word that the text lacks needs no mark */
            own[d.words[i].id / 64] |= UINT64_C(1) << (d.words[i].id % 64);
}
static int mark_own(struct samples *s, struct sample *x, const struct nvl_world *world)
{
    size_t numbers = text_table_count(s->words);
    x->own = arena_zero(&s->arena, numbers / 64 + 1, sizeof(*x->own));
    if (x->own == NULL)
        return -1;
    for (size_t i = 0; i < nvl_world_noun_count(world); i++) {
        bool placed;
        mark_words(s, x->own, numbers, nvl_world_noun(world, i, &placed));
    }
    for (size_t i = 0; i < nvl_world_cast_count(world); i++)
        mark_words(s, x->own, numbers, nvl_world_entity(world, NVL_SORT_CHAR, i)->name);
    return 0;
}
struct sample *samples_add_played(struct samples *s, const char *name,
                                  const struct metrics_played *played, const struct buf *text)
{
    struct sample *x = samples_add_text(s, name, text->data, text->size);
    if (x == NULL || metrics_log(played, s->operators, &s->arena, &x->play) != 0 ||
        mark_own(s, x, played->world) != 0)
        return NULL;
    x->has_play = true;
    return x;
}

/* ---- logs ------------------------------------------------------------------------------------ */

struct opened { /* a log's pack, request, world, events and telling */
    struct nvl_log log;
    struct nvl_pack *pack;
    struct nvl_header *header;
    struct nvl_world *world;
    struct nvl_event *events;
    size_t count;
    struct arena arena;
    struct nvl_story story;
};
static int check_prose(const struct nvl_pack *pack)
{
    struct nvl_error err;
    for (size_t i = 0; i < nvl_pack_prose_count(pack); i++)
        if (nvl_prose_check_statement(NULL, pack, nvl_pack_prose(pack, i), &err) != 0)
            return NVL_E_PACK;
    return NVL_OK;
}
static int open_events(struct opened *o)
{
    struct nvl_span span;
    size_t at = 0;
    o->events = o->log.events_count <= NVL_EVENTS_MAX
                    ? alloc_zero(o->log.events_count, sizeof(*o->events))
                    : NULL;
    if (o->events == NULL)
        return NVL_E_NOMEM;
    while (o->count < o->log.events_count && nvl_log_next(&o->log, &at, &span)) {
        int rc = nvl_event_decode(span.data, span.size, &o->events[o->count]);
        if (rc != NVL_OK)
            return rc;
        if (o->events[o->count].sequence != o->count + 1)
            return NVL_E_CORRUPT;
        o->count++;
    }
    return NVL_OK;
}
static int open_log(struct opened *o, const struct buf *bytes)
{
    int rc = nvl_log_open(bytes->data, bytes->size, &o->log);
    if (rc == NVL_OK)
        rc = nvl_pack_open(o->log.pack.data, o->log.pack.size, NULL, &o->pack);
    if (rc == NVL_OK)
        rc = check_prose(o->pack);
    if (rc == NVL_OK)
        rc = nvl_header_decode(o->log.header.data, o->log.header.size, &o->header);
    if (rc == NVL_OK && o->log.carry.size > 0)
        rc = nvl_header_set_carry(o->header, o->log.carry.data, o->log.carry.size);
    if (rc == NVL_OK)
        rc = nvl_world_open(o->pack, nvl_header_request(o->header), NULL, &o->world);
    if (rc == NVL_OK)
        rc = open_events(o);
    if (rc == NVL_OK)
        rc = nvl_tell(o->world, o->events, o->count, NULL, &o->arena, NULL, &o->story);
    return rc;
}
static void opened_done(struct opened *o)
{
    alloc_free(o->events);
    nvl_world_free(o->world);
    nvl_header_free(o->header);
    nvl_pack_free(o->pack);
    arena_done(&o->arena);
}
/* text: what lies beside the log, or NULL to tell it here. */
static int add_log(struct samples *s, const char *name, const struct buf *bytes,
                   const struct buf *text)
{
    struct opened o = { 0 };
    struct verify_report *report = alloc_zero(1, sizeof(*report));
    struct buf told = { 0 };
    arena_init(&o.arena, 64 << 10);
    int rc = report == NULL ? NVL_E_NOMEM : NVL_OK;
    if (rc == NVL_OK && verify_log_check(bytes->data, bytes->size, report) != VERIFY_DONE)
        rc = NVL_E_CORRUPT;
    if (rc == NVL_OK)
        rc = open_log(&o, bytes);
    if (rc == NVL_OK) {
        struct metrics_played p = { o.world, o.events, o.count, &o.story, report->violations };
        sample_story_text(&o.story, &told);
        if (told.failed || samples_add_played(s, name, &p, text != NULL ? text : &told) == NULL)
            rc = NVL_E_NOMEM;
    }
    if (rc != NVL_OK)
        fprintf(stderr, "novel-metrics: %s: %s\n", name,
                rc == NVL_E_NOMEM ? "out of memory" : "not a log that this engine can tell");
    buf_done(&told);
    opened_done(&o);
    alloc_free(report);
    return rc == NVL_OK ? 0 : -1;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    uint8_t block[65536];
    size_t n;
    if (f == NULL)
        return -1;
    while ((n = fread(block, 1, sizeof(block), f)) > 0 && out->size < FILE_BYTES)
        buf_put(out, block, n);
    int bad = ferror(f) != 0 || out->failed || out->size >= FILE_BYTES;
    fclose(f);
    return bad ? -1 : 0;
}
static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}
static bool is_text(const char *name)
{
    return ends_with(name, ".txt") || ends_with(name, ".md");
}
/* The text that lies beside a log: NAME.txt or NAME.md. */
static bool read_beside(const char *path, struct buf *out)
{
    static const char *const ends[] = { ".txt", ".md" };
    size_t stem = strlen(path) - strlen(".nvlog");
    for (size_t i = 0; i < 2; i++) {
        struct buf name = { 0 };
        buf_put(&name, path, stem);
        buf_puts(&name, ends[i]);
        buf_reset(out);
        bool found =
            !name.failed && read_file(buf_str(&name), out) == 0 && utf8_valid(out->data, out->size);
        buf_done(&name);
        if (found)
            return true;
    }
    return false;
}
static int add_file(struct samples *s, const char *path)
{
    struct buf bytes = { 0 }, beside = { 0 };
    int r = read_file(path, &bytes);
    if (r != 0)
        fprintf(stderr, "novel-metrics: cannot read %s: %s\n", path, strerror(errno));
    else if (ends_with(path, ".nvlog"))
        r = add_log(s, path, &bytes, read_beside(path, &beside) ? &beside : NULL);
    else if (!utf8_valid(bytes.data, bytes.size))
        r = -1, fprintf(stderr, "novel-metrics: %s: not UTF-8\n", path);
    else if (samples_add_text(s, path, bytes.data, bytes.size) == NULL)
        r = -1, fprintf(stderr, "novel-metrics: %s: out of memory\n", path);
    buf_done(&bytes);
    buf_done(&beside);
    return r;
}
static bool has_log(const char *folder, const char *name, struct arena *scratch)
{
    size_t stem = (size_t) (strrchr(name, '.') - name);
    struct stat st;
    const char *log = arena_printf(scratch, "%s/%.*s.nvlog", folder, (int) stem, name);
    return log != NULL && stat(log, &st) == 0;
}
static int add_folder(struct samples *s, const char *folder)
{
    struct dirent **entries;
    struct arena scratch;
    int n = scandir(folder, &entries, NULL, alphasort), r = 0;
    if (n < 0 || n > FILES_MAX) {
        fprintf(stderr, "novel-metrics: cannot list %s: %s\n", folder,
                n < 0 ? strerror(errno) : "too many files");
        r = -1;
    }
    arena_init(&scratch, 4096);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        bool log = ends_with(name, ".nvlog");
        if (r == 0 && (log || (is_text(name) && !has_log(folder, name, &scratch)))) {
            const char *path = arena_printf(&scratch, "%s/%s", folder, name);
            r = path == NULL ? -1 : add_file(s, path);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    arena_done(&scratch);
    return r;
}
int samples_add_path(struct samples *s, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "novel-metrics: cannot read %s: %s\n", path, strerror(errno));
        return -1;
    }
    if (S_ISDIR(st.st_mode))
        return add_folder(s, path);
    if (is_text(path) || ends_with(path, ".nvlog"))
        return add_file(s, path);
    fprintf(stderr, "novel-metrics: %s: neither .txt nor .md nor .nvlog\n", path);
    return -1;
}
