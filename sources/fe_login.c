#include <mariadb/errmsg.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/xmalloc.h"
#include "sources/fe_login.h"

enum {
    STACK_SIZE = 256 << 10,    /* of a suspended call; the resolver and TLS run on it */
    LARGEST_PACKET = 64 << 20, /* nothing an FE answers to us comes near */
    CLOSE_TIMEOUT_S = 2,
};

static void set_options(MYSQL *m)
{
    size_t stack_size = STACK_SIZE;
    unsigned protocol = MYSQL_PROTOCOL_TCP; /* "localhost" would mean a Unix socket otherwise */
    my_bool reconnect = 0;
    unsigned local_infile = 0; /* an FE must not be able to ask for files of this machine */
    unsigned write_timeout_s = CLOSE_TIMEOUT_S; /* matters in mysql_close() only */
    size_t packet = LARGEST_PACKET;
    (void)mysql_options(m, MYSQL_OPT_NONBLOCK, &stack_size);
    (void)mysql_options(m, MYSQL_OPT_PROTOCOL, &protocol);
    (void)mysql_options(m, MYSQL_OPT_RECONNECT, &reconnect);
    (void)mysql_options(m, MYSQL_OPT_LOCAL_INFILE, &local_infile);
    (void)mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &write_timeout_s);
    (void)mysql_options(m, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
    (void)mysql_options(m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    (void)mysql_options(m, MARIADB_OPT_RESTRICTED_AUTH,
                        "mysql_native_password,caching_sha2_password");
    (void)mysql_options4(m, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "sluice");
}

static void set_tls(MYSQL *m, const struct fe_login *login)
{
    my_bool is_verified = login->tls == FE_TLS_VERIFY;
    bool has_ca = is_verified && login->tls_ca != NULL && login->tls_ca[0] != '\0';
    if (login->tls == FE_TLS_OFF) {
        return;
    }
    /*
     * Use TLS if it is offered. Without a file of authorities the library reads the system's for
     * each connection: 60 ms. With one it checks the certificate, whatever was said of checking.
     */
    (void)mysql_ssl_set(m, NULL, NULL, has_ca ? login->tls_ca : NULL, NULL, NULL);
    (void)mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &is_verified);
}

void fe_login_prepare(MYSQL *m, const struct fe_login *login)
{
    set_options(m);
    set_tls(m, login);
}

bool fe_login_explain(MYSQL *m, const struct fe_address *a, const struct fe_login *login,
                      struct err *err)
{
    unsigned code = mysql_errno(m);
    const char *why = mysql_error(m);
    if (code == ERR_ACCESS_DENIED) {
        return err_set(err, ERR_ACCESS_DENIED, "28000",
                       "the FE %s:%d does not let the service account '%s' in: %s; check "
                       "doris.user and doris.password",
                       a->host, a->port, login->user, why);
    }
    if (code == CR_PLUGIN_NOT_ALLOWED) {
        return err_set(err, ERR_ACCESS_DENIED, "28000",
                       "the FE %s:%d asks for the password of the service account '%s' in a way "
                       "that would show it (LDAP?): set doris.user to an account with a native "
                       "Doris password",
                       a->host, a->port, login->user);
    }
    if (code == CR_SSL_CONNECTION_ERROR) {
        return err_set(err, ERR_FE_TLS, "08S01",
                       "TLS with the FE %s:%d as the service account '%s' failed: %s; check "
                       "proxy.backend_tls and proxy.backend_tls_ca",
                       a->host, a->port, login->user, why);
    }
    bool is_ours = (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) || code >= CER_MIN_ERROR;
    bool is_refusal = code != 0 && !is_ours; /* an ERR packet: of 1000 to 1999, or 3000 and more */
    return err_set(err, is_refusal ? (int)code : ERR_FE_UNREACHABLE,
                   is_refusal ? mysql_sqlstate(m) : "HY000",
                   "cannot connect to the FE %s:%d as the service account '%s': %s; check "
                   "proxy.backend, doris.user and that the FE is up",
                   a->host, a->port, login->user, why);
}

/*
 * A load may say nothing for an hour. If the FE's machine dies meanwhile, nobody sends a FIN: probes
 * find out within a minute and a half. Failing to set them costs time, not correctness.
 */
void fe_login_keep_alive(my_socket fd)
{
    static const struct {
        int name;
        int value;
    } options[] = {{TCP_KEEPIDLE, 30}, {TCP_KEEPINTVL, 15}, {TCP_KEEPCNT, 4}};
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        (void)setsockopt(fd, IPPROTO_TCP, options[i].name, &options[i].value,
                         sizeof(options[i].value));
    }
}
