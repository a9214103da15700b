#include "tests/unit/gateway/oracle.h"

#include <jansson.h>
#include <stdio.h>

enum { FLAGS = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL };

bool oracle_takes(const void *text, size_t size, char why[static 160])
{
    json_error_t e = { .text = "" };
    json_t *value = json_loadb(text, size, FLAGS, &e);
    snprintf(why, 160, "%s", e.text);
    json_decref(value);
    return value != NULL;
}

bool oracle_same(const void *a, size_t a_size, const void *b, size_t b_size)
{
    json_t *one = json_loadb(a, a_size, FLAGS, NULL), *two = json_loadb(b, b_size, FLAGS, NULL);
    bool same = one != NULL && two != NULL && json_equal(one, two);
    json_decref(one);
    json_decref(two);
    return same;
}
