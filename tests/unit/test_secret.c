/* base/secret.c: which names are secrets, and that no text shows their values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/xmalloc.h"

static const struct {
    const char *text;
    const char *masked; /* NULL: the same */
} MASKS[] = {
    {"select 1", NULL},
    {"", NULL},
    {"password", NULL},
    {"select password from t where a = 1", NULL},
    {"my_password_hint = 'a'", NULL},
    {"passwords='a'", NULL},
    {"\"s3.secret_key\" = \"abc\"", "\"s3.secret_key\" = \"*XXX\""},
    {"'S3.SECRET_KEY'='abc','x'='y'", "'S3.SECRET_KEY'='*XXX','x'='y'"},
    {"s3.secret_key=abc, b=c", "s3.secret_key=*XXX, b=c"},
    {"`AWS_SECRET_KEY` == `a``b`)", "`AWS_SECRET_KEY` == `*XXX`)"},
    {"\"password\"=\"a\\\"b\"\"c\" x", "\"password\"=\"*XXX\" x"},
    {"'password'='a\"b''c\\'d' x", "'password'='*XXX' x"},
    {"\"secret_key\" /* = */ = -- x\n \"abc\"", "\"secret_key\" /* = */ = -- x\n \"*XXX\""},
    {"s3 . secret_key = 12345", "s3 . secret_key = *XXX"},
    {"\"s3.access_key\"=\"id\",\"s3.session_token\"=\"tok\"",
     "\"s3.access_key\"=\"*XXX\",\"s3.session_token\"=\"*XXX\""},
    {"\"password\"=\"\"", "\"password\"=\"*XXX\""},
    {"\"password\"=R'a\\'", "\"password\"=R'*XXX'"},
    {"\"password\"=\"abc", "\"password\"=\"*XXX"},
    {"\"password\"=\"abc\\", "\"password\"=\"*XXX"},
    {"it's \"secret_key\"=\"abc\" and it's", "it's \"secret_key\"=\"*XXX\" and it's"},
    {"select 'x \"secret_key\"=\"abc\"'", "select 'x \"secret_key\"=\"*XXX\"'"},
    {"/* \"secret_key\"=\"abc\" */", "/* \"secret_key\"=\"*XXX\" */"},
    {"{\"secret_key\":\"abc\",\"x\":1,\"password\" : \"d\\\"e\"}",
     "{\"secret_key\":\"*XXX\",\"x\":1,\"password\" : \"*XXX\"}"},
    {"{\"a\":\"{\\\"password\\\":\\\"abc\\\",\\\"b\\\":1}\"}",
     "{\"a\":\"{\\\"password\\\":\\\"*XXX\\\",\\\"b\\\":1}\"}"},
    {"jdbc:mysql://h/?user=u&password=abc&x=y", "jdbc:mysql://h/?user=u&password=*XXX&x=y"},
    {"SET PASSWORD = PASSWORD('abc')", "SET PASSWORD = PASSWORD('*XXX')"},
    {"\"s3.s\\ecret_key\"=\"abc\"", "\"s3.s\\ecret_key\"=\"*XXX\""},
    {"password=", NULL},
    {"\"s3.secret_key \"=\"abc\", 'x'='y'", "\"s3.secret_key \"=\"*XXX\", 'x'='y'"},
    {"secret_key => 'abc', secret_key := 'abc'", "secret_key => '*XXX', secret_key := '*XXX'"},
    {"u=http%3A%2F%2Fh%3Fa%3D1%26X-Amz-Signature%3Dabc&x=y",
     "u=http%3A%2F%2Fh%3Fa%3D1%26X-Amz-Signature%3D*XXX&x=y"},
    {"q=%7b%22secret_key%22%3a%22abc%22%7d x", "q=%7b%22secret_key%22%3a*XXX x"},
    {"q=100%25&passwd%3dabc x", "q=100%25&passwd%3d*XXX x"},
    {"'password'='abc, 'secret_key'='def', 'x'='y'",
     "'password'='*XXX'secret_key'='*XXX', 'x'='y'"},
    {"password='abc, secret_key = 'def', 'x'='y'", "password='*XXX', 'x'='y'"},
    {"password /* secret_key='abc' */ = 'def' x", "password /* secret_key='*XXX' x"},
    {"password = /* secret_key=abc */ def x", "password = /* secret_key=*XXX x"},
    {"password=\"abc\"\"secret_key\" = \"def\"", "password=\"*XXX\""},
    {"jaas required username=\"u\" password=\"p\";",
     "jaas required username=\"u\" password=\"*XXX\";"},
    {"'s3.token' = 'abc', token = 'x'", "'s3.token' = '*XXX', token = 'x'"},
    {"s3.token = abc", "s3.token = *XXX"},
    {"{\"token\":\"abc\"}", "{\"token\":\"*XXX\"}"},
    {"http://h/p?token=abc&x=y", "http://h/p?token=*XXX&x=y"},
    {"https://h/k?X-Amz-Credential=AK%2F1&X-Amz-Signature=abc&z",
     "https://h/k?X-Amz-Credential=*XXX&X-Amz-Signature=*XXX&z"},
    {"'aws_secret_access_key'='abc'", "'aws_secret_access_key'='*XXX'"},
    {"'property.sasl.jaas.config'='a password=\"b\";'", "'property.sasl.jaas.config'='*XXX'"},
    {"fs.azure.account.key.a.b.c=abc d", "fs.azure.account.key.a.b.c=*XXX d"},
    {"tokens = 'a', a_tokenizer = 'b', secrets(x)", NULL},
    {"denied for 'u' (using password: YES)", NULL},
    {"(using password: NO)", NULL},
    {"https://u:abc@h/k and mysql://h:3306/d?x=a@b",
     "https://u:*XXX@h/k and mysql://h:3306/d?x=a@b"},
    {"'http://u:a:b@h'", "'http://u:*XXX@h'"},
    {"http://u@h:1/", NULL},
    {"password: 'YES'", "password: '*XXX'"},
    {"my-password: abc", "my-password: *XXX"},
    {"secret_key -- x\r = 'abc' y", "secret_key -- x\r = '*XXX' y"},
    {"'secret_key' /* /* */ x */ = 'abc' y", "'secret_key*XXX"},
    {"secret_key -- x\\\n y\n = 'abc'", "secret_key*XXX"},
    {"\"secret_key\"=\"é\", \"x\"=\"é\"", "\"secret_key\"=\"*XXX\", \"x\"=\"é\""},
};

