/*
 * The commands of the MySQL protocol: their names, and what shape the reply to each has. Pure; any
 * thread. Source: MySQL "Command Phase"; facts/doris-ports.md A6 for what Doris does otherwise.
 */
#ifndef PROXY_COMMAND_H
#define PROXY_COMMAND_H

#include <stdint.h>

enum command_reply {
    REPLY_RESULT, /* OK, ERR, result sets, LOCAL INFILE; unknown commands, too: they get an ERR */
    REPLY_SINGLE, /* one packet of any kind */
    REPLY_FIELDS, /* definitions, then EOF */
    REPLY_PREPARE,
    REPLY_ROWS, /* STMT_FETCH */
    REPLY_AUTH,
    REPLY_STREAM,
    REPLY_NONE,
    REPLY_SILENT, /* none, but Doris sends an ERR */
};

/* Stands for the handshake response where a COM_ is wanted; no COM_ has this number. */
enum { COMMAND_LOGIN = 0xff };

enum command_reply command_reply(uint8_t command);
/* "COM_QUERY"; "the login"; "a command" when the number is unknown. */
const char *command_name(uint8_t command);

#endif
