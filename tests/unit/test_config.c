/* Configuration: every type, every source, every refusal, and what is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "proxy/config.h"
#include "proxy/config_table.h"
#include "proxy/config_value.h"

struct fixture {
    char dir[64];
    char path[80];
    char secret[80];
    struct config config;
    struct err err;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/sluice-config-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/c.conf", f->dir);
    (void)snprintf(f->secret, sizeof(f->secret), "%s/pw", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    config_fini(&f->config);
    (void)unlink(f->path);
    (void)unlink(f->secret);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static bool load(struct fixture *f, const char *text, const char *const *env,
                 const char *const *sets)
{
    struct config_sources from = {
        .file = text != NULL ? f->path : NULL, .environ = (char *const *)env, .sets = sets};
    if (text != NULL) {
        write_file(f->path, text, 0600);
    }
    config_fini(&f->config);
    f->err = (struct err){0};
    return config_load(&from, &f->config, &f->err);
}

static void accept(struct fixture *f, const char *text)
{
    if (!load(f, text, NULL, NULL)) {
        print_error("%s\n", f->err.msg);
        fail();
    }
}

static void accept_set(struct fixture *f, const char *set)
{
    const char *sets[] = {set, NULL};
    if (!load(f, NULL, NULL, sets)) {
        print_error("%s\n", f->err.msg);
        fail();
    }
}

static void assert_says(const struct fixture *f, const char *text)
{
    if (strcmp(f->err.msg, text) != 0) {
        print_error("said     \"%s\"\nexpected \"%s\"\n", f->err.msg, text);
        fail();
    }
}

/* `text` follows "FILE:" in the error; it is the whole error when it begins with no digit. */
static void refuse(struct fixture *f, const char *content, const char *text)
{
    char expected[ERR_MSG_SIZE];
    assert_false(load(f, content, NULL, NULL));
    (void)snprintf(expected, sizeof(expected), "%s:%s", f->path, text);
    assert_says(f, expected);
}

static void refuse_set(struct fixture *f, const char *set, const char *text)
{
    const char *sets[] = {set, NULL};
    assert_false(load(f, NULL, NULL, sets));
    assert_says(f, text);
}

static void refuse_env(struct fixture *f, const char *variable, const char *text)
{
    const char *env[] = {variable, NULL};
    assert_false(load(f, NULL, env, NULL));
    assert_says(f, text);
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    assert_true(load(f, NULL, NULL, NULL));
    const struct config *c = &f->config;
    assert_string_equal(c->listen.host, "127.0.0.1");
    assert_int_equal(c->listen.port, 6033);
    assert_int_equal(c->n_backends, 1);
    assert_string_equal(c->backends[0].host, "127.0.0.1");
    assert_int_equal(c->backends[0].port, 9030);
    assert_int_equal(c->workers, 0);
    assert_int_equal(c->max_connections, 10000);
    assert_int_equal(c->connect_timeout_ms, 5000);
    assert_int_equal(c->login_timeout_ms, 30000);
    assert_int_equal(c->drain_timeout_ms, 30000);
    assert_null(c->http.host);
    assert_string_equal(c->user, "root");
    assert_string_equal(c->password, "");
    assert_string_equal(c->store_url, "sqlite:/var/lib/sluice/sluice.db");
    assert_string_equal(c->admin.host, "127.0.0.1");
    assert_int_equal(c->admin.port, 6080);
    assert_int_equal(c->runners, 128);
    assert_int_equal(c->max_jobs, 1024);
    assert_int_equal(c->max_interval_s, 10);
    assert_int_equal(c->task_timeout_s, 1800);
    assert_int_equal(c->label_window_s, 60);
    assert_int_equal(c->max_auto_resumes, 10);
    assert_int_equal(c->resume_delay_ms, 10000);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_int_equal(c->log_format, LOG_TEXT);
}

