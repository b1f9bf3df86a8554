/*
 * secret_mask() over arbitrary bytes: a secret put behind them is gone however they end, and
 * blackening leaves nothing of a value.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/xmalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORD "Zz9SECRETz9"

static void try_behind(struct span text)
{
    static const char *const spellings[] = {
        " \"s3.secret_key\" = \"" WORD "\"",
        " {\"aws_session_token\":\"" WORD "\"}",
        " 's3.token' = '" WORD "'",
        " property.sasl.password=" WORD ",",
    };
    for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
        _cleanup_buf_ struct buf b = buf_with_max(text.n + 100);
        buf_append_span(&b, text);
        buf_append_text(&b, spellings[i]);
        _cleanup_free_ char *masked = secret_mask(buf_span(&b));
        assert(strstr(masked, WORD) == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    _cleanup_free_ char *copy = xmemdup0(text.p, text.n);
    if (strlen(copy) != size || memmem(copy, size, WORD, sizeof(WORD) - 1) != NULL) {
        return 0; /* texts have no NUL; and the fuzzer may have found our word */
    }
    _cleanup_free_ char *once = secret_mask(text);
    (void)secret_is_key(text);
    assert(once != NULL);
    try_behind(text);
    _cleanup_free_ char *quoted = xasprintf("%s" WORD "%s", copy, copy);
    secret_blacken(quoted, WORD);
    assert(strlen(quoted) <= 2 * size + sizeof(WORD) && strstr(quoted, WORD) == NULL);
    return 0;
}
