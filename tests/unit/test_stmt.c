/*
 * Verdicts over whole statements: what is the FE's, and what was meant for us but is wrong, with the
 * exact text the user reads. What is ours and right is in test_stmt_ours.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "parser/stmt.h"

static enum stmt_verdict verdict_of(struct span text, struct err *err)
{
    struct stmt s;
    enum stmt_verdict verdict = stmt_parse(text, &s, err);
    if (verdict == STMT_OURS) {
        stmt_fini(&s);
    }
    return verdict;
}

static const char *const FOREIGN[] = {
    "select 1",
    "SELECT 'jobs(\"type\"=\"insert\")'",
    "select \"jobs('type'='insert')\", `jobs(\"type\"=\"insert\")` from t",
    "select 1 -- from jobs(\"type\"=\"insert\")",
    "select 1 /* from jobs(\"type\"=\"insert\") */",
    "select 1 # from jobs(\"type\"=\"insert\")",
    "select * from jobs",
    "select * from jobs j where j.a = 1",
    "select * from db.jobs(\"type\"=\"insert\")",
    "select jobs(\"type\"=\"insert\")",
    "select myjobs(\"type\"=\"insert\") from t",
    "select * from myjobs(\"type\"=\"insert\")",
    "select * from jobs(\"type\"=\"mv\")",
    "select * from TASKS('TYPE' = 'MV') where 1 = 1",
    "select * from jobs(\"type\"=\"mtmv\", \"x\"=\"y\")",
    "select * from t join jobs(\"type\"=\"mv\") on 1 = 1",
    "with jobs(a) as (select 1) select * from jobs",
    "with x as (select * from jobs(\"type\"=\"insert\")) insert into t select * from x",
    "with x as (select 1) update t set a = (select 1 from jobs(\"type\"=\"insert\"))",
    "insert into x select * from jobs(\"type\"=\"mv\")",
    "insert into x values (1, 'select * from jobs(\"type\"=\"insert\")')",
    "insert into jobs(a, b) values (1, 2)",
    "create view v as select * from jobs(\"type\"=\"insert\")",
    "create table t as select * from tasks(\"type\"=\"mv\")",
    "explain select * from jobs(\"type\"=\"mv\")",
    "desc function jobs(\"type\"=\"insert\")",
    "show create table jobs",
    "create table job (a int)",
    "CREATE JOB j ON SCHEDULE EVERY 1 MINUTE DO INSERT INTO t SELECT 1",
    "create job j on schedule at '2030-01-01 00:00:00' do insert into t values (1)",
    "CREATE JOB a+b ON SCHEDULE EVERY 1 MINUTE DO INSERT INTO t SELECT 1",
    "CREATE JOB j COMMENT ON SCHEDULE EVERY 1 MINUTE DO INSERT INTO t SELECT 'ON STREAMING'",
    "CREATE JOB j ON STREAMING FROM MYSQL (\"jdbc_url\" = \"x\") TO DATABASE d (\"a\" = \"b\")",
    "CREATE JOB j PROPERTIES (\"a\"=\"b\") ON STREAMING COMMENT 'c' FROM POSTGRES () TO DATABASE d",
    "ALTER JOB j FROM MYSQL (\"password\" = \"x\") TO DATABASE d",
    "ALTER JOB j PROPERTIES (\"a\" = \"b\") FROM POSTGRES () TO DATABASE d (\"a\" = \"b\")",
    "ALTER JOB j ON SCHEDULE EVERY 1 MINUTE DO INSERT INTO t SELECT 1",
    "alter table job add column a int",
    "PAUSE MATERIALIZED VIEW JOB ON mv",
    "RESUME ROUTINE LOAD FOR x",
    "pause jobs where jobName = 'n'",
    "drop table job",
    "drop jobs",
    "CANCEL LOAD WHERE label = 'task'",
    "explain create table job (a int)",
    "EXPLAIN CREATE JOB j ON SCHEDULE EVERY 1 MINUTE DO INSERT INTO t SELECT 1",
    "desc job",
    "desc job all",
    "describe job partition (p)",
    "desc job a b",
    "show create job_table",
    "show job",
    "show job tasks for j",
    "PAUSE ALL",
    "job",
    "/* PAUSE JOB WHERE jobName = 'n' */",
    "'PAUSE JOB WHERE jobName = ''n'''",
    "select 'a",
    "select * from t where a = 'jobs(",
    "with",
    "(select 1) union (select 2)",
    "select 1; select 2",
    "insert into t values ('; pause job where x'); select 1",
    "insert into t values (';create job j'), (\";select * from jobs(1)\");",
    "select 1; -- pause job where jobName = 'n'",
    "select 1; /* ; pause job */ drop table t",
    "insert into t values (1); create view v as select * from jobs(\"type\"=\"insert\")",
    "select `;`, \";pause job\"; alter table t rename x;",
    "set @a = 'tasks(\"type\"=\"insert\")'; select @a",
    ";",
    "-- only a comment",
    "use jobs",
    "kill 5",
    "begin",
    "call jobs(\"type\"=\"insert\")",
    "lock tables job read",
    "",
};

