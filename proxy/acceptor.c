#include <errno.h>
#include <event2/event.h>
#include <linux/filter.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/acceptor.h"

enum {
    PER_TURN = 16,  /* then the sessions have their turn */
    PAUSE_MS = 200, /* after EMFILE and the like */
    LAST_MS = 20,   /* so long nobody has come: nobody will */
    LAST_ROUNDS = 5,
};

struct acceptor {
    size_t n_fds;
    const int *fds; /* borrowed */
    acceptor_fn on_connection;
    void *arg;
    struct event **events; /* owned, one a socket */
    struct event *again;   /* timer: after PAUSE_MS */
};

static void pause_accepting(struct acceptor *a, int error)
{
    struct timeval tv = {.tv_usec = PAUSE_MS * 1000L};
    log_error("listener.paused", "reason", strerrordesc_np(error), NULL);
    for (size_t i = 0; i < a->n_fds; i++) {
        (void)event_del(a->events[i]);
    }
    (void)event_add(a->again, &tv); /* fails for want of memory alone, as event_del() */
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* -1 and errno: nobody waits, or it cannot be accepted now. */
static int accept_one(struct acceptor *a, int listen_fd)
{
    struct address peer = {.size = sizeof(peer.to)};
    int fd = -1;
    do { /* ECONNABORTED: one that went away while it waited; others may wait behind it */
        fd = accept4(listen_fd, &peer.to.any, &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && (errno == ECONNABORTED || errno == EINTR));
    if (fd >= 0) {
        a->on_connection(fd, &peer, a->arg);
    }
    return fd;
}

static void on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
    struct acceptor *a = arg;
    for (int i = 0; i < PER_TURN; i++) {
        if (accept_one(a, listen_fd) < 0) {
            if (is_shortage(errno)) {
                pause_accepting(a, errno);
            }
            return;
        }
    }
    (void)what;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct acceptor *a = arg;
    for (size_t i = 0; i < a->n_fds; i++) {
        (void)event_add(a->events[i], NULL); /* fails for want of memory alone */
    }
    (void)fd;
    (void)what;
}

struct acceptor *acceptor_create(struct event_base *base, const int *fds, size_t n_fds,
                                 acceptor_fn on_connection, void *arg, struct err *err)
{
    struct acceptor *a = xcalloc(1, sizeof(*a));
    a->n_fds = n_fds;
    a->fds = fds;
    a->on_connection = on_connection;
    a->arg = arg;
    a->events = xcalloc(n_fds, sizeof(struct event *));
    a->again = evtimer_new(base, on_again, a);
    bool is_made = a->again != NULL;
    for (size_t i = 0; is_made && i < n_fds; i++) {
        a->events[i] = event_new(base, fds[i], EV_READ | EV_PERSIST, on_accept, a);
        is_made = a->events[i] != NULL && event_add(a->events[i], NULL) == 0;
    }
    if (!is_made) {
        (void)err_say(err, "cannot create the events of a listening socket");
        acceptor_destroy(a);
        return NULL;
    }
    return a;
}

/*
 * Who comes from now on is not heard, and its kernel tries again a second later: then the socket is
 * closed, or a new Sluice is there. Else a client that comes between our last accept() and close()
 * would be connected, and reset. Packets of a handshake that has begun go through. Where the kernel
 * does not want the filter, that gap of microseconds stays.
 */
static void hear_no_more(int fd)
{
    enum { FLAGS_AT = 13, FLAG_SYN = 0x02, DROP = 0, PASS = 0xffff };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT), /* of the TCP header */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FLAG_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, DROP),
        BPF_STMT(BPF_RET | BPF_K, PASS),
    };
    struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};
    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)); /* as said */
}

/* The end of a handshake that had begun is waited for: the only time that this thread blocks. */
void acceptor_empty(struct acceptor *a)
{
    _cleanup_free_ struct pollfd *polled = xcalloc(a->n_fds, sizeof(*polled));
    for (size_t i = 0; i < a->n_fds; i++) {
        hear_no_more(a->fds[i]);
        polled[i] = (struct pollfd){.fd = a->fds[i], .events = POLLIN};
    }
    for (int round = 0; round < LAST_ROUNDS; round++) {
        for (size_t i = 0; i < a->n_fds; i++) {
            while (accept_one(a, a->fds[i]) >= 0) {
            }
        }
        if (poll(polled, a->n_fds, LAST_MS) <= 0) {
            return;
        }
    }
}

void acceptor_destroy(struct acceptor *a)
{
    if (a == NULL) {
        return;
    }
    for (size_t i = 0; i < a->n_fds; i++) {
        if (a->events[i] != NULL) {
            event_free(a->events[i]);
        }
    }
    if (a->again != NULL) {
        event_free(a->again);
    }
    free(a->events);
    free(a);
}
