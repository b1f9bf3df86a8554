/*
 * A client's connection to a MySQL server, plain or with TLS: the login, and bytes. Used by one
 * thread.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct wire {
    int fd;
    SSL *ssl; /* NULL: plain */
};

/* Not verified: what is measured is the encryption. */
SSL_CTX *wire_tls(void);
/* Blocks until logged in as root without a password; gives up when refused. `tls` NULL: plain. */
void wire_open(struct wire *w, uint16_t port, SSL_CTX *tls);
void wire_set_nonblocking(struct wire *w);
void wire_close(struct wire *w);

/* All of it; only for what a socket surely takes. */
void wire_send(const struct wire *w, const void *p, size_t n);
/* > 0: bytes; 0: the end; -1: nothing is there yet. */
ssize_t wire_recv(const struct wire *w, void *to, size_t size);
/* Blocks until the whole reply with rows to `sql` is in `ret`; gives up on an ERR. */
void wire_query(const struct wire *w, const char *sql, struct buf *ret);

/* The packets that wire_open() and a program with its own login send. */
void wire_put_response(struct buf *out, uint8_t sequence, uint64_t more_capabilities);
void wire_put_command(struct buf *out, uint8_t command, const char *text);

#endif
