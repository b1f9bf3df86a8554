#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/fe_http.h"

static void takes_host_and_port_of_the_master(void **state)
{
    static const struct {
        const char *location;
        const char *host_port;
    } table[] = {
        {"http://root:secret@10.0.0.2:8030/api/d/_cancel?label=l", "10.0.0.2:8030"},
        {"http://root:@fe-0.fe.doris.svc:8030/api/d/get_load_state?label=l",
         "fe-0.fe.doris.svc:8030"},
        {"http://u:p@ss@w@host:1/x", "host:1"},
        {"http://fe_1/x", "fe_1"},
        {"HTTP://fe:65535/", "fe:65535"},
        {"http://u:p@[::1]:8030/x", "[::1]:8030"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct span host_port = {0};
        assert_true(fe_http_parse_location(span_of(table[i].location), &host_port));
        char *text = span_dup(host_port);
        assert_string_equal(text, table[i].host_port);
        free(text);
    }
}

static void refuses_what_makes_no_sense(void **state)
{
    static const char *const locations[] = {
        "",
        "/api/d/_cancel?label=l",
        "//host/x",
        "https://host/x",
        "ftp://host/x",
        "http://",
        "http:///x",
        "http://host",
        "http://host:/x",
        "http://host:0/x",
        "http://host:65536/x",
        "http://host:80:80/x",
        "http://host:8a/x",
        "http://ho st/x",
        "http://host\r\nX: y/",
        "http://u:p@/x",
        "http://[::1/x",
        "http://[]:80/x",
        "http://[::1]8030/x",
        "http://[host]:80/x",
        "http://host#@/x",
        "http://host?x/y",
    };
    for (size_t i = 0; i < ARRAY_SIZE(locations); i++) {
        struct span host_port = {.p = "untouched", .n = 9};
        if (fe_http_parse_location(span_of(locations[i]), &host_port)) {
            fail_msg("accepted: %s", locations[i]);
        }
        assert_int_equal(host_port.n, 9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_host_and_port_of_the_master),
        cmocka_unit_test(refuses_what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
