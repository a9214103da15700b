/* prose.h — the prose of a pack: statements, their heads, and how alternatives are found.
 *
 *   say OPERATOR.OUTCOME tags…      what an event reads like; one alternative a line
 *   line ACT tags…                  something said; {S} speaks to {T}
 *   class NAME tags…                phrases, several a line, divided by |
 *   do OPERATOR                     the act as an infinitive without "to"
 *   open|entry|exit|shift|close|title|muse|intro|weigh|image|… KEY tags…   parts of a story
 *   aim GOAL                         what somebody is after, as an infinitive without "to"
 *   want KEY                         a sentence that says so: {A} is after {AIM}
 *   vary NAME                        words that may stand for each other wherever text is fixed
 *   voice NAME [full] [terse] [joined] [like NAME] [address name|rank|surname]
 *
 * Tags: style S, genre G, voice V, phase P, mood M, frame F, truth T, ending E, kind K, focal
 * yes|no, doom D (what threatens: fall, fire, water, air, storm, machine,
 * beast), once; of lines, topic T (what is spoken of) and answers T (what was said before). A
 * repeated tag widens; different tags narrow.  Text: {X} {X.form} slots, (a|b)
 * choices, [optional], <class>, @act(X,Y) for something said by X to Y, // for a new paragraph. */
#ifndef NVL_PROSE_H
#define NVL_PROSE_H
#include "rpc/base/arena.h"
#include "server/engine/nvl.h"

enum prose_kind {
    PROSE_SAY,
    PROSE_LINE,
    PROSE_CLASS,
    PROSE_DO,
    PROSE_OPEN,
    PROSE_ENTRY,
    PROSE_EXIT,
    PROSE_SHIFT,
    PROSE_CLOSE,
    PROSE_TITLE,
    PROSE_MUSE,
    PROSE_INTRO,
    PROSE_WEIGH,
    PROSE_IMAGE,
    PROSE_ECHO,
    PROSE_GROUND,
    PROSE_CAUSE,
    PROSE_VOICE,
    PROSE_VARY,
    PROSE_AIM,
    PROSE_WANT,
    PROSE_KINDS,
};
enum prose_tag {
    TAG_STYLE,
    TAG_GENRE,
    TAG_VOICE,
    TAG_PHASE,
    TAG_MOOD,
    TAG_FRAME,
    TAG_TRUTH,
    TAG_ENDING,
    TAG_PLACE,
    TAG_FOCAL,
    TAG_DOOM,
    TAG_ONCE,
    TAG_TOPIC,   /* of a line: what it speaks of; it narrows nothing */
    TAG_ANSWERS, /* of a line: the topic of what was said last */
    TAGS,
};
enum { PROSE_TAGS_MAX = 8, PROSE_KEY_MAX = 64, PROSE_DEPTH_MAX = 8, PROSE_LINE_MAX = 1200 };

struct prose_tag_value {
    uint8_t tag;
    const char *value;
    uint8_t size;
};
struct prose_rule {
    const struct nvl_prose *statement;
    uint8_t kind;
    const char *key;
    uint8_t key_size;
    uint8_t tags_count;
    bool once;
    struct prose_tag_value tags[PROSE_TAGS_MAX];
};
struct prose_index {
    struct prose_rule *rules; /* by kind, key, then source order */
    size_t count;
};
/* What tags are compared with; NULL or "" matches untagged rules only. */
struct prose_facts {
    const char *values[TAGS];
};
struct prose_voice {
    bool full;           /* contractions are written out */
    bool terse;          /* "…, and it holds" are two sentences */
    bool joined;         /* two short sentences are one, with a semicolon */
    const char *address; /* "name", "rank", "surname" */
    char like[24];       /* voice whose lines may be borrowed; "" none */
};

const char *prose_kind_name(enum prose_kind kind);
int prose_kind_of(const char *keyword); /* -1: unknown */
/* Reads a head; false with err filled (may be NULL). */
bool prose_head(const struct nvl_prose *statement, struct prose_rule *out, struct nvl_error *err);
/* Builds the index in the arena; false without memory.  Broken heads are left out. */
bool prose_index_build(const struct nvl_pack *pack, struct arena *arena, struct prose_index *out);
/* Rules of kind and key: [*out_first, returned). */
size_t prose_index_find(const struct prose_index *index, enum prose_kind kind, const char *key,
                        size_t key_size, size_t *out_first);
/* -1: a tag forbids it; else the number of tag kinds that matched, the frame aside: what belongs to
 * a frame only adds to what fits every frame. */
int prose_rule_match(const struct prose_rule *rule, const struct prose_facts *facts);
bool prose_rule_tagged(const struct prose_rule *rule, enum prose_tag tag);
void prose_voice_find(const struct prose_index *index, const char *name, struct prose_voice *out);
/* Cuts alternative i out of a rule: for classes pieces divided by |, else lines. false past the
 * end. */
bool prose_alternative(const struct prose_rule *rule, size_t *line, size_t *offset,
                       const char **out, size_t *out_size);
/* End of the bracket that opens at p (or NULL), quotes and nesting respected. */
const char *prose_bracket_end(const char *p, const char *end);

#endif