static void test_file_sets_every_type(void **state)
{
    struct fixture *f = *state;
    accept(f, "\xef\xbb\xbf# comment\r\n"
              "[proxy]\r\n"
              "listen = [::1]:0   ; any\n"
              "  workers = 64\n"
              "backend: fe-1.doris.svc:9030,\n"
              "    fe-2.doris.svc:9030 , [fe80::2]:1\n"
              "    , 10.0.0.3:65535\n"
              "connect_timeout = 250ms\n"
              "login_timeout=2 m\n"
              "[scheduler]\n"
              "max_interval = 120000ms\n"
              "task_timeout = 90\n"
              "[log]\n"
              "level = WARN\n"
              "format = json\n"
              "[doris]\n"
              "password = a;b=c:d#\"e\"\n"
              "user = s\xc3\xbc\xc3\x9f\n"
              "http = fe:8030\n"
              "[http]\n"
              "listen =");
    const struct config *c = &f->config;
    assert_string_equal(c->listen.host, "::1");
    assert_int_equal(c->listen.port, 0);
    assert_int_equal(c->workers, 64);
    assert_int_equal(c->n_backends, 4);
    assert_string_equal(c->backends[0].host, "fe-1.doris.svc");
    assert_string_equal(c->backends[1].host, "fe-2.doris.svc");
    assert_string_equal(c->backends[2].host, "fe80::2");
    assert_int_equal(c->backends[3].port, 65535);
    assert_int_equal(c->connect_timeout_ms, 250);
    assert_int_equal(c->login_timeout_ms, 120000);
    assert_int_equal(c->max_interval_s, 120);
    assert_int_equal(c->task_timeout_s, 90);
    assert_int_equal(c->log_level, LOG_WARN);
    assert_int_equal(c->log_format, LOG_JSON);
    assert_string_equal(c->password, "a;b=c:d#\"e\"");
    assert_string_equal(c->user, "s\xc3\xbc\xc3\x9f");
    assert_string_equal(c->http.host, "fe");
    assert_null(c->admin.host);
}

static void test_later_sources_win(void **state)
{
    struct fixture *f = *state;
    const char *env[] = {"PATH=/bin", "SLUICE_PROXY_WORKERS=2", "SLUICE_SCHEDULER_RUNNERS=2",
                         "SLUICE_CONFIG=elsewhere", NULL};
    const char *sets[] = {"scheduler.runners=3", "scheduler.runners = 4", NULL};
    assert_true(
        load(f, "[proxy]\nworkers=1\nmax_connections=1\n[scheduler]\nrunners=1\n", env, sets));
    assert_int_equal(f->config.max_connections, 1);
    assert_int_equal(f->config.workers, 2);
    assert_int_equal(f->config.runners, 4);
    assert_true(load(f, "[http]\nlisten=\n[proxy]\nbackend=a:1,b:2\n", NULL,
                     (const char *[]){"http.listen=h:7", "proxy.backend=c:3", NULL}));
    assert_string_equal(f->config.admin.host, "h");
    assert_int_equal(f->config.n_backends, 1); /* replaced, not added to */
    assert_string_equal(f->config.backends[0].host, "c");
}

static void test_unknown_keys(void **state)
{
    struct fixture *f = *state;
    refuse(f, "\n[proxy]\nlisen = a:1\n",
           "3: proxy.lisen: there is no such key; did you mean proxy.listen?");
    refuse(f, "[Proxy]\nlisten = a:1\n",
           "2: Proxy.listen: there is no such key; did you mean proxy.listen?");
    refuse(f, "[proxy]\nlevel = info\n",
           "2: proxy.level: there is no such key; did you mean log.level?");
    refuse(f, "[nothing]\nalike = 1\n",
           "2: nothing.alike: there is no such key; sluice --print-config lists them all");
    refuse(f, "workers = 1\n[proxy]\n", "1: workers stands before the first [section]");
    refuse_env(f, "SLUICE_PROXY_LISEN=a:1",
               "environment SLUICE_PROXY_LISEN: there is no such key; did you mean "
               "SLUICE_PROXY_LISTEN?");
    refuse_env(f, "SLUICE_=",
               "environment SLUICE_: there is no such key; sluice --print-config lists them all");
    refuse_set(f, "log.levle=info",
               "--set log.levle: there is no such key; did you mean log.level?");
    refuse_set(f, "some.thing=1",
               "--set some.thing: there is no such key; sluice --print-config lists them all");
    refuse_set(f, "log.level", "--set log.level: write --set section.key=value");
    refuse_set(f, "doris_password=pw", "--set doris_password: write --set section.key=value");
}

