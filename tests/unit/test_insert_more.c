/*
 * The INSERT sink before a scripted FE: what is believed of labels and rows, and what is
 * reported.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "sources/insert_check.h"
#include "sources/insert_sink.h"
#include "tests/unit/canned_http.h"
#include "tests/unit/fe_script.h"

#define CODE        "errCode = 2, detailMessage = "
#define UNKNOWN     CODE "transaction with label l1 does not exist"
#define STATE(name) "TransactionId|Label|TransactionStatus\n12|l1|" name "\n"
#define HTTP(data)  "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"code\":0,\"data\":" data "}"
#define ROW_OF_R1   "n|low|high\n1|219023793|219023793\n" /* the CRC of "r1" */

static const struct offset_row row = {.job_id = 7, .task_id = 1, .range = "r1"};

/* A sink before that FE, and before HTTP where there is a script of it. */
struct bed {
    struct fe_script fe;
    struct canned_http http;
    bool has_http;
    struct sink *sink;
    struct fe_address address;
    struct insert_sink_options options;
    struct label_report label;
    struct load_report load;
    struct err err;
};

static void open_bed(struct bed *b, const struct script_rule *rules, size_t n,
                     const char *const *replies, size_t n_replies)
{
    *b = (struct bed){0};
    script_start(&b->fe, rules, n);
    b->address = (struct fe_address){.host = "127.0.0.1", .port = b->fe.port};
    b->options = (struct insert_sink_options){
        .addresses = &b->address,
        .n_addresses = 1,
        .user = "loader",
        .password = "",
        .connect_timeout_ms = 5000,
    };
    if (n_replies > 0) {
        canned_start(&b->http, replies, n_replies);
        b->has_http = true;
        b->options.http_host = "127.0.0.1";
        b->options.http_port = b->http.port;
    }
    b->sink = insert_sink_create(&b->options);
}

/* Afterwards b->fe.said is there to be read. */
static void close_bed(struct bed *b)
{
    insert_sink_destroy(b->sink);
    script_stop(&b->fe);
    if (b->has_http) {
        canned_stop(&b->http);
    }
    label_report_fini(&b->label);
    load_report_fini(&b->load);
}

static enum label_state ask(struct bed *b, const struct offset_row *of)
{
    struct label_request request = {
        .db = "d", .label = "l1", .row = of, .deadline_us = clock_mono_us() + 20000000};
    label_report_fini(&b->label);
    b->err = (struct err){0};
    return insert_sink_ops.label(b->sink, &request, &b->label, &b->err);
}

/* --- labels ----------------------------------------------------------------------------------- */

/*
 * A label that is ABORTED may have been loaded before, forgotten, and begun again: as long as the
 * row cannot be read that is not known. One that is VISIBLE is, whatever the table says not.
 */
static void test_aborted_without_an_answer_about_the_row(void **state)
{
    static const struct script_rule cut[] = {
        {"SHOW TRANSACTION", SAYS_ROWS, STATE("ABORTED"), 0},
        {"sluice_offsets", SAYS_NOTHING_MORE, NULL, 0},
    };
    static const struct script_rule visible[] = {
        {"SHOW TRANSACTION", SAYS_ROWS, STATE("VISIBLE"), 0},
        {"sluice_offsets", SAYS_NOTHING_MORE, NULL, 0},
    };
    static const struct script_rule denied[] = {
        {"SHOW TRANSACTION", SAYS_ROWS, STATE("ABORTED"), 0},
        {"sluice_offsets", SAYS_ERR, "SELECT command denied to user 'loader'", 1142},
    };
    struct bed b;
    (void)state;
    open_bed(&b, cut, 2, NULL, 0);
    assert_int_equal(ask(&b, &row), LABEL_UNREACHABLE);
    assert_non_null(strstr(b.err.msg, "could not be read"));
    close_bed(&b);
    open_bed(&b, visible, 2, NULL, 0);
    assert_int_equal(ask(&b, &row), LABEL_VISIBLE);
    close_bed(&b);
    open_bed(&b, denied, 2, NULL, 0);
    assert_int_equal(ask(&b, &row), LABEL_ABORTED); /* the label is all there is to go by */
    close_bed(&b);
}

