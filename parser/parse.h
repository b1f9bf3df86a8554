/*
 * What the recursive-descent parsers of this folder share: one token in hand, the next from the
 * lexer, names, property lists, and errors in Doris's words. Private to parser/. A struct parse lives
 * on the stack of one stmt_parse() call.
 *
 * Every parse_* that returns bool: false <=> *p->err is filled, and the caller just returns.
 */
#ifndef PARSER_PARSE_H
#define PARSER_PARSE_H

#include "parser/lex.h"
#include "parser/stmt.h"

struct parse_place {
    size_t line; /* from 1 */
    size_t pos;  /* characters of the line before it: from 0, as Doris counts */
};

struct parse {
    struct lex lex;    /* over one statement; behind tok */
    struct tok tok;    /* the token in hand */
    size_t last_end;   /* where the token before it ended */
    struct span whole; /* the text the user sent: lines and positions count from its start */
    struct err *err;   /* borrowed */
    /* Of a text that parse_made() reads: so many bytes are ours, and the user's begin there. */
    size_t n_made;
    struct parse_place made;
};

struct parse parse_of(struct span whole, struct span statement, struct err *err);
/* Reads `text`, of which everything from `head` on was copied from where p stands: errors say so. */
struct parse parse_made(const struct parse *p, struct span text, size_t head);

void parse_next(struct parse *p);
bool parse_is_word(const struct parse *p, const char *word);
bool parse_is_op(const struct parse *p, const char *op);
/* Takes the token in hand when it is that word or operator. */
bool parse_take_word(struct parse *p, const char *word);
bool parse_take_op(struct parse *p, const char *op);
bool parse_expect_word(struct parse *p, const char *word, const char *advice);
bool parse_expect_op(struct parse *p, const char *op, const char *advice);
/* Nothing may follow. */
bool parse_expect_end(struct parse *p, const char *advice);

/* A word of the grammar that Doris does not take as a name unless it is quoted. */
bool parse_is_reserved(const struct tok *t);
/* An identifier; `expecting` as for parse_mismatch. The caller owns *ret. */
bool parse_name(struct parse *p, const char *expecting, const char *advice, char **ret);
/*
 * name[.name[.name]]: up to PARSE_MAX_PARTS. The last part is the object's own name. *ret is
 * zeroed by the caller, who ends it with parse_path_fini() after success and failure alike.
 */
enum { PARSE_MAX_PARTS = 3 };
struct parse_path {
    char *parts[PARSE_MAX_PARTS];
    size_t n;
};
bool parse_path(struct parse *p, const char *expecting, const char *advice, struct parse_path *ret);
void parse_path_fini(struct parse_path *path);
/* A string literal without NUL bytes. The caller owns *ret. */
bool parse_string(struct parse *p, const char *what, const char *advice, char **ret);

/*
 * ( key = value, ... ), possibly empty, appended to *props; the token in hand is the '('. A key given
 * twice, in any letter case, is an error. Offsets of values count from `base`. Error texts never show
 * a word or literal of the list: it may be a secret.
 */
bool parse_props(struct parse *p, size_t base, struct stmt_props *props);
void parse_props_fini(struct stmt_props *props);

/* The token for an error text: one line of valid UTF-8, cut when long. */
struct parse_shown {
    char text[96];
};
struct parse_shown parse_show(const struct tok *t);

/*
 * Errors, all false. mismatch: the token in hand is not what the grammar wants; `expecting` as Doris
 * lists it, e.g. {'ON', 'COMMENT'}. hidden: the same without showing a word or literal.
 * fail: any other sentence about the token at `at`. `advice` is one sentence that says what to do.
 */
bool parse_mismatch(struct parse *p, const char *expecting, const char *advice);
bool parse_mismatch_hidden(struct parse *p, const char *expecting, const char *advice);
bool parse_fail(struct parse *p, const struct tok *at, const char *advice, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