static void test_variables_of_kubernetes_are_left_alone(void **state)
{
    struct fixture *f = *state;
    const char *env[] = {"SLUICE_SERVICE_HOST=10.0.0.1",
                         "SLUICE_SERVICE_PORT_MYSQL=6033",
                         "SLUICE_PORT=tcp://10.0.0.1:6033",
                         "SLUICE_PORT_6033_TCP_ADDR=10.0.0.1",
                         "SLUICE_FE_PORT=udp://10.0.0.1:53",
                         "SLUICE_FE_SERVICE_HOST=10.0.0.1",
                         NULL};
    assert_true(load(f, NULL, env, NULL));
    assert_int_equal(f->config.listen.port, 6033);
    refuse_env(f, "SLUICE_PROXY_PORT=6033",
               "environment SLUICE_PROXY_PORT: there is no such key; sluice --print-config lists "
               "them all");
}

static void test_lines_that_are_wrong(void **state)
{
    struct fixture *f = *state;
    char text[1024];
    refuse(f, "[proxy]\nworkers\n", "2: the line is neither \"[section]\" nor \"key = value\"");
    refuse(f, "[proxy\n", "1: the line is neither \"[section]\" nor \"key = value\"");
    refuse(f, "[proxy]\nodd\nworkers = x\n",
           "2: the line is neither \"[section]\" nor \"key = value\"");
    refuse(f, "[proxy]\nworkers = 1\n\nworkers = 2\n",
           "4: proxy.workers: is set twice, first in line 2");
    refuse(
        f, "[proxy]\nworkers = 1\n 2\n",
        "3: proxy.workers: a line that begins with a blank continues the one before it, and only "
        "a list may be continued");
    refuse(f, "[proxy]\nbackend = a:1\n  b\n",
           "3: proxy.backend: \"b\" is not an address with a port; accepted is a list of up to 64 "
           "HOST:PORT or [IPV6]:PORT, separated by commas");
    refuse(f, "[proxy]\nworkers = 1\x01\n", "2: there is a control character in the line");
    refuse(f, "[doris]\npassword = a ;b\n",
           "2: doris.password: a ';' after a blank begins a comment; when it belongs to the "
           "password, use doris.password_file");
    (void)snprintf(text, sizeof(text), "# %0195d\n[proxy]\nbackend = %0300d:1\n", 0, 1);
    refuse(f, text, "3: the line is longer than 197 bytes; a list may go on on the next line");
    (void)snprintf(text, sizeof(text), "[store]\nurl = sqlite:/%0180d\n", 7);
    accept(f, text);
    assert_int_equal(strlen(f->config.store_url), 188);
}

static void test_numbers(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = {"", "x", "1x", "1 2", "+1", "0x10", "99999999999999999999"};
    accept_set(f, "proxy.workers=0");
    accept_set(f, "proxy.workers=64");
    refuse_set(f, "proxy.workers=65",
               "--set proxy.workers: \"65\" is out of bounds; accepted is a whole number from 0 to "
               "64");
    refuse_set(f, "proxy.workers=-1",
               "--set proxy.workers: \"-1\" is out of bounds; accepted is a whole number from 0 to "
               "64");
    refuse_env(f, "SLUICE_SCHEDULER_RUNNERS=0",
               "environment SLUICE_SCHEDULER_RUNNERS: \"0\" is out of bounds; accepted is a whole "
               "number from 1 to 256");
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        char set[64];
        char text[128];
        (void)snprintf(set, sizeof(set), "proxy.workers=%s", wrong[i]);
        (void)snprintf(text, sizeof(text),
                       "--set proxy.workers: \"%s\" is not a whole number; accepted is a whole "
                       "number from 0 to 64",
                       wrong[i]);
        refuse_set(f, set, text);
    }
}

static void test_durations(void **state)
{
    struct fixture *f = *state;
    static const char accepted[] =
        "accepted is a time from 1s to 24h (ms, s, m or h; a bare number "
        "is s)";
    static const struct {
        const char *text;
        const char *why;
    } wrong[] = {
        {"0", "is out of bounds"},   {"86401", "is out of bounds"},
        {"25h", "is out of bounds"}, {"9223372036854775807h", "is out of bounds"},
        {"1d", "is not a time"},     {"s", "is not a time"},
        {"-1s", "is not a time"},    {"1.5s", "is not a time"},
        {"", "is not a time"},       {"1500ms", "is not a whole number of seconds"},
        {"1 m s", "is not a time"},
    };
    accept_set(f, "scheduler.max_interval=1440m");
    assert_int_equal(f->config.max_interval_s, 86400);
    accept_set(f, "proxy.connect_timeout=7");
    assert_int_equal(f->config.connect_timeout_ms, 7);
    accept_set(f, "proxy.drain_timeout=0");
    assert_int_equal(f->config.drain_timeout_ms, 0);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        char set[64];
        char text[256];
        (void)snprintf(set, sizeof(set), "scheduler.max_interval=%s", wrong[i].text);
        (void)snprintf(text, sizeof(text), "--set scheduler.max_interval: \"%s\" %s; %s",
                       wrong[i].text, wrong[i].why, accepted);
        refuse_set(f, set, text);
    }
}

