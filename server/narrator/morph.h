/* morph.h — English word forms.  Pure functions over bytes; callers own every buffer. */
#ifndef NVL_MORPH_H
#define NVL_MORPH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/base/buf.h"

enum morph_gender { MORPH_HE, MORPH_SHE, MORPH_THEY, MORPH_IT };
enum morph_case { MORPH_SUBJECT, MORPH_OBJECT, MORPH_POSSESSIVE, MORPH_REFLEXIVE };

enum morph_gender
morph_gender(const char *pronouns); /* "she" -> MORPH_SHE; unknown reads as they */
/* "her", "themselves", …  plural: of several things, always they. */
const char *morph_pronoun(enum morph_gender gender, enum morph_case form, bool plural);
const char *morph_was(enum morph_gender gender, bool plural, bool by_pronoun); /* "was" or "were" */
const char *morph_article(const char *word); /* "a" or "an", by the sound of the first word */
/* Appends "Alex's", "the engineers'". */
void morph_possessive(struct buf *out, const char *noun, bool plural);
/* Appends text with its contractions written out: "don't" becomes "do not". */
void morph_expand(struct buf *out, const char *text, size_t size);
/* Appends the verb text[0..size) as it stands with I: "keeps" is "keep", "has" is "have". */
void morph_first_verb(struct buf *out, const char *text, size_t size);
/* Appends text with its he, she, they or it turned into I: "He turned back" becomes "I turned
 * back". */
void morph_first_person(struct buf *out, const char *text, enum morph_gender gender);
/* "in", "on" or "at", as goes with a place of that name: in the hall, on the roof, at the gate. */
const char *morph_place(const char *noun);
bool morph_is_plural(const char *noun);             /* by its last word's ending */
size_t morph_words(const char *text, size_t size);  /* runs of letters, digits, inner ' and - */
uint64_t morph_hash(const void *data, size_t size); /* FNV-1a, the same everywhere */
#define MORPH_HASH_START UINT64_C(0xcbf29ce484222325)
static inline uint64_t morph_hash_byte(uint64_t hash, unsigned char byte) /* one step of it */
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}
static inline bool morph_stops(char c) /* what ends a sentence */
{
    return c == '.' || c == '!' || c == '?';
}
static inline bool morph_breaks(char c) /* the same, or a line */
{
    return morph_stops(c) || c == '\n';
}
static inline char morph_lower(char c)
{
    return (unsigned char) (c - 'A') < 26 ? (char) (c + 32) : c;
}
/* What words are made of: letters, digits, and the bytes of other alphabets. */
static inline bool morph_in_word(char c)
{
    return (unsigned char) ((c | 32) - 'a') < 26 || (unsigned char) (c - '0') < 10 ||
           (unsigned char) c >= 0x80;
}
/* The word that begins at i goes on there: ' and - only before more of it. */
static inline bool morph_goes_on(const char *text, size_t size, size_t i)
{
    return i < size && (morph_in_word(text[i]) || ((text[i] == '\'' || text[i] == '-') &&
                                                   i + 1 < size && morph_in_word(text[i + 1])));
}
/* Next word at *at in lower case (cut at 31 bytes); false at the end. */
bool morph_next_word(const char *text, size_t size, size_t *at, char out[static 32]);

#endif
