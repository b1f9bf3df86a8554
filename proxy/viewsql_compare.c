/* What Doris would turn into a number or a date to compare it. */
#include "proxy/viewsql.h"
#include "proxy/viewsql_parts.h"

/* What a value is compared as. */
enum operand { OPERAND_ANY, OPERAND_NUMBER, OPERAND_DATE };

static const char *const number_columns[] = {
    "Id", "JobId", "TaskId", "SucceedTaskCount", "FailedTaskCount", "CanceledTaskCount", NULL,
};

bool viewsql_is_number_column(const char *name)
{
    return is_one_of(span_of(name), number_columns);
}

static const char *const number_functions[] = {
    "COUNT",
    "SUM",
    "AVG",
    "LENGTH",
    "CHAR_LENGTH",
    "OCTET_LENGTH",
    "YEAR",
    "QUARTER",
    "MONTH",
    "DAY",
    "DAYOFMONTH",
    "HOUR",
    "MINUTE",
    "SECOND",
    "WEEK",
    "WEEKDAY",
    "DAYOFWEEK",
    "DAYOFYEAR",
    "WEEKOFYEAR",
    "UNIX_TIMESTAMP",
    "DATEDIFF",
    "TIMESTAMPDIFF",
    "SECONDS_DIFF",
    "MINUTES_DIFF",
    "HOURS_DIFF",
    "DAYS_DIFF",
    "WEEKS_DIFF",
    "MONTHS_DIFF",
    "YEARS_DIFF",
    "GET_JSON_INT",
    "GET_JSON_BIGINT",
    "GET_JSON_DOUBLE",
    "JSON_EXTRACT_INT",
    "JSON_EXTRACT_BIGINT",
    "JSON_EXTRACT_DOUBLE",
    "JSON_LENGTH",
    "ROUND",
    "FLOOR",
    "CEIL",
    "CEILING",
    "TRUNCATE",
    "ABS",
    "MOD",
    "INSTR",
    "LOCATE",
    "EXTRACT",
    "FIND_IN_SET",
    "FIELD",
    NULL,
};

static const char *const date_functions[] = {
    "NOW",
    "CURRENT_TIMESTAMP",
    "LOCALTIMESTAMP",
    "LOCALTIME",
    "SYSDATE",
    "CURDATE",
    "CURRENT_DATE",
    "UTC_TIMESTAMP",
    "DATE",
    "TO_DATE",
    "DATE_ADD",
    "DATE_SUB",
    "ADDDATE",
    "SUBDATE",
    "STR_TO_DATE",
    "FROM_UNIXTIME",
    "DATE_TRUNC",
    "TIMESTAMP",
    "SECONDS_ADD",
    "SECONDS_SUB",
    "MINUTES_ADD",
    "MINUTES_SUB",
    "HOURS_ADD",
    "HOURS_SUB",
    "DAYS_ADD",
    "DAYS_SUB",
    "WEEKS_ADD",
    "WEEKS_SUB",
    "MONTHS_ADD",
    "MONTHS_SUB",
    NULL,
};

static const char *const clock_words[] = {"CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "LOCALTIME",
                                          "CURRENT_DATE", NULL};

static enum operand operand_of_call(struct span name)
{
    return is_one_of(name, number_functions) ? OPERAND_NUMBER
           : is_one_of(name, date_functions) ? OPERAND_DATE
                                             : OPERAND_ANY;
}

/* Of a value that begins at `i`. */
static enum operand operand_at(const struct tokens *t, int i)
{
    i += is_op(t, i, "-") || is_op(t, i, "+");
    if (is_kind(t, i, TOKEN_NUMBER)) {
        return OPERAND_NUMBER;
    }
    if (is_call(t, i)) {
        return operand_of_call(t->items[i].text);
    }
    bool is_clock = is_kind(t, i, TOKEN_WORD) && is_one_of(t->items[i].text, clock_words);
    return is_clock ? OPERAND_DATE : OPERAND_ANY;
}

/* Of a value that ends at `i`. */
static enum operand operand_before(const struct tokens *t, int i)
{
    if (is_op(t, i, ")") && t->items[i].partner != NOWHERE && is_call(t, t->items[i].partner - 1)) {
        return operand_of_call(t->items[t->items[i].partner - 1].text);
    }
    return is_kind(t, i, TOKEN_NUMBER) ? OPERAND_NUMBER : operand_at(t, i);
}

static bool is_number_name(const struct tokens *t, int i)
{
    return is_kind(t, i, TOKEN_WORD) && is_one_of(t->items[i].text, number_columns);
}

/* Texts and columns in the list of an IN, or texts at the ends of a BETWEEN. */
static void convert_texts(struct tokens *t, int i)
{
    bool is_list =
        is_op(t, i + 1, "(") && !is_word(t, i + 2, "SELECT") && !is_word(t, i + 2, "WITH");
    int end = is_op(t, i + 1, "(") ? t->items[i + 1].partner : i + 4;
    for (int k = i + 1; k < end && k < t->n; k++) {
        bool is_item = is_op(t, k - 1, "(") || is_op(t, k - 1, ",") || k == i + 1 ||
                       (k == i + 3 && is_word(t, k - 1, "AND"));
        bool is_column = is_list && (is_kind(t, k, TOKEN_WORD) || is_kind(t, k, TOKEN_QUOTED)) &&
                         !is_word(t, k, "NOT");
        if ((is_kind(t, k, TOKEN_STRING) || is_column) && is_item) {
            put_before(t, k, "'>n' -> ");
        }
    }
}

/* The comparison whose operator is at `i`. */
static void adapt_comparison(struct tokens *t, int i)
{
    bool is_range = is_word(t, i, "IN") || is_word(t, i, "BETWEEN");
    int left = i - 1 - is_word(t, i - 1, "NOT");
    int right = i + 1 + (is_word(t, i, "IN") && is_op(t, i + 1, "("));
    right += is_word(t, i, "IS") && is_word(t, right, "NOT");
    if (!ends_value(t, left) || right >= t->n) {
        return;
    }
    enum operand of_left = operand_before(t, left);
    enum operand of_right = operand_at(t, right);
    if (of_right != OPERAND_ANY && of_left == OPERAND_ANY) {
        if (of_right == OPERAND_DATE) {
            put_after(t, left, " -> '<d'");
        } else if (!is_number_name(t, left)) {
            put_after(t, left, " -> '<n'");
        }
    } else if (of_left == OPERAND_NUMBER && is_range) {
        convert_texts(t, i);
    } else if (of_left == OPERAND_NUMBER && of_right == OPERAND_ANY && !is_number_name(t, right) &&
               !is_word(t, i, "IS")) {
        put_before(t, right, "'>n' -> ");
    } else if (of_left == OPERAND_DATE && of_right == OPERAND_ANY && !is_range &&
               is_kind(t, right, TOKEN_WORD) && !is_word(t, i, "IS")) {
        put_before(t, right, "'>d' -> ");
    }
}

void viewsql_adapt_comparisons(struct tokens *t)
{
    static const char *const ops[] = {"=", "==", "<>", "!=", "<", ">", "<=", ">=", NULL};
    static const char *const words[] = {"IN", "BETWEEN", "IS", NULL};
    for (int i = 1; i + 1 < t->n; i++) {
        const struct token *k = &t->items[i];
        if ((k->kind == TOKEN_OP && is_one_of(k->text, ops)) ||
            (k->kind == TOKEN_WORD && is_one_of(k->text, words) && !k->is_changed)) {
            adapt_comparison(t, i);
        }
    }
}
