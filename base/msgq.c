#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/msgq.h"
#include "base/xmalloc.h"

struct msgq {
    pthread_mutex_t lock; /* guards first, last, is_closed */
    struct msg *first;
    struct msg *last;
    bool is_closed;
    int fd;              /* eventfd, owned */
    struct event *event; /* owned */
    msgq_fn on_message;
    void *arg;
};

static struct msg *take_all(struct msgq *q)
{
    pthread_mutex_lock(&q->lock);
    struct msg *m = q->first;
    q->first = NULL;
    q->last = NULL;
    pthread_mutex_unlock(&q->lock);
    return m;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct msgq *q = arg;
    uint64_t count = 0;
    ssize_t n = read(fd, &count, sizeof(count));
    (void)n; /* EAGAIN only: the list below tells what there is */
    (void)what;
    struct msg *m = take_all(q);
    while (m != NULL) {
        struct msg *next = m->next;
        m->next = NULL;
        q->on_message(m, q->arg);
        m = next;
    }
}

struct msgq *msgq_create(struct event_base *base, msgq_fn on_message, void *arg, struct err *err)
{
    struct msgq *q = xcalloc(1, sizeof(*q));
    q->on_message = on_message;
    q->arg = arg;
    pthread_mutex_init(&q->lock, NULL);
    q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->fd < 0) {
        (void)err_errno(err, errno, "cannot create an eventfd");
        msgq_destroy(q);
        return NULL;
    }
    q->event = event_new(base, q->fd, EV_READ | EV_PERSIST, on_wake, q);
    if (q->event == NULL || event_add(q->event, NULL) != 0) {
        (void)err_say(err, "cannot add the message queue to its event loop");
        msgq_destroy(q);
        return NULL;
    }
    return q;
}

void msgq_destroy(struct msgq *q)
{
    if (q == NULL) {
        return;
    }
    if (q->event != NULL) {
        event_free(q->event);
    }
    struct msg *m = take_all(q);
    while (m != NULL) {
        struct msg *next = m->next;
        m->destroy(m);
        m = next;
    }
    close_p(&q->fd);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

bool msgq_offer(struct msgq *q, struct msg *m)
{
    assert(m->destroy != NULL);
    m->next = NULL;
    pthread_mutex_lock(&q->lock);
    bool is_closed = q->is_closed;
    bool was_empty = q->first == NULL;
    if (!is_closed) {
        if (was_empty) {
            q->first = m;
        } else {
            q->last->next = m;
        }
        q->last = m;
        if (was_empty) {
            uint64_t one = 1;
            ssize_t n = write(q->fd, &one, sizeof(one));
            (void)n; /* EAGAIN means that the counter is high enough already */
        }
    }
    pthread_mutex_unlock(&q->lock);
    return !is_closed;
}

bool msgq_send(struct msgq *q, struct msg *m)
{
    bool is_sent = msgq_offer(q, m);
    if (!is_sent) {
        m->destroy(m);
    }
    return is_sent;
}

void msgq_close(struct msgq *q)
{
    pthread_mutex_lock(&q->lock);
    q->is_closed = true;
    pthread_mutex_unlock(&q->lock);
}
