/*
 * Patterns over object keys, as a job's uri writes them. The language is that of Java's file
 * globs, which Doris 4 uses, with Doris's numeric ranges:
 *
 *     *        any text without '/'             [a-c] [!a]   one character of, or not of, a set
 *     **       any text                         {a,b*,c}     one of several; not nested
 *     ?        one character but '/'            {1..10}      a decimal number without leading zero
 *     \x       the character x itself           everything else stands for itself
 *
 * Sets and '?' are about characters (UTF-8), never '/'. A match costs at most pattern length times
 * key length, whatever the pattern. Immutable after glob_create(); any thread.
 */
#ifndef SOURCES_GLOB_H
#define SOURCES_GLOB_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

enum { GLOB_MAX_PATTERN = 4096, GLOB_MAX_TEXT = 8192 };

struct glob;

/* NULL and err, which names the position, when the pattern is malformed or too long. */
struct glob *glob_create(struct span pattern, struct err *err);
void glob_destroy(struct glob *g);

/* The whole text must match. Texts longer than GLOB_MAX_TEXT never do. */
bool glob_match(const struct glob *g, struct span text);

/* What every match begins with: the pattern up to the first of * ? [ { \. Valid as long as g. */
struct span glob_literal_prefix(const struct glob *g);

#endif
