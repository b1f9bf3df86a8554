/*
 * Names and texts as a statement of Doris has them, each with its marks. What is quoted ends where
 * it should in every sql_mode: marks are doubled, never escaped. Pure; any thread.
 */
#ifndef BASE_QUOTE_H
#define BASE_QUOTE_H

/* `name`, with every ` doubled. The caller owns the result. */
char *quote_name(const char *name);
/* 'text', with every ' and every \ doubled. The caller owns the result. */
char *quote_text(const char *text);

#endif
