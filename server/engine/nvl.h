/* nvl.h — the simulation engine's public face.  Pure: no I/O, no clock, no globals, no floats.
 *
 * A pack is immutable once made and may be shared by any number of threads.  A world is derived
 * from a pack and a request alone, and is immutable too.  A simulation is used by one thread at a
 * time (any thread); many run side by side over one pack.  Every function that can fail returns an
 * nvl_rc and leaves its out-parameters untouched on error.  The bytes (header, event, pack image,
 * .nvlog) are laid out in docs/log-format.md; whoever reads a log needs that page and nothing from
 * here. */
#ifndef NVL_H
#define NVL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/base/buf.h"
#include "rpc/base/sha256.h"

/* Raised whenever a golden head changes: a log names the engine that wrote it. */
#define NVL_ENGINE_ABI 5u

enum nvl_rc {
    NVL_OK = 0,
    NVL_E_NOMEM = -1,
    NVL_E_INVALID = -2, /* a request breaks a rule; struct nvl_error says which */
    NVL_E_PACK =
        -3, /* a .tale source does not compile, or an image is damaged or of another version */
    NVL_E_CORRUPT = -4, /* header, event or .nvlog bytes that no engine wrote */
    NVL_E_ENDED = -5,   /* nvl_turn or nvl_cancel after COMPLETED or CANCELLED */
    NVL_E_SINK = -6,    /* the sink refused an event; the simulation can only be freed */
};

enum { /* limits; those of the request are the contract's */
       NVL_CAST_MIN = 2,
       NVL_CAST_MAX = 6,
       NVL_TURNS_MAX = 50,
       NVL_SETTING_MAX = 1000,  /* code points */
       NVL_SCENARIO_MAX = 5000, /* code points */
       NVL_TRAITS = 6,
       NVL_DRIVES = 8,
       NVL_TERMS = 10,
       NVL_ARGS_MAX = 6,
       NVL_CAUSES_MAX = 12,
       NVL_DELTAS_MAX = 32,
       NVL_BELIEFS_MAX = 16,
       NVL_THREADS_MAX = 6,
       NVL_CODES_MAX = 4,
       NVL_EVENTS_MAX = 8192,
       NVL_CANONICAL_MAX = 1024, /* bytes of one canonical event */
};
#define NVL_SEED_MAX ((UINT64_C(1) << 53) - 1) /* 1..NVL_SEED_MAX */

struct nvl_error {
    char file[96];     /* pack errors: the source; else "" */
    uint32_t line;     /* pack errors: from 1; else 0 */
    uint32_t column;   /* pack errors: from 1, in bytes; else 0 */
    char field[48];    /* request errors: "turns", "cast[2].traits[0]"; else "" */
    char message[224]; /* one sentence, no newline */
};

/* --- pack
 * ------------------------------------------------------------------------------------------ */

struct nvl_pack;
struct nvl_source {
    const char
        *path; /* relative, for messages and for the order: sources are compiled sorted by path */
    const char *text; /* UTF-8, need not be NUL-ended */
    size_t size;
};
/* A prose statement (say, line, class, …): the engine stores what was written, the narrator reads
 * it. */
struct nvl_prose_line {
    const char
        *text; /* the line as written, outer blanks off; "#" lines and blank lines are not kept */
    uint32_t line; /* in the source */
    uint32_t column;
};
struct nvl_prose {
    const char *keyword; /* "say" */
    const char *head;    /* rest of the first line: "seal.ok focal A len s..m" */
    const char *file;
    uint32_t line;
    uint32_t lines_count;
    const struct nvl_prose_line *lines; /* the indented lines below */
};
/* The narrator's check of one prose statement at compile time, called in source order once the
 * world part of the pack is complete (its operators can be looked up).  0, or nonzero with err's
 * line, column and message filled in (file is filled by the caller). */
typedef int (*nvl_prose_check)(void *ctx, const struct nvl_pack *pack,
                               const struct nvl_prose *prose, struct nvl_error *err);

/* Compiles .tale sources.  check may be NULL.  err is filled on NVL_E_PACK.  The pack keeps nothing
 * of the sources.  Free with nvl_pack_free. */
