#include "clients/cli/table.h"

#include <string.h>

#include "clients/cli/term.h"

void table_init(struct table *t, size_t columns)
{
    memset(t, 0, sizeof *t);
    arena_init(&t->arena, 4096);
    t->columns = columns > TABLE_COLUMNS_MAX ? TABLE_COLUMNS_MAX : columns;
    t->last = &t->first;
}

void table_add(struct table *t, const char *const *cells)
{
    struct table_row *row = arena_zero(&t->arena, 1, sizeof *row);
    if (row == NULL) {
        t->failed = true;
        return;
    }
    for (size_t i = 0; i < t->columns; i++) {
        const char *text = cells[i] != NULL ? cells[i] : "";
        struct buf line = { 0 };
        term_put_line(&line, text, SIZE_MAX / 2);
        row->cells[i] = line.failed ? NULL : arena_strndup(&t->arena, buf_text(&line), line.size);
        buf_done(&line);
        if (row->cells[i] == NULL) {
            t->failed = true;
            return;
        }
    }
    *t->last = row;
    t->last = &row->next;
}

static void put_row(const struct table *t, const struct table_row *row, const size_t *widths,
                    struct buf *out, unsigned width)
{
    size_t used = 0;
    for (size_t i = 0; i < t->columns; i++) {
        if (i + 1 == t->columns) {
            term_put_line(out, row->cells[i], width > used + 10 ? width - used : SIZE_MAX / 2);
            break;
        }
        buf_puts(out, row->cells[i]);
        for (size_t pad = term_columns(row->cells[i], strlen(row->cells[i])); pad < widths[i] + 2;
             pad++)
            buf_putc(out, ' ');
        used += widths[i] + 2;
    }
}

void table_put(struct table *t, struct buf *out, unsigned width, bool color)
{
    size_t widths[TABLE_COLUMNS_MAX] = { 0 };
    for (const struct table_row *row = t->first; row != NULL; row = row->next)
        for (size_t i = 0; i < t->columns; i++) {
            size_t columns = term_columns(row->cells[i], strlen(row->cells[i]));
            widths[i] = columns > widths[i] ? columns : widths[i];
        }
    for (const struct table_row *row = t->first; row != NULL; row = row->next) {
        struct buf line = { 0 };
        put_row(t, row, widths, &line, width);
        term_put_styled(out, row == t->first ? TERM_BOLD : TERM_PLAIN, color, buf_str(&line));
        buf_putc(out, '\n');
        out->failed |= line.failed;
        buf_done(&line);
    }
    out->failed |= t->failed;
    arena_done(&t->arena);
}
