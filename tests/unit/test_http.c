#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "sources/http.h"
#include "tests/unit/canned_http.h"
#include "tests/unit/fake_store.h"

static const int64_t SECOND = 1000000;

struct run {
    enum http_result result;
    struct http_reply reply;
    struct err err;
    int64_t took_us;
};

/* One request, path "/p?secret=1", against a server with one canned reply (NULL: no server). */
static void run_one(struct run *r, struct canned_http *server, const char *canned,
                    int64_t timeout_us, const struct cancel *cancel)
{
    static const char *const HEADERS[] = {"Host: my.host", "X-One: 1"};
    char url[128];
    int port = 1;
    if (canned != NULL) {
        canned_start(server, &canned, 1);
        port = server->port;
    }
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/p?secret=1", port);
    struct http_request request = {.method = "GET",
                                   .url = url,
                                   .headers = HEADERS,
                                   .n_headers = ARRAY_SIZE(HEADERS),
                                   .deadline_us = clock_mono_us() + timeout_us,
                                   .cancel = cancel};
    *r = (struct run){0};
    int64_t start = clock_mono_us();
    r->result = http_run(&request, &r->reply, &r->err);
    r->took_us = clock_mono_us() - start;
    if (canned != NULL) {
        canned_stop(server);
    }
    assert_null(strstr(r->err.msg, "secret"));
}