int nvl_pack_compile(const struct nvl_source *sources, size_t count, nvl_prose_check check,
                     void *ctx, struct nvl_error *err, struct nvl_pack **out);
/* Opens an image; the bytes are copied and every offset in them is checked. */
int nvl_pack_open(const void *image, size_t size, struct nvl_error *err, struct nvl_pack **out);
const uint8_t *nvl_pack_image(const struct nvl_pack *pack,
                              size_t *out_size);             /* lives as long as the pack */
const uint8_t *nvl_pack_digest(const struct nvl_pack *pack); /* SHA-256 of the image */
const char *nvl_pack_name(const struct nvl_pack *pack);      /* "core" */
void nvl_pack_free(struct nvl_pack *pack);                   /* NULL is fine */

size_t nvl_pack_prose_count(const struct nvl_pack *pack);
const struct nvl_prose *nvl_pack_prose(const struct nvl_pack *pack, size_t i);

enum nvl_sort {
    NVL_SORT_NONE,
    NVL_SORT_CHAR,  /* the cast in request order, then the frame's own people */
    NVL_SORT_PLACE, /* 0 is where the cast starts */
    NVL_SORT_LINK,  /* a way between two places */
    NVL_SORT_ITEM,
    NVL_SORT_FACT,  /* propositions somebody may know: the frame's, then one secret per cast member
                     */
    NVL_SORT_CLUE,  /* traces that tell of a fact */
    NVL_SORT_MOTIF, /* words of the user that take part as things spoken of and recalled */
    NVL_SORTS,
};
enum nvl_op_kind { NVL_OP_ACTION, NVL_OP_REACTION, NVL_OP_SPEECH, NVL_OP_THOUGHT, NVL_OP_INCIDENT };
struct nvl_op_param {
    const char *name; /* "A" */
    uint8_t sort;     /* enum nvl_sort */
    bool hidden; /* bound by the world when the act is judged, not by the actor: what a search finds
                  */
};
struct nvl_op_info {
    const char *name;   /* "seal" */
    const char *family; /* "barrier" */
    const char *beats;  /* "complication crisis", blank-separated beat names */
    enum nvl_op_kind kind;
    uint8_t params_count; /* params[0] is the actor, except for incidents of the world */
    struct nvl_op_param params[NVL_ARGS_MAX];
    uint8_t outcomes;     /* bit per enum nvl_outcome that can happen */
    const char *plain[5]; /* the plain line per outcome, "{A} seals {L}; it holds."; NULL if it
                             cannot happen */
};
size_t nvl_pack_op_count(const struct nvl_pack *pack);
int nvl_pack_op_find(const struct nvl_pack *pack, const char *name); /* index, or -1 */
void nvl_pack_op(const struct nvl_pack *pack, size_t op, struct nvl_op_info *out);
int nvl_pack_fluent_find(const struct nvl_pack *pack, const char *name); /* index, or -1 */
size_t nvl_pack_fluent_count(const struct nvl_pack *pack);
const char *nvl_pack_fluent_name(const struct nvl_pack *pack, size_t fluent);
/* Sort of its value, NVL_SORT_NONE for numbers. */
enum nvl_sort nvl_pack_fluent_sort(const struct nvl_pack *pack, size_t fluent);
/* Names of frames, truths, endings, facts, clues and genres, for checks of prose that mentions
 * them. */
enum nvl_name_kind {
    NVL_NAME_FRAME,
    NVL_NAME_TRUTH,
    NVL_NAME_ENDING,
    NVL_NAME_FACT,
    NVL_NAME_CLUE,
    NVL_NAME_GENRE,
    NVL_NAME_GOAL
};
size_t nvl_pack_name_count(const struct nvl_pack *pack, enum nvl_name_kind kind);
const char *nvl_pack_name_at(const struct nvl_pack *pack, enum nvl_name_kind kind, size_t i);

/* --- request and header
 * ------------------------------------------------------------------------------ */

