/*
 * The relay alone, for tests/integration/test_relay.py: workers, sessions, and a local side of a few
 * lines in place of proxy/local.c. Prints "listening PORT"; SIGTERM drains.
 *
 *     SHOW SLUICE JOB PING          OK, with the user as info
 *     SHOW SLUICE JOB ERROR         an ERR
 *     SHOW SLUICE JOB ASK <sql>     asks the FE and answers with what it said
 *     SHOW SLUICE JOB LATE          OK, from another thread
 *     SHOW SLUICE JOB ROWS <n> <x>  n rows of an INT, x or NULL, and a DOUBLE
 *     SHOW SLUICE JOB ECHO <x>      one such row
 *     SHOW SLUICE JOB FORWARD       asks SELECT 1, then sends the statement itself to the FE
 */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "parser/script.h"
#include "proxy/backends.h"
#include "proxy/config.h"
#include "proxy/local.h"
#include "proxy/result.h"
#include "proxy/worker.h"

enum { MAX_WORKERS = 8, MAX_BACKENDS = 8, ANSWER_MAX = 64 << 20 };

struct local {
    char *sql; /* owned: the question */
};

void local_destroy(struct local *local)
{
    free(local->sql);
    free(local);
}

static void put_answer(struct session *s, const struct answer *answer)
{
    struct result r;
    struct buf out = buf_with_max(ANSWER_MAX);
    size_t n = answer->n_columns;
    struct result_column *columns = xcalloc(n, sizeof(*columns));
    struct result_cell *cells = xcalloc(n, sizeof(*cells));
    for (size_t i = 0; i < n; i++) {
        columns[i] = (struct result_column){.name = answer->columns[i], .type = RESULT_TEXT};
    }
    struct result_form form = session_form(s);
    result_begin(&r, &out, &form);
    result_columns(&r, columns, n);
    for (size_t row = 0; row < answer->n_rows; row++) {
        for (size_t i = 0; i < n; i++) {
            const char *cell = answer->cells[row * n + i];
            cells[i].text = cell != NULL ? span_of(cell) : (struct span){0};
        }
        result_row(&r, cells, n);
    }
    result_end(&r);
    session_reply_packets(s, &out);
    free(columns);
    free(cells);
}

static void on_answer(struct session *s, const struct answer *answer, void *arg)
{
    assert(arg == *session_local(s));
    if (answer->is_error) {
        session_reply_err(s, &answer->err);
    } else if (answer->n_columns == 0) {
        session_reply_ok(s, 0, "the FE said OK");
    } else {
        put_answer(s, answer);
    }
}

static void on_answer_forward(struct session *s, const struct answer *answer, void *arg)
{
    (void)answer;
    (void)arg;
    session_reply_forward(s);
}

struct late {
    struct msg_call base;
    struct worker *worker;
    uint64_t id;
};

static void destroy_late(struct msg *m)
{
    free(m);
}

static void run_late(void *receiver, struct msg_call *m)
{
    struct session *s = worker_find_session(receiver, ((struct late *)m)->id);
    free(m);
    if (s != NULL) {
        session_reply_ok(s, 7, "late");
    }
}

/* Senders that may still touch a worker's queue. */
static _Atomic int n_senders;

static void *send_late(void *arg)
{
    struct late *late = arg;
    (void)msgq_send(worker_msgq(late->worker), &late->base.m); /* refused: the worker has ended */
    atomic_fetch_sub(&n_senders, 1);
    return NULL;
}

static void start_late(struct session *s)
{
    pthread_t thread;
    struct late *late = xcalloc(1, sizeof(*late));
    late->base = (struct msg_call){.m.destroy = destroy_late, .run = run_late};
    late->worker = session_worker(s);
    late->id = session_id(s);
    atomic_fetch_add(&n_senders, 1);
    if (pthread_create(&thread, NULL, send_late, late) != 0) {
        abort();
    }
    (void)pthread_detach(thread); /* cannot fail on a thread just made */
}

static const char prefix[] = "SHOW SLUICE JOB ";

bool local_knows_rights(const struct local *local)
{
    (void)local;
    return false;
}

