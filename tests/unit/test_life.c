/* Listening sockets (own, shared among workers), what systemd passes and is told, names of endings. */
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "proxy/listener.h"
#include "proxy/listeners.h"
#include "proxy/session_ending.h"
#include "proxy/systemd.h"
#include "proxy/worker.h"

static struct address loopback(void)
{
    struct address at = {.size = sizeof(at.to.v4)};
    at.to.v4.sin_family = AF_INET;
    at.to.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

static int port_of(int fd)
{
    struct err err;
    struct address at;
    assert_true(listener_address(fd, &at, &err));
    return ntohs(at.to.v4.sin_port);
}

static void env_close(struct worker_env *env)
{
    for (size_t i = 0; i < env->n_listen_fds; i++) {
        close_p(&env->listen_fds[i]);
    }
    env->n_listen_fds = 0;
}

static void test_own_sockets(void **state)
{
    struct listeners l = {0};
    struct err err = {0};
    struct address at = loopback();
    (void)state;
    assert_true(listeners_open(&at, 3, &l, &err));
    assert_int_equal(l.n, 3);
    assert_false(l.live_on);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(port_of(l.fds[i]), ntohs(at.to.v4.sin_port));
    }
    struct address taken = at; /* SO_REUSEPORT: the same user may join; others may not */
    assert_false(listener_check_free(&taken, &err));
    listeners_close(&l);
    assert_int_equal(l.n, 0);
    err = (struct err){0};
    assert_true(listener_check_free(&taken, &err));
}

/* Sockets of one address among workers: every worker has one, every socket has a worker. */
static void check_shares(size_t g, size_t n)
{
    struct listeners l = {0};
    struct err err = {0};
    struct address at = loopback();
    size_t given = 0;
    assert_true(listeners_open(&at, g, &l, &err));
    for (size_t i = 0; i < n; i++) {
        struct worker_env env = {0};
        assert_true(listeners_give(&l, i, n, &env, &err));
        assert_true(env.n_listen_fds >= 1);
        given += env.n_listen_fds;
        env_close(&env);
    }
    assert_int_equal(given, g > n ? g : n);
    listeners_close(&l);
}

static void test_shares(void **state)
{
    (void)state;
    for (size_t g = 1; g <= 5; g++) {
        for (size_t n = 1; n <= 5; n++) {
            check_shares(g, n);
        }
    }
}

/* Two addresses, one socket each: every worker serves both. */
static void test_shares_of_two_addresses(void **state)
{
    struct listeners l = {0};
    struct listeners second = {0};
    struct err err = {0};
    struct address at = loopback();
    (void)state;
    assert_true(listeners_open(&at, 1, &l, &err));
    at = loopback();
    assert_true(listeners_open(&at, 1, &second, &err));
    l.fds[l.n++] = second.fds[0];
    for (size_t i = 0; i < 3; i++) {
        struct worker_env env = {0};
        assert_true(listeners_give(&l, i, 3, &env, &err));
        assert_int_equal(env.n_listen_fds, 2);
        assert_int_not_equal(port_of(env.listen_fds[0]), port_of(env.listen_fds[1]));
        env_close(&env);
    }
    listeners_close(&l);
}

/* --- systemd ---------------------------------------------------------------------------------- */