static void test_addresses(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = {"",          "host",  ":6033",    "::1:6033",
                                        "[::1]6033", "[::1",  "[]:1",     "[host]:1",
                                        "ho st:1",   "a/b:1", "[::1]x:1", "\xc3\xa4:1"};
    static const char *const wrong_ports[] = {"a:", "a:x", "a:65536", "a:-1", "a:1:2", "[::1]:"};
    char set[96];
    char text[256];
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        (void)snprintf(set, sizeof(set), "proxy.listen=%s", wrong[i]);
        (void)snprintf(text, sizeof(text),
                       "--set proxy.listen: \"%s\" is not an address with a port; accepted is "
                       "HOST:PORT or [IPV6]:PORT, port 0 to 65535",
                       wrong[i]);
        refuse_set(f, set, text);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong_ports); i++) {
        (void)snprintf(set, sizeof(set), "proxy.listen=%s", wrong_ports[i]);
        (void)snprintf(text, sizeof(text),
                       "--set proxy.listen: \"%s\" has no valid port; accepted is HOST:PORT or "
                       "[IPV6]:PORT, port 0 to 65535",
                       wrong_ports[i]);
        refuse_set(f, set, text);
    }
    refuse_set(f, "doris.http=a:0",
               "--set doris.http: \"a:0\" has no valid port; accepted is HOST:PORT or [IPV6]:PORT "
               "or nothing, port 1 to 65535");
    accept_set(f, "doris.http=");
    assert_null(f->config.http.host);
}

static void test_lists(void **state)
{
    struct fixture *f = *state;
    struct buf b = buf_with_max(4096);
    refuse_set(f, "proxy.backend= , ",
               "--set proxy.backend: \",\" names no address; accepted is a list of up to 64 "
               "HOST:PORT or [IPV6]:PORT, separated by commas");
    refuse_set(
        f, "proxy.backend=a:1,A:1",
        "--set proxy.backend: \"A:1\" is in the list already; accepted is a list of up to 64 "
        "HOST:PORT or [IPV6]:PORT, separated by commas");
    buf_append_text(&b, "proxy.backend=");
    for (int i = 1; i <= CONFIG_MAX_ADDRESSES; i++) {
        buf_printf(&b, "h:%d,", i);
    }
    accept_set(f, buf_text(&b));
    assert_int_equal(f->config.n_backends, CONFIG_MAX_ADDRESSES);
    assert_int_equal(f->config.backends[63].port, 64);
    buf_append_text(&b, "h:65");
    refuse_set(f, buf_text(&b),
               "--set proxy.backend: \"h:65\" is one too many; accepted is a list of up to 64 "
               "HOST:PORT or [IPV6]:PORT, separated by commas");
    buf_fini(&b);
}

static void test_texts_and_choices(void **state)
{
    struct fixture *f = *state;
    char set[600];
    refuse_set(
        f, "log.level=trace",
        "--set log.level: \"trace\" is none of the choices; accepted is debug, info, warn or "
        "error");
    refuse_set(f, "store.url=mysql://x",
               "--set store.url: \"mysql://x\" is of no known kind; accepted is sqlite:PATH");
    refuse_set(f, "store.url=sqlite:",
               "--set store.url: \"sqlite:\" is of no known kind; accepted is sqlite:PATH");
    refuse_set(f, "doris.user=",
               "--set doris.user: \"\" is too short; accepted is a text of 1 to 128 bytes");
    refuse_set(
        f, "doris.user=a\nb",
        "--set doris.user: \"a?b\" has a control character in it; accepted is a text of 1 to "
        "128 bytes");
    (void)snprintf(set, sizeof(set), "doris.password=%0300d", 5);
    refuse_set(
        f, set,
        "--set doris.password: the value is too long; accepted is a text of up to 256 bytes");
    accept_set(f, "doris.password= with blanks ");
    assert_string_equal(f->config.password, " with blanks ");
}

