/*
 * A scripted FE on a port of 127.0.0.1: it speaks just enough of the MySQL protocol to be asked,
 * and keeps what it was asked. For tests of the sink; include it in one test file.
 */
#ifndef TESTS_UNIT_FE_SCRIPT_H
#define TESTS_UNIT_FE_SCRIPT_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/xmalloc.h"

enum { SCRIPT_LINKS = 16, SCRIPT_SAID = 64, SCRIPT_TEXT = 1024, SCRIPT_PACKET = 1 << 16 };

enum script_kind { SAYS_OK, SAYS_ERR, SAYS_ROWS, SAYS_NOTHING_MORE };

/* The first rule whose `part` is in a statement answers it; without one the answer is OK. */
struct script_rule {
    const char *part;
    enum script_kind kind;
    const char *text; /* OK: info or NULL; ERR: its words; ROWS: "a|b\n1|2\n", a cell "-" is NULL */
    int number;       /* OK: rows affected; ERR: its code */
};

struct fe_script {
    int fd;
    int port;
    pthread_t thread;
    const struct script_rule *rules;
    size_t n_rules;
    pthread_mutex_t mutex; /* over what is below */
    pthread_t links[SCRIPT_LINKS];
    int link_fds[SCRIPT_LINKS];
    size_t n_links;
    char said[SCRIPT_SAID][SCRIPT_TEXT]; /* read after script_stop() only */
    size_t n_said;
};

struct script_link {
    struct fe_script *script;
    int fd;
    unsigned char sequence;
};

static void script_send(struct script_link *l, const struct buf *body)
{
    struct span text = buf_span(body);
    unsigned char head[4] = {(unsigned char)text.n, (unsigned char)(text.n >> 8), 0, l->sequence++};
    (void)send(l->fd, head, sizeof(head), MSG_NOSIGNAL); /* who has gone needs no answer */
    (void)send(l->fd, text.p, text.n, MSG_NOSIGNAL);
}

static bool script_read(const struct script_link *l, char *p, size_t n)
{
    while (n > 0) {
        ssize_t got = recv(l->fd, p, n, 0);
        if (got <= 0) {
            return false;
        }
        p += got;
        n -= (size_t)got;
    }
    return true;
}

/* A packet's body, with a NUL behind it. False: the client has gone. */
static bool script_receive(struct script_link *l, char body[SCRIPT_PACKET])
{
    unsigned char head[4];
    if (!script_read(l, (char *)head, sizeof(head))) {
        return false;
    }
    size_t n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
    l->sequence = (unsigned char)(head[3] + 1);
    if (n >= SCRIPT_PACKET || !script_read(l, body, n)) {
        return false;
    }
    body[n] = '\0';
    return true;
}

static void script_put(struct buf *b, const char *text, size_t n)
{
    assert(n < 251); /* of one byte */
    buf_append_char(b, (char)n);
    buf_append(b, text, n);
}

static void script_ok(struct script_link *l, int affected, const char *info)
{
    struct buf b = buf_with_max(SCRIPT_PACKET);
    buf_append(&b, "\0", 1);
    buf_append_char(&b, (char)affected);
    buf_append(&b, "\0\2\0\0\0", 5);
    if (info != NULL) {
        script_put(&b, info, strlen(info));
    }
    script_send(l, &b);
    buf_fini(&b);
}

static void script_err(struct script_link *l, int code, const char *text)
{
    struct buf b = buf_with_max(SCRIPT_PACKET);
    const char head[] = {'\xff', (char)code, (char)(code >> 8), '#', 'H', 'Y', '0', '0', '0'};
    buf_append(&b, head, sizeof(head));
    buf_append_text(&b, text);
    script_send(l, &b);
    buf_fini(&b);
}

static void script_eof(struct script_link *l)
{
    struct buf b = buf_with_max(SCRIPT_PACKET);
    buf_append(&b, "\xfe\0\0\2\0", 5);
    script_send(l, &b);
    buf_fini(&b);
}

static void script_column(struct script_link *l, const char *name, size_t n)
{
    static const char tail[] = "\0\x0c\x21\0\xff\0\0\0\xfd\0\0\0\0\0";
    struct buf b = buf_with_max(SCRIPT_PACKET);
    buf_append(&b, "\3def\0\0\0", 7);
    script_put(&b, name, n);
    buf_append(&b, tail, sizeof(tail) - 1);
    script_send(l, &b);
    buf_fini(&b);
}

