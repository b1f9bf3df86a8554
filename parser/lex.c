#include <assert.h>

#include "base/buf.h"
#include "parser/lex.h"

enum { C_OTHER, C_BLANK, C_LETTER, C_DIGIT };

static const unsigned char CLASS[256] = {
    [' '] = C_BLANK,         ['\t'] = C_BLANK,           ['\r'] = C_BLANK,         ['\n'] = C_BLANK,
    ['0' ... '9'] = C_DIGIT, ['A' ... 'Z'] = C_LETTER,   ['a' ... 'z'] = C_LETTER, ['_'] = C_LETTER,
    ['$'] = C_LETTER,        [0x80 ... 0xff] = C_LETTER,
};

static int class_of(char c)
{
    return CLASS[(unsigned char)c];
}

bool lex_is_letter(char c)
{
    return class_of(c) >= C_LETTER;
}

bool lex_is_blank(char c)
{
    return class_of(c) == C_BLANK;
}

/* The byte at `at`, NUL behind the end: no token contains a NUL that matters. */
static char byte_at(struct span s, size_t at)
{
    return at < s.n ? s.p[at] : '\0';
}

static size_t find(struct span s, size_t at, char c)
{
    const char *hit = at < s.n ? memchr(s.p + at, c, s.n - at) : NULL;
    return hit != NULL ? (size_t)(hit - s.p) : s.n;
}

static size_t skip_class(struct span s, size_t at, int class)
{
    while (at < s.n && class_of(s.p[at]) == class) {
        at++;
    }
    return at;
}

static size_t skip_letters(struct span s, size_t at)
{
    while (at < s.n && class_of(s.p[at]) >= C_LETTER) {
        at++;
    }
    return at;
}

/* Comments. Each returns the offset behind it. */

/* A CR ends it, too; a backslash before a LF alone continues it. */
static size_t skip_line_comment(struct span s, size_t at)
{
    for (;;) {
        size_t line_end = find(s, at, '\n');
        size_t cr = find((struct span){s.p, line_end}, at, '\r');
        if (cr < line_end || line_end == s.n || s.p[line_end - 1] != '\\') {
            return cr;
        }
        at = line_end + 1;
    }
}

/* `at` is the slash of the opening. n + 1 when the comment never ends. */
static size_t skip_block_comment(struct span s, size_t at)
{
    size_t depth = 0;
    while (at < s.n) {
        if (byte_at(s, at) == '/' && byte_at(s, at + 1) == '*') {
            depth++;
            at += 2;
        } else if (byte_at(s, at) == '*' && byte_at(s, at + 1) == '/') {
            at += 2;
            if (--depth == 0) {
                return at;
            }
        } else {
            at++;
        }
        while (at < s.n && s.p[at] != '*' && s.p[at] != '/') {
            at++;
        }
    }
    return s.n + 1;
}

/* Blanks and comments. n + 1 when a comment never ends; *ret_open is where that one began. */
static size_t skip_gap(struct span s, size_t at, size_t *ret_open)
{
    for (;;) {
        at = skip_class(s, at, C_BLANK);
        char c = byte_at(s, at);
        char next = byte_at(s, at + 1);
        if ((c == '-' && next == '-') || (c == '#' && at < s.n)) {
            at = skip_line_comment(s, at + 1);
        } else if (c == '/' && next == '*') {
            *ret_open = at;
            at = skip_block_comment(s, at);
        } else {
            return at;
        }
        if (at > s.n) {
            return at;
        }
    }
}

/* Literals. Each takes the offset of the first byte and returns the offset behind the last. */

enum { SHORT_STRING = 16 };

/* `at` is behind the opening quote. n + 1 when the closing one is missing. */
static size_t scan_string(struct span s, size_t at, char quote)
{
    /* Most strings are short: memchr() pays from some twenty bytes on. */
    for (size_t i = 0; i < SHORT_STRING && at < s.n && s.p[at] != '\\'; i++, at++) {
        if (s.p[at] == quote) {
            if (byte_at(s, at + 1) != quote) {
                return at + 1;
            }
            break;
        }
    }
    while (at < s.n) {
        size_t end = find(s, at, quote);
        struct span inside = {s.p, end};
        for (size_t b = find(inside, at, '\\'); b < end; b = find(inside, at, '\\')) {
            at = b + 2;
        }
        if (at > end) {
            continue; /* that quote was escaped */
        }
        if (end == s.n) {
            break;
        }
        if (byte_at(s, end + 1) != quote) {
            return end + 1;
        }
        at = end + 2;
    }
    return s.n + 1;
}

/* The same for R'...' and `...`: no backslash escapes; only the latter knows doubled quotes. */
static size_t scan_raw(struct span s, size_t at, char quote)
{
    size_t end = find(s, at, quote);
    while (quote == '`' && byte_at(s, end + 1) == quote) {
        end = find(s, end + 2, quote);
    }
    return end < s.n ? end + 1 : s.n + 1;
}

