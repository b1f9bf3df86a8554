#include <assert.h>

#include "parser/lex.h"
#include "parser/params.h"

size_t params_next(struct span text, size_t at)
{
    static const bool STOPS[256] = {['?'] = true};
    return lex_skim(text, at, STOPS);
}

size_t params_count(struct span text)
{
    size_t n = 0;
    for (size_t at = params_next(text, 0); at < text.n; at = params_next(text, at + 1)) {
        n++;
    }
    return n;
}

/* A letter, digit or quote beside a literal would become part of it; two '-' are a comment. */
static bool melts(char c)
{
    static const char others[] = "'\"`-.?";
    return lex_is_letter(c) || memchr(others, c, sizeof(others) - 1) != NULL;
}

void params_put(struct span text, size_t from, size_t at, struct span literal, struct buf *out)
{
    assert(from <= at && at < text.n && text.p[at] == '?');
    buf_append(out, text.p + from, at - from);
    if (at > 0 && melts(text.p[at - 1])) {
        buf_append_char(out, ' ');
    }
    buf_append_span(out, literal);
    if (at + 1 < text.n && melts(text.p[at + 1])) {
        buf_append_char(out, ' ');
    }
}

void params_quote(struct span value, struct buf *out)
{
    buf_append_char(out, '\'');
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\\' || c == '\'') {
            buf_append_char(out, c); /* doubled: right also where '\' escapes nothing */
        }
        if (c == '\0') {
            buf_append_text(out, "\\0");
        } else {
            buf_append_char(out, c);
        }
    }
    buf_append_char(out, '\'');
}

static bool is_task_id(const struct tok *t)
{
    return tok_is_word(t, "taskId") ||
           (t->kind == TOK_QUOTED && span_ieq_text(t->text, "`taskId`"));
}

/* A number where only a number may stand; else the one word that jobs("type" = ?) takes. */
static struct span sample_behind(const struct tok *before, const struct tok *before2)
{
    static const char *const NUMBERS[] = {"TASK", "LIMIT", "OFFSET", NULL};
    bool is_equal = tok_is_op(before, "=") || tok_is_op(before, "==");
    bool is_number = tok_is_one_of(before, NUMBERS) || (is_equal && is_task_id(before2));
    return is_number ? SPAN_LIT("1") : SPAN_LIT("'insert'");
}

void params_sample(struct span text, struct buf *out)
{
    struct lex lex = lex_of(text);
    struct tok before = {.kind = TOK_END};
    struct tok before2 = {.kind = TOK_END};
    size_t from = 0;
    struct tok t = lex_next(&lex);
    while (t.kind != TOK_END && t.kind != TOK_ERROR) {
        if (tok_is_op(&t, "?")) {
            params_put(text, from, t.at, sample_behind(&before, &before2), out);
            from = t.at + 1;
        }
        before2 = before;
        before = t;
        t = lex_next(&lex);
    }
    if (from < text.n) {
        buf_append(out, text.p + from, text.n - from);
    }
}
