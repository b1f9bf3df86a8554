#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/xmalloc.h"

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
enum { MAX_TAIL = 96 };      /* letters behind a NAME_TAIL */
enum { MAX_USERINFO = 512 }; /* of a URL */
enum { MOST_LOOKS = 64 };    /* at each byte, on the average */
enum { SHORTEST_SECRET = 4 };

enum name_kind {
    NAME_PLAIN, /* counts wherever the word stands */
    NAME_WEAK,  /* an ordinary word: only behind a prefix, a quote or a URL's ? and & */
    NAME_TAIL,  /* more words may follow */
};

/*
 * Small letters, without what joins the words. What Doris's DatasourcePrintableMap holds in any
 * version (it masks access keys as well), Hadoop's and Kafka's names, and those of signed URLs.
 */
static const struct {
    const char *name;
    enum name_kind kind;
} NAMES[] = {
    {"password", NAME_PLAIN},
    {"passwd", NAME_PLAIN},
    {"passphrase", NAME_PLAIN},
    {"pwd", NAME_PLAIN},
    {"accesskey", NAME_PLAIN},
    {"accesskeyid", NAME_PLAIN},
    {"accesskeysecret", NAME_PLAIN},
    {"accesssecret", NAME_PLAIN},
    {"accountkey", NAME_TAIL},
    {"accountname", NAME_PLAIN},
    {"apikey", NAME_PLAIN},
    {"clientsecret", NAME_TAIL},
    {"encryptionkey", NAME_PLAIN},
    {"jaasconfig", NAME_PLAIN},
    {"keytabcontent", NAME_PLAIN},
    {"keystorekey", NAME_PLAIN},
    {"keypem", NAME_PLAIN},
    {"oauthbearerconfig", NAME_PLAIN},
    {"oauth2token", NAME_PLAIN},
    {"oauth2credential", NAME_PLAIN},
    {"privatekey", NAME_PLAIN},
    {"secretaccesskey", NAME_PLAIN},
    {"secretkey", NAME_PLAIN},
    {"securitytoken", NAME_PLAIN},
    {"sessiontoken", NAME_PLAIN},
    {"accesstoken", NAME_PLAIN},
    {"authtoken", NAME_PLAIN},
    {"bearertoken", NAME_PLAIN},
    {"refreshtoken", NAME_PLAIN},
    {"sastoken", NAME_PLAIN},
    {"sharedaccesssignature", NAME_PLAIN},
    {"xamzcredential", NAME_PLAIN},
    {"xamzsignature", NAME_PLAIN},
    {"credential", NAME_WEAK},
    {"secret", NAME_WEAK},
    {"sig", NAME_WEAK},
    {"signature", NAME_WEAK},
    {"token", NAME_WEAK},
};

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_joint(char c)
{
    return c == '.' || c == '_' || c == '-';
}

/* What a word of SQL or a property's name goes on with. */
static bool is_key_letter(char c)
{
    return is_alnum(c) || c == '_' || c == '-' || c == '$' || (unsigned char)c >= 0x80;
}

static bool is_quote(char c)
{
    return c == '\'' || c == '"' || c == '`';
}

static char char_at(struct span s, size_t at)
{
    return at < s.n ? s.p[at] : '\0';
}

