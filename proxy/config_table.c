#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "base/xmalloc.h"
#include "proxy/config_table.h"

/* The order of the enum is that of the names. */
static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error", NULL};
static const char *const format_names[] = {[LOG_TEXT] = "text", [LOG_JSON] = "json", NULL};
static const char *const switch_names[] = {[CONFIG_OFF] = "off", [CONFIG_ON] = "on", NULL};
static const char *const tls_names[] = {
    [CONFIG_TLS_OFF] = "off",
    [CONFIG_TLS_OPTIONAL] = "optional",
    [CONFIG_TLS_REQUIRED] = "required",
    NULL,
};
static const char *const backend_tls_names[] = {
    [CONFIG_BACKEND_TLS_OFF] = "off",
    [CONFIG_BACKEND_TLS_PREFERRED] = "preferred",
    [CONFIG_BACKEND_TLS_REQUIRED] = "required",
    [CONFIG_BACKEND_TLS_VERIFY] = "verify",
    NULL,
};
static const char *const announce_names[] = {
    [CONFIG_ANNOUNCE_OFF] = "off", [CONFIG_ANNOUNCE_V1] = "v1", NULL};
static const char *const streaming_names[] = {
    [CONFIG_STREAMING_SLUICE] = "sluice", [CONFIG_STREAMING_FE] = "fe", NULL};
static const char *const store_schemes[] = {"sqlite:", NULL};

#define AT(member) offsetof(struct config_draft, member)

enum { MS = 1, S = 1000 };