/* All finished ones of the database count, and half an answer is none. */
static void test_how_many_transactions_are_remembered(void **state)
{
    static const struct script_rule both[] = {
        {"LABEL = ", SAYS_ERR, UNKNOWN, 1105},
        {"FROM `d` WHERE STATUS = 'VISIBLE'", SAYS_ROWS, "Label\na\nb\nc\n", 0},
        {"FROM `d` WHERE STATUS = 'ABORTED'", SAYS_ROWS, "Label\nd\ne\n", 0},
    };
    static const struct script_rule half[] = {
        {"LABEL = ", SAYS_ERR, UNKNOWN, 1105},
        {"FROM `d` WHERE STATUS = 'VISIBLE'", SAYS_ROWS, "Label\na\nb\nc\n", 0},
        {"FROM `d` WHERE STATUS = 'ABORTED'", SAYS_ERR, "no", 1105},
    };
    static const struct script_rule cut[] = {
        {"LABEL = ", SAYS_ERR, UNKNOWN, 1105},
        {"FROM `d` WHERE STATUS = 'VISIBLE'", SAYS_NOTHING_MORE, NULL, 0},
    };
    struct bed b;
    (void)state;
    open_bed(&b, both, 3, NULL, 0);
    assert_int_equal(ask(&b, NULL), LABEL_UNKNOWN);
    assert_int_equal(b.label.n_remembered, 5);
    close_bed(&b);
    open_bed(&b, half, 3, NULL, 0);
    assert_int_equal(ask(&b, NULL), LABEL_UNKNOWN);
    assert_int_equal(b.label.n_remembered, 0);
    close_bed(&b);
    open_bed(&b, cut, 2, NULL, 0);
    assert_int_equal(ask(&b, NULL), LABEL_UNREACHABLE); /* not heard is not "does not tell" */
    assert_non_null(strstr(b.err.msg, "are remembered is not known"));
    close_bed(&b);
}

/* Who was asked and what it said stands in jobs().Evidence, by whichever road. */
static void test_the_evidence_names_its_source(void **state)
{
    static const struct script_rule denied[] = {
        {"SHOW TRANSACTION", SAYS_ERR, "Access denied for user", 1044}};
    static const char *const replies[] = {
        HTTP("{}"),
        HTTP("\"UNKNOWN\""),
        CANNED_RESET,
    };
    struct bed b;
    (void)state;
    open_bed(&b, denied, 1, replies, 3);
    assert_int_equal(ask(&b, NULL), LABEL_UNKNOWN);
    assert_non_null(strstr(b.label.evidence, " says by get_load_state: label l1 of database d is "
                                             "UNKNOWN"));
    assert_int_equal(ask(&b, NULL), LABEL_UNREACHABLE);
    assert_non_null(strstr(b.label.evidence, "nobody answered for label l1 of database d: "));
    close_bed(&b);
}

/* Label and row, one after the other, when both have told something. */
static void test_the_evidence_of_label_and_row(void **state)
{
    static const struct script_rule both[] = {
        {"SHOW TRANSACTION", SAYS_ERR, UNKNOWN, 1105},
        {"sluice_offsets", SAYS_ROWS, ROW_OF_R1, 0},
    };
    static const struct script_rule of_row[] = {
        {"SHOW TRANSACTION", SAYS_ERR, "Access denied for user", 1044},
        {"sluice_offsets", SAYS_ROWS, ROW_OF_R1, 0},
    };
    struct bed b;
    (void)state;
    open_bed(&b, both, 2, NULL, 0);
    assert_int_equal(ask(&b, &row), LABEL_VISIBLE);
    assert_non_null(strstr(b.label.evidence,
                           "does not exist (never begun, or forgotten); d.`sluice_offsets` has the "
                           "row of task 1 of job 7"));
    close_bed(&b);
    /* Read so that nothing which is visible somewhere can be missed. */
    assert_int_equal(script_heard(&b.fe, "SET enable_strong_consistency_read = true"), 1);
    assert_int_equal(script_heard(&b.fe, "SET skip_missing_version = false"), 1);
    assert_int_equal(script_heard(&b.fe, "SET skip_bad_tablet = false"), 1);
    open_bed(&b, of_row, 2, NULL, 0);
    assert_int_equal(ask(&b, &row), LABEL_VISIBLE);
    assert_string_equal(b.label.evidence, "d.`sluice_offsets` has the row of task 1 of job 7");
    close_bed(&b);
}

/*
 * --- loads in a transaction
 * ---------------------------------------------------------------------
 */

#define SQL       "INSERT INTO `d`.`t` SELECT 1"
#define INFO(how) "{'label':'l1', 'status':'" how "', 'txnId':'12'}"
#define BEGUN                                                                                      \
    {                                                                                              \
        "BEGIN", SAYS_OK, INFO("PREPARE"), 0                                                       \
    }

static enum load_result load(struct bed *b, const struct offset_row *of)
{
    struct spec_prop guarantee = {.key = (char *)"guarantee", .value = (char *)"transactional"};
    struct job_spec spec = {
        .props = &guarantee,
        .n_props = 1,
        .insert = {.target_db = (char *)"d", .target_table = (char *)"t"},
    };
    struct load_request request = {
        .spec = &spec,
        .label = "l1",
        .sql = SQL,
        .row = *of,
        .timeout_s = 10,
        .deadline_us = clock_mono_us() + 20000000,
    };
    load_report_fini(&b->load);
    b->err = (struct err){0};
    return insert_sink_ops.load(b->sink, &request, &b->load, &b->err);
}