static char small(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* The byte that stands as %XX at `at` when it is one of `which`: a URL within a URL. '\0': none. */
static char encoded_at(struct span s, size_t at, const char *which)
{
    if (char_at(s, at) != '%' || !is_hex(char_at(s, at + 1)) || !is_hex(char_at(s, at + 2))) {
        return '\0';
    }
    for (const char *c = which; *c != '\0'; c++) {
        static const char digits[] = "0123456789abcdef";
        if (small(s.p[at + 1]) == digits[*c >> 4] && small(s.p[at + 2]) == digits[*c & 15]) {
            return *c;
        }
    }
    return '\0';
}

/* May a name begin at `at`: not in the middle of a word, unless as in mySecretKey. */
static bool is_start(struct span s, size_t at)
{
    char before = at > 0 ? s.p[at - 1] : '.';
    char c = char_at(s, at);
    if (c >= 'A' && c <= 'Z' && before >= 'a' && before <= 'z') {
        return true;
    }
    if (at >= 3 && encoded_at(s, at - 3, " \"'`?&{,") != '\0') {
        return true;
    }
    return !is_alnum(before) && before != '$' && (unsigned char)before < 0x80;
}

/*
 * Behind the letters of the name when they stand at `at`, 0 when they do not. A backslash inside the
 * name means nothing to Doris, so it means nothing here.
 */
static size_t match_letters(struct span s, size_t at, const char *name)
{
    for (const char *wanted = name; *wanted != '\0'; wanted++) {
        at += wanted > name && is_joint(char_at(s, at));
        at += char_at(s, at) == '\\';
        if (small(char_at(s, at)) != *wanted) {
            return 0;
        }
        at++;
    }
    return at;
}

static size_t skip_tail(struct span s, size_t at)
{
    size_t end = at;
    while (end - at < MAX_TAIL && (is_key_letter(char_at(s, end)) || char_at(s, end) == '.')) {
        end++;
    }
    return end;
}

/* What a weak name needs before it. */
static bool is_marked(struct span s, size_t at)
{
    char before = at > 0 ? s.p[at - 1] : '\0';
    return is_joint(before) || is_quote(before) || is_alnum(before) || before == '?' ||
           before == '&';
}

/* The first letters of NAMES, and what else a secret may begin with: the rest is passed over. */
static const bool begins[256] = {
    ['a'] = true, ['b'] = true,  ['c'] = true, ['e'] = true, ['j'] = true, ['k'] = true,
    ['o'] = true, ['p'] = true,  ['r'] = true, ['s'] = true, ['t'] = true, ['x'] = true,
    ['A'] = true, ['B'] = true,  ['C'] = true, ['E'] = true, ['J'] = true, ['K'] = true,
    ['O'] = true, ['P'] = true,  ['R'] = true, ['S'] = true, ['T'] = true, ['X'] = true,
    [':'] = true, ['\\'] = true,
};

/* Behind the name of a secret that begins at `at` and ends with its word; 0 when there is none. */
static size_t match_secret(struct span s, size_t at)
{
    char first = small(char_at(s, at + (char_at(s, at) == '\\')));
    if (!begins[(unsigned char)char_at(s, at)] || !is_alnum(first) || !is_start(s, at)) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++) {
        if (NAMES[i].name[0] != first) {
            continue;
        }
        size_t end = match_letters(s, at, NAMES[i].name);
        if (end > 0 && NAMES[i].kind == NAME_TAIL) {
            end = skip_tail(s, end);
        }
        if (end > 0 && !is_key_letter(char_at(s, end)) &&
            (NAMES[i].kind != NAME_WEAK || is_marked(s, at))) {
            return end;
        }
    }
    return 0;
}

bool secret_is_key(struct span key)
{
    /* Alone in quotes, as it were: weak names count. */
    key = span_trim(key);
    _cleanup_free_ char *quoted = xasprintf("'%.*s'", SPAN_ARG(key));
    struct span s = {quoted, key.n + 2};
    for (size_t at = 1; at < s.n - 1; at++) {
        if (match_secret(s, at) == s.n - 1) {
            return true;
        }
    }
    return false;
}

/* --- masking ------------------------------------------------------------------------------------ */

struct mask {
    struct span text;
    struct buf out;
    size_t comment_end; /* cache: the first end of a block comment at or behind comment_from */
    size_t comment_from;
    size_t line_end; /* cache: the same of a line */
    size_t line_from;
    bool is_odd; /* a gap has a comment that hardly anybody writes: where it ends is left open */
    size_t bare_end; /* cache: the same of a value without quotes */
    size_t bare_from;
    size_t n_seen; /* bytes looked at to find ends */
};

static char byte_at(const struct mask *m, size_t at)
{
    return char_at(m->text, at);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * What is written to be read looks at each byte a few times. A text that is made to cost the square
 * of its length has no ends that we would look for: the rest of it is not shown.
 */
static void count_seen(struct mask *m, size_t n)
{
    m->n_seen += n;
    m->is_odd = m->is_odd || m->n_seen / MOST_LOOKS > m->text.n + MAX_TAIL;
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
        count_seen(m, m->comment_end - at);
    }
    return m->comment_end + 2 < m->text.n ? m->comment_end + 2 : m->text.n;
}

