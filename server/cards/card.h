/* card.h — one character card: YAML between two lines "---", then Markdown.  docs/cards.md
 * describes it.
 *
 *   ---
 *   name: Alex Chen
 *   pronouns: he
 *   skills: { piloting: 0.95 }
 *   ---
 *   Background, in Markdown, up to the first "##" heading.
 *   ## Personality
 *   ## Status
 *   ## Context
 *
 * A card is read whole or not at all: whatever is unknown, missing or out of range is an error with
 * its line. */
#ifndef SERVER_CARDS_CARD_H
#define SERVER_CARDS_CARD_H
#include "server/contract.h"

enum {
    CARD_BYTES_MAX = 64 * 1024,
    CARD_NODES_MAX = 4096, /* YAML values */
    CARD_ALIASES_MAX = 16,
    CARD_DEPTH_MAX = 12,
};
struct card_error {
    char file[256];
    int line;          /* from 1 */
    char message[256]; /* one sentence */
};

/* Reads the card of character `id` (the file's name without .md).  The message and all it points to
 * live in the arena.  Fractions are quantised here, once: skills to hundredths, scales to whole
 * numbers, half up. 0, or -1 with err; *out untouched then. */
int card_parse(const char *file, const char *id, const void *text, size_t size, struct arena *a,
               NE(Character) * *out, struct card_error *err);

/* [a-z][a-z0-9_]{0,62} */
bool card_id_valid(const char *id);

/* card_body.c: the Markdown below the second "---", which starts at `line`. */
int card_parse_body(const char *text, size_t size, int line, struct arena *a, NE(Character) * c,
                    struct card_error *err);

#endif
