/* pack.h — a compiled pack in memory, and its image's layout.  Internal to the engine.
 * The compiler writes image bytes and the pack is then opened from them, so there is one reader
 * only. */
#ifndef NVL_PACK_H
#define NVL_PACK_H
#include "server/engine/nvl.h"
#include "rpc/base/arena.h"

enum {
    PACK_VERSION = 1,
    PACK_STACK = 16,
    PACK_NO_OUTCOME = 0xFFFF,
    PACK_EMOTIONS = 6,
    PACK_OP_THREADS = 6
};
enum fluent_see { SEE_ALL, SEE_OWN, SEE_HERE, SEE_NEVER };
enum fluent_flag { FLUENT_STATIC = 1, FLUENT_RESOURCE = 2, FLUENT_BELIEF = 4 };
enum op_flag { OP_RADIO = 1, OP_DEFIES = 2, OP_BETRAYS = 4, OP_ACTORLESS = 8 };
enum op_engine_flag { OP_CLOSING = 1, OP_MUST = 2, OP_ONCE = 4, OP_IDLE = 8, OP_MOVES = 16 };
enum code_op {
    CODE_END = 0x00,
    CODE_PUSH = 0x01,
    CODE_ARG = 0x02,
    CODE_CELL = 0x03,
    CODE_NOW = 0x04,
    CODE_PHASE = 0x05,
    CODE_SHARE = 0x06,
    CODE_PASSES = 0x07,
    CODE_ADD = 0x10,
    CODE_SUB,
    CODE_MUL,
    CODE_MIN,
    CODE_MAX,
    CODE_EQ = 0x20,
    CODE_NE,
    CODE_LT,
    CODE_LE,
    CODE_GT,
    CODE_GE,
    CODE_AND = 0x30,
    CODE_OR,
    CODE_NOT,
};
enum cue_kind { CUE_FRAME, CUE_GENRE, CUE_HINT }; /* hint: index is a fluent, weight its value */
enum word_kind {
    WORD_STOP = 1,
    WORD_PLACE,
    WORD_ITEM,
    WORD_PERSON,
    WORD_TROUBLE,
    WORD_QUALITY,
    WORD_VERB,
    WORD_GROUP,
    WORD_REGION, /* a place too wide to be a room: a city, a moon */
    WORD_SIGNAL, /* what is sent, not held: a message */
    WORD_LABEL,  /* says what kind of story it is: "noir" */
    WORD_BEAST   /* an animal, or what is hunted like one */
};

enum pack_section {
    SEC_META,
    SEC_STRS,
    SEC_FLUE,
    SEC_OPER,
    SEC_PARM,
    SEC_COND,
    SEC_EFCT,
    SEC_TENS,
    SEC_CODE,
    SEC_GOAL,
    SEC_TOWA,
    SEC_REAC,
    SEC_FRAM,
    SEC_PLAC,
    SEC_LINK,
    SEC_ITEM,
    SEC_PERS,
    SEC_FACT,
    SEC_TRUT,
    SEC_CLUE,
    SEC_ENDI,
    SEC_GENR,
    SEC_NAME,
    SEC_CUES,
    SEC_WORD,
    SEC_SKIL,
    SEC_TAGS,
    SEC_RANK,
    SEC_THRD,
    SEC_PROS,
    SEC_PRLN,
    SECTIONS,
};
struct pack_section_info {
    char tag[5];
    uint8_t record; /* bytes; 1 for blobs */
};
extern const struct pack_section_info pack_sections[SECTIONS];

struct pack_fluent {
    const char *name;
    uint8_t sorts[2], value_sort, see, flags, law;
    int16_t min, max, init, assume;
};
struct pack_param {
    const char *name;
    uint8_t sort, hidden;
};
struct pack_cond {
    uint32_t code;
    uint8_t kind, law; /* kind 0 need, 1 where */
    uint8_t level;     /* highest parameter read */
    uint32_t same;     /* the first condition of the pack with the same code */
};
struct pack_effect {
    uint16_t fluent;
    uint8_t operation, over;
    uint32_t args[2], value, guard;
};
struct pack_op_thread {
    uint8_t thread, change, param, outcomes; /* outcomes: bit per enum nvl_outcome */
};
struct pack_op {
    const char *name, *family, *plain[4];
    const struct pack_param *params;
    const struct pack_cond *conds;
    uint32_t skill, difficulty, norm, weight;
    uint16_t conds_count, effect_first[4], effect_count[4], toward_first, react_first;
    uint8_t params_count, kind, minutes, flags, source, beats, engine_flags, cost, cooldown;
    uint8_t toward_count, react_count, threads_count;
    int8_t serves[NVL_DRIVES], likes[NVL_TRAITS], feels[PACK_EMOTIONS], warm;
    struct pack_op_thread threads[PACK_OP_THREADS];
};
struct pack_tension {
    uint32_t code;
    uint8_t weight, mode, part;
};
struct pack_goal {
    const char *name;
    uint32_t when, weight, at;
};
struct pack_toward {
    uint16_t goal;
    int16_t value;
};
struct pack_frame {
    const char *name, *question;
};
struct pack_place {
    const char *role, *klass;
    uint8_t frame;
};
struct pack_link {
    const char *klass;
    uint8_t frame, a, b, shut; /* a, b: index among the frame's places */
};
struct pack_item {
    const char *role, *klass;
    uint8_t frame, place;
};
struct pack_person {
    const char *role, *klass;
    uint8_t frame, place;
};
struct pack_fact {
    const char *name, *clause;
    uint32_t truths;
    uint8_t frame;
};
struct pack_truth {
    const char *name;
    uint16_t effect_first, effect_count;
    uint8_t frame, weight;
};
struct pack_clue {
    const char *name, *seen;
    uint32_t truths, places;
    uint8_t frame, fact, alt; /* indices among the frame's facts */
};
struct pack_ending {
    const char *name, *clause;
    uint32_t when;
    int8_t tone;
    uint8_t frame;
};
struct pack_name {
    const char *klass, *text;
    uint8_t genre;
};
struct pack_cue {
    const char *word;
    uint8_t kind, index;
    int16_t weight;
};
struct pack_word { /* also skill and tag words: value is a fluent there, a rank's standing in RANK
                    */
    const char *word;
    int32_t value;
};

