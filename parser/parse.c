#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/xmalloc.h"
#include "parser/parse.h"

/* More is no job definition but an attack on our memory and on the quadratic look for twins. */
enum { MAX_PROPS = 512 };
/* Of a token, in an error text. */
enum { MAX_SHOWN = 64 };

static const char PROPS_ADVICE[] =
    "Write properties as (\"key\" = \"value\", ...), each key and value in quotes.";

struct parse parse_of(struct span whole, struct span statement, struct err *err)
{
    struct parse p = {.lex = lex_of(statement), .whole = whole, .err = err};
    assert(statement.p >= whole.p && statement.p + statement.n <= whole.p + whole.n);
    parse_next(&p);
    return p;
}

void parse_next(struct parse *p)
{
    p->last_end = tok_end(&p->tok);
    p->tok = lex_next(&p->lex);
}

bool parse_is_word(const struct parse *p, const char *word)
{
    return tok_is_word(&p->tok, word);
}

bool parse_is_op(const struct parse *p, const char *op)
{
    return tok_is_op(&p->tok, op);
}

bool parse_take_word(struct parse *p, const char *word)
{
    bool is_it = parse_is_word(p, word);
    if (is_it) {
        parse_next(p);
    }
    return is_it;
}

bool parse_take_op(struct parse *p, const char *op)
{
    bool is_it = parse_is_op(p, op);
    if (is_it) {
        parse_next(p);
    }
    return is_it;
}

/* Errors. */

static struct parse_place place_of(const struct parse *p, size_t at)
{
    struct parse_place place = {.line = 1};
    size_t n = (size_t)(p->lex.text.p - p->whole.p) + at;
    size_t i = 0;
    if (p->n_made > 0 && n >= p->n_made) {
        place = p->made;
        i = p->n_made;
    }
    for (; i < n; i++) {
        unsigned char c = (unsigned char)p->whole.p[i];
        if (c == '\n') {
            place = (struct parse_place){.line = place.line + 1};
        } else if ((c & 0xc0) != 0x80) {
            place.pos++; /* not the tail of a UTF-8 character */
        }
    }
    return place;
}

struct parse parse_made(const struct parse *p, struct span text, size_t head)
{
    struct parse made = parse_of(text, text, p->err);
    made.n_made = head;
    made.made = place_of(p, p->tok.at);
    return made;
}

/* The number of bytes of the UTF-8 character that starts s, or 0 when it is none. */
static size_t utf8_length(struct span s)
{
    unsigned char c = (unsigned char)s.p[0];
    size_t n = c < 0x80 ? 1 : c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
    if (n == 0 || c > 0xf4 || n > s.n) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)s.p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

struct parse_shown parse_show(const struct tok *t)
{
    struct parse_shown shown = {{0}};
    struct span s = t->kind == TOK_END ? SPAN_LIT("<EOF>") : t->text;
    size_t len = 0;
    while (s.n > 0 && len < MAX_SHOWN) {
        size_t n = utf8_length(s);
        bool is_text = n > 0 && (unsigned char)s.p[0] >= 0x20 && s.p[0] != 0x7f;
        n = is_text ? n : 1;
        memcpy(shown.text + len, is_text ? s.p : "?", n);
        len += n;
        s = (struct span){s.p + n, s.n - n};
    }
    if (s.n > 0) {
        memcpy(shown.text + len, "...", 3);
    }
    return shown;
}

bool parse_fail(struct parse *p, const struct tok *at, const char *advice, const char *format, ...)
{
    char message[ERR_MSG_SIZE / 2];
    struct parse_place place = place_of(p, at->at);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args); /* a cut message is still a message */
    va_end(args);
    return err_say(p->err, "errCode = 2, detailMessage = %s(line %zu, pos %zu). %s", message,
                   place.line, place.pos, advice);
}

/* The text breaks off inside a string, quoted name or comment. */
static bool fail_unclosed(struct parse *p)
{
    const struct tok *t = &p->tok;
    if (span_starts_with(t->text, "/*")) {
        return parse_fail(p, t, "Close it with */.", "Unclosed bracketed comment");
    }
    if (span_starts_with(t->text, "`")) {
        return parse_fail(p, t, "Close the name with a back-quote.", "Unclosed quoted identifier");
    }
    return parse_fail(p, t, "Close the string with the quote it began with.",
                      "Unclosed string literal");
}

bool parse_mismatch(struct parse *p, const char *expecting, const char *advice)
{
    if (p->tok.kind == TOK_ERROR) {
        return fail_unclosed(p);
    }
    return parse_fail(p, &p->tok, advice, "mismatched input '%s' expecting %s",
                      parse_show(&p->tok).text, expecting);
}

