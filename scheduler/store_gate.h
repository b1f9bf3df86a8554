/*
 * Between the store's one writer and its readers on runners' threads. SQLite can begin its log anew
 * only at a moment when nobody reads an older state; readers that overlap leave no such moment, and
 * the log would grow as long as they do. So when it has become long the writer closes the gate:
 * readers that come wait, those inside end within a slice, and then the writer empties the log.
 * Two atomic words, no lock: who comes in between costs another try. Used by the parts of the SQLite
 * store only.
 */
#ifndef SCHEDULER_STORE_GATE_H
#define SCHEDULER_STORE_GATE_H

#include <stdbool.h>

struct store_gate;

/* Open, of one user. The last user's put() frees it. */
struct store_gate *store_gate_create(void);
struct store_gate *store_gate_use(struct store_gate *gate);
void store_gate_put(struct store_gate *gate);

/*
 * A reader's: waits until the gate is open, two seconds at most. When it was in vain the gate is
 * opened: the writer has nothing to write, so the log does not grow either.
 */
void store_gate_enter(struct store_gate *gate);
void store_gate_leave(struct store_gate *gate);

/* The writer's: true when nobody is inside. */
bool store_gate_close(struct store_gate *gate);
void store_gate_open(struct store_gate *gate);

#endif
