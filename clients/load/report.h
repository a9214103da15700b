/* report.h — results for people: the tables of the original's report, the original's figures beside
 * ours, and each grade with the rule that gave it.  Pure: they append to a buffer. */
#ifndef NOVEL_LOAD_REPORT_H
#define NOVEL_LOAD_REPORT_H
#include "clients/load/results.h"
#include "clients/load/rules.h"

void report_text(struct buf *out, const struct results *r,
                 const struct judgement *j); /* a few lines, for a terminal */
void report_markdown(struct buf *out, const struct results *r, const struct judgement *j);
/* One page that needs nothing else: styles and plots (SVG) are in it. */
void report_html(struct buf *out, const struct results *r, const struct judgement *j);
/* The file at path with what stands between the marks "<!-- performance: begin -->" and "<!--
 * performance: end -->" replaced by a summary.  link: the whole report's file, NULL: none is named.
 * false: why. */
bool report_readme(struct buf *out, const char *path, const struct results *r,
                   const struct judgement *j, const char *link, char *why, size_t size);

/* The sections that tables are made of, in order; both long reports walk them. */
struct report_section {
    const char *name, *title, *explanation;
};
enum { REPORT_SECTIONS = 5 };
extern const struct report_section report_sections[REPORT_SECTIONS];
bool report_has(const struct results *r, const char *section);
/* The cells of a row's line in its table; report_head names them.  Each is one short text without
 * markup. */
enum { REPORT_CELLS = 12, REPORT_CELL = 256 };
size_t report_head(const char *section, const char *heads[REPORT_CELLS]);
size_t report_cells(const struct row *row, char cells[REPORT_CELLS][REPORT_CELL]);
/* Errors by kind in one line: "3 timeout, 1 status (500: 1)"; "none". */
void report_errors(const struct row *row, char *out, size_t size);

/* What was judged (measured), or what was not: "baseline, load /health and /characters"; sections
 * of the rules, with their endpoints where only some are meant. */
void report_scope(struct buf *out, const struct judgement *j, bool measured);
/* What the verdict means for who did not ask for everything: a sentence or two. */
const char *report_meaning(const struct judgement *j);

#endif
