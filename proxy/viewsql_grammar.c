/* Calls, words and operators that SQLite's grammar lacks. */
#include "base/xmalloc.h"
#include "proxy/viewsql_parts.h"

static void quote(struct tokens *t, int i)
{
    put_before(t, i, "'");
    put_after(t, i, "'");
}

/* The last such word between the parentheses of the call at `i`, but not in others. */
static int find_in_call(const struct tokens *t, int i, const char *word)
{
    int found = NOWHERE;
    int depth = t->items[i].depth + 1;
    for (int k = i + 2; k < t->items[i + 1].partner; k++) {
        found = t->items[k].depth == depth && is_word(t, k, word) ? k : found;
    }
    return found;
}

static const char *const interval_units[] = {"SECOND", "MINUTE",  "HOUR", "DAY", "WEEK",
                                             "MONTH",  "QUARTER", "YEAR", NULL};

/* CAST(x AS type[(9[, 2])]) */
static void adapt_cast(struct tokens *t, int i)
{
    static const char *const decimals[] = {"DECIMAL", "DECIMALV2", "DECIMALV3", "NUMERIC", NULL};
    int as = find_in_call(t, i, "AS");
    int close = t->items[i + 1].partner;
    if (as == NOWHERE || !is_kind(t, as + 1, TOKEN_WORD)) {
        return;
    }
    if (is_one_of(t->items[as + 1].text, decimals) && t->trust == VIEWSQL_SAME) {
        t->trust = VIEWSQL_NEAR; /* 2.50 would be shown as 2.5, and as a DOUBLE */
    }
    put(t, i, "cast_as");
    put(t, as, ",");
    quote(t, as + 1);
    for (int k = as + 2; k < close; k++) {
        bool is_kept = is_kind(t, k, TOKEN_NUMBER) || is_op(t, k, ",");
        if (!is_kept) {
            put(t, k, is_op(t, k, "(") ? "," : ""); /* SIGNED INTEGER: one word is enough */
        }
    }
}

/* EXTRACT(YEAR FROM x) */
static void adapt_extract(struct tokens *t, int i)
{
    if (is_kind(t, i + 2, TOKEN_WORD) && is_word(t, i + 3, "FROM")) {
        put(t, i, "");
        put(t, i + 1, "");
        put(t, i + 3, "(");
    }
}

static void adapt_unit(struct tokens *t, int i)
{
    if (is_kind(t, i + 2, TOKEN_WORD) && is_op(t, i + 3, ",")) {
        quote(t, i + 2);
    }
}

static void adapt_name(struct tokens *t, int i)
{
    put(t, i, span_ieq_text(t->items[i].text, "LEFT") ? "\"left\"" : "\"right\"");
}

/* Words between arguments. */
static void adapt_separators(struct tokens *t, int i)
{
    static const char *const words[] = {"FROM", "FOR", "SEPARATOR"};
    if (find_in_call(t, i, "ORDER") != NOWHERE) {
        return; /* the separator would be taken for something to sort by */
    }
    for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
        int at = find_in_call(t, i, words[k]);
        if (at != NOWHERE) {
            put(t, at, ",");
        }
    }
}

static void adapt_position(struct tokens *t, int i)
{
    int in = find_in_call(t, i, "IN");
    if (in != NOWHERE) {
        put(t, i, "locate");
        put(t, in, ",");
    }
}

static void adapt_call(struct tokens *t, int i)
{
    static const struct {
        const char *name;
        void (*adapt)(struct tokens *t, int i);
    } calls[] = {
        {"CAST", adapt_cast},
        {"TRY_CAST", adapt_cast},
        {"EXTRACT", adapt_extract},
        {"TIMESTAMPDIFF", adapt_unit},
        {"TIMESTAMPADD", adapt_unit},
        {"LEFT", adapt_name},
        {"RIGHT", adapt_name},
        {"SUBSTRING", adapt_separators},
        {"SUBSTR", adapt_separators},
        {"MID", adapt_separators},
        {"GROUP_CONCAT", adapt_separators},
        {"POSITION", adapt_position},
    };
    if (t->items[i + 1].partner == NOWHERE) {
        return;
    }
    for (size_t k = 0; k < ARRAY_SIZE(calls); k++) {
        if (is_word(t, i, calls[k].name)) {
            calls[k].adapt(t, i);
        }
    }
}

/* [+|-] INTERVAL 1 DAY, where the number may be in quotes; sums become an operator of ours. */
static void adapt_interval(struct tokens *t, int i)
{
    bool is_text = is_kind(t, i + 1, TOKEN_STRING);
    bool is_sum = is_op(t, i - 1, "+") || is_op(t, i - 1, "-");
    if ((!is_text && !is_kind(t, i + 1, TOKEN_NUMBER)) || !is_kind(t, i + 2, TOKEN_WORD) ||
        !is_one_of(t->items[i + 2].text, interval_units)) {
        return;
    }
    bool is_minus = is_op(t, i - 1, "-");
    if (is_sum) {
        put(t, i - 1, "->>");
    }
    put(t, i, is_minus ? "'-" : "'");
    struct token *number = &t->items[i + 1];
    number->out = is_text ? (struct span){number->text.p + 1, number->text.n - 2} : number->text;
    number->is_glued = true;
    put_after(t, i + 2, "'");
}

static void adapt_word(struct tokens *t, int i)
{
    static const struct {
        const char *word;
        const char *call;
    } clocks[] = {
        {"CURRENT_TIMESTAMP", "now()"}, {"LOCALTIMESTAMP", "now()"},   {"LOCALTIME", "now()"},
        {"CURRENT_DATE", "curdate()"},  {"CURRENT_TIME", "curtime()"},
    };
    bool is_name = is_op(t, i - 1, ".") || is_op(t, i + 1, ".") || is_word(t, i - 1, "AS");
    for (size_t k = 0; k < ARRAY_SIZE(clocks) && !is_name; k++) {
        if (is_word(t, i, clocks[k].word)) {
            put(t, i, clocks[k].call);
            if (is_op(t, i + 1, "(")) {
                t->items[i].out.n -= 2;
            }
        }
    }
    if (is_word(t, i, "INTERVAL")) {
        adapt_interval(t, i);
    } else if (is_word(t, i, "DIV") && !is_name) {
        put(t, i, "/");
    } else if (is_word(t, i, "MOD") && !is_op(t, i + 1, "(") && !is_name) {
        put(t, i, "%");
    }
}

void viewsql_adapt_grammar(struct tokens *t)
{
    for (int i = 0; i < t->n; i++) {
        if (is_call(t, i)) {
            adapt_call(t, i);
        }
        if (is_kind(t, i, TOKEN_WORD)) {
            adapt_word(t, i);
        } else if (is_op(t, i, "/")) {
            put(t, i, "* 1.0 /"); /* SQLite's cuts the quotient of whole numbers; DIV is that */
        }
    }
}