enum nvl_trait { /* 0..100 */
                 NVL_OPENNESS,
                 NVL_CONSCIENTIOUSNESS,
                 NVL_EXTRAVERSION,
                 NVL_AGREEABLENESS,
                 NVL_NEUROTICISM,
                 NVL_HONESTY,
};
enum nvl_drive { /* 0..100 */
                 NVL_SAFETY,
                 NVL_BELONGING,
                 NVL_DUTY,
                 NVL_CURIOSITY,
                 NVL_STATUS,
                 NVL_CARE,
                 NVL_AUTONOMY,
                 NVL_GAIN,
};
enum nvl_mood { NVL_MOOD_NEUTRAL, NVL_MOOD_DARK, NVL_MOOD_HOPEFUL, NVL_MOOD_WRY, NVL_MOODS };
struct nvl_skill {
    const char *name;
    int32_t value; /* 0..100 */
};
struct nvl_relation {
    const char *other; /* a character id; off-stage ones are kept as people remembered */
    int32_t trust, affection, respect, fear, debt; /* -100..100 */
};
struct nvl_strings {
    const char *const *items;
    size_t count;
};
/* All strings UTF-8, NUL-ended, NULL reads as "".  Limits: id 63 bytes, other short strings 120
 * bytes, strings in lists 400 bytes, 32 entries per list; longer is NVL_E_INVALID. */
struct nvl_profile {
    const char *id;       /* "pilot" */
    const char *name;     /* "Alex Chen"; empty: made from the id */
    const char *pronouns; /* "he", "she", "they", "it"; anything else reads as "they" */
    const char *role;     /* "starfighter pilot" */
    const char *rank;
    const char *faction;
    const char *voice;
    int32_t age; /* 0: not known */
    int32_t traits[NVL_TRAITS];
    int32_t drives[NVL_DRIVES];
    const struct nvl_skill *skills;
    size_t skills_count;
    const struct nvl_relation *relations;
    size_t relations_count;
    struct nvl_strings goals, fears, secrets, vows, items, epithets;
};
struct nvl_request {
    uint32_t turns; /* 1..50 */
    uint64_t seed;  /* 1..NVL_SEED_MAX */
    enum nvl_mood mood;
    const char *setting;            /* NFC */
    const char *scenario;           /* NFC */
    const struct nvl_profile *cast; /* 2..6, ids unique */
    size_t cast_count;
    const uint8_t *carry_digest; /* 32 bytes of the chapter before, or NULL */
    const void *carry;           /* the pack itself (carry.h), or NULL without a digest */
    size_t carry_size;
};
int nvl_mood_parse(const char *name,
                   enum nvl_mood *out); /* "" is neutral; NVL_E_INVALID else unknown */

/* Checks the request against every rule; err (may be NULL) names the field. */
int nvl_request_check(const struct nvl_request *request, struct nvl_error *err);
/* Appends the canonical header (docs/log-format.md, "Header"); hash_0 is SHA-256 of these bytes. */
int nvl_header_encode(const struct nvl_request *request, const uint8_t pack_digest[SHA256_SIZE],
                      struct buf *out, uint8_t out_hash[SHA256_SIZE], struct nvl_error *err);
/* The other way: a request whose strings and lists live in the header object. */
struct nvl_header;
int nvl_header_decode(const void *bytes, size_t size, struct nvl_header **out);
const struct nvl_request *nvl_header_request(const struct nvl_header *header);
const uint8_t *nvl_header_pack_digest(const struct nvl_header *header);
uint32_t nvl_header_abi(const struct nvl_header *header);
/* Gives the header's request its carry pack (a copy is kept), for nvl_world_open.  NVL_E_INVALID
 * when the header names none, or the bytes are another's; NVL_E_NOMEM. */
int nvl_header_set_carry(struct nvl_header *header, const void *carry, size_t size);
/* The digest of the carry pack that a header's bytes name, a view into them; NULL: none, or they are
 * too short. */
const uint8_t *nvl_header_get_carry(const void *bytes, size_t size);
/* Makes the bytes of a header name a carry pack; hash_0 is then that of the new bytes.
 * NVL_E_CORRUPT when they are too short to be a header. */
int nvl_header_put_carry(void *bytes, size_t size, const uint8_t carry_digest[SHA256_SIZE]);
void nvl_header_free(struct nvl_header *header);

/* --- world: what a request means in a pack
 * ------------------------------------------------------------ */

