/* document.c — what the formats share, and the two that are text: Markdown and plain. */
#include "server/service/document.h"

#include <string.h>

static const struct {
    const char *name, *content_type;
    void (*write)(const struct document *d, struct buf *out);
} formats[DOCUMENT_FORMATS] = {
    [DOCUMENT_MARKDOWN] = { "markdown", "text/markdown; charset=utf-8", document_markdown },
    [DOCUMENT_TEXT] = { "text", "text/plain; charset=utf-8", document_text },
    [DOCUMENT_HTML] = { "html", "text/html; charset=utf-8", document_html },
    [DOCUMENT_EPUB] = { "epub", "application/epub+zip", document_epub },
};

int document_format_find(const char *name)
{
    if (name == NULL || name[0] == '\0')
        return DOCUMENT_MARKDOWN;
    for (int i = 0; i < DOCUMENT_FORMATS; i++)
        if (strcmp(name, formats[i].name) == 0)
            return i;
    return -1;
}

const char *document_format_name(enum document_format format)
{
    return formats[format].name;
}

const char *document_content_type(enum document_format format)
{
    return formats[format].content_type;
}

void document_write(const struct document *d, enum document_format format, struct buf *out)
{
    formats[format].write(d, out);
}

bool document_is_book(const struct document *d)
{
    return d->chapters_count != 1 || (d->chapters[0].title != NULL && d->chapters[0].title[0] != '\0');
}

const char *document_language(const struct document *d)
{
    const char *s = d->language;
    if (s == NULL || s[0] == '\0')
        return "en";
    for (const char *p = s; *p != '\0'; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '-'))
            return "en";
    return s;
}

/* ---- sentences ---- */

/* The partner of the star at p, or NULL: then it is a star and no mark. */
static const char *star_end(const char *p)
{
    if (p[1] == '\0' || p[1] == ' ' || p[1] == '*')
        return NULL;
    for (const char *q = p + 1; *q != '\0'; q++)
        if (*q == '*')
            return q[-1] != ' ' ? q : NULL;
    return NULL;
}

static void put_plain(const char *text, struct buf *out)
{
    const char *open = NULL;
    for (const char *p = text; *p != '\0'; p++) {
        if (p == open) {
            open = NULL;
        } else if (open == NULL && *p == '*' && star_end(p) != NULL) {
            open = star_end(p);
        } else {
            buf_putc(out, *p);
        }
    }
}

static void put_paragraphs(const struct document_chapter *c, bool plain, struct buf *out)
{
    for (size_t s = 0; s < c->scenes_count; s++)
        for (size_t i = 0; i < c->scenes[s].sentences_count; i++) {
            const struct document_sentence *one = &c->scenes[s].sentences[i];
            const char *text = one->text != NULL ? one->text : "";
            buf_puts(out, one->paragraph_start || i == 0 ? "\n\n" : " ");
            if (plain)
                put_plain(text, out);
            else
                buf_puts(out, text);
        }
}

/* A title is plain text: what Markdown would read as a mark stands behind a backslash; one line. */
static void put_title(const char *title, bool plain, struct buf *out)
{
    for (const char *p = title != NULL ? title : ""; *p != '\0'; p++) {
        unsigned char ch = (unsigned char) *p;
        if (!plain && strchr("\\`*_<>[]#&", *p) != NULL)
            buf_putc(out, '\\');
        buf_putc(out, ch < 0x20 || ch == 0x7f ? ' ' : *p);
    }
}

static void put_document(const struct document *d, bool plain, struct buf *out)
{
    bool book = document_is_book(d), subtitled = d->subtitle != NULL && d->subtitle[0] != '\0';
    if (!plain)
        buf_puts(out, "# ");
    put_title(d->title, plain, out);
    if (subtitled) {
        buf_puts(out, plain ? "\n\n" : "\n\n*");
        put_title(d->subtitle, plain, out);
        buf_puts(out, plain ? "" : "*");
    }
    for (size_t i = 0; book && i < d->chapters_count; i++) {
        buf_printf(out, "%s%zu. ", i == 0 ? "\n\n" : "\n", i + 1);
        put_title(d->chapters[i].title, plain, out);
    }
    for (size_t i = 0; i < d->chapters_count; i++) {
        if (book) {
            buf_printf(out, plain ? "\n\n\n%zu. " : "\n\n## %zu. ", i + 1);
            put_title(d->chapters[i].title, plain, out);
        }
        put_paragraphs(&d->chapters[i], plain, out);
    }
    buf_putc(out, '\n');
}

void document_markdown(const struct document *d, struct buf *out)
{
    put_document(d, false, out);
}

void document_text(const struct document *d, struct buf *out)
{
    put_document(d, true, out);
}

/* ---- (X)HTML ---- */

/* What &, <, > and " become; NULL: it stands as it is. */
static const char *entity_of(char ch)
{
    return ch == '&' ? "&amp;" : ch == '<' ? "&lt;" : ch == '>' ? "&gt;" : ch == '"' ? "&quot;" : NULL;
}

static bool allowed(char ch)
{
    return (unsigned char) ch >= 0x20 || ch == '\n' || ch == '\t';
}