const struct config_key config_table_keys[] = {
    {"proxy", "listen",
     "Address where clients connect, as they would to the FE. Port 0 takes any free one.",
     "127.0.0.1:6033", CONFIG_ADDRESS, .offset = AT(config.listen), .min = 0, .max = 65535},
    {"proxy", "backend",
     "MySQL addresses (query_port) of the FEs of one Doris cluster. They are tried in this order.",
     "127.0.0.1:9030", CONFIG_ADDRESS_LIST, .offset = AT(config.backends), .min = 1, .max = 65535},
    {"proxy", "workers", "Threads that relay connections; 0 starts one a processor core.", "0",
     CONFIG_INT, .offset = AT(config.workers), .min = 0, .max = 64},
    {"proxy", "max_connections",
     "Client connections at a time. More are refused with error 1040, \"Too many connections\".",
     "10000", CONFIG_INT, .is_reloadable = true, .offset = AT(config.max_connections), .min = 1,
     .max = 1000000},
    {"proxy", "connect_timeout", "How long an FE may take to accept a connection.", "5s",
     CONFIG_DURATION, .unit_ms = MS, .is_reloadable = true, .offset = AT(config.connect_timeout_ms),
     .min = 1, .max = 600000},
    {"proxy", "login_timeout", "How long a client may take from connecting to being logged in.",
     "30s", CONFIG_DURATION, .unit_ms = MS, .is_reloadable = true,
     .offset = AT(config.login_timeout_ms), .min = 1, .max = 3600000},
    {"proxy", "drain_timeout",
     "How long connections and running tasks may go on after the first SIGTERM. A second SIGTERM "
     "ends them at once.",
     "30s", CONFIG_DURATION, .unit_ms = MS, .is_reloadable = true,
     .offset = AT(config.drain_timeout_ms), .min = 0, .max = 3600000},
    {"proxy", "max_user_connections",
     "Connections of one user at a time; 0 leaves it to the FE. More are refused with error 1203 "
     "once the FE has accepted the password.",
     "0", CONFIG_INT, .is_reloadable = true, .offset = AT(config.max_user_connections), .min = 0,
     .max = 1000000},
    {"proxy", "idle_timeout",
     "A client that asks nothing for so long is disconnected; 0 leaves it to the FE "
     "(wait_timeout).",
     "8h", CONFIG_DURATION, .unit_ms = MS, .is_reloadable = true,
     .offset = AT(config.idle_timeout_ms), .min = 0, .max = 31536000000},
    {"proxy", "write_timeout",
     "A client that takes nothing of what waits for it for so long is disconnected; 0 waits for "
     "ever.",
     "10m", CONFIG_DURATION, .unit_ms = MS, .is_reloadable = true,
     .offset = AT(config.write_timeout_ms), .min = 0, .max = 86400000},
    {"proxy", "keepalive",
     "A connection without traffic for so long is probed by TCP keepalive; 0 switches it off.",
     "1m", CONFIG_DURATION, .unit_ms = S, .is_reloadable = true, .offset = AT(config.keepalive_s),
     .min = 0, .max = 32767},
    {"proxy", "health_interval",
     "How often every FE is asked whether it is well: by /api/bootstrap on the port of doris.http, "
     "else by a login as doris.user. New connections avoid an FE that is not. 0 asks never.",
     "2s", CONFIG_DURATION, .unit_ms = MS, .offset = AT(config.health_interval_ms), .min = 0,
     .max = 3600000},
    {"proxy", "tls",
     "TLS with clients: off, optional (the client chooses) or required. Needs proxy.tls_cert.",
     "off", CONFIG_ENUM, .is_reloadable = true, .offset = AT(config.tls), .choices = tls_names},
    {"proxy", "tls_cert",
     "PEM file with the certificate for clients, followed by intermediate ones. Read again at "
     "SIGHUP.",
     "", CONFIG_TEXT, .is_reloadable = true, .offset = AT(config.tls_cert), .min = 0, .max = 4095},
    {"proxy", "tls_key",
     "PEM file with its private key; empty: it stands in proxy.tls_cert. Read again at SIGHUP.", "",
     CONFIG_TEXT, .is_reloadable = true, .offset = AT(config.tls_key), .min = 0, .max = 4095},
    {"proxy", "backend_tls",
     "TLS with the FEs, also for the loads of tasks: off, preferred (when the FE offers it), "
     "required, or verify (its certificate must be good for its host name in proxy.backend). "
     "SIGHUP changes it for clients' sessions; loads and health checks wait for the next start.",
     "preferred", CONFIG_ENUM, .is_reloadable = true, .offset = AT(config.backend_tls),
     .choices = backend_tls_names},
    {"proxy", "backend_tls_ca",
     "PEM file with the certificates that sign the FEs'; empty: those of the system.", "",
     CONFIG_TEXT, .is_reloadable = true, .offset = AT(config.backend_tls_ca), .min = 0,
     .max = 4095},
    {"proxy", "allow_clear_passwords",
     "Let clients whose connection is not encrypted send their password in clear (plugin "
     "mysql_clear_password, which Doris uses for LDAP users).",
     "off", CONFIG_ENUM, .is_reloadable = true, .offset = AT(config.clear_passwords),
     .choices = switch_names},
    {"proxy", "proxy_protocol_from",
     "Networks (10.0.0.0/8, ::1/128, separated by commas) whose connections begin with a PROXY "
     "protocol header, v1 or v2: load balancers. Nobody else's header is believed.",
     "", CONFIG_NETWORKS, .offset = AT(config.announced_from), .min = 0, .max = 4096},
    {"proxy", "backend_proxy_protocol",
     "Tell the FE the client's address by the PROXY protocol: off or v1. Doris wants "
     "enable_proxy_protocol = true for it, and since 2.1 has it.",
     "off", CONFIG_ENUM, .offset = AT(config.announce), .choices = announce_names},

    {"proxy", "on_streaming",
     "Who takes CREATE JOB ... ON STREAMING: sluice, or fe (Doris 4.0 and later has such jobs of "
     "its "
     "own; statements about jobs that exist go to whoever has them).",
     "sluice", CONFIG_ENUM, .is_reloadable = true, .offset = AT(config.on_streaming),
     .choices = streaming_names},
    {"proxy", "grants_cache",
     "For how long a session may use what SHOW GRANTS said last. A privilege that is revoked may "
     "work for so long; 0 asks the FE for every statement about jobs.",
     "2s", CONFIG_DURATION, .unit_ms = MS, .is_reloadable = true,
     .offset = AT(config.grants_cache_ms), .min = 0, .max = 300000},

    {"doris", "http",
     "HTTP address (http_port) of an FE. It ends transactions that a dead FE left behind, and "
     "tells "
     "what became of a load when SQL does not. Empty: do without.",
     "", CONFIG_ADDRESS, .is_optional = true, .offset = AT(config.http), .min = 1, .max = 65535},
    {"doris", "user",
     "User under which the tasks of streaming jobs load. It needs LOAD on their target tables.",
     "root", CONFIG_TEXT, .offset = AT(config.user), .min = 1, .max = 128},
    {"doris", "password",
     "Password of doris.user. Better kept in a file of its own, see doris.password_file.", "",
     CONFIG_SECRET, .offset = AT(config.password), .min = 0, .max = 256},
    {"doris", "password_file",
     "File whose first line is the password of doris.user. It must not be readable by everybody. "
     "Set this or doris.password, not both.",
     "", CONFIG_PATH, .offset = AT(password_file), .min = 0, .max = 4095},

    {"store", "url",
     "Where jobs, tasks and offsets are kept: sqlite: and the path of a file on a local disk. Its "
     "directory must exist. The file is created when it is not there.",
     "sqlite:/var/lib/sluice/sluice.db", CONFIG_URL, .offset = AT(config.store_url), .min = 1,
     .max = 4096, .choices = store_schemes},
    {"store", "key_file",
     "File with the key that encrypts the jobs' statements, properties and errors in the store "
     "(AES-256-GCM). It is made with mode 0600 when nothing is encrypted yet, and must be private; "
     "keep a copy, without it the jobs are lost. For a new key put it on a line above the old one "
     "and restart. Empty: the file of store.url with .key behind its name.",
     "", CONFIG_TEXT, .offset = AT(config.key_file), .min = 0, .max = 4095},

    {"http", "listen",
     "Address of Sluice's own HTTP server (health, metrics). Port 0 takes any free one. Empty: no "
     "server.",
     "127.0.0.1:6080", CONFIG_ADDRESS, .is_optional = true, .offset = AT(config.admin), .min = 0,
     .max = 65535},

    {"scheduler", "runners",
     "Threads that list objects and run loads, each made when it is needed first. All but an "
     "eighth "
     "of them, two at least, may load at a time; the rest is for listing and for statements.",
     "128", CONFIG_INT, .offset = AT(config.runners), .min = 1, .max = 256},
    {"scheduler", "max_jobs", "Streaming jobs that may exist at a time.", "1024", CONFIG_INT,
     .offset = AT(config.max_jobs), .min = 1, .max = 100000},
    {"scheduler", "max_interval",
     "Default of the job property max_interval: how often an idle job looks for new data.", "10s",
     CONFIG_DURATION, .unit_ms = S, .offset = AT(config.max_interval_s), .min = 1, .max = 86400},
    {"scheduler", "task_timeout", "How long the load of one task may take in Doris.", "30m",
     CONFIG_DURATION, .unit_ms = S, .offset = AT(config.task_timeout_s), .min = 1, .max = 86400},
    {"scheduler", "label_window",
     "How long Doris surely remembers the label of a load; a large value where it forgets earlier "
     "loads data twice. Set it no larger than a quarter of the FE's "
     "streaming_label_keep_max_second: "
     "where doris.user may read that, the shorter of both holds. Within it, too, a label counts as "
     "forgotten once so many transactions of all clients have begun as are a quarter of "
     "label_num_threshold, or 500 where that is not known. Jobs with \"guarantee\" = "
     "\"transactional\" do not depend on it.",
     "1m", CONFIG_DURATION, .unit_ms = S, .offset = AT(config.label_window_s), .min = 0,
     .max = 2592000},
    {"scheduler", "max_auto_resumes",
     "How often in a row a job that failed is resumed by itself. After that it stays PAUSED until "
     "RESUME JOB.",
     "10", CONFIG_INT, .offset = AT(config.max_auto_resumes), .min = 0, .max = 1000000},
    {"scheduler", "resume_delay",
     "Wait before a job that failed is resumed for the first time; it doubles every time.", "10s",
     CONFIG_DURATION, .unit_ms = MS, .offset = AT(config.resume_delay_ms), .min = 1,
     .max = 3600000},

    {"log", "level", "Least severity that is logged.", "info", CONFIG_ENUM, .is_reloadable = true,
     .offset = AT(config.log_level), .choices = level_names},
    {"log", "format", "Form of the log on standard error: text for people, json for machines.",
     "text", CONFIG_ENUM, .offset = AT(config.log_format), .choices = format_names},
};

