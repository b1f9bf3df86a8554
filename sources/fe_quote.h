/*
 * Names and texts in statements to an FE. Pure; any thread. The caller owns what is returned.
 */
#ifndef SOURCES_FE_QUOTE_H
#define SOURCES_FE_QUOTE_H

char *fe_quote_name(const char *name); /* an identifier in backticks */
char *fe_quote_text(const char *text); /* a string literal */

#endif
