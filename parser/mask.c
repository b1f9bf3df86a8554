#include <assert.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "parser/lex.h"
#include "parser/stmt.h"

/*
 * Secrets are found in the bytes and not in the tokens: a log line, an FE's error or the broken half
 * of a statement has no tokens to speak of, and a quote too many must not hide a key from us. So a
 * key counts wherever it stands alone, in a string, a comment or a JSON text, and rather too much is
 * masked than too little.
 */

/* Comments between a key and its value, and letters of a function there. */
enum { MAX_COMMENTS = 32, MAX_FUNCTION = 64 };
/* Before a quote; a text inside a text inside a text has 7. */
enum { MAX_BACKSLASHES = 16 };

static const char MASK[] = "*XXX"; /* as DatasourcePrintableMap of Doris writes it */

/*
 * The names behind the last prefix: s3., gs., oss., cos., obs., minio., azure., glue., fs.oss., dlf.
 * and whatever comes. From Doris's DatasourcePrintableMap (which masks the access key as well), and
 * what Kafka and CDC sources add.
 */
static const char *const SECRETS[] = {
    "password",
    "passwd",
    "pwd",
    "jdbc_password",
    "access_key",
    "access-key",
    "access-key-id",
    "access_key_id",
    "accessKeyId",
    "secret_key",
    "secret-key",
    "secret-access-key",
    "secret_access_key",
    "accessKeySecret",
    "secret_accesskey",
    "bos_secret_accesskey",
    "session_token",
    "session-token",
    "sessionToken",
    "securityToken",
    "security_token",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_TOKEN",
    "account_name",
    "account_key",
    "oauth2_client_secret",
    "client_secret",
    "oauth2.token",
    "oauth2.credential",
    "api_key",
    "kerberos_keytab_content",
    "sas_token",
};

static bool is_key_letter(char c)
{
    return lex_is_letter(c) || c == '-';
}

bool stmt_key_is_secret(struct span key)
{
    for (size_t i = 0; i < ARRAY_SIZE(SECRETS); i++) {
        size_t n = strlen(SECRETS[i]);
        if (key.n < n || (key.n > n && key.p[key.n - n - 1] != '.')) {
            continue;
        }
        if (span_ieq((struct span){key.p + key.n - n, n}, (struct span){SECRETS[i], n})) {
            return true;
        }
    }
    return false;
}

struct mask {
    struct span text;
    struct buf out;
    size_t comment_end; /* cache: the first end of a block comment at or behind comment_from */
    size_t comment_from;
    size_t line_end; /* cache: the same of a line */
    size_t line_from;
    size_t bare_end; /* cache: the same of a value without quotes */
    size_t bare_from;
};

