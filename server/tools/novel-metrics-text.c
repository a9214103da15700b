#include "server/tools/novel-metrics-text.h"

#include <ctype.h>
#include <string.h>
#include "rpc/base/alloc.h"
#include "rpc/base/map.h"
#include "rpc/base/utf8.h"

/* ---- the word table -------------------------------------------------------------------------- */

struct text_table {
    struct map map; /* value: number + 1 */
};

struct text_table *text_table_new(void)
{
    return alloc_zero(1, sizeof(struct text_table));
}
void text_table_free(struct text_table *table)
{
    if (table == NULL)
        return;
    map_done(&table->map);
    alloc_free(table);
}
size_t text_table_count(const struct text_table *table)
{
    return table->map.count;
}
uint32_t text_table_id(struct text_table *table, const char *word, size_t size)
{
    char small[64] = { 0 }, *lower = size <= sizeof(small) ? small : alloc_get(size);
    if (lower == NULL)
        return UINT32_MAX;
    for (size_t i = 0; i < size; i++)
        lower[i] = (char) tolower((unsigned char) word[i]);
    uintptr_t number = (uintptr_t) map_get(&table->map, lower, size);
    if (number == 0) {
        number = table->map.count + 1; /* nothing is ever removed: entries keep their places */
        if (map_set(&table->map, lower, size, (void *) number, NULL) < 0)
            number = 0;
    }
    if (lower != small)
        alloc_free(lower);
    return number == 0 ? UINT32_MAX : (uint32_t) (number - 1);
}
const char *text_table_word(const struct text_table *table, uint32_t id)
{
    return id < table->map.count ? table->map.entries[id].key : "";
}

/* ---- characters ------------------------------------------------------------------------------ */

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool text_is_blank(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}
/* Length of the blank at text[at], 0 when there is none. */
static size_t blank_at(const char *text, size_t size, size_t at)
{
    size_t n;
    return at < size && text_is_blank(utf8_decode(text + at, size - at, &n)) ? n : 0;
}
static bool starts(const char *text, size_t size, size_t at, const char *with)
{
    size_t n = strlen(with);
    return n <= size - at && memcmp(text + at, with, n) == 0;
}
/* Length of a joiner inside a word (' ’ -) at text[at], else 0. */
static size_t joiner_at(const char *text, size_t size, size_t at)
{
    if (at >= size)
        return 0;
    return text[at] == '\'' || text[at] == '-' ? 1 : starts(text, size, at, "’") ? 3 : 0;
}
/* The next word from *at on; its end is left in *at.  False at the end. */
static bool next_word(const char *text, size_t size, size_t *at, size_t *out_first)
{
    size_t i = *at;
    while (i < size && !is_alnum(text[i]))
        i++;
    *out_first = i;
    if (i == size)
        return false;
    for (;;) {
        while (i < size && is_alnum(text[i]))
            i++;
        size_t j = joiner_at(text, size, i);
        if (j == 0 || i + j >= size || !is_alnum(text[i + j]))
            break;
        i += j;
    }
    *at = i;
    return true;
}
size_t text_count_words(const char *text, size_t size)
{
    size_t count = 0, at = 0, first;
    while (next_word(text, size, &at, &first))
        count++;
    return count;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reading {
    struct text_doc doc;
    struct text_table *table;
    size_t limit; /* words; 0: none */
    char *out;    /* joined */
    size_t out_size;
    bool failed, full;
};

/* A sentence that ends in an abbreviation of a title goes on. */
static bool goes_on(const char *s, size_t size)
{
    static const char *const titles[] = { "Dr.", "Mr.",   "Mrs.", "Ms.",
                                          "St.", "Capt.", "Lt.",  "Prof." };
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        size_t n = strlen(titles[i]);
        if (size < n || memcmp(s + size - n, titles[i], n) != 0)
            continue;
        unsigned char before = size > n ? (unsigned char) s[size - n - 1] : ' ';
        if (before < 0x80)
            return !is_alnum((char) before) && before != '_';
        size_t at = size - n - 1, used;
        while (at > 0 && ((unsigned char) s[at] & 0xc0) == 0x80)
            at--;
        uint32_t c = utf8_decode(s + at, size - at, &used); /* a letter, or some sort of mark */
        return c < 0xc0 || (c >= 0x2000 && c <= 0x206f) || c == 0x3000;
    }
    return false;
}
static void put_blank(struct reading *r)
{
    if (r->out_size > 0 && r->out[r->out_size - 1] != ' ')
        r->out[r->out_size++] = ' ';
}
static void take_sentence(struct reading *r, const char *s, size_t size)
{
    struct text_sentence *sentence = &r->doc.sentences[r->doc.sentences_count];
    size_t at = 0, first;
    *sentence = (struct text_sentence){ .data = s,
                                        .size = size,
                                        .first = (uint32_t) r->doc.words_count,
                                        .paragraph = r->doc.paragraphs_count };
    if (r->full)
        return;
    while (next_word(s, size, &at, &first)) {
        struct text_word *w = &r->doc.words[r->doc.words_count++];
        *w = (struct text_word){ s + first, (uint32_t) (at - first),
                                 text_table_id(r->table, s + first, at - first) };
        r->failed |= w->id == UINT32_MAX;
    }
    sentence->count = (uint32_t) (r->doc.words_count - sentence->first);
    if (sentence->count == 0)
        return;
    r->doc.sentences_count++;
    put_blank(r);
    for (size_t i = 0; i < size;) {
        size_t n = blank_at(s, size, i);
        if (n > 0)
            put_blank(r);
        else
            r->out[r->out_size++] = s[i];
        i += n > 0 ? n : 1;
    }
    r->full = r->limit > 0 && r->doc.words_count >= r->limit;
}
static const char *const closing[] = { "\"", "”", "’", "'" }, *const opening[] = { "\"", "“", "‘",
                                                                                   "'" };
