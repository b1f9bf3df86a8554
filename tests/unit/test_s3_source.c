/*
 * The S3 source, and the client below it, against canned replies: what a real store rarely does.
 * tests/integration/test_s3_source.py has the real store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/span.h"
#include "sources/s3_source.h"
#include "tests/unit/canned_http.h"

static const int64_t SECOND = 1000000;
static const struct fe_traits DORIS_4 = {.version = 4001};

#define HTTP(status, headers, body)                                                                \
    "HTTP/1.1 " status "\r\nConnection: close\r\n" headers "\r\n" body
#define PAGE(truncated, objects)                                                                   \
    HTTP("200 OK", "",                                                                             \
         "<ListBucketResult><IsTruncated>" truncated "</IsTruncated>" objects                      \
         "</ListBucketResult>")
#define OBJECT(key, size)                                                                          \
    "<Contents><Key>" key "</Key><ETag>\"e\"</ETag><Size>" size "</Size></Contents>"
#define ERROR_XML(code, more)                                                                      \
    "<Error><Code>" code "</Code><Message>says the store</Message>" more "</Error>"
#define SLOW_DOWN HTTP("503 Slow Down", "", ERROR_XML("SlowDown", ""))

struct fixture {
    struct canned_http server;
    struct job_spec *spec;
    struct source *source;
    struct err err;
};

static void add_prop(struct spec_prop **props, size_t *n, const char *key, const char *value)
{
    *props = xrealloc_array(*props, *n + 1, sizeof(**props));
    (*props)[(*n)++] = (struct spec_prop){.key = xstrdup(key), .value = xstrdup(value)};
}

static struct job_spec *make_spec(const char *uri, const char *endpoint)
{
    static const char HEAD[] = "INSERT INTO t SELECT * FROM S3(\"uri\"=";
    struct job_spec *spec = xcalloc(1, sizeof(*spec));
    struct insert_spec *insert = &spec->insert;
    insert->sql = xasprintf("%s\"%s\")", HEAD, uri);
    insert->sql_len = strlen(insert->sql);
    insert->label_at = insert->label_end = strlen("INSERT INTO t");
    add_prop(&insert->tvf_props, &insert->n_tvf_props, "uri", uri);
    insert->tvf_props[0].value_at = sizeof(HEAD) - 1;
    insert->tvf_props[0].value_end = insert->sql_len - 1;
    add_prop(&insert->tvf_props, &insert->n_tvf_props, "s3.endpoint", endpoint);
    add_prop(&insert->tvf_props, &insert->n_tvf_props, "s3.access_key", "AK");
    add_prop(&insert->tvf_props, &insert->n_tvf_props, "s3.secret_key", "hush");
    add_prop(&insert->tvf_props, &insert->n_tvf_props, "s3.session_token", "T0K3N");
    return spec;
}

static void begin(struct fixture *f, const char *const *script, size_t n, const char *files)
{
    char endpoint[64];
    canned_start(&f->server, script, n);
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", f->server.port);
    f->err = (struct err){0};
    f->spec = make_spec("s3://bucket/in/*.csv", endpoint);
    if (files != NULL) {
        add_prop(&f->spec->props, &f->spec->n_props, "s3.max_batch_files", files);
    }
    f->source = s3_source_ops.create(f->spec, &f->err);
    assert_non_null(f->source);
}

static void end(struct fixture *f, size_t n_requests)
{
    s3_source_ops.destroy(f->source);
    job_spec_destroy(f->spec);
    canned_stop(&f->server);
    assert_int_equal(f->server.n_served, n_requests);
    assert_null(strstr(f->err.msg, "hush"));
    assert_null(strstr(f->err.msg, "T0K3N"));
}

static enum plan_result plan(struct fixture *f, const char *offset, struct plan *ret)
{
    struct plan_request request = {
        .offset = offset, .fe = &DORIS_4, .deadline_us = clock_mono_us() + 20 * SECOND};
    return s3_source_ops.plan(f->source, &request, ret, &f->err);
}

static void test_pages_and_skips(void **state)
{
    (void)state;
    static const char *const SCRIPT[] = {
        PAGE("true", OBJECT("in/", "0") OBJECT("in/0.csv", "0") OBJECT("in/a.csv", "1")
                         OBJECT("in/a.txt", "1") OBJECT("in/b/", "7")),
        PAGE("false", OBJECT("in/b/x.csv", "1") OBJECT("in/c.csv", "2") OBJECT("in/d.csv", "3")),
    };
    struct fixture f;
    struct plan p;
    begin(&f, SCRIPT, ARRAY_SIZE(SCRIPT), "2");
    assert_int_equal(plan(&f, NULL, &p), PLAN_RANGE);
    char *sql = s3_source_ops.rewrite(f.source, p.range, "1_1", &f.err);
    assert_string_equal(sql, "INSERT INTO t WITH LABEL `1_1` SELECT * FROM S3(\"uri\"="
                             "\"s3://bucket/in/{a.csv,c.csv}\")");
    assert_string_equal(p.offset_after, "{\"fileName\":\"in/c.csv\"}");
    assert_string_equal(p.end_offset, "{\"fileName\":\"in/d.csv\"}");
    assert_true(p.has_more);
    free(sql);
    plan_fini(&p);
    end(&f, 2);
    assert_non_null(
        strstr(f.server.requests[0],
               "GET /bucket?encoding-type=url&list-type=2&max-keys=1000&prefix=in%2F "));
    assert_non_null(strstr(f.server.requests[0], "x-amz-security-token: T0K3N\r\n"));
    assert_non_null(strstr(f.server.requests[0], "SignedHeaders=host;x-amz-content-sha256;"
                                                 "x-amz-date;x-amz-security-token,"));
    assert_non_null(strstr(f.server.requests[1], "&start-after=in%2Fb%2F "));
}

static void test_batch_ends_with_page(void **state)
{
    (void)state;
    static const char *const SCRIPT[] = {
        PAGE("true", OBJECT("in/a.csv", "1") OBJECT("in/b.csv", "1")),
        PAGE("false", OBJECT("in/z.txt", "1")),
        PAGE("false", ""),
    };
    struct fixture f;
    struct plan p;
    begin(&f, SCRIPT, ARRAY_SIZE(SCRIPT), "2");
    assert_int_equal(plan(&f, NULL, &p), PLAN_RANGE);
    assert_string_equal(p.end_offset, "{\"fileName\":\"in/b.csv\"}");
    assert_true(p.has_more); /* nobody knows yet */
    char *offset = xstrdup(p.offset_after);
    plan_fini(&p);
    assert_int_equal(plan(&f, offset, &p), PLAN_EMPTY);
    plan_fini(&p);
    assert_int_equal(plan(&f, offset, &p), PLAN_EMPTY);
    plan_fini(&p);
    free(offset);
    end(&f, 3);
    assert_non_null(strstr(f.server.requests[1], "&start-after=in%2Fb.csv "));
}

