/* What can be wrong with the files, and a handshake between the two ends of a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xmalloc.h"
#include "proxy/tls.h"
#include "proxy/tls_link.h"

enum { PATH_SIZE = 128, DAY_S = 86400 };

static char directory[] = "/tmp/sluice-test-tls-XXXXXX";

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", directory, name);
}

static X509 *make_certificate(EVP_PKEY *key, long from_s, long to_s)
{
    X509 *x = X509_new();
    assert_non_null(x);
    assert_int_equal(X509_set_version(x, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), from_s));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), to_s));
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                                (const unsigned char *)"fe.test", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(x)), 1);
    assert_int_equal(X509_set_pubkey(x, key), 1);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

/* `name`.crt, `name`.key and `name`.pem with both. */
static void make_pair(const char *name, long from_s, long to_s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = make_certificate(key, from_s, to_s);
    static const char *const ends[] = {"crt", "key", "pem"};
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        _cleanup_free_ char *file = xasprintf("%s/%s.%s", directory, name, ends[i]);
        FILE *f = fopen(file, "w");
        assert_non_null(f);
        assert_true(i == 1 || PEM_write_X509(f, x) == 1);
        assert_true(i == 0 || PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(chmod(file, 0600), 0);
    }
    X509_free(x);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)state;
    assert_int_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
    assert_non_null(mkdtemp(directory));
    make_pair("good", -DAY_S, DAY_S);
    make_pair("other", -DAY_S, DAY_S);
    make_pair("expired", -2 * DAY_S, -DAY_S);
    make_pair("future", DAY_S, 2 * DAY_S);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"good", "other", "expired", "future"};
    static const char *const ends[] = {"crt", "key", "pem"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names) * ARRAY_SIZE(ends); i++) {
        _cleanup_free_ char *file = xasprintf("%s/%s.%s", directory, names[i / 3], ends[i % 3]);
        assert_int_equal(unlink(file), 0);
    }
    return rmdir(directory);
}

static struct tls_context *create(const char *cert, const char *key, enum config_tls client,
                                  enum config_backend_tls fe, const char *ca, struct err *err)
{
    _cleanup_free_ char *cert_path = cert[0] != '\0' ? path_of(cert) : xstrdup("");
    _cleanup_free_ char *key_path = key[0] != '\0' ? path_of(key) : xstrdup("");
    _cleanup_free_ char *ca_path = ca[0] != '\0' ? path_of(ca) : xstrdup("");
    struct config c = {
        .tls = client,
        .tls_cert = cert_path,
        .tls_key = key_path,
        .backend_tls = fe,
        .backend_tls_ca = ca_path,
    };
    return tls_context_create(&c, err);
}

static void assert_wrong(const char *cert, const char *key, const char *key_name, const char *part)
{
    struct err err = {0};
    assert_null(create(cert, key, CONFIG_TLS_OPTIONAL, CONFIG_BACKEND_TLS_OFF, "", &err));
    if (strstr(err.msg, key_name) == NULL || strstr(err.msg, part) == NULL) {
        fail_msg("\"%s\" does not have \"%s\" and \"%s\"", err.msg, key_name, part);
    }
}

static void test_wrong_files(void **state)
{
    _cleanup_free_ char *open_key = path_of("other.key");
    (void)state;
    assert_wrong("", "", "proxy.tls_cert", "needs a certificate");
    assert_wrong("none.crt", "good.key", "proxy.tls_cert", "No such file");
    assert_wrong("good.crt", "none.key", "proxy.tls_key", "No such file");
    assert_wrong("good.key", "good.key", "proxy.tls_cert", "no certificate");
    assert_wrong("good.crt", "good.crt", "proxy.tls_key", "no private key");
    assert_wrong("good.crt", "", "proxy.tls_cert", "no private key");
    assert_wrong("good.crt", "other.key", "proxy.tls_key", "does not belong to the certificate");
    assert_int_equal(chmod(open_key, 0604), 0);
    assert_wrong("other.crt", "other.key", "proxy.tls_key", "chmod o-rwx");
    assert_int_equal(chmod(open_key, 0640), 0);
}