static void test_foreign(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(FOREIGN); i++) {
        struct err err = {0};
        if (verdict_of(span_of(FOREIGN[i]), &err) != STMT_FOREIGN) {
            fail_msg("not foreign: %s (%s)", FOREIGN[i], err.msg);
        }
        assert_false(err_is_set(&err));
    }
    assert_int_equal(verdict_of((struct span){NULL, 0}, &(struct err){0}), STMT_FOREIGN);
}

static const char CREATE_SHAPE[] = "Write CREATE JOB name [PROPERTIES (...)] ON STREAMING [COMMENT "
                                   "'...'] DO INSERT INTO table SELECT ... FROM S3(...).";
static const char INSERT_SHAPE[] = "A streaming job runs INSERT INTO [db.]table [(columns)] SELECT "
                                   "... FROM one table function such as S3(...).";
static const char PROPS_SHAPE[] =
    "Write properties as (\"key\" = \"value\", ...), each key and value in quotes.";
static const char PAUSE_SHAPE[] = "Write PAUSE JOB WHERE jobName = 'name'.";
static const char DROP_SHAPE[] = "Write DROP JOB [IF EXISTS] WHERE jobName = 'name'.";
static const char RESOLVE_SHAPE[] =
    "Write ALTER JOB name RESOLVE TASK id AS COMMITTED or ... AS ABORTED.";
static const char VIEW_SHAPE[] = "Write jobs(\"type\"=\"insert\") or tasks(\"type\"=\"insert\").";
static const char TABLE_SHAPE[] = "Name a table or table function behind FROM, JOIN or the comma.";
static const char CLOSE_STRING[] = "Close the string with the quote it began with.";
static const char ONE_SOURCE[] =
    "Keep one table function and load from the others in jobs of their own.";

#define INTO_T  "CREATE JOB j ON STREAMING DO INSERT INTO t "
#define FROM_S3 "SELECT * FROM S3(\"uri\"=\"u\")"
#define A_VIEW  "select * from jobs(\"type\"=\"insert\")"

