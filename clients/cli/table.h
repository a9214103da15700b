/* table.h — rows of text in aligned columns. */
#ifndef NOVELCTL_TABLE_H
#define NOVELCTL_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include "rpc/base/arena.h"
#include "rpc/base/buf.h"

enum { TABLE_COLUMNS_MAX = 8 };
struct table_row {
    struct table_row *next;
    const char *cells[TABLE_COLUMNS_MAX];
};
/* Zero-initialise, then table_init. */
struct table {
    struct arena arena;
    size_t columns;
    struct table_row *first, **last;
    bool failed;
};

void table_init(struct table *t, size_t columns);
/* Adds a row of t->columns texts, copied; NULL is empty.  The first row is the head. */
void table_add(struct table *t, const char *const *cells);
/* Appends all rows, two spaces between columns, the last one cut at width; frees the table. */
void table_put(struct table *t, struct buf *out, unsigned width, bool color);

#endif
