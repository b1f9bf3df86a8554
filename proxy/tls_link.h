/*
 * TLS on one non-blocking socket: OpenSSL's answers in the form of recv(2) and send(2). The
 * handshake goes on within reads and writes, whoever comes first. Made by tls.h, owned by a
 * relay_end, which also watches the socket; used on the session's worker's thread. SIGPIPE has to be
 * ignored.
 */
#ifndef PROXY_TLS_LINK_H
#define PROXY_TLS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ssl_st;
struct tls_link;

enum tls_link_role {
    TLS_LINK_SERVER,  /* of a client's connection */
    TLS_LINK_TO_DORIS /* of one to an FE: records begin and end between packets' headers */
};

/* Takes ssl, which has its socket; NULL is out of memory. The socket stays the caller's. */
struct tls_link *tls_link_create(struct ssl_st *ssl, enum tls_link_role role);
/* NULL is accepted. */
void tls_link_destroy(struct tls_link *l);
/* close_notify, as far as the socket takes it now. */
void tls_link_shutdown(struct tls_link *l);

/*
 * As recv(2): 0 is the peer's orderly end, -1 is errno. EAGAIN: nothing is here yet. EPROTO: what
 * came is not good TLS, see tls_link_why(); also an end without close_notify, which anybody on the
 * way could have made up.
 */
ssize_t tls_link_read(struct tls_link *l, void *to, size_t size);
/* As send(2), but 0 for EAGAIN. After a write that was not taken whole the same bytes come again. */
ssize_t tls_link_write(struct tls_link *l, const char *p, size_t n);

/* Input is here already: the socket's readiness does not tell. */
bool tls_link_has_input(const struct tls_link *l);
/* The last write waits for the peer's part of the handshake: try again after the next read. */
bool tls_link_write_wants_read(const struct tls_link *l);
/* The last read waits for the socket to take something: try again when it is writable. */
bool tls_link_read_wants_write(const struct tls_link *l);
/* It is: reading has something to do now. */
void tls_link_is_writable(struct tls_link *l);

bool tls_link_is_established(const struct tls_link *l);
/* "TLSv1.3" */
const char *tls_link_version(const struct tls_link *l);
/* Why it failed, in OpenSSL's words; "" if it has not. Valid as long as the link. */
const char *tls_link_why(const struct tls_link *l);

#endif
