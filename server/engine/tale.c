/* tale.c — sources to image.  Names are declared before anything is read, so files may come in any
 * order; sources are sorted by path, so the image does not depend on who listed them. */
#include "server/engine/tale.h"
#include <string.h>
#include "rpc/base/alloc.h"

static bool define_read(struct tale *t, const struct tale_statement *s)
{
    struct lex lex;
    char name[48];
    lex_open(&lex, t, s->file, &s->head);
    if (t->defines_count == 64)
        return tale_fail(t, &lex, "more than 64 defines");
    struct tale_define *d = &t->defines[t->defines_count];
    struct lex at = lex;
    if (!lex_word(&lex, name, sizeof(name), "a name"))
        return false;
    for (size_t i = 0; i < t->defines_count; i++)
        if (strcmp(t->defines[i].name, name) == 0)
            return tale_fail(t, &at, "\"%s\" is defined twice", name);
    if (lex_take(&lex, "(")) {
        do {
            if (d->params_count == 4)
                return tale_fail(t, &lex, "more than 4 parameters");
            if (!lex_word(&lex, d->params[d->params_count++], 16, "a parameter"))
                return false;
        } while (lex_take(&lex, ","));
        if (!lex_want(&lex, ")"))
            return false;
    }
    if (!lex_want(&lex, "="))
        return false;
    d->body = lex;
    if ((d->name = arena_strndup(&t->arena, name, strlen(name))) == NULL)
        return tale_nomem(t);
    t->defines_count++;
    return true;
}
static bool pack_read(struct tale *t, const struct tale_statement *s)
{
    struct lex lex;
    char name[48];
    lex_open(&lex, t, s->file, &s->head);
    if (t->counts[SEC_META] != 0)
        return tale_fail(t, &lex, "a second \"pack\" statement");
    if (!lex_word(&lex, name, sizeof(name), "the pack's name") || !lex_done(&lex))
        return false;
    put32(&t->sec[SEC_META], tale_string(t, name, strlen(name)));
    t->counts[SEC_META] = 1;
    return true;
}
static bool keyword_is(const struct tale_statement *s, const char *keyword)
{
    return !s->prose && strcmp(s->keyword, keyword) == 0;
}
static bool read_declarations(struct tale *t)
{
    static const char *const order[] = { "frame", "goal",  "thread", "operator", "genre",
                                         "fact",  "truth", "clue",   "ending" };
    for (size_t i = 0; i < t->statements_count; i++)
        if ((keyword_is(&t->statements[i], "pack") && !pack_read(t, &t->statements[i])) ||
            (keyword_is(&t->statements[i], "fluent") && !tale_fluent(t, &t->statements[i])) ||
            (keyword_is(&t->statements[i], "define") && !define_read(t, &t->statements[i])))
            return false;
    for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++)
        for (size_t i = 0; i < t->statements_count; i++)
            if (keyword_is(&t->statements[i], order[k]) &&
                !tale_story_declare(t, &t->statements[i]))
                return false;
    for (size_t i = 0; i < t->threads.count; i++) {
        put32(&t->sec[SEC_THRD],
              tale_string(t, t->threads.items[i].name, strlen(t->threads.items[i].name)));
        t->counts[SEC_THRD]++;
    }
    return true;
}
static void read_prose(struct tale *t, const struct tale_statement *s)
{
    struct buf *b = &t->sec[SEC_PROS];
    put32(b, tale_string(t, s->keyword, strlen(s->keyword)));
    put32(b, tale_string(t, s->head.text, s->head.size));
    put32(b, tale_string(t, s->file, strlen(s->file)));
    put32(b, s->head.line), put32(b, t->counts[SEC_PRLN]), put32(b, (uint32_t) s->body_count);
    t->counts[SEC_PROS]++;
    for (size_t i = 0; i < s->body_count; i++) {
        struct buf *l = &t->sec[SEC_PRLN];
        put32(l, tale_string(t, s->body[i].text, s->body[i].size)), put32(l, s->body[i].line),
            put32(l, s->body[i].column);
        t->counts[SEC_PRLN]++;
    }
}
static bool read_bodies(struct tale *t)
{
    for (size_t i = 0; i < t->statements_count; i++) {
        struct tale_statement *s = &t->statements[i];
        if (s->prose)
            read_prose(t, s);
        else if (keyword_is(s, "operator") ? !tale_operator(t, s) : !tale_story(t, s))
            return false;
    }
    return true;
}