/* The same of a comment that ends with its line: at a \r, a \n or the text's end. */
static size_t line_end(struct mask *m, size_t at)
{
    if (m->line_end == 0 || at < m->line_from || at > m->line_end) {
        size_t end = at;
        while (end < m->text.n && m->text.p[end] != '\n' && m->text.p[end] != '\r') {
            end++;
        }
        m->line_from = at;
        m->line_end = end;
        count_seen(m, end - at);
    }
    return m->line_end;
}

static bool has_text(const struct mask *m, size_t from, size_t end, const char *text)
{
    return end > from && memmem(m->text.p + from, end - from, text, strlen(text)) != NULL;
}

/* Behind the comment at `at`; a comment in a comment, or a line that a backslash continues, is odd. */
static size_t skip_comment(struct mask *m, size_t at)
{
    if (byte_at(m, at) == '/') {
        size_t end = comment_end(m, at + 2);
        m->is_odd = m->is_odd || has_text(m, at + 2, end, "/*");
        return end;
    }
    size_t end = line_end(m, at);
    m->is_odd = m->is_odd || (byte_at(m, end) != '\r' && m->text.p[end - 1] == '\\');
    return end;
}

/* The bound keeps a text of keys and comments from costing the square of its length. */
static size_t skip_gap(struct mask *m, size_t at)
{
    for (size_t n_comments = 0;; n_comments++) {
        while (at < m->text.n && is_blank(m->text.p[at])) {
            at++;
        }
        char c = byte_at(m, at);
        char next = byte_at(m, at + 1);
        bool is_block = c == '/' && next == '*';
        bool is_line = (c == '#' && at < m->text.n) || (c == '-' && next == '-');
        m->is_odd = m->is_odd || ((is_block || is_line) && n_comments == MAX_COMMENTS);
        if ((!is_block && !is_line) || m->is_odd) {
            return at;
        }
        at = skip_comment(m, at);
    }
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
    while (end - at < MAX_FUNCTION && is_key_letter(byte_at(m, end)) && byte_at(m, end) != '-') {
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
        count_seen(m, end - at);
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
        count_seen(m, *ret_end - *ret_from);
        return true;
    }
    *ret_from = at;
    *ret_end = is_call(m, at) ? at : bare_end(m, at);
    /* "Access denied … (using password: YES)" */
    struct span bare = {m->text.p + at, *ret_end - at};
    return bare.n > 0 && !span_eq_text(bare, "YES") && !span_eq_text(bare, "NO");
}

/*
 * Behind a key that ends at `at`: where its value starts, or 0 when it has none. Between them stand
 * the key's own quote, blanks and comments, and one of = == => : := or an opening parenthesis with a
 * quote. In a URL within a URL they are encoded.
 */
static size_t find_value_start(struct mask *m, size_t at)
{
    size_t key_end = at;
    while (is_blank(byte_at(m, key_end))) { /* "secret_key " is one, too */
        key_end++;
    }
    key_end += count_backslashes(m, key_end);
    if (is_quote(byte_at(m, key_end))) {
        at = key_end + 1;
    }
    at += encoded_at(m->text, at, "\"'`") != '\0' ? 3 : 0;
    if (encoded_at(m->text, at, "=:") != '\0') {
        return at + 3;
    }
    at = skip_gap(m, at);
    char c = byte_at(m, at);
    char next = byte_at(m, at + 1);
    if (c == '=' || c == ':') {
        at += next == '=' || (c == '=' && next == '>') ? 2 : 1;
        return skip_gap(m, at);
    }
    if (c == '(') {
        at = skip_gap(m, at + 1);
        return is_quote(byte_at(m, at)) ? at : 0;
    }
    return 0;
}

