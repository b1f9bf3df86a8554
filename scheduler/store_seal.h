/*
 * Texts encrypted for the store, AES-256-GCM:
 *
 *     s1:<key id, 8 letters>:<base64 of nonce (12 bytes), ciphertext, tag (16 bytes)>
 *
 * Every value has a random nonce of its own. What precedes the ciphertext and the place where the
 * value stands (table, column, ids of the row) are authenticated with it, so that a value which was
 * changed, or moved from another row, does not open. Used by the parts of the SQLite store only.
 */
#ifndef SCHEDULER_STORE_SEAL_H
#define SCHEDULER_STORE_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "scheduler/store_key.h"

/* Texts that the store accepts; sealed they are a third longer. */
enum { STORE_SEAL_LONGEST = 40 << 20 };

struct store_place {
    const char *table;
    const char *column;
    int64_t job_id;
    int64_t task_id; /* 0 in a job's row; of a bad file the row's own id */
};

struct store_seal {
    struct store_keys keys;
    struct err err; /* of the last call that failed */
};

/* The caller owns the result; NULL, with seal->err, when the text is too long. */
char *store_seal_close(struct store_seal *seal, const struct store_place *place, struct span plain);
/* The same back. NULL, with seal->err: it is no sealed text, its key is not ours, it was changed. */
char *store_seal_open(struct store_seal *seal, const struct store_place *place, struct span sealed);
/* The id of the key a text was sealed with; empty when it is no sealed text. */
struct span store_seal_key_id(struct span sealed);
/* Wipes the keys. */
void store_seal_fini(struct store_seal *seal);

#endif
