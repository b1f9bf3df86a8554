#include <stdint.h>

#include "base/buf.h"
#include "base/quote.h"

static char *quoted(const char *text, char mark)
{
    struct buf b = buf_with_max(SIZE_MAX / 2); /* as long as our own configuration and statement */
    buf_append_char(&b, mark);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == mark) {
            buf_append_char(&b, mark);
        } else if (*p == '\\' && mark == '\'') {
            /*
             * Marks are doubled, never escaped, so that the literal ends where it should in both
             * SQL modes, with NO_BACKSLASH_ESCAPES and without.
             */
            buf_append_char(&b, '\\');
        }
        buf_append_char(&b, *p);
    }
    buf_append_char(&b, mark);
    return buf_take_text(&b);
}

char *quote_name(const char *name)
{
    return quoted(name, '`');
}

char *quote_text(const char *text)
{
    return quoted(text, '\'');
}
