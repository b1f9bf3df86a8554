/*
 * An HTTP server that gives canned replies, one a connection, in the order of a script, and keeps
 * what it was asked. For tests of HTTP clients; include it in one test file.
 */
#ifndef TESTS_UNIT_CANNED_HTTP_H
#define TESTS_UNIT_CANNED_HTTP_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xmalloc.h"

enum { CANNED_MAX = 16, CANNED_REQUEST_SIZE = 8192 };

#define CANNED_RESET "reset" /* the connection is reset after the request */
#define CANNED_HANG  "hang"  /* no answer until the client goes */
#define CANNED_FLOOD "flood" /* a body without end */

struct canned_http {
    int fd;
    int port;
    pthread_t thread;
    const char *const *script;
    size_t n_script;
    size_t n_served; /* read after canned_stop() only, as are the requests */
    char requests[CANNED_MAX][CANNED_REQUEST_SIZE];
};

static void canned_send(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the client has gone, which may be what the test is about */
        }
        p += sent;
        n -= (size_t)sent;
    }
}

/* Up to the blank line; the tests' requests have no body. */
static void canned_read(int fd, char request[CANNED_REQUEST_SIZE])
{
    size_t n = 0;
    while (n + 1 < CANNED_REQUEST_SIZE) {
        ssize_t got = recv(fd, request + n, CANNED_REQUEST_SIZE - 1 - n, 0);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
        request[n] = '\0';
        if (strstr(request, "\r\n\r\n") != NULL) {
            break;
        }
    }
}

static void canned_answer(int fd, const char *reply)
{
    char byte = 0;
    if (strcmp(reply, CANNED_RESET) == 0) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    } else if (strcmp(reply, CANNED_HANG) == 0) {
        (void)recv(fd, &byte, 1, 0); /* returns when the client closes */
    } else if (strcmp(reply, CANNED_FLOOD) == 0) {
        static const char HEAD[] = "HTTP/1.1 200 OK\r\n\r\n";
        char *block = xcalloc(1, 1 << 20);
        canned_send(fd, HEAD, sizeof(HEAD) - 1);
        for (int i = 0; i < 64; i++) {
            canned_send(fd, block, 1 << 20);
        }
        free(block);
    } else {
        canned_send(fd, reply, strlen(reply));
    }
}

static void *canned_serve(void *arg)
{
    struct canned_http *h = arg;
    while (h->n_served < h->n_script) {
        int fd = accept(h->fd, NULL, NULL);
        if (fd < 0) {
            break; /* canned_stop() */
        }
        canned_read(fd, h->requests[h->n_served]);
        canned_answer(fd, h->script[h->n_served]);
        h->n_served++;
        (void)close(fd);
    }
    return NULL;
}

static void canned_start(struct canned_http *h, const char *const *script, size_t n_script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    assert(n_script <= CANNED_MAX);
    *h = (struct canned_http){.script = script, .n_script = n_script};
    h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = h->fd < 0 || bind(h->fd, (struct sockaddr *)&address, len) != 0 ||
                 listen(h->fd, CANNED_MAX) != 0 ||
                 getsockname(h->fd, (struct sockaddr *)&address, &len) != 0;
    h->port = ntohs(address.sin_port);
    failed = failed || pthread_create(&h->thread, NULL, canned_serve, h) != 0;
    assert(!failed);
    (void)failed;
}

static void canned_stop(struct canned_http *h)
{
    (void)shutdown(h->fd, SHUT_RDWR); /* wakes accept() */
    (void)pthread_join(h->thread, NULL);
    (void)close(h->fd);
}

#endif
