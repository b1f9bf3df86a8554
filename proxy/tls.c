#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/xmalloc.h"
#include "proxy/tls.h"
#include "proxy/tls_link.h"

enum { WARNING_SIZE = 4096 + 256, N_TICKETS = 1 };

struct tls_context {
    _Atomic int n_users;
    enum config_tls client_mode;
    enum config_backend_tls backend_mode;
    SSL_CTX *client;  /* owned; NULL when its mode is off */
    SSL_CTX *backend; /* likewise */
    char warning[WARNING_SIZE];
};

/* --- errors ----------------------------------------------------------------------------------- */

/* The last entry of OpenSSL's queue is the outermost; the first is what went wrong. */
static const char *openssl_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    return reason != NULL ? reason : "OpenSSL gives no reason";
}

static bool fail(struct err *err, const char *key, const char *file, const char *what)
{
    (void)err_say(err, "%s: %s %s: %s", key, file, what, openssl_reason());
    ERR_clear_error();
    return false;
}

static bool fail_memory(struct err *err)
{
    ERR_clear_error();
    return err_say(err, "OpenSSL could not be initialised: out of memory");
}

/* A file that is not there is told by its name, not by OpenSSL's words for it. */
static bool check_file(const char *key, const char *file, struct stat *ret_info, struct err *err)
{
    FILE *f = fopen(file, "re");
    if (f == NULL) {
        return err_errno(err, errno, "%s: %s cannot be read", key, file);
    }
    int rc = fstat(fileno(f), ret_info);
    int error = errno;
    (void)fclose(f); /* nothing was written */
    if (rc != 0) {
        return err_errno(err, error, "%s: %s cannot be looked at", key, file);
    }
    return S_ISREG(ret_info->st_mode) || err_say(err, "%s: %s is not a regular file", key, file);
}

/* --- contexts --------------------------------------------------------------------------------- */

static SSL_CTX *create_context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (ctx == NULL) {
        return NULL;
    }
    /* Options and modes are bits: setting them cannot fail. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* A record in one read(2), header and all. */
    SSL_CTX_set_read_ahead(ctx, 1);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* OpenSSL would ask on the terminal. */
static int no_passphrase(char *buf, int size, int is_writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)is_writing;
    (void)arg;
    return 0;
}

static bool load_key(SSL_CTX *ctx, const struct config *c, struct err *err)
{
    bool is_separate = c->tls_key[0] != '\0';
    const char *key = is_separate ? "proxy.tls_key" : "proxy.tls_cert";
    const char *file = is_separate ? c->tls_key : c->tls_cert;
    struct stat info = {0};
    if (!check_file(key, file, &info, err)) {
        return false;
    }
    if ((info.st_mode & S_IROTH) != 0) {
        return err_say(
            err, "%s: %s holds a private key and can be read by everybody; run: chmod o-rwx %s",
            key, file, file);
    }
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    if (SSL_CTX_use_PrivateKey_file(ctx, file, SSL_FILETYPE_PEM) == 1) {
        return true;
    }
    unsigned long code = ERR_peek_error();
    if (ERR_GET_LIB(code) == ERR_LIB_X509 && ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH) {
        ERR_clear_error();
        return err_say(err,
                       "%s: the private key in %s does not belong to the certificate in %s "
                       "(proxy.tls_cert)",
                       key, file, c->tls_cert);
    }
    return fail(err, key, file,
                "holds no private key that can be used (PEM, without a passphrase)");
}

static void note_validity(struct tls_context *t, const char *file)
{
    const X509 *certificate = SSL_CTX_get0_certificate(t->client);
    int now_after_end = X509_cmp_current_time(X509_get0_notAfter(certificate));
    int now_after_begin = X509_cmp_current_time(X509_get0_notBefore(certificate));
    if (now_after_end < 0) {
        (void)snprintf(t->warning, sizeof(t->warning),
                       "proxy.tls_cert: the certificate in %s has expired; clients that check it "
                       "will not connect",
                       file); /* cut if the path is that long */
    } else if (now_after_begin > 0) {
        (void)snprintf(t->warning, sizeof(t->warning),
                       "proxy.tls_cert: the certificate in %s is not valid yet; clients that check "
                       "it will not connect",
                       file); /* as above */
    }
}