static char byte_at(const struct mask *m, size_t at)
{
    return at < m->text.n ? m->text.p[at] : '\0';
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_quote(char c)
{
    return c == '\'' || c == '"' || c == '`';
}

/*
 * Behind the comment that starts at `at`. Remembered, because a hostile text may open a comment
 * behind every key: looked for anew each time, the end would cost the square of the length.
 */
static size_t comment_end(struct mask *m, size_t at)
{
    if (m->comment_end == 0 || at < m->comment_from || at > m->comment_end) {
        const char *hit = memmem(m->text.p + at, m->text.n - at, "*/", 2);
        m->comment_from = at;
        m->comment_end = hit != NULL ? (size_t)(hit - m->text.p) : m->text.n;
    }
    return m->comment_end + 2 < m->text.n ? m->comment_end + 2 : m->text.n;
}

static size_t line_end(struct mask *m, size_t at)
{
    if (m->line_end == 0 || at < m->line_from || at > m->line_end) {
        const char *hit = memchr(m->text.p + at, '\n', m->text.n - at);
        m->line_from = at;
        m->line_end = hit != NULL ? (size_t)(hit - m->text.p) : m->text.n;
    }
    return m->line_end;
}

/* The bound keeps a text of keys and comments from costing the square of its length. */
static size_t skip_gap(struct mask *m, size_t at)
{
    for (size_t n_comments = 0; n_comments < MAX_COMMENTS; n_comments++) {
        while (at < m->text.n && is_blank(m->text.p[at])) {
            at++;
        }
        char c = byte_at(m, at);
        char next = byte_at(m, at + 1);
        if (c == '/' && next == '*') {
            at = comment_end(m, at + 2);
        } else if (c == '#' || (c == '-' && next == '-')) {
            at = line_end(m, at);
        } else {
            break;
        }
    }
    return at;
}

/*
 * Behind the name when it stands at `at`, 0 when it does not. A backslash inside the name means
 * nothing to Doris, so it means nothing here.
 */
static size_t match_name(const struct mask *m, size_t at, const char *name)
{
    for (; *name != '\0'; name++) {
        at += byte_at(m, at) == '\\';
        char c = byte_at(m, at);
        char lower = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        char wanted = *name >= 'A' && *name <= 'Z' ? (char)(*name | 0x20) : *name;
        if (lower != wanted) {
            return 0;
        }
        at++;
    }
    return is_key_letter(byte_at(m, at)) ? 0 : at;
}

static size_t match_secret(const struct mask *m, size_t at)
{
    /* The first letters of SECRETS: nearly every word is passed over here. */
    static const char FIRST[] = "abcjkopsABCJKOPS";
    char first = byte_at(m, at + (byte_at(m, at) == '\\'));
    if (memchr(FIRST, first, sizeof(FIRST) - 1) == NULL) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(SECRETS); i++) {
        size_t end = match_name(m, at, SECRETS[i]);
        if (end > 0) {
            return end;
        }
    }
    return 0;
}

/* Values. */

/* Backslashes at `at`; a quote behind an odd number of them is one inside a string. */
static size_t count_backslashes(const struct mask *m, size_t at)
{
    size_t n = 0;
    while (byte_at(m, at + n) == '\\') {
        n++;
    }
    return n;
}

/* `at` is behind a plain opening quote; the result is the closing one, or the end of the text. */
static size_t quoted_end(const struct mask *m, size_t at, char quote)
{
    while (at < m->text.n) {
        char c = m->text.p[at];
        if (c == '\\' && quote != '`') {
            at++;
        } else if (c == quote) {
            if (byte_at(m, at + 1) != quote) {
                return at;
            }
            at++;
        }
        at++;
    }
    return m->text.n;
}

/* The same for a quote with backslashes before it: ends where as many stand before a quote. */
static size_t escaped_end(const struct mask *m, size_t at, char quote, size_t n_backslashes)
{
    if (n_backslashes > MAX_BACKSLASHES) {
        return m->text.n; /* no text of ours: nothing of the rest is shown */
    }
    while (at < m->text.n) {
        size_t n = count_backslashes(m, at);
        if (n > 0 && n <= n_backslashes && byte_at(m, at + n) == quote) {
            return at;
        }
        at += n > 0 ? n : 1;
        at += n > 0 && byte_at(m, at) == quote;
    }
    return m->text.n;
}

/* A function's name with its parenthesis: PASSWORD('x') hides its secret on its own. */
static bool is_call(const struct mask *m, size_t at)
{
    size_t end = at;
    while (end - at < MAX_FUNCTION && lex_is_letter(byte_at(m, end))) {
        end++;
    }
    return byte_at(m, end) == '(';
}

static bool is_bare(char c)
{
    return c == '\0' || (!is_blank(c) && !is_quote(c) && strchr(",;()&\\{}[]", c) == NULL);
}

static size_t bare_end(struct mask *m, size_t at)
{
    if (m->bare_end == 0 || at < m->bare_from || at > m->bare_end) {
        size_t end = at;
        while (end < m->text.n && is_bare(m->text.p[end])) {
            end++;
        }
        m->bare_from = at;
        m->bare_end = end;
    }
    return m->bare_end;
}