/* Passing faults are tried again, three times in all. */
static void test_passing_faults(void **state)
{
    (void)state;
    static const char *const FAULTS[] = {
        SLOW_DOWN,
        CANNED_RESET,
        HTTP("200 OK", "", ERROR_XML("InternalError", "")),
        HTTP("200 OK", "", "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>in"),
        HTTP("502 Bad Gateway", "", "<html>no</html>"),
        HTTP("500 x", "Content-Length: 1000\r\n", "cut"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(FAULTS); i++) {
        const char *script[] = {FAULTS[i], PAGE("false", OBJECT("in/a.csv", "1"))};
        struct fixture f;
        bool is_empty = true;
        begin(&f, script, ARRAY_SIZE(script), NULL);
        assert_true(
            s3_source_ops.check(f.source, clock_mono_us() + 20 * SECOND, NULL, &is_empty, &f.err));
        assert_false(is_empty);
        end(&f, 2);
    }
}

static void test_faults_that_do_not_pass(void **state)
{
    (void)state;
    static const char *const SCRIPT[] = {CANNED_RESET, "", SLOW_DOWN, PAGE("false", "")};
    struct fixture f;
    bool is_empty = true;
    begin(&f, SCRIPT, ARRAY_SIZE(SCRIPT), NULL);
    assert_false(
        s3_source_ops.check(f.source, clock_mono_us() + 20 * SECOND, NULL, &is_empty, &f.err));
    assert_non_null(strstr(f.err.msg, "bucket bucket at http://127.0.0.1:"));
    assert_non_null(strstr(f.err.msg, "HTTP status 503, SlowDown: says the store"));
    end(&f, 3);
}

static const struct {
    const char *reply;
    const char *why;
} LASTING[] = {
    {HTTP("403 x", "", ERROR_XML("SignatureDoesNotMatch", "")), "the access key was refused (Sig"},
    {HTTP("403 x", "", ERROR_XML("InvalidAccessKeyId", "")), "the access key was refused (Inv"},
    {HTTP("403 x", "", ERROR_XML("AccessDenied", "")), "the access key may not list bucket bucket"},
    {HTTP("400 x", "", ERROR_XML("ExpiredToken", "")),
     "session token of the access key was refused "
     "(ExpiredToken)"},
    {HTTP("400 x", "", ERROR_XML("ExpiredToken", "")), "ALTER JOB ... INSERT with the new keys"},
    {HTTP("200 OK", "", ERROR_XML("AccessDenied", "")), "may not list bucket bucket"},
    {PAGE("false", OBJECT("in/a.csv", "1") OBJECT("in/a.csv", "1")), "not in byte order"},
    {HTTP("404 x", "", ERROR_XML("NoSuchBucket", "")), "bucket bucket does not exist"},
    {HTTP("200 OK", "", ERROR_XML("NoSuchBucket", "")), "bucket bucket does not exist"},
    {HTTP("301 x", "x-amz-bucket-region: eu-7\r\n", ERROR_XML("PermanentRedirect", "")),
     "it is in eu-7"},
    {HTTP("400 x", "", ERROR_XML("AuthorizationHeaderMalformed", "<Region>eu-8</Region>")),
     "it is in eu-8"},
    {HTTP("400 x", "", ERROR_XML("Strange&#10;Code", "")),
     "HTTP status 400, Strange Code: says the store"},
    {HTTP("404 x", "", "<html/>"), "HTTP status 404"},
    {HTTP("302 x", "Location: /\r\n", ""), "HTTP status 302"},
    {HTTP("206 x", "", "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"),
     "HTTP status 206"},
    {PAGE("false", OBJECT("in/b.csv", "1") OBJECT("in/a.csv", "1")), "not in byte order"},
    {PAGE("false", OBJECT("out/b.csv", "1")), "does not begin with"},
    {PAGE("true", ""), "no progress"},
};

static void test_lasting_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(LASTING); i++) {
        struct fixture f;
        struct plan p;
        begin(&f, &LASTING[i].reply, 1, NULL);
        assert_int_equal(plan(&f, NULL, &p), PLAN_FAIL);
        if (strstr(f.err.msg, LASTING[i].why) == NULL) {
            fail_msg("%zu: %s", i, f.err.msg);
        }
        plan_fini(&p);
        end(&f, 1);
    }
}