bool parse_mismatch_hidden(struct parse *p, const char *expecting, const char *advice)
{
    static const char *const NAMES[] = {
        [TOK_WORD] = "a word",  [TOK_QUOTED] = "a quoted name", [TOK_STRING] = "a string",
        [TOK_INT] = "a number", [TOK_NUMBER] = "a number",
    };
    enum tok_kind kind = p->tok.kind;
    if (kind == TOK_END || kind == TOK_OP || kind == TOK_ERROR) {
        return parse_mismatch(p, expecting, advice);
    }
    return parse_fail(p, &p->tok, advice, "mismatched input: %s, expecting %s", NAMES[kind],
                      expecting);
}

/* Expectations. */

/* In ASCII order. The words that carry the grammar; Doris reserves a few more. */
static const char *const RESERVED[] = {
    "ADD",         "ALL",       "ALTER",     "AND",     "ANTI",   "AS",      "ASC",
    "BETWEEN",     "BINARY",    "BY",        "CASE",    "CAST",   "COLLATE", "CREATE",
    "CROSS",       "CUBE",      "DATABASE",  "DEFAULT", "DELETE", "DESC",    "DESCRIBE",
    "DISTINCT",    "DIV",       "DROP",      "ELSE",    "EXCEPT", "EXISTS",  "EXPLAIN",
    "EXPORT",      "EXTRACT",   "FALSE",     "FOR",     "FORCE",  "FROM",    "FULL",
    "GRANT",       "GROUP",     "HAVING",    "IF",      "IN",     "INNER",   "INSERT",
    "INTERSECT",   "INTERVAL",  "INTO",      "IS",      "JOIN",   "KEY",     "KEYS",
    "KILL",        "LATERAL",   "LEFT",      "LIKE",    "LIMIT",  "LOAD",    "MINUS",
    "NATURAL",     "NOT",       "NULL",      "ON",      "OR",     "ORDER",   "OUTER",
    "OVER",        "OVERWRITE", "PARTITION", "RANGE",   "REGEXP", "REVOKE",  "RIGHT",
    "ROW",         "ROWS",      "SELECT",    "SEMI",    "SET",    "SHOW",    "TABLE",
    "TABLESAMPLE", "THEN",      "TO",        "TRUE",    "UNION",  "UNIQUE",  "UPDATE",
    "USE",         "USING",     "VALUES",    "WHEN",    "WHERE",  "WITH",    "XOR",
};

static int compare_word(const void *key, const void *item)
{
    struct span word = *(const struct span *)key;
    struct span reserved = span_of(*(const char *const *)item);
    size_t n = word.n < reserved.n ? word.n : reserved.n;
    int order = strncasecmp(word.p, reserved.p, n);
    return order != 0 ? order : (word.n > reserved.n) - (word.n < reserved.n);
}

bool parse_is_reserved(const struct tok *t)
{
    return t->kind == TOK_WORD && bsearch(&t->text, RESERVED, ARRAY_SIZE(RESERVED),
                                          sizeof(RESERVED[0]), compare_word) != NULL;
}

bool parse_expect_word(struct parse *p, const char *word, const char *advice)
{
    char expecting[MAX_SHOWN];
    if (parse_take_word(p, word)) {
        return true;
    }
    (void)snprintf(expecting, sizeof(expecting), "'%s'", word); /* our own short words */
    return parse_mismatch(p, expecting, advice);
}

bool parse_expect_op(struct parse *p, const char *op, const char *advice)
{
    char expecting[MAX_SHOWN];
    if (parse_take_op(p, op)) {
        return true;
    }
    (void)snprintf(expecting, sizeof(expecting), "'%s'", op); /* our own short operators */
    return parse_mismatch(p, expecting, advice);
}

bool parse_expect_end(struct parse *p, const char *advice)
{
    return p->tok.kind == TOK_END || parse_mismatch(p, "<EOF>", advice);
}

/* The meaning of the token in hand, which is taken. C strings cannot hold a NUL: refused. */
static bool take_text(struct parse *p, const char *what, char **ret)
{
    size_t n = 0;
    _cleanup_free_ char *text = tok_unquote(&p->tok, &n);
    if (memchr(text, '\0', n) != NULL) {
        return parse_fail(p, &p->tok, "Write it without NUL.", "%s contains a NUL byte", what);
    }
    *ret = take_ptr(text);
    parse_next(p);
    return true;
}

