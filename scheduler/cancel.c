#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/xmalloc.h"
#include "scheduler/cancel.h"

void cancel_init(struct cancel *c)
{
    atomic_init(&c->is_raised, false);
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void cancel_fini(struct cancel *c)
{
    close_p(&c->fd);
}

void cancel_raise(struct cancel *c)
{
    uint64_t one = 1;
    atomic_store(&c->is_raised, true);
    if (c->fd >= 0 && write(c->fd, &one, sizeof(one)) < 0) {
        return; /* EAGAIN: readable already */
    }
}