static const struct {
    const char *sql;
    const char *what; /* with its position */
    const char *advice;
} BAD[] = {
    {"CREATE JOB", "mismatched input '<EOF>' expecting a job name(line 1, pos 10)", CREATE_SHAPE},
    {"CREATE JOB j",
     "mismatched input '<EOF>' expecting {'PROPERTIES', 'COMMENT', 'ON'}(line 1, pos 12)",
     CREATE_SHAPE},
    {"CREATE JOB a+b ON STREAMING DO INSERT INTO t " FROM_S3,
     "mismatched input '+' expecting {'PROPERTIES', 'COMMENT', 'ON'}(line 1, pos 12)",
     CREATE_SHAPE},
    {"CREATE JOB my-job ON STREAMING DO INSERT INTO t " FROM_S3,
     "Possibly unquoted identifier my-... detected(line 1, pos 11)",
     "Quote the whole name with back-quotes."},
    {"CREATE JOB 12 ON STREAMING DO INSERT INTO t " FROM_S3,
     "mismatched input '12' expecting a job name(line 1, pos 11)", CREATE_SHAPE},
    {"CREATE JOB 'j' ON STREAMING DO INSERT INTO t " FROM_S3,
     "mismatched input ''j'' expecting a job name(line 1, pos 11)",
     ("CREATE and ALTER take the name bare or in back-quotes; PAUSE, RESUME and DROP take it as a "
      "string.")},
    {"CREATE JOB `` ON STREAMING DO INSERT INTO t " FROM_S3,
     "Job name can not be empty(line 1, pos 11)", "Give the job a name."},
    {"CREATE JOB ON STREAMING DO INSERT INTO t " FROM_S3,
     "mismatched input 'ON' expecting a job name(line 1, pos 11)", CREATE_SHAPE},
    {"CREATE JOB PROPERTIES(\"a\"=\"b\") ON STREAMING DO INSERT INTO t " FROM_S3,
     "mismatched input 'PROPERTIES' expecting a job name(line 1, pos 11)", CREATE_SHAPE},
    {"CREATE JOB a.b.c.d ON STREAMING DO INSERT INTO t SELECT 1",
     "mismatched input 'd' expecting at most three names joined by '.'(line 1, pos 17)",
     CREATE_SHAPE},
    {"CREATE JOB a. ON STREAMING DO INSERT INTO t SELECT 1",
     "mismatched input 'ON' expecting a job name(line 1, pos 14)", CREATE_SHAPE},
    {"CREATE JOB IF EXISTS j ON STREAMING DO INSERT INTO t SELECT 1",
     "mismatched input 'EXISTS' expecting 'NOT'(line 1, pos 14)", CREATE_SHAPE},
    {"CREATE JOB `j ON STREAMING DO INSERT INTO t SELECT 1",
     "Unclosed quoted identifier(line 1, pos 11)", "Close the name with a back-quote."},
    {"CREATE JOB j ON",
     "mismatched input '<EOF>' expecting {'STREAMING', 'SCHEDULE'}(line 1, pos 15)", CREATE_SHAPE},
    {"CREATE JOB j ON STREAM DO INSERT INTO t SELECT 1",
     "mismatched input 'STREAM' expecting {'STREAMING', 'SCHEDULE'}(line 1, pos 16)", CREATE_SHAPE},
    {"CREATE JOB j DO INSERT INTO t " FROM_S3,
     "mismatched input 'DO' expecting {'PROPERTIES', 'COMMENT', 'ON'}(line 1, pos 13)",
     CREATE_SHAPE},
    {"CREATE JOB j STREAMING DO INSERT INTO t " FROM_S3,
     "mismatched input 'STREAMING' expecting {'PROPERTIES', 'COMMENT', 'ON'}(line 1, pos 13)",
     CREATE_SHAPE},
    {"CREATE JOB j ON STREAMING",
     "mismatched input '<EOF>' expecting {'PROPERTIES', 'COMMENT', 'DO'}(line 1, pos 25)",
     CREATE_SHAPE},
    {"CREATE JOB j ON STREAMING INSERT INTO t " FROM_S3,
     "mismatched input 'INSERT' expecting {'PROPERTIES', 'COMMENT', 'DO'}(line 1, pos 26)",
     CREATE_SHAPE},
    {"CREATE JOB j ON STREAMING COMMENT DO INSERT INTO t SELECT 1",
     "mismatched input 'DO' expecting STRING_LITERAL(line 1, pos 34)", "Write COMMENT 'text'."},
    {"CREATE JOB j COMMENT 'a' ON STREAMING COMMENT 'b' DO INSERT INTO t SELECT 1",
     "COMMENT is given twice(line 1, pos 38)", "Give one COMMENT."},
    {"CREATE JOB j PROPERTIES \"a\"=\"b\" ON STREAMING DO INSERT INTO t SELECT 1",
     "mismatched input '\"a\"' expecting '('(line 1, pos 24)", PROPS_SHAPE},
    {"CREATE JOB j PROPERTIES (\"a\"=\"b\",) ON STREAMING DO INSERT INTO t SELECT 1",
     "mismatched input ')' expecting a property key(line 1, pos 33)", PROPS_SHAPE},
    {"CREATE JOB j PROPERTIES (\"a\"=\"b\" \"c\"=\"d\") ON STREAMING DO INSERT INTO t SELECT 1",
     "mismatched input: a string, expecting {',', ')'}(line 1, pos 33)", PROPS_SHAPE},
    {"CREATE JOB j PROPERTIES (\"s3.secret_key\" \"hidden\") ON STREAMING DO INSERT INTO t SELECT "
     "1",
     "mismatched input: a string, expecting '='(line 1, pos 41)", PROPS_SHAPE},
    {"CREATE JOB j PROPERTIES (\"password\"=hid den) ON STREAMING DO INSERT INTO t SELECT 1",
     "mismatched input: a word, expecting {',', ')'}(line 1, pos 40)", PROPS_SHAPE},
    {"CREATE JOB j PROPERTIES (s3.max_batch_files=1) ON STREAMING DO INSERT INTO t SELECT 1",
     "mismatched input '.' expecting '='(line 1, pos 27)", PROPS_SHAPE},
    {"CREATE JOB j PROPERTIES (\"a\"=) ON STREAMING DO INSERT INTO t SELECT 1",
     "mismatched input ')' expecting a property value(line 1, pos 29)", PROPS_SHAPE},
    {"CREATE JOB j PROPERTIES (\"a\"=-x) ON STREAMING DO INSERT INTO t SELECT 1",
     "mismatched input: a word, expecting a property value(line 1, pos 30)", PROPS_SHAPE},
    {"CREATE JOB j PROPERTIES (\"a\"=\"1\", 'A'=\"2\") ON STREAMING DO INSERT INTO t SELECT 1",
     "Multiple entries with same key: 'A'(line 1, pos 34)", "Give each property once."},
    {"CREATE JOB j PROPERTIES (\"a\"=\"1\") ON STREAMING PROPERTIES (\"a\"=\"1\") DO INSERT INTO t "
     "SELECT 1",
     "Multiple entries with same key: \"a\"(line 1, pos 59)", "Give each property once."},
    {"CREATE JOB j PROPERTIES (\"a\"=\"b\\0c\") ON STREAMING DO INSERT INTO t SELECT 1",
     "the property value contains a NUL byte(line 1, pos 29)", "Write it without NUL."},
    {"CREATE JOB j PROPERTIES (\"a\"=\"b ON STREAMING DO INSERT INTO t SELECT 1",
     "Unclosed string literal(line 1, pos 29)", CLOSE_STRING},
    {"CREATE JOB j ON STREAMING /* DO INSERT INTO t SELECT 1",
     "Unclosed bracketed comment(line 1, pos 26)", "Close it with */."},
    {"CREATE JOB j ON STREAMING DO", "mismatched input '<EOF>' expecting 'INSERT'(line 1, pos 28)",
     INSERT_SHAPE},
    {"CREATE JOB j ON STREAMING DO SELECT 1",
     "Only support insert command, not 'SELECT'(line 1, pos 29)", INSERT_SHAPE},
    {"CREATE JOB j ON STREAMING DO UPDATE t SET a = 1",
     "Only support insert command, not 'UPDATE'(line 1, pos 29)", INSERT_SHAPE},
    {"CREATE JOB j ON STREAMING DO EXPLAIN INSERT INTO t SELECT 1",
     "Only support insert command, not 'EXPLAIN'(line 1, pos 29)", INSERT_SHAPE},
    {"CREATE JOB j ON STREAMING DO INSERT OVERWRITE TABLE t " FROM_S3,
     "Only support insert command, not INSERT OVERWRITE(line 1, pos 36)",
     "It would replace the rows of earlier tasks: use INSERT INTO."},
    {"CREATE JOB j ON STREAMING DO INSERT t " FROM_S3,
     "mismatched input 't' expecting 'INTO'(line 1, pos 36)", INSERT_SHAPE},
    {"CREATE JOB j ON STREAMING DO INSERT INTO",
     "mismatched input '<EOF>' expecting a table name(line 1, pos 40)", INSERT_SHAPE},
    {"CREATE JOB j ON STREAMING DO INSERT INTO " FROM_S3,
     "mismatched input 'SELECT' expecting a table name(line 1, pos 41)", INSERT_SHAPE},
    {"CREATE JOB j ON STREAMING DO INSERT INTO `` " FROM_S3,
     "mismatched input '``' expecting a table name(line 1, pos 41)", INSERT_SHAPE},
    {"CREATE JOB j ON STREAMING DO INSERT INTO a.b.c.d " FROM_S3,
     "mismatched input 'd' expecting at most three names joined by '.'(line 1, pos 47)",
     INSERT_SHAPE},
    {"CREATE JOB j ON STREAMING DO INSERT INTO my-table " FROM_S3,
     "Possibly unquoted identifier my-... detected(line 1, pos 41)",
     "Quote the whole name with back-quotes."},
    {"CREATE JOB j ON STREAMING DO INSERT INTO t",
     "mismatched input '<EOF>' expecting {'SELECT', 'WITH', '('}(line 1, pos 42)", INSERT_SHAPE},
    {INTO_T "(a,) " FROM_S3, "mismatched input ')' expecting a name(line 1, pos 46)",
     "List names separated by commas."},
    {INTO_T "(a b) " FROM_S3, "mismatched input 'b' expecting ')'(line 1, pos 46)",
     "List names separated by commas."},
    {INTO_T "PARTITION " FROM_S3,
     "mismatched input 'SELECT' expecting a partition name(line 1, pos 53)",
     "Write PARTITION (p1, p2) behind the table."},
    {INTO_T "TEMPORARY " FROM_S3,
     "mismatched input 'SELECT' expecting {'PARTITION', 'PARTITIONS'}(line 1, pos 53)",
     "Write PARTITION (p1, p2) behind the table."},
    {INTO_T "WITH LABEL " FROM_S3, "mismatched input 'SELECT' expecting a label(line 1, pos 54)",
     "Write WITH LABEL `label`; sluice puts its own in its place."},
    {INTO_T "(a) WITH LABEL l " FROM_S3,
     "mismatched input 'WITH' expecting {'SELECT', '['}: WITH LABEL is in the wrong place(line 1, "
     "pos 47)",
     "Write it between the table and the column list."},
    {INTO_T "FROM S3(\"uri\"=\"u\")",
     "mismatched input 'FROM' expecting {'SELECT', 'WITH', '('}(line 1, pos 43)", INSERT_SHAPE},
    {INTO_T "VALUES (1)",
     "The query of an insert streaming job reads no table function(line 1, pos 43)", INSERT_SHAPE},
    {INTO_T "SELECT 1",
     "The query of an insert streaming job reads no table function(line 1, pos 43)", INSERT_SHAPE},
    {INTO_T "SELECT * FROM t2, t3",
     "The query of an insert streaming job reads no table function(line 1, pos 43)", INSERT_SHAPE},
    {INTO_T FROM_S3 " a JOIN S3(\"uri\"=\"v\") b ON 1 = 1",
     "Only support one source in insert streaming job(line 1, pos 78)", ONE_SOURCE},
    {INTO_T FROM_S3 " WHERE a IN (SELECT b FROM numbers(\"number\"=\"1\"))",
     "Only support one source in insert streaming job(line 1, pos 97)", ONE_SOURCE},
    {INTO_T "SELECT * FROM d.S3(\"uri\"=\"u\")",
     "A table function has no database before it(line 1, pos 57)", INSERT_SHAPE},
    {INTO_T "SELECT * FROM",
     "mismatched input '<EOF>' expecting a table or table function(line 1, pos 56)", TABLE_SHAPE},
    {INTO_T "SELECT * FROM WHERE a = 1",
     "mismatched input 'WHERE' expecting a table or table function(line 1, pos 57)", TABLE_SHAPE},
    {INTO_T FROM_S3 ",",
     "mismatched input '<EOF>' expecting a table or table function(line 1, pos 71)", TABLE_SHAPE},
    {INTO_T "SELECT * FROM S3(\"uri\")", "mismatched input ')' expecting '='(line 1, pos 65)",
     PROPS_SHAPE},
    {INTO_T "SELECT * FROM S3(\"uri\"=\"u\"",
     "mismatched input '<EOF>' expecting {',', ')'}(line 1, pos 69)", PROPS_SHAPE},
    {INTO_T "(" FROM_S3, "mismatched input '<EOF>' expecting ')'(line 1, pos 71)",
     "Close every parenthesis."},
    {INTO_T FROM_S3 ")", "mismatched input ')' expecting <EOF>(line 1, pos 70)",
     "Open every parenthesis that is closed."},
    {INTO_T FROM_S3 " WHERE a = 'x", "Unclosed string literal(line 1, pos 81)", CLOSE_STRING},
    {"CREATE JOB j ON STREAMING DO WITH x AS (SELECT 1) SELECT * FROM x",
     "Only support insert command, not 'SELECT'(line 1, pos 50)", INSERT_SHAPE},
    {"CREATE JOB j ON STREAMING DO WITH x AS (SELECT 1)",
     "mismatched input '<EOF>' expecting 'INSERT'(line 1, pos 49)", INSERT_SHAPE},
    {"PAUSE JOB", "mismatched input '<EOF>' expecting 'WHERE'(line 1, pos 9)", PAUSE_SHAPE},
    {"PAUSE JOB n", "mismatched input 'n' expecting 'WHERE'(line 1, pos 10)", PAUSE_SHAPE},
    {"PAUSE JOB FOR 'n'", "mismatched input 'FOR' expecting 'WHERE'(line 1, pos 10)", PAUSE_SHAPE},
    {"PAUSE JOB WHERE", "mismatched input '<EOF>' expecting 'jobName'(line 1, pos 15)",
     PAUSE_SHAPE},
    {"PAUSE JOB WHERE id = 'n'", "Current not support left child of where: id(line 1, pos 16)",
     PAUSE_SHAPE},
    {"PAUSE JOB WHERE jobName", "mismatched input '<EOF>' expecting '='(line 1, pos 23)",
     PAUSE_SHAPE},
    {"PAUSE JOB WHERE jobName > 'n'", "mismatched input '>' expecting '='(line 1, pos 24)",
     PAUSE_SHAPE},
    {"PAUSE JOB WHERE jobName = n", "Value must is string, but it is n(line 1, pos 26)",
     PAUSE_SHAPE},
    {"PAUSE JOB WHERE jobName = 5", "Value must is string, but it is 5(line 1, pos 26)",
     PAUSE_SHAPE},
    {"PAUSE JOB WHERE jobName =",
     "mismatched input '<EOF>' expecting STRING_LITERAL(line 1, pos 25)", PAUSE_SHAPE},
    {"PAUSE JOB WHERE jobName = ''", "Value can't is null(line 1, pos 26)", PAUSE_SHAPE},
    {"PAUSE JOB WHERE jobName = 'n", "Unclosed string literal(line 1, pos 26)", CLOSE_STRING},
    {"PAUSE JOB WHERE jobName = 'n' AND 1 = 1",
     "mismatched input 'AND' expecting <EOF>(line 1, pos 30)", PAUSE_SHAPE},
    {"PAUSE JOB IF EXISTS WHERE jobName = 'n'",
     "mismatched input 'IF' expecting 'WHERE'(line 1, pos 10)", PAUSE_SHAPE},
    {"RESUME JOB 'n'", "mismatched input ''n'' expecting 'WHERE'(line 1, pos 11)",
     "Write RESUME JOB WHERE jobName = 'name'."},
    {"DROP JOB n", "mismatched input 'n' expecting {'IF', 'WHERE'}(line 1, pos 9)", DROP_SHAPE},
    {"DROP JOB IF EXISTS 'n'", "mismatched input ''n'' expecting 'WHERE'(line 1, pos 19)",
     DROP_SHAPE},
    {"DROP JOB IF WHERE jobName = 'n'",
     "mismatched input 'WHERE' expecting 'EXISTS'(line 1, pos 12)", DROP_SHAPE},
    {"ALTER JOB n RESOLVE", "mismatched input '<EOF>' expecting 'TASK'(line 1, pos 19)",
     RESOLVE_SHAPE},
    {"ALTER JOB n RESOLVE TASK x AS COMMITTED",
     "mismatched input 'x' expecting INTEGER_VALUE(line 1, pos 25)", RESOLVE_SHAPE},
    {"ALTER JOB n RESOLVE TASK 0 AS COMMITTED", "0 is no task id(line 1, pos 25)",
     "Take the TaskId from tasks(\"type\"=\"insert\")."},
    {"ALTER JOB n RESOLVE TASK 9223372036854775808 AS COMMITTED",
     "9223372036854775808 is no task id(line 1, pos 25)",
     "Take the TaskId from tasks(\"type\"=\"insert\")."},
    {"ALTER JOB n RESOLVE TASK 7", "mismatched input '<EOF>' expecting 'AS'(line 1, pos 26)",
     RESOLVE_SHAPE},
    {"ALTER JOB n RESOLVE TASK 7 AS DONE",
     "mismatched input 'DONE' expecting {'COMMITTED', 'ABORTED'}(line 1, pos 30)", RESOLVE_SHAPE},
    {"ALTER JOB n RESOLVE TASK 7 AS ABORTED x",
     "mismatched input 'x' expecting <EOF>(line 1, pos 38)", RESOLVE_SHAPE},
    {"select * from jobs()", "Invalid job metadata query(line 1, pos 14)", VIEW_SHAPE},
    {"select * from tasks()", "Invalid task metadata query(line 1, pos 14)", VIEW_SHAPE},
    {"select * from jobs(\"foo\"=\"insert\")", "'foo' is invalid property(line 1, pos 14)",
     VIEW_SHAPE},
    {"select * from jobs(\"type\"=\"insert\", \"x\"=\"y\")",
     "'x' is invalid property(line 1, pos 14)", VIEW_SHAPE},
    {"select * from jobs(insert)", "mismatched input ')' expecting '='(line 1, pos 25)",
     PROPS_SHAPE},
    {"select * from jobs(\"type\"=\"insert\"",
     "mismatched input '<EOF>' expecting {',', ')'}(line 1, pos 34)", PROPS_SHAPE},
    {A_VIEW ",", "mismatched input '<EOF>' expecting a table or table function(line 1, pos 36)",
     TABLE_SHAPE},
    {A_VIEW " where (a = 1", "mismatched input '<EOF>' expecting ')'(line 1, pos 48)",
     "Close every parenthesis."},
    {A_VIEW " where a = 1)", "mismatched input ')' expecting <EOF>(line 1, pos 47)",
     "Open every parenthesis that is closed."},
    {A_VIEW " where a = 'x", "Unclosed string literal(line 1, pos 46)", CLOSE_STRING},
};

