/* teller.h — the narrator's inside: discourse, realisation, plan.  One story, one thread. */
#ifndef NVL_TELLER_H
#define NVL_TELLER_H
#include "server/narrator/morph.h"
#include "server/narrator/narrator.h"
#include "server/narrator/prose.h"

enum {
    PEOPLE_MAX = 16, /* cast and the frame's people */
    THINGS_MAX = 64, /* per sort */
    DRAFT_BYTES = 3000,
    DRAFT_USES = 160,
    DRAFT_NAMED = 40,
    DRAFTS = 6,      /* surfaces tried per chunk */
    QUOTES_MAX = 12, /* per draft */
    VARY_MAX = 1024,
    USES_MAX = 16384,  /* power of two */
    GRAMS_MAX = 32768, /* power of two */
    BINDS_MAX = 48,
    ALTERNATIVES_MAX = 320,
    WORD_BYTES = 31, /* of a word that count */
    TOPIC_BYTES = 16,
};

/* Who has been spoken of, and when, in sentences of the whole story. */
struct person_state {
    int32_t last;      /* sentence of the last mention in narration; -100: never */
    int32_t last_noun; /* the same, by name or role */
    uint8_t run;       /* mentions by pronoun since */
    bool introduced;
    bool by_role; /* the last noun was the role */
};
struct discourse {
    int32_t sentence, paragraph_start;
    int16_t subject; /* of this sentence, -1 */
    int16_t subject_before;
    int16_t latest;      /* who was mentioned last in this sentence, -1 */
    int32_t plural_last; /* a plural thing or a group was named */
    struct person_state people[PEOPLE_MAX];
    uint64_t things_seen[NVL_SORTS];
};
struct named { /* somebody or something named at an offset of a draft */
    uint16_t offset, end; /* where the mention stands */
    uint8_t sort, index;
};
struct quote { /* a quotation of a draft */
    uint16_t offset;
    int16_t speaker, listener;
};
struct vary { /* a phrase that others of its group may stand for */
    const char *text;
    uint8_t size;
    uint16_t first, count; /* its group: first .. first + count */
};
struct bind { /* {A} */
    const char *name;
    uint8_t sort;  /* NVL_SORT_NONE: text */
    uint8_t index; /* NVL_NONE: not bound */
    const char *text;
};
struct env {
    struct bind binds[BINDS_MAX];
    size_t count;
    struct prose_facts facts;
};
struct draft { /* what draft_begin clears, and draft_copy copies as far as it is used */
    size_t size;
    bool failed; /* too long, or a slot could not be filled */
    size_t uses_count, named_count, quotes_count;
    struct discourse discourse;
    /* while it is written */
    bool at_start, after_quote, in_quote;
    bool comma_due;  /* an apposition is open */
    bool names_only; /* a log: everybody by name, whatever was said before */
    bool plain;      /* a plain line: names are subjects only where a clause begins */
    bool drop_s;     /* "my" has been put, and the template goes on with 's */
    bool open_quote; /* between quotation marks, of a line or of the frame itself */
    bool own_they;   /* "they" as its writer meant it: the people of the place, or of a proverb */
    uint8_t me_owed; /* "Jordan" stands, "and I" (1) or "and me" (2) has to follow */
    uint8_t crew;    /* how often "they" became "we" */
    const char *ahead; /* what the template goes on with, up to its NUL; NULL: not known */
    bool tagged; /* a comma followed the quote: the sentence goes on whatever its mark */
    int16_t speaker, listener;
    const char *address;
    char topic[TOPIC_BYTES]; /* what the last quotation spoke of, "" */
    /* filled from the front; last, since only what is used counts */
    struct quote quotes[QUOTES_MAX];
    struct named named[DRAFT_NAMED];
    uint64_t uses[DRAFT_USES];
    char text[DRAFT_BYTES];
};
struct alternative { /* one of several ways to say it */
    const char *text;
    size_t size;
    uint64_t id;
    int32_t cost;
    const struct prose_rule *rule;
};
struct word {
    uint64_t hash;
    uint8_t size; /* at most WORD_BYTES */
    bool first;   /* of a sentence */
};
struct words {
    struct word items[DRAFT_BYTES / 2 + 1];
    size_t count;
};
enum { SPOKEN_MAX = 16 };
struct spoken { /* whom and what a sentence speaks of */
    struct spoken_of {
        uint8_t sort, index;
    } items[SPOKEN_MAX];
    size_t count;
};
struct chunk { /* what one unit of the plan became */
    const char *text;
    size_t size;
    struct named *named;
    size_t named_count;
    const uint32_t *events;
    size_t events_count;
    const uint8_t *facts;
    size_t facts_count;
    int16_t speaker; /* who speaks in it, or -1 */
    int16_t actor;
    bool fresh; /* begins a paragraph whatever stands before */
};
struct scene {
    size_t first_chunk, chunks_count;
    int16_t focaliser;
};
struct unit {              /* events told together: an act and its answer */
    uint32_t first, count; /* in the log */
    int32_t score;
    uint16_t words;
    uint8_t phase;
    bool chosen, must, dropped; /* dropped: would hang in the air, so it is not told */
};
struct teller {
    const struct nvl_world *world;
    const struct nvl_pack *pack;
    const struct nvl_event *events;
    size_t events_count;
    struct arena *arena;  /* the story's */
    struct arena scratch; /* freed when told */
    struct prose_index index;
    struct pieces *pieces; /* per rule of the index, once something is collected */
    enum nvl_style style;
    enum nvl_perspective perspective;
    bool omniscient;
    bool limited;     /* told by what one character knows, and no more */
    int16_t only;     /* the telling's focaliser, or -1 */
    int16_t narrator; /* who says "I", or -1 */
    const char *day;  /* heading of the last entry of a journal, or NULL */
    const struct nvl_event *now; /* what is told at the moment, or NULL */
    uint64_t facts_told;               /* bit per fact that the story has named */
    uint64_t aims_told[4];             /* bit per goal of which the story has said that somebody has it */
    uint32_t quotes_told, chunks_told; /* of a journal: how much of it is quoted */
    uint32_t words;
    bool capped; /* ten turns stay under CHARS_MAX */
    bool terse;  /* asked for so few words that only what happens is told */
    bool ample;  /* asked for more than the default: quieter hours too, as far as they are needed */
    uint32_t turns; /* of the story, as it was last planned */
    uint64_t seed;
    size_t people, cast;
    enum morph_gender gender[PEOPLE_MAX];
    const char *voice[PEOPLE_MAX];   /* of the pack's voices */
    const char *brief[PEOPLE_MAX];   /* "Alex"; "Tessera" of "Unit Tessera" */
    const char *epithet[PEOPLE_MAX]; /* "the engineer", NULL: none that is unique */
    int16_t focaliser;               /* of the scene being told */
    int16_t place;
    const char *ending;
    struct discourse discourse;
    struct spoken spoken; /* of the last sentence told */
    struct unit *units;
    size_t units_count;
    struct chunk *chunks;
    size_t chunks_count, chunks_capacity;
    struct scene *scenes;
    size_t scenes_count;
    uint64_t *uses; /* hash set with counts in use_counts */
    uint8_t *use_counts;
    uint64_t *grams;
    uint32_t log_minute; /* of the last entry of a log */
    uint32_t words_told, rewritten;
    int32_t last_openers[6][2]; /* hashes of the first two words of the last sentences */
    uint8_t profile_used[PEOPLE_MAX];
    char topic[TOPIC_BYTES];               /* of the last quotation, until something else is told */
    bool quote_last;                       /* the last chunk ended with a quotation */
    int16_t quote_speaker, quote_listener; /* of the last quotation; -1 */
    struct vary vary[VARY_MAX];
    size_t vary_count;
    uint16_t vary_order[VARY_MAX], vary_from[27 * 27]; /* by the first two letters */
    int16_t at[PEOPLE_MAX]; /* where everybody is, as far as the story has got */
    uint32_t applied;       /* events that at[] knows of */
    bool nomem;
};

