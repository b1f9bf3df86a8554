/*
 * Drives the INSERT sink from the command line, for tests/integration/test_insert_sink.py:
 *
 *     sink_tool [option=value]… load LABEL SQL | label DB LABEL | fence DB LABEL | traits
 *                               | check [SQL]
 *
 * Prints one line of JSON per run. Options: fe=host:port (may be repeated), http=host:port, user=,
 * password=, connect_ms=, deadline_ms=, timeout_s=, send_ms=, db=, target=db.table, prop=key:value,
 * tvf=key:value, row=job:task:range (for label; a load with prop=guarantee:transactional has
 * 7:1:r1), succeeded=task (likewise; the one before), verify=same|changed|fail, repeat=N (one after the other), threads=N (at once), pad=N (blanks behind the
 * SQL), cancel=now, cancel=eof (raised when standard input ends).
 */
#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "scheduler/sink.h"
#include "sources/insert_sink.h"

enum { MOST_FES = 8, MOST_PROPS = 16, MOST_THREADS = 16 };

struct tool {
    struct fe_address fes[MOST_FES];
    struct insert_sink_options options;
    struct spec_prop props[MOST_PROPS];
    struct spec_prop tvf_props[MOST_PROPS];
    struct job_spec spec;
    int64_t deadline_ms;
    int64_t timeout_s;
    int64_t send_ms;
    int64_t repeat;
    int64_t pad;
    int64_t threads;
    struct offset_row row;
    bool has_row;
    enum verify_result verified;
    bool is_verified;
    struct cancel cancel;
    bool is_cancelable;
    bool is_canceled;
    struct sink *sink;
    char **args;
    int n_args;
};

_Noreturn static void die(const char *what, const char *which)
{
    (void)fprintf(stderr, "sink_tool: %s: %s\n", what, which);
    _exit(2);
}

static int64_t number(const char *text)
{
    int64_t value = 0;
    if (!span_to_int64(span_of(text), 0, INT64_MAX, &value)) {
        die("not a number", text);
    }
    return value;
}

/* Cuts text at the last `mark`; the part behind it is returned. */
static char *cut(char *text, char mark, bool is_first)
{
    char *at = is_first ? strchr(text, mark) : strrchr(text, mark);
    if (at == NULL) {
        die("separator missing", text);
    }
    *at = '\0';
    return at + 1;
}

static void add_prop(struct spec_prop *props, size_t *n, char *value)
{
    assert(*n < MOST_PROPS);
    props[*n].value = cut(value, ':', true);
    props[*n].key = value;
    (*n)++;
}

static void set_address(struct tool *t, const char *key, char *value)
{
    int port = (int)number(cut(value, ':', false));
    if (strcmp(key, "http") == 0) {
        t->options.http_host = value;
        t->options.http_port = port;
        return;
    }
    assert(t->options.n_addresses < MOST_FES);
    t->fes[t->options.n_addresses++] = (struct fe_address){.host = value, .port = port};
}

static void set_row(struct tool *t, char *value)
{
    char *task = cut(value, ':', true);
    t->row.range = cut(task, ':', true);
    t->row.job_id = number(value);
    t->row.task_id = number(task);
    t->has_row = true;
}

static void set_verify(struct tool *t, const char *value)
{
    static const char *const names[] = {"same", "changed", "fail"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            t->verified = (enum verify_result)i;
            t->is_verified = true;
            return;
        }
    }
    die("neither same, changed nor fail", value);
}

static enum verify_result verify(void *arg, struct err *err)
{
    const struct tool *t = arg;
    if (t->verified != VERIFY_SAME) {
        (void)err_say(err, "the tool was told so");
    }
    return t->verified;
}

