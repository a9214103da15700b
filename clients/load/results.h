/* results.h — what a run found: the program's memory of it, and the results file's.
 * docs/novel-load.schema.json describes the file; RESULTS_SCHEMA changes when a reader of the old
 * shape would misread the new one. */
#ifndef NOVEL_LOAD_RESULTS_H
#define NOVEL_LOAD_RESULTS_H
#include <stdbool.h>
#include <stdio.h>
#include "clients/load/tally.h"
#include "rpc/base/buf.h"

#define RESULTS_SCHEMA "novel-load/1"
enum {
    RESULTS_NAME = 32,
    RESULTS_TEXT = 256,
    RESULTS_PROCESSES = 8,
    RESULTS_COMPONENTS = 16,
    RESULTS_ROWS_MAX = 4096,
    RESULTS_SLICES = 120, /* kept of a row: neighbours are joined when there are more */
};

/* A part of a row's time (of a baseline: of its requests), to judge noise by. */
struct slice {
    double at_s, seconds;
    uint64_t requests, errors;
    double rate, p50_ms, p95_ms, p99_ms;
};
/* A process while a row ran. */
struct usage {
    bool known;
    double cpu_percent; /* of one core, on average */
    double rss_mb;      /* the most */
    unsigned threads, descriptors;
};
struct latency {
    double mean_ms, min_ms, p50_ms, p90_ms, p95_ms, p99_ms, p999_ms, max_ms;
};
struct row {
    char section[RESULTS_NAME];  /* baseline, load, stress, simulations, soak */
    char door[RESULTS_NAME];     /* http, rpc */
    char endpoint[RESULTS_NAME]; /* /health */
    unsigned users;
    double rate_wanted, think_ms; /* 0: closed loop; no pause */
    double at_s, seconds;
    uint64_t requests, bytes;
    uint64_t errors[OUTCOMES]; /* [OUTCOME_OK] is how many were good */
    struct tally_status statuses[TALLY_STATUSES];
    char detail[OUTCOMES][TALLY_DETAIL_SIZE];
    double rate, error_percent;
    struct latency latency, first; /* of good ones; of streams: until the first event */
    struct usage usage[RESULTS_PROCESSES];
    double generator_cpu_percent;  /* of the busiest thread */
    double generator_wait_percent; /* of the thread that waited most for a core */
    bool generator_limited;
    char generator_why[RESULTS_TEXT];
    struct slice slices[RESULTS_SLICES];
    unsigned n_slices;
};
struct knee { /* of a stress series */
    char door[RESULTS_NAME], endpoint[RESULTS_NAME];
    bool broke;                 /* a limit broke; else the series ended before one did */
    unsigned users, best_users; /* at which it broke; of the last step that held */
    double best_rate;
    char why[RESULTS_TEXT];
};
struct sample {
    double at_s, cpu_percent, rss_mb, switches_per_s;
    unsigned threads, descriptors;
};
struct process {
    char name[RESULTS_NAME];
    int pid;
    bool ended; /* it was gone before the run was */
    struct sample *samples;
    size_t n_samples, capacity;
};
struct component { /* what the deployment says of itself */
    char name[RESULTS_NAME], state[RESULTS_NAME];
};
struct results {
    char command[RESULTS_TEXT], started[RESULTS_NAME], ended[RESULTS_NAME];
    double seconds;
    bool interrupted;
    char version[RESULTS_NAME], commit[64], curl[RESULTS_NAME], system[RESULTS_TEXT],
        processor[RESULTS_TEXT];
    unsigned cores, workers;
    double memory_mb;
    char http[RESULTS_TEXT], rpc[RESULTS_TEXT], server_version[RESULTS_NAME];
    double duration_s, timeout_s;
    uint64_t http_requests; /* all that were sent, those outside rows too: as many lines as the
                               gateway's access log */
    uint64_t rpc_requests;
    struct row *rows;
    size_t n_rows, rows_capacity;
    struct knee knees[16];
    size_t n_knees;
    struct process processes[RESULTS_PROCESSES];
    size_t n_processes;
    struct component components[RESULTS_COMPONENTS];
    size_t n_components;
};

void results_done(struct results *r);
struct row *results_add_row(struct results *r);                    /* zeroed; NULL without memory */
int results_add_sample(struct process *p, const struct sample *s); /* 0 or NRPC_E_NOMEM */
/* Fills what follows from the tally. */
void row_set_tally(struct row *row, const struct tally *t);
void row_add_slice(struct row *row, const struct slice *s);
uint64_t row_errors(const struct row *row);

struct judgement;
/* Appends the results file; j may be NULL. */
void results_write(struct buf *out, const struct results *r, const struct judgement *j);
/* Reads a results file.  false: why says what is wrong with it. */
bool results_read(struct results *r, const char *text, size_t size, char *why, size_t why_size);
/* All of a file, at most 256 MiB. */
bool results_load(struct results *r, const char *path, char *why, size_t why_size);

#endif
