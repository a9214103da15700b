#include "server/tools/novel-metrics-one.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <zlib.h>
#include "rpc/base/alloc.h"
#include "server/tools/novel-metrics-ngram.h"

static const char *const names[ONE_COUNT] = {
    "words",      "distinct1", "distinct2", "distinct3",  "rep4",     "mattr50",
    "mtld",       "zlibratio", "slen",      "slen_cv",    "short<=6", "long>=25",
    "open2_rep5", "open1_top", "dialogue",  "para_words", "pron3",    "names",
    "pron_share", "adj_lex",   "adj_link",  "ly_adv",
};
const char *metrics_one_name(enum metrics_one which)
{
    return which < ONE_COUNT ? names[which] : "";
}

static const char pronouns[] = " he she they him her them his hers their theirs himself herself "
                               "themselves it its itself ";
static const char common[] =
    " the a an and or but of to in on at for with from by as that this these those is was were be "
    "been being are am had has have having do did does done not no nor so if then than when while "
    "where who whom which what there here it its he she they him her them his hers their i you we "
    "me my your our us up down out into over under again all any some one would could should will "
    "can may might must just only very too ";

static bool stands_in(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)) != NULL; p += n)
        if (p[-1] == ' ' && p[n] == ' ')
            return true;
    return false;
}

/* ---- variety of words ------------------------------------------------------------------------ */

double metrics_mattr(const struct text_word *words, size_t count, size_t window, uint32_t *scratch)
{
    size_t width = count < window ? count : window, types = 0, sum = 0, spans = count - width + 1;
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        types += scratch[words[i].id]++ == 0;
        if (i >= width)
            types -= --scratch[words[i - width].id] == 0;
        if (i + 1 >= width)
            sum += types;
    }
    for (size_t i = count - width; i < count; i++)
        scratch[words[i].id] = 0;
    return (double) sum / (double) spans / (double) width;
}
static double mtld_one_way(const struct text_word *words, size_t count, bool back,
                           uint32_t *scratch)
{
    const double threshold = 0.72;
    double factors = 0;
    size_t types = 0, n = 0;
    uint32_t stretch = 1; /* a word counts as seen when its mark is this stretch's */
    for (size_t i = 0; i < count; i++) {
        uint32_t *mark = &scratch[words[back ? count - 1 - i : i].id];
        types += *mark != stretch;
        *mark = stretch;
        n++;
        if ((double) types / (double) n < threshold) {
            factors += 1;
            types = n = 0;
            stretch++;
        }
    }
    for (size_t i = 0; i < count; i++)
        scratch[words[i].id] = 0;
    if (n > 0)
        factors += (1 - (double) types / (double) n) / (1 - threshold);
    return factors > 0 ? (double) count / factors : (double) count;
}
double metrics_mtld(const struct text_word *words, size_t count, uint32_t *scratch)
{
    return (mtld_one_way(words, count, false, scratch) +
            mtld_one_way(words, count, true, scratch)) /
           2;
}
static int variety(const struct text_doc *d, const struct text_table *table, double *m)
{
    const struct text_doc *const docs[1] = { d };
    struct grams *g = grams_new(docs, 1);
    uint32_t *scratch = alloc_zero(text_table_count(table), sizeof(*scratch));
    bool ok = g != NULL && scratch != NULL;
    for (unsigned n = 1; ok && n <= 4; n++) {
        ok = grams_next(g) == 0;
        if (ok && n < 4)
            m[ONE_DISTINCT1 + n - 1] = grams_distinct(g, 0);
        else if (ok)
            m[ONE_REP4] = 1 - grams_distinct(g, 0);
    }
    if (ok) {
        m[ONE_MATTR50] = metrics_mattr(d->words, d->words_count, 50, scratch);
        m[ONE_MTLD] = metrics_mtld(d->words, d->words_count, scratch);
    }
    alloc_free(scratch);
    grams_free(g);
    return ok ? 0 : -1;
}
static int compression(const struct text_doc *d, double *m)
{
    uLongf size = compressBound((uLong) d->joined_size);
    uint8_t *out = alloc_get(size);
    bool ok = out != NULL &&
              compress2(out, &size, (const Bytef *) d->joined, (uLong) d->joined_size, 9) == Z_OK;
    if (ok)
        m[ONE_ZLIB] = (double) d->joined_size / (double) size;
    alloc_free(out);
    return ok ? 0 : -1;
}

/* ---- sentences ------------------------------------------------------------------------------- */