struct nvl_pack {
    struct arena arena;
    const uint8_t *image;
    size_t image_size;
    uint8_t digest[SHA256_SIZE];
    const char *name;
    const char *strs;
    const uint8_t *code;
    uint32_t code_size, strs_size;
    const struct code_step *steps; /* the code as it is run; see code.c */
    uint32_t *step_of;       /* per byte of code: the first step of what begins there, or 0 */
    uint32_t counts[SECTIONS];
    struct pack_fluent *fluents;
    struct pack_op *ops;
    struct pack_param *params;
    struct pack_cond *conds;
    struct pack_effect *effects;
    struct pack_tension *tensions;
    struct pack_goal *goals;
    struct pack_toward *towards;
    uint16_t *reacts;
    struct pack_frame *frames;
    struct pack_place *places;
    struct pack_link *links;
    struct pack_item *items;
    struct pack_person *persons;
    struct pack_fact *facts;
    struct pack_truth *truths;
    struct pack_clue *clues;
    struct pack_ending *endings;
    const char **genres, **threads;
    struct pack_name *names;
    struct pack_cue *cues;                           /* by word */
    struct pack_word *words, *skills, *tags, *ranks; /* by word */
    struct nvl_prose *prose;
    struct nvl_prose_line *prose_lines;
    int known[16];               /* enum known_fluent */
    int emotions[PACK_EMOTIONS]; /* fluent of each, or -1 */
};
/* Fluents the engine reads by name; a pack without them does not open. */
enum known_fluent {
    KNOWN_AT,
    KNOWN_AWAKE,
    KNOWN_COMM,
    KNOWN_HOLDER,
    KNOWN_LIES,
    KNOWN_END_A,
    KNOWN_END_B,
    KNOWN_TRACE_AT,
    KNOWN_KNOWS,
    KNOWN_TRUST,
    KNOWN_STANDING,
    KNOWN_OPEN,
    KNOWN_CLUE_FACT,
    KNOWN_CLUE_ALT,
    KNOWN_FACT_TRUE,
    KNOWN_SECRET_OF,
    KNOWN_COUNT,
};
/* Makes the checked code of an open pack ready to run.  False: no memory; *out_fits is false when
 * expressions overlap, as none do that were compiled. */
bool code_make(struct nvl_pack *pack, bool *out_fits);
/* Finds a word in a sorted table; NULL when absent.  Words are lower case. */
const struct pack_word *pack_word_find(const struct pack_word *table, size_t count,
                                       const char *word);
extern const char *const pack_sort_names[NVL_SORTS];
extern const char *const pack_phase_names[6];
extern const char *const pack_trait_names[NVL_TRAITS];
extern const char *const pack_drive_names[NVL_DRIVES];
extern const char *const pack_emotion_names[PACK_EMOTIONS]; /* names of fluents */

static inline uint32_t le16(const uint8_t *p)
{
    return (uint32_t) (p[0] | p[1] << 8);
}
static inline int16_t le16s(const uint8_t *p)
{
    return (int16_t) le16(p);
}
static inline uint32_t le32(const uint8_t *p)
{
    return le16(p) | le16(p + 2) << 16;
}
static inline uint64_t le64(const uint8_t *p)
{
    return le32(p) | (uint64_t) le32(p + 4) << 32;
}
void put8(struct buf *b, unsigned v);
void put16(struct buf *b, unsigned v);
void put32(struct buf *b, uint32_t v);
void put64(struct buf *b, uint64_t v);
/* Fills err (may be NULL): message by format. */
void nvl_error_set(struct nvl_error *err, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#endif
