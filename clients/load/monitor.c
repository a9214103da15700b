#include "clients/load/monitor.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/load/json.h"
#include "rpc/base/clock.h"

struct reading {
    uint64_t cpu_ticks, start_time, switches;
    double rss_mb;
    unsigned threads, descriptors;
};

/* The first line of a file under /proc; false when it cannot be read. */
static bool read_file(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    size_t n = fread(text, 1, size - 1, f);
    bool good = n > 0 && ferror(f) == 0;
    text[n] = '\0';
    fclose(f);
    return good;
}

/* The name in /proc/PID/stat may hold anything: numbers are counted from behind its last
 * parenthesis. */
static bool read_stat(int pid, struct reading *out)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!read_file(path, text, sizeof text))
        return false;
    char *at = strrchr(text, ')');
    if (at == NULL)
        return false;
    char state;
    unsigned long user, system;
    long threads, pages;
    unsigned long long start;
    if (sscanf(at + 1,
               " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %ld %*d %llu "
               "%*u %ld",
               &state, &user, &system, &threads, &start, &pages) != 6 ||
        state == 'Z' || state == 'X')
        return false;
    out->cpu_ticks = (uint64_t) user + system;
    out->threads = (unsigned) threads;
    out->start_time = start;
    out->rss_mb = (double) pages * (double) sysconf(_SC_PAGESIZE) / 1048576;
    return true;
}

static unsigned count_descriptors(int pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *d = opendir(path);
    if (d == NULL)
        return 0;
    unsigned n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* The process's own status counts one thread only. */
static uint64_t count_switches(int pid)
{
    char path[64], file[400], text[4096];
    uint64_t all = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    if (d == NULL)
        return 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        snprintf(file, sizeof file, "%s/%s/status", path, e->d_name);
        if (e->d_name[0] == '.' || !read_file(file, text, sizeof text))
            continue;
        const char *waited = strstr(text, "\nvoluntary_ctxt_switches:"),
                   *forced = strstr(text, "\nnonvoluntary_ctxt_switches:");
        all += waited == NULL ? 0 : strtoull(waited + 25, NULL, 10);
        all += forced == NULL ? 0 : strtoull(forced + 28, NULL, 10);
    }
    closedir(d);
    return all;
}

static bool read_process(int pid, struct reading *out)
{
    if (!read_stat(pid, out))
        return false;
    out->descriptors = count_descriptors(pid);
    out->switches = count_switches(pid);
    return true;
}

void monitor_init(struct monitor *m, struct results *r, uint64_t begin_ns)
{
    memset(m, 0, sizeof *m);
    m->results = r;
    m->begin_ns = begin_ns;
}

bool monitor_add(struct monitor *m, const char *name, int pid, char *why, size_t why_size)
{
    struct results *r = m->results;
    struct reading now = { 0 };
    for (size_t i = 0; i < r->n_processes; i++)
        if (r->processes[i].pid == pid)
            return true;
    if (r->n_processes == RESULTS_PROCESSES) {
        snprintf(why, why_size, "at most %d processes can be watched", RESULTS_PROCESSES);
        return false;
    }
    if (!read_process(pid, &now)) {
        snprintf(why, why_size, "there is no process %d to watch", pid);
        return false;
    }
    struct process *p = &r->processes[r->n_processes];
    struct monitor_seen *s = &m->seen[r->n_processes++];
    snprintf(p->name, sizeof p->name, "%s", name);
    p->pid = pid;
    *s = (struct monitor_seen){
        clock_mono_ns(), now.cpu_ticks, now.switches, now.start_time, 0, 0, 0, 0, 0
    };
    return true;
}

static double cpu_percent(uint64_t ticks, uint64_t ns)
{
    return ns == 0 ? 0 : 100 * (double) ticks / (double) sysconf(_SC_CLK_TCK) / ((double) ns / 1e9);
}