static void test_files_that_are_wrong(void **state)
{
    struct fixture *f = *state;
    char expected[256];
    struct config_sources from = {.file = f->path};
    assert_false(config_load(&from, &f->config, &f->err));
    (void)snprintf(expected, sizeof(expected),
                   "configuration file %s cannot be opened: No such file or directory", f->path);
    assert_says(f, expected);
    from.file = f->dir;
    assert_false(config_load(&from, &f->config, &f->err));
    (void)snprintf(expected, sizeof(expected),
                   "configuration file %s cannot be read: Is a directory", f->dir);
    assert_says(f, expected);
    from.file = "/dev/zero";
    assert_false(config_load(&from, &f->config, &f->err));
    assert_says(f, "configuration file /dev/zero is larger than 1048576 bytes; is it the right "
                   "file?");
}

/* NULL, or what follows "--set doris.password_file: "; '%' stands for the file's path. */
static void load_password_file(struct fixture *f, const char *content, mode_t mode,
                               const char *complaint)
{
    char set[128];
    const char *sets[] = {set, NULL};
    struct buf text = buf_with_max(1024);
    write_file(f->secret, content, mode);
    (void)snprintf(set, sizeof(set), "doris.password_file=%s", f->secret);
    bool is_loaded = load(f, NULL, NULL, sets);
    assert_int_equal(is_loaded, complaint == NULL);
    buf_append_text(&text, "--set doris.password_file: ");
    for (const char *p = complaint; p != NULL && *p != '\0'; p++) {
        buf_append(&text, *p == '%' ? f->secret : p, *p == '%' ? strlen(f->secret) : 1);
    }
    if (!is_loaded) {
        assert_says(f, buf_text(&text));
    }
    buf_fini(&text);
}

static void test_password_file(void **state)
{
    struct fixture *f = *state;
    load_password_file(f, "geheim \r\nsecond line\n", 0640, NULL);
    assert_string_equal(f->config.password, "geheim ");
    load_password_file(f, "x", 0400, NULL);
    assert_string_equal(f->config.password, "x");
    load_password_file(f, "x", 0604, "% can be read by everybody; run: chmod o-rwx %");
    load_password_file(f, "\nx", 0600, "the first line of % is empty");
    load_password_file(
        f, "a\tb\n", 0600,
        "the value has a control character in it; accepted is a text of up to 256 bytes");
    refuse_set(
        f, "doris.password_file=/nowhere/pw",
        "--set doris.password_file: /nowhere/pw cannot be opened: No such file or directory");
    refuse_set(f, "doris.password_file=/dev/null",
               "--set doris.password_file: /dev/null is not a regular file");
    const char *both[] = {"doris.password_file=/x", NULL};
    assert_false(load(f, "[doris]\npassword = a\n", NULL, both));
    assert_non_null(strstr(f->err.msg, "--set doris.password_file: the password is set as well ("));
    assert_non_null(strstr(f->err.msg, "/c.conf:2: doris.password); keep one of the two"));
}

static char *printed_config(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    assert_non_null(to);
    config_print(to);
    assert_int_equal(fclose(to), 0);
    return text;
}

static void assert_no_change(const struct config *a, const struct config *b)
{
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_table_keys[i];
        assert_true(key->type == CONFIG_PATH || config_value_is_equal(key, a, b));
    }
}

/* As printed it sets nothing; with every key switched on it sets the defaults. */
static void test_printed_config_loads(void **state)
{
    struct fixture *f = *state;
    struct config defaults = {0};
    assert_true(config_load(&(struct config_sources){0}, &defaults, &f->err));
    _cleanup_free_ char *text = printed_config();
    accept(f, text);
    assert_no_change(&defaults, &f->config);
    size_t n_keys = 0;
    char *to = text;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == ';' && (p == text || p[-1] == '\n')) {
            n_keys++;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
    assert_int_equal(n_keys, CONFIG_N_KEYS);
    accept(f, text);
    assert_no_change(&defaults, &f->config);
    assert_int_equal(f->config.log_level, defaults.log_level);
    config_fini(&defaults);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_defaults),
        CASE(test_file_sets_every_type),
        CASE(test_later_sources_win),
        CASE(test_unknown_keys),
        CASE(test_variables_of_kubernetes_are_left_alone),
        CASE(test_lines_that_are_wrong),
        CASE(test_numbers),
        CASE(test_durations),
        CASE(test_addresses),
        CASE(test_lists),
        CASE(test_texts_and_choices),
        CASE(test_files_that_are_wrong),
        CASE(test_password_file),
        CASE(test_printed_config_loads),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