bool local_claims(struct span sql)
{
    return span_istarts_with(sql, prefix);
}

static const struct result_column row_columns[] = {
    {"id", RESULT_INT}, {"name", RESULT_TEXT}, {"share", RESULT_DOUBLE}};

/* n rows of three types; the name is NULL in every third, and `word` with the number elsewhere. */
static void put_rows(struct session *s, int64_t n, struct span word)
{
    struct result r;
    struct buf out = buf_with_max(ANSWER_MAX);
    struct result_form form = session_form(s);
    result_begin(&r, &out, &form);
    result_columns(&r, row_columns, ARRAY_SIZE(row_columns));
    for (int64_t i = 1; i <= n; i++) {
        char texts[3][24];
        (void)snprintf(texts[0], sizeof(texts[0]), "%d", (int)i);
        (void)snprintf(texts[2], sizeof(texts[2]), "%.1f", (double)i / 2);
        const struct result_cell cells[] = {
            {.type = RESULT_INT, .text = span_of(texts[0]), .integer = i},
            {.type = RESULT_TEXT, .text = i % 3 == 0 ? (struct span){0} : word},
            {.type = RESULT_DOUBLE, .text = span_of(texts[2]), .number = (double)i / 2}};
        result_row(&r, cells, ARRAY_SIZE(cells));
    }
    result_end(&r);
    session_reply_packets(s, &out);
}

/* ROWS n word */
static void answer_rows(struct session *s, struct span args)
{
    const char *blank = memchr(args.p, ' ', args.n);
    const char *end = args.p + args.n;
    int64_t n = 0;
    struct span digits = blank != NULL ? span_between(args.p, blank) : args;
    struct span word = blank != NULL ? span_between(blank + 1, end) : SPAN_LIT("");
    (void)span_to_int64(digits, 0, 10000000, &n); /* else none */
    put_rows(s, n, word);
}

static enum local_verdict prepare(struct session *s, struct span rest)
{
    const char *names[] = {"id", "name", "share"};
    bool has_rows = span_starts_with(rest, "ROWS ");
    session_reply_prepared(s, names, has_rows ? ARRAY_SIZE(names) : 0);
    return LOCAL_TAKEN;
}

static enum local_verdict run(struct session *s, struct span rest)
{
    if (span_eq_text(rest, "PING")) {
        session_reply_ok(s, 3, session_user(s));
    } else if (span_eq_text(rest, "LATE")) {
        start_late(s);
    } else if (span_starts_with(rest, "ASK ")) {
        struct local **local = session_local(s);
        if (*local == NULL) {
            *local = xcalloc(1, sizeof(**local));
        }
        free((*local)->sql);
        (*local)->sql = xmemdup0(rest.p + 4, rest.n - 4);
        session_ask(s, (*local)->sql, on_answer, *local);
    } else if (span_eq_text(rest, "FORWARD")) {
        session_ask(s, "SELECT 1", on_answer_forward, NULL);
    } else if (span_starts_with(rest, "ROWS ")) {
        answer_rows(s, (struct span){rest.p + 5, rest.n - 5});
    } else if (span_starts_with(rest, "ECHO ")) {
        put_rows(s, 1, (struct span){rest.p + 5, rest.n - 5});
    } else {
        return LOCAL_FOREIGN;
    }
    return LOCAL_TAKEN;
}

/* Several statements with one of ours among them? */
static bool is_script(struct span text)
{
    struct script script = script_of(text, local_claims);
    struct script_part part = {0};
    while (script_next(&script, &part)) {
        if (part.is_ours) {
            return !part.is_last || part.text.p != text.p;
        }
    }
    return false;
}

enum local_verdict local_accept(struct session *s, const struct local_text *text, struct err *err)
{
    struct span sql = span_trim(text->sql);
    if (text->use == LOCAL_WHOLE && is_script(text->sql)) {
        return LOCAL_SCRIPT;
    }
    if (!local_claims(sql)) {
        return LOCAL_FOREIGN;
    }
    struct span rest = {sql.p + sizeof(prefix) - 1, sql.n - (sizeof(prefix) - 1)};
    if (span_eq_text(rest, "ERROR")) {
        (void)err_set(err, ERR_PARSE, "42000", "this statement is wrong");
        return LOCAL_ERROR;
    }
    return text->use == LOCAL_PREPARE ? prepare(s, rest) : run(s, rest);
}