/* Word tables leave the compiler sorted: lookups are binary searches and the image is canonical. */
static int words_compare(const struct tale *t, size_t a, size_t b)
{
    if (t->words[a].sec != t->words[b].sec)
        return t->words[a].sec < t->words[b].sec ? -1 : 1;
    int c = strcmp(t->words[a].word, t->words[b].word);
    if (c != 0)
        return c;
    int ka = t->words[a].kind * 256 + t->words[a].index,
        kb = t->words[b].kind * 256 + t->words[b].index;
    return ka != kb ? ka - kb : (a > b) - (a < b);
}
static bool write_words(struct tale *t)
{
    size_t n = t->words_count;
    uint32_t *order = arena_zero(&t->arena, 2 * n + 1, sizeof(*order));
    if (order == NULL)
        return tale_nomem(t);
    uint32_t *from = order, *to = order + n;
    for (size_t i = 0; i < n; i++)
        from[i] = (uint32_t) i;
    for (size_t width = 1; width < n; width *= 2) { /* merge sort: stable, no worst case */
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n,
                   hi = lo + 2 * width < n ? lo + 2 * width : n;
            size_t i = lo, j = mid;
            for (size_t k = lo; k < hi; k++)
                to[k] = i < mid && (j >= hi || words_compare(t, from[i], from[j]) <= 0) ? from[i++]
                                                                                        : from[j++];
        }
        uint32_t *swap = from;
        from = to, to = swap;
    }
    for (size_t k = 0; k < n; k++) {
        size_t i = from[k];
        enum pack_section sec = t->words[i].sec;
        if (sec != SEC_CUES && k > 0 && t->words[from[k - 1]].sec == sec &&
            strcmp(t->words[from[k - 1]].word, t->words[i].word) == 0)
            continue; /* the first meaning stands */
        put32(&t->sec[sec], tale_string(t, t->words[i].word, strlen(t->words[i].word)));
        if (sec == SEC_CUES)
            put8(&t->sec[sec], (unsigned) t->words[i].kind),
                put8(&t->sec[sec], (unsigned) t->words[i].index),
                put16(&t->sec[sec], (uint16_t) t->words[i].value);
        else
            put32(&t->sec[sec], (uint32_t) t->words[i].value);
        t->counts[sec]++;
    }
    return true;
}
static bool write_image(struct tale *t, struct buf *out)
{
    t->counts[SEC_STRS] = (uint32_t) t->sec[SEC_STRS].size;
    t->counts[SEC_CODE] = (uint32_t) t->sec[SEC_CODE].size;
    buf_puts(out, "NVLPACK\n");
    put32(out, PACK_VERSION), put32(out, SECTIONS);
    uint32_t offset = 16 + 16 * SECTIONS;
    for (unsigned s = 0; s < SECTIONS; s++) {
        uint32_t size = (uint32_t) t->sec[s].size;
        buf_put(out, pack_sections[s].tag, 4);
        put32(out, offset), put32(out, t->counts[s]), put32(out, size);
        offset += (size + 3) & ~3u;
    }
    for (unsigned s = 0; s < SECTIONS; s++) {
        if (t->sec[s].failed)
            return tale_nomem(t);
        buf_put(out, t->sec[s].data, t->sec[s].size);
        while (out->size % 4 != 0 && !out->failed)
            put8(out, 0);
    }
    return !out->failed || tale_nomem(t);
}
static bool compile(struct tale *t, const struct nvl_source *sources, size_t count,
                    struct buf *image)
{
    const struct nvl_source **sorted = arena_zero(&t->arena, count + 1, sizeof(*sorted));
    if (sorted == NULL)
        return tale_nomem(t);
    for (size_t i = 0; i < count; i++) {
        size_t k = i;
        for (; k > 0 && strcmp(sorted[k - 1]->path, sources[i].path) > 0; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = &sources[i];
    }
    put8(&t->sec[SEC_STRS], 0);
    put8(&t->sec[SEC_CODE], 0);
    for (size_t i = 0; i < count; i++)
        if (!tale_split(t, sorted[i]))
            return false;
    if (!read_declarations(t) || !read_bodies(t) || !write_words(t) || t->rc != NVL_OK)
        return false;
    if (t->counts[SEC_META] == 0)
        return tale_fail(t, NULL, "no source has a \"pack\" statement");
    return write_image(t, image);
}
/* The narrator's say about every prose statement, with the world part at hand. */
static int check_prose(const struct nvl_pack *pack, nvl_prose_check check, void *ctx,
                       struct nvl_error *err)
{
    struct nvl_error local = { 0 };
    for (size_t i = 0; check != NULL && i < nvl_pack_prose_count(pack); i++) {
        const struct nvl_prose *p = nvl_pack_prose(pack, i);
        memset(&local, 0, sizeof(local));
        if (check(ctx, pack, p, &local) == 0)
            continue;
        size_t n = strlen(p->file);
        n = n < sizeof(local.file) ? n : sizeof(local.file) - 1;
        memcpy(local.file, p->file, n);
        local.file[n] = 0;
        local.line = local.line == 0 ? p->line : local.line;
        local.column = local.column == 0 ? 1 : local.column;
        if (err != NULL)
            *err = local;
        return NVL_E_PACK;
    }
    return NVL_OK;
}

int nvl_pack_compile(const struct nvl_source *sources, size_t count, nvl_prose_check check,
                     void *ctx, struct nvl_error *err, struct nvl_pack **out)
{
    struct tale *t = alloc_zero(1, sizeof(*t));
    struct buf image = { 0 };
    struct nvl_pack *pack = NULL;
    if (t == NULL)
        return NVL_E_NOMEM;
    t->err = err;
    arena_init(&t->arena, 64 * 1024);
    int rc = compile(t, sources, count, &image) ? NVL_OK : t->rc;
    if (rc == NVL_OK)
        rc = nvl_pack_open(image.data, image.size, err, &pack);
    if (rc == NVL_OK && (rc = check_prose(pack, check, ctx, err)) != NVL_OK)
        nvl_pack_free(pack);
    else if (rc == NVL_OK)
        *out = pack;
    for (unsigned s = 0; s < SECTIONS; s++)
        buf_done(&t->sec[s]);
    map_done(&t->strings);
    arena_done(&t->arena);
    alloc_free(t);
    buf_done(&image);
    return rc;
}