bool parse_name(struct parse *p, const char *expecting, const char *advice, char **ret)
{
    struct tok name = p->tok;
    bool is_empty = name.kind == TOK_QUOTED && name.text.n == 2;
    if (!tok_is_name(&name) || parse_is_reserved(&name) || is_empty) {
        return parse_mismatch(p, expecting, advice);
    }
    if (!take_text(p, expecting, ret)) {
        return false;
    }
    if (parse_is_op(p, "-")) {
        return parse_fail(p, &name, "Quote the whole name with back-quotes.",
                          "Possibly unquoted identifier %s-... detected", parse_show(&name).text);
    }
    return true;
}

void parse_path_fini(struct parse_path *path)
{
    for (size_t i = 0; i < path->n; i++) {
        free(path->parts[i]);
    }
    *path = (struct parse_path){0};
}

bool parse_path(struct parse *p, const char *expecting, const char *advice, struct parse_path *ret)
{
    do {
        if (ret->n == PARSE_MAX_PARTS) {
            return parse_mismatch(p, "at most three names joined by '.'", advice);
        }
        ret->parts[ret->n] = NULL;
        ret->n++;
        if (!parse_name(p, expecting, advice, &ret->parts[ret->n - 1])) {
            return false;
        }
    } while (parse_take_op(p, "."));
    return true;
}

bool parse_string(struct parse *p, const char *what, const char *advice, char **ret)
{
    if (p->tok.kind != TOK_STRING) {
        return parse_mismatch(p, "STRING_LITERAL", advice);
    }
    return take_text(p, what, ret);
}

/* Property lists. */

void parse_props_fini(struct stmt_props *props)
{
    for (size_t i = 0; i < props->n; i++) {
        free(props->items[i].key);
        free(props->items[i].value);
    }
    free(props->items);
    *props = (struct stmt_props){0};
}

static bool is_value(const struct tok *t)
{
    return tok_is_name(t) || t->kind == TOK_STRING || t->kind == TOK_INT || t->kind == TOK_NUMBER;
}

static bool parse_value(struct parse *p, size_t base, struct stmt_prop *prop)
{
    size_t at = p->tok.at;
    bool is_negative = parse_take_op(p, "-");
    bool is_number = p->tok.kind == TOK_INT || p->tok.kind == TOK_NUMBER;
    if (is_negative ? !is_number : !is_value(&p->tok)) {
        return parse_mismatch_hidden(p, "a property value", PROPS_ADVICE);
    }
    assert(at >= base);
    prop->value_at = at - base;
    prop->value_end = tok_end(&p->tok) - base;
    if (!take_text(p, "the property value", &prop->value)) {
        return false;
    }
    if (is_negative) {
        char *digits = prop->value;
        prop->value = xasprintf("-%s", digits);
        free(digits);
    }
    return true;
}

static bool parse_pair(struct parse *p, size_t base, struct stmt_prop *prop)
{
    if (!is_value(&p->tok)) {
        return parse_mismatch_hidden(p, "a property key", PROPS_ADVICE);
    }
    if (!take_text(p, "the property key", &prop->key)) {
        return false;
    }
    if (!parse_take_op(p, "=") && !parse_take_op(p, "==")) {
        return parse_mismatch_hidden(p, "'='", PROPS_ADVICE);
    }
    return parse_value(p, base, prop);
}

static bool add_pair(struct parse *p, size_t base, struct stmt_props *props)
{
    struct tok key = p->tok;
    props->items = xrealloc_array(props->items, props->n + 1, sizeof(*props->items));
    struct stmt_prop *prop = &props->items[props->n];
    *prop = (struct stmt_prop){0};
    props->n++; /* from here on parse_props_fini frees it */
    if (!parse_pair(p, base, prop)) {
        return false;
    }
    for (size_t i = 0; i + 1 < props->n; i++) {
        if (span_ieq(span_of(props->items[i].key), span_of(prop->key))) {
            return parse_fail(p, &key, "Give each property once.",
                              "Multiple entries with same key: %s", parse_show(&key).text);
        }
    }
    return props->n <= MAX_PROPS ||
           parse_fail(p, &key, "Give fewer.", "More than %d properties", MAX_PROPS);
}

bool parse_props(struct parse *p, size_t base, struct stmt_props *props)
{
    if (!parse_take_op(p, "(")) {
        return parse_mismatch(p, "'('", PROPS_ADVICE);
    }
    if (parse_take_op(p, ")")) {
        return true;
    }
    do {
        if (!add_pair(p, base, props)) {
            return false;
        }
    } while (parse_take_op(p, ","));
    return parse_take_op(p, ")") || parse_mismatch_hidden(p, "{',', ')'}", PROPS_ADVICE);
}