/* refer.c — realises a mention of an entity in the draft.  form: "", "obj", "poss", "refl", "name",
 * "full", "role", "was", "call", "a", "bare", "it", "detail", "clause"; false when there is no such
 * form. */
bool refer_put(struct teller *t, struct draft *d, unsigned sort, unsigned index, const char *form);
bool refer_form_known(unsigned sort, const char *form);
void refer_reset(struct teller *t);
/* Mends the preposition that the draft ends with to what goes with a place of that name. */
void refer_suit(struct draft *d, const char *noun);
void refer_sentence(struct draft *d); /* a sentence ended */
/* expand.c */
void draft_begin(const struct teller *t, struct draft *d);
void draft_copy(struct draft *to, const struct draft *from);
void draft_puts(struct draft *d, const char *s, size_t size, bool capital);
bool expand_text(struct teller *t, const struct env *env, struct draft *d, const char *text,
                 size_t size, unsigned nonce);
/* Tries the alternatives of a rule key and keeps the best surface as a chunk; false: nothing fits.
 */
bool expand_chunk(struct teller *t, const struct env *env, enum prose_kind kind, const char *key,
                  struct draft *out);
void env_add(struct env *env, const char *name, unsigned sort, unsigned index);
void env_text(struct env *env, const char *name, const char *text);
void env_story(const struct teller *t, struct env *env);
void env_event(const struct teller *t, const struct nvl_event *e, struct env *env);
/* {BEAST}, {PRIZE}, {WORKS}: who or what has a role of the frame, as the story begins.  False: no
 * such role here. */