static int sample_one(struct monitor *m, size_t i)
{
    struct process *p = &m->results->processes[i];
    struct monitor_seen *s = &m->seen[i];
    struct reading now;
    if (p->ended)
        return 0;
    if (!read_process(p->pid, &now) || now.start_time != s->start_time) {
        p->ended = true;
        return 0;
    }
    uint64_t at = clock_mono_ns(), passed = at - s->at_ns;
    const struct sample sample = {
        .at_s = (double) (at - m->begin_ns) / 1e9,
        .cpu_percent = cpu_percent(now.cpu_ticks - s->cpu_ticks, passed),
        .rss_mb = now.rss_mb,
        /* A thread that ended takes its count along. */
        .switches_per_s = now.switches < s->switches || passed == 0
                              ? 0
                              : (double) (now.switches - s->switches) / ((double) passed / 1e9),
        .threads = now.threads,
        .descriptors = now.descriptors,
    };
    s->at_ns = at;
    s->cpu_ticks = now.cpu_ticks;
    s->switches = now.switches;
    s->rss_mb = now.rss_mb > s->rss_mb ? now.rss_mb : s->rss_mb;
    s->threads = now.threads > s->threads ? now.threads : s->threads;
    s->descriptors = now.descriptors > s->descriptors ? now.descriptors : s->descriptors;
    return results_add_sample(p, &sample);
}

int monitor_sample(struct monitor *m)
{
    int r = 0;
    for (size_t i = 0; i < m->results->n_processes && r == 0; i++)
        r = sample_one(m, i);
    return r;
}

void monitor_mark(struct monitor *m)
{
    for (size_t i = 0; i < m->results->n_processes; i++) {
        struct monitor_seen *s = &m->seen[i];
        struct reading now = { 0 };
        s->mark_ns = clock_mono_ns();
        s->mark_ticks =
            read_stat(m->results->processes[i].pid, &now) ? now.cpu_ticks : s->cpu_ticks;
        s->rss_mb = now.rss_mb;
        s->threads = now.threads;
        s->descriptors = 0;
    }
}

void monitor_usage(const struct monitor *m, struct row *row)
{
    for (size_t i = 0; i < m->results->n_processes; i++) {
        const struct monitor_seen *s = &m->seen[i];
        struct reading now = { 0 };
        if (m->results->processes[i].ended || !read_process(m->results->processes[i].pid, &now))
            continue;
        row->usage[i] = (struct usage){
            .known = true,
            .cpu_percent = cpu_percent(now.cpu_ticks - s->mark_ticks, clock_mono_ns() - s->mark_ns),
            .rss_mb = now.rss_mb > s->rss_mb ? now.rss_mb : s->rss_mb,
            .threads = now.threads > s->threads ? now.threads : s->threads,
            .descriptors = now.descriptors > s->descriptors ? now.descriptors : s->descriptors,
        };
    }
}

bool monitor_read_ready(const char *path, char *program, char *address, int *out_pid, char *why,
                        size_t why_size)
{
    struct json j = { 0 };
    char *line = NULL;
    size_t capacity = 0;
    bool found = false;
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        snprintf(why, why_size, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    for (ssize_t n; !found && (n = getline(&line, &capacity, f)) > 0;) {
        if (!json_parse(&j, line, (size_t) n) ||
            !json_is_text(json_get(&j, json_root(&j), "event"), "ready"))
            continue;
        const struct json_node *root = json_root(&j);
        snprintf(program, RESULTS_NAME, "%s", json_text(&j, root, "program", ""));
        snprintf(address, RESULTS_TEXT, "%s", json_text(&j, root, "address", ""));
        double pid = json_number(&j, root, "pid", 0);
        *out_pid = pid >= 1 && pid <= 4194304 ? (int) pid : 0;
        found = address[0] != '\0' && *out_pid > 0;
    }
    free(line);
    fclose(f);
    json_done(&j);
    if (!found)
        snprintf(why, why_size, "%s holds no ready line with an address and a process", path);
    return found;
}