/* What a refusal tells of the rows is what the search for bad files and jobs() live on. */
static void test_bad_rows_in_a_transaction(void **state)
{
    static const struct script_rule rules[] = {
        BEGUN,
        {"INTO `d`.`t`", SAYS_ERR,
         CODE "Insert has filtered data in strict mode. first_error_msg: bad row 3. url: "
              "http://be/e",
         1105},
    };
    struct bed b;
    (void)state;
    open_bed(&b, rules, 2, NULL, 0);
    assert_int_equal(load(&b, &row), LOAD_REFUSED);
    assert_true(b.load.is_data_error);
    assert_non_null(b.load.tracking_url);
    assert_string_equal(b.load.tracking_url, "http://be/e");
    assert_non_null(b.load.first_error);
    assert_non_null(strstr(b.load.first_error, "bad row 3"));
    close_bed(&b);
    assert_int_equal(script_heard(&b.fe, "ROLLBACK"), 1);
    assert_int_equal(script_heard(&b.fe, "COMMIT"), 0);
}

#define ROW(affected)                                                                              \
    {                                                                                              \
        "sluice_offsets", SAYS_OK, INFO("PREPARE"), affected                                       \
    }

/*
 * Proved empty by the FE's planner, the data's INSERT begins nothing: the range has its row all
 * the same.
 */
static void test_an_empty_range_in_a_transaction(void **state)
{
    static const struct script_rule empty[] = {
        BEGUN,
        {"INTO `d`.`t`", SAYS_OK, NULL, 0},
        ROW(1),
        {"COMMIT", SAYS_OK, INFO("VISIBLE"), 0},
    };
    static const struct script_rule rows_without_outcome[] = {
        BEGUN,
        {"INTO `d`.`t`", SAYS_OK, NULL, 1},
        ROW(1),
    };
    struct bed b;
    (void)state;
    open_bed(&b, empty, 4, NULL, 0);
    assert_int_equal(load(&b, &row), LOAD_VISIBLE);
    assert_int_equal(b.load.stat.scanned_rows, 0);
    close_bed(&b);
    assert_int_equal(script_heard(&b.fe, "sluice_offsets"), 1);
    assert_int_equal(script_heard(&b.fe, "ROLLBACK"), 0);
    open_bed(&b, rows_without_outcome, 3, NULL, 0);
    assert_int_equal(load(&b, &row), LOAD_ROLLED_BACK);
    close_bed(&b);
    assert_int_equal(script_heard(&b.fe, "COMMIT"), 0);
}

/*
 * Whose COMMIT was answered by nonsense may be in a transaction still: no other load gets its
 * link.
 */
static void test_a_link_that_talks_nonsense_is_not_used_again(void **state)
{
    static const struct script_rule rules[] = {
        BEGUN,
        {"INTO `d`.`t`", SAYS_OK, INFO("PREPARE"), 1},
        ROW(1),
        {"COMMIT", SAYS_OK, INFO("PREPARE"), 0},
    };
    struct bed b;
    (void)state;
    open_bed(&b, rules, 4, NULL, 0);
    assert_int_equal(load(&b, &row), LOAD_LOST);
    assert_int_equal(load(&b, &row), LOAD_LOST);
    close_bed(&b);
    assert_int_equal(b.fe.n_links, 2);
}

