/*
 * One socket of a session, seen from the relay: reads go into the worker's scratch buffer, writes
 * go straight to the socket, and only what the socket does not take is kept.
 *
 *     socket A --read--> scratch --write--> socket B
 *                           |                  ^
 *                           +--> B's `out` ----+ EV_WRITE     (no memory while it is empty)
 *
 * While B's out holds more than RELAY_HIGH_MARK bytes, A is not read; below RELAY_LOW_MARK it is
 * again. Owned by a session; used on its worker's thread.
 */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

enum {
    RELAY_HIGH_MARK = 128 << 10,
    RELAY_LOW_MARK = 16 << 10,
    RELAY_OUT_MAX = 64 << 20, /* back-pressure keeps far below; whole local answers may be large */
};

struct relay_end {
    int fd; /* owned; -1 = none */
    bool is_reading;
    bool is_writing; /* waits for EV_WRITE */
    int error;       /* errno of the write that failed; nothing is written after it */
    struct event on_read;
    struct event on_write;
    struct buf out;
    size_t out_start; /* the first `out_start` bytes of `out` are sent */
};

/* An end without a socket. */
void relay_init(struct relay_end *e);
/* Takes fd; both callbacks get `arg`. Reading is off. */
void relay_open(struct relay_end *e, int fd, struct event_base *base, event_callback_fn on_read,
                event_callback_fn on_write, void *arg);
/* Closes the socket and drops what is unsent. An end that is not open is accepted. */
void relay_close(struct relay_end *e);

void relay_set_reading(struct relay_end *e, bool is_wanted);
/* read(2); 0 = end of stream, -1 = errno. EINTR is retried. */
ssize_t relay_read(struct relay_end *e, void *to, size_t size);
/* False once writing has failed: see e->error. */
bool relay_send(struct relay_end *e, const void *p, size_t n);
/* The same; the content moves if it has to wait. `b` is empty afterwards. */
bool relay_send_buf(struct relay_end *e, struct buf *b);
/* From on_write: sends what is waiting. */
bool relay_flush(struct relay_end *e);

static inline size_t relay_pending(const struct relay_end *e)
{
    return e->out.len - e->out_start;
}

/* May the other side be read (on) with so much waiting here? Hysteresis between the marks. */
static inline bool relay_has_room(const struct relay_end *e, bool is_other_reading)
{
    return relay_pending(e) <= (is_other_reading ? (size_t)RELAY_HIGH_MARK : RELAY_LOW_MARK);
}

#endif
