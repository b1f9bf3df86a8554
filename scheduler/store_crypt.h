/*
 * Which key a store is encrypted with, and making it so: a store of an earlier version is encrypted
 * when it is opened, one whose key is no longer the first of the key file is encrypted anew, and no
 * trace of what was there before stays in the file; then it is logged, as store.rekeyed. Used by the
 * parts of the SQLite store only.
 */
#ifndef SCHEDULER_STORE_CRYPT_H
#define SCHEDULER_STORE_CRYPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "scheduler/store_seal.h"

struct sqlite3;

/*
 * Fills `seal` with the keys of `key_file` ("": the store's path with .key behind it). The file is
 * made when it is not there and nothing in the store is encrypted yet; everything else about it that
 * is not as it should be is an error, and then the store is as it was: only with a key is one of an
 * older version brought up to date. `db` is prepared (store_schema.h), its tables are of `version`,
 * and nobody else writes to it.
 */
bool store_crypt_open(struct sqlite3 *db, const char *path, int64_t version, const char *key_file,
                      struct store_seal *seal, struct err *err);

#endif
