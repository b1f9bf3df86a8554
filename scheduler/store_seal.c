#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/xmalloc.h"
#include "scheduler/store_seal.h"

enum {
    NONCE_SIZE = 12,
    TAG_SIZE = 16,
    AROUND_SIZE = NONCE_SIZE + TAG_SIZE,
    HEAD_SIZE = 3 + STORE_KEY_ID_SIZE + 1, /* "s1:" id ":" */
    LONGEST_PLACE = 192,
};

static const char VERSION[] = "s1:";

/* Bytes of base64 without line breaks for n bytes. */
static size_t base64_len(size_t n)
{
    return (n + 2) / 3 * 4;
}

struct span store_seal_key_id(struct span sealed)
{
    if (sealed.n < HEAD_SIZE || !span_starts_with(sealed, VERSION) ||
        sealed.p[HEAD_SIZE - 1] != ':') {
        return (struct span){.p = "", .n = 0};
    }
    return (struct span){sealed.p + sizeof(VERSION) - 1, STORE_KEY_ID_SIZE};
}

static const struct store_key *find_key(const struct store_keys *keys, struct span id)
{
    for (size_t i = 0; i < keys->n; i++) {
        if (span_eq_text(id, keys->items[i].id)) {
            return &keys->items[i];
        }
    }
    return NULL;
}

static void describe(const struct store_place *place, char ret[LONGEST_PLACE])
{
    (void)snprintf(ret, LONGEST_PLACE, "column %s of table %s, job %" PRId64 " task %" PRId64,
                   place->column, place->table, place->job_id, place->task_id); /* fits */
}

/* What is authenticated besides the text; the ids' digits cannot run into each other. */
static size_t write_aad(const struct store_place *place, const struct store_key *key,
                        char ret[LONGEST_PLACE])
{
    int n = snprintf(ret, LONGEST_PLACE, "%s%s:%s.%s.%" PRId64 ".%" PRId64, VERSION, key->id,
                     place->table, place->column, place->job_id, place->task_id);
    assert(n > 0 && n < LONGEST_PLACE); /* names are ours and short */
    return (size_t)n;
}

enum direction { OPENING = 0, CLOSING = 1 };

/*
 * `box` is nonce, ciphertext, tag; the text is at `plain`. Returns whether the library did it, which
 * for opening means that the tag is right.
 */
static bool run_cipher(enum direction direction, const struct store_key *key,
                       const struct store_place *place, unsigned char *box, unsigned char *plain,
                       size_t n_plain)
{
    char aad[LONGEST_PLACE];
    int n_aad = (int)write_aad(place, key, aad);
    int n = 0;
    unsigned char *cipher = box + NONCE_SIZE;
    unsigned char *tag = cipher + n_plain;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool is_closing = direction == CLOSING;
    bool is_ok =
        ctx != NULL &&
        EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, box, (int)direction) == 1 &&
        EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)aad, n_aad) == 1 &&
        EVP_CipherUpdate(ctx, is_closing ? cipher : plain, &n, is_closing ? plain : cipher,
                         (int)n_plain) == 1 &&
        (size_t)n == n_plain &&
        (is_closing || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1) &&
        EVP_CipherFinal_ex(ctx, tag, &n) == 1 &&
        (!is_closing || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag) == 1);
    EVP_CIPHER_CTX_free(ctx); /* wipes the key's copy */
    return is_ok;
}

char *store_seal_close(struct store_seal *seal, const struct store_place *place, struct span plain)
{
    char where[LONGEST_PLACE];
    const struct store_key *key = &seal->keys.items[0];
    assert(seal->keys.n > 0);
    describe(place, where);
    if (plain.n > STORE_SEAL_LONGEST) {
        (void)err_say(&seal->err, "%s: the text of %zu bytes is longer than a store accepts (%d)",
                      where, plain.n, STORE_SEAL_LONGEST);
        return NULL;
    }
    size_t n_box = plain.n + AROUND_SIZE;
    unsigned char *box = xcalloc(1, n_box);
    unsigned char *text = (unsigned char *)xmemdup0(plain.n > 0 ? plain.p : "", plain.n);
    char *sealed = xcalloc(1, HEAD_SIZE + base64_len(n_box) + 1);
    if (RAND_bytes(box, NONCE_SIZE) == 1 && run_cipher(CLOSING, key, place, box, text, plain.n)) {
        (void)snprintf(sealed, HEAD_SIZE + 1, "%s%s:", VERSION, key->id); /* fits */
        (void)EVP_EncodeBlock((unsigned char *)sealed + HEAD_SIZE, box, (int)n_box);
    } else {
        (void)err_say(&seal->err, "%s: the cryptographic library cannot encrypt", where);
        free(sealed);
        sealed = NULL;
    }
    OPENSSL_cleanse(text, plain.n);
    free(text);
    free(box);
    return sealed;
}

/*
 * Strictly, so that no two texts mean the same bytes. The result is nonce, ciphertext, tag and
 * belongs to the caller; NULL when the text is none that we wrote.
 */
static unsigned char *decode(struct span base64, size_t *ret_len)
{
    if (base64.n % 4 != 0 || base64.n < base64_len(AROUND_SIZE) ||
        base64.n > base64_len(STORE_SEAL_LONGEST + AROUND_SIZE)) {
        return NULL;
    }
    size_t n_box = base64.n / 4 * 3;
    n_box -= base64.p[base64.n - 1] == '=';
    n_box -= base64.p[base64.n - 2] == '=';
    _cleanup_free_ unsigned char *box = xcalloc(1, base64.n / 4 * 3);
    _cleanup_free_ unsigned char *again = xcalloc(1, base64.n + 1);
    int n = EVP_DecodeBlock(box, (const unsigned char *)base64.p, (int)base64.n);
    if (n < 0 || (size_t)n != base64.n / 4 * 3 || n_box < AROUND_SIZE) {
        return NULL;
    }
    (void)EVP_EncodeBlock(again, box, (int)n_box);
    if (memcmp(again, base64.p, base64.n) != 0) {
        return NULL;
    }
    *ret_len = n_box;
    return take_ptr(box);
}

char *store_seal_open(struct store_seal *seal, const struct store_place *place, struct span sealed)
{
    char where[LONGEST_PLACE];
    size_t n_box = 0;
    struct span id = store_seal_key_id(sealed);
    const struct store_key *key = find_key(&seal->keys, id);
    describe(place, where);
    if (id.n > 0 && key == NULL) {
        (void)err_say(&seal->err, "%s is encrypted with key %.*s, which the key file does not hold",
                      where, SPAN_ARG(id));
        return NULL;
    }
    _cleanup_free_ unsigned char *box =
        key != NULL ? decode((struct span){sealed.p + HEAD_SIZE, sealed.n - HEAD_SIZE}, &n_box)
                    : NULL;
    char *plain = box != NULL ? xcalloc(1, n_box - AROUND_SIZE + 1) : NULL;
    if (plain != NULL &&
        run_cipher(OPENING, key, place, box, (unsigned char *)plain, n_box - AROUND_SIZE)) {
        return plain;
    }
    if (plain != NULL) {
        OPENSSL_cleanse(plain, n_box - AROUND_SIZE);
        free(plain);
    }
    (void)err_say(&seal->err,
                  "%s is not what Sluice wrote there: it was changed, or moved from elsewhere; "
                  "restore the store from a backup",
                  where);
    return NULL;
}

void store_seal_fini(struct store_seal *seal)
{
    store_keys_fini(&seal->keys);
}