static void test_wrong_authorities(void **state)
{
    struct err err = {0};
    (void)state;
    assert_null(create("", "", CONFIG_TLS_OFF, CONFIG_BACKEND_TLS_VERIFY, "none.crt", &err));
    assert_non_null(strstr(err.msg, "proxy.backend_tls_ca"));
    assert_null(create("", "", CONFIG_TLS_OFF, CONFIG_BACKEND_TLS_VERIFY, "good.key", &err));
    assert_non_null(strstr(err.msg, "holds no certificate"));
}

static void assert_warning(const char *name, const char *part)
{
    struct err err = {0};
    _cleanup_free_ char *file = xasprintf("%s.pem", name);
    struct tls_context *t = create(file, "", CONFIG_TLS_REQUIRED, CONFIG_BACKEND_TLS_OFF, "", &err);
    assert_non_null(t);
    assert_int_equal(tls_context_client_mode(t), CONFIG_TLS_REQUIRED);
    if (part == NULL) {
        assert_null(tls_context_warning(t));
    } else {
        assert_non_null(tls_context_warning(t));
        assert_non_null(strstr(tls_context_warning(t), part));
    }
    tls_context_unref(t);
}

static void test_warnings(void **state)
{
    (void)state;
    assert_warning("good", NULL);
    assert_warning("expired", "has expired");
    assert_warning("future", "not valid yet");
}

static void test_off(void **state)
{
    struct err err = {0};
    struct config c = {0};
    struct tls_context *t = tls_context_create(&c, &err);
    (void)state;
    assert_non_null(t);
    assert_int_equal(tls_context_client_mode(t), CONFIG_TLS_OFF);
    assert_int_equal(tls_context_client_mode(NULL), CONFIG_TLS_OFF);
    assert_int_equal(tls_context_backend_mode(NULL), CONFIG_BACKEND_TLS_OFF);
    assert_null(tls_context_warning(t));
    assert_ptr_equal(tls_context_ref(t), t);
    tls_context_unref(t);
    tls_context_unref(t);
    tls_context_unref(NULL);
}

/* --- two links over a socket pair ---------------------------------------------------------------- */

struct pair {
    int fds[2];
    struct tls_link *client; /* of the client's connection: the accepting side */
    struct tls_link *fe;
};

static void open_pair(struct pair *p, struct tls_context *t, const char *host)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fds), 0);
    p->client = tls_context_accept(t, p->fds[0]);
    p->fe = tls_context_connect(t, p->fds[1], host);
    assert_non_null(p->client);
    assert_non_null(p->fe);
}

static void close_pair(struct pair *p)
{
    tls_link_destroy(p->client);
    tls_link_destroy(p->fe);
    close_p(&p->fds[0]);
    close_p(&p->fds[1]);
}

/* Both read in turn until neither is in the handshake any more, or one has failed. */
static void shake_hands(struct pair *p)
{
    char byte = 0;
    for (int i = 0; i < 20; i++) {
        ssize_t a = tls_link_read(p->fe, &byte, 1);
        int a_error = errno;
        ssize_t b = tls_link_read(p->client, &byte, 1);
        if ((a < 0 && a_error != EAGAIN) || (b < 0 && errno != EAGAIN)) {
            return;
        }
    }
}

static struct tls_context *create_both(enum config_backend_tls fe, const char *ca)
{
    struct err err = {0};
    struct tls_context *t = create("good.pem", "", CONFIG_TLS_OPTIONAL, fe, ca, &err);
    if (t == NULL) {
        fail_msg("%s", err.msg);
    }
    return t;
}

