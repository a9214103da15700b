/* oracle.h — jansson's opinion about a text (its names clash with ours, so it stays behind this
 * header). */
#ifndef TESTS_GATEWAY_ORACLE_H
#define TESTS_GATEWAY_ORACLE_H
#include <stdbool.h>
#include <stddef.h>

bool oracle_takes(const void *text, size_t size, char why[static 160]);
bool oracle_same(const void *a, size_t a_size, const void *b,
                 size_t b_size); /* both valid and equal */

#endif