/* Behind the exponent that starts at `at`, or `at` when there is none. */
static size_t scan_exponent(struct span s, size_t at)
{
    if (byte_at(s, at) != 'e' && byte_at(s, at) != 'E') {
        return at;
    }
    size_t digits = at + 1;
    if (byte_at(s, digits) == '+' || byte_at(s, digits) == '-') {
        digits++;
    }
    size_t end = skip_class(s, digits, C_DIGIT);
    return end > digits ? end : at;
}

/* Behind 1., 1.5, .5 or 1.5e3, or `at` when that is no decimal number by Doris's rules. */
static size_t scan_decimal(struct span s, size_t at)
{
    size_t point = skip_class(s, at, C_DIGIT);
    size_t end = byte_at(s, point) == '.' ? skip_class(s, point + 1, C_DIGIT) : at;
    if (end == at || end - at == 1) {
        return at; /* no point, or a point alone */
    }
    end = scan_exponent(s, end);
    return lex_is_letter(byte_at(s, end)) ? at : end;
}

/* The length of L, S, Y or BD at `at`, the type letters Doris allows behind a number. */
static size_t type_letters(struct span s, size_t at)
{
    char c = (char)(byte_at(s, at) | 0x20);
    if (c == 'l' || c == 's' || c == 'y') {
        return 1;
    }
    return c == 'b' && (byte_at(s, at + 1) | 0x20) == 'd' ? 2 : 0;
}

/* A token that begins with a digit: number, or a word when letters follow. */
static size_t scan_digits(struct span s, size_t at, enum tok_kind *ret_kind)
{
    size_t digits_end = skip_class(s, at, C_DIGIT);
    size_t word_end = skip_letters(s, digits_end);
    size_t end = scan_decimal(s, at);
    *ret_kind = TOK_NUMBER;
    if (end > at) {
        return end;
    }
    end = scan_exponent(s, digits_end);
    end += type_letters(s, end);
    if (end > digits_end && end >= word_end && !lex_is_letter(byte_at(s, end))) {
        return end;
    }
    *ret_kind = word_end > digits_end ? TOK_WORD : TOK_INT;
    return word_end;
}

static const char OPERATORS[][4] = {"<=>", "...", "<=", ">=", "<>", "!=", "!<",
                                    "!>",  "==",  "&&", "||", "->", "@@", ":="};

static size_t scan_operator(struct span s, size_t at)
{
    static const char FIRST[] = "<>!=&|-@:.";
    /* Most operators are a comma or a parenthesis. */
    if (memchr(FIRST, s.p[at], sizeof(FIRST) - 1) == NULL) {
        return at + 1;
    }
    for (size_t i = 0; i < sizeof(OPERATORS) / sizeof(OPERATORS[0]); i++) {
        size_t n = strlen(OPERATORS[i]);
        if (n <= s.n - at && memcmp(s.p + at, OPERATORS[i], n) == 0) {
            return at + n;
        }
    }
    return at + 1;
}

static size_t scan_token(struct span s, size_t at, enum tok_kind *ret_kind)
{
    char c = s.p[at];
    char next = byte_at(s, at + 1);
    size_t end = at;
    switch (class_of(c)) {
    case C_LETTER:
        if ((c == 'r' || c == 'R') && (next == '\'' || next == '"')) {
            *ret_kind = TOK_STRING;
            return scan_raw(s, at + 2, next);
        }
        *ret_kind = TOK_WORD;
        return skip_letters(s, at);
    case C_DIGIT: return scan_digits(s, at, ret_kind);
    default: break;
    }
    if (c == '\'' || c == '"') {
        *ret_kind = TOK_STRING;
        return scan_string(s, at + 1, c);
    }
    if (c == '`') {
        *ret_kind = TOK_QUOTED;
        return scan_raw(s, at + 1, c);
    }
    if (c == '.' && (end = scan_decimal(s, at)) > at) {
        *ret_kind = TOK_NUMBER;
        return end;
    }
    *ret_kind = TOK_OP;
    return scan_operator(s, at);
}

static struct tok make_tok(struct span s, enum tok_kind kind, size_t at, size_t end)
{
    return (struct tok){.kind = kind, .at = at, .text = {s.n > 0 ? s.p + at : "", end - at}};
}

struct tok lex_next(struct lex *lex)
{
    struct span s = lex->text;
    enum tok_kind kind = TOK_END;
    size_t open = lex->at;
    size_t at = skip_gap(s, lex->at, &open);
    if (at > s.n) {
        lex->at = open; /* the error stays where it is */
        return make_tok(s, TOK_ERROR, open, s.n);
    }
    if (at == s.n) {
        lex->at = s.n;
        return make_tok(s, TOK_END, s.n, s.n);
    }
    size_t end = scan_token(s, at, &kind);
    if (end > s.n) {
        lex->at = at;
        return make_tok(s, TOK_ERROR, at, s.n);
    }
    assert(end > at);
    lex->at = end;
    return make_tok(s, kind, at, end);
}

struct tok lex_peek(const struct lex *lex)
{
    struct lex ahead = *lex;
    return lex_next(&ahead);
}