/*
 * The value at `at`: [*ret_from, *ret_end) is what must not be seen, without its quotes. False when
 * there is no literal, as in PASSWORD('x'), where the parenthesis is the next to be looked at.
 */
static bool find_value(struct mask *m, size_t at, size_t *ret_from, size_t *ret_end)
{
    size_t n = count_backslashes(m, at);
    bool is_raw = (byte_at(m, at) | 0x20) == 'r' && is_quote(byte_at(m, at + 1));
    at += is_raw;
    char quote = byte_at(m, at + n);
    if (is_quote(quote)) {
        *ret_from = at + n + 1;
        *ret_end = n > 0 ? escaped_end(m, *ret_from, quote, n) : quoted_end(m, *ret_from, quote);
        if (is_raw) {
            const char *hit = memchr(m->text.p + *ret_from, quote, m->text.n - *ret_from);
            *ret_end = hit != NULL ? (size_t)(hit - m->text.p) : m->text.n;
        }
        return true;
    }
    *ret_from = at;
    *ret_end = is_call(m, at) ? at : bare_end(m, at);
    return *ret_end > at;
}

/*
 * Behind a key that ends at `at`: where its value starts, or 0 when it has none. Between them stand
 * the key's own quote, blanks and comments, and one of = == : or an opening parenthesis with a quote.
 */
static size_t find_value_start(struct mask *m, size_t at)
{
    size_t key_end = at + count_backslashes(m, at);
    if (is_quote(byte_at(m, key_end))) {
        at = key_end + 1;
    }
    at = skip_gap(m, at);
    char c = byte_at(m, at);
    if (c == '=' || c == ':') {
        at += c == '=' && byte_at(m, at + 1) == '=' ? 2 : 1;
        return skip_gap(m, at);
    }
    if (c == '(') {
        at = skip_gap(m, at + 1);
        return is_quote(byte_at(m, at)) ? at : 0;
    }
    return 0;
}

/* The secret whose key starts at `at`: what find_value() says of it. */
static bool find_secret(struct mask *m, size_t at, size_t *ret_from, size_t *ret_end)
{
    bool is_start = at == 0 || !is_key_letter(m->text.p[at - 1]);
    size_t key_end = is_start ? match_secret(m, at) : 0;
    size_t value = key_end > 0 ? find_value_start(m, key_end) : 0;
    return value > 0 && find_value(m, value, ret_from, ret_end);
}

/*
 * Where quotes are missing, a value seems to end where the next one begins: password='a, secret_key='b'.
 * And a comment before a value may hold a secret. So a key between `at` and the value's end takes
 * its own value along: [*from, *end) grows to hold it.
 */
static void cover_inner(struct mask *m, size_t at, size_t *from, size_t *end)
{
    size_t inner_from = 0;
    size_t inner_end = 0;
    while (at < *end && *end < m->text.n) {
        if (find_secret(m, at, &inner_from, &inner_end)) {
            *from = inner_from < *from ? inner_from : *from;
            *end = inner_end > *end ? inner_end : *end;
        }
        at++;
    }
}

char *stmt_mask_secrets(struct span text)
{
    /* At worst a value of one byte becomes four. */
    struct mask m = {.text = text, .out = buf_with_max(text.n * 4 + sizeof(MASK))};
    size_t from = 0;
    size_t end = 0;
    for (size_t at = 0; at < text.n;) {
        if (find_secret(&m, at, &from, &end)) {
            cover_inner(&m, at + 1, &from, &end);
            assert(at < from && from <= end && end <= text.n);
            buf_append(&m.out, text.p + at, from - at);
            buf_append_text(&m.out, MASK);
            at = end;
        } else {
            buf_append_char(&m.out, text.p[at]);
            at++;
        }
    }
    assert(buf_ok(&m.out));
    return buf_take_text(&m.out);
}