struct nvl_entity {
    const char *id;    /* stable, lower_snake: "pilot", "dock", "key_1"; cast: the profile's id */
    const char *name;  /* as told: "Alex Chen", "the dock", "a plasma cutter" without its article */
    const char *brief; /* "Alex", "dock", "cutter" */
    const char *kind; /* place, item, clue class: "dock", "tool", … ; people: role; facts: "truth",
                         "secret" */
    const char *pronouns; /* people: he, she, they, it; else "it" */
    const char *
        detail; /* facts: the proposition as a clause; clues: what is seen; people: rank; else "" */
    bool proper; /* a proper noun: no article */
    bool plural;
    bool from_user; /* made of the words of setting or scenario */
    int16_t owner;  /* secret: cast index; clue: its fact; else -1 */
};
struct nvl_world; /* immutable; may be shared by threads */
/* Derives the world: grounds the text, draws frame, genre, truth and map.  err may be NULL. */
int nvl_world_open(const struct nvl_pack *pack, const struct nvl_request *request,
                   struct nvl_error *err, struct nvl_world **out);
void nvl_world_free(struct nvl_world *world);
const struct nvl_pack *nvl_world_pack(const struct nvl_world *world);
size_t nvl_world_count(const struct nvl_world *world, enum nvl_sort sort);
size_t
nvl_world_cast_count(const struct nvl_world *world); /* characters of the request come first */
const struct nvl_entity *nvl_world_entity(const struct nvl_world *world, enum nvl_sort sort,
                                          size_t i);
const struct nvl_profile *nvl_world_profile(const struct nvl_world *world,
                                            size_t cast); /* a copy it owns */
const char *nvl_world_frame(const struct nvl_world *world);
const char *
nvl_world_truth(const struct nvl_world *world); /* hidden: only for FULL views and the narrator */
const char *nvl_world_genre(const struct nvl_world *world);
const char *
nvl_world_locale(const struct nvl_world *world); /* proper name of the place the call comes from */
const char *nvl_world_question(const struct nvl_world *world); /* the frame's question */
enum nvl_mood nvl_world_mood(const struct nvl_world *world);
uint32_t nvl_world_turns(const struct nvl_world *world);
uint64_t nvl_world_seed(const struct nvl_world *world);
enum nvl_setting_kind {
    NVL_SETTING_SITE,  /* one building or ship: "a lighthouse on a dead moon" */
    NVL_SETTING_WIDE,  /* a city, a moon, and something said of it: "a city in the rain" */
    NVL_SETTING_REGION /* the same with nothing said: "the realm" */
};
/* The user's setting as a phrase with its article, or "". */
const char *nvl_world_setting(const struct nvl_world *world, enum nvl_setting_kind *out_kind);
/* The user's scenario when it is one short plain sentence, without its full stop; or "". */
const char *nvl_world_saying(const struct nvl_world *world);
/* Content nouns of setting and scenario, in order, and whether each became an entity or motif. */
size_t nvl_world_noun_count(const struct nvl_world *world);
const char *nvl_world_noun(const struct nvl_world *world, size_t i, bool *out_placed);

/* Whether somebody who holds a fact at a level (enum nvl_belief_level) is right: facts of the truth
 * that was drawn are so, its rivals are not, for the whole story.  To suspect or believe what is so,
 * or to disbelieve what is not, is right; not to know is neither, and false here. */
bool nvl_world_belief_true(const struct nvl_world *world, unsigned fact, unsigned level);

/* The state vector.  Values are int16; entity-valued fluents hold an index, -1 is none. */
size_t nvl_world_cells(const struct nvl_world *world);
const int16_t *nvl_world_initial(const struct nvl_world *world);
/* Cell of fluent(a, b); unused arguments are 0.  -1 when there is no such cell. */
int nvl_world_cell(const struct nvl_world *world, size_t fluent, unsigned a, unsigned b);
struct nvl_cell {
    uint16_t fluent;
    uint8_t args_count;
    uint8_t sorts[2];
    uint8_t args[2];
    uint8_t value_sort; /* NVL_SORT_NONE: a number */
    bool hidden;        /* no character perceives it: shown in FULL views only */
};
int nvl_world_cell_info(const struct nvl_world *world, size_t cell, struct nvl_cell *out);
/* The world section of a log: entity counts, names, initial state. */
int nvl_world_encode(const struct nvl_world *world, struct buf *out);