#define SKEWED                                                                                     \
    HTTP("403 x", "Date: Fri, 24 May 2030 00:00:30 GMT\r\n", ERROR_XML("RequestTimeTooSkewed", ""))

#define SKEWED_BACK                                                                                \
    HTTP("403 x", "Date: Tue, 24 May 2011 00:00:30 GMT\r\n", ERROR_XML("RequestTimeTooSkewed", ""))

/* By the store's own Date, at once; again when clocks are set again; but not twice in a request. */
static void test_clock_skew_is_corrected(void **state)
{
    (void)state;
    static const char *const SCRIPT[] = {
        SKEWED, PAGE("false", ""), SKEWED_BACK, PAGE("false", ""), SKEWED, SKEWED};
    struct fixture f;
    bool is_empty = false;
    begin(&f, SCRIPT, ARRAY_SIZE(SCRIPT), NULL);
    int64_t deadline_us = clock_mono_us() + 20 * SECOND;
    assert_true(s3_source_ops.check(f.source, deadline_us, NULL, &is_empty, &f.err));
    assert_true(is_empty);
    assert_true(s3_source_ops.check(f.source, deadline_us, NULL, &is_empty, &f.err));
    assert_false(s3_source_ops.check(f.source, deadline_us, NULL, &is_empty, &f.err));
    assert_non_null(strstr(f.err.msg, "clocks"));
    end(&f, 6);
    assert_null(strstr(f.server.requests[0], "x-amz-date: 20300524T0000"));
    assert_non_null(strstr(f.server.requests[1], "x-amz-date: 20300524T0000"));
    assert_non_null(strstr(f.server.requests[3], "x-amz-date: 20110524T0000"));
}

static void test_deadline_and_cancel(void **state)
{
    (void)state;
    static const char *const SCRIPT[] = {CANNED_HANG};
    struct fixture f;
    struct cancel cancel;
    bool is_empty = false;
    cancel_init(&cancel);
    begin(&f, SCRIPT, ARRAY_SIZE(SCRIPT), NULL);
    assert_false(
        s3_source_ops.check(f.source, clock_mono_us() + SECOND / 20, NULL, &is_empty, &f.err));
    assert_non_null(strstr(f.err.msg, "did not finish"));
    cancel_raise(&cancel);
    assert_false(
        s3_source_ops.check(f.source, clock_mono_us() + 20 * SECOND, &cancel, &is_empty, &f.err));
    assert_non_null(strstr(f.err.msg, "cancelled"));
    cancel_fini(&cancel);
    end(&f, 1);
}

