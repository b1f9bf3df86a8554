#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "parser/lex.h"
#include "proxy/batchwise.h"

enum { DEEPEST = 64, LONGEST_TEXT = 1024 };

/* What is looked for: a word and, unless it is NULL, what stands behind it. */
static const struct {
    const char *word;
    const char *next;
} marks[] = {
    {"LIMIT", NULL},        {"GROUP", "BY"},
    {"DISTINCT", NULL},     {"OVER", "("},
    {"any_value", "("},     {"approx_count_distinct", "("},
    {"array_agg", "("},     {"avg", "("},
    {"bitmap_agg", "("},    {"bitmap_union", "("},
    {"collect_list", "("},  {"collect_set", "("},
    {"count", "("},         {"group_array", "("},
    {"group_concat", "("},  {"hll_union", "("},
    {"hll_union_agg", "("}, {"map_agg", "("},
    {"max", "("},           {"max_by", "("},
    {"median", "("},        {"min", "("},
    {"min_by", "("},        {"ndv", "("},
    {"percentile", "("},    {"percentile_approx", "("},
    {"stddev", "("},        {"stddev_samp", "("},
    {"sum", "("},           {"topn", "("},
    {"variance", "("},      {"var_samp", "("},
};

static_assert(ARRAY_SIZE(marks) <= 64, "a bit each");

/* One pair of parentheses; the outermost one is the statement. */
struct level {
    uint64_t found;       /* bits of marks[] */
    bool is_query;        /* a subquery, and not the arguments of a function, say */
    bool is_of_the_files; /* the table function is somewhere within */
};

static uint64_t find_mark(const struct tok *t, const struct tok *next)
{
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
        const char *then = marks[i].next;
        if (tok_is_word(t, marks[i].word) &&
            (then == NULL || tok_is_word(next, then) || tok_is_op(next, then))) {
            return UINT64_C(1) << i;
        }
    }
    return 0;
}

static bool is_query(const struct tok *first)
{
    return tok_is_word(first, "SELECT") || tok_is_word(first, "WITH");
}

/* The bits of the outermost level, at the end of the text; 0 for what is too deep to be followed. */
static uint64_t find_all(struct span text, size_t source_at)
{
    struct level levels[DEEPEST] = {0};
    size_t depth = 0;
    bool is_behind = false;
    struct lex lex = lex_of(text);
    struct tok t = lex_next(&lex);
    while (t.kind != TOK_END && t.kind != TOK_ERROR) {
        struct tok next = lex_next(&lex);
        for (size_t i = 0; !is_behind && t.at >= source_at && i <= depth; i++) {
            levels[i].is_of_the_files = true;
        }
        is_behind = t.at >= source_at;
        levels[depth].found |= find_mark(&t, &next);
        if (tok_is_op(&t, "(")) {
            if (++depth == DEEPEST) {
                return 0;
            }
            levels[depth] = (struct level){.is_query = is_query(&next)};
        } else if (tok_is_op(&t, ")") && depth > 0) {
            const struct level *inner = &levels[depth--];
            if (!inner->is_query || inner->is_of_the_files) {
                levels[depth].found |= inner->found;
            }
        }
        t = next;
    }
    return levels[0].found;
}

char *batchwise_find(const struct stmt_insert *insert)
{
    uint64_t found = 0;
    if (insert->tvf_props.n > 0) {
        found = find_all(insert->text, insert->tvf_props.items[0].value_at);
    }
    if (found == 0) {
        return NULL;
    }
    struct buf b = buf_with_max(LONGEST_TEXT);
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
        if ((found >> i & 1) != 0) {
            const char *then = marks[i].next;
            bool is_call = then != NULL && then[0] == '(';
            buf_printf(&b, "%s%s%s%s", b.size > 0 ? ", " : "", marks[i].word,
                       is_call        ? "()"
                       : then != NULL ? " "
                                      : "",
                       is_call || then == NULL ? "" : then);
        }
    }
    return buf_take_text(&b);
}
