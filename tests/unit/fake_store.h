/*
 * An object store of a few hundred bytes an object, which answers ListObjectsV2 on a thread: for
 * tests that need more than canned replies. Change it between requests, by the functions below.
 * Include it in one test file.
 */
#ifndef TESTS_UNIT_FAKE_STORE_H
#define TESTS_UNIT_FAKE_STORE_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/xmalloc.h"

struct fake_object {
    char *key;
    char etag[24];
    long long size;
    char modified[32]; /* "" for none */
};

struct fake_store {
    int fd;
    int port;
    pthread_t thread;
    pthread_mutex_t lock;
    struct fake_object *objects; /* by key */
    size_t n;
    size_t page;       /* most keys of a page */
    long long ahead_s; /* of the Date header; INT64_MIN: none is sent */
    long n_connections;
    long n_requests;
    long n_sent; /* objects in replies */
    char last_query[2048];
};

static size_t fake_place(const struct fake_store *f, const char *key)
{
    size_t low = 0;
    size_t high = f->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(f->objects[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void fake_put_at(struct fake_store *f, const char *key, const char *etag, long long size,
                        const char *modified)
{
    (void)pthread_mutex_lock(&f->lock);
    size_t at = fake_place(f, key);
    if (at == f->n || strcmp(f->objects[at].key, key) != 0) {
        f->objects = xrealloc_array(f->objects, f->n + 1, sizeof(*f->objects));
        memmove(f->objects + at + 1, f->objects + at, (f->n - at) * sizeof(*f->objects));
        f->objects[at] = (struct fake_object){.key = xstrdup(key)};
        f->n++;
    }
    struct fake_object *o = &f->objects[at];
    o->size = size;
    (void)snprintf(o->etag, sizeof(o->etag), "%s", etag);
    (void)snprintf(o->modified, sizeof(o->modified), "%s", modified);
    (void)pthread_mutex_unlock(&f->lock);
}

__attribute__((unused)) static void fake_put(struct fake_store *f, const char *key,
                                             const char *etag)
{
    fake_put_at(f, key, etag, 1, "");
}

__attribute__((unused)) static void fake_remove(struct fake_store *f, const char *key)
{
    (void)pthread_mutex_lock(&f->lock);
    size_t at = fake_place(f, key);
    if (at < f->n && strcmp(f->objects[at].key, key) == 0) {
        free(f->objects[at].key);
        memmove(f->objects + at, f->objects + at + 1, (f->n - at - 1) * sizeof(*f->objects));
        f->n--;
    }
    (void)pthread_mutex_unlock(&f->lock);
}

/* The decoded value of a parameter of the query; "" when it is not there. */
static void fake_parameter(const char *query, const char *name, char *ret, size_t size)
{
    size_t n = 0;
    size_t len = strlen(name);
    const char *at = query;
    while (at != NULL && (strncmp(at, name, len) != 0 || at[len] != '=')) {
        at = strchr(at, '&');
        at = at != NULL ? at + 1 : NULL;
    }
    for (const char *c = at != NULL ? at + len + 1 : ""; *c != '\0' && *c != '&' && *c != ' ';
         c++) {
        unsigned int byte = (unsigned char)*c;
        if (*c == '%' && sscanf(c + 1, "%2x", &byte) == 1) {
            c += 2;
        }
        assert(n + 1 < size);
        ret[n++] = (char)byte;
    }
    ret[n] = '\0';
}

static void fake_append_key(struct buf *b, const char *key)
{
    for (const char *c = key; *c != '\0'; c++) {
        buf_printf(b, "%%%02X", (unsigned char)*c);
    }
}

static void fake_list(struct fake_store *f, struct buf *b)
{
    char prefix[1100];
    char after[1100];
    char max[16];
    fake_parameter(f->last_query, "prefix", prefix, sizeof(prefix));
    fake_parameter(f->last_query, "start-after", after, sizeof(after));
    fake_parameter(f->last_query, "max-keys", max, sizeof(max));
    size_t most = (size_t)strtoul(max, NULL, 10);
    size_t n = 0;
    bool is_truncated = false;
    most = most < f->page ? most : f->page;
    buf_append_text(b, "<ListBucketResult><EncodingType>url</EncodingType>");
    for (size_t i = fake_place(f, prefix); i < f->n && !is_truncated; i++) {
        const struct fake_object *o = &f->objects[i];
        if (strncmp(o->key, prefix, strlen(prefix)) != 0) {
            break;
        }
        if (after[0] != '\0' && strcmp(o->key, after) <= 0) {
            continue;
        }
        is_truncated = n == most;
        if (!is_truncated) {
            n++;
            buf_append_text(b, "<Contents><Key>");
            fake_append_key(b, o->key);
            buf_printf(b, "</Key><ETag>&quot;%s&quot;</ETag><Size>%lld</Size>", o->etag, o->size);
            if (o->modified[0] != '\0') {
                buf_printf(b, "<LastModified>%s</LastModified>", o->modified);
            }
            buf_append_text(b, "</Contents>");
        }
    }
    f->n_sent += (long)n;
    buf_printf(b, "<IsTruncated>%s</IsTruncated></ListBucketResult>",
               is_truncated ? "true" : "false");
}

static void fake_answer(struct fake_store *f, int fd, const char *request)
{
    struct buf body = buf_with_max(64 << 20);
    struct buf head = buf_with_max(4096);
    const char *question = strchr(request, '?');
    char date[64] = "";
    (void)pthread_mutex_lock(&f->lock);
    (void)snprintf(f->last_query, sizeof(f->last_query), "%.*s",
                   question != NULL ? (int)strcspn(question + 1, " ") : 0,
                   question != NULL ? question + 1 : "");
    f->n_requests++;
    fake_list(f, &body);
    if (f->ahead_s != INT64_MIN) {
        time_t now = time(NULL) + (time_t)f->ahead_s;
        struct tm tm;
        (void)strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n",
                       gmtime_r(&now, &tm));
    }
    (void)pthread_mutex_unlock(&f->lock);
    buf_printf(&head, "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n", date, body.len);
    (void)send(fd, head.data, head.len, MSG_NOSIGNAL | MSG_MORE);
    (void)send(fd, body.data, body.len, MSG_NOSIGNAL);
    buf_fini(&head);
    buf_fini(&body);
}

/* One connection at a time, as long as it lives; the client under test makes one at a time. */
static void *fake_serve(void *arg)
{
    struct fake_store *f = arg;
    char request[8192];
    for (;;) {
        int fd = accept(f->fd, NULL, NULL);
        size_t n = 0;
        if (fd < 0) {
            return NULL; /* fake_stop() */
        }
        f->n_connections++;
        for (;;) {
            ssize_t got = recv(fd, request + n, sizeof(request) - 1 - n, 0);
            if (got <= 0) {
                break;
            }
            n += (size_t)got;
            request[n] = '\0';
            if (strstr(request, "\r\n\r\n") != NULL) { /* GETs have no body */
                fake_answer(f, fd, request);
                n = 0;
            }
        }
        (void)close(fd);
    }
}

static void fake_start(struct fake_store *f, size_t page)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    *f = (struct fake_store){.page = page};
    (void)pthread_mutex_init(&f->lock, NULL);
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = f->fd < 0 || bind(f->fd, (struct sockaddr *)&address, len) != 0 ||
                 listen(f->fd, 4) != 0 ||
                 getsockname(f->fd, (struct sockaddr *)&address, &len) != 0;
    f->port = ntohs(address.sin_port);
    failed = failed || pthread_create(&f->thread, NULL, fake_serve, f) != 0;
    assert(!failed);
    (void)failed;
}

/* The client's connections must be closed before: http_close_idle(). */
static void fake_stop(struct fake_store *f)
{
    (void)shutdown(f->fd, SHUT_RDWR); /* wakes accept() */
    (void)pthread_join(f->thread, NULL);
    (void)close(f->fd);
    for (size_t i = 0; i < f->n; i++) {
        free(f->objects[i].key);
    }
    free(f->objects);
    (void)pthread_mutex_destroy(&f->lock);
}

#endif
