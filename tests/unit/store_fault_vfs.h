/*
 * Faults under SQLite, for tests of the store: from the nth operation of a kind on every one fails, or
 * the process dies in it.
 */
#ifndef TESTS_UNIT_STORE_FAULT_VFS_H
#define TESTS_UNIT_STORE_FAULT_VFS_H

#include "tests/unit/store_old.h"

#include <signal.h>

enum fault { FAULT_WRITE, FAULT_SYNC, FAULT_TRUNCATE, FAULT_READ, FAULT_MALLOC, N_FAULTS };

/* From the `countdown`th operation of its kind on, every one fails until disarmed. */
static struct {
    bool is_armed;
    bool has_fired;
    bool is_deadly; /* the process ends as by kill -9 */
    bool is_torn;   /* of a write that fails the first half is there */
    enum fault kind;
    int countdown;
} faults;

static sqlite3_mem_methods real_malloc;
static sqlite3_vfs fault_vfs;

static void arm(enum fault kind, int countdown)
{
    faults.kind = kind;
    faults.countdown = countdown;
    faults.has_fired = false;
    faults.is_armed = true;
}

static void die_if_deadly(void)
{
    if (faults.is_deadly) {
        (void)kill(getpid(), SIGKILL);
    }
}

static bool strikes(enum fault kind)
{
    if (!faults.is_armed || faults.kind != kind) {
        return false;
    }
    if (faults.countdown > 1) {
        faults.countdown--;
        return false;
    }
    faults.has_fired = true;
    if (!faults.is_torn) {
        die_if_deadly();
    }
    return true;
}

static void *fault_malloc(int n)
{
    return strikes(FAULT_MALLOC) ? NULL : real_malloc.xMalloc(n);
}

static void *fault_realloc(void *p, int n)
{
    return strikes(FAULT_MALLOC) ? NULL : real_malloc.xRealloc(p, n);
}

/* A file of the real VFS behind one of ours. */
struct fault_file {
    sqlite3_file base;
    sqlite3_file *real; /* in the same allocation */
};

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct fault_file *)f)->real;
}

static int file_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int file_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    return strikes(FAULT_READ) ? SQLITE_IOERR_READ
                               : real_of(f)->pMethods->xRead(real_of(f), to, n, at);
}

static int file_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
    bool is_hit = strikes(FAULT_WRITE);
    if (!is_hit || faults.is_torn) {
        int rc = real_of(f)->pMethods->xWrite(real_of(f), from, is_hit ? n / 2 : n, at);
        if (!is_hit) {
            return rc;
        }
    }
    die_if_deadly();
    return SQLITE_FULL;
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return strikes(FAULT_TRUNCATE) ? SQLITE_IOERR_TRUNCATE
                                   : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int file_sync(sqlite3_file *f, int flags)
{
    return strikes(FAULT_SYNC) ? SQLITE_IOERR_FSYNC
                               : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), ret);
}

static int file_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int file_check_lock(sqlite3_file *f, int *ret)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int file_sector_size(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int file_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int file_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
    if (extend != 0 && strikes(FAULT_WRITE)) {
        die_if_deadly();
        return SQLITE_IOERR_SHMSIZE;
    }
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int file_shm_unmap(sqlite3_file *f, int is_delete)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), is_delete);
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2, /* no xFetch: the store maps nothing */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_device,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret)
{
    sqlite3_vfs *real = vfs->pAppData;
    struct fault_file *file = (struct fault_file *)f;
    file->real = (sqlite3_file *)(file + 1);
    file->base.pMethods = NULL;
    int rc = real->xOpen(real, name, file->real, flags, ret);
    if (rc == SQLITE_OK) {
        file->base.pMethods = &file_methods;
    }
    return rc;
}

/* Before anything else uses SQLite. */
static void install_faults(void)
{
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_malloc), SQLITE_OK);
    sqlite3_mem_methods ours = real_malloc;
    ours.xMalloc = fault_malloc;
    ours.xRealloc = fault_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours), SQLITE_OK);
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    fault_vfs = *real;
    fault_vfs.pAppData = real;
    fault_vfs.pNext = NULL;
    fault_vfs.zName = "fault";
    fault_vfs.szOsFile += (int)sizeof(struct fault_file);
    fault_vfs.xOpen = fault_open;
    assert_int_equal(sqlite3_vfs_register(&fault_vfs, 1), SQLITE_OK);
}

static inline void expect_sentence(struct fixture *f, const char *text)
{
    static const char *const reasons[N_FAULTS] = {
        [FAULT_WRITE] = "the disk is full",     [FAULT_SYNC] = "I/O error",
        [FAULT_TRUNCATE] = "I/O error",         [FAULT_READ] = "I/O error",
        [FAULT_MALLOC] = "memory is exhausted",
    };
    assert_says(f, f->path);
    assert_says(f, text);
    if (strstr(f->err.msg, reasons[faults.kind]) == NULL &&
        strstr(f->err.msg, "SQLite 4874") == NULL) { /* IOERR_SHMSIZE from file_shm_map() */
        print_error("%s\n", f->err.msg);
        fail();
    }
}

/* Opens while the fault is armed; when that fails, once more without. */
static inline struct store *open_anyhow(struct fixture *f)
{
    struct store *st = ops->open(f->path, "", &f->err);
    if (st == NULL) {
        assert_true(faults.has_fired);
        expect_sentence(f, "cannot");
        faults.is_armed = false;
        st = must_open(f);
    }
    return st;
}

/* All of the first ones; of the many allocations behind them a part, for time. */
static inline int next_countdown(int n)
{
    return n < 200 ? n + 1 : n < 1500 ? n + 5 : n + 29;
}

#endif