/* A page that begins where the last one did would be walked over for ever. */
static void test_listing_that_turns_round(void **state)
{
    (void)state;
    static const char *const SCRIPT[] = {
        PAGE("true", OBJECT("in/a.txt", "1") OBJECT("in/b.txt", "1")),
        PAGE("true", OBJECT("in/b.txt", "1") OBJECT("in/c.csv", "1")),
    };
    struct fixture f;
    struct plan p;
    begin(&f, SCRIPT, ARRAY_SIZE(SCRIPT), NULL);
    assert_int_equal(plan(&f, NULL, &p), PLAN_FAIL);
    assert_non_null(strstr(f.err.msg, "key \"in/b.txt\" came after \"in/b.txt\""));
    plan_fini(&p);
    end(&f, 2);
}

/* What Doris cannot read is passed, with all that follow on the page, and files before it first. */
static void test_names_that_doris_cannot_read(void **state)
{
    (void)state;
    static const char ALL[] =
        PAGE("true", OBJECT("in/a.csv", "1") OBJECT("in/b#.csv", "7") OBJECT("in/b.txt", "1")
                         OBJECT("in/c?.csv", "8") OBJECT("in/d.csv", "1") OBJECT("in/e?.csv", "1"));
    static const char REST[] = PAGE("true", OBJECT("in/b#.csv", "7") OBJECT("in/b.txt", "1")
                                                OBJECT("in/c?.csv", "8") OBJECT("in/d.csv", "1"));
    static const char *const SCRIPT[] = {ALL, REST};
    struct fixture f;
    struct plan p;
    begin(&f, SCRIPT, ARRAY_SIZE(SCRIPT), NULL);
    assert_true(s3_source_ops.sets_aside(f.source) && !s3_source_ops.is_tracking(f.source));
    assert_int_equal(plan(&f, NULL, &p), PLAN_RANGE);
    assert_string_equal(p.offset_after, "{\"fileName\":\"in/a.csv\"}");
    assert_string_equal(p.end_offset, "{\"fileName\":\"in/b#.csv\"}");
    assert_int_equal(p.n_files, 1);
    assert_true(p.has_more);
    plan_fini(&p);
    assert_int_equal(plan(&f, "{\"fileName\":\"in/a.csv\"}", &p), PLAN_ASIDE);
    assert_int_equal(p.n_bad, 2);
    assert_int_equal(p.marks.n_marks, 0);
    assert_string_equal(p.bad[0].key, "in/b#.csv");
    assert_string_equal(p.bad[0].etag, "e");
    assert_int_equal(p.bad[0].size, 7);
    assert_int_equal(p.bad[0].task_id, 0);
    assert_true(p.bad[0].at_ms > 0);
    assert_string_equal(p.bad[1].key, "in/c?.csv");
    assert_string_equal(p.bad[1].reason,
                        "Doris cuts names at '?' and '#'. Give it another name, "
                        "one that sorts behind the job's offset, and it is loaded");
    assert_string_equal(p.offset_after, "{\"fileName\":\"in/c?.csv\"}");
    assert_true(p.has_more);
    assert_non_null(strstr(f.err.msg, "object \"in/b#.csv\" cannot be loaded: Doris cuts names"));
    assert_non_null(strstr(f.err.msg, "PROPERTIES('offset'='{\"fileName\":\"in/c?.csv\"}')"));
    plan_fini(&p);
    end(&f, 2);
}