void document_put_escaped(const char *text, struct buf *out)
{
    for (const char *p = text != NULL ? text : ""; *p != '\0'; p++) {
        const char *entity = entity_of(*p);
        if (entity != NULL)
            buf_puts(out, entity);
        else if (allowed(*p))
            buf_putc(out, *p);
    }
}

struct setting { /* of one paragraph */
    struct buf *out;
    bool quoted, emphasised;
};

/* A mark opens behind a blank, a bracket, a dash or another opening mark. */
static bool opens(const char *text, const char *p)
{
    return p == text || strchr(" (-\"*", p[-1]) != NULL;
}

/* One byte that typography changes: quotation marks, apostrophes, dashes, stars.  How many were read; 0: none. */
static size_t put_mark(struct setting *s, const char *text, const char *p)
{
    bool before_end = p[1] == '\0' || strchr(" .,;:!?)", p[1]) != NULL;
    if (*p == '"') { /* the next one closes, but behind a blank and before a word one always opens */
        bool open = (opens(text, p) && !before_end) || (!s->quoted && !before_end);
        buf_puts(s->out, open ? "\xe2\x80\x9c" : "\xe2\x80\x9d");
        s->quoted = open;
        return 1;
    }
    if (*p == '\'') {
        bool open = opens(text, p) && !before_end && strchr(p + 1, '\'') != NULL;
        buf_puts(s->out, open ? "\xe2\x80\x98" : "\xe2\x80\x99");
        return 1;
    }
    if (*p == '-' && p[1] == '-') {
        buf_puts(s->out, p[2] == '-' ? "\xe2\x80\x94" : "\xe2\x80\x93");
        return p[2] == '-' ? 3 : 2;
    }
    if (*p == '*' && (s->emphasised || star_end(p) != NULL)) {
        buf_puts(s->out, s->emphasised ? "</em>" : "<em>");
        s->emphasised = !s->emphasised;
        return 1;
    }
    return 0;
}

static void put_sentence(struct setting *s, const struct document_sentence *one, bool with_events)
{
    const char *text = one->text != NULL ? one->text : "";
    if (with_events && one->events_count > 0) {
        buf_puts(s->out, "<span class=\"told\" data-events=\"");
        for (size_t i = 0; i < one->events_count; i++)
            buf_printf(s->out, "%s%llu", i > 0 ? "," : "", (unsigned long long) one->events[i]);
        buf_printf(s->out, "\" title=\"event%s ", one->events_count > 1 ? "s" : "");
        for (size_t i = 0; i < one->events_count; i++)
            buf_printf(s->out, "%s%llu", i > 0 ? ", " : "", (unsigned long long) one->events[i]);
        buf_puts(s->out, "\">");
    }
    for (const char *p = text; *p != '\0';) {
        size_t n = put_mark(s, text, p);
        const char *entity = entity_of(*p);
        if (n == 0 && entity != NULL)
            buf_puts(s->out, entity);
        else if (n == 0 && allowed(*p))
            buf_putc(s->out, *p);
        p += n > 0 ? n : 1;
    }
    if (s->emphasised)
        buf_puts(s->out, "</em>");
    s->emphasised = false;
    if (with_events && one->events_count > 0)
        buf_puts(s->out, "</span>");
}

void document_put_scenes(const struct document_chapter *chapter, bool with_events, struct buf *out)
{
    for (size_t k = 0; k < chapter->scenes_count; k++) {
        const struct document_scene *scene = &chapter->scenes[k];
        struct setting s = { .out = out };
        if (scene->sentences_count == 0)
            continue;
        buf_printf(out, "<section class=\"scene\" data-scene=\"%zu\"", k + 1);
        if (scene->focaliser != NULL && scene->focaliser[0] != '\0') {
            buf_puts(out, " data-focaliser=\"");
            document_put_escaped(scene->focaliser, out);
            buf_putc(out, '"');
        }
        buf_puts(out, ">\n<p>");
        for (size_t i = 0; i < scene->sentences_count; i++) {
            const struct document_sentence *one = &scene->sentences[i];
            if (i > 0)
                buf_puts(out, one->paragraph_start ? "</p>\n<p>" : " ");
            if (one->paragraph_start)
                s.quoted = false;
            put_sentence(&s, one, with_events);
        }
        buf_puts(out, "</p>\n</section>\n");
    }
}

/* ---- from what is stored ---- */

static bool take_scene(const NE(Passage) * p, struct arena *a, struct document_scene *out)
{
    struct document_sentence *sentences = arena_zero(a, p->n_sentences + 1, sizeof *sentences);
    if (sentences == NULL)
        return false;
    for (size_t i = 0; i < p->n_sentences; i++) {
        const NE(Passage__Sentence) *s = p->sentences[i];
        sentences[i] = (struct document_sentence) { s->text, s->events, s->n_events, s->paragraph_start };
    }
    *out = (struct document_scene) { p->focaliser, sentences, p->n_sentences };
    return true;
}

bool document_chapter_from_story(const NE(StoryDocument) * story, const char *title, struct arena *a,
                                 struct document_chapter *out)
{
    struct document_scene *scenes = arena_zero(a, story->n_passages + 1, sizeof *scenes);
    if (scenes == NULL)
        return false;
    for (size_t i = 0; i < story->n_passages; i++)
        if (!take_scene(story->passages[i], a, &scenes[i]))
            return false;
    *out = (struct document_chapter) { title, scenes, story->n_passages };
    return true;
}
