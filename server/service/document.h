/* document.h — a story, or a book of several, written as Markdown, plain text, a page or an EPUB file.  Pure
 * functions of the document: the same document gives the same bytes.  Nothing is kept; any thread. */
#ifndef SERVER_SERVICE_DOCUMENT_H
#define SERVER_SERVICE_DOCUMENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/base/arena.h"
#include "rpc/base/buf.h"
#include "server/contract.h"

/* A sentence as the narrator gives it: *stars* mark what is emphasised, straight marks quote.  NULL reads as ""
 * in every string here; all are UTF-8 and borrowed. */
struct document_sentence {
    const char *text;
    const uint64_t *events; /* sequences of what it tells; may be none */
    size_t events_count;
    bool paragraph_start;   /* the first of a scene begins one whatever it says */
};
struct document_scene {
    const char *focaliser; /* a character's id */
    const struct document_sentence *sentences;
    size_t sentences_count;
};
struct document_chapter {
    const char *title; /* "": the document is this one story, under its own title alone */
    const struct document_scene *scenes;
    size_t scenes_count;
};
/* One chapter without a title is a story.  Anything else is a book: title page, table of contents, chapters. */
struct document {
    const char *title;
    const char *subtitle;
    const char *language;   /* BCP 47; "": en */
    const char *identifier; /* EPUB: unique name, "urn:novel-engine:sim_…"; "": made from the title */
    const char *modified;   /* EPUB: RFC 3339 in UTC, "2026-05-01T12:00:00Z"; "": a fixed day */
    const struct document_chapter *chapters;
    size_t chapters_count;
};

enum document_format { DOCUMENT_MARKDOWN, DOCUMENT_TEXT, DOCUMENT_HTML, DOCUMENT_EPUB, DOCUMENT_FORMATS };
/* The format of a name ("epub"; "" is markdown); -1: none. */
int document_format_find(const char *name);
const char *document_format_name(enum document_format format);
const char *document_content_type(enum document_format format);

/* Appends the document.  out->failed without memory, and then what was appended is of no use. */
void document_write(const struct document *d, enum document_format format, struct buf *out);
void document_markdown(const struct document *d, struct buf *out);
void document_text(const struct document *d, struct buf *out);
/* A page that needs nothing but itself. Each sentence is a span whose data-events names what it tells. */
void document_html(const struct document *d, struct buf *out);
/* EPUB 3: nothing but the document decides its bytes (and the zlib it is packed with). */
void document_epub(const struct document *d, struct buf *out);

/* A chapter out of a told story as it is stored (StoryDocument); lives in a and borrows the story's strings.
 * title: as in document_chapter.  false without memory. */
bool document_chapter_from_story(const NE(StoryDocument) * story, const char *title, struct arena *a,
                                 struct document_chapter *out);

/* --- for the writers --- */

/* The body of a chapter as (X)HTML sections: escaped, quotes and dashes set, *stars* made <em>. */
void document_put_scenes(const struct document_chapter *chapter, bool with_events, struct buf *out);
/* Text escaped for (X)HTML text and attributes; bytes that XML does not allow are left out. */
void document_put_escaped(const char *text, struct buf *out);
bool document_is_book(const struct document *d);
const char *document_language(const struct document *d); /* never "" and safe in an attribute */
/* The style sheet that page and book share. */
extern const char document_css[];

#endif
