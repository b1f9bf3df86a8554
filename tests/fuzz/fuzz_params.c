/*
 * A text with placeholders: byte 0 is the length of a value, then the value, then the text. The two
 * ways to find a '?' agree; a quoted value is one token that reads back as its bytes, wherever it is
 * put; UTF-8 is told from other bytes at the same place as by counting.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/xmalloc.h"
#include "parser/lex.h"
#include "parser/params.h"
#include "parser/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_tokens(struct span text, const char *op)
{
    struct lex lex = lex_of(text);
    size_t n = 0;
    for (struct tok t = lex_next(&lex); t.kind != TOK_END && t.kind != TOK_ERROR;
         t = lex_next(&lex)) {
        n += tok_is_op(&t, op);
    }
    return n;
}

static void check_quote(struct span value)
{
    _cleanup_buf_ struct buf out = buf_with_max(2 * value.n + 2);
    params_quote(value, &out);
    assert(buf_ok(&out));
    struct lex lex = lex_of(buf_span(&out));
    struct tok t = lex_next(&lex);
    size_t n = 0;
    assert(t.kind == TOK_STRING && t.text.n == out.len);
    _cleanup_free_ char *back = tok_unquote(&t, &n);
    /* LIKE wants to see the backslash before % and _; it was two when it was quoted. */
    assert(n == value.n && memcmp(back, value.p, n) == 0);
}

/* Every '?' becomes the value: no '?' is left, and all other tokens are what they were. */
static void check_put(struct span text, struct span value)
{
    size_t n = params_count(text);
    _cleanup_buf_ struct buf literal = buf_with_max(2 * value.n + 2);
    _cleanup_buf_ struct buf out = buf_with_max(text.n + n * (2 * value.n + 6));
    params_quote(value, &literal);
    size_t from = 0;
    for (size_t at = params_next(text, 0); at < text.n; at = params_next(text, at + 1)) {
        params_put(text, from, at, buf_span(&literal), &out);
        from = at + 1;
    }
    buf_append(&out, text.p + from, text.n - from);
    assert(buf_ok(&out));
    assert(params_count(buf_span(&out)) == 0);
    assert(count_tokens(buf_span(&out), ";") == count_tokens(text, ";"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t n = data[0] < size - 1 ? data[0] : size - 1;
    struct span value = {(const char *)data + 1, n};
    struct span text = {(const char *)data + 1 + n, size - 1 - n};
    assert(count_tokens(text, "?") == params_count(text));
    check_quote(value);
    check_put(text, value);
    _cleanup_buf_ struct buf sample = buf_with_max(12 * text.n + 16);
    params_sample(text, &sample);
    assert(buf_ok(&sample));
    size_t valid = utf8_valid(text);
    assert(valid <= text.n && utf8_valid((struct span){text.p, valid}) == valid);
    return 0;
}
