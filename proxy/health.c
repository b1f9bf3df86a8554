#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/backends.h"
#include "proxy/health.h"
#include "scheduler/cancel.h"
#include "sources/fe_http.h"

enum { DENIED_PAUSE_MS = 30000 };

/* Of an account, as in MySQL and in Doris's ErrorCode.java. */
enum {
    ERR_PASSWORD_EXPIRED = 1862,
    ERR_ACCOUNT_LOCKED = 3118,
    ERR_ACCOUNT_BLOCKED = 3955, /* too many wrong passwords, for some time */
};

struct health {
    struct health_options options;
    struct fe_login login; /* that of the options, but for TLS */
    /* By FE, monotonic: after it has refused the password; 0: it has not. This thread's alone. */
    int64_t next_login_ms[BACKENDS_MAX];
    struct cancel cancel;
    pthread_t thread;
    bool is_started;
};

static bool is_alive_by_http(const struct health *h, size_t i, const struct fe_wait *wait,
                             struct err *err)
{
    struct fe_http http = {
        .host = backends_numeric_host(h->options.backends, i),
        .port = h->options.http_port,
        .user = h->login.user,
        .password = h->login.password,
    };
    return fe_http_is_ready(&http, wait, err);
}

/* Asked often, it may be refused for longer still. */
static bool is_denial(const struct err *err)
{
    static const int codes[] = {ERR_ACCESS_DENIED, ERR_PASSWORD_EXPIRED, ERR_ACCOUNT_LOCKED,
                                ERR_ACCOUNT_BLOCKED};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        if (err->code == codes[i]) {
            return true;
        }
    }
    return false;
}

/* An FE that refuses the account, or is full, is alive. */
static bool is_refusal(const struct err *err)
{
    return is_denial(err) || err->code == ERR_CON_COUNT ||
           err->code == ERR_TOO_MANY_USER_CONNECTIONS;
}

static void on_denied(struct health *h, size_t i, const struct err *err)
{
    if (h->next_login_ms[i] == 0) {
        log_warn("fe.login_denied", "fe", backends_text(h->options.backends, i), "reason", err->msg,
                 NULL);
    }
    h->next_login_ms[i] = clock_mono_ms() + DENIED_PAUSE_MS;
}

static bool is_alive_by_login(struct health *h, size_t i, const struct fe_wait *wait,
                              struct err *err)
{
    struct fe_address address = backends_fe_address(h->options.backends, i, &h->login);
    _cleanup_fe_conn_ struct fe_conn *c = fe_conn_open(&address, &h->login, wait, err);
    if (c == NULL && is_denial(err)) {
        on_denied(h, i, err);
    } else {
        h->next_login_ms[i] = 0;
    }
    return c != NULL || is_refusal(err);
}

/*
 * Where a session could not get through, an HTTP server that answers proves too little; and one
 * that wants another password proves nothing.
 */
static void ask(struct health *h, size_t i)
{
    struct err err = {0};
    struct backends *backends = h->options.backends;
    uint32_t seen = backends_begin_check(backends, i);
    struct fe_wait wait = {
        .deadline_us = clock_mono_us() + h->login.connect_timeout_ms * 1000,
        .cancel = &h->cancel,
    };
    bool is_up = h->options.http_port != 0 && is_alive_by_http(h, i, &wait, &err);
    bool is_decided = is_up ? !backends_is_doubted(backends, i)
                            : h->options.http_port != 0 && err.code != ERR_ACCESS_DENIED;
    if (!is_decided) {
        if (clock_mono_ms() < h->next_login_ms[i]) {
            return; /* accounts get locked: it is not asked that often */
        }
        is_up = is_alive_by_login(h, i, &wait, &err);
    }
    if (cancel_is_raised(&h->cancel)) {
        return; /* that is why it failed */
    }
    if (is_up) {
        backends_is_up(backends, i, seen);
    } else {
        backends_is_down(backends, i, err.msg);
    }
}

static void pause_until(struct health *h, int64_t until_ms)
{
    for (;;) {
        struct pollfd raised = {.fd = h->cancel.fd, .events = POLLIN};
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0 || cancel_is_raised(&h->cancel)) {
            return;
        }
        (void)poll(&raised, 1, (int)left_ms); /* EINTR: the loop sees to it */
    }
}

static void *run_thread(void *arg)
{
    struct health *h = arg;
    while (!cancel_is_raised(&h->cancel)) {
        int64_t next_ms = clock_mono_ms() + h->options.interval_ms;
        for (size_t i = 0; i < backends_count(h->options.backends); i++) {
            ask(h, i);
        }
        pause_until(h, next_ms);
    }
    return NULL;
}

struct health *health_create(const struct health_options *options, struct err *err)
{
    struct health *h = xcalloc(1, sizeof(*h));
    h->options = *options;
    h->login = *options->login;
    if (h->login.tls == FE_TLS_PREFERRED) {
        h->login.tls = FE_TLS_OFF; /* 60 ms of CPU a login; the password goes out hashed anyway */
    }
    cancel_init(&h->cancel);
    if (h->cancel.fd < 0) {
        (void)err_errno(err, errno, "cannot create an eventfd for the health checks");
        health_destroy(h);
        return NULL;
    }
    int rc = pthread_create(&h->thread, NULL, run_thread, h);
    if (rc != 0) {
        (void)err_errno(err, rc, "cannot start the thread for the health checks");
        health_destroy(h);
        return NULL;
    }
    h->is_started = true;
    return h;
}

void health_destroy(struct health *h)
{
    if (h == NULL) {
        return;
    }
    if (h->is_started) {
        cancel_raise(&h->cancel);
        (void)pthread_join(h->thread, NULL); /* fails for a wrong thread only */
    }
    cancel_fini(&h->cancel);
    free(h);
}