/* The cells of one line; as columns when it is the first. */
static void script_line(struct script_link *l, const char *line, size_t n, bool is_head)
{
    struct buf row = buf_with_max(SCRIPT_PACKET);
    struct buf count = buf_with_max(SCRIPT_PACKET);
    size_t n_columns = 1;
    for (size_t i = 0; i < n; i++) {
        n_columns += line[i] == '|';
    }
    buf_append_char(&count, (char)n_columns);
    if (is_head) {
        script_send(l, &count);
    }
    for (size_t at = 0, k = 0; k < n_columns; k++) {
        size_t size = 0;
        while (at + size < n && line[at + size] != '|') {
            size++;
        }
        if (is_head) {
            script_column(l, line + at, size);
        } else if (size == 1 && line[at] == '-') {
            buf_append_char(&row, '\xfb');
        } else {
            script_put(&row, line + at, size);
        }
        at += size + 1;
    }
    if (is_head) {
        script_eof(l);
    } else {
        script_send(l, &row);
    }
    buf_fini(&row);
    buf_fini(&count);
}

static void script_rows(struct script_link *l, const char *text)
{
    bool is_head = true;
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        script_line(l, text, n, is_head);
        is_head = false;
        text += n + (text[n] == '\n');
    }
    script_eof(l);
}

/* False: the link is cut. */
static bool script_answer(struct script_link *l, const char *sql)
{
    struct fe_script *s = l->script;
    (void)pthread_mutex_lock(&s->mutex);
    if (s->n_said < SCRIPT_SAID) {
        (void)snprintf(s->said[s->n_said++], SCRIPT_TEXT, "%s", sql);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    for (size_t i = 0; i < s->n_rules; i++) {
        const struct script_rule *r = &s->rules[i];
        if (strstr(sql, r->part) == NULL) {
            continue;
        }
        switch (r->kind) {
        case SAYS_OK: script_ok(l, r->number, r->text); return true;
        case SAYS_ERR: script_err(l, r->number, r->text); return true;
        case SAYS_ROWS: script_rows(l, r->text); return true;
        case SAYS_NOTHING_MORE: return false;
        }
    }
    script_ok(l, 0, NULL);
    return true;
}

static void script_greet(struct script_link *l)
{
    static const char greeting[] = "\x0a"
                                   "5.7.99\0"
                                   "\x65\0\0\0"
                                   "abcdefgh\0"
                                   "\x8d\x82\x21\2\0\x08\0\x15"
                                   "\0\0\0\0\0\0\0\0\0\0"
                                   "ijklmnopqrst\0"
                                   "mysql_native_password";
    struct buf b = buf_with_max(SCRIPT_PACKET);
    buf_append(&b, greeting, sizeof(greeting)); /* its own NUL ends it */
    script_send(l, &b);
    buf_fini(&b);
}

static void *script_serve(void *arg)
{
    struct script_link *l = arg;
    char *body = xcalloc(1, SCRIPT_PACKET);
    bool is_up = true;
    script_greet(l);
    is_up = script_receive(l, body);
    if (is_up) {
        script_ok(l, 0, NULL);
    }
    while (is_up && script_receive(l, body) && body[0] != '\1') {
        if (body[0] == '\3') {
            is_up = script_answer(l, body + 1);
        } else {
            script_ok(l, 0, NULL); /* a ping */
        }
    }
    (void)shutdown(l->fd, SHUT_RDWR); /* closed by script_stop() */
    free(body);
    free(l);
    return NULL;
}

static void *script_accept(void *arg)
{
    struct fe_script *s = arg;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0) {
            return NULL; /* script_stop() */
        }
        struct script_link *l = xcalloc(1, sizeof(*l));
        *l = (struct script_link){.script = s, .fd = fd};
        assert(s->n_links < SCRIPT_LINKS);
        s->link_fds[s->n_links] = fd;
        int failed = pthread_create(&s->links[s->n_links], NULL, script_serve, l);
        assert(failed == 0);
        (void)failed;
        s->n_links++;
    }
}

static void script_start(struct fe_script *s, const struct script_rule *rules, size_t n_rules)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    *s = (struct fe_script){.rules = rules, .n_rules = n_rules};
    (void)pthread_mutex_init(&s->mutex, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = s->fd < 0 || bind(s->fd, (struct sockaddr *)&address, len) != 0 ||
                 listen(s->fd, SCRIPT_LINKS) != 0 ||
                 getsockname(s->fd, (struct sockaddr *)&address, &len) != 0;
    s->port = ntohs(address.sin_port);
    failed = failed || pthread_create(&s->thread, NULL, script_accept, s) != 0;
    assert(!failed);
    (void)failed;
}

static void script_stop(struct fe_script *s)
{
    (void)shutdown(s->fd, SHUT_RDWR); /* wakes accept() */
    (void)pthread_join(s->thread, NULL);
    (void)close(s->fd);
    for (size_t i = 0; i < s->n_links; i++) {
        (void)shutdown(s->link_fds[i], SHUT_RDWR); /* wakes recv() */
        (void)pthread_join(s->links[i], NULL);
        (void)close(s->link_fds[i]);
    }
    (void)pthread_mutex_destroy(&s->mutex);
}

/* How many statements had this in them. After script_stop(). */
static size_t script_heard(const struct fe_script *s, const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_said; i++) {
        n += strstr(s->said[i], part) != NULL;
    }
    return n;
}

#endif