static void set_option(struct tool *t, const char *key, char *value)
{
    int64_t tls = -1; /* enum fe_tls */
    struct {
        const char *key;
        int64_t *number;
    } numbers[] = {
        {"connect_ms", &t->options.connect_timeout_ms},
        {"deadline_ms", &t->deadline_ms},
        {"timeout_s", &t->timeout_s},
        {"send_ms", &t->send_ms},
        {"repeat", &t->repeat},
        {"threads", &t->threads},
        {"pad", &t->pad},
        {"tls", &tls},
    };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        if (strcmp(key, numbers[i].key) == 0) {
            *numbers[i].number = number(value);
            t->options.tls = tls >= 0 ? (enum fe_tls)tls : t->options.tls;
            return;
        }
    }
    if (strcmp(key, "fe") == 0 || strcmp(key, "http") == 0) {
        set_address(t, key, value);
    } else if (strcmp(key, "user") == 0) {
        t->options.user = value;
    } else if (strcmp(key, "password") == 0) {
        t->options.password = value;
    } else if (strcmp(key, "tls_ca") == 0) {
        t->options.tls_ca = value;
    } else if (strcmp(key, "db") == 0) {
        t->spec.insert.current_db = value;
    } else if (strcmp(key, "target") == 0) {
        t->spec.insert.target_table = cut(value, '.', true);
        t->spec.insert.target_db = value;
    } else if (strcmp(key, "prop") == 0) {
        add_prop(t->props, &t->spec.n_props, value);
    } else if (strcmp(key, "tvf") == 0) {
        add_prop(t->tvf_props, &t->spec.insert.n_tvf_props, value);
    } else if (strcmp(key, "row") == 0) {
        set_row(t, value);
    } else if (strcmp(key, "succeeded") == 0) {
        t->row.succeeded_id = number(value);
    } else if (strcmp(key, "verify") == 0) {
        set_verify(t, value);
    } else if (strcmp(key, "cancel") == 0) {
        t->is_cancelable = strcmp(value, "eof") == 0;
        t->is_canceled = strcmp(value, "now") == 0;
    } else {
        die("unknown option", key);
    }
}

static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static const struct cancel *cancel_of(const struct tool *t)
{
    return &t->cancel;
}

static json_t *run_load(struct tool *t, int64_t deadline_us, struct err *err)
{
    struct load_report report = {0};
    char *sql = xasprintf("%s%*s", t->args[2], (int)t->pad, "");
    struct load_request request = {
        .spec = &t->spec,
        .label = t->args[1],
        .sql = sql,
        .row = t->row,
        .verify = t->is_verified ? verify : NULL,
        .verify_arg = t,
        .timeout_s = t->timeout_s,
        .send_by_us = t->send_ms > 0 ? clock_mono_us() + t->send_ms * 1000 : 0,
        .deadline_us = deadline_us,
        .cancel = cancel_of(t),
    };
    enum load_result result = insert_sink_ops.load(t->sink, &request, &report, err);
    json_t *out = json_pack(
        "{s:s, s:b, s:o, s:o, s:o, s:b, s:I, s:I}", "result", load_result_name(result),
        "is_changed", report.is_changed, "txn_id", text_or_null(report.txn_id), "tracking_url",
        text_or_null(report.tracking_url), "first_error", text_or_null(report.first_error),
        "is_data_error", report.is_data_error, "scanned_rows", (json_int_t)report.stat.scanned_rows,
        "filtered_rows", (json_int_t)report.stat.filtered_rows);
    load_report_fini(&report);
    free(sql);
    return out;
}

static json_t *run_label(struct tool *t, int64_t deadline_us, struct err *err)
{
    struct label_report report = {0};
    struct label_request request = {
        .db = t->args[1],
        .label = t->args[2],
        .row = t->has_row ? &t->row : NULL,
        .deadline_us = deadline_us,
        .cancel = cancel_of(t),
    };
    enum label_state state = insert_sink_ops.label(t->sink, &request, &report, err);
    json_t *out = json_pack("{s:s, s:o, s:o, s:o}", "result", label_state_name(state), "txn_id",
                            text_or_null(report.txn_id), "reason", text_or_null(report.reason),
                            "evidence", text_or_null(report.evidence));
    label_report_fini(&report);
    return out;
}