/* Several statements, one of them ours or wrong. */
static const char *const SCRIPTS[] = {
    "select 1; pause job where jobName = 'x'",
    "pause job where jobName = 'x'; pause job where jobName = 'y'",
    "select 1; " A_VIEW,
    A_VIEW "; select 1;",
    "insert into t values (1); /* x */ resume job where jobName = 'x'",
    "select 1; /* x */ ; pause job n",
    "pause job n; select 1",
};

static void test_script(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(SCRIPTS); i++) {
        struct err err = {0};
        if (verdict_of(span_of(SCRIPTS[i]), &err) != STMT_SCRIPT) {
            fail_msg("no script: %s", SCRIPTS[i]);
        }
        assert_int_equal(err.code, 0);
    }
}

/* The place of an error counts from the start of the whole text. */
static void test_part(void **state)
{
    (void)state;
    static const char TEXT[] = "select 1;\npause job n; select 2";
    struct err err = {0};
    struct stmt s;
    struct span part = {TEXT + 10, 11};
    assert_int_equal(stmt_parse_part(SPAN_LIT(TEXT), part, &s, &err), STMT_BAD);
    assert_non_null(strstr(err.msg, "mismatched input 'n' expecting 'WHERE'(line 2, pos 10)"));
    assert_true(stmt_claims(part));
    assert_false(stmt_claims((struct span){TEXT, 8}));
    part = SPAN_LIT("pause job where jobName = 'x'");
    assert_int_equal(stmt_parse_part(part, part, &s, &err), STMT_OURS);
    stmt_fini(&s);
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
        struct err err = {0};
        char expected[ERR_MSG_SIZE];
        (void)snprintf(expected, sizeof(expected), "errCode = 2, detailMessage = %s. %s",
                       BAD[i].what, BAD[i].advice);
        if (verdict_of(span_of(BAD[i].sql), &err) != STMT_BAD) {
            fail_msg("not bad: %s", BAD[i].sql);
        }
        assert_string_equal(err.msg, expected);
        assert_int_equal(err.code, ERR_UNKNOWN);
        assert_string_equal(err.sqlstate, "HY000");
    }
}