/* Bytes that may begin something the skimmer must jump over. */
static const bool OPENS[256] = {
    ['\''] = true, ['"'] = true, ['`'] = true, ['-'] = true, ['/'] = true, ['#'] = true,
};

static size_t jump(struct span s, size_t at)
{
    char c = s.p[at];
    char next = byte_at(s, at + 1);
    if (c == '`') {
        return scan_raw(s, at + 1, c);
    }
    if (c == '\'' || c == '"') {
        bool is_raw =
            at > 0 && (s.p[at - 1] | 0x20) == 'r' && (at == 1 || !lex_is_letter(s.p[at - 2]));
        return is_raw ? scan_raw(s, at + 1, c) : scan_string(s, at + 1, c);
    }
    if (c == '#' || (c == '-' && next == '-')) {
        return skip_line_comment(s, at + 1);
    }
    return c == '/' && next == '*' ? skip_block_comment(s, at) : at + 1;
}

size_t lex_skip(struct span text, size_t at)
{
    assert(at < text.n);
    size_t end = jump(text, at);
    return end < text.n ? end : text.n;
}

size_t lex_skim(struct span text, size_t at, const bool stops[256])
{
    while (at < text.n) {
        unsigned char c = (unsigned char)text.p[at];
        if (stops[c]) {
            return at;
        }
        at = OPENS[c] ? jump(text, at) : at + 1;
    }
    return text.n;
}

struct tok lex_first(struct lex *lex)
{
    struct tok t;
    do {
        while (lex->at < lex->text.n &&
               (lex->text.p[lex->at] == ';' || class_of(lex->text.p[lex->at]) == C_BLANK)) {
            lex->at++; /* as the lexer would, at a tenth of its cost */
        }
        t = lex_next(lex);
    } while (tok_is_op(&t, ";"));
    return t;
}

bool lex_statement(struct lex *lex, struct span *ret_statement)
{
    static const bool STOPS[256] = {[';'] = true};
    struct tok t = lex_first(lex);
    if (t.kind == TOK_END) {
        return false;
    }
    size_t end = t.kind == TOK_ERROR ? lex->text.n : lex_skim(lex->text, t.at, STOPS);
    assert(end > t.at);
    *ret_statement = (struct span){lex->text.p + t.at, end - t.at};
    lex->at = end < lex->text.n ? end + 1 : end;
    return true;
}

/* Most words differ in their first letter, which saves a call. */
static bool is_word(struct span text, const char *word)
{
    return (text.p[0] | 0x20) == (word[0] | 0x20) && span_ieq_text(text, word);
}

bool tok_is_word(const struct tok *t, const char *word)
{
    return t->kind == TOK_WORD && is_word(t->text, word);
}

bool tok_is_op(const struct tok *t, const char *op)
{
    return t->kind == TOK_OP && t->text.p[0] == op[0] &&
           (op[1] == '\0' ? t->text.n == 1 : span_eq_text(t->text, op));
}

bool tok_is_one_of(const struct tok *t, const char *const *words)
{
    for (size_t i = 0; t->kind == TOK_WORD && words[i] != NULL; i++) {
        if (is_word(t->text, words[i])) {
            return true;
        }
    }
    return false;
}

bool tok_is_name(const struct tok *t)
{
    return t->kind == TOK_WORD || t->kind == TOK_QUOTED;
}

/* The byte behind a backslash; % and _ keep theirs, as LIKE wants to see it. */
static void append_escaped(struct buf *b, char c)
{
    static const char FROM[] = "ntrb0Z";
    static const char TO[] = "\n\t\r\b\0\032";
    const char *hit = c != '\0' ? strchr(FROM, c) : NULL;
    if (c == '%' || c == '_') {
        buf_append_char(b, '\\');
    }
    buf_append_char(b, hit != NULL ? TO[hit - FROM] : c);
}

static void append_unquoted(struct buf *b, struct span inside, char quote)
{
    for (size_t i = 0; i < inside.n; i++) {
        char c = inside.p[i];
        if (c == quote) {
            i++; /* doubled: a single one would have ended the token */
        } else if (c == '\\' && quote != '`' && i + 1 < inside.n) {
            append_escaped(b, inside.p[++i]);
            continue;
        }
        buf_append_char(b, c);
    }
}

char *tok_unquote(const struct tok *t, size_t *ret_len)
{
    struct buf b = buf_with_max(t->text.n);
    struct span s = t->text;
    bool is_raw = s.n > 0 && (s.p[0] == 'r' || s.p[0] == 'R');
    if (t->kind == TOK_STRING && is_raw) {
        buf_append(&b, s.p + 2, s.n - 3);
    } else if (t->kind == TOK_STRING || t->kind == TOK_QUOTED) {
        append_unquoted(&b, (struct span){s.p + 1, s.n - 2}, s.p[0]);
    } else {
        buf_append_span(&b, s);
    }
    assert(buf_ok(&b));
    *ret_len = b.len;
    return buf_take_text(&b);
}
