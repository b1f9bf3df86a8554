/*
 * SHOW CREATE JOB: every CREATE JOB of tests/golden becomes a record, the record a statement, and that
 * the same record again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/secret.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "parser/stmt.h"
#include "proxy/job_text.h"
#include "proxy/jobspec.h"

enum { MAX_FILE = 4 << 20, FEWEST = 40 };

/* False: it is no CREATE JOB of ours, or one whose properties are refused. */
static bool make(struct span sql, struct job_record *ret)
{
    struct stmt stmt = {0};
    struct err err = {0};
    struct job_spec *spec = NULL;
    if (stmt_parse(sql, &stmt, &err) != STMT_OURS) {
        return false;
    }
    bool is_ok = stmt.kind == STMT_CREATE_JOB &&
                 jobspec_from_create(&stmt.u.create, "root", "demo", 10, &spec, ret, &err);
    job_spec_destroy(spec);
    stmt_fini(&stmt);
    return is_ok;
}

static bool is_checked(struct span sql)
{
    _cleanup_job_record_ struct job_record before = {0};
    _cleanup_job_record_ struct job_record after = {0};
    if (!make(sql, &before)) {
        return false;
    }
    _cleanup_free_ char *text = job_text(&before);
    if (!make(span_of(text), &after)) {
        fail_msg("does not parse any more: %s", text);
    }
    assert_string_equal(after.name, before.name);
    assert_string_equal(after.sql, before.sql);
    assert_string_equal(after.properties, before.properties);
    assert_string_equal(after.comment, before.comment);
    assert_string_equal(after.target_db, before.target_db);
    assert_string_equal(after.target_table, before.target_table);
    return true;
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    char *text = xcalloc(1, MAX_FILE);
    size_t n = fread(text, 1, MAX_FILE - 1, f);
    assert_true(n > 0 && n < MAX_FILE - 1);
    (void)fclose(f);
    return text;
}

/* Statements stand between "==== title" and "---- verdict", or the next title. */
static void test_golden(void **state)
{
    _cleanup_free_ char *file = read_file("tests/golden/create.golden");
    int n = 0;
    (void)state;
    for (const char *p = strstr(file, "\n==== "); p != NULL; p = strstr(p, "\n==== ")) {
        const char *from = strchr(p + 1, '\n');
        assert_non_null(from);
        const char *next = strstr(from, "\n==== ");
        const char *verdict = strstr(from, "\n---- ");
        const char *end = next != NULL && (verdict == NULL || next < verdict) ? next : verdict;
        bool is_escaped = p[6] == '\\';
        if (end != NULL && end > from && !is_escaped) {
            n += is_checked(span_trim(span_between(from + 1, end)));
        }
        p = from;
    }
    assert_true(n >= FEWEST);
}

static void test_form(void **state)
{
    static const char sql[] = "create job `a``b` on streaming properties('max_interval'='3', "
                              "'session.x'='q\"\\\\') comment 'it''s' do insert into t select * "
                              "from s3('uri'='s3://b/k', 's3.secret_key'='SECRETSECRET')";
    _cleanup_job_record_ struct job_record job = {0};
    (void)state;
    assert_true(make(span_of(sql), &job));
    _cleanup_free_ char *text = job_text(&job);
    _cleanup_free_ char *masked = secret_mask(span_of(text));
    assert_string_equal(masked, "/* USE `demo` first: the target has no database of its own */\n"
                                "CREATE JOB `a``b`\n"
                                "PROPERTIES (\n"
                                "    \"max_interval\" = \"3\",\n"
                                "    \"session.x\" = \"q\"\"\\\\\"\n"
                                ")\n"
                                "ON STREAMING\n"
                                "COMMENT \"it's\"\n"
                                "DO\n"
                                "insert into t select * from s3('uri'='s3://b/k', "
                                "'s3.secret_key'='*XXX')");
    assert_true(is_checked(span_of(sql)));
    assert_false(is_checked(span_of(masked)));
    memcpy(strstr(masked, SECRET_MASK), "real", strlen(SECRET_MASK));
    assert_true(is_checked(span_of(masked)));
}

static void test_unreadable_record(void **state)
{
    struct job_record job = {.name = (char *)"n",
                             .sql = (char *)"no INSERT",
                             .current_db = (char *)"d",
                             .properties = (char *)"{broken"};
    (void)state;
    _cleanup_free_ char *text = job_text(&job);
    assert_string_equal(text, "CREATE JOB `n`\nON STREAMING\nDO\nno INSERT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_unreadable_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
