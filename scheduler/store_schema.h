/*
 * The tables of the SQLite store, the versions they went through, and a connection set up the way
 * a store needs it. Used by the parts of the SQLite store only.
 */
#ifndef SCHEDULER_STORE_SCHEMA_H
#define SCHEDULER_STORE_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct sqlite3;

enum {
    STORE_SCHEMA_ID = 0x534c5543, /* application_id of the file: "SLUC" */
    STORE_SCHEMA_VERSION = 3,     /* user_version of the file */
    /* Somebody may look into the store with the sqlite3 shell; the scheduler cannot wait long. */
    STORE_SCHEMA_BUSY_MS = 500,
};

/* Are application id and version, read from a file's header, ones we may write to? */
bool store_schema_check(const char *path, int64_t id, int64_t version, struct err *err);

/* Connects to a file that exists; changes nothing in it. */
bool store_schema_connect(const char *path, struct sqlite3 **ret, struct err *err);
/* Connects to a store that is in use, to read it beside its owner, on any one thread. */
bool store_schema_connect_reader(const char *path, struct sqlite3 **ret, struct err *err);

/* Makes the tables in an empty file. It must not be in the store's place yet. */
bool store_schema_create(const char *path, struct err *err);

/*
 * Makes a connection ready for use: checks the version once more (the header may lag behind the
 * write-ahead log) and switches to WAL with full synchronisation. The tables stay of that version.
 */
bool store_schema_prepare(struct sqlite3 *db, const char *path, int64_t *ret_version,
                          struct err *err);

/* Brings the tables of that version up to date; an older Sluice refuses them from then on. */
bool store_schema_migrate(struct sqlite3 *db, const char *path, int64_t version, struct err *err);

#endif
