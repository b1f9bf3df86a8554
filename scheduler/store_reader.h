/*
 * Reads tracked files on a runner's thread, over a read-only connection of its own to the store's
 * file; files.h says how. A reader holds a snapshot from begin() to end(), and as long as it does
 * the writer's log cannot begin anew and grows with every write: sources read in slices of a second
 * or so, and begin() waits when the log has become long (store_gate.h). Used by the parts of the
 * SQLite store only.
 */
#ifndef SCHEDULER_STORE_READER_H
#define SCHEDULER_STORE_READER_H

#include "scheduler/files.h"

struct store_gate;

/* `path` and `gate` of a store that is open. NULL on failure. */
struct file_reader *store_reader_open(const char *path, struct store_gate *gate, struct err *err);

extern const struct file_reader_ops store_reader_ops;

#endif
