#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xmalloc.h"
#include "proxy/relay.h"

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
    }
}

static void drop_out(struct relay_end *e)
{
    buf_fini(&e->out);
    e->out_start = 0;
}

void relay_close(struct relay_end *e)
{
    if (e->fd != -1) {
        relay_set_reading(e, false);
        set_writing(e, false);
        close_p(&e->fd);
    }
    drop_out(e);
}

ssize_t relay_read(struct relay_end *e, void *to, size_t size)
{
    ssize_t n = -1;
    do {
        n = recv(e->fd, to, size, 0);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* How much of it the socket took; 0 also when writing failed, with e->error set. */
static size_t write_some(struct relay_end *e, const char *p, size_t n)
{
    for (;;) {
        ssize_t sent = send(e->fd, p, n, MSG_NOSIGNAL);
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
        set_writing(e, true);
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
    set_writing(e, true);
    return true;
}

bool relay_flush(struct relay_end *e)
{
    if (e->error != 0 || e->fd == -1) {
        return false;
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
    }
    return true;
}
