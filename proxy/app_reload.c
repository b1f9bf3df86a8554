#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/app_parts.h"
#include "proxy/config_reload.h"
#include "proxy/settings.h"
#include "proxy/tls.h"

/* They go together: TLS is made of all of them, or stays as it is. */
static const char *const tls_keys[] = {"tls", "tls_cert", "tls_key", "backend_tls",
                                       "backend_tls_ca"};

const struct config *app_config(const struct app *a)
{
    return a->settings != NULL ? &a->settings->config : a->config;
}

static void log_tls_warning(const struct tls_context *tls)
{
    const char *warning = tls_context_warning(tls);
    if (warning != NULL) {
        log_warn("config.tls", "reason", warning, NULL);
    }
}

bool app_make_tls(struct app *a, struct err *err)
{
    a->shared.tls = tls_context_create(a->config, err);
    if (a->shared.tls == NULL) {
        return false;
    }
    log_tls_warning(a->shared.tls);
    return true;
}

/* The files are read again even if no key has changed: certificates are renewed in place. */
static struct tls_context *make_tls(struct app *a, struct config *fresh)
{
    struct err err = {0};
    struct tls_context *tls = tls_context_create(fresh, &err);
    if (tls != NULL) {
        log_tls_warning(tls);
        return tls;
    }
    log_error("config.tls_kept", "reason", err.msg, "advice",
              "TLS goes on as it was; mend it and send SIGHUP again", NULL);
    a->status.is_reload_ok = false;
    for (size_t i = 0; i < ARRAY_SIZE(tls_keys); i++) {
        config_reload_undo(app_config(a), fresh, "proxy", tls_keys[i]);
    }
    struct tls_context *running = a->settings != NULL ? a->settings->tls : a->shared.tls;
    return running != NULL ? tls_context_ref(running) : NULL;
}

/* Everybody who is to know gets the new settings; the old ones go with their last user. */
static void apply(struct app *a, struct settings *fresh)
{
    log_set_level(fresh->config.log_level);
    for (size_t i = 0; i < a->n_workers; i++) {
        worker_reconfigure(a->workers[i], settings_ref(fresh));
    }
    settings_unref(a->settings);
    a->settings = fresh;
}

static void log_changes(const struct app *a, struct config_changes *changes)
{
    if (changes->waiting.len > 0) {
        log_warn("config.waiting", "keys", buf_text(&changes->waiting), "advice",
                 "these take effect at the next start", NULL);
    }
    log_info("config.reloaded", "file", a->sources->file, "changed",
             changes->applied.len > 0 ? buf_text(&changes->applied) : "nothing", NULL);
}

void app_reload(struct app *a)
{
    struct config fresh = {0};
    struct err err = {0};
    _cleanup_(config_changes_fini) struct config_changes changes = {0};
    if (a->status.is_draining) {
        log_warn("config.reload", "reason", "Sluice is being stopped; nothing was read", NULL);
        return;
    }
    systemd_notify(LOG_FMT("RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_us()));
    a->status.is_reload_ok = config_load(a->sources, &fresh, &err);
    a->status.reload_ms = clock_wall_ms();
    if (!a->status.is_reload_ok) {
        log_error("config.reload", "reason", err.msg, "advice", "everything goes on as it was",
                  NULL);
    } else {
        config_reload_keep(app_config(a), &fresh, &changes);
        struct tls_context *tls = make_tls(a, &fresh);
        config_reload_tell(app_config(a), &fresh, &changes);
        apply(a, settings_create(&fresh, tls));
        log_changes(a, &changes);
    }
    systemd_notify("READY=1");
}
