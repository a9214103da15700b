/* replay.c — a main for fuzz targets in every build: runs the corpus, then mutations of it that are
 * the same in every run.
 *
 *   fuzz_NAME [--rounds N] [--ms N] FILE|DIR ...    replay, then at most N mutations or N ms
 *   fuzz_NAME --seeds DIR                           write the seeds that the target makes
 *
 * An input that makes the process abort or fault is kept in the file $FUZZ_CRASH ("fuzz-crash" when
 * it is not set). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/base/clock.h"
#include "tests/fuzz/fuzz.h"

enum { INPUTS_MAX = 1024, INPUT_BYTES_MAX = 1 << 20, MUTATED_BYTES_MAX = 1 << 18 };
static struct buf inputs[INPUTS_MAX];
static size_t n_inputs;
static const uint8_t *running;
static size_t running_size;
static uint64_t random_state = 0x6e6f76656cu;

__attribute__((weak)) bool fuzz_seed(size_t i, struct buf *out)
{
    (void) i, (void) out;
    return false;
}

static void keep_crash(int signal_number)
{
    const char *path = getenv("FUZZ_CRASH");
    int fd = open(path != NULL ? path : "fuzz-crash", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0 && write(fd, running, running_size) == (ssize_t) running_size)
        (void) !write(STDERR_FILENO, "fuzz: the input was kept\n", 25);
    raise(signal_number);
}

static uint64_t next(uint64_t below)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

/* The target gets a block of exactly its size, so that a sanitizer sees the first byte too far. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = alloc_get(size);
    CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    running = copy, running_size = size;
    LLVMFuzzerTestOneInput(copy, size);
    alloc_free(copy);
}

static bool add_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || n_inputs == INPUTS_MAX) {
        fprintf(stderr, "fuzz: cannot read %s: %s\n", path, strerror(errno));
        return false;
    }
    uint8_t block[16384];
    struct buf *b = &inputs[n_inputs++];
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0 && b->size < INPUT_BYTES_MAX;)
        buf_put(b, block, n);
    fclose(f);
    return !b->failed;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool add(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return add_file(path);
    struct dirent **names;
    int n = scandir(path, &names, NULL, by_name);
    bool good = n >= 0;
    if (!good)
        fprintf(stderr, "fuzz: cannot read %s: %s\n", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            good = add_file(file) && good;
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return good;
}

static void mutate_once(struct buf *b)
{
    static const uint8_t telling[] = { 0, 1, 0x7f, 0x80, 0xff, '"', '\n', '%', '{', ':' };
    size_t at = b->size == 0 ? 0 : next(b->size), left = b->size - at;
    size_t n = left == 0 ? 0 : 1 + next(left < 16 ? left : 16);
    const struct buf *other = &inputs[next(n_inputs)];
    switch (left == 0 ? 5 : next(7)) {
    case 0:
        b->data[at] ^= (uint8_t) (1u << next(8));
        break;
    case 1:
        b->data[at] = telling[next(sizeof telling)];
        break;
    case 2:
        b->data[at] = (uint8_t) (b->data[at] + next(9) - 4);
        break;
    case 3: /* leave some out */
        memmove(b->data + at, b->data + at + n, left - n);
        b->size -= n;
        break;
    case 4: /* say some twice */
        if (buf_grow(b, n) != NULL)
            memmove(b->data + at + n, b->data + at, left);
        break;
    case 5: /* go on as another input does */
        b->size = at;
        if (other->size > 0) {
            size_t from = next(other->size);
            buf_put(b, other->data + from, other->size - from);
        }
        break;
    default:
        b->size = at;
    }
}

static void mutate(uint64_t rounds, uint64_t ms)
{
    uint64_t end = clock_mono_ns() + ms * 1000000u, done = 0;
    struct buf b = { 0 };
    for (; done < rounds && clock_mono_ns() < end; done++) {
        const struct buf *from = &inputs[next(n_inputs)];
        buf_reset(&b);
        if (from->size > 0)
            buf_put(&b, from->data, from->size);
        for (uint64_t n = 1 + next(4); n > 0; n--)
            mutate_once(&b);
        CHECK(!b.failed);
        run(b.data, b.size < MUTATED_BYTES_MAX ? b.size : MUTATED_BYTES_MAX);
    }
    buf_done(&b);
    printf("%zu inputs, %llu mutations\n", n_inputs, (unsigned long long) done);
}

static int write_seeds(const char *folder)
{
    struct buf b = { 0 };
    int result = 0;
    for (size_t i = 0; result == 0 && fuzz_seed(i, &b); i++, buf_reset(&b)) {
        char path[4096];
        snprintf(path, sizeof path, "%s/made-%zu", folder, i);
        FILE *f = fopen(path, "wb");
        bool good = f != NULL && fwrite(b.data, 1, b.size, f) == b.size;
        if (f != NULL && fclose(f) != 0)
            good = false;
        if (!good) {
            fprintf(stderr, "fuzz: cannot write %s: %s\n", path, strerror(errno));
            result = 1;
        }
    }
    buf_done(&b);
    return result;
}

int main(int argc, char **argv)
{
    uint64_t rounds = 400000, ms = 800;
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
        return write_seeds(argv[2]);
    int i = 1;
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--rounds") == 0)
            rounds = value;
        else
            ms = value;
    }
    for (; i < argc; i++)
        if (!add(argv[i]))
            return 2;
    for (size_t k = 0; n_inputs < INPUTS_MAX && fuzz_seed(k, &inputs[n_inputs]); k++)
        n_inputs++;
    if (n_inputs == 0) {
        fputs("usage: fuzz_NAME [--rounds N] [--ms N] FILE|DIR ...\n", stderr);
        return 2;
    }
    struct sigaction action = { .sa_handler = keep_crash, .sa_flags = (int) SA_RESETHAND };
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    for (size_t k = 0; k < n_inputs; k++)
        run(inputs[k].data, inputs[k].size);
    mutate(rounds, ms);
    for (size_t k = 0; k < n_inputs; k++)
        buf_done(&inputs[k]);
    return 0;
}
