/*
 * The S3 source: objects of a bucket, in the byte order of their keys, each loaded once. What its
 * offset is and what it promises is in sources/README.md.
 */
#ifndef SOURCES_S3_SOURCE_H
#define SOURCES_S3_SOURCE_H

#include "scheduler/source.h"

extern const struct source_ops s3_source_ops;

#endif