static void test_mask(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(MASKS); i++) {
        const char *expected = MASKS[i].masked != NULL ? MASKS[i].masked : MASKS[i].text;
        _cleanup_free_ char *once = secret_mask(span_of(MASKS[i].text));
        assert_string_equal(once, expected);
        _cleanup_free_ char *twice = secret_mask(span_of(once));
        assert_string_equal(twice, expected);
    }
    _cleanup_free_ char *none = secret_mask((struct span){NULL, 0});
    assert_string_equal(none, "");
}

/* A hostile text must not cost the square of its length, which here would be minutes. */
static void test_mask_large(void **state)
{
    (void)state;
    static const char *const UNITS[] = {
        "password",
        "password/*",
        "password /**/",
        "pwd=pwd(",
        "pwd\\\\",
        "/*pwd/*x*/",
        "pwd -- ",
        "pwd=''",
        "pwd=\\\"\\\"",
        "\\",
        "pwd = ",
        "pwd=\\\\\"",
        "pwd=\\\"pwd=\\\\\\\"pwd='pwd=`",
        "pwd:\"\\",
        "pwd-",
        "p_",
        "://a:",
        "account.key.",
        "a.secret.",
    };
    for (size_t i = 0; i < ARRAY_SIZE(UNITS); i++) {
        _cleanup_buf_ struct buf text = buf_with_max(1 << 20);
        while (text.len < (1 << 18)) {
            buf_append_text(&text, UNITS[i]);
        }
        _cleanup_free_ char *masked = secret_mask(buf_span(&text));
        assert_non_null(masked);
    }
}

/* Where the square is small for each byte, so that it takes a larger text to be seen. */
static void test_mask_larger(void **state)
{
    (void)state;
    static const char *const UNITS[] = {"pwd#", "pwd --", "pwd#\\", "pwd#/*", "[&token#"};
    for (size_t i = 0; i < ARRAY_SIZE(UNITS); i++) {
        _cleanup_buf_ struct buf text = buf_with_max(8 << 20);
        while (text.len < (4 << 20)) {
            buf_append_text(&text, UNITS[i]);
        }
        buf_append_text(&text, "\n#\n--\n#"); /* a line that ends is looked for anew */
        clock_t begin = clock();
        _cleanup_free_ char *masked = secret_mask(buf_span(&text));
        assert_non_null(masked);
        assert_true(clock() - begin < 8 * CLOCKS_PER_SEC); /* it took 20 s and more */
    }
}

