/* The times of a listing. Pure; any thread. */
#ifndef SOURCES_S3_TIME_H
#define SOURCES_S3_TIME_H

#include <stdint.h>

#include "base/span.h"

/*
 * "2026-01-31T23:59:59.123Z", with or without the fraction, as milliseconds of the epoch. 0: it is
 * none, which no object has either.
 */
int64_t s3_time_ms(struct span text);

#endif
