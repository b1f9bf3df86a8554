#include <errno.h>
#include <sqlite3.h>
#include <stddef.h>
#include <string.h>

#include "base/xmalloc.h"
#include "scheduler/store_error.h"

struct reason {
    int rc; /* primary result code */
    const char *why;
    const char *advice;
};

static const char disk_full[] = "the disk is full";
static const char make_room[] = "free some space on its file system";

static const struct reason reasons[] = {
    {SQLITE_FULL, disk_full, make_room},
    {SQLITE_READONLY, "the file or its directory is read-only",
     "give the user that runs Sluice the right to write both"},
    {SQLITE_PERM, "access is denied", "check the owner and mode of the file"},
    {SQLITE_CANTOPEN, "the file or one beside it cannot be opened",
     "check the owner and mode of the file and of its directory"},
    {SQLITE_CORRUPT, "the file is damaged", "stop Sluice and restore the file from a backup"},
    {SQLITE_NOTADB, "the file is damaged", "stop Sluice and restore the file from a backup"},
    {SQLITE_NOMEM, "memory is exhausted", "give the process or the machine more memory"},
    {SQLITE_BUSY, "another program keeps it locked",
     "close what has it open, an sqlite3 shell for instance"},
    {SQLITE_LOCKED, "another program keeps it locked",
     "close what has it open, an sqlite3 shell for instance"},
    {SQLITE_TOOBIG, "a text is larger than a store accepts", "make the statement shorter"},
    {SQLITE_CONSTRAINT, "the record breaks a rule of the store's schema",
     "report this as a bug of Sluice"},
};

/* An I/O error that is a full disk in disguise: SQLite says FULL for ENOSPC on some calls only. */
static const char *reason_of_errno(int number, const char **ret_advice)
{
    if (number == ENOSPC) {
        *ret_advice = make_room;
        return disk_full;
    }
    if (number == EDQUOT) {
        *ret_advice = "raise the quota of the user that runs Sluice";
        return "the disk quota is used up";
    }
    if (number == EFBIG) {
        *ret_advice = "raise the limit (ulimit -f, LimitFSIZE=)";
        return "the file would pass the largest size the process may write";
    }
    return NULL;
}

static const struct reason *find_reason(int rc)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (reasons[i].rc == (rc & 0xff)) {
            return &reasons[i];
        }
    }
    return NULL;
}

static int errno_of_file(sqlite3_file *f)
{
    int number = 0;
    /* A VFS that knows no such control leaves 0. */
    if (f != NULL && f->pMethods != NULL) {
        (void)f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &number);
    }
    return number;
}

/* The errno behind an I/O error: SQLite tells it of some calls, and keeps it for each file. */
static int find_errno(struct sqlite3 *db)
{
    sqlite3_file *log = NULL;
    sqlite3_file *file = NULL;
    int number = db != NULL ? sqlite3_system_errno(db) : 0;
    if (number != 0 || db == NULL) {
        return number;
    }
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    number = errno_of_file(log);
    return number != 0 ? number : errno_of_file(file);
}

bool store_error_say(struct sqlite3 *db, int rc, const char *path, const char *doing,
                     struct err *err)
{
    const struct reason *known = find_reason(rc);
    int number = (rc & 0xff) == SQLITE_IOERR ? find_errno(db) : 0;
    const char *advice = NULL;
    const char *why = (rc & 0xff) == SQLITE_IOERR ? reason_of_errno(number, &advice) : NULL;
    if (why != NULL) {
        return err_say(err, "store %s: cannot %s: %s; %s", path, doing, why, advice);
    }
    if (known != NULL) {
        const char *detail = (rc & 0xff) == SQLITE_CONSTRAINT && db != NULL ? sqlite3_errmsg(db)
                                                                            : sqlite3_errstr(rc);
        return err_say(err, "store %s: cannot %s: %s (SQLite %d, %s); %s", path, doing, known->why,
                       rc, detail, known->advice);
    }
    if ((rc & 0xff) == SQLITE_IOERR) {
        char text[128];
        return err_say(err, "store %s: cannot %s: I/O error (SQLite %d%s%s); look at the disk",
                       path, doing, rc, number != 0 ? ", " : "",
                       number != 0 ? strerror_r(number, text, sizeof(text)) : "");
    }
    return err_say(err, "store %s: cannot %s: SQLite %d, %s", path, doing, rc,
                   db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}
