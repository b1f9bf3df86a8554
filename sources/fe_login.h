/*
 * How a connection to an FE is made, as far as MariaDB Connector/C lets one say: options, TLS, what
 * its errors mean for the configuration. For fe_conn.c alone.
 */
#ifndef SOURCES_FE_LOGIN_H
#define SOURCES_FE_LOGIN_H

#include <mysql.h>

#include "base/err.h"
#include "sources/fe_conn.h"

/* Before connecting. */
void fe_login_prepare(MYSQL *m, const struct fe_login *login);
/* Connecting has failed. Returns false. */
bool fe_login_explain(MYSQL *m, const struct fe_address *address, const struct fe_login *login,
                      struct err *err);
void fe_login_keep_alive(my_socket fd);

#endif
