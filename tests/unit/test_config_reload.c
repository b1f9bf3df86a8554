/* Configuration read again: what takes effect, what waits, what is told; values as shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "proxy/config_reload.h"
#include "proxy/config_table.h"
#include "proxy/config_value.h"

struct fixture {
    struct config config;
    struct err err;
};

static int setup(void **state)
{
    *state = xcalloc(1, sizeof(struct fixture));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    config_fini(&f->config);
    free(f);
    return 0;
}

static void accept_sets(struct fixture *f, const char *const *sets)
{
    struct config_sources from = {.sets = sets};
    config_fini(&f->config);
    f->err = (struct err){0};
    if (!config_load(&from, &f->config, &f->err)) {
        print_error("%s\n", f->err.msg);
        fail();
    }
}

static void accept_set(struct fixture *f, const char *set)
{
    const char *const sets[] = {set, NULL};
    accept_sets(f, sets);
}

/* A value for each key that is not its default, in the order of the table. */
static const char *const changes[CONFIG_N_KEYS] = {
    "proxy.listen=127.0.0.1:1",
    "proxy.backend=127.0.0.1:1",
    "proxy.workers=1",
    "proxy.max_connections=1",
    "proxy.connect_timeout=1",
    "proxy.login_timeout=1",
    "proxy.drain_timeout=1",
    "proxy.max_user_connections=1",
    "proxy.idle_timeout=1m",
    "proxy.write_timeout=0",
    "proxy.keepalive=0",
    "proxy.health_interval=0",
    "proxy.tls=optional",
    "proxy.tls_cert=/c",
    "proxy.tls_key=/k",
    "proxy.backend_tls=off",
    "proxy.backend_tls_ca=/ca",
    "proxy.allow_clear_passwords=on",
    "proxy.proxy_protocol_from=10.0.0.0/8",
    "proxy.backend_proxy_protocol=v1",
    "proxy.on_streaming=fe",
    "proxy.grants_cache=0",
    "doris.http=a:1",
    "doris.user=u",
    "doris.password=p",
    "doris.password_file=",
    "store.url=sqlite:x",
    "store.key_file=/b",
    "http.listen=",
    "scheduler.runners=1",
    "scheduler.max_jobs=1",
    "scheduler.max_interval=1",
    "scheduler.task_timeout=1",
    "scheduler.label_window=1",
    "scheduler.max_auto_resumes=1",
    "scheduler.resume_delay=1",
    "log.level=debug",
    "log.format=json",
};

/* Each key by itself: it takes effect or waits, and what waits is as it was. */
static void test_reload(void **state)
{
    struct fixture *f = *state;
    struct config old = {0};
    assert_true(config_load(&(struct config_sources){0}, &old, &f->err));
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_table_keys[i];
        struct config_changes told = {0};
        char name[128];
        if (key->type == CONFIG_PATH) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%s.%s", key->section, key->name);
        accept_set(f, changes[i]);
        assert_int_equal(strncmp(changes[i], name, strlen(name)), 0);
        assert_false(config_value_is_equal(key, &old, &f->config));
        config_reload_keep(&old, &f->config, &told);
        assert_int_equal(config_value_is_equal(key, &old, &f->config), !key->is_reloadable);
        config_reload_tell(&old, &f->config, &told);
        if (key->is_reloadable) {
            assert_int_equal(told.waiting.len, 0);
            assert_int_equal(strncmp(buf_text(&told.applied), name, strlen(name)), 0);
        } else {
            assert_int_equal(told.applied.len, 0);
            assert_string_equal(buf_text(&told.waiting), name);
        }
        config_changes_fini(&told);
    }
    config_fini(&old);
}

static void test_reload_of_several(void **state)
{
    struct fixture *f = *state;
    struct config old = {0};
    struct config_changes told = {0};
    assert_true(config_load(&(struct config_sources){0}, &old, &f->err));
    static const char *const sets[] = {"proxy.listen=[::1]:5",   "proxy.backend=a:1,b:2",
                                       "proxy.idle_timeout=90s", "proxy.tls=required",
                                       "proxy.tls_cert=/c",      "doris.password=secret",
                                       "log.level=warn",         NULL};
    accept_sets(f, sets);
    config_reload_keep(&old, &f->config, &told);
    config_reload_undo(&old, &f->config, "proxy", "tls");
    config_reload_tell(&old, &f->config, &told);
    assert_string_equal(buf_text(&told.waiting), "proxy.listen, proxy.backend, doris.password");
    assert_string_equal(buf_text(&told.applied), "proxy.idle_timeout = 90s, proxy.tls_cert = /c, "
                                                 "log.level = warn");
    assert_int_equal(f->config.tls, CONFIG_TLS_OFF);
    assert_int_equal(f->config.n_backends, old.n_backends);
    assert_string_equal(f->config.backends[0].host, old.backends[0].host);
    assert_ptr_not_equal(f->config.backends[0].host, old.backends[0].host);
    assert_string_equal(f->config.password, "");
    config_changes_fini(&told);
    config_fini(&old);
}

/* A value that is shown can be written so. */
static void test_values_as_shown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_table_keys[i];
        struct buf b = buf_with_max(1024);
        const char *value = strchr(changes[i], '=') + 1;
        if (key->type == CONFIG_PATH || key->type == CONFIG_SECRET) {
            continue;
        }
        accept_set(f, changes[i]);
        buf_printf(&b, "%s.%s=", key->section, key->name);
        config_value_show(key, &f->config, &b);
        struct config before = f->config;
        f->config = (struct config){0};
        accept_set(f, buf_text(&b));
        assert_true(config_value_is_equal(key, &before, &f->config));
        assert_true(*value != '\0' || b.data[b.len - 1] == '=');
        config_fini(&before);
        buf_fini(&b);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_reload),
        CASE(test_reload_of_several),
        CASE(test_values_as_shown),
    };
    return cmocka_run_group_tests_name("config_reload", tests, NULL, NULL);
}
