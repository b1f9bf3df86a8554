/*
 * store_seal_open() and store_key_parse() over arbitrary bytes, and what was sealed comes back. A
 * text that opens must be, byte for byte, one that we could have written.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "scheduler/store_seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char KEY_FILE[] = "Sluice store key, version 1\n"
                               "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
static const struct store_place place = {
    .table = "jobs", .column = "comment", .job_id = 1, .task_id = 2};

static void try_open(struct store_seal *seal, struct span text)
{
    char *plain = store_seal_open(seal, &place, text);
    /* The nonce is random: nobody but a fuzzer that broke AES gets here with a text of its own. */
    assert(plain == NULL || store_seal_key_id(text).n == STORE_KEY_ID_SIZE);
    assert(plain != NULL || err_is_set(&seal->err));
    free(plain);
}

/* With a right beginning, so that the bytes get as far as the cipher. */
static void try_behind_head(struct store_seal *seal, struct span text)
{
    _cleanup_free_ char *with_head =
        xasprintf("s1:%s:%.*s", seal->keys.items[0].id, SPAN_ARG(text));
    try_open(seal, span_of(with_head));
}

static void try_round_trip(struct store_seal *seal, struct span text)
{
    _cleanup_free_ char *sealed = store_seal_close(seal, &place, text);
    _cleanup_free_ char *back = store_seal_open(seal, &place, span_of(sealed));
    assert(back != NULL && (text.n == 0 || memcmp(back, text.p, text.n) == 0));
    if (text.n > 0) {
        char *at = sealed + (unsigned char)text.p[0] % strlen(sealed);
        *at = (char)(*at ^ (text.p[text.n - 1] | 1));
        char *changed = store_seal_open(seal, &place, span_of(sealed));
        assert(changed == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_seal seal = {0};
    struct store_keys keys;
    struct err err = {0};
    struct span text = {(const char *)data, size};
    bool is_read = store_key_parse(span_of(KEY_FILE), "key", &seal.keys, &err);
    assert(is_read);
    if (!store_key_parse(text, "key", &keys, &err)) {
        assert(err_is_set(&err) && keys.n == 0);
    } else {
        assert(keys.n > 0 && keys.n <= STORE_KEYS_MAX);
        store_keys_fini(&keys);
    }
    try_open(&seal, text);
    try_behind_head(&seal, text);
    try_round_trip(&seal, text);
    store_seal_fini(&seal);
    return 0;
}