static void lengths(const struct text_doc *d, double *m)
{
    double count = (double) d->sentences_count, sum = 0, squares = 0, is_short = 0, is_long = 0;
    for (size_t i = 0; i < d->sentences_count; i++) {
        sum += d->sentences[i].count;
        is_short += d->sentences[i].count <= 6;
        is_long += d->sentences[i].count >= 25;
    }
    double mean = sum / count;
    for (size_t i = 0; i < d->sentences_count; i++)
        squares += (d->sentences[i].count - mean) * (d->sentences[i].count - mean);
    m[ONE_SENTENCE] = mean;
    m[ONE_SENTENCE_CV] = sqrt(squares / count) / mean;
    m[ONE_SHORT] = is_short / count;
    m[ONE_LONG] = is_long / count;
    m[ONE_PARAGRAPH] = sum / d->paragraphs_count;
}
static bool same_opener(const struct text_doc *d, size_t a, size_t b)
{
    const struct text_sentence *x = &d->sentences[a], *y = &d->sentences[b];
    return (x->count > 1) == (y->count > 1) && d->words[x->first].id == d->words[y->first].id &&
           (x->count < 2 || d->words[x->first + 1].id == d->words[y->first + 1].id);
}
static int openers(const struct text_doc *d, const struct text_table *table, double *m)
{
    size_t repeats = 0, count = d->sentences_count;
    uint32_t top = 0, *firsts = alloc_zero(text_table_count(table), sizeof(*firsts));
    if (firsts == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        bool again = false;
        for (size_t k = i > 5 ? i - 5 : 0; k < i; k++)
            again |= same_opener(d, i, k);
        repeats += again;
        uint32_t same = ++firsts[d->words[d->sentences[i].first].id];
        top = same > top ? same : top;
    }
    m[ONE_OPENER] = (double) repeats / (double) (count > 1 ? count - 1 : 1);
    m[ONE_TOP_WORD] = (double) top / (double) count;
    alloc_free(firsts);
    return 0;
}
static size_t quotes_between(const char *from, const char *to)
{
    size_t n = 0;
    for (; from < to; from++)
        n += *from == '"' ||
             (to - from >= 3 && (memcmp(from, "“", 3) == 0 || memcmp(from, "”", 3) == 0));
    return n;
}
static void dialogue(const struct text_doc *d, double *m)
{
    size_t quotes = 0, inside = 0;
    for (size_t i = 0; i < d->sentences_count; i++) {
        const struct text_sentence *s = &d->sentences[i];
        const char *at = s->data;
        if (i > 0 && s->paragraph != d->sentences[i - 1].paragraph)
            quotes = 0;
        for (uint32_t k = s->first; k < s->first + s->count; k++) {
            quotes += quotes_between(at, d->words[k].data);
            at = d->words[k].data + d->words[k].size;
            inside += quotes & 1;
        }
        quotes += quotes_between(at, s->data + s->size);
    }
    m[ONE_DIALOGUE] = (double) inside / (double) d->words_count;
}

/* ---- references ------------------------------------------------------------------------------ */

static bool is_name(const struct text_word *w)
{
    bool me = w->data[0] == 'I' && (w->size == 1 || w->data[1] == '\'');
    return isupper((unsigned char) w->data[0]) && !me;
}
/* Bytes of the first `characters` of a word. */
static size_t prefix(const char *word, size_t characters)
{
    size_t i = 0;
    for (; word[i] != 0; i++)
        if (((unsigned char) word[i] & 0xc0) != 0x80 && characters-- == 0)
            break;
    return i;
}
static bool is_content(const char *word)
{
    return prefix(word, 3) < strlen(word) && !stands_in(common, word);
}
struct stems { /* beginnings of content words, and the sentence (+ 1) that each stood in last */
    struct text_table *table;
    uint32_t *last;
};
/* Whether sentence i and the one before share a content word; notes those of i. */
static bool shares_content(struct stems *stems, const struct text_doc *d,
                           const struct text_table *t, size_t i)
{
    const struct text_sentence *s = &d->sentences[i];
    bool shares = false;
    for (int round = 0; round < 2; round++) /* first look, then note */
        for (uint32_t k = s->first; k < s->first + s->count; k++) {
            const char *word = text_table_word(t, d->words[k].id);
            if (!is_content(word))
                continue;
            uint32_t stem = text_table_id(stems->table, word, prefix(word, 6));
            if (stem >= d->words_count)
                return false; /* no memory for the stem: as if it were none */
            if (round == 0)
                shares |= stems->last[stem] == i && i > 0;
            else
                stems->last[stem] = (uint32_t) i + 1;
        }
    return shares;
}
static int references(const struct text_doc *d, const struct text_table *t, double *m)
{
    struct stems stems = { text_table_new(), alloc_zero(d->words_count, sizeof(uint32_t)) };
    size_t pron = 0, name = 0, lex = 0, link = 0, ly = 0, count = d->sentences_count;
    bool ok = stems.table != NULL && stems.last != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        const struct text_sentence *s = &d->sentences[i];
        bool refers = false;
        for (uint32_t k = s->first; k < s->first + s->count; k++) {
            const char *word = text_table_word(t, d->words[k].id);
            size_t n = strlen(word);
            bool third = stands_in(pronouns, word);
            pron += third;
            refers |= third;
            name += k > s->first && is_name(&d->words[k]);
            ly += n >= 2 && memcmp(word + n - 2, "ly", 2) == 0;
        }
        bool shares = shares_content(&stems, d, t, i);
        lex += shares;
        link += i > 0 && (shares || refers);
    }
    double words = (double) d->words_count, pairs = (double) (count > 1 ? count - 1 : 1);
    m[ONE_PRON3] = (double) pron / words;
    m[ONE_NAMES] = (double) name / words;
    m[ONE_PRON_SHARE] = (double) pron / (double) (pron + name > 0 ? pron + name : 1);
    m[ONE_ADJ_LEX] = (double) lex / pairs;
    m[ONE_ADJ_LINK] = (double) link / pairs;
    m[ONE_LY] = (double) ly / words;
    text_table_free(stems.table);
    alloc_free(stems.last);
    return ok ? 0 : -1;
}

int metrics_one(const struct text_doc *d, const struct text_table *table,
                double out[static ONE_COUNT])
{
    double m[ONE_COUNT] = { 0 };
    if (d->sentences_count == 0)
        return 1;
    if (variety(d, table, m) != 0 || compression(d, m) != 0 || openers(d, table, m) != 0 ||
        references(d, table, m) != 0)
        return -1;
    m[ONE_WORDS] = (double) d->words_count;
    lengths(d, m);
    dialogue(d, m);
    memcpy(out, m, sizeof(m));
    return 0;
}
