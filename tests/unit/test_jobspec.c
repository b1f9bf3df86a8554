/* From a parsed CREATE JOB to record and spec, and from the stored record back to the same spec. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/span.h"
#include "base/xmalloc.h"
#include "parser/stmt.h"
#include "proxy/jobspec.h"

#define INSERT                                                                                     \
    "INSERT INTO db.t SELECT * FROM S3('uri' = 's3://b/*.csv', 'format' = 'csv', "                 \
    "'s3.secret_key' = 'x''y')"

enum { DEFAULT_INTERVAL_S = 10 };

/* True: job and spec are made. Everything is parsed, as it is for a user. */
static bool make(const char *sql, const char *current_db, struct job_spec **ret_spec,
                 struct job_record *ret_job, struct err *err)
{
    struct stmt stmt = {0};
    if (stmt_parse(span_of(sql), &stmt, err) != STMT_OURS) {
        print_error("%s\n", err->msg);
        fail();
    }
    bool is_ok = jobspec_from_create(&stmt.u.create, "root", current_db, DEFAULT_INTERVAL_S,
                                     ret_spec, ret_job, err);
    stmt_fini(&stmt);
    return is_ok;
}

static void refuse(const char *sql, const char *current_db, const char *why)
{
    struct job_spec *spec = NULL;
    struct job_record job = {0};
    struct err err = {0};
    assert_false(make(sql, current_db, &spec, &job, &err));
    assert_null(spec);
    assert_null(job.name);
    if (strstr(err.msg, why) == NULL) {
        print_error("\"%s\" lacks \"%s\"\n", err.msg, why);
        fail();
    }
}

static void assert_same(const struct spec_prop *a, const struct spec_prop *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(a[i].key, b[i].key);
        assert_string_equal(a[i].value, b[i].value);
        assert_int_equal(a[i].value_at, b[i].value_at);
        assert_int_equal(a[i].value_end, b[i].value_end);
    }
}

/* What a restart makes of the record is what CREATE made. */
static void test_there_and_back(void **state)
{
    struct job_spec *spec = NULL;
    struct job_spec *again = NULL;
    _cleanup_job_record_ struct job_record job = {0};
    struct err err = {0};
    assert_true(make("CREATE JOB j PROPERTIES('max_interval' = '3', 's3.max_batch_files' = '2', "
                     "'session.time_zone' = 'Z\xc3\xbcrich') ON STREAMING COMMENT 'c' DO " INSERT,
                     "other", &spec, &job, &err));
    assert_string_equal(job.name, "j");
    assert_string_equal(job.definer, "root");
    assert_string_equal(job.comment, "c");
    assert_string_equal(job.current_db, "other");
    assert_string_equal(job.target_db, "db");
    assert_string_equal(job.sql, INSERT);
    assert_int_equal(spec->max_interval_s, 3);
    assert_int_equal(spec->insert.sql_len, strlen(INSERT));
    assert_string_equal(
        spec_prop_get(spec->insert.tvf_props, spec->insert.n_tvf_props, "S3.SECRET_KEY"), "x'y");

    assert_true(jobspec_from_record(&job, DEFAULT_INTERVAL_S, &again, &err));
    assert_string_equal(again->insert.sql, spec->insert.sql);
    assert_string_equal(again->insert.target_table, "t");
    assert_string_equal(again->insert.tvf, "s3");
    assert_int_equal(again->insert.label_at, spec->insert.label_at);
    assert_int_equal(again->insert.n_tvf_props, spec->insert.n_tvf_props);
    assert_same(again->insert.tvf_props, spec->insert.tvf_props, spec->insert.n_tvf_props);
    assert_int_equal(again->n_props, spec->n_props);
    for (size_t i = 0; i < spec->n_props; i++) {
        const char *value = spec_prop_get(again->props, again->n_props, spec->props[i].key);
        assert_non_null(value);
        assert_string_equal(value, spec->props[i].value);
    }
    assert_int_equal(again->max_interval_s, 3);
    job_spec_destroy(spec);
    job_spec_destroy(again);
}

