/*
 * One failure, as the user will read it: MySQL error number, SQLSTATE, and a sentence that says
 * what failed, on which object, why, and what to do. Convention (style.md 16 to 20):
 *
 *     bool f(..., struct err *err)    false <=> err is filled; err is the last parameter, not NULL
 *
 * Nothing is allocated, so errors can be copied and sent between threads by value. Any thread.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

enum { ERR_MSG_SIZE = 2048 };

struct err {
    int code;               /* MySQL error number, 0 while empty */
    char sqlstate[6];       /* five characters and a NUL */
    char msg[ERR_MSG_SIZE]; /* UTF-8, one line, cut at a character when too long */
};

/*
 * The numbers we use; names as in MySQL and in Doris's ErrorCode.java. None from 2000 to 2999:
 * libmariadb takes an ERR packet with a number of the client's own for a malformed one and hides
 * its text.
 */
enum err_code {
    ERR_CON_COUNT = 1040,
    ERR_HANDSHAKE = 1043,
    ERR_DBACCESS_DENIED = 1044,
    ERR_ACCESS_DENIED = 1045,
    ERR_NO_DB = 1046,
    ERR_BAD_DB = 1049,
    ERR_SERVER_SHUTDOWN = 1053,
    ERR_PARSE = 1064,
    ERR_UNKNOWN = 1105,
    ERR_TABLEACCESS_DENIED = 1142,
    ERR_NO_SUCH_TABLE = 1146,
    ERR_FE_LOST = 1152, /* ER_ABORTING_CONNECTION */
    ERR_NET_PACKET_TOO_LARGE = 1153,
    ERR_NET_PACKETS_OUT_OF_ORDER = 1156,
    ERR_UNKNOWN_VARIABLE = 1193,
    ERR_TOO_MANY_USER_CONNECTIONS = 1203,
    ERR_SPECIFIC_ACCESS_DENIED = 1227,
    ERR_WRONG_VALUE_FOR_VAR = 1231,
    ERR_WRONG_TYPE_FOR_VAR = 1232,
    ERR_UNSUPPORTED_PS = 1295,
    ERR_INVALID_CHARACTER_STRING = 1300,
    ERR_QUERY_INTERRUPTED = 1317,
    ERR_FE_UNREACHABLE = 1429, /* ER_CONNECT_TO_FOREIGN_DATA_SOURCE */
    ERR_FE_TLS = 1430,         /* ER_QUERY_ON_FOREIGN_DATA_SOURCE: no TLS with the FE */
    ERR_TLS_REQUIRED = 3159,
};

/* Fills err and returns false, so that `return err_set(...)` reads as one step. */
bool err_set(struct err *err, int code, const char *sqlstate, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ERR_UNKNOWN / HY000, what Doris uses for nearly everything. */
bool err_say(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ERR_UNKNOWN with strerror of `number` (an errno) behind the sentence. */
bool err_errno(struct err *err, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts a sentence before the one already there; keeps code and SQLSTATE. Returns false. */
bool err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline bool err_is_set(const struct err *err)
{
    return err->code != 0;
}

#endif