static_assert(ARRAY_SIZE(config_table_keys) == CONFIG_N_KEYS, "every key is counted");
static_assert(sizeof(enum log_level) == sizeof(int), "CONFIG_ENUM writes an int");
static_assert(sizeof(enum log_format) == sizeof(int), "CONFIG_ENUM writes an int");

const struct config_key *config_table_find(struct span section, struct span name)
{
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_table_keys[i];
        if (span_eq_text(section, key->section) && span_eq_text(name, key->name)) {
            return key;
        }
    }
    return NULL;
}

void config_table_env_name(const struct config_key *key, char ret_name[CONFIG_ENV_SIZE])
{
    int n = snprintf(ret_name, CONFIG_ENV_SIZE, "SLUICE_%s_%s", key->section, key->name);
    assert(n > 0 && n < CONFIG_ENV_SIZE); /* the names are ours */
    for (int i = 0; i < n; i++) {
        ret_name[i] = (char)toupper((unsigned char)ret_name[i]);
    }
}

const struct config_key *config_table_find_env(struct span name)
{
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        char env_name[CONFIG_ENV_SIZE];
        config_table_env_name(&config_table_keys[i], env_name);
        if (span_eq_text(name, env_name)) {
            return &config_table_keys[i];
        }
    }
    return NULL;
}

