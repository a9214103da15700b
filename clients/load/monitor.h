/* monitor.h — what processes use, read from /proc once a second.  The main thread's. */
#ifndef NOVEL_LOAD_MONITOR_H
#define NOVEL_LOAD_MONITOR_H
#include "clients/load/results.h"

struct monitor {
    struct results *results; /* samples go to results->processes */
    uint64_t begin_ns;
    struct monitor_seen {
        uint64_t at_ns, cpu_ticks, switches, start_time;
        /* since monitor_mark */
        uint64_t mark_ns, mark_ticks;
        double rss_mb;
        unsigned threads, descriptors;
    } seen[RESULTS_PROCESSES];
};
void monitor_init(struct monitor *m, struct results *r, uint64_t begin_ns);
/* Watches one more process.  false: why (there is no such process, or there are too many). */
bool monitor_add(struct monitor *m, const char *name, int pid, char *why, size_t why_size);
/* Takes one sample of each.  A process that is gone is marked as ended, and so is one whose number
 * another got. */
int monitor_sample(struct monitor *m);
void monitor_mark(struct monitor *m);                         /* a row begins */
void monitor_usage(const struct monitor *m, struct row *row); /* and ends: since the mark */

/* A program's log: the ready line names the address and the process.  address: at least
 * RESULTS_TEXT bytes.  *out_rpc: it is novel-server.  false: why. */
bool monitor_read_ready(const char *path, char *program, char *address, int *out_pid, char *why,
                        size_t why_size);

#endif