static void test_reply(void **state)
{
    (void)state;
    struct canned_http server;
    struct run r;
    int64_t date_s = 0;
    run_one(&r, &server,
            "HTTP/1.1 418 Teapot\r\nDate: Fri, 24 May 2013 00:00:00 GMT\r\nX-A:  b \r\n"
            "Content-Length: 2\r\n\r\nhi",
            5 * SECOND, NULL);
    assert_int_equal(r.result, HTTP_DONE);
    assert_int_equal(r.reply.status, 418);
    assert_string_equal(buf_text(&r.reply.body), "hi");
    assert_true(span_eq_text(http_reply_header(&r.reply, "x-a"), "b"));
    assert_true(span_eq_text(http_reply_header(&r.reply, "x-b"), ""));
    assert_true(http_reply_date(&r.reply, &date_s));
    assert_int_equal(date_s, 1369353600);
    assert_non_null(strstr(server.requests[0], "GET /p?secret=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(server.requests[0], "\r\nHost: my.host\r\n"));
    assert_non_null(strstr(server.requests[0], "\r\nX-One: 1\r\n"));
    http_reply_fini(&r.reply);
}

static void test_redirects_are_not_followed(void **state)
{
    (void)state;
    struct canned_http server;
    struct run r;
    run_one(&r, &server,
            "HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            5 * SECOND, NULL);
    assert_int_equal(r.result, HTTP_DONE);
    assert_int_equal(r.reply.status, 307);
    http_reply_fini(&r.reply);
}

static void test_lost_links(void **state)
{
    (void)state;
    static const char *const LOST[] = {
        NULL,
        CANNED_RESET,
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    };
    for (size_t i = 0; i < ARRAY_SIZE(LOST); i++) {
        struct canned_http server;
        struct run r;
        run_one(&r, &server, LOST[i], 5 * SECOND, NULL);
        assert_int_equal(r.result, HTTP_LOST);
        assert_non_null(strstr(r.err.msg, "GET http://127.0.0.1:"));
        assert_non_null(strstr(r.err.msg, "/p failed: "));
        http_reply_fini(&r.reply);
    }
}

static void test_body_is_capped(void **state)
{
    (void)state;
    struct canned_http server;
    struct run r;
    run_one(&r, &server, CANNED_FLOOD, 20 * SECOND, NULL);
    assert_int_equal(r.result, HTTP_FAIL);
    assert_non_null(strstr(r.err.msg, "larger than 32 MB"));
    http_reply_fini(&r.reply);
}

static void test_deadline(void **state)
{
    (void)state;
    struct canned_http server;
    struct run r;
    run_one(&r, &server, CANNED_HANG, SECOND / 20, NULL);
    assert_int_equal(r.result, HTTP_STOPPED);
    assert_true(r.took_us >= SECOND / 20 && r.took_us < 2 * SECOND);
    http_reply_fini(&r.reply);
}

static void *raise_soon(void *arg)
{
    struct cancel *cancel = arg;
    cancel_raise(cancel);
    return NULL;
}

static void test_cancel(void **state)
{
    (void)state;
    struct canned_http server;
    struct cancel cancel;
    struct run r;
    pthread_t thread;
    cancel_init(&cancel);
    assert_int_equal(pthread_create(&thread, NULL, raise_soon, &cancel), 0);
    run_one(&r, &server, CANNED_HANG, 20 * SECOND, &cancel);
    assert_int_equal(r.result, HTTP_STOPPED);
    assert_int_equal(r.err.code, ERR_QUERY_INTERRUPTED);
    assert_true(r.took_us < 2 * SECOND);
    assert_int_equal(pthread_join(thread, NULL), 0);
    cancel_fini(&cancel);
    http_reply_fini(&r.reply);
}

static size_t count_files(void)
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n;
}

/* What one request opened serves the next, and idle ones hold nothing when they are told to. */
static void test_connections_are_kept(void **state)
{
    (void)state;
    static const char *const REPLIES[] = {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"};
    struct canned_http server;
    struct run r;
    run_one(&r, &server, REPLIES[0], 5 * SECOND, NULL);
    http_reply_fini(&r.reply);
    size_t before = count_files();
    http_close_idle();
    assert_true(count_files() < before);
    run_one(&r, &server, REPLIES[0], 5 * SECOND, NULL);
    assert_int_equal(r.result, HTTP_DONE);
    http_reply_fini(&r.reply);
}

static void ask(const struct fake_store *store)
{
    char url[128];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/?max-keys=1", store->port);
    struct http_request request = {
        .method = "GET", .url = url, .deadline_us = clock_mono_us() + 5 * SECOND};
    struct err err = {0};
    _cleanup_http_reply_ struct http_reply reply = {0};
    assert_int_equal(http_run(&request, &reply, &err), HTTP_DONE);
    assert_int_equal(reply.status, 200);
}

/* Any number of requests, by turns to several servers, takes one connection to each. */
static void test_connections_of_several_servers(void **state)
{
    enum { N_SERVERS = 5 };
    struct fake_store stores[N_SERVERS];
    (void)state;
    http_close_idle();
    size_t before = count_files();
    for (int i = 0; i < N_SERVERS; i++) {
        fake_start(&stores[i], 1);
    }
    for (int i = 0; i < 20 * N_SERVERS; i++) {
        ask(&stores[i * 7 % N_SERVERS]);
    }
    http_close_idle();
    for (int i = 0; i < N_SERVERS; i++) {
        fake_stop(&stores[i]);
        assert_int_equal(stores[i].n_connections, 1);
        assert_int_equal(stores[i].n_requests, 20);
    }
    assert_int_equal(count_files(), before);
}

static void test_impossible_urls(void **state)
{
    (void)state;
    static const char *const URLS[] = {"ftp://127.0.0.1:1/?secret", "http://", "http://a b/"};
    for (size_t i = 0; i < ARRAY_SIZE(URLS); i++) {
        struct err err = {0};
        struct http_reply reply;
        struct http_request request = {
            .method = "GET", .url = URLS[i], .deadline_us = clock_mono_us() + 5 * SECOND};
        assert_int_equal(http_run(&request, &reply, &err), HTTP_FAIL);
        assert_true(err_is_set(&err));
        assert_null(strstr(err.msg, "secret"));
        http_reply_fini(&reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_are_kept),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_redirects_are_not_followed),
        cmocka_unit_test(test_lost_links),
        cmocka_unit_test(test_body_is_capped),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_connections_of_several_servers),
        cmocka_unit_test(test_impossible_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
