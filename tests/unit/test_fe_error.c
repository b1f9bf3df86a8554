#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/xmalloc.h"
#include "sources/fe_error.h"

#define CODE    "errCode = 2, detailMessage = "
#define BEGIN   CODE "begin transaction failed. "
#define USED    "Label [17_3] has already been used"
#define VISIBLE "transaction commit successfully, BUT data will be visible later."

static struct fe_error_parts read(const char *text)
{
    return fe_error_read(span_of(text), "17_3");
}

static void assert_span(struct span s, const char *expected)
{
    char *text = span_dup(s);
    assert_string_equal(text, expected);
    free(text);
}

static void knows_every_spelling_of_a_used_label(void **state)
{
    static const struct {
        const char *text;
        const char *txn_id;
    } table[] = {
        {USED ", relate to txn [12]", "12"},                               /* 2.0 */
        {CODE USED ", relate to txn [12]", "12"},                          /* 2.0 */
        {BEGIN CODE USED ", relate to txn [12], status [PREPARE].", "12"}, /* 2.1 … */
        {BEGIN CODE USED ", relate to txn [9007199254740993], status [VISIBLE].",
         "9007199254740993"},
        {BEGIN USED ", relate to txn [12], status=[TXN_STATUS_PRECOMMITTED]", "12"}, /* cloud */
        {USED ".", ""},                                                              /* old */
        {USED, ""},
        {USED ", relate to txn [", ""},
        {"Label [17_2] is not Label [17_3] has already been used", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct fe_error_parts parts = read(table[i].text);
        assert_int_equal(parts.kind, FE_ERROR_LABEL_USED);
        assert_span(parts.txn_id, table[i].txn_id);
        assert_false(parts.is_data_error);
    }
}

static void a_used_label_must_be_ours(void **state)
{
    static const char *const texts[] = {
        "Label [17_33] has already been used, relate to txn [12]",
        "Label [17_] has already been used, relate to txn [12]",
        "label [17_3] has already been used",
        "Label [17_3] has never been used",
        "Label format error. regex: ^[-_A-Za-z0-9:]{1,128}$, label: 17_3",
        "Label [",
        "Label [17_3",
        "too many aborted txn for label=17_3 txn_id=12, please check your data quality",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_int_equal(read(texts[i]).kind, FE_ERROR_OTHER);
    }
}

static void knows_an_error_that_is_a_commit(void **state)
{
    assert_int_equal(read(VISIBLE).kind, FE_ERROR_COMMITTED);
    assert_int_equal(read(CODE VISIBLE).kind, FE_ERROR_COMMITTED);
    assert_int_equal(read(CODE CODE VISIBLE).kind, FE_ERROR_COMMITTED);
    assert_int_equal(read(CODE "transaction commit successfully, BUT data did not become visible "
                               "within 60000 ms")
                         .kind,
                     FE_ERROR_COMMITTED);
}

/* A file's own bytes end up in first_error_msg: they must not be able to claim success. */
static void data_cannot_claim_a_commit(void **state)
{
    static const char *const texts[] = {
        CODE "Insert has filtered data in strict mode. first_error_msg: " VISIBLE,
        CODE "cannot parse '" VISIBLE "'",
        "first_error_msg: " VISIBLE,
        ". url: " VISIBLE,
        "transaction commit successfully",
        "Transaction commit successfully, BUT data",
        "errCode = 2, and a long way from here on there is a detailMessage = " VISIBLE,
        "errCode = ",
        "",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_int_equal(read(texts[i]).kind, FE_ERROR_OTHER);
    }
    assert_int_equal(read(CODE "bad row. first_error_msg: " USED).kind, FE_ERROR_OTHER);
}

static void knows_errors_of_the_data(void **state)
{
    static const char *const data[] = {
        "Insert has filtered data in strict mode, tracking_url=http://be:8040/x",
        CODE "Insert has filtered data in strict mode. url: http://be:8040/x",
        CODE "Insert has too many filtered data 3/10 insert_max_filter_ratio is 0.100000",
        CODE "[DATA_QUALITY_ERROR]Encountered unqualified data, stop processing.",
        CODE "[INVALID_ARGUMENT]parse number fail, string: 'abc'",
    };
    static const char *const other[] = {
        "insert has filtered data in strict mode", /* Doris compares with regard to case */
        "insert timeout",
        CODE "there exists unhealthy backend. ",
        "",
    };
    for (size_t i = 0; i < ARRAY_SIZE(data); i++) {
        assert_true(read(data[i]).is_data_error);
    }
    for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
        assert_false(read(other[i]).is_data_error);
    }
}

