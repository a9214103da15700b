/* novel-metrics-page.h — the measures as a page for people: one HTML file, pictures inside. */
#ifndef NOVEL_METRICS_PAGE_H
#define NOVEL_METRICS_PAGE_H
#include "server/tools/novel-metrics-gates.h"

struct page {
    const struct samples *samples; /* played here */
    const struct gate_table *gates;
    const struct nvl_pack *pack;
    const char *const *requests; /* their names */
    size_t requests_count;
    unsigned seeds;
};
/* Appends the page.  0, or -1 without memory. */
int page_write(const struct page *p, struct buf *out);

void page_text(struct buf *out, const char *text, size_t size); /* escaped for HTML */
void page_tension(const struct page *p, struct buf *out);
void page_operators(const struct page *p, struct buf *out);
void page_plots(const struct page *p, struct buf *out);
int page_sameness(const struct page *p, struct buf *out);
int page_repeats(const struct page *p, struct buf *out);

#endif
