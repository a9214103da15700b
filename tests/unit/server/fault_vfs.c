#include "tests/unit/server/fault_vfs.h"

#include <sqlite3.h>
#include <string.h>
#include <time.h>

struct fault_vfs fault;

struct fault_file {
    sqlite3_file base;
    int wal;
    sqlite3_file *real; /* behind this struct */
};

static int fault_hits(int error)
{
    if (error == 0)
        return 0;
    if (atomic_load(&fault.skip) > 0) {
        atomic_fetch_sub(&fault.skip, 1);
        return 0;
    }
    if (atomic_load(&fault.fails) == 0)
        return 0;
    if (atomic_load(&fault.fails) > 0)
        atomic_fetch_sub(&fault.fails, 1);
    atomic_fetch_add(&fault.failed, 1);
    return error;
}

#define REAL(f) (((struct fault_file *) (f))->real)
static int f_close(sqlite3_file *f)
{
    return REAL(f)->pMethods != NULL ? REAL(f)->pMethods->xClose(REAL(f)) : SQLITE_OK;
}
static int f_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at)
{
    return REAL(f)->pMethods->xRead(REAL(f), data, n, at);
}
static void wait_while_held(void)
{
    struct timespec time = { 0, 1000000 };
    while (atomic_load(&fault.hold) != 0) {
        atomic_store(&fault.held, 1);
        (void) nanosleep(&time, NULL);
    }
}
static int f_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    if (((struct fault_file *) f)->wal)
        wait_while_held();
    int error = ((struct fault_file *) f)->wal ? fault_hits(atomic_load(&fault.write_error)) : 0;
    return error != 0 ? error : REAL(f)->pMethods->xWrite(REAL(f), data, n, at);
}
static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return REAL(f)->pMethods->xTruncate(REAL(f), size);
}
static int f_sync(sqlite3_file *f, int flags)
{
    int wal = ((struct fault_file *) f)->wal;
    int error = wal ? fault_hits(atomic_load(&fault.sync_error)) : 0;
    if (error != 0)
        return error;
    atomic_fetch_add(&fault.syncs, wal);
    return REAL(f)->pMethods->xSync(REAL(f), flags);
}
static int f_size(sqlite3_file *f, sqlite3_int64 *out)
{
    return REAL(f)->pMethods->xFileSize(REAL(f), out);
}
static int f_lock(sqlite3_file *f, int how)
{
    return REAL(f)->pMethods->xLock(REAL(f), how);
}
static int f_unlock(sqlite3_file *f, int how)
{
    return REAL(f)->pMethods->xUnlock(REAL(f), how);
}
static int f_reserved(sqlite3_file *f, int *out)
{
    return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out);
}
static int f_control(sqlite3_file *f, int op, void *arg)
{
    return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}
static int f_sector(sqlite3_file *f)
{
    return REAL(f)->pMethods->xSectorSize(REAL(f));
}
static int f_traits(sqlite3_file *f)
{
    return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}
static int f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, out);
}
static int f_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}
static void f_shm_barrier(sqlite3_file *f)
{
    REAL(f)->pMethods->xShmBarrier(REAL(f));
}
static int f_shm_unmap(sqlite3_file *f, int drop)
{
    return REAL(f)->pMethods->xShmUnmap(REAL(f), drop);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = f_close,
    .xRead = f_read,
    .xWrite = f_write,
    .xTruncate = f_truncate,
    .xSync = f_sync,
    .xFileSize = f_size,
    .xLock = f_lock,
    .xUnlock = f_unlock,
    .xCheckReservedLock = f_reserved,
    .xFileControl = f_control,
    .xSectorSize = f_sector,
    .xDeviceCharacteristics = f_traits,
    .xShmMap = f_shm_map,
    .xShmLock = f_shm_lock,
    .xShmBarrier = f_shm_barrier,
    .xShmUnmap = f_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                      int *out_flags)
{
    sqlite3_vfs *under = vfs->pAppData;
    struct fault_file *f = (struct fault_file *) file;
    memset(f, 0, sizeof *f);
    int error = atomic_load(&fault.open_error);
    if (error != 0)
        return error;
    f->real = (sqlite3_file *) (f + 1);
    f->wal = (flags & SQLITE_OPEN_WAL) != 0;
    int rc = under->xOpen(under, name, f->real, flags, out_flags);
    if (rc == SQLITE_OK)
        f->base.pMethods = &methods;
    return rc;
}

void fault_vfs_register(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *under = sqlite3_vfs_find(NULL);
    vfs = *under;
    vfs.zName = "fault";
    vfs.pNext = NULL;
    vfs.pAppData = under;
    vfs.szOsFile = (int) sizeof(struct fault_file) + under->szOsFile;
    vfs.xOpen = fault_open;
    (void) sqlite3_vfs_register(&vfs, 0);
    fault_reset();
}

void fault_reset(void)
{
    atomic_store(&fault.write_error, 0);
    atomic_store(&fault.hold, 0);
    atomic_store(&fault.held, 0);
    atomic_store(&fault.sync_error, 0);
    atomic_store(&fault.open_error, 0);
    atomic_store(&fault.skip, 0);
    atomic_store(&fault.fails, -1);
    atomic_store(&fault.failed, 0);
}
