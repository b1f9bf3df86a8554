/*
 * The client libraries' global state: once per process, on the main thread, before any other thread
 * starts and after all have ended.
 */
#ifndef SOURCES_LIBRARY_H
#define SOURCES_LIBRARY_H

#include <stdbool.h>

#include "base/err.h"

bool library_init(struct err *err);
/* Also after a library_init() that failed. */
void library_fini(void);

#endif
