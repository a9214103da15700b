#include "gateway/accept.h"

#include <string.h>
#include <strings.h>

struct range {
    const char *type; /* "text/html" */
    size_t size;
    int quality;
};

static void trim(const char **s, size_t *size)
{
    while (*size > 0 && (**s == ' ' || **s == '\t')) {
        ++*s;
        --*size;
    }
    while (*size > 0 && ((*s)[*size - 1] == ' ' || (*s)[*size - 1] == '\t'))
        --*size;
}

/* "0.8" in thousandths; what is no number counts as 1, so that a strange header still gets an
 * answer. */
static int quality_of(const char *s, size_t size)
{
    if (size == 0 || (s[0] != '0' && s[0] != '1'))
        return 1000;
    int q = (s[0] - '0') * 1000, unit = 100;
    if (size > 1 && s[1] == '.')
        for (size_t i = 2; i < size && i < 5 && s[i] >= '0' && s[i] <= '9'; i++, unit /= 10)
            q += (s[i] - '0') * unit;
    return q > 1000 ? 1000 : q;
}

/* One element of the header, up to its comma. */
static struct range read_range(const char *s, size_t size)
{
    const char *semicolon = memchr(s, ';', size);
    struct range r = { s, semicolon == NULL ? size : (size_t) (semicolon - s), 1000 };
    size_t left = semicolon == NULL ? 0 : size - r.size;
    trim(&r.type, &r.size);
    while (left > 0) {
        const char *parameter = semicolon + 1;
        semicolon = memchr(parameter, ';', left - 1);
        size_t n = semicolon == NULL ? left - 1 : (size_t) (semicolon - parameter);
        left -= n + 1;
        trim(&parameter, &n);
        if (n > 2 && (parameter[0] | 0x20) == 'q' && parameter[1] == '=')
            r.quality = quality_of(parameter + 2, n - 2);
    }
    return r;
}

/* How closely a range names a type; -1: not at all. */
static int match(const struct range *r, const char *type)
{
    if (r->size == 3 && memcmp(r->type, "*/*", 3) == 0)
        return 0;
    if (r->size > 2 && memcmp(r->type + r->size - 2, "/*", 2) == 0)
        return strncasecmp(r->type, type, r->size - 1) == 0 ? 1 : -1;
    return strlen(type) == r->size && strncasecmp(r->type, type, r->size) == 0 ? 2 : -1;
}

struct verdict {
    int quality, specificity, position;
};

/* The closest range decides about a type. */
static struct verdict judge(const char *accept, size_t size, const char *type)
{
    struct verdict v = { .specificity = -1 };
    for (int position = 0; size > 0; position++) {
        const char *comma = memchr(accept, ',', size);
        size_t n = comma == NULL ? size : (size_t) (comma - accept);
        struct range r = read_range(accept, n);
        int closeness = match(&r, type);
        if (closeness > v.specificity)
            v = (struct verdict){ r.quality, closeness, position };
        n += comma != NULL;
        accept += n;
        size -= n;
    }
    return v;
}

static bool is_better(const struct verdict *a, const struct verdict *b)
{
    if (a->quality != b->quality)
        return a->quality > b->quality;
    if (a->specificity != b->specificity)
        return a->specificity > b->specificity;
    return a->position < b->position;
}

struct accept_choice accept_choose(const char *accept, size_t size, const char *const *types,
                                   size_t n)
{
    if (size == 0)
        return (struct accept_choice){ n > 0 ? 0 : -1, 1000, 0 };
    struct verdict best = { 0 };
    int index = -1;
    for (size_t i = 0; i < n; i++) {
        struct verdict v = judge(accept, size, types[i]);
        if (v.specificity < 0 || v.quality == 0 || (index >= 0 && !is_better(&v, &best)))
            continue;
        best = v;
        index = (int) i;
    }
    return (struct accept_choice){ index, best.quality, index < 0 ? 0 : best.specificity };
}

/* ---- codings --------------------------------------------------------------------------- */

/* The q of one coding: by name, else by "*", else none; in thousandths. */
static int coding_quality(const char *header, size_t size, const char *name)
{
    int by_name = -1, by_star = -1;
    while (size > 0) {
        const char *comma = memchr(header, ',', size);
        size_t n = comma == NULL ? size : (size_t) (comma - header);
        struct range r = read_range(header, n);
        if (r.size == strlen(name) && strncasecmp(r.type, name, r.size) == 0)
            by_name = r.quality;
        else if (r.size == 1 && *r.type == '*')
            by_star = r.quality;
        n += comma != NULL;
        header += n;
        size -= n;
    }
    return by_name >= 0 ? by_name : by_star;
}

int accept_choose_coding(const char *header, size_t size, const char *const *names, size_t n)
{
    int best = -1, quality = 0;
    for (size_t i = 0; i < n; i++) {
        int q = coding_quality(header, size, names[i]);
        if (q < 0 && strcmp(names[i], "identity") == 0)
            q = 1; /* acceptable, and less liked than all that is named */
        if (q > quality) {
            best = (int) i;
            quality = q;
        }
    }
    return best;
}
