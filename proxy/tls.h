/*
 * TLS as configured: certificate and key for clients (proxy.tls, tls_cert, tls_key), authorities for
 * FEs (proxy.backend_tls, backend_tls_ca). Immutable and counted: SIGHUP makes a new one, sessions
 * that run keep what they began with. Any thread.
 */
#ifndef PROXY_TLS_H
#define PROXY_TLS_H

#include "base/err.h"
#include "proxy/config.h"

struct tls_context;
struct tls_link;

/*
 * Reads the files. An error names file and key and says what to do; the caller owns the result. Its
 * kinds of TLS are those of `c` even if both are off.
 */
struct tls_context *tls_context_create(const struct config *c, struct err *err);
struct tls_context *tls_context_ref(struct tls_context *t);
void tls_context_unref(struct tls_context *t); /* NULL is accepted */
/* What works but should be looked at (a certificate that has expired), one line; NULL: nothing. */
const char *tls_context_warning(const struct tls_context *t);

/* NULL as `t` is "off". */
enum config_tls tls_context_client_mode(const struct tls_context *t);
enum config_backend_tls tls_context_backend_mode(const struct tls_context *t);

/* For a client's socket. Not when the mode is off. NULL: out of memory. */
struct tls_link *tls_context_accept(struct tls_context *t, int fd);
/*
 * For a socket to an FE. `host` is as proxy.backend has it, name or IP: with "verify" the FE's
 * certificate has to be good for it.
 */
struct tls_link *tls_context_connect(struct tls_context *t, int fd, const char *host);

#endif
