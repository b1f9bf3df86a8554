/*
 * The signer against the signatures that AWS publishes: the examples of the S3 documentation
 * (bucket examplebucket) and cases of the Signature Version 4 test suite (service "service").
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/sigv4.h"

static const struct sigv4_key S3_KEY = {
    .access_key = "AKIAIOSFODNN7EXAMPLE",
    .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    .region = "us-east-1",
    .service = "s3",
};
static const struct sigv4_key SUITE_KEY = {
    .access_key = "AKIDEXAMPLE",
    .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    .region = "us-east-1",
    .service = "service",
};
enum { S3_TIME = 1369353600, SUITE_TIME = 1440938160 }; /* 20130524T000000Z, 20150830T123600Z */

#define PAIR(name, value)                                                                          \
    {                                                                                              \
        SPAN_LIT(name), SPAN_LIT(value)                                                            \
    }

static void expect_signature(const struct sigv4_key *key, const struct sigv4_request *request,
                             const char *signature, const char *target)
{
    struct err err = {0};
    struct sigv4_result r = {0};
    assert_true(sigv4_sign(key, request, &r, &err));
    const char *found = strstr(r.authorization, "Signature=");
    assert_non_null(found);
    assert_string_equal(found + strlen("Signature="), signature);
    assert_string_equal(r.target, target);
    char *alone = sigv4_target(request);
    assert_string_equal(alone, target);
    free(alone);
    sigv4_result_fini(&r);
}

static void test_s3_get_object(void **state)
{
    (void)state;
    struct sigv4_pair headers[] = {
        PAIR("x-amz-date", "20130524T000000Z"),
        PAIR("x-amz-content-sha256", SIGV4_EMPTY_PAYLOAD),
        PAIR("range", "bytes=0-9"),
        PAIR("host", "examplebucket.s3.amazonaws.com"),
    };
    struct sigv4_request request = {.method = "GET",
                                    .path = SPAN_LIT("/test.txt"),
                                    .headers = headers,
                                    .n_headers = ARRAY_SIZE(headers),
                                    .payload_hash = SIGV4_EMPTY_PAYLOAD,
                                    .time_s = S3_TIME};
    expect_signature(&S3_KEY, &request,
                     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                     "/test.txt");
}

