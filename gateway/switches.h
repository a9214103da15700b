/* switches.h — what a request may say about its answer's form, in its query: "?$names=proto". Pure.
 */
#ifndef NOVEL_GATEWAY_SWITCHES_H
#define NOVEL_GATEWAY_SWITCHES_H
#include <stddef.h>

#include "gateway/descriptors.h"

enum answer_switch {
    SWITCH_PRETTY,       /* $pretty, or pretty where the request has no field of that name */
    SWITCH_DEFAULTS,     /* $defaults */
    SWITCH_ENUM_NUMBERS, /* $enums=numbers */
    SWITCH_LONG_NUMBERS, /* $int64=numbers */
    SWITCH_PROTO_NAMES,  /* $names=proto */
    SWITCH_END,          /* $end: a line of NDJSON that says how the stream ended */
    SWITCHES
};
enum switch_setting { SWITCH_UNSET /* as the route has it */, SWITCH_OFF, SWITCH_ON };

/* The switch of a decoded parameter's name; SWITCHES: it is none.  input: of the request, may be
 * NULL. */
enum answer_switch switch_find(const char *name, const struct desc_message *input);
/* SWITCH_UNSET: that value says nothing. */
enum switch_setting switch_read(enum answer_switch s, const char *value, size_t size);
const char *switch_words(enum answer_switch s); /* "numbers or names", for an error */
/* For documents: its name ("$names"), what it does, and its i-th value of the kind that is not
 * "true or false"; NULL behind the last, and for those of that kind. */
const char *switch_name(enum answer_switch s);
const char *switch_purpose(enum answer_switch s);
const char *switch_value(enum answer_switch s, size_t i);
/* Does the query ask for JSON that is laid out?  For answers to requests whose query was not read
 * to its end, or at all. */
bool switches_ask_pretty(const char *query, size_t size, const struct desc_message *input);

#endif