/* Lines are counted from 1, characters (not bytes) of a line from 0. */
static void test_position(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        const char *position;
    } ROWS[] = {
        {"\n\nCREATE JOB a+b", "'+' expecting {'PROPERTIES', 'COMMENT', 'ON'}(line 3, pos 12)."},
        {"CREATE JOB \r\n  a +", "(line 2, pos 4)."},
        {"CREATE JOB `\xc3\xa9\xe2\x82\xac` +", "(line 1, pos 16)."},
        {"-- first\n/* 2\n3 */ ;; PAUSE JOB n", "'n' expecting 'WHERE'(line 3, pos 18)."},
        {"CREATE JOB j ON STREAMING DO\nINSERT INTO t\nSELECT 1", "function(line 3, pos 0)."},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        struct err err = {0};
        assert_int_equal(verdict_of(span_of(ROWS[i].sql), &err), STMT_BAD);
        assert_non_null(strstr(err.msg, ROWS[i].position));
    }
}

/* What the user typed is shown as one line of UTF-8 whatever it is. */
static void test_shown(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(verdict_of(span_of("PAUSE JOB \"a\n\x01\xff\xc3\xa9\""), &err), STMT_BAD);
    assert_non_null(strstr(err.msg, "input '\"a???\xc3\xa9\"' expecting"));
    assert_int_equal(verdict_of((struct span){"PAUSE JOB \0x", 12}, &err), STMT_BAD);
    assert_non_null(strstr(err.msg, "input '?' expecting"));
    _cleanup_buf_ struct buf text = buf_with_max(100000);
    buf_append_text(&text, "PAUSE JOB ");
    for (int i = 0; i < 10000; i++) {
        buf_append_text(&text, "\xe2\x82\xac");
    }
    assert_int_equal(verdict_of(buf_span(&text), &err), STMT_BAD);
    assert_non_null(strstr(err.msg, "\xe2\x82\xac...' expecting 'WHERE'"));
    assert_true(strlen(err.msg) < 300);
}

