#include "gateway/switches.h"

#include <string.h>

#include "gateway/template.h"

enum { NAME_BYTES_MAX = 16 /* of a parameter that may be a switch, still encoded */ };

static const char boolean_words[] = "true or false";

static const struct {
    const char *name, *words;
    const char *off[2], *on[3]; /* the first of each is how documents write it */
    const char *purpose;
} switches[SWITCHES] = {
    [SWITCH_PRETTY] = { "$pretty",
                        boolean_words,
                        { "false", "0" },
                        { "true", "1", "" },
                        "Lays the answer out for people." },
    [SWITCH_DEFAULTS] = { "$defaults",
                          boolean_words,
                          { "false", "0" },
                          { "true", "1", "" },
                          "Writes fields that have their default value, too." },
    [SWITCH_ENUM_NUMBERS] = { "$enums",
                              "numbers or names",
                              { "names" },
                              { "numbers" },
                              "How values of enums are written." },
    [SWITCH_LONG_NUMBERS] = { "$int64",
                              "numbers or strings",
                              { "strings" },
                              { "numbers" },
                              "How numbers of 64 bits are written." },
    [SWITCH_PROTO_NAMES] = { "$names",
                             "proto or json",
                             { "json" },
                             { "proto" },
                             "How fields are named: as JSON does, or as in the proto." },
    [SWITCH_END] = { "$end",
                     boolean_words,
                     { "false", "0" },
                     { "true", "1", "" },
                     "Ends NDJSON with a line that says how the stream ended." },
};

static bool is_one_of(const char *text, size_t size, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n && words[i] != NULL; i++)
        if (strlen(words[i]) == size && memcmp(words[i], text, size) == 0)
            return true;
    return false;
}

enum answer_switch switch_find(const char *name, const struct desc_message *input)
{
    if (strcmp(name, "pretty") == 0 &&
        (input == NULL || desc_field_by_name(input, "pretty", 6) == NULL))
        return SWITCH_PRETTY;
    enum answer_switch s = SWITCH_PRETTY;
    while (s < SWITCHES && strcmp(switches[s].name, name) != 0)
        s++;
    return s;
}

enum switch_setting switch_read(enum answer_switch s, const char *value, size_t size)
{
    return is_one_of(value, size, switches[s].on, 3)    ? SWITCH_ON
           : is_one_of(value, size, switches[s].off, 2) ? SWITCH_OFF
                                                        : SWITCH_UNSET;
}

const char *switch_words(enum answer_switch s)
{
    return switches[s].words;
}

const char *switch_name(enum answer_switch s)
{
    return switches[s].name;
}

const char *switch_purpose(enum answer_switch s)
{
    return switches[s].purpose;
}

const char *switch_value(enum answer_switch s, size_t i)
{
    if (switches[s].words == boolean_words || i > 1)
        return NULL;
    return i == 0 ? switches[s].off[0] : switches[s].on[0];
}

static bool pair_asks_pretty(const char *pair, size_t size, const struct desc_message *input)
{
    const char *equals = memchr(pair, '=', size);
    size_t name_size = equals == NULL ? size : (size_t) (equals - pair);
    struct buf name = { 0 }, value = { 0 };
    bool asks = name_size <= NAME_BYTES_MAX && query_decode(pair, name_size, &name) &&
                switch_find(buf_str(&name), input) == SWITCH_PRETTY &&
                (equals == NULL || query_decode(equals + 1, size - name_size - 1, &value)) &&
                switch_read(SWITCH_PRETTY, buf_str(&value), value.size) == SWITCH_ON;
    buf_done(&name);
    buf_done(&value);
    return asks;
}

bool switches_ask_pretty(const char *query, size_t size, const struct desc_message *input)
{
    while (size > 0) {
        const char *end = memchr(query, '&', size);
        size_t n = end == NULL ? size : (size_t) (end - query);
        if (pair_asks_pretty(query, n, input))
            return true;
        n += end != NULL;
        query += n;
        size -= n;
    }
    return false;
}
