/*
 * A pull tokenizer over a statement text: one token a call, nothing allocated, nothing kept but the
 * offset, linear in the length of the text. Pure functions; any thread.
 *
 * It cuts a text where Doris's own lexer does: `--` opens a comment wherever it stands, which a CR
 * ends as well as a LF, and a `\` before the LF continues it; block comments nest; hints and version
 * comments are comments; words may start with a digit; strings know \x and doubled quotes, R'...'
 * knows neither. `#` opens a comment as in MySQL, although Doris refuses it.
 */
#ifndef PARSER_LEX_H
#define PARSER_LEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum tok_kind {
    TOK_END,    /* end of the text; empty */
    TOK_WORD,   /* a bare identifier or keyword */
    TOK_QUOTED, /* `identifier` */
    TOK_STRING, /* '...', "...", R'...' or R"..." */
    TOK_INT,    /* 123 */
    TOK_NUMBER, /* 1.5, 1e3, 12L */
    TOK_OP,     /* one operator or other single character */
    TOK_ERROR, /* a string, quoted name or comment that never ends; reaches to the end of the text */
};

struct tok {
    enum tok_kind kind;
    size_t at; /* offset of its first byte in the lexer's text */
    struct span text;
};

struct lex {
    struct span text;
    size_t at; /* where the next token is looked for */
};

static inline struct lex lex_of(struct span text)
{
    return (struct lex){.text = text};
}

static inline size_t tok_end(const struct tok *t)
{
    return t->at + t->text.n;
}

/* TOK_END and TOK_ERROR are returned again and again once reached. */
struct tok lex_next(struct lex *lex);
/* The next token that is no ';'. */
struct tok lex_first(struct lex *lex);
/* The next token without taking it. */
struct tok lex_peek(const struct lex *lex);

/*
 * Much faster than tokens: the next byte of `stops` that is not in a string, quoted name or comment.
 * The end of the text when there is none, or a string or comment never ends. `at` must not be inside
 * one. A stop that opens a string, name or comment is passed with lex_skip().
 */
size_t lex_skim(struct span text, size_t at, const bool stops[256]);
/* Behind the string, quoted name or comment that begins at `at`; at + 1 when none does. */
size_t lex_skip(struct span text, size_t at);

/*
 * The text up to the next ';' that is not in a string or comment; the lexer stands behind that ';'
 * afterwards. False when nothing but blanks, comments and ';' is left. The statement starts at its
 * first token; blanks and comments may follow its last.
 */
bool lex_statement(struct lex *lex, struct span *ret_statement);

/* Keyword of any letter case; never true for a quoted name or a string. */
bool tok_is_word(const struct tok *t, const char *word);
bool tok_is_op(const struct tok *t, const char *op);
/* One of the NULL-terminated words. */
bool tok_is_one_of(const struct tok *t, const char *const *words);
/* A bare or quoted identifier. */
bool tok_is_name(const struct tok *t);
/* A letter of an identifier: A-Z a-z 0-9 _ $ and every byte from 0x80 on. */
bool lex_is_letter(char c);
/* What Doris skips between tokens: no more than blank, tab and line end. */
bool lex_is_blank(char c);

/*
 * What the token means: quotes removed, doubled quotes and backslash escapes resolved as Doris
 * does. The caller owns the text, which may hold NUL bytes: *ret_len counts them.
 */
char *tok_unquote(const struct tok *t, size_t *ret_len);

#endif
