/*
 * Texts of an FE on their way to users. Pure; any thread.
 */
#ifndef SOURCES_FE_TEXT_H
#define SOURCES_FE_TEXT_H

/*
 * Puts '?' in place of every byte that is not part of well-formed UTF-8: a row quoted in an error may
 * hold anything, and a store or client may refuse it. NULL is accepted.
 */
void fe_text_make_utf8(char *text);

#endif
