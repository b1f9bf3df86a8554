/* The configuration file, through the whole of config_load(): lines, keys, values, errors. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/xmalloc.h"
#include "proxy/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What every caller relies on, whatever the file says. */
static void check(const struct config *c)
{
    assert(c->listen.host != NULL && c->listen.port >= 0 && c->listen.port <= 65535);
    assert(c->n_backends >= 1 && c->n_backends <= 64);
    for (int64_t i = 0; i < c->n_backends; i++) {
        assert(c->backends[i].host[0] != '\0' && c->backends[i].port >= 1);
    }
    assert(c->workers >= 0 && c->workers <= 64);
    assert(c->user[0] != '\0' && c->password != NULL);
    assert(strncmp(c->store_url, "sqlite:", 7) == 0 && c->store_url[7] != '\0');
    assert(c->max_interval_s >= 1 && c->connect_timeout_ms >= 1);
}

static void check_error(const struct err *err)
{
    assert(err_is_set(err) && strchr(err->msg, '\n') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c = {0};
    struct err err = {0};
    /* Only the path of doris.password_file would leave the process. */
    if (memmem(data, size, "password_file", 13) != NULL) {
        return 0;
    }
    int fd = memfd_create("config", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        return 0;
    }
    _cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", fd);
    struct config_sources from = {.file = path};
    bool is_ok = config_load(&from, &c, &err);
    if (is_ok) {
        check(&c);
    } else {
        check_error(&err);
    }
    config_fini(&c);
    /* Whoever looks further than the first error finds the same one first, or none as well. */
    struct config all = {0};
    struct err first = {0};
    from.each_error = check_error;
    assert(config_load(&from, &all, &first) == is_ok && strcmp(first.msg, err.msg) == 0);
    config_fini(&all);
    (void)close(fd);
    return 0;
}
