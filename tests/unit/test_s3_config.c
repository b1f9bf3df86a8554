#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sources/s3_config.h"

enum { MAX_PROPS = 8 };

/* "key", "value", … up to NULL. */
static bool read(const char *const *texts, struct s3_config *ret, struct err *err)
{
    struct spec_prop props[MAX_PROPS];
    size_t n = 0;
    for (; n < MAX_PROPS && texts[2 * n] != NULL; n++) {
        props[n] =
            (struct spec_prop){.key = (char *)texts[2 * n], .value = (char *)texts[2 * n + 1]};
    }
    *err = (struct err){0};
    return s3_config_read(props, n, ret, err);
}

#define KEYS "s3.access_key", "AK", "s3.secret_key", "SK"

static const struct {
    const char *props[2 * MAX_PROPS + 1];
    const char *base_url;
    const char *bucket;
    const char *pattern;
    const char *region;
    bool is_path_style;
} PLACES[] = {
    {{"uri", "s3://b/in/*.csv", "s3.endpoint", "s3.eu-west-1.amazonaws.com", KEYS},
     "https://b.s3.eu-west-1.amazonaws.com",
     "b",
     "in/*.csv",
     "eu-west-1",
     false},
    {{"URI", "s3a://b/k", "S3.Endpoint", "http://minio:9000/", "use_path_style", "TRUE", KEYS},
     "http://minio:9000",
     "b",
     "k",
     "us-east-1",
     true},
    {{"uri", "s3n://b/k", "AWS_ENDPOINT", "127.0.0.1:9000", "AWS_REGION", "r1", KEYS},
     "http://127.0.0.1:9000",
     "b",
     "k",
     "r1",
     true},
    {{"uri", "s3://b/k", "endpoint", "localhost:9000", KEYS},
     "http://b.localhost:9000",
     "b",
     "k",
     "us-east-1",
     false},
    {{"uri", "s3://b/k", "endpoint", "minio:9000", KEYS},
     "http://b.minio:9000",
     "b",
     "k",
     "us-east-1",
     false},
    {{"uri", "s3://b/k", "endpoint", "minio.example:443", KEYS},
     "https://b.minio.example",
     "b",
     "k",
     "us-east-1",
     false},
    {{"uri", "s3://b/k", "endpoint", "http://minio.example:80", KEYS},
     "http://b.minio.example",
     "b",
     "k",
     "us-east-1",
     false},
    {{"uri", "s3://b/k", "endpoint", "[::1]:9000", KEYS},
     "http://[::1]:9000",
     "b",
     "k",
     "us-east-1",
     true},
    {{"uri", "s3://b.c/k", "endpoint", "https://h.example", KEYS},
     "https://h.example",
     "b.c",
     "k",
     "us-east-1",
     true},
    {{"uri", "s3://B_c/k", "endpoint", "http://h.example", KEYS},
     "http://h.example",
     "B_c",
     "k",
     "us-east-1",
     true},
    {{"uri", "https://s3.us-west-2.amazonaws.com/b/k/*", "use_path_style", "true", KEYS},
     "https://s3.us-west-2.amazonaws.com",
     "b",
     "k/*",
     "us-west-2",
     true},
    {{"uri", "https://b.s3.us-west-2.amazonaws.com/k", KEYS},
     "https://b.s3.us-west-2.amazonaws.com",
     "b",
     "k",
     "us-west-2",
     false},
    {{"uri", "http://h.example/b/k", "use_path_style", "true", KEYS},
     "http://h.example",
     "b",
     "k",
     "us-east-1",
     true},
    {{"uri", "http://h.example/b/k", "endpoint", "other.example", "use_path_style", "true", KEYS},
     "http://other.example",
     "b",
     "k",
     "us-east-1",
     true},
    {{"uri", "s3://b.h.example/k", "force_parsing_by_standard_uri", "true", KEYS},
     "https://b.h.example",
     "b",
     "k",
     "us-east-1",
     false},
    {{"uri", "s3://h.example/b/k", "force_parsing_by_standard_uri", "true", "use_path_style",
      "true", KEYS},
     "https://h.example",
     "b",
     "k",
     "us-east-1",
     true},
    {{"uri", "oss://b/k", "oss.endpoint", "oss-cn-beijing.aliyuncs.com", "oss.access_key", "AK",
      "oss.secret_key", "SK"},
     "https://b.oss-cn-beijing.aliyuncs.com",
     "b",
     "k",
     "cn-beijing",
     false},
    {{"uri", "cosn://b/k", "s3.endpoint", "cos.ap-beijing.myqcloud.com", KEYS},
     "https://b.cos.ap-beijing.myqcloud.com",
     "b",
     "k",
     "ap-beijing",
     false},
};

