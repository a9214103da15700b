/* novel-metrics-text.h — a text as paragraphs, sentences and words.  Words are runs of ASCII
 * letters and digits, joined by ', ’ or -; sentences end at . ! or ? (and a closing quote) before
 * blanks and a capital or a digit; paragraphs are parted by blank lines.  Pure; memory is the
 * caller's arena. */
#ifndef NOVEL_METRICS_TEXT_H
#define NOVEL_METRICS_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/base/arena.h"

struct text_word {
    const char *data; /* as written, not NUL-ended */
    uint32_t size;    /* bytes */
    uint32_t id;      /* of the lower-case form in the word table */
};
struct text_sentence {
    const char *data;
    size_t size;
    uint32_t first, count; /* its words */
    uint32_t paragraph;    /* from 0 */
};
struct text_doc {
    const char *name;
    struct text_word *words;
    size_t words_count;
    struct text_sentence *sentences;
    size_t sentences_count;
    uint32_t paragraphs_count;
    const char *joined; /* the sentences with every run of blanks made one: what is compressed */
    size_t joined_size;
};

/* Lower-case words, numbered as they come.  One table for all texts that are compared. */
struct text_table;
struct text_table *text_table_new(void); /* NULL without memory */
void text_table_free(struct text_table *table);
size_t text_table_count(const struct text_table *table);
/* The word's number from 0; UINT32_MAX without memory.  The word may be in any case. */
uint32_t text_table_id(struct text_table *table, const char *word, size_t size);
const char *text_table_word(const struct text_table *table, uint32_t id); /* NUL-ended */

/* Reads valid UTF-8.  words > 0: only whole sentences up to about that many words, when the text
 * has as many.  Everything in *out lives in the arena.  0, or -1 without memory. */
int text_read(const char *text, size_t size, size_t words, struct text_table *table,
              struct arena *arena, struct text_doc *out);

/* How many words stand in the bytes. */
size_t text_count_words(const char *text, size_t size);
bool text_is_blank(uint32_t code_point); /* Unicode white space */

#endif