/* --- events
 * -------------------------------------------------------------------------------------------- */

enum nvl_event_type { /* numbers are the contract's */
                      NVL_STARTED = 1,
                      NVL_INCIDENT,
                      NVL_ACTION,
                      NVL_REACTION,
                      NVL_SPEECH,
                      NVL_THOUGHT,
                      NVL_REJECTED,
                      NVL_INTERVENTION,
                      NVL_FORKED,
                      NVL_COMPLETED,
                      NVL_FAILED,
                      NVL_CANCELLED,
};
enum nvl_outcome { NVL_NO_OUTCOME, NVL_CRITICAL, NVL_DONE, NVL_PARTIAL, NVL_FAIL };
enum nvl_phase {
    NVL_NO_PHASE,
    NVL_SETUP,
    NVL_COMPLICATION,
    NVL_CRISIS,
    NVL_CLIMAX,
    NVL_RESOLUTION
};
enum nvl_cause_kind {
    NVL_ENABLES = 1,
    NVL_MOTIVATES,
    NVL_INFORMS,
    NVL_REACTS,
    NVL_PREVENTS,
    NVL_FORESHADOWS,
    NVL_BY_INTERVENTION
};
enum nvl_verdict { NVL_VALID = 1, NVL_REPAIRED, NVL_LAW_REJECTED };
enum nvl_repair { NVL_NO_REPAIR, NVL_REBIND, NVL_LOWER, NVL_SIBLING, NVL_NEXT, NVL_HESITATE };
enum nvl_belief_level { NVL_UNKNOWN, NVL_SUSPECTS, NVL_BELIEVES, NVL_DISBELIEVES };
enum nvl_belief_source { NVL_SAW = 1, NVL_HEARD, NVL_TRACE, NVL_INFERRED, NVL_KNEW };
enum nvl_thread_change { NVL_THREAD_OPENED = 1, NVL_THREAD_ADVANCED, NVL_THREAD_CLOSED };
enum {
    NVL_ACTOR_WORLD = 254,
    NVL_ACTOR_DIRECTOR = 255,
    NVL_NONE = 255,
    NVL_NO_CELL = 0xFFFF,
    NVL_NO_OP = 0xFFFF
};

