/*
 * A queue of messages into one thread's event loop; the only way threads talk (style.md 36).
 *
 *     sender (any thread)                    receiver (the loop's thread)
 *     msgq_send(q, msg)  -> list -> eventfd -> on_message(msg, arg) for each, in order
 *
 * Sending moves ownership of the message. The receiver is woken only when the queue was empty.
 * The one mutex of the program lives here. A message is a struct that embeds `struct msg` first;
 * `type` is the receiver's business. `destroy` frees a message nobody will receive.
 */
#ifndef BASE_MSGQ_H
#define BASE_MSGQ_H

#include <stdbool.h>

#include "base/err.h"

struct event_base;
struct msgq;

struct msg {
    struct msg *next; /* private to msgq */
    int type;
    void (*destroy)(struct msg *m);
};

/*
 * A message that says itself what is to be done with it. `run` owns the message: it frees it or
 * sends it on. `receiver` is what the receiving loop passes to all of them: its worker, say.
 */
struct msg_call {
    struct msg m; /* first */
    void (*run)(void *receiver, struct msg_call *call);
};

typedef void (*msgq_fn)(struct msg *m, void *arg);

/* Runs in the loop of `base`; create and destroy on that loop's thread or while it is not running. */
struct msgq *msgq_create(struct event_base *base, msgq_fn on_message, void *arg, struct err *err);
/* Destroys what is still queued. No sender may be left. NULL is accepted. */
void msgq_destroy(struct msgq *q);
/* From any thread. After msgq_close() the message is destroyed and false returned. */
bool msgq_send(struct msgq *q, struct msg *m);
/* The same, but after msgq_close() the message stays the caller's. */
bool msgq_offer(struct msgq *q, struct msg *m);
/* From the receiving thread: later sends are refused. What is queued is still delivered. */
void msgq_close(struct msgq *q);

#endif