bool env_role(const struct teller *t, const char *name, size_t size, struct bind *out);
/* collect.c — what may be said */
/* How often id has been used, by the story and by the draft. */
unsigned choice_used(const struct teller *t, const struct draft *d, uint64_t id);
/* Chance below range: the same for the same seed, id and nonce. */
int32_t choice_luck(const struct teller *t, uint64_t id, unsigned nonce, uint32_t range);
/* The alternatives of kind and key that the facts allow, with their costs; at most
 * room. */
size_t choice_collect(struct teller *t, const struct draft *d, unsigned nonce,
                      enum prose_kind kind, const char *key, size_t key_size,
                      const struct prose_facts *facts, struct alternative *out, size_t room);
/* style.c — what a style changes beside its own lines */
bool style_is_log(const struct teller *t);
const char *style_clock(struct teller *t, const struct nvl_event *e); /* "04:10" */
bool style_log_event(struct teller *t, const struct env *env, const struct nvl_event *e,
                     const struct nvl_op_info *info, struct draft *d);
bool style_muses(const struct teller *t, const struct nvl_event *e);
void style_lead(struct teller *t, struct draft *d);
int style_irony_fact(const struct teller *t, uint32_t count);
/* voice.c — fills voice[]; after the index is built */
void voice_choose(struct teller *t);
/* What a terse voice makes of "…, and it holds", and a joined one of two short sentences. */
void speech_cut(struct buf *out, const char *text, size_t size);
void speech_join(struct buf *out, const char *text, size_t size);
/* join.c — short plain sentences in one breath */
void join_short(const struct teller *t, struct draft *d);
/* person.c — the narrator as "I" */
bool person_is_me(const struct teller *t, const struct draft *d, unsigned x);
bool person_governed(const struct draft *d); /* an object is due here */
void person_put_me(struct draft *d, enum morph_case form);
/* Before somebody else is named behind "I and ": that one goes first. */
bool person_yields(const struct teller *t, const struct draft *d);
void person_put_behind(struct teller *t, struct draft *d);
/* Length of a word at p that reads otherwise when "I" tell it ("they" is "we"), or 0; what to say
 * instead. */
size_t person_word(const struct teller *t, struct draft *d, const char *p, const char *end,
                   const char **out);
const char *person_named(const struct teller *t, const struct draft *d, const char *word, size_t n,
                         bool first);