static void test_link(void **state)
{
    struct tls_context *t = create_both(CONFIG_BACKEND_TLS_PREFERRED, "");
    struct pair p = {0};
    static char out[200000];
    static char in[sizeof(out)];
    size_t sent = 0;
    size_t got = 0;
    (void)state;
    memset(out, 'x', sizeof(out));
    open_pair(&p, t, "127.0.0.1");
    tls_context_unref(t); /* links live on */
    assert_int_equal(tls_link_write(p.fe, "\4\0\0\0abcd", 8), 0);
    assert_true(tls_link_write_wants_read(p.fe));
    shake_hands(&p);
    assert_true(tls_link_is_established(p.fe) && tls_link_is_established(p.client));
    assert_string_equal(tls_link_version(p.fe), "TLSv1.3");
    assert_int_equal(tls_link_write(p.fe, "\4\0\0\0abcd", 8), 8);
    assert_int_equal(tls_link_read(p.client, in, sizeof(in)), 8);
    assert_false(tls_link_has_input(p.client));
    while (got < sizeof(out)) {
        ssize_t n = tls_link_write(p.client, out + sent, sizeof(out) - sent);
        assert_true(n >= 0);
        sent += (size_t)n;
        n = tls_link_read(p.fe, in + got, sizeof(in) - got < 1000 ? sizeof(in) - got : 1000);
        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        got += n > 0 ? (size_t)n : 0;
    }
    assert_memory_equal(in, out, sizeof(out));
    tls_link_shutdown(p.client);
    assert_int_equal(tls_link_read(p.fe, in, sizeof(in)), 0);
    assert_int_equal(tls_link_read(p.fe, in, sizeof(in)), 0);
    close_pair(&p);
}

static void test_truncated(void **state)
{
    struct tls_context *t = create_both(CONFIG_BACKEND_TLS_PREFERRED, "");
    struct pair p = {0};
    char in[64];
    (void)state;
    open_pair(&p, t, "fe.test");
    shake_hands(&p);
    assert_int_equal(tls_link_write(p.client, "bye", 3), 3);
    close_p(&p.fds[0]);
    assert_int_equal(tls_link_read(p.fe, in, sizeof(in)), 3);
    assert_int_equal(tls_link_read(p.fe, in, sizeof(in)), -1);
    assert_int_equal(errno, EPROTO);
    assert_string_equal(tls_link_why(p.fe), "the connection ended without TLS's close_notify");
    assert_int_equal(tls_link_write(p.fe, "x", 1), -1);
    assert_int_equal(errno, EPROTO);
    close_pair(&p);
    open_pair(&p, t, "fe.test");
    assert_int_equal(send(p.fds[1], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    assert_int_equal(tls_link_read(p.client, in, sizeof(in)), -1);
    assert_int_equal(errno, EPROTO);
    assert_false(tls_link_is_established(p.client));
    close_pair(&p);
    tls_context_unref(t);
}

static void assert_verified(const char *ca, const char *host, const char *why)
{
    struct tls_context *t = create_both(CONFIG_BACKEND_TLS_VERIFY, ca);
    struct pair p = {0};
    open_pair(&p, t, host);
    shake_hands(&p);
    assert_int_equal(tls_link_is_established(p.fe), why[0] == '\0');
    if (strstr(tls_link_why(p.fe), why) == NULL) {
        fail_msg("\"%s\" is not \"%s\"", tls_link_why(p.fe), why);
    }
    close_pair(&p);
    tls_context_unref(t);
}

static void test_verify(void **state)
{
    (void)state;
    assert_verified("good.crt", "fe.test", "");
    assert_verified("good.crt", "other.test", "ostname mismatch");
    assert_verified("good.crt", "127.0.0.1", "IP address mismatch");
    assert_verified("other.crt", "fe.test", "self");
}

/* One context, used and given back by several threads, as workers do. */
static void *use_context(void *arg)
{
    struct tls_context *t = arg;
    for (int i = 0; i < 20; i++) {
        struct pair p = {0};
        open_pair(&p, tls_context_ref(t), "fe.test");
        shake_hands(&p);
        assert_true(tls_link_is_established(p.fe));
        close_pair(&p);
        tls_context_unref(t);
    }
    tls_context_unref(t);
    return NULL;
}

static void test_threads(void **state)
{
    struct tls_context *t = create_both(CONFIG_BACKEND_TLS_PREFERRED, "");
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_context, tls_context_ref(t)), 0);
    }
    tls_context_unref(t);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_files), cmocka_unit_test(test_wrong_authorities),
        cmocka_unit_test(test_warnings),    cmocka_unit_test(test_off),
        cmocka_unit_test(test_link),        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_verify),      cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
