/*
 * The file of the SQLite store: is it there, is it ours, may we have it. Holds the lock that keeps
 * a second Sluice out; the kernel releases it when the process ends in whatever way. Used by the
 * parts of the SQLite store only.
 */
#ifndef SCHEDULER_STORE_FILE_H
#define SCHEDULER_STORE_FILE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/xmalloc.h"

struct store_file {
    char *path;  /* owned; absolute, symbolic links resolved */
    int lock_fd; /* flock on "<path>.lock", which holds our process id; -1 when not locked */
};

/*
 * Afterwards the file exists, is a store (its header says so), and is locked. A file that is not a
 * store is left as it is, to the byte.
 */
bool store_file_open(const char *location, struct store_file *ret, struct err *err);
void store_file_close(struct store_file *f);

#endif
