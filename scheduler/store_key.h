/*
 * The file with the keys of a store: a first line that says what it is, then a key a line, the one
 * in use first and older ones behind it. Used by the parts of the SQLite store only.
 */
#ifndef SCHEDULER_STORE_KEY_H
#define SCHEDULER_STORE_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

enum {
    STORE_KEY_SIZE = 32,   /* AES-256 */
    STORE_KEY_ID_SIZE = 8, /* letters: a piece of the key's hash, to tell keys apart */
    STORE_KEYS_MAX = 16,
};

struct store_key {
    unsigned char bytes[STORE_KEY_SIZE];
    char id[STORE_KEY_ID_SIZE + 1];
};

struct store_keys {
    struct store_key items[STORE_KEYS_MAX]; /* the first one encrypts */
    size_t n;
};

enum store_key_result { STORE_KEY_OK, STORE_KEY_ABSENT, STORE_KEY_FAIL };

/* FAIL, with err: it cannot be read, others may read it, or it is no key file. */
enum store_key_result store_key_read(const char *path, struct store_keys *ret, struct err *err);
/* Makes a file with one new key, mode 0600; it is on the disk as a whole, or not at all. */
bool store_key_create(const char *path, struct err *err);
/* The content of a key file; `path` is for errors. */
bool store_key_parse(struct span text, const char *path, struct store_keys *ret, struct err *err);
/* The ids, the first one first, for errors. The caller owns the text. */
char *store_key_list(const struct store_keys *keys);
/* Wipes the keys. */
void store_keys_fini(struct store_keys *keys);

#endif