static bool make_client(struct tls_context *t, const struct config *c, struct err *err)
{
    static const unsigned char id[] = "sluice";
    struct stat info = {0};
    if (c->tls_cert[0] == '\0') {
        return err_say(err, "proxy.tls = %s needs a certificate: set proxy.tls_cert to a PEM file",
                       c->tls == CONFIG_TLS_REQUIRED ? "required" : "optional");
    }
    if (!check_file("proxy.tls_cert", c->tls_cert, &info, err)) {
        return false;
    }
    t->client = create_context(TLS_server_method());
    /* Tickets carry the session: no cache to lock, and all workers accept them. */
    if (t->client == NULL || SSL_CTX_set_session_id_context(t->client, id, sizeof(id) - 1) != 1 ||
        SSL_CTX_set_num_tickets(t->client, N_TICKETS) != 1) {
        return fail_memory(err);
    }
    (void)SSL_CTX_set_session_cache_mode(t->client, SSL_SESS_CACHE_OFF); /* returns the old mode */
    if (SSL_CTX_use_certificate_chain_file(t->client, c->tls_cert) != 1) {
        return fail(err, "proxy.tls_cert", c->tls_cert,
                    "holds no certificate that can be used (PEM)");
    }
    if (!load_key(t->client, c, err)) {
        return false;
    }
    note_validity(t, c->tls_cert);
    return true;
}

static bool make_backend(struct tls_context *t, const struct config *c, struct err *err)
{
    struct stat info = {0};
    t->backend = create_context(TLS_client_method());
    if (t->backend == NULL) {
        return fail_memory(err);
    }
    bool is_checked = c->backend_tls == CONFIG_BACKEND_TLS_VERIFY;
    SSL_CTX_set_verify(t->backend, is_checked ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (c->backend_tls_ca[0] != '\0') {
        const char *key = "proxy.backend_tls_ca";
        if (!check_file(key, c->backend_tls_ca, &info, err)) {
            return false;
        }
        return SSL_CTX_load_verify_file(t->backend, c->backend_tls_ca) == 1 ||
               fail(err, key, c->backend_tls_ca, "holds no certificate that can be used (PEM)");
    }
    if (is_checked && SSL_CTX_set_default_verify_paths(t->backend) != 1) {
        return fail_memory(err);
    }
    return true;
}

static bool make_contexts(struct tls_context *t, const struct config *c, struct err *err)
{
    ERR_clear_error();
    return (c->tls == CONFIG_TLS_OFF || make_client(t, c, err)) &&
           (c->backend_tls == CONFIG_BACKEND_TLS_OFF || make_backend(t, c, err));
}

struct tls_context *tls_context_create(const struct config *c, struct err *err)
{
    struct tls_context *t = xcalloc(1, sizeof(*t));
    t->n_users = 1;
    t->client_mode = c->tls;
    t->backend_mode = c->backend_tls;
    if (!make_contexts(t, c, err)) {
        tls_context_unref(t);
        return NULL;
    }
    return t;
}

struct tls_context *tls_context_ref(struct tls_context *t)
{
    if (t != NULL) {
        atomic_fetch_add(&t->n_users, 1);
    }
    return t;
}

void tls_context_unref(struct tls_context *t)
{
    if (t != NULL && atomic_fetch_sub(&t->n_users, 1) == 1) {
        SSL_CTX_free(t->client);
        SSL_CTX_free(t->backend);
        free(t);
    }
}

const char *tls_context_warning(const struct tls_context *t)
{
    return t->warning[0] != '\0' ? t->warning : NULL;
}

enum config_tls tls_context_client_mode(const struct tls_context *t)
{
    return t != NULL ? t->client_mode : CONFIG_TLS_OFF;
}

enum config_backend_tls tls_context_backend_mode(const struct tls_context *t)
{
    return t != NULL ? t->backend_mode : CONFIG_BACKEND_TLS_OFF;
}

/* --- connections ------------------------------------------------------------------------------ */

static SSL *create_ssl(SSL_CTX *ctx, int fd)
{
    SSL *ssl = SSL_new(ctx);
    if (ssl != NULL && SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ssl = NULL;
    }
    ERR_clear_error();
    return ssl;
}

struct tls_link *tls_context_accept(struct tls_context *t, int fd)
{
    assert(t->client != NULL);
    SSL *ssl = create_ssl(t->client, fd);
    if (ssl != NULL) {
        SSL_set_accept_state(ssl);
    }
    return tls_link_create(ssl, TLS_LINK_SERVER);
}

static bool is_ip(const char *host)
{
    struct in6_addr ignored;
    return inet_pton(AF_INET, host, &ignored) == 1 || inet_pton(AF_INET6, host, &ignored) == 1;
}

/* SNI has names only. */
static bool set_host(SSL *ssl, const char *host, bool is_checked)
{
    if (is_ip(host)) {
        return !is_checked || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    return SSL_set_tlsext_host_name(ssl, host) == 1 &&
           (!is_checked || SSL_set1_host(ssl, host) == 1);
}

struct tls_link *tls_context_connect(struct tls_context *t, int fd, const char *host)
{
    assert(t->backend != NULL);
    SSL *ssl = create_ssl(t->backend, fd);
    if (ssl != NULL && !set_host(ssl, host, t->backend_mode == CONFIG_BACKEND_TLS_VERIFY)) {
        SSL_free(ssl);
        ssl = NULL;
        ERR_clear_error();
    }
    if (ssl != NULL) {
        SSL_set_connect_state(ssl);
    }
    return tls_link_create(ssl, TLS_LINK_TO_DORIS);
}