/* tasks() shows the transaction that COMMIT names, or else the one that the INSERT did. */
static void test_the_number_of_the_transaction(void **state)
{
    static const struct {
        const char *commit;
        const char *shown;
    } cases[] = {
        {"{'label':'l1', 'status':'VISIBLE', 'txnId':'13'}", "13"},
        {"{'label':'l1', 'status':'VISIBLE', 'txnId':''}", "12"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct script_rule rules[] = {
            BEGUN,
            {"INTO `d`.`t`", SAYS_OK, INFO("PREPARE"), 1},
            ROW(1),
            {"COMMIT", SAYS_OK, cases[i].commit, 0},
        };
        struct bed b;
        open_bed(&b, rules, 4, NULL, 0);
        assert_int_equal(load(&b, &row), LOAD_VISIBLE);
        assert_string_equal(b.load.txn_id, cases[i].shown);
        close_bed(&b);
    }
}

/* Every thousandth task tidies up behind itself; that it may not is no one's matter. */
static void test_old_rows_are_tidied_up(void **state)
{
    static const struct script_rule rules[] = {
        {"DELETE", SAYS_ERR, "DELETE command denied to user 'loader'", 1142},
        BEGUN,
        {"INTO `d`.`t`", SAYS_OK, INFO("PREPARE"), 1},
        ROW(1),
        {"COMMIT", SAYS_OK, INFO("VISIBLE"), 0},
    };
    struct offset_row of = row;
    struct bed b;
    (void)state;
    open_bed(&b, rules, 5, NULL, 0);
    for (of.task_id = 1999; of.task_id <= 2001; of.task_id++) {
        assert_int_equal(load(&b, &of), LOAD_VISIBLE);
    }
    close_bed(&b);
    assert_int_equal(script_heard(&b.fe, "DELETE FROM `d`.`sluice_offsets`"), 1);
    assert_int_equal(script_heard(&b.fe, "`task_id` < 1000"), 1);
}

/* --- CREATE JOB ------------------------------------------------------------------------------- */

static bool is_accepted(const struct script_rule *rules, size_t n, const char *words)
{
    struct spec_prop guarantee = {.key = (char *)"guarantee", .value = (char *)"transactional"};
    const struct job_spec spec = {
        .props = &guarantee,
        .n_props = 1,
        .insert = {.target_db = (char *)"d", .target_table = (char *)"t"},
    };
    struct fe_traits traits = {0};
    struct bed b;
    open_bed(&b, rules, n, NULL, 0);
    bool is_ok = insert_sink_ops.check(b.sink, &spec, NULL, clock_mono_us() + 20000000, NULL,
                                       &traits, &b.err);
    if (!is_ok && strstr(b.err.msg, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, b.err.msg);
    }
    close_bed(&b);
    return is_ok;
}

/* A job whose row could not be written, or not be found again, is refused and told what to do. */
static void test_a_job_needs_its_offset_table(void **state)
{
    static const struct script_rule not_made[] = {
        {"version_comment", SAYS_ROWS, "c\nDoris version doris-3.0.4-rc02\n", 0},
        {"CREATE TABLE IF", SAYS_ERR, "CREATE command denied to user 'loader'", 1142},
        {"sluice_offsets", SAYS_ERR, CODE "Unknown table 'sluice_offsets'", 1105},
    };
    static const struct script_rule made_and_gone[] = {
        {"version_comment", SAYS_ROWS, "c\nDoris version doris-3.0.4-rc02\n", 0},
        {"CREATE TABLE IF", SAYS_OK, NULL, 0},
        {"sluice_offsets", SAYS_ERR, CODE "Unknown table 'sluice_offsets'", 1105},
    };
    static const struct script_rule not_written[] = {
        {"version_comment", SAYS_ROWS, "c\nDoris version doris-3.0.4-rc02\n", 0},
        {"INSERT INTO `d`.`sluice_offsets`", SAYS_ERR, "LOAD command denied to user", 1142},
        {"sluice_offsets", SAYS_ROWS, "n|low|high\n0|-|-\n", 0},
    };
    (void)state;
    assert_false(is_accepted(not_made, 3, "CREATE TABLE IF NOT EXISTS"));
    assert_false(is_accepted(made_and_gone, 3, "Unknown table"));
    assert_false(is_accepted(not_written, 3, "GRANT LOAD_PRIV, SELECT_PRIV"));
}

/* LOAD on another table is none on the target; an FE of unknown version is tried, not refused. */
static void test_a_job_needs_load_on_its_target(void **state)
{
    static const struct script_rule rules[] = {
        {"SHOW GRANTS", SAYS_ROWS,
         "UserIdentity|GlobalPrivs|TablePrivs\n'loader'@'%'|-|internal.d.other: Load_priv\n", 0},
    };
    (void)state;
    assert_false(is_accepted(rules, 1, "has no LOAD on table `d`.`t`"));
    assert_true(insert_check_has_transactions(0));
    assert_false(insert_check_has_transactions(2001));
    assert_true(insert_check_has_transactions(3000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aborted_without_an_answer_about_the_row),
        cmocka_unit_test(test_how_many_transactions_are_remembered),
        cmocka_unit_test(test_the_evidence_names_its_source),
        cmocka_unit_test(test_the_evidence_of_label_and_row),
        cmocka_unit_test(test_bad_rows_in_a_transaction),
        cmocka_unit_test(test_an_empty_range_in_a_transaction),
        cmocka_unit_test(test_a_link_that_talks_nonsense_is_not_used_again),
        cmocka_unit_test(test_the_number_of_the_transaction),
        cmocka_unit_test(test_old_rows_are_tidied_up),
        cmocka_unit_test(test_a_job_needs_its_offset_table),
        cmocka_unit_test(test_a_job_needs_load_on_its_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