struct nvl_cause {
    uint32_t
        sequence;  /* of an earlier event; STARTED (1) stands for what was so from the beginning */
    uint8_t kind;  /* enum nvl_cause_kind */
    uint16_t cell; /* the cell that carried it, or NVL_NO_CELL */
};
struct nvl_delta {
    uint16_t cell;
    int16_t before, after;
};
struct nvl_belief { /* a change of knows(character, fact); never repeated among the deltas */
    uint8_t character, fact;
    uint8_t before, after; /* enum nvl_belief_level */
    uint8_t source;        /* enum nvl_belief_source */
    uint8_t informant;     /* a character, or NVL_NONE */
};
struct nvl_alternative {
    uint16_t op; /* NVL_NO_OP: none */
    uint8_t args_count;
    uint8_t args[NVL_ARGS_MAX];
    int32_t utility;
};
struct nvl_thread_ref {
    uint8_t thread; /* nvl_thread_name */
    uint8_t change; /* enum nvl_thread_change */
    uint8_t about;  /* a character index, or NVL_NONE */
};
struct nvl_change { /* what an INTERVENTION did; its operator and arguments are the event's */
    uint8_t kind;    /* enum nvl_edit_kind */
    uint8_t who;     /* a character, or NVL_NONE: nobody in particular */
    uint8_t thing;   /* WHISPER: the fact; TRAIT: enum nvl_trait; ITEM: the item; else NVL_NONE */
    uint8_t to_sort; /* ITEM: NVL_SORT_CHAR or NVL_SORT_PLACE; else NVL_SORT_NONE */
    uint8_t to;      /* ITEM: the entity; else NVL_NONE */
    uint8_t value;   /* WHISPER: enum nvl_belief_level; TRAIT: 0..100; else 0 */
};
struct nvl_event {
    uint32_t sequence; /* 1, 2, 3 … */
    uint16_t turn;     /* 0: before the first */
    uint16_t pass;     /* beats are played in passes; a short story has several in a turn */
    uint32_t minute;   /* story time */
    uint8_t type, phase, outcome;
    uint8_t actor; /* character index, NVL_ACTOR_WORLD or NVL_ACTOR_DIRECTOR */
    uint16_t op;   /* operator index, or NVL_NO_OP */
    uint8_t args_count;
    uint8_t args[NVL_ARGS_MAX]; /* entity indices; sorts are the operator's; args[0] is the actor;
                                   NVL_NONE: unbound */
    uint8_t place;              /* where it happened, or NVL_NONE */
    uint32_t witnesses;         /* bit per character who perceived it */
    uint32_t silent; /* bit per character outside the cast who lets this pass go by; 0 for what
                        comes before the pass's choosing */
    int16_t roll, difficulty,
        skill; /* d100 1..100; roll 0: none was needed.  chance = skill + 50 - difficulty */
    uint8_t tension_before, tension, tension_target; /* 0..100 */
    uint8_t verdict, repair;
    uint8_t codes_count;
    uint8_t codes[NVL_CODES_MAX]; /* law * 16 + sub-code: 0x31 is E003.1 */
    uint16_t reason;              /* the cell a failed condition read, or NVL_NO_CELL */
    uint8_t goal;                 /* enum of nvl_goal_name; NVL_NONE: none */
    uint8_t plan_step;            /* 0: not part of a plan */
    int32_t utility;              /* milli-units; sum of terms; 0 for events nobody chose */
    int16_t terms[NVL_TERMS];
    struct nvl_alternative alternatives[2];
    uint8_t causes_count, deltas_count, beliefs_count, threads_count;
    struct nvl_cause causes[NVL_CAUSES_MAX];
    struct nvl_delta deltas[NVL_DELTAS_MAX];
    struct nvl_belief beliefs[NVL_BELIEFS_MAX];
    struct nvl_thread_ref threads[NVL_THREADS_MAX];
    uint8_t header_hash[SHA256_SIZE];  /* STARTED: hash_0 */
    uint8_t world_digest[SHA256_SIZE]; /* STARTED: SHA-256 of nvl_world_encode's bytes */
    struct nvl_change change;          /* INTERVENTION */
    uint8_t parent_head[SHA256_SIZE];  /* FORKED: the head that the parent had here */
    uint64_t seed;                     /* FORKED: what is drawn from here on */
    uint32_t turns; /* COMPLETED: turns played; FORKED: turns of the story from here on */
    uint8_t ending;                    /* COMPLETED: nvl_ending_name; else NVL_NONE */
};
/* Strict: exactly one event, known enums, counts in bounds.  out untouched on NVL_E_CORRUPT. */
int nvl_event_decode(const void *canonical, size_t size, struct nvl_event *out);
/* At most NVL_CANONICAL_MAX bytes; returns the size. */
size_t nvl_event_encode(const struct nvl_event *event, uint8_t out[static NVL_CANONICAL_MAX]);
/* hash = SHA-256(previous || canonical). */
void nvl_event_hash(const uint8_t previous[SHA256_SIZE], const void *canonical, size_t size,
                    uint8_t out[SHA256_SIZE]);

/* Names.  All return static or world-owned strings; "" for what is out of range. */
const char *nvl_event_op_name(const struct nvl_world *world, const struct nvl_event *event);
enum nvl_sort nvl_event_arg_sort(const struct nvl_world *world, const struct nvl_event *event,
                                 size_t arg);
const char *nvl_event_actor_id(const struct nvl_world *world,
                               const struct nvl_event *event); /* or "world", "director" */
const char *nvl_entity_id(const struct nvl_world *world, enum nvl_sort sort, unsigned i);
const char *nvl_beat_name(const struct nvl_world *world,
                          const struct nvl_event *event); /* "complication" … */
const char *nvl_thread_name(const struct nvl_world *world, unsigned thread);
const char *nvl_ending_name(const struct nvl_world *world, unsigned ending);
int nvl_ending_tone(const struct nvl_world *world, unsigned ending); /* -100 .. 100; 0: unknown */
const char *nvl_goal_name(const struct nvl_world *world, unsigned goal);
const char *nvl_term_name(
    unsigned term); /* goal, drive, trait, emotion, relation, norm, director, cost, novelty, luck */
