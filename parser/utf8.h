/*
 * Is a text UTF-8? Every text that Doris keeps is, and every answer of Sluice. Pure; any thread.
 */
#ifndef PARSER_UTF8_H
#define PARSER_UTF8_H

#include <stddef.h>

#include "base/span.h"

/* How many bytes of `s`, from its start, are whole and valid characters: s.n when all of it is. */
size_t utf8_valid(struct span s);

#endif
