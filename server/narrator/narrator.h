/* narrator.h — tells a finished log as a story.  Pure: no I/O, no clock, no globals, no floats.
 *
 * A story is a function of world, events and telling alone: the same three give the same bytes with
 * any compiler, on any machine.  Everything the story consists of lives in the caller's arena.  Any
 * number of stories may be told side by side over one world; an arena belongs to one thread at a
 * time. */
#ifndef NVL_NARRATOR_H
#define NVL_NARRATOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/base/arena.h"
#include "rpc/base/buf.h"
#include "server/engine/nvl.h"

enum nvl_style {                            /* how it is told; never what happens */
                 NVL_STYLE_SCI_FI_DRAMATIC, /* the default */
                 NVL_STYLE_TACTICAL,
                 NVL_STYLE_PHILOSOPHICAL,
                 NVL_STYLE_LITERARY,
                 NVL_STYLE_NOIR,
                 NVL_STYLE_FABLE,
                 NVL_STYLES,
};
/* Who tells it.  A telling with a chosen focaliser, and every first_person and journal, asserts only
 * what the focaliser saw, heard or learned; nobody else's mind is open to it.  omniscient is not
 * bound. */
enum nvl_perspective {
    NVL_THIRD_LIMITED, /* the default */
    NVL_OMNISCIENT,
    NVL_FIRST_PERSON, /* the focaliser is "I" */
    NVL_JOURNAL,      /* the same, in dated entries that report more than they quote */
    NVL_PERSPECTIVES,
};

/* NULL reads as "" in every string. */
struct nvl_telling {
    const char *narrative_style; /* "": sci_fi_dramatic */
    const char *perspective;     /* "": third_limited; omniscient, first_person, journal */
    const char *focaliser;       /* id of a cast member whose side is told; "": chosen per story */
    const char *language;        /* BCP 47; "" or en, en-…: English */
    uint32_t words; /* 0: 450 + 40 * turns + 40 * (cast - 2); else about this many, where the log
                       has as much to tell */
    bool at_most;   /* words is a bound that old clients set: ten turns stay under 6,000 bytes */
};

struct nvl_sentence {
    const char *text;       /* with its closing punctuation; no outer blanks */
    const uint32_t *events; /* sequences of what it tells */
    size_t events_count;
    const char *const *facts; /* ids of facts it lets the reader know or guess */
    size_t facts_count;
    const char *const *entities; /* ids of who and what it names */
    size_t entities_count;
    bool paragraph_start;
};
struct nvl_passage {       /* a scene */
    uint32_t scene;        /* from 1 */
    const char *focaliser; /* character id */
    const struct nvl_sentence *sentences;
    size_t sentences_count;
};
struct nvl_story {
    const char *title;
    const char *ending; /* name of the ending; "" when the log has not ended with one */
    const struct nvl_passage *passages;
    size_t passages_count;
    uint32_t word_count;        /* without the title */
    uint32_t scenario_coverage; /* permille of the scenario's content nouns that stand in the text;
                                   1000: it has none */
    uint32_t rewritten;         /* sentences that the self-audit made choose again */
    enum nvl_style style;       /* the telling as it was understood */
    enum nvl_perspective perspective;
    const char *focaliser; /* whose side it is: a character id; "": it goes from one to another */
    uint32_t words;        /* the length that was aimed at */
};

/* Checks style, perspective and language.  NVL_E_INVALID names the field
 * ("telling.narrative_style") in err, which may be NULL.  The focaliser is checked by nvl_tell,
 * which knows the cast. */
int nvl_telling_check(const struct nvl_telling *telling, struct nvl_error *err);
const char *nvl_style_name(enum nvl_style style);                   /* "" out of range */
const char *nvl_perspective_name(enum nvl_perspective perspective); /* "" out of range */

/* Tells events[0..count), decoded, in order, the log from STARTED on.  telling may be NULL (all
 * defaults). An unfinished or cancelled log is told as far as it goes.  Needs a pack whose prose
 * passed nvl_prose_check_statement; operators without prose are told by their plain line. NVL_OK;
 * NVL_E_INVALID (telling; err says which field); NVL_E_CORRUPT (an event that does not belong to
 * this world); NVL_E_NOMEM.  out untouched on error, but the arena may have grown. */
int nvl_tell(const struct nvl_world *world, const struct nvl_event *events, size_t count,
             const struct nvl_telling *telling, struct arena *arena, struct nvl_error *err,
             struct nvl_story *out);

/* What stories were told with: how many used each alternative of the prose.  For writers. */
struct nvl_usage;
int nvl_usage_new(struct nvl_usage **out); /* NVL_OK or NVL_E_NOMEM */
void nvl_usage_free(struct nvl_usage *usage);
/* nvl_tell that also counts into usage. */
int nvl_tell_counted(const struct nvl_world *world, const struct nvl_event *events, size_t count,
                     const struct nvl_telling *telling, struct nvl_usage *usage,
                     struct arena *arena, struct nvl_error *err, struct nvl_story *out);
/* Appends one line per alternative, the most told first: stories that used it, file:line, what it
 * belongs to, its text; then how many were never used. */
void nvl_usage_report(const struct nvl_pack *pack, const struct nvl_usage *usage, struct buf *out);

/* Appends the story: "# Title", paragraphs and scenes between blank lines; ends with a newline. */
void nvl_story_markdown(const struct nvl_story *story, struct buf *out);
/* The same without the mark-up: the title on a line of its own. */
void nvl_story_text(const struct nvl_story *story, struct buf *out);

/* The prose part of a pack: an nvl_prose_check for nvl_pack_compile.  ctx is not used.  A broken
 * statement is refused with line, column and a sentence that says what is wrong. */
int nvl_prose_check_statement(void *ctx, const struct nvl_pack *pack, const struct nvl_prose *prose,
                              struct nvl_error *err);

/* Problems that only the whole prose of a pack shows (an operator's outcome without a frame, a
 * class that is used and not defined, fewer than three alternatives).  Appends one line "file:line:
 * message" each; returns how many.  novel-tale lint prints them. */
size_t nvl_prose_lint(const struct nvl_pack *pack, struct buf *out);

#endif
