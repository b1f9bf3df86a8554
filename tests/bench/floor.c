/*
 * A bare relay: what moving bytes between two sockets costs when nothing else is done. Per thread
 * one listener (SO_REUSEPORT), one level-triggered epoll and one read buffer, as sluice has them; it
 * knows no protocol. The other relays are compared with it.
 *
 *     floor THREADS PORT BACKEND-PORT
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xmalloc.h"
#include "tests/bench/net.h"

/* Of a read: the same as sluice's, see proxy/worker_session.h. */
enum { BUFFER_SIZE = 48 << 10, N_EVENTS = 64 };

struct end {
    int fd;
    bool is_added;   /* to the epoll */
    uint32_t events; /* what it waits for */
    struct pair *pair;
    char *left; /* what its socket did not take; its peer is not read meanwhile */
    size_t left_size;
    size_t left_start;
};

struct pair {
    struct end ends[2];
    bool is_closed;
    struct pair *next_closed; /* freed once no event of this turn can name it */
};

static uint16_t backend_port;

static void set_events(int epoll, struct end *e, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = e};
    int op = e->is_added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if ((!e->is_added || e->events != events) && epoll_ctl(epoll, op, e->fd, &event) != 0) {
        net_die("epoll_ctl: %s", strerror(errno));
    }
    e->is_added = true;
    e->events = events;
}

static struct end *peer_of(struct end *e)
{
    return &e->pair->ends[e == &e->pair->ends[0]];
}

static void close_pair(struct pair *p, struct pair **closed)
{
    if (!p->is_closed) {
        p->is_closed = true;
        p->next_closed = *closed;
        *closed = p;
        (void)close(p->ends[0].fd);
        (void)close(p->ends[1].fd);
    }
}

static void free_closed(struct pair *closed)
{
    while (closed != NULL) {
        struct pair *next = closed->next_closed;
        free(closed->ends[0].left);
        free(closed->ends[1].left);
        free(closed);
        closed = next;
    }
}

static void accept_one(int epoll, int listen_fd)
{
    int fd = net_accept(listen_fd);
    if (fd < 0) {
        return;
    }
    struct pair *p = xcalloc(1, sizeof(*p));
    p->ends[0] = (struct end){.fd = fd, .pair = p};
    p->ends[1] = (struct end){.fd = net_connect(backend_port), .pair = p};
    net_set_nonblocking(p->ends[1].fd);
    set_events(epoll, &p->ends[0], EPOLLIN);
    set_events(epoll, &p->ends[1], EPOLLIN);
}

/* False when the connection is lost. */
static bool send_on(int epoll, struct end *from, const char *data, size_t n)
{
    struct end *to = peer_of(from);
    ssize_t sent = send(to->fd, data, n, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        return false;
    }
    size_t n_sent = sent > 0 ? (size_t)sent : 0;
    if (n_sent < n) {
        free(to->left); /* sent before, or its peer would not have been read */
        to->left = xcalloc(1, n - n_sent);
        memcpy(to->left, data + n_sent, n - n_sent);
        to->left_size = n - n_sent;
        to->left_start = 0;
        set_events(epoll, from, from->events & EPOLLOUT);
        set_events(epoll, to, (to->events & EPOLLIN) | EPOLLOUT);
    }
    return true;
}

static bool flush(int epoll, struct end *e)
{
    ssize_t sent = send(e->fd, e->left + e->left_start, e->left_size - e->left_start, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        return false;
    }
    e->left_start += sent > 0 ? (size_t)sent : 0;
    if (e->left_start == e->left_size) {
        struct end *peer = peer_of(e);
        set_events(epoll, e, e->events & EPOLLIN);
        set_events(epoll, peer, EPOLLIN | (peer->events & EPOLLOUT));
    }
    return true;
}

static bool on_event(int epoll, struct end *e, uint32_t events, char *buffer)
{
    if ((events & EPOLLOUT) != 0 && !flush(epoll, e)) {
        return false;
    }
    if ((e->events & EPOLLIN) == 0) {
        return (events & (EPOLLERR | EPOLLHUP)) == 0;
    }
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) == 0) {
        return true;
    }
    ssize_t n = recv(e->fd, buffer, BUFFER_SIZE, 0);
    if (n <= 0) {
        return n < 0 && errno == EAGAIN;
    }
    return send_on(epoll, e, buffer, (size_t)n);
}

static void *run(void *arg)
{
    int listen_fd = (int)(intptr_t)arg;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct end listener = {.fd = listen_fd};
    struct epoll_event events[N_EVENTS];
    char *buffer = xcalloc(1, BUFFER_SIZE);
    set_events(epoll, &listener, EPOLLIN);
    for (;;) {
        struct pair *closed = NULL;
        int n = epoll_wait(epoll, events, N_EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct end *e = events[i].data.ptr;
            if (e == &listener) {
                accept_one(epoll, listen_fd);
            } else if (!e->pair->is_closed && !on_event(epoll, e, events[i].events, buffer)) {
                close_pair(e->pair, &closed);
            }
        }
        free_closed(closed);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        net_die("usage: floor THREADS PORT BACKEND-PORT");
    }
    net_raise_limit();
    backend_port = (uint16_t)net_number(argv[3], 65535, "BACKEND-PORT");
    net_serve((unsigned)net_number(argv[1], 64, "THREADS"),
              (uint16_t)net_number(argv[2], 65535, "PORT"), run);
}
