/*
 * What a write leaves to be done later: the tracked files of a deleted job, of which there may be
 * millions, are removed slice by slice behind the writes that follow; the log is emptied of texts
 * that job_alter() took out as soon as nobody reads it, and when it has become long. None of it can
 * fail a write: what cannot be done now is tried again behind the next one. Used by the parts of the
 * SQLite store only.
 */
#ifndef SCHEDULER_STORE_SWEEP_H
#define SCHEDULER_STORE_SWEEP_H

struct store;

/* Behind a write that was committed. */
void store_sweep_after_write(struct store *st);
/* At open() and behind job_delete(): is there anything to remove? Begins with it. */
void store_sweep_look(struct store *st);

#endif