/* Limits that keep a hostile text from costing more than its length. */
static void test_limits(void **state)
{
    (void)state;
    struct err err = {0};
    _cleanup_buf_ struct buf text = buf_with_max(1 << 20);
    buf_append_text(&text, INTO_T);
    for (int i = 0; i < 1000; i++) {
        buf_append_text(&text, "(");
    }
    assert_int_equal(verdict_of(buf_span(&text), &err), STMT_BAD);
    assert_non_null(strstr(err.msg, "More than 128 parentheses"));
    buf_reset(&text);
    buf_append_text(&text, "CREATE JOB j PROPERTIES (\"k\"=\"v\"");
    for (int i = 0; i < 600; i++) {
        buf_printf(&text, ",\"k%d\"=\"v\"", i);
    }
    buf_append_text(&text, ") ON STREAMING DO INSERT INTO t " FROM_S3);
    assert_int_equal(verdict_of(buf_span(&text), &err), STMT_BAD);
    assert_non_null(strstr(err.msg, "More than 512 properties"));
}

/* Large foreign texts, each with something in it that a careless look would take for ours. */
static void test_large_foreign(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        const char *unit;
    } ROWS[] = {
        {"insert into t values (1)", ",(1, '; pause job where jobName = ''x''')"},
        {"insert into t values (1)", ",(1, \"; -- \", 'create job')"},
        {"select 1", ", 'jobs(\"type\"=\"insert\")', jobs, tasks /* jobs( */"},
        {"select '", "\\'tasks(''"},
        {"/*", "/* jobs("},
        {"select ", "((((("},
        {"select jobs(", "1,"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        struct err err = {0};
        _cleanup_buf_ struct buf text = buf_with_max(2 << 20);
        buf_append_text(&text, ROWS[i].head);
        while (text.len < (1 << 20)) {
            buf_append_text(&text, ROWS[i].unit);
        }
        assert_int_equal(verdict_of(buf_span(&text), &err), STMT_FOREIGN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign),  cmocka_unit_test(test_bad),
        cmocka_unit_test(test_script),   cmocka_unit_test(test_part),
        cmocka_unit_test(test_position), cmocka_unit_test(test_shown),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_large_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