enum { LONGEST_GUESS = 64, FARTHEST_GUESS = 2 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions and replacements between two short texts, letter case apart. */
static size_t edit_distance(struct span a, struct span b)
{
    size_t row[LONGEST_GUESS + 1];
    assert(a.n <= LONGEST_GUESS && b.n <= LONGEST_GUESS);
    for (size_t k = 0; k <= b.n; k++) {
        row[k] = k;
    }
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0]; /* of (i - 1, k - 1) */
        row[0] = i;
        for (size_t k = 1; k <= b.n; k++) {
            bool is_same = strncasecmp(&a.p[i - 1], &b.p[k - 1], 1) == 0;
            size_t cost = smaller(smaller(row[k], row[k - 1]) + 1, diagonal + (is_same ? 0 : 1));
            diagonal = row[k];
            row[k] = cost;
        }
    }
    return row[b.n];
}

/* Keeps the nearer of two guesses; true when it is the new one. */
static bool is_nearer(struct span wrong, const char *right, size_t *nearest)
{
    struct span candidate = span_of(right);
    if (wrong.n > LONGEST_GUESS || candidate.n > LONGEST_GUESS) {
        return false;
    }
    size_t distance = edit_distance(wrong, candidate);
    if (distance >= *nearest) {
        return false;
    }
    *nearest = distance;
    return true;
}

const struct config_key *config_table_guess(struct span section, struct span name)
{
    char wrong[LONGEST_GUESS + 2]; /* one more is enough to see that it is too long */
    size_t nearest = FARTHEST_GUESS + 1;
    const struct config_key *guess = NULL;
    (void)snprintf(wrong, sizeof(wrong), "%.*s.%.*s", SPAN_ARG(section), SPAN_ARG(name));
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_table_keys[i];
        char right[LONGEST_GUESS + 1];
        (void)snprintf(right, sizeof(right), "%s.%s", key->section, key->name); /* fits */
        if (is_nearer(span_of(wrong), right, &nearest)) {
            guess = key;
        }
    }
    for (size_t i = 0; guess == NULL && i < CONFIG_N_KEYS; i++) {
        if (span_ieq_text(name, config_table_keys[i].name)) {
            guess = &config_table_keys[i]; /* right name, wrong section */
        }
    }
    return guess;
}

const struct config_key *config_table_guess_env(struct span name)
{
    size_t nearest = FARTHEST_GUESS + 1;
    const struct config_key *guess = NULL;
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        char right[CONFIG_ENV_SIZE];
        config_table_env_name(&config_table_keys[i], right);
        if (is_nearer(name, right, &nearest)) {
            guess = &config_table_keys[i];
        }
    }
    return guess;
}