static void test_secret_keys(void **state)
{
    (void)state;
    static const char *const YES[] = {
        "s3.secret_key",
        "S3.SECRET_KEY",
        "AWS_SECRET_KEY",
        "aws_token",
        "secret_key",
        "password",
        "jdbc.password",
        "session_token",
        "s3.session_token",
        "s3.session-token",
        "oss.secret_key",
        "s3.access_key",
        "AWS_ACCESS_KEY",
        "s3.secret-access-key",
        "azure.account_key",
        "minio.session_token",
        "dlf.catalog.accessKeySecret",
        "iceberg.rest.oauth2.token",
        "table.t.password",
        "ai.api_key",
        "token",
        "secret",
        "s3.token",
        "aws_session_token",
        "aws_secret_access_key",
        "aws.glue.secret-key",
        "bos_secret_accesskey",
        "jdbc_password",
        "fs.s3a.secret.key",
        "fs.s3a.access.key",
        "fs.azure.account.key.acct.blob.core.windows.net",
        "fs.azure.account.oauth2.client.secret.acct.dfs.core.windows.net",
        "azure.oauth2_client_secret",
        "azure.sas_token",
        "property.sasl.jaas.config",
        "property.sasl.password",
        "property.ssl.key.password",
        "property.ssl.keystore.key",
        "property.ssl.key.pem",
        "property.sasl.oauthbearer.client.secret",
        "kafka.property.sasl.oauthbearer.config",
        "kerberos_keytab_content",
        "kmsKeyPassword",
        "my_password",
        " s3.secret_key ",
        "X-Amz-Security-Token",
    };
    static const char *const NO[] = {
        "",
        "uri",
        "s3.region",
        "s3.endpoint",
        "user",
        "format",
        "my_password_hint",
        "xsecret_key",
        "secret_keys",
        "key",
        ".",
        "s3.",
        "resource",
    };
    for (size_t i = 0; i < ARRAY_SIZE(YES); i++) {
        assert_true(secret_is_key(span_of(YES[i])));
    }
    for (size_t i = 0; i < ARRAY_SIZE(NO); i++) {
        assert_false(secret_is_key(span_of(NO[i])));
    }
}

static const struct {
    const char *text;
    const char *secret;
    const char *expected;
} BLACKENED[] = {
    {"a hush b hush", "hush", "a *XXX b *XXX"},
    {"near 'sev''eral'", "sev'eral", "near '*XXX'"},
    {"near \"sev\"\"eral\"", "sev\"eral", "near \"*XXX\""},
    {"near 'sev\\'er\\\\al'", "sev'er\\al", "near '*XXX'"},
    {"cut at hushhu", "hushhush", "cut at *XXX"},
    {"abc", "abc", "abc"},
    {"hushhush", "hush", "*XXX*XXX"},
    {"", "hush", ""},
};

static void test_blacken(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(BLACKENED); i++) {
        _cleanup_free_ char *text = xstrdup(BLACKENED[i].text);
        secret_blacken(text, BLACKENED[i].secret);
        assert_string_equal(text, BLACKENED[i].expected);
    }
}

/* What log_event() writes to standard error. */
static void logged(enum log_format format, const char *value, char ret[512])
{
    int fds[2];
    int kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(fds), 0);
    assert_true(kept >= 0 && dup2(fds[1], STDERR_FILENO) >= 0);
    log_setup(LOG_DEBUG, format);
    log_debug("test.event", "reason", value, "other", "plain", NULL);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    ssize_t n = read(fds[0], ret, 511);
    assert_true(n > 0);
    ret[n] = '\0';
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)close(kept);
}

static void test_log_masks(void **state)
{
    (void)state;
    char line[512];
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        logged((enum log_format)format, "near \"s3.secret_key\" = \"hush\", x", line);
        assert_null(strstr(line, "hush"));
        assert_non_null(strstr(line, "*XXX"));
        assert_non_null(strstr(line, "plain"));
        logged((enum log_format)format, "nothing = here", line);
        assert_non_null(strstr(line, "nothing = here"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mask),        cmocka_unit_test(test_mask_large),
        cmocka_unit_test(test_mask_larger), cmocka_unit_test(test_secret_keys),
        cmocka_unit_test(test_blacken),     cmocka_unit_test(test_log_masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
