#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/xmalloc.h"
#include "proxy/relay.h"
#include "proxy/tls_link.h"

/*
 * recv() and send() of glibc are cancellation points: in a program with threads each pays for two
 * atomic operations more, 2 % of what a short query costs here. No thread of ours is ever cancelled.
 */
static ssize_t plain_recv(int fd, void *to, size_t size)
{
    return syscall(SYS_recvfrom, fd, to, size, 0, NULL, NULL);
}

static ssize_t plain_send(int fd, const void *p, size_t n)
{
    return syscall(SYS_sendto, fd, p, n, MSG_NOSIGNAL, NULL, 0);
}

void relay_init(struct relay_end *e)
{
    *e = (struct relay_end){.fd = -1, .out = buf_with_max(RELAY_OUT_MAX)};
}

void relay_open(struct relay_end *e, int fd, struct event_base *base, event_callback_fn on_read,
                event_callback_fn on_write, void *arg)
{
    assert(e->fd == -1 && fd >= 0);
    e->fd = fd;
    e->error = 0;
    assert(e->tls == NULL);
    /* Both only fail without a base or with a bad combination of flags. */
    (void)event_assign(&e->on_read, base, fd, EV_READ | EV_PERSIST, on_read, arg);
    (void)event_assign(&e->on_write, base, fd, EV_WRITE | EV_PERSIST, on_write, arg);
}

static void set_writing(struct relay_end *e, bool is_wanted)
{
    if (is_wanted != e->is_writing) {
        /* epoll_ctl on an open socket: fails for want of memory alone, then so does all else */
        (void)(is_wanted ? event_add(&e->on_write, NULL) : event_del(&e->on_write));
        e->is_writing = is_wanted;
    }
}

void relay_set_reading(struct relay_end *e, bool is_wanted)
{
    if (is_wanted != e->is_reading && e->fd != -1) {
        (void)(is_wanted ? event_add(&e->on_read, NULL) : event_del(&e->on_read)); /* as above */
        e->is_reading = is_wanted;
        relay_read_again(e);
    }
}

static void drop_out(struct relay_end *e)
{
    buf_fini(&e->out);
    e->out_start = 0;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct relay_end *e = arg;
    if (e->is_reading) {
        event_active(&e->on_read, EV_READ, 1);
    }
    (void)fd;
    (void)what;
}

bool relay_start_tls(struct relay_end *e, struct tls_link *link)
{
    assert(e->fd != -1 && e->tls == NULL && relay_pending(e) == 0);
    e->again = link != NULL ? evtimer_new(event_get_base(&e->on_read), on_again, e) : NULL;
    if (e->again == NULL) {
        tls_link_destroy(link);
        return false;
    }
    e->tls = link;
    return true;
}

bool relay_end_output(struct relay_end *e)
{
    if (e->error != 0 || e->fd == -1) {
        return false;
    }
    if (e->tls != NULL) {
        tls_link_shutdown(e->tls);
    }
    return shutdown(e->fd, SHUT_WR) == 0;
}

void relay_close(struct relay_end *e)
{
    if (e->fd != -1) {
        relay_set_reading(e, false);
        set_writing(e, false);
        if (e->tls != NULL) {
            if (e->error == 0) {
                tls_link_shutdown(e->tls);
            }
            tls_link_destroy(take_ptr(e->tls));
            event_free(take_ptr(e->again));
        }
        close_p(&e->fd);
    }
    drop_out(e);
}

/* By a timer: what is activated at once would run before any other session is looked at. */
void relay_read_again(struct relay_end *e)
{
    static const struct timeval at_once = {0};
    if (e->tls != NULL && e->is_reading && tls_link_has_input(e->tls)) {
        (void)event_add(e->again, &at_once); /* fails for want of memory alone */
    }
}

bool relay_has_input(const struct relay_end *e, size_t n_read, size_t size)
{
    return n_read == size || (e->tls != NULL && tls_link_has_input(e->tls));
}

const char *relay_why(const struct relay_end *e, int error)
{
    if (e->tls != NULL && tls_link_why(e->tls)[0] != '\0') {
        return tls_link_why(e->tls);
    }
    return strerrordesc_np(error);
}

bool relay_is_in_handshake(const struct relay_end *e)
{
    return e->tls != NULL && !tls_link_is_established(e->tls);
}

const char *relay_tls_version(const struct relay_end *e)
{
    return e->tls != NULL ? tls_link_version(e->tls) : NULL;
}