/* RETRY FILE, of an ordered job: that file by itself, first; the offset stays. */
static void test_retry(void **state)
{
    (void)state;
    static const char *const SCRIPT[] = {
        PAGE("true", OBJECT("in/b*.csv", "5") OBJECT("in/b*.csv2", "5")),
        PAGE("false", OBJECT("in/b*.csv", "0")),
        PAGE("false", OBJECT("in/b*.csv.csv", "1")),
        PAGE("false", OBJECT("in/b*.csv", "6") OBJECT("in/c.csv", "6")),
        PAGE("false", OBJECT("in/b*.csv", "6") OBJECT("in/c.csv", "6")),
    };
    static const char OFFSET[] = "{\"fileName\":\"in/m.csv\"}";
    struct bad_file bad[] = {
        {.key = (char *)"in/a.csv", .etag = (char *)"", .reason = (char *)"x"},
        {.key = (char *)"in/b*.csv", .etag = (char *)"", .reason = (char *)"x", .is_retried = true},
    };
    struct plan_request request = {.offset = OFFSET, .fe = &DORIS_4, .bad = bad, .n_bad = 2};
    struct fixture f;
    struct plan p;
    struct file_marks marks = {0};
    begin(&f, SCRIPT, ARRAY_SIZE(SCRIPT), NULL);
    request.deadline_us = clock_mono_us() + 20 * SECOND;
    assert_int_equal(s3_source_ops.plan(f.source, &request, &p, &f.err), PLAN_RANGE);
    assert_true(p.is_retry && p.n_files == 1);
    assert_string_equal(p.offset_after, OFFSET);
    char *sql = s3_source_ops.rewrite(f.source, p.range, "", &f.err);
    assert_non_null(strstr(sql, "in/b\\\\*.csv"));
    free(sql);
    assert_true(s3_source_ops.marks(f.source, p.range, false, &marks, NULL, &f.err));
    assert_int_equal(marks.n_settled, 1);
    assert_string_equal(marks.settled[0], "in/b*.csv");
    file_marks_fini(&marks);
    plan_fini(&p);
    assert_int_equal(s3_source_ops.plan(f.source, &request, &p, &f.err), PLAN_ASIDE);
    assert_non_null(strstr(p.bad[0].reason, "it is empty now"));
    plan_fini(&p);
    assert_int_equal(s3_source_ops.plan(f.source, &request, &p, &f.err), PLAN_ASIDE);
    assert_non_null(strstr(p.bad[0].reason, "it is gone"));
    assert_true(p.n_bad == 1 && !p.bad[0].is_retried);
    plan_fini(&p);
    request.offset = "{\"fileName\":\"in/a.csv\"}"; /* moved back: it is found by itself, too */
    for (int i = 0; i < 2; i++) {                   /* and with RETRY FILE it would come twice */
        bad[1].is_retried = i == 1;
        assert_int_equal(s3_source_ops.plan(f.source, &request, &p, &f.err), PLAN_RANGE);
        assert_false(p.is_retry);
        assert_string_equal(p.offset_after, "{\"fileName\":\"in/b*.csv\"}");
        plan_fini(&p);
    }
    end(&f, 5);
    assert_non_null(strstr(f.server.requests[0], "max-keys=1&prefix=in%2Fb%2A.csv "));
}

static void test_max_files_of_the_request(void **state)
{
    (void)state;
    static const char FOUR[] = PAGE("false", OBJECT("in/a.csv", "1") OBJECT("in/b.csv", "1")
                                                 OBJECT("in/c.csv", "1") OBJECT("in/d.csv", "1"));
    static const char *const SCRIPT[] = {FOUR, FOUR};
    static const int64_t MOST[] = {2, 100};
    static const int64_t FILES[] = {2, 3};
    struct fixture f;
    begin(&f, SCRIPT, ARRAY_SIZE(SCRIPT), "3");
    for (size_t i = 0; i < 2; i++) {
        struct plan p;
        struct plan_request request = {
            .fe = &DORIS_4, .max_files = MOST[i], .deadline_us = clock_mono_us() + 20 * SECOND};
        assert_int_equal(s3_source_ops.plan(f.source, &request, &p, &f.err), PLAN_RANGE);
        assert_int_equal(p.n_files, FILES[i]);
        plan_fini(&p);
    }
    end(&f, 2);
}

static void test_offset_property(void **state)
{
    (void)state;
    static const char *const SCRIPT[] = {PAGE("false", OBJECT("in/z.csv", "1"))};
    struct canned_http server;
    struct err err = {0};
    struct plan p;
    char endpoint[64];
    canned_start(&server, SCRIPT, 1);
    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%d", server.port);
    struct job_spec *spec = make_spec("s3://bucket/in/*.csv", endpoint);
    add_prop(&spec->props, &spec->n_props, "OFFSET", "{\"fileName\":\"in/m +\"}");
    struct source *s = s3_source_ops.create(spec, &err);
    assert_non_null(s);
    assert_int_equal(
        s3_source_ops.plan(
            s, &(struct plan_request){.fe = &DORIS_4, .deadline_us = clock_mono_us() + 20 * SECOND},
            &p, &err),
        PLAN_RANGE);
    plan_fini(&p);
    s3_source_ops.destroy(s);
    job_spec_destroy(spec);
    canned_stop(&server);
    assert_non_null(strstr(server.requests[0], "&start-after=in%2Fm%20%2B "));
}

