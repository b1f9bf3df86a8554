/*
 * Configuration: one table (config.c) says of every key its type, bounds, default, unit, help and
 * whether SIGHUP may change it. Read from an INI file, then SLUICE_SECTION_KEY of the environment,
 * then --set section.key=value, the later winning. The result is immutable; main owns it.
 */
#ifndef PROXY_CONFIG_H
#define PROXY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"

struct host_port {
    char *host; /* owned; no brackets around IPv6 */
    int port;
};

enum config_switch { CONFIG_OFF, CONFIG_ON };
enum config_tls { CONFIG_TLS_OFF, CONFIG_TLS_OPTIONAL, CONFIG_TLS_REQUIRED };
enum config_backend_tls {
    CONFIG_BACKEND_TLS_OFF,
    CONFIG_BACKEND_TLS_PREFERRED, /* when the FE offers it; whoever answers is believed */
    CONFIG_BACKEND_TLS_REQUIRED,  /* the same, but never without */
    CONFIG_BACKEND_TLS_VERIFY,    /* and its certificate is checked: CA and host name */
};
enum config_streaming { CONFIG_STREAMING_SLUICE, CONFIG_STREAMING_FE };
enum config_announce { CONFIG_ANNOUNCE_OFF, CONFIG_ANNOUNCE_V1 };

struct config {
    /* [proxy] */
    struct host_port listen;    /* proxy.listen, 127.0.0.1:6033 */
    struct host_port *backends; /* proxy.backend, FE MySQL addresses, 127.0.0.1:9030 */
    int64_t n_backends;
    int64_t workers;                     /* proxy.workers, 0 = one per core, at most 64 */
    int64_t max_connections;             /* proxy.max_connections, 10000 */
    int64_t connect_timeout_ms;          /* proxy.connect_timeout, ms, 5000 */
    int64_t login_timeout_ms;            /* proxy.login_timeout, ms, 30000 */
    int64_t drain_timeout_ms;            /* proxy.drain_timeout, ms, 30000: first SIGTERM */
    int64_t max_user_connections;        /* proxy.max_user_connections, 0 = no limit */
    int64_t idle_timeout_ms;             /* proxy.idle_timeout, ms, 8 h, 0 = none */
    int64_t write_timeout_ms;            /* proxy.write_timeout, ms, 600000, 0 = none */
    int64_t keepalive_s;                 /* proxy.keepalive, s, 60, 0 = off */
    int64_t health_interval_ms;          /* proxy.health_interval, ms, 2000, 0 = off */
    enum config_tls tls;                 /* proxy.tls, off */
    char *tls_cert;                      /* proxy.tls_cert, "" = none */
    char *tls_key;                       /* proxy.tls_key, "" = in tls_cert */
    enum config_backend_tls backend_tls; /* proxy.backend_tls, preferred */
    char *backend_tls_ca;                /* proxy.backend_tls_ca, "" = the system's */
    enum config_switch clear_passwords;  /* proxy.allow_clear_passwords, off */
    char *announced_from;                /* proxy.proxy_protocol_from, "" = nowhere */
    enum config_announce announce;       /* proxy.backend_proxy_protocol, off */
    enum config_streaming on_streaming; /* proxy.on_streaming, sluice: who takes such CREATE JOBs */
    int64_t grants_cache_ms;            /* proxy.grants_cache, ms, 2000, 0 = asks each time */
    /* [doris] */
    struct host_port http; /* doris.http, FE HTTP; host NULL = not configured */
    char *user;            /* doris.user, root */
    char *password;        /* doris.password or the first line of doris.password_file */
    /* [store] */
    char *store_url; /* store.url, sqlite:/var/lib/sluice/sluice.db */
    char *key_file;  /* store.key_file, "" = beside the file of store.url */
    /* [http] */
    struct host_port admin; /* http.listen, 127.0.0.1:6080; host NULL = off */
    /* [scheduler] */
    int64_t runners;          /* scheduler.runners, threads that may block, 128 */
    int64_t max_jobs;         /* scheduler.max_jobs, 1024, as Doris's max_streaming_job_num */
    int64_t max_interval_s;   /* scheduler.max_interval, s, 10: default of the property */
    int64_t task_timeout_s;   /* scheduler.task_timeout, s, 1800 */
    int64_t label_window_s;   /* scheduler.label_window, s, 60: see scheduler/step.h */
    int64_t max_auto_resumes; /* scheduler.max_auto_resumes, 10 */
    int64_t resume_delay_ms;  /* scheduler.resume_delay, ms, 10000: first back-off */
    /* [log] */
    enum log_level log_level;   /* log.level, info */
    enum log_format log_format; /* log.format, text */
};

struct config_sources {
    const char *file;        /* NULL: none */
    char *const *environ;    /* NULL-terminated, may be NULL */
    const char *const *sets; /* "section.key=value", NULL-terminated, may be NULL */
    /* Told of each error, of the first 20; NULL: there is no looking further than the first. */
    void (*each_error)(const struct err *err);
};

/*
 * Everything from defaults on. A wrong key, type or bound is one line naming file, line and key;
 * `err` is the first of them.
 */
bool config_load(const struct config_sources *from, struct config *ret, struct err *err);
void config_fini(struct config *c);
/* Where the file of store.url is, from the root on; the caller owns it. */
char *config_store_path(const struct config *c);
/* The commented example that deploy/sluice.conf is: every key with help, unit, bounds, default. */
void config_print(FILE *to);

#endif