static void fail(const struct err *err)
{
    (void)fprintf(stderr, "relay_only: %s\n", err->msg);
    exit(1);
}

static int64_t number(const char *text)
{
    int64_t value = 0;
    if (!span_to_int64(span_of(text), 0, INT32_MAX, &value)) {
        (void)fprintf(stderr, "relay_only: not a number: %s\n", text);
        exit(2);
    }
    return value;
}

/* --backend PORT may be repeated. */
static void read_options(int argc, char **argv, struct config *c, struct backends *backends)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        struct err err = {0};
        int64_t value = number(argv[i + 1]);
        if (strcmp(argv[i], "--backend") == 0) {
            char host[] = "127.0.0.1";
            struct host_port to = {.host = host, .port = (int)value};
            if (!backends_add(backends, &to, &err)) {
                fail(&err);
            }
        } else if (strcmp(argv[i], "--workers") == 0) {
            c->workers = value < MAX_WORKERS ? value : MAX_WORKERS;
        } else if (strcmp(argv[i], "--max-connections") == 0) {
            c->max_connections = value;
        } else if (strcmp(argv[i], "--connect-ms") == 0) {
            c->connect_timeout_ms = value;
        } else if (strcmp(argv[i], "--login-ms") == 0) {
            c->login_timeout_ms = value;
        } else if (strcmp(argv[i], "--drain-ms") == 0) {
            c->drain_timeout_ms = value;
        } else if (strcmp(argv[i], "--idle-ms") == 0) {
            c->idle_timeout_ms = value;
        } else if (strcmp(argv[i], "--write-ms") == 0) {
            c->write_timeout_ms = value;
        } else {
            (void)fprintf(stderr, "relay_only: unknown option %s\n", argv[i]);
            exit(2);
        }
    }
}

static struct worker *start_worker(struct worker_shared *shared, struct address *at, int index)
{
    struct err err = {0};
    struct worker_env env = {.shared = shared, .index = index};
    env.listen_fds[0] = listener_open(at, &err);
    env.n_listen_fds = 1;
    if (env.listen_fds[0] < 0 || !listener_address(env.listen_fds[0], at, &err)) {
        fail(&err);
    }
    struct worker *w = worker_create(&env, &err);
    if (w == NULL || !worker_start(w, &err)) {
        fail(&err);
    }
    return w;
}

int main(int argc, char **argv)
{
    struct config config = {.workers = 2,
                            .max_connections = 1000,
                            .connect_timeout_ms = 5000,
                            .login_timeout_ms = 30000,
                            .drain_timeout_ms = 5000};
    struct backends *backends = backends_create();
    struct worker *workers[MAX_WORKERS] = {0};
    struct address at = {.size = sizeof(at.to.v4)};
    sigset_t signals;
    int caught = 0;

    at.to.v4.sin_family = AF_INET;
    at.to.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)sigemptyset(&signals); /* these four cannot fail with valid signals */
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    read_options(argc, argv, &config, backends);
    struct worker_shared shared = {.config = &config, .backends = backends};
    for (int i = 0; i < config.workers; i++) {
        workers[i] = start_worker(&shared, &at, i);
    }
    (void)printf("listening %d\n", ntohs(at.to.v4.sin_port));
    (void)fflush(stdout);
    while (sigwait(&signals, &caught) == 0 && caught != SIGTERM) {
    }
    for (int i = 0; i < config.workers; i++) {
        worker_stop(workers[i], WORKER_DRAIN);
    }
    for (int i = 0; i < config.workers; i++) {
        worker_join(workers[i]);
    }
    while (atomic_load(&n_senders) > 0) {
        (void)sched_yield(); /* cannot fail here */
    }
    for (int i = 0; i < config.workers; i++) {
        worker_destroy(workers[i]);
    }
    assert(atomic_load(&shared.n_sessions) == 0);
    backends_destroy(backends);
    log_info("relay.stopped", NULL);
    return 0;
}
