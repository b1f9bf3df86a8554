/* ALTER JOB as Doris's AlterJobCommand.java has its rules, one row a rule, and what is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/span.h"
#include "base/xmalloc.h"
#include "parser/stmt.h"
#include "proxy/jobspec.h"

#define S3(more) "S3('uri' = 's3://b/*.csv', 'format' = 'csv', " more ")"
#define KEYS     "'s3.access_key' = 'AK', 's3.secret_key' = 'old', 's3.region' = 'r'"
#define NEW_KEYS "'s3.access_key' = 'AK2', 's3.secret_key' = 'new''s', 's3.region' = 'r'"
#define INSERT   "INSERT INTO db.t SELECT * FROM " S3(KEYS)
#define ROTATED  "INSERT INTO db.t SELECT * FROM " S3(NEW_KEYS)
#define PROPS    "{\"max_interval\":\"5\",\"Session.time_zone\":\"UTC\",\"offset\":\"{}\"}"
#define REGION                                                                                     \
    "INSERT INTO db.t SELECT * FROM " S3("'s3.access_key' = 'AK', "                                \
                                         "'s3.secret_key' = 'old', 's3.region' = 'q'")

enum { DEFAULT_INTERVAL_S = 10 };

/* Nothing of it is freed: the texts are literals. */
static struct job_record paused_job(void)
{
    return (struct job_record){
        .id = 7,
        .name = (char *)"j",
        .definer = (char *)"ann",
        .current_db = (char *)"db",
        .target_db = (char *)"db",
        .target_table = (char *)"t",
        .sql = (char *)INSERT,
        .properties = (char *)PROPS,
        .comment = (char *)"c",
        .state = JOB_PAUSED,
        .fail_code = FAIL_MANUAL_PAUSE,
        .fail_msg = (char *)"by the user",
        .offset = (char *)"{\"fileName\":\"k\"}",
        .last_task_id = 9,
        .committed_task_id = 8,
    };
}

/* "ALTER JOB j " and `tail`, parsed as it is for a user. */
static bool alter(const struct job_record *base, const char *tail, struct jobspec_alter *ret,
                  struct err *err)
{
    struct stmt stmt = {0};
    char sql[1024];
    (void)snprintf(sql, sizeof(sql), "ALTER JOB j %s", tail);
    if (stmt_parse(span_of(sql), &stmt, err) != STMT_OURS) {
        print_error("%s: %s\n", sql, err->msg);
        fail();
    }
    assert_int_equal(stmt.kind, STMT_ALTER_JOB);
    bool is_ok = jobspec_from_alter(&stmt.u.alter, base, DEFAULT_INTERVAL_S, ret, err);
    stmt_fini(&stmt);
    return is_ok;
}

static void alter_fini(struct jobspec_alter *made)
{
    job_spec_destroy(made->spec);
    job_record_fini(&made->job);
    *made = (struct jobspec_alter){0};
}