static void test_database(void **state)
{
    struct job_spec *spec = NULL;
    _cleanup_job_record_ struct job_record job = {0};
    struct err err = {0};
    assert_true(make("CREATE JOB j ON STREAMING DO INSERT INTO t SELECT * FROM S3('uri' = 'u')",
                     "cur", &spec, &job, &err));
    assert_string_equal(job.target_db, "cur");
    assert_string_equal(job.properties, "");
    assert_int_equal(spec->max_interval_s, DEFAULT_INTERVAL_S);
    job_spec_destroy(spec);
    refuse("CREATE JOB j ON STREAMING DO INSERT INTO t SELECT * FROM S3('uri' = 'u')", NULL,
           "No database selected");
    refuse("CREATE JOB j ON STREAMING DO INSERT INTO t SELECT * FROM S3('uri' = 'u')", "",
           "No database selected");
    refuse("CREATE JOB j ON STREAMING DO INSERT INTO hive.d.t SELECT * FROM S3('uri' = 'u')", "d",
           "external catalog");
}

/* What SHOW CREATE JOB prints has no secrets: pasted, it would load nothing. */
static void test_masks(void **state)
{
    struct job_spec *spec = NULL;
    _cleanup_job_record_ struct job_record job = {0};
    struct err err = {0};
    refuse("CREATE JOB j ON STREAMING DO INSERT INTO d.t SELECT * FROM S3('uri' = 'u', "
           "'AWS_ACCESS_KEY' = '*XXX')",
           NULL, "The property \"AWS_ACCESS_KEY\" is *XXX, which is the mask that SHOW CREATE JOB");
    refuse("CREATE JOB j PROPERTIES('session.token' = '*XXX') ON STREAMING DO " INSERT, NULL,
           "put the real value there");
    assert_true(make("CREATE JOB j ON STREAMING DO INSERT INTO d.t SELECT * FROM S3('uri' = 'u', "
                     "'column_separator' = '*XXX')",
                     NULL, &spec, &job, &err));
    job_spec_destroy(spec);
}

static void test_properties(void **state)
{
    refuse("CREATE JOB j PROPERTIES('max_interval' = '0') ON STREAMING DO " INSERT, NULL,
           "max_interval must be at least 1 second, but was 0");
    refuse("CREATE JOB j PROPERTIES('max_interval' = '1s') ON STREAMING DO " INSERT, NULL,
           "but was 1s");
    refuse("CREATE JOB j PROPERTIES('s3.max_batch_bytes' = '5') ON STREAMING DO " INSERT, NULL,
           "between 100 MB and 10 GB, but was 5");
    /* The words of 4.0 as well: Doris's regression tests look for them. */
    refuse("CREATE JOB j PROPERTIES('s3.max_batch_files' = '-1') ON STREAMING DO " INSERT, NULL,
           "s3.max_batch_files should >=1");
    refuse("CREATE JOB j PROPERTIES('Compute_Group' = 'g') ON STREAMING DO " INSERT, NULL,
           "only supported in cloud mode");
    refuse("CREATE JOB j PROPERTIES('max_batch' = '5') ON STREAMING DO " INSERT, NULL,
           "Invalid properties: [max_batch]");
    refuse("CREATE JOB j PROPERTIES('session.' = '5') ON STREAMING DO " INSERT, NULL,
           "Invalid session variable");
    /* The FE would read the INSERT in another way than we did. */
    static const char *const modes[] = {"'session.sql_mode' = 'NO_BACKSLASH_ESCAPES'",
                                        "'SESSION.SQL_MODE' = 'ansi, no_backslash_escapes'",
                                        "'session.Sql_Mode' = 1048576",
                                        "'session.sql_dialect' = 'presto'"};
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        _cleanup_free_ char *sql =
            xasprintf("CREATE JOB j PROPERTIES(%s) ON STREAMING DO " INSERT, modes[i]);
        refuse(sql, NULL, "read as Sluice read it");
    }
    /* The stored form cannot hold it, and a job must not lose a property in a restart. */
    refuse("CREATE JOB j PROPERTIES('session.x' = 'Z\xfcrich') ON STREAMING DO " INSERT, NULL,
           "not UTF-8");
}

