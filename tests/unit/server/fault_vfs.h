/* fault_vfs.h — an SQLite VFS over the default one whose writes and syncs fail on command. */
#ifndef TESTS_FAULT_VFS_H
#define TESTS_FAULT_VFS_H
#include <stdatomic.h>

/* SQLite's error for the next operations, 0: none.  Counted down: 0 means "from now on". */
struct fault_vfs {
    atomic_int write_error, sync_error, open_error;
    atomic_int skip;   /* this many writes or syncs still succeed */
    atomic_int fails;  /* at most so many failures, then the disk is well again; -1: for ever */
    atomic_int failed; /* failures so far */
    atomic_int syncs;  /* successful syncs of the log file */
    atomic_int hold;   /* writes wait until it is 0 again */
    atomic_int held;   /* one has waited */
};
extern struct fault_vfs fault;
void fault_vfs_register(void); /* as "fault" */
void fault_reset(void);

#endif