static void test_parse_offset(void **state)
{
    (void)state;
    static const char *const WRONG[][2] = {
        {"", "Invalid format for offset: "},
        {"  ", "Invalid format for offset: "},
        {"xxx", "Failed to initialize offset"},
        {"{\"fileName\":", "Failed to initialize offset"},
        {"{}", "Invalid format for offset: {}"},
        {"{\"fileName\":\"\"}", "Invalid format for offset: "},
        {"{\"fileName\":1}", "Invalid format for offset: "},
        {"[\"fileName\"]", "Invalid format for offset: "},
    };
    struct err err = {0};
    char *offset = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(WRONG); i++) {
        assert_false(s3_source_ops.parse_offset(WRONG[i][0], &offset, &err));
        if (strncmp(err.msg, "errCode = 2, ", 13) != 0 || strstr(err.msg, WRONG[i][1]) == NULL) {
            fail_msg("%s: %s", WRONG[i][0], err.msg);
        }
        assert_null(offset);
    }
    assert_true(
        s3_source_ops.parse_offset(" { \"fileName\" : \"a/b\", \"x\": 1 } ", &offset, &err));
    assert_string_equal(offset, "{\"fileName\":\"a/b\"}");
    char *shown = s3_source_ops.show_offset(offset);
    assert_string_equal(shown, offset);
    free(shown);
    free(offset);
}

static void test_later_offset(void **state)
{
    (void)state;
    assert_true(s3_source_ops.is_later("{\"fileName\":\"a/b2\"}", "{\"fileName\":\"a/b10\"}"));
    assert_false(s3_source_ops.is_later("{\"fileName\":\"a/b10\"}", "{\"fileName\":\"a/b2\"}"));
    assert_false(s3_source_ops.is_later("{\"fileName\":\"a\"}", "{ \"fileName\": \"a\" }"));
    assert_true(s3_source_ops.is_later("{\"fileName\":\"\u00e4\"}", "{\"fileName\":\"z\"}"));
    assert_false(s3_source_ops.is_later("none", "{\"fileName\":\"a\"}"));
    assert_false(s3_source_ops.is_later("{\"fileName\":\"a\"}", ""));
}

static void expect_refused(const char *uri, const char *key, const char *value, const char *why)
{
    struct err err = {0};
    struct job_spec *spec = make_spec(uri, "http://127.0.0.1:1");
    add_prop(&spec->props, &spec->n_props, key, value);
    assert_null(s3_source_ops.create(spec, &err));
    if (strstr(err.msg, why) == NULL) {
        fail_msg("%s: %s", key, err.msg);
    }
    job_spec_destroy(spec);
}

static void test_refused_at_create(void **state)
{
    (void)state;
    expect_refused("s3://b/k", "s3.max_batch_files", "0",
                   "s3.max_batch_files must be at least 1, but was 0");
    expect_refused("s3://b/k", "s3.max_batch_bytes", "1000",
                   "s3.max_batch_bytes must be between 100 MB and 10 GB, but was 1000");
    expect_refused("s3://b/k", "s3.max_batch_bytes", "10G", "between 100 MB and 10 GB");
    expect_refused("s3://b/k", "offset", "x", "Failed to initialize offset");
    expect_refused("s3://b/k", "s3.discovery", "x", "must be ordered or tracked");
    expect_refused("s3://b/k", "s3.overwritten", "reload", "needs \"s3.discovery\"");
    expect_refused("s3://b/k[", "x", "y", "Invalid uri: the pattern");
    expect_refused("s3://b/k?", "x", "y", "'?'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_and_skips),
        cmocka_unit_test(test_batch_ends_with_page),
        cmocka_unit_test(test_passing_faults),
        cmocka_unit_test(test_faults_that_do_not_pass),
        cmocka_unit_test(test_lasting_faults),
        cmocka_unit_test(test_clock_skew_is_corrected),
        cmocka_unit_test(test_deadline_and_cancel),
        cmocka_unit_test(test_listing_that_turns_round),
        cmocka_unit_test(test_names_that_doris_cannot_read),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_max_files_of_the_request),
        cmocka_unit_test(test_offset_property),
        cmocka_unit_test(test_parse_offset),
        cmocka_unit_test(test_later_offset),
        cmocka_unit_test(test_refused_at_create),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
