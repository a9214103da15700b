#include "gateway/etag.h"

#include <string.h>

#include "gateway/encode.h"

struct tag {
    const char *text;
    size_t size;
    bool weak;
};

bool etag_is_valid(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char) text[i] < 0x21 || text[i] == '"' || text[i] == 0x7f)
            return false;
    return size > 0;
}

static void skip(const char **at, const char *end, const char *what)
{
    while (*at < end && **at != '\0' && strchr(what, **at) != NULL)
        ++*at;
}

/* The coding behind the last dash is not part of the resource's state. */
static size_t without_coding(const char *text, size_t size)
{
    for (int e = ENCODING_IDENTITY + 1; e < ENCODINGS; e++) {
        const char *suffix = encoding_tag_suffix((enum encoding) e);
        size_t n = strlen(suffix);
        if (size > n && memcmp(text + size - n, suffix, n) == 0)
            return size - n;
    }
    return size;
}

/* Reads the next tag; false at the end or where the list is malformed. */
static bool next(const char **at, const char *end, struct tag *out)
{
    skip(at, end, " \t,");
    out->weak = end - *at > 2 && memcmp(*at, "W/", 2) == 0;
    if (out->weak)
        *at += 2;
    if (*at == end || **at != '"')
        return false;
    const char *start = *at + 1, *close = memchr(start, '"', (size_t) (end - start));
    if (close == NULL)
        return false;
    *at = close + 1;
    out->text = start;
    out->size = without_coding(start, (size_t) (close - start));
    return true;
}

static bool is_star(const char *list, const char *end)
{
    skip(&list, end, " \t");
    if (list == end || *list != '*')
        return false;
    list++;
    skip(&list, end, " \t");
    return list == end;
}

bool etag_list_has(const char *list, size_t list_size, const char *tag, size_t size, bool weak)
{
    const char *at = list, *end = list + list_size;
    struct tag t;
    if (is_star(list, end))
        return true;
    while (next(&at, end, &t))
        if (t.size == size && memcmp(t.text, tag, size) == 0 && (weak || !t.weak))
            return true;
    return false;
}

bool etag_list_single(const char *list, size_t list_size, const char **out_tag, size_t *out_size)
{
    const char *at = list, *end = list + list_size;
    struct tag first, second;
    if (!next(&at, end, &first) || first.weak || next(&at, end, &second))
        return false;
    skip(&at, end, " \t,");
    if (at != end)
        return false;
    *out_tag = first.text;
    *out_size = first.size;
    return true;
}
