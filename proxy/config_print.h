/* Words for a terminal: paragraphs broken into lines. Also home of config_print(), see config.h. */
#ifndef PROXY_CONFIG_PRINT_H
#define PROXY_CONFIG_PRINT_H

#include <stdio.h>

/*
 * Writes `text` in lines of up to `width` columns: `first` in front of the first one, as many
 * blanks in front of the others, or `first` again when it is a comment sign ("# ").
 */
void config_print_wrapped(FILE *to, const char *first, const char *text, size_t width);

#endif