static void test_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(PLACES); i++) {
        struct s3_config c = {0};
        struct err err;
        if (!read(PLACES[i].props, &c, &err)) {
            fail_msg("%zu: %s", i, err.msg);
        }
        assert_string_equal(c.base_url, PLACES[i].base_url);
        assert_string_equal(c.host, strstr(c.base_url, "://") + 3);
        assert_string_equal(c.bucket, PLACES[i].bucket);
        assert_string_equal(s3_config_pattern(&c).p, PLACES[i].pattern);
        assert_string_equal(c.region, PLACES[i].region);
        assert_int_equal(c.is_path_style, PLACES[i].is_path_style);
        assert_string_equal(c.access_key, "AK");
        assert_string_equal(c.secret_key, "SK");
        assert_null(c.session_token);
        s3_config_fini(&c);
    }
}

#define HERE "s3.endpoint", "h.example"

static const struct {
    const char *props[2 * MAX_PROPS + 1];
    const char *why;
} REFUSED[] = {
    {{HERE, KEYS}, "\"uri\" is missing"},
    {{"uri", " ", HERE, KEYS}, "\"uri\" is missing"},
    {{"uri", "s3://b/k", KEYS}, "\"s3.endpoint\" is missing"},
    {{"uri", "s3://b/k", HERE, "s3.secret_key", "SK"}, "\"s3.access_key\" is missing"},
    {{"uri", "s3://b/k", HERE, "s3.access_key", "AK"}, "\"s3.secret_key\" is missing"},
    {{"uri", "s3://b/k", HERE, "s3.session_token", "T"}, "are missing"},
    {{"uri", "s3://b/k", "resource", "r"}, "\"resource\" cannot be used"},
    {{"uri", "s3://b/k", HERE, "s3.role_arn", "arn"}, "\"s3.role_arn\" cannot be used"},
    {{"uri", "s3://b/k", HERE, "AWS_ROLE_ARN", "arn"}, "\"AWS_ROLE_ARN\" cannot be used"},
    {{"uri", "s3://b/k", HERE, KEYS, "provider", "AZURE"}, "azure"},
    {{"uri", "b/k", HERE, KEYS}, "Invalid uri"},
    {{"uri", "hdfs://b/k", HERE, KEYS}, "Invalid uri"},
    {{"uri", "s3://b", HERE, KEYS}, "names no object"},
    {{"uri", "s3://b/", HERE, KEYS}, "names no object"},
    {{"uri", "s3://b/d/", HERE, KEYS}, "ends with '/'"},
    {{"uri", "s3:///k", HERE, KEYS}, "not a bucket name"},
    {{"uri", "s3://b*/k", HERE, KEYS}, "not a bucket name"},
    {{"uri", "s3://u:SK@b/k", HERE, KEYS}, "not a bucket name"},
    {{"uri", "s3://b/k?.csv", HERE, KEYS}, "'?'"},
    {{"uri", "s3://b/k#1", HERE, KEYS}, "'?' and '#'"},
    {{"uri", "s3://b/a//b", HERE, KEYS}, "removes empty parts"},
    {{"uri", "s3://b/./b", HERE, KEYS}, "removes empty parts"},
    {{"uri", "s3://b/a/..", HERE, KEYS}, "removes empty parts"},
    {{"uri", "https://localhost/b/k", KEYS}, "use_path_style"},
    {{"uri", "http://127.0.0.1:9000/b/k", KEYS}, "use_path_style"},
    {{"uri", "http://[::1]:9000/b/k", KEYS}, "use_path_style"},
    {{"uri", "https://h.example/b", "use_path_style", "true", KEYS}, "names no object"},
    {{"uri", "s3://b/k", "s3.endpoint", "h.example/path", KEYS}, "not a host"},
    {{"uri", "s3://b/k", "s3.endpoint", "h.example:x", KEYS}, "not a host"},
    {{"uri", "s3://b/k", "s3.endpoint", "h.example:70000", KEYS}, "not a host"},
    {{"uri", "s3://b/k", "s3.endpoint", "u@h.example", KEYS}, "not a host"},
    {{"uri", "s3://b/k", "s3.endpoint", "http://", KEYS}, "not a host"},
    {{"uri", "s3://b/k", HERE, "endpoint", "i.example", KEYS}, "contradict"},
    {{"uri", "s3://b/k", "URI", "s3://b/k", HERE, KEYS}, "contradict"},
    {{"uri", "s3://b/k", HERE, "s3.access_key", "A\r\nX: y", "s3.secret_key", "S"},
     "control character"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(REFUSED); i++) {
        struct s3_config c = {0};
        struct err err;
        assert_false(read(REFUSED[i].props, &c, &err));
        if (strstr(err.msg, REFUSED[i].why) == NULL) {
            fail_msg("%zu: %s", i, err.msg);
        }
        assert_null(strstr(err.msg, "SK"));
        assert_null(c.uri);
    }
}

static void test_same_value_twice_and_public(void **state)
{
    (void)state;
    static const char *const TWICE[] = {"uri",       "s3://b/k", HERE,  "endpoint",
                                        "h.example", "format",   "csv", "s3.access_key",
                                        "",          NULL};
    struct s3_config c = {0};
    struct err err;
    assert_true(read(TWICE, &c, &err));
    assert_null(c.access_key);
    assert_null(c.secret_key);
    s3_config_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_same_value_twice_and_public),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