/* The password of a URL, scheme://user:password@host, whose "://" stands at `at`. */
static bool find_userinfo(const struct mask *m, size_t at, size_t *ret_from, size_t *ret_end)
{
    size_t from = 0;
    if (byte_at(m, at) != ':' || byte_at(m, at + 1) != '/' || byte_at(m, at + 2) != '/') {
        return false;
    }
    for (size_t end = at + 3; end < m->text.n && end - at < MAX_USERINFO; end++) {
        char c = m->text.p[end];
        if (c == '@' && from > 0 && end > from) {
            *ret_from = from;
            *ret_end = end;
            return true;
        }
        if (c == '/' || c == '?' || c == '#' || is_blank(c) || is_quote(c)) {
            return false;
        }
        from = c == ':' && from == 0 ? end + 1 : from;
    }
    return false;
}

/* The secret whose key starts at `at`: what find_value() says of it. */
static bool find_secret(struct mask *m, size_t at, size_t *ret_from, size_t *ret_end)
{
    size_t key_end = match_secret(m->text, at);
    m->is_odd = false;
    size_t value = key_end > 0 ? find_value_start(m, key_end) : 0;
    bool is_found = value > 0 && !m->is_odd && find_value(m, value, ret_from, ret_end);
    if (m->is_odd) {
        *ret_from = key_end; /* the value is somewhere there */
        *ret_end = m->text.n;
        return true;
    }
    return is_found || (value == 0 && find_userinfo(m, at, ret_from, ret_end));
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

char *secret_mask(struct span text)
{
    /* At worst a value of one byte becomes four. */
    struct mask m = {.text = text, .out = buf_with_max(text.n * 4 + sizeof(SECRET_MASK))};
    size_t from = 0;
    size_t end = 0;
    for (size_t at = 0; at < text.n;) {
        size_t plain = at;
        while (plain < text.n && !begins[(unsigned char)text.p[plain]]) {
            plain++;
        }
        if (plain > at) {
            buf_append(&m.out, text.p + at, plain - at);
            at = plain;
        } else if (find_secret(&m, at, &from, &end)) {
            cover_inner(&m, at + 1, &from, &end);
            assert(at < from && from <= end && end <= text.n);
            buf_append(&m.out, text.p + at, from - at);
            buf_append_text(&m.out, SECRET_MASK);
            at = end;
        } else {
            buf_append_char(&m.out, text.p[at]);
            at++;
        }
    }
    assert(buf_ok(&m.out));
    return buf_take_text(&m.out);
}

/* --- secrets that are known ------------------------------------------------------------------- */

/* A text that was cut may end with the beginning of a secret. */
static void blacken_tail(char *text, const char *secret)
{
    size_t len = strlen(text);
    for (size_t n = strlen(secret); n >= SHORTEST_SECRET; n--) {
        if (n <= len && memcmp(text + len - n, secret, n) == 0) {
            memcpy(text + len - n, SECRET_MASK, sizeof(SECRET_MASK));
            return;
        }
    }
}

static void blacken_form(char *text, const char *secret)
{
    size_t n = strlen(secret);
    char *hit = strstr(text, secret);
    while (hit != NULL) {
        memcpy(hit, SECRET_MASK, SHORTEST_SECRET);
        memmove(hit + SHORTEST_SECRET, hit + n, strlen(hit + n) + 1);
        hit = strstr(hit + SHORTEST_SECRET, secret);
    }
    blacken_tail(text, secret);
}

/* With `before` put before each character of `which`. */
static char *escaped(const char *secret, const char *which, char before)
{
    struct buf b = buf_with_max(strlen(secret) * 2 + 1);
    for (const char *c = secret; *c != '\0'; c++) {
        if (strchr(which, *c) != NULL) {
            buf_append_char(&b, before != '\0' ? before : *c);
        }
        buf_append_char(&b, *c);
    }
    return buf_take_text(&b);
}

void secret_blacken(char *text, const char *secret)
{
    static_assert(sizeof(SECRET_MASK) == SHORTEST_SECRET + 1, "the text must not get longer");
    if (strlen(secret) < SHORTEST_SECRET) {
        return;
    }
    _cleanup_free_ char *doubled_single = escaped(secret, "'", '\0');
    _cleanup_free_ char *doubled_double = escaped(secret, "\"", '\0');
    _cleanup_free_ char *backslashed = escaped(secret, "'\"\\", '\\');
    blacken_form(text, secret);
    blacken_form(text, doubled_single);
    blacken_form(text, doubled_double);
    blacken_form(text, backslashed);
}