static size_t quote_at(const char *text, size_t size, size_t at, const char *const quotes[4])
{
    for (size_t i = 0; at < size && i < 4; i++)
        if (starts(text, size, at, quotes[i]))
            return strlen(quotes[i]);
    return 0;
}
/* Where the sentence that ends before p[at] ends and where the next begins; false: it does not end.
 */
static bool ends_at(const char *p, size_t size, size_t at, size_t *out_end, size_t *out_next)
{
    if (at == 0 || at >= size || strchr(".!?", p[at - 1]) == NULL || p[at - 1] == 0)
        return false;
    size_t end = at + quote_at(p, size, at, closing), next = end, n;
    while ((n = blank_at(p, size, next)) > 0)
        next += n;
    size_t capital = next + quote_at(p, size, next, opening);
    if (next == end || capital >= size ||
        !((p[capital] >= 'A' && p[capital] <= 'Z') || (p[capital] >= '0' && p[capital] <= '9')))
        return false;
    *out_end = end, *out_next = next;
    return true;
}
static void take_paragraph(struct reading *r, const char *p, size_t size)
{
    size_t start = 0, before = r->doc.sentences_count;
    for (size_t i = 0; i <= size && !r->failed; i++) {
        size_t end = i, next = i;
        if (i < size && !ends_at(p, size, i, &end, &next))
            continue;
        if (i < size && goes_on(p + start, end - start))
            continue;
        take_sentence(r, p + start, (i < size ? end : size) - start);
        start = next;
        i = i < size ? next - 1 : i;
    }
    r->doc.paragraphs_count += r->doc.sentences_count > before;
}
/* Parts the text at runs of blanks that hold two newlines or more. */
static void take_text(struct reading *r, const char *text, size_t size)
{
    size_t start = 0, i = 0;
    while (i < size) {
        size_t run = i, newlines = 0, n;
        while ((n = blank_at(text, size, run)) > 0) {
            /* \r\n and \r are newlines too */
            newlines += text[run] == '\n' ||
                        (text[run] == '\r' && (run + 1 == size || text[run + 1] != '\n'));
            run += n;
        }
        if (run == i) {
            i++;
            continue;
        }
        if (i == start) {
            start = run;
        } else if (newlines >= 2 || run == size) {
            take_paragraph(r, text + start, i - start);
            start = run;
        }
        i = run;
    }
    if (start < size)
        take_paragraph(r, text + start, size - start);
}
int text_read(const char *text, size_t size, size_t words, struct text_table *table,
              struct arena *arena, struct text_doc *out)
{
    size_t most = text_count_words(text, size);
    struct reading r = { .table = table, .limit = words };
    r.doc.name = "";
    r.doc.words = arena_zero(arena, most + 1, sizeof(*r.doc.words));
    r.doc.sentences = arena_zero(arena, most + 2, sizeof(*r.doc.sentences));
    r.out = arena_get(arena, 2 * size + 1);
    if (r.doc.words == NULL || r.doc.sentences == NULL || r.out == NULL)
        return -1;
    take_text(&r, text, size);
    if (r.failed)
        return -1;
    r.doc.joined = r.out;
    r.doc.joined_size = r.out_size;
    *out = r.doc;
    return 0;
}