static void refuse(const struct job_record *base, const char *tail, const char *why,
                   const char *advice)
{
    struct jobspec_alter made = {0};
    struct err err = {0};
    assert_false(alter(base, tail, &made, &err));
    assert_null(made.spec);
    assert_null(made.job.name);
    if (strstr(err.msg, why) == NULL || strstr(err.msg, advice) == NULL) {
        print_error("%s: \"%s\" lacks \"%s\" or \"%s\"\n", tail, err.msg, why, advice);
        fail();
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *tail;
        const char *why;
        const char *advice;
    } cases[] = {
        {"INSERT INTO db.u SELECT * FROM " S3(KEYS),
         "errCode = 2, detailMessage = The target table cannot be modified in ALTER JOB",
         "CREATE another job"},
        {"INSERT INTO u SELECT * FROM " S3(KEYS), "The target table cannot be modified", "db.u"},
        {"INSERT INTO db.t SELECT * FROM " S3("'s3.access_key' = 'AK', 's3.secret_key' = '*XXX'"),
         "The property \"s3.secret_key\" is *XXX, which is the mask that SHOW CREATE JOB prints",
         "put the real value there"},
        {"INSERT INTO other.t SELECT * FROM " S3(KEYS), "The target table cannot be modified",
         "other.t"},
        {"INSERT INTO T SELECT * FROM " S3(KEYS), "The target table cannot be modified", "db.T"},
        {"INSERT INTO hive.db.t SELECT * FROM " S3(KEYS), "The target table cannot be modified",
         "hive.db.t"},
        {"INSERT INTO t SELECT * FROM S3('uri' = 's3://b/x*.csv', 'format' = 'csv')",
         "errCode = 2, detailMessage = The uri property cannot be modified in ALTER JOB",
         "reads \"s3://b/*.csv\", the statement has \"s3://b/x*.csv\""},
        {"INSERT INTO t SELECT * FROM S3('format' = 'csv')", "The uri property cannot be modified",
         "has none"},
        {"INSERT INTO t SELECT * FROM kafka('uri' = 's3://b/*.csv')",
         "errCode = 2, detailMessage = The tvf type cannot be modified in ALTER JOB: original=s3, "
         "new=kafka",
         "CREATE another job"},
        {"PROPERTIES('xxx' = '1')", "Invalid properties: [xxx]", "Supported keys are"},
        {"PROPERTIES('max_interval' = '0')", "max_interval must be at least 1 second, but was 0",
         "plain number"},
        {"PROPERTIES('max_interval' = '10s') " ROTATED, "max_interval must be at least 1 second",
         "10s"},
        {"PROPERTIES('s3.max_batch_files' = '0')",
         "s3.max_batch_files must be at least 1, but was 0", "at most"},
        {"PROPERTIES('s3.max_batch_bytes' = '1')",
         "s3.max_batch_bytes must be between 100 MB and 10 GB, but was 1", "at most"},
        {"PROPERTIES('session.' = '1')", "Invalid session variable, []", "session.insert_timeout"},
        {"PROPERTIES('compute_group' = 'g')", "only supported in cloud mode", "leave it out"},
        {"PROPERTIES('max_interval' = '5')",
         "errCode = 2, detailMessage = No properties or sql changed in ALTER JOB", "another value"},
        {"PROPERTIES('MAX_INTERVAL' = '5', 'session.time_zone' = 'UTC')",
         "No properties or sql changed in ALTER JOB", "another INSERT"},
        {INSERT, "No properties or sql changed in ALTER JOB", "another INSERT"},
    };
    struct job_record base = paused_job();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        refuse(&base, cases[i].tail, cases[i].why, cases[i].advice);
    }
}

/* The statement that it suggests is fit to be sent. */
static void test_odd_name(void **state)
{
    struct job_record job = paused_job();
    (void)state;
    job.name = (char *)"o'clock x";
    job.state = JOB_RUNNING;
    refuse(&job, "PROPERTIES('max_interval' = '6')", "Only PAUSED job can be altered",
           "PAUSE JOB WHERE jobName = 'o''clock x' first");
}

