#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/listener.h"
#include "proxy/listeners.h"
#include "proxy/worker.h"

static_assert((int)LISTENERS_MAX == (int)WORKER_MAX_LISTENERS, "a worker can have all of them");

bool listeners_open(struct address *at, size_t n, struct listeners *ret, struct err *err)
{
    struct listeners l = {0};
    assert(n <= LISTENERS_MAX);
    while (l.n < n) {
        int fd = listener_open(at, err);
        if (fd < 0) {
            listeners_close(&l);
            return false;
        }
        l.fds[l.n++] = fd;
        /* With port 0 the first one finds the port, the others join it. */
        if (!listener_address(fd, at, err)) {
            listeners_close(&l);
            return false;
        }
    }
    *ret = l;
    return true;
}

static bool is_same(const struct address *a, const struct address *b)
{
    return a->size == b->size && memcmp(&a->to, &b->to, a->size) == 0;
}

static bool give_one(int fd, struct worker_env *env, struct err *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return err_errno(err, errno, "cannot copy a listening socket");
    }
    assert(env->n_listen_fds < WORKER_MAX_LISTENERS);
    env->listen_fds[env->n_listen_fds++] = copy;
    return true;
}

/*
 * Of the g sockets of one address, seen as a ring that n workers walk around:
 *
 *     g = 1, n = 3    worker 0, 1, 2 share it       g = 3, n = 2    worker 0 has 0 and 2, 1 has 1
 */
static bool is_of_worker(size_t k, size_t g, size_t i, size_t n)
{
    return g >= n ? k % n == i : i % g == k;
}

bool listeners_give(const struct listeners *l, size_t i, size_t n, struct worker_env *env,
                    struct err *err)
{
    struct address addresses[LISTENERS_MAX] = {0};
    assert(i < n);
    for (size_t at = 0; at < l->n; at++) {
        if (!listener_address(l->fds[at], &addresses[at], err)) {
            return false;
        }
    }
    for (size_t at = 0; at < l->n; at++) {
        size_t k = 0; /* its place among those of its address */
        size_t g = 0;
        for (size_t other = 0; other < l->n; other++) {
            bool is_one = is_same(&addresses[at], &addresses[other]);
            k += is_one && other < at ? 1 : 0;
            g += is_one ? 1 : 0;
        }
        if (is_of_worker(k, g, i, n) && !give_one(l->fds[at], env, err)) {
            return false;
        }
    }
    return true;
}

void listeners_close(struct listeners *l)
{
    for (size_t i = 0; i < l->n; i++) {
        close_p(&l->fds[i]);
    }
    *l = (struct listeners){0};
}