static json_t *run_command(struct tool *t, int64_t deadline_us, struct err *err)
{
    const char *command = t->args[0];
    struct fe_traits traits = {.version = -1};
    bool is_ok = false;
    if (strcmp(command, "load") == 0 && t->n_args == 3) {
        return run_load(t, deadline_us, err);
    }
    if (strcmp(command, "label") == 0 && t->n_args == 3) {
        return run_label(t, deadline_us, err);
    }
    if (strcmp(command, "fence") == 0 && t->n_args == 3) {
        is_ok =
            insert_sink_ops.fence(t->sink, t->args[1], t->args[2], deadline_us, cancel_of(t), err);
    } else if (strcmp(command, "traits") == 0 && t->n_args == 1) {
        is_ok = insert_sink_ops.traits(t->sink, deadline_us, cancel_of(t), &traits, err);
    } else if (strcmp(command, "check") == 0 && t->n_args <= 2) {
        is_ok = insert_sink_ops.check(t->sink, &t->spec, t->n_args == 2 ? t->args[1] : NULL,
                                      deadline_us, cancel_of(t), &traits, err);
    } else {
        die("unknown command, or wrong number of arguments", command);
    }
    return json_pack("{s:b, s:i, s:I, s:I}", "result", is_ok, "version", traits.version,
                     "label_keep_s", (json_int_t)traits.label_keep_s, "label_num",
                     (json_int_t)traits.label_num);
}

static void *run(void *arg)
{
    struct tool *t = arg;
    for (int64_t i = 0; i < t->repeat; i++) {
        struct err err = {0};
        int64_t from_us = clock_mono_us();
        json_t *out = run_command(t, from_us + t->deadline_ms * 1000, &err);
        json_object_set_new(out, "code", json_integer(err.code));
        json_object_set_new(out, "sqlstate", json_string(err.sqlstate));
        json_object_set_new(out, "error", json_string(err.msg));
        json_object_set_new(out, "ms", json_integer((clock_mono_us() - from_us) / 1000));
        char *line = json_dumps(out, JSON_COMPACT);
        (void)printf("%s\n", line != NULL ? line : "an error text is not UTF-8");
        free(line);
        json_decref(out);
    }
    return NULL;
}

/* Raises the flag when standard input ends. */
static void *watch(void *arg)
{
    struct tool *t = arg;
    char c = 0;
    while (read(STDIN_FILENO, &c, 1) > 0) {
    }
    cancel_raise(&t->cancel);
    return NULL;
}

static void run_threads(struct tool *t)
{
    pthread_t threads[MOST_THREADS] = {0};
    assert(t->threads >= 1 && t->threads <= MOST_THREADS);
    for (int64_t i = 0; i < t->threads; i++) {
        if (pthread_create(&threads[i], NULL, run, t) != 0) {
            die("no thread", "run");
        }
    }
    for (int64_t i = 0; i < t->threads; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

int main(int argc, char **argv)
{
    struct tool t = {
        .options = {.user = "root",
                    .password = "",
                    .connect_timeout_ms = 5000,
                    .tls = FE_TLS_PREFERRED},
        .deadline_ms = 30000,
        .timeout_s = 20,
        .repeat = 1,
        .threads = 1,
        .row = {.job_id = 7, .task_id = 1, .range = "r1", .offset = "{\"fileName\":\"a'b\"}"},
    };
    pthread_t watcher = 0;
    int at = 1;
    t.options.addresses = t.fes;
    t.spec.props = t.props;
    t.spec.insert.tvf_props = t.tvf_props;
    while (at < argc && strchr(argv[at], '=') != NULL) {
        char *value = cut(argv[at], '=', true);
        set_option(&t, argv[at++], value);
    }
    if (at >= argc || t.options.n_addresses == 0) {
        die("wanted", "fe=host:port and a command");
    }
    t.args = argv + at;
    t.n_args = argc - at;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* cannot fail for this signal */
    cancel_init(&t.cancel);
    if (t.is_canceled) {
        cancel_raise(&t.cancel);
    }
    t.sink = insert_sink_create(&t.options);
    if (t.is_cancelable && pthread_create(&watcher, NULL, watch, &t) != 0) {
        die("no thread", "watch");
    }
    run_threads(&t);
    if (t.is_cancelable) {
        (void)pthread_join(watcher, NULL);
    }
    insert_sink_destroy(t.sink);
    cancel_fini(&t.cancel);
    return 0;
}