const char *nvl_phase_name(unsigned phase);
const char *nvl_outcome_name(unsigned outcome);
const char *nvl_cause_kind_name(unsigned kind);
const char *nvl_repair_name(unsigned repair);
const char *nvl_source_name(unsigned belief_source);
void nvl_law_code(unsigned code, char out[static 8]); /* "E003.1" */
/* Appends a readable form of a cell: "at(pilot)"; of a cause: "at(pilot)"; of a verdict: a
 * sentence. */
void nvl_cell_text(const struct nvl_world *world, unsigned cell, struct buf *out);
void nvl_law_text(const struct nvl_world *world, const struct nvl_event *event, struct buf *out);
/* Appends one plain line for an event, names and pronouns right, with the closing full stop.
 * spoilers: hidden things may be named. */
void nvl_event_text(const struct nvl_world *world, const struct nvl_event *event, bool spoilers,
                    struct buf *out);

/* --- simulation
 * ---------------------------------------------------------------------------------------- */

/* Called for each event in order; bytes and event live for the call.  Nonzero refuses (NVL_E_SINK).
 */
typedef int (*nvl_sink)(void *ctx, const struct nvl_event *event, const uint8_t *canonical,
                        size_t size, const uint8_t hash[SHA256_SIZE]);
struct nvl_sim;
/* Grounds the request and plays turn 0: STARTED goes through sink.  The pack must outlive the
 * simulation; the request need not.  Re-running from the same request gives the same bytes. */
int nvl_open(const struct nvl_pack *pack, const struct nvl_request *request, nvl_sink sink,
             void *ctx, struct nvl_error *err, struct nvl_sim **out);
/* One turn.  The last one ends with COMPLETED; after that NVL_E_ENDED. */
int nvl_turn(struct nvl_sim *sim, nvl_sink sink, void *ctx);
/* Ends it between two turns with CANCELLED. */
int nvl_cancel(struct nvl_sim *sim, nvl_sink sink, void *ctx);
const uint8_t *nvl_head(const struct nvl_sim *sim); /* hash of the last event */
uint32_t nvl_last_sequence(const struct nvl_sim *sim);
uint32_t nvl_turns_done(const struct nvl_sim *sim);
bool nvl_ended(const struct nvl_sim *sim);        /* COMPLETED or CANCELLED */
uint32_t nvl_progress(const struct nvl_sim *sim); /* 0..100; 100 only when completed */
const struct nvl_world *
nvl_sim_world(const struct nvl_sim *sim);                /* lives as long as the simulation */
const int16_t *nvl_sim_state(const struct nvl_sim *sim); /* nvl_world_cells values, as of now */
/* The same as a character takes them to be; NULL for an index that is no character. */
const int16_t *nvl_sim_belief(const struct nvl_sim *sim, unsigned character);
void nvl_free(struct nvl_sim *sim);

/* --- .nvlog
 * -------------------------------------------------------------------------------------------- */

/* A log as one file.  Writing appends to out, so that it can be sent piece by piece: begin, then
 * every event in order, then end. */
int nvl_log_begin(struct buf *out, const void *header, size_t header_size,
                  const struct nvl_world *world);
int nvl_log_event(struct buf *out, const void *canonical, size_t size);
/* story_digest: 32 bytes, or NULL when no story has been told. */
int nvl_log_end(struct buf *out, uint32_t events, const uint8_t head[SHA256_SIZE],
                const uint8_t *story_digest);

struct nvl_span {
    const uint8_t *data;
    size_t size;
};
struct nvl_log { /* views into the caller's bytes */
    struct nvl_span header, pack, world, events;
    struct nvl_span carry; /* size 0: a first chapter */
    uint32_t events_count;
    const uint8_t *head, *story_digest; /* story_digest NULL: none */
};
/* Checks the container's structure and section digests only; the chain is novel-verify's matter. */
int nvl_log_open(const void *bytes, size_t size, struct nvl_log *out);
/* The event at *offset (start with 0); moves it on.  false at the end. */
bool nvl_log_next(const struct nvl_log *log, size_t *offset, struct nvl_span *out_canonical);

#endif
