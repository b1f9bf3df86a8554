#include <assert.h>
#include <stddef.h>

#include "base/err.h"
#include "base/xmalloc.h"
#include "proxy/session_ending.h"

static const char *const names[SESSION_N_ENDINGS] = {
    [SESSION_ENDING_OTHER] = "other",
    [SESSION_ENDING_CLIENT_QUIT] = "client_quit",
    [SESSION_ENDING_CLIENT_LOST] = "client_lost",
    [SESSION_ENDING_REFUSED_BY_FE] = "refused_by_fe",
    [SESSION_ENDING_LOGIN_TIMEOUT] = "login_timeout",
    [SESSION_ENDING_IDLE_TIMEOUT] = "idle_timeout",
    [SESSION_ENDING_WRITE_TIMEOUT] = "write_timeout",
    [SESSION_ENDING_FE_UNREACHABLE] = "fe_unreachable",
    [SESSION_ENDING_FE_LOST] = "fe_lost",
    [SESSION_ENDING_FE_ENDED] = "fe_ended",
    [SESSION_ENDING_TOO_MANY] = "too_many",
    [SESSION_ENDING_TOO_MANY_OF_USER] = "too_many_of_user",
    [SESSION_ENDING_PROTOCOL] = "protocol",
    [SESSION_ENDING_TLS] = "tls",
    [SESSION_ENDING_SHUTDOWN] = "shutdown",
};

static const struct {
    int code;
    enum session_ending ending;
} of_codes[] = {
    {ERR_CON_COUNT, SESSION_ENDING_TOO_MANY},
    {ERR_HANDSHAKE, SESSION_ENDING_PROTOCOL},
    {ERR_SERVER_SHUTDOWN, SESSION_ENDING_SHUTDOWN},
    {ERR_NET_PACKET_TOO_LARGE, SESSION_ENDING_PROTOCOL},
    {ERR_NET_PACKETS_OUT_OF_ORDER, SESSION_ENDING_PROTOCOL},
    {ERR_TOO_MANY_USER_CONNECTIONS, SESSION_ENDING_TOO_MANY_OF_USER},
    {ERR_FE_UNREACHABLE, SESSION_ENDING_FE_UNREACHABLE},
    {ERR_FE_LOST, SESSION_ENDING_FE_LOST},
    {ERR_FE_TLS, SESSION_ENDING_TLS},
    {ERR_TLS_REQUIRED, SESSION_ENDING_TLS},
};

const char *session_ending_name(enum session_ending ending)
{
    assert(ending < SESSION_N_ENDINGS);
    return names[ending];
}

enum session_ending session_ending_of_err(int code)
{
    for (size_t i = 0; i < ARRAY_SIZE(of_codes); i++) {
        if (of_codes[i].code == code) {
            return of_codes[i].ending;
        }
    }
    return SESSION_ENDING_OTHER;
}
