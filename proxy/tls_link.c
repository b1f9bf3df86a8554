#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/record_cut.h"
#include "proxy/tls_link.h"

enum { WHY_SIZE = 160 };

struct tls_link {
    SSL *ssl; /* owned */
    enum tls_link_role role;
    bool is_established; /* OpenSSL forgets it once something has failed */
    bool has_input;
    bool write_wants_read;
    bool read_wants_write;
    int error; /* errno; nothing goes after it */
    struct record_cut cut;
    char why[WHY_SIZE];
};

struct tls_link *tls_link_create(SSL *ssl, enum tls_link_role role)
{
    if (ssl == NULL) {
        return NULL;
    }
    struct tls_link *l = xcalloc(1, sizeof(*l));
    l->ssl = ssl;
    l->role = role;
    return l;
}

void tls_link_destroy(struct tls_link *l)
{
    if (l != NULL) {
        SSL_free(l->ssl);
        free(l);
    }
}

void tls_link_shutdown(struct tls_link *l)
{
    if (l->error == 0 && l->is_established) {
        ERR_clear_error();
        (void)SSL_shutdown(l->ssl); /* best effort: the peer may be gone */
        ERR_clear_error();
    }
}

/* --- failures --------------------------------------------------------------------------------- */

/* What the certificate lacks says more than "certificate verify failed". */
static const char *reason_of(const SSL *ssl, unsigned long code)
{
    long verdict = SSL_get_verify_result(ssl);
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK) {
        return X509_verify_cert_error_string(verdict);
    }
    const char *reason = ERR_reason_error_string(code);
    return reason != NULL ? reason : "unknown TLS error";
}

static bool is_truncation(unsigned long code)
{
    return ERR_GET_LIB(code) == ERR_LIB_SSL &&
           ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

static const char *describe(const struct tls_link *l, int ssl_error, int error)
{
    unsigned long code = ERR_peek_error();
    if (ssl_error == SSL_ERROR_SYSCALL && code == 0) {
        return error != 0 ? strerrordesc_np(error) : "the connection ended within TLS";
    }
    if (is_truncation(code)) {
        return l->is_established ? "the connection ended without TLS's close_notify"
                                 : "the connection was closed within the handshake";
    }
    return reason_of(l->ssl, code);
}

static ssize_t fail(struct tls_link *l, int ssl_error, int error)
{
    (void)snprintf(l->why, sizeof(l->why), "%s", describe(l, ssl_error, error)); /* may be cut */
    l->error = ssl_error == SSL_ERROR_SYSCALL && error != 0 ? error : EPROTO;
    ERR_clear_error();
    errno = l->error;
    return -1;
}

/* --- input and output ------------------------------------------------------------------------- */

static void note_progress(struct tls_link *l)
{
    l->is_established = l->is_established || SSL_is_init_finished(l->ssl) == 1;
}

/* Returns what the caller gets when SSL_read() had nothing. */
static ssize_t read_nothing(struct tls_link *l, int rc, int error)
{
    int ssl_error = SSL_get_error(l->ssl, rc);
    l->has_input = false;
    switch (ssl_error) {
    case SSL_ERROR_WANT_WRITE: l->read_wants_write = true; break;
    case SSL_ERROR_WANT_READ: note_progress(l); break;
    case SSL_ERROR_ZERO_RETURN: l->has_input = true; return 0; /* said again by the next read */
    default: return fail(l, ssl_error, error);
    }
    errno = EAGAIN;
    return -1;
}

ssize_t tls_link_read(struct tls_link *l, void *to, size_t size)
{
    size_t got = 0;
    assert(size > 0);
    if (l->error != 0) {
        l->has_input = false;
        errno = l->error;
        return -1;
    }
    l->read_wants_write = false;
    l->write_wants_read = false; /* whatever comes may be what it waits for */
    while (got < size) {
        int room = size - got < INT_MAX ? (int)(size - got) : INT_MAX;
        ERR_clear_error();
        errno = 0;
        int rc = SSL_read(l->ssl, (char *)to + got, room);
        if (rc <= 0) {
            ssize_t nothing = read_nothing(l, rc, errno);
            if (got == 0) {
                return nothing;
            }
            l->has_input = l->has_input || l->error != 0; /* the end is told by the next read */
            break;
        }
        got += (size_t)rc;
        l->is_established = true;
        l->has_input = SSL_has_pending(l->ssl) == 1;
        if (!l->has_input) {
            break;
        }
    }
    return (ssize_t)got;
}

static size_t size_of_record(const struct tls_link *l, const char *p, size_t n)
{
    if (l->role == TLS_LINK_TO_DORIS) {
        return record_cut_size(&l->cut, p, n, SSL3_RT_MAX_PLAIN_LENGTH);
    }
    return n < INT_MAX ? n : INT_MAX;
}

ssize_t tls_link_write(struct tls_link *l, const char *p, size_t n)
{
    size_t sent = 0;
    if (l->error != 0) {
        errno = l->error;
        return -1;
    }
    l->write_wants_read = false;
    while (sent < n) {
        ERR_clear_error();
        errno = 0;
        int rc = SSL_write(l->ssl, p + sent, (int)size_of_record(l, p + sent, n - sent));
        if (rc <= 0) {
            int error = errno;
            int ssl_error = SSL_get_error(l->ssl, rc);
            l->write_wants_read = ssl_error == SSL_ERROR_WANT_READ;
            if (ssl_error != SSL_ERROR_WANT_READ && ssl_error != SSL_ERROR_WANT_WRITE) {
                return fail(l, ssl_error, error);
            }
            break;
        }
        if (l->role == TLS_LINK_TO_DORIS) {
            record_cut_sent(&l->cut, p + sent, (size_t)rc);
        }
        sent += (size_t)rc;
        l->is_established = true;
    }
    return (ssize_t)sent;
}

/* --- what the relay asks ---------------------------------------------------------------------- */

bool tls_link_has_input(const struct tls_link *l)
{
    return l->has_input;
}

bool tls_link_write_wants_read(const struct tls_link *l)
{
    return l->write_wants_read;
}

bool tls_link_read_wants_write(const struct tls_link *l)
{
    return l->read_wants_write;
}

void tls_link_is_writable(struct tls_link *l)
{
    l->read_wants_write = false;
    l->has_input = true;
}

bool tls_link_is_established(const struct tls_link *l)
{
    return l->is_established;
}

const char *tls_link_version(const struct tls_link *l)
{
    return SSL_get_version(l->ssl);
}

const char *tls_link_why(const struct tls_link *l)
{
    return l->why;
}