/* One word of several, in any letter case; the spec has it as the sources compare it. */
static void test_words(void **state)
{
    static const struct {
        const char *properties;
        const char *why;
    } refused[] = {
        {"'guarantee' = 'exactly_once'",
         "guarantee must be one of [label, transactional], but was exactly_once"},
        {"'s3.discovery' = ''", "s3.discovery must be one of [ordered, tracked], but was "},
        {"'s3.discovery' = 'tracked', 's3.overwritten' = 'yes'",
         "s3.overwritten must be one of [ignore, reload, error], but was yes"},
        {"'s3.bad_files' = 'skip'",
         "s3.bad_files must be one of [quarantine, pause], but was skip"},
        {"'s3.ingestion_mode' = 'NOTIFICATION'",
         "errCode = 2, detailMessage = Unsupported s3.ingestion_mode: NOTIFICATION"},
        {"'s3.overwritten' = 'reload'", "wants \"s3.discovery\" = \"tracked\""},
        {"'s3.overwritten' = 'error', 's3.discovery' = 'tracked', 's3.bad_files' = 'Pause'",
         "cannot be used with s3.bad_files = pause"},
        {"'s3.ingestion_mode' = 'one_time', 'offset' = '{}'",
         "errCode = 2, detailMessage = offset is not supported when s3.ingestion_mode is ONE_TIME"},
        {"'s3.overwritten' = 'ignore', 's3.discovery' = 'Ordered'", "wants \"s3.discovery\""},
    };
    static const char *const values[][2] = {
        {"GUARANTEE", "transactional"},    {"S3.Discovery", "tracked"},
        {"s3.overwritten", "reload"},      {"s3.bad_files", "pause"},
        {"s3.ingestion_mode", "ONE_TIME"},
    };
    struct stmt s;
    struct job_spec *spec = NULL;
    struct job_record job = {0};
    struct err err = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        _cleanup_free_ char *sql =
            xasprintf("CREATE JOB j PROPERTIES(%s) ON STREAMING DO " INSERT, refused[i].properties);
        refuse(sql, NULL, refused[i].why);
    }
    const char *sql = "CREATE JOB j PROPERTIES('GUARANTEE' = 'Transactional', 'S3.Discovery' = "
                      "'TRACKED', 's3.overwritten' = 'Reload', 's3.bad_files' = 'PAUSE', "
                      "'s3.ingestion_mode' = 'one_time') ON STREAMING DO " INSERT;
    assert_int_equal(stmt_parse(span_of(sql), &s, &err), STMT_OURS);
    assert_true(
        jobspec_from_create(&s.u.create, "ann", "db", DEFAULT_INTERVAL_S, &spec, &job, &err));
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        assert_string_equal(spec_prop_get(spec->props, spec->n_props, values[i][0]), values[i][1]);
    }
    assert_int_equal(spec_guarantee(spec), GUARANTEE_TRANSACTIONAL);
    assert_non_null(strstr(job.properties, "\"s3.overwritten\":\"Reload\"")); /* as given */
    job_spec_destroy(spec);
    job_record_fini(&job);
    stmt_fini(&s);
}

static void test_names(void **state)
{
    refuse("CREATE JOB `inner_x` ON STREAMING DO " INSERT, NULL,
           "can not start with inner_: Doris keeps");
    _cleanup_free_ char *name = xcalloc(258, 1);
    memset(name, 'n', 257);
    _cleanup_free_ char *sql = xasprintf("CREATE JOB %s ON STREAMING DO %s", name, INSERT);
    refuse(sql, NULL, "257 bytes long");
}

static void test_stored_record_that_is_broken(void **state)
{
    struct err err = {0};
    struct job_spec *spec = NULL;
    struct job_record job = {.sql = (char *)"INSERT INTO", .properties = (char *)""};
    assert_false(jobspec_from_record(&job, DEFAULT_INTERVAL_S, &spec, &err));
    job.sql = (char *)INSERT;
    job.properties = (char *)"[1]";
    assert_false(jobspec_from_record(&job, DEFAULT_INTERVAL_S, &spec, &err));
    job.properties = (char *)"{\"max_interval\": 5}"; /* not a text: not ours, the default then */
    assert_true(jobspec_from_record(&job, DEFAULT_INTERVAL_S, &spec, &err));
    assert_int_equal(spec->max_interval_s, DEFAULT_INTERVAL_S);
    job_spec_destroy(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_database),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_stored_record_that_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
