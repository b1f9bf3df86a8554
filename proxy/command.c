#include <assert.h>

#include "base/xmalloc.h"
#include "proxy/command.h"
#include "proxy/packet.h"

/* The number is the place. */
static const struct {
    uint8_t command;
    enum command_reply reply;
    const char *name;
} commands[] = {
    {COM_SLEEP, REPLY_SINGLE, "COM_SLEEP"},
    {COM_QUIT, REPLY_NONE, "COM_QUIT"},
    {COM_INIT_DB, REPLY_SINGLE, "COM_INIT_DB"},
    {COM_QUERY, REPLY_RESULT, "COM_QUERY"},
    {COM_FIELD_LIST, REPLY_FIELDS, "COM_FIELD_LIST"},
    {COM_CREATE_DB, REPLY_SINGLE, "COM_CREATE_DB"},
    {COM_DROP_DB, REPLY_SINGLE, "COM_DROP_DB"},
    {COM_REFRESH, REPLY_SINGLE, "COM_REFRESH"},
    {COM_SHUTDOWN, REPLY_SINGLE, "COM_SHUTDOWN"},
    {COM_STATISTICS, REPLY_SINGLE, "COM_STATISTICS"},
    {COM_PROCESS_INFO, REPLY_RESULT, "COM_PROCESS_INFO"},
    {COM_CONNECT, REPLY_SINGLE, "COM_CONNECT"},
    {COM_PROCESS_KILL, REPLY_SINGLE, "COM_PROCESS_KILL"},
    {COM_DEBUG, REPLY_SINGLE, "COM_DEBUG"},
    {COM_PING, REPLY_SINGLE, "COM_PING"},
    {COM_TIME, REPLY_SINGLE, "COM_TIME"},
    {COM_DELAYED_INSERT, REPLY_SINGLE, "COM_DELAYED_INSERT"},
    {COM_CHANGE_USER, REPLY_AUTH, "COM_CHANGE_USER"},
    {COM_BINLOG_DUMP, REPLY_STREAM, "COM_BINLOG_DUMP"},
    {COM_TABLE_DUMP, REPLY_STREAM, "COM_TABLE_DUMP"},
    {COM_CONNECT_OUT, REPLY_SINGLE, "COM_CONNECT_OUT"},
    {COM_REGISTER_SLAVE, REPLY_SINGLE, "COM_REGISTER_SLAVE"},
    {COM_STMT_PREPARE, REPLY_PREPARE, "COM_STMT_PREPARE"},
    {COM_STMT_EXECUTE, REPLY_RESULT, "COM_STMT_EXECUTE"},
    {COM_STMT_SEND_LONG_DATA, REPLY_SILENT, "COM_STMT_SEND_LONG_DATA"},
    {COM_STMT_CLOSE, REPLY_NONE, "COM_STMT_CLOSE"},
    {COM_STMT_RESET, REPLY_SINGLE, "COM_STMT_RESET"},
    {COM_SET_OPTION, REPLY_SINGLE, "COM_SET_OPTION"},
    {COM_STMT_FETCH, REPLY_ROWS, "COM_STMT_FETCH"},
    {COM_DAEMON, REPLY_SINGLE, "COM_DAEMON"},
    {COM_BINLOG_DUMP_GTID, REPLY_STREAM, "COM_BINLOG_DUMP_GTID"},
    {COM_RESET_CONNECTION, REPLY_SINGLE, "COM_RESET_CONNECTION"},
};

enum command_reply command_reply(uint8_t command)
{
    if (command < ARRAY_SIZE(commands)) {
        assert(commands[command].command == command);
        return commands[command].reply;
    }
    return command == COMMAND_LOGIN ? REPLY_AUTH : REPLY_RESULT;
}

const char *command_name(uint8_t command)
{
    if (command == COMMAND_LOGIN) {
        return "the login";
    }
    if (command == COM_STMT_BULK_EXECUTE) {
        return "COM_STMT_BULK_EXECUTE";
    }
    return command < ARRAY_SIZE(commands) ? commands[command].name : "a command";
}
