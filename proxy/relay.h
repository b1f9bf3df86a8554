/*
 * One socket of a session, seen from the relay: reads go into the worker's scratch buffer, writes
 * go straight to the socket, and only what the socket does not take is kept.
 *
 *     socket A --read--> scratch --write--> socket B
 *                           |                  ^
 *                           +--> B's `out` ----+ EV_WRITE     (no memory while it is empty)
 *
 * While B's out holds more than RELAY_HIGH_MARK bytes, A is not read; below RELAY_LOW_MARK it is
 * again. With TLS (relay_start_tls) all of it stays the same for the caller; `out` is what waits in
 * clear. Owned by a session; used on its worker's thread.
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

struct tls_link;

struct relay_end {
    int fd; /* owned; -1 = none */
    bool is_reading;
    bool is_writing; /* waits for EV_WRITE */
    int error;       /* errno of the write that failed; nothing is written after it */
    struct event on_read;
    struct event on_write;
    struct buf out;
    size_t out_start;     /* the first `out_start` bytes of `out` are sent */
    struct tls_link *tls; /* owned; NULL = plain */
    struct event *again;  /* owned, only with tls: for input that no socket announces */
};

/* An end without a socket. */
void relay_init(struct relay_end *e);
/* Takes fd; both callbacks get `arg`. Reading is off. */
void relay_open(struct relay_end *e, int fd, struct event_base *base, event_callback_fn on_read,
                event_callback_fn on_write, void *arg);
/*
 * From here on everything is encrypted. Takes link; nothing may be unsent. False: out of memory, as
 * when link is NULL.
 */
bool relay_start_tls(struct relay_end *e, struct tls_link *link);
/* The peer is to see the end of our stream, and may go on sending. False: it is gone. */
bool relay_end_output(struct relay_end *e);
/* Closes the socket and drops what is unsent. An end that is not open is accepted. */
void relay_close(struct relay_end *e);

void relay_set_reading(struct relay_end *e, bool is_wanted);
/* read(2); 0 = end of stream, -1 = errno. EINTR is retried. */
ssize_t relay_read(struct relay_end *e, void *to, size_t size);
/*
 * May another read bring more at once? After a short one only with TLS, whose input the socket's
 * readiness does not tell: after relay_read_again() on_read is called in the loop's next turn.
 */
bool relay_has_input(const struct relay_end *e, size_t n_read, size_t size);
void relay_read_again(struct relay_end *e);
/* What an errno of relay_read(), or `error`, means on this end. */
const char *relay_why(const struct relay_end *e, int error);
/* TLS has begun and the peer has not finished its part: nothing has been sent yet. */
bool relay_is_in_handshake(const struct relay_end *e);
/* "TLSv1.3"; NULL on a plain end. */
const char *relay_tls_version(const struct relay_end *e);
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

/* Something waits and can go without our reading first (a TLS handshake waits for the peer). */
bool relay_is_flushing(const struct relay_end *e);

/* May the other side be read (on) with so much waiting here? Hysteresis between the marks. */
static inline bool relay_has_room(const struct relay_end *e, bool is_other_reading)
{
    return relay_pending(e) <= (is_other_reading ? (size_t)RELAY_HIGH_MARK : RELAY_LOW_MARK);
}

#endif