static void pass(const char *pid, const char *n, const char *names)
{
    char own[16];
    (void)snprintf(own, sizeof(own), "%d", (int)getpid());
    assert_int_equal(setenv("LISTEN_PID", pid != NULL ? pid : own, 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", n, 1), 0);
    assert_int_equal(setenv("LISTEN_FDNAMES", names, 1), 0);
}

static void test_sockets_for_others(void **state)
{
    struct systemd_sockets s = {.n = 9};
    struct err err = {0};
    (void)state;
    static const char *const wrong[][2] = {{"1", "1"},   {NULL, "0"}, {NULL, ""},
                                           {NULL, "-1"}, {NULL, "x"}, {"", "1"}};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        pass(wrong[i][0], wrong[i][1], "");
        assert_true(systemd_take_sockets(&s, &err));
        assert_int_equal(s.n, 0);
    }
    assert_int_equal(unsetenv("LISTEN_FDS"), 0);
    assert_true(systemd_take_sockets(&s, &err));
    assert_int_equal(s.n, 0);
}

/* In a process of its own: the numbers 3 and on are given, and may be in use here. */
static int take_in_child(void)
{
    struct systemd_sockets s = {0};
    struct listeners l[3] = {0};
    struct err err = {0};
    for (size_t i = 0; i < 3; i++) {
        struct address at = loopback();
        if (!listeners_open(&at, 1, &l[i], &err)) {
            return 1;
        }
    }
    int moved[3];
    for (size_t i = 0; i < 3; i++) {
        moved[i] = fcntl(l[i].fds[0], F_DUPFD, 100);
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(moved[i], 3 + i) != 3 + i || fcntl(3 + i, F_SETFL, 0) != 0) {
            return 2;
        }
    }
    pass(NULL, "3", "mysql:http:mysql");
    if (!systemd_take_sockets(&s, &err) || s.n != 2 || s.n_http != 1) {
        return 3;
    }
    if (s.fds[0] != 3 || s.http_fds[0] != 4 || s.fds[1] != 5) {
        return 4;
    }
    if ((fcntl(3, F_GETFL) & O_NONBLOCK) == 0 || (fcntl(3, F_GETFD) & FD_CLOEXEC) == 0) {
        return 5;
    }
    pass(NULL, "3", "http"); /* fewer names than sockets */
    if (!systemd_take_sockets(&s, &err) || s.n != 2 || s.n_http != 1) {
        return 6;
    }
    pass(NULL, "65", "");
    if (systemd_take_sockets(&s, &err) || strstr(err.msg, "65") == NULL) {
        return 7;
    }
    (void)close(4);
    pass(NULL, "3", "");
    if (systemd_take_sockets(&s, &err) || strstr(err.msg, "descriptor 4") == NULL) {
        return 8;
    }
    if (socket(AF_INET, SOCK_STREAM, 0) != 4 || systemd_take_sockets(&s, &err) ||
        strstr(err.msg, "ListenStream") == NULL) {
        return 9;
    }
    systemd_sockets_close(&s);
    return 0;
}

static void test_sockets_for_us(void **state)
{
    int status = 0;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(take_in_child());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void check_notify(struct sockaddr_un *at, socklen_t size, const char *path)
{
    char got[64] = "";
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)at, size), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
    systemd_notify("READY=1\nSTATUS=x");
    assert_int_equal(recv(fd, got, sizeof(got), 0), strlen("READY=1\nSTATUS=x"));
    assert_string_equal(got, "READY=1\nSTATUS=x");
}

static void test_notify(void **state)
{
    char path[64];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/sluice-notify-%d", (int)getpid());
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    check_notify(&at, sizeof(at), path);
    assert_int_equal(unlink(path), 0);
    systemd_notify("nobody listens"); /* logged, no more */
    (void)snprintf(path, sizeof(path), "@sluice-notify-%d", (int)getpid());
    at = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "%s", path + 1);
    check_notify(&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)), path);
    assert_int_equal(setenv("NOTIFY_SOCKET", "vsock:2:1", 1), 0);
    systemd_notify("nothing is sent");
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    systemd_notify("nobody asked");
}

static void test_endings(void **state)
{
    (void)state;
    for (enum session_ending i = 0; i < SESSION_N_ENDINGS; i++) {
        assert_non_null(session_ending_name(i));
        for (enum session_ending k = 0; k < i; k++) {
            assert_string_not_equal(session_ending_name(i), session_ending_name(k));
        }
    }
    assert_int_equal(session_ending_of_err(ERR_SERVER_SHUTDOWN), SESSION_ENDING_SHUTDOWN);
    assert_int_equal(session_ending_of_err(ERR_UNKNOWN), SESSION_ENDING_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_sockets),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_shares_of_two_addresses),
        cmocka_unit_test(test_sockets_for_others),
        cmocka_unit_test(test_sockets_for_us),
        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_endings),
    };
    return cmocka_run_group_tests_name("life", tests, NULL, NULL);
}
