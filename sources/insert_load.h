/*
 * A load whose outcome its label tells: the job's own INSERT, sent once. Runner threads.
 *
 *     sent --> answer            VISIBLE COMMITTED EMPTY LABEL_USED REFUSED
 *      |-----> link broken       LOST
 *      +-----> deadline, cancel: KILL QUERY, a few seconds for the answer (as above, else LOST)
 */
#ifndef SOURCES_INSERT_LOAD_H
#define SOURCES_INSERT_LOAD_H

#include "sources/insert_attempt.h"

enum load_result insert_load_run(struct insert_attempt *a, struct err *err);

#endif