void person_log_agrees(struct teller *t, struct draft *d); /* "I seals it and is hurt" */
/* A phrase of the narrator's card, "what lives with her" as "with me"; the same text for others. */
const char *person_phrase(struct teller *t, int16_t who, const char *phrase);
/* know.c — what the focaliser can know */
/* False: it looks into somebody else's head, or states a fact that the focaliser does not know. */
bool know_allows(const struct teller *t, const struct draft *d);
bool know_alone(const struct teller *t);
enum know_end { KNOW_SAW, KNOW_LEARNED, KNOW_NOT };
/* How the focaliser knows the ending; *out_event: the event (sequence) it is known by. */
enum know_end know_ending(const struct teller *t, uint32_t *out_event);
/* Whether the story had been settled before that event (one that never is counts as settled). */
bool know_settled(const struct teller *t, uint32_t sequence);
/* A fact that the focaliser came to believe by e and that is so; -1. */
int know_learned(const struct teller *t, const struct nvl_event *e);
/* past.c — appends the text of a plain line with its verbs in the past; slots stay */
void past_plain(const char *text, struct buf *out);
/* journal.c — dated entries */
const char *journal_day(struct teller *t, const struct nvl_event *e); /* "Day 1, evening." */
int32_t journal_cost(const struct teller *t, const struct draft *d);
bool journal_quotes_too_much(const struct draft *d);
/* quote.c — what it costs that a quotation might be taken for another's; parts the act of one from
 * the words of another */
int32_t quote_cost(const struct teller *t, const struct draft *d);
void quote_part(struct draft *d, const struct bind *b, const char *form);
/* centre.c — what it costs that sentences share nothing with those before them */
/* begins: nothing is owed to what stands before. */
int32_t centre_cost(const struct teller *t, const struct draft *d, bool begins);
void centre_commit(struct teller *t, const struct draft *d);
/* vary.c — words that may stand for each other */
void vary_read(struct teller *t);
/* Length of a phrase of text that may be varied, or 0; what to say instead. */
size_t vary_find(const struct teller *t, const char *text, size_t size, uint64_t salt,
                 const char **out, size_t *out_size);
/* usage.c — what has been said already */
unsigned usage_count(const struct teller *t, uint64_t hash);
void usage_commit(struct teller *t, const struct draft *d);
/* The words of a draft, cut and hashed once. */
void usage_read(const struct draft *d, struct words *out);
unsigned usage_known(const struct teller *t, const struct words *w); /* sentences told before */
unsigned usage_repeats(const struct teller *t, const struct draft *d); /* the same of a draft */
/* What is wrong with them after what has been told; at least room where it is that much or more. */
int32_t usage_cost(const struct teller *t, const struct words *w, int32_t room);
bool usage_echoes(const struct teller *t, const struct words *w); /* four words told before */
void usage_gather(const struct teller *t, struct nvl_usage *usage);
/* plan.c */
bool plan_units(struct teller *t);
void plan_choose(struct teller *t, uint32_t budget);
int16_t plan_focaliser(const struct teller *t, unsigned phase, int16_t before);
void plan_follow(struct teller *t, uint32_t count);         /* at[] as it is before event count */
bool plan_awake_last(const struct teller *t, unsigned who); /* as the log ends */
bool plan_sees(const struct teller *t, const struct nvl_event *e, int16_t who);
/* role.c — what threatens: the tag doom */
void env_doom(const struct teller *t, struct env *env);
/* As it ended: {LOST}, who is not there any more, {SAVED}, who was brought out, {SCARRED}, who paid
 * for it; and whether anybody was lost (kind lost or whole). */
void env_outcome(const struct teller *t, struct env *env);
/* profile.c — {VOW}, {FEAR} and {GOAL} of a member of the cast, where the card has such words */
void env_profile(struct teller *t, int16_t who, struct env *env);
/* fit.c — composes until the length fits; false: no memory */
bool fit_compose(struct teller *t);
/* compose.c */
bool compose(struct teller *t);
const char *compose_title(struct teller *t);

static inline const struct nvl_entity *person(const struct teller *t, unsigned i)
{
    return nvl_world_entity(t->world, NVL_SORT_CHAR, i);
}
static inline uint64_t mix64(uint64_t x)
{
    uint64_t z = x + UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}
#endif
