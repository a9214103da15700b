/* check.h — assertions.  CHECK stays on in every build and guards memory safety and broken invariants of
 * our own; ASSERT is for debug builds.  Neither may ever depend on what a peer sent. */
#ifndef NRPC_BASE_CHECK_H
#define NRPC_BASE_CHECK_H

/* Prints the place and the condition to stderr, then aborts. */
_Noreturn void check_failed(const char *file, int line, const char *condition);

#define CHECK(condition) ((condition) ? (void) 0 : check_failed(__FILE__, __LINE__, #condition))
#ifdef NDEBUG
#define ASSERT(condition) ((void) sizeof(condition))
#else
#define ASSERT(condition) CHECK(condition)
#endif

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *) (void *) ((char *) (ptr) - offsetof(type, member)))

#endif