static void splits_address_and_first_row_out(void **state)
{
    static const struct {
        const char *text;
        const char *url;
        const char *row;
    } table[] = {
        {CODE "Insert has filtered data in strict mode. url: "
              "http://10.0.0.1:8040/api/_load_error_log?file=__shard_0/error_log_i_1_2",
         "http://10.0.0.1:8040/api/_load_error_log?file=__shard_0/error_log_i_1_2", ""},
        {"Insert has filtered data in strict mode, tracking_url=http://be:8040/a?b=c",
         "http://be:8040/a?b=c", ""},
        {CODE
         "Insert has filtered data in strict mode. first_error_msg: Reason: null value for not "
         "null column, column=k. src line [\\N,a]; . url: https://be/x.",
         "https://be/x", "Reason: null value for not null column, column=k. src line [\\N,a]; "},
        {"bad. first_error_msg: no address", "", "no address"},
        {"bad. first_error_msg: row says url: http://evil/ here. url: http://be/1", "http://be/1",
         "row says url: http://evil/ here"},
        {"Invalid s3 uri, url: s3://bucket/key", "", ""},
        {"url: http://", "http://", ""},
        {"first_error_msg:", "", ""},
        {"", "", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct fe_error_parts parts = read(table[i].text);
        assert_span(parts.tracking_url, table[i].url);
        assert_span(parts.first_error, table[i].row);
    }
}

static void unknown_label_means_exactly_that(void **state)
{
    static const char *const wrong[] = {
        "transaction with label 17_3 does not exist in database d",
        "transaction with label 17_33 does not exist",
        "transaction with label  does not exist",
        "transaction with label 17_3",
        "Unknown database 'd'",
        CODE "Node catalog is not ready, please wait for a while. transaction with label 17_3 does "
             "not exist",
        CODE "forward to master FE 10.0.0.1:9010, statement id: 3 : failed, cause: Connection is "
             "not open",
        "transaction not found, label=17_3",
        "",
    };
    assert_true(
        fe_error_is_unknown_label(span_of("transaction with label 17_3 does not exist"), "17_3"));
    assert_true(fe_error_is_unknown_label(
        span_of(CODE "transaction with label 17_3 does not exist\n"), "17_3"));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_false(fe_error_is_unknown_label(span_of(wrong[i]), "17_3"));
    }
}

static void knows_unknown_variables(void **state)
{
    assert_true(fe_error_is_unknown_variable(1193, span_of("")));
    assert_true(
        fe_error_is_unknown_variable(1105, span_of(CODE "Unknown system variable 'group_commit'")));
    assert_false(fe_error_is_unknown_variable(
        1231, span_of("Variable 'x' can't be set to the value of 'y'")));
    assert_false(fe_error_is_unknown_variable(
        1105, span_of("Node catalog is not ready: Unknown system variable")));
}

static void knows_missing_privileges_and_tables(void **state)
{
    assert_true(fe_error_is_denied(1142, span_of("")));
    assert_true(fe_error_is_denied(
        1105, span_of(CODE "Access denied; you need (at least one of) the (LOAD) privilege(s) for "
                           "this operation")));
    assert_true(fe_error_is_denied(
        1105, span_of(CODE "Permission denied: user ['u'@'%'] does not have privilege for [SELECT] "
                           "command on [internal].[d].[t]")));
    assert_false(fe_error_is_denied(1105, span_of("insert timeout")));
    assert_true(fe_error_is_missing_table(1051, span_of("")));
    assert_true(
        fe_error_is_missing_table(1105, span_of(CODE "Table [x] does not exist in database [d].")));
    assert_false(fe_error_is_missing_table(1105, span_of("Node catalog is not ready")));
    assert_true(fe_error_is_missing_database(1049, span_of("")));
    assert_true(fe_error_is_missing_database(1105, span_of(CODE "Unknown database 'd'")));
    assert_false(fe_error_is_missing_database(
        1105, span_of(CODE "Table [x] does not exist in database [d].")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_every_spelling_of_a_used_label),
        cmocka_unit_test(a_used_label_must_be_ours),
        cmocka_unit_test(knows_an_error_that_is_a_commit),
        cmocka_unit_test(data_cannot_claim_a_commit),
        cmocka_unit_test(knows_errors_of_the_data),
        cmocka_unit_test(splits_address_and_first_row_out),
        cmocka_unit_test(unknown_label_means_exactly_that),
        cmocka_unit_test(knows_unknown_variables),
        cmocka_unit_test(knows_missing_privileges_and_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
