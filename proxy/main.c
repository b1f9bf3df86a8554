/* sluice: options, configuration, then the app; see app.h for what runs. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/xmalloc.h"
#include "proxy/app.h"
#include "proxy/config.h"
#include "proxy/options.h"
#include "proxy/tls.h"

enum { EXIT_FORCED = 130 };

static void tell(const struct err *err)
{
    _cleanup_free_ char *masked = secret_mask(span_of(err->msg));
    (void)fprintf(stderr, "sluice: %s\n", masked); /* nothing to do if that fails, too */
}

static int usage(const struct err *err)
{
    tell(err);
    return OPTIONS_EXIT_USAGE;
}

/* What stands on the command line is read by everybody on the machine. */
static void warn_of_password(const char *const *sets)
{
    for (; sets != NULL && *sets != NULL; sets++) {
        if (span_istarts_with(span_of(*sets), "doris.password=")) {
            log_warn("config.exposed", "key", "doris.password", "advice",
                     "it was given by --set, where every user of this machine can see it (ps); use "
                     "doris.password_file",
                     NULL);
        }
    }
}

static int run(const struct config *config, const struct config_sources *from)
{
    struct err err = {0};
    enum app_end end = APP_FAILED;
    log_setup(config->log_level, config->log_format);
    warn_of_password(from->sets);
    struct app *app = app_create(config, from, &err);
    if (app != NULL) {
        end = app_run(app, &err);
    }
    if (end == APP_FORCED) {
        _exit(EXIT_FORCED); /* threads still run; the store is safe at any moment */
    }
    app_destroy(app);
    if (end == APP_FAILED) {
        log_error("sluice.failed", "reason", err.msg, NULL);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

/* What the files that the configuration names are good for. `file` is NULL when there is none. */
static int check(const struct config *config, const char *file)
{
    struct err err = {0};
    struct tls_context *tls = tls_context_create(config, &err);
    if (tls == NULL) {
        return usage(&err);
    }
    if (tls_context_warning(tls) != NULL) {
        (void)fprintf(stderr, "sluice: warning: %s\n", tls_context_warning(tls)); /* as above */
    }
    _cleanup_free_ char *store = config_store_path(config);
    if (file != NULL) {
        (void)printf("%s: the configuration is right\n", file); /* for people only */
    } else {
        (void)printf("the configuration is right: there is no file, so it is the defaults, the "
                     "environment and --set\n"); /* likewise */
    }
    (void)printf("the store is %s\n", store); /* likewise */
    tls_context_unref(tls);
    return EXIT_SUCCESS;
}

static int run_with_config(const struct options *options)
{
    struct config_sources from = {
        .file = options_config_file(options, environ, options_fallback_file),
        .environ = environ,
        .sets = options->sets,
    };
    struct config config = {0};
    struct err err = {0};
    struct config_sources first = from; /* a reload logs one error */
    first.each_error = tell;
    if (!config_load(&first, &config, &err)) {
        return OPTIONS_EXIT_USAGE;
    }
    int rc = EXIT_SUCCESS;
    if (options->action == OPTIONS_CHECK_CONFIG) {
        rc = check(&config, from.file);
    } else {
        rc = run(&config, &from);
    }
    config_fini(&config);
    return rc;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct err err = {0};
    int rc = EXIT_SUCCESS;
    if (!options_parse(argc, argv, &options, &err)) {
        return usage(&err);
    }
    switch (options.action) {
    case OPTIONS_PRINT_CONFIG: config_print(stdout); break;
    case OPTIONS_HELP: options_print_help(stdout); break;
    case OPTIONS_VERSION: options_print_version(stdout); break;
    case OPTIONS_RUN:
    case OPTIONS_CHECK_CONFIG: rc = run_with_config(&options); break;
    }
    options_fini(&options);
    return rc;
}