static void test_s3_put_object_with_dollar(void **state)
{
    (void)state;
    static const char HASH[] = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    struct sigv4_pair headers[] = {
        PAIR("date", "Fri, 24 May 2013 00:00:00 GMT"),
        PAIR("host", "examplebucket.s3.amazonaws.com"),
        {SPAN_LIT("x-amz-content-sha256"), {HASH, sizeof(HASH) - 1}},
        PAIR("x-amz-date", "20130524T000000Z"),
        PAIR("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    };
    struct sigv4_request request = {.method = "PUT",
                                    .path = SPAN_LIT("/test$file.text"),
                                    .headers = headers,
                                    .n_headers = ARRAY_SIZE(headers),
                                    .payload_hash = HASH,
                                    .time_s = S3_TIME};
    expect_signature(&S3_KEY, &request,
                     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
                     "/test%24file.text");
}

static struct sigv4_request bucket_get(const struct sigv4_pair *query, size_t n_query)
{
    static const struct sigv4_pair HEADERS[] = {
        PAIR("host", "examplebucket.s3.amazonaws.com"),
        PAIR("x-amz-content-sha256", SIGV4_EMPTY_PAYLOAD),
        PAIR("x-amz-date", "20130524T000000Z"),
    };
    return (struct sigv4_request){.method = "GET",
                                  .path = SPAN_LIT("/"),
                                  .query = query,
                                  .n_query = n_query,
                                  .headers = HEADERS,
                                  .n_headers = ARRAY_SIZE(HEADERS),
                                  .payload_hash = SIGV4_EMPTY_PAYLOAD,
                                  .time_s = S3_TIME};
}

static void test_s3_query(void **state)
{
    (void)state;
    static const struct sigv4_pair LIFECYCLE[] = {PAIR("lifecycle", "")};
    static const struct sigv4_pair LIST[] = {PAIR("prefix", "J"), PAIR("max-keys", "2")};
    struct sigv4_request request = bucket_get(LIFECYCLE, 1);
    expect_signature(&S3_KEY, &request,
                     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
                     "/?lifecycle=");
    request = bucket_get(LIST, 2);
    expect_signature(&S3_KEY, &request,
                     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
                     "/?max-keys=2&prefix=J");
}

static struct sigv4_request suite_get(struct span path, const struct sigv4_pair *query,
                                      size_t n_query)
{
    static const struct sigv4_pair HEADERS[] = {PAIR("host", "example.amazonaws.com"),
                                                PAIR("x-amz-date", "20150830T123600Z")};
    return (struct sigv4_request){.method = "GET",
                                  .path = path,
                                  .query = query,
                                  .n_query = n_query,
                                  .headers = HEADERS,
                                  .n_headers = ARRAY_SIZE(HEADERS),
                                  .payload_hash = SIGV4_EMPTY_PAYLOAD,
                                  .time_s = SUITE_TIME};
}

static void test_suite_vanilla(void **state)
{
    (void)state;
    struct sigv4_request request = suite_get(SPAN_LIT("/"), NULL, 0);
    expect_signature(&SUITE_KEY, &request,
                     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "/");
    request.method = "POST";
    expect_signature(&SUITE_KEY, &request,
                     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", "/");
}

static void test_suite_query_order_and_utf8(void **state)
{
    (void)state;
    static const struct sigv4_pair QUERY[] = {PAIR("Param2", "value2"), PAIR("Param1", "value1")};
    struct sigv4_request request = suite_get(SPAN_LIT("/"), QUERY, 2);
    expect_signature(&SUITE_KEY, &request,
                     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
                     "/?Param1=value1&Param2=value2");
    request = suite_get(SPAN_LIT("/\xe1\x88\xb4"), NULL, 0);
    expect_signature(&SUITE_KEY, &request,
                     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
                     "/%E1%88%B4");
}

static void test_suite_header_values_are_trimmed(void **state)
{
    (void)state;
    static const struct sigv4_pair HEADERS[] = {
        PAIR("host", "example.amazonaws.com"), PAIR("my-header1", " value1"),
        PAIR("my-header2", " \"a   b   c\""), PAIR("x-amz-date", "20150830T123600Z")};
    struct sigv4_request request = suite_get(SPAN_LIT("/"), NULL, 0);
    request.headers = HEADERS;
    request.n_headers = ARRAY_SIZE(HEADERS);
    expect_signature(&SUITE_KEY, &request,
                     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736", "/");
}

/* What libcurl's own signer gets wrong: order by encoded name, + = / and blanks in values. */
static void test_canonical_query(void **state)
{
    (void)state;
    static const struct sigv4_pair QUERY[] = {PAIR("start-after", "a/b c+d=e&f"), PAIR("a", "2"),
                                              PAIR("a", "1"), PAIR("~", "~-._"), PAIR("\xc3", "")};
    struct sigv4_request request = suite_get(SPAN_LIT("/b+=@ :"), QUERY, ARRAY_SIZE(QUERY));
    struct sigv4_result r = {0};
    struct err err = {0};
    assert_true(sigv4_sign(&SUITE_KEY, &request, &r, &err));
    assert_string_equal(r.target, "/b%2B%3D%40%20%3A?%C3=&a=1&a=2&start-after=a%2Fb%20c%2Bd%3De%26f"
                                  "&~=~-._");
    assert_non_null(strstr(r.canonical, "\nhost;x-amz-date\n" SIGV4_EMPTY_PAYLOAD));
    assert_non_null(strstr(r.string_to_sign, "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/"
                                             "us-east-1/service/aws4_request\n"));
    sigv4_result_fini(&r);
}

static void test_secret_decides(void **state)
{
    (void)state;
    struct sigv4_request request = suite_get(SPAN_LIT("/"), NULL, 0);
    struct sigv4_key other = SUITE_KEY;
    struct sigv4_result a = {0};
    struct sigv4_result b = {0};
    struct err err = {0};
    other.secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEZ";
    assert_true(sigv4_sign(&SUITE_KEY, &request, &a, &err));
    assert_true(sigv4_sign(&other, &request, &b, &err));
    assert_string_not_equal(a.authorization, b.authorization);
    assert_null(strstr(b.authorization, other.secret_key));
    sigv4_result_fini(&a);
    sigv4_result_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_s3_get_object),
        cmocka_unit_test(test_s3_put_object_with_dollar),
        cmocka_unit_test(test_s3_query),
        cmocka_unit_test(test_suite_vanilla),
        cmocka_unit_test(test_suite_query_order_and_utf8),
        cmocka_unit_test(test_suite_header_values_are_trimmed),
        cmocka_unit_test(test_canonical_query),
        cmocka_unit_test(test_secret_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
