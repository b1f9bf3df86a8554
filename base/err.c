#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* A text cut in the middle of a UTF-8 sequence would be refused by strict clients. */
static void cut_at_character(char *text, size_t n)
{
    while (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80) {
        n--;
    }
    if (n > 0 && (unsigned char)text[n - 1] >= 0xc0) {
        n--;
    }
    text[n] = '\0';
}

static void __attribute__((format(printf, 2, 0)))
set_text(struct err *err, const char *format, va_list args)
{
    int n = vsnprintf(err->msg, sizeof(err->msg), format, args);
    if (n < 0) {
        err->msg[0] = '\0';
    } else if ((size_t)n >= sizeof(err->msg)) {
        cut_at_character(err->msg, sizeof(err->msg) - 1);
    }
}

static void set_code(struct err *err, int code, const char *sqlstate)
{
    err->code = code;
    (void)snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate); /* cut on purpose */
}

bool err_set(struct err *err, int code, const char *sqlstate, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_text(err, format, args);
    va_end(args);
    set_code(err, code, sqlstate);
    return false;
}

bool err_say(struct err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_text(err, format, args);
    va_end(args);
    set_code(err, ERR_UNKNOWN, "HY000");
    return false;
}

bool err_errno(struct err *err, int number, const char *format, ...)
{
    char reason[128];
    va_list args;
    va_start(args, format);
    set_text(err, format, args);
    va_end(args);
    size_t n = strlen(err->msg);
    /* A sentence that fills the buffer keeps its own text rather than the reason. */
    (void)snprintf(err->msg + n, sizeof(err->msg) - n, ": %s",
                   strerror_r(number, reason, sizeof(reason)));
    set_code(err, ERR_UNKNOWN, "HY000");
    return false;
}

bool err_prefix(struct err *err, const char *format, ...)
{
    char old[ERR_MSG_SIZE];
    va_list args;
    memcpy(old, err->msg, sizeof(old));
    va_start(args, format);
    set_text(err, format, args);
    va_end(args);
    size_t n = strlen(err->msg);
    int more = snprintf(err->msg + n, sizeof(err->msg) - n, "%s", old);
    if (more > 0 && (size_t)more >= sizeof(err->msg) - n) {
        cut_at_character(err->msg, sizeof(err->msg) - 1);
    }
    return false;
}
