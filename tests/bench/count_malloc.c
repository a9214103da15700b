/* count_malloc.so — preloaded, counts what a program takes from the heap; kill -USR1 prints the count so far on stderr.
 *   LD_PRELOAD=count_malloc.so SERVER ... */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static _Atomic(unsigned long) taken;
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *p, size_t size);

void *malloc(size_t size)
{
    atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
    return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
    return __libc_realloc(p, size);
}

static void on_signal(int number)
{
    (void) number;
    char text[32];
    size_t at = sizeof text;
    text[--at] = '\n';
    for (unsigned long n = atomic_load(&taken);; n /= 10) {
        text[--at] = (char) ('0' + n % 10);
        if (n < 10)
            break;
    }
    (void) !write(STDERR_FILENO, text + at, sizeof text - at);
}

__attribute__((constructor)) static void start(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigaction(SIGUSR1, &action, NULL);
}