bool relay_is_flushing(const struct relay_end *e)
{
    if (e->tls != NULL && (tls_link_write_wants_read(e->tls) || tls_link_why(e->tls)[0] != '\0')) {
        return false; /* TLS waits for the peer, or has failed: what is unsent stays so */
    }
    return relay_pending(e) > 0;
}

/*
 * A handshake goes on within whatever comes first, so that each direction may wait for the other:
 * what was to be written is tried again after each read.
 */
static ssize_t read_tls(struct relay_end *e, void *to, size_t size)
{
    bool is_output_waiting = tls_link_write_wants_read(e->tls);
    ssize_t n = tls_link_read(e->tls, to, size);
    int error = n < 0 ? errno : 0;
    if (tls_link_read_wants_write(e->tls)) {
        set_writing(e, true);
    }
    if (is_output_waiting && (n > 0 || error == EAGAIN) && !relay_flush(e)) {
        error = e->error;
    }
    errno = error;
    return n;
}

ssize_t relay_read(struct relay_end *e, void *to, size_t size)
{
    ssize_t n = -1;
    if (e->tls != NULL) {
        return read_tls(e, to, size);
    }
    do {
        n = plain_recv(e->fd, to, size);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* How much of it the socket took; 0 also when writing failed, with e->error set. */
static size_t write_some(struct relay_end *e, const char *p, size_t n)
{
    if (e->tls != NULL) {
        ssize_t taken = tls_link_write(e->tls, p, n);
        e->error = taken < 0 ? errno : 0;
        return taken < 0 ? 0 : (size_t)taken;
    }
    for (;;) {
        ssize_t sent = plain_send(e->fd, p, n);
        if (sent >= 0) {
            return (size_t)sent;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        }
        if (errno != EINTR) {
            e->error = errno;
            return 0;
        }
    }
}

static bool fail(struct relay_end *e)
{
    if (e->error == 0) {
        e->error = ENOBUFS;
    }
    set_writing(e, false);
    drop_out(e);
    return false;
}

/* For the socket; within a TLS handshake perhaps for the peer instead, see read_tls(). */
static void wait_to_write(struct relay_end *e)
{
    set_writing(e, relay_is_flushing(e));
}

/* Moves the unsent content to the front before more is appended, once that is most of it. */
static void compact(struct relay_end *e)
{
    if (e->out_start > 0 && e->out_start >= e->out.len / 2) {
        buf_consume(&e->out, e->out_start);
        e->out_start = 0;
    }
}

bool relay_send(struct relay_end *e, const void *p, size_t n)
{
    if (e->error != 0 || e->fd == -1) {
        return false;
    }
    size_t sent = relay_pending(e) == 0 ? write_some(e, p, n) : 0;
    if (e->error != 0) {
        return fail(e);
    }
    if (sent < n) {
        compact(e);
        buf_append(&e->out, (const char *)p + sent, n - sent);
        if (!buf_ok(&e->out)) {
            return fail(e);
        }
        wait_to_write(e);
    }
    return true;
}

bool relay_send_buf(struct relay_end *e, struct buf *b)
{
    struct buf content = *b;
    *b = buf_with_max(b->max);
    bool is_ok = e->error == 0 && e->fd != -1;
    if (!is_ok || relay_pending(e) > 0) {
        is_ok = is_ok && relay_send(e, content.data, content.len);
        buf_fini(&content);
        return is_ok;
    }
    size_t sent = content.len > 0 ? write_some(e, content.data, content.len) : 0;
    if (e->error != 0) {
        buf_fini(&content);
        return fail(e);
    }
    if (sent == content.len) {
        buf_fini(&content);
        return true;
    }
    drop_out(e);
    e->out = content;
    e->out.max = content.max > RELAY_OUT_MAX ? content.max : RELAY_OUT_MAX;
    e->out_start = sent;
    wait_to_write(e);
    return true;
}

bool relay_flush(struct relay_end *e)
{
    if (e->error != 0 || e->fd == -1) {
        return false;
    }
    if (e->tls != NULL && tls_link_read_wants_write(e->tls)) {
        tls_link_is_writable(e->tls);
        relay_read_again(e);
    }
    if (relay_pending(e) > 0) {
        e->out_start += write_some(e, e->out.data + e->out_start, relay_pending(e));
    }
    if (e->error != 0) {
        return fail(e);
    }
    if (relay_pending(e) == 0) {
        set_writing(e, false);
        buf_fini(&e->out);
        e->out = buf_with_max(RELAY_OUT_MAX);
        e->out_start = 0;
    } else {
        wait_to_write(e);
    }
    return true;
}
