#include <assert.h>
#include <stdatomic.h>
#include <time.h>

#include "base/xmalloc.h"
#include "scheduler/store_gate.h"

enum { LOOK_EVERY_NS = 5000000, N_LOOKS = 400 };

struct store_gate {
    atomic_int n_users;
    atomic_int n_inside;
    atomic_bool is_closed;
};

struct store_gate *store_gate_create(void)
{
    struct store_gate *gate = xcalloc(1, sizeof(*gate));
    atomic_init(&gate->n_users, 1);
    return gate;
}

struct store_gate *store_gate_use(struct store_gate *gate)
{
    (void)atomic_fetch_add(&gate->n_users, 1);
    return gate;
}

void store_gate_put(struct store_gate *gate)
{
    if (gate != NULL && atomic_fetch_sub(&gate->n_users, 1) == 1) {
        free(gate);
    }
}

void store_gate_enter(struct store_gate *gate)
{
    const struct timespec pause = {.tv_nsec = LOOK_EVERY_NS};
    int n_looks = 0;
    while (atomic_load(&gate->is_closed) && n_looks < N_LOOKS) {
        (void)nanosleep(&pause, NULL); /* a signal makes it shorter, that is all */
        n_looks++;
    }
    if (n_looks == N_LOOKS) {
        atomic_store(&gate->is_closed, false);
    }
    (void)atomic_fetch_add(&gate->n_inside, 1);
}

void store_gate_leave(struct store_gate *gate)
{
    int n_before = atomic_fetch_sub(&gate->n_inside, 1);
    assert(n_before > 0);
}

bool store_gate_close(struct store_gate *gate)
{
    atomic_store(&gate->is_closed, true);
    return atomic_load(&gate->n_inside) == 0;
}

void store_gate_open(struct store_gate *gate)
{
    atomic_store(&gate->is_closed, false);
}
