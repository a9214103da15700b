/* term.h — what novelctl knows about terminals: width, colour, wrapping, and keeping a server's
 * text from steering the terminal.  Columns are counted in code points, wide and combining ones as
 * terminals draw them. */
#ifndef NOVELCTL_TERM_H
#define NOVELCTL_TERM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/base/buf.h"

enum term_style { TERM_PLAIN, TERM_BOLD, TERM_DIM, TERM_RED, TERM_GREEN, TERM_YELLOW, TERM_CYAN };

/* Columns of the terminal behind fd; COLUMNS, then 80 when it is none.  Never below 20. */
unsigned term_width(int fd);
/* Whether to style what goes to fd: a terminal, no NO_COLOR, TERM not "dumb". */
bool term_colors(int fd);
/* Whether the locale's encoding is UTF-8. */
bool term_utf8(void);

/* Columns that text takes. */
size_t term_columns(const char *text, size_t size);
/* Appends text without control characters (newlines and tabs become a space), cut to `columns` with
 * an ellipsis. */
void term_put_line(struct buf *out, const char *text, size_t columns);
/* Appends text of any number of lines; control characters but newline and tab are left out. */
void term_put_safe(struct buf *out, const char *text);
/* Appends `text` in the style, or as it is with color false. */
void term_put_styled(struct buf *out, enum term_style style, bool color, const char *text);
/* Appends text without control characters, wrapped between words at `width`.  The first line goes on in
 * column `indent`, those after it are indented so far.  Too narrow a width (0: no terminal) wraps
 * nothing. */
void term_put_wrapped(struct buf *out, const char *text, unsigned width, unsigned indent);
/* Appends a story in Markdown for reading: paragraphs wrapped at width and parted by an empty line,
 * headings bold, emphasis marks kept out.  Safe as term_put_safe. */
void term_put_story(struct buf *out, const char *markdown, unsigned width, bool color);

#endif
