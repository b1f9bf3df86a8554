/*
 * Why sessions end, as kinds to count (sluice_disconnects_total); the log has the sentence. The
 * names are interface. Any thread.
 */
#ifndef PROXY_SESSION_ENDING_H
#define PROXY_SESSION_ENDING_H

enum session_ending {
    SESSION_ENDING_OTHER,
    SESSION_ENDING_CLIENT_QUIT,
    SESSION_ENDING_CLIENT_LOST,   /* closed without COM_QUIT, or its connection broke */
    SESSION_ENDING_REFUSED_BY_FE, /* the connection or the login */
    SESSION_ENDING_LOGIN_TIMEOUT,
    SESSION_ENDING_IDLE_TIMEOUT,
    SESSION_ENDING_WRITE_TIMEOUT,
    SESSION_ENDING_FE_UNREACHABLE,
    SESSION_ENDING_FE_LOST,  /* while something ran */
    SESSION_ENDING_FE_ENDED, /* while nothing ran: KILL, wait_timeout */
    SESSION_ENDING_TOO_MANY,
    SESSION_ENDING_TOO_MANY_OF_USER,
    SESSION_ENDING_PROTOCOL, /* bytes that are no MySQL */
    SESSION_ENDING_TLS,      /* on either side: no handshake, or none that is required */
    SESSION_ENDING_SHUTDOWN,
    SESSION_N_ENDINGS,
};

const char *session_ending_name(enum session_ending ending);
/* Of the ERR that the client was sent, by its number. */
enum session_ending session_ending_of_err(int code);

#endif
