/* novel-metrics-plots.h — how different the plots of a set of stories are. */
#ifndef NOVEL_METRICS_PLOTS_H
#define NOVEL_METRICS_PLOTS_H
#include "server/tools/novel-metrics-sample.h"

struct plots_measure {
    size_t stories, request_stories; /* with a log; of the smallest request of three characters */
    double signatures_least;         /* different plot signatures per 100, of the request of three
                                        characters         that has fewest */
    double jaccard;                  /* mean over all pairs of stories */
    double jaccard_across;           /* over pairs of one seed and two requests */
    size_t across;                   /* how many of those */
};
/* 0; -1 without memory; 1 when fewer than two stories have a log. */
int plots_measure(const struct samples *s, struct plots_measure *out);
/* Different signatures among the stories of a request. */
size_t plots_signatures(const struct samples *s, unsigned request, size_t *out_stories);
unsigned plots_requests(const struct samples *s); /* the highest, plus one */

#endif