static void test_only_when_paused(void **state)
{
    static const struct {
        enum job_state state;
        const char *advice;
    } cases[] = {
        {JOB_PENDING, "job j is PENDING. PAUSE JOB WHERE jobName = 'j' first"},
        {JOB_RUNNING, "job j is RUNNING. PAUSE JOB"},
        {JOB_STOPPED, "DROP it and CREATE another"},
        {JOB_FINISHED, "DROP it and CREATE another"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct job_record base = paused_job();
        base.state = cases[i].state;
        /* Before anything else is looked at, as in Doris. */
        refuse(&base, "PROPERTIES('xxx' = '1')",
               "errCode = 2, detailMessage = Only PAUSED job can be altered", cases[i].advice);
    }
}

/* What is the same by another name may be written so. */
static void test_what_is_accepted(void **state)
{
    static const struct {
        const char *tail;
        const char *properties;
        bool moves_offset;
        bool changes_load;
    } cases[] = {
        {"PROPERTIES('max_interval' = '7')",
         "{\"max_interval\":\"7\",\"Session.time_zone\":\"UTC\",\"offset\":\"{}\"}", false, false},
        {"PROPERTIES('S3.max_batch_files' = '7')",
         "{\"max_interval\":\"5\",\"Session.time_zone\":\"UTC\",\"offset\":\"{}\","
         "\"S3.max_batch_files\":\"7\"}",
         false, false},
        {"PROPERTIES('session.TIME_ZONE' = 'CET')",
         "{\"max_interval\":\"5\",\"session.TIME_ZONE\":\"CET\",\"offset\":\"{}\"}", false, true},
        {"PROPERTIES('offset' = '{}')", PROPS, true, false}, /* again: the job has gone on */
        {"PROPERTIES('Offset' = '{\"fileName\":\"a\"}', 'max_interval' = '1')",
         "{\"max_interval\":\"1\",\"Session.time_zone\":\"UTC\","
         "\"Offset\":\"{\\\"fileName\\\":\\\"a\\\"}\"}",
         true, false},
        {ROTATED, PROPS, false, false},
        {REGION, PROPS, false, true},
        {"INSERT INTO db.t SELECT c1 FROM " S3(KEYS), PROPS, false, true},
        {"INSERT INTO t SELECT * FROM " S3(KEYS), PROPS, false, true},
        {"INSERT INTO internal.`db`.`t` SELECT * FROM " S3(KEYS), PROPS, false, true},
        {"INSERT INTO t(a, b) SELECT c1, c2 FROM S3(\"URI\" = \"s3://b/*.csv\")", PROPS, false,
         true},
        {"PROPERTIES('max_interval' = '5') " ROTATED, PROPS, false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct job_record base = paused_job();
        struct jobspec_alter made = {0};
        struct err err = {0};
        if (!alter(&base, cases[i].tail, &made, &err)) {
            print_error("%s: %s\n", cases[i].tail, err.msg);
            fail();
        }
        const char *insert = strstr(cases[i].tail, "INSERT");
        assert_string_equal(made.job.sql, insert != NULL ? insert : INSERT);
        assert_string_equal(made.spec->insert.sql, made.job.sql);
        assert_string_equal(made.job.properties, cases[i].properties);
        assert_int_equal(made.moves_offset, cases[i].moves_offset);
        assert_int_equal(made.changes_load, cases[i].changes_load);
        assert_string_equal(made.job.definer, "ann");
        assert_string_equal(made.job.comment, "c");
        assert_string_equal(made.job.target_db, "db");
        assert_string_equal(made.spec->insert.target_db, "db");
        assert_string_equal(made.spec->insert.current_db, "db");
        assert_string_equal(made.job.offset, base.offset);
        assert_int_equal(made.job.id, 7);
        assert_int_equal(made.job.state, JOB_PAUSED);
        alter_fini(&made);
    }
}

/* Neither source nor FE need be there for a job to be slowed down. */
static void test_what_only_paces(void **state)
{
    static const struct {
        const char *tail;
        bool only_paces;
    } cases[] = {
        {"PROPERTIES('max_interval' = '7')", true},
        {"PROPERTIES('S3.max_batch_files' = '7', 's3.max_batch_bytes' = '104857600')", true},
        {"PROPERTIES('max_interval' = '7', 'Session.time_zone' = 'UTC')", true}, /* as it is */
        {"PROPERTIES('max_interval' = '7') " INSERT, true},                      /* likewise */
        {"PROPERTIES('max_interval' = '7', 'session.time_zone' = 'CET')", false},
        {"PROPERTIES('max_interval' = '7', 'offset' = '{}')", false},
        {"PROPERTIES('max_interval' = '7') " ROTATED, false},
        {REGION, false},
        {"PROPERTIES('s3.bad_files' = 'pause')", true},
        {"PROPERTIES('guarantee' = 'transactional')", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct job_record base = paused_job();
        struct jobspec_alter made = {0};
        struct err err = {0};
        assert_true(alter(&base, cases[i].tail, &made, &err));
        if (made.only_paces != cases[i].only_paces) {
            fail_msg("%s", cases[i].tail);
        }
        alter_fini(&made);
    }
}

/* The guarantee at any time when no task is open; how files are found only before the first success. */
static void test_what_changes_rules(void **state)
{
    static const struct {
        const char *tail;
        bool changes_rules;
        const char *why_not; /* once a task has succeeded */
    } cases[] = {
        {"PROPERTIES('guarantee' = 'transactional')", true, NULL},
        {"PROPERTIES('guarantee' = 'Label')", false, NULL}, /* as it is */
        {"PROPERTIES('s3.bad_files' = 'pause')", false, NULL},
        {"PROPERTIES('s3.discovery' = 'ordered', 's3.ingestion_mode' = 'ordered_list')", false,
         NULL},
        {"PROPERTIES('s3.discovery' = 'tracked', 's3.overwritten' = 'error')", true,
         "The s3.discovery property cannot be modified in ALTER JOB once the job has loaded"},
        {"PROPERTIES('s3.ingestion_mode' = 'ONE_TIME')", true,
         "The s3.ingestion_mode property cannot be modified in ALTER JOB once the job has loaded"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct job_record base = paused_job();
        struct jobspec_alter made = {0};
        struct err err = {0};
        base.properties = (char *)"{\"max_interval\":\"5\"}"; /* no offset: not with ONE_TIME */
        base.offset = NULL;
        base.n_succeeded = base.committed_task_id = 0;
        assert_true(alter(&base, cases[i].tail, &made, &err));
        assert_int_equal(made.changes_rules, cases[i].changes_rules);
        assert_false(made.changes_load);
        alter_fini(&made);
        base.n_succeeded = base.committed_task_id = 1;
        if (cases[i].why_not != NULL) {
            refuse(&base, cases[i].tail, cases[i].why_not, "CREATE");
        } else {
            assert_true(alter(&base, cases[i].tail, &made, &err));
            alter_fini(&made);
        }
        base.properties = (char *)"{\"s3.discovery\":\"tracked\"}";
        refuse(&base, "PROPERTIES('offset' = '{\"fileName\":\"a\"}')",
               "The offset cannot be modified in ALTER JOB with \"s3.discovery\" = \"tracked\"",
               "CREATE another job");
        base.properties = (char *)PROPS;
        refuse(&base, "PROPERTIES('s3.overwritten' = 'error')", "wants \"s3.discovery\"",
               "leave out s3.overwritten");
        refuse(&base, "PROPERTIES('s3.bad_files' = 'no')",
               "s3.bad_files must be one of [quarantine, pause], but was no", "sets a file aside");
    }
}

static void test_interval_is_that_of_the_merged_properties(void **state)
{
    struct job_record base = paused_job();
    struct jobspec_alter made = {0};
    struct err err = {0};
    assert_true(alter(&base, ROTATED, &made, &err));
    assert_int_equal(made.spec->max_interval_s, 5);
    alter_fini(&made);
    assert_true(alter(&base, "PROPERTIES('max_interval' = '7')", &made, &err));
    assert_int_equal(made.spec->max_interval_s, 7);
    alter_fini(&made);
    base.properties = (char *)"";
    assert_true(alter(&base, "PROPERTIES('s3.max_batch_files' = '7')", &made, &err));
    assert_int_equal(made.spec->max_interval_s, DEFAULT_INTERVAL_S);
    assert_string_equal(made.job.properties, "{\"s3.max_batch_files\":\"7\"}");
    alter_fini(&made);
}

/* A job whose database is not known any more takes a target with its database only. */
static void test_without_current_database(void **state)
{
    struct job_record base = paused_job();
    struct jobspec_alter made = {0};
    struct err err = {0};
    base.current_db = NULL;
    refuse(&base, "INSERT INTO t SELECT * FROM " S3(NEW_KEYS), "No database selected", "db.t");
    assert_true(alter(&base, ROTATED, &made, &err));
    assert_null(made.job.current_db);
    alter_fini(&made);
}

/* What a newer or older Sluice wrote, or a hand with the sqlite3 shell. */
static void test_repair(void **state)
{
    struct job_record base = paused_job();
    struct jobspec_alter made = {0};
    struct err err = {0};
    base.sql = (char *)"INSERT INTO db.t SELEKT";
    refuse(&base, "PROPERTIES('max_interval' = '7')", "statement of job j is not understood",
           "INSERT that is");
    refuse(&base, "INSERT INTO db.u SELECT * FROM " S3(KEYS), "The target table cannot be", "db.u");
    assert_true(alter(&base, "INSERT INTO db.t SELECT * FROM S3('uri' = 's3://c/*')", &made, &err));
    assert_true(made.changes_load);
    assert_string_equal(made.spec->insert.tvf, "s3");
    alter_fini(&made);
    base.properties = (char *)"[]";
    refuse(&base, INSERT, "stored properties are not a JSON object", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_only_when_paused),
        cmocka_unit_test(test_odd_name),
        cmocka_unit_test(test_what_is_accepted),
        cmocka_unit_test(test_what_only_paces),
        cmocka_unit_test(test_what_changes_rules),
        cmocka_unit_test(test_interval_is_that_of_the_merged_properties),
        cmocka_unit_test(test_without_current_database),
        cmocka_unit_test(test_repair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
